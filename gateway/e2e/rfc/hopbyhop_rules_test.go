package rfc

import (
	"slices"
	"strings"
)

// What is meant for one connection, and what a proxy says of itself to the next one.
var hopByHopRules = slices.Concat(hopRequestRules, hopResponseRules, viaRules, maxForwardsRules)

// asked makes the run of a rule about the fields of a GET as they reach the origin, in the words of message.lacks.
func asked(fields string, want ...string) func(x *exchange) {
	return on("GET / HTTP/1.1\r\nHost: rfc.test\r\n"+fields+"\r\n", passedAndKept(sees(want...)))
}

// sees wants the request to have these fields, in the words of message.lacks.
func sees(want ...string) func(x *exchange, q *request) {
	return func(x *exchange, q *request) {
		if wrong := q.lacks(want...); wrong != "" {
			x.failf("%s", wrong)
		}
	}
}

var hopRequestRules = []rule{
	{
		"9110-7.6.1-request-listed", must, "a request field that Connection lists is not passed on",
		asked("Connection: X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\n", "!X-Hop", "X-End: 2"),
	},
	{
		"9110-7.6.1-request-listed-before", must, "a request field that Connection lists further below is not passed on",
		asked("X-Hop: 1\r\nX-End: 2\r\nConnection: X-Hop\r\n", "!X-Hop", "X-End: 2"),
	},
	{
		"9110-7.6.1-request-listed-several", must, "none of several request fields that Connection lists is passed on",
		asked("Connection: X-One, X-Two\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\n", "!X-One", "!X-Two", "X-Three: 3"),
	},
	{
		"9110-7.6.1-request-listed-lines", must, "all lines of Connection count",
		asked("Connection: X-One\r\nX-One: 1\r\nConnection: X-Two\r\nX-Two: 2\r\n", "!X-One", "!X-Two"),
	},
	{
		"9110-7.6.1-request-listed-case", must, "the options of Connection are case-insensitive",
		asked("Connection: x-hOP\r\nX-Hop: 1\r\n", "!X-Hop"),
	},
	{
		"9110-7.6.1-request-listed-every-line", must, "each line of a request field that Connection lists is dropped",
		asked("X-Hop: 1\r\nConnection: X-Hop\r\nX-Hop: 2\r\n", "!X-Hop"),
	},
	{
		"9110-5.6.1.2-request-listed-empty-elements", must, "empty elements of Connection are ignored",
		asked("Connection: , X-Hop,,\r\nX-Hop: 1\r\n", "!X-Hop"),
	},
	{
		"9110-7.6.1-request-listed-with-keep-alive", must, "a request field that Connection lists behind keep-alive is not passed on",
		asked("Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\n", "!X-Hop"),
	},
	{
		"9110-7.6.1-request-listed-with-close", must, "a request field that Connection lists beside close is not passed on",
		on("GET / HTTP/1.1\r\nHost: rfc.test\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\n", passed(sees("!X-Hop"))),
	},
	{
		"9110-7.6.1-request-options", must, "the options of a request's Connection are not passed on",
		asked("Connection: X-Hop\r\n", "!Connection: X-Hop"),
	},
	{
		"9110-7.6.1-request-listed-trailer", must, "a trailer field that Connection lists is not passed on",
		on("POST / HTTP/1.1\r\nHost: rfc.test\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Hop: 1\r\n\r\n",
			passedAndKept(func(x *exchange, q *request) {
				x.want(q.content == "hello" && q.trailer("X-Hop") == "", "the origin got %s", q)
			})),
	},
	{"9110-7.6.1-request-close", quality, "Connection: close of the client does not end the connection with the origin", func(x *exchange) {
		c := x.client()
		q, _ := x.relay(c, "GET / HTTP/1.1\r\nHost: rfc.test\r\nConnection: close\r\n\r\n")
		x.want(!q.lists("Connection", "close"), "the origin got %s", q)
		c.ends()
		x.kept(x.client())
		x.want(x.connections() == 1, "the origin got %d connections", x.connections())
	}},
	{"9110-7.6.1-request-host-listed", quality, "Host cannot be listed away", asked("Connection: Host\r\n", "Host")},
	{
		"9110-7.6.1-request-length-listed", quality, "Content-Length cannot be listed away from the content",
		on("POST / HTTP/1.1\r\nHost: rfc.test\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello", passedAndKept(content("hello"))),
	},
	{
		"9110-7.6.1-request-coding-listed", quality, "Transfer-Encoding may be listed: the content is whole",
		on("POST / HTTP/1.1\r\nHost: rfc.test\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", passedAndKept(content("hello"))),
	},
	{"9110-7.6.1-request-keep-alive", should, "Keep-Alive is not passed on, listed or not", asked("Keep-Alive: timeout=5\r\n", "!Keep-Alive")},
	{
		"9110-7.6.1-request-proxy-connection", should, "Proxy-Connection is not passed on, and means nothing",
		asked("Proxy-Connection: close\r\n", "!Proxy-Connection"),
	},
	{
		"9110-7.6.1-request-te", should, "TE is not passed on where it was not listed",
		asked("TE: gzip\r\n", "!TE"),
	},
	{
		"9110-7.6.1-request-te-listed", must, "TE is not passed on as the client's: at the most the proxy says that it takes trailers itself",
		asked("TE: gzip, trailers\r\nConnection: TE\r\n", "!TE: gzip, trailers", "!TE: gzip"),
	},
	{
		"9110-10.1.4-te-has-option", must, "a TE that is sent to the origin is listed in Connection",
		on("GET / HTTP/1.1\r\nHost: rfc.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n", passedAndKept(func(x *exchange, q *request) {
			x.want(!q.has("TE") || q.field("TE") == "trailers" && q.lists("Connection", "TE"), "the origin got %s", q)
		})),
	},
	{
		"9112-7.4-te-chunked", must, "chunked does not stand in a TE that is sent to the origin",
		asked("TE: chunked\r\nConnection: TE\r\n", "!TE: chunked"),
	},
	{"9110-7.6.1-request-upgrade-unlisted", should, "Upgrade is not passed on where it was not listed", asked("Upgrade: odd/1\r\n", "!Upgrade")},
	{
		"9110-7.6.1-request-upgrade", must, "Upgrade is not passed on as the client's unless the proxy takes part in it",
		asked("Upgrade: odd/1\r\nConnection: Upgrade\r\n", "!Upgrade", "!Connection: Upgrade"),
	},
	{
		"9110-6.6.2-request-trailer", quality, "Trailer is passed on with the trailer section that it announces, or neither is",
		on("POST / HTTP/1.1\r\nHost: rfc.test\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
			passedAndKept(func(x *exchange, q *request) {
				x.want(q.has("Trailer") == (q.trailer("X-Sum") == "1"), "the origin got %s", q)
			})),
	},
	{
		"9110-11.7.2-proxy-authorization", quality, "Proxy-Authorization, for which nobody has asked, refuses no request",
		asked("Proxy-Authorization: Basic YTpi\r\n"),
	},
	{
		"9112-2.3-request-version", must, "the request of an HTTP/1.0 client goes out with the version of the proxy",
		on(get10, passed(func(x *exchange, q *request) { x.equal("the version", q.version, "HTTP/1.1") })),
	},
	{
		"9112-2.3-request-version-newer", must, "the request of an HTTP/1.2 client goes out with the version of the proxy",
		on("GET / HTTP/1.2\r\nHost: rfc.test\r\n\r\n", passed(func(x *exchange, q *request) { x.equal("the version", q.version, "HTTP/1.1") })),
	},
	{"9110-7.7-request-id", should, "a request id of the client is passed on as it is", asked("X-Request-Id: AbC-1\r\n", "X-Request-Id: AbC-1")},
}

