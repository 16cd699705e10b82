package conn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// peekDescriptor looks without waiting at what the connection holds. The system call is made bare: it never blocks, and
// unix.Recvfrom would allocate an address that nobody wants.
func (s *Socket) peekDescriptor(fd uintptr) {
	var b [1]byte
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	s.nothing = int(n) <= 0 && errno == unix.EAGAIN
}
