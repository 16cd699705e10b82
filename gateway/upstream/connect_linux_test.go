package upstream

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// full returns the address of a listener that completes no more connections: nobody accepts, and its queue is full.
func full(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*unix.SockaddrInet4).Port))
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	for range 4 { // one waits in the queue; the others are not answered
		go func() {
			if c, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
				<-ctx.Done()
				c.Close()
			}
		}()
	}
	c, err := net.DialTimeout("tcp", address, time.Second)
	for err == nil {
		defer c.Close()
		c, err = net.DialTimeout("tcp", address, time.Second)
	}
	return address
}

// TestClientLeavesWhileConnecting has a client leave while a connection is being made for it. It is not waited for.
func TestClientLeavesWhileConnecting(t *testing.T) {
	tests := []struct {
		name string
		u    func(t *testing.T) *Upstream
	}{
		{"TCP", func(t *testing.T) *Upstream { return New(Options{Name: "up", Address: full(t)}) }},
		{"TCP, within a time", func(t *testing.T) *Upstream {
			return New(Options{Name: "up", Address: full(t), ConnectTimeout: time.Hour})
		}},
		{"TLS", func(t *testing.T) *Upstream {
			return listen(t, nil).play(func(p *peer) { p.ended() }).pool(Options{TLS: clientTLS()})
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := test.u(t)
			t.Cleanup(u.Close)
			from, theirs := client(t)
			done := make(chan error, 1)
			go func() { done <- do(u, get(), from).err }()
			eventually(t, "a connection is being made", func() bool { return u.Stats().Dials == 1 })
			theirs.Close()
			var e *Error
			if err := <-done; !errors.As(err, &e) || e.Kind != ClientLeft || e.Doing != "connect" || e.Sent {
				t.Errorf("%v, want that the client left", err)
			}
			if st := u.Stats(); st.Open != 0 {
				t.Errorf("%+v, want none open", st)
			}
		})
	}
}

// TestErrorSaysWhetherAnythingWasSent is what a caller needs to try another endpoint.
func TestErrorSaysWhetherAnythingWasSent(t *testing.T) {
	tests := []struct {
		name string
		u    func(t *testing.T) *Upstream
		sent bool
	}{
		{"nothing listens", func(t *testing.T) *Upstream { return New(Options{Name: "up", Address: closed(t)}) }, false},
		{"no TLS there", func(t *testing.T) *Upstream {
			return listen(t, nil).play(func(p *peer) { p.send(ok) }).pool(Options{TLS: clientTLS()})
		}, false},
		{"connecting takes too long", func(t *testing.T) *Upstream {
			return New(Options{Name: "up", Address: full(t), ConnectTimeout: soon})
		}, false},
		{"the response does not come", func(t *testing.T) *Upstream {
			return listen(t, nil).play(func(p *peer) { p.head() }).pool(Options{})
		}, true},
		{"the response breaks off", func(t *testing.T) *Upstream {
			return listen(t, nil).play(answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1")).pool(Options{})
		}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := test.u(t)
			t.Cleanup(u.Close)
			from, _ := client(t)
			var e *Error
			if err := do(u, get(), from).err; !errors.As(err, &e) || e.Sent != test.sent || e.Endpoint != u.only().Address() {
				t.Errorf("%+v, want an error of %s that says sent: %v", e, u.only().Address(), test.sent)
			}
		})
	}
}
