package e2e

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/internal/testca"
)

// A private world speaks TLS, with certificates of an authority of the test's own. Nil is a world without TLS.
type private struct {
	dir    string // ca.pem; api.pem and api.key; gateway.pem and gateway.key
	ca     *testca.Authority
	client *tls.Config
}

func newPrivate(t *testing.T) *private {
	t.Helper()
	ca := testca.New(t, "test")
	p := &private{t.TempDir(), ca, &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1", ClientSessionCache: tls.NewLRUClientSessionCache(0)}}
	testca.Put(t, p.path("ca.pem"), ca.PEM())
	p.issue(t, "api")
	p.issue(t, "gateway")
	return p
}

// issue writes a new certificate for one of the two.
func (p *private) issue(t *testing.T, name string) {
	t.Helper()
	p.ca.Issue(testca.Request{Names: []string{"127.0.0.1"}}).Write(t, p.dir, name)
}

func (p *private) path(name string) string { return filepath.Join(p.dir, name) }

// partner starts a simulator that speaks TLS.
func (p *private) partner(t *testing.T, k kit) *partner {
	t.Helper()
	up := startPartner(t, k, "", "-tls-cert", p.path("api.pem"), "-tls-key", p.path("api.key"))
	up.over = p
	return up
}

// gateway starts a gateway that speaks TLS on both sides; the configuration is that of one which does on none.
func (p *private) gateway(t *testing.T, k kit, dir, config string) *gateway {
	t.Helper()
	g := startGateway(t, k, dir, p.secure(t, config))
	g.over = p
	return g
}

// secure adds TLS to a configuration, on both sides.
func (p *private) secure(t *testing.T, config string) string {
	t.Helper()
	for _, change := range [][2]string{
		{"listen: {", "listen: {tls: {certificate: " + p.path("gateway.pem") + ", key: " + p.path("gateway.key") + "}, "},
		{`url: "http://`, `tls: {ca: ` + p.path("ca.pem") + `}, url: "https://`},
	} {
		if !strings.Contains(config, change[0]) {
			t.Fatalf("no %q in the configuration", change[0])
		}
		config = strings.ReplaceAll(config, change[0], change[1])
	}
	return config
}

// dial connects to a program of this world. Over TLS, too, an end without close_notify is an error.
func (p *private) dial(t *testing.T, address string) *peer {
	t.Helper()
	c := dial(t, address)
	return newPeer(t, p.dress(c.Conn))
}

// dress puts a client's TLS over a connection, where there is TLS.
func (p *private) dress(c net.Conn) net.Conn {
	if p == nil {
		return c
	}
	return tls.Client(conn.NewSocket(c), p.client)
}
