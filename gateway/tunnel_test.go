package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
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
}

// wasCut waits for the connection's end, which is to be no clean one.
func (p *peer) wasCut(who string) {
	p.t.Helper()
	if got, err := p.rest(); err == nil || errors.Is(err, conn.ErrEnd) || errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Errorf("%s got %q, %v, want a reset", who, got, err)
	}
}

// reset has the connection end with RST.
func (p *peer) reset() {
	p.Conn.(*net.TCPConn).SetLinger(0) //nolint:errcheck // the other side notices
	p.Close()
}

// TestTunnelCut has tunnels end otherwise than both sides have said. Both see that, and nobody is told of a request that failed:
// it has had its answer.
func TestTunnelCut(t *testing.T) {
	waits := func(*peer) {}
	tests := []struct {
		name, path       string
		client, upstream func(c *peer) // what each does before it waits for the end
	}{
		{"the client resets", "/", (*peer).reset, waits},
		{"the upstream resets", "/", waits, (*peer).reset},
		{"nothing comes for too long", "/idle", waits, waits},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ended := make(chan struct{})
			s := launch(t, tunnelled(t, func(c *peer) {
				defer close(ended)
				c.take(5)
				c.send("hello")
				test.upstream(c)
				c.wasCut("the upstream")
			}), `routes:
  - {name: idle, path: "/idle", upstream: up, upgrade: [test/1], limits: {idle_body: 100ms}}
  - {name: all, path: "/{rest...}", upstream: up, upgrade: [test/1]}
access_log: {file: access.log}
`)
			c := s.dial()
			c.send(strings.Replace(ask4, "/", test.path, 1) + "hello")
			c.head()
			c.r.Peek(5) //nolint:errcheck // a reset may take it
			test.client(c)
			c.wasCut("the client")
			<-ended
			eventually(t, "the tunnel has ended", func() bool { return s.snapshot.Load().holders.Load() == 1 })
			s.end()
			if log := s.events.String(); strings.Contains(log, "level=ERROR") {
				t.Errorf("logged: %s", log)
			}
			if log := s.read("access.log"); !strings.Contains(log, `"status":101`) || !strings.Contains(log, `"cut":true`) {
				t.Errorf("the access log: %s", log)
			}
		})
	}
}

// TestTunnelOfAClientThatIsGone has one side or none end its way, and then the client go. Nothing of the tunnel remains.
func TestTunnelOfAClientThatIsGone(t *testing.T) {
	for _, ends := range []string{"neither", "the client", "the upstream"} {
		for _, goes := range []string{"by a reset", "as the time to drain is over"} {
			t.Run(ends+" ends its way, "+goes, func(t *testing.T) {
				conns, done := make(chan *peer), make(chan struct{})
				defer close(done)
				r := prepare(t, tunnelled(t, func(c *peer) { conns <- c; <-done }), switching).serving()
				c := r.dial()
				c.send(ask4)
				c.head()
				up := <-conns
				from, to := c, up
				if ends == "the upstream" {
					from, to = up, c
				}
				if ends != "neither" {
					from.Conn.(*net.TCPConn).CloseWrite() //nolint:errcheck // the other side notices
					if got, err := to.rest(); got != "" || err != nil {
						t.Fatalf("the end arrived as %q, %v", got, err)
					}
				}
				s := r.snapshot.Load()
				if goes == "by a reset" {
					c.reset()
					eventually(t, "the tunnel has ended", func() bool { return s.holders.Load() == 1 })
				} else {
					r.stop()
					err := <-r.ended
					r.ended <- err // for whoever waits for it when the test ends
					if n := s.holders.Load(); n != 0 {
						t.Errorf("Run has returned, and %d still use the snapshot", n)
					}
				}
				eventually(t, "the upstream's connection is gone", func() bool {
					_, err := up.Write([]byte("x"))
					return err != nil
				})
			})
		}
	}
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

// TestUpgradeWithAStepsContent has a step put a content where an upgrade was asked for: the two exclude each other.
func TestUpgradeWithAStepsContent(t *testing.T) {
	up := servePartner(t, mirror)
	s := launch(t, up.address, acting(t, "", "{request: [{do: set_body, value: hello}]}")+"    upgrade: [test/1]\n")
	c := s.dial()
	c.send(strings.Replace(ask4, "\r\n\r\n", "\r\nD360-Api-Key: example-key-acme\r\n\r\n", 1))
	if head := c.head(); status(head) != "200 OK" {
		t.Errorf("got %q", head)
	}
	if head := up.last(); field(head, "Content-Length") != "5" || field(head, "Upgrade") != "" || field(head, "Connection") != "" {
		t.Errorf("the upstream got %q", head)
	}
}

type breaking struct{}

func (breaking) Read([]byte) (int, error) { panic("in a tunnel") }

func TestPanicCostsItsTunnelOnly(t *testing.T) {
	a, b := sent(t, ""), sent(t, "")
	p := &pipes{client: a.Socket, upstream: b.Socket}
	if _, ok := p.pass(a, breaking{}, a.Socket).(*upstream.Panic); !ok {
		t.Error("the panic is not told")
	}
	if !a.Interrupted() || !b.Interrupted() {
		t.Error("the other way goes on")
	}
}
