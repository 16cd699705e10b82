package gateway

import (
	"errors"
	"fmt"
	"io"

	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/valyala/fasthttp"
)

// errBodyLimit says that a request's content grew over the route's limit while it was being sent.
var errBodyLimit = errors.New("content larger than this route takes")

// A requestContent is a client's content on its way to the upstream. It streams, unless a step asks to see it first: what
// was read for that is kept and sent before the rest. It implements [upstream.Body].
type requestContent struct {
	framing wire.Framing
	length  int64 // declared; -1 if not
	limit   int64 // 0: none
	stream  io.Reader
	header  *fasthttp.RequestHeader

	ahead    []byte // read for a step and not sent yet
	ended    bool   // the stream's last byte has been read
	read     int64
	replaced bool // ahead is the content that a step has put in its place
	buf      []byte
	trailers []wire.Field
}

func (c *requestContent) reset() {
	*c = requestContent{ahead: c.ahead[:0], buf: c.buf[:0], trailers: c.trailers[:0], length: -1}
}

// begin makes c the content of the request that ctx holds.
func (c *requestContent) begin(ctx *fasthttp.RequestCtx, head *wire.RequestHead, limit int64) {
	c.framing, c.length, c.limit = head.Framing, head.Length, limit
	c.header = &ctx.Request.Header
	if c.stream = ctx.RequestBodyStream(); c.stream == nil || c.length == 0 {
		c.ended = true
	}
}

// none reports whether there is no content to send.
func (c *requestContent) none() bool {
	return !c.replaced && (c.framing == wire.NoBody || c.framing == wire.Length && c.length == 0)
}

const contentBuffer = 32 << 10

// pull reads more of the stream into b.
func (c *requestContent) pull(b []byte) (int, error) {
	if c.ended {
		return 0, io.EOF
	}
	n, err := c.stream.Read(b)
	c.read += int64(n)
	if c.limit > 0 && c.read > c.limit {
		return n, errBodyLimit
	}
	if err == io.EOF {
		if c.length >= 0 && c.read < c.length {
			return n, io.ErrUnexpectedEOF
		}
		c.ended, err = true, nil
	}
	return n, err
}

// Next implements [upstream.Body].
func (c *requestContent) Next() ([]byte, error) {
	if len(c.ahead) > 0 {
		b := c.ahead
		c.ahead = nil
		return b, nil
	}
	if cap(c.buf) < contentBuffer {
		c.buf = make([]byte, contentBuffer)
	}
	for !c.ended && !c.replaced {
		n, err := c.pull(c.buf[:contentBuffer])
		if n > 0 || err != nil {
			return c.buf[:n], err
		}
	}
	return nil, io.EOF
}

// Trailers implements [upstream.Body].
func (c *requestContent) Trailers() []wire.Field {
	if c.replaced {
		return nil
	}
	for name := range c.header.Trailers() {
		f := wire.Field{Name: name, Value: c.header.PeekBytes(name), Known: wire.Lookup(name)}
		if wire.TrailerAllowed(&f) {
			c.trailers = append(c.trailers, f)
		}
	}
	return c.trailers
}

