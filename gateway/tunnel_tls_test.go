package gateway

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/internal/testca"
)

// TestTunnelOverTLS has one side of a tunnel, over TLS on both, end its way. Only close_notify is an end.
func TestTunnelOverTLS(t *testing.T) {
	dir, ca := t.TempDir(), testca.New(t, "ours")
	testca.Put(t, dir+"/ca.pem", ca.PEM())
	ours := ca.Issue(testca.Request{Names: []string{"127.0.0.1"}})
	ours.Write(t, dir, "pass")
	site := fmt.Sprintf(`
listen: {address: "127.0.0.1:0", drain: 200ms, tls: {certificate: %[1]q, key: %[2]q}}
admin: {address: "127.0.0.1:0", example: true}
upstreams:
  - {name: up, url: "https://%%s", tls: {ca: %[3]q}}
routes:
  - {name: all, path: "/{rest...}", upstream: up, upgrade: [test/1]}
`, dir+"/pass.pem", dir+"/pass.key", dir+"/ca.pem")
	for _, ends := range []string{"the client", "the upstream"} {
		for _, by := range []string{"close_notify", "close_notify and FIN", "FIN alone"} {
			t.Run(ends+" by "+by, func(t *testing.T) {
				conns, done := make(chan *peer), make(chan struct{})
				defer close(done)
				r := prepare(t, serveUpstream(t, func(c *peer) {
					up := newPeer(t, tls.Server(conn.NewSocket(c.Conn), &tls.Config{Certificates: []tls.Certificate{ours.Certificate}}))
					up.head()
					up.send(agree)
					conns <- up
					<-done
				}), site).serving()
				// A Socket keeps FIN apart from close_notify, which crypto/tls alone does not.
				c := newPeer(t, tls.Client(conn.NewSocket(r.dial().Conn), trusting(ca, "127.0.0.1")))
				c.send(ask4)
				if head := c.head(); status(head) != "101 Switching Protocols" {
					t.Fatalf("got %q", head)
				}
				up := <-conns
				from, to, other := c, up, "the upstream"
				if ends == "the upstream" {
					from, to, other = up, c, "the client"
				}
				from.send("first")
				to.take(5)
				stream := from.Conn.(*tls.Conn)
				if by != "FIN alone" {
					stream.CloseWrite() //nolint:errcheck // the other side notices
				}
				if by != "close_notify" {
					stream.NetConn().(*conn.Socket).CloseWrite() //nolint:errcheck
				}
				if by == "FIN alone" {
					to.wasCut(other)
					from.wasCut(ends)
				} else {
					if got, err := to.rest(); got != "" || err != nil {
						t.Errorf("%s got %q, %v, want a clean end", other, got, err)
					}
					to.send("last")
					to.Conn.(*tls.Conn).CloseWrite() //nolint:errcheck
					if got, err := from.rest(); got != "last" || err != nil {
						t.Errorf("%s got %q, %v, want what was said last", ends, got, err)
					}
				}
				eventually(t, "the tunnel has ended", func() bool { return r.snapshot.Load().holders.Load() == 1 })
			})
		}
	}
}
