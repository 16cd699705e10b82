package rfc

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway"
)

// hurry is every timeout at a hurried site.
const hurry = 700 * time.Millisecond

// A lane is one way through a proxy: an address for clients, behind it one origin.
type lane struct {
	site    site
	origin  net.Listener
	address string // where the proxy listens
}

func newLane(t *testing.T, s site) *lane {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &lane{site: s, origin: ln}
}

// A subject is a proxy under test.
type subject struct {
	name     string
	patience time.Duration // for what should come at once: a peer's failures should not take all day
	// start makes the proxy serve the lanes. Its end is a matter of cleaning up.
	start func(t *testing.T, lanes []*lane)
	// open makes a proxy serve one lane, and returns how to end that. A subject has either.
	open func(t *testing.T, l *lane) (stop func())
}

// breakwater runs in this process, so that the race detector sees it as well; each lane has a gateway of its own.
var breakwater = &subject{name: "Breakwater", patience: 20 * time.Second, open: func(t *testing.T, l *lane) func() {
	address, stop := serve(t, t.TempDir(), l.origin.Addr().String(), l.site)
	l.address = address
	return stop
}}

// serve runs a gateway before an origin. Its access log is in dir. stop ends it.
func serve(t *testing.T, dir, origin string, s site) (address string, stop func()) {
	timeouts, upstream, limits := "{head: 60s, idle: 60s, idle_body: 60s, write: 60s}",
		"{connect: 60s, response_head: 60s, idle_body: 60s, idle_connection: 60s}", ""
	switch s {
	case hurried:
		timeouts = fmt.Sprintf("{head: %[1]s, idle: %[1]s, idle_body: %[1]s, write: %[1]s}", hurry)
		upstream = fmt.Sprintf("{connect: %[1]s, response_head: %[1]s, idle_body: %[1]s, idle_connection: %[1]s}", hurry)
	case narrow:
		limits = fmt.Sprintf(", limits: {body: %dKiB}", maxContent>>10)
	case switching:
		limits = ", upgrade: [websocket]"
	}
	file := filepath.Join(dir, "breakwater.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `
listen: {address: "127.0.0.1:0", drain: 10s, timeouts: %s}
admin: {address: "127.0.0.1:0", example: true}
access_log: {file: access.log}
upstreams:
  - {name: origin, url: "http://%s", timeouts: %s}
routes:
  - {name: all, path: "/{rest...}", upstream: origin%[4]s}
  - {name: traced, path: "/{rest...}", methods: [TRACE], upstream: origin%[4]s}
`, timeouts, origin, upstream, limits), 0o600); err != nil {
		t.Error(err)
		return "", func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	g, err := gateway.New(ctx, gateway.Options{Config: file})
	if err != nil {
		cancel()
		t.Error(err)
		return "", func() {}
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	return g.Addr().String(), func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}
