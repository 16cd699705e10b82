package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// code returns how much memory the process may execute that is of no file: compiled guests.
func (p *process) code() (bytes int64) {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) == 5 && strings.Contains(f[1], "x") {
			from, to, _ := strings.Cut(f[0], "-")
			begin, _ := strconv.ParseInt(from, 16, 64)
			end, _ := strconv.ParseInt(to, 16, 64)
			bytes += end - begin
		}
	}
	return bytes
}

// A plugin's module is exchanged under load, by signal and by the file alone. No request fails; each that begins after the
// change meets the new one; of the old one nothing stays behind, however often that happens.
func TestPluginSwap(t *testing.T) {
	up := startPartner(t, raced, "")
	modules := map[string][]byte{}
	versions := []string{"one", "two"}
	for _, v := range versions {
		var err error
		if modules[v], err = os.ReadFile(guest(t, "gateway/e2e/testdata/guests/stamp", v)); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	config := fmt.Sprintf(listeners+`
upstreams: [{name: partner, url: "http://%s"}]
plugins: [{name: stamp, path: stamp.wasm, limits: {time: 30s, instances: 4}}]
routes:
  - {name: all, path: "/{rest...}", upstream: partner, steps: [{name: stamp, plugin: stamp, on_failure: fail}]}
`, up.api)
	write(t, dir+"/breakwater.yaml", config)
	write(t, dir+"/stamp.wasm", string(modules["two"]))
	check(t, dir)
	write(t, dir+"/stamp.wasm", string(modules["one"]))
	g := startGateway(t, raced, dir, config)
	target := up.download(5000)
	ask := func(p *peer, client, i int) string {
		m := p.ask(get(target, "Authorization: Bearer partner-token-acme"))
		if m.err != nil || m.status != 200 || len(m.body) != 5000 {
			return m.String()
		}
		return m.field("X-Stamp")
	}
	l := startLoad(t, g.address, 16, &stage{name: "one at first", each: all(20), want: only("one")}, ask)
	l.finish(l.now.Load())
	probe := g.dial()
	callURL(t, "GET", g.admin+"/debug/pprof/heap?gc=1", "")
	code := g.code()
	if code == 0 {
		t.Error("no compiled guest was found in the process's memory")
	}
	up.call("DELETE", "/received", "", nil)
	for i := range 6 {
		old, now := versions[i%2], versions[(i+1)%2]
		l.enter(&stage{name: fmt.Sprint("swap ", i), want: only(old, now)})
		write(t, dir+"/stamp.wasm", string(modules[now]))
		if i%3 > 0 { // else the file alone must do
			g.signal(syscall.SIGHUP)
		}
		eventually(t, "the new module is in force", func() error {
			if answer := ask(probe, 0, 0); answer != now {
				return fmt.Errorf("asked, the gateway says %s", answer)
			}
			return nil
		})
		l.finish(l.enter(&stage{name: fmt.Sprint(now, " ", i), each: all(20), want: only(now)}))
	}
	seen := map[string]int{}
	for _, r := range up.received(1, "") {
		for _, line := range r.Fields {
			if v, ok := strings.CutPrefix(line, "X-Stamp: "); ok {
				seen[v]++
			}
		}
	}
	if seen["one"] == 0 || seen["two"] == 0 {
		t.Errorf("the partner saw the stamps %v; want both", seen)
	}
	l.stop()
	l.check()
	eventually(t, "old modules are gone", func() error {
		callURL(t, "GET", g.admin+"/debug/pprof/heap?gc=1", "") // the collector gives compiled code back
		if n := g.code(); n > code+code/4 {                     // one more module would double it; a few pages come and go
			return fmt.Errorf("%d bytes of compiled code, %d before the first swap", n, code)
		}
		return nil
	})
	if used := g.metric(`breakwater_plugin_instances{`); used > 4 {
		t.Errorf("%v instances, want no more than the 4 that there may be", used)
	}
}
