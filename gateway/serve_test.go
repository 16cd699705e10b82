package gateway

import (
	"strings"
	"testing"
)

// echoHead answers each request with its head as the body.
func echoHead(c *peer) {
	for {
		head := c.head()
		if head == "" {
			return
		}
		c.send("HTTP/1.1 200 OK\r\nX-Up: yes\r\nContent-Length: " + itoa(len(head)) + "\r\n\r\n" + head)
	}
}

func TestPassThrough(t *testing.T) {
	up := serveUpstream(t, echoHead)
	g := start(t, up, everything)
	c := g.dial()
	for range 3 {
		head, body := c.ask("GET /a//b/%2F?x=%zz&y HTTP/1.1\r\nHost: shop.example\r\nX-One: 1\r\nx-ONE: 2\r\nConnection: X-Two\r\nX-Two: gone\r\n\r\n")
		if status(head) != "200 OK" || field(head, "x-up") != "yes" || field(head, "via") != "1.1 breakwater" || field(head, "date") == "" {
			t.Fatalf("head: %q", head)
		}
		want := "GET /a//b/%2F?x=%zz&y HTTP/1.1\r\nHost: " + up + "\r\nX-One: 1\r\nx-ONE: 2\r\nVia: 1.1 breakwater\r\nBreakwater-Request-Id: "
		if !strings.HasPrefix(body, want) {
			t.Fatalf("upstream got %q, want %q…", body, want)
		}
	}
}
