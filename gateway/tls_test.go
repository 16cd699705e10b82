package gateway

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/gateway/internal/testca"
)

// secured starts a gateway whose TLS sections are given: what stands in listen.tls, and in the upstream's tls. "" is plain.
func secured(t *testing.T, dir, listen, address, upstream string) *site {
	t.Helper()
	s := &site{&running{t: t, dir: dir, ended: make(chan error, 1)}, new(eventLog)}
	s.secure(listen, address, upstream)
	s.run()
	return s
}

// secure writes the configuration of secured.
func (s *site) secure(listen, address, upstream string) {
	scheme := "http"
	if listen != "" {
		listen = ", tls: {" + listen + "}"
	}
	if upstream != "" {
		scheme, upstream = "https", ", tls: {"+upstream+"}"
	}
	testca.Put(s.t, filepath.Join(s.dir, "breakwater.yaml"), fmt.Appendf(nil, `
listen: {address: "127.0.0.1:0", drain: 5s%s}
admin: {address: "127.0.0.1:0", example: true}
upstreams: [{name: up, url: "%s://%s"%s, timeouts: {connect: 5s, response_head: 10s, idle_body: 10s}}]
routes: [{name: all, path: "/{rest...}", upstream: up}]
`, listen, scheme, address, upstream))
}

const pass = "certificate: pass.pem, key: pass.key"

// over asks for something over a connection of its own. An error is the client's, wherever the connection ended.
func (s *site) over(c *tls.Config) (tls.ConnectionState, string, error) {
	s.t.Helper()
	raw, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer raw.Close()
	p := newPeer(s.t, tls.Client(raw, c))
	if err := p.Conn.(*tls.Conn).Handshake(); err != nil {
		return tls.ConnectionState{}, "", err
	}
	if _, err := io.WriteString(p, "GET /over HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		return tls.ConnectionState{}, "", err
	}
	text, err := p.rest() // with a ticket for later, if there is one
	return p.Conn.(*tls.Conn).ConnectionState(), text, err
}

// trusting is a client that trusts an authority and means a name.
func trusting(ca *testca.Authority, name string) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), ServerName: name}
}

