package upstream

import (
	"io"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// Hops tells which of Head's fields are not to be forwarded.
func (a *Attempt) Hops() *wire.Hops { return &a.hops }

// Done reports whether the whole response has been read.
func (a *Attempt) Done() bool { return a.done }

// Arrived reports whether the whole response is known to have come, read or not.
func (a *Attempt) Arrived() bool {
	return a.done || a.Framing == wire.Length && int64(a.l.w-a.l.r) >= a.left
}

// Trailers are the fields behind a chunked content, once Done.
func (a *Attempt) Trailers() []wire.Field { return a.trailer }

// Next returns the next piece of the content, decoded from its framing, which holds until the following call. A piece may be
// empty when the response is done.
func (a *Attempt) Next() ([]byte, error) {
	if a.broken != nil {
		return nil, a.broken
	}
	piece, err := a.next()
	if err != nil {
		a.breakOff(err)
	}
	return piece, a.broken
}

// breakOff ends a response of which there will be no more, because of err.
func (a *Attempt) breakOff(err error) {
	a.broken = a.fail("response content", err)
	a.judge(a.broken)
}

func (a *Attempt) next() ([]byte, error) {
	l := a.l
	for !a.done {
		if l.r < l.w {
			piece, err := a.piece()
			if err != nil || len(piece) > 0 || a.done {
				return piece, err
			}
		}
		if l.r == l.w && l.w == len(l.buf) {
			l.bulk() // it came faster than the buffer takes it
		}
		if err := l.fill(); err != nil {
			if a.Framing == wire.UntilClose && a.cleanEnd(err) {
				a.done = true
				return nil, nil
			}
			return nil, err
		}
		a.lastAt = time.Now()
	}
	return nil, nil
}

// cleanEnd reports whether err is how a content ends that ends with the connection: FIN, and over TLS a close_notify.
func (a *Attempt) cleanEnd(err error) bool {
	if a.u.TLS != nil {
		return err == io.EOF
	}
	return err == conn.ErrEnd
}

// piece takes content out of what has been read.
func (a *Attempt) piece() ([]byte, error) {
	l := a.l
	b := l.buf[l.r:l.w]
	switch a.Framing {
	case wire.Length:
		if int64(len(b)) > a.left {
			b = b[:a.left]
		}
		a.left -= int64(len(b))
		a.done = a.left == 0
		l.r += len(b)
		return b, nil
	case wire.Chunked:
		return a.unchunk(b)
	default:
		l.r = l.w
		return b, nil
	}
}

// unchunk moves the content of all chunks in b together, at the place of the first: what leaves the gateway is chunked by
// how it arrived, not by how the upstream cut it.
func (a *Attempt) unchunk(b []byte) ([]byte, error) {
	var piece []byte
	for len(b) > 0 && !a.chunks.Done() {
		content, used, err := a.chunks.Next(b)
		a.l.r += used
		if err != nil {
			return piece, &malformed{err}
		}
		if piece == nil {
			piece = content
		} else {
			piece = append(piece, content...) // behind it lies only framing that was read
		}
		b = b[used:]
	}
	return piece, a.endOfChunks()
}

// endOfChunks has the response be done if its last chunk is.
func (a *Attempt) endOfChunks() (err error) {
	if !a.chunks.Done() {
		return nil
	}
	if a.trailer, err = wire.ParseFields(a.trailer[:0], a.chunks.Trailers()); err != nil {
		return &malformed{err}
	}
	a.done = true
	return nil
}

// Ready reports whether Next would return without waiting. The framing that is here is not content: it is taken off.
func (a *Attempt) Ready() bool {
	l := a.l
	switch {
	case l == nil:
		return false
	case a.broken != nil || a.done:
		return true
	case a.Framing != wire.Chunked || l.r == l.w:
		return l.r < l.w
	}
	used, err := a.chunks.Skip(l.buf[l.r:l.w])
	l.r += used
	if err != nil {
		err = &malformed{err}
	} else {
		err = a.endOfChunks()
	}
	if err != nil {
		a.breakOff(err)
	}
	return l.r < l.w || a.done || err != nil
}
