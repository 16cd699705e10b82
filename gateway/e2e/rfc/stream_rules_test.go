package rfc

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// dribble makes the run of a rule in which each of these pieces of a response must reach the client before the origin sends the next one.
// The client sees the last line of a piece in what it gets.
func dribble(end func(o *origin), head string, pieces ...string) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the origin says it
		o := x.origin()
		o.request()
		o.send(head) //nolint:errcheck // the client says it
		r := c.head()
		x.want(r.err == nil && r.status == 200, "the client got %s", r)
		for _, p := range pieces {
			text := p
			if strings.Contains(head, "chunked") {
				p = fmt.Sprintf("%x\r\n%s\r\n", len(p), p)
			}
			o.send(p) //nolint:errcheck // the client says it
			x.want(c.comes(r, text), "%q did not come before the rest of the content", text)
			if r.has("Transfer-Encoding") {
				c.take(2)
			}
		}
		if end != nil {
			end(o)
		}
	}
}

// uploads makes the run of a rule in which each of these pieces of a request's content must reach the origin before the client sends the next.
func uploads(head string, chunked bool, pieces ...string) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, head)
		for _, p := range pieces {
			text := p
			if chunked {
				p = fmt.Sprintf("%x\r\n%s\r\n", len(p), p)
			}
			c.send(p) //nolint:errcheck // the origin says it
			as := &client{o.end}
			x.want(as.comes(&response{message: q.message}, text), "%q did not come before the rest of the content", text)
			if q.has("Transfer-Encoding") {
				as.take(2)
			}
		}
	}
}

// most is more than a proxy and the system take between two ends of which one does not read.
const most = 64 << 20

// stalls sends bytes until the other side has taken none for a while, and reports whether it came to that before all were sent. However
// slow the machine is, a proxy that holds its sender is never taken for one that does not.
func (e *end) stalls(total int) bool {
	piece := []byte(strings.Repeat("0123456789abcdef", 1<<12))
	for sent := 0; sent < total; {
		e.conn.SetWriteDeadline(time.Now().Add(time.Second)) //nolint:errcheck // of TCP it has deadlines
		n, err := e.conn.Write(piece)
		if sent += n; err != nil {
			return isTimeout(err)
		}
	}
	return false
}

// bulk is a content that no buffer holds.
func bulk() string {
	var b strings.Builder
	for i := 0; b.Len() < 2<<20; i++ {
		sum := sha256.Sum256(fmt.Append(nil, i))
		b.Write(sum[:])
	}
	return b.String()
}

// chunkedBulk is content in chunks of many sizes.
func chunkedBulk(content string) string {
	var b strings.Builder
	for n := 1; len(content) > 0; n = n*3%65521 + 1 {
		n = min(n, len(content))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, content[:n])
		content = content[n:]
	}
	return b.String() + "0\r\n\r\n"
}

// down makes the run of a rule in which a response of much content must come whole.
func down(s scene, chunked bool) func(x *exchange) {
	return func(x *exchange) {
		content := bulk()
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the origin says it
		o := x.origin()
		o.request()
		x.meanwhile(func() {
			switch {
			case chunked:
				o.send(chunkedHead + chunkedBulk(content)) //nolint:errcheck // the client says it
			case s.end != nil:
				o.send("HTTP/1.1 200 OK\r\n\r\n" + content) //nolint:errcheck // the client says it
				s.end(o)
			default:
				o.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(content), content)) //nolint:errcheck // the client says it
			}
		})
		r := c.response("GET")
		x.want(r.err == nil && r.status == 200 && r.content == content, "the client got other content: %d bytes of %d, error %v", len(r.content), len(content), r.err)
	}
}

// up makes the run of a rule in which a request of much content must come whole.
func up(head string, encode func(content string) string) func(x *exchange) {
	return func(x *exchange) {
		content := bulk()
		c := x.client()
		x.meanwhile(func() { c.send(head + encode(content)) }) //nolint:errcheck // the origin says it
		o := x.origin()
		q := o.request()
		x.want(q.err == nil && q.content == content, "the origin got other content: %d bytes of %d, error %v", len(q.content), len(content), q.err)
		o.send(ok) //nolint:errcheck // the client says it
		x.judge(whole(200, "ok"), c.response("POST"))
	}
}

