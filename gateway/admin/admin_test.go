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
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
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
		if err := errors.Join(server.Shutdown(), <-ended, l.flags.Close()); err != nil {
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

func TestWhoMayDoWhat(t *testing.T) {
	l := listen(t, withTokens())
	set := `{"variant": "on", "reason": "a test"}`
	tests := []struct {
		name, method, path, content, field string
		want                               int
	}{
		{"health needs no token", "GET", "/healthz", "", "", 200},
		{"readiness needs no token", "GET", "/readyz", "", "", 200},
		{"an unknown token does no harm to health", "GET", "/healthz", "", "Authorization: Bearer nonsense", 200},
		{"metrics need a token", "GET", "/metrics", "", "", 401},
		{"view sees metrics", "GET", "/metrics", "", asView, 200},
		{"view sees flags", "GET", "/api/v1/flags", "", asView, 200},
		{"operate includes view", "GET", "/api/v1/flags", "", asOperate, 200},
		{"view changes no flag", "PUT", "/api/v1/flags/drop", set, asView, 403},
		{"view unblocks nobody", "POST", "/api/v1/clients/acme/unblock", `{"reason": "x"}`, asView, 403},
		{"view reloads nothing", "POST", "/api/v1/reload", "{}", asView, 403},
		{"view takes no profile", "GET", "/debug/pprof/heap", "", asView, 403},
		{"operate takes a profile", "GET", "/debug/pprof/heap", "", asOperate, 200},
		{"nobody changes no flag", "PUT", "/api/v1/flags/drop", set, "", 401},
		{"a token in another scheme is none", "GET", "/api/v1/flags", "", "Authorization: Basic " + viewToken, 401},
		{"the scheme is compared without case", "GET", "/api/v1/flags", "", "Authorization: bearer " + viewToken, 200},
		{"a hash is no token", "GET", "/api/v1/flags", "", "Authorization: Bearer " + sum(viewToken), 401},
		{"an empty token is none", "GET", "/api/v1/flags", "", "Authorization: Bearer ", 401},
		{"nobody learns what paths there are", "GET", "/nowhere", "", "", 401},
		{"a path that is not there", "GET", "/nowhere", "", asView, 404},
		{"a method that is not there", "DELETE", "/api/v1/flags/drop", "", asOperate, 405},
		{"with tokens any Host will do", "GET", "/api/v1/flags", "", asView, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fields := []string{"Host: gateway.example:9090"}
			if tt.field != "" {
				fields = append(fields, tt.field)
			}
			r := l.ask(tt.method, tt.path, tt.content, fields...)
			if r.status != tt.want {
				t.Errorf("%s %s: status %d, want %d: %s", tt.method, tt.path, r.status, tt.want, r.body)
			}
			if got := r.header.Get("Cache-Control") + " " + r.header.Get("X-Content-Type-Options"); got != "no-store nosniff" {
				t.Errorf("fields %q, want no-store nosniff", got)
			}
			if r.status == 401 && r.header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
			if r.status == 405 && r.header.Get("Allow") != "GET, HEAD, PUT" {
				t.Errorf("Allow %q", r.header.Get("Allow"))
			}
		})
	}
}

func TestUnknownTokensAreThrottledAndKnownOnesAreNot(t *testing.T) {
	l := listen(t, withTokens())
	last := 0
	for range unknownTokens.Misses + 1 {
		last = l.ask("GET", "/api/v1/flags", "", "Authorization: Bearer guess").status
	}
	if last != 429 {
		t.Errorf("status %d after %d unknown tokens, want 429", last, unknownTokens.Misses+1)
	}
	if r := l.ask("GET", "/api/v1/flags", "", "Authorization: Bearer guess"); r.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	if r := l.ask("GET", "/api/v1/flags", "", asView); r.status != 200 {
		t.Errorf("status %d for a known token, want 200", r.status)
	}
}

