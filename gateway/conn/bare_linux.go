package conn

import (
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// A bare is what system calls of our own on the descriptor need, and the functions for it that the network poller runs. They
// do not tell the scheduler that they are in the kernel. On a descriptor that never blocks there is no need: a call takes as long as it
// takes to copy a piece. Told, the scheduler gives the processor away in the middle of many calls, and wakes threads to do so.
type bare struct {
	in, out        []byte
	got, written   int
	rErrno, wErrno unix.Errno
	reads, writes  func(fd uintptr) bool
	asking         asking
	asks           func(fd uintptr) bool
}

func (s *Socket) bind() {
	s.reads, s.writes, s.asks = s.readDescriptor, s.writeDescriptor, s.askDescriptor
}

// readOnce is one Read of the connection.
func (s *Socket) readOnce(p []byte) (int, error) {
	if s.raw == nil || len(p) == 0 {
		return s.Conn.Read(p)
	}
	s.in, s.got, s.rErrno = p, 0, 0
	err := s.raw.Read(s.reads)
	s.in = nil
	switch {
	case err != nil:
		return 0, s.failed("read", err)
	case s.rErrno != 0:
		return 0, s.failed("read", s.rErrno)
	case s.got == 0:
		return 0, io.EOF
	}
	return s.got, nil
}

func (s *Socket) readDescriptor(fd uintptr) (done bool) {
	s.got, s.rErrno = receive(fd, s.in)
	return s.rErrno != unix.EAGAIN
}

// writeOnce is one Write of the connection.
func (s *Socket) writeOnce(p []byte) (int, error) {
	if s.raw == nil {
		return s.Conn.Write(p)
	}
	s.out, s.written, s.wErrno = p, 0, 0
	err := s.raw.Write(s.writes)
	s.out = nil
	if err == nil && s.wErrno != 0 {
		err = s.wErrno
	}
	if err != nil {
		err = s.failed("write", err)
	}
	return s.written, err
}

// failed says of err where and in what it happened, as package net does.
func (s *Socket) failed(op string, err error) error {
	if e, ok := err.(*net.OpError); ok {
		err = e.Err // of the network poller's
	}
	return &net.OpError{Op: op, Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}

func (s *Socket) writeDescriptor(fd uintptr) (done bool) {
	for s.written < len(s.out) {
		n, errno := send(fd, s.out[s.written:min(len(s.out), s.written+piece)])
		s.written += n
		if errno == unix.EAGAIN {
			return false
		}
		if errno != 0 {
			s.wErrno = errno
			break
		}
	}
	return true
}

// An asking is one use of [Socket.Ask], for the function that runs on the descriptor.
type asking struct {
	p, buf   []byte
	asked    bool // p has been written whole
	wrote, n int
	errno    unix.Errno // why nothing more was written or read
	heard    bool       // there was something to read, or the end, before p was written
	ended    bool       // FIN came in the place of an answer
}

// Ask writes p on a connection that has to be open with nothing to read, as [Socket.Clean] has it, and reads the beginning of
// what comes back into buf. It saves the two system calls that would find nothing to read: the look before, and the attempt to
// read what cannot be here yet. ErrNotClean says that nothing was written. n may be 0 without an error: then a Read has to follow.
func (s *Socket) Ask(p, buf []byte) (wrote, n int, err error) {
	if s.raw == nil || s.interrupted.Load() {
		return s.askPlainly(p)
	}
	s.asking = asking{p: p, buf: buf}
	s.raw.Read(s.asks) //nolint:errcheck // what is missing then is done plainly
	a := s.asking
	s.asking = asking{}
	switch {
	case a.heard:
		return 0, 0, ErrNotClean
	case a.ended:
		return a.wrote, 0, ErrEnd
	case a.errno != 0:
		return a.wrote, 0, s.failed("ask", a.errno)
	case a.asked:
		return a.wrote, a.n, nil // if the deadline broke in, the Read that follows says what that means
	case a.wrote > 0:
		n, err := s.Write(p[a.wrote:])
		return a.wrote + n, 0, err
	}
	return s.askPlainly(p) // a deadline that was moved away has fired meanwhile, or there is no room to write
}

// askDescriptor is run by the network poller: at once, and then whenever there is something to read.
func (s *Socket) askDescriptor(fd uintptr) (done bool) {
	a := &s.asking
	n, errno := receive(fd, a.buf)
	if a.asked {
		if errno == unix.EAGAIN {
			return false
		}
		a.n, a.errno, a.ended = n, errno, n == 0 && errno == 0
		return true
	}
	if errno != unix.EAGAIN {
		a.heard = true
		return true
	}
	if a.wrote, a.errno = send(fd, a.p); a.errno == unix.EAGAIN {
		a.errno = 0
	}
	a.asked = a.wrote == len(a.p)
	return !a.asked
}

// piece is how much is given to the kernel in one call.
const piece = 64 << 10
