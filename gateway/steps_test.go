package gateway

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// actor builds the guest of that name under testdata, once.
var actor = sync.OnceValues(func() (string, error) {
	dir, err := guestDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "actor.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", path, "./testdata/guests/actor")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// pluginsOf is a plugins section with the actor and the shipped guests. They have all the time that a busy machine may need.
func pluginsOf(t *testing.T) string {
	t.Helper()
	path, err := actor()
	if err != nil {
		t.Fatalf("build actor: %v", err)
	}
	drop, _ := guest(t, "drop-query-param")
	classify, _ := guest(t, "classify-partner")
	return fmt.Sprintf(`
plugins:
  - {name: actor, path: %q, limits: {time: 20s}}
  - {name: hasty, path: %q, limits: {time: 1s}}
  - {name: drop-query-param, path: %q, limits: {time: 20s}}
  - {name: classify-partner, path: %q, limits: {time: 20s}}
`, path, path, drop, classify)
}

// acting is a configuration with one route for everything and a step for each of the actor's configurations.
func acting(t *testing.T, inject string, configs ...string) string {
	t.Helper()
	text := withKeys + pluginsOf(t) + "flags: {file: flags.yaml}\nroutes:\n  - name: all\n    path: \"/{rest...}\"\n    upstream: up\n"
	if inject != "" {
		text += "    inject: " + inject + "\n"
	}
	text += "    limits: {errors: {count: 3, window: 1h, block: 1h}}\n    steps:\n"
	for i, c := range configs {
		name, rest, found := strings.Cut(c, ": {")
		if !found || strings.ContainsAny(name, "{} ") {
			name, rest = fmt.Sprintf("step-%d", i+1), strings.TrimPrefix(c, "{")
		}
		plugin := "actor"
		if strings.Contains(rest, "spin") {
			plugin = "hasty"
		}
		more := ""
		for _, word := range []string{"on_failure: fail", "gate: {flag: drop}", "gate: {flag: classify}"} {
			if strings.HasSuffix(rest, " "+word) {
				rest, more = strings.TrimSuffix(rest, " "+word), ", "+word
			}
		}
		text += fmt.Sprintf("      - {name: %s, plugin: %s, config: {%s%s}\n", name, plugin, rest, more)
	}
	return text
}

// mirror answers with the request as it arrived: its head, and its content behind the head.
func mirror(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.RequestURI)
	return respond(200, b.String(), "X-Up: yes")
}

