package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/inbound"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// prepare makes a gateway that does not run yet. The text is its whole configuration; %s in it is the upstream's address.
func prepare(t *testing.T, upstream, text string) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	r.write("breakwater.yaml", fmt.Sprintf(text, upstream))
	r.tenants()
	var err error
	if r.Gateway, err = New(context.Background(), Options{Config: filepath.Join(r.dir, "breakwater.yaml"), Output: io.Discard}); err != nil {
		t.Fatal(err)
	}
	return r
}

// serving runs it until the test ends.
func (r *running) serving() *running {
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.ended <- r.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		select {
		case <-r.ended:
		case <-time.After(patience):
			r.t.Error("Run did not return")
		}
	})
	return r
}

const plainSite = `
listen: {address: "127.0.0.1:0", drain: 1s}
admin: {address: "127.0.0.1:0", example: true}
upstreams:
  - {name: up, url: "http://%s"}
routes:
  - {name: all, path: "/{rest...}", upstream: up}
`

// A fullListener has no descriptor left for the first connection, as a process under load may.
type fullListener struct {
	net.Listener
	refused atomic.Bool
}

func (l *fullListener) Accept() (net.Conn, error) {
	if l.refused.CompareAndSwap(false, true) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestOutOfDescriptorsDoesNotEndTheGateway(t *testing.T) {
	r := prepare(t, serveUpstream(t, echoHead), plainSite)
	r.listener = &fullListener{Listener: r.listener}
	go func() { r.ended <- r.Run(context.Background()) }() // not ended: a Run that failed early does not return either
	c := r.dial()
	c.SetDeadline(time.Now().Add(patience / 4))                 //nolint:errcheck
	io.WriteString(c.Conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") //nolint:errcheck // the connection may have been closed
	if head := c.head(); status(head) != "200 OK" {
		t.Errorf("after one failed accept nobody is served any more: head %q", head)
	}
}

func TestRunReturnsWhenToldToStopAtOnce(t *testing.T) {
	for range 50 {
		r := prepare(t, "127.0.0.1:1", plainSite)
		ctx, stop := context.WithCancel(context.Background())
		stop()
		go func() { r.ended <- r.Run(ctx) }()
		select {
		case <-r.ended:
		case <-time.After(patience / 2):
			t.Fatal("Run does not return: Shutdown came before Serve had its listener")
		}
	}
}

func TestTotalLimitHoldsForRequestsWithContent(t *testing.T) {
	r := prepare(t, serveUpstream(t, func(c *peer) {
		c.head()
		c.take(2)
		c.head() // never answers
	}), `
listen: {address: "127.0.0.1:0", drain: 1s}
admin: {address: "127.0.0.1:0", example: true}
upstreams:
  - {name: up, url: "http://%s", timeouts: {response_head: 1h}}
routes:
  - {name: all, path: "/{rest...}", upstream: up, limits: {total: 300ms}}
`).serving()
	c := r.dial()
	c.SetDeadline(time.Now().Add(patience / 2)) //nolint:errcheck
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok")
	if head := c.head(); status(head) != "504 Gateway Timeout" {
		t.Errorf("head %q, want 504 when the exchange's time is over", head)
	}
	c.Close()
}

func TestTotalLimitHoldsForClientsThatDoNotRead(t *testing.T) {
	r := prepare(t, serveUpstream(t, flood), `
listen: {address: "127.0.0.1:0", drain: 1s, timeouts: {write: 0s}}
admin: {address: "127.0.0.1:0", example: true}
upstreams:
  - {name: up, url: "http://%s"}
routes:
  - {name: all, path: "/{rest...}", upstream: up, limits: {total: 300ms}}
`).serving()
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	eventually(t, "the exchange has ended when its time was over", func() bool { return r.meters.route("all").cuts.Get() == 1 })
}

// flood sends more than the buffers between two peers take.
func flood(c *peer) {
	c.head()
	io.WriteString(c.Conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") //nolint:errcheck
	chunk := "10000\r\n" + strings.Repeat("x", 0x10000) + "\r\n"
	for range 2000 {
		if _, err := io.WriteString(c.Conn, chunk); err != nil {
			return
		}
	}
	io.WriteString(c.Conn, "0\r\n\r\n") //nolint:errcheck
}

func TestContentCutForASlowHTTP10ClientEndsInReset(t *testing.T) {
	r := prepare(t, serveUpstream(t, flood), strings.Replace(plainSite, "drain: 1s", "drain: 1s, timeouts: {write: 300ms}", 1)).serving()
	c := r.dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	eventually(t, "the gateway has given up on the client", func() bool { return r.meters.route("all").cuts.Get() == 1 })
	n, err := io.Copy(io.Discard, c.r)
	if err == nil {
		t.Errorf("%d of %d bytes ended like a whole content", n, 2000*0x10000)
	}
}

// A step's content lives in the draft's arena; what reads ahead for the next request must not write there.
func TestReadingAheadLeavesTheArenaAlone(t *testing.T) {
	var d draft
	var c requestContent
	c.ahead = nil
	c.ended = true
	if err := c.replace(d.keep([]byte("the content of a step"))); err != nil {
		t.Fatal(err)
	}
	// the attempt fails, the exchange goes back to the pool, and out again
	c.reset()
	d.reset()
	uri := d.keep([]byte("/v23.0/1234567890"))
	c.x = &exchange{from: sent(t, strings.Repeat("X", 40))}
	c.x.from.Begin(wire.Length, 40)
	c.framing, c.length = wire.Length, 40
	if _, _, err := c.fetch(15); err != nil {
		t.Fatal(err)
	}
	if string(uri) != "/v23.0/1234567890" {
		t.Errorf("the URI of the request became %q", uri)
	}
}

// sent is a connection on which a client has sent so much.
func sent(t *testing.T, bytes string) *inbound.Conn {
	ln := &conn.Listener{Listener: newListener(t)}
	dialTo(t, ln.Addr().String()).send(bytes)
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return inbound.New(conn.Of(c), &inbound.Options{MaxHead: 4096})
}

func TestResponseReadAheadLeavesTheArenaAlone(t *testing.T) {
	var d draft
	var c responseContent
	c.replace(d.keep([]byte("what a step has answered")))
	c.next() //nolint:errcheck // it is ahead
	c.reset()
	d.reset()
	value := d.keep([]byte("value of a field"))
	c.ahead = append(c.ahead, "content of the upstream"...) // as fetch does
	if string(value) != "value of a field" {
		t.Errorf("a field's value became %q", value)
	}
}

func TestKeepAliveIsKnownInAnyCase(t *testing.T) {
	r := prepare(t, serveUpstream(t, echoHead), plainSite).serving()
	c := r.dial()
	head, _ := c.ask("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
	if field(head, "Connection") != "keep-alive" {
		return // then it may end
	}
	c.send("GET / HTTP/1.0\r\n\r\n")
	if head := c.head(); status(head) != "200 OK" {
		t.Errorf("the connection ended behind %q", "Connection: keep-alive")
	}
}

func TestResumeWithoutInterruptKeepsDeadlines(t *testing.T) {
	ln := newListener(t)
	client := dialTo(t, ln.Addr().String())
	defer client.Close()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := conn.NewSocket(c)
	s.SetReadDeadline(time.Now().Add(time.Hour))             //nolint:errcheck // as fasthttp's loop does
	s.Resume()                                               // as Accepted.drain does, whether or not there was an interrupt
	s.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) //nolint:errcheck
	ended := make(chan error, 1)
	go func() {
		_, err := s.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(patience / 4):
		t.Error("the read goes on behind its deadline: the timer is thought to have been set to the past")
	}
}

func TestAFileThatARefusedConfigurationNamesIsWatched(t *testing.T) {
	up := serveUpstream(t, echoHead)
	r := prepare(t, up, plainSite).serving()
	r.write("more.yaml", "clients: nonsense\n")
	for i := 0; r.Reloaded().Err == nil; i++ { // again, for the watching may not have begun
		r.write("breakwater.yaml", fmt.Sprintf(plainSite, up)+"clients: {file: more.yaml, credential: {field: X-Key}}\n#"+strings.Repeat(".", i))
		time.Sleep(settleTime)
	}
	time.Sleep(10 * settleTime) // what was written has been looked at
	r.write("more.yaml", "clients:\n  - {name: a, key_sha256: 2b9d340e03bf0ff9af1688bd8285d673849d3aeb8ee2c0340b70189edc129316}\n")
	end := time.Now().Add(patience / 2)
	for r.Reloaded().Err != nil {
		if time.Now().After(end) {
			t.Fatalf("the mended file was not looked at again: %v", r.Reloaded().Err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAChangeBetweenNewAndRunIsNoticed(t *testing.T) {
	up := serveUpstream(t, echoHead)
	r := prepare(t, up, plainSite)
	r.write("breakwater.yaml", strings.Replace(fmt.Sprintf(plainSite, up), "drain: 1s", "drain: 2s", 1))
	r.serving()
	for end := time.Now().Add(patience / 2); r.configInForce().Listen.Drain != 2*time.Second; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a configuration written after New had read it, and before Run began to watch, is never loaded")
		}
	}
}

func TestTotalLimitHoldsWhileConnecting(t *testing.T) {
	full := newFullBacklog(t)
	r := prepare(t, full, `
listen: {address: "127.0.0.1:0", drain: 1s}
admin: {address: "127.0.0.1:0", example: true}
upstreams:
  - {name: up, url: "http://%s", timeouts: {connect: 1h}}
routes:
  - {name: all, path: "/{rest...}", upstream: up, limits: {total: 300ms}}
`).serving()
	c := r.dial()
	c.SetDeadline(time.Now().Add(patience / 4)) //nolint:errcheck
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if head := c.head(); status(head) != "504 Gateway Timeout" {
		t.Errorf("head %q, want 504 when the exchange's time is over", head)
	}
}

// newFullBacklog listens where connections are neither accepted nor refused.
func newFullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 3 {
		if c, err := net.DialTimeout("tcp", address, 200*time.Millisecond); err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	return address
}

func TestAConnectionTooManyIsToldSo(t *testing.T) {
	r := prepare(t, serveUpstream(t, echoHead), strings.Replace(plainSite, "drain: 1s", "drain: 1s, limits: {connections: 1}", 1)).serving()
	first := r.dial()
	first.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	c := r.dial()
	got, err := c.rest()
	if !strings.HasPrefix(got, "HTTP/1.1 503") {
		t.Errorf("got %q, %v, want a 503", got, err)
	}
}
