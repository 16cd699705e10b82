package gateway

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// asked records the heads that an upstream gets.
type asked struct {
	mu    sync.Mutex
	heads []string
}

func (a *asked) add(head string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heads = append(a.heads, head)
}

func (a *asked) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.heads...)
}

// serve answers each request with its request line, after a content of the declared length.
func (a *asked) serve(c *peer) {
	for {
		head := c.head()
		if head == "" {
			return
		}
		a.add(head)
		var n int
		fmt.Sscan(field(head, "content-length"), &n) //nolint:errcheck
		c.take(n)
		line, _, _ := strings.Cut(head, "\r\n")
		method, _, _ := strings.Cut(line, " ")
		c.send("HTTP/1.1 200 OK\r\nContent-Length: " + itoa(len(line)) + "\r\n\r\n")
		if method != "HEAD" {
			c.send(line)
		}
	}
}

const ask = "GET /again HTTP/1.1\r\nHost: h\r\n\r\n"

// again asks once more on the same connection, and fails unless that is answered.
func (p *peer) again() {
	p.t.Helper()
	if head, body := p.ask(ask); status(head) != "200 OK" || body != "GET /again HTTP/1.1" {
		p.t.Errorf("the next request on the connection got %q %q", head, body)
	}
}

// over fails unless the connection ends, and cleanly.
func (p *peer) over() {
	p.t.Helper()
	if rest, err := p.rest(); rest != "" || err != nil {
		p.t.Errorf("the connection went on with %q, %v", rest, err)
	}
}

const someRoutes = `
routes:
  - {name: items, path: "/items/{id}", methods: [GET, PUT], upstream: up}
  - {name: small, path: "/small", upstream: up, limits: {body: 1KiB}}
  - {name: again, path: "/again", upstream: up}
`