var hopResponseRules = []rule{
	{
		"9110-7.6.1-response-listed", must, "a response field that Connection lists is not passed on",
		open.says(lined("Connection: X-Hop\r\nX-Hop: 1\r\n"), around("!X-Hop", "!Connection: X-Hop")),
	},
	{
		"9110-7.6.1-response-listed-several", must, "none of several response fields that Connection lists is passed on",
		open.says(lined("X-One: 1\r\nConnection: x-one,X-Two\r\nConnection: X-Three\r\nX-Two: 2\r\nX-Three: 3\r\n"), around("!X-One", "!X-Two", "!X-Three")),
	},
	{
		"9110-7.6.1-response-listed-with-close", must, "a response field that Connection lists beside close is not passed on",
		closing.says(lined("Connection: close, X-Hop\r\nX-Hop: 1\r\n"), around("!X-Hop")),
	},
	{
		"9110-7.6.1-response-listed-trailer", must, "a trailer field that Connection lists is not passed on",
		scene{request: "GET / HTTP/1.1\r\nHost: rfc.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n"}.says(
			coded("Transfer-Encoding: chunked", "Connection: X-Hop")[:len(coded("Transfer-Encoding: chunked", "Connection: X-Hop"))-2]+"X-Hop: 1\r\n\r\n",
			all(hello, trailedWithout("X-Hop"))),
	},
	{
		"9110-7.6.1-response-listed-1xx", must, "a field of an interim response that Connection lists is not passed on",
		open.says("HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\nLink: </a.css>; rel=preload\r\n\r\n"+ok, all(whole(200, "ok"), informed(103), hinted,
			func(r *response) string { return r.interims[0].lacks("!X-Hop", "!Connection") })),
	},
	{
		"9110-7.6.1-response-listed-304", must, "a field of a 304 that Connection lists is not passed on",
		open.says("HTTP/1.1 304 Not Modified\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n", having(304, "", "!X-Hop")),
	},
	{
		"9110-7.6.1-response-keep-alive", should, "Keep-Alive of the origin is not passed on",
		open.says(lined("Connection: keep-alive\r\nKeep-Alive: timeout=5, max=100\r\n"), around("!Keep-Alive: timeout=5, max=100")),
	},
	{
		"9110-7.6.1-response-proxy-connection", should, "Proxy-Connection of the origin is not passed on",
		open.says(lined("Proxy-Connection: keep-alive\r\n"), around("!Proxy-Connection")),
	},
	{
		"9110-7.6.1-response-upgrade", should, "Upgrade of the origin, which the proxy has no part in, is not passed on",
		open.says(lined("Upgrade: h2c\r\nConnection: Upgrade\r\n"), around("!Upgrade: h2c", "!Connection: Upgrade")),
	},
	{"9110-7.6.1-response-te", should, "TE in a response is not passed on", open.says(lined("TE: trailers\r\n"), around("!TE"))},
	{
		"9110-7.6.1-response-length-listed", quality, "Content-Length cannot be listed away from the content",
		open.says(lined("Connection: Content-Length\r\n"), around()),
	},
	{"9110-7.6.1-response-close", quality, "Connection: close of the origin does not end the connection with the client", func(x *exchange) {
		c := x.client()
		r := closing.play(x, c, lined("Connection: close\r\n"))
		x.judge(around("!Connection: close"), r)
		x.kept(c)
	}},
	{
		"9110-6.6.2-response-trailer", quality, "Trailer is not passed on without a trailer section",
		to10.says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", having(200, "hello", "!Trailer")),
	},
	{
		"9110-11.7.1-proxy-authenticate", quality, "a 407 of the origin is passed on",
		open.says("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a\"\r\nContent-Length: 5\r\n\r\nhello", whole(407, "hello")),
	},
	{"9110-7.7-response-id", should, "a request id of the origin is passed on as it is", open.says(lined("X-Request-Id: AbC-1\r\n"), around("X-Request-Id: AbC-1"))},
}

