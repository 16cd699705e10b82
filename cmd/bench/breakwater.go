//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// A variant is Breakwater with some of its parts off; the zero variant has everything on.
type variant struct {
	name, what string

	noSteps    bool // neither plugin
	noClassify bool // only the dropping one
	noGates    bool // steps are always on, and there are no flags
	noInject   bool // nothing put into path, query and fields
	noLimits   bool // no error throttle, no request rate
	noLog      bool // no access log
	noClients  bool // nobody is asked who they are; goes with noInject and noLimits
	interrupt  bool // guests can be interrupted, which costs each call; the pinned ones of the bench need not be
}

func variants() []variant {
	return []variant{
		{name: "breakwater", what: "everything on: clients, injections, gates, dropping and classifying plugin, limits, metrics, access log (to /dev/null)"},
		{name: "bw-no-steps", what: "without the two plugins", noSteps: true},
		{name: "bw-no-classify", what: "without the classifying plugin", noClassify: true},
		{name: "bw-no-gates", what: "with the plugins always on, no flags", noGates: true},
		{name: "bw-no-inject", what: "without injections", noInject: true},
		{name: "bw-no-limits", what: "without error throttle and request rate", noLimits: true},
		{name: "bw-no-log", what: "without the access log", noLog: true},
		{name: "bw-interrupt", what: "with plugins that can be interrupted", interrupt: true},
		{name: "bw-bare", what: "forwarding only", noSteps: true, noInject: true, noLimits: true, noLog: true, noClients: true},
	}
}

func (v variant) drops() bool { return !v.noSteps }

const (
	dropGate       = "drop-phone-number-id"
	classifyGate   = "classify-partner"
	benchFlags     = 50 // in the flag file, the two above among them
	clientKeyField = "D360-API-KEY"
	adminToken     = "bench-admin-token-0123456789abcdef"
)

// A placed Breakwater has its directory, addresses and files, but doesn't run yet.
type placed struct {
	dir    string
	listen netip.AddrPort
	admin  netip.AddrPort
	flags  string // the flag file
}

func (e *env) placeBreakwater(name string) (placed, error) {
	dir, listen, err := e.place(name)
	if err != nil {
		return placed{}, err
	}
	admin, err := freeAddr()
	return placed{dir, listen, admin, filepath.Join(dir, "flags.json")}, err
}

// subject makes a subject of a placed Breakwater.
func (at placed) subject(v variant) subject {
	return subject{v.name, v.what, v.drops(), func(_ context.Context, e *env, name string) (*process, netip.AddrPort, error) {
		p, err := startBreakwater(e, name, at, v)
		return p, at.listen, err
	}}
}

// startBreakwater writes the files of a variant and starts the program with them.
func startBreakwater(e *env, name string, at placed, v variant) (*process, error) {
	program, err := find(e.breakwater)
	if err != nil {
		return nil, fmt.Errorf("%w (make build makes it)", err)
	}
	guests, err := findGuests(e.guests)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(at.dir, "breakwater.yaml")
	for path, text := range map[string]string{
		config:                                 breakwaterConfig(at, e.upstream, guests, v),
		filepath.Join(at.dir, "clients.yaml"):  clientsFile(),
		filepath.Join(at.dir, "partner-token"): "EAAbench0123456789",
		at.flags:                               flagFile(),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return startProcess(name, program, "run", "-config", config)
}

// A guest is a plugin's module.
type guest struct{ name, path, sha256 string }

// findGuests finds the two plugins and pins them.
func findGuests(dir string) ([]guest, error) {
	var guests []guest
	for _, name := range []string{"drop-query-param", "classify-partner"} {
		path, err := filepath.Abs(filepath.Join(dir, name+".wasm"))
		if err != nil {
			return nil, err
		}
		module, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w (make build makes it)", path, errMissing)
		}
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(module)
		guests = append(guests, guest{name, path, hex.EncodeToString(sum[:])})
	}
	return guests, nil
}