func TestRefusedRequests(t *testing.T) {
	const host = "Host: h\r\n"
	long := strings.Repeat("x", 70<<10)
	tests := []struct {
		name, request, status string
		keeps                 bool // the connection goes on
	}{
		{"a length and chunks", "POST /again HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 Bad Request", false},
		{"chunks in HTTP/1.0", "POST /again HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 Bad Request", false},
		{"the coding identity", "POST /again HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\n\r\n", "400 Bad Request", false},
		{"a coding before chunked", "POST /again HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501 Not Implemented", false},
		{"chunked twice", "POST /again HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 Bad Request", false},
		{"a negative length", "POST /again HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", "400 Bad Request", false},
		{"a length with a sign", "POST /again HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\nhello", "400 Bad Request", false},
		{"a length in another base", "POST /again HTTP/1.1\r\n" + host + "Content-Length: 0x5\r\n\r\nhello", "400 Bad Request", false},
		{"two lengths", "POST /again HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "400 Bad Request", false},
		{"two lengths in one line", "POST /again HTTP/1.1\r\n" + host + "Content-Length: 5, 6\r\n\r\nhello!", "400 Bad Request", false},
		{"a length beyond counting", "POST /again HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", "400 Bad Request", false},
		{"an empty length", "POST /again HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n", "400 Bad Request", false},
		{"no Host", "GET /again HTTP/1.1\r\n\r\n", "400 Bad Request", false},
		{"two Hosts", "GET /again HTTP/1.1\r\n" + host + host + "\r\n", "400 Bad Request", false},
		{"a user in Host", "GET /again HTTP/1.1\r\nHost: user:pw@h\r\n\r\n", "400 Bad Request", false},
		{"a path in Host", "GET /again HTTP/1.1\r\nHost: h/x\r\n\r\n", "400 Bad Request", false},
		{"a folded line", "GET /again HTTP/1.1\r\n" + host + "X-A: 1\r\n 2\r\n\r\n", "400 Bad Request", false},
		{"a NUL in a value", "GET /again HTTP/1.1\r\n" + host + "X-A: 1\x002\r\n\r\n", "400 Bad Request", false},
		{"a CR in a value", "GET /again HTTP/1.1\r\n" + host + "X-A: 1\r2\r\n\r\n", "400 Bad Request", false},
		{"a space before the colon", "GET /again HTTP/1.1\r\n" + host + "X-A : 1\r\n\r\n", "400 Bad Request", false},
		{"a space in a name", "GET /again HTTP/1.1\r\n" + host + "X A: 1\r\n\r\n", "400 Bad Request", false},
		{"a line without a colon", "GET /again HTTP/1.1\r\n" + host + "X-A\r\n\r\n", "400 Bad Request", false},
		{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "400 Bad Request", false},
		{"a version that is none", "GET /again HTTX/1.1\r\n" + host + "\r\n", "400 Bad Request", false},
		{"another major version", "GET /again HTTP/2.0\r\n" + host + "\r\n", "505 HTTP Version Not Supported", false},
		{"a control in the target", "GET /ag\x01ain HTTP/1.1\r\n" + host + "\r\n", "400 Bad Request", false},
		{"a fragment in the target", "GET /again#x HTTP/1.1\r\n" + host + "\r\n", "400 Bad Request", false},
		{"a target without a slash", "GET again HTTP/1.1\r\n" + host + "\r\n", "400 Bad Request", false},
		{"a target of another scheme", "GET ftp://h/again HTTP/1.1\r\n" + host + "\r\n", "400 Bad Request", false},
		{"a star that is not for OPTIONS", "GET * HTTP/1.1\r\n" + host + "\r\n", "400 Bad Request", false},
		{"CONNECT", "CONNECT h:443 HTTP/1.1\r\n" + host + "\r\n", "501 Not Implemented", false},
		{"another expectation", "PUT /items/1 HTTP/1.1\r\n" + host + "Expect: a-miracle\r\nContent-Length: 2\r\n\r\nok", "417 Expectation Failed", false},
		{"fields beyond the limit", "GET /again HTTP/1.1\r\n" + host + "X-A: " + long + "\r\n\r\n", "431 Request Header Fields Too Large", false},
		{"a target beyond the limit", "GET /again?" + long + " HTTP/1.1\r\n" + host + "\r\n", "414 Request URI Too Long", false},
		{"a declared content beyond the limit", "POST /small HTTP/1.1\r\n" + host + "Content-Length: 1025\r\n\r\n" + strings.Repeat("x", 1025), "413 Request Entity Too Large", true},

		{"no route", "GET /nowhere HTTP/1.1\r\n" + host + "\r\n", "404 Not Found", true},
		{"no route for a POST with a content", "POST /nowhere HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\nok", "404 Not Found", true},
		{"no route for HEAD", "HEAD /nowhere HTTP/1.1\r\n" + host + "\r\n", "404 Not Found", true},
		{"the gateway's own paths", "GET /-/metrics HTTP/1.1\r\n" + host + "\r\n", "404 Not Found", true},
		{"another method", "DELETE /items/1 HTTP/1.1\r\n" + host + "\r\n", "405 Method Not Allowed", true},
		{"no route, and the connection is to end", "GET /nowhere HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", "404 Not Found", false},
		{"no route for HTTP/1.0", "GET /nowhere HTTP/1.0\r\n\r\n", "404 Not Found", false},
		{"no route for HTTP/1.0 that is kept", "GET /nowhere HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "404 Not Found", true},
	}
	var up asked
	g := start(t, serveUpstream(t, up.serve), someRoutes)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := dialTo(t, g.Addr().String())
			c.send(test.request)
			head := c.head()
			if status(head) != test.status || field(head, "content-type") != "application/problem+json" || field(head, "breakwater-request-id") == "" {
				t.Fatalf("got %q, want %s", head, test.status)
			}
			if closes := field(head, "connection") == "close"; closes == test.keeps {
				t.Errorf("the head says that the connection ends: %v", closes)
			}
			if field(head, "allow") != "" != (test.status == "405 Method Not Allowed") {
				t.Errorf("Allow: %q", field(head, "allow"))
			}
			var n int
			fmt.Sscan(field(head, "content-length"), &n) //nolint:errcheck
			if !strings.HasPrefix(test.request, "HEAD") {
				if body := c.take(n); !strings.HasPrefix(body, `{"type":"tag:breakwater-gateway.github.io,2026:problem/`) {
					t.Errorf("body %q", body)
				}
			}
			before := len(up.all())
			if before > 0 && up.all()[before-1][:10] != "GET /again" {
				t.Errorf("the upstream got %q", up.all()[before-1])
			}
			if test.keeps {
				c.again()
			} else {
				c.over()
			}
		})
	}
	for _, head := range up.all() {
		if !strings.HasPrefix(head, "GET /again HTTP/1.1\r\n") {
			t.Errorf("the upstream got %q", head)
		}
	}
}

