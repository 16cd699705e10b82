package conn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// much does not fit into the buffers of a connection.
var much = make([]byte, 64<<20)

// soon is a deadline that a test waits for. Nothing is said of how late it may fire.
const soon = 20 * time.Millisecond

func TestReadDeadline(t *testing.T) {
	longAgo := time.Unix(1, 0)
	tests := []struct {
		name string
		set  func(s *Socket) (notBefore time.Time)
	}{
		{"fires not before its time", func(s *Socket) time.Time {
			at := time.Now().Add(soon)
			s.SetReadDeadline(at)
			return at
		}},
		{"moved away fires at its new time", func(s *Socket) time.Time {
			s.SetReadDeadline(time.Now().Add(soon))
			at := time.Now().Add(3 * soon)
			s.SetReadDeadline(at)
			return at
		}},
		{"moved away after it has fired, too", func(s *Socket) time.Time {
			s.SetReadDeadline(longAgo)
			at := time.Now().Add(soon)
			s.SetReadDeadline(at)
			return at
		}},
		{"moved nearer fires at its new time", func(s *Socket) time.Time {
			s.SetReadDeadline(time.Now().Add(time.Hour))
			at := time.Now().Add(soon)
			s.SetReadDeadline(at)
			return at
		}},
		{"in the past fires at once", func(s *Socket) time.Time {
			s.SetReadDeadline(longAgo)
			return longAgo
		}},
		{"counts from a read's beginning if it is for each read", func(s *Socket) time.Time {
			s.SetReadDeadline(longAgo)
			s.SetReadIdle(soon)
			return time.Now().Add(soon)
		}},
		{"survives Interrupt and Resume", func(s *Socket) time.Time {
			at := time.Now().Add(soon)
			s.SetReadDeadline(at)
			s.Interrupt()
			s.Resume()
			return at
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, _ := pair(t)
			notBefore := test.set(a.Socket)
			n, err := a.Socket.Read(make([]byte, 1))
			if at := time.Now(); at.Before(notBefore) {
				t.Errorf("it fired %v too early", notBefore.Sub(at))
			}
			if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %d, %v; want a timeout", n, err)
			}
		})
	}
}

// TestNoDeadline has a read outlive deadlines that do not hold any more: the client sends only once the read has begun.
func TestNoDeadline(t *testing.T) {
	tests := []struct {
		name string
		set  func(s *Socket)
	}{
		{"removed", func(s *Socket) { s.SetReadDeadline(time.Unix(1, 0)); s.SetReadDeadline(time.Time{}) }},
		{"removed from both directions", func(s *Socket) { s.SetDeadline(time.Unix(1, 0)); s.SetDeadline(time.Time{}) }},
		{"interrupted and resumed", func(s *Socket) { s.Interrupt(); s.Resume() }},
		{"a write's", func(s *Socket) { s.SetWriteDeadline(time.Unix(1, 0)) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, c := pair(t)
			test.set(a.Socket)
			go func() {
				time.Sleep(time.Millisecond) // likely, but not necessarily, while the read waits
				io.WriteString(c, "x")       //nolint:errcheck
			}()
			if n, err := a.Socket.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Errorf("read %d, %v", n, err)
			}
		})
	}
}

func TestWriteDeadlineSaysHowMuchWasWritten(t *testing.T) {
	a, c := pair(t)
	a.SetWriteDeadline(time.Unix(1, 0)) // has fired; the one that holds has not
	at := time.Now().Add(soon)
	a.SetWriteDeadline(at)
	sent := much
	n, err := a.Socket.Write(sent)
	if time.Now().Before(at) || !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == len(sent) {
		t.Fatalf("wrote %d, %v; want some bytes and a timeout", n, err)
	}
	a.Close()
	if got, err := io.Copy(io.Discard, c); got != int64(n) || err != nil {
		t.Errorf("the peer got %d bytes, %v; Write said %d", got, err, n)
	}
}

