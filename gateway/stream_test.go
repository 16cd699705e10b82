package gateway

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// open is how many connections to upstreams there are.
func (r *running) open() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pools {
		n += p.upstream.Stats().Open
	}
	return n
}

// chunked reads a chunked content and its trailer section. It is whole unless the connection ended before them.
func (p *peer) chunked() (content, trailers string, whole bool) {
	var r wire.ChunkReader
	b := make([]byte, 1)
	for !r.Done() {
		if _, err := p.r.Read(b); err != nil {
			return content, trailers, false
		}
		piece, _, err := r.Next(b)
		if err != nil {
			p.t.Errorf("chunks: %v after %q", err, content)
			return content, trailers, false
		}
		content += string(piece)
	}
	return content, string(r.Trailers()), true
}

func TestUpload(t *testing.T) {
	tests := []struct{ name, fields, content, want, trailers string }{
		{"a length", "Content-Length: 5\r\n", "hello", "hello", ""},
		{"chunks", "Transfer-Encoding: chunked\r\n", "5;a=b\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!", "\r\n"},
		{"no chunk but the last", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "", "\r\n"},
		{"trailers", "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n", "ok", "X-Sum: 7\r\n\r\n"},
		{"trailers that were not announced", "Transfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\nx-b: 2\r\nX-A: 1\r\n\r\n", "ok", "x-b: 2\r\nX-A: 1\r\n\r\n"},
		{"a trailer with the name of a field in the head", "X-A: head\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\nX-A: trailer\r\n\r\n", "ok", "X-A: trailer\r\n\r\n"},
		{"a trailer with a name that means something in the head", "User-Agent: head\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\nUser-Agent: trailer\r\n\r\n", "ok", "User-Agent: trailer\r\n\r\n"},
		{"trailers of one name", "Transfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\nX-A: 1\r\nX-A: 2\r\n\r\n", "ok", "X-A: 1\r\nX-A: 2\r\n\r\n"},
		{"trailers that are ours to say", "Transfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\nVia: x\r\nBreakwater-Request-Id: x\r\nX-A: 1\r\n\r\n", "ok", "X-A: 1\r\n\r\n"},
	}
	type got struct{ content, trailers string }
	uploads := make(chan got, 1)
	g := start(t, serveUpstream(t, func(c *peer) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			var u got
			if field(head, "transfer-encoding") == "chunked" {
				u.content, u.trailers, _ = c.chunked()
			} else {
				var n int
				fmt.Sscan(field(head, "content-length"), &n) //nolint:errcheck
				u.content = c.take(n)
			}
			uploads <- u
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}), everything)
	for _, test := range tests {
		c := g.dial()
		if head, body := c.ask("POST / HTTP/1.1\r\nHost: h\r\n" + test.fields + "\r\n" + test.content); status(head) != "200 OK" || body != "ok" {
			t.Errorf("%s: %q", test.name, head)
			continue
		}
		if u := <-uploads; u.content != test.want || u.trailers != test.trailers {
			t.Errorf("%s: got %q, trailers %q; want %q, %q", test.name, u.content, u.trailers, test.want, test.trailers)
		}
	}
}

// TestUploadThatIsCut ends a client's connection at every byte of a chunked content. Whatever reaches the upstream does not
// look whole.
func TestUploadThatIsCut(t *testing.T) {
	const content = "5\r\nhello\r\n3\r\nyou\r\n0\r\nX-A: 1\r\n\r\n"
	const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	ways := []struct {
		name string
		tls  bool
		end  func(c net.Conn)
	}{
		{"FIN", false, func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }},
		{"RST", false, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }},
		{"close_notify", true, func(c net.Conn) { c.(*tls.Conn).CloseWrite() }},
		{"FIN without close_notify", true, func(c net.Conn) { c.(*tls.Conn).NetConn().(*net.TCPConn).CloseWrite() }},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			var whole atomic.Int64
			address := serveUpstream(t, func(c *peer) {
				for c.head() != "" {
					if _, _, all := c.chunked(); !all {
						return
					}
					whole.Add(1)
					c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			})
			var g *running
			dial := func() *peer { return g.dial() }
			if way.tls {
				g, dial = startTLS(t, address, everything)
			} else {
				g = start(t, address, everything)
			}
			for cut := range len(content) {
				c := dial()
				c.send(head + content[:cut])
				way.end(c.Conn)
				c.rest() //nolint:errcheck // how it ends is not the point
				c.Close()
			}
			eventually(t, "no upload is under way", func() bool { return g.open() == 0 })
			if n := whole.Load(); n != 0 {
				t.Errorf("%d cut uploads reached the upstream as whole ones", n)
			}
			c := dial()
			if h, _ := c.ask(head + content); status(h) != "200 OK" || whole.Load() != 1 {
				t.Errorf("the whole one got %q", h)
			}
		})
	}
}