// TestTargets compares what reaches the upstream with what was asked, byte for byte.
func TestTargets(t *testing.T) {
	tests := []struct{ name, line, host, want string }{
		{"a path stays as it is", "GET /a//b/../%2f%zz/;x=1 HTTP/1.1", "h", "GET /a//b/../%2f%zz/;x=1 HTTP/1.1"},
		{"a query stays as it is", "GET /a?x=1&&y=%zz?/+ HTTP/1.1", "h", "GET /a?x=1&&y=%zz?/+ HTTP/1.1"},
		{"an empty query stays", "GET /a? HTTP/1.1", "h", "GET /a? HTTP/1.1"},
		{"two slashes are no authority", "GET //h/a HTTP/1.1", "h", "GET //h/a HTTP/1.1"},
		{"the absolute form becomes a path", "GET http://other.example:80/a?b HTTP/1.1", "h", "GET /a?b HTTP/1.1"},
		{"the absolute form without a path", "GET http://other.example HTTP/1.1", "h", "GET / HTTP/1.1"},
		{"the absolute form without a path but with a query", "GET http://other.example?x HTTP/1.1", "h", "GET /?x HTTP/1.1"},
		{"OPTIONS for a path", "OPTIONS /a HTTP/1.1", "h", "OPTIONS /a HTTP/1.1"},
		{"a method that nobody knows", "BREW /pot HTTP/1.1", "h", "BREW /pot HTTP/1.1"},
		{"a method in small letters is another one", "get /a HTTP/1.1", "h", "get /a HTTP/1.1"},
		{"HTTP/1.0 is spoken on as HTTP/1.1", "GET /a HTTP/1.0\r\nConnection: keep-alive", "h", "GET /a HTTP/1.1"},
	}
	var up asked
	address := serveUpstream(t, up.serve)
	g := start(t, address, everything)
	c := g.dial() // one connection for all
	for _, test := range tests {
		head, body := c.ask(test.line + "\r\nHost: " + test.host + "\r\n\r\n")
		if status(head) != "200 OK" || body != test.want {
			t.Errorf("%s: got %q %q, want %q", test.name, head, body, test.want)
			c = g.dial()
			continue
		}
		got := up.all()
		if host := field(got[len(got)-1], "host"); host != address {
			t.Errorf("%s: Host: %q, want the upstream's", test.name, host)
		}
	}
}

func TestFieldsOfARequest(t *testing.T) {
	var up asked
	address := serveUpstream(t, up.serve)
	g := start(t, address, everything)
	c := g.dial()
	c.ask("POST / HTTP/1.1\r\nhost: h\r\nx-b: \xff\r\nX-A:  1 \r\nx-a:\r\nUser-Agent: a\r\nUser-Agent: b\r\nContent-Type: x\r\ncontent-type: y\r\nCookie: a=\"b\"; =c\r\n" +
		"Keep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: x\r\nConnection: x-hop, keep-alive, host, content-length\r\nX-Hop: 1\r\nTrailer: X-T\r\nBreakwater-Request-Id: mine\r\nContent-Length: 2\r\n\r\nok")
	want := "POST / HTTP/1.1\r\nHost: " + address + "\r\nx-b: \xff\r\nX-A: 1\r\nx-a: \r\nUser-Agent: a\r\nUser-Agent: b\r\nContent-Type: x\r\ncontent-type: y\r\nCookie: a=\"b\"; =c\r\n" +
		"Content-Length: 2\r\nVia: 1.1 breakwater\r\nBreakwater-Request-Id: mine\r\n\r\n"
	if got := up.all(); len(got) != 1 || got[0] != want {
		t.Errorf("upstream got %q\nwant %q", got, want)
	}
}