func TestWriteOutlivesAnEarlyTimer(t *testing.T) {
	a, c := pair(t)
	a.SetWriteDeadline(time.Now().Add(time.Millisecond))
	a.SetWriteDeadline(time.Now().Add(time.Hour))
	size := int64(len(much))
	done := make(chan error, 1)
	go func() {
		n, err := a.Socket.Write(much)
		if err == nil && int64(n) != size {
			err = io.ErrShortWrite
		}
		a.Close()
		done <- err
	}()
	time.Sleep(2 * time.Millisecond) // for the timer to fire, usually
	if n, err := io.Copy(io.Discard, c); n != size || err != nil {
		t.Errorf("the peer got %d bytes, %v", n, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// counting counts how often the system's timer is touched.
type counting struct {
	net.Conn
	reads int
}

func (c *counting) SetReadDeadline(t time.Time) error {
	c.reads++
	return c.Conn.SetReadDeadline(t)
}

func TestDeadlinesAreArmedLazily(t *testing.T) {
	a, c := pair(t)
	inner := &counting{Conn: a.Conn}
	s := NewSocket(inner)
	s.SetReadIdle(time.Hour)
	b := make([]byte, 1)
	for range 100 {
		io.WriteString(c, "x") //nolint:errcheck
		if _, err := s.Read(b); err != nil {
			t.Fatal(err)
		}
		s.SetReadDeadline(time.Now().Add(2 * time.Hour))
		s.SetReadDeadline(time.Time{})
	}
	if inner.reads != 1 {
		t.Errorf("the timer was set %d times for 100 reads, want once", inner.reads)
	}
}

func TestEnd(t *testing.T) {
	a, c := pair(t)
	io.WriteString(c, "bye") //nolint:errcheck
	c.CloseWrite()           //nolint:errcheck
	b := make([]byte, 8)
	if n, err := a.Read(b); string(b[:n]) != "bye" || err != nil {
		t.Fatalf("read %q, %v", b[:n], err)
	}
	for range 2 {
		if n, err := a.Read(b); n != 0 || err != ErrEnd {
			t.Errorf("read %d, %v; want ErrEnd", n, err)
		}
	}
	if errors.Is(ErrEnd, io.EOF) {
		t.Error("ErrEnd is io.EOF: parsers would take it for a clean end")
	}

	a, c = pair(t)
	reset(c)
	if n, err := a.Read(b); n != 0 || err == nil || err == ErrEnd || err == io.EOF {
		t.Errorf("read %d, %v after RST; want another error than a clean end's", n, err)
	}
}

func TestInterrupt(t *testing.T) {
	begins := []struct {
		name string
		wait func(s *Socket) error
	}{
		{"a read", func(s *Socket) error { _, err := s.Read(make([]byte, 1)); return err }},
		{"a read with time left", func(s *Socket) error {
			s.SetReadDeadline(time.Now().Add(time.Hour))
			_, err := s.Read(make([]byte, 1))
			return err
		}},
		{"a read with time for each", func(s *Socket) error {
			s.SetReadIdle(time.Hour)
			_, err := s.Read(make([]byte, 1))
			return err
		}},
		{"a write", func(s *Socket) error { _, err := s.Write(much); return err }},
		{"a write with time for each", func(s *Socket) error {
			s.SetIdle(0, time.Hour)
			_, err := s.Write(much)
			return err
		}},
	}
	for _, test := range begins {
		t.Run("before "+test.name, func(t *testing.T) {
			a, _ := pair(t)
			a.Interrupt()
			for range 2 {
				if err := test.wait(a.Socket); err != ErrInterrupted {
					t.Errorf("%v, want ErrInterrupted", err)
				}
			}
		})
		t.Run("during "+test.name, func(t *testing.T) {
			for range 100 { // at whatever moment of it
				a, c := pair(t)
				done := make(chan error, 1)
				go func() { done <- test.wait(a.Socket) }()
				a.Interrupt()
				if err := <-done; err != ErrInterrupted {
					t.Errorf("%v, want ErrInterrupted", err)
				}
				a.Close()
				c.Close()
			}
		})
	}
}

func TestResume(t *testing.T) {
	a, c := pair(t)
	a.SetIdle(time.Hour, time.Hour)
	for range 100 {
		done := make(chan error, 1)
		go func() { _, err := a.Socket.Read(make([]byte, 1)); done <- err }()
		a.Interrupt()
		if err := <-done; err != ErrInterrupted {
			t.Fatal(err)
		}
		a.Resume()
		io.WriteString(c, "x") //nolint:errcheck
		b := make([]byte, 2)
		if n, err := a.Socket.Read(b); n != 1 || err != nil {
			t.Fatalf("read %d, %v after Resume", n, err)
		}
		if _, err := a.Socket.Write(b[:1]); err != nil {
			t.Fatalf("write: %v after Resume", err)
		}
		if _, err := io.ReadFull(c, b[:1]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestInterruptFromMany has no assertion but that it ends: neither a hang nor a race.
func TestInterruptFromMany(t *testing.T) {
	for range 50 {
		a, c := pair(t)
		var all sync.WaitGroup
		all.Go(func() {
			for a.SetReadDeadline(time.Now().Add(time.Hour)) == nil {
				if _, err := a.Socket.Read(make([]byte, 1)); err != nil {
					return
				}
			}
		})
		all.Go(func() {
			for {
				if _, err := a.Socket.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		})
		for range 4 {
			all.Go(a.Interrupt)
		}
		all.Wait()
		c.Close()
		a.Close()
	}
}

func TestClean(t *testing.T) {
	tests := []struct {
		name string
		do   func(a *Accepted, c *net.TCPConn)
		want bool
	}{
		{"open and silent", func(*Accepted, *net.TCPConn) {}, true},
		{"with data", func(_ *Accepted, c *net.TCPConn) { io.WriteString(c, "x") }, false},
		{"with FIN", func(_ *Accepted, c *net.TCPConn) { c.CloseWrite() }, false},
		{"closed by the peer", func(_ *Accepted, c *net.TCPConn) { c.Close() }, false},
		{"with RST", func(_ *Accepted, c *net.TCPConn) { reset(c) }, false},
		{"closed by us", func(a *Accepted, _ *net.TCPConn) { a.Socket.Close() }, false},
		{"interrupted", func(a *Accepted, _ *net.TCPConn) { a.Interrupt() }, false},
		{"after its deadline", func(a *Accepted, _ *net.TCPConn) { a.SetReadDeadline(time.Unix(1, 0)) }, true},
		{"after a deadline that was removed", func(a *Accepted, _ *net.TCPConn) {
			a.SetReadDeadline(time.Unix(1, 0))
			a.SetReadDeadline(time.Time{})
		}, true},
		{"after its data was read", func(a *Accepted, c *net.TCPConn) {
			io.WriteString(c, "x")
			a.Read(make([]byte, 1))
		}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, c := pair(t)
			test.do(a, c)
			eventually(t, "Clean is as it should be", func() bool { return a.Clean() == test.want })
			if got := a.Clean(); got != test.want {
				t.Errorf("Clean() = %v, want %v", got, test.want)
			}
		})
	}

	t.Run("and the data can still be read", func(t *testing.T) {
		a, c := pair(t)
		io.WriteString(c, "late") //nolint:errcheck
		eventually(t, "the data is seen", func() bool { return !a.Clean() })
		b := make([]byte, 8)
		if n, err := a.Read(b); string(b[:n]) != "late" || err != nil {
			t.Errorf("read %q, %v", b[:n], err)
		}
	})
}

func TestCleanAllocatesNothing(t *testing.T) {
	a, _ := pair(t)
	if n := testing.AllocsPerRun(100, func() { a.Clean() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
