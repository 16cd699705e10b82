package conn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

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
	err = s.raw.Read(s.ask)
	a := s.asking
	s.asking = asking{}
	switch {
	case a.heard:
		return 0, 0, ErrNotClean
	case a.ended:
		return a.wrote, 0, ErrEnd
	case a.errno != 0:
		return a.wrote, 0, a.errno
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

// receive and send are bare system calls: on a descriptor that never blocks there is no need to tell the scheduler.
func receive(fd uintptr, b []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return max(0, int(n)), errno
		}
	}
}

func send(fd uintptr, b []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno != unix.EINTR {
			return max(0, int(n)), errno
		}
	}
}