// via returns the elements of Via.
func (m *message) via() (all []string) {
	for _, e := range strings.Split(m.field("Via"), ",") {
		if e = strings.TrimSpace(e); e != "" {
			all = append(all, e)
		}
	}
	return all
}

// wantVia wants Via to have the elements before, and one of the proxy's own behind them that tells that version.
func (x *exchange) wantVia(m *message, version string, before ...string) {
	v := m.via()
	n := len(before)
	x.want(len(v) == n+1 && slices.Equal(v[:n], before), "expected %q and one more in Via; got %s", before, m)
	protocol, by, _ := strings.Cut(strings.TrimPrefix(v[n], "HTTP/"), " ")
	x.want(protocol == version && by != "", "expected a Via of %s; got %s", version, m)
}

// viaAsked makes the run of a rule about Via as it reaches the origin.
func viaAsked(bytes, version string, before ...string) func(x *exchange) {
	return on(bytes, passed(func(x *exchange, q *request) { x.wantVia(&q.message, version, before...) }))
}

// viaAnswered wants the response's Via to begin with these elements, behind which there may be one of the proxy's own.
func viaAnswered(version string, before ...string) verdict {
	return func(r *response) string {
		v := r.via()
		n := len(before)
		switch {
		case r.err != nil || r.status != 200:
		case len(v) == n && slices.Equal(v, before):
			return ""
		case len(v) == n+1 && slices.Equal(v[:n], before) && strings.HasPrefix(strings.TrimPrefix(v[n], "HTTP/"), version+" "):
			return ""
		}
		return "expected Via " + strings.Join(before, ", ") + " and perhaps one of " + version + "; got " + r.String()
	}
}

