package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/gateway/config"
)

const (
	viewToken    = "view-token-0123456789abcdef"
	operateToken = "operate-token-0123456789abcdef"
	clientKey    = "acme-key-0123456789abcdef"
	secretValue  = "partner-secret-0123456789abcdef"
)

const flagsText = `# flags of a test
flags:
  drop:
    state: ENABLED
    variants: {"on": true, "off": false}
    defaultVariant: "off"
    metadata: {owner: media-team}
  friends:
    state: ENABLED
    variants: {"on": "on", "off": "off"}
    defaultVariant: "off"
    targeting: {if: [{in: [{var: plan}, [gold]]}, "on"]}
  a/b c:
    state: DISABLED
    variants: {"on": true, "off": false}
    defaultVariant: "off"
`

// A listener under test, and the real parts behind it.
type listener struct {
	t        *testing.T
	address  string
	dir      string
	flags    *flags.Book
	limits   *admit.Registry
	draining atomic.Bool
	refused  atomic.Pointer[error]
	log      *bytes.Buffer
	close    func() error // of flags, once
}

// listen serves the admin listener until the test ends. admin is the section of the configuration.
func listen(t *testing.T, admin string) *listener {
	t.Helper()
	l := &listener{t: t, dir: t.TempDir(), limits: admit.NewRegistry(time.Now(), nil), log: &bytes.Buffer{}}
	l.write("flags.yaml", flagsText)
	l.write("secret", secretValue)
	l.write("clients.yaml", fmt.Sprintf(`clients:
  - {name: acme, key_sha256: %s, attributes: {plan: gold}, secrets: {token: {file: secret}}}
  - {name: globex, key_sha256: %s}
`, sum(clientKey), sum("globex-key-0123456789abcdef")))
	l.write("breakwater.yaml", fmt.Sprintf(`
listen: {address: "127.0.0.1:0"}
admin: %s
clients: {file: clients.yaml, credential: {field: Key}}
upstreams: [{name: up, url: "http://127.0.0.1:1"}]
flags: {file: flags.yaml}
routes:
  - {name: media, path: "/media/{id}", upstream: up, limits: {errors: {count: 3, window: 1h, block: 30m}}}
  - {name: open, path: "/{rest...}", upstream: up}
`, admin))
	c, err := config.Load(filepath.Join(l.dir, "breakwater.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.flags, err = flags.Open(t.Context(), flags.Options{Path: c.Flags.File, Journal: c.Flags.Journal}); err != nil {
		t.Fatal(err)
	}
	l.close = sync.OnceValue(l.flags.Close)
	if err := l.limits.Limiter("media").SetPolicy(admit.Policy{Name: "media", Errors: 3, Window: time.Hour, Block: 30 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	loaded := time.Now()
	server := NewServer(Parts{
		Version: "test", Log: slog.New(slog.NewTextHandler(l.log, nil)), Flags: l.flags, Limits: l.limits, Draining: l.draining.Load,
		Address: func() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} },
		Config:  func() *config.Config { return c },
		Loaded: func() (time.Time, error) {
			if err := l.refused.Load(); err != nil {
				return loaded, *err
			}
			return loaded, nil
		},
		Plugins: func() []Plugin { return []Plugin{{Name: "dropper", SHA256: "ab", Live: 2, Idle: 1, Calls: 7}} },
		Metrics: func(w io.Writer) { io.WriteString(w, "breakwater_test 1\n") },
		Reload: func(context.Context) error {
			if err := l.refused.Load(); err != nil {
				return *err
			}
			return nil
		},
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.address = ln.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := errors.Join(server.Shutdown(), <-ended, l.close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func withTokens() string {
	return fmt.Sprintf(`{address: "127.0.0.1:0", tokens: [{name: grafana, sha256: %s, role: view}, {name: jo, sha256: %s, role: operate}]}`,
		sum(viewToken), sum(operateToken))
}

const example = `{address: "127.0.0.1:0", example: true}`

func sum(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func (l *listener) write(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// A response is one, read to its end.
type response struct {
	status int
	header http.Header
	body   string
}

// ask sends one request; fields are "Name: value". A content gets the type of JSON unless fields name one.
func (l *listener) ask(method, path, content string, fields ...string) response {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), method, "http://"+l.address+path, strings.NewReader(content))
	if err != nil {
		l.t.Fatal(err)
	}
	if content != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return response{answer.StatusCode, answer.Header, string(body)}
}

// into reads an answer that should be a success.
func into[A any](t *testing.T, r response) (a A) {
	t.Helper()
	if r.status != 200 {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return a
}

const (
	asView    = "Authorization: Bearer " + viewToken
	asOperate = "Authorization: Bearer " + operateToken
)
