package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A partner is a simulator of the partner that runs.
type partner struct {
	*process
	api     string // host:port
	control string // URL
	over    *private
}

// startPartner starts a simulator; listen is its address, "" for any, and args are more of its flags.
func startPartner(t *testing.T, k kit, listen string, args ...string) *partner {
	t.Helper()
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	args = append([]string{"-listen", listen, "-control", "127.0.0.1:0", "-record", "16384"}, args...)
	p, ready := launch(t, program(t, "partnersim", k), args...)
	urls := regexp.MustCompile(`https?://\S+`).FindAllString(ready[0], -1)
	_, api, _ := strings.Cut(urls[0], "://")
	return &partner{process: p, api: api, control: urls[1]}
}

// dial connects to the partner.
func (p *partner) dial() *peer { p.t.Helper(); return p.over.dial(p.t, p.api) }

// call asks the control API, which must say yes, and decodes its answer into v unless that is nil.
func (p *partner) call(method, path, body string, v any) {
	p.t.Helper()
	status, answer := callURL(p.t, method, p.control+path, body)
	if status != 200 {
		p.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if v != nil {
		if err := json.Unmarshal(answer, v); err != nil {
			p.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

func callURL(t *testing.T, method, target, body string) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// scenario starts a scenario; spec is its JSON, "" for the defaults.
func (p *partner) scenario(name, spec string) {
	p.t.Helper()
	p.call("PUT", "/scenarios/"+name, spec, nil)
}

// revert ends every scenario.
func (p *partner) revert() { p.t.Helper(); p.call("DELETE", "/scenarios", "", nil) }

// held returns when n responses wait at a gate.
func (p *partner) held(gate string, n int) {
	p.t.Helper()
	p.call("GET", fmt.Sprintf("/gates/%s?waiting=%d&timeout=%s", gate, n, patience), "", nil)
}

// release lets the next one go on.
func (p *partner) release(gate string) { p.t.Helper(); p.call("POST", "/release/"+gate, "", nil) }

// A receipt is what the partner has recorded of a request.
type receipt struct {
	Connection uint64   `json:"connection"`
	Tenant     string   `json:"tenant"`
	Target     string   `json:"target"`
	Fields     []string `json:"fields"`
	Body       struct {
		Bytes    int64  `json:"bytes"`
		Framing  string `json:"framing"`
		SHA256   string `json:"sha256"`
		Complete bool   `json:"complete"`
	} `json:"body"`
}

// received returns the newest requests that query chooses, once there are count of them.
func (p *partner) received(count int, query string) (all []receipt) {
	p.t.Helper()
	p.call("GET", fmt.Sprintf("/received?count=%d&timeout=%s&%s", count, patience, query), "", &all)
	return all
}

// A tenant is a client as both sides know it.
type tenant struct{ name, key, number, token string }

// tenants writes a file of n clients and their secrets into dir, as the key "clients" of a configuration expects it.
func tenants(t *testing.T, dir string, n int) (all []tenant) {
	t.Helper()
	list := "clients:\n"
	for i := range n {
		name := fmt.Sprintf("tenant-%02d", i)
		c := tenant{name, "key-of-" + name, strconv.Itoa(106540352242900 + i), "partner-token-" + name}
		write(t, filepath.Join(dir, name+".token"), c.token)
		list += fmt.Sprintf("  - name: %s\n    key_sha256: %x\n    attributes: {phone_number_id: %q}\n    secrets: {partner_token: {file: %s.token}}\n",
			c.name, sha256.Sum256([]byte(c.key)), c.number, c.name)
		all = append(all, c)
	}
	write(t, filepath.Join(dir, "clients.yaml"), list)
	return all
}

// write puts a file in place of the one before at once, as deployments do.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// flagFile is a file of flags in flagd's schema: words are KEY=MODE.
func flagFile(words ...string) string {
	text := "flags:\n"
	for _, w := range words {
		key, mode, _ := strings.Cut(w, "=")
		text += fmt.Sprintf("  %s:\n    state: ENABLED\n    variants: {\"off\": \"off\", observe: observe, \"on\": \"on\"}\n    defaultVariant: %q\n", key, mode)
	}
	return text
}

// A gateway is one that runs, with a folder of its own.
type gateway struct {
	*process
	dir     string
	address string // host:port
	admin   string // URL
	kit     kit
	over    *private
}

// listeners is how every configuration begins.
const listeners = `
listen: {address: "127.0.0.1:0", drain: 60s}
admin: {address: "127.0.0.1:0", example: true}
access_log: {file: access.log}
`

// startGateway runs a gateway with the configuration that is given, and what else lies in dir.
func startGateway(t *testing.T, k kit, dir, config string) *gateway {
	t.Helper()
	g := &gateway{dir: dir, kit: k}
	write(t, g.path("breakwater.yaml"), config)
	if strings.Contains(config, "plugins:") {
		check(t, dir)
	}
	var ready []string
	g.process, ready = launch(t, program(t, "breakwater", k), "run", "--cache-dir", cache(), "-config", g.path("breakwater.yaml"))
	urls := regexp.MustCompile(`https?://[0-9.:]+`).FindAllString(ready[0], -1)
	if len(urls) != 2 {
		t.Fatalf("%q: expected two URLs", ready[0])
	}
	_, g.address, _ = strings.Cut(urls[0], "://")
	g.admin = urls[1]
	return g
}

// check has the command line check the configuration in dir. That compiles its plugins, without the race detector in a tenth of
// the time, and all gateways of this test run find them in the cache.
func check(t *testing.T, dir string) {
	t.Helper()
	out, err := exec.Command(program(t, "breakwater", plain), "check", "--cache-dir", cache(), filepath.Join(dir, "breakwater.yaml")).CombinedOutput()
	if err != nil {
		t.Fatalf("breakwater check: %v\n%s", err, out)
	}
}

func cache() string { return filepath.Join(workshop, "cache") }

func (g *gateway) path(name string) string { return filepath.Join(g.dir, name) }

// command runs the command line against this gateway, as an operator would.
func (g *gateway) command(args ...string) string {
	g.t.Helper()
	cmd := exec.Command(program(g.t, "breakwater", g.kit), args...)
	cmd.Env = append(os.Environ(), "BREAKWATER_ADMIN="+g.admin)
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("DATA RACE")) {
		g.t.Fatalf("breakwater %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// flip sets a flag. Every request that begins when it has returned must see that.
func (g *gateway) flip(key, variant, reason string) {
	g.t.Helper()
	g.command("flag", "set", key, variant, "--reason", reason)
}

// api asks the admin API, which must say yes.
func (g *gateway) api(method, path, body string, v any) {
	g.t.Helper()
	status, answer := callURL(g.t, method, g.admin+path, body)
	if status != 200 {
		g.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if v != nil {
		if err := json.Unmarshal(answer, v); err != nil {
			g.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
}

// A readiness is what /readyz says.
type readiness struct {
	Ready  bool `json:"ready"`
	Config struct {
		Loaded bool   `json:"loaded"`
		Error  string `json:"error"`
	} `json:"config"`
	Flags struct {
		SourceUp bool   `json:"source_up"`
		Revision uint64 `json:"revision"`
		Error    string `json:"error"`
	} `json:"flags"`
}

func (g *gateway) readiness() (r readiness) {
	g.t.Helper()
	g.api("GET", "/readyz", "", &r)
	return r
}

// metric returns the sum of all samples whose name and labels begin with prefix.
func (g *gateway) metric(prefix string) float64 { g.t.Helper(); return metric(g.t, g.admin, prefix) }

func metric(t *testing.T, admin, prefix string) (sum float64) {
	t.Helper()
	status, text := callURL(t, "GET", admin+"/metrics", "")
	if status != 200 {
		t.Fatalf("/metrics: %d %s", status, text)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, prefix) {
			value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				t.Fatalf("metric %q: %v", line, err)
			}
			sum += value
		}
	}
	return sum
}

// goroutines returns how many there are.
func (g *gateway) goroutines() int {
	g.t.Helper()
	status, text := callURL(g.t, "GET", g.admin+"/debug/pprof/goroutine?debug=1", "")
	m := regexp.MustCompile(`goroutine profile: total (\d+)`).FindSubmatch(text)
	if status != 200 || m == nil {
		g.t.Fatalf("goroutine profile: %d %.200s", status, text)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// files returns how many files and connections the process has open.
func (p *process) files() int {
	p.t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(all)
}

// dial connects to the gateway.
func (g *gateway) dial() *peer { g.t.Helper(); return g.over.dial(g.t, g.address) }
