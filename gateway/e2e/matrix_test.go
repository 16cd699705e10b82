package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	breakwater "github.com/breakwater-gateway/breakwater/gateway"
	"go.uber.org/goleak"
)

// An incidence is one fault at one byte of one transfer.
type incidence struct {
	m        *matrix
	id       int
	transfer *transfer
	side     side
	fault    fault
	at       int
	hasty    bool // it waits for a timeout
	allowed  allowed

	reached chan struct{} // closed when the upstream has sent what a reader waits for

	mu       sync.Mutex
	receipts []receipted
	waits    bool // the upstream was not told that the reader has left
}

func (c *incidence) path() string { return testingPath(c.id) }

func (c *incidence) String() string {
	s := c.transfer.request
	if c.side != client {
		s = c.transfer.response
	}
	wire := s.wire()
	return fmt.Sprintf("%s: %s: %s at byte %d, %q|%q", c.transfer.name, c.side, c.fault, c.at, wire[max(0, c.at-12):c.at], wire[c.at:min(len(wire), c.at+6)])
}

// A matrix is every fault at every byte.
type matrix struct {
	t     *testing.T
	cases []*incidence
	plain transfer // what is asked for afterwards
	after string
}

func (m *matrix) find(target string) *incidence {
	if target == "/after" {
		return &incidence{m: m, transfer: &m.plain}
	}
	id, err := strconv.Atoi(strings.TrimPrefix(target, "/c/"))
	if err != nil || id >= len(m.cases) {
		return nil
	}
	return m.cases[id]
}

// stride is how many bytes lie between two that are tried, beside those where something begins or ends. The race detector, with
// which everything takes ten times as long, has fewer unless FAULTS=all.
func stride(secure bool) int {
	switch {
	case os.Getenv("FAULTS") == "all":
		return 1
	case raceEnabled && secure:
		return 23
	case raceEnabled:
		return 7
	}
	return 1
}

func newMatrix(t *testing.T, secure bool) *matrix {
	m := &matrix{t: t, after: "GET /after HTTP/1.1\r\nHost: h\r\n\r\n"}
	m.plain.response = script{{inHead, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(afterwards))}, {inContent, afterwards}}
	faults := plainFaults
	if secure {
		faults = tlsFaults
	}
	step := stride(secure)
	for i := range transfers {
		for _, s := range []side{client, upstream, reader} {
			m.add(&transfers[i], s, faults, step, secure)
		}
	}
	return m
}

// add adds the cases of one side of a transfer.
func (m *matrix) add(x *transfer, s side, faults []fault, step int, secure bool) {
	message := x.response
	if s == client {
		message = x.request
	}
	if x.long {
		step = 37_003
	}
	all, edges := len(message.wire()), message.edges()
	if x.read && step > 1 {
		edges = nil // it is the same transfer once more
	}
	for _, f := range faults {
		for n := range all + 1 {
			switch {
			case n%step != 0 && (!edges[n] || f == fDrip), // what drips from there on has no edge there
				n == all && (f == fDrip || s == reader || f == fStall && (s == client || !x.untilClose)),
				s == reader && f != fReset && f != fEnd && f != fNotify,
				x.long && f == fDrip && n < all-1000:
				continue
			}
			c := &incidence{m: m, id: len(m.cases), transfer: x, side: s, fault: f, at: n, allowed: model(x, s, f, n, secure), reached: make(chan struct{})}
			c.hasty = f == fStall || f == fGarbage && n < all && message.at(n) != inContent
			m.cases = append(m.cases, c)
		}
	}
}

// TestFaultMatrix has every fault happen at every byte of several transfers, on either side. Whatever comes of it, nobody takes
// for whole what is not, nobody waits for ever, and nothing is left over.
func TestFaultMatrix(t *testing.T) {
	guests := strings.NewReplacer("DROP", guest(t, "plugins/guests/drop-query-param", ""), "READ", guest(t, "gateway/testdata/guests/actor", ""))
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "TLS"}[secure], func(t *testing.T) {
			leaks := goleak.IgnoreCurrent()
			m := newMatrix(t, secure)
			var over *private
			var theirs *tls.Config
			if secure {
				over = newPrivate(t)
				pair, err := tls.LoadX509KeyPair(over.path("api.pem"), over.path("api.key"))
				if err != nil {
					t.Fatal(err)
				}
				theirs = &tls.Config{Certificates: []tls.Certificate{pair}}
			}
			up := m.partner(theirs)
			patient := startInside(t, over, guests.Replace(matrixConfig(up, "75s")))
			hasty := startInside(t, over, guests.Replace(matrixConfig(up, "250ms")))
			m.run(patient, hasty, over)
			patient.end()
			hasty.end()
			up.close()
			// fasthttp has a clock for all servers, and a broom for each that ends with its next round.
			if err := goleak.Find(leaks, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
				goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2")); err != nil {
				t.Error(err)
			}
		})
	}
}

