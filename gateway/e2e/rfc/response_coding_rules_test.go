package rfc

import "strings"

// coded makes the answer of an origin that sends "hello" in one chunk, and has these field lines.
func coded(lines ...string) string {
	return "HTTP/1.1 200 OK\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
}

// unchunked is what coded would be to somebody who does not see that it is chunked.
const unchunked = "5\r\nhello\r\n0\r\n\r\n"

// hello: the content is hello, and nothing of its framing.
var hello = whole(200, "hello")

var responseCodingRules = []rule{
	{
		"9112-7-coding-case", must, "the names of transfer codings are case-insensitive",
		open.says(coded("Transfer-Encoding: CHUNKED"), hello),
	},
	{
		"9110-5.6.1.2-coding-empty-elements", must, "empty elements of a Transfer-Encoding are ignored",
		open.says(coded("Transfer-Encoding: , chunked,"), hello),
	},
	{
		"9112-6.1-coding-unknown", must, "a content with a coding that was not undone is refused, or passed on with that coding",
		codingKept("foo, chunked"),
	},
	{
		"9112-6.1-coding-gzip", must, "a content compressed for the transfer is refused, undone, or passed on with that coding",
		codingKept("gzip, chunked"),
	},
	{
		"9112-6.3-coding-not-last", must, "a response in which chunked is not the last coding is not taken for a chunked one",
		closing.says(coded("Transfer-Encoding: chunked, gzip"), notAs("hello")),
	},
	{
		"9112-6.3-coding-other", must, "a response with another coding than chunked is not passed on without that coding",
		closing.says(coded("Transfer-Encoding: foo"), notAs("hello", unchunked)),
	},
	{
		"9112-6.1-chunked-twice", quality, "chunked twice is refused",
		open.says(coded("Transfer-Encoding: chunked, chunked"), bad),
	},
	{
		"9112-6.1-chunked-twice-lines", quality, "chunked twice, in two lines, is refused",
		open.says(coded("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), bad),
	},
	{
		"9112-7.1-chunked-parameter", should, "a parameter of chunked is an error",
		open.says(coded("Transfer-Encoding: chunked;level=1"), bad),
	},
	{
		"9112-6.3-coding-xchunked", must, "a name that ends in chunked is another coding",
		closing.says(coded("Transfer-Encoding: xchunked"), notAs("hello", unchunked)),
	},
	{
		"9112-6.3-coding-quoted", must, "chunked in quotes is another coding",
		closing.says(coded(`Transfer-Encoding: "chunked"`), notAs("hello", unchunked)),
	},
	{
		"9112-6.3-coding-vertical-tab", must, "chunked behind a control character is another coding",
		closing.says(coded("Transfer-Encoding: \x0bchunked"), notAs("hello", unchunked)),
	},
	{
		"9112-6.3-coding-over-length", must, "Transfer-Encoding overrides Content-Length, which is not passed on; or the response is refused",
		open.says(coded("Content-Length: 3", "Transfer-Encoding: chunked"), oneOf(bad, having(200, "hello", "!Content-Length: 3"))),
	},
	{
		"9112-6.3-coding-over-later-length", must, "Transfer-Encoding overrides a Content-Length behind it, which is not passed on; or the response is refused",
		open.says(coded("Transfer-Encoding: chunked", "Content-Length: 30"), oneOf(bad, having(200, "hello", "!Content-Length: 30"))),
	},
	{
		"9112-6.3-coding-and-length-left", quality, "the connection of a response with Transfer-Encoding and Content-Length is not used again",
		open.left(coded("Transfer-Encoding: chunked", "Content-Length: 15"), oneOf(bad, hello)),
	},
	{
		"9112-6.3-coding-over-invalid-length", must, "Transfer-Encoding overrides an invalid Content-Length, which is not passed on; or the response is refused",
		open.says(coded("Content-Length: x", "Transfer-Encoding: chunked"), oneOf(bad, having(200, "hello", "!Content-Length: x"))),
	},
	{
		"9112-6.3-unknown-coding-over-length", must, "another coding overrides Content-Length: the content is not taken to be of that length",
		closing.says("HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\nContent-Length: 5\r\n\r\nhello and more", notAs("hello", "hello and more")),
	},
	{
		"9112-6.1-coding-in-http10", must, "an HTTP/1.0 response with Transfer-Encoding is faulty: its connection is not used again, and its chunks are no content",
		open.left("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"+unchunked, oneOf(bad, hello)),
	},
	{
		"9112-6.1-coding-in-http10-length", must, "an HTTP/1.0 response with Transfer-Encoding is faulty even if it has a Content-Length",
		open.left("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 15\r\n\r\n"+unchunked, oneOf(bad, hello)),
	},
	{
		"9112-5.1-coding-space-before-colon", must, "Transfer-Encoding with a space before its colon counts, or the response is refused",
		open.says(coded("Transfer-Encoding : chunked"), oneOf(bad, hello)),
	},
}

// codingKept makes the run of a rule in which the client either gets 502 or is told of all codings that the content still has.
func codingKept(codings string) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the origin says it
		o := x.origin()
		o.request()
		o.send(coded("Transfer-Encoding: " + codings)) //nolint:errcheck // the client says it
		r := c.head()
		x.want(r.err == nil, "the client got %s", r)
		x.want(r.status == 502 || strings.EqualFold(r.field("Transfer-Encoding"), codings), "expected 502, or the codings %q; got %s", codings, r)
	}
}

// notAs: whatever the client gets is not whole with one of these contents.
func notAs(contents ...string) verdict {
	return func(r *response) string {
		for _, c := range contents {
			if whole(200, c)(r) == "" {
				return "taken for something else: the client got " + r.String()
			}
		}
		return ""
	}
}
