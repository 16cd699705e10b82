package gateway

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// FuzzBelievedClient has a client write anything where its proxy then adds the client's address. The gateway believes the proxy: it
// takes that address, or the proxy's own where the whole cannot be read, and never what the client has made up.
func FuzzBelievedClient(f *testing.F) {
	for _, claim := range []string{
		"", "for=198.51.100.9", `for=198.51.100.9;x="`, `for="`, `for=198.51.100.9, for="\`, `for=198.51.100.9;x="a", `, `"`, "for=10.1.1.1", "198.51.100.9, 10.1.1.1", ",;=", "for=198.51.100.9;",
	} {
		f.Add(claim)
	}
	proxy, client := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")
	written := map[wire.Name][]string{
		wire.ForwardedFor: {"192.0.2.1", "192.0.2.1:4711", "::ffff:192.0.2.1", "192.0.2.1, 10.2.2.2"},
		wire.Forwarded: {
			"for=192.0.2.1", `for="192.0.2.1:4711"`, `for=192.0.2.1;host="a:80";proto=http;by=_b`, `host="a:80";for="192.0.2.1"`, `for=192.0.2.1, for="10.2.2.2:1";by="[::1]"`, `by="_";for="[::ffff:192.0.2.1]"`,
		},
	}
	f.Fuzz(func(t *testing.T, claim string) {
		for name, ends := range written {
			x := exchange{snap: &snapshot{clientAddress: name, proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}}}
			for _, end := range ends {
				for _, lines := range [][]string{{claim + ", " + end}, {claim + "," + end}, {claim, end}} {
					if !wire.IsValue([]byte(strings.TrimLeft(strings.Join(lines, ""), " \t"))) {
						continue
					}
					x.in.Fields, x.peer = x.in.Fields[:0], netip.AddrPortFrom(proxy, 1)
					for _, line := range lines {
						x.in.Fields = append(x.in.Fields, wire.Field{Name: []byte(name.String()), Value: []byte(line), Known: name})
					}
					x.believeProxies()
					got := x.peer.Addr()
					if got != client && (got != proxy && !x.snap.trusts(got) || len(lines) == 2) {
						t.Errorf("%s %q: the client is %v, want %v", name, lines, got, client)
					}
				}
			}
		}
	})
}