// matrixConfig is a gateway with plugins on the way, and one timeout for all that a peer may take too long for.
func matrixConfig(up *partnerInside, timeout string) string {
	return strings.NewReplacer("PARTNER", up.ln.Addr().String(), "TIME", timeout).Replace(`
listen: {address: "127.0.0.1:0", timeouts: {head: TIME, idle: TIME, idle_body: TIME, write: TIME}}
admin: {address: "127.0.0.1:0", example: true}
upstreams:
  - {name: partner, url: "http://PARTNER", timeouts: {connect: 75s, response_head: TIME, idle_body: TIME, idle_connection: 1s}}
plugins:
  - {name: drop, path: DROP, limits: {time: 30s, instances: 128}}
  - {name: read, path: READ, limits: {time: 30s, instances: 128}}
routes:
  - {name: all, path: "/{rest...}", upstream: partner, steps: [{name: drop, plugin: drop, config: {parameters: [drop]}}]}
  - name: read
    host: r
    path: "/{rest...}"
    upstream: partner
    steps:
      - {name: drop, plugin: drop, config: {parameters: [drop]}}
      - {name: read, plugin: read, config: {body: 65536, request: [{do: nothing}], response: [{do: nothing}]}, on_failure: fail}
`)
}

// run has every case happen, many at a time, and then looks for what is left of them.
func (m *matrix) run(patient, hasty *inside, over *private) {
	m.t.Helper()
	var dress func(net.Conn) *tls.Conn
	if over != nil {
		dress = func(c net.Conn) *tls.Conn { return tls.Client(c, over.client) }
	}
	meet := func(c *incidence) string {
		g := patient
		if c.hasty {
			g = hasty
		}
		return c.meet(g.Addr().String(), dress)
	}
	warm := &incidence{m: m, id: -1, transfer: &m.plain, allowed: allowed{whole: true, content: afterwards}}
	for _, hurry := range []bool{false, true} {
		warm.hasty = hurry
		warm.transfer = &transfer{request: script{{inHead, m.after}}, response: m.plain.response}
		if complaint := meet(warm); complaint != "" {
			m.t.Fatalf("before: %s", complaint)
		}
	}
	settled := func() int {
		eventually(m.t, "connections end", func() error {
			for _, g := range []*inside{patient, hasty} {
				for _, name := range []string{
					"breakwater_upstream_connections{",
					`breakwater_plugin_instances{route="all",step="drop",plugin="drop",state="used"}`,
					`breakwater_plugin_instances{route="read",step="drop",plugin="drop",state="used"}`,
					`breakwater_plugin_instances{route="read",step="read",plugin="read",state="used"}`,
				} {
					if n := g.metric(name); n != 0 {
						return fmt.Errorf("%s is %v", name, n)
					}
				}
			}
			return nil
		})
		return openFiles(m.t)
	}
	files := settled()

	const workers = 96
	var next atomic.Int64
	complaints := make([]string, len(m.cases))
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(m.cases) {
					return
				}
				complaints[i] = meet(m.cases[i])
			}
		})
	}
	all.Wait()
	eventually(m.t, "nothing is left over", func() error {
		if n := settled(); n > files {
			return fmt.Errorf("%d open files, %d before", n, files)
		}
		return nil
	})
	wrong := 0
	for i, c := range m.cases {
		// Where a timeout is short on purpose, a busy machine can make it hit what was in time: alone, it cannot.
		for again := 0; c.hasty && complaints[i] != "" && c.arrived() == "" && again < 3; again++ {
			c.receipts = nil
			complaints[i] = meet(c)
		}
		if complaints[i] == "" {
			complaints[i] = c.arrived()
		}
		if complaints[i] == "" {
			continue
		}
		if wrong++; wrong <= 20 {
			m.t.Errorf("%s\n\t%s", c, complaints[i])
		}
	}
	m.t.Logf("%d cases, %d wrong", len(m.cases), wrong)
	for _, g := range []*inside{patient, hasty} {
		if n := g.metric("breakwater_panics_total"); n != 0 {
			m.t.Errorf("%v panics", n)
		}
	}
}

// openFiles is how many files and connections this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// An inside gateway runs in the test's own process: thousands of connections to it cost little, and what it leaves behind is ours
// to see.
type inside struct {
	*breakwater.Gateway
	t     *testing.T
	stop  context.CancelFunc
	ended chan error
}

// startInside runs a gateway with a configuration, with TLS on both sides unless over is nil.
func startInside(t *testing.T, over *private, config string) *inside {
	t.Helper()
	dir := t.TempDir()
	if over != nil {
		config = over.secure(t, config)
	}
	write(t, filepath.Join(dir, "breakwater.yaml"), config)
	ctx, stop := context.WithCancel(context.Background())
	g := &inside{t: t, stop: stop, ended: make(chan error, 1)}
	var err error
	g.Gateway, err = breakwater.New(ctx, breakwater.Options{Config: filepath.Join(dir, "breakwater.yaml"), CacheDir: cache(), Output: io.Discard, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	go func() { g.ended <- g.Run(ctx) }()
	t.Cleanup(g.end)
	return g
}

// end stops the gateway and waits until nothing of it runs.
func (g *inside) end() {
	g.t.Helper()
	if g.stop == nil {
		return
	}
	g.stop()
	g.stop = nil
	select {
	case err := <-g.ended:
		if err != nil {
			g.t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		g.t.Error("Run did not return")
	}
}

// metric returns the sum of all samples whose name and labels begin with prefix.
func (g *inside) metric(prefix string) float64 {
	g.t.Helper()
	return metric(g.t, "http://"+g.AdminAddr().String(), prefix)
}