const (
	chunkedPost = "POST / HTTP/1.1\r\nHost: rfc.test\r\nTransfer-Encoding: chunked\r\n\r\n"
	tenPost     = "POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 10\r\n\r\n"
)

var streamRules = []rule{
	{"9110-7.6-response-head-at-once", quality, "a response head is passed on before there is content", dribble(nil, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")},
	{
		"9110-7.6-response-length-at-once", quality, "content of a declared length is passed on as it comes",
		dribble(nil, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "h", "ello"),
	},
	{"9110-7.6-response-chunked-at-once", quality, "chunked content is passed on as it comes", dribble(nil, chunkedHead, "h", "ello", " world")},
	{"9110-7.6-response-close-at-once", quality, "content that ends with the connection is passed on as it comes", dribble(fin, "HTTP/1.1 200 OK\r\n\r\n", "h", "ello")},
	{
		"9110-7.6-event-stream", quality, "events are passed on one by one",
		dribble(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n",
			"event: a\ndata: 1\n\n", "data: 2\n\n", ": still here\n\n", "data: 3\n\n"),
	},
	{"9110-7.6-request-head-at-once", quality, "a request head is passed on before there is content", uploads(tenPost, false)},
	{"9110-7.6-request-length-at-once", quality, "a request's content of a declared length is passed on as it comes", uploads(tenPost, false, "h", "ello")},
	{"9110-7.6-request-chunked-at-once", quality, "a request's chunked content is passed on as it comes", uploads(chunkedPost, true, "h", "ello", " world")},
	{"9110-7.6-duplex", quality, "content goes both ways at a time", func(x *exchange) {
		c := x.client()
		o, q := x.asksFirst(c, chunkedPost)
		o.send(chunkedHead) //nolint:errcheck // the client says it
		r := c.head()
		x.want(r.err == nil && r.status == 200, "the client got %s", r)
		as := &client{o.end}
		for i := range 20 {
			text := fmt.Sprintf("part %d", i)
			piece := fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
			c.send(piece) //nolint:errcheck // the origin says it
			x.want(as.comes(&response{message: q.message}, text), "%q did not reach the origin", text)
			as.take(2)
			o.send(piece) //nolint:errcheck // the client says it
			x.want(c.comes(r, text), "%q did not reach the client", text)
			c.take(2)
		}
		c.send("0\r\n\r\n")                         //nolint:errcheck // the origin says it
		x.equal("the end", as.take(5), "0\r\n\r\n") // of the request
		o.send("0\r\n\r\n")                         //nolint:errcheck // the client says it
		x.equal("the end", c.take(5), "0\r\n\r\n")  // of the response
	}},
	{"9110-7.6-slow-client", quality, "a client that does not read holds the origin", func(x *exchange) {
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the origin says it
		o := x.origin()
		o.request()
		o.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 2*most)) //nolint:errcheck // nobody reads it
		x.want(o.stalls(most), "%d bytes were taken from the origin, or its connection ended, while the client read nothing", most)
	}},
	{"9110-7.6-slow-origin", quality, "an origin that does not read holds the client", func(x *exchange) {
		c := x.client()
		x.asksFirst(c, fmt.Sprintf("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: %d\r\n\r\n", 2*most))
		x.want(c.stalls(most), "%d bytes were taken from the client, or its connection ended, while the origin read nothing", most)
	}},
	{"9112-6.3-bulk-length", must, "2 MiB of a declared length are passed on whole", down(open, false)},
	{"9112-6.3-bulk-chunked", must, "2 MiB in chunks of many sizes are passed on whole", down(open, true)},
	{"9112-6.3-bulk-until-close", must, "2 MiB until the connection ends are passed on whole", down(closing, false)},
	{
		"9112-6.3-bulk-upload-length", must, "2 MiB of a declared length are passed on whole to the origin",
		up(fmt.Sprintf("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: %d\r\n\r\n", 2<<20), func(content string) string { return content }),
	},
	{"9112-6.3-bulk-upload-chunked", must, "2 MiB in chunks of many sizes are passed on whole to the origin", up(chunkedPost, chunkedBulk)},

	{
		"9110-13.1.5-if-range", quality, "Range and If-Range of a request are passed on as they are",
		asked("Range: bytes=0-4, 10-,-5\r\nIf-Range: \"a\"\r\n", "Range: bytes=0-4, 10-,-5", `If-Range: "a"`),
	},
	{"9110-14.2-range-unit", quality, "a Range of a unit that nobody knows is passed on", asked("Range: pages=1-2\r\n", "Range: pages=1-2")},
	{
		"9110-7.7-206", should, "a 206 is passed on with its part",
		open.says("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/11\r\nContent-Length: 5\r\n\r\nhello", having(206, "hello", "Content-Range: bytes 0-4/11", "Content-Length: 5")),
	},
	{
		"9110-14.4-206-unit", should, "a 206 of a unit that nobody knows is passed on",
		open.says("HTTP/1.1 206 Partial Content\r\nContent-Range: pages 1-2/7\r\nContent-Length: 5\r\n\r\nhello", having(206, "hello", "Content-Range: pages 1-2/7")),
	},
	{
		"9110-7.7-206-multipart", should, "a 206 of several parts is passed on byte for byte",
		open.says("HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=X\r\nContent-Length: "+fmt.Sprint(len(parts))+"\r\n\r\n"+parts,
			having(206, parts, "Content-Type: multipart/byteranges; boundary=X", "!Content-Range")),
	},
	{
		"9110-7.7-416", should, "a 416 is passed on with the length that it tells",
		open.says("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */11\r\nContent-Length: 0\r\n\r\n", having(416, "", "Content-Range: bytes */11")),
	},
	{
		"9110-8.4-coding-bytes", quality, "coded content is passed on byte for byte",
		open.says("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "+fmt.Sprint(len(gzipped))+"\r\n\r\n"+gzipped,
			having(200, gzipped, "Content-Encoding: gzip", "Content-Length: "+fmt.Sprint(len(gzipped)))),
	},
	{
		"9110-7.7-no-transform", must, "content of a response with no-transform is passed on byte for byte",
		scene{request: "GET / HTTP/1.1\r\nHost: rfc.test\r\nAccept-Encoding: gzip\r\n\r\n"}.says(
			"HTTP/1.1 200 OK\r\nCache-Control: no-transform\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"+chunkedBulk(strings.Repeat("<p>hello</p>\n", 1000)),
			having(200, strings.Repeat("<p>hello</p>\n", 1000), "!Content-Encoding")),
	},
	{
		"9110-12.5.3-accept-encoding", quality, "Accept-Encoding is passed on as it is, and none added",
		func(x *exchange) {
			asked("Accept-Encoding: gzip;q=0.5, br\r\n", "Accept-Encoding: gzip;q=0.5, br")(x)
			asked("", "!Accept-Encoding")(x)
		},
	},
	{
		"9110-8.4-request-coding-bytes", quality, "coded content of a request is passed on byte for byte",
		on("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Encoding: gzip\r\nContent-Length: "+fmt.Sprint(len(gzipped))+"\r\n\r\n"+gzipped,
			passedAndKept(func(x *exchange, q *request) {
				x.want(q.content == gzipped && q.field("Content-Encoding") == "gzip", "the origin got %s", q)
			})),
	},
}

// parts is content of two parts.
const parts = "preamble\r\n--X\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-4/11\r\n\r\nhello\r\n--X\r\nContent-Range: bytes 6-10/11\r\n\r\nworld\r\n--X--\r\n"

// gzipped begins like a gzip file, and is none: nobody on the way has to be able to read it.
const gzipped = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xffnot really\x00\r\n\r\n0\r\n\r\n"
