package gateway

import (
	"io"
	"net"
	"strings"
	"testing"
)

const (
	waiting  = "POST /again HTTP/1.1\r\nHost: h\r\nexpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"
	goOn     = "HTTP/1.1 100 Continue\r\n\r\n"
	accepted = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

// asking is a site whose upstream has 20 ms to agree to a content. Routes: /again, /ours where the gateway asks for it, and /step
// where a step does.
const asking = `
listen: {address: "127.0.0.1:0", drain: 5s, timeouts: {idle_body: 200ms}}
admin: {address: "127.0.0.1:0", example: true}
upstreams:
  - {name: up, url: "http://%s", timeouts: {continue: 20ms}}
routes:
  - {name: ours, path: "/ours", upstream: up, continue: gateway}
  - {name: all, path: "/{rest...}", upstream: up}
`

// patiently is asking with an upstream that has all the time of a response head.
var patiently = strings.Replace(asking, "continue: 20ms", "continue: 0s, response_head: 10s", 1)

func TestExpect(t *testing.T) {
	tests := []struct {
		name, site string
		upstream   func(t *testing.T, c *peer)
		client     func(t *testing.T, c *peer)
	}{
		{
			"the upstream is asked before there is content, and its answer passed on", patiently,
			func(t *testing.T, c *peer) {
				for range 3 {
					if head := c.head(); field(head, "Expect") != "100-continue" {
						t.Errorf("the upstream got %q", head)
					}
					c.send(goOn)
					if got := c.take(5); got != "hello" {
						t.Errorf("the upstream got %q", got)
					}
					c.send(accepted)
				}
			},
			func(t *testing.T, c *peer) {
				for range 3 {
					c.send(waiting)
					if got := c.take(len(goOn)); got != goOn {
						t.Fatalf("got %q", got)
					}
					if head, body := c.ask("hello"); status(head) != "200 OK" || body != "ok" || field(head, "Connection") == "close" {
						t.Errorf("got %q %q", head, body)
					}
				}
			},
		},
		{
			"a final answer instead is passed on, and the content never asked for", patiently,
			func(t *testing.T, c *peer) {
				c.head()
				c.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
				if got, err := c.rest(); got != "" || err != nil {
					t.Errorf("then the upstream got %q, %v: want the connection's end", got, err)
				}
			},
			func(t *testing.T, c *peer) {
				if head, body := c.ask(waiting); status(head) != "403 Forbidden" || body != "no" || field(head, "Connection") != "close" {
					t.Errorf("got %q %q", head, body)
				}
				c.over()
			},
		},
		{
			"103 before 100", patiently,
			func(t *testing.T, c *peer) {
				c.head()
				c.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + goOn)
				c.take(5)
				c.send(accepted)
			},
			func(t *testing.T, c *peer) {
				c.send(waiting)
				if hints, then := c.head(), c.head(); status(hints) != "103 Early Hints" || then != goOn {
					t.Errorf("got %q, %q", hints, then)
				}
				if head, _ := c.ask("hello"); status(head) != "200 OK" {
					t.Errorf("got %q", head)
				}
			},
		},
		{
			"a second 100 is passed on as well (9110 15.2)", patiently,
			func(t *testing.T, c *peer) {
				c.head()
				c.send(goOn)
				c.take(5)
				c.send(goOn + accepted)
			},
			func(t *testing.T, c *peer) {
				c.send(waiting)
				c.take(len(goOn))
				c.send("hello")
				if again, head := c.head(), c.head(); again != goOn || status(head) != "200 OK" {
					t.Errorf("got %q, %q", again, head)
				}
			},
		},
		{
			"an upstream that says nothing gets the content after a while", asking,
			func(t *testing.T, c *peer) {
				c.head()
				if got := c.take(5); got != "hello" {
					t.Errorf("the upstream got %q", got)
				}
				c.send(goOn + accepted) // its 100 comes late
			},
			func(t *testing.T, c *peer) {
				c.send(waiting)
				if got := c.take(len(goOn)); got != goOn {
					t.Fatalf("got %q", got)
				}
				c.send("hello")
				if late, head := c.head(), c.head(); late != goOn || status(head) != "200 OK" {
					t.Errorf("got %q, %q", late, head)
				}
			},
		},
		{
			"a client that does not wait", patiently,
			func(t *testing.T, c *peer) {
				if head, content := c.head(), c.take(5); content != "hello" {
					t.Errorf("the upstream got %q %q", head, content)
				}
				c.send(accepted)
			},
			func(t *testing.T, c *peer) {
				if head, _ := c.ask(waiting + "hello"); status(head) != "200 OK" {
					t.Errorf("got %q", head)
				}
			},
		},
		{
			"means nothing from an HTTP/1.0 client", patiently,
			func(t *testing.T, c *peer) {
				if head := c.head(); field(head, "Expect") != "" {
					t.Errorf("the upstream got %q", head)
				}
				c.take(5)
				c.send(accepted)
			},
			func(t *testing.T, c *peer) {
				if head, _ := c.ask(strings.Replace(waiting, "1.1", "1.0", 1) + "hello"); status(head) != "200 OK" {
					t.Errorf("got %q", head)
				}
				c.over()
			},
		},
		{
			"means nothing without content", patiently,
			func(t *testing.T, c *peer) {
				if head := c.head(); field(head, "Expect") != "" {
					t.Errorf("the upstream got %q", head)
				}
				c.send(accepted)
			},
			func(t *testing.T, c *peer) {
				if head, _ := c.ask("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n"); status(head) != "200 OK" {
					t.Errorf("got %q", head)
				}
			},
		},
		{
			"a route can have the gateway ask", patiently,
			func(t *testing.T, c *peer) {
				if head := c.head(); field(head, "Expect") != "" {
					t.Errorf("the upstream got %q", head)
				}
				c.take(5)
				c.send(accepted)
			},
			func(t *testing.T, c *peer) {
				c.send(strings.Replace(waiting, "/again", "/ours", 1))
				if got := c.take(len(goOn)); got != goOn {
					t.Fatalf("got %q", got)
				}
				if head, _ := c.ask("hello"); status(head) != "200 OK" {
					t.Errorf("got %q", head)
				}
			},
		},
		{
			"a client that leaves ends the upstream's exchange", patiently,
			func(t *testing.T, c *peer) {
				c.head()
				c.send("HTTP/1.1 103 Early Hints\r\n\r\n")
				if got, err := c.rest(); got != "" || err != nil {
					t.Errorf("the upstream got %q, %v", got, err)
				}
			},
			func(t *testing.T, c *peer) {
				c.send(waiting)
				c.head()                           // so that the upstream has been asked
				c.Conn.(*net.TCPConn).CloseWrite() //nolint:errcheck
				c.over()
			},
		},
		{
			"a client that then sends nothing is not waited for", patiently,
			func(t *testing.T, c *peer) {
				c.head()
				c.send(goOn)
				io.Copy(io.Discard, c.r) //nolint:errcheck
			},
			func(t *testing.T, c *peer) {
				c.send(waiting)
				c.take(len(goOn))
				if head, body := c.ask(""); status(head) != "408 Request Timeout" || !strings.Contains(body, "content did not arrive") {
					t.Errorf("got %q %q", head, body)
				}
				c.over()
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			served := make(chan struct{})
			r := prepare(t, serveUpstream(t, func(c *peer) {
				defer close(served)
				test.upstream(t, c)
			}), test.site).serving()
			c := dialTo(t, r.Addr().String())
			test.client(t, c)
			c.Close()
			<-served
			eventually(t, "no request holds the snapshot", func() bool { return r.snapshot.Load().holders.Load() == 1 })
		})
	}
}
