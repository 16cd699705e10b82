package rfc

import "slices"

// What an origin may answer with, what it may not, and what a client must see of it.
var responseRules = slices.Concat(
	responseFramingRules, // how the end of a content is found
	responseLengthRules,  // Content-Length
	responseCodingRules,  // Transfer-Encoding
	responseChunkRules,   // the chunked coding
	responseHeadRules,    // status lines and field lines
	responseInterimRules, // 1xx
	responseCutRules,     // what ends before its time
	responseStrayRules,   // what comes behind a response
)

var responseFramingRules = []rule{
	{
		"9112-6.3-length", must, "content of a declared length is passed on whole",
		open.says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", whole(200, "hello")),
	},
	{
		"9112-6.3-length-zero", must, "a declared length of 0 is a response without content, and the connection goes on",
		open.says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", whole(200, "")),
	},
	{
		"9112-6.3-chunked", must, "chunked content is passed on whole",
		open.says(chunkedHead+"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", whole(200, "hello world")),
	},
	{
		"9112-6.3-until-close", must, "content without a declared length ends with the connection",
		closing.says("HTTP/1.1 200 OK\r\n\r\nhello", whole(200, "hello")),
	},
	{
		"9112-6.3-until-close-empty", must, "content without a declared length may be empty",
		closing.says("HTTP/1.1 200 OK\r\n\r\n", whole(200, "")),
	},
	{
		"9112-6.3-until-close-with-close", must, "content without a declared length ends with the connection that Connection: close has announced",
		closing.says("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", whole(200, "hello")),
	},
	{
		"9112-6.3-until-close-not-as-length-zero", must, "an error status without a declared length has content as well",
		closing.says("HTTP/1.1 404 Not Found\r\n\r\nno such thing", whole(404, "no such thing")),
	},
	{
		"9112-6.3-http10-until-close", must, "an HTTP/1.0 response without a declared length ends with the connection",
		closing.says("HTTP/1.0 200 OK\r\n\r\nhello", whole(200, "hello")),
	},
	{
		"9112-6.3-http10-length", must, "an HTTP/1.0 response may have a declared length",
		closing.says("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", whole(200, "hello")),
	},
	{
		"9112-9.3-http10-is-left", must, "the connection of an HTTP/1.0 response without keep-alive is not used again",
		open.left("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", whole(200, "hello")),
	},
	{
		"9112-9.3-http10-keep-alive", quality, "an HTTP/1.0 response with keep-alive leaves a connection for the next request",
		func(x *exchange) {
			open.says("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", whole(200, "hello"))(x)
			x.want(x.connections() == 1, "the origin got %d connections", x.connections())
		},
	},
	{
		"9112-6.3-http10-keep-alive-until-close", must, "keep-alive does not frame an HTTP/1.0 response",
		closing.says("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello", whole(200, "hello")),
	},
	{"9112-6.3-framing-changes", must, "each response on a connection has its own framing", framingChanges},
	{
		"9112-6.3-head", must, "a response to HEAD ends with its head, whatever length it declares",
		toHead.says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", whole(200, "")),
	},
	{
		"9112-6.3-head-chunked", must, "a response to HEAD ends with its head, whatever coding it declares",
		toHead.says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", whole(200, "")),
	},
	{
		"9112-6.3-head-not-found", must, "an error in response to HEAD ends with its head",
		toHead.says("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", whole(404, "")),
	},
	{
		"9112-6.3-head-no-length", must, "a response to HEAD that declares nothing does not last until the connection ends",
		toHead.says("HTTP/1.1 200 OK\r\n\r\n", whole(200, "")),
	},
	{
		"9110-9.3.2-head-keeps-length", should, "Content-Length of a response to HEAD is passed on",
		toHead.says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", having(200, "", "Content-Length: 5")),
	},
	{
		"9110-8.6-head-invents-no-length", must, "a response to HEAD gets no Content-Length that the origin has not declared",
		toHead.says("HTTP/1.1 200 OK\r\n\r\n", having(200, "", "!Content-Length")),
	},
	{
		"9112-6.3-204", must, "a 204 ends with its head",
		open.says("HTTP/1.1 204 No Content\r\n\r\n", whole(204, "")),
	},
	{
		"9110-8.6-204-length", must, "Content-Length of a 204 is not passed on",
		open.says("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", having(204, "", "!Content-Length")),
	},
	{
		"9112-6.1-204-coding", must, "Transfer-Encoding of a 204 is not passed on",
		open.says("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", oneOf(having(204, "", "!Transfer-Encoding"), bad)),
	},
	{
		"9112-6.3-304", must, "a 304 ends with its head",
		open.says("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", having(304, "", `ETag: "a"`)),
	},
	{
		"9112-6.3-304-length", must, "a 304 ends with its head, whatever length it declares",
		open.says("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", whole(304, "")),
	},
	{
		"9112-6.3-304-chunked", must, "a 304 ends with its head, whatever coding it declares",
		open.says("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", whole(304, "")),
	},
	{
		"9110-7.7-304-keeps-length", should, "Content-Length of a 304, which describes the representation, is passed on",
		open.says("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", having(304, "", "Content-Length: 5")),
	},
	{
		"9110-8.6-304-invents-no-length", must, "a 304 gets no Content-Length that the origin has not declared",
		open.says("HTTP/1.1 304 Not Modified\r\n\r\n", having(304, "", "!Content-Length")),
	},
	{
		"9112-6.3-205-length", must, "a 205 is framed like any response: length 0",
		open.says("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", whole(205, "")),
	},
	{
		"9112-6.3-205-chunked", must, "a 205 is framed like any response: no chunk",
		open.says("HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", whole(205, "")),
	},
	{
		"9112-6.3-205-content", must, "content of a 205, which ought to have none, is not taken for the next response",
		open.says("HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello", oneOf(whole(205, "hello"), whole(205, ""), bad)),
	},
	{
		"9112-6.1-http10-client-chunked", must, "an HTTP/1.0 client gets chunked content without Transfer-Encoding",
		to10.says(chunkedHead+"5\r\nhello\r\n0\r\n\r\n", having(200, "hello", "!Transfer-Encoding")),
	},
	{
		"9112-6.3-http10-client-until-close", must, "an HTTP/1.0 client gets content that ends with the connection, without Transfer-Encoding",
		to10Closing.says("HTTP/1.1 200 OK\r\n\r\nhello", having(200, "hello", "!Transfer-Encoding")),
	},
	{
		"9112-6.3-http10-client-length", must, "an HTTP/1.0 client gets content of a declared length",
		to10.says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", having(200, "hello", "!Transfer-Encoding")),
	},
}

// chunkedHead begins a response whose content is chunked.
const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

// framingChanges has five responses follow one another on the client's connection, and on the origin's as far as they allow that.
func framingChanges(x *exchange) {
	c := x.client()
	for _, a := range []struct {
		scene
		bytes, content string
	}{
		{open, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none", "one"},
		{open, chunkedHead + "3\r\ntwo\r\n0\r\nX-Sum: 2\r\n\r\n", "two"},
		{open, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthree", "three"},
		{open, chunkedHead + "0\r\n\r\n", ""},
		{closing, "HTTP/1.1 200 OK\r\n\r\nfive", "five"},
	} {
		x.judge(whole(200, a.content), a.play(x, c, a.bytes))
	}
}