// fetch reads ahead until there are more than limit bytes, or all.
func (c *requestContent) fetch(limit int) error {
	for !c.ended && len(c.ahead) <= limit {
		if len(c.ahead) == cap(c.ahead) {
			c.ahead = append(c.ahead, 0)[:len(c.ahead)]
		}
		n, err := c.pull(c.ahead[len(c.ahead):min(cap(c.ahead), limit+1)])
		c.ahead = c.ahead[:len(c.ahead)+n]
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *requestContent) prefix(limit int) (prefix []byte, whole bool, err error) {
	if c.read > int64(len(c.ahead)) && !c.replaced {
		return nil, false, fmt.Errorf("read the request's content: %w", engine.ErrPhase) // it has been sent
	}
	if !c.replaced {
		if err := c.fetch(limit); err != nil {
			return nil, false, err
		}
	}
	return c.ahead[:min(limit, len(c.ahead))], len(c.ahead) <= limit, nil
}

func (c *requestContent) whole(limit int) ([]byte, error) {
	b, whole, err := c.prefix(limit)
	if err != nil {
		return nil, err
	}
	if !whole {
		return nil, tooLarge("request content of more than %d bytes", limit)
	}
	return b, nil
}

// replace puts body in the place of the content, which must have been read whole: bytes that stay on the connection would be
// taken for the next request.
func (c *requestContent) replace(body []byte) error {
	if !c.ended && c.framing != wire.NoBody {
		return fmt.Errorf("set the request's content before it was read: %w", engine.ErrPhase)
	}
	c.ahead, c.replaced, c.ended = body, true, true
	c.framing, c.length = wire.Length, int64(len(body))
	return nil
}

// A responseContent is the upstream's content on its way to the client: the pieces of an attempt, or what a step has read
// ahead or put in its place. It remembers the beginning for classification.
type responseContent struct {
	attempt *upstream.Attempt // nil while there is none

	ahead    []byte // read for a step and not sent yet
	replaced bool   // ahead is what a step has put in its place
	unsent   bool   // ahead has not been sent

	want    int    // how much of the beginning to remember
	start   []byte // the beginning
	decoded []byte
	plain   bool // decoded is what start says
	all     bool // start is all of the content
}

func (c *responseContent) reset() {
	*c = responseContent{ahead: c.ahead[:0], start: c.start[:0], decoded: c.decoded[:0]}
}

// done reports whether everything has been handed out.
func (c *responseContent) done() bool {
	return !c.unsent && (c.replaced || c.attempt == nil || c.attempt.Done())
}

// next returns the next piece, which holds until the following call.
func (c *responseContent) next() ([]byte, error) {
	var piece []byte
	var err error
	if c.unsent {
		piece, c.unsent = c.ahead, false
	} else {
		piece, err = c.attempt.Next()
	}
	if room := c.want - len(c.start); room > 0 {
		c.start = append(c.start, piece[:min(room, len(piece))]...)
		c.all = len(piece) <= room && err == nil && c.done()
	}
	return piece, err
}

// length is the content's, if it is known before it is sent; else -1.
func (c *responseContent) length() int64 {
	if c.replaced {
		return int64(len(c.ahead))
	}
	return c.attempt.Length
}

func (c *responseContent) whole(limit int) ([]byte, error) {
	if c.replaced {
		return c.ahead, nil
	}
	for !c.attempt.Done() {
		piece, err := c.attempt.Next()
		if err != nil {
			return nil, err
		}
		c.ahead = append(c.ahead, piece...)
		c.unsent = true
		if len(c.ahead) > limit {
			return nil, tooLarge("response content of more than %d bytes", limit)
		}
	}
	return c.ahead, nil
}

func (c *responseContent) replace(body []byte, responding bool) error {
	if responding && !c.replaced && !c.attempt.Done() {
		return fmt.Errorf("set the response's content before it was read: %w", engine.ErrPhase)
	}
	c.ahead, c.replaced, c.unsent = body, true, len(body) > 0
	return nil
}

// prefix returns at most limit bytes of the beginning, as far as they have come, with the content coding undone.
func (c *responseContent) prefix(limit int, fields []wire.Field) (prefix []byte, whole bool, err error) {
	if c.unsent && len(c.start) == 0 {
		return nil, false, fmt.Errorf("read the response's beginning before it came: %w", engine.ErrPhase)
	}
	if !c.plain {
		c.plain = true
		c.decoded, c.all = decode(c.decoded[:0], c.start, max(c.want, limit), contentCoding(fields), c.all)
	}
	b := c.decoded
	return b[:min(limit, len(b))], c.all && len(b) <= limit, nil
}
