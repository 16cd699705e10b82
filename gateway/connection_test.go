package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// evil is a content that would be a request if anyone took it for one.
var evil = strings.Repeat("GET /evil HTTP/1.1\r\nHost: h\r\n\r\n", 4)

// TestUnreadContentIsNeverARequest refuses requests whose content nobody reads, and looks for it on the connection.
func TestUnreadContentIsNeverARequest(t *testing.T) {
	large := strings.Repeat(evil, 8192) // 1 MiB
	huge := strings.Repeat(large, 16)   // more than the system takes for an upstream that does not read
	length := func(s string) string { return "Content-Length: " + itoa(len(s)) + "\r\n\r\n" + s }
	tests := []struct {
		name, request, status string
		keeps                 bool
	}{
		{"a little", "POST /nowhere HTTP/1.1\r\nHost: h\r\n" + length(evil), "404 Not Found", true},
		{"none", "POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "404 Not Found", true},
		{"much", "POST /nowhere HTTP/1.1\r\nHost: h\r\n" + length(large), "404 Not Found", false},
		{"chunks", "POST /nowhere HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(evil), evil), "404 Not Found", false},
		{"a little, for an upstream that is not there", "POST /dead HTTP/1.1\r\nHost: h\r\n" + length(evil), "502 Bad Gateway", true},
		{"much, for an upstream that is not there", "POST /dead HTTP/1.1\r\nHost: h\r\n" + length(large), "502 Bad Gateway", false},
		{"much, to an upstream that answers early", "POST /early HTTP/1.1\r\nHost: h\r\n" + length(huge), "403 Forbidden", false},
		{"chunks to an upstream that answers early", "POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(huge), huge), "403 Forbidden", false},
		{"behind a head that is refused", "POST /again HTTP/1.1\r\nHost: h\r\nHost: h\r\n" + length(large), "400 Bad Request", false},
		{"with an expectation", "POST /nowhere HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n" + length(evil), "404 Not Found", false},
	}
	dead := newListener(t)
	dead.Close()
	var up asked
	address := serveUpstream(t, func(c *peer) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			up.add(head)
			if strings.HasPrefix(head, "POST /early") {
				c.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
				<-t.Context().Done() // it never reads the content
				return
			}
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nGET /again HTTP/1.1")
		}
	})
	g := start(t, address, fmt.Sprintf(`
  - {name: dead, url: "http://%s"}
routes:
  - {name: again, path: "/again", upstream: up}
  - {name: early, path: "/early", upstream: up}
  - {name: dead, path: "/dead", upstream: dead}
`, dead.Addr()))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := dialTo(t, g.Addr().String())
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				io.WriteString(c.Conn, test.request+ask) //nolint:errcheck // it may be cut off
			}()
			head, _ := c.ask("")
			if status(head) != test.status {
				t.Errorf("got %q, want %s", head, test.status)
			}
			if closes := field(head, "connection") == "close"; closes == test.keeps {
				t.Errorf("the head says that the connection ends: %v", closes)
			}
			if test.keeps {
				if head, body := c.ask(""); status(head) != "200 OK" || body != "GET /again HTTP/1.1" {
					t.Errorf("then %q %q", head, body)
				}
			} else if rest, _ := c.rest(); rest != "" { // RST is as good as FIN: the client is still sending
				t.Errorf("then %q", rest)
			}
			c.Close()
			<-sent
		})
	}
	for _, head := range up.all() {
		if strings.Contains(head, "evil") {
			t.Errorf("the upstream got %q", head)
		}
	}
}

func TestClientThatLeavesEndsTheUpstreamsExchange(t *testing.T) {
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		arrived, ended := make(chan struct{}), make(chan struct{})
		g := start(t, serveUpstream(t, func(c *peer) {
			if c.head() == "" {
				return
			}
			close(arrived)
			io.Copy(io.Discard, c.r) //nolint:errcheck // until it ends
			close(ended)
		}), everything)
		c := g.dial()
		c.send(request)
		<-arrived
		c.Close()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("%q: the upstream still waits", request)
		}
		eventually(t, "no connection is open", func() bool { return g.open() == 0 })
	}
}

// TestPanicCostsItsRequestOnly breaks parts of a running gateway, each at another place of a request's way.
func TestPanicCostsItsRequestOnly(t *testing.T) {
	tests := []struct {
		name, request string
		route         func(r *boundRoute) // breaks it; nil: there is no table of routes
		want          string
	}{
		{"before the route is known", "GET /spoilt HTTP/1.1\r\nHost: h\r\n\r\n", nil, "500 Internal Server Error"},
		{"before the content is asked for", "POST /spoilt HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", nil, "500 Internal Server Error"},
		{"at a step", "GET /spoilt HTTP/1.1\r\nHost: h\r\n\r\n", func(r *boundRoute) { r.steps = make([]step, 1) }, "500 Internal Server Error"},
		{"at the upstream", "GET /spoilt HTTP/1.1\r\nHost: h\r\n\r\n", func(r *boundRoute) { r.upstream = nil }, "500 Internal Server Error"},
		{"at the upstream, with a content", "POST /spoilt HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok", func(r *boundRoute) { r.upstream = nil }, "500 Internal Server Error"},
		{"when all is said", "GET /spoilt HTTP/1.1\r\nHost: h\r\n\r\n", func(r *boundRoute) { r.meters = nil }, "200 OK"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var up asked
			g := start(t, serveUpstream(t, up.serve), `
routes:
  - {name: spoilt, path: "/spoilt", upstream: up}
  - {name: again, path: "/again", upstream: up}
`)
			s := g.snapshot.Load()
			if test.route != nil {
				test.route(s.routes[0])
			} else {
				spoilt := &snapshot{config: s.config, free: func() {}}
				spoilt.holders.Store(1)
				g.snapshot.Store(spoilt) // it has no table
			}
			for i := range uint64(3) {
				c := g.dial()
				c.send(test.request)
				if head, _ := c.ask(""); status(head) != test.want {
					t.Errorf("got %q, want %s", head, test.want)
				}
				c.over()
				eventually(t, "the panic is counted", func() bool { return g.panics.Get() == i+1 })
			}
			g.snapshot.Store(s)
			g.dial().again()
			eventually(t, "no request holds the snapshot", func() bool { return s.holders.Load() == 1 })
		})
	}
}

