package gateway

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// envelope is the partner's error.
func envelope(code int, message string) string {
	return fmt.Sprintf(`{"error":{"message":%q,"type":"OAuthException","code":%d,"fbtrace_id":"AbCdEf"}}`, message, code)
}

// coded applies a content coding.
func coded(t *testing.T, coding, content string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch coding {
	case "identity", "":
		return content
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw deflate":
		w, err = flate.NewWriter(&b, flate.DefaultCompression)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	default:
		t.Fatalf("no coding %q", coding)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// judgedRoutes is a configuration in which the partner's classifier judges, and parameters can be injected.
func judgedRoutes(t *testing.T) string {
	t.Helper()
	return "access_log: {file: access.log}\n" + withKeys + pluginsOf(t) + `
flags: {file: flags.yaml}
routes:
  - name: sent
    path: "/sent/{rest...}"
    upstream: up
    steps: [&steps]
    limits: {errors: {count: 1000, window: 1h, block: 1h}}
  - name: injected
    path: "/injected/{rest...}"
    upstream: up
    inject:
      query: {phone_number_id: "{client.phone_number_id}"}
      fields: {Authorization: "Bearer {secret.partner_token}"}
    steps: [&steps]
    limits: {errors: {count: 1000, window: 1h, block: 1h}}
  - name: placed
    path: "/placed/{rest...}"
    upstream: up
    inject: {path: "/{client.phone_number_id}/media"}
    limits: {errors: {count: 1000, window: 1h, block: 1h}}
`
}

// classified is judgedRoutes with the classifier as the only step, configured as given.
func classified(t *testing.T, config string) string {
	t.Helper()
	step := `{name: classify, plugin: classify-partner, gate: {flag: classify}` + config + `}`
	return strings.ReplaceAll(judgedRoutes(t), "&steps", step)
}

// A line is what a test reads of the access log.
type line struct {
	Request, Class, Fault, Reason, Path, Route, Problem string
	JudgedBy                                            string `json:"judged_by"`
	Counts, Cut                                         bool
	Status                                              int
	Upstream                                            int `json:"upstream_status"`
	Sent                                                int64
	Steps                                               map[string]string
}

func (l line) verdict() string {
	s := l.Class + " " + l.Fault
	if l.Counts {
		s += " counts"
	}
	if l.Reason != "" {
		s += " " + l.Reason
	}
	if l.JudgedBy != "" {
		s += " by " + l.JudgedBy
	}
	return s
}

// logged waits for the line of a request in the access log.
func (s *site) logged(id string) (found line) {
	s.t.Helper()
	eventually(s.t, "a line of request "+id, func() bool {
		for text := range strings.Lines(s.read("access.log")) {
			if strings.HasSuffix(text, "\n") {
				if l := decoded[line](s.t, text); l.Request == id {
					found = l
					return true
				}
			}
		}
		return false
	})
	return found
}

// TestVerdict sends one error after another through the classifier: the code in the body decides, however the body comes.
func TestVerdict(t *testing.T) {
	const chunked = "chunked"
	token, parameter := envelope(190, "Invalid OAuth access token."), envelope(100, "Invalid parameter")
	long := envelope(100, "Invalid parameter "+strings.Repeat("!", 20_000)) // the code is behind the classifier's prefix
	late := `{"error":{"code":190,"message":"` + strings.Repeat("!", 20_000) + `"}}`
	tests := []struct {
		name      string
		status    int
		body      string
		coding    string
		transport string
		want      string
	}{
		{"a refused token does not count, whatever the status", 400, token, "", "", "auth undecided token by classify"},
		{"nor as a 401", 401, token, "", "", "auth undecided token by classify"},
		{"a wrong parameter counts", 400, parameter, "", "", "invalid_request client counts parameter by classify"},
		{"a shared limit is not the client's", 400, envelope(4, "Application request limit reached"), "", "", "throttled shared shared_limit by classify"},
		{"an error of the partner's own", 400, envelope(131000, "Something went wrong"), "", "", "upstream_error upstream upstream by classify"},
		{"a locked account", 403, envelope(131031, "locked"), "", "", "account client account by classify"},
		{"what is fine is not asked about", 200, token, "", "", "ok nobody"},
		{"nothing in the body", 404, "", "", "", "not_found client counts status by classify"},
		{"not JSON", 400, "<html>190</html>", "", "", "invalid_request client counts status by classify"},
		{"in chunks", 400, token, "", chunked, "auth undecided token by classify"},
		{"until the connection ends", 400, token, "", "close", "auth undecided token by classify"},
		{"identity is no coding", 400, token, "identity", "", "auth undecided token by classify"},
		{"gzip", 400, token, "gzip", "", "auth undecided token by classify"},
		{"x-gzip", 400, token, "x-gzip", "", "auth undecided token by classify"},
		{"gzip in chunks", 400, token, "gzip", chunked, "auth undecided token by classify"},
		{"deflate", 400, token, "deflate", "", "auth undecided token by classify"},
		{"deflate as some servers mean it", 400, token, "raw deflate", "", "auth undecided token by classify"},
		{"brotli", 400, token, "br", "", "auth undecided token by classify"},
		{"brotli in chunks", 400, token, "br", chunked, "auth undecided token by classify"},
		{"zstd", 400, token, "zstd", "", "auth undecided token by classify"},
		{"longer than what is looked at, the code in what is", 400, late, "", "", "auth undecided token by classify"},
		{"and the code behind it", 400, long, "", "", "invalid_request client counts status by classify"},
		{"a coding makes a long one short", 400, long, "gzip", "", "invalid_request client counts status by classify"},
		{"longer, in a coding", 400, late, "zstd", chunked, "auth undecided token by classify"},
	}
	answers := map[string]string{}
	for i, test := range tests {
		content := coded(t, test.coding, test.body)
		head := fmt.Sprintf("HTTP/1.1 %d X\r\n", test.status)
		if test.coding != "" {
			head += "Content-Encoding: " + strings.TrimPrefix(test.coding, "raw ") + "\r\n"
		}
		switch test.transport {
		case "":
			head += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(content), content)
		case "close":
			head += "Connection: close\r\n\r\n" + content
		case chunked:
			head += "Transfer-Encoding: chunked\r\n\r\n"
			for len(content) > 0 { // small chunks, so that the code comes in pieces
				n := min(7, len(content))
				head += fmt.Sprintf("%x\r\n%s\r\n", n, content[:n])
				content = content[n:]
			}
			head += "0\r\n\r\n"
		}
		answers[fmt.Sprintf("/sent/%d", i)] = head
	}
	s := launch(t, servePartner(t, func(r *http.Request) string { return answers[r.URL.Path] }).address, classified(t, ""))
	c := s.dial()
	for i, test := range tests {
		id := fmt.Sprintf("verdict-%d", i)
		r := c.get(fmt.Sprintf("/sent/%d", i), acme, "Breakwater-Request-Id: "+id)
		if r.code != test.status || r.err != nil || r.body != coded(t, test.coding, test.body) {
			t.Errorf("%s: the client got %d, %d bytes, %v", test.name, r.code, len(r.body), r.err)
		}
		if got := s.logged(id).verdict(); got != test.want {
			t.Errorf("%s: judged %q, want %q", test.name, got, test.want)
		}
	}
	if failures := s.metric(`breakwater_step_failures_total{route="sent",step="classify",phase="classify",reason="trap"}`); failures != "" {
		t.Errorf("%s traps", failures)
	}
}

// TestVerdictWithoutClassifier is what the status alone says, and what is observed of what the classifier would say.
func TestVerdictWithoutClassifier(t *testing.T) {
	s := launch(t, servePartner(t, func(*http.Request) string { return respond(400, envelope(190, "no")) }).address, classified(t, ""))
	c := s.dial()
	for _, mode := range []string{"off", "observe", "on"} {
		s.flags("off", mode)
		if err := s.Gateway.flags.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.get("/sent/", acme, "Breakwater-Request-Id: "+mode)
		want := "invalid_request undecided counts"
		if mode == "on" {
			want = "auth undecided token by classify"
		}
		l := s.logged(mode)
		if got := l.verdict(); got != want {
			t.Errorf("%s: judged %q, want %q", mode, got, want)
		}
		if got := l.Steps["classify"]; mode != "off" && got != mode || mode == "off" && got != "" {
			t.Errorf("%s: the log says that the step was %q", mode, got)
		}
	}
	if got := s.metric(`breakwater_step_changes_total{route="sent",step="classify",phase="classify",mode="observe"}`); got != "1" {
		t.Errorf("other verdicts observed: %q, want 1", got)
	}
}

// TestProvenance sends the same errors about parts that the client sent, and about parts that the gateway put there.
func TestProvenance(t *testing.T) {
	drop := `{name: drop, plugin: drop-query-param, config: {parameters: [phone_number_id]}, gate: {flag: drop}}, `
	actors := `{name: sign, plugin: actor, config: {only: sign=1, request: [{do: set_field, name: Authorization, value: signed}]}}, `
	config := strings.ReplaceAll(judgedRoutes(t), "&steps", drop+actors+
		`{name: classify, plugin: classify-partner, config: {parameters: [phone_number_id], own_credentials: true}, gate: {flag: classify}}`)
	tests := []struct {
		name, path string
		status     int
		body, want string
	}{
		{"the client's parameter", "/sent/?phone_number_id=1", 400, envelope(100, "Unexpected parameter phone_number_id"), "invalid_request client counts query_phone_number_id by classify"},
		{"the gateway's parameter", "/injected/", 400, envelope(100, "Unexpected parameter phone_number_id"), "invalid_request gateway query_phone_number_id by classify"},
		{"the gateway's in the place of the client's", "/injected/?phone_number_id=1", 400, envelope(100, "Unexpected parameter phone_number_id"), "invalid_request gateway query_phone_number_id by classify"},
		{"the client's own next to the gateway's", "/injected/?fields=x", 400, envelope(100, "Unexpected parameter fields"), "invalid_request client counts parameter by classify"},
		{"the client's token", "/sent/", 401, envelope(190, "Invalid token"), "auth undecided counts token by classify"},
		{"the gateway's token", "/injected/", 401, envelope(190, "Invalid token"), "auth gateway token by classify"},
		{"a token that a step has put", "/sent/?sign=1", 401, envelope(190, "Invalid token"), "auth gateway token by classify"},
		{"the path that the client asked for", "/sent/", 404, envelope(803, "not found"), "not_found client counts object by classify"},
		{"a path of the gateway's, judged by status", "/placed/", 404, "", "not_found gateway"},
		{"which says nothing of the rest", "/placed/", 400, "", "invalid_request undecided counts"},
	}
	answers := map[string]string{"dropped": respond(400, envelope(100, "Missing parameter phone_number_id"))}
	for i, test := range tests {
		answers[fmt.Sprintf("provenance-%d", i)] = respond(test.status, test.body)
	}
	s := launch(t, servePartner(t, func(r *http.Request) string { return answers[r.Header.Get("Breakwater-Request-Id")] }).address, config, func(s *site) { s.flags("off", "on") })
	c := s.dial()
	for i, test := range tests {
		id := fmt.Sprintf("provenance-%d", i)
		c.get(test.path, acme, "Breakwater-Request-Id: "+id)
		if got := s.logged(id).verdict(); got != test.want {
			t.Errorf("%s: judged %q, want %q", test.name, got, test.want)
		}
	}

	s.flags("on", "on")
	if err := s.Gateway.flags.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.get("/sent/?phone_number_id=1", acme, "Breakwater-Request-Id: dropped")
	if got, want := s.logged("dropped").verdict(), "invalid_request gateway query_phone_number_id by classify"; got != want {
		t.Errorf("a parameter that a step has dropped: judged %q, want %q", got, want)
	}
}

// TestInnocentAreNotBlocked is the incident in small: errors about what the gateway itself has put there block nobody.
func TestInnocentAreNotBlocked(t *testing.T) {
	up := servePartner(t, func(r *http.Request) string {
		if r.URL.Query().Has("phone_number_id") {
			return respond(400, envelope(100, "Unexpected parameter phone_number_id"))
		}
		return respond(200, "{}")
	})
	config := strings.ReplaceAll(classified(t, ", config: {parameters: [phone_number_id]}"), "count: 1000", "count: 3")
	s := launch(t, up.address, config)
	c := s.dial()
	for range 10 {
		if r := c.get("/injected/", acme); r.code != 400 {
			t.Fatalf("status %d, want the upstream's 400", r.code)
		}
	}
	for i := range 4 {
		if r := c.get("/sent/?phone_number_id=1", acme); (r.code == 429) != (i == 3) {
			t.Fatalf("request %d with a parameter of its own: status %d", i+1, r.code)
		}
	}
}

// TestBrokenOffError is an error response that the upstream does not finish: whose fault that is needs no verdict.
func TestBrokenOffError(t *testing.T) {
	for _, transport := range []string{"Content-Length: 500\r\n\r\n" + envelope(100, "no"), "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"err\r\n"} {
		s := launch(t, servePartner(t, func(*http.Request) string {
			return "HTTP/1.1 400 No\r\nConnection: close\r\n" + transport
		}).address, classified(t, ""))
		r := s.dial().get("/sent/", acme, "Breakwater-Request-Id: broken")
		if r.code != 400 || r.err == nil {
			t.Errorf("the client got %d, %v, want 400 and a cut", r.code, r.err)
		}
		if l := s.logged("broken"); l.verdict() != "upstream_error upstream" || !l.Cut {
			t.Errorf("judged %q, cut %v", l.verdict(), l.Cut)
		}
		if n := len(s.limits.Standing("acme", "sent", time.Now()).Evidence); n != 0 {
			t.Errorf("%d errors are held against the client", n)
		}
	}
}

// TestLeavingIsNoEscape: a client that leaves in the middle of an error is held to it; one that leaves in the middle of what
// is fine has left.
func TestLeavingIsNoEscape(t *testing.T) {
	tests := []struct{ name, start, want string }{
		{"an error", "HTTP/1.1 404 No\r\n", "not_found client counts object by classify"},
		{"an error that does not count", "HTTP/1.1 503 No\r\n", "not_found client counts object by classify"},
		{"what is fine", "HTTP/1.1 200 OK\r\n", "aborted client"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			left := make(chan struct{})
			up := serveUpstream(t, func(c *peer) {
				c.head()
				c.send(test.start + "Transfer-Encoding: chunked\r\n\r\n")
				body := envelope(803, "not found")
				c.send(fmt.Sprintf("%x\r\n%s\r\n", len(body), body))
				<-left
				for { // the gateway closes the connection when it has seen that nobody waits
					if _, err := io.WriteString(c.Conn, "1\r\n \r\n"); err != nil {
						return
					}
				}
			})
			s := launch(t, up, classified(t, ""))
			c := s.dial()
			c.send("GET /sent/ HTTP/1.1\r\nHost: h\r\nD360-API-KEY: example-key-acme\r\nBreakwater-Request-Id: left\r\n\r\n")
			c.head()
			c.take(10)
			c.Conn.Close()
			close(left)
			l := s.logged("left")
			if l.verdict() != test.want || !l.Cut {
				t.Errorf("judged %q, cut %v, want %q and a cut", l.verdict(), l.Cut, test.want)
			}
			if n, want := len(s.limits.Standing("acme", "sent", time.Now()).Evidence), strings.Count(test.want, "counts"); n != want {
				t.Errorf("%d errors are held against the client, want %d", n, want)
			}
		})
	}
}

