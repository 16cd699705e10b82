package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestReload changes one file after the other, each time by Reload and by the file alone.
func TestReload(t *testing.T) {
	for _, by := range []string{"Reload", "the file"} {
		t.Run("by "+by, func(t *testing.T) {
			t.Parallel()
			up := servePartner(t, mirror)
			drop, _ := guest(t, "drop-query-param")
			classify, _ := guest(t, "classify-partner")
			text := withKeys + `
plugins: [{name: some, path: some.wasm, limits: {time: 20s}}]
routes:
  - name: all
    path: "/{rest...}"
    upstream: up
    inject: {fields: {Authorization: "Bearer {secret.partner_token}"}}
    steps: [{name: act, plugin: some, config: {parameters: [a]}}]
`
			s := launch(t, up.address, text, func(s *site) { s.copy(drop, "some.wasm") })
			c := s.dial()
			seen := func(key string) string {
				r := c.get("/?a=1&b=2", key)
				head := up.last()
				return fmt.Sprint(r.code, " ", strings.Fields(head)[1], " ", field(head, "Authorization"), " ", field(head, "X-New"))
			}
			reload := func(want string) {
				t.Helper()
				if by == "Reload" {
					if err := s.Reload(t.Context()); err != nil {
						t.Fatal(err)
					}
					if got := seen(acme); got != want {
						t.Errorf("from the next request on: %q, want %q", got, want)
					}
					return
				}
				eventually(t, want, func() bool { return seen(acme) == want })
			}
			if got, want := seen(acme), "200 /?b=2 Bearer partner-token-acme "; got != want {
				t.Fatalf("before: %q, want %q", got, want)
			}
			s.put("token", "another-token")
			reload("200 /?b=2 Bearer another-token ")
			s.put("breakwater.yaml", strings.Replace(s.read("breakwater.yaml"), "[a]", "[b]", 1))
			reload("200 /?a=1 Bearer another-token ")
			s.put("clients.yaml", strings.Replace(s.read("clients.yaml"), "name: acme", "name: ajax", 1))
			reload("200 /?a=1 Bearer another-token ")
			eventually(t, "the client's new name", func() bool { _, ok := s.snapshot.Load().clients.ByName("ajax"); return ok })
			s.put("breakwater.yaml", strings.Replace(s.read("breakwater.yaml"), "inject: {fields: {", "inject: {fields: {X-New: yes, ", 1))
			reload("200 /?a=1 Bearer another-token yes")
			s.copy(classify, "some.wasm") // which changes no request
			reload("200 /?a=1&b=2 Bearer another-token yes")
			if by == "Reload" {
				if got := s.metric(`breakwater_config_loads_total{result="ok"}`); got == "" || got == "0" {
					t.Errorf("loads: %q", got)
				}
			}
			if got := s.metric(`breakwater_config_loads_total{result="refused"}`); got != "" {
				t.Errorf("%s loads were refused: %s", got, s.events)
			}
		})
	}
}

// put puts a new file in the place of one, whole.
func (s *site) put(name, text string) {
	s.t.Helper()
	s.write(name+".new", text)
	if err := os.Rename(filepath.Join(s.dir, name+".new"), filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) copy(from, name string) {
	s.t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		s.t.Fatal(err)
	}
	s.put(name, string(b))
}

