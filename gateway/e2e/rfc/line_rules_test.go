package rfc

import (
	"fmt"
	"strings"
)

// The request line (9112 3): method, target, version, and what stands before it.
var lineRules = []rule{
	// method
	{"9110-9.1-method-case", must, "methods have case: get is not GET", on(ask("get /x HTTP/1.1"), either(passedAndKept(method("get")), refusedOrTurnedAway()))},
	{"9110-9.1-method-unknown", quality, "a method that nobody knows is passed on", on(ask("BREW /x HTTP/1.1"), passedAndKept(method("BREW")))},
	{"9110-5.6.2-method-token", must, "every character of a token may stand in a method: it is passed on as it is, or refused", on(ask("M!#$%&'*+-.^_`|~1 /x HTTP/1.1"), either(passedAndKept(method("M!#$%&'*+-.^_`|~1")), refused()))},
	{"9112-3-method-missing", should, "a line without a method is refused with 400", on(ask(" /x HTTP/1.1"), refused(400))},
	{"9112-3-method-parenthesis", should, "a parenthesis in a method is refused with 400", on(ask("GE(T /x HTTP/1.1"), refused(400))},
	{"9112-3-method-colon", should, "a colon in a method is refused with 400", on(ask("GET: /x HTTP/1.1"), refused(400))},
	{"9112-3-method-nul", should, "a NUL in a method is refused with 400", on(ask("GE\x00T /x HTTP/1.1"), refused(400))},
	{"9112-3-method-high-byte", should, "a byte beyond ASCII in a method is refused with 400", on(ask("G\xc9T /x HTTP/1.1"), refused(400))},
	{"9110-9.3.6-connect-no-port", must, "CONNECT without a port is refused", on(ask("CONNECT rfc.test HTTP/1.1"), refused())},
	{"9110-9.3.6-connect-empty-port", must, "CONNECT with an empty port is refused", on(ask("CONNECT rfc.test: HTTP/1.1"), refused())},
	{"9110-9.3.6-connect-bad-port", must, "CONNECT with a port that is no number is refused", on(ask("CONNECT rfc.test:x HTTP/1.1"), refused())},
	{"9110-9.3.6-connect-path", must, "CONNECT with a path is refused", on(ask("CONNECT /x HTTP/1.1"), refused())},
	{"9110-9.3.6-connect", quality, "a gateway offers no tunnels: CONNECT is refused, and not forwarded as something else", on(ask("CONNECT rfc.test:443 HTTP/1.1"), refusedOrTurnedAway())},

	// target
	{"9112-3.2-target-missing", should, "a line without a target is refused with 400", on(ask("GET HTTP/1.1"), refused(400))},
	{"9112-3.2-target-empty", should, "an empty target is refused with 400", on(ask("GET  HTTP/1.1"), refused(400))},
	{"9112-3.2-target-no-slash", should, "a target without a slash is refused with 400", on(ask("GET x HTTP/1.1"), refusedOrTurnedAway(400))},
	{"9112-3.2-target-space", should, "a space in a target is refused with 400", on(ask("GET /x y HTTP/1.1"), refused(400))},
	{"9112-3.2-target-tab", should, "a tab in a target is refused with 400", on(ask("GET /x\ty HTTP/1.1"), refused(400))},
	{"9112-3.2-target-nul", should, "a NUL in a target is refused with 400", on(ask("GET /x\x00y HTTP/1.1"), refused(400))},
	{"9112-3.2-target-control", should, "a control character in a target is refused with 400", on(ask("GET /x\x01y HTTP/1.1"), refused(400))},
	{"9112-3.2-target-delete", should, "a DEL in a target is refused with 400", on(ask("GET /x\x7fy HTTP/1.1"), refused(400))},
	{"9112-2.2-target-bare-cr", must, "a bare CR in a target is refused", on(ask("GET /x\ry HTTP/1.1"), refused())},
	{"9112-3.2-target-fragment", should, "a fragment is no part of a target: refused with 400", on(ask("GET /x#y HTTP/1.1"), refusedOrTurnedAway(400))},
	{"9112-3.2-target-version-within", should, "a target with HTTP/1.1 in it and another behind it is refused with 400", on(ask("GET /x HTTP/1.1 HTTP/1.1"), refused(400))},
	{"9112-3.2.4-star-for-get", should, "* is for OPTIONS only: refused with 400", on(ask("GET * HTTP/1.1"), refusedOrTurnedAway(400))},
	{"9112-3.2.3-authority-for-get", should, "the authority form is for CONNECT only: refused with 400", on(ask("GET rfc.test:80 HTTP/1.1"), refusedOrTurnedAway(400))},
	{"9110-4.2.1-absolute-no-host", must, "http:// without a host is refused", on(ask("GET http:///x HTTP/1.1"), refusedOrTurnedAway())},
	{"9110-4.2.4-absolute-userinfo", should, "a user in the target is refused", on(ask("GET http://user@rfc.test/x HTTP/1.1"), refusedOrTurnedAway())},
	{"9110-7.4-absolute-other-scheme", quality, "a target of another scheme is refused", on(ask("GET ftp://rfc.test/x HTTP/1.1"), refusedOrTurnedAway())},
	{"9112-3.2.2-absolute-bad-port", should, "a port that is no number in the target is refused", on(ask("GET http://rfc.test:x/x HTTP/1.1"), refusedOrTurnedAway())},

	// version
	{"9110-2.5-minor-above", should, "HTTP/1.2 is taken as HTTP/1.1", on(ask("GET /x HTTP/1.2"), passedAndKept(version("HTTP/1.1")))},
	{"9112-2.3-version-own", must, "what is forwarded of HTTP/1.0 has the proxy's own version", on("GET /x HTTP/1.0\r\nHost: rfc.test\r\n\r\n", passed(version("HTTP/1.1")))},
	{"9110-2.5-major-above", must, "HTTP/2.0 in HTTP/1.1 syntax is not passed on as it is", on(ask("GET /x HTTP/2.0"), either(passed(version("HTTP/1.1")), refused(400, 505)))},
	{"9110-15.6.6-major-above-505", quality, "another major version is refused with 505", on(ask("GET /x HTTP/2.0"), refused(505))},
	{"9110-15.6.6-major-zero", quality, "HTTP/0.9 with a version is refused", on(ask("GET /x HTTP/0.9"), refused(400, 505))},
	{"9112-2.3-request-version-case", must, "the version has case: http/1.1 is none", on(ask("GET /x http/1.1"), refused(400, 505))},
	{"9112-2.3-version-name", should, "another protocol's name is refused with 400", on(ask("GET /x HTTPS/1.1"), refused(400, 505))},
	{"9112-2.3-version-no-minor", should, "a version without a minor one is refused with 400", on(ask("GET /x HTTP/1"), refused(400, 505))},
	{"9112-2.3-version-two-digits", should, "a version of two digits is refused with 400", on(ask("GET /x HTTP/1.10"), refused(400, 505))},
	{"9112-2.3-version-leading-zero", should, "a version with a leading zero is refused with 400", on(ask("GET /x HTTP/01.1"), refused(400, 505))},
	{"9112-2.3-version-three-parts", should, "a version of three parts is refused with 400", on(ask("GET /x HTTP/1.1.1"), refused(400, 505))},
	{"9112-2.3-version-comma", should, "a version with a comma is refused with 400", on(ask("GET /x HTTP/1,1"), refused(400, 505))},
	{"9112-2.3-version-space", should, "a version with a space is refused with 400", on(ask("GET /x HTTP/ 1.1"), refused(400, 505))},
	{"9112-2.3-version-junk", should, "junk behind the version is refused with 400", on(ask("GET /x HTTP/1.1x"), refused(400, 505))},
	{"9112-2.3-version-missing", quality, "a line without a version (HTTP/0.9) is refused", on("GET /x\r\n\r\n", dropped)},

	// white space
	{"9112-3-two-spaces", must, "two spaces are refused, or read as one", on(ask("GET  /x HTTP/1.1"), either(passed(target("/x")), refused(400)))},
	{"9112-3-two-spaces-before-version", must, "two spaces before the version are refused, or read as one", on(ask("GET /x  HTTP/1.1"), either(passed(target("/x")), refused(400)))},
	{"9112-3-trailing-space", must, "a space behind the version is refused, or read over", on(ask("GET /x HTTP/1.1 "), either(passed(target("/x")), refused(400, 505)))},
	{"9112-3-tabs", must, "tabs for spaces are refused, or read as spaces", on(ask("GET\t/x\tHTTP/1.1"), either(passed(target("/x")), refused(400)))},
	{"9112-3-leading-space", must, "a space before the method is refused, or read over", on(ask(" GET /x HTTP/1.1"), either(passed(target("/x")), refused(400)))},
	{"9112-3-strict", quality, "white space beyond the grammar is refused", on(ask("GET  /x HTTP/1.1"), refused(400))},
	{"9112-2.2-leading-crlf", should, "an empty line before the request is ignored", on("\r\n"+ask("GET /x HTTP/1.1"), passedAndKept(target("/x")))},
	{"9112-2.2-leading-crlf-twice", quality, "two empty lines before the request are ignored", on("\r\n\r\n"+ask("GET /x HTTP/1.1"), passedAndKept(target("/x")))},
	{"9112-2.2-crlf-between", should, "an empty line that an old client sends behind content is ignored", func(x *exchange) {
		c := x.client()
		x.relay(c, post+"Content-Length: 5\r\n\r\nhello")
		q, _ := x.relay(c, "\r\n"+ask("GET /next HTTP/1.1"))
		x.equal("the next target", q.target, "/next")
	}},
	{"9112-2.2-leading-crlf-no-end", quality, "a client cannot send empty lines for ever", on(strings.Repeat("\r\n", 64<<10), dropped)},

	// limits
	{"9112-3-line-8000", should, "a request line of 8000 bytes is taken", on(ask("GET /"+strings.Repeat("x", 8000-len("GET / HTTP/1.1"))+" HTTP/1.1"), passedAndKept(nil))},
	{"9112-3-target-too-long", must, "a target longer than the limit is refused with 414", on(ask("GET /"+strings.Repeat("x", 1<<20)+" HTTP/1.1"), refused(414))},
	{"9112-3-target-a-little-too-long", must, "the same when it is not much longer", on(ask("GET /"+strings.Repeat("x", 70<<10)+" HTTP/1.1"), refused(414))},
	{"9110-5.4-field-too-large", must, "a field larger than the limit is refused with a status from 400 to 499", on(get+"X-A: "+strings.Repeat("b", 1<<20)+"\r\n\r\n", refusedByClass4)},
	{"9110-5.4-fields-too-many", must, "more fields than the limit are refused with a status from 400 to 499", on(get+manyFields(20000)+"\r\n", refusedByClass4)},
	{"6585-5-field-too-large", quality, "a field larger than the limit is refused with 431", on(get+"X-A: "+strings.Repeat("b", 70<<10)+"\r\n\r\n", refused(431))},
	{"6585-5-fields-too-many", quality, "fields larger than the limit together are refused with 431", on(get+manyFields(7000)+"\r\n", refused(431))},
	{"6585-5-name-too-long", quality, "a name longer than the limit is refused with 431", on(get+strings.Repeat("X", 70<<10)+": b\r\n\r\n", refused(431))},
	{"9110-5.4-hundred-fields", quality, "a hundred fields of forty bytes are taken", on(get+manyFields(100)+"\r\n", passedAndKept(nil))},
	{"9110-5.4-field-4000", quality, "a field of 4000 bytes is taken", on(get+"Cookie: a="+strings.Repeat("b", 4000)+"\r\n\r\n", passedAndKept(nil))},
}

