package rfc

import "strings"

// last ends chunked content.
const last = "0\r\n\r\n"

// Chunks, their extensions and trailers (9112 7.1).
var chunkRules = []rule{
	{"9112-7.1-chunks", must, "chunked content is understood and passed on whole", on(chunked+"5\r\nhello\r\n6\r\n world\r\n"+last, passedAndKept(content("hello world")))},
	{"9112-7.1-none", must, "chunked content may be empty", on(chunked+last, passedAndKept(content("")))},
	{"9112-7.1-upper-case", must, "chunk sizes may be written with capital letters", on(chunked+"1A\r\n"+letters+"\r\n"+last, passedAndKept(content(letters)))},
	{"9112-7.1-lower-case", must, "chunk sizes may be written with small letters", on(chunked+"1a\r\n"+letters+"\r\n"+last, passedAndKept(content(letters)))},
	{"9112-7.1-leading-zeros", must, "chunk sizes may begin with zeros", on(chunked+"0005\r\nhello\r\n"+last, passedAndKept(content("hello")))},
	{"9112-7.1-last-zeros", must, "the last chunk may be written with several zeros", on(chunked+"5\r\nhello\r\n0000\r\n\r\n", passedAndKept(content("hello")))},
	{"9112-7.1-tiny", must, "a thousand chunks of one byte are content", on(chunked+strings.Repeat("1\r\na\r\n", 1000)+last, passedAndKept(content(strings.Repeat("a", 1000))))},
	{"9112-7.1-large", must, "a chunk may be larger than any buffer", on(chunked+"40000\r\n"+strings.Repeat("a", 0x40000)+"\r\n"+last, passedAndKept(content(strings.Repeat("a", 0x40000))))},
	{"9112-7.1-data-like-framing", must, "what looks like the end within a chunk's data is data", on(chunked+"9\r\n\r\n0\r\n\r\n\r\n\r\n"+last, passedAndKept(content("\r\n0\r\n\r\n\r\n")))},
	{"9112-7.1-next-request", must, "what follows the last chunk is the next request", pipelined(chunked + "5\r\nhello\r\n" + last)},

	{"9112-7.1.1-request-extension", must, "a chunk extension that is not known is ignored", on(chunked+"5;a=b\r\nhello\r\n"+last, passedAndKept(content("hello")))},
	{"9112-7.1.1-extension-no-value", must, "a chunk extension may have no value", on(chunked+"5;a\r\nhello\r\n"+last, passedAndKept(content("hello")))},
	{"9112-7.1.1-request-extension-quoted", must, "a chunk extension may be quoted, with a semicolon and an escaped quote in it", on(chunked+"5;a=\"x;\\\"y\"\r\nhello\r\n"+last, passedAndKept(content("hello")))},
	{"9112-7.1.1-extensions", must, "there may be several chunk extensions", on(chunked+"5;a=b;c;d=e\r\nhello\r\n"+last, passedAndKept(content("hello")))},
	{"9112-7.1.1-extension-last", must, "the last chunk may have an extension", on(chunked+"5\r\nhello\r\n0;a=b\r\n\r\n", passedAndKept(content("hello")))},
	{"9112-7.1.1-extension-long", must, "a chunk extension of 200 bytes is nothing unreasonable", on(chunked+"5;a="+strings.Repeat("b", 200)+"\r\nhello\r\n"+last, passedAndKept(content("hello")))},
	{"9110-5.6.3-extension-space-before", must, "bad white space before an extension's semicolon is read over", on(chunked+"5 \t;a=b\r\nhello\r\n"+last, passedAndKept(content("hello")))},
	{"9110-5.6.3-extension-space-after", must, "bad white space behind an extension's semicolon is read over", on(chunked+"5; \ta=b\r\nhello\r\n"+last, passedAndKept(content("hello")))},
	{"9110-5.6.3-extension-space-around", must, "bad white space around an extension's equals sign is read over", on(chunked+"5;a = b\r\nhello\r\n"+last, passedAndKept(content("hello")))},
	{"9112-7.1.1-extension-limit", quality, "the length of chunk extensions is limited", on(chunked+"5;a="+strings.Repeat("b", 1<<20)+"\r\nhello\r\n"+last, broken)},
	{"9112-7.1.1-extensions-limit", quality, "the length of all chunk extensions of a message is limited", on(chunked+strings.Repeat("1;a="+strings.Repeat("b", 1000)+"\r\na\r\n", 2000)+last, broken)},
	{"9112-2.2-extension-bare-lf", should, "a bare LF does not end a chunk extension", on(chunked+"5;a\nhello\r\n"+last, broken)},
	{"9112-2.2-request-extension-bare-cr", must, "a bare CR in a chunk extension is an error", on(chunked+"5;a\rb\r\nhello\r\n"+last, broken)},
	{"9112-2.2-extension-nul", should, "a NUL in a chunk extension is an error", on(chunked+"5;a\x00b\r\nhello\r\n"+last, broken)},

	{"9112-7.1-size-empty", must, "a chunk without a size is an error", on(chunked+"\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-word", must, "a chunk size that is no hexadecimal number is an error", on(chunked+"xyz\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-word-later", must, "the same behind a good chunk", on(chunked+"5\r\nhello\r\nxyz\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-prefix", must, "a chunk size with 0x is an error", on(chunked+"0x5\r\nhello\r\n"+last, broken)},
	{"9112-7.1-request-size-plus", must, "a chunk size with a plus sign is an error", on(chunked+"+5\r\nhello\r\n"+last, broken)},
	{"9112-7.1-request-size-minus", must, "a negative chunk size is an error", on(chunked+"-5\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-leading-space", must, "a chunk size after a space is an error", on(chunked+" 5\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-junk-after", must, "junk behind a chunk size is an error", on(chunked+"5g\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-two", should, "two chunk sizes in one line are an error", on(chunked+"5 5\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-underscore", must, "a chunk size with an underscore is an error", on(chunked+"0_5\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-nul", must, "a chunk size with a NUL is an error", on(chunked+"5\x00\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-overflow-64", must, "a chunk size of 2^64+5 is not taken for 5", on(chunked+"10000000000000005\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-overflow-digits", must, "a chunk size of a hundred digits is an error", on(chunked+strings.Repeat("f", 100)+"\r\nhello\r\n"+last, broken)},
	{"9112-7.1-size-overflow-sign", must, "a chunk size of 2^64-5 is not taken for -5", on(chunked+"fffffffffffffffb\r\nhello\r\n"+last, incomplete)},
	{"9112-7.1-size-overflow-32", must, "a chunk size of 2^32+5 is not taken for 5", on(chunked+"100000005\r\nhello\r\n"+last, incomplete)},
	{"9112-2.2-size-bare-lf", should, "a bare LF does not end a chunk size", on(chunked+"5\nhello\r\n"+last, broken)},
	{"9112-2.2-size-bare-cr", must, "a bare CR does not end a chunk size", on(chunked+"5\rhello\r\n"+last, broken)},
	{"9112-7.1-data-no-end", must, "data without its CRLF is an error", on(chunked+"5\r\nhello"+last, broken)},
	{"9112-7.1-data-too-long", must, "data longer than its size is an error", on(chunked+"5\r\nhello world\r\n"+last, broken)},
	{"9112-2.2-data-bare-lf", should, "a bare LF does not end data", on(chunked+"5\r\nhello\n"+last, broken)},
	{"9112-7.1-data-two-bytes", must, "two other bytes in place of the CRLF behind data are an error", on(chunked+"5\r\nhelloXX"+last, broken)},
	{"9112-7.1-last-no-empty-line", should, "something else in place of the last empty line is an error", on(chunked+"5\r\nhello\r\n0\r\nGET /other HTTP/1.1\r\n\r\n", broken)},
	{"9112-2.2-last-bare-lf", should, "a bare LF behind the last chunk is an error", on(chunked+"5\r\nhello\r\n0\n\n", broken)},
	{"9112-8-request-cut-in-size", must, "content cut in a chunk size is not passed on as whole", cutShort(chunked + "5\r\nhello\r\n1")},
	{"9112-8-request-cut-in-data", must, "content cut in a chunk's data is not passed on as whole", cutShort(chunked + "5\r\nhel")},
	{"9112-8-request-cut-before-size", must, "content cut between two chunks is not passed on as whole", cutShort(chunked + "5\r\nhello\r\n")},
	{"9112-8-request-cut-after-size", must, "content cut behind a chunk size is not passed on as whole", cutShort(chunked + "5\r\n")},
	{"9112-8-request-cut-before-all", must, "content cut before its first chunk is not passed on as whole", cutShort(chunked)},
	{"9112-8-request-cut-after-zero", must, "content cut before its last empty line is not passed on as whole", cutShort(chunked + "5\r\nhello\r\n0\r\n")},
	{"9112-8-request-cut-in-trailers", must, "content cut in its trailers is not passed on as whole", cutShort(chunked + "5\r\nhello\r\n0\r\nX-A: b\r\n")},

	{"9112-7.1.2-trailer", must, "a trailer field does not become a header field", on(chunked+"5\r\nhello\r\n0\r\nX-Trail: a\r\n\r\n", passedAndKept(trailing("hello")))},
	{"9112-7.1.2-trailer-forwarded", quality, "a trailer field is forwarded in the trailer section", on(post+"Trailer: X-Trail\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trail: a\r\n\r\n", passedAndKept(func(x *exchange, q *request) {
		x.equal("the trailer", q.trailer("X-Trail"), "a")
	}))},
	{"9112-7.1.2-trailer-announced", must, "an announced trailer field does not become a header field", on(post+"Trailer: X-Trail\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trail: a\r\n\r\n", passedAndKept(trailing("hello")))},
	{"9110-6.5-trailer-set-cookie", must, "a trailer named Set-Cookie does not harm the message", on(chunked+"5\r\nhello\r\n0\r\nSet-Cookie: a=b\r\n\r\n", passedAndKept(trailing("hello")))},
	{"9110-6.5-trailer-content-type", must, "a trailer named Content-Type does not harm the message, nor become a header field", on(chunked+"5\r\nhello\r\n0\r\nContent-Type: text/evil\r\n\r\n", passedAndKept(trailing("hello")))},
	{"9110-6.5-trailer-announced-content-type", must, "the same when it is announced", on(post+"Trailer: Content-Type\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Type: text/evil\r\n\r\n", passedAndKept(trailing("hello")))},
	{"9110-6.5-trailer-authorization", must, "a trailer named Authorization does not become a header field", on(chunked+"5\r\nhello\r\n0\r\nAuthorization: Basic eDp5\r\n\r\n", wholeOrBroken(trailing("hello")))},
	{"9110-6.5.1-request-trailer-length", must, "a trailer named Content-Length frames nothing", on(chunked+"5\r\nhello\r\n0\r\nContent-Length: 40\r\n\r\n", wholeOrBroken(trailing("hello")))},
	{"9110-6.5.1-trailer-length-dropped", quality, "a trailer named Content-Length is not passed on", on(chunked+"5\r\nhello\r\n0\r\nContent-Length: 40\r\n\r\n", wholeOrBroken(withoutTrailer("Content-Length")))},
	{"9110-6.5.1-request-trailer-coding", must, "a trailer named Transfer-Encoding frames nothing", on(chunked+"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", wholeOrBroken(trailing("hello")))},
	{"9110-6.5.1-trailer-coding-dropped", quality, "a trailer named Transfer-Encoding is not passed on", on(chunked+"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", wholeOrBroken(withoutTrailer("Transfer-Encoding")))},
	{"9110-6.5.1-trailer-host", must, "a trailer named Host does not change the host", on(chunked+"5\r\nhello\r\n0\r\nHost: evil.test\r\n\r\n", wholeOrBroken(trailing("hello")))},
	{"9110-6.5.1-trailer-host-dropped", quality, "a trailer named Host is not passed on", on(chunked+"5\r\nhello\r\n0\r\nHost: evil.test\r\n\r\n", wholeOrBroken(withoutTrailer("Host")))},
	{"9112-5.1-trailer-space-before-colon", should, "a trailer with a space before its colon is an error", on(chunked+"5\r\nhello\r\n0\r\nX-A : b\r\n\r\n", broken)},
	{"9112-5-trailer-no-colon", should, "a trailer line without a colon is an error", on(chunked+"5\r\nhello\r\n0\r\nnonsense\r\n\r\n", broken)},
	{"9112-5.2-trailer-fold", must, "a folded trailer is an error, or comes out in one line", on(chunked+"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n", wholeOrBroken(nil))},
	{"9110-5.5-trailer-nul", must, "a NUL in a trailer is an error, or becomes a space", on(chunked+"5\r\nhello\r\n0\r\nX-A: b\x00c\r\n\r\n", wholeOrBroken(nil))},
	{"9110-5.4-trailer-limit", quality, "the length of a trailer section is limited", on(chunked+"5\r\nhello\r\n0\r\n"+strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 1000)+"\r\n", wholeOrBroken(func(x *exchange, q *request) {
		x.want(len(q.trailers) == 0, "a megabyte of trailers has reached the origin")
	}))},
}

const letters = "abcdefghijklmnopqrstuvwxyz"

// trailing wants that content, and no header field that only a trailer said.
func trailing(want string) func(x *exchange, q *request) {
	return func(x *exchange, q *request) {
		x.equal("content at the origin", q.content, want)
		for _, name := range []string{"X-Trail", "Set-Cookie", "Content-Type", "Authorization"} {
			x.want(!q.has(name), "the trailer has become a header field: %s", q)
		}
		x.want(q.field("Host") != "evil.test", "the trailer has become the host: %s", q)
	}
}

func withoutTrailer(name string) func(x *exchange, q *request) {
	return func(x *exchange, q *request) { x.want(q.trailer(name) == "", "the origin got %s", q) }
}

// pipelined sends a request and a other one at once: both reach the origin, in that order.
func pipelined(bytes string) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		c.send(bytes + other) //nolint:errcheck // the origin says it
		x.equal("the first target", x.pass().target, "/x")
		x.equal("the other target", x.pass().target, "/other")
		for range 2 {
			if r := c.response("GET"); r.err != nil || r.status != 200 {
				x.failf("the client got %s", r)
			}
		}
	}
}
