package gateway

import (
	"errors"
	"fmt"
	"io"

	"github.com/breakwater-gateway/breakwater/gateway/inbound"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/plugins/engine"
)

// errBodyLimit says that a request's content grew over the route's limit while it was being sent.
var errBodyLimit = errors.New("content larger than this route takes")

// A requestContent is a client's content on its way to the upstream. It streams, unless a step asks to see it first: what
// was read for that is kept and sent before the rest. It implements [upstream.Body].
type requestContent struct {
	framing wire.Framing
	length  int64     // declared; -1 if not
	limit   int64     // 0: none
	key     string    // the field that carries the client's key, which is never forwarded
	x       *exchange // whose request it is; nil before begin

	ahead    []byte // read for a step and not sent yet
	ended    bool   // the stream's last byte has been read
	failed   error  // why it never will be
	sending  bool   // the first piece is on its way
	read     int64
	replaced bool // ahead is the content that a step has put in its place
	buf      []byte
	trailers []wire.Field // once ended
}

func (c *requestContent) reset() {
	*c = requestContent{ahead: c.ahead[:0], buf: c.buf[:0], trailers: c.trailers[:0], length: -1}
}

// begin makes c the content of x's request.
func (c *requestContent) begin(x *exchange) {
	c.x, c.framing, c.length, c.limit, c.key = x, x.in.Framing, x.in.Length, x.route.bodyLimit, x.snap.credential
	c.ended = x.from.Done()
}

// begun reports whether any of the stream has been read, or may have been.
func (c *requestContent) begun() bool { return c.sending || c.read > 0 || c.ended && c.x != nil }

// none reports whether there is no content to send.
func (c *requestContent) none() bool {
	return c.framing == wire.NoBody || c.framing == wire.Length && c.length == 0
}

const contentBuffer = 32 << 10

// pull reads more of the stream into b. A client that waits to be asked for it is asked.
func (c *requestContent) pull(b []byte) (int, error) {
	if err := c.x.Continue(); err != nil {
		c.failed = err
		return 0, err
	}
	n, err := c.readStream(b)
	if err != nil && err != io.EOF {
		c.failed = err
	}
	return n, err
}

func (c *requestContent) readStream(b []byte) (int, error) {
	if c.ended {
		return 0, io.EOF
	}
	n, err := c.x.from.Read(b)
	c.read += int64(n)
	if c.limit > 0 && c.read > c.limit {
		return n, errBodyLimit
	}
	if err != nil && err != io.EOF {
		return n, err
	}
	if c.x.from.Done() {
		c.ended = true
		return n, c.readTrailers()
	}
	return n, nil
}

// readTrailers takes the trailer section behind the last chunk: what may stand in one, and does not say who the client is.
func (c *requestContent) readTrailers() error {
	fields, err := wire.ParseFields(c.trailers[:0], c.x.from.Trailers())
	if err != nil {
		return &inbound.MalformedError{Err: err}
	}
	c.trailers = fields[:0]
	for _, f := range fields {
		if wire.TrailerAllowed(&f) && !c.x.in.Hops.Drops(&f) && !provesIdentity(f.Name) && !wire.EqualFold(f.Name, c.key) {
			c.trailers = append(c.trailers, f)
		}
	}
	return nil
}

// buffer is where what is passed on at once is read.
func (c *requestContent) buffer() []byte {
	if cap(c.buf) < contentBuffer {
		c.buf = make([]byte, contentBuffer)
	}
	return c.buf[:contentBuffer]
}

// Next implements [upstream.Body].
func (c *requestContent) Next() ([]byte, error) {
	c.sending = true
	if len(c.ahead) > 0 {
		b := c.ahead
		c.ahead = nil
		return b, nil
	}
	b := c.buffer()
	for !c.ended {
		if n, err := c.pull(b); n > 0 || err != nil {
			return b[:n], err
		}
	}
	return nil, io.EOF
}

// Trailers implements [upstream.Body].
func (c *requestContent) Trailers() []wire.Field { return c.trailers }

// prefix returns at most limit bytes of the beginning with the content coding undone, and whether that is all. It waits for
// them.
func (c *requestContent) prefix(limit int, coding string) (prefix []byte, whole bool, err error) {
	if coding == "" {
		return c.fetch(limit)
	}
	raw, all, err := c.fetch(limit + codedRoom)
	if err != nil {
		return nil, false, err
	}
	b, all := decode(nil, raw, limit+1, coding, all)
	return b[:min(limit, len(b))], all && len(b) <= limit, nil
}

