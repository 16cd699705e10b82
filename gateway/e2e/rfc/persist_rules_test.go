package rfc

import (
	"fmt"
	"slices"
)

// When a connection is used again, and when not.
var persistRules = slices.Concat(persistClientRules, pipelineRules, persistOriginRules, retryRules, earlyRules)

// Requests of which it matters how they say whether the connection is to be kept.
const (
	closingGet = "GET / HTTP/1.1\r\nHost: rfc.test\r\nConnection: close\r\n\r\n"
	keeping10  = "GET / HTTP/1.0\r\nHost: rfc.test\r\nConnection: keep-alive\r\n\r\n"
)

// thenEnds makes the run of a rule in which the connection ends behind the response to that request, and what the client sends behind
// it reaches nobody.
func thenEnds(bytes, behind string, v verdict) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		c.send(bytes + behind) //nolint:errcheck // the origin says it
		x.arrivesBefore(c, "the request was to be forwarded")
		q := x.pass()
		r := c.response(q.method)
		x.judge(all(whole(200, "ok"), v), r)
		c.ends()
		x.nothingArrives()
	}
}

func anything(*response) string { return "" }

func saysClose(r *response) string {
	if !r.lists("Connection", "close") {
		return "expected Connection: close; got " + r.String()
	}
	return ""
}

var persistClientRules = []rule{
	{"9112-9.3-http11", should, "an HTTP/1.1 connection is kept", open.says(ok, func(r *response) string {
		if r.lists("Connection", "close") {
			return "expected a connection that is kept; got " + r.String()
		}
		return whole(200, "ok")(r)
	})},
	{"9112-9.3-http11-many", should, "an HTTP/1.1 connection is kept for a hundred requests", func(x *exchange) {
		c := x.client()
		for range 100 {
			x.kept(c)
		}
	}},
	{"9112-9.3-http10", must, "an HTTP/1.0 connection without keep-alive ends behind the response", thenEnds(get10, "", anything)},
	{"9112-9.3-http10-keep-alive-client", quality, "an HTTP/1.0 connection with keep-alive is kept, and the client told so", func(x *exchange) {
		c := x.client()
		_, r := x.relay(c, keeping10)
		x.want(r.lists("Connection", "keep-alive"), "the client got %s", r)
		_, r = x.relay(c, keeping10)
		x.want(r.lists("Connection", "keep-alive"), "the client got %s", r)
	}},
	{"9112-9.3-http10-keep-alive-unknown-length", must, "an HTTP/1.0 connection on which content has no length ends with it, keep-alive or not", func(x *exchange) {
		c := x.client()
		r := scene{request: keeping10}.play(x, c, chunkedHead+"5\r\nhello\r\n0\r\n\r\n")
		x.judge(having(200, "hello", "!Transfer-Encoding"), r)
		x.rightAfter(c, r, true)
	}},
	{"9112-9.6-close", must, "a connection ends behind the response to a request with Connection: close", thenEnds(closingGet, "", anything)},
	{"9112-9.6-close-said", should, "the response to a request with Connection: close says so too", thenEnds(closingGet, "", saysClose)},
	{
		"9112-9.6-close-case", must, "close is case-insensitive",
		thenEnds("GET / HTTP/1.1\r\nHost: rfc.test\r\nConnection: CloSe\r\n\r\n", "", anything),
	},
	{
		"9112-9.6-close-in-list", must, "close may stand among other options",
		thenEnds("GET / HTTP/1.1\r\nHost: rfc.test\r\nConnection: x-hop, close , y\r\n\r\n", "", anything),
	},
	{
		"9112-9.6-close-second-line", must, "close may stand in the second line of Connection",
		thenEnds("GET / HTTP/1.1\r\nHost: rfc.test\r\nConnection: x-hop\r\nConnection: close\r\n\r\n", "", anything),
	},
	{
		"9112-9.6-close-and-keep-alive", must, "close overrides keep-alive",
		thenEnds("GET / HTTP/1.1\r\nHost: rfc.test\r\nConnection: keep-alive, close\r\n\r\n", "", anything),
	},
	{
		"9112-9.6-close-http10-keep-alive", must, "close overrides keep-alive in HTTP/1.0",
		thenEnds("GET / HTTP/1.0\r\nHost: rfc.test\r\nConnection: close, keep-alive\r\n\r\n", "", anything),
	},
	{"9112-9.6-behind-close", must, "a request behind one with Connection: close is not processed", thenEnds(closingGet, plainGet, anything)},
	{"9112-9.6-behind-http10", quality, "a request behind one of HTTP/1.0 without keep-alive is not processed", thenEnds(get10, plainGet, anything)},
	{
		"9112-9.6-close-post", must, "a connection ends behind the response to a POST with Connection: close",
		thenEnds("POST / HTTP/1.1\r\nHost: rfc.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "", anything),
	},
	{"9112-9.6-said-is-done", must, "a connection ends behind a response that says close", func(x *exchange) {
		c := x.client()
		r := closing.play(x, c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
		x.judge(hello, r)
		x.rightAfter(c, r, false)
	}},
	{
		"9112-9.3-not-found-kept", should, "a connection is kept behind an error of the origin",
		open.says("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello", whole(404, "hello")),
	},
	{
		"9112-9.3-unauthorized-kept", should, "a connection is kept behind an error of the origin that has read the content",
		scene{request: "POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 5\r\n\r\nhello"}.says(
			"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nhello", whole(401, "hello")),
	},
	{"9112-9.3-bad-gateway-kept", quality, "a connection is kept when the origin has failed", func(x *exchange) {
		c := x.client()
		r := closing.play(x, c, "")
		x.judge(bad, r)
		x.want(!r.lists("Connection", "close"), "the client got %s", r)
		x.kept(c)
	}},
}

// echo answers the next n requests, each with its target and content.
func (x *exchange) echo(n int) {
	for range n {
		o := x.origin()
		q := o.request()
		x.want(q.err == nil, "the origin got %s", q)
		text := q.target + " " + q.content
		o.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)) //nolint:errcheck // the client says it
	}
}

