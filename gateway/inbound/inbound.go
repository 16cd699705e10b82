package inbound

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// Options say what a client may take. Zero timeouts are none.
type Options struct {
	MaxHead     int           // bytes of a head, request line and empty line included
	HeadTimeout time.Duration // from a head's first byte to its last; the first head of a connection counts from its beginning
	IdleTimeout time.Duration // between a response and the next request
}

// Why there is no request.
var (
	// ErrOver says that the connection ended, or has been idle for too long, where a request would have begun.
	ErrOver = errors.New("no request any more")
	// ErrTimeout says that a head was begun and not ended in time.
	ErrTimeout = errors.New("the head did not arrive in time")
	// ErrLine and ErrHead say that a request line, or a whole head, is larger than allowed.
	ErrLine = errors.New("the request line is larger than the gateway takes")
	ErrHead = errors.New("the head is larger than the gateway takes")
	// ErrBareLF says that a line of a head ends in LF alone. Whoever sends that waits for us, not we for it.
	ErrBareLF = errors.New("a line that ends in LF alone")
)

// A MalformedError is what is wrong with a content: it is not what its framing says.
type MalformedError struct{ Err error }

func (e *MalformedError) Error() string { return e.Err.Error() }
func (e *MalformedError) Unwrap() error { return e.Err }

// A Conn reads the requests of one connection. One goroutine at a time uses it. What it hands out holds until the next call of Next.
type Conn struct {
	*conn.Accepted
	o *Options

	buf   []byte
	r, w  int  // buf[r:w] has been read and not used
	first bool // no request has been read yet
	last  bool // there will be no other

	begun   bool // it is known how the content ends
	framing wire.Framing
	left    int64 // of a Length content
	chunks  wire.ChunkReader
}

// firstBuffer is what a connection holds while it is idle. It grows with the heads that it has to hold.
const firstBuffer = 4 << 10

var conns = sync.Pool{New: func() any { return &Conn{buf: make([]byte, firstBuffer)} }}

// New returns the requests of a. Free must follow, once a is not read any more.
func New(a *conn.Accepted, o *Options) *Conn {
	c := conns.Get().(*Conn)
	c.Accepted, c.o = a, o
	c.r, c.w, c.first, c.last = 0, 0, true, false
	c.begun, c.framing, c.left = false, wire.NoBody, 0
	return c
}

// Free gives back what c holds. The connection itself goes on.
func (c *Conn) Free() {
	c.Accepted = nil
	if len(c.buf) > firstBuffer {
		return // another New makes a smaller one
	}
	conns.Put(c)
}

// End says that the request at hand is the connection's last.
func (c *Conn) End() { c.last = true }

// Ended reports whether End was called.
func (c *Conn) Ended() bool { return c.last }

// Next waits for a request and returns its head, the empty line included. began is when the wait for it began. An error is
// one of the package's, or what the connection broke with.
func (c *Conn) Next(began time.Time) (head []byte, err error) {
	c.begun, c.framing = false, wire.NoBody
	if c.r > 0 {
		c.w, c.r = copy(c.buf, c.buf[c.r:c.w]), 0
	}
	c.SetReadIdle(0)
	if err := c.await(began); err != nil {
		return nil, err
	}
	for seen := 0; ; {
		b := c.buf[c.r:c.w]
		if n := wire.HeadEnd(b, seen); n >= 0 {
			if n > c.o.MaxHead {
				return nil, tooLarge(b)
			}
			c.r += n
			c.first = false
			return b[:n:n], nil
		}
		if wire.BareLF(b, seen) {
			return nil, ErrBareLF
		}
		if len(b) >= c.o.MaxHead {
			return nil, tooLarge(b)
		}
		if seen == 0 && !c.first {
			c.SetReadDeadline(after(time.Now(), c.o.HeadTimeout)) //nolint:errcheck // the read fails
		}
		seen = len(b)
		if err := c.fill(); err != nil {
			return nil, missing(err)
		}
	}
}

// await waits for the first byte of a request. Empty lines before it are passed over (9112 2.2), but not any number of them.
func (c *Conn) await(began time.Time) error {
	patience := c.o.IdleTimeout
	if c.first {
		patience = c.o.HeadTimeout
	}
	for empty := 0; ; {
		for c.r+1 < c.w && c.buf[c.r] == '\r' && c.buf[c.r+1] == '\n' {
			c.r, empty = c.r+2, empty+2
		}
		if empty > c.o.MaxHead {
			return ErrHead
		}
		if c.r+1 < c.w || c.r < c.w && c.buf[c.r] != '\r' {
			return nil
		}
		if c.r == c.w {
			c.r, c.w = 0, 0
			if len(c.buf) > firstBuffer {
				c.buf = make([]byte, firstBuffer)
			}
		}
		c.SetReadDeadline(after(began, patience)) //nolint:errcheck // the read fails
		if !c.Rest() {
			return ErrOver
		}
		err := c.fill()
		c.Wake()
		if err != nil {
			return ErrOver
		}
	}
}