func TestHeadHasNoContent(t *testing.T) {
	var up asked
	g := start(t, serveUpstream(t, up.serve), everything)
	c := g.dial()
	for range 3 {
		c.send("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n")
		if head := c.head(); status(head) != "200 OK" || field(head, "content-length") != "16" {
			t.Fatalf("head %q", head)
		}
		c.again()
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	var up asked
	g := start(t, serveUpstream(t, up.serve), someRoutes)
	c := g.dial()
	requests := []struct{ request, status, body string }{
		{"GET /items/1 HTTP/1.1\r\nHost: h\r\n\r\n", "200 OK", "GET /items/1 HTTP/1.1"},
		{"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n", "404 Not Found", ""},
		{"PUT /items/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "200 OK", "PUT /items/2 HTTP/1.1"},
		{"POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 31\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n", "404 Not Found", ""},
		{"GET /items/3 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "200 OK", "GET /items/3 HTTP/1.1"},
		{"GET /items/4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200 OK", "GET /items/4 HTTP/1.1"},
	}
	all := ""
	for _, r := range requests {
		all += r.request
	}
	c.send(all + ask) // the last is behind the connection's end
	for _, r := range requests {
		head, body := c.ask("")
		if status(head) != r.status || r.body != "" && body != r.body {
			t.Fatalf("%q got %q %q", r.request, head, body)
		}
	}
	c.over()
}

func TestHeadTimeout(t *testing.T) {
	var up asked
	g := startListening(t, ", timeouts: {head: 100ms, idle: 100ms}", serveUpstream(t, up.serve), everything)
	tests := []struct{ name, sends, want string }{
		{"nothing asked, nothing answered", "", ""},
		{"a byte of a head", "G", "408 Request Timeout"},
		{"a head without its end", "GET / HTTP/1.1\r\nHost: h\r\n", "408 Request Timeout"},
	}
	for _, test := range tests {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, on a new connection %v", test.name, first), func(t *testing.T) {
				t.Parallel()
				c := dialTo(t, g.Addr().String())
				if !first {
					c.again()
				}
				c.send(test.sends)
				got, err := c.rest()
				if err != nil || (test.want == "") != (got == "") || test.want != "" && status(got) != test.want {
					t.Errorf("got %q, %v; want %q", got, err, test.want)
				}
				if got != "" && field(got, "connection") != "close" {
					t.Errorf("no word on the connection's end: %q", got)
				}
			})
		}
	}
	t.Run("an exchange is not limited by it", func(t *testing.T) {
		t.Parallel()
		slow := startListening(t, ", timeouts: {head: 50ms}", serveUpstream(t, func(c *peer) {
			for c.head() != "" {
				time.Sleep(100 * time.Millisecond)
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n")
				time.Sleep(100 * time.Millisecond)
				c.send("GET /again HTTP/1.1")
			}
		}), everything)
		slow.dial().again()
	})
}

// TestNothingIsLeftOfAnEarlierRequest asks with what is checked before the fields are read.
func TestNothingIsLeftOfAnEarlierRequest(t *testing.T) {
	var up asked
	g := start(t, serveUpstream(t, up.serve), everything+"access_log: {file: \"-\"}\n")
	for range 20 {
		g.dial().ask("POST /secret HTTP/1.1\r\nHost: secret.example\r\nBreakwater-Request-Id: secret\r\nContent-Length: 2\r\n\r\nok")
		head, body := g.dial().ask("GET / HTTP/2.0\r\nHost: h\r\n\r\n")
		if strings.Contains(head+body, "secret") {
			t.Fatalf("another request's bytes in %q", head+body)
		}
	}
}
