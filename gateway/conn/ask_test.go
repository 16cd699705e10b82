package conn

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// TestAsk asks on a connection in each state that it may be in.
func TestAsk(t *testing.T) {
	t.Run("and is answered", func(t *testing.T) {
		a, c := pair(t)
		go answer(c, "ping", "pong")
		buf := make([]byte, 16)
		wrote, n, err := a.Ask([]byte("ping"), buf)
		if wrote != 4 || err != nil {
			t.Fatalf("wrote %d, %v", wrote, err)
		}
		if n == 0 {
			n, err = a.Read(buf)
		}
		if string(buf[:n]) != "pong" || err != nil {
			t.Errorf("got %q, %v", buf[:n], err)
		}
	})
	t.Run("more than there is room for", func(t *testing.T) {
		a, c := pair(t)
		large := strings.Repeat("x", 16<<20)
		go answer(c, large, "pong")
		wrote, n, err := a.Ask([]byte(large), make([]byte, 16))
		if wrote != len(large) || n != 0 || err != nil {
			t.Fatalf("wrote %d, read %d, %v", wrote, n, err)
		}
		buf := make([]byte, 16)
		if n, err := a.Read(buf); string(buf[:n]) != "pong" || err != nil {
			t.Errorf("got %q, %v", buf[:n], err)
		}
	})
	t.Run("where something has come unasked", func(t *testing.T) {
		a, c := pair(t)
		io.WriteString(c, "late") //nolint:errcheck
		eventually(t, "it is here", func() bool { return !a.Clean() })
		if wrote, _, err := a.Ask([]byte("ping"), make([]byte, 16)); wrote != 0 || err != ErrNotClean {
			t.Errorf("wrote %d, %v", wrote, err)
		}
	})
	t.Run("where the peer has ended", func(t *testing.T) {
		a, c := pair(t)
		c.CloseWrite() //nolint:errcheck
		eventually(t, "it is known", func() bool { return !a.Clean() })
		if wrote, _, err := a.Ask([]byte("ping"), make([]byte, 16)); wrote != 0 || err != ErrNotClean {
			t.Errorf("wrote %d, %v", wrote, err)
		}
	})
	t.Run("where the peer then ends", func(t *testing.T) {
		a, c := pair(t)
		go func() {
			io.ReadFull(c, make([]byte, 4)) //nolint:errcheck
			c.Close()
		}()
		if wrote, n, err := a.Ask([]byte("ping"), make([]byte, 16)); wrote != 4 || n != 0 || err != ErrEnd {
			t.Errorf("wrote %d, read %d, %v", wrote, n, err)
		}
	})
	t.Run("and breaks in", func(t *testing.T) {
		a, c := pair(t)
		go func() {
			io.ReadFull(c, make([]byte, 4)) //nolint:errcheck
			a.Interrupt()
		}()
		wrote, n, err := a.Ask([]byte("ping"), make([]byte, 16))
		if err == nil {
			n, err = a.Read(make([]byte, 1))
		}
		if wrote != 4 || n != 0 || err != ErrInterrupted {
			t.Errorf("wrote %d, read %d, %v", wrote, n, err)
		}
		if wrote, _, err := a.Ask([]byte("ping"), make([]byte, 16)); wrote != 0 || err != ErrInterrupted {
			t.Errorf("then wrote %d, %v", wrote, err)
		}
	})
	t.Run("until its deadline", func(t *testing.T) {
		a, _ := pair(t)
		a.SetReadDeadline(time.Now().Add(soon)) //nolint:errcheck
		wrote, n, err := a.Ask([]byte("ping"), make([]byte, 16))
		if err == nil {
			n, err = a.Read(make([]byte, 1))
		}
		if wrote != 4 || n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, read %d, %v", wrote, n, err)
		}
	})
	t.Run("after a deadline that was moved away has fired", func(t *testing.T) {
		a, c := pair(t)
		a.SetReadDeadline(time.Now().Add(time.Millisecond)) //nolint:errcheck
		a.SetReadDeadline(time.Time{})                      //nolint:errcheck
		time.Sleep(5 * time.Millisecond)                    // the timer is still armed; it fires meanwhile, or soon
		go answer(c, "ping", "pong")
		buf := make([]byte, 16)
		wrote, n, err := a.Ask([]byte("ping"), buf)
		if n == 0 && err == nil {
			n, err = a.Read(buf)
		}
		if wrote != 4 || string(buf[:n]) != "pong" || err != nil {
			t.Errorf("wrote %d, got %q, %v", wrote, buf[:n], err)
		}
	})
	t.Run("without allocating", func(t *testing.T) {
		a, c := pair(t)
		go func() {
			four := make([]byte, 4) // all allocations count, the peer's too
			for {
				if _, err := io.ReadFull(c, four); err != nil {
					return
				}
				c.Write(four) //nolint:errcheck
			}
		}()
		ping, buf := []byte("ping"), make([]byte, 16)
		if got := testing.AllocsPerRun(100, func() { a.Ask(ping, buf) }); got > 0 { //nolint:errcheck
			t.Errorf("%v allocations", got)
		}
	})
}

// answer waits for a question on c and answers it.
func answer(c net.Conn, question, with string) {
	if _, err := io.ReadFull(c, make([]byte, len(question))); err == nil {
		io.WriteString(c, with) //nolint:errcheck // the reader notices
	}
}