var viaRules = []rule{
	{"9110-7.6.3-request", must, "a request gets a Via with the version that it came with", viaAsked(plainGet, "1.1")},
	{"9110-7.6.3-request-http10", must, "the request of an HTTP/1.0 client gets a Via with 1.0", viaAsked(get10, "1.0")},
	{
		"9110-7.6.3-request-appended", must, "Via of a request is added to, not replaced",
		viaAsked("GET / HTTP/1.1\r\nHost: rfc.test\r\nVia: 1.0 fred, 1.1 p.example.net (a comment)\r\n\r\n", "1.1", "1.0 fred", "1.1 p.example.net (a comment)"),
	},
	{
		"9110-7.6.3-request-appended-lines", must, "several lines of Via keep their order before the new one",
		viaAsked("GET / HTTP/1.1\r\nHost: rfc.test\r\nVia: 1.0 fred\r\nX-Other: 1\r\nVia: 1.1 lucy\r\n\r\n", "1.1", "1.0 fred", "1.1 lucy"),
	},
	{
		"9110-7.6.3-response", quality, "a response gets a Via with the version that it came with",
		func(x *exchange) {
			r := open.play(x, x.client(), ok)
			x.want(r.err == nil, "the client got %s", r)
			x.wantVia(&r.message, "1.1")
		},
	},
	{
		"9110-7.6.3-response-http10", must, "a Via that a response of HTTP/1.0 gets says 1.0",
		closing.says("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", viaAnswered("1.0")),
	},
	{
		"9110-7.6.3-response-appended", must, "Via of a response is added to or left, not replaced",
		open.says(lined("Via: 1.0 fred, 1.1 lucy\r\n"), viaAnswered("1.1", "1.0 fred", "1.1 lucy")),
	},
	{
		"9110-7.6.3-response-head", must, "Via of a response to HEAD is added to or left",
		toHead.says("HTTP/1.1 200 OK\r\nVia: 1.0 fred\r\nContent-Length: 5\r\n\r\n", viaAnswered("1.1", "1.0 fred")),
	},
}

// forwards makes the run of a rule about Max-Forwards as it reaches the origin: want says what it may be there, "" none.
func forwards(method, value string, want ...string) func(x *exchange) {
	return on(method+" / HTTP/1.1\r\nHost: rfc.test\r\nMax-Forwards: "+value+"\r\n\r\n", passedAndKept(func(x *exchange, q *request) {
		x.want(slices.Contains(want, q.field("Max-Forwards")), "expected a Max-Forwards of %q; got %s", want, q)
	}))
}

// answeredHere: the client gets a response, of which check says what is wrong, and the origin hears nothing.
func answeredHere(check verdict) expectation {
	return func(x *exchange, c *client) {
		x.heardFirst(c)
		r := c.response("GET")
		x.want(r.err == nil, "the client got %s", r)
		if check != nil {
			x.judge(check, r)
		}
		x.nothingArrives()
	}
}

