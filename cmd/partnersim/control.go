package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// longestWait bounds what a request of the control API waits for.
const longestWait = 10 * time.Minute

// controlHandler serves the control API. Every answer is JSON; an error is {"error": "…"} and says what was expected.
func (s *simulator) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"api": s.apiURL, "control": []string{
			"GET /scenarios", "PUT /scenarios/NAME", "DELETE /scenarios/NAME", "DELETE /scenarios",
			"GET /gates", "GET /gates/NAME?waiting=N&timeout=30s", "POST /release/NAME?n=1", "POST /release/NAME?open=1",
			"GET /received?target=PREFIX&tenant=T&connection=N&body_bytes=N&done=1&count=N&timeout=30s", "DELETE /received",
		}})
	})
	mux.HandleFunc("GET /scenarios", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, s.scenarios.describe()) })
	mux.HandleFunc("PUT /scenarios/{name}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			refuse(w, 400, err)
			return
		}
		a, err := s.scenarios.start(r.PathValue("name"), body)
		if err != nil {
			refuse(w, 400, err)
			return
		}
		answer(w, 200, a.describe())
	})
	mux.HandleFunc("DELETE /scenarios/{name}", func(w http.ResponseWriter, r *http.Request) {
		if !s.scenarios.stop(r.PathValue("name")) {
			refuse(w, 404, fmt.Errorf("scenario %q: not active", r.PathValue("name")))
			return
		}
		answer(w, 200, map[string]int{"ended": 1})
	})
	mux.HandleFunc("DELETE /scenarios", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]int{"ended": s.scenarios.stopAll()})
	})
	mux.HandleFunc("GET /gates", func(w http.ResponseWriter, _ *http.Request) {
		states := []gateState{}
		for _, a := range *s.scenarios.list.Load() {
			if a.gate != nil {
				state, _ := a.gate.state()
				states = append(states, state)
			}
		}
		answer(w, 200, states)
	})
	mux.HandleFunc("GET /gates/{name}", s.watchGate)
	mux.HandleFunc("POST /release/{name}", s.release)
	mux.HandleFunc("GET /received", s.showReceived)
	mux.HandleFunc("DELETE /received", func(w http.ResponseWriter, _ *http.Request) {
		if s.received != nil {
			s.received.forget()
		}
		answer(w, 200, struct{}{})
	})
	return mux
}

// watchGate shows a gate, once as many responses wait there as asked for.
func (s *simulator) watchGate(w http.ResponseWriter, r *http.Request) {
	q := query{r: r}
	n, timeout := q.num("waiting", 0), q.duration("timeout", 30*time.Second)
	g := s.scenarios.gate(r.PathValue("name"))
	switch {
	case q.err != nil:
		refuse(w, 400, q.err)
		return
	case g == nil:
		refuse(w, 404, fmt.Errorf("gate %q: expected the name of an active gate scenario", r.PathValue("name")))
		return
	}
	var state gateState
	var changed <-chan struct{}
	ok := s.until(r, timeout, func() (bool, <-chan struct{}) {
		state, changed = g.state()
		return len(state.Waiting) >= n, changed
	})
	if !ok {
		refuse(w, 504, fmt.Errorf("gate %q: %d responses wait after %s: expected %d", g.name, len(state.Waiting), timeout, n))
		return
	}
	answer(w, 200, state)
}

// release lets held responses go on.
func (s *simulator) release(w http.ResponseWriter, r *http.Request) {
	q := query{r: r}
	n, open := q.num("n", 1), q.num("open", 0)
	g := s.scenarios.gate(r.PathValue("name"))
	switch {
	case q.err != nil:
		refuse(w, 400, q.err)
		return
	case g == nil:
		refuse(w, 404, fmt.Errorf("gate %q: expected the name of an active gate scenario", r.PathValue("name")))
		return
	case open != 0:
		g.openForGood()
	default:
		g.release(n)
	}
	state, _ := g.state()
	answer(w, 200, state)
}

// showReceived shows the records that match, once there are as many as asked for.
func (s *simulator) showReceived(w http.ResponseWriter, r *http.Request) {
	if s.received == nil {
		refuse(w, 409, fmt.Errorf("nothing is recorded: the simulator was started with -record 0"))
		return
	}
	q := query{r: r}
	count, bodyBytes, done := q.num("count", 0), q.num("body_bytes", 0), q.num("done", 0)
	timeout := q.duration("timeout", 30*time.Second)
	target, tenant, conn := r.FormValue("target"), r.FormValue("tenant"), q.num("connection", 0)
	if q.err != nil {
		refuse(w, 400, q.err)
		return
	}
	want := func(rec *record) bool {
		return rec.bodyBytes.Load() >= int64(bodyBytes) && (conn == 0 || rec.conn == uint64(conn)) && rec.isFor(target, tenant, done != 0)
	}
	s.received.watching.Add(1)
	defer s.received.watching.Add(-1)
	var found []*record
	var changed <-chan struct{}
	ok := s.until(r, timeout, func() (bool, <-chan struct{}) {
		found, changed = s.received.newest(want)
		return len(found) >= count, changed
	})
	receipts := []receipt{}
	for _, rec := range found {
		receipts = append(receipts, rec.receipt())
	}
	if !ok {
		refuse(w, 504, fmt.Errorf("%d such requests after %s: expected %d", len(found), timeout, count))
		return
	}
	answer(w, 200, receipts)
}

