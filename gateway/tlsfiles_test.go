package gateway

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/breakwater-gateway/breakwater/gateway/internal/testca"
)

func TestTLSFilesChange(t *testing.T) {
	for _, by := range []string{"the file", "Reload"} {
		t.Run("by "+by, func(t *testing.T) {
			t.Parallel()
			dir, ca, theirs := t.TempDir(), testca.New(t, "ours"), testca.New(t, "theirs")
			issue := func(name, called string) { ca.Issue(testca.Request{Names: []string{name, called}}).Write(t, dir, name) }
			issue("pass", "one")
			issue("shop", "one")
			testca.Put(t, dir+"/clients.pem", ca.PEM())
			testca.Put(t, dir+"/theirs.pem", theirs.PEM())
			theirs.Issue(testca.Request{Names: []string{"us-one"}, Client: true}).Write(t, dir, "us")
			var asked atomic.Pointer[string]
			server := &tls.Config{
				Certificates: []tls.Certificate{theirs.Issue(testca.Request{Names: []string{"127.0.0.1"}}).Certificate},
				ClientAuth:   tls.RequestClientCert,
				VerifyConnection: func(c tls.ConnectionState) error {
					asked.Store(&c.PeerCertificates[0].Subject.CommonName)
					return nil
				},
			}
			up := servePartnerOver(t, server, fine)
			s := secured(t, dir, pass+", certificates: [{certificate: shop.pem, key: shop.key}], client_ca: clients.pem, client_certificate: request",
				up.address, "ca: theirs.pem, certificate: us.pem, key: us.key")
			mine := ca.Issue(testca.Request{Names: []string{"client"}, Client: true}).Certificate
			// seen is what a client that shows its certificate sees: both certificates and whom the upstream has been asked by.
			seen := func() string {
				var all []string
				for _, name := range []string{"pass", "shop"} {
					c := trusting(ca, name)
					c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &mine, nil }
					state, text, err := s.over(c)
					if err != nil {
						return "refused"
					}
					all = append(all, state.PeerCertificates[0].DNSNames[1], strings.Fields(text)[1])
				}
				return strings.Join(append(all, *asked.Load()), " ")
			}
			expect := func(want string) {
				t.Helper()
				if by == "Reload" {
					if err := s.Reload(t.Context()); err != nil {
						t.Fatal(err)
					}
					if got := seen(); got != want {
						t.Errorf("from the next connection on: %q, want %q", got, want)
					}
				}
				eventually(t, want, func() bool { return seen() == want })
			}
			before := newPeer(t, tls.Client(s.dial().Conn, trusting(ca, "pass")))
			before.get("/", "")
			expect("one 200 one 200 us-one")
			issue("pass", "two")
			expect("two 200 one 200 us-one")
			issue("shop", "two")
			expect("two 200 two 200 us-one")
			theirs.Issue(testca.Request{Names: []string{"us-two"}, Client: true}).Write(t, dir, "us")
			expect("two 200 two 200 us-two")

			broken := map[string]string{"pass.pem": "nothing", "shop.key": "", "clients.pem": "-----BEGIN CERTIFICATE-----\n", "theirs.pem": "roots", "us.pem": string(ca.PEM())}
			for name, text := range broken {
				was := s.read(name)
				refused := s.metric(`breakwater_config_loads_total{result="refused"}`)
				testca.Put(t, filepath.Join(dir, name), []byte(text))
				if by == "Reload" {
					if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "breakwater.yaml:") || !strings.Contains(err.Error(), name) {
						t.Errorf("%s: error %v, want its place and its name", name, err)
					}
				}
				eventually(t, name+" is refused", func() bool {
					return s.metric(`breakwater_config_loads_total{result="refused"}`) != refused && s.metric("breakwater_config_loaded") == "0"
				})
				if log := s.events.String(); !strings.Contains(log, "configuration refused; the one before stays in force") || !strings.Contains(log, name) {
					t.Errorf("%s: the log does not say so: %s", name, log)
				}
				if got := seen(); got != "two 200 two 200 us-two" {
					t.Errorf("with a broken %s: %q", name, got)
				}
				testca.Put(t, filepath.Join(dir, name), []byte(was))
				eventually(t, "mended", func() bool { return s.Reload(t.Context()) == nil })
			}

			testca.Put(t, dir+"/theirs.pem", ca.PEM()) // which the upstream's certificate does not lead to
			expect("two 502 two 502 us-two")
			testca.Put(t, dir+"/theirs.pem", append(ca.PEM(), theirs.PEM()...))
			expect("two 200 two 200 us-two")
			testca.Put(t, dir+"/clients.pem", theirs.PEM()) // which the client's does not lead to
			expect("refused")
			if r := before.get("/", ""); r.code != 200 {
				t.Errorf("the connection that was there before: %v", r)
			}
		})
	}
}

