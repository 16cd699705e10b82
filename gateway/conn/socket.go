package conn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	// ErrEnd is the peer's FIN: it will send nothing more. On a plain connection it is a clean end exactly where a message
	// may end with the connection; elsewhere, and always below TLS, it is a truncation.
	ErrEnd = errors.New("connection ended by the peer")
	// ErrCut is FIN where TLS has not ended: whoever sent it need not be the peer. It is an ErrEnd, too.
	ErrCut = fmt.Errorf("%w without close_notify", ErrEnd)
	// ErrInterrupted says that [Socket.Interrupt] broke into a read or write.
	ErrInterrupted = errors.New("interrupted")
	// ErrNotClean says that a connection was not used: it has ended, or something has come that nobody waited for.
	ErrNotClean = errors.New("connection not clean")
)

// A Socket is a network connection below TLS. One goroutine may read and one write at a time; Interrupt and Close may be
// called by any.
type Socket struct {
	net.Conn
	read, write deadline
	interrupted atomic.Bool

	raw     syscall.RawConn // nil where the connection has no descriptor
	peek    func(fd uintptr)
	nothing bool // what peek found: open, and nothing to read
	dry     bool // a Read is to find nothing, see Holds
	bare
}

// NewSocket returns c as a Socket.
func NewSocket(c net.Conn) *Socket {
	s := &Socket{Conn: c}
	s.read.set, s.write.set = c.SetReadDeadline, c.SetWriteDeadline
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
		}
	}
	s.peek = s.peekDescriptor
	s.bind()
	return s
}

// A deadline is armed lazily: moving it away costs nothing, for when the nearer one fires it is seen that there is time left.
// On a busy connection the operating system's timer is touched once a period, not once a request.
type deadline struct {
	set   func(time.Time) error
	want  time.Time     // what was asked for; zero: none
	limit time.Time     // the end of everything, whatever was asked for; zero: none
	armed time.Time     // when the timer fires: never later than the two; zero: it does not
	idle  time.Duration // if above 0, want is this long after the beginning of each read or write
}

// until is when reading or writing has to end; zero: never.
func (d *deadline) until() time.Time {
	if !d.limit.IsZero() && (d.want.IsZero() || d.limit.Before(d.want)) {
		return d.limit
	}
	return d.want
}

// arm sees to it that the timer fires no later than it has to.
func (d *deadline) arm() error {
	t := d.until()
	if t.IsZero() || !d.armed.IsZero() && !t.Before(d.armed) {
		return nil
	}
	d.armed = t
	return d.set(t)
}

func (d *deadline) move(t time.Time) error {
	d.want = t
	return d.arm()
}

// begin is called before a read or write.
func (d *deadline) begin() error {
	if d.idle <= 0 {
		return nil
	}
	return d.move(time.Now().Add(d.idle))
}

// again is called when the timer has fired. It reports whether that was before its time, and arms it anew if so.
func (d *deadline) again() bool {
	t := d.until()
	if !t.IsZero() && !time.Now().Before(t) {
		return false
	}
	d.armed = t
	return d.set(t) == nil
}

// Read implements io.Reader. It returns [ErrEnd] where others return io.EOF.
func (s *Socket) Read(p []byte) (int, error) {
	if s.dry {
		return 0, os.ErrDeadlineExceeded
	}
	if err := s.read.begin(); err != nil {
		return 0, err
	}
	if s.interrupted.Load() { // begin may have undone what Interrupt did to the timer
		return 0, ErrInterrupted
	}
	for {
		n, err := s.readOnce(p)
		switch {
		case err == nil:
			return n, nil
		case err == io.EOF:
			return n, ErrEnd
		case s.interrupted.Load():
			return n, ErrInterrupted
		case n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !s.read.again():
			return n, err
		case s.interrupted.Load(): // between the last look and arming the timer, which undid it
			return n, ErrInterrupted
		}
	}
}

