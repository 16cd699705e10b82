package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
)

// switching is a site where every path may change to websocket or to test/1.
const switching = `
listen: {address: "127.0.0.1:0", drain: 200ms}
admin: {address: "127.0.0.1:0", example: true}
upstreams:
  - {name: up, url: "http://%s"}
routes:
  - {name: idle, path: "/idle", upstream: up, upgrade: [test/1], limits: {idle_body: 100ms}}
  - {name: all, path: "/{rest...}", upstream: up, upgrade: [websocket, test/1], limits: {total: 10s}}
`

const (
	ask4  = "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: test/1\r\n\r\n"
	agree = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test/1\r\n\r\n"
)

// TestWebSocket has a real client and a real server talk through the gateway, with a step on the handshake.
func TestWebSocket(t *testing.T) {
	var handshake http.Header
	var query string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handshake, query = r.Header, r.URL.RawQuery
		c, err := (&websocket.Upgrader{Subprotocols: []string{"chat"}}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for {
			kind, message, err := c.ReadMessage()
			if err != nil {
				return
			}
			if c.WriteMessage(kind, message) != nil {
				return
			}
		}
	}))
	defer server.Close()
	s := launch(t, strings.TrimPrefix(server.URL, "http://"), acting(t, "",
		"{request: [{do: set_field, name: X-Step, value: on}, {do: set_uri, value: /there?kept=1}]}")+"    upgrade: [websocket]\n")
	dialer := websocket.Dialer{Subprotocols: []string{"chat"}}
	c, resp, err := dialer.Dial("ws://"+s.Addr().String()+"/socket?dropped=1", http.Header{"D360-Api-Key": {"example-key-acme"}})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("Breakwater-Request-Id") == "" || c.Subprotocol() != "chat" {
		t.Errorf("the handshake: %v", resp.Header)
	}
	for _, message := range []string{"hello", strings.Repeat("x", 1<<20), ""} {
		if err := c.WriteMessage(websocket.BinaryMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if kind, got, err := c.ReadMessage(); kind != websocket.BinaryMessage || string(got) != message || err != nil {
			t.Errorf("%d bytes became %d, kind %d, %v", len(message), len(got), kind, err)
		}
	}
	if handshake.Get("X-Step") != "on" || query != "kept=1" {
		t.Errorf("the step's work did not reach the server: %v, query %q", handshake, query)
	}
	c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "bye")) //nolint:errcheck
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("the end: %v", err)
	}
	c.Close()
	eventually(t, "the tunnel has ended", func() bool { return s.snapshot.Load().holders.Load() == 1 })
}

// tunnelled is an upstream that agrees and then plays.
func tunnelled(t *testing.T, play func(c *peer)) string {
	return serveUpstream(t, func(c *peer) {
		c.head()
		c.send(agree)
		play(c)
	})
}

func TestTunnel(t *testing.T) {
	t.Run("bytes behind both heads go through, and each side ends by itself", func(t *testing.T) {
		r := prepare(t, serveUpstream(t, func(c *peer) {
			c.head()
			c.send(agree + "first")
			c.Conn.(*net.TCPConn).CloseWrite() //nolint:errcheck
			if got, err := c.rest(); got != "earlylate" || err != nil {
				t.Errorf("the upstream got %q, %v", got, err)
			}
		}), switching).serving()
		c := r.dial()
		c.send(ask4 + "early")
		if head := c.head(); status(head) != "101 Switching Protocols" || field(head, "Upgrade") != "test/1" || field(head, "Connection") != "Upgrade" {
			t.Fatalf("got %q", head)
		}
		if got, err := c.rest(); got != "first" || err != nil {
			t.Errorf("the client got %q, %v", got, err)
		}
		c.send("late")
		c.Conn.(*net.TCPConn).CloseWrite() //nolint:errcheck
		eventually(t, "the tunnel has ended", func() bool { return r.snapshot.Load().holders.Load() == 1 })
	})
	t.Run("a reset of one side is one of the other", func(t *testing.T) {
		r := prepare(t, tunnelled(t, func(c *peer) {
			c.take(5)
			c.Conn.(*net.TCPConn).SetLinger(0) //nolint:errcheck
		}), switching).serving()
		c := r.dial()
		c.send(ask4 + "hello")
		c.head()
		if got, err := c.rest(); err == nil {
			t.Errorf("the client saw a clean end behind %q", got)
		}
	})
	t.Run("idle for too long", func(t *testing.T) {
		r := prepare(t, tunnelled(t, func(c *peer) { io.Copy(io.Discard, c.r) }), switching).serving() //nolint:errcheck
		c := r.dial()
		c.send(strings.Replace(ask4, "/", "/idle", 1))
		c.head()
		if got, err := c.rest(); got != "" || err == nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("one way in use keeps the other", func(t *testing.T) {
		r := prepare(t, tunnelled(t, func(c *peer) { io.Copy(c, c.r) }), switching).serving() //nolint:errcheck
		c := r.dial()
		c.send(strings.Replace(ask4, "/", "/idle", 1))
		c.head()
		for i := range 20 {
			message := fmt.Sprint("message ", i%10)
			c.send(message)
			if got := c.take(len(message)); got != message {
				t.Fatalf("got %q", got)
			}
		}
		c.Conn.(*net.TCPConn).CloseWrite() //nolint:errcheck
		c.over()
	})
	t.Run("stopping ends it when the time to drain is over", func(t *testing.T) {
		r := prepare(t, tunnelled(t, func(c *peer) { io.Copy(io.Discard, c.r) }), switching).serving() //nolint:errcheck
		c := r.dial()
		c.send(ask4)
		c.head()
		r.stop()
		if got, err := c.rest(); got != "" || err == nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestUpgradeThatIsNotOne(t *testing.T) {
	plain := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	tests := []struct {
		name, asks, answers, status string
		asked                       bool // the upstream was
	}{
		{"of a protocol that the route does not allow", strings.Replace(ask4, "test/1", "h2c", 1), plain, "200 OK", false},
		{"that Connection does not name", strings.Replace(ask4, "Connection: upgrade\r\n", "", 1), plain, "200 OK", false},
		{"of HTTP/1.0", strings.Replace(ask4, "HTTP/1.1", "HTTP/1.0", 1), plain, "200 OK", false},
		{"with a content", strings.Replace(ask4, "\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nhi", 1), plain, "200 OK", false},
		{"that the upstream does not want", ask4, plain, "200 OK", true},
		{"that becomes another one", ask4, strings.Replace(agree, "test/1", "websocket", 1), "502 Bad Gateway", true},
		{"to nothing", ask4, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n", "502 Bad Gateway", true},
		{"that Connection does not confirm", ask4, strings.Replace(agree, "Connection: Upgrade\r\n", "", 1), "502 Bad Gateway", true},
		{"that nobody asked for", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", agree, "502 Bad Gateway", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := prepare(t, serveUpstream(t, func(c *peer) {
				head := c.head()
				if asked := field(head, "Upgrade") != ""; asked != test.asked || asked != strings.Contains(head, "Connection: Upgrade") {
					t.Errorf("the upstream got %q", head)
				}
				if strings.Contains(head, "POST") || strings.Contains(head, "Content-Length: 2") {
					c.take(2)
				}
				c.send(test.answers)
			}), switching).serving()
			c := r.dial()
			if head, _ := c.ask(test.asks); status(head) != test.status {
				t.Errorf("got %q, want %s", head, test.status)
			} else if test.status == "200 OK" && !strings.Contains(test.asks, "1.0") && field(head, "Connection") != "" {
				t.Errorf("the connection is not used again: %q", head)
			}
		})
	}
}
