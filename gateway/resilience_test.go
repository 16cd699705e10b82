package gateway

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestBreaker has an upstream fail until nothing is sent to it any more.
func TestBreaker(t *testing.T) {
	up := servePartner(t, inTurn(respond(503, "no"), respond(503, "no"), respond(200, "fine")))
	s := launch(t, up.address, `    breaker: {consecutive: 2, open: 1h}
`+strings.TrimLeft(withKeys, "\n")+`
routes: [{name: all, path: "/{rest...}", upstream: up, limits: {errors: {count: 1, window: 1h, block: 1h}}}]
`)
	c := s.dial()
	for range 2 {
		if r := c.get("/x", acme); r.code != 503 || r.body != "no" {
			t.Errorf("%d %q", r.code, r.body)
		}
	}
	for range 3 { // nobody is blocked for it
		r := c.get("/x", acme)
		p := r.problem(t)
		if r.code != 503 || r.kind() != "upstream-resting" || p["fault"] != "upstream" || p["counts_against_client"] != false {
			t.Errorf("%d %s", r.code, r.body)
		}
		var wait int
		if fmt.Sscan(r.header.Get("Retry-After"), &wait); wait < 3590 || wait > 4320 {
			t.Errorf("Retry-After: %d, want what is left of an hour, or of a fifth more", wait)
		}
	}
	if n := len(up.got()); n != 2 {
		t.Errorf("%d requests at the upstream, want 2", n)
	}
	for series, want := range map[string]string{
		`breakwater_upstream_breaker{upstream="up",state="open"}`:                     "1",
		`breakwater_upstream_breaker{upstream="up",state="closed"}`:                   "0",
		`breakwater_upstream_breaker_opened_total{upstream="up"}`:                     "1",
		`breakwater_upstream_breaker_refused_total{upstream="up"}`:                    "3",
		`breakwater_requests_total{route="all",class="shed",fault="upstream"}`:        "3",
		`breakwater_requests_total{route="all",class="unavailable",fault="upstream"}`: "2",
		`breakwater_upstream_requests{upstream="up",state="in-flight"}`:               "0",
	} {
		eventually(t, series+" "+want, func() bool { return s.metric(series) == want }) // a request is counted after its answer
	}
	if log := s.events.String(); strings.Count(log, "circuit breaker has changed") != 1 || !strings.Contains(log, `upstream=up from=closed to=open why="too many failures in a row"`) {
		t.Errorf("log %s", log)
	}
	// A reload that changes nothing of the upstream leaves the breaker as it is.
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := c.get("/x", acme); r.kind() != "upstream-resting" {
		t.Errorf("after a reload: %d %q", r.code, r.body)
	}
}

// TestPending has requests wait for the one that is under way.
func TestPending(t *testing.T) {
	arrived, answer := make(chan bool, 10), make(chan bool)
	up := serveUpstream(t, func(c *peer) {
		for c.head() != "" {
			arrived <- true
			<-answer
			c.send(respond(200, "fine"))
		}
	})
	s := launch(t, up, "    limits: {requests: 1, pending: 1, pending_time: 0}\n"+strings.TrimLeft(everything, "\n"))
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	first, second := s.dial(), s.dial()
	first.send(request)
	<-arrived
	second.send(request)
	pending := func() string { return s.metric(`breakwater_upstream_requests{upstream="up",state="pending"}`) }
	eventually(t, "the second waits", func() bool { return pending() == "1" })
	r := s.dial().get("/", "")
	if p := r.problem(t); r.code != 503 || r.kind() != "upstream-busy" || p["fault"] != "gateway" || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.code, r.body)
	}
	answer <- true
	if r := first.reply("GET"); r.body != "fine" {
		t.Errorf("the first: %d %s", r.code, r.body)
	}
	<-arrived
	third := s.dial()
	third.send(request)
	eventually(t, "the third waits", func() bool { return pending() == "1" })
	third.Close()
	eventually(t, "it has left the queue", func() bool { return pending() == "0" })
	answer <- true
	if r := second.reply("GET"); r.body != "fine" {
		t.Errorf("the second: %d %s", r.code, r.body)
	}
	for series, want := range map[string]string{
		`breakwater_upstream_requests_queued_total{upstream="up"}`:                "2",
		`breakwater_upstream_requests_refused_total{upstream="up",reason="full"}`: "1",
		`breakwater_upstream_requests_limit{upstream="up"}`:                       "1",
		`breakwater_upstream_connections{upstream="up",state="idle"}`:             "1",
		`breakwater_requests_total{route="all",class="shed",fault="gateway"}`:     "1",
		`breakwater_requests_total{route="all",class="aborted",fault="client"}`:   "1",
	} {
		eventually(t, series+" "+want, func() bool { return s.metric(series) == want })
	}
}

