package gateway

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
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
	t.Run("of a response whose first chunk has only its size", func(t *testing.T) {
		for _, size := range []string{"", "3", "3\r\n"} {
			next := make(chan struct{})
			g := start(t, serveUpstream(t, func(c *peer) {
				if c.head() == "" {
					return
				}
				c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size)
				<-next
				c.send("3\r\nabc\r\n0\r\n\r\n"[len(size):])
			}), everything)
			c := g.dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			if head := c.head(); status(head) != "200 OK" {
				t.Errorf("behind the head came %q: the client got %q, want the head at once", size, head)
			}
			close(next)
			if content, _, whole := c.chunked(); content != "abc" || !whole {
				t.Errorf("behind the head came %q: the content is %q", size, content)
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