// TestRefusedReload leaves everything as it was, and says at which place what is wrong.
func TestRefusedReload(t *testing.T) {
	up := servePartner(t, mirror)
	text := acting(t, `{fields: {Authorization: "Bearer {secret.partner_token}"}}`, `{request: [{do: set_field, name: X-Act, value: one}]} gate: {flag: drop}`)
	s := launch(t, up.address, text)
	c := s.dial()
	tests := []struct {
		name, file, old, new string
		want                 string // after file:line:column
	}{
		{"YAML that is none", "breakwater.yaml", "routes:", "routes: {", "not YAML"},
		{"an unknown key", "breakwater.yaml", "    upstream: up", "    upstraem: up", `did you mean "upstream"?`},
		{"a route without upstream", "breakwater.yaml", "    upstream: up", "    upstream: down", `routes[0] "all": upstream "down"`},
		{"a route's path", "breakwater.yaml", `"/{rest...}"`, `"/{rest"`, "unclosed brace"},
		{"two mistakes are both said", "breakwater.yaml", "    upstream: up", "    upstream: down\n    methods: [\"\"]", `routes[0] "all": methods[0]`},
		{"a module that is not there", "breakwater.yaml", "actor.wasm", "nobody.wasm", "no such file"},
		{"what a plugin has against its configuration", "breakwater.yaml", "do: set_field", `do: ""`, `plugin "actor": /request/0/do: expected something to do`},
		{"a key that a plugin does not know", "breakwater.yaml", "config: {request", "config: {reqeust: 1, request", `plugin "actor": /reqeust`},
		{"a flag that is missing", "breakwater.yaml", "gate: {flag: drop}", "gate: {flag: dorp}", `no flag "dorp"`},
		{"another listener", "breakwater.yaml", `listen: {address: "127.0.0.1:0"`, `listen: {address: "127.0.0.1:1"`, `listen: address "127.0.0.1:1": changed from "127.0.0.1:0": needs a restart`},
		{"another admin listener", "breakwater.yaml", `admin: {address: "127.0.0.1:0"`, `admin: {address: "127.0.0.1:1"`, "needs a restart"},
		{"other flags", "breakwater.yaml", "flags: {file: flags.yaml}", "flags: {file: other.yaml}", "needs a restart"},
		{"an error limit that nobody can remember", "breakwater.yaml", "count: 3,", "count: 5000,", "5000"},
		{"an access log that cannot be opened", "breakwater.yaml", "routes:", "access_log: {file: nowhere/access.log}\nroutes:", "access_log: file"},
		{"a client without a key", "clients.yaml", "key_sha256: 2b9d", "key_sha256: zzzz", "key_sha256"},
		{"two clients with one name", "clients.yaml", "name: globex", "name: acme", `"acme"`},
		{"a secret that is gone", "clients.yaml", "{file: token}", "{file: tokne}", "no such file"},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			was := s.read(test.file)
			if !strings.Contains(was, test.old) {
				t.Fatalf("nothing to replace: %s", was)
			}
			s.put(test.file, strings.Replace(was, test.old, test.new, 1))
			err := s.Reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q in it", err, test.want)
			}
			for text := range strings.Lines(err.Error()) {
				if place, _, _ := strings.Cut(strings.TrimPrefix(text, s.dir+"/"), " "); strings.Count(place, ":") != 3 || !strings.HasPrefix(place, test.file+":") {
					t.Errorf("error %q, want it to begin with %s:line:column:", text, test.file)
				}
			}
			if got := s.Reloaded(); got.Err == nil || got.Err.Error() != err.Error() || got.At.IsZero() {
				t.Errorf("Reloaded() = %v", got)
			}
			if log := s.events.String(); !strings.Contains(log, "configuration refused; the one before stays in force") || !strings.Contains(log, test.file) {
				t.Errorf("the log does not say so: %s", log)
			}
			if got := s.metric("breakwater_config_loaded"); got != "0" {
				t.Errorf("config_loaded %s, want 0", got)
			}
			s.flagsNow("on", "on")
			if r := c.get("/1", acme); r.code != 200 || field(up.last(), "X-Act") != "one" {
				t.Errorf("afterwards: status %d, the upstream got %q", r.code, up.last())
			}
			s.put(test.file, was)
			if err := s.Reload(t.Context()); err != nil || s.Reloaded().Err != nil || s.metric("breakwater_config_loaded") != "1" {
				t.Errorf("mended: %v", err)
			}
			if got := s.metric(`breakwater_config_loads_total{result="refused"}`); got == "" {
				t.Errorf("%d refused loads are not counted", i+1)
			}
		})
	}
	if got := s.metric(`breakwater_step_runs_total{route="all",step="step-1",phase="request",mode="on"}`); got != itoa(len(tests)) {
		t.Errorf("%s runs of the step, want %d", got, len(tests))
	}
	if got := s.metric(`breakwater_step_seconds_total{route="all",step="step-1",phase="request"}`); got == "0" || got == "" {
		t.Errorf("the step has taken %q seconds", got)
	}
}

