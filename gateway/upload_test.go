package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

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