// Limits of a request's content, at the narrow site.
var sizeRules = []rule{
	{"9110-15.5.14-length-at-limit", must, "content of exactly the limit is taken", on(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, maxContent, strings.Repeat("a", maxContent)), passedAndKept(content(strings.Repeat("a", maxContent))))},
	{"9110-15.5.14-length-beyond", quality, "a length beyond the limit is refused with 413 before any content is sent", on(post+"Content-Length: 1025\r\n\r\n", func(x *exchange, c *client) {
		x.refusal(c, 413)
		x.nothingArrives()
	})},
	{"9112-9.3-length-beyond-settled", must, "content that is refused is read to its end or the connection ends: it is never taken for a request", on(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, 60*len(other), strings.Repeat(other, 60)), func(x *exchange, c *client) {
		either(passed(nil), func(x *exchange, c *client) { x.refusal(c) })(x, c) // not every proxy can be set up to refuse it
		x.endsOrKept(c)
	})},
	{"9110-15.5.14-length-huge", quality, "a length of exabytes is refused with 413, and nobody waits for it", on(post+"Content-Length: 9223372036854775807\r\n\r\n", refused(413))},
	{"9110-15.5.14-chunked-at-limit", must, "chunked content of exactly the limit is taken", on(chunked+"400\r\n"+strings.Repeat("a", maxContent)+"\r\n"+last, passedAndKept(content(strings.Repeat("a", maxContent))))},
	{"9110-15.5.14-chunked-beyond", quality, "chunked content that grows beyond the limit is not passed on as whole", on(chunked+strings.Repeat("200\r\n"+strings.Repeat("a", 512)+"\r\n", 20)+last, broken)},
	{"9110-15.5.14-chunk-beyond", quality, "a chunk larger than the limit is not passed on as whole", on(chunked+"10000\r\n"+strings.Repeat("a", 0x10000)+"\r\n"+last, broken)},
}

func ask(l string) string { return l + "\r\nHost: rfc.test\r\n\r\n" }

func method(want string) func(x *exchange, q *request) {
	return func(x *exchange, q *request) { x.equal("method at the origin", q.method, want) }
}

func target(want string) func(x *exchange, q *request) {
	return func(x *exchange, q *request) { x.equal("target at the origin", q.target, want) }
}

func version(want string) func(x *exchange, q *request) {
	return func(x *exchange, q *request) { x.equal("version at the origin", q.version, want) }
}

// manyFields is that many fields of about forty bytes.
func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X-Field-%05d: %s\r\n", i, strings.Repeat("b", 20))
	}
	return b.String()
}

// refusedByClass4 is refused with any status from 400 to 499.
func refusedByClass4(x *exchange, c *client) {
	x.heardFirst(c)
	r := c.response("GET")
	x.want(r.err == nil && r.status/100 == 4, "expected a status from 400 to 499; got %s", r)
	c.ends()
	x.nothingArrives()
}
