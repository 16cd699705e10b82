package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the errors that are found into testdata/bad, and the reference")

// unpack writes an archive's files into a folder of their own, beside a certificate in tls, and returns the folder.
func unpack(t *testing.T, a *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := certificate(t)
	files := append([]txtar.File{{Name: "tls/cert.pem", Data: cert}, {Name: "tls/key.pem", Data: key}}, a.Files...)
	if err := txtar.Write(&txtar.Archive{Files: files}, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// certificate makes a certificate and its key, as PEM.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func environment(name string) (string, bool) {
	value, ok := map[string]string{"ACME_TOKEN": "secret-of-acme", "EMPTY": "", "TWO_LINES": "secret\nvalue"}[name]
	return value, ok
}

var testOptions = &LoadOptions{LookupEnv: environment}

// Each archive in testdata/bad holds a configuration and, as its last file, every mistake that is to be found in it.
func TestBadConfigurations(t *testing.T) {
	for _, name := range archives(t, "testdata/bad") {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			n := len(a.Files) - 1
			if n < 1 || a.Files[n].Name != "errors" {
				t.Fatal(`the last file is not "errors"`)
			}
			want := string(a.Files[n].Data)
			dir := unpack(t, &txtar.Archive{Files: a.Files[:n]})
			c, err := Load(filepath.Join(dir, "breakwater.yaml"), testOptions)
			if err == nil || c != nil {
				t.Fatalf("Load = %v, %v; want no Config and mistakes", c, err)
			}
			got := strings.ReplaceAll(err.Error(), dir+"/", "") + "\n"
			if *update {
				a.Files[n].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("mistakes (-want +got):\n%s", d)
			}
			for _, hidden := range []string{"secret-of-acme", "hunter2", "plain-text-key"} {
				if strings.Contains(got, hidden) {
					t.Errorf("a mistake shows the secret %q:\n%s", hidden, got)
				}
			}
		})
	}
}

func TestGoodConfigurations(t *testing.T) {
	for _, name := range archives(t, "testdata/good") {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Load(filepath.Join(unpack(t, a), "breakwater.yaml"), testOptions); err != nil {
				t.Errorf("Load:\n%v", err)
			}
		})
	}
}

func archives(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives in %s: %v", dir, err)
	}
	return names
}