func TestWhoIsServedOverTLS(t *testing.T) {
	dir, ca, other := t.TempDir(), testca.New(t, "ours"), testca.New(t, "other")
	ca.Issue(testca.Request{Names: []string{"pass.example", "127.0.0.1"}}).Write(t, dir, "pass")
	ca.Issue(testca.Request{Names: []string{"shop.example", "*.shop.example"}}).Write(t, dir, "shop")
	ca.Issue(testca.Request{Names: []string{"old.example"}}).Write(t, dir, "old")
	ca.Issue(testca.Request{Names: []string{"old.example"}, RSA: true}).Write(t, dir, "old-rsa")
	testca.Put(t, dir+"/ca.pem", ca.PEM())
	show := func(ca *testca.Authority, r testca.Request) func(c *tls.Config) {
		pair := ca.Issue(r).Certificate
		return func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
	}
	version := func(v uint16) func(c *tls.Config) { return func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v } }
	speak := func(all ...string) func(c *tls.Config) { return func(c *tls.Config) { c.NextProtos = all } }
	const (
		more    = pass + ", certificates: [{certificate: shop.pem, key: shop.key}, {certificate: old.pem, key: old.key}, {certificate: old-rsa.pem, key: old-rsa.key}]"
		require = pass + ", client_ca: ca.pem"
		request = require + ", client_certificate: request"
		refused = "refused"
	)
	tests := []struct {
		name   string
		listen string
		sni    string
		client func(c *tls.Config)
		want   string // whose certificate is shown, over which ALPN; or that the client is not served
	}{
		{"TLS 1.3", pass, "pass.example", version(tls.VersionTLS13), "pass.example"},
		{"TLS 1.2", pass, "pass.example", version(tls.VersionTLS12), "pass.example"},
		{"TLS 1.1 is too old", pass, "pass.example", version(tls.VersionTLS11), refused},
		{"TLS 1.2 is too old where 1.3 is the oldest", pass + ", min_version: 1.3", "pass.example", version(tls.VersionTLS12), refused},
		{"TLS 1.3 where it is the oldest", pass + ", min_version: 1.3", "pass.example", version(tls.VersionTLS13), "pass.example"},
		{"HTTP/1.1 is agreed upon", pass, "pass.example", speak("h2", "http/1.1"), "pass.example http/1.1"},
		{"who speaks only HTTP/2 is refused", pass, "pass.example", speak("h2"), refused},
		{"a name of a further certificate", more, "shop.example", nil, "shop.example"},
		{"a name that a wildcard has", more, "a.shop.example", nil, "shop.example"},
		{"a name that none has", more, "nobody.example", func(c *tls.Config) { c.InsecureSkipVerify = true }, "pass.example"},
		{"an address, which is no name", more, "127.0.0.1", nil, "pass.example"},
		{"a client without elliptic curves has the other key of that name", more, "old.example", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
		}, "old.example"},
		{"a certificate of the authority", require, "pass.example", show(ca, testca.Request{Names: []string{"client"}, Client: true}), "pass.example"},
		{"no certificate where one is required", require, "pass.example", nil, refused},
		{"no certificate where one is required, TLS 1.2", require, "pass.example", version(tls.VersionTLS12), refused},
		{"a certificate of another authority", require, "pass.example", show(other, testca.Request{Client: true}), refused},
		{"a certificate that has expired", require, "pass.example", show(ca, testca.Request{Client: true, Expired: true}), refused},
		{"a certificate that is for servers", require, "pass.example", show(ca, testca.Request{}), refused},
		{"no certificate where one is asked for", request, "pass.example", nil, "pass.example"},
		{"a certificate where one is asked for", request, "pass.example", show(ca, testca.Request{Client: true}), "pass.example"},
		{"a certificate of another authority where one is asked for", request, "pass.example", show(other, testca.Request{Client: true}), refused},
	}
	up := servePartner(t, fine)
	sites := map[string]*site{}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := sites[test.listen]
			if s == nil {
				s = secured(t, dir, test.listen, up.address, "")
				defer s.end() // the next one has another configuration in this folder
			}
			c := trusting(ca, test.sni)
			if test.client != nil {
				test.client(c)
			}
			before := len(up.got())
			state, text, err := s.over(c)
			if test.want == refused {
				if err == nil || text != "" || len(up.got()) != before {
					t.Errorf("the client has %q, error %v; the upstream was asked %d times; want an error and nothing else", text, err, len(up.got())-before)
				}
				eventually(t, "the failure is counted", func() bool { return s.metric("breakwater_tls_handshake_failures_total") == "1" })
				return
			}
			if err != nil || !strings.HasPrefix(text, "HTTP/1.1 200 OK\r\n") {
				t.Fatalf("the client has %q, error %v", text, err)
			}
			if got := strings.TrimSpace(state.PeerCertificates[0].Subject.CommonName + " " + state.NegotiatedProtocol); got != test.want {
				t.Errorf("the client was shown %q, want %q", got, test.want)
			}
			if n := s.metric("breakwater_tls_handshake_failures_total"); n != "0" {
				t.Errorf("%s handshakes failed", n)
			}
		})
	}
}

// TestWhatIsNoTLS: nobody is served but over what the listener speaks, and nobody is answered in anything else.
func TestWhatIsNoTLS(t *testing.T) {
	dir, ca := t.TempDir(), testca.New(t, "ours")
	ca.Issue(testca.Request{Names: []string{"pass.example"}}).Write(t, dir, "pass")
	up := servePartner(t, fine)
	s := secured(t, dir, pass, up.address, "")
	hello := firstFlight(t)
	for name, sent := range map[string]string{
		"a request in plain text":     "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"nothing":                     "",
		"a byte":                      "G",
		"half a hello":                hello[:len(hello)/2],
		"a record of another version": "\x16\x00\x01\x00\x05\x01\x00\x00\x01\x00",
		"a record that is too long":   "\x16\x03\x01\xff\xff" + strings.Repeat("x", 1000),
		"an alert first":              "\x15\x03\x01\x00\x02\x02\x28",
		"data before the handshake":   "\x17\x03\x03\x00\x10GET / HTTP/1.1\r\n",
		"a hello, and then a request": hello + "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial()
			c.send(sent)
			c.Conn.(*net.TCPConn).CloseWrite() //nolint:errcheck
			if text, _ := c.rest(); strings.Contains(text, "HTTP/") {
				t.Errorf("%q was answered with %q", sent, text)
			}
		})
	}
	if n := len(up.got()); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
	if _, text, err := s.over(trusting(ca, "pass.example")); err != nil || !strings.HasPrefix(text, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("afterwards: %q, %v", text, err)
	}
	t.Run("TLS where plain HTTP is spoken", func(t *testing.T) {
		c := start(t, up.address, everything).dial()
		c.send(hello)
		if text, _ := c.rest(); text != "" && !strings.HasPrefix(text, "HTTP/1.1 400 ") {
			t.Errorf("answered with %q, want status 400 or the end", text)
		}
	})
	if n := len(up.got()); n != 1 {
		t.Errorf("the upstream was asked %d times, want once", n)
	}
}

