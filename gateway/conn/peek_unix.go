//go:build unix && !linux

package conn

import "golang.org/x/sys/unix"

// peekDescriptor looks without waiting at what the connection holds. It has no look at a descriptor that is being waited on.
func (s *Socket) peekDescriptor(fd uintptr) {
	var b [1]byte
	n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	s.nothing = n <= 0 && (err == unix.EAGAIN || err == unix.EWOULDBLOCK)
}