func TestDrain(t *testing.T) {
	held, arrived := make(chan struct{}), make(chan struct{}, 1)
	g := start(t, serveUpstream(t, func(c *peer) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			if strings.HasPrefix(head, "GET /held") {
				c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
				arrived <- struct{}{}
				<-held
				c.send("4\r\nlast\r\n0\r\n\r\n")
			} else {
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nGET /again HTTP/1.1")
			}
		}
	}), everything)
	idle, busy := g.dial(), g.dial()
	idle.again()
	busy.again()
	busy.send("GET /held HTTP/1.1\r\nHost: h\r\n\r\n")
	<-arrived
	g.stop()
	idle.over()
	eventually(t, "new connections are refused", func() bool {
		c, err := net.Dial("tcp", g.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-g.ended:
		t.Fatalf("Run has returned with a request under way: %v", err)
	default:
	}
	close(held)
	if head := busy.head(); status(head) != "200 OK" {
		t.Errorf("got %q", head)
	}
	if content, _, whole := busy.chunked(); content != "firstlast" || !whole {
		t.Errorf("got %q, whole: %v", content, whole)
	}
	busy.over()
}

// TestDrainThatTakesTooLong leaves a request under way, and a connection that has not asked anything yet.
func TestDrainThatTakesTooLong(t *testing.T) {
	held, arrived := make(chan struct{}), make(chan struct{}, 1)
	r := &running{t: t, dir: t.TempDir()}
	r.configure(serveUpstream(t, func(c *peer) {
		c.head()
		arrived <- struct{}{}
		<-held
	}), everything)
	text, err := os.ReadFile(filepath.Join(r.dir, "breakwater.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r.write("breakwater.yaml", strings.Replace(string(text), "drain: 5s", "drain: 50ms", 1))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if r.Gateway, err = New(ctx, Options{Config: filepath.Join(r.dir, "breakwater.yaml")}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	busy, silent := r.dial(), r.dial()
	busy.send("GET /held HTTP/1.1\r\nHost: h\r\n\r\n")
	<-arrived
	stop()
	if err := <-ended; err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v, want that it took too long", err)
	}
	for _, c := range []*peer{silent, busy} {
		io.WriteString(c.Conn, ask) //nolint:errcheck // and the process goes on
		if rest, _ := c.rest(); rest != "" {
			t.Errorf("got %q after the end", rest)
		}
	}
	close(held)
	var counts strings.Builder
	r.writeMetrics(&counts)
	if want := `breakwater_requests_total{route="all",class="aborted",fault="gateway"} 1`; !strings.Contains(counts.String(), want) {
		t.Errorf("no %s: it was not the client that left", want)
	}
}

// TestNothingIsLeftOver counts goroutines and descriptors around requests that end in every way.
func TestNothingIsLeftOver(t *testing.T) {
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return 0
		}
		return len(list)
	}
	round := func() {
		ctx, stop := context.WithCancel(context.Background())
		r := &running{t: t, dir: t.TempDir(), stop: stop}
		ln := newListener(t)
		var served sync.WaitGroup
		served.Go(func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				served.Go(func() {
					defer c.Close()
					for p := newPeer(t, c); p.head() != ""; {
						io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nGET /again HTTP/1.1") //nolint:errcheck
					}
				})
			}
		})
		r.configure(ln.Addr().String(), someRoutes)
		var err error
		if r.Gateway, err = New(ctx, Options{Config: filepath.Join(r.dir, "breakwater.yaml")}); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		for _, request := range []string{
			ask,
			"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n",
			"POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n",
			"PUT /items/1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
			"PUT /items/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok",
			"GET /again HTTP/2.0\r\n\r\n",
			"GET /again HTTP/1.1\r\nHost:",
		} {
			c := r.dial()
			c.send(request)
			c.Conn.(*net.TCPConn).CloseWrite() //nolint:errcheck
			c.rest()                           //nolint:errcheck
			c.Close()
		}
		r.dial().again()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ln.Close()
		served.Wait()
	}
	round() // starts what is started once
	goroutines, open := runtime.NumGoroutine(), descriptors()
	for range 3 {
		round()
	}
	// Each of fasthttp's servers, two a round, leaves one goroutine asleep for up to ten seconds.
	eventually(t, "no more goroutines than before", func() bool { return runtime.NumGoroutine() <= goroutines+6 })
	if n := descriptors(); n > open+6 { // the test's own ends are closed when it ends
		t.Errorf("%d descriptors, %d before", n, open)
	}
}
