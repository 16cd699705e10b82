package rfc

import (
	"fmt"
	"strings"
)

var persistOriginRules = []rule{
	{"9112-9.3-origin-kept", quality, "a connection with the origin is used for the next request, another client's as well", func(x *exchange) {
		x.kept(x.client())
		x.kept(x.client())
		x.want(x.connections() == 1, "the origin got %d connections", x.connections())
	}},
	{"9112-9.3-origin-kept-chunked", quality, "a connection with the origin is used again behind chunked content", func(x *exchange) {
		open.says(chunkedHead+"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", hello)(x)
		x.want(x.connections() == 1, "the origin got %d connections", x.connections())
	}},
	{
		"9112-9.6-origin-close", must, "a connection that the origin says it closes is not used again",
		open.left(lined("Connection: close\r\n"), around()),
	},
	{
		"9112-9.6-origin-close-among", must, "a connection that the origin says it closes, among other options, is not used again",
		open.left(lined("Connection: X-Hop\r\nConnection: Keep-Alive, CLOSE\r\n"), around()),
	},
	{"9112-9.3-origin-unread", must, "a connection with the origin on which a response was not read to its end is not used again", func(x *exchange) {
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the origin says it
		o := x.origin()
		o.request()
		o.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello") //nolint:errcheck // the client says it
		c.head()
		c.reset()
		_, how := o.rest()
		x.want(how != "nothing", "the connection with the origin goes on without a client")
		x.another()
	}},
	{"9112-9.3-two-clients", quality, "a client does not wait for another one's response", func(x *exchange) {
		slow, quick := x.client(), x.client()
		slow.send(getOf("/slow")) //nolint:errcheck // the origin says it
		o := x.origin()
		o.request()
		x.kept(quick)
		o.send(ok) //nolint:errcheck // the client says it
		x.judge(whole(200, "ok"), slow.response("GET"))
	}},
}

// lost makes the run of a rule in which the origin ends its connection when it has read the request, before it has answered. On a used
// connection that is what happens when an origin closes an idle one in the same moment.
func lost(used, again bool, ask string) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		if used {
			x.relay(c, plainGet)
		}
		c.send(ask) //nolint:errcheck // the origin says it
		o := x.origin()
		q := o.request()
		x.want(q.err == nil, "the origin got %s", q)
		fresh := x.connections() > 1
		o.close()
		if who := x.first(c); who == "origin" && again {
			x.pass()
			x.judge(whole(200, "ok"), c.response(q.method))
			return
		} else if who == "origin" {
			x.failf("the request was sent again: %s", x.origin().request())
		}
		if again && !fresh {
			x.failf("the request was not sent again: the client got %s", c.response(q.method))
		}
		x.judge(oneOf(bad, unanswered), c.response(q.method))
		x.nothingArrives()
	}
}

// unanswered: the connection ended without a response.
func unanswered(r *response) string {
	if r.err == nil || r.head != "" {
		return "expected no response; got " + r.String()
	}
	return ""
}

// closedIdle makes the run of a rule in which the origin closes a connection that nobody uses, before the next request.
func closedIdle(end func(o *origin), ask string) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		x.relay(c, plainGet)
		end(x.origins[0])
		x.relay(c, ask)
	}
}

const patch = "PATCH / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 5\r\n\r\nhello"

var retryRules = []rule{
	{"9112-9.3.1-idle-closed-get", quality, "an idle connection that the origin has closed costs no GET", closedIdle(fin, plainGet)},
	{"9112-9.3.1-idle-reset-get", quality, "an idle connection that the origin has reset costs no GET", closedIdle(reset, plainGet)},
	{"9112-9.3.1-idle-closed-post", quality, "an idle connection that the origin has closed costs no POST", closedIdle(fin, postOf("/", "hello"))},
	{
		"9112-9.3.1-idle-closed-chunked-post", quality, "an idle connection that the origin has closed costs no POST of unknown length",
		closedIdle(fin, chunkedPostOf("/", "hello")),
	},
	{"9110-9.2.2-closed-under-get", quality, "a used connection that ends under a GET costs it nothing", lost(true, true, plainGet)},
	{"9110-9.2.2-post", must, "a POST that got no response is not sent again", lost(false, false, postOf("/", "hello"))},
	{"9110-9.2.2-post-used", must, "a POST that got no response on a used connection is not sent again", lost(true, false, postOf("/", "hello"))},
	{"9110-9.2.2-post-no-content", must, "a POST without content that got no response is not sent again", lost(true, false, postOf("/", ""))},
	{"9110-9.2.2-patch-used", must, "a PATCH that got no response on a used connection is not sent again", lost(true, false, patch)},
	{
		"9110-9.2.2-unknown-used", must, "a request with an unknown method that got no response on a used connection is not sent again",
		lost(true, false, "BREW / HTTP/1.1\r\nHost: rfc.test\r\n\r\n"),
	},
	{"9110-9.2.2-repeat-not-repeated", should, "a GET that was sent again and failed again is not sent a third time", func(x *exchange) {
		c := x.client()
		x.relay(c, plainGet)
		c.send(plainGet) //nolint:errcheck // the origin says it
		for n := 0; x.first(c) == "origin"; n++ {
			x.want(n < 2, "the request was sent a third time")
			o := x.origin()
			o.request()
			o.close()
		}
		x.judge(oneOf(bad, unanswered), c.response("GET"))
	}},
	{"9110-9.2.2-get-after-bytes", quality, "a GET whose response has begun is not sent again", func(x *exchange) {
		c := x.client()
		x.relay(c, plainGet)
		x.judge(bad, closing.play(x, c, "HTTP/1.1 200 OK\r\nX-Par"))
		x.nothingArrives()
	}},
}