// until asks try at every change until it says yes. It reports false when time is up or the caller has left.
func (s *simulator) until(r *http.Request, timeout time.Duration, try func() (bool, <-chan struct{})) bool {
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		ok, changed := try()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-late.C:
			return false
		case <-r.Context().Done():
			return false
		case <-s.closing:
			return false
		}
	}
}

// A query reads parameters and keeps the first mistake.
type query struct {
	r   *http.Request
	err error
}

func (q *query) num(name string, fallback int) int {
	s := q.r.FormValue(name)
	if s == "" {
		return fallback
	}
	n, err := strconv.Atoi(s)
	if (err != nil || n < 0) && q.err == nil {
		q.err = fmt.Errorf("%s=%q: expected a whole number from 0", name, s)
	}
	return n
}

func (q *query) duration(name string, fallback time.Duration) time.Duration {
	s := q.r.FormValue(name)
	if s == "" {
		return fallback
	}
	d, err := time.ParseDuration(s)
	if (err != nil || d < 0 || d > longestWait) && q.err == nil {
		q.err = fmt.Errorf("%s=%q: expected a duration up to %s, such as \"5s\"", name, s, longestWait)
	}
	return d
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	e.Encode(v)
}

func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, map[string]string{"error": err.Error()})
}

type (
	optionDoc struct {
		Name     string `json:"name"`
		Does     string `json:"does"`
		Default  any    `json:"default"`
		Expected string `json:"expected"`
	}
	shapeDoc struct {
		Shape     string `json:"shape"`
		HTTP      string `json:"http"`      // valid, invalid
		Recipient string `json:"recipient"` // whole, whole-or-error, error
		Does      string `json:"does"`
		OnlyHEAD  bool   `json:"only_head,omitempty"`
	}
	kindDoc struct {
		Name    string      `json:"name"`
		Story   string      `json:"story,omitempty"`
		Does    string      `json:"does"`
		Path    string      `json:"default_path,omitempty"`
		Method  string      `json:"default_method,omitempty"`
		Tenant  bool        `json:"needs_tenant,omitempty"`
		Options []optionDoc `json:"options,omitempty"`
		Shapes  []shapeDoc  `json:"shapes,omitempty"`
	}
	activeDoc struct {
		Name  string    `json:"name"`
		Since time.Time `json:"since"`
		Seen  uint64    `json:"seen"` // requests that matched
		Hits  uint64    `json:"hits"` // of these, those that were struck
		spec
	}
	scenariosDoc struct {
		Members   map[string]string `json:"members"`
		Scenarios []kindDoc         `json:"scenarios"`
		Active    []activeDoc       `json:"active"`
	}
)

// describe is GET /scenarios.
func (r *registry) describe() scenariosDoc {
	d := scenariosDoc{Active: []activeDoc{}, Members: map[string]string{
		"percent":              "of the requests that match, 0 to 100; the share is exact to within a few requests",
		"sticky":               "request, or connection: all of a connection or none of it",
		"tenant":               "a tenant, or a prefix with * at its end",
		"path":                 "pattern without version segment and query: words, {media-id} for a segment of digits, * for a segment, ** at the end",
		"method":               "a method",
		"rev":                  "x-fb-rev of what is struck",
		"start_after":          "a duration",
		"start_after_requests": "so many matching requests pass untouched first",
		"options":              "see each scenario",
	}}
	for _, k := range kindsOfScenario {
		kd := kindDoc{Name: k.name, Story: k.story, Does: k.does, Path: k.path, Method: k.method, Tenant: k.tenant}
		for _, o := range k.options {
			kd.Options = append(kd.Options, optionDoc{o.name, o.does, o.shown(), o.expected()})
		}
		if k == framingKind {
			for _, s := range shapes {
				http := "invalid"
				if s.valid {
					http = "valid"
				}
				kd.Shapes = append(kd.Shapes, shapeDoc{s.name, http, s.recipient, s.does, s.onlyHEAD})
			}
		}
		d.Scenarios = append(d.Scenarios, kd)
	}
	for _, a := range *r.list.Load() {
		d.Active = append(d.Active, a.describe())
	}
	return d
}

func (a *active) describe() activeDoc {
	return activeDoc{a.name, a.since, a.seen.Load(), a.hits.Load(), a.spec}
}
