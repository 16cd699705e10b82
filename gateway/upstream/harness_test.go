package upstream

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// eventually waits until what is said of something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// A server is an upstream of which a test plays each connection by hand.
type server struct {
	t  *testing.T
	ln net.Listener
}

func listen(t *testing.T, config *tls.Config) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	t.Cleanup(func() { ln.Close() })
	return &server{t, ln}
}

// pool returns an Upstream that leads to s, with these options.
func (s *server) pool(o Options) *Upstream {
	o.Name, o.Address = "up", s.ln.Addr().String()
	if o.MaxIdle == 0 {
		o.MaxIdle = 10
	}
	u := New(o)
	s.t.Cleanup(u.Close)
	return u
}

// accept takes the next connection.
func (s *server) accept() *peer {
	c, err := s.ln.Accept()
	if err != nil {
		s.t.Errorf("accept: %v", err)
		c, _ = net.Pipe()
	}
	return newPeer(s.t, c)
}

// play answers every connection in a goroutine of its own, until the test ends.
func (s *server) play(play func(p *peer)) *server {
	go func() {
		for {
			c, err := s.ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				play(newPeer(s.t, c))
			}()
		}
	}()
	return s
}

// answers returns a script that answers each request head on a connection with the next of these responses, and then closes.
func answers(responses ...string) func(p *peer) {
	return func(p *peer) {
		for _, r := range responses {
			if p.head() == "" {
				return
			}
			p.send(r)
		}
	}
}

// A peer is one end of a connection on which a test says exactly what is sent and expected.
type peer struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func newPeer(t *testing.T, c net.Conn) *peer {
	c.SetDeadline(time.Now().Add(patience)) //nolint:errcheck
	t.Cleanup(func() { c.Close() })
	return &peer{t, c, bufio.NewReader(c)}
}

func (p *peer) send(s string) {
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.t.Logf("send %.60q: %v", s, err)
	}
}

// head reads up to the empty line; "" at the connection's end.
func (p *peer) head() string {
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

func (p *peer) take(n int) string {
	b := make([]byte, n)
	n, err := io.ReadFull(p.r, b)
	if err != nil {
		p.t.Errorf("read: %v after %q", err, b[:n])
	}
	return string(b[:n])
}

// ended waits until the other side has ended the connection, and returns what it sent before that.
func (p *peer) ended() string {
	b, err := io.ReadAll(p.r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Errorf("the connection was not ended; got %q", b)
	}
	return string(b)
}

// client returns a client's connection, as the gateway has it and as the client has it.
func client(t *testing.T) (*conn.Accepted, *peer) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	w, err := conn.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := (&conn.Listener{Listener: ln, Watcher: w}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); a.Close() })
	return conn.Of(a), newPeer(t, c)
}

// fromClient is a content that goes on until the client has sent a line "end".
type fromClient struct {
	from     *conn.Accepted
	buf      [4096]byte
	over     bool
	trailers []wire.Field
}

func (b *fromClient) Next() ([]byte, error) {
	if b.over {
		return nil, io.EOF
	}
	n, err := b.from.Read(b.buf[:])
	piece := b.buf[:n]
	if s, ok := strings.CutSuffix(string(piece), "end\n"); ok {
		b.over = true
		piece = piece[:len(s)]
	}
	return piece, err
}

func (b *fromClient) Trailers() []wire.Field { return b.trailers }

// fixed is a content that is here already.
type fixed []string

func (b *fixed) Next() ([]byte, error) {
	if len(*b) == 0 {
		return nil, io.EOF
	}
	piece := (*b)[0]
	*b = (*b)[1:]
	return []byte(piece), nil
}

func (b *fixed) Trailers() []wire.Field {
	return []wire.Field{{Name: []byte("X-Sum"), Value: []byte("7")}}
}

func get() *Request {
	return &Request{Method: []byte("GET"), Head: []byte("GET / HTTP/1.1\r\nHost: up\r\n\r\n"), Repeatable: true}
}

func head() *Request {
	return &Request{Method: []byte("HEAD"), Head: []byte("HEAD / HTTP/1.1\r\nHost: up\r\n\r\n"), Repeatable: true}
}

func post(b Body) *Request {
	return &Request{Method: []byte("POST"), Head: []byte("POST / HTTP/1.1\r\nHost: up\r\nTransfer-Encoding: chunked\r\n\r\n"), Body: b, Chunks: true}
}

// interims gathers the status codes of interim responses.
type interims []int

func (i *interims) Interim(h *wire.ResponseHead) error {
	*i = append(*i, h.Status)
	return nil
}

// Continue notes itself as 0: it is ours, not the upstream's.
func (i *interims) Continue() error {
	*i = append(*i, 0)
	return nil
}

// A result is what an attempt came to.
type result struct {
	status   int
	content  string
	trailers string
	interims interims
	err      error
}

func (r result) String() string {
	return fmt.Sprintf("%d %q trailers %q interims %v error %v", r.status, r.content, r.trailers, r.interims, r.err)
}

// rest reads a's content to its end.
func (r *result) rest(a *Attempt) {
	for !a.Done() {
		piece, err := a.Next()
		r.content += string(piece)
		if err != nil {
			if r.err = err; a.Done() {
				r.err = fmt.Errorf("done all the same: %w", err)
			}
			return
		}
	}
	for _, f := range a.Trailers() {
		r.trailers += string(f.Name) + ": " + string(f.Value) + "\n"
	}
}

// do makes one attempt, from the beginning to its end.
func do(u *Upstream, req *Request, from *conn.Accepted) (r result) {
	var a Attempt
	defer a.Close(from)
	if r.err = a.Do(u, req, from, &r.interims); r.err != nil {
		return r
	}
	r.status = a.Head.Status
	r.rest(&a)
	return r
}

// kind is how err says that an attempt failed; 0 if it did not.
func kind(t *testing.T, err error) Kind {
	t.Helper()
	if err == nil {
		return 0
	}
	var e *Error
	if !errors.As(err, &e) || e.Upstream != "up" || error(e) != err {
		t.Errorf("%v is not an *Error of the upstream", err)
		return 0
	}
	return e.Kind
}

// only is the endpoint of an upstream that has one.
func (u *Upstream) only() *Endpoint { return u.endpoints.Load().all[0] }

// next looks at the connection that would be used next.
func (u *Upstream) next() *link {
	e := u.only()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.idle) == 0 {
		return nil
	}
	return e.idle[len(e.idle)-1]
}

// closed is an address at which nothing listens.
func closed(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