// loadFull loads testdata/good/full.txtar.
func loadFull(t *testing.T) (*Config, string) {
	t.Helper()
	a, err := txtar.ParseFile("testdata/good/full.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := unpack(t, a)
	c, err := Load(filepath.Join(dir, "breakwater.yaml"), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

func TestEveryKeyIsRead(t *testing.T) {
	c, dir := loadFull(t)
	route, step := c.Routes[0], c.Routes[0].Steps[0]
	rows := []struct {
		name      string
		got, want any
	}{
		{"an address", c.Listen.Address, Address("127.0.0.1:8080")},
		{"a timeout", c.Listen.Timeouts.Head, 11 * time.Second},
		{"a timeout left out has its default", c.Listen.Timeouts.Idle, 75 * time.Second},
		{"a size", c.Listen.Limits.Head, Size(32 << 10)},
		{"drain", c.Listen.Drain, time.Minute},
		{"a token's role", c.Admin.Tokens[0].Role, "operate"},
		{"a digest", c.Admin.Tokens[0].SHA256.String(), strings.Repeat("ab", 32)},
		{"a path is relative to its file", c.AccessLog.File, filepath.Join(dir, "access.log")},
		{"a credential", c.Clients.Credential.Field, "D360-API-KEY"},
		{"requests under way", c.Upstreams[1].Limits.Requests, 8},
		{"how many may wait", c.Upstreams[1].Limits.Pending, 20},
		{"how long one may", c.Upstreams[1].Limits.PendingTime, 250 * time.Millisecond},
		{"an adaptive limit", c.Upstreams[1].Adaptive.Max, 50},
		{"none unless it is asked for", c.Upstreams[0].Adaptive, (*Adaptive)(nil)},
		{"a breaker's share", c.Upstreams[1].Breaker.Percent, 40},
		{"a breaker's statuses", c.Upstreams[1].Breaker.Statuses[0], Statuses{500, 500}},
		{"no breaker unless it is asked for", c.Upstreams[0].Breaker, (*Breaker)(nil)},
		{"a retry budget", c.Upstreams[1].RetryBudget.Burst, 3},
		{"a retry budget left out has its defaults", c.Upstreams[0].RetryBudget.Percent, 20},
		{"reasons to retry", strings.Join(route.Retry.On, " "), "connect reset timeout retryable-verdict"},
		{"statuses to retry", len(route.Retry.Statuses), 2},
		{"a pause between attempts", route.Retry.BackoffMax, time.Second},
		{"guessing", c.Clients.Guessing.Failures, 3},
		{"a range of addresses", c.Clients.TrustedProxies[0].String(), "10.0.0.0/8"},
		{"one address is a range", c.Clients.TrustedProxies[1].String(), "::1/128"},
		{"a trusted proxy before the gateway", c.Listen.TrustedProxies[0].String(), "192.0.2.0/24"},
		{"the field with the client's address", c.Listen.ClientAddress, "forwarded"},
		{"a client", c.Clients.List[0].Name, "acme"},
		{"an attribute that looks like a number", c.Clients.List[0].Attributes["phone_number_id"], "0106540352242922"},
		{"a secret from the environment", c.Clients.List[0].Secrets["partner_token"].Reveal(), "secret-of-acme"},
		{"a secret from a file, without its line break", c.Clients.List[1].Secrets["partner_token"].Reveal(), "secret-of-globex"},
		{"an origin's scheme", c.Upstreams[1].URL.TLS(), true},
		{"an origin's default port", c.Upstreams[1].URL.Address(), "api.example:443"},
		{"an origin's authority", c.Upstreams[1].URL.Authority(), "api.example"},
		{"an authority has a port that is not the default", c.Upstreams[0].URL.Authority(), "127.0.0.1:8081"},
		{"a number as text", c.Upstreams[1].TLS.MinVersion, "1.3"},
		{"idle connections are no more than connections", c.Upstreams[1].Limits.IdleConnections, 10},
		{"what an upstream is told of clients", c.Upstreams[1].Forwarded, Forwarded{
			Element: c.Upstreams[1].Forwarded.Element, For: "append", Host: "replace", Proto: "remove", Port: "keep", Forwarded: "replace", By: "_Edge-1.2",
		}},
		{"what an upstream is told of clients, left out", c.Upstreams[0].Forwarded.For + " " + c.Upstreams[0].Forwarded.Forwarded, "keep keep"},
		{"a plugin's memory", c.Plugins[0].Limits.Memory, Size(16 << 20)},
		{"interruption", c.Plugins[0].Interruption, "none"},
		{"interruption left out", c.Plugins[1].Interruption, "context"},
		{"the journal stands beside the flags", c.Flags.Journal, filepath.Join(dir, "flags.yaml.journal")},
		{"a route leads to its upstream", route.To, c.Upstreams[0]},
		{"a step leads to its plugin", step.Use, c.Plugins[0]},
		{"a host in quotes", route.Host, "*.example.com"},
		{"a host left out", c.Routes[1].Host, "*"},
		{"methods", strings.Join(route.Methods, " "), "GET HEAD"},
		{"an error limit with nothing in it has defaults", *c.Routes[1].Limits.Errors, ErrorLimit{
			Element: c.Routes[1].Limits.Errors.Element, Count: 20, Window: time.Hour, Block: 30 * time.Minute,
		}},
		{"an error limit left out", route.Limits.Errors == nil, true},
		{"a rate", route.Limits.Requests.Rate, Rate{80, time.Second}},
		{"a burst left out is a second's worth", route.Limits.Requests.Burst, 80},
		{"a body", route.Limits.Body, Size(100 << 20)},
		{"a gate", step.Gate.Flag + " " + step.Gate.Fallback, "drop-phone-number-id observe"},
		{"a gate's fallback left out is off", c.Routes[0].Steps[1].Gate.Fallback, "off"},
		{"a step without a gate", c.Routes[1].Steps[0].Gate == nil, true},
		{"on_failure", step.OnFailure, "fail"},
		{"on_failure left out", c.Routes[1].Steps[0].OnFailure, "skip"},
	}
	for _, r := range rows {
		if !reflect.DeepEqual(r.got, r.want) {
			t.Errorf("%s: %v, want %v", r.name, r.got, r.want)
		}
	}
}

func TestFilesAreAllThatIsRead(t *testing.T) {
	c, dir := loadFull(t)
	var want []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			want = append(want, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if d := cmp.Diff(want, c.Files()); d != "" {
		t.Errorf("Files (-want +got):\n%s", d)
	}
}

func TestAStepsConfigIsJSONWithPositions(t *testing.T) {
	c, dir := loadFull(t)
	step := c.Routes[0].Steps[0]
	const want = `{"parameters":["phone_number_id","p2"],"deep":{"a/b":[1,-2.50,1e3,31,true,null,"true","x y"]},"text":"one\ntwo\n","empty":[]}`
	if got := string(step.Config.JSON()); got != want {
		t.Errorf("JSON() = %s\nwant     %s", got, want)
	}
	if got := c.Routes[0].Steps[1].Config.JSON(); got != nil {
		t.Errorf("a step without config has JSON %s, want none", got)
	}
	rows := []struct{ name, pointer, want string }{
		{"the whole", "", `parameters: [phone_number_id, p2]`},
		{"a list", "/parameters", `[phone_number_id, p2]`},
		{"an item", "/parameters/1", `p2]`},
		{"a missing item is its list", "/parameters/7", `[phone_number_id, p2]`},
		{"a missing key is the mapping around it", "/deep/nope/further", `{a/b: [1`},
		{"an escaped key", "/deep/a~1b/3", `0x1F`},
		{"a block of text", "/text", `|`},
		{"a pointer that is none", "nonsense", `parameters: [phone_number_id, p2]`},
	}
	data, err := os.ReadFile(filepath.Join(dir, "breakwater.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		p := step.Config.PosAt(r.pointer)
		if got := textAt(data, p); !strings.HasPrefix(got, r.want) {
			t.Errorf("%s: PosAt(%q) = %v, where it says %q; want %q", r.name, r.pointer, p, got, r.want)
		}
	}
}

// textAt returns the rest of the line at p.
func textAt(data []byte, p Pos) string {
	lines := bytes.Split(data, []byte("\n"))
	if p.Line < 1 || p.Line > len(lines) {
		return ""
	}
	line := []rune(string(lines[p.Line-1]))
	return string(line[min(p.Column-1, len(line)):])
}

func TestEveryElementStandsWhereItSays(t *testing.T) {
	c, dir := loadFull(t)
	data, err := os.ReadFile(filepath.Join(dir, "breakwater.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := c.Routes[0]
	rows := []struct {
		name string
		pos  Pos
		want string
	}{
		{"the file", c.Pos, "listen:"},
		{"a route begins with its first key", r.Pos, "name: media-url"},
		{"a key's place is that of its value", r.At("path"), "/{media_id:digits}"},
		{"a key that was not given is where its owner is", r.At("nope"), "name: media-url"},
		{"an item", r.At("methods[1]"), "HEAD]"},
		{"a section in braces", r.Steps[0].Gate.Pos, "{flag: drop-phone-number-id"},
		{"a section that was left out is where its owner is", c.Routes[1].Limits.Pos, "errors: {}"},
		{"after wide characters", r.Inject.Query[1].Pos, `"größe": `},
	}
	for _, r := range rows {
		if got := textAt(data, r.pos); !strings.HasPrefix(got, r.want) {
			t.Errorf("%s: at %v it says %q, want %q", r.name, r.pos, got, r.want)
		}
	}
	if got, want := r.Steps[0].Gate.Where(), `routes[0] "media-url": steps[0] "drop": gate`; got != want {
		t.Errorf("Where() = %q, want %q", got, want)
	}
}

func TestAnothersComplaintCarriesThePosition(t *testing.T) {
	c, dir := loadFull(t)
	cause := errors.New("speaks abi 2, this gateway speaks 1")
	step := c.Routes[0].Steps[0]
	err := error(ErrorList{c.Errorf(step.Config.PosAt("/parameters/0"), step.Where(), "plugin %q: %w", step.Plugin, cause)})
	want := `breakwater.yaml:101:24: routes[0] "media-url": steps[0] "drop": plugin "drop-query-param": speaks abi 2, this gateway speaks 1`
	if got := strings.TrimPrefix(err.Error(), dir+"/"); got != want {
		t.Errorf("Error() = %s\nwant      %s", got, want)
	}
	if !errors.Is(err, cause) {
		t.Error("errors.Is does not find what the other room said")
	}
	if one, ok := errors.AsType[*Error](err); !ok || one.Pos.Line != 101 {
		t.Errorf("errors.AsType = %v, %v", one, ok)
	}
	if list, ok := errors.AsType[ErrorList](err); !ok || len(list) != 1 {
		t.Errorf("errors.AsType = %v, %v", list, ok)
	}
}

func TestWhatIsNoConfigurationAtAll(t *testing.T) {
	deep := func(unit string, n int) string { return "a: " + strings.Repeat(unit, n) }
	tests := []struct{ name, file, want string }{
		{"an empty file", "", "f.yaml:1:1: the file is empty: expected a mapping"},
		{"only comments", "# nothing\n", "f.yaml:1:1: the file is empty: expected a mapping"},
		{"only a byte order mark", "\ufeff", "f.yaml:1:1: the file is empty: expected a mapping"},
		{"a list", "- a\n", "f.yaml:1:1: expected a mapping, found a list"},
		{"bytes that are not UTF-8", "a: b\nc: \xff\n", "f.yaml:2:4: expected UTF-8 text without control characters"},
		{"a NUL", "a: b\x00\n", "f.yaml:1:5: expected UTF-8 text without control characters"},
		{"a huge file", strings.Repeat("#\n", maxFile/2+1), "f.yaml:1:1: the file has more than 32 MiB"},
		{"a long line", "a: b\nc: " + strings.Repeat("x", 1<<20), "f.yaml:2:1: the line has more than 64 KiB"},
		{"a mapping without end", strings.Repeat("a: b\n", maxKeys+1), "f.yaml:10001:1: expected at most 10000 keys in a mapping"},
		{"deep flow lists", deep("[", 1<<15), "f.yaml:1:35: nested too deeply: expected at most 32 levels"},
		{"deep flow mappings", deep("{a: ", 1<<13), "f.yaml:1:128: nested too deeply: expected at most 32 levels"},
		{"deep block lists", strings.Repeat("- ", 1<<14), "f.yaml:1:65: nested too deeply: expected at most 32 levels"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(tt.file), nil)
			if err == nil {
				t.Fatal("no error")
			}
			if first, _, _ := strings.Cut(err.Error(), "\n"); first != tt.want {
				t.Errorf("first mistake %q\nwant          %q", first, tt.want)
			}
		})
	}
}

func TestOddNestingEnds(t *testing.T) {
	for _, unit := range []string{"&a ", "? ", "!!a ", "*a: ", "- - : ", "a:\n ", "\"", "{", "[[{", "|\n ", "--- "} {
		if _, err := Parse("f.yaml", []byte(strings.Repeat(unit, 5000)), nil); err == nil {
			t.Errorf("%q many times: no error", unit)
		}
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ name, path, want string }{
		{"a file that is not there", filepath.Join(dir, "nope.yaml"), "nope.yaml: no such file or directory"},
		{"a folder", dir, ": expected a regular file"},
		{"a device that never ends", "/dev/zero", "/dev/zero: expected a regular file"},
	} {
		if _, err := Load(tt.path, nil); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want …%s", tt.name, err, tt.want)
		}
	}
}

func TestTheExampleLoads(t *testing.T) {
	root := t.TempDir()
	example := filepath.Join(root, "cmd", "breakwater", "example")
	if err := os.CopyFS(example, os.DirFS("../../cmd/breakwater/example")); err != nil {
		t.Fatal(err)
	}
	for _, guest := range []string{"drop-query-param", "classify-partner"} { // what make build puts there
		path := filepath.Join(root, "bin", "guests", guest+".wasm")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("\x00asm"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(filepath.Join(example, "breakwater.yaml"), &LoadOptions{LookupEnv: environment})
	if err != nil {
		t.Fatalf("Load:\n%v", err)
	}
	if got := c.Clients.List[0].KeySHA256.String(); got != "2b9d340e03bf0ff9af1688bd8285d673849d3aeb8ee2c0340b70189edc129316" {
		t.Errorf("the first client's key is not example-key-acme: %s", got)
	}
}