func TestTheExampleTakesNothingFromElsewhere(t *testing.T) {
	l := listen(t, example)
	set := `{"variant": "on", "reason": "a test"}`
	tests := []struct {
		name   string
		fields []string
		want   int
	}{
		{"the address itself", nil, 200},
		{"localhost with a port", []string{"Host: localhost:9090"}, 200},
		{"localhost without", []string{"Host: LocalHost"}, 200},
		{"another loopback address", []string{"Host: 127.9.9.9:1"}, 200},
		{"IPv6", []string{"Host: [::1]:9090"}, 200},
		{"IPv6 without a port", []string{"Host: [::1]"}, 200},
		{"a name that was rebound to this machine", []string{"Host: evil.example:9090"}, 403},
		{"a name that begins like ours", []string{"Host: localhost.evil.example"}, 403},
		{"an address elsewhere", []string{"Host: 192.0.2.1:9090"}, 403},
		{"the unspecified address", []string{"Host: 0.0.0.0:9090"}, 403},
		{"no port after the colon", []string{"Host: localhost:"}, 403},
		{"the page of this listener", []string{"Host: localhost:9090", "Origin: http://localhost:9090", "Sec-Fetch-Site: same-origin"}, 200},
		{"a page of another port", []string{"Host: localhost:9090", "Origin: http://localhost:3000"}, 403},
		{"a page of elsewhere", []string{"Origin: https://evil.example"}, 403},
		{"a page without an origin", []string{"Origin: null"}, 403},
		{"what a browser calls cross-site", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"what a browser calls same-site", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"typed into the browser", []string{"Sec-Fetch-Site: none"}, 200},
		{"a form's content", []string{"Content-Type: text/plain"}, 415},
		{"a form's other content", []string{"Content-Type: application/x-www-form-urlencoded"}, 415},
		{"JSON with a charset", []string{"Content-Type: application/json; charset=UTF-8"}, 200},
		{"JSON in another charset", []string{"Content-Type: application/json; charset=latin1"}, 415},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r := l.ask("PUT", "/api/v1/flags/drop", set, tt.fields...); r.status != tt.want {
				t.Errorf("status %d, want %d: %s", r.status, tt.want, r.body)
			}
			if tt.want == 403 {
				if r := l.ask("GET", "/readyz", "", tt.fields...); r.status != 403 {
					t.Errorf("readyz: status %d, want 403", r.status)
				}
			}
		})
	}
}

func TestWritesAreReadStrictly(t *testing.T) {
	l := listen(t, withTokens())
	tests := []struct {
		name, content string
		status        int
		want          string // in the detail
	}{
		{"a member that is not known", `{"varient": "on", "reason": "x"}`, 400, `unknown member "varient": expected an object with the members "expires", "link", "owner", "reason", "variant"`},
		{"names are compared with case", `{"Variant": "on"}`, 400, `unknown member "Variant"`},
		{"a member twice", `{"variant": "on", "variant": "off", "reason": "x"}`, 400, `member "variant" is given twice`},
		{"a wrong type", `{"variant": true, "reason": "x"}`, 400, `member "variant": expected text, found true`},
		{"an object for text", `{"variant": {}}`, 400, `member "variant": expected text, found an object`},
		{"null", `{"variant": null}`, 400, `member "variant": expected text, found null`},
		{"no object", `[]`, 400, `the content is not a JSON object`},
		{"half an object", `{"variant": "on"`, 400, `it ends too early`},
		{"two objects", `{"variant": "on", "reason": "x"} {}`, 400, `something follows`},
		{"no UTF-8", "{\"variant\": \"\xff\"}", 400, `not UTF-8`},
		{"no variant", `{"reason": "x"}`, 400, `member "variant": expected the name of a variant`},
		{"no reason", `{"variant": "on", "reason": "  "}`, 400, `member "reason": expected why`},
		{"a reason of two lines", `{"variant": "on", "reason": "a\nb"}`, 400, `without line breaks`},
		{"a reason that is too long", `{"variant": "on", "reason": "` + strings.Repeat("x", 1001) + `"}`, 400, `has 1001 bytes: expected at most 1000`},
		{"by is not taken from who has a token", `{"variant": "on", "reason": "x", "by": "the boss"}`, 400, `who it was is told by the token`},
		{"an expiry in the past", `{"variant": "on", "reason": "x", "expires": "2001-01-01T00:00:00Z"}`, 400, `expected a time to come`},
		{"an expiry that is no time", `{"variant": "on", "reason": "x", "expires": "24h"}`, 400, `member "expires" "24h"`},
		{"a variant that is not there", `{"variant": "maybe", "reason": "x"}`, 422, `flag "drop" has no variant "maybe": expected one of "on", "off"`},
		{"more than may be", `{"variant": "` + strings.Repeat("x", maxBody) + `"}`, 413, `more than 65536 bytes`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := l.ask("PUT", "/api/v1/flags/drop", tt.content, asOperate)
			var p Problem
			if err := json.Unmarshal([]byte(r.body), &p); err != nil {
				t.Fatalf("%v: %s", err, r.body)
			}
			if r.status != tt.status || p.Status != tt.status || !strings.Contains(p.Detail, tt.want) || r.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("status %d, want %d with %q: %s", r.status, tt.status, tt.want, r.body)
			}
		})
	}
	if got := l.flags.View().Revision(); got != 1 {
		t.Errorf("the flags are at revision %d: something was changed", got)
	}
}

