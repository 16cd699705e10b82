package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A slow client sends a little at a time, and never ends what it has begun.
type slow struct {
	net.Conn
	name string
	over bool // it was ended
}

// slowSends are what slow clients begin with, and what each has a share of.
var slowSends = []struct {
	name, begin string
	tenths      int
}{
	{"a head", "GET / HTTP/1.1\r\nHost: gateway.test\r\nX-Slow: ", 6},
	{"a request line", "GET /", 1},
	{"empty lines", "\r\n", 1},
	{"nothing", "", 1},
	{"content", "POST /upload HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1000000\r\n\r\n", 1},
}

// fewer says how many connections both ends can hold: fewer only where the system does not let us open so many files.
func fewer(t *testing.T, want int) int {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	const others = 2000 // files of ours, and connections that content goes out on
	if n := int(min(l.Max, 1<<30)) - others; n < want {
		t.Logf("NOT CHECKED: %d connections: a process may have %d files here, so there are %d", want, l.Max, n)
		return n
	}
	return want
}

// TestSlowloris has ten thousand clients send heads and contents byte by byte, and never to their end. Others are served
// meanwhile; it costs little memory; and all are ended in their time, however busily they drip.
func TestSlowloris(t *testing.T) {
	up := startPartner(t, plain, "")
	g := startGateway(t, plain, t.TempDir(), strings.ReplaceAll(`
listen: {address: "127.0.0.1:0", timeouts: {head: 10s, idle_body: 5s}}
admin: {address: "127.0.0.1:0", example: true}
upstreams: [{name: partner, url: "http://PARTNER", limits: {connections: 0}}]
routes:
  - {name: all, path: "/{rest...}", upstream: partner}
  - {name: upload, path: /upload, upstream: partner, limits: {total: 10s}}
`, "PARTNER", up.api))
	target := up.download(5000)
	l := startLoad(t, g.address, 4, &stage{name: "beside slow clients", want: only("good")}, fetch("gateway.test", target))
	files := g.files()

	const most = 300 << 20
	count := fewer(t, 10_000)
	var all []*slow
	extra := g.peak(func() {
		all = slowClients(t, g.address, count)
		for open, rounds := count, 0; open > 0; rounds++ {
			if rounds > 400 {
				t.Fatalf("%d slow clients are still there", open)
			}
			if open = drip(all); open > count/2 {
				if m := g.ask("gateway.test", target); m.err != nil || m.status != 200 || len(m.body) != 5000 {
					t.Errorf("beside %d slow clients, a new one was answered %v", open, m)
				}
			}
			time.Sleep(250 * time.Millisecond) // the pace of the drip: nothing waits for it
		}
	})
	if extra > most {
		t.Errorf("%d slow clients took %d MiB of memory, want at most %d MiB", count, extra>>20, most>>20)
	}
	t.Logf("%d slow clients took %d MiB of memory", count, extra>>20)
	answers := map[string]int{}
	for _, s := range all {
		s.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // of TCP it has deadlines
		text, err := io.ReadAll(s)
		s.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%s: the connection was not ended", s.name)
		}
		status, _, _ := strings.Cut(string(text), "\r\n")
		answers[s.name+": "+status]++
	}
	t.Log(answers)
	for answer := range answers {
		switch _, status, _ := strings.Cut(answer, ": "); status {
		case "", "HTTP/1.1 408 Request Timeout": // a reset may have taken the answer with it
		default:
			t.Error(answer)
		}
	}
	l.stop()
	l.check()
	eventually(t, "all connections are closed", func() error {
		if n := g.files(); n > files+8 {
			return fmt.Errorf("%d open files, %d before", n, files)
		}
		return nil
	})
}

// slowClients connects so many, from several addresses, for one has not ports enough for two such tests.
func slowClients(t *testing.T, address string, count int) (all []*slow) {
	t.Helper()
	for i := range count {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%8))}, Timeout: patience}
		c, err := from.Dial("tcp", address)
		if err != nil {
			t.Fatalf("slow client %d: %v", i, err)
		}
		t.Cleanup(func() { c.Close() })
		s := &slow{Conn: c}
		tenth := i % 10
		for _, kind := range slowSends {
			if tenth -= kind.tenths; tenth < 0 {
				s.name = kind.name
				s.send(kind.begin)
				break
			}
		}
		all = append(all, s)
	}
	return all
}

// send notes that a client was ended when it cannot send any more.
func (s *slow) send(text string) {
	if _, err := io.WriteString(s.Conn, text); err != nil {
		s.over = true
	}
}

// drip has every slow client send a byte more, and returns how many have not been ended. One that sends nothing has to look.
func drip(all []*slow) (open int) {
	one := make([]byte, 1)
	for _, s := range all {
		if s.over {
			continue
		}
		switch s.name {
		case "nothing":
			s.SetReadDeadline(time.Now().Add(50 * time.Microsecond)) //nolint:errcheck // of TCP it has deadlines
			_, err := s.Read(one)
			s.over = err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
		case "empty lines":
			s.send("\r\n")
		default:
			s.send("x")
		}
		if !s.over {
			open++
		}
	}
	return open
}
