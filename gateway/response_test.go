package gateway

import (
	"io"
	"regexp"
	"strings"
	"testing"
)

// made is what every response head has that differs from one run to the next.
var made = regexp.MustCompile(`Date: [^\r]*\r\n|Breakwater-Request-Id: [^\r]*\r\n`)

// TestResponseFraming sends each response of an upstream whole and then closes, and compares all that the client gets.
func TestResponseFraming(t *testing.T) {
	const get, get10, head = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	tests := []struct {
		name, request, response, want string
		cut                           bool // want ends where the connection breaks off
	}{
		{
			"a length stays a length", get, "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello",
			"HTTP/1.1 200 Fine\r\nX-A: 1\r\nContent-Length: 5\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\nhello", false,
		},
		{
			"no content is a length of 0", get, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 404 No\r\nContent-Length: 0\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n", false,
		},
		{
			"chunks stay chunks, their extensions go", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n6\r\nhello!\r\n0\r\n\r\n", false,
		},
		{
			"an empty chunked content", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n0\r\n\r\n", false,
		},
		{
			"trailers pass, announced or not", get, "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nX-More: a\r\nContent-Length: 9\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nX-More: a\r\n\r\n", false,
		},
		{
			"a content that ends with the connection becomes chunks", get, "HTTP/1.1 200 OK\r\n\r\nuntil the end",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n", false,
		},
		{
			"HTTP/1.0 clients get no chunks", get10, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
			"HTTP/1.1 200 OK\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\nhello", false,
		},
		{
			"an HTTP/1.0 upstream is named in Via", get, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.0 breakwater\r\nConnection: close\r\n\r\nok", false,
		},
		{
			"HEAD keeps the length and has no content", head, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 500\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n", false,
		},
		{
			"204 has neither length nor content", get, "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
			"HTTP/1.1 204 No Content\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n", false,
		},
		{
			"304 keeps its length and has no content", get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\nETag: \"x\"\r\n\r\n",
			"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 3\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n", false,
		},
		{
			"hop-by-hop fields and those that Connection lists go", get, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nX-End: 2\r\nContent-Length: 0\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n", false,
		},
		{
			"interim responses come first", get, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n", false,
		},
		{
			"no interim responses to HTTP/1.0", get10, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n", false,
		},
		{
			"the same length twice is one length", get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\nok", false,
		},
		{
			"Transfer-Encoding beats Content-Length", get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n", false,
		},
		{
			"order, case, repeats and odd bytes of fields stay", get, "HTTP/1.1 200 OK\r\nx-b: \xff\r\nX-A:  1 \r\nX-a:\r\nServer: s\r\nContent-Encoding: gzip\r\nContent-encoding: br\r\nSet-Cookie: a=\"b\"\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nx-b: \xff\r\nX-A: 1\r\nX-a: \r\nServer: s\r\nContent-Encoding: gzip\r\nContent-encoding: br\r\nSet-Cookie: a=\"b\"\r\nContent-Length: 0\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n", false,
		},

		{
			"a short content is cut short", get, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
			"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\nhello", true,
		},
		{
			"no last chunk where none came", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n5\r\nhello\r\n", true,
		},
		{
			"a chunk that broke off", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n3\r\nhel\r\n", true,
		},
		{
			"a trailer section that broke off", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n2\r\nok\r\n", true,
		},
		{
			"a chunk size that is none", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 breakwater\r\nConnection: close\r\n\r\n2\r\nok\r\n", true,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := start(t, serveUpstream(t, func(c *peer) {
				if c.head() != "" {
					c.send(test.response)
				}
			}), everything)
			c := g.dial()
			c.send(test.request)
			got, err := c.rest()
			if err != nil {
				t.Errorf("the connection ended with %v", err)
			}
			if got = made.ReplaceAllString(got, ""); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			cuts := g.meters.route("all").cuts.Get()
			if want := map[bool]uint64{true: 1}[test.cut]; cuts != want {
				t.Errorf("responses cut: %d, want %d", cuts, want)
			}
		})
	}
}

func TestCutContentOfHTTP10ClientEndsInReset(t *testing.T) {
	g := start(t, serveUpstream(t, func(c *peer) {
		c.head()
		c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	}), everything)
	c := g.dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	got, err := c.rest()
	if err == nil {
		t.Errorf("a content that broke off ended like a whole one: %q", got)
	}
}

func TestBadResponses(t *testing.T) {
	tests := []struct{ name, response, want string }{
		{"nothing at all", "", "502 Bad Gateway"},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-", "502 Bad Gateway"},
		{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "502 Bad Gateway"},
		{"another major version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "502 Bad Gateway"},
		{"different lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", "502 Bad Gateway"},
		{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", "502 Bad Gateway"},
		{"an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "502 Bad Gateway"},
		{"identity is no coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok", "502 Bad Gateway"},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "502 Bad Gateway"},
		{"a folded line", "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n", "502 Bad Gateway"},
		{"a NUL in a value", "HTTP/1.1 200 OK\r\nX-A: 1\x00\r\nContent-Length: 0\r\n\r\n", "502 Bad Gateway"},
		{"a space before the colon", "HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 0\r\n\r\n", "502 Bad Gateway"},
		{"a switch of protocols that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "502 Bad Gateway"},
		{"a head without end", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: 0123456789abcdef\r\n", 4000), "502 Bad Gateway"},
		{"interim responses without end", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100), "502 Bad Gateway"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := start(t, serveUpstream(t, func(c *peer) {
				if c.head() != "" {
					io.WriteString(c.Conn, test.response) //nolint:errcheck // it may be cut off
				}
			}), everything)
			c := g.dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			head := c.head()
			for strings.HasPrefix(head, "HTTP/1.1 102") {
				head = c.head()
			}
			if status(head) != test.want || field(head, "content-type") != "application/problem+json" {
				t.Fatalf("head %q, want %s", head, test.want)
			}
		})
	}
}

// An upstream that ends its lines in LF alone has said all that it has to say: nobody waits for more until it is too late.
func TestBareLineFeedsAreRefusedAtOnce(t *testing.T) {
	for _, head := range []string{
		"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\n",
	} {
		g := start(t, serveUpstream(t, func(c *peer) {
			c.head()
			c.send(head)
			c.head() // the gateway ends the connection
		}), everything)
		c := g.dial()
		c.send("GET / HTTP/1.0\r\n\r\n")
		if got := status(c.head()); got != "502 Bad Gateway" {
			t.Errorf("%q: the client has %q, want 502", head, got)
		}
	}
}
