//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
	"unsafe"
)

// The load generator and the upstream share the machine with what they measure. Both are therefore one thread around
// epoll and plain descriptors: a goroutine per connection would cost them more than the proxies under test cost.

// A poller waits for descriptors to become readable.
type poller struct {
	fd     int
	events [128]syscall.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() { _ = syscall.Close(p.fd) }

// add watches fd; wait reports it by tag.
func (p *poller) add(fd, tag int) error {
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(tag)}
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &event)
}

// epollPwait2 is epoll_wait with a timeout in nanoseconds (Linux 5.11); its number is the same on all architectures
// but alpha.
const epollPwait2 = 441

// wait returns what has become readable, nothing when the timeout is over. A negative timeout is none.
func (p *poller) wait(timeout time.Duration) ([]syscall.EpollEvent, error) {
	var ts *syscall.Timespec
	if timeout >= 0 {
		t := syscall.NsecToTimespec(int64(timeout))
		ts = &t
	}
	n, _, errno := syscall.Syscall6(epollPwait2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(unsafe.Pointer(ts)), 0, 0)
	switch errno {
	case 0:
		return p.events[:n], nil
	case syscall.EINTR:
		return nil, nil
	}
	return nil, fmt.Errorf("epoll_pwait2: %w", errno)
}

// exactTimers asks the kernel to end this thread's waits on time; it may be 50 µs late otherwise, half of what
// passes between two paced requests.
func exactTimers() {
	const setTimerSlack = 29
	_, _, _ = syscall.Syscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0)
}

// listen opens a listening descriptor on a port of the kernel's choice.
func listen() (fd int, addr netip.AddrPort, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: loopback.As4()})
	if err == nil {
		err = syscall.Listen(fd, 1024)
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return -1, netip.AddrPort{}, err
	}
	return fd, netip.AddrPortFrom(loopback, uint16(name.(*syscall.SockaddrInet4).Port)), nil
}

// dial connects to a loopback address and returns a descriptor that never blocks.
func dial(addr netip.AddrPort) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	if err == nil {
		err = prepare(fd)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return -1, fmt.Errorf("dial %s: %w", addr, err)
	}
	return fd, nil
}

// prepare makes a connected descriptor non-blocking and sends its bytes at once.
func prepare(fd int) error {
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	return syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
}

// writeAll writes b in one go. A few hundred bytes always fit into an empty socket buffer: if they don't, the peer has
// stopped reading.
func writeAll(fd int, b []byte) error {
	n, err := syscall.Write(fd, b)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if n < len(b) {
		return fmt.Errorf("write: %d of %d bytes taken", n, len(b))
	}
	return nil
}

var errClosed = errors.New("connection closed by the peer")

// readSome reads what there is, 0 bytes if there is nothing yet.
func readSome(fd int, b []byte) (int, error) {
	n, err := syscall.Read(fd, b)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read: %w", err)
	case n == 0:
		return 0, errClosed
	}
	return n, nil
}
