package conn

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestWrite(t *testing.T) {
	for _, name := range []string{"plain", "TLS"} {
		t.Run(name, func(t *testing.T) {
			var a *Accepted
			var c net.Conn
			if name == "TLS" {
				a, c, _ = secured(t, nil)
			} else {
				a, c = pair(t)
			}
			if n, err := a.Write([]byte("from us")); n != 7 || err != nil {
				t.Errorf("Write: %d, %v", n, err)
			}
			a.Close()
			if b, err := io.ReadAll(c); string(b) != "from us" || err != nil {
				t.Errorf("the client got %q, %v", b, err)
			}
		})
	}
}

func TestWriteFailsAtAClientThatDoesNotRead(t *testing.T) {
	l := listen(t, nil, nil)
	l.Write = soon
	a, _ := connect(t, l)
	if _, err := a.Write(make([]byte, 64<<20)); err == nil {
		t.Error("64 MiB went to a client that read nothing")
	}
}

func TestOf(t *testing.T) {
	a, c := pair(t)
	if Of(a) != a || Of(&secure{Accepted: a}) != a || Of(c) != nil {
		t.Error("Of does not find the Accepted")
	}
}

// TestLinger closes with input unread, which makes TCP reset the connection, and then has the client read.
func TestLinger(t *testing.T) {
	unread := strings.Repeat("x", 64<<10)
	for _, name := range []string{"plain", "TLS"} {
		t.Run(name, func(t *testing.T) {
			var a *Accepted
			var c net.Conn
			if name == "TLS" {
				a, c, _ = secured(t, nil)
			} else {
				a, c = pair(t)
			}
			if _, err := io.WriteString(c, unread); err != nil {
				t.Fatal(err)
			}
			eventually(t, "there is input", func() bool { return !a.Clean() })
			if _, err := a.Write([]byte("the answer")); err != nil {
				t.Fatal(err)
			}
			a.Linger()
			closed := make(chan error, 1)
			go func() { closed <- a.Close() }()
			b := make([]byte, 10)
			if _, err := io.ReadFull(c, b); string(b) != "the answer" {
				t.Errorf("the client got %q, %v", b, err)
			}
			if n, err := c.Read(b); n != 0 || err != io.EOF {
				t.Errorf("behind the answer: %d, %v; want a clean end", n, err)
			}
			io.WriteString(c, unread) //nolint:errcheck // and goes on sending
			c.Close()
			<-closed
		})
	}
}

func TestLingerEndsAtAClientThatNeverDoes(t *testing.T) {
	a, c := pair(t)
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 64<<10)
		for {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}()
	a.Linger()
	a.Close()
	close(stop)
	<-ended // it was reset at last
}

func TestAbort(t *testing.T) {
	t.Run("is RST", func(t *testing.T) {
		a, c := pair(t)
		a.Linger()
		a.Abort()
		a.Close()
		if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("%v, want a reset", err)
		}
	})
	t.Run("over TLS is a truncation", func(t *testing.T) {
		a, c, _ := secured(t, nil)
		if _, err := a.Write([]byte("half")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		a.Abort()
		a.Close()
		if _, err := c.Read(b); err == nil || err == io.EOF {
			t.Errorf("%v, want no close_notify", err)
		}
	})
}

func TestCloseTwice(t *testing.T) {
	a, _ := pair(t)
	a.Close()
	if err := a.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
}

func TestSecure(t *testing.T) {
	t.Run("content passes and close_notify is ErrEnd", func(t *testing.T) {
		a, c, _ := secured(t, nil)
		io.WriteString(c, "hello") //nolint:errcheck
		c.CloseWrite()             //nolint:errcheck
		b := make([]byte, 8)
		n, err := a.Read(b)
		if string(b[:n]) != "hello" || err != nil {
			t.Fatalf("read %q, %v", b[:n], err)
		}
		if n, err := a.Read(b); n != 0 || err != ErrEnd {
			t.Errorf("read %d, %v; want ErrEnd: a close_notify in the middle of a request is not its end", n, err)
		}
	})
	t.Run("FIN without close_notify is ErrCut", func(t *testing.T) {
		a, c, tcp := secured(t, nil)
		io.WriteString(c, "hello") //nolint:errcheck
		tcp.CloseWrite()           //nolint:errcheck
		b := make([]byte, 8)
		if n, err := a.Read(b); string(b[:n]) != "hello" || err != nil {
			t.Fatalf("read %q, %v", b[:n], err)
		}
		if n, err := a.Read(b); n != 0 || err != ErrCut || !errors.Is(err, ErrEnd) {
			t.Errorf("read %d, %v; want ErrCut, which is an ErrEnd", n, err)
		}
	})
	t.Run("a timer that fires early breaks nothing", func(t *testing.T) {
		a, c, _ := secured(t, nil)
		a.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck
		a.SetReadDeadline(time.Time{})     //nolint:errcheck
		for range 3 {
			io.WriteString(c, "x") //nolint:errcheck
			if n, err := a.Read(make([]byte, 8)); n != 1 || err != nil {
				t.Fatalf("read %d, %v", n, err)
			}
		}
	})
	t.Run("fasthttp can see what it is", func(t *testing.T) {
		a, _, _ := secured(t, nil)
		var c net.Conn = &secure{a, a.stream.(*tls.Conn)}
		s, ok := c.(interface {
			Handshake() error
			ConnectionState() tls.ConnectionState
		})
		if !ok || s.Handshake() != nil || !s.ConnectionState().HandshakeComplete {
			t.Error("not a TLS connection")
		}
	})
}

