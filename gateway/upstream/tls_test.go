package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
)

// certificate is for 127.0.0.1 and example.com, of a CA that nobody else knows.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
})

func serverTLS() *tls.Config {
	pair, _ := certificate()
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

func clientTLS() *tls.Config {
	_, pool := certificate()
	return &tls.Config{RootCAs: pool, ServerName: "example.com", MinVersion: tls.VersionTLS12}
}

func TestTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			theirs := serverTLS()
			theirs.MaxVersion = version
			s := listen(t, theirs).play(answers(ok, ok, ok, "HTTP/1.1 200 OK\r\n\r\nuntil"))
			u := s.pool(Options{TLS: clientTLS()})
			from, _ := client(t)
			for range 3 {
				if r := do(u, get(), from); r.content != "ok" || r.err != nil {
					t.Fatal(r)
				}
			}
			if r := do(u, get(), from); r.content != "until" || r.err != nil {
				t.Errorf("a content that ends with close_notify: %v", r)
			}
			if st := u.Stats(); st.Dials != 1 || st.Stale != 0 || st.Open != 0 {
				t.Errorf("%+v, want one connection for all four", st)
			}
		})
	}
}

func TestTLSThatIsRefused(t *testing.T) {
	other := clientTLS()
	other.ServerName = "partner.example"
	stranger := clientTLS()
	stranger.RootCAs = x509.NewCertPool()
	tests := []struct {
		name string
		ours *tls.Config
		want any
	}{
		{"another name", other, new(x509.HostnameError)},
		{"an unknown authority", stranger, new(x509.UnknownAuthorityError)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := listen(t, serverTLS()).play(func(p *peer) {
				if h := p.head(); h != "" {
					t.Errorf("the upstream got %q", h)
				}
			})
			u := s.pool(Options{TLS: test.ours})
			from, _ := client(t)
			if r := do(u, get(), from); kind(t, r.err) != Connect || !errors.As(r.err, test.want) {
				t.Error(r)
			}
			if n := u.Stats().Open; n != 0 {
				t.Errorf("%d connections are open", n)
			}
		})
	}
	t.Run("a peer that says nothing", func(t *testing.T) {
		s := listen(t, nil).play(func(p *peer) { p.ended() })
		from, _ := client(t)
		if r := do(s.pool(Options{TLS: clientTLS(), ConnectTimeout: soon}), get(), from); kind(t, r.err) != Timeout {
			t.Error(r)
		}
	})
	t.Run("a peer that does not speak it", func(t *testing.T) {
		s := listen(t, nil).play(func(p *peer) { p.send(ok); p.ended() })
		from, _ := client(t)
		if r := do(s.pool(Options{TLS: clientTLS()}), get(), from); kind(t, r.err) != Connect {
			t.Error(r)
		}
	})
}

// TestTLSTruncation ends the TCP connection without close_notify: whatever the framing, the content is not whole.
func TestTLSTruncation(t *testing.T) {
	for _, wire := range []string{
		"HTTP/1.1 200 OK\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		s := listen(t, serverTLS()).play(func(p *peer) {
			p.head()
			p.send(wire)
			p.Conn.(*tls.Conn).NetConn().(*net.TCPConn).CloseWrite() //nolint:errcheck
			p.ended()
		})
		from, _ := client(t)
		if r := do(s.pool(Options{TLS: clientTLS()}), get(), from); kind(t, r.err) != Cut || r.content != "hello" {
			t.Errorf("%q: %v", wire, r)
		}
	}
}

// gathering keeps back what is written while it holds, so that many TLS records leave as one segment.
type gathering struct {
	net.Conn
	holds bool
	held  []byte
}

func (g *gathering) Write(p []byte) (int, error) {
	if !g.holds {
		return g.Conn.Write(p)
	}
	g.held = append(g.held, p...)
	return len(p), nil
}

// TestTLSLateRecordAnswersNobody sends a second response as a record of its own, in one segment with the first: TLS takes both
// off the socket, and to look at the socket is not enough.
func TestTLSLateRecordAnswersNobody(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{TLS: clientTLS()})
	from, _ := client(t)
	go func() {
		plain := s.accept()
		below := &gathering{Conn: plain.Conn}
		p := newPeer(t, tls.Server(below, serverTLS()))
		p.head()
		below.holds = true
		p.send(ok)
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
		plain.send(string(below.held))
		answers(ok)(newPeer(t, tls.Server(s.accept().Conn, serverTLS())))
	}()
	for range 2 {
		if r := do(u, get(), from); r.content != "ok" || r.err != nil {
			t.Errorf("%v, want ok", r)
		}
	}
	if st := u.Stats(); st.Dials != 2 || st.Stale != 1 {
		t.Errorf("%+v, want a second connection", st)
	}
}

func TestTLSConnectionClosedWhileIdle(t *testing.T) {
	s := listen(t, serverTLS())
	u := s.pool(Options{TLS: clientTLS()})
	from, _ := client(t)
	go func() {
		p := s.accept()
		answers(ok)(p)
		p.Close()
		io.Copy(io.Discard, p.r) //nolint:errcheck
		answers(ok)(s.accept())
	}()
	if r := do(u, get(), from); r.err != nil {
		t.Fatal(r.err)
	}
	eventually(t, "the end is here", func() bool { return !u.next().socket.Clean() })
	if r := do(u, post(nil), from); r.content != "ok" {
		t.Error(r)
	}
}