func TestASetFlagIsInForceWhenTheAnswerIsHere(t *testing.T) {
	l := listen(t, withTokens())
	gate := flags.NewGate("drop", flags.Off)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	got := into[FlagSet](t, l.ask("PUT", "/api/v1/flags/drop", fmt.Sprintf(`{"variant": "on", "reason": "incident", "expires": %q}`, expires.Format(time.RFC3339)), asOperate))
	if want := (FlagSet{Key: "drop", Variant: "on", Revision: 2, Before: "off", Changed: true}); got != want {
		t.Errorf("set = %+v, want %+v", got, want)
	}
	if m := l.flags.View().Mode(gate, &flags.Subject{}); m != flags.On {
		t.Errorf("the gate is %v after the answer, want on", m)
	}
	if got := into[FlagSet](t, l.ask("PUT", "/api/v1/flags/drop", `{"variant": "on", "reason": "again"}`, asOperate)); got.Changed || got.Revision != 2 {
		t.Errorf("set again = %+v, want unchanged at revision 2", got)
	}
	f := into[Flag](t, l.ask("GET", "/api/v1/flags/drop", "", asView))
	if f.Default != "on" || f.Mode != "on" || f.Revision != 2 || f.Owner != "media-team" || f.Expires == nil || !f.Expires.Equal(expires) || f.Expired {
		t.Errorf("flag = %+v", f)
	}
	if c := f.LastChange; c == nil || c.By != "jo" || c.Reason != "incident" || c.Origin != "api" {
		t.Errorf("last change = %+v, want by jo", c)
	}
	if a := f.Answers; a == nil || a.On != 1 {
		t.Errorf("answers = %+v, want one on", a)
	}
	j := into[Journal](t, l.ask("GET", "/api/v1/journal?limit=1&verify=true", "", asView))
	if len(j.Entries) != 1 || j.Entries[0].By != "jo" || j.Entries[0].Reason != "incident" || len(j.Entries[0].Hash) != 64 || j.Intact == nil || !*j.Intact {
		t.Errorf("journal = %+v", j)
	}
}

func TestABrokenJournalIsTold(t *testing.T) {
	l := listen(t, withTokens())
	for _, variant := range []string{"on", "off"} {
		into[FlagSet](t, l.ask("PUT", "/api/v1/flags/drop", fmt.Sprintf(`{"variant": %q, "reason": "because"}`, variant), asOperate))
	}
	path := filepath.Join(l.dir, "flags.yaml.journal")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l.write("flags.yaml.journal", strings.Replace(string(text), "because", "belater", 1))
	j := into[Journal](t, l.ask("GET", "/api/v1/journal?verify=true", "", asView))
	if len(j.Entries) != 3 || j.Intact == nil || *j.Intact || !strings.Contains(j.Broken, "line 2") {
		t.Errorf("journal = %+v, want 3 entries, broken at line 2", j)
	}
}

