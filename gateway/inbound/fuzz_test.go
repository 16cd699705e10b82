package inbound

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// However the bytes of some requests arrive, and however their contents are read, they are the same requests.

var conversations = []string{
	"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
	"\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nG",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n1\r\nd\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n14\r\nGET /x HTTP/1.1\r\n\r\n0\r\n\r\n0\r\n\r\n",
	"GET / HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"\r",
	"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nhello",
	"PUT / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 5000) + "\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + strings.Repeat("y", 5000) + "\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
}

func FuzzRequests(f *testing.F) {
	for _, text := range conversations {
		f.Add([]byte(text), uint64(1))
		f.Add([]byte(text), uint64(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) { checkRequests(t, b, seed) })
}

func TestRequestsInPieces(t *testing.T) {
	for _, text := range conversations {
		for seed := range uint64(200) {
			checkRequests(t, []byte(text), seed)
		}
	}
	for _, text := range []string{strings.Repeat(conversations[0], 200), strings.Repeat(conversations[2], 100)} {
		for seed := range uint64(50) {
			checkRequests(t, []byte(text), seed)
		}
	}
}

func checkRequests(t *testing.T, b []byte, seed uint64) {
	t.Helper()
	if want, got := atOnce(b), inPieces(t, b, seed); !slices.Equal(got, want) {
		t.Errorf("%.2000q in pieces by %d:\n%.2000q, want\n%.2000q", b, seed, got, want)
	}
}

// atOnce reads all requests of b where they lie.
func atOnce(b []byte) (seen []string) {
	for {
		for bytes.HasPrefix(b, []byte("\r\n")) {
			b = b[2:]
		}
		end := wire.HeadEnd(b, 0)
		if end < 0 {
			if wire.BareLF(b, 0) {
				return append(seen, "refused")
			}
			if len(b) == 0 || string(b) == "\r" { // half an empty line is nothing of a request either
				return append(seen, "over")
			}
			return append(seen, "cut")
		}
		var h wire.RequestHead
		if wire.BareLF(b[:end], 0) || h.Parse(b[:end]) != nil {
			return append(seen, "refused")
		}
		seen = append(seen, fmt.Sprintf("head %q", b[:end]))
		b = b[end:]
		switch h.Framing {
		case wire.Length:
			if int64(len(b)) < h.Length {
				return append(seen, fmt.Sprintf("content %q", b), "cut")
			}
			seen, b = append(seen, fmt.Sprintf("content %q", b[:h.Length])), b[h.Length:]
		case wire.Chunked:
			var r wire.ChunkReader
			var content []byte
			for len(b) > 0 && !r.Done() {
				piece, n, err := r.Next(b)
				if content, b = append(content, piece...), b[n:]; err != nil {
					return append(seen, fmt.Sprintf("content %q", content), "refused")
				}
			}
			if seen = append(seen, fmt.Sprintf("content %q", content)); !r.Done() {
				return append(seen, "cut")
			}
			seen = append(seen, fmt.Sprintf("trailers %q", r.Trailers()))
		}
	}
}

// inPieces has them arrive as seed says.
func inPieces(t *testing.T, b []byte, seed uint64) (seen []string) {
	random := rand.New(rand.NewPCG(seed, 0))
	ln := &conn.Listener{Listener: &one{&script{random: random, rest: b}}}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := New(conn.Of(accepted), &Options{MaxHead: 1 << 20})
	defer c.Free()
	for {
		head, err := c.Next(time.Time{})
		switch {
		case errors.Is(err, ErrOver):
			return append(seen, "over")
		case errors.Is(err, conn.ErrEnd):
			if len(c.Buffered()) == 0 {
				return append(seen, "over") // there were empty lines only
			}
			return append(seen, "cut")
		case err != nil:
			return append(seen, "refused")
		}
		var h wire.RequestHead
		if h.Parse(head) != nil {
			return append(seen, "refused")
		}
		text := fmt.Sprintf("head %q", head)
		c.Begin(h.Framing, h.Length)
		if h.Framing == wire.NoBody {
			seen = append(seen, text)
			continue
		}
		var content []byte
		for err == nil {
			p := make([]byte, 1+random.IntN(1<<random.IntN(14)))
			var n int
			n, err = c.Read(p)
			content = append(content, p[:n]...)
		}
		if again := fmt.Sprintf("head %q", head); again != text {
			t.Errorf("reading the content has changed the head from %s to %s", text, again)
		}
		seen = append(seen, text, fmt.Sprintf("content %q", content))
		switch {
		case errors.Is(err, conn.ErrEnd):
			return append(seen, "cut")
		case err != io.EOF:
			return append(seen, "refused")
		case !c.Done():
			t.Errorf("behind the last byte of %s there is more", text)
		}
		if h.Framing == wire.Chunked {
			seen = append(seen, fmt.Sprintf("trailers %q", c.Trailers()))
		}
		if !c.Skip() {
			t.Errorf("no request may follow %s", text)
		}
	}
}

// A script is a connection on which bytes arrive in pieces, and then FIN.
type script struct {
	net.Conn
	random *rand.Rand
	rest   []byte
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest[:min(len(s.rest), 1+s.random.IntN(1<<s.random.IntN(14)))])
	s.rest = s.rest[n:]
	return n, nil
}

func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// A one accepts one connection.
type one struct{ net.Conn }

func (o *one) Accept() (net.Conn, error) { return o.Conn, nil }
func (*one) Close() error                { return nil }
func (*one) Addr() net.Addr              { return nil }
