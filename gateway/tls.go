package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/config"
)

// A material is what TLS is made of: what was read, and what can tell whether it has changed since.
type material struct{ digest hash.Hash }

func newMaterial(words ...string) material {
	m := material{sha256.New()}
	fmt.Fprintf(m.digest, "%q", words)
	return m
}

// sum is a text that changes with anything that was read.
func (m material) sum() string { return fmt.Sprintf("%x", m.digest.Sum(nil)) }

// pair reads a certificate and its key.
func (m material) pair(certificate, key string) (tls.Certificate, error) {
	p, err := tls.LoadX509KeyPair(certificate, key)
	for _, der := range p.Certificate {
		fmt.Fprintf(m.digest, "%x ", der)
	}
	return p, err
}

// roots reads the certificates that others' must lead to.
func (m material) roots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(m.digest, "%x ", pem)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("file %q: expected certificates in PEM form", file)
	}
	return pool, nil
}

// A serverTLS is how the public listener speaks TLS. A new one has new session tickets: a client whose certificate the new one
// would refuse cannot resume what the old one has allowed.
type serverTLS struct {
	tls.Config
	sum string
}

// alpn is all that we speak. A peer that says what it speaks, and does not speak this, is refused.
var alpn = []string{"http/1.1"}

// serverTLS returns how the listener speaks TLS by t: as it does now, if that is what t says.
func (g *Gateway) serverTLS(t *config.ServerTLS) (*serverTLS, error) {
	m := newMaterial(t.MinVersion, t.ClientCertificate, fmt.Sprint(t.ClientCA != ""))
	s := &serverTLS{Config: tls.Config{MinVersion: versionTLS(t.MinVersion), NextProtos: alpn}}
	pairs := append([]*config.KeyPair{{Element: t.Element, Certificate: t.Certificate, Key: t.Key}}, t.Certificates...)
	for _, p := range pairs {
		pair, err := m.pair(p.Certificate, p.Key)
		if err != nil {
			return nil, p.Errorf("certificate", "%w", err)
		}
		s.Certificates = append(s.Certificates, pair)
	}
	if t.ClientCA != "" {
		var err error
		if s.ClientCAs, err = m.roots(t.ClientCA); err != nil {
			return nil, t.Errorf("client_ca", "%w", err)
		}
		s.ClientAuth = tls.RequireAndVerifyClientCert
		if t.ClientCertificate == "request" {
			s.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	if s.sum = m.sum(); g.secure.Load() != nil && g.secure.Load().sum == s.sum {
		return g.secure.Load(), nil
	}
	for i := range s.Certificates {
		if leaf := s.Certificates[i].Leaf; time.Now().After(leaf.NotAfter) {
			g.log.Warn("the certificate has expired", "file", pairs[i].Certificate, "expired", leaf.NotAfter)
		}
	}
	return s, nil
}

// listenTLS is how a connection that is accepted now speaks TLS.
func (g *Gateway) listenTLS() *tls.Config { return &g.secure.Load().Config }

// unshaken counts a client that did not get as far as TLS.
func (g *Gateway) unshaken(err error) {
	g.handshakeFailures.Inc()
	g.log.Debug("a TLS handshake failed", "error", err)
}

// clientTLS returns how u is spoken to over TLS, and a text that changes with anything that it is made of.
func clientTLS(u *config.Upstream) (*tls.Config, string, error) {
	c := &tls.Config{
		ServerName: u.URL.Host, MinVersion: tls.VersionTLS12, NextProtos: alpn,
		ClientSessionCache: tls.NewLRUClientSessionCache(0), // gone with this configuration, and with what it has found good
	}
	t := u.TLS
	if t == nil {
		return c, "tls", nil
	}
	m := newMaterial(t.ServerName, t.MinVersion)
	c.MinVersion = versionTLS(t.MinVersion)
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CA != "" {
		var err error
		if c.RootCAs, err = m.roots(t.CA); err != nil {
			return nil, "", err
		}
	}
	if t.Certificate != "" {
		pair, err := m.pair(t.Certificate, t.Key)
		if err != nil {
			return nil, "", err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, "tls " + m.sum(), nil
}

func versionTLS(word string) uint16 {
	if word == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// writeCertificates writes until when our certificates are good.
func (s *snapshot) writeCertificates(w io.Writer) {
	write := func(use, name, file string, c *tls.Certificate) {
		fmt.Fprintf(w, "breakwater_certificate_expiry_timestamp_seconds{%s=%q,certificate=\"%s\"} %d\n", use, name, labelEscapes.Replace(file), c.Leaf.NotAfter.Unix())
	}
	if t := s.config.Listen.TLS; t != nil {
		shown := s.secure.Certificates
		write("listener", "public", t.Certificate, &shown[0])
		for i, p := range t.Certificates {
			write("listener", "public", p.Certificate, &shown[i+1])
		}
	}
	for i, u := range s.config.Upstreams {
		if u.TLS != nil && u.TLS.Certificate != "" {
			write("upstream", u.Name, u.TLS.Certificate, &s.pools[i].upstream.TLS.Certificates[0])
		}
	}
}