// after is the time d after t, or zero, which is never, if d is 0.
func after(t time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return t.Add(d)
}

// tooLarge says what of b, the beginning of a head, is too large.
func tooLarge(b []byte) error {
	if bytes.IndexByte(b, '\n') < 0 {
		return ErrLine
	}
	return ErrHead
}

// missing says why the rest of a head is not there.
func missing(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrTimeout
	}
	return err
}

// fill reads more behind what is there.
func (c *Conn) fill() error {
	if c.w == len(c.buf) {
		if c.r > 0 {
			c.w, c.r = copy(c.buf, c.buf[c.r:c.w]), 0
		} else {
			c.buf = append(c.buf, make([]byte, len(c.buf))...)
		}
	}
	n, err := c.Accepted.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}

// Begin says how the content behind the head ends; until it is called there is none to be read, nor another request. With
// UntilClose everything that follows is read as it is, for a connection that no longer speaks HTTP.
func (c *Conn) Begin(f wire.Framing, length int64) {
	c.begun, c.framing, c.left = true, f, 0
	switch f {
	case wire.Length:
		c.left = length
	case wire.Chunked:
		c.chunks.Reset()
	case wire.NoBody:
		return
	}
	c.SetReadDeadline(time.Time{}) //nolint:errcheck // the head's; the content's own is set by SetReadIdle
}

// Read reads content, decoded from its framing. It returns io.EOF behind the last byte, and then only; a [MalformedError] where
// the framing is broken, and [conn.ErrEnd] or another of the connection's where that ends.
func (c *Conn) Read(p []byte) (n int, err error) {
	switch c.framing {
	case wire.Length:
		if c.left == 0 {
			return 0, io.EOF
		}
		if int64(len(p)) > c.left {
			p = p[:c.left]
		}
		if n = copy(p, c.buf[c.r:c.w]); n > 0 {
			c.r += n
		} else {
			n, err = c.Accepted.Read(p)
		}
		c.left -= int64(n)
		return n, err
	case wire.Chunked:
		return c.unchunk(p)
	case wire.UntilClose:
		if n = copy(p, c.buf[c.r:c.w]); n > 0 {
			c.r += n
			return n, nil
		}
		return c.Accepted.Read(p)
	}
	return 0, io.EOF
}

// unchunk reads chunked content: what has been read already first, and then straight into p, where it is decoded.
func (c *Conn) unchunk(p []byte) (n int, err error) {
	for n == 0 && len(p) > 0 {
		if c.chunks.Done() {
			return 0, io.EOF
		}
		if c.r < c.w {
			content, used, err := c.chunks.Next(c.buf[c.r:min(c.w, c.r+len(p))])
			c.r += used
			if n = copy(p, content); err != nil {
				return n, &MalformedError{err}
			}
			continue
		}
		got, failed := c.Accepted.Read(p)
		for b := p[:got]; len(b) > 0; {
			if c.chunks.Done() {
				c.unread(b)
				break
			}
			content, used, err := c.chunks.Next(b)
			if err != nil {
				return n, &MalformedError{err}
			}
			n += copy(p[n:], content)
			b = b[used:]
		}
		if failed != nil {
			return n, failed
		}
	}
	return n, nil
}

// unread keeps b, which lies behind the content, for the next request.
func (c *Conn) unread(b []byte) {
	if len(c.buf)-c.w < len(b) { // the head at hand keeps the old memory
		c.buf, c.r, c.w = make([]byte, max(firstBuffer, len(b))), 0, 0
	}
	c.w += copy(c.buf[c.w:], b)
}

// Trailers are the field lines behind a chunked content that has been read to its end, with the empty line after them.
func (c *Conn) Trailers() []byte {
	if c.framing != wire.Chunked {
		return nil
	}
	return c.chunks.Trailers()
}

// Done reports whether the content has been read to its end.
func (c *Conn) Done() bool {
	switch c.framing {
	case wire.Length:
		return c.left == 0
	case wire.Chunked:
		return c.chunks.Done()
	}
	return c.framing == wire.NoBody
}

// Skip reads what is left of the content, which takes no longer than a head may. It reports whether another request may follow.
func (c *Conn) Skip() bool {
	if !c.begun || c.framing == wire.UntilClose {
		return false
	}
	if c.Done() {
		return true
	}
	c.SetReadDeadline(after(time.Now(), c.o.HeadTimeout)) //nolint:errcheck // the read fails
	var waste [8 << 10]byte
	for {
		switch _, err := c.Read(waste[:]); err {
		case nil:
		case io.EOF:
			return true
		default:
			return false
		}
	}
}

// Buffered is what has been read of whatever follows the content.
func (c *Conn) Buffered() []byte { return c.buf[c.r:c.w] }