// inOrder makes the run of a rule in which the client sends all of these bytes at once, and gets these contents in that order.
func inOrder(bytes string, contents ...string) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		x.meanwhile(func() { x.echo(len(contents)) })
		c.send(bytes) //nolint:errcheck // the responses say it
		for _, want := range contents {
			x.judge(whole(200, want), c.response("GET"))
		}
	}
}

// A getOf is a GET of that target.
func getOf(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: rfc.test\r\n\r\n" }

// A postOf is a POST of that content.
func postOf(target, content string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: %d\r\n\r\n%s", target, len(content), content)
}

// A chunkedPostOf is a POST of that content in one chunk.
func chunkedPostOf(target, content string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: rfc.test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", target, len(content), content)
}

var pipelineRules = []rule{
	{
		"9112-9.3.2-in-order", must, "requests that come together are answered in order",
		inOrder(getOf("/1")+getOf("/2")+getOf("/3"), "/1 ", "/2 ", "/3 "),
	},
	{
		"9112-9.3.2-in-order-content", must, "requests with content that come together are answered in order",
		inOrder(postOf("/1", "one")+chunkedPostOf("/2", "two")+getOf("/3")+postOf("/4", ""), "/1 one", "/2 two", "/3 ", "/4 "),
	},
	{"9112-9.3.2-many", quality, "fifty requests that come together are answered in order", func(x *exchange) {
		var requests string
		var contents []string
		for i := range 50 {
			requests += getOf(fmt.Sprintf("/%d", i))
			contents = append(contents, fmt.Sprintf("/%d ", i))
		}
		inOrder(requests, contents...)(x)
	}},
	{
		"9112-9.3.2-content-like-request", must, "content that looks like a request is none",
		inOrder(postOf("/1", getOf("/hidden"))+getOf("/2"), "/1 "+getOf("/hidden"), "/2 "),
	},
	{"9112-9.3.2-split", must, "a request may begin with the one before it, and end later", func(x *exchange) {
		c := x.client()
		second := getOf("/2")
		c.send(getOf("/1") + second[:9]) //nolint:errcheck // the origin says it
		x.echo(1)
		x.judge(whole(200, "/1 "), c.response("GET"))
		c.send(second[9:]) //nolint:errcheck // the origin says it
		x.echo(1)
		x.judge(whole(200, "/2 "), c.response("GET"))
	}},
	{"9112-9.3.2-head-first", must, "the response to HEAD has no content, the one behind it has", func(x *exchange) {
		c := x.client()
		x.meanwhile(func() {
			o := x.origin()
			o.request()
			o.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n") //nolint:errcheck // the client says it
			x.echo(1)
		})
		c.send(plainHead + getOf("/2")) //nolint:errcheck // the responses say it
		x.judge(whole(200, ""), c.response("HEAD"))
		x.judge(whole(200, "/2 "), c.response("GET"))
	}},
	{"9112-9.3.2-failure-first", must, "a request behind one that fails is not answered in its place", func(x *exchange) {
		c := x.client()
		x.meanwhile(func() {
			o := x.origin()
			o.request()
			o.close()
		})
		c.send(postOf("/1", "one") + getOf("/2")) //nolint:errcheck // the responses say it
		r := c.response("POST")
		x.judge(bad, r)
		if r.lists("Connection", "close") {
			c.ends()
			return
		}
		x.echo(1)
		x.judge(whole(200, "/2 "), c.response("GET"))
	}},
	{"9112-8-cut-ends-pipeline", must, "behind a response that is cut no other follows", func(x *exchange) {
		c := x.client()
		c.send(getOf("/1") + getOf("/2")) //nolint:errcheck // the responses say it
		o := x.origin()
		o.request()
		o.send(cutLength) //nolint:errcheck // the client says it
		o.close()
		r := c.response("GET")
		x.judge(cut(world), r)
		if r.err != nil {
			c.ends()
		}
	}},
}
