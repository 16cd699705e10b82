package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A breaking connection does something wrong at a byte of what is written to it, which is TLS.
type breaking struct {
	*net.TCPConn
	fault fault
	left  int // bytes until then
	broke bool
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left >= 0 || b.broke && b.fault == fGarbage {
		return b.TCPConn.Write(p)
	}
	if b.broke {
		return len(p), nil
	}
	b.broke = true
	at := len(p) + b.left
	if b.fault == fGarbage {
		p = bytes.Clone(p)
		p[at] ^= 0x55
		return b.TCPConn.Write(p)
	}
	b.TCPConn.Write(p[:at]) //nolint:errcheck // what follows is an error anyway
	switch b.fault {
	case fReset:
		b.SetLinger(0) //nolint:errcheck
		b.TCPConn.Close()
	case fEnd:
		b.CloseWrite() //nolint:errcheck
	case fStall:
	}
	return len(p), nil
}

var handshakeFaults = []fault{fReset, fEnd, fStall, fGarbage}

// TestFaultsInHandshakes has faults happen in the handshake, byte by byte in large steps. A client that does not get as far as
// TLS asks nothing of the upstream, and is answered nothing; an upstream that does not is asked nothing.
func TestFaultsInHandshakes(t *testing.T) {
	over := newPrivate(t)
	pair, err := tls.LoadX509KeyPair(over.path("api.pem"), over.path("api.key"))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var next atomic.Pointer[breaking] // what becomes of the next connection to the upstream; nil: nothing
	var asked atomic.Int64
	var served sync.WaitGroup
	served.Go(func() {
		for {
			raw, err := ln.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer raw.Close()
				raw.SetDeadline(time.Now().Add(patience)) //nolint:errcheck
				c := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{pair}})
				if b := next.Swap(nil); b != nil {
					b.TCPConn = raw.(*net.TCPConn)
					c = tls.Server(b, &tls.Config{Certificates: []tls.Certificate{pair}})
				}
				defer io.Copy(io.Discard, raw) //nolint:errcheck // until the gateway has had enough
				p := newPeer(t, c)
				if h := p.requestHead(); h != "" {
					asked.Add(1)
					io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok") //nolint:errcheck // it may have broken
				}
			})
		}
	})
	defer served.Wait()
	defer ln.Close()
	config := strings.NewReplacer("PARTNER", ln.Addr().String(), "TIME", "500ms").Replace(`
listen: {address: "127.0.0.1:0", timeouts: {head: TIME, idle: TIME}}
admin: {address: "127.0.0.1:0", example: true}
upstreams: [{name: partner, url: "http://PARTNER", timeouts: {connect: TIME}}]
routes: [{name: all, path: "/{rest...}", upstream: partner}]
`)
	g := startInside(t, over, config)
	const ask = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	// try is one client. It reports whether the fault came to happen in the handshake.
	try := func(b *breaking) (m message, inHandshake bool) {
		raw, err := net.Dial("tcp", g.Addr().String())
		if err != nil {
			t.Error(err)
			return message{err: err}, false
		}
		defer raw.Close()
		b.TCPConn = raw.(*net.TCPConn)
		c := over.client.Clone()
		c.ClientSessionCache = nil // a handshake that is whole each time
		p := newPeer(t, tls.Client(b, c))
		if err := p.Conn.(*tls.Conn).Handshake(); err != nil {
			return message{err: err}, true
		}
		if b.broke {
			inHandshake = true
		}
		return p.ask(ask), inHandshake
	}
	// What takes longer than TIME is no fault of the gateway's: a busy machine may be so slow.
	late := func(m message) bool { return isProblem(m, 504, "upstream-timeout") }
	whole := func(m message) bool { return m.err == nil && m.status == 200 && string(m.body) == "ok" }
	never := 1 << 30
	well := func(t *testing.T, when string) {
		t.Helper()
		eventually(t, when, func() error {
			if m, _ := try(&breaking{left: never}); !whole(m) {
				return fmt.Errorf("answered %v", m)
			}
			return nil
		})
	}
	well(t, "before")
	for _, f := range handshakeFaults {
		t.Run("client/"+string(f), func(t *testing.T) {
			var clients sync.WaitGroup
			for at := 0; at < 2000; at += 41 {
				clients.Go(func() {
					m, inHandshake := try(&breaking{fault: f, left: at})
					var network net.Error
					switch {
					case errors.Is(m.err, os.ErrDeadlineExceeded) || errors.As(m.err, &network) && network.Timeout():
						t.Errorf("at byte %d: the client was left waiting", at)
					case whole(m) && inHandshake && f != fGarbage: // which may hit what nobody reads
						t.Errorf("at byte %d: the client was answered: %v", at, m)
					case m.err == nil && !whole(m) && !late(m):
						t.Errorf("at byte %d: %v", at, m)
					}
				})
			}
			clients.Wait()
			well(t, "afterwards")
		})
		t.Run("upstream/"+string(f), func(t *testing.T) {
			step := 41
			if f == fStall {
				step = 211 // each takes its time
			}
			for at := 0; at < 1500; at += step {
				b := &breaking{fault: f, left: at}
				next.Store(b)
				before := asked.Load()
				m, _ := try(&breaking{left: never})
				problem := isProblem(m, 502, "upstream-failed") || late(m)
				if !whole(m) && !problem || problem && asked.Load() != before {
					t.Errorf("at byte %d: asked %d times, and answered %v", at, asked.Load()-before, m)
				}
				if whole(m) && b.broke && f != fGarbage && at < 600 { // which the certificate alone needs
					t.Errorf("at byte %d: a whole answer from an upstream that had broken: %v", at, m)
				}
				well(t, fmt.Sprintf("after byte %d", at))
			}
		})
	}
	eventually(t, "nothing is left over", func() error {
		if n := g.metric("breakwater_upstream_connections{"); n != 0 {
			return fmt.Errorf("%v connections with the upstream", n)
		}
		return nil
	})
	if g.metric("breakwater_tls_handshake_failures_total") == 0 {
		t.Error("no failure was counted")
	}
}

// requestHead reads up to the empty line; "" if that never comes.
func (p *peer) requestHead() string {
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return ""
		}
		if b.WriteString(line); line == "\r\n" {
			return b.String()
		}
	}
}
