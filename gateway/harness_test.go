package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// A running gateway with a configuration in a folder of its own.
type running struct {
	*Gateway
	t      *testing.T
	dir    string
	stop   context.CancelFunc
	ended  chan error
	output *os.File
	listen string // more of the listen section
}

// start runs a gateway whose routes section (and what may follow it) is given; upstream is where "up" leads.
func start(t *testing.T, upstream string, rest string) *running {
	t.Helper()
	return startListening(t, "", upstream, rest)
}

// startListening is start with more in the listen section.
func startListening(t *testing.T, listen, upstream, rest string) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), ended: make(chan error, 1), listen: listen}
	r.configure(upstream, rest)
	r.tenants()
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	var err error
	r.output, err = os.Create(filepath.Join(r.dir, "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	level := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	r.Gateway, err = New(ctx, Options{Config: filepath.Join(r.dir, "breakwater.yaml"), Log: level, Output: r.output})
	if err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-r.ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return")
		}
	})
	return r
}

// configure writes the configuration.
func (r *running) configure(upstream, rest string) {
	r.t.Helper()
	text := fmt.Sprintf(`
listen: {address: "127.0.0.1:0", drain: 5s%s}
admin: {address: "127.0.0.1:0", example: true}
upstreams:
  - name: up
    url: http://%s
    timeouts: {connect: 5s, response_head: 10s, idle_body: 10s}
`, r.listen, upstream) + strings.TrimLeft(rest, "\n")
	r.write("breakwater.yaml", text)
}

func (r *running) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	return len(p), nil
}

// everything is a route for all requests.
const everything = `
routes:
  - {name: all, path: "/{rest...}", upstream: up}
`

// serveUpstream answers each connection with play, in a goroutine of its own.
func serveUpstream(t *testing.T, play func(c *peer)) string {
	t.Helper()
	ln := newListener(t)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				play(newPeer(t, c))
			}()
		}
	}()
	return ln.Addr().String()
}

// A peer is one end of a connection on which a test says exactly what is sent and expected.
type peer struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func newPeer(t *testing.T, c net.Conn) *peer {
	c.SetDeadline(time.Now().Add(patience)) //nolint:errcheck
	return &peer{t, c, bufio.NewReader(c)}
}

func newListener(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// dial connects to the gateway as a client.
func (r *running) dial() *peer {
	r.t.Helper()
	return dialTo(r.t, r.Addr().String())
}

func dialTo(t *testing.T, address string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return newPeer(t, c)
}

func (p *peer) send(s string) {
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.t.Errorf("send %.60q: %v", s, err)
	}
}

// head reads up to the empty line; "" at the connection's end.
func (p *peer) head() string {
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			if b.Len() > 0 || err != io.EOF {
				p.t.Logf("head broke off after %q: %v", b.String(), err)
			}
			return b.String()
		}
		if line == "\r\n" {
			return b.String()
		}
	}
}

// take reads exactly n bytes.
func (p *peer) take(n int) string {
	b := make([]byte, n)
	got, err := io.ReadFull(p.r, b)
	if err != nil {
		p.t.Errorf("read %d bytes: %v after %q", n, err, b[:got])
	}
	return string(b[:got])
}

// rest reads to the connection's end, and returns what ended it unless that is FIN.
func (p *peer) rest() (string, error) {
	b, err := io.ReadAll(p.r)
	return string(b), err
}

// ask sends a request and returns the response head and a body of the declared length.
func (p *peer) ask(request string) (head, body string) {
	p.t.Helper()
	p.send(request)
	head = p.head()
	var n int
	for _, line := range strings.Split(head, "\r\n") {
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			fmt.Sscan(v, &n) //nolint:errcheck
		}
	}
	return head, p.take(n)
}

// field returns a field's value in a head, "" if it is not there.
func field(head, name string) string {
	for _, line := range strings.Split(head, "\r\n")[1:] {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func status(head string) string {
	_, s, _ := strings.Cut(head, " ")
	s, _, _ = strings.Cut(s, "\r\n")
	return s
}

func itoa(n int) string { return fmt.Sprint(n) }
