package rfc

import "strings"

// The lines of a head (9112 2.2, 5) and the Host field (9112 3.2).
var syntaxRules = []rule{
	{"9112-5.2-request-fold", must, "a folded field is refused with 400, or comes out in one line", on(get+"X-A: b\r\n c\r\n\r\n", either(passed(oneLine), refused(400)))},
	{"9112-5.2-request-fold-tab", must, "the same when a tab folds it", on(get+"X-A: b\r\n\tc\r\n\r\n", either(passed(oneLine), refused(400)))},
	{"9112-5.2-request-fold-empty", must, "a folded line of white space only is refused with 400, or taken away", on(get+"X-A: b\r\n \r\n\r\n", either(passed(nil), refused(400)))},
	{"9112-5.2-request-fold-host", must, "a folded Host is refused with 400, or oneLine", on("GET /x HTTP/1.1\r\nHost:\r\n rfc.test\r\n\r\n", either(passed(nil), refused(400)))},
	{"9112-5.2-request-fold-coding", must, "a folded Transfer-Encoding is refused with 400, or frames the content", on(post+"Transfer-Encoding:\r\n chunked\r\n\r\n5\r\nhello\r\n"+last, either(passedAndKept(content("hello")), refused(400)))},
	{"9112-5.2-request-fold-length", must, "a folded Content-Length is refused with 400, or frames the content", on(post+"Content-Length:\r\n 5\r\n\r\nhello", either(passedAndKept(content("hello")), refused(400)))},
	{"9112-2.2-space-before-fields", must, "white space before the first field is refused, or its line left out", on("GET /x HTTP/1.1\r\n X-A: b\r\nHost: rfc.test\r\n\r\n", either(passed(without("X-A")), refused(400)))},
	{"9112-2.2-space-before-host", must, "the same when the line looks like Host: it must not count", on("GET /x HTTP/1.1\r\n Host: evil.test\r\nHost: rfc.test\r\n\r\n", either(passed(notEvil), refused(400)))},
	{"9112-5.1-request-space-before-colon", must, "a space before the colon is refused with 400", on(get+"X-A : b\r\n\r\n", refused(400))},
	{"9112-5.1-request-tab-before-colon", must, "a tab before the colon is refused with 400", on(get+"X-A\t: b\r\n\r\n", refused(400))},
	{"9112-5.1-request-space-before-colon-host", must, "a space before the colon of Host is refused with 400", on("GET /x HTTP/1.1\r\nHost : rfc.test\r\n\r\n", refused(400))},
	{"9112-5.1-request-space-before-colon-length", must, "a space before the colon of Content-Length is refused with 400", on(post+"Content-Length : 5\r\n\r\nhello", refused(400))},
	{"9112-5.1-request-space-before-colon-coding", must, "a space before the colon of Transfer-Encoding is refused with 400", on(post+"Transfer-Encoding : chunked\r\n\r\n"+last, refused(400))},
	{"9112-5.1-request-space-before-colon-known-length", must, "the same beside a valid Content-Length", on(post+"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n"+last, refused(400))},
	{"9112-2.2-no-colon", should, "a line without a colon is refused with 400", on(get+"nonsense\r\n\r\n", refused(400))},
	{"9112-2.2-empty-name", should, "an empty name is refused with 400", on(get+": b\r\n\r\n", refused(400))},
	{"9112-2.2-name-space", should, "a space in a name is refused with 400", on(get+"X A: b\r\n\r\n", refused(400))},
	{"9112-2.2-name-nul", should, "a NUL in a name is refused with 400", on(get+"X\x00A: b\r\n\r\n", refused(400))},
	{"9112-2.2-name-control", should, "a control character in a name is refused with 400", on(get+"X\x01A: b\r\n\r\n", refused(400))},
	{"9112-2.2-name-delete", should, "a DEL in a name is refused with 400", on(get+"X\x7fA: b\r\n\r\n", refused(400))},
	{"9112-2.2-name-high-byte", should, "a byte beyond ASCII in a name is refused with 400", on(get+"X\xe9A: b\r\n\r\n", refused(400))},
	{"9112-2.2-name-parenthesis", should, "a parenthesis in a name is refused with 400", on(get+"X(A): b\r\n\r\n", refused(400))},
	{"9112-2.2-name-slash", should, "a slash in a name is refused with 400", on(get+"X/A: b\r\n\r\n", refused(400))},
	{"9112-2.2-name-quote", should, "a quote in a name is refused with 400", on(get+"\"X-A\": b\r\n\r\n", refused(400))},
	{"9112-2.2-name-bare-cr", must, "a bare CR in a name is refused", on(get+"X\rA: b\r\n\r\n", refused())},
	{"9112-2.2-name-vertical-tab", should, "a vertical tab before a name is refused with 400", on(post+"\x0bTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", refused(400))},
	{"9110-5.5-value-nul", must, "a NUL in a value is refused, or becomes a space", on(get+"X-A: b\x00c\r\n\r\n", either(passed(value("X-A", "b c")), refused(400)))},
	{"9110-5.5-value-bare-cr", must, "a bare CR in a value is refused, or becomes a space", on(get+"X-A: b\rc\r\n\r\n", either(passed(value("X-A", "b c")), refused(400)))},
	{"9110-5.5-value-bare-cr-colon", must, "the same when a field seems to follow it", on(get+"X-A: b\rX-Evil: c\r\n\r\n", either(passed(without("X-Evil")), refused(400)))},
	{"9110-5.5-value-cr-before-crlf", must, "a CR before the CRLF of a value is refused, or becomes white space", on(get+"X-A: b\r\r\n\r\n", either(passed(value("X-A", "b")), refused(400)))},
	{"9110-5.5-value-control", quality, "a control character in a value is refused", on(get+"X-A: b\x01c\r\n\r\n", refused(400))},
	{"9110-5.5-value-delete", quality, "a DEL in a value is refused", on(get+"X-A: b\x7fc\r\n\r\n", refused(400))},
	{"9110-5.5-value-escape", quality, "an ESC in a value is refused", on(get+"X-A: b\x1b[2Jc\r\n\r\n", refused(400))},
	{"9112-2.2-bare-lf-lines", must, "lines that end in a bare LF are refused, or taken as lines", on("GET /x HTTP/1.1\nHost: rfc.test\nX-A: b\n\n", either(passedAndKept(value("X-A", "b")), refused(400)))},
	{"9112-2.2-bare-lf-one-line", must, "one such line among others likewise", on(get+"X-A: b\nX-B: c\r\n\r\n", either(passedAndKept(func(x *exchange, q *request) {
		x.equal("X-A", q.field("X-A"), "b")
		x.equal("X-B", q.field("X-B"), "c")
	}), refused(400)))},
	{"9112-2.2-bare-lf-end", must, "a head that ends in a bare LF is refused, or ends there", on(get+"X-A: b\r\n\n", either(passedAndKept(value("X-A", "b")), refused(400)))},
	{"9112-2.2-bare-lf-refused", quality, "bare LF as a line's end is refused", on("GET /x HTTP/1.1\nHost: rfc.test\n\n", refused(400))},
	{"9112-2.2-no-http", should, "what is no HTTP is refused with 400", on("SSH-2.0-OpenSSH_9.2\r\n\r\n", refused(400))},
	{"9112-2.2-binary", should, "binary bytes are refused with 400", on("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", dropped)},

	{"9112-3.2-host-missing", must, "a request of HTTP/1.1 without Host is refused with 400", on("GET /x HTTP/1.1\r\n\r\n", refusedOrTurnedAway(400))},
	{"9112-3.2-host-missing-absolute", must, "the same in the absolute form", on("GET http://rfc.test/x HTTP/1.1\r\n\r\n", refusedOrTurnedAway(400))},
	{"9112-3.2-host-twice", must, "two different Hosts are refused with 400", on(get+"Host: other.test\r\n\r\n", refusedOrTurnedAway(400))},
	{"9112-3.2-host-twice-same", must, "two equal Hosts are refused with 400", on(get+"Host: rfc.test\r\n\r\n", refusedOrTurnedAway(400))},
	{"9112-3.2-host-twice-case", must, "two Hosts under names of other case are refused with 400", on(get+"hOST: other.test\r\n\r\n", refusedOrTurnedAway(400))},
	{"9112-3.2-host-twice-http10", must, "two Hosts in HTTP/1.0 are refused with 400", on("GET /x HTTP/1.0\r\nHost: rfc.test\r\nHost: other.test\r\n\r\n", refused(400))},
	{"9112-3.2-host-space", must, "a space in Host is refused with 400", on(host("a b"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-list", must, "two names in one Host are refused with 400", on(host("rfc.test, other.test"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-path", must, "a path in Host is refused with 400", on(host("rfc.test/x"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-query", must, "a query in Host is refused with 400", on(host("rfc.test?x"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-fragment", must, "a fragment in Host is refused with 400", on(host("rfc.test#x"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-userinfo", must, "a user in Host is refused with 400", on(host("user@rfc.test"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-password", must, "a user and a password in Host are refused with 400", on(host("user:pw@rfc.test"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-scheme", must, "a scheme in Host is refused with 400", on(host("http://rfc.test"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-port-word", must, "a port that is no number is refused with 400", on(host("rfc.test:http"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-port-sign", must, "a port with a sign is refused with 400", on(host("rfc.test:+80"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-two-ports", must, "two ports are refused with 400", on(host("rfc.test:80:80"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-backslash", must, "a backslash in Host is refused with 400", on(host("rfc\\test"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-angle", must, "an angle bracket in Host is refused with 400", on(host("<rfc.test>"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-high-byte", must, "a byte beyond ASCII in Host is refused with 400", on(host("rfc\xe9.test"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-bracket-open", must, "a bracket that is not closed is refused with 400", on(host("[::1"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-bracket-junk", must, "junk behind a bracketed address is refused with 400", on(host("[::1]x"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-bracket-name", must, "a name in brackets is refused with 400", on(host("[rfc.test]"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-bad-escape", must, "a percent sign without two digits in Host is refused with 400", on(host("rfc%zz.test"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-control", must, "a control character in Host is refused with 400", on(host("rfc\x01.test"), refusedOrTurnedAway(400))},
	{"9112-3.2-host-empty", must, "an empty Host is refused with 400, or taken for a default: it breaks nothing", on("GET /x HTTP/1.1\r\nHost:\r\n\r\n", either(passed(nil), refusedOrTurnedAway(400)))},
	{"9112-3.2-host-port", must, "a port is part of Host", on(host("rfc.test:8080"), passedAndKept(nil))},
	{"9112-3.2-host-empty-port", must, "an empty port is valid", on(host("rfc.test:"), passedAndKept(nil))},
	{"9112-3.2-host-address", must, "an IPv4 address is valid", on(host("127.0.0.1"), passedAndKept(nil))},
	{"9112-3.2-host-address-6", must, "an IPv6 address in brackets is valid", on(host("[::1]:80"), passedAndKept(nil))},
	{"9112-3.2-host-underscore", must, "an underscore is valid in a registered name", on(host("a_b.rfc.test"), passedAndKept(nil))},
	{"3986-3.2.2-host-escaped", quality, "a percent-encoded host is valid", on(host("rfc%2Etest"), passedAndKept(nil))},
	{"9112-3.2-host-last", must, "Host need not be the first field", on("GET /x HTTP/1.1\r\nX-A: b\r\nHost: rfc.test\r\n\r\n", passedAndKept(nil))},
	{"9112-5.1-host-spaces", must, "white space around Host is no part of it", on("GET /x HTTP/1.1\r\nHost:\t  rfc.test \t\r\n\r\n", passedAndKept(nil))},
	{"9112-3.2-host-none-in-http10", must, "a request of HTTP/1.0 needs no Host; what is forwarded has one", on("GET /x HTTP/1.0\r\n\r\n", passed(func(x *exchange, q *request) {
		x.want(len(q.values("Host")) == 1, "the origin got %s", q)
	}))},
}

func host(value string) string { return "GET /x HTTP/1.1\r\nHost: " + value + "\r\n\r\n" }

// refusedOrTurnedAway: the client gets one of these statuses and the origin hears nothing. The connection ends, or is good for another
// request.
func refusedOrTurnedAway(statuses ...int) expectation {
	return func(x *exchange, c *client) {
		x.refusal(c, statuses...)
		x.nothingArrives()
		x.endsOrKept(c)
	}
}

// endsOrKept: the connection ends, or is good for another request.
func (x *exchange) endsOrKept(c *client) {
	c.send("GET /next HTTP/1.1\r\nHost: next.test\r\n\r\n") //nolint:errcheck // what becomes of it says it
	if x.first(c) == "client" {
		c.ends()
		x.nothingArrives()
		return
	}
	q := x.pass()
	x.equal("the next target", q.target, "/next")
	r := c.response("GET")
	x.want(r.err == nil && r.status == 200, "the next response: %s", r)
}

// oneLine wants the value of X-A in one line.
func oneLine(x *exchange, q *request) {
	x.equal("X-A", strings.Join(strings.Fields(q.field("X-A")), " "), "b c")
}

// value wants a field to have that value.
func value(name, want string) func(x *exchange, q *request) {
	return func(x *exchange, q *request) { x.equal(name, q.field(name), want) }
}

// without wants no field of that name.
func without(name string) func(x *exchange, q *request) {
	return func(x *exchange, q *request) { x.want(!q.has(name), "the origin got %s", q) }
}

func notEvil(x *exchange, q *request) {
	x.want(!strings.Contains(q.head, "evil"), "the origin got %s", q)
}
