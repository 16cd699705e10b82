package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

var guestDir = sync.OnceValues(func() (string, error) {
	return os.MkdirTemp("", "breakwater-guests-")
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := guestDir(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// guest builds one of the shipped guests, and returns its path and SHA-256.
func guest(t testing.TB, name string) (path, digest string) {
	t.Helper()
	dir, err := guestDir()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, name+".wasm")
	if _, err := os.Stat(path); err != nil {
		cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", path, "../plugins/guests/"+name)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build guest %s: %v\n%s", name, err, out)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return path, hex.EncodeToString(sum[:])
}

// everythingOn is the configuration of the incident, with all that the gateway can do for one request.
func everythingOn(t testing.TB, interruption string) string {
	drop, dropSum := guest(t, "drop-query-param")
	classify, classifySum := guest(t, "classify-partner")
	return fmt.Sprintf(`
access_log: {file: /dev/null}
clients: {file: clients.yaml, credential: {field: D360-API-KEY}}
plugins:
  - {name: drop-query-param, path: %q, sha256: %s, interruption: %s}
  - {name: classify-partner, path: %q, sha256: %s, interruption: %[3]s}
flags: {file: flags.yaml}
routes:
  - name: media-url
    methods: [GET]
    path: /{media_id:digits}
    upstream: up
    inject:
      path: /v23.0/{path.media_id}
      query: {phone_number_id: "{client.phone_number_id}"}
      fields: {Authorization: "Bearer {secret.partner_token}"}
    steps:
      - {name: drop, plugin: drop-query-param, config: {parameters: [phone_number_id]}, gate: {flag: drop, fallback: off}}
      - {name: classify, plugin: classify-partner, gate: {flag: classify, fallback: off}}
    limits:
      errors: {count: 20, window: 60m, block: 30m}
      requests: {rate: 1000000/s}
`, drop, dropSum, interruption, classify, classifySum)
}

func (r *running) tenants() {
	r.write("token", "partner-token-acme")
	r.write("clients.yaml", `
clients:
  - name: acme
    key_sha256: 2b9d340e03bf0ff9af1688bd8285d673849d3aeb8ee2c0340b70189edc129316 # example-key-acme
    attributes: {phone_number_id: "106540352242922"}
    secrets: {partner_token: {file: token}}
  - name: globex
    key_sha256: 9047c0922bc5e7634e174d246269f6d0197735fbe4d79f467f70bea65c9a08fb # example-key-globex
    attributes: {phone_number_id: "106540352242923"}
    secrets: {partner_token: {file: token}}
`)
	r.flags("on", "on")
}

func (r *running) flags(drop, classify string) {
	variants := `{"on": "on", "off": "off", "observe": "observe"}`
	r.write("flags.yaml", fmt.Sprintf(`
flags:
  drop: {state: ENABLED, variants: %s, defaultVariant: %q}
  classify: {state: ENABLED, variants: %[1]s, defaultVariant: %[3]q}
`, variants, drop, classify))
}

// TestBodylessRequestAllocatesNothing counts all allocations of the process, those of the test's own two ends included.
func TestBodylessRequestAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	up := serveBytes(t, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Fb-Rev: 1019544279\r\nDate: Mon, 23 Nov 2026 03:29:38 GMT\r\nContent-Length: 2\r\n\r\n{}")
	request := "GET /2621233374848975?phone_number_id=1&x=2 HTTP/1.1\r\nHost: gateway.example\r\nUser-Agent: test\r\nAccept: */*\r\nD360-API-KEY: example-key-acme\r\n\r\n"
	if per := allocations(t, start(t, up, everythingOn(t, "none")), request); per > 0.1 {
		t.Errorf("%.2f allocations a request, want 0", per)
	}
}

// serveBytes is an upstream that answers whatever arrives with the same bytes, and allocates nothing for it.
func serveBytes(t *testing.T, response string) string {
	return serveUpstream(t, func(c *peer) {
		buf := make([]byte, 4096)
		for {
			if _, err := c.Conn.Read(buf); err != nil {
				return
			}
			if _, err := c.Conn.Write(stringToBytes(response)); err != nil {
				return
			}
		}
	})
}

// allocations returns how many allocations of the process it takes to have request answered by g, one after the other.
func allocations(t *testing.T, g *running, request string) float64 {
	c, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 4096)
	ask := func(n int) {
		for range n {
			if _, err := c.Write(stringToBytes(request)); err != nil {
				t.Fatal(err)
			}
			if n, err := c.Read(buf); err != nil || string(buf[:15]) != "HTTP/1.1 200 OK" {
				t.Fatalf("%q, %v", buf[:n], err)
			}
		}
	}
	ask(200)
	const n = 2000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	ask(n)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / n
}