func TestFlagsAreListedAndExplained(t *testing.T) {
	l := listen(t, withTokens())
	list := into[FlagList](t, l.ask("GET", "/api/v1/flags", "", asView))
	if len(list.Flags) != 3 || list.Revision != 1 || list.Origin != "start" || !list.SourceUp {
		t.Errorf("list = %+v", list)
	}
	if f := into[Flag](t, l.ask("GET", "/api/v1/flags/a%2Fb%20c", "", asView)); f.Key != "a/b c" || !f.Disabled {
		t.Errorf("flag = %+v, want the disabled one", f)
	}
	tests := []struct {
		name, path string
		status     int
		want       string
	}{
		{"an unknown flag", "/api/v1/flags/dorp", 404, `no flag \"dorp\": expected one of \"drop\", \"friends\", \"a/b c\"`},
		{"a client whom the rule means", "/api/v1/flags/friends/explain?client=acme", 200, `"variant":"on","value":"on","mode":"on","reason":"TARGETING_MATCH"`},
		{"a client whom it does not mean", "/api/v1/flags/friends/explain?client=globex", 200, `"variant":"off","value":"off","mode":"off","reason":"DEFAULT"`},
		{"what the rule could read", "/api/v1/flags/friends/explain?client=acme&route=media&method=GET", 200, `"subject":{"client":"acme","method":"GET","plan":"gold","route":"media","upstream":"up"}`},
		{"a client that is not there", "/api/v1/flags/friends/explain?client=initech", 404, `no client \"initech\": expected one of \"acme\", \"globex\"`},
		{"a route that is not there", "/api/v1/flags/friends/explain?route=medai", 404, `no route \"medai\": expected one of \"media\", \"open\"`},
		{"a flag that is not there, explained", "/api/v1/flags/x/explain", 404, `no flag \"x\"`},
		{"a disabled flag", "/api/v1/flags/a%2Fb%20c/explain", 200, `"reason":"DISABLED"`},
		{"a parameter that is not there", "/api/v1/flags/friends/explain?clinet=acme", 400, `query parameter \"clinet\": expected one of \"client\", \"route\", \"upstream\", \"method\"`},
		{"a parameter where there is none", "/api/v1/flags?x=1", 400, `query parameter \"x\": expected none here`},
		{"a parameter twice", "/api/v1/journal?limit=1&limit=2", 400, `is given twice`},
		{"a limit that is no number", "/api/v1/journal?limit=0", 400, `expected a number from 1 to 1000`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r := l.ask("GET", tt.path, "", asView); r.status != tt.status || !strings.Contains(r.body, tt.want) {
				t.Errorf("status %d, want %d with %s: %s", r.status, tt.status, tt.want, r.body)
			}
		})
	}
}

// block has acme blocked on the route media.
func (l *listener) block() {
	limiter := l.limits.Limiter("media")
	for i := range 3 {
		ticket, _ := limiter.Admit("acme", time.Now())
		ticket.Done(admit.Evidence{
			Time: time.Now(), Class: abi.InvalidRequest, Fault: abi.FaultClient, Counts: true, RequestID: fmt.Sprint("request-", i),
			Signature: admit.Signature{Status: 400, Code: "100", Framing: "length"},
		})
	}
}

