package sdk

import "github.com/breakwater-gateway/breakwater/sdk/abi"

// A Response is a response to look at, with the request that it answers as it was sent.
type Response struct{ message }

// Status is the status code.
func (r *Response) Status() int { return r.status }

// Field is the first response field line of that name, compared without case, among those that are wanted.
func (r *Response) Field(name string) (value []byte, ok bool) {
	return r.field(abi.ResponseFields, name)
}

// EachField calls f for every wanted response field line in the order of the response, until it returns false.
func (r *Response) EachField(f func(name, value []byte) bool) { r.eachField(abi.ResponseFields, f) }

// RequestField is the first request field line of that name, compared without case, among those that are wanted.
func (r *Response) RequestField(name string) (value []byte, ok bool) {
	return r.field(abi.RequestFields, name)
}

// Trailer is the first response trailer line of that name. Trailers come only with a whole body.
func (r *Response) Trailer(name string) (value []byte, ok bool) {
	return r.field(abi.ResponseTrailers, name)
}

// A ResponseHead is a response that may still be changed: its head is here and nothing of it was sent on.
type ResponseHead struct {
	Response
	list []byte // of mutations
}

// SetStatus asks for another status, 200 to 599.
func (r *ResponseHead) SetStatus(status int) {
	r.list = abi.AppendSetStatus(r.list, status)
	r.status = status
}

// SetField leaves one line of that name: at the first one's place, or at the end.
func (r *ResponseHead) SetField(name, value string) {
	r.list = abi.AppendSetField(r.list, abi.ResponseFields, name, value)
	r.setField(abi.ResponseFields, name, tail(r.list, len(value)))
}

// AddField adds a line at the end.
func (r *ResponseHead) AddField(name, value string) {
	r.list = abi.AppendAddField(r.list, abi.ResponseFields, name, value)
	r.addField(abi.ResponseFields, name, tail(r.list, len(value)))
}

// RemoveField removes every line of that name.
func (r *ResponseHead) RemoveField(name string) {
	r.list = abi.AppendRemoveField(r.list, abi.ResponseFields, name)
	r.removeField(abi.ResponseFields, name)
}

// SetBody replaces the body.
func (r *ResponseHead) SetBody(body []byte) {
	r.list = abi.AppendSetBody(r.list, true, body)
	r.body, r.whole, r.hasBody = tail(r.list, len(body)), true, true
}