// breakwaterConfig renders the configuration: the route of the incident, and two for bench body. Limits are on but so
// high that nothing is turned away.
func breakwaterConfig(at placed, upstream netip.AddrPort, guests []guest, v variant) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: {address: %q, drain: 2s}\n", at.listen)
	fmt.Fprintf(&b, "admin: {address: %q, tokens: [{name: bench, sha256: %s, role: operate}]}\n", at.admin, hexSum(adminToken))
	if !v.noLog {
		b.WriteString("access_log: {file: /dev/null}\n")
	}
	if !v.noClients {
		fmt.Fprintf(&b, "clients: {file: clients.yaml, credential: {field: %s}}\n", clientKeyField)
	}
	fmt.Fprintf(&b, "upstreams:\n  - {name: partner, url: \"http://%s\"}\n", upstream)
	if !v.noSteps {
		if !v.noGates {
			b.WriteString("flags: {file: flags.json}\n")
		}
		b.WriteString("plugins:\n")
		for _, g := range guests {
			// A busy machine may stop a thread for longer than the default time, in the midst of a call.
			interruption := "none"
			if v.interrupt {
				interruption = "context"
			}
			fmt.Fprintf(&b, "  - {name: %s, path: %q, sha256: %s, interruption: %s, limits: {time: 1s}}\n", g.name, g.path, g.sha256, interruption)
		}
	}
	b.WriteString("routes:\n  - name: media\n    methods: [GET]\n    path: /{media_id:digits}\n    upstream: partner\n")
	if !v.noInject {
		b.WriteString("    inject:\n      path: /v23.0/{path.media_id}\n" +
			"      query: {" + droppedParam + ": \"{client.phone_number_id}\"}\n" +
			"      fields: {Authorization: \"Bearer {secret.partner_token}\"}\n")
	}
	if !v.noSteps {
		b.WriteString("    steps:\n")
		step(&b, v, "drop", "drop-query-param", dropGate, "{parameters: ["+droppedParam+"]}")
		if !v.noClassify {
			step(&b, v, "classify", "classify-partner", classifyGate, "{parameters: ["+droppedParam+"]}")
		}
	}
	if !v.noLimits {
		b.WriteString("    limits: {errors: {count: 20, window: 60m, block: 30m}, requests: {rate: 1000000/s}}\n")
	}
	b.WriteString("  - {name: files, methods: [GET], path: \"/files/{rest...}\", upstream: partner}\n" +
		"  - {name: upload, methods: [POST], path: /files, upstream: partner}\n")
	return b.String()
}

func step(b *strings.Builder, v variant, name, plugin, gate, config string) {
	fmt.Fprintf(b, "      - name: %s\n        plugin: %s\n        config: %s\n        on_failure: fail\n", name, plugin, config)
	if !v.noGates {
		fmt.Fprintf(b, "        gate: {flag: %s}\n", gate)
	}
}

// clientsFile lists the tenants that the load comes from.
func clientsFile() string {
	var b strings.Builder
	b.WriteString("clients:\n")
	for i := range benchClients {
		fmt.Fprintf(&b, "  - name: tenant-%02d\n    key_sha256: %s\n    attributes: {phone_number_id: \"%d\"}\n"+
			"    secrets: {partner_token: {file: partner-token}}\n", i, hexSum(clientKey(i)), phoneNumberID(i))
	}
	return b.String()
}

// flagFile holds the flags of the two gates and enough others.
func flagFile() string {
	type flag struct {
		State          string          `json:"state"`
		Variants       map[string]bool `json:"variants"`
		DefaultVariant string          `json:"defaultVariant"`
	}
	on := flag{"ENABLED", map[string]bool{"on": true, "off": false}, "on"}
	flags := map[string]flag{dropGate: on, classifyGate: on}
	for i := len(flags); i < benchFlags; i++ {
		flags[fmt.Sprintf("workaround-%02d", i)] = flag{"ENABLED", on.Variants, "off"}
	}
	text, err := json.MarshalIndent(map[string]any{"flags": flags}, "", "  ")
	if err != nil {
		panic("BUG: flags are always JSON: " + err.Error())
	}
	return string(text)
}

func hexSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
