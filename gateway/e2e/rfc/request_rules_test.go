package rfc

// post and get begin a request; what follows is more fields, an empty line, content.
const (
	post = "POST /x HTTP/1.1\r\nHost: rfc.test\r\n"
	get  = "GET /x HTTP/1.1\r\nHost: rfc.test\r\n"
)

var requestRules = []rule{
	{
		"9112-6.3-te-not-chunked-last", must, "a request whose last transfer coding is not chunked is answered with 400 and the connection ends",
		on(post+"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", refused(400, 501)),
	},
	{
		"9112-7.1-chunks-pass", must, "chunked content is understood and passed on whole",
		on(post+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", passedAndKept(content("hello world"))),
	},
	{
		"9112-7.1-size-junk", must, "a chunk size that is no hexadecimal number is no whole message",
		on(post+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n world\r\n0\r\n\r\n", broken),
	},
}

// content wants that content.
func content(want string) func(x *exchange, q *request) {
	return func(x *exchange, q *request) { x.equal("content at the origin", q.content, want) }
}

var sizeRules = []rule{}
