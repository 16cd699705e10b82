package sdk

import "github.com/breakwater-gateway/breakwater/sdk/abi"

// A Request is a request that is about to be sent to the upstream. What a handler reads is what the steps before it left, with the handler's
// own changes. The gateway refuses changes of framing, hop-by-hop fields and the authority.
type Request struct {
	message
	list     []byte // of mutations
	newURI   []byte // where uri lies once it was changed
	oldURI   []byte // memory for the next change
	uriSet   bool
	answered bool
}

// Field is the first line of that name, compared without case, among those that are wanted.
func (r *Request) Field(name string) (value []byte, ok bool) { return r.field(abi.RequestFields, name) }

// EachField calls f for every wanted field line in the order of the request, until it returns false.
func (r *Request) EachField(f func(name, value []byte) bool) { r.eachField(abi.RequestFields, f) }

// Trailer is the first trailer line of that name. Trailers come only with a whole body.
func (r *Request) Trailer(name string) (value []byte, ok bool) {
	return r.field(abi.RequestTrailers, name)
}

// SetURI asks for another path and query, byte for byte; empty means "/".
func (r *Request) SetURI(uri []byte) {
	r.takeURI(append(r.scratch(), uri...))
}

// SetMethod asks for another method.
func (r *Request) SetMethod(method string) {
	r.list = abi.AppendSetMethod(r.list, method)
	r.method = tail(r.list, len(method))
}

// SetField leaves one line of that name: at the first one's place, or at the end.
func (r *Request) SetField(name, value string) {
	r.list = abi.AppendSetField(r.list, abi.RequestFields, name, value)
	r.setField(abi.RequestFields, name, tail(r.list, len(value)))
}

// AddField adds a line at the end.
func (r *Request) AddField(name, value string) {
	r.list = abi.AppendAddField(r.list, abi.RequestFields, name, value)
	r.addField(abi.RequestFields, name, tail(r.list, len(value)))
}

// RemoveField removes every line of that name.
func (r *Request) RemoveField(name string) {
	r.list = abi.AppendRemoveField(r.list, abi.RequestFields, name)
	r.removeField(abi.RequestFields, name)
}

// SetBody replaces the body.
func (r *Request) SetBody(body []byte) {
	r.list = abi.AppendSetBody(r.list, false, body)
	r.body, r.whole, r.hasBody = tail(r.list, len(body)), true, true
}

// Answer gives the client this response; the upstream is never asked. Changes made before are forgotten, and nothing but
// [Request.AnswerField] may follow. An empty content type sends none.
func (r *Request) Answer(status int, contentType, body string) {
	r.list, r.uriSet, r.answered = abi.AppendAnswer(r.list[:0], status), false, true
	if contentType != "" {
		r.list = abi.AppendSetField(r.list, abi.ResponseFields, "Content-Type", contentType)
	}
	if body != "" {
		r.list = abi.AppendSetBody(r.list, true, body)
	}
}

// AnswerField adds a field line to the response that [Request.Answer] gives.
func (r *Request) AnswerField(name, value string) {
	if !r.answered {
		panic("BUG: AnswerField before Answer")
	}
	r.list = abi.AppendAddField(r.list, abi.ResponseFields, name, value)
}

func (r *Request) finish() []byte {
	if r.uriSet {
		r.list = abi.AppendSetURI(r.list, r.uri)
	}
	return r.list
}
