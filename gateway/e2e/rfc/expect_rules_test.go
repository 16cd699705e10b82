package rfc

import "strings"

// expecting begins a POST of "hello" whose client waits to be told to go on.
const expecting = "POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

// asksFirst sends a head that expects 100-continue, and returns the origin's end with that head. Nothing of the content has been sent.
func (x *exchange) asksFirst(c *client, head string) (*origin, *request) {
	c.send(head) //nolint:errcheck // the origin says it
	x.arrivesBefore(c, "the head was to be forwarded")
	o := x.origin()
	q := o.head()
	x.want(q.err == nil, "the origin got %s", q)
	return o, q
}

// told reads an interim response that must have that status.
func (x *exchange) told(c *client, status int) {
	r := c.head()
	x.want(r.err == nil && r.status == status, "expected %d; got %s", status, r)
}

// takes has the client send content, which must reach the origin as "hello", and the origin answer.
func (x *exchange) takes(c *client, o *origin, q *request, content string) {
	c.send(content) //nolint:errcheck // the origin says it
	o.content(q)
	x.want(q.err == nil && q.content == "hello", "the origin got %s", q)
	o.send(ok) //nolint:errcheck // the client says it
}

var expectRules = []rule{
	{"9110-10.1.1-head-first", must, "the head of a request that expects 100-continue reaches the origin before there is content", func(x *exchange) {
		x.asksFirst(x.client(), expecting)
	}},
	{"9110-10.1.1-expect-passed", quality, "the expectation is passed on", func(x *exchange) {
		_, q := x.asksFirst(x.client(), expecting)
		x.want(strings.EqualFold(q.field("Expect"), "100-continue"), "the origin got %s", q)
	}},
	{"9110-10.1.1-continue", must, "the client is told to go on, and its content passed on", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, expecting)
		o.send(continue100) //nolint:errcheck // the client says it
		x.told(c, 100)
		x.takes(c, o, q, "hello")
		x.judge(all(informed(), whole(200, "ok")), c.response("POST"))
		x.kept(c)
	}},
	{"9110-10.1.1-continue-chunked", must, "the client of chunked content is told to go on, and its content passed on", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, "POST / HTTP/1.1\r\nHost: rfc.test\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
		o.send(continue100) //nolint:errcheck // the client says it
		x.told(c, 100)
		x.takes(c, o, q, "5\r\nhello\r\n0\r\n\r\n")
		x.judge(all(informed(), whole(200, "ok")), c.response("POST"))
		x.kept(c)
	}},
	{"9110-10.1.1-case", must, "100-continue is case-insensitive", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, strings.Replace(expecting, "100-continue", "100-CONTINUE", 1))
		o.send(continue100) //nolint:errcheck // the client says it
		x.told(c, 100)
		x.takes(c, o, q, "hello")
		x.judge(whole(200, "ok"), c.response("POST"))
	}},
	{"9110-10.1.1-refused-not-asked", quality, "a final status in the place of 100 reaches the client, which is not told to go on", func(x *exchange) {
		c := x.client()
		o, _ := x.asksFirst(c, expecting)
		o.send(denied) //nolint:errcheck // the client says it
		x.judge(all(informed(), whole(403, "denied")), c.response("POST"))
	}},
	{"9112-9.3-refused-then-content", must, "content that the client sends behind a final status is not read as a request", func(x *exchange) {
		c := x.client()
		const hidden = "GET /hidden HTTP/1.1\r\nHost: rfc.test\r\n\r\n"
		o, q := x.asksFirst(c, strings.Replace(expecting, "5", "40", 1))
		o.send(denied) //nolint:errcheck // the client says it
		r := c.response("POST")
		x.want(r.err == nil && r.status == 403, "the client got %s", r)
		c.send(hidden) //nolint:errcheck // it may be late
		if r.lists("Connection", "close") {
			c.ends()
			x.nothingArrives()
			return
		}
		o.content(q)
		x.kept(c)
	}},
	{"9110-15.5.18-417-passed", must, "a 417 of the origin reaches the client", func(x *exchange) {
		c := x.client()
		o, _ := x.asksFirst(c, expecting)
		o.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n") //nolint:errcheck // the client says it
		r := c.response("POST")
		x.want(r.err == nil && r.status == 417, "the client got %s", r)
	}},
	{"9110-15.6.3-expect-then-end", quality, "an origin that ends in the place of a 100 is answered with 502, and the client not told to go on", func(x *exchange) {
		c := x.client()
		o, _ := x.asksFirst(c, expecting)
		o.close()
		x.judge(all(informed(), bad), c.response("POST"))
	}},
	{"9110-15.2-two-100", must, "two times 100 are both passed on", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, expecting)
		o.send(continue100 + continue100) //nolint:errcheck // the client says it
		x.told(c, 100)
		x.takes(c, o, q, "hello")
		x.judge(all(informed(100), whole(200, "ok")), c.response("POST"))
		x.kept(c)
	}},
	{"9110-15.2-103-before-100", must, "a 103 before the 100 is passed on as such, in order", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, expecting)
		o.send(early103) //nolint:errcheck // the client says it
		x.told(c, 103)
		o.send(continue100) //nolint:errcheck // the client says it
		x.told(c, 100)
		x.takes(c, o, q, "hello")
		x.judge(whole(200, "ok"), c.response("POST"))
	}},
	{"9110-10.1.1-unasked-content", must, "content that the client sends without waiting is passed on", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, expecting+"hello")
		o.send(continue100) //nolint:errcheck // the client says it
		x.takes(c, o, q, "")
		x.judge(whole(200, "ok"), c.response("POST"))
		x.kept(c)
	}},
	{"9110-15.2-100-not-waited-for", must, "a 100 is passed on to a client that has sent its content already", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, expecting+"hello")
		o.send(continue100) //nolint:errcheck // the client says it
		x.told(c, 100)
		x.takes(c, o, q, "")
		x.judge(whole(200, "ok"), c.response("POST"))
	}},
	{"9110-10.1.1-unasked-content-next", must, "behind content that the client sends without waiting the next request is read", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, expecting+"hello"+getOf("/2"))
		o.send(continue100) //nolint:errcheck // the client says it
		x.takes(c, o, q, "")
		x.judge(whole(200, "ok"), c.response("POST"))
		x.echo(1)
		x.judge(whole(200, "/2 "), c.response("GET"))
	}},
	{"9110-10.1.1-never-100", should, "content does not wait for ever for an origin that never sends 100", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, expecting+"hello")
		x.takes(c, o, q, "")
		x.judge(whole(200, "ok"), c.response("POST"))
	}},
	{"9110-10.1.1-never-100-client-waits", quality, "a client that waits is told to go on when the origin has long not said anything", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, expecting)
		x.told(c, 100)
		x.takes(c, o, q, "hello")
		x.judge(whole(200, "ok"), c.response("POST"))
	}},
	{"9110-10.1.1-http10", must, "an HTTP/1.0 client is not told to go on: its content is passed on", func(x *exchange) {
		c := x.client()
		c.send("POST / HTTP/1.0\r\nHost: rfc.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello") //nolint:errcheck // the origin says it
		x.pass()
		x.judge(all(informed(), whole(200, "ok")), c.response("POST"))
	}},
	{"9110-10.1.1-no-content", quality, "an expectation without content delays nothing", on("GET / HTTP/1.1\r\nHost: rfc.test\r\nExpect: 100-continue\r\n\r\n", passedAndKept(nil))},
	{
		"9110-10.1.1-length-zero", quality, "an expectation with content of length 0 delays nothing",
		on("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", passedAndKept(content(""))),
	},
	{
		"9110-10.1.1-unknown", quality, "an expectation that nobody knows is answered with 417, or passed on",
		on("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 5\r\nExpect: a-miracle\r\n\r\nhello", either(passed(sees("Expect: a-miracle")), refused417)),
	},
	{"9112-8-expect-then-leave", must, "a client that leaves when it was told to go on leaves no whole request", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, expecting)
		o.send(continue100) //nolint:errcheck // the client says it
		x.told(c, 100)
		c.send("hel") //nolint:errcheck // the origin says it
		c.close()
		o.content(q)
		x.want(q.err != nil, "the origin got a whole request: %s", q)
	}},
}

func refused417(x *exchange, c *client) {
	r := c.response("POST")
	x.want(r.err == nil && r.status == 417, "expected 417; got %s", r)
	x.nothingArrives()
}
