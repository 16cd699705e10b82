package upstream

import (
	"net"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
)

// A link is a connection with what has been read from it.
type link struct {
	from   *Endpoint // nil: a health check's own
	socket *conn.Socket
	stream net.Conn // the socket, or TLS over it
	buf    []byte
	small  []byte // buf, unless that is larger for now
	r, w   int    // buf[r:w] has been read and not used
	since  time.Time
	reused bool
	heard  bool // something has come since the attempt began
}

const (
	linkBuffer = 16 << 10
	bulkBuffer = 128 << 10 // lent to a link while a long content streams
)

var bulkBuffers = sync.Pool{New: func() any { return new([bulkBuffer]byte) }}

// fill reads more behind what is there. It never reads into a full buffer.
func (l *link) fill() error {
	if l.r == l.w {
		l.r, l.w = 0, 0
	}
	n, err := l.stream.Read(l.buf[l.w:])
	l.w += n
	if n > 0 {
		l.heard = true
		return nil
	}
	return err
}

// plain reports whether there is no TLS on l.
func (l *link) plain() bool { return l.stream == net.Conn(l.socket) }

// clean reports whether l is open and the upstream has said nothing on it since the last response, neither to the system nor
// to TLS.
func (l *link) clean() bool {
	return l.socket.Clean() && (l.plain() || !l.socket.Holds(l.stream, l.buf))
}

// grow makes room behind what is there, up to limit bytes in all. It reports whether there is any.
func (l *link) grow(limit int) bool {
	if l.w < len(l.buf) {
		return true
	}
	if l.r > 0 {
		l.w = copy(l.buf, l.buf[l.r:l.w])
		l.r = 0
		return true
	}
	if len(l.buf) >= limit {
		return false
	}
	l.buf = append(l.buf, make([]byte, min(len(l.buf), limit-len(l.buf)))...)
	return true
}

// bulk lends l a larger buffer once the small one was filled at one stroke, and takes it back with slim.
func (l *link) bulk() {
	if l.r == l.w && len(l.buf) < bulkBuffer {
		l.buf, l.r, l.w = bulkBuffers.Get().(*[bulkBuffer]byte)[:], 0, 0
	}
}

func (l *link) slim() {
	if len(l.buf) == bulkBuffer {
		bulkBuffers.Put((*[bulkBuffer]byte)(l.buf))
		l.r, l.w = 0, 0
	}
	if l.r == l.w {
		l.buf, l.r, l.w = l.small, 0, 0
	}
}