func TestTLSOfAnotherConfiguration(t *testing.T) {
	dir, ca := t.TempDir(), testca.New(t, "ours")
	ca.Issue(testca.Request{Names: []string{"pass.example"}}).Write(t, dir, "pass")
	up := servePartner(t, fine)
	s := secured(t, dir, pass, up.address, "")
	c := trusting(ca, "pass.example")
	c.MaxVersion = tls.VersionTLS12
	if _, text, err := s.over(c); err != nil {
		t.Fatal(text, err)
	}
	s.secure(pass+", min_version: 1.3", up.address, "")
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, text, err := s.over(c); err == nil {
		t.Errorf("over TLS 1.2: %q", text)
	}
	s.secure("", up.address, "")
	if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), `listen: tls: is gone: needs a restart`) {
		t.Errorf("no TLS any more: error %v", err)
	}
	if _, text, err := s.over(trusting(ca, "pass.example")); err != nil {
		t.Error(text, err)
	}
}

func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			dir, ca := t.TempDir(), testca.New(t, "ours")
			ca.Issue(testca.Request{Names: []string{"pass.example"}}).Write(t, dir, "pass")
			testca.Put(t, dir+"/clients.pem", ca.PEM())
			testca.Put(t, dir+"/ca.pem", ca.PEM())
			var upstreams, resumed atomic.Int64
			up := servePartnerOver(t, &tls.Config{
				MaxVersion: version, Certificates: []tls.Certificate{ca.Issue(testca.Request{Names: []string{"127.0.0.1"}}).Certificate},
				VerifyConnection: func(c tls.ConnectionState) error {
					upstreams.Add(1)
					if c.DidResume {
						resumed.Add(1)
					}
					return nil
				},
			}, func(*http.Request) string { return respond(200, "fine", "Connection: close") })
			listen := pass + ", client_ca: clients.pem"
			s := secured(t, dir, listen, up.address, "ca: ca.pem")
			c := trusting(ca, "pass.example")
			c.MaxVersion, c.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
			c.Certificates = []tls.Certificate{ca.Issue(testca.Request{Names: []string{"client"}, Client: true}).Certificate}
			ask := func(when string, want bool) {
				t.Helper()
				state, text, err := s.over(c)
				if err != nil || !strings.HasPrefix(text, "HTTP/1.1 200 OK\r\n") || state.DidResume != want {
					t.Errorf("%s: %q, %v; resumed %v, want %v", when, text, err, state.DidResume, want)
				}
			}
			ask("first", false)
			ask("again", true)
			if n, r := upstreams.Load(), resumed.Load(); n != 2 || r != 1 {
				t.Errorf("%d connections to the upstream, of which %d resumed; want 2 and 1", n, r)
			}
			s.secure(listen, up.address, "ca: ca.pem, min_version: 1.2, server_name: 127.0.0.1")
			if err := s.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			ask("after a reload that has nothing to do with it", true)
			ca.Issue(testca.Request{Names: []string{"pass.example"}}).Write(t, dir, "pass")
			if err := s.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			ask("with a new certificate", false)
			ask("again with the new certificate", true)
			testca.Put(t, dir+"/clients.pem", testca.New(t, "other").PEM())
			if err := s.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if state, text, err := s.over(c); err == nil {
				t.Errorf("a client that is not trusted any more has resumed (%v): %q", state.DidResume, text)
			}
		})
	}
}

func TestExpiryIsTold(t *testing.T) {
	dir, ca := t.TempDir(), testca.New(t, "ours")
	ca.Issue(testca.Request{Names: []string{"pass.example"}}).Write(t, dir, "pass")
	ca.Issue(testca.Request{Names: []string{"old.example"}, Expired: true}).Write(t, dir, "old")
	ca.Issue(testca.Request{Names: []string{"us"}, Client: true}).Write(t, dir, "us")
	testca.Put(t, dir+"/ca.pem", ca.PEM())
	s := secured(t, dir, pass+", certificates: [{certificate: old.pem, key: old.key}]", "127.0.0.1:1", "ca: ca.pem, certificate: us.pem, key: us.key")
	for labels, file := range map[string]string{`listener="public"`: "pass", `upstream="up"`: "us"} {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, file+".pem"), filepath.Join(dir, file+".key"))
		if err != nil {
			t.Fatal(err)
		}
		series := fmt.Sprintf("breakwater_certificate_expiry_timestamp_seconds{%s,certificate=%q}", labels, filepath.Join(dir, file+".pem"))
		if got, want := s.metric(series), fmt.Sprint(pair.Leaf.NotAfter.Unix()); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	if log := s.events.String(); !strings.Contains(log, "the certificate has expired") || !strings.Contains(log, "old.pem") {
		t.Errorf("the log does not say that a certificate has expired: %s", log)
	}
}
