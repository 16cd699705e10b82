//go:build linux

package conn

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

func TestWatcherSeesAClientLeave(t *testing.T) {
	tests := []struct {
		name  string
		leave func(c *net.TCPConn)
	}{
		{"by FIN", func(c *net.TCPConn) { c.CloseWrite() }},
		{"by closing", func(c *net.TCPConn) { c.Close() }},
		{"by RST", reset},
		{"behind bytes that nobody has read", func(c *net.TCPConn) { io.WriteString(c, "unread"); c.Close() }},
		{"by RST behind bytes that nobody has read", func(c *net.TCPConn) { io.WriteString(c, "unread"); reset(c) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := listen(t, watcher(t), nil)
			a, c := connect(t, l)
			other, _ := connect(t, l)
			if a.Left() {
				t.Fatal("it has left before it has")
			}
			test.leave(c)
			eventually(t, "the client has left", a.Left)
			if other.Left() {
				t.Error("another client has left, too")
			}
		})
	}
	t.Run("over TLS", func(t *testing.T) {
		a, c, _ := secured(t, watcher(t))
		c.Close()
		eventually(t, "the client has left", a.Left)
	})
	t.Run("not by close_notify alone", func(t *testing.T) {
		a, c, tcp := secured(t, watcher(t))
		c.CloseWrite() //nolint:errcheck
		eventually(t, "it has arrived", func() bool { return !a.Clean() })
		if a.Left() {
			t.Error("left without FIN")
		}
		tcp.CloseWrite() //nolint:errcheck
		eventually(t, "the client has left", a.Left)
	})
}

func TestWatch(t *testing.T) {
	read := func(s *Socket) chan error {
		done := make(chan error, 1)
		go func() { _, err := s.Read(make([]byte, 1)); done <- err }()
		return done
	}
	t.Run("a client that leaves interrupts", func(t *testing.T) {
		a, c := connect(t, listen(t, watcher(t), nil))
		up, _ := pair(t)
		a.Watch(up.Socket)
		defer a.Unwatch()
		done := read(up.Socket)
		c.Close()
		if err := <-done; err != ErrInterrupted {
			t.Errorf("%v, want ErrInterrupted", err)
		}
	})
	t.Run("a client that has left interrupts at once", func(t *testing.T) {
		a, c := connect(t, listen(t, watcher(t), nil))
		up, _ := pair(t)
		c.Close()
		eventually(t, "the client has left", a.Left)
		a.Watch(up.Socket)
		defer a.Unwatch()
		up.SetIdle(patience, patience)
		if err := <-read(up.Socket); err != ErrInterrupted {
			t.Errorf("%v, want ErrInterrupted", err)
		}
	})
	t.Run("not after Unwatch", func(t *testing.T) {
		a, c := connect(t, listen(t, watcher(t), nil))
		up, peer := pair(t)
		a.Watch(up.Socket)
		a.Unwatch()
		done := read(up.Socket)
		c.Close()
		eventually(t, "the client has left", a.Left)
		io.WriteString(peer, "x") //nolint:errcheck
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("without a Watcher nothing happens", func(t *testing.T) {
		var w *Watcher
		a, c := connect(t, listen(t, w, nil))
		up, peer := pair(t)
		a.Watch(up.Socket)
		defer a.Unwatch()
		c.Close()
		io.WriteString(peer, "x") //nolint:errcheck
		if err := <-read(up.Socket); err != nil {
			t.Error(err)
		}
		w.Close()
	})
}

func descriptor(t *testing.T, c net.Conn) (fd uintptr) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(d uintptr) { fd = d }) //nolint:errcheck
	return fd
}

// TestDescriptorIsUsedAgain gives a descriptor to a new connection before the old one has been closed to its end.
func TestDescriptorIsUsedAgain(t *testing.T) {
	l := listen(t, watcher(t), nil)
	for range 1000 {
		old, oldClient := connect(t, l)
		fd := descriptor(t, old.Conn)
		nextClient, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		old.Abort() // closes the descriptor; Close comes later
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		next := Of(accepted)
		same := descriptor(t, next.Conn) == fd
		old.Close()
		oldClient.Close()
		if next.Left() {
			t.Fatal("a new connection is taken for one that has left")
		}
		nextClient.Close()
		eventually(t, "the new client has left", next.Left)
		next.Close()
		if same {
			return
		}
	}
	t.Fatal("no descriptor was used again")
}

func TestManyConnections(t *testing.T) {
	l := listen(t, watcher(t), nil)
	const n = 300 // twice as many descriptors
	var ours [n]*Accepted
	var clients [n]*net.TCPConn
	for i := range ours {
		ours[i], clients[i] = connect(t, l)
	}
	for i := 0; i < n; i += 2 {
		clients[i].Close()
	}
	for i := 0; i < n; i += 2 {
		eventually(t, "every other client has left", ours[i].Left)
	}
	for i := 1; i < n; i += 2 {
		if ours[i].Left() {
			t.Fatalf("client %d has not left", i)
		}
	}
}

// TestCloseRaces closes both ends of connections and the Watcher at the same time. It asserts that all of it ends.
func TestCloseRaces(t *testing.T) {
	for range 20 {
		w, err := NewWatcher()
		if err != nil {
			t.Fatal(err)
		}
		l := listen(t, w, nil)
		up, _ := pair(t)
		var all sync.WaitGroup
		for range 20 {
			a, c := connect(t, l)
			a.Watch(up.Socket)
			all.Go(func() { c.Close() })
			all.Go(func() { a.Unwatch(); a.Close() })
		}
		all.Go(w.Close)
		all.Wait()
		if len(w.watched) != 0 {
			t.Errorf("%d connections are still watched", len(w.watched))
		}
		connect(t, l) // and one after the Watcher's end is just not watched
	}
}

func TestWatcherLeavesNoDescriptors(t *testing.T) {
	secured(t, nil) // opens what is opened once
	before := descriptors(t)
	for range 20 {
		w, err := NewWatcher()
		if err != nil {
			t.Fatal(err)
		}
		pair, _ := certificate()
		l := listen(t, w, &tls.Config{Certificates: []tls.Certificate{pair}})
		for range 5 {
			a, c := connect(t, l)
			c.Close()
			a.Close()
		}
		l.Close()
		w.Close()
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestHalfClosed(t *testing.T) {
	a, _ := pair(t)
	a.peerEnded(false)
	if !a.Left() {
		t.Error("a client that has sent FIN is waited for")
	}
	a.KeepHalfClosed(true)
	if a.Left() {
		t.Error("FIN counts where it is said not to")
	}
	up, _ := pair(t)
	a.Watch(up.Socket)
	if up.Interrupted() {
		t.Error("what waits for it is interrupted")
	}
	a.peerEnded(true)
	if !a.Left() || !up.Interrupted() {
		t.Error("a reset does not count")
	}
	b, _ := pair(t)
	b.KeepHalfClosed(true)
	b.peerEnded(false)
	b.KeepHalfClosed(false)
	if !b.Left() {
		t.Error("the next request waits for it, too")
	}
}