func TestUnblockLiftsAndTells(t *testing.T) {
	l := listen(t, example)
	l.block()
	blocks := into[BlockList](t, l.ask("GET", "/api/v1/blocks", ""))
	if len(blocks.Blocks) != 1 || blocks.Blocks[0].Client != "acme" || len(blocks.Blocks[0].Evidence) != 3 || blocks.Blocks[0].Evidence[0].Code != "100" {
		t.Fatalf("blocks = %+v", blocks)
	}
	clients := into[ClientList](t, l.ask("GET", "/api/v1/clients", ""))
	if len(clients.Clients) != 2 || clients.Clients[0].Name != "acme" || len(clients.Clients[0].Blocks) != 1 || clients.Clients[0].Attributes["plan"] != "gold" {
		t.Errorf("clients = %+v", clients)
	}
	standing := into[ClientStanding](t, l.ask("GET", "/api/v1/clients/acme", ""))
	if len(standing.Routes) != 1 || standing.Routes[0].Until == nil || standing.Routes[0].Limit != 3 {
		t.Errorf("standing = %+v", standing)
	}
	for _, tt := range []struct {
		name, path, content string
		status              int
		want                string
	}{
		{"a client that is not there", "nobody", `{"reason": "x"}`, 404, `no client \"nobody\": expected one of \"acme\", \"globex\"`},
		{"a route that is not there", "acme", `{"reason": "x", "route": "medai"}`, 404, `no route \"medai\": expected one of \"media\"`},
		{"a route that blocks nobody", "acme", `{"reason": "x", "route": "open"}`, 404, `no route \"open\": expected one of \"media\"`},
		{"no reason", "acme", `{}`, 400, `member \"reason\": expected why`},
		{"nothing to lift", "globex", `{"reason": "x"}`, 200, `"lifted":[]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := l.ask("POST", "/api/v1/clients/"+tt.path+"/unblock", tt.content); r.status != tt.status || !strings.Contains(r.body, tt.want) {
				t.Errorf("status %d, want %d with %s: %s", r.status, tt.status, tt.want, r.body)
			}
		})
	}
	got := into[Unblocked](t, l.ask("POST", "/api/v1/clients/acme/unblock", `{"reason": "not its fault", "by": "jo"}`))
	if len(got.Lifted) != 1 || got.Lifted[0].Route != "media" {
		t.Errorf("lifted = %+v, want the block on media", got)
	}
	if _, refusal := l.limits.Limiter("media").Admit("acme", time.Now()); refusal != nil {
		t.Error("the client is still blocked after the answer")
	}
	if !strings.Contains(l.log.String(), `client=acme routes=[media] by=jo reason="not its fault"`) {
		t.Errorf("the log is:\n%s", l.log)
	}
}

func TestReadinessTellsTheWhyToOperatorsOnly(t *testing.T) {
	l := listen(t, withTokens())
	why := errors.New("breakwater.yaml:3:1: one mistake\nbreakwater.yaml:4:1: another")
	l.refused.Store(&why)
	r := into[Readiness](t, l.ask("GET", "/readyz", "", asView))
	if !r.Ready || r.Config.Loaded || r.Config.Error != why.Error() || r.Flags == nil || r.Flags.Revision != 1 || len(r.Plugins) != 1 || r.Listener != "127.0.0.1:8080" {
		t.Errorf("readiness = %+v: a refused file leaves the gateway ready", r)
	}
	r = into[Readiness](t, l.ask("GET", "/readyz", ""))
	if r.Config.Loaded || r.Config.Error != "" || r.Plugins != nil || r.Listener != "" || r.Flags.Digest != "" {
		t.Errorf("readiness for nobody = %+v", r)
	}
	l.draining.Store(true)
	if got := l.ask("GET", "/readyz", ""); got.status != 503 || !strings.Contains(got.body, `"ready":false,"draining":true`) {
		t.Errorf("while draining: status %d: %s", got.status, got.body)
	}
	if got := l.ask("GET", "/healthz", ""); got.status != 200 {
		t.Errorf("while draining it is alive, but the status is %d", got.status)
	}
}

func TestReload(t *testing.T) {
	l := listen(t, example)
	if got := into[Load](t, l.ask("POST", "/api/v1/reload", "", "Content-Type: application/json")); !got.Loaded {
		t.Errorf("reload = %+v", got)
	}
	why := errors.New("breakwater.yaml:3:1: one mistake\nbreakwater.yaml:4:1: another")
	l.refused.Store(&why)
	r := l.ask("POST", "/api/v1/reload", `{"reason": "new route"}`)
	var p Problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.status != 422 || len(p.Errors) != 2 {
		t.Errorf("status %d, want 422 with two errors: %s", r.status, r.body)
	}
}

func TestNoSecretIsEverShown(t *testing.T) {
	l := listen(t, withTokens())
	l.block()
	for _, path := range []string{
		"/readyz", "/metrics", "/api/v1/flags", "/api/v1/clients", "/api/v1/clients/acme", "/api/v1/blocks", "/api/v1/config", "/api/v1/journal",
	} {
		r := l.ask("GET", path, "", asOperate)
		if r.status != 200 {
			t.Errorf("%s: status %d: %s", path, r.status, r.body)
		}
		for _, secret := range []string{secretValue, clientKey, viewToken, operateToken} {
			if strings.Contains(r.body, secret) || strings.Contains(r.body, sum(secret)) {
				t.Errorf("%s shows %q or its hash: %s", path, secret, r.body)
			}
		}
	}
	l.ask("GET", "/api/v1/flags", "", "Authorization: Bearer a-mistyped-token")
	if strings.Contains(l.log.String(), "a-mistyped-token") {
		t.Errorf("the log has a token:\n%s", l.log)
	}
}

func TestAPanicCostsOneAnswer(t *testing.T) {
	s := &server{Parts: Parts{
		Log: slog.New(slog.DiscardHandler), Config: func() *config.Config { panic("a mistake") },
	}}
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	s.serve(&ctx)
	if ctx.Response.StatusCode() != 500 || !bytes.Contains(ctx.Response.Body(), []byte("gateway-failed")) {
		t.Errorf("status %d: %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
}

func TestABrokenRequestIsAProblem(t *testing.T) {
	l := listen(t, example)
	for _, tt := range []struct{ name, sent, want string }{
		{"no HTTP", "nonsense\r\n\r\n", "HTTP/1.1 400 "},
		{"a head that is too large", "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", "HTTP/1.1 431 "},
		{"no Host", "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 403 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", l.address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tt.sent); err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			head := make([]byte, len(tt.want))
			if _, err := io.ReadFull(c, head); err != nil || string(head)[9:] != tt.want[9:] {
				t.Errorf("answer %q (%v), want %q", head, err, tt.want)
			}
		})
	}
}
