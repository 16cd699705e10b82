package rfc

import "strings"

// Interim responses of an origin.
const (
	continue100 = "HTTP/1.1 100 Continue\r\n\r\n"
	early103    = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
)

var responseInterimRules = []rule{
	{
		"9110-15.2-100-unasked", must, "a 100 that nobody has asked for is passed on, and is not the final response",
		open.says(continue100+ok, all(informed(100), whole(200, "ok"))),
	},
	{"9110-15.2-102", must, "a 102 is passed on", open.says("HTTP/1.1 102 Processing\r\n\r\n"+ok, all(informed(102), whole(200, "ok")))},
	{"9110-15.2-103", must, "a 103 is passed on with its fields", open.says(early103+ok, all(informed(103), whole(200, "ok"), hinted))},
	{
		"9110-15.2-unknown", must, "an interim response that nobody knows is passed on",
		open.says("HTTP/1.1 199 Odd\r\nX-Odd: 1\r\n\r\n"+ok, all(informed(199), whole(200, "ok"))),
	},
	{
		"9110-15.2-several", must, "several interim responses are passed on in order",
		open.says("HTTP/1.1 102 Processing\r\n\r\n"+early103+early103+"HTTP/1.1 102 Processing\r\n\r\n"+ok, all(informed(102, 103, 103, 102), whole(200, "ok"))),
	},
	{
		"9110-15.2-many", quality, "twenty interim responses are passed on",
		open.says(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 20)+ok, func(r *response) string {
			if len(r.interims) != 20 {
				return "expected 20 interim responses before " + r.String()
			}
			return whole(200, "ok")(r)
		}),
	},
	{
		"9110-15.2-endless", quality, "interim responses without end are not passed on for ever",
		func(x *exchange) {
			c := x.client()
			c.send(plainGet) //nolint:errcheck // the origin says it
			o := x.origin()
			o.request()
			x.meanwhile(func() {
				for o.send(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000)) == nil { //nolint:revive // until it breaks
				}
			})
			r := c.response("GET")
			x.want((r.err != nil || r.status >= 500) && len(r.interims) < 1000, "the client got %d interim responses, and %s", len(r.interims), r)
		},
	},
	{"8297-2-103-at-once", quality, "a 103 reaches the client before there is a final response", func(x *exchange) {
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the origin says it
		o := x.origin()
		o.request()
		o.send(early103) //nolint:errcheck // the client says it
		r := c.head()
		x.want(r.err == nil && r.status == 103, "the client got %s", r)
		o.send(ok) //nolint:errcheck // the client says it
		x.judge(whole(200, "ok"), c.response("GET"))
		x.kept(c)
	}},
	{
		"9110-15.2-not-to-http10", must, "an HTTP/1.0 client gets the final response alone",
		to10.says("HTTP/1.1 102 Processing\r\n\r\n"+early103+ok, all(informed(), whole(200, "ok"))),
	},
	{
		"9110-15.2-100-not-to-http10", must, "an HTTP/1.0 client does not get a 100",
		to10.says(continue100+ok, all(informed(), whole(200, "ok"))),
	},
	{
		"9110-8.6-1xx-length", must, "Content-Length of an interim response is not passed on, and does not frame it",
		open.says("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n"+ok, oneOf(bad, all(whole(200, "ok"), bareInterims))),
	},
	{
		"9112-6.1-1xx-coding", must, "Transfer-Encoding of an interim response is not passed on, and does not frame it",
		open.says("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n"+ok, oneOf(bad, all(whole(200, "ok"), bareInterims))),
	},
	{
		"9112-6.3-1xx-to-head", must, "an interim response to HEAD is followed by the final one",
		toHead.says(early103+"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", all(informed(103), whole(200, ""))),
	},
	{
		"9110-15.6.3-1xx-then-end", quality, "an origin that ends behind an interim response is answered with 502",
		closing.says(early103, bad),
	},
	{
		"9110-15.6.3-1xx-then-junk", quality, "an origin that says no HTTP behind an interim response is answered with 502",
		open.says(early103+"junk\r\n\r\n", bad),
	},
	{
		"9110-7.8-101-unasked", must, "a 101 that nobody has asked for does not switch protocols",
		open.left("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: odd\r\n\r\n"+ok, bad),
	},
}

// hinted: the first interim response has its Link.
func hinted(r *response) string { return r.interims[0].lacks("Link: </a.css>; rel=preload") }

// bareInterims: nothing frames the interim responses.
func bareInterims(r *response) string {
	for _, i := range r.interims {
		if wrong := i.lacks("!Content-Length", "!Transfer-Encoding"); wrong != "" {
			return wrong
		}
	}
	return ""
}
