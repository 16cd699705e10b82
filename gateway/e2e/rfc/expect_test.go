package rfc

import "slices"

// An expectation is what must become of a request that a client has sent.
type expectation func(x *exchange, c *client)

// on makes the run of a rule that sends exact bytes and looks at what becomes of them.
func on(bytes string, e expectation) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		c.send(bytes) //nolint:errcheck // what becomes of it says it
		e(x, c)
	}
}

// refused: the client gets one of these statuses (none named: any from 400); the connection ends; the origin hears nothing.
func refused(statuses ...int) expectation {
	return func(x *exchange, c *client) {
		x.refusal(c, statuses...)
		c.ends()
		x.nothingArrives()
	}
}

// refusal reads the response, which must be a refusal.
func (x *exchange) refusal(c *client, statuses ...int) {
	x.heardFirst(c)
	r := c.response("GET")
	x.want(r.err == nil && r.status >= 400, "expected a refusal; got %s", r)
	x.want(len(statuses) == 0 || slices.Contains(statuses, r.status), "expected %v; got %s", statuses, r)
}

// heardFirst fails the rule if the origin hears of the request before the client does.
func (x *exchange) heardFirst(c *client) {
	if x.first(c) == "origin" {
		x.failf("expected a refusal; the origin got %s", x.origin().request())
	}
}

// dropped: the connection ends, with any answer from 400 or none; the origin hears nothing.
func dropped(x *exchange, c *client) {
	x.heardFirst(c)
	x.ended(c)
	x.nothingArrives()
}

// ended has the connection end, with any answer from 400 or none.
func (x *exchange) ended(c *client) {
	if r := c.response("GET"); r.err == nil {
		x.want(r.status >= 400, "expected a refusal; got %s", r)
	} else {
		x.want(r.head == "" && c.over != nil, "expected a refusal or the end; got %s", r)
	}
	c.ends()
}

// wholeOrBroken is for content that may be repaired or found wrong, before or after its head has been forwarded. When the origin gets a
// whole message, check looks at it.
func wholeOrBroken(check func(x *exchange, q *request)) expectation {
	return func(x *exchange, c *client) {
		if x.first(c) == "origin" {
			o := x.origin()
			if q := o.request(); q.err == nil {
				if check != nil {
					check(x, q)
				}
				o.send(ok) //nolint:errcheck // the client says it
				r := c.response(q.method)
				x.want(r.err == nil && r.status == 200, "the client got %s", r)
				return
			}
			o.close()
		}
		broken(x, c)
	}
}

// incomplete: the proxy waits for more, so the client ends the connection. Then it is as broken.
func incomplete(x *exchange, c *client) {
	c.finish()
	broken(x, c)
}

// broken: the content is wrong, which a proxy may find when it has forwarded the head. Whatever reaches the origin must not be a whole
// message, and the connection to the client ends, with an answer from 400 or none.
func broken(x *exchange, c *client) {
	if x.first(c) == "origin" {
		o := x.origin()
		q := o.request()
		x.want(q.err != nil, "the origin got a whole message: %s", q)
		o.close()
	}
	x.ended(c)
	for _, q := range x.arrived() {
		x.want(q.err != nil, "the origin got a whole message: %s", q)
	}
}

// passed: the request reaches the origin whole and looks as check wants it; the client gets the origin's response.
func passed(check func(x *exchange, q *request)) expectation {
	return func(x *exchange, c *client) {
		x.arrivesBefore(c, "the request was to be forwarded")
		q := x.pass()
		if check != nil {
			check(x, q)
		}
		r := c.response(q.method)
		x.want(r.err == nil && r.status == 200, "the client got %s", r)
	}
}

// passedAndKept is passed, and the connection is at the boundary of the next request.
func passedAndKept(check func(x *exchange, q *request)) expectation {
	return func(x *exchange, c *client) {
		passed(check)(x, c)
		x.kept(c)
	}
}

// either takes the one when the origin hears first, the other when the client does.
func either(forwarded, answered expectation) expectation {
	return func(x *exchange, c *client) {
		if x.first(c) == "origin" {
			forwarded(x, c)
		} else {
			answered(x, c)
		}
	}
}