// fetch reads ahead and returns at most limit bytes of the content as it is coded, and whether that is all.
func (c *requestContent) fetch(limit int) (b []byte, whole bool, err error) {
	if c.sending {
		return nil, false, fmt.Errorf("read the request's content: %w", engine.ErrPhase)
	}
	for !c.ended && len(c.ahead) <= limit {
		if len(c.ahead) == cap(c.ahead) {
			c.ahead = append(c.ahead, 0)[:len(c.ahead)]
		}
		n, err := c.pull(c.ahead[len(c.ahead):min(cap(c.ahead), limit+1)])
		c.ahead = c.ahead[:len(c.ahead)+n]
		if err != nil {
			return nil, false, err
		}
	}
	return c.ahead[:min(limit, len(c.ahead))], len(c.ahead) <= limit, nil
}

// replace puts body in the place of the content. That is read to its end first: what stays on the connection would be taken
// for the next request.
func (c *requestContent) replace(body []byte) error {
	for !c.ended {
		if _, err := c.pull(c.buffer()); err != nil {
			return err
		}
	}
	c.ahead, c.replaced = append(c.ahead[:0], body...), true
	c.framing, c.length = wire.Length, int64(len(body))
	return nil
}

// A responseContent is the upstream's content on its way to the client: the pieces of an attempt, or what a step has read
// ahead or put in its place. It remembers the beginning for classification.
type responseContent struct {
	attempt *upstream.Attempt // nil while there is none

	ahead    []byte // read for a step, or put in the content's place
	unsent   bool   // ahead has not been sent
	replaced bool   // ahead is all, and the step's

	want    int    // how much of the beginning to remember
	start   []byte // the beginning
	over    bool   // there was more than start
	decoded []byte
}

func (c *responseContent) reset() {
	*c = responseContent{ahead: c.ahead[:0], start: c.start[:0], decoded: c.decoded[:0]}
}

// ended reports whether there is nothing more to be read from the upstream.
func (c *responseContent) ended() bool { return c.replaced || c.attempt == nil || c.attempt.Done() }

// done reports whether everything has been handed out.
func (c *responseContent) done() bool { return !c.unsent && c.ended() }

// next returns the next piece, which holds until the following call.
func (c *responseContent) next() (piece []byte, err error) {
	if c.unsent {
		piece, c.unsent = c.ahead, false
	} else {
		piece, err = c.attempt.Next()
	}
	room := c.want - len(c.start)
	c.start = append(c.start, piece[:min(room, len(piece))]...)
	c.over = c.over || len(piece) > room
	return piece, err
}

// length is the content's, if it is known before it is sent; else -1.
func (c *responseContent) length() int64 {
	if c.replaced {
		return int64(len(c.ahead))
	}
	return c.attempt.Length
}

// fetch reads ahead until there are more than limit bytes of the content as it is coded, or all.
func (c *responseContent) fetch(limit int) error {
	for !c.ended() && len(c.ahead) <= limit {
		piece, err := c.attempt.Next()
		c.ahead = append(c.ahead, piece...)
		c.unsent = len(c.ahead) > 0
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *responseContent) whole(limit int) ([]byte, error) {
	if err := c.fetch(limit); err != nil {
		return nil, err
	}
	if len(c.ahead) > limit {
		return nil, tooLarge("response content of more than %d bytes", limit)
	}
	return c.ahead, nil
}

// replace puts body in the place of the content, of which no more is read.
func (c *responseContent) replace(body []byte) {
	c.ahead, c.replaced, c.unsent = append(c.ahead[:0], body...), true, len(body) > 0
}

// codedRoom is how much more of a coded content than of a plain one is read for the same prefix.
const codedRoom = 64 << 10

// prefix returns at most limit bytes of the beginning with the content coding undone, and whether that is all. Before the
// head is sent it waits for them; after that it tells what has been remembered.
func (c *responseContent) prefix(limit int, coding string, before bool) (prefix []byte, whole bool, err error) {
	raw, all := c.start, !c.over && c.done()
	if before {
		room := limit
		if coding != "" {
			room += codedRoom
		}
		if err := c.fetch(room); err != nil {
			return nil, false, err
		}
		raw, all = c.ahead, c.ended()
	}
	c.decoded, all = decode(c.decoded[:0], raw, limit+1, coding, all)
	return c.decoded[:min(limit, len(c.decoded))], all && len(c.decoded) <= limit, nil
}