// Write implements io.Writer.
func (s *Socket) Write(p []byte) (int, error) {
	if err := s.write.begin(); err != nil {
		return 0, err
	}
	if s.interrupted.Load() {
		return 0, ErrInterrupted
	}
	written := 0
	for {
		n, err := s.writeOnce(p[written:])
		written += n
		switch {
		case err == nil:
			return written, nil
		case s.interrupted.Load():
			return written, ErrInterrupted
		case !errors.Is(err, os.ErrDeadlineExceeded) || !s.write.again():
			return written, err
		case s.interrupted.Load():
			return written, ErrInterrupted
		}
	}
}

// SetReadDeadline implements net.Conn, lazily.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.read.move(t) }

// SetWriteDeadline implements net.Conn, lazily.
func (s *Socket) SetWriteDeadline(t time.Time) error { return s.write.move(t) }

// SetDeadline implements net.Conn, lazily.
func (s *Socket) SetDeadline(t time.Time) error {
	return errors.Join(s.read.move(t), s.write.move(t))
}

// SetIdle gives each following read and each following write its own time; 0 leaves the deadline as it is.
func (s *Socket) SetIdle(read, write time.Duration) { s.read.idle, s.write.idle = read, write }

// SetReadIdle gives each following read its own time; 0 leaves the deadline as it is.
func (s *Socket) SetReadIdle(d time.Duration) { s.read.idle = d }

// SetLimit says when reading and writing end whatever their deadlines. Zero is never.
func (s *Socket) SetLimit(t time.Time) {
	s.SetReadLimit(t)
	s.write.limit = t
	s.write.arm() //nolint:errcheck // a closed connection fails by itself
}

// SetReadLimit says when reading ends whatever its deadline; another goroutine may write meanwhile.
func (s *Socket) SetReadLimit(t time.Time) {
	s.read.limit = t
	s.read.arm() //nolint:errcheck // a closed connection fails by itself
}

var past = time.Unix(1, 0)

// Interrupt makes what reads or writes now, and whatever will, fail with [ErrInterrupted].
func (s *Socket) Interrupt() {
	s.interrupted.Store(true)
	s.Conn.SetDeadline(past) //nolint:errcheck // a closed connection fails by itself
}

// Interrupted reports whether Interrupt broke into the connection, and Resume has not undone that.
func (s *Socket) Interrupted() bool { return s.interrupted.Load() }

// Resume undoes Interrupt. Nobody reads or writes meanwhile.
func (s *Socket) Resume() {
	if !s.interrupted.Swap(false) {
		return
	}
	s.read.armed, s.write.armed = past, past // so that the next attempt finds that it has time left
}

// Clean reports whether the connection is open with nothing to read: only then may it carry another message. An interrupted
// one may not. Deadlines do not matter: one that was moved away may have fired meanwhile.
func (s *Socket) Clean() bool {
	if s.raw == nil || s.interrupted.Load() {
		return !s.interrupted.Load()
	}
	s.nothing = false
	return s.raw.Control(s.peek) == nil && s.nothing
}

// askPlainly is Ask as the steps that it is made of.
func (s *Socket) askPlainly(p []byte) (wrote, n int, err error) {
	if s.interrupted.Load() {
		return 0, 0, ErrInterrupted
	}
	if !s.Clean() {
		return 0, 0, ErrNotClean
	}
	wrote, err = s.Write(p)
	return wrote, 0, err
}

// Holds reports whether stream, which is TLS over s, has anything but silence to give that it has taken off s already. What it
// gives goes into buf, which is not empty.
func (s *Socket) Holds(stream io.Reader, buf []byte) bool {
	s.dry = true
	n, err := stream.Read(buf)
	s.dry = false
	return n > 0 || !errors.Is(err, os.ErrDeadlineExceeded)
}

// Reset makes Close send RST instead of FIN, so that a content that ends with the connection is seen to be cut.
func (s *Socket) Reset() {
	if tcp, ok := s.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // it is closed next
	}
}

// CloseWrite sends FIN. What the peer still sends can be read.
func (s *Socket) CloseWrite() error {
	if tcp, ok := s.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return nil
}
