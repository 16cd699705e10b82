package rfc

import "strings"

// post and get begin a request; what follows is more fields, an empty line, content.
const (
	post    = "POST /x HTTP/1.1\r\nHost: rfc.test\r\n"
	get     = "GET /x HTTP/1.1\r\nHost: rfc.test\r\n"
	chunked = post + "Transfer-Encoding: chunked\r\n\r\n"
	// other is a request of its own, for where it must not be taken for one, or must.
	other = "GET /other HTTP/1.1\r\nHost: rfc.test\r\n\r\n"
)

// How the length of a request's content is found, and when that cannot be (9112 6).
var framingRules = []rule{
	// Content-Length
	{"9112-6.3-length-passes", must, "content of a declared length is passed on", on(post+"Content-Length: 5\r\n\r\nhello", passedAndKept(content("hello")))},
	{"9112-6.3-request-length-zero", must, "a length of zero is valid", on(post+"Content-Length: 0\r\n\r\n", passedAndKept(content("")))},
	{"9112-6.3-no-length-no-content", must, "a request without length and coding has no content: what follows is the next request", on(post+"\r\n", passedAndKept(content("")))},
	{"9112-6.3-length-on-get", must, "the framing does not depend on the method: content of a GET is passed on", on(get+"Content-Length: 5\r\n\r\nhello", passedAndKept(content("hello")))},
	{"9112-6.3-length-on-delete", must, "content of a DELETE is passed on", on("DELETE /x HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 5\r\n\r\nhello", passedAndKept(content("hello")))},
	{"9112-6.3-length-on-unknown-method", must, "content of a method that nobody knows is passed on", on("BREW /x HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 5\r\n\r\nhello", passedAndKept(content("hello")))},
	{"9112-5.1-length-spaces", must, "white space around a length is no part of it", on(post+"Content-Length: \t 5 \t\r\n\r\nhello", passedAndKept(content("hello")))},
	{"9110-5.1-length-name-case", must, "names have no case: content-length is a length", on(post+"cONTENT-lENGTH: 5\r\n\r\nhello", passedAndKept(content("hello")))},
	{"9110-8.6-length-leading-zeros", must, "a length with leading zeros is decimal, or refused", on(post+"Content-Length: 0010\r\n\r\nhello67890", either(passedAndKept(content("hello67890")), refused(400)))},
	{"9110-8.6-length-plus", must, "a length with a plus sign is refused with 400 and the end of the connection", on(post+"Content-Length: +5\r\n\r\nhello", refused(400))},
	{"9112-6.3-length-negative", must, "a negative length is refused with 400", on(post+"Content-Length: -5\r\n\r\nhello", refused(400))},
	{"9112-6.3-request-length-hex", must, "a hexadecimal length is refused with 400", on(post+"Content-Length: 0x5\r\n\r\nhello", refused(400))},
	{"9112-6.3-length-float", must, "a length with a point is refused with 400", on(post+"Content-Length: 5.0\r\n\r\nhello", refused(400))},
	{"9112-6.3-length-exponent", must, "a length with an exponent is refused with 400", on(post+"Content-Length: 1e1\r\n\r\nhello67890", refused(400))},
	{"9112-6.3-request-length-underscore", must, "a length with an underscore is refused with 400", on(post+"Content-Length: 1_0\r\n\r\nhello67890", refused(400))},
	{"9112-6.3-request-length-empty", must, "an empty length is refused with 400", on(post+"Content-Length:\r\n\r\n", refused(400))},
	{"9112-6.3-request-length-word", must, "a length that is no number is refused with 400", on(post+"Content-Length: five\r\n\r\nhello", refused(400))},
	{"9112-6.3-length-quoted", must, "a quoted length is refused with 400", on(post+"Content-Length: \"5\"\r\n\r\nhello", refused(400))},
	{"9112-6.3-length-inner-space", must, "a length with a space in it is refused with 400", on(post+"Content-Length: 1 0\r\n\r\nhello67890", refused(400))},
	{"9112-6.3-length-junk-after", must, "a length followed by junk is refused with 400", on(post+"Content-Length: 5;\r\n\r\nhello", refused(400))},
	{"9112-6.3-length-vertical-tab", must, "a length after a vertical tab is refused with 400", on(post+"Content-Length: \x0b5\r\n\r\nhello", refused(400))},
	{"9112-6.3-length-arabic-digit", must, "a digit of another script is no digit", on(post+"Content-Length: \u0665\r\n\r\nhello", refused(400))},
	{"9110-8.6-request-length-overflow-64", must, "a length of 2^64+5 is not taken for 5", on(post+"Content-Length: 18446744073709551621\r\n\r\nhello"+other, refused(400, 413))},
	{"9110-8.6-request-length-overflow-32", must, "a length of 2^32+5 is not taken for 5", on(post+"Content-Length: 4294967301\r\n\r\nhello", incomplete)},
	{"9110-8.6-length-overflow-digits", must, "a length of a hundred digits is refused", on(post+"Content-Length: "+strings.Repeat("9", 100)+"\r\n\r\nhello", refused(400, 413))},
	{"9112-6.3-lengths-differ-lines", must, "two different lengths in two lines are refused with 400", on(post+"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", refused(400))},
	{"9112-6.3-lengths-differ-list", must, "two different lengths in one line are refused with 400", on(post+"Content-Length: 5, 6\r\n\r\nhello!", refused(400))},
	{"9112-6.3-lengths-differ-case", must, "two different lengths under names of other case are refused with 400", on(post+"Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello!", refused(400))},
	{"9112-6.3-lengths-one-invalid", must, "a list of lengths of which one is invalid is refused with 400", on(post+"Content-Length: 5, x\r\n\r\nhello", refused(400))},
	{"9110-8.6-lengths-equal-list", must, "the same length twice in one line is refused, or passed on as one", on(post+"Content-Length: 5, 5\r\n\r\nhello", either(passedAndKept(content("hello")), refused(400)))},
	{"9110-8.6-lengths-equal-lines", must, "the same length in two lines is refused, or passed on as one", on(post+"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", either(passedAndKept(content("hello")), refused(400)))},
	{"9112-6.3-length-short", must, "content that ends before its length is not passed on as whole", cutShort(post + "Content-Length: 10\r\n\r\nhello")},
	{"9112-6.3-length-no-content", must, "a length without any content before the connection's end is not passed on as whole", cutShort(post + "Content-Length: 10\r\n\r\n")},

	// Transfer-Encoding
	{"9112-7-coding-name-case", must, "names of codings have no case", on(post+"Transfer-Encoding: ChUnKeD\r\n\r\n5\r\nhello\r\n0\r\n\r\n", passedAndKept(content("hello")))},
	{"9112-5.1-coding-spaces", must, "white space around a coding is no part of it", on(post+"Transfer-Encoding: \t chunked \t\r\n\r\n5\r\nhello\r\n0\r\n\r\n", passedAndKept(content("hello")))},
	{"9112-6.1-coding-on-get", must, "chunked content of a GET is passed on", on(get+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", passedAndKept(content("hello")))},
	{"9110-5.6.1.2-coding-empty-element-before", must, "an empty list element before the coding is ignored", on(post+"Transfer-Encoding: , chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", passedAndKept(content("hello")))},
	{"9110-5.6.1.2-coding-empty-element-after", must, "an empty list element behind the coding is ignored", on(post+"Transfer-Encoding: chunked,\r\n\r\n5\r\nhello\r\n0\r\n\r\n", passedAndKept(content("hello")))},
	{"9110-5.6.1.2-coding-empty-line", must, "an empty line of codings beside chunked is ignored", on(post+"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", passedAndKept(content("hello")))},
	{"9112-6.3-coding-not-chunked-last", must, "a request whose last coding is not chunked is refused and the connection ends", on(post+"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", refused(400, 501))},
	{"9112-6.3-coding-not-chunked-last-lines", must, "the same when the codings stand in two lines", on(post+"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", refused(400, 501))},
	{"9112-6.3-coding-gzip-alone", must, "a coding other than chunked, alone, is refused", on(post+"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", refused(400, 501))},
	{"9112-6.3-coding-identity", must, "the coding identity is none: refused", on(post+"Transfer-Encoding: identity\r\n\r\n"+other, refused(400, 501))},
	{"9112-6.3-coding-identity-and-length", must, "identity beside a length is refused, or loses the coding", on(post+"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", refused(400, 501))},
	{"9112-6.3-coding-chunked-then-identity", must, "identity behind chunked is refused", on(post+"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", refused(400, 501))},
	{"9112-6.3-coding-prefixed", must, "xchunked is not chunked", on(post+"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", refused(400, 501))},
	{"9112-6.3-request-coding-vertical-tab", must, "a vertical tab before chunked is no white space", on(post+"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", refused(400, 501))},
	{"9112-6.3-request-coding-quoted", must, "a quoted coding is none", on(post+"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", refused(400, 501))},
	{"9112-6.3-coding-empty", must, "an empty Transfer-Encoding names no chunked: refused, or taken as absent", on(post+"Transfer-Encoding:\r\n\r\n", either(passedAndKept(uncoded), refused(400, 501)))},
	{"9112-6.3-coding-nul", must, "chunked with a NUL behind it is refused", on(post+"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n", refused(400, 501))},
	{"9112-6.1-request-coding-unknown", should, "a coding that is not understood is refused with 501", on(post+"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", refused(501))},
	{"9112-6.1-coding-unknown-not-lost", must, "a coding before chunked is refused, or passed on as it is: never silently dropped", on(post+"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", refusedOrTurnedAway())},
	{"9112-6.1-request-chunked-twice", must, "chunked twice is not passed on", on(post+"Transfer-Encoding: chunked, chunked\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n", refused())},
	{"9112-6.1-request-chunked-twice-lines", must, "chunked in two lines is not passed on", on(post+"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n", refused())},
	{"9112-7.1-request-chunked-parameter", should, "a parameter of chunked is an error", on(post+"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", refused(400, 501))},
	{"9112-6.3-coding-and-length", must, "of a coding and a length the length is not passed on, and the connection ends", on(post+"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+other, overridden)},
	{"9112-6.3-coding-and-length-reversed", must, "the same in the other order", on(post+"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n"+other, overridden)},
	{"9112-6.1-coding-and-length-zero", must, "a length of zero beside a coding counts as one", on(post+"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+other, overridden)},
	{"9112-6.3-coding-and-bad-length", must, "an invalid length beside a coding is not passed on, and the connection ends", on(post+"Content-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+other, overridden)},
	{"9112-6.1-request-coding-in-http10", must, "a coding in HTTP/1.0 is faulty framing: refused, or the connection ends after it", on("POST /x HTTP/1.0\r\nHost: rfc.test\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+other, overridden)},
	{"9112-6.1-coding-and-length-in-http10", must, "a coding and a length in HTTP/1.0: refused, or the connection ends after it", on("POST /x HTTP/1.0\r\nHost: rfc.test\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+other, overridden)},
	{"9112-6.1-coding-name-with-underscore", must, "Transfer_Encoding is another field, and no framing", on(post+"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", either(passedAndKept(content("0\r\n\r\n")), refused(400)))},
}

// content wants that content.
func content(want string) func(x *exchange, q *request) {
	return func(x *exchange, q *request) { x.equal("content at the origin", q.content, want) }
}

// uncoded wants no coding and no content.
func uncoded(x *exchange, q *request) {
	x.want(q.content == "" && q.framing != "chunked", "the origin got %s", q)
}

// overridden: the request is refused, or passed on framed by its coding alone. The connection ends in either case, and what follows on
// it is not read as a request.
func overridden(x *exchange, c *client) {
	either(func(x *exchange, c *client) {
		passed(func(x *exchange, q *request) {
			x.want(q.content == "" && !(q.has("Content-Length") && q.has("Transfer-Encoding")), "the origin got %s", q)
		})(x, c)
		c.ends()
		x.nothingArrives()
	}, refused(400, 501))(x, c)
}

// cutShort sends bytes and FIN: no whole message may reach the origin.
func cutShort(bytes string) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		c.send(bytes) //nolint:errcheck // what becomes of it says it
		c.finish()
		broken(x, c)
	}
}