// TestDrain has one connection rest, and one not.
func TestDrain(t *testing.T) {
	l := listen(t, nil, nil)
	resting, c := connect(t, l)
	busy, c2 := connect(t, l)
	if !resting.Rest() {
		t.Fatal("nothing drains yet")
	}
	ended := make(chan error)
	go func() {
		_, err := resting.Read(make([]byte, 1))
		ended <- err
	}()
	l.Drain()
	if err := <-ended; err != ErrInterrupted {
		t.Errorf("what rests goes on: %v", err)
	}
	resting.Wake()
	for a, c := range map[*Accepted]net.Conn{resting: c, busy: c2} {
		io.WriteString(c, "x") //nolint:errcheck
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("what came in spite of it: %d, %v", n, err)
		}
		if a.Rest() {
			t.Error("there is time to rest")
		}
		a.Wake()
	}
}

// gathering keeps back what is written while it holds, so that many TLS records leave as one segment.
type gathering struct {
	net.Conn
	holds bool
	held  []byte
}

func (g *gathering) Write(p []byte) (int, error) {
	if !g.holds {
		return g.Conn.Write(p)
	}
	g.held = append(g.held, p...)
	return len(p), nil
}

func (g *gathering) release() {
	g.holds = false
	g.Conn.SetDeadline(time.Time{}) //nolint:errcheck // TLS leaves one behind close_notify
	g.Conn.Write(g.held)            //nolint:errcheck // the reader notices
	g.held = nil
}

// TestHolds has two records arrive at once: TLS takes both off the socket when the first is read, and then Clean alone sees
// nothing of the second.
func TestHolds(t *testing.T) {
	for _, second := range []string{"", "second", "close_notify"} {
		t.Run(second, func(t *testing.T) {
			pair, pool := certificate()
			a, tcp := connect(t, listen(t, nil, nil))
			below := &gathering{Conn: tcp}
			server := tls.Server(below, &tls.Config{Certificates: []tls.Certificate{pair}})
			client := tls.Client(a.Socket, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
			done := make(chan error, 1)
			go func() { done <- server.Handshake() }()
			if err := errors.Join(client.Handshake(), <-done); err != nil {
				t.Fatal(err)
			}
			below.holds = true
			io.WriteString(server, "first") //nolint:errcheck
			switch second {
			case "close_notify":
				server.CloseWrite() //nolint:errcheck
			default:
				io.WriteString(server, second) //nolint:errcheck
			}
			below.release()
			buf := make([]byte, 64)
			eventually(t, "everything has arrived", func() bool { return !a.Clean() })
			if n, err := client.Read(buf); string(buf[:n]) != "first" || err != nil && err != io.EOF {
				t.Fatalf("read %q, %v", buf[:n], err)
			}
			want := second != ""
			if got := a.Holds(client, buf) || !a.Clean(); got != want {
				t.Errorf("it holds something: %v, want %v", got, want)
			}
			if want {
				return
			}
			io.WriteString(server, "later") //nolint:errcheck
			if n, err := client.Read(buf); string(buf[:n]) != "later" || err != nil {
				t.Errorf("read %q, %v after Holds", buf[:n], err)
			}
		})
	}
}

func TestAbortOfAListener(t *testing.T) {
	l := listen(t, nil, nil)
	<-l.Abort() // there are none
	first, c1 := connect(t, l)
	second, c2 := connect(t, l)
	third, _ := connect(t, l)
	third.Close()
	up, _ := pair(t)
	first.Watch(up.Socket)
	none := l.Abort()
	if _, err := up.Read(make([]byte, 1)); err != ErrInterrupted {
		t.Errorf("what waits for a client's sake goes on: %v", err)
	}
	for _, c := range []net.Conn{c1, c2} {
		if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("%v, want a reset", err)
		}
	}
	first.Close()
	select {
	case <-none:
		t.Error("one is not closed yet")
	default:
	}
	second.Close()
	<-none
}
