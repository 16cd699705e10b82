package rfc

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A verdict says what is wrong with a response as the client got it, "" if nothing is.
type verdict func(r *response) string

// A scene is how an origin comes to answer: what it is asked, and how it ends its connection behind the answer.
type scene struct {
	request string          // "": a plain GET
	end     func(o *origin) // nil: the connection stays open
}

// What a client asks of the origin in most rules.
const (
	plainGet  = "GET / HTTP/1.1\r\nHost: rfc.test\r\n\r\n"
	plainHead = "HEAD / HTTP/1.1\r\nHost: rfc.test\r\n\r\n"
	get10     = "GET / HTTP/1.0\r\nHost: rfc.test\r\n\r\n"
)

func fin(o *origin)   { o.close() }
func reset(o *origin) { o.reset() }

var (
	open        = scene{}
	closing     = scene{end: fin}
	resetting   = scene{end: reset}
	toHead      = scene{request: plainHead}
	to10        = scene{request: get10}
	to10Closing = scene{get10, fin}
	to10Reset   = scene{get10, reset}
)

// says makes the run of a rule in which the origin answers with exact bytes. Behind that it is looked whether the client's connection
// is at the boundary of the next response, or else at its end: nothing may be left over, nothing appended.
func (s scene) says(bytes string, v verdict) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		r := s.play(x, c, bytes)
		x.judge(v, r)
		x.rightAfter(c, r, strings.Contains(s.request, " HTTP/1.0\r\n"))
	}
}

// play has c ask and the origin answer, and returns what the client got.
func (s scene) play(x *exchange, c *client, bytes string) *response {
	ask := s.request
	if ask == "" {
		ask = plainGet
	}
	c.send(ask) //nolint:errcheck // the origin says it
	x.arrivesBefore(c, "the request was to be forwarded")
	o := x.origin()
	q := o.request()
	x.want(q.err == nil, "the origin got %s", q)
	o.send(bytes) //nolint:errcheck // the client says it
	if s.end != nil {
		s.end(o)
	}
	return c.response(q.method)
}

func (x *exchange) judge(v verdict, r *response) {
	if wrong := v(r); wrong != "" {
		x.failf("%s", wrong)
	}
}

// rightAfter fails the rule unless the connection on which r came is good for another request, or ends where r says so. Old is a client of
// HTTP/1.0, which must be told that its connection is kept.
func (x *exchange) rightAfter(c *client, r *response, old bool) {
	if r.err != nil || r.framing == "close" || r.lists("Connection", "close") || old && !r.lists("Connection", "keep-alive") {
		c.ends()
		return
	}
	x.kept(c)
}

// whole: the client gets a whole response with that status and content.
func whole(status int, content string) verdict {
	return func(r *response) string {
		if r.err != nil || r.status != status || r.content != content {
			return fmt.Sprintf("expected a whole %d with %.100q; got %s", status, content, r)
		}
		return ""
	}
}

// having is whole, and the response has (or, where it begins with "!", has not) each of these fields. "Name" is a field with any
// value; "Name: value" one line or more, their values joined by commas.
func having(status int, content string, fields ...string) verdict {
	return func(r *response) string {
		if wrong := whole(status, content)(r); wrong != "" {
			return wrong
		}
		return r.lacks(fields...)
	}
}

// lacks says which of these fields, as having knows them, the message has not, "" if it is as they say.
func (m *message) lacks(fields ...string) string {
	for _, f := range fields {
		name, value, exact := strings.Cut(strings.TrimPrefix(f, "!"), ":")
		has := m.has(name)
		if exact {
			has = has && m.field(name) == strings.TrimSpace(value)
		}
		if has == strings.HasPrefix(f, "!") {
			return fmt.Sprintf("expected %q; got %s", f, m)
		}
	}
	return ""
}

// bad: the client gets a whole 502 in the origin's place.
func bad(r *response) string {
	if r.err != nil || r.status != 502 {
		return fmt.Sprintf("expected 502; got %s", r)
	}
	return ""
}

// cut: the client gets the beginning of the content, and sees that it is not all. A 502 instead is as good, and so is the end of the
// connection before anything.
func cut(content string) verdict {
	return func(r *response) string {
		if bad(r) == "" || errors.Is(r.err, errNothing) || r.err != nil && r.status == 200 && strings.HasPrefix(content, r.content) {
			return ""
		}
		return fmt.Sprintf("expected a response that is seen to be cut; got %s", r)
	}
}

// oneOf: any of these will do.
func oneOf(all ...verdict) verdict {
	return func(r *response) (wrong string) {
		for _, v := range all {
			if wrong = v(r); wrong == "" {
				return ""
			}
		}
		return wrong
	}
}

// all: each of these must hold.
func all(each ...verdict) verdict {
	return func(r *response) string {
		for _, v := range each {
			if wrong := v(r); wrong != "" {
				return wrong
			}
		}
		return ""
	}
}

// informed: that is the status of each interim response before the final one, in order.
func informed(statuses ...int) verdict {
	return func(r *response) string {
		var got []int
		for _, i := range r.interims {
			got = append(got, i.status)
		}
		if !slices.Equal(got, statuses) {
			return fmt.Sprintf("expected the interim responses %d, got %d before %s", statuses, got, r)
		}
		return ""
	}
}

// connections returns how many connections the proxy has made to the origin.
func (x *exchange) connections() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.origins)
}

// left makes the run of a rule in which the origin's connection must not be used again after that answer.
func (s scene) left(bytes string, v verdict) func(x *exchange) {
	return func(x *exchange) {
		x.judge(v, s.play(x, x.client(), bytes))
		x.another()
	}
}

// another fails the rule if the next request comes over the connection of one before.
func (x *exchange) another() {
	n := x.connections()
	x.kept(x.client())
	x.want(x.connections() > n, "the connection with the origin was used again")
}

// parseSize reads the size of a chunk.
func parseSize(line string) (int, error) {
	size, _, _ := strings.Cut(line, ";")
	n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 32)
	return int(n), err
}