// denied is an answer that an origin gives without reading the content.
const denied = "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied"

// denies makes the run of a rule in which the origin answers with denied when it has read only the head of a POST, of which the client has
// sent only the beginning: half. What the client sends behind that, the rest, is no request, whether the connection goes on or not.
func denies(head, half, rest string, closes bool) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		c.send(head + half) //nolint:errcheck // the origin says it
		x.arrivesBefore(c, "the head was to be forwarded")
		o := x.origin()
		q := o.head()
		x.want(q.err == nil, "the origin got %s", q)
		o.send(denied) //nolint:errcheck // the client says it
		if closes {
			o.finish()
		}
		r := c.response("POST")
		x.judge(whole(403, "denied"), r)
		c.send(rest + getOf("/next")) //nolint:errcheck // it may be late
		if !closes {
			o.content(q) // or as much of it as comes
		}
		if r.lists("Connection", "close") || x.first(c) == "client" {
			c.ends()
			x.nothingArrives()
			return
		}
		x.echo(1)
		x.judge(whole(200, "/next "), c.response("GET"))
	}
}

var earlyRules = []rule{
	{
		"9112-9.5-early-response", should, "an answer that comes while the content is still being sent reaches the client at once",
		denies("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 10\r\n\r\n", "hello", "world", false),
	},
	{
		"9112-9.5-early-response-chunked", should, "an answer that comes while chunked content is still being sent reaches the client at once",
		denies("POST / HTTP/1.1\r\nHost: rfc.test\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "5\r\nworld\r\n0\r\n\r\n", false),
	},
	{
		"9112-9.5-early-response-then-end", should, "an answer of an origin that ends its connection while the content is still being sent reaches the client",
		denies("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 10\r\n\r\n", "hello", "world", true),
	},
	{
		"9112-9.3-early-response-content-no-request", must, "content that comes behind an early answer is not read as a request",
		denies("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 45\r\n\r\n", "hello", getOf("/hidden"), true),
	},
	{"9112-9.6-early-response-close-said", should, "a connection that ends behind an early answer was said to end", func(x *exchange) {
		c := x.client()
		o, _ := x.asksFirst(c, "POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 10\r\n\r\nhello")
		o.send(denied) //nolint:errcheck // the client says it
		r := c.response("POST")
		x.judge(whole(403, "denied"), r)
		c.send("world" + getOf("/next")) //nolint:errcheck // it may be late
		x.want(r.lists("Connection", "close") || x.first(c) == "origin", "the connection ended behind %s", r)
	}},
	{"9112-9.6-lingering", quality, "an early answer is not lost though the client goes on sending", func(x *exchange) {
		const large = 100_000
		c := x.client()
		c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: %d\r\n\r\nhello", 2*large)) //nolint:errcheck // the origin says it
		o := x.origin()
		o.head()
		content := strings.Repeat("0123456789", large/10)
		o.send(fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", large, content)) //nolint:errcheck // the client says it
		o.finish()
		r := c.head()
		c.send(strings.Repeat("x", 2*large-5)) //nolint:errcheck // it may be late
		c.content(r, "POST")
		x.judge(whole(403, content), r)
	}},
	{
		"9112-9.5-client-reset", should, "a client that resets the connection while it waits ends the exchange with the origin",
		leaving((*client).reset),
	},
	{
		"9112-9.5-client-close", should, "a client that closes the connection while it waits ends the exchange with the origin",
		leaving((*client).close),
	},
	{"9112-9.5-client-reset-in-content", should, "a client that resets the connection while content streams to it ends the exchange with the origin", func(x *exchange) {
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the origin says it
		o := x.origin()
		o.request()
		o.send(chunkedHead + "5\r\nhello\r\n") //nolint:errcheck // the client says it
		c.head()
		c.reset()
		_, how := o.rest()
		x.want(how != "nothing", "the connection with the origin goes on without a client")
	}},
	{"9112-9.6-half-closed", quality, "a client that sends FIN behind its request gets its response", func(x *exchange) {
		for range 10 {
			c := x.client()
			c.send(plainGet) //nolint:errcheck // the origin says it
			c.finish()
			x.arrivesBefore(c, "the request was to be forwarded")
			x.pass()
			x.judge(whole(200, "ok"), c.response("GET"))
		}
	}},
}

// leaving makes the run of a rule in which the client leaves while it waits for a response.
func leaving(leave func(c *client)) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the origin says it
		o := x.origin()
		o.request()
		leave(c)
		_, how := o.rest()
		x.want(how != "nothing", "the connection with the origin goes on without a client")
	}
}
