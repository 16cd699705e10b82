package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A site is a running gateway whose events and access log a test can read.
type site struct {
	*running
	events *eventLog
}

// An eventLog keeps what the gateway logs.
type eventLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *eventLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *eventLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// launch starts a gateway as start does, with the tenants of the example and a log of its own. Before that it lets prepare
// change the files.
func launch(t *testing.T, upstream, rest string, prepare ...func(*site)) *site {
	t.Helper()
	s := &site{&running{t: t, dir: t.TempDir(), ended: make(chan error, 1)}, new(eventLog)}
	s.configure(upstream, rest)
	s.tenants()
	for _, f := range prepare {
		f(s)
	}
	s.run()
	return s
}

// run starts the gateway on the files that are there.
func (s *site) run() {
	s.t.Helper()
	dir, err := guestDir()
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.Gateway, err = New(ctx, Options{
		Config:   filepath.Join(s.dir, "breakwater.yaml"),
		Log:      slog.New(slog.NewTextHandler(s.events, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Output:   io.Discard,
		CacheDir: filepath.Join(dir, "cache"),
	})
	if err != nil {
		stop()
		s.t.Fatal(err)
	}
	go func() { s.ended <- s.Run(ctx) }()
	s.t.Cleanup(func() { s.end() })
}

// end stops the gateway and waits until nothing of it runs.
func (s *site) end() {
	s.t.Helper()
	if s.stop == nil {
		return
	}
	s.stop()
	s.stop = nil
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("Run: %v", err)
		}
	case <-time.After(2 * patience):
		all := make([]byte, 1<<20)
		s.t.Errorf("Run did not return\n%s\n%s", s.events, all[:runtime.Stack(all, true)])
	}
}

func (s *site) read(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return string(b)
}

func (s *site) metrics() string {
	var b strings.Builder
	s.writeMetrics(&b)
	return b.String()
}

// metric returns the value of the series with exactly that name and those labels, "" if there is none.
func (s *site) metric(series string) string {
	for line := range strings.Lines(s.metrics()) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// counted waits until the series has that value: a request is counted after its answer.
func (s *site) counted(series, want string) {
	s.t.Helper()
	eventually(s.t, series+" "+want, func() bool { return s.metric(series) == want })
}

// eventually waits until what it says holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// A reply is a response as a client has read it.
type reply struct {
	code   int
	header http.Header
	body   string
	err    error // why it is not whole
}

// do sends a request without content and reads the response. A key is sent unless it is "".
func (p *peer) do(method, target, key string, fields ...string) reply {
	p.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: gateway.example\r\n", method, target)
	if key != "" {
		fmt.Fprintf(&b, "D360-API-KEY: %s\r\n", key)
	}
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	p.send(b.String() + "\r\n")
	return p.reply(method)
}

func (p *peer) get(target, key string, fields ...string) reply {
	p.t.Helper()
	return p.do("GET", target, key, fields...)
}

func (p *peer) reply(method string) reply {
	p.t.Helper()
	r, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Errorf("no response: %v", err)
		return reply{err: err}
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return reply{r.StatusCode, r.Header, string(body), err}
}

// problem returns the members of a problem that the gateway answered with.
func (r reply) problem(t *testing.T) map[string]any {
	t.Helper()
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("status %d, content type %q, want a problem; body %q", r.code, got, r.body)
	}
	members := map[string]any{}
	if err := json.Unmarshal([]byte(r.body), &members); err != nil {
		t.Fatalf("problem %q: %v", r.body, err)
	}
	return members
}

// kind is the last part of a problem's type, "" for another answer.
func (r reply) kind() string {
	var p struct{ Type string }
	json.Unmarshal([]byte(r.body), &p) //nolint:errcheck // then it is no problem
	return strings.TrimPrefix(p.Type, problemType)
}

// A partner is an upstream that answers with what a function says, and remembers the requests as they arrived.
type partner struct {
	address string
	mu      sync.Mutex
	heads   []string
	bodies  []string
	conns   int
}

// servePartner answers each request with the bytes that answer returns; where they announce Connection: close, or are "", the
// connection ends behind them.
func servePartner(t *testing.T, answer func(r *http.Request) string) *partner {
	return servePartnerOver(t, nil, answer)
}

// servePartnerOver is servePartner over TLS, unless config is nil.
func servePartnerOver(t *testing.T, config *tls.Config, answer func(r *http.Request) string) *partner {
	p := &partner{}
	p.address = serveUpstream(t, func(c *peer) {
		if config != nil {
			c = newPeer(t, tls.Server(c.Conn, config))
		}
		c.SetDeadline(time.Now().Add(10 * patience)) //nolint:errcheck
		p.mu.Lock()
		p.conns++
		p.mu.Unlock()
		for {
			head := c.head()
			if head == "" {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(head), c.r)))
			if err != nil {
				t.Errorf("upstream: %q: %v", head, err)
				return
			}
			var body []byte
			if r.Body != nil {
				body, _ = io.ReadAll(r.Body) //nolint:errcheck // what came is remembered
			}
			p.mu.Lock()
			p.heads = append(p.heads, head)
			p.bodies = append(p.bodies, string(body))
			p.mu.Unlock()
			response := answer(r)
			c.send(response)
			if response == "" || strings.Contains(response, "Connection: close\r\n") {
				return
			}
		}
	})
	return p
}

// got returns the heads of all requests that have arrived.
func (p *partner) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.heads)
}

func (p *partner) last() string {
	heads := p.got()
	if len(heads) == 0 {
		return ""
	}
	return heads[len(heads)-1]
}

// respond is a response with content of a known length.
func respond(status int, body string, fields ...string) string {
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for _, f := range fields {
		head += f + "\r\n"
	}
	return head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

func fine(*http.Request) string { return respond(200, "fine") }

const (
	acme, globex = "example-key-acme", "example-key-globex"
	withKeys     = "clients: {file: clients.yaml, credential: {field: D360-API-KEY}}\n"
	guarded      = withKeys + "routes:\n  - {name: all, path: \"/{rest...}\", upstream: up}\n"
)

// decoded reads JSON.
func decoded[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}
