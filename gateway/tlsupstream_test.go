package gateway

import (
	"bytes"
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/internal/testca"
)

func TestUpstreamOverTLS(t *testing.T) {
	dir, ca, other := t.TempDir(), testca.New(t, "theirs"), testca.New(t, "other")
	testca.Put(t, dir+"/ca.pem", ca.PEM())
	ca.Issue(testca.Request{Names: []string{"us"}, Client: true}).Write(t, dir, "us")
	other.Issue(testca.Request{Names: []string{"us"}, Client: true}).Write(t, dir, "stranger")
	with := func(a *testca.Authority, r testca.Request, more ...func(c *tls.Config)) *tls.Config {
		c := &tls.Config{Certificates: []tls.Certificate{a.Issue(r).Certificate}}
		for _, f := range more {
			f(c)
		}
		return c
	}
	asks := func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool() }
	oldest := func(v uint16) func(c *tls.Config) { return func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v } }
	speaks := func(all ...string) func(c *tls.Config) { return func(c *tls.Config) { c.NextProtos = all } }
	address := testca.Request{Names: []string{"127.0.0.1"}}
	api := testca.Request{Names: []string{"api.example"}}
	const named = "ca: ca.pem, server_name: api.example"
	tests := []struct {
		name   string
		server *tls.Config // nil: it does not speak TLS
		ours   string
		want   string // the name that was asked for and who we are; or that nothing was asked
	}{
		{"its address is its name", with(ca, address), "ca: ca.pem", "200"},
		{"another name, which is asked for", with(ca, api), named, "200 api.example"},
		{"TLS 1.2", with(ca, api, oldest(tls.VersionTLS12)), named, "200 api.example"},
		{"HTTP/1.1 is agreed upon", with(ca, api, speaks("h2", "http/1.1")), named, "200 api.example http/1.1"},
		{"we show who we are", with(ca, api, asks), named + ", certificate: us.pem, key: us.key", "200 api.example us"},
		{"we show who we are, TLS 1.2", with(ca, api, asks, oldest(tls.VersionTLS12)), named + ", certificate: us.pem, key: us.key", "200 api.example us"},
		{"a certificate of another name", with(ca, address), named, "502"},
		{"a certificate without this address", with(ca, api), "ca: ca.pem", "502"},
		{"a certificate of another authority", with(other, api), named, "502"},
		{"an authority that the system does not know", with(ca, api), "server_name: api.example", "502"},
		{"a certificate that has expired", with(ca, testca.Request{Names: []string{"api.example"}, Expired: true}), named, "502"},
		{"a certificate that is for clients", with(ca, testca.Request{Names: []string{"api.example"}, Client: true}), named, "502"},
		{"TLS 1.1 is too old", with(ca, api, oldest(tls.VersionTLS11)), named, "502"},
		{"TLS 1.2 is too old where 1.3 is the oldest", with(ca, api, oldest(tls.VersionTLS12)), named + ", min_version: 1.3", "502"},
		{"it does not speak HTTP/1.1", with(ca, api, speaks("ftp")), named, "502"},
		{"we do not show who we are", with(ca, api, asks), named, "502"},
		{"we are not who it wants", with(ca, api, asks), named + ", certificate: stranger.pem, key: stranger.key", "502"},
		{"it does not speak TLS", nil, named, "502"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var seen atomic.Pointer[tls.ConnectionState]
			if test.server != nil {
				test.server.VerifyConnection = func(c tls.ConnectionState) error { seen.Store(&c); return nil }
			}
			var plain []byte
			up := &partner{}
			if test.server != nil {
				up = servePartnerOver(t, test.server, fine)
			} else {
				up.address = serveUpstream(t, func(c *peer) {
					b := make([]byte, 4096)
					n, _ := c.Read(b) //nolint:errcheck // it is looked at below
					plain = b[:n]
					c.send(respond(200, "plain"))
				})
			}
			s := secured(t, dir, "", up.address, test.ours)
			head, _ := s.dial().ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			got, _, _ := strings.Cut(status(head), " ")
			if got != "200" && len(up.got()) != 0 {
				t.Errorf("the upstream got %q", up.got())
			}
			if state := seen.Load(); got == "200" && state != nil {
				got = strings.TrimSpace(got + " " + state.ServerName + " " + state.NegotiatedProtocol)
				for _, c := range state.PeerCertificates[:min(1, len(state.PeerCertificates))] {
					got += " " + c.Subject.CommonName
				}
			}
			if got = strings.Join(strings.Fields(got), " "); got != test.want {
				t.Errorf("%s, want %s; %s", got, test.want, s.events)
			}
			s.end()
			if bytes.Contains(plain, []byte("HTTP/1.1")) {
				t.Errorf("the upstream got a request in plain text: %q", plain)
			}
		})
	}
}

func TestTLSEnds(t *testing.T) {
	dir, ca := t.TempDir(), testca.New(t, "ours")
	ca.Issue(testca.Request{Names: []string{"127.0.0.1"}}).Write(t, dir, "pass")
	testca.Put(t, dir+"/ca.pem", ca.PEM())
	server := &tls.Config{Certificates: []tls.Certificate{ca.Issue(testca.Request{Names: []string{"127.0.0.1"}}).Certificate}}
	tests := []struct {
		name, response, version string
		notify                  bool
		want                    string // what the client has of it, and how its connection ends
	}{
		{"until the end, with close_notify", "HTTP/1.1 200 OK\r\n\r\nhello", "1.1", true, "5\r\nhello\r\n0\r\n\r\n, close_notify"},
		{"until the end, without close_notify", "HTTP/1.1 200 OK\r\n\r\nhello", "1.1", false, "5\r\nhello\r\n, close_notify"},
		{"until the end for a client of HTTP/1.0, with close_notify", "HTTP/1.1 200 OK\r\n\r\nhello", "1.0", true, "hello, close_notify"},
		{"until the end for a client of HTTP/1.0, without close_notify", "HTTP/1.1 200 OK\r\n\r\nhello", "1.0", false, "hello, a reset"},
		{"half a length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "1.1", true, "hello, close_notify"},
		{"half of the chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "1.1", true, "5\r\nhello\r\n, close_notify"},
		{"half of the chunks for a client of HTTP/1.0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "1.0", true, "hello, a reset"},
		{"a length, without close_notify", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "1.1", false, "hello, close_notify"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := serveUpstream(t, func(c *peer) {
				raw := c.Conn
				c = newPeer(t, tls.Server(raw, server))
				c.head()
				c.send(test.response)
				if test.notify {
					c.Conn.(*tls.Conn).CloseWrite() //nolint:errcheck
				}
				raw.(*net.TCPConn).CloseWrite() //nolint:errcheck
				c.rest()                        //nolint:errcheck
			})
			s := secured(t, dir, pass, address, "ca: ca.pem")
			defer s.end()
			// A Socket keeps FIN apart from close_notify, which crypto/tls alone does not.
			c := newPeer(t, tls.Client(conn.NewSocket(s.dial().Conn), trusting(ca, "127.0.0.1")))
			c.send("GET / HTTP/" + test.version + "\r\nHost: h\r\nConnection: close\r\n\r\n")
			head := c.head()
			content, err := c.rest()
			got := content + ", close_notify"
			if err != nil {
				got = content + ", a reset"
			}
			if got != test.want || status(head) != "200 OK" {
				t.Errorf("%q (%v) behind %q, want %q", got, err, head, test.want)
			}
		})
	}
}