// startTLS is start with TLS on the listener.
func startTLS(t *testing.T, upstream, rest string) (*running, func() *peer) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files := &running{t: t, dir: t.TempDir()}
	files.write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	files.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	g := startListening(t, fmt.Sprintf(", tls: {certificate: %q, key: %q}", files.dir+"/cert.pem", files.dir+"/key.pem"), upstream, rest)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return g, func() *peer {
		t.Helper()
		c, err := tls.Dial("tcp", g.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "example.com"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return newPeer(t, c)
	}
}

func TestUploadThatIsWrong(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"a chunk size that is none", "2\r\nok\r\nzz\r\n", "400 Bad Request"},
		{"a chunk longer than its size", "2\r\nok!!\r\n0\r\n\r\n", "400 Bad Request"},
		{"a trailer that is none", "2\r\nok\r\n0\r\nX A: 1\r\n\r\n", "400 Bad Request"},
		{"more than the route takes", "400\r\n" + strings.Repeat("x", 1024) + "\r\n1\r\nx\r\n0\r\n\r\n", "413 Request Entity Too Large"},
		{"nothing at all", "", "408 Request Timeout"},
		{"a pause that is too long", "2\r\nok\r\n", "408 Request Timeout"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			whole := make(chan bool, 1)
			g := start(t, serveUpstream(t, func(c *peer) {
				c.head()
				_, _, all := c.chunked()
				whole <- all
			}), `
routes:
  - {name: all, path: "/{rest...}", upstream: up, limits: {body: 1KiB, idle_body: 200ms}}
`)
			c := g.dial()
			c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + test.content)
			if head := c.head(); status(head) != test.want || field(head, "connection") != "close" {
				t.Errorf("got %q, want %s and the connection's end", head, test.want)
			}
			if <-whole {
				t.Error("the upstream got a whole request")
			}
		})
	}
}

// TestFirstBytesGoThroughAtOnce has each side hold back the rest until the other has seen the beginning.
func TestFirstBytesGoThroughAtOnce(t *testing.T) {
	t.Run("of a request", func(t *testing.T) {
		for _, fields := range []string{"Content-Length: 6", "Transfer-Encoding: chunked"} {
			first, second := "abc", "def"
			if !strings.HasPrefix(fields, "Content") {
				first, second = "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"
			}
			seen := make(chan string, 2)
			g := start(t, serveUpstream(t, func(c *peer) {
				if c.head() == "" {
					return
				}
				seen <- c.take(len(first))
				seen <- c.take(len(second))
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}), everything)
			c := g.dial()
			c.send("POST / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n\r\n" + first)
			if got := <-seen; got != first {
				t.Errorf("%s: first %q", fields, got)
			}
			if head, _ := c.ask(second); status(head) != "200 OK" {
				t.Errorf("%s: %q", fields, head)
			}
			if got := <-seen; got != second {
				t.Errorf("%s: then %q", fields, got)
			}
		}
	})
	t.Run("of a response", func(t *testing.T) {
		for _, fields := range []string{"Content-Length: 6", "Transfer-Encoding: chunked", "X-Framing: none"} {
			first, second, wantFirst, wantSecond := "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n", "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"
			switch fields {
			case "Content-Length: 6":
				first, second, wantFirst, wantSecond = "abc", "def", "abc", "def"
			case "X-Framing: none":
				first, second = "abc", "def"
			}
			next := make(chan struct{})
			g := start(t, serveUpstream(t, func(c *peer) {
				if c.head() == "" {
					return
				}
				c.send("HTTP/1.1 200 OK\r\n" + fields + "\r\n\r\n")
				<-next // the head is seen before there is any content
				c.send(first)
				<-next
				c.send(second)
			}), everything)
			c := g.dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			if head := c.head(); status(head) != "200 OK" {
				t.Fatalf("%s: %q", fields, head)
			}
			next <- struct{}{}
			if got := c.take(len(wantFirst)); got != wantFirst {
				t.Errorf("%s: first %q", fields, got)
			}
			next <- struct{}{}
			if fields == "X-Framing: none" {
				content, _, whole := c.chunked()
				if content != "def" || !whole {
					t.Errorf("%s: then %q", fields, content)
				}
			} else if got := c.take(len(wantSecond)); got != wantSecond {
				t.Errorf("%s: then %q", fields, got)
			}
		}
	})
	t.Run("of both, in turns", func(t *testing.T) {
		g := start(t, serveUpstream(t, func(c *peer) {
			if c.head() == "" {
				return
			}
			c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for range 20 {
				c.send(c.take(len("1\r\nx\r\n")))
			}
			c.take(len("0\r\n\r\n"))
			c.send("0\r\n\r\n")
		}), everything)
		c := g.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
		c.head()
		for i := range 20 {
			chunk := fmt.Sprintf("1\r\n%c\r\n", 'a'+i)
			c.send(chunk)
			if got := c.take(len(chunk)); got != chunk {
				t.Fatalf("sent %q, got %q", chunk, got)
			}
		}
		c.send("0\r\n\r\n")
		if got := c.take(5); got != "0\r\n\r\n" {
			t.Errorf("at the end %q", got)
		}
	})
}

