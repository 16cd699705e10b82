package rfc

import "strings"

// chunks makes the run of a rule in which the origin sends these bytes as chunked content.
func chunks(bytes string, v verdict) func(x *exchange) { return open.says(chunkedHead+bytes, v) }

// broken5 makes the run of a rule in which the chunked coding is wrong somewhere behind the first content, which is "hello".
func broken5(bytes string) func(x *exchange) {
	return chunks("5\r\nhello\r\n"+bytes, cut("hello world\r\n"))
}

var responseChunkRules = []rule{
	{"9112-7.1-no-chunk", must, "chunked content may be empty", chunks("0\r\n\r\n", whole(200, ""))},
	{
		"9112-7.1-small-chunks", must, "chunks of one byte are understood",
		chunks("1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n", hello),
	},
	{
		"9112-7.1-size-hex", must, "a chunk size is hexadecimal, in capital letters or small ones",
		chunks("a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", whole(200, "01234567890123456789a")),
	},
	{"9112-7.1-size-zeros", must, "a chunk size may begin with zeros", chunks("0000005\r\nhello\r\n0\r\n\r\n", hello)},
	{"9112-7.1-last-chunk-zeros", must, "the last chunk's size may be several zeros", chunks("5\r\nhello\r\n000\r\n\r\n", hello)},
	{
		"9112-7.1-content-like-framing", must, "what looks like framing in a chunk is content",
		chunks("c\r\n\r\n0\r\n\r\nHTTP/\r\n0\r\n\r\n", whole(200, "\r\n0\r\n\r\nHTTP/")),
	},
	{
		"9112-7.1-large-chunk", must, "a chunk may be larger than a buffer",
		chunks("40000\r\n"+strings.Repeat("0123456789abcdef", 0x4000)+"\r\n0\r\n\r\n", whole(200, strings.Repeat("0123456789abcdef", 0x4000))),
	},
	{"9112-7.1.1-extension", must, "a chunk extension that is not known is ignored", chunks("5;a\r\nhello\r\n0\r\n\r\n", hello)},
	{"9112-7.1.1-extension-value", must, "a chunk extension may have a value", chunks("5;a=b\r\nhello\r\n0\r\n\r\n", hello)},
	{
		"9112-7.1.1-extension-quoted", must, "the value of a chunk extension may be a quoted string",
		chunks("5;a=\"b c\"\r\nhello\r\n0\r\n\r\n", hello),
	},
	{
		"9112-7.1.1-extension-quoted-semicolon", must, "a quoted string in a chunk extension may hold semicolons and escaped quotes",
		chunks("5;a=\"b;\\\";c=d\"\r\nhello\r\n0\r\n\r\n", hello),
	},
	{
		"9112-7.1.1-extension-white-space", must, "there may be white space around the semicolon and the equals sign of a chunk extension",
		chunks("5 ; a = b\r\nhello\r\n0\r\n\r\n", hello),
	},
	{"9112-7.1.1-extensions-many", must, "a chunk may have several extensions", chunks("5;a;b=c;d=\"e\"\r\nhello\r\n0\r\n\r\n", hello)},
	{"9112-7.1.1-extension-last-chunk", must, "the last chunk may have an extension", chunks("5\r\nhello\r\n0;a=b\r\n\r\n", hello)},
	{
		"9112-7.1.1-extension-endless", quality, "extensions without end are not read for ever",
		chunks("5;a="+strings.Repeat("b", 1<<20)+"\r\nhello\r\n0\r\n\r\n", oneOf(hello, cut("hello"))),
	},

	{
		"9112-7.1.2-trailer-not-merged", must, "a trailer field does not get into the head",
		chunks("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", having(200, "hello", "!X-Sum")),
	},
	{
		"9112-7.1.2-trailer-passed", quality, "trailer fields are passed on to a client that says that it takes them",
		scene{request: "GET / HTTP/1.1\r\nHost: rfc.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n"}.says(
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Note: a b\r\n\r\n",
			trailed("X-Sum: 1", "X-Note: a b")),
	},
	{
		"9112-7.1.2-trailer-http10-client", must, "an HTTP/1.0 client gets the content without trailer fields, in the head neither",
		to10.says(chunkedHead+"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", having(200, "hello", "!X-Sum", "!Transfer-Encoding")),
	},
	{
		"9110-6.5.1-trailer-length", quality, "a Content-Length in the trailer section is not passed on",
		chunks("5\r\nhello\r\n0\r\nContent-Length: 3\r\nX-Sum: 1\r\n\r\n", oneOf(cut("hello"), all(hello, trailedWithout("Content-Length")))),
	},
	{
		"9110-6.5.1-trailer-coding", quality, "a Transfer-Encoding in the trailer section is not passed on",
		chunks("5\r\nhello\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n", oneOf(cut("hello"), all(hello, trailedWithout("Transfer-Encoding")))),
	},
	{
		"9110-6.5.1-trailer-set-cookie", quality, "a trailer field that ought to stand in the head does not fail the response",
		chunks("5\r\nhello\r\n0\r\nSet-Cookie: a=b\r\n\r\n", having(200, "hello", "!Set-Cookie")),
	},

	{"9112-7.1-size-missing", must, "a chunk without a size breaks the content off", broken5("\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-size-no-number", must, "a chunk size that is no number breaks the content off", broken5("g\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-size-prefixed", must, "a chunk size with 0x breaks the content off", broken5("0x6\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-size-plus", must, "a chunk size with a sign breaks the content off", broken5("+6\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-size-minus", must, "a negative chunk size breaks the content off", broken5("-6\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-size-overflow", must, "a chunk size of 2^64+6 is not taken for 6", broken5("10000000000000006\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-size-overflow-63", must, "a chunk size of 2^64-1 is not taken for a negative number", broken5("ffffffffffffffff\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-size-space-before", quality, "a space before the chunk size breaks the content off", broken5(" 6\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-size-comma", must, "a chunk size with a comma breaks the content off", broken5("6,6\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-size-bare-lf", quality, "a chunk size that ends in LF alone breaks the content off", broken5("6\n world\r\n0\r\n\r\n")},
	{"9112-7.1-size-bare-cr", must, "a chunk size that ends in CR alone breaks the content off", broken5("6\r world\r\n0\r\n\r\n")},
	{"9112-7.1-data-short", must, "a chunk that is shorter than its size breaks the content off", broken5("7\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-data-long", must, "a chunk that is longer than its size breaks the content off", broken5("5\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1-data-without-end", must, "a chunk without CRLF behind it breaks the content off", broken5("6\r\n world0\r\n\r\n")},
	{"9112-7.1-data-bare-lf", quality, "a chunk that ends in LF alone breaks the content off", broken5("6\r\n world\n0\r\n\r\n")},
	{"9112-7.1-no-last-chunk", must, "an empty line in the place of the last chunk breaks the content off", broken5("\r\n\r\n")},
	{"9112-2.2-extension-bare-cr", must, "a bare CR in a chunk extension is not passed over", broken5("6;a\rb\r\n world\r\n0\r\n\r\n")},
	{"9112-7.1.2-trailer-malformed", quality, "a trailer section that is none breaks the content off", broken5("0\r\nno field\r\n\r\n")},
	{
		"9112-7.1.2-trailer-endless", quality, "a trailer section without end is not read for ever",
		chunks("5\r\nhello\r\n0\r\n"+strings.Repeat("X-Sum: 123456789\r\n", 1<<16)+"\r\n", oneOf(all(hello, trailedWithout("X-Sum")), cut("hello"))),
	},
}

// trailed: the content is hello, and the trailer section has exactly these lines.
func trailed(lines ...string) verdict {
	return func(r *response) string {
		if wrong := hello(r); wrong != "" {
			return wrong
		}
		var got []string
		for _, f := range r.trailers {
			got = append(got, f.name+": "+f.value)
		}
		if g, w := strings.Join(got, "\r\n"), strings.Join(lines, "\r\n"); g != w {
			return "expected the trailers " + w + "; got " + r.String()
		}
		return ""
	}
}

// trailedWithout: there is no such field in the trailer section.
func trailedWithout(name string) verdict {
	return func(r *response) string {
		if r.trailer(name) != "" {
			return "expected no trailer " + name + "; got " + r.String()
		}
		return ""
	}
}
