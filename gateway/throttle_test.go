package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
	s.counted(`breakwater_requests_total{route="slow",class="shed",fault="client"}`, "1")
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
