package rfc

// Answers that are not whole, each by its framing.
const (
	cutLength     = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello"
	cutInChunk    = chunkedHead + "b\r\nhello"
	cutAfterChunk = chunkedHead + "5\r\nhello\r\n"
	cutInSize     = chunkedHead + "5\r\nhello\r\n6"
	cutInLast     = chunkedHead + "5\r\nhello\r\n0\r\n"
	cutInTrailer  = chunkedHead + "5\r\nhello\r\n0\r\nX-Sum: 1\r\n"
	cutUntilClose = "HTTP/1.1 200 OK\r\n\r\nhello"
)

// world is what would have been whole.
const world = "hello world"

// The client must see each of these cuts, whatever its version: a content that would go to an HTTP/1.0 client until the connection ends
// must not end with FIN.
var responseCutRules = []rule{
	{"9112-8-cut-length", must, "content that is shorter than its length is not passed on as whole", closing.says(cutLength, cut(world))},
	{"9112-8-cut-length-reset", must, "content of a declared length that a reset cuts is not passed on as whole", resetting.says(cutLength, cut(world))},
	{
		"9112-8-cut-length-no-content", must, "content of which nothing comes is not passed on as whole",
		closing.says("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", cut(world)),
	},
	{"9112-8-cut-in-chunk", must, "content that ends within a chunk is not passed on as whole", closing.says(cutInChunk, cut(world))},
	{"9112-8-cut-in-chunk-reset", must, "content that a reset cuts within a chunk is not passed on as whole", resetting.says(cutInChunk, cut(world))},
	{"9112-8-cut-between-chunks", must, "chunked content without its last chunk is not passed on as whole", closing.says(cutAfterChunk, cut(world))},
	{
		"9112-8-cut-between-chunks-reset", must, "chunked content that a reset cuts before its last chunk is not passed on as whole",
		resetting.says(cutAfterChunk, cut(world)),
	},
	{"9112-8-cut-before-chunks", must, "chunked content without any chunk is not passed on as whole", closing.says(chunkedHead, cut(world))},
	{"9112-8-cut-in-size", must, "content that ends in a chunk's size is not passed on as whole", closing.says(cutInSize, cut(world))},
	{"9112-7.1-cut-in-last-chunk", quality, "content that ends behind the last chunk's size is not passed on as whole", closing.says(cutInLast, cut(world))},
	{"9112-7.1-cut-in-trailer", quality, "content that ends in the trailer section is not passed on as whole", closing.says(cutInTrailer, cut(world))},
	{
		"9112-8-cut-until-close-reset", must, "content that a reset cuts, and that would have lasted until the connection ends, is not passed on as whole",
		resetting.says(cutUntilClose, cut(world)),
	},
	{
		"9112-8-cut-length-late", must, "content that is cut when the client has its beginning ends with the client's connection",
		cutLate(plainGet, cutLength),
	},
	{
		"9112-8-cut-chunked-late", must, "chunked content that is cut when the client has its beginning ends with the client's connection",
		cutLate(plainGet, cutAfterChunk),
	},
	{
		"9112-8-cut-malformed-late", must, "a chunk that is none, when the client has the content before it, ends the client's connection",
		func(x *exchange) { cutLateWith(x, plainGet, cutAfterChunk, func(o *origin) { o.send("junk\r\n") }) },
	}, //nolint:errcheck // the client says it

	{"9112-8-cut-length-http10", quality, "an HTTP/1.0 client sees that content is shorter than its length", to10Closing.says(cutLength, cut(world))},
	{"9112-8-cut-in-chunk-http10", quality, "an HTTP/1.0 client sees that content has ended within a chunk", to10Closing.says(cutInChunk, cut(world))},
	{"9112-8-cut-between-chunks-http10", quality, "an HTTP/1.0 client sees that the last chunk has not come", to10Closing.says(cutAfterChunk, cut(world))},
	{"9112-8-cut-chunked-late-http10", quality, "an HTTP/1.0 client sees that content was cut when it has its beginning", cutLate(get10, cutAfterChunk)},
	{
		"9112-8-cut-until-close-http10", quality, "an HTTP/1.0 client sees that a reset has cut content that would have lasted until the connection ends",
		to10Reset.says(cutUntilClose, cut(world)),
	},

	{"9110-15.6.3-nothing", quality, "an origin that ends without a response is answered with 502", closing.says("", bad)},
	{"9110-15.6.3-reset", quality, "an origin that resets the connection without a response is answered with 502", resetting.says("", bad)},
	{"9110-15.6.3-cut-in-status-line", quality, "a status line that is cut is answered with 502", closing.says("HTTP/1.1 200 O", bad)},
	{"9110-15.6.3-cut-in-head", must, "a head that is cut is not passed on", closing.says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", bad)},
	{"9110-15.6.3-cut-in-head-field", must, "a head that is cut within a field line is not passed on", closing.says("HTTP/1.1 200 OK\r\nContent-Le", bad)},
	{
		"9110-15.6.3-binary", quality, "bytes that are no text are answered with 502",
		closing.says("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\r\n\r\n", bad),
	},
}

// cutLate makes the run of a rule in which the origin ends its connection only when the client has the beginning of the content.
func cutLate(request, bytes string) func(x *exchange) {
	return func(x *exchange) { cutLateWith(x, request, bytes, fin) }
}

func cutLateWith(x *exchange, request, bytes string, end func(o *origin)) {
	c := x.client()
	c.send(request) //nolint:errcheck // the origin says it
	o := x.origin()
	o.request()
	o.send(bytes) //nolint:errcheck // the client says it
	r := c.head()
	x.want(r.err == nil && r.status == 200, "the client got %s", r)
	if !c.comes(r, "hello") {
		return // a proxy that holds the content back is another rule's concern
	}
	end(o)
	rest, how := c.rest()
	switch {
	case how == "nothing":
		x.failf("the client's connection goes on after %q", rest)
	case r.has("Transfer-Encoding"):
		x.want(rest == "" || rest == "\r\n", "something was appended: %q", rest)
	case r.has("Content-Length"):
		x.want(rest == "", "something was appended: %q", rest)
	default:
		x.want(rest == "" && how == "RST", "content that ends with the connection got %q, then %s", rest, how)
	}
}

// comes reads the content's beginning, which must be that, and reports whether it came in time.
func (c *client) comes(r *response, content string) bool {
	if !r.has("Transfer-Encoding") {
		return c.take(len(content)) == content
	}
	got := ""
	for got != content {
		var raw string
		c.ready()
		line, err := c.readLine(&raw)
		if err != nil {
			return false
		}
		size, _ := parseSize(line)
		got += c.take(size)
		if got != content {
			c.take(2)
		}
	}
	return true
}
