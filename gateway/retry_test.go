package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// retrying is a route for everything with these retries; more is what else the route has.
func retrying(retry, more string) string {
	return fmt.Sprintf("\nroutes:\n  - name: all\n    path: \"/{rest...}\"\n    upstream: up\n    retry: {backoff: 1ms, backoff_max: 1ms, %s}\n%s", retry, more)
}

// inTurn answers with these responses, one after another, then always with the last.
func inTurn(responses ...string) func(*http.Request) string {
	var n atomic.Int64
	return func(*http.Request) string { return responses[min(int(n.Add(1)), len(responses))-1] }
}

const cut = "" // what servePartner answers with to end the connection

// TestRetries has requests meet an upstream that is well again at their second attempt.
func TestRetries(t *testing.T) {
	const all = "on: [connect, reset, timeout, retryable-verdict]"
	fine := respond(200, "fine")
	tests := []struct {
		name      string
		retry     string
		request   string
		responses []string
		want      string // the status, and the content
		attempts  int
	}{
		{"a status that is listed", "statuses: [503]", "GET", []string{respond(503, "no"), fine}, "200 fine", 2},
		{"one that is not", "statuses: [503]", "GET", []string{respond(502, "no"), fine}, "502 no", 1},
		{"as often as there are attempts", "attempts: 3", "GET", []string{respond(503, "no"), respond(502, "no"), fine}, "200 fine", 3},
		{"and no more", "attempts: 2", "GET", []string{respond(503, "1"), respond(503, "2"), fine}, "503 2", 2},
		{"a connection that breaks", "", "GET", []string{cut, fine}, "200 fine", 2},
		{"where that is no reason", "on: [connect]", "GET", []string{cut, fine}, "502", 1},
		{"a head that breaks off", "", "GET", []string{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-L", fine}, "200 fine", 2},
		{"a content that breaks off is passed on as it is", "", "GET", []string{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfi", fine}, "200 fi, cut", 1},
		{"unless it was judged first, and breaks off before", all, "GET", []string{"HTTP/1.1 400 No\r\nConnection: close\r\nContent-Length: 40\r\n\r\n{", fine}, "200 fine", 2},
		{"a response that is not HTTP says nothing of a retry", all, "GET", []string{"?\r\nConnection: close\r\n\r\n", fine}, "502", 1},
		{"an interim response is not the response", "", "GET", []string{"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n", fine}, "103 200 fine", 2},
		{"a HEAD", "", "HEAD", []string{respond(503, ""), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"}, "200", 2},
		{"a PUT, whose content was kept", "", "PUT", []string{respond(503, "no"), fine}, "200 fine", 2},
		{"a PUT whose connection breaks", "", "PUT", []string{cut, fine}, "200 fine", 2},
		{"a PUT that is too large to be kept", "buffer: 4B", "PUT", []string{respond(503, "no"), fine}, "503 no", 1},
		{"a PUT in chunks", "", "PUT chunked", []string{respond(503, "no"), fine}, "200 fine", 2},
		{"a POST whose connection breaks", all, "POST", []string{cut, fine}, "502", 1},
		{"a POST whose status is listed", all, "POST", []string{respond(503, "no"), fine}, "503 no", 1},
		{"a POST without content", all, "POST empty", []string{cut, fine}, "502", 1},
		{"an upstream that asks for patience", "retry_after: 59m", "GET", []string{respond(503, "no", "Retry-After: 3600"), fine}, "503 no", 1},
		{"one that asks for none", "", "GET", []string{respond(503, "no", "Retry-After: 0"), fine}, "200 fine", 2},
		{"a status that is retryable by itself", "statuses: [], on: [retryable-verdict]", "GET", []string{respond(429, "no"), fine}, "200 fine", 2},
		{"and one that is not", "statuses: [], on: [retryable-verdict]", "GET", []string{respond(500, "no"), fine}, "500 no", 1},
		{"an error that a step calls retryable", all, "GET", []string{respond(400, envelope(2, "busy")), fine}, "200 fine", 2},
		{"and one that it does not", all, "GET", []string{respond(400, envelope(33, "gone")), fine}, "400 " + envelope(33, "gone"), 1},
	}
	path, sum := guest(t, "classify-partner")
	steps := fmt.Sprintf("    steps: [{name: classify, plugin: classify}]\nplugins: [{name: classify, path: %q, sha256: %s}]\n", path, sum)
	const content = "the content"
	requests := map[string]string{
		"GET":         "GET /x HTTP/1.1\r\nHost: a\r\nX-Mine: 1\r\n\r\n",
		"HEAD":        "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n",
		"PUT":         fmt.Sprintf("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(content), content),
		"POST":        fmt.Sprintf("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(content), content),
		"PUT chunked": fmt.Sprintf("PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(content), content),
		"POST empty":  "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			up := servePartner(t, inTurn(test.responses...))
			s := launch(t, up.address, retrying(test.retry, steps+"access_log: {file: access.log}\n"))
			c := s.dial()
			c.send(requests[test.request])
			method, _, _ := strings.Cut(test.request, " ")
			got := ""
			r := c.reply(method)
			for ; r.code == 103; r = c.reply(method) {
				got += "103 "
			}
			got += fmt.Sprint(r.code)
			if r.kind() == "" && r.body != "" {
				got += " " + r.body
			}
			if r.err != nil {
				got += ", cut"
			}
			if got != test.want {
				t.Errorf("the client got %q, want %q", got, test.want)
			}
			heads := up.got()
			if len(heads) != test.attempts {
				t.Fatalf("%d attempts, want %d", len(heads), test.attempts)
			}
			for i, head := range heads {
				if head != heads[0] {
					t.Errorf("attempt %d sent %q, the first %q", i+1, head, heads[0])
				}
				if up.bodies[i] != up.bodies[0] || strings.HasPrefix(test.request, "PUT") && up.bodies[i] != content {
					t.Errorf("attempt %d sent the content %q, want %q", i+1, up.bodies[i], content)
				}
			}
			s.end()
			want := ""
			if test.attempts > 1 {
				want = fmt.Sprintf(`"attempts":%d,`, test.attempts)
			}
			if log := s.read("access.log"); strings.Count(log, "\n") != 1 || !strings.Contains(log, want) || want == "" && strings.Contains(log, "attempts") {
				t.Errorf("access log %q, want one line with %q", log, want)
			}
		})
	}
}

// TestRetriedErrorsAreOne has a client's errors counted by its requests, not by their attempts.
func TestRetriedErrorsAreOne(t *testing.T) {
	up := servePartner(t, inTurn(respond(404, "1"), respond(200, "2"), respond(404, "3"), respond(404, "4"), respond(200, "5"), respond(404, "6")))
	s := launch(t, up.address, withKeys+retrying("statuses: [404]", "    limits: {errors: {count: 2, window: 1h, block: 1h}}\n"))
	c := s.dial()
	for i, want := range []string{"2", "4", "5", "6"} {
		if r := c.get("/x", acme); r.body != want {
			t.Fatalf("request %d: %d %q, want %q", i, r.code, r.body, want)
		}
	}
	if r := c.get("/x", acme); r.code != 429 || r.kind() != "blocked-for-errors" {
		t.Errorf("after two errors: %d %s", r.code, r.body)
	}
	if got := s.metric(`breakwater_retries_total{route="all",reason="status"}`); got != "3" {
		t.Errorf("%s retries, want 3", got)
	}
}

// TestRetryBudget holds what many clients may ask of an upstream that is down.
func TestRetryBudget(t *testing.T) {
	up := servePartner(t, func(*http.Request) string { return respond(503, "no") })
	s := launch(t, up.address, "    retry_budget: {percent: 20, burst: 5, min_per_second: 0}\n"+strings.TrimLeft(retrying("attempts: 10", ""), "\n"))
	const clients, each = 10, 20
	var all sync.WaitGroup
	for range clients {
		c := s.dial()
		all.Go(func() {
			for range each {
				if r := c.get("/x", ""); r.code != 503 || r.body != "no" {
					t.Errorf("%d %q, want the upstream's own answer", r.code, r.body)
				}
			}
		})
	}
	all.Wait()
	const most = clients*each*12/10 + 5
	if n := len(up.got()); n > most || n < clients*each {
		t.Errorf("%d attempts for %d requests, want at most %d", n, clients*each, most)
	}
	for _, series := range []string{`breakwater_retries_refused_total{route="all",reason="budget"}`, `breakwater_upstream_retry_budget_refused_total{upstream="up"}`} {
		if got := s.metric(series); got == "" || got == "0" {
			t.Errorf("%s %q", series, got)
		}
	}
}

// TestNoRetryWithoutTime has an exchange's own time forbid a pause.
func TestNoRetryWithoutTime(t *testing.T) {
	up := servePartner(t, func(*http.Request) string { return respond(503, "no", "Retry-After: 60") })
	s := launch(t, up.address, retrying("retry_after: 1h", "    limits: {total: 30s}\n"))
	if r := s.dial().get("/x", ""); r.code != 503 || r.body != "no" {
		t.Errorf("%d %q", r.code, r.body)
	}
	if got := s.metric(`breakwater_retries_refused_total{route="all",reason="time"}`); got != "1" {
		t.Errorf("%q refused for time, want 1", got)
	}
}

// TestClientLeavesBetweenAttempts has a client leave during a pause of a minute.
func TestClientLeavesBetweenAttempts(t *testing.T) {
	up := servePartner(t, func(*http.Request) string { return respond(503, "no", "Retry-After: 60") })
	s := launch(t, up.address, retrying("retry_after: 1h", ""))
	c := s.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "the pause has begun", func() bool { return s.metric(`breakwater_retries_total{route="all",reason="status"}`) == "1" })
	c.Close()
	eventually(t, "the request has ended", func() bool {
		return s.metric(`breakwater_requests_total{route="all",class="aborted",fault="client"}`) == "1"
	})
	if n := len(up.got()); n != 1 {
		t.Errorf("%d attempts", n)
	}
}

// TestPerTry has the upstream answer the first attempt never, and the second at once.
func TestPerTry(t *testing.T) {
	var n atomic.Int64
	up := serveUpstream(t, func(c *peer) {
		for c.head() != "" {
			if n.Add(1) > 1 {
				c.send(respond(200, "fine"))
			}
		}
	})
	s := launch(t, up, retrying("per_try: 500ms, on: [timeout]", ""))
	if r := s.dial().get("/x", ""); r.code != 200 || r.body != "fine" {
		t.Errorf("%d %q", r.code, r.body)
	}
	if got := s.metric(`breakwater_retries_total{route="all",reason="timeout"}`); got != "1" {
		t.Errorf("%q retries", got)
	}
}

// TestRetryDoesNotWaitForWhatItDiscards has the first response stop in the middle of a chunk.
func TestRetryDoesNotWaitForWhatItDiscards(t *testing.T) {
	answer := inTurn("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", respond(200, "fine"))
	up := serveUpstream(t, func(c *peer) {
		for c.head() != "" {
			c.send(answer(nil))
		}
	})
	s := launch(t, up, retrying("attempts: 2", ""))
	if r := s.dial().get("/x", ""); r.code != 200 || r.body != "fine" {
		t.Errorf("%d %q", r.code, r.body)
	}
}

// TestRetryOfConnects has nobody there: a POST of which nothing was sent is tried again.
func TestRetryOfConnects(t *testing.T) {
	ln := newListener(t)
	ln.Close()
	s := launch(t, ln.Addr().String(), retrying("attempts: 3", ""))
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
	if r := c.reply("POST"); r.code != 502 {
		t.Errorf("%d %q", r.code, r.body)
	}
	if got := s.metric(`breakwater_retries_total{route="all",reason="connect"}`); got != "2" {
		t.Errorf("%q retries, want 2", got)
	}
}

// TestRetryOfContentThatWaits has an upstream refuse a content before anybody has asked the client for it.
func TestRetryOfContentThatWaits(t *testing.T) {
	answer := inTurn(respond(503, "no", "Connection: close"), respond(417, "no", "Connection: close"))
	up := serveUpstream(t, func(c *peer) {
		if c.head() != "" {
			c.send(answer(nil))
		}
	})
	s := launch(t, up, retrying("buffer: 0", ""))
	c := s.dial()
	c.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if r := c.reply("PUT"); r.code != 417 {
		t.Errorf("%d %q, want the second answer", r.code, r.body)
	}
}

// TestRetryElsewhere has one of two endpoints answer 503 to everything: a second attempt goes to the other one.
func TestRetryElsewhere(t *testing.T) {
	ill := servePartner(t, func(*http.Request) string { return respond(503, "no") })
	well := servePartner(t, fine)
	s := launch(t, ill.address, fmt.Sprintf("    addresses: [{address: %q}, {address: %q}]\n    retry_budget: {burst: 100}\n", ill.address, well.address)+
		strings.TrimLeft(retrying("", ""), "\n"))
	c := s.dial()
	const n = 20
	for range n {
		if r := c.get("/x", ""); r.code != 200 || r.body != "fine" {
			t.Errorf("%d %q", r.code, r.body)
		}
	}
	if a, b := len(ill.got()), len(well.got()); b != n || a == 0 {
		t.Errorf("%d requests to the one that is ill, %d to the other; want each of %d to end there", a, b, n)
	}
}