// noise is size random bytes that are the same every time.
func noise(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{7}), size)
}

// stalled waits until written does not grow any more: until whoever writes waits for a reader. On a busy machine it may end
// too early, and then says less than it could.
func stalled(written *atomic.Int64) int64 {
	for {
		before := written.Load()
		time.Sleep(300 * time.Millisecond)
		if n := written.Load(); n == before && n > 0 {
			return n
		}
	}
}

// counted counts what is written.
type counted struct {
	io.Writer
	n atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// TestSlowReader has a reader wait until the other side can write no more: the gateway keeps little of what is between them.
func TestSlowReader(t *testing.T) {
	const size = 64 << 20
	const between = 48 << 20 // what the system's buffers and the gateway may hold; most of it is the system's
	sum := func(r io.Reader) string {
		h := sha256.New()
		io.Copy(h, r) //nolint:errcheck
		return fmt.Sprintf("%x", h.Sum(nil))
	}
	want := sum(noise(size))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}

	t.Run("of a response", func(t *testing.T) {
		var sent counted
		g := start(t, serveUpstream(t, func(c *peer) {
			if c.head() == "" {
				return
			}
			c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
			sent.Writer = c.Conn
			io.Copy(&sent, noise(size)) //nolint:errcheck
		}), everything)
		c := g.dial()
		before := heap()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if n := stalled(&sent.n); n > between {
			t.Errorf("%d bytes left the upstream while the client read none", n)
		}
		if grown := int64(heap()) - int64(before); grown > 8<<20 {
			t.Errorf("the heap grew by %d bytes meanwhile", grown)
		}
		if head := c.head(); status(head) != "200 OK" {
			t.Fatal(head)
		}
		if got := sum(io.LimitReader(c.r, size)); got != want {
			t.Error("another content arrived")
		}
	})
	t.Run("of a request", func(t *testing.T) {
		var sent counted
		read := make(chan struct{})
		got := make(chan string, 1)
		g := start(t, serveUpstream(t, func(c *peer) {
			c.r = bufio.NewReaderSize(c.Conn, 16)
			if c.head() == "" {
				return
			}
			<-read
			got <- sum(io.LimitReader(c.r, size))
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}), everything)
		c := g.dial()
		before := heap()
		sent.Writer = c.Conn
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size))
			io.Copy(&sent, noise(size)) //nolint:errcheck
		}()
		if n := stalled(&sent.n); n > between {
			t.Errorf("%d bytes left the client while the upstream read none", n)
		}
		if grown := int64(heap()) - int64(before); grown > 8<<20 {
			t.Errorf("the heap grew by %d bytes meanwhile", grown)
		}
		close(read)
		<-done
		if head := c.head(); status(head) != "200 OK" {
			t.Fatal(head)
		}
		if <-got != want {
			t.Error("another content arrived")
		}
	})
}

// TestLongContents sends 64 MiB each way at the same time, in chunks. The response ends last: with its end nobody waits for
// the rest of the request.
func TestLongContents(t *testing.T) {
	const size = 64 << 20
	send := func(w io.Writer) {
		b := bufio.NewWriterSize(w, 64<<10)
		r := noise(size)
		piece := make([]byte, 50_000)
		for {
			n, err := io.ReadFull(r, piece)
			if n > 0 {
				fmt.Fprintf(b, "%x\r\n%s\r\n", n, piece[:n])
			}
			if err != nil {
				break
			}
		}
		b.Flush()
	}
	receive := func(p *peer) string {
		h := sha256.New()
		var r wire.ChunkReader
		buf := make([]byte, 64<<10)
		for !r.Done() {
			n, err := p.r.Read(buf)
			if err != nil {
				return err.Error()
			}
			for b := buf[:n]; len(b) > 0 && !r.Done(); {
				content, used, err := r.Next(b)
				if err != nil {
					return err.Error()
				}
				h.Write(content)
				b = b[used:]
			}
		}
		return fmt.Sprintf("%x", h.Sum(nil))
	}
	h := sha256.New()
	io.Copy(h, noise(size)) //nolint:errcheck
	want := fmt.Sprintf("%x", h.Sum(nil))

	uploaded := make(chan string, 1)
	g := start(t, serveUpstream(t, func(c *peer) {
		if c.head() == "" {
			return
		}
		c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		done := make(chan struct{})
		go func() {
			defer close(done)
			uploaded <- receive(c)
		}()
		send(c.Conn)
		<-done
		c.send("0\r\n\r\n")
	}), everything)
	c := g.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() {
		send(c.Conn)
		c.send("0\r\n\r\n")
	}()
	if head := c.head(); status(head) != "200 OK" {
		t.Fatal(head)
	}
	if got := receive(c); got != want {
		t.Errorf("the client got %s, want %s", got, want)
	}
	if got := <-uploaded; got != want {
		t.Errorf("the upstream got %s, want %s", got, want)
	}
}