// TestRewrite has guests change requests and responses, and compares what either side gets.
func TestRewrite(t *testing.T) {
	tests := []struct {
		name, steps string // of the actor, one a line
		request     string // lines between the Host field and the end of the head; then content
		upstream    []string
		client      []string
	}{
		{
			"a path and a query", `{request: [{do: set_uri, value: "/b?c=d"}]}`, "",
			[]string{"GET /b?c=d HTTP/1.1\r\n"},
			[]string{"200 OK"},
		},
		{
			"a method", `{request: [{do: set_method, value: OPTIONS}]}`, "", []string{"OPTIONS /a?b=c HTTP/1.1\r\n"}, nil,
		},
		{
			"request fields: set, added, removed", `{request: [{do: set_field, name: X-A, value: "2"}, {do: add_field, name: x-b, value: "3"}, {do: remove_field, name: x-C}]}`,
			"x-a: 1\r\nX-C: 1\r\nX-B: 1\r\nX-A: 7\r\n",
			[]string{"\r\nX-A: 2\r\nX-B: 1\r\nx-b: 3\r\nVia"},
			nil,
		},
		{
			"a request's content gets a length", `{request: [{do: set_body, value: longer than before}]}`,
			"Content-Length: 3\r\n\r\nabc",
			[]string{"\r\nContent-Length: 18\r\n", "|longer than before"},
			nil,
		},
		{
			"a content in chunks as well", `{request: [{do: set_body, value: new}]}`,
			"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
			[]string{"\r\nContent-Length: 3\r\n", "|new"},
			nil,
		},
		{
			"an empty content", `{request: [{do: set_body, value: ""}]}`, "Content-Length: 3\r\n\r\nabc", []string{"\r\nContent-Length: 0\r\n"}, nil,
		},
		{
			"a response's status and fields", `{response: [{do: set_status, status: 202}, {do: set_field, name: x-up, value: "no"}, {do: add_field, name: X-D, value: "4"}]}`, "",
			nil,
			[]string{"HTTP/1.1 202 Accepted\r\n", "x-up: no\r\n", "X-D: 4\r\n"},
		},
		{
			"a response's content gets a length", `{response: [{do: set_body, value: another}]}`, "", nil, []string{"Content-Length: 7\r\n", "\r\n\r\nanother"},
		},
		{
			"steps see what those before have left, in the order of the file",
			`{request: [{do: append_field, name: X-A, value: "1"}], response: [{do: append_field, name: X-R, value: "1"}]}
			{request: [{do: append_field, name: X-A, value: "2"}], response: [{do: append_field, name: X-R, value: "2"}]}
			{request: [{do: append_field, name: X-A, value: "3"}], response: [{do: append_field, name: X-R, value: "3"}]}`, "X-A: 0\r\n",
			[]string{"X-A: 0123\r\n"},
			[]string{"X-R: 123\r\n"},
		},
		{
			"a step that is off is not there", `{request: [{do: set_field, name: X-A, value: "1"}]} gate: {flag: drop}`, "", []string{"/a?b=c HTTP/1.1\r\nHost: UP\r\nVia"}, nil,
		},
		{
			"an answer in the upstream's place", `{request: [{do: answer, status: 418, value: short}, {do: answer_field, name: X-Tea, value: pot}]}
			{request: [{do: set_field, name: X-A, value: "never"}]}`, "", nil,
			[]string{"HTTP/1.1 418 I'm a teapot\r\nContent-Type: text/plain\r\nX-Tea: pot\r\n", "Content-Length: 5\r\n", "\r\n\r\nshort"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			up := servePartner(t, mirror)
			s := launch(t, up.address, acting(t, "", steps(test.steps)...))
			s.flags("off", "off")
			c := s.dial()
			method := "GET"
			head, content, _ := strings.Cut(test.request, "\r\n\r\n")
			if content != "" {
				method, head = "POST", head+"\r\n"
			}
			if err := s.Gateway.flags.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.send(method + " /a?b=c HTTP/1.1\r\nHost: h\r\nD360-API-KEY: example-key-acme\r\nConnection: close\r\n" + head + "\r\n" + content)
			got, err := c.rest()
			if err != nil {
				t.Errorf("the response ended with %v", err)
			}
			for _, want := range test.client {
				if !strings.Contains(got, want) {
					t.Errorf("the client got %q, want %q in it", got, want)
				}
			}
			arrived := ""
			if up.last() != "" {
				arrived = strings.ReplaceAll(up.last(), up.address, "UP") + "|" + up.bodies[len(up.bodies)-1]
			}
			if (arrived == "") != strings.Contains(test.steps, "answer") {
				t.Errorf("the upstream got %q", arrived)
			}
			for _, want := range test.upstream {
				if !strings.Contains(arrived, want) {
					t.Errorf("the upstream got %q, want %q in it", arrived, want)
				}
			}
			if strings.Contains(s.events.String(), "a step failed") {
				t.Errorf("log: %s", s.events)
			}
		})
	}
}

func TestAnswerToContentThatNobodyReads(t *testing.T) {
	s := launch(t, servePartner(t, mirror).address, acting(t, "", `{request: [{do: answer, status: 200, value: short}]}`))
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nD360-API-KEY: example-key-acme\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n")
	got, err := c.rest()
	if err != nil || !strings.Contains(got, "\r\nConnection: close\r\n") || !strings.HasSuffix(got, "\r\n\r\nshort") {
		t.Errorf("the client got %q, %v, want a response that says that the connection ends", got, err)
	}
}

