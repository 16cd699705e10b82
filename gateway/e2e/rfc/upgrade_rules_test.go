package rfc

import "strings"

// At a switching site a connection may change to websocket. What goes over it then is any bytes here: a proxy does not read them.
const (
	asksUpgrade = "GET / HTTP/1.1\r\nHost: rfc.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	switches    = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

// switched has a client and the origin agree on websocket, with bytes that each side sends together with its head.
func (x *exchange) switched(c *client, more, answer string) *origin {
	c.send(asksUpgrade + more) //nolint:errcheck // the origin says it
	x.arrivesBefore(c, "the handshake was to be forwarded")
	o := x.origin()
	q := o.head()
	x.want(q.err == nil && q.lists("Upgrade", "websocket") && q.lists("Connection", "Upgrade"), "the origin got %s", q)
	o.send(switches + answer) //nolint:errcheck // the client says it
	r := c.response("GET")
	x.want(r.err == nil && r.status == 101, "the client got %s", r)
	x.want(r.lists("Upgrade", "websocket") && r.lists("Connection", "Upgrade") && r.has("Sec-WebSocket-Accept"), "the client got %s", r)
	return o
}

// refusedUpgrade makes the run of a rule in which the origin answers the handshake otherwise: the connection goes on as HTTP/1.1.
func refusedUpgrade(answer string, v verdict) func(x *exchange) {
	return scene{request: asksUpgrade}.says(answer, v)
}

var upgradeRules = []rule{
	{"9110-7.8-switch", quality, "a connection that was agreed to change carries bytes both ways", func(x *exchange) {
		c := x.client()
		o := x.switched(c, "", "")
		for range 3 {
			c.send("\x81\x85mask?") //nolint:errcheck // the origin says it
			x.equal("what the origin gets", o.take(7), "\x81\x85mask?")
			o.send("\x81\x02ok") //nolint:errcheck // the client says it
			x.equal("what the client gets", c.take(4), "\x81\x02ok")
		}
	}},
	{"9110-7.8-switch-with-head", quality, "bytes that the origin sends together with its 101 are passed on", func(x *exchange) {
		c := x.client()
		o := x.switched(c, "", "\x81\x02hi")
		x.equal("what the client gets", c.take(4), "\x81\x02hi")
		c.send("\x81\x02ho") //nolint:errcheck // the origin says it
		x.equal("what the origin gets", o.take(4), "\x81\x02ho")
	}},
	{"9110-7.8-switch-before", quality, "bytes that the client sends together with its request are passed on behind the 101", func(x *exchange) {
		c := x.client()
		o := x.switched(c, "\x81\x02ho", "")
		x.equal("what the origin gets", o.take(4), "\x81\x02ho")
	}},
	{"9110-7.8-origin-ends", quality, "an origin that ends a changed connection ends the client's, behind what it has sent", func(x *exchange) {
		c := x.client()
		o := x.switched(c, "", "")
		o.send("goodbye") //nolint:errcheck // the client says it
		o.close()
		s, how := c.rest()
		x.want(s == "goodbye" && how != "nothing", "the client got %q, then %s", s, how)
	}},
	{"9110-7.8-client-ends", quality, "a client that ends a changed connection ends the origin's, behind what it has sent", func(x *exchange) {
		c := x.client()
		o := x.switched(c, "", "")
		c.send("goodbye") //nolint:errcheck // the origin says it
		c.close()
		s, how := o.rest()
		x.want(s == "goodbye" && how != "nothing", "the origin got %q, then %s", s, how)
	}},
	{"9110-7.8-half-closed", quality, "a changed connection may be ended one way first", func(x *exchange) {
		c := x.client()
		o := x.switched(c, "", "")
		c.send("that is all") //nolint:errcheck // the origin says it
		c.finish()
		s, how := o.rest()
		x.want(s == "that is all" && how == "FIN", "the origin got %q, then %s", s, how)
		o.send("understood") //nolint:errcheck // the client says it
		o.close()
		s, how = c.rest()
		x.want(s == "understood" && how == "FIN", "the client got %q, then %s", s, how)
	}},
	{"9110-7.8-no-http-behind", quality, "what looks like HTTP on a changed connection is passed on as it is", func(x *exchange) {
		c := x.client()
		o := x.switched(c, "", "")
		request := getOf("/hidden")
		c.send(request) //nolint:errcheck // the origin says it
		x.equal("what the origin gets", o.take(len(request)), request)
		o.send(ok) //nolint:errcheck // the client says it
		x.equal("what the client gets", c.take(len(ok)), ok)
	}},
	{
		"9110-7.8-other-protocol", must, "a 101 to a protocol that was not asked for does not reach the client",
		scene{request: asksUpgrade}.left(strings.Replace(switches, "websocket", "odd", 1), bad),
	},
	{
		"9110-7.8-no-protocol", must, "a 101 that names no protocol does not reach the client",
		scene{request: asksUpgrade}.left("HTTP/1.1 101 Switching Protocols\r\n\r\n", bad),
	},
	{
		"9110-7.8-refused-200", must, "a 200 in the place of a 101 is an answer like any other",
		refusedUpgrade(ok, whole(200, "ok")),
	},
	{
		"9110-7.8-refused-403", must, "a 403 in the place of a 101 is an answer like any other",
		refusedUpgrade(denied, whole(403, "denied")),
	},
	{
		"9110-7.8-refused-426", must, "a 426 in the place of a 101 is an answer like any other",
		refusedUpgrade("HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: odd\r\nContent-Length: 5\r\n\r\nhello", whole(426, "hello")),
	},
	{
		"9110-7.8-http10", must, "Upgrade of an HTTP/1.0 client is ignored",
		on(strings.Replace(asksUpgrade, "HTTP/1.1", "HTTP/1.0", 1), passed(sees("!Upgrade"))),
	},
	{
		"9110-7.6.1-upgrade-not-listed", should, "Upgrade that Connection does not list asks for nothing",
		on(strings.Replace(asksUpgrade, "Connection: Upgrade\r\n", "", 1), passedAndKept(sees("!Upgrade"))),
	},
	{
		"9110-7.8-not-offered", quality, "a protocol that the proxy does not take part in is not offered to the origin",
		on("GET / HTTP/1.1\r\nHost: rfc.test\r\nConnection: Upgrade\r\nUpgrade: odd/1\r\n\r\n", passedAndKept(sees("!Upgrade"))),
	},
	{"9110-7.8-case", should, "the names of protocols are case-insensitive", func(x *exchange) {
		c := x.client()
		c.send(strings.Replace(asksUpgrade, "websocket", "WebSocket", 1)) //nolint:errcheck // the origin says it
		o := x.origin()
		q := o.head()
		x.want(q.err == nil && q.lists("Upgrade", "websocket"), "the origin got %s", q)
		o.send(switches) //nolint:errcheck // the client says it
		r := c.response("GET")
		x.want(r.err == nil && r.status == 101, "the client got %s", r)
	}},
	{"9110-7.8-no-request-over-it", must, "the origin's connection carries no other request once it has changed", func(x *exchange) {
		c := x.client()
		o := x.switched(c, "", "")
		o.finish()
		c.close()
		o.rest()
		x.another()
	}},
}