// TestWholeness tells a guest whether it sees all of a content.
func TestWholeness(t *testing.T) {
	tests := []struct{ name, response, want string }{
		{"all of it", respond(400, "0123456789"), "\n0123456789\""},
		{"no more than fits", respond(400, "0123456789abcdefghij"), "\n0123456789abcdefghij\""},
		{"more than fits", respond(400, "0123456789abcdefghijk"), "\n0123456789abcdefghij…\""},
		{"in chunks", "HTTP/1.1 400 X\r\nX-Framing: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n\r\n", "\n01234\""},
		{"more in chunks", "HTTP/1.1 400 X\r\nX-Framing: chunked\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n0123456789abcdefghijk\r\n0\r\n\r\n", "\n0123456789abcdefghij…\""},
		{"nothing is all of nothing", respond(400, ""), "Content-Length: 0\n\n\""},
	}
	for _, pause := range []bool{false, true} { // whether the end comes for itself
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s, pause %v", test.name, pause), func(t *testing.T) {
				t.Parallel()
				first := make(chan struct{})
				up := serveUpstream(t, func(c *peer) {
					c.head()
					response, end := test.response, ""
					if i := strings.Index(response, "0\r\n\r\n"); pause && i > 0 && strings.Contains(response, "chunked") {
						response, end = response[:i], response[i:]
					}
					c.send(response)
					if end != "" {
						<-first
						c.send(end)
					}
				})
				s := launch(t, up, acting(t, "", `{prefix: 20, classify: [{do: log}]}`))
				c := s.dial()
				c.send("GET / HTTP/1.1\r\nHost: h\r\nD360-API-KEY: example-key-acme\r\n\r\n")
				head := c.head()
				if strings.Contains(head, "chunked") {
					c.take(5)
				}
				close(first)
				eventually(t, "the guest has spoken", func() bool {
					return strings.Contains(s.events.String(), "Content-Length: ") || strings.Contains(s.events.String(), "chunked")
				})
				if log := strings.ReplaceAll(s.events.String(), `\n`, "\n"); !strings.Contains(log, test.want) {
					t.Errorf("the guest saw %q, want %q in it", log, test.want)
				}
			})
		}
	}
}
