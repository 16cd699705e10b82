package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		s.t.Error("Run did not return")
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
	p := &partner{}
	p.address = serveUpstream(t, func(c *peer) {
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

// TestWhoIsAsked holds what becomes of a request by its key: the problem with all its members, whatever the method.
func TestWhoIsAsked(t *testing.T) {
	up := servePartner(t, fine)
	s := launch(t, up.address, guarded)
	unknown := func(detail string) map[string]any {
		return map[string]any{
			"type": "tag:breakwater-gateway.github.io,2026:problem/unknown-client", "title": "The client is not known", "status": 401.0,
			"detail": detail, "instance": "request-1", "fault": "client", "counts_against_client": false,
		}
	}
	tests := []struct {
		name   string
		keys   []string
		detail string // "": the request passes
	}{
		{"a known key passes", []string{"D360-API-KEY: example-key-acme"}, ""},
		{"its field is found without case", []string{"d360-api-key: example-key-acme"}, ""},
		{"no key", nil, "expected the client's key in the field D360-API-KEY"},
		{"an empty key", []string{"D360-API-KEY:"}, "expected the client's key in the field D360-API-KEY"},
		{"an unknown key", []string{"D360-API-KEY: example-key-acm"}, "the key in the field D360-API-KEY is not known"},
		{"a key has case", []string{"D360-API-KEY: Example-key-acme"}, "the key in the field D360-API-KEY is not known"},
		{"two keys, both known", []string{"D360-API-KEY: example-key-acme", "D360-API-KEY: example-key-globex"}, "the field D360-API-KEY was sent more than once"},
		{"the same key twice", []string{"D360-API-KEY: example-key-acme", "d360-api-key: example-key-acme"}, "the field D360-API-KEY was sent more than once"},
		{"an empty key and a known one", []string{"D360-API-KEY:", "D360-API-KEY: example-key-acme"}, "the field D360-API-KEY was sent more than once"},
		{"a key in another field", []string{"Authorization: example-key-acme"}, "expected the client's key in the field D360-API-KEY"},
		{"a key that Connection lists is a key all the same", []string{"Connection: D360-API-KEY", "D360-API-KEY: example-key-acme"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				before := len(up.got())
				r := s.dial().do(method, "/1?a=b", "", append(test.keys, "Breakwater-Request-Id: request-1")...)
				if test.detail == "" {
					if r.code != 200 || strings.Contains(strings.ToLower(up.last()), "example-key") || strings.Contains(strings.ToLower(up.last()), "d360") {
						t.Errorf("%s: status %d, the upstream got %q", method, r.code, up.last())
					}
					continue
				}
				if r.code != 401 || len(up.got()) != before {
					t.Fatalf("%s: status %d, %d requests to the upstream, want 401 and none", method, r.code, len(up.got())-before)
				}
				if method == "HEAD" {
					if r.body != "" || r.header.Get("Content-Length") == "0" {
						t.Errorf("HEAD: content %q, Content-Length %s, want none, of a GET's length", r.body, r.header.Get("Content-Length"))
					}
					continue
				}
				if diff := cmp.Diff(unknown(test.detail), r.problem(t)); diff != "" {
					t.Errorf("problem (-want +got):\n%s", diff)
				}
				if r.header.Get("Breakwater-Request-Id") != "request-1" {
					t.Errorf("fields %v, want the request id", r.header)
				}
			}
		})
	}
}

func TestConnectionGoesOnAfterARefusal(t *testing.T) {
	s := launch(t, servePartner(t, fine).address, guarded)
	c := s.dial()
	for _, key := range []string{"wrong", acme, "", acme} {
		want := 401
		if key == acme {
			want = 200
		}
		if r := c.get("/1", key); r.code != want {
			t.Errorf("key %q: status %d, want %d", key, r.code, want)
		}
	}
}

// TestGuessing turns an address away that tries keys, and nobody who has one.
func TestGuessing(t *testing.T) {
	s := launch(t, servePartner(t, fine).address, `
clients: {file: clients.yaml, credential: {field: D360-API-KEY}, trusted_proxies: [127.0.0.0/8], guessing: {failures: 3, window: 1h, block: 1h}}
routes:
  - {name: all, path: "/{rest...}", upstream: up}
`)
	c := s.dial()
	from := func(address, key string) reply { return c.get("/1", key, "X-Forwarded-For: "+address) }
	for range 5 {
		if r := from("192.0.2.1", ""); r.code != 401 {
			t.Fatalf("no key at all: status %d, want 401: it is no guess", r.code)
		}
	}
	for i := range 5 {
		r := from("192.0.2.1", fmt.Sprintf("guess-%d", i))
		want, kind := 401, "unknown-client"
		if i >= 3 {
			want, kind = 429, "too-many-unknown-keys"
		}
		if r.code != want || r.kind() != kind || (want == 429) != (r.header.Get("Retry-After") == "3600") {
			t.Errorf("guess %d: status %d, problem %q, fields %v, want %d %q", i+1, r.code, r.kind(), r.header, want, kind)
		}
		if p := r.problem(t); p["fault"] != "client" || p["counts_against_client"] != false || strings.Contains(r.body, "guess-") {
			t.Errorf("guess %d: problem %s", i+1, r.body)
		}
	}
	if r := from("192.0.2.1", acme); r.code != 200 {
		t.Errorf("a known key from the same address: status %d, want 200", r.code)
	}
	if r := from("192.0.2.2", "guess"); r.code != 401 {
		t.Errorf("another address: status %d, want 401", r.code)
	}
	if got := s.metric("breakwater_addresses_refused"); got != "1" {
		t.Errorf("addresses refused: %s, want 1", got)
	}
}

// TestPeer finds out who the client is behind proxies.
func TestPeer(t *testing.T) {
	tests := []struct {
		name, trusted string
		fields        []string
		want          string // "": the connection's own
	}{
		{"nobody is trusted", "[]", []string{"X-Forwarded-For: 192.0.2.1"}, ""},
		{"an untrusted peer is not believed", "[10.0.0.0/8]", []string{"X-Forwarded-For: 192.0.2.1"}, ""},
		{"a trusted peer is", "[127.0.0.1]", []string{"X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
		{"a trusted peer that says nothing", "[127.0.0.1]", nil, ""},
		{"the last that is not a proxy counts: a client can write what is before", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 198.51.100.9, 192.0.2.1, 10.1.1.1"}, "192.0.2.1"},
		{"without the proxy's trust it is the client", "[127.0.0.1]", []string{"X-Forwarded-For: 192.0.2.1, 10.1.1.1"}, "10.1.1.1"},
		{"lines are one list", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 10.1.1.1,10.1.1.2"}, "192.0.2.1"},
		{"proxies all the way: the first is the client", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 10.1.1.1, 10.1.1.2"}, "10.1.1.1"},
		{"what is no address ends the way", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 192.0.2.1, unknown, 10.1.1.2"}, "10.1.1.2"},
		{"empty elements are none", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 192.0.2.1, , 10.1.1.2,"}, "192.0.2.1"},
		{"addresses with ports", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 192.0.2.1:4711, 10.1.1.2:80"}, "192.0.2.1"},
		{"IPv6", "[127.0.0.1]", []string{"X-Forwarded-For: 2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", "[127.0.0.1]", []string{`X-Forwarded-For: [2001:db8::1]:4711`}, "2001:db8::1"},
		{"IPv4 in IPv6 is IPv4", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: ::ffff:192.0.2.1, ::ffff:10.0.0.1"}, "192.0.2.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := launch(t, servePartner(t, fine).address, `
access_log: {file: access.log}
clients: {file: clients.yaml, credential: {field: D360-API-KEY}, trusted_proxies: `+test.trusted+`}
routes:
  - {name: all, path: "/{rest...}", upstream: up}
`)
			c := s.dial()
			c.get("/1", acme, test.fields...)
			s.end()
			var line struct{ Peer string }
			if err := json.Unmarshal([]byte(s.read("access.log")), &line); err != nil {
				t.Fatal(err)
			}
			want := test.want
			if want == "" {
				want = c.LocalAddr().String()
			} else if host, ok := strings.CutSuffix(line.Peer, ":0"); ok {
				line.Peer = strings.Trim(host, "[]")
			}
			if line.Peer != want {
				t.Errorf("peer %s, want %s", line.Peer, want)
			}
		})
	}
}

// TestRequestRate lets a burst pass and then says when to come back.
func TestRequestRate(t *testing.T) {
	up := servePartner(t, fine)
	s := launch(t, up.address, withKeys+`
routes:
  - {name: slow, path: /slow, upstream: up, limits: {requests: {rate: 1/h, burst: 3}}}
  - {name: free, path: /free, upstream: up}
`)
	c := s.dial()
	for i := range 3 {
		if r := c.get("/slow", acme); r.code != 200 {
			t.Fatalf("request %d of the burst: status %d", i+1, r.code)
		}
	}
	r := c.get("/slow", acme)
	if p := r.problem(t); r.code != 429 || r.kind() != "request-rate" || p["fault"] != "client" || p["counts_against_client"] != false {
		t.Errorf("status %d, problem %s", r.code, r.body)
	}
	if wait := r.header.Get("Retry-After"); wait != "3600" {
		t.Errorf("Retry-After: %s, want 3600", wait)
	}
	if got := r.header.Get("RateLimit-Policy"); got != `"slow";q=1;w=3600` {
		t.Errorf("RateLimit-Policy: %s", got)
	}
	if got := r.header.Get("RateLimit"); !strings.HasPrefix(got, `"slow";r=0;t=`) {
		t.Errorf("RateLimit: %s", got)
	}
	for what, r := range map[string]reply{"another client": c.get("/slow", globex), "another route": c.get("/free", acme)} {
		if r.code != 200 {
			t.Errorf("%s: status %d, want 200", what, r.code)
		}
	}
	if n := len(up.got()); n != 5 {
		t.Errorf("%d requests at the upstream, want 5", n)
	}
	if got := s.metric(`breakwater_requests_total{route="slow",class="shed",fault="client"}`); got != "1" {
		t.Errorf("shed: %s, want 1", got)
	}
}

// failing answers with the status that the path names, such as /a/404.
func failing(r *http.Request) string {
	var code int
	fmt.Sscan(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], &code) //nolint:errcheck
	return respond(code, `{"error":{}}`)
}

const throttled = withKeys + `
routes:
  - {name: a, path: "/a/{code}", upstream: up, limits: {errors: {count: 3, window: 1h, block: 30m}}}
  - {name: b, path: "/b/{code}", upstream: up, limits: {errors: {count: 3, window: 1h, block: 30m}}}
`

// TestErrorThrottle blocks from the very request after the one that made the count full.
func TestErrorThrottle(t *testing.T) {
	up := servePartner(t, failing)
	s := launch(t, up.address, throttled)
	c := s.dial()
	for _, code := range []int{200, 401, 403, 429, 500, 503, 409} { // none of them counts
		for range 4 {
			if r := c.get(fmt.Sprint("/a/", code), acme); r.code != code {
				t.Fatalf("status %d, want %d", r.code, code)
			}
		}
	}
	for i, code := range []int{400, 404, 400} {
		if r := c.get(fmt.Sprint("/a/", code), acme, fmt.Sprintf("Breakwater-Request-Id: error-%d", i)); r.code != code {
			t.Fatalf("error %d: status %d, want %d", i+1, r.code, code)
		}
		c.get("/a/200", globex)
	}
	before := len(up.got())
	r := c.get("/a/200", acme)
	if r.code != 429 || r.kind() != "blocked-for-errors" {
		t.Fatalf("after 3 errors: status %d %s, want 429", r.code, r.body)
	}
	p := r.problem(t)
	penalty, _ := p["penalty"].(map[string]any)
	evidence, _ := penalty["evidence"].([]any)
	if p["fault"] != "client" || p["counts_against_client"] != false || penalty["errors"] != 3.0 || penalty["window_seconds"] != 3600.0 || len(evidence) != 3 {
		t.Fatalf("problem %s", r.body)
	}
	first, _ := evidence[0].(map[string]any)
	second, _ := evidence[1].(map[string]any)
	if first["request_id"] != "error-2" || first["status"] != 400.0 || first["class"] != "invalid_request" || second["class"] != "not_found" || second["request_id"] != "error-1" {
		t.Errorf("evidence %v, want the last first", evidence)
	}
	if until, err := time.Parse(time.RFC3339, penalty["until"].(string)); err != nil || !until.After(time.Now()) {
		t.Errorf("until %v, %v", penalty["until"], err)
	}
	if got := r.header.Get("RateLimit-Policy"); got != `"a-errors";q=3;w=3600` {
		t.Errorf("RateLimit-Policy: %s", got)
	}
	if got, wait := r.header.Get("RateLimit"), r.header.Get("Retry-After"); got != `"a-errors";r=0;t=`+wait || wait == "" {
		t.Errorf("RateLimit: %s, Retry-After: %s", got, wait)
	}
	if len(up.got()) != before {
		t.Error("a request of a blocked client has reached the upstream")
	}
	if head := s.dial().do("HEAD", "/a/200", acme); head.code != 429 || head.body != "" {
		t.Errorf("HEAD: status %d, content %q", head.code, head.body)
	}
	for range 10 { // our own refusals count for nothing: the block ends when it was to end
		c.get("/a/400", acme)
	}
	if n := len(s.limits.Standing("acme", "a", time.Now()).Evidence); n != 3 {
		t.Errorf("%d errors are held, want 3", n)
	}
	for what, r := range map[string]reply{"another client": c.get("/a/200", globex), "another route": c.get("/b/200", acme)} {
		if r.code != 200 {
			t.Errorf("%s: status %d, want 200", what, r.code)
		}
	}
	if blocked, begun := s.metric("breakwater_clients_blocked"), s.metric(`breakwater_blocks_total{route="a"}`); blocked != "1" || begun != "1" {
		t.Errorf("%s clients blocked, %s blocks begun, want 1 and 1", blocked, begun)
	}
	if !strings.Contains(s.events.String(), `msg="client blocked for errors" client=acme route=a`) {
		t.Errorf("the block is not in the log: %s", s.events)
	}

	if lifted := s.limits.Unblock("acme", "", time.Now()); len(lifted) != 1 {
		t.Fatalf("unblock has ended %d blocks, want 1", len(lifted))
	}
	for range 2 {
		if r := c.get("/a/400", acme); r.code != 400 {
			t.Fatalf("after the block was lifted: status %d, want 400", r.code)
		}
	}
	if r := c.get("/a/200", acme); r.code != 200 {
		t.Errorf("two errors after the block was lifted: status %d, want 200", r.code)
	}
}

// TestBlockBeginsWithTheLastByte has many clients at once, each of which asks again as soon as it has its answer.
func TestBlockBeginsWithTheLastByte(t *testing.T) {
	up := servePartner(t, func(r *http.Request) string {
		if strings.HasSuffix(r.URL.Path, "/chunks") {
			return "HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
		}
		return failing(r)
	})
	s := launch(t, up.address, throttled)
	for _, path := range []string{"/a/400", "/a/chunks"} {
		for range 20 {
			c := s.dial()
			s.limits.Unblock("acme", "", time.Now())
			for i := range 4 {
				if r, blocked := c.get(path, acme), i == 3; (r.code == 429) != blocked || !blocked && r.code != 400 {
					t.Fatalf("%s: request %d: status %d, blocked should be %v", path, i+1, r.code, blocked)
				}
			}
		}
	}
}

func TestReloadIsNoAmnesty(t *testing.T) {
	up := servePartner(t, failing)
	s := launch(t, up.address, throttled)
	c := s.dial()
	reload := func(count, block string) {
		t.Helper()
		text := strings.ReplaceAll(strings.ReplaceAll(throttled, "count: 3", "count: "+count), "block: 30m", "block: "+block)
		s.configure(up.address, text)
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.get("/a/400", acme)
	c.get("/a/400", acme)
	reload("3", "30m")
	c.get("/a/400", acme)
	if r := c.get("/a/200", acme); r.code != 429 {
		t.Fatalf("two errors before a reload and one after it: status %d, want 429", r.code)
	}
	reload("3", "20m")
	r := c.get("/a/200", acme)
	var wait int
	fmt.Sscan(r.header.Get("Retry-After"), &wait) //nolint:errcheck
	if r.code != 429 || wait < 1 || wait > 20*60 {
		t.Errorf("a shorter block: status %d, Retry-After %d", r.code, wait)
	}
	reload("5", "30m")
	if r := c.get("/a/200", acme); r.code != 200 {
		t.Errorf("a policy under which there is no block: status %d, want 200", r.code)
	}
	c.get("/a/400", acme)
	c.get("/a/400", acme)
	if r := c.get("/a/200", acme); r.code != 429 {
		t.Errorf("three errors under the old policy and two under the new one: status %d, want 429", r.code)
	}
}

func TestNoRoute(t *testing.T) {
	up := servePartner(t, fine)
	s := launch(t, up.address, `
routes:
  - {name: read, methods: [GET, HEAD], path: /x, upstream: up}
  - {name: write, methods: [PUT], path: /x, upstream: up}
  - {name: rest, path: "/-x/{rest...}", upstream: up}
  - {name: internal, host: shop.example, path: "/{rest...}", upstream: up}
`)
	tests := []struct {
		name, method, host, target string
		status                     int
		kind, allow                string
	}{
		{"a path that nobody takes", "GET", "h", "/y", 404, "no-route", ""},
		{"a method that nobody takes there", "DELETE", "h", "/x", 405, "method-not-allowed", "GET, HEAD, PUT"},
		{"HEAD has no content", "HEAD", "h", "/y", 404, "", ""},
		{"the gateway's own prefix is nobody else's", "GET", "shop.example", "/-/x", 404, "no-route", ""},
		{"and so is its root", "GET", "shop.example", "/-/", 404, "no-route", ""},
		{"what only looks like it is free", "GET", "h", "/-x/1", 200, "", ""},
		{"in a query it is nothing special", "GET", "shop.example", "/?/-/", 200, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := s.dial()
			c.send(test.method + " " + test.target + " HTTP/1.1\r\nHost: " + test.host + "\r\n\r\n")
			r := c.reply(test.method)
			if r.code != test.status || r.kind() != test.kind || r.header.Get("Allow") != test.allow {
				t.Errorf("status %d, problem %q, Allow %q, want %d, %q, %q", r.code, r.kind(), r.header.Get("Allow"), test.status, test.kind, test.allow)
			}
			if test.method == "HEAD" && r.body != "" {
				t.Errorf("HEAD: content %q", r.body)
			}
		})
	}
	if n := len(up.got()); n != 2 {
		t.Errorf("%d requests at the upstream, want 2", n)
	}
}

// TestTotalLimit ends an exchange that takes too long: with a problem while that can be, visibly cut after that.
func TestTotalLimit(t *testing.T) {
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	up := serveUpstream(t, func(c *peer) {
		if strings.HasPrefix(c.head(), "GET /head") {
			<-ended
			return
		}
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		<-ended
	})
	s := launch(t, up, "routes:\n  - {name: all, path: \"/{rest...}\", upstream: up, limits: {total: 200ms}}\n")
	r := s.dial().get("/head", "")
	if r.code != 504 || r.kind() != "upstream-timeout" || r.problem(t)["fault"] != "upstream" {
		t.Errorf("no head in time: status %d, problem %s", r.code, r.body)
	}
	r = s.dial().get("/content", "")
	if r.code != 200 || r.body != "hello" || r.err == nil {
		t.Errorf("no end in time: status %d, content %q, error %v, want the beginning and a cut", r.code, r.body, r.err)
	}
	if got := s.metric(`breakwater_requests_total{route="all",class="timeout",fault="upstream"}`); got != "2" {
		t.Errorf("timeouts: %s, want 2", got)
	}
}
