package rfc

import "strings"

// The bytes of a target on their way to the origin. 9110 7.7: a proxy must not modify the path and query of the target URI when it
// forwards a request, but for an empty path. The asterisk and the absolute form have rules of their own (9112 3.2).
var targetRules = []rule{
	{"9110-7.7-plain", must, "a path is passed on as it is", untouched("/a/b/c")},
	{"9110-7.7-root", must, "the root is passed on as it is", untouched("/")},
	{"9110-7.7-two-slashes", must, "two slashes in a path stay two", untouched("/a//b")},
	{"9110-7.7-leading-slashes", must, "two slashes at the start are a path, and no authority", untouched("//other.test/x")},
	{"9110-7.7-leading-slashes-alone", must, "two slashes alone stay two", untouched("//")},
	{"9110-7.7-trailing-slash", must, "a slash at the end stays", untouched("/a/b/")},
	{"9110-7.7-dot", must, "a segment that is a dot stays", untouched("/a/./b")},
	{"9110-7.7-dots", must, "a segment of two dots stays, or the request is refused", untouchedOrRefused("/a/../b")},
	{"9110-7.7-dots-above-root", must, "dots that lead above the root stay, or the request is refused", untouchedOrRefused("/../a")},
	{"9110-7.7-dots-encoded", must, "encoded dots stay encoded, or the request is refused", untouchedOrRefused("/a/%2e%2E/b")},
	{"9110-7.7-slash-encoded", must, "an encoded slash stays encoded", untouched("/a%2Fb%2fc")},
	{"9110-7.7-backslash-encoded", must, "an encoded backslash stays encoded", untouched("/a%5Cb")},
	{"9110-7.7-unreserved-encoded", must, "encoded letters stay encoded", untouched("/%61%62%7E")},
	{"9110-7.7-hex-case", must, "the case of hexadecimal digits stays", untouched("/%c3%A4%C3%a4")},
	{"9110-7.7-space-encoded", must, "an encoded space stays %20", untouched("/a%20b")},
	{"9110-7.7-plus", must, "a plus sign stays in path and query", untouched("/a+b?c+d=e+f")},
	{"9110-7.7-percent-encoded", must, "an encoded percent sign stays encoded", untouched("/100%25")},
	{"9110-7.7-null-encoded", must, "an encoded NUL stays encoded, or the request is refused", untouchedOrRefused("/a%00b")},
	{"9110-7.7-crlf-encoded", must, "encoded CR and LF stay encoded, or the request is refused", untouchedOrRefused("/a%0d%0aX-Evil:%20b")},
	{"9110-7.7-question-encoded", must, "an encoded question mark stays encoded", untouched("/a%3Fb")},
	{"9110-7.7-number-sign-encoded", must, "an encoded number sign stays encoded", untouched("/a%23b")},
	{"9110-7.7-parameters", must, "path parameters stay", untouched("/a;x=1;y/b;z")},
	{"9110-7.7-sub-delims", must, "characters that separate nothing stay", untouched("/!$&'()*+,;=:@-._~")},
	{"9110-7.7-matrix", must, "a colon in the first segment stays", untouched("/a:b")},
	{"9110-7.7-query", must, "a query is passed on as it is", untouched("/a?b=c&d=e")},
	{"9110-7.7-query-empty", must, "a question mark with nothing behind it stays", untouched("/a?")},
	{"9110-7.7-query-question", must, "a question mark in a query stays", untouched("/a?b?c??")},
	{"9110-7.7-query-slash", must, "slashes in a query stay", untouched("/a?b=/c/../d//e")},
	{"9110-7.7-query-ampersands", must, "ampersands with nothing between them stay", untouched("/a?&&b=1&&c&")},
	{"9110-7.7-query-semicolon", must, "a semicolon in a query stays", untouched("/a?b=1;c=2")},
	{"9110-7.7-query-no-value", must, "names without values and values without names stay", untouched("/a?b&c=&=d&=")},
	{"9110-7.7-query-order", must, "the order of a query stays", untouched("/a?z=1&a=2&z=3")},
	{"9110-7.7-query-encoded", must, "what is encoded in a query stays encoded", untouched("/a?b%3D%26=%2B%20%e4")},
	{"9110-7.7-query-brackets", quality, "brackets in a query stay", untouched("/a?b[]=1&b[x]=2")},
	{"9110-7.7-query-url", must, "a URL in a query stays", untouched("/a?to=http://other.test:80/x")},
	{"9110-7.7-bad-escape", quality, "a percent sign without two digits stays, or the request is refused", untouchedOrRefused("/a%zz%2")},
	{"9110-7.7-bad-escape-query", quality, "the same in a query", untouchedOrRefused("/a?b=%zz&c=%")},
	{"9110-7.7-high-bytes", quality, "bytes beyond ASCII stay, or the request is refused", untouchedOrRefused("/\xc3\xa4\xff")},
	{"9110-7.7-high-bytes-query", quality, "the same in a query", untouchedOrRefused("/a?b=\xe4\xff")},
	{"9110-7.7-excluded", quality, "characters that RFC 3986 excludes stay, or the request is refused", untouchedOrRefused("/a\"b<c>d^e`f{g|h}i")},
	{"9110-7.7-backslash", quality, "a backslash stays, or the request is refused", untouchedOrRefused("/a\\b\\..\\c")},
	{"9110-7.7-long-segment", must, "a segment of 2000 bytes stays", untouched("/" + strings.Repeat("a", 2000))},
	{"9110-7.7-many-segments", must, "a thousand segments stay", untouched(strings.Repeat("/a", 1000))},
	{"9110-7.7-like-a-version", must, "a path that looks like a version stays", untouched("/HTTP/1.1")},

	{"9112-3.2.2-absolute", must, "the absolute form is accepted; its path and query are what the origin is asked for", absolute("GET", "http://rfc.test/a//b?c=%2f", "/a//b?c=%2f")},
	{"9112-3.2.2-absolute-host", must, "the host of the absolute form counts, and not the Host field", func(x *exchange) {
		q, _ := x.relay(x.client(), "GET http://rfc.test/a HTTP/1.1\r\nHost: evil.test\r\n\r\n")
		x.want(len(q.values("Host")) == 1 && !strings.Contains(q.head, "evil.test"), "the origin got %s", q)
	}},
	{"9112-3.2.2-absolute-scheme-case", must, "a scheme has no case", absolute("GET", "HtTp://rfc.test/a", "/a")},
	{"9112-3.2.2-absolute-port", must, "the absolute form may have a port", absolute("GET", "http://rfc.test:8080/a", "/a")},
	{"9112-3.2.1-absolute-no-path", must, "an empty path of the absolute form becomes /", absolute("GET", "http://rfc.test", "/")},
	{"9110-7.7-absolute-no-path-query", must, "the same before a query", absolute("GET", "http://rfc.test?a=b", "/?a=b")},
	{"9110-7.7-absolute-slashes", must, "two slashes at the start of the absolute form's path stay two", absolute("GET", "http://rfc.test//other.test/a", "//other.test/a")},
	{"9110-7.7-absolute-empty-query", must, "a question mark with nothing behind it stays in the absolute form", absolute("GET", "http://rfc.test/a?", "/a?")},
	{"9112-3.2.4-star", must, "OPTIONS * is answered, or reaches the origin as it is", on("OPTIONS * HTTP/1.1\r\nHost: rfc.test\r\n\r\n", either(passedAndKept(target("*")), answeredAndKept))},
	{"9112-3.2.4-star-absolute", must, "OPTIONS of the absolute form without a path is OPTIONS *", on("OPTIONS http://rfc.test HTTP/1.1\r\nHost: rfc.test\r\n\r\n", either(passedAndKept(target("*")), answeredAndKept))},
	{"9112-3.2.4-options-path", must, "OPTIONS of the absolute form with a path asks for that path", absolute("OPTIONS", "http://rfc.test/", "/")},
}

// untouched sends a target which must reach the origin byte for byte.
func untouched(bytes string) func(x *exchange) {
	return absolute("GET", bytes, bytes)
}

func untouchedOrRefused(bytes string) func(x *exchange) {
	return on("GET "+bytes+" HTTP/1.1\r\nHost: rfc.test\r\n\r\n", either(passedAndKept(target(bytes)), refusedOrTurnedAway()))
}

// absolute sends a target in place of which the origin must be asked for another.
func absolute(method, bytes, want string) func(x *exchange) {
	host := "rfc.test"
	if _, rest, is := strings.Cut(bytes, "://rfc.test"); is {
		port, _, _ := strings.Cut(rest, "/")
		port, _, _ = strings.Cut(port, "?")
		host += port
	}
	return on(method+" "+bytes+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n", passedAndKept(target(want)))
}

// answeredAndKept: the proxy answers itself, with any status but that of a mistake in the syntax, and the connection is kept.
func answeredAndKept(x *exchange, c *client) {
	r := c.response("OPTIONS")
	x.want(r.err == nil && r.status != 400, "the client got %s", r)
	x.nothingArrives()
	x.kept(c)
}