// firstFlight is what a TLS client sends first.
func firstFlight(t *testing.T) string {
	t.Helper()
	var sent bytes.Buffer
	c := tls.Client(&written{Writer: &sent}, &tls.Config{ServerName: "pass.example"})
	if err := c.Handshake(); err == nil {
		t.Fatal("a handshake with nobody")
	}
	return sent.String()
}

// A written connection keeps what is written to it, and never has anything to read.
type written struct {
	net.Conn
	io.Writer
}

func (w *written) Read([]byte) (int, error)    { return 0, io.EOF }
func (w *written) Write(b []byte) (int, error) { return w.Writer.Write(b) }
func (w *written) Close() error                { return nil }

// TestTLSFilesChange changes each file that TLS is made of, by itself and with a reload. Whoever connects later meets the new
// one; a broken one changes nothing but what the gateway says.
// TestTLSOfAnotherConfiguration changes what the configuration says of TLS, not the files.
// TestResumption: a session can be resumed on both sides for as long as it is made of the same, and not beyond.
// TestTLSEnds: over TLS on both sides a content that ends with the connection is whole if close_notify says so, and else cut,
// for whoever reads it.
// TestOtherTools asks with what operators have at hand.
func TestOtherTools(t *testing.T) {
	dir, ca := t.TempDir(), testca.New(t, "ours")
	ca.Issue(testca.Request{Names: []string{"pass.example"}}).Write(t, dir, "pass")
	ca.Issue(testca.Request{Names: []string{"shop.example"}, RSA: true}).Write(t, dir, "shop")
	ca.Issue(testca.Request{Names: []string{"client"}, Client: true}).Write(t, dir, "client")
	testca.Put(t, dir+"/ca.pem", ca.PEM())
	up := servePartner(t, fine)
	s := secured(t, dir, pass+", certificates: [{certificate: shop.pem, key: shop.key}], client_ca: ca.pem", up.address, "")
	address := s.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	run := func(t *testing.T, stdin, name string, args ...string) (string, error) {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skipf("NOT CHECKED: %s is not here", name)
		}
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	t.Run("curl", func(t *testing.T) {
		for _, host := range []string{"pass.example", "shop.example"} {
			common := []string{"-sS", "--http1.1", "--max-time", "20", "--cacert", "ca.pem", "--connect-to", "::" + address, "https://" + host + ":" + port + "/"}
			for _, version := range []string{"1.2", "1.3"} {
				args := append([]string{"--tlsv" + version, "--tls-max", version, "--cert", "client.pem", "--key", "client.key"}, common...)
				if out, err := run(t, "", "curl", args...); err != nil || out != "fine" {
					t.Errorf("%s, TLS %s: %q, %v", host, version, out, err)
				}
			}
			if out, err := run(t, "", "curl", common...); err == nil || strings.Contains(out, "fine") {
				t.Errorf("%s, without a certificate: %q, %v", host, out, err)
			}
		}
	})
	t.Run("openssl", func(t *testing.T) {
		for _, host := range []string{"pass.example", "shop.example"} {
			out, err := run(t, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n", "openssl", "s_client", "-connect", address, "-servername", host,
				"-verify_hostname", host, "-CAfile", "ca.pem", "-cert", "client.pem", "-key", "client.key", "-verify_return_error", "-alpn", "h2,http/1.1", "-ign_eof")
			if err != nil || !strings.Contains(out, "HTTP/1.1 200 OK") || !strings.Contains(out, "ALPN protocol: http/1.1") || !strings.Contains(out, "Verify return code: 0 (ok)") {
				t.Errorf("%s: %v\n%s", host, err, out)
			}
		}
		if out, err := run(t, "", "openssl", "s_client", "-connect", address, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"); err == nil {
			t.Errorf("TLS 1.1: %s", out)
		}
	})
}

// TestExpiryIsTold: the metrics say until when our certificates are good, and the log what is so no more.