// flagsNow changes the flags and waits until they are in force.
func (s *site) flagsNow(drop, classify string) {
	s.t.Helper()
	s.flags(drop, classify)
	if err := s.Gateway.flags.Refresh(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// TestFlagFileKeepsWhatGatesAskFor: an edit of the flags that takes away what the configuration in force asks for is refused.
func TestFlagsOfARefusedConfigurationAreNotAskedFor(t *testing.T) {
	up := servePartner(t, mirror)
	text := acting(t, "", `{request: [{do: set_field, name: X-Act, value: one}]} gate: {flag: drop}`)
	s := launch(t, up.address, text)
	s.put("breakwater.yaml", strings.Replace(strings.Replace(s.read("breakwater.yaml"), "flag: drop", "flag: classify", 1), "routes:", "access_log: {file: nowhere/x}\nroutes:", 1))
	if err := s.Reload(t.Context()); err == nil {
		t.Fatal("the configuration was not refused")
	}
	s.write("flags.yaml", `{flags: {classify: {state: ENABLED, variants: {"on": true}, defaultVariant: "on"}}}`)
	if err := s.Gateway.flags.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), `"drop"`) {
		t.Errorf("flags without the one that is asked for: error %v", err)
	}
	s.write("flags.yaml", `{flags: {drop: {state: ENABLED, variants: {"on": true}, defaultVariant: "on"}}}`)
	if err := s.Gateway.flags.Refresh(t.Context()); err != nil {
		t.Errorf("flags without one that only a refused configuration asks for: %v", err)
	}
}

// TestRequestsKeepTheirSnapshot holds a request while the configuration and the plugin change under it.
func TestRequestsKeepTheirSnapshot(t *testing.T) {
	arrived, goOn := make(chan string, 1), make(chan struct{})
	up := servePartner(t, func(r *http.Request) string {
		if r.URL.Path == "/held" {
			arrived <- r.Header.Get("X-Act")
			<-goOn
		}
		return respond(200, "fine")
	})
	act := func(value string) string {
		return acting(t, "", `{request: [{do: set_field, name: X-Act, value: `+value+`}], response: [{do: set_field, name: X-Act, value: `+value+`}]}`)
	}
	s := launch(t, up.address, act("one"))
	old := s.snapshot.Load()
	plugin := old.plugins[0]
	held := s.dial()
	held.send("GET /held HTTP/1.1\r\nHost: h\r\nD360-API-KEY: example-key-acme\r\n\r\n")
	if got := <-arrived; got != "one" {
		t.Fatalf("X-Act %q", got)
	}
	s.configure(up.address, act("two"))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := s.dial()
	for range 3 {
		if r := c.get("/", acme); r.header.Get("X-Act") != "two" || field(up.last(), "X-Act") != "two" {
			t.Errorf("a new request: %v", r.header)
		}
	}
	if st := plugin.Stats(); st.Live == 0 || st.Closed != 0 {
		t.Errorf("the old plugin was closed under its last request: %+v", st)
	}
	if n := old.holders.Load(); n != 1 {
		t.Errorf("%d hold the old snapshot, want the one request", n)
	}
	close(goOn)
	if r := held.reply("GET"); r.code != 200 || r.header.Get("X-Act") != "one" {
		t.Errorf("the held request: %d %v, want what was when it began", r.code, r.header)
	}
	eventually(t, "the old plugin is closed", func() bool { st := plugin.Stats(); return st.Live == 0 && st.Closed == st.Made })
}

// TestUnchangedPartsLiveOn: a reload costs neither connections nor instances.
func TestUnchangedPartsLiveOn(t *testing.T) {
	up := servePartner(t, mirror)
	text := acting(t, "", `{request: [{do: set_field, name: X-Act, value: one}]}`)
	s := launch(t, up.address, text)
	c := s.dial()
	c.get("/1", acme)
	before := s.snapshot.Load()
	s.configure(up.address, strings.Replace(text, "count: 3", "count: 4", 1))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := s.snapshot.Load()
	c.get("/1", acme)
	if after == before || after.pools[0] != before.pools[0] || after.plugins[0] != before.plugins[0] {
		t.Error("a reload has made unchanged parts anew")
	}
	up.mu.Lock()
	conns := up.conns
	up.mu.Unlock()
	if conns != 1 || after.plugins[0].Stats().Calls != 2 {
		t.Errorf("%d connections to the upstream, %d calls of the plugin, want 1 and 2", conns, after.plugins[0].Stats().Calls)
	}

	s.put("breakwater.yaml", strings.Replace(s.read("breakwater.yaml"), "response_head: 10s", "response_head: 11s", 1))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.get("/1", acme)
	up.mu.Lock()
	defer up.mu.Unlock()
	if s.snapshot.Load().pools[0] == after.pools[0] || up.conns != 2 {
		t.Errorf("a changed upstream has the old pool; %d connections", up.conns)
	}
	if st := after.pools[0].upstream.Stats(); st.Open != 0 {
		t.Errorf("%d connections of the old pool are open", st.Open)
	}
}