// TestTimeOverInTheQueue has a request's time be over while it waits for its turn: the upstream was never asked, so that it has
// not failed, and nobody tries again.
func TestTimeOverInTheQueue(t *testing.T) {
	arrived, answer := make(chan bool, 10), make(chan bool)
	up := serveUpstream(t, func(c *peer) {
		for c.head() != "" {
			arrived <- true
			<-answer
			c.send(respond(200, "fine"))
		}
	})
	s := launch(t, up, `    limits: {requests: 1, pending: 1, pending_time: 0}
routes:
  - {name: first, path: /first, upstream: up}
  - {name: exchange, path: /exchange, upstream: up, limits: {total: 50ms}}
  - {name: attempt, path: /attempt, upstream: up, retry: {on: [connect, timeout], per_try: 50ms}}
`)
	first := s.dial()
	first.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	for _, whose := range []string{"exchange", "attempt"} {
		r := s.dial().get("/"+whose, "")
		if p := r.problem(t); r.code != 503 || r.kind() != "upstream-busy" || p["fault"] != "gateway" {
			t.Errorf("the time of the %s: %d %s", whose, r.code, r.body)
		}
	}
	answer <- true
	if r := first.reply("GET"); r.body != "fine" {
		t.Errorf("the first: %d %s", r.code, r.body)
	}
	if got := s.metric(`breakwater_retries_total{route="attempt",reason="connect"}`); got != "" { // what has not been is not listed
		t.Errorf("%s retries, want none", got)
	}
	if n := len(arrived); n != 0 {
		t.Errorf("%d more requests at the upstream", n)
	}
}

// TestTimeSpentOnAContent has the whole time of an exchange pass while its content is being sent: the fault is of the one who was
// waited for.
func TestTimeSpentOnAContent(t *testing.T) {
	const route = `
routes:
  - {name: all, path: "/{rest...}", upstream: up, limits: {total: 100ms}}
  - {name: patient, path: /patient, upstream: up, limits: {total: 1s}}
`
	t.Run("the client, which sends no more", func(t *testing.T) {
		s := launch(t, serveUpstream(t, func(c *peer) { c.head(); c.rest() }), route) //nolint:errcheck // it waits for the end
		for range 5 {
			c := s.dial()
			c.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
			r := c.reply("PUT")
			if p := r.problem(t); r.code != 408 || p["fault"] != "client" {
				t.Errorf("%d %s", r.code, r.body)
			}
		}
	})
	t.Run("the upstream, which takes no more", func(t *testing.T) {
		over := make(chan bool)
		s := launch(t, serveUpstream(t, func(c *peer) { c.head(); <-over }), "access_log: {file: access.log}"+route) // it is stuck long before the time is over
		defer close(over)
		c := s.dial()
		c.send("PUT /patient HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n")
		go io.Copy(c.Conn, noise(1e9)) //nolint:errcheck // it ends with the connection
		c.rest()                       //nolint:errcheck // a reset may take the answer with it
		s.end()
		if log := s.read("access.log"); !strings.Contains(log, `"status":504`) || !strings.Contains(log, `"fault":"upstream"`) {
			t.Errorf("access log %s", log)
		}
	})
}
