package conn

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// A Watcher notices clients that leave while nobody reads from them. It owns one epoll descriptor and one goroutine; a
// connection is registered once, when accepted. A nil Watcher notices nothing.
type Watcher struct {
	epoll, wake int
	ended       chan struct{}

	mu      sync.Mutex
	watched map[int32]watched
	serial  int32
}

type watched struct {
	conn   *Accepted
	serial int32 // tells a connection from an earlier one with the same descriptor
}

// NewWatcher starts a Watcher. Close stops it.
func NewWatcher() (*Watcher, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	w := &Watcher{epoll: epoll, wake: wake, ended: make(chan struct{}), watched: map[int32]watched{}}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}); err != nil {
		unix.Close(wake)
		unix.Close(epoll)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	go w.run()
	return w, nil
}

// Close ends w's goroutine. Connections that are still open are not watched any more.
func (w *Watcher) Close() {
	if w == nil {
		return
	}
	unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) //nolint:errcheck // an eventfd with room takes it
	<-w.ended
	w.mu.Lock()
	defer w.mu.Unlock()
	unix.Close(w.wake)
	unix.Close(w.epoll)
	w.epoll = -1
}

func (w *Watcher) run() {
	defer close(w.ended)
	var events [64]unix.EpollEvent
	for {
		n, err := unix.EpollWait(w.epoll, events[:], -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			panic("BUG: epoll_wait: " + err.Error())
		}
		for _, e := range events[:n] {
			if e.Fd < 0 {
				return
			}
			w.mu.Lock()
			c := w.watched[e.Fd]
			w.mu.Unlock()
			if c.conn != nil && c.serial == e.Pad {
				c.conn.peerEnded(e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0)
			}
		}
	}
}

// add watches a until the function that it returns is called. By then a's descriptor may have been closed, and be another's.
func (w *Watcher) add(a *Accepted) (remove func()) {
	if w == nil || a.raw == nil {
		return func() {}
	}
	var fd, serial int32
	a.raw.Control(func(d uintptr) { //nolint:errcheck // fails for a closed connection only
		fd = int32(d)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.serial++
		serial = w.serial
		w.watched[fd] = watched{a, w.serial}
		unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{ //nolint:errcheck // then it is not noticed
			Events: unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: fd, Pad: w.serial,
		})
	})
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.watched[fd].serial == serial {
			delete(w.watched, fd)
		}
	}
}