// TestReloadUnderLoad changes the configuration a hundred times while clients ask, and counts what is left.
func TestReloadUnderLoad(t *testing.T) {
	up := servePartner(t, mirror)
	var texts []string
	for _, value := range []string{"one", "two"} {
		texts = append(texts, "access_log: {file: access.log}\n"+acting(t, "", `{request: [{do: set_field, name: X-Act, value: `+value+`}], response: [{do: set_field, name: X-Act, value: `+value+`}]}`))
	}
	s := launch(t, up.address, texts[0])
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 2 {
		c := s.dial()
		c.SetDeadline(time.Now().Add(10 * patience)) //nolint:errcheck
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := c.get("/1", acme)
				if act := r.header.Get("X-Act"); r.code != 200 || act != "one" && act != "two" {
					t.Errorf("status %d, %v", r.code, r.header)
					return
				}
			}
		})
	}
	reload := func(i int) {
		t.Helper()
		s.configure(up.address, strings.Replace(texts[i/10%2], "count: 3", "count: "+itoa(3+i%10), 1)) // each tenth has another plugin
		if i%5 == 4 {
			s.put("breakwater.yaml", s.read("breakwater.yaml")+"nonsense: 1\n")
		}
		if err := s.Reload(t.Context()); (err != nil) != (i%5 == 4) {
			t.Errorf("reload %d: %v", i, err)
		}
	}
	for i := range 10 {
		reload(i)
	}
	count := func() (goroutines, files, pools int64) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Log("descriptors are not counted:", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return int64(runtime.NumGoroutine()), int64(len(entries)), int64(len(s.pools))
	}
	goroutines, files, _ := count()
	const n = 100
	for i := range n {
		reload(i)
	}
	close(stop)
	clients.Wait()
	var g, f, p int64
	eventually(t, "nothing is left of a hundred reloads", func() bool {
		g, f, p = count()
		return g <= goroutines+10 && f <= files+10 && p == 1
	})
	if st := s.snapshot.Load().plugins[0].Stats(); st.Live > 8 {
		t.Errorf("%d instances", st.Live)
	}
	eventually(t, "the gateway alone holds the snapshot", func() bool { return s.snapshot.Load().holders.Load() == 1 })
}

// TestCertificate shows a new certificate to new connections, with the configuration and not without it.
func TestCertificate(t *testing.T) {
	up := servePartner(t, fine)
	s := &site{&running{t: t, dir: t.TempDir(), ended: make(chan error, 1)}, new(eventLog)}
	s.configure(up.address, everything)
	s.write("breakwater.yaml", strings.Replace(s.read("breakwater.yaml"), `listen: {`, `listen: {tls: {certificate: cert.pem, key: key.pem}, `, 1))
	s.certificate("one.example")
	s.tenants()
	s.run()
	shown := func() string {
		c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := shown(); got != "one.example" {
		t.Fatalf("certificate of %s", got)
	}
	s.certificate("two.example")
	eventually(t, "the new certificate", func() bool { return shown() == "two.example" })

	was := s.read("breakwater.yaml")
	s.write("breakwater.yaml", was+"nonsense: 1\n")
	s.certificate("three.example")
	if err := s.Reload(t.Context()); err == nil {
		t.Fatal("nonsense was taken")
	}
	s.write("breakwater.yaml", strings.Replace(was, "upstream: up}", "upstream: up, steps: [{name: x, plugin: y}]}", 1)+"plugins: [{name: y, path: cert.pem}]\n")
	if err := s.Reload(t.Context()); err == nil {
		t.Fatal("a plugin that is none was taken")
	}
	if got := shown(); got != "two.example" {
		t.Errorf("certificate of %s came with a configuration that was refused", got)
	}
	s.write("breakwater.yaml", was)
	eventually(t, "the certificate comes with the next good configuration", func() bool { return shown() == "three.example" })
}

// certificate writes a new certificate and its key.
func (s *site) certificate(name string) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.put("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	s.put("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}