var maxForwardsRules = []rule{
	{"9110-7.6.2-options", must, "Max-Forwards of OPTIONS is decremented", forwards("OPTIONS", "5", "4")},
	{"9110-7.6.2-options-1", must, "Max-Forwards: 1 of OPTIONS is passed on as 0", forwards("OPTIONS", "1", "0")},
	{
		"9110-7.6.2-options-0", must, "OPTIONS with Max-Forwards: 0 is answered by the proxy",
		on("OPTIONS / HTTP/1.1\r\nHost: rfc.test\r\nMax-Forwards: 0\r\n\r\n", answeredHere(nil)),
	},
	{
		"9110-7.6.2-options-asterisk-0", must, "OPTIONS * with Max-Forwards: 0 is answered by the proxy",
		on("OPTIONS * HTTP/1.1\r\nHost: rfc.test\r\nMax-Forwards: 0\r\n\r\n", answeredHere(nil)),
	},
	{
		"9110-9.3.7-options-0-status", quality, "OPTIONS with Max-Forwards: 0 is answered with a success",
		on("OPTIONS / HTTP/1.1\r\nHost: rfc.test\r\nMax-Forwards: 0\r\n\r\n", answeredHere(succeeding)),
	},
	{
		"9110-7.6.2-options-zeros", must, "Max-Forwards: 000 is 0",
		on("OPTIONS / HTTP/1.1\r\nHost: rfc.test\r\nMax-Forwards: 000\r\n\r\n", answeredHere(nil)),
	},
	{
		"9110-7.6.2-options-large", must, "a Max-Forwards that is larger than the proxy's largest becomes that, or is refused",
		on("OPTIONS / HTTP/1.1\r\nHost: rfc.test\r\nMax-Forwards: 99999999999999999999\r\n\r\n", either(passed(func(x *exchange, q *request) {
			v := q.field("Max-Forwards")
			x.want(isNumber(v) && v != "0" && (len(v) < 20 || v == "99999999999999999998"), "the origin got %s", q)
		}), answeredHere(refusing))),
	},
	{
		"9110-7.6.2-options-invalid", quality, "a Max-Forwards that is no number does not make the proxy answer with a success, nor is it counted",
		on("OPTIONS / HTTP/1.1\r\nHost: rfc.test\r\nMax-Forwards: many\r\n\r\n", either(passed(func(x *exchange, q *request) {
			x.want(slices.Contains([]string{"", "many"}, q.field("Max-Forwards")), "the origin got %s", q)
		}), answeredHere(refusing))),
	},
	{
		"9110-9.3.7-options-none", must, "OPTIONS without Max-Forwards gets none",
		on("OPTIONS / HTTP/1.1\r\nHost: rfc.test\r\n\r\n", passedAndKept(sees("!Max-Forwards"))),
	},
	{
		"9110-7.6.2-trace", must, "Max-Forwards of TRACE is decremented, where TRACE is passed on",
		on("TRACE / HTTP/1.1\r\nHost: rfc.test\r\nMax-Forwards: 5\r\n\r\n", either(passedAndKept(sees("Max-Forwards: 4")), answeredHere(refusing))),
	},
	{
		"9110-7.6.2-trace-0", must, "TRACE with Max-Forwards: 0 is answered by the proxy",
		on("TRACE / HTTP/1.1\r\nHost: rfc.test\r\nMax-Forwards: 0\r\n\r\n", answeredHere(nil)),
	},
	{
		"9110-9.3.8-trace-0-reflected", should, "TRACE with Max-Forwards: 0 is answered with the request itself",
		on("TRACE /path?query HTTP/1.1\r\nHost: rfc.test\r\nX-Odd: 1\r\nMax-Forwards: 0\r\n\r\n", answeredHere(func(r *response) string {
			if !strings.HasPrefix(r.content, "TRACE /path?query HTTP/1.1\r\n") || !strings.Contains(r.content, "X-Odd: 1\r\n") {
				return "expected the request; got " + r.String()
			}
			return ""
		})),
	},
	{
		"9110-9.3.8-trace-credentials", should, "credentials are not reflected",
		on("TRACE / HTTP/1.1\r\nHost: rfc.test\r\nAuthorization: Basic c2VjcmV0\r\nCookie: s=secret\r\nProxy-Authorization: Basic c2VjcmV0\r\nMax-Forwards: 0\r\n\r\n",
			answeredHere(func(r *response) string {
				if strings.Contains(r.content, "c2VjcmV0") || strings.Contains(r.content, "s=secret") {
					return "credentials were reflected: " + r.String()
				}
				return ""
			})),
	},
	{
		"9110-9.3.8-trace-content", must, "TRACE is not sent with content",
		on("TRACE / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 5\r\n\r\nhello", either(passed(content("")), answeredHere(refusing))),
	},
	{"9110-7.6.2-get", quality, "Max-Forwards of other methods is passed on as it is", forwards("GET", "0", "0")},
}

func succeeding(r *response) string {
	if r.status/100 != 2 {
		return "expected a success; got " + r.String()
	}
	return ""
}

func refusing(r *response) string {
	if r.status < 400 {
		return "expected a refusal; got " + r.String()
	}
	return ""
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
