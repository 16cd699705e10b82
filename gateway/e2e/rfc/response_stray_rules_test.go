package rfc

// second is a response that belongs to no request.
const second = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Second: 1\r\n\r\nsecond"

// What an origin sends behind a response answers nothing. That is looked at with another request on the client's connection, which must
// reach the origin and get its own answer: see rightAfter.
var responseStrayRules = []rule{
	{"9112-6.3-stray-bytes", must, "bytes behind content of a declared length are no response", open.says(ok+"and more", whole(200, "ok"))},
	{"9112-6.3-stray-response", must, "a second response answers nothing", open.says(ok+second, whole(200, "ok"))},
	{"9112-6.3-stray-response-is-left", quality, "a connection with a second response is not used again", open.left(ok+second, whole(200, "ok"))},
	{
		"9112-6.3-stray-after-chunks", must, "a second response behind chunked content answers nothing",
		open.says(chunkedHead+"5\r\nhello\r\n0\r\n\r\n"+second, hello),
	},
	{
		"9112-6.3-stray-after-head", must, "content behind a response to HEAD is no response",
		toHead.says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", whole(200, "")),
	},
	{
		"9112-6.3-stray-response-after-head", must, "content behind a response to HEAD that looks like a response is none",
		toHead.says("HTTP/1.1 200 OK\r\nContent-Length: 61\r\n\r\n"+second, whole(200, "")),
	},
	{
		"9112-6.3-stray-after-204", must, "content behind a 204 is no response",
		open.says("HTTP/1.1 204 No Content\r\n\r\n"+second, whole(204, "")),
	},
	{
		"9112-6.3-stray-after-204-length", must, "content of the length that a 204 declares is no response",
		open.says("HTTP/1.1 204 No Content\r\nContent-Length: 61\r\n\r\n"+second, oneOf(bad, whole(204, ""))),
	},
	{
		"9112-6.3-stray-after-304", must, "content behind a 304 is no response",
		open.says("HTTP/1.1 304 Not Modified\r\nContent-Length: 61\r\n\r\n"+second, whole(304, "")),
	},
	{
		"9112-6.3-stray-chunks-after-304", must, "chunked content behind a 304 is no response",
		open.says("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", whole(304, "")),
	},
	{"9112-9.2-stray-crlf", must, "an empty line behind a response does not spoil the next one", open.says(ok+"\r\n", whole(200, "ok"))},
	{"9112-9.2-late-response", must, "a response that comes while nothing is asked answers nothing", late(second)},
	{"9112-9.2-late-bytes", must, "bytes that come while nothing is asked answer nothing", late("x")},
	{"9112-9.2-late-100", must, "a 100 that comes while nothing is asked does not answer", late(continue100)},
	{"9112-9.2-late-408", must, "a 408 with which an origin ends an idle connection is nobody's answer", func(x *exchange) {
		c := x.client()
		x.judge(whole(200, "ok"), open.play(x, c, ok))
		o := x.origins[0]
		o.send("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n") //nolint:errcheck // the client says it
		o.close()
		x.kept(c)
	}},
	{"9112-9.2-late-to-other-client", must, "bytes that come while nothing is asked do not reach another client", func(x *exchange) {
		x.judge(whole(200, "ok"), open.play(x, x.client(), ok))
		x.origins[0].send(second) //nolint:errcheck // the other client says it
		x.kept(x.client())
	}},
}

// late makes the run of a rule in which the origin sends more when the client has its response, before the next request.
func late(bytes string) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		x.judge(whole(200, "ok"), open.play(x, c, ok))
		x.origins[0].send(bytes) //nolint:errcheck // the next response says it
		x.kept(c)
	}
}
