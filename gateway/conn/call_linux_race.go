//go:build linux && race

package conn

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// receive and send are calls that the race detector knows: to it, what was written before a send is seen after the receive.

func receive(fd uintptr, b []byte) (int, unix.Errno) {
	for {
		n, err := syscall.Read(int(fd), b)
		if errno, _ := err.(syscall.Errno); errno != unix.EINTR {
			return max(0, n), errno
		}
	}
}

func send(fd uintptr, b []byte) (int, unix.Errno) {
	for {
		n, err := syscall.Write(int(fd), b)
		if errno, _ := err.(syscall.Errno); errno != unix.EINTR {
			return max(0, n), errno
		}
	}
}