// steps takes one a line.
func steps(text string) (all []string) {
	for line := range strings.Lines(text) {
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

// TestRefusedChange has guests ask for what no guest may do, after something that they may: nothing of it comes to be.
func TestRefusedChange(t *testing.T) {
	tests := []struct{ name, change string }{
		{"a length", `{do: set_field, name: Content-Length, value: "5"}`},
		{"a transfer coding", `{do: add_field, name: transfer-encoding, value: chunked}`},
		{"the authority", `{do: set_field, name: HOST, value: elsewhere}`},
		{"a hop-by-hop field", `{do: set_field, name: Connection, value: X-Kept}`},
		{"to be rid of Expect", `{do: remove_field, name: Expect}`},
		{"a line break in a value", `{do: set_field, name: X-A, value: "1\r\nX-Evil: 2"}`},
		{"a bare line feed", `{do: set_field, name: X-A, value: "1\n2"}`},
		{"a line break in a name", `{do: add_field, name: "X-A: 1\r\nX-Evil", value: "2"}`},
		{"an empty name", `{do: add_field, name: " ", value: "2"}`},
		{"a line break in a URI", `{do: set_uri, value: "/ HTTP/1.1\r\nX-Evil: 2"}`},
		{"a space in a URI", `{do: set_uri, value: "/a b"}`},
		{"a URI with an authority", `{do: set_uri, value: "http://elsewhere/"}`},
		{"a method that is none", `{do: set_method, value: "GET / HTTP/1.1\r\nX-Evil: 2"}`},
		{"a tunnel", `{do: set_method, value: CONNECT}`},
		{"a method without response content", `{do: set_method, value: HEAD}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			up := servePartner(t, mirror)
			bad := `{request: [{do: set_uri, value: "/changed?b=d"}, {do: set_field, name: X-Kept, value: changed}, {do: remove_field, name: X-Gone}, ` + test.change + `]}`
			s := launch(t, up.address, acting(t, "", bad))
			r := s.dial().get("/a?b=c", acme, "X-Kept: 1", "X-Gone: 1")
			want := "GET /a?b=c HTTP/1.1\r\nHost: " + up.address + "\r\nX-Kept: 1\r\nX-Gone: 1\r\nVia: 1.1 breakwater\r\nBreakwater-Request-Id: " + r.header.Get("Breakwater-Request-Id") + "\r\n\r\n"
			if r.code != 200 || up.last() != want {
				t.Errorf("status %d; the upstream got %q, want %q", r.code, up.last(), want)
			}
			if got := s.metric(`breakwater_step_failures_total{route="all",step="step-1",phase="request",reason="refused"}`); got != "1" {
				t.Errorf("refused: %q, want 1", got)
			}
			if s.metric(`breakwater_step_changes_total{route="all",step="step-1",phase="request",mode="on"}`) != "" {
				t.Error("it is counted as a change")
			}
			if log := s.events.String(); strings.Count(log, "a step failed") != 1 || !strings.Contains(log, r.header.Get("Breakwater-Request-Id")) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// TestRefusedChangeIsNobodysDoing: the error that follows is about what the client itself has sent.
func TestRefusedChangeIsNobodysDoing(t *testing.T) {
	s := launch(t, servePartner(t, failing).address, acting(t, "",
		`{request: [{do: set_uri, value: "/400?b=changed"}, {do: set_field, name: Host, value: x}]}`,
		`{classify: [{do: judge, name: invalid_request, status: 1}], about: "query:b"}`))
	s.dial().get("/400?b=c", acme)
	s.counted(`breakwater_requests_total{route="all",class="invalid_request",fault="client"}`, "1")
}

// TestResponseStepFails passes the upstream's answer on whatever a guest does behind it.
func TestResponseStepFails(t *testing.T) {
	tests := []struct{ name, step, reason string }{
		{"a trap", `{response: [{do: set_field, name: X-Up, value: changed}, {do: trap}]} on_failure: fail`, "trap"},
		{"a length", `{response: [{do: set_field, name: X-Up, value: changed}, {do: set_field, name: Content-Length, value: "1"}]} on_failure: fail`, "refused"},
		{"a status that has no content", `{response: [{do: set_field, name: X-Up, value: changed}, {do: set_status, status: 204}]}`, "refused"},
		{"a line break", `{response: [{do: add_field, name: X-A, value: "1\r\n\r\nevil"}]}`, "refused"},
		{"a field of one connection", `{response: [{do: add_field, name: Transfer-Encoding, value: chunked}]}`, "refused"},
		{"a body that is larger than it takes", `{body: 4, response: [{do: set_body, value: changed}]}`, "refused"},
		{"a trap in a verdict", `{classify: [{do: trap}]} on_failure: fail`, "trap"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := launch(t, servePartner(t, func(*http.Request) string {
				return respond(400, "the upstream's own", "X-Up: yes")
			}).address, acting(t, "", test.step))
			r := s.dial().get("/", acme)
			if r.code != 400 || r.body != "the upstream's own" || r.header.Get("X-Up") != "yes" || r.header.Get("X-A") != "" {
				t.Errorf("the client got %d %v %q", r.code, r.header, r.body)
			}
			phase := "response"
			if strings.Contains(test.step, "classify") {
				phase = "classify"
			}
			if got := s.metric(fmt.Sprintf(`breakwater_step_failures_total{route="all",step="step-1",phase=%q,reason=%q}`, phase, test.reason)); got != "1" {
				t.Errorf("failures: %q, want 1\n%s", got, s.events)
			}
			// The built-in verdict takes over.
			s.counted(`breakwater_requests_total{route="all",class="invalid_request",fault="undecided"}`, "1")
		})
	}
}

// TestRequestStepFails is the failure policy: go on without the step, or answer 503.
func TestRequestStepFails(t *testing.T) {
	for _, what := range []string{"trap", "spin"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			up := servePartner(t, mirror)
			config := `{only: /bad, request: [{do: set_field, name: X-A, value: never}, {do: ` + what + `}]}`
			for _, policy := range []string{"skip", "fail"} {
				more := ""
				if policy == "fail" {
					more = " on_failure: fail"
				}
				s := launch(t, up.address, acting(t, "", config+more))
				before := len(up.got())
				var others sync.WaitGroup
				for range 4 { // who comes meanwhile has no part in it
					c := s.dial()
					others.Go(func() {
						for range 10 {
							if r := c.get("/good", acme); r.code != 200 {
								t.Errorf("another request: status %d", r.code)
							}
						}
					})
				}
				r := s.dial().get("/bad", acme)
				others.Wait()
				if policy == "skip" && (r.code != 200 || r.body != "GET /bad\n" || len(up.got()) != before+41) {
					t.Errorf("skip: status %d, %q, want the upstream's answer", r.code, r.body)
				}
				if policy == "fail" {
					if p := r.problem(t); r.code != 503 || r.kind() != "step-failed" || p["fault"] != "gateway" || p["counts_against_client"] != false || strings.Contains(r.body, "told to") {
						t.Errorf("fail: status %d, problem %s", r.code, r.body)
					}
					if len(up.got()) != before+40 {
						t.Error("the request has reached the upstream")
					}
				}
				reason := map[string]string{"trap": "trap", "spin": "timeout"}[what]
				if got := s.metric(fmt.Sprintf(`breakwater_step_failures_total{route="all",step="step-1",phase="request",reason=%q}`, reason)); got != "1" {
					t.Errorf("%s: failures: %q, want 1", policy, got)
				}
				if log := s.events.String(); !strings.Contains(log, "a step failed") || !strings.Contains(log, "step=step-1") {
					t.Errorf("log: %s", log)
				}
				plugin := map[string]string{"trap": "actor", "spin": "hasty"}[what]
				if lost := s.metric(fmt.Sprintf(`breakwater_plugin_instances_lost_total{route="all",step="step-1",plugin=%q}`, plugin)); lost != "1" {
					t.Errorf("%s: %s instances lost, want 1", policy, lost)
				}
				for range 20 {
					if r := s.dial().get("/good", acme); r.code != 200 {
						t.Errorf("a later request: status %d", r.code)
					}
				}
			}
		})
	}
}

// TestDrop runs the shipped workaround in each mode of its gate.
func TestDrop(t *testing.T) {
	up := servePartner(t, mirror)
	s := launch(t, up.address, withKeys+pluginsOf(t)+`
flags: {file: flags.yaml}
routes:
  - name: all
    path: "/{rest...}"
    upstream: up
    steps:
      - {name: drop, plugin: drop-query-param, config: {parameters: [phone_number_id]}, gate: {flag: drop}}
`)
	c := s.dial()
	changed := func(mode string) string {
		return s.metric(fmt.Sprintf(`breakwater_step_changes_total{route="all",step="drop",phase="request",mode=%q}`, mode))
	}
	const with, without = "/1?a=%20&phone_number_id=7&b", "/1?a=%20&b"
	for _, test := range []struct{ mode, want, changes string }{
		{"off", with, ""},
		{"observe", with, "1"},
		{"on", without, "1"},
		{"off", with, ""},
	} {
		s.flags(test.mode, "on")
		if err := s.Gateway.flags.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, uri := range []string{with, without} {
			want := test.want
			if uri == without {
				want = without
			}
			if r := c.get(uri, acme); r.body != "GET "+want+"\n" {
				t.Errorf("%s: %s went as %q, want %q", test.mode, uri, r.body, want)
			}
		}
		if got := changed(test.mode); got != test.changes {
			t.Errorf("%s: %q changes, want %q", test.mode, got, test.changes)
		}
	}
}

// TestObserveAppliesNothing has a guest do everything that it can to an exchange, on a copy.
func TestObserveAppliesNothing(t *testing.T) {
	everythingAtOnce := `{body: 1000,
	  request: [{do: set_uri, value: /changed}, {do: set_method, value: PUT}, {do: set_field, name: X-A, value: changed}, {do: remove_field, name: X-B}, {do: set_body, value: changed}],
	  response: [{do: set_status, status: 500}, {do: set_field, name: X-Up, value: changed}, {do: set_body, value: changed}],
	  classify: [{do: judge, name: account, status: 1}], about: body} gate: {flag: drop}`
	answer := `{only: /answer, request: [{do: answer, status: 500, value: changed}]} gate: {flag: drop}`
	up := servePartner(t, func(*http.Request) string { return respond(404, "as it was", "X-Up: yes") })
	s := launch(t, up.address, acting(t, "", strings.Join(strings.Fields(everythingAtOnce), " "), answer))
	s.flags("observe", "on")
	if err := s.Gateway.flags.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := s.dial()
	for i, path := range []string{"/a", "/answer"} {
		c.send("POST " + path + "?b=c HTTP/1.1\r\nHost: h\r\nD360-API-KEY: example-key-acme\r\nX-A: 1\r\nX-B: 1\r\nContent-Length: 3\r\n\r\nabc")
		r := c.reply("POST")
		if r.code != 404 || r.body != "as it was" || r.header.Get("X-Up") != "yes" {
			t.Errorf("%s: the client got %d %v %q", path, r.code, r.header, r.body)
		}
		want := "POST " + path + "?b=c HTTP/1.1\r\nHost: " + up.address + "\r\nX-A: 1\r\nX-B: 1\r\nContent-Length: 3\r\nVia"
		if got := up.last(); !strings.HasPrefix(got, want) || up.bodies[i] != "abc" {
			t.Errorf("%s: the upstream got %q %q, want %q", path, got, up.bodies[i], want)
		}
	}
	for series, want := range map[string]string{
		`breakwater_step_changes_total{route="all",step="step-1",phase="request",mode="observe"}`:  "2",
		`breakwater_step_changes_total{route="all",step="step-1",phase="response",mode="observe"}`: "2",
		`breakwater_step_changes_total{route="all",step="step-1",phase="classify",mode="observe"}`: "2",
		`breakwater_step_changes_total{route="all",step="step-2",phase="request",mode="observe"}`:  "1",
		`breakwater_requests_total{route="all",class="not_found",fault="undecided"}`:               "2",
		`breakwater_step_changes_total{route="all",step="step-1",phase="request",mode="on"}`:       "",
	} {
		if got := s.metric(series); got != want {
			t.Errorf("%s: %q, want %q", series, got, want)
		}
	}
	if strings.Contains(s.events.String(), "a step failed") {
		t.Errorf("log: %s", s.events)
	}
}
