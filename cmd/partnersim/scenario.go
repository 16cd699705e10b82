package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A kind is a scenario that can be started. The order in which kinds stand in [kindsOfScenario] is the order in which they meet
// a request: delays first, then whoever answers first wins, then every change to the reply.
type kind struct {
	name    string
	story   string // of the list that the simulator was built from: S1 to S14
	does    string
	path    string // default of the member "path"
	method  string // default of the member "method"
	tenant  bool   // a tenant must be named
	accept  bool   // strikes connections as they come in: no tenant, path or method is known
	sticky  string // default of the member "sticky"
	rev     int64  // default of the member "rev"
	options []option
	build   func(a *active, o values) (effect, error)
}

// An effect is what an active scenario does. Each part may be nil.
type effect struct {
	wants   func(x *exchange) bool // asked before the percentage is
	before  func(x *exchange) error
	answer  func(x *exchange) bool // true: the reply is made
	reshape func(x *exchange)
	accept  func(c *conn) bool // true: serve the connection
}

// A spec is the JSON of PUT /scenarios/NAME. Everything has a default.
type spec struct {
	Percent            float64                    `json:"percent"`              // of the requests that match
	Sticky             string                     `json:"sticky"`               // "request", or "connection": all of it or none
	Tenant             string                     `json:"tenant,omitempty"`     // "" is every tenant, "acme*" a prefix
	Path               string                     `json:"path,omitempty"`       // pattern, without version segment and query; see pathMatches
	Method             string                     `json:"method,omitempty"`     // "" is every method
	Rev                int64                      `json:"rev,omitempty"`        // x-fb-rev of what the scenario strikes
	StartAfter         string                     `json:"start_after"`          // a duration
	StartAfterRequests uint64                     `json:"start_after_requests"` // that many matching requests pass untouched first
	Options            map[string]json.RawMessage `json:"options,omitempty"`
}

// An active scenario is a kind with its settings.
type active struct {
	kind   *kind
	name   string // with label
	spec   spec
	effect effect
	begins time.Time
	since  time.Time
	salt   uint64
	ended  chan struct{} // closed when it is over
	gate   *gate         // of the scenario gate, else nil
	seen   atomic.Uint64 // requests that matched
	hits   atomic.Uint64 // of these, those that were struck
	order  int
}

// A registry knows which scenarios are active. Requests read one pointer; changes make a new list.
type registry struct {
	sim  *simulator
	list atomic.Pointer[[]*active] // in the order of kinds, then of names
	mu   sync.Mutex                // of changes
}

// kindNames lists what can be started.
func kindNames() (names []string) {
	for _, k := range kindsOfScenario {
		names = append(names, k.name)
	}
	return names
}

func newRegistry(s *simulator) *registry {
	r := &registry{sim: s}
	r.list.Store(&[]*active{})
	return r
}

// start begins or replaces the scenario of a name.
func (r *registry) start(name string, body []byte) (*active, error) {
	base, _, _ := strings.Cut(name, ":")
	order := slices.IndexFunc(kindsOfScenario, func(k *kind) bool { return k.name == base })
	if order < 0 {
		return nil, fmt.Errorf("scenario %q: expected one of %s, with or without a label (NAME:LABEL)", name, strings.Join(kindNames(), ", "))
	}
	k := kindsOfScenario[order]
	sp, err := k.parse(body)
	if err != nil {
		return nil, fmt.Errorf("scenario %q: %w", name, err)
	}
	o, err := parseOptions(k.options, sp.Options)
	if err != nil {
		return nil, fmt.Errorf("scenario %q: %w", name, err)
	}
	a := &active{kind: k, name: name, spec: sp, since: r.sim.now(), ended: make(chan struct{}), order: order}
	for _, b := range []byte(name) {
		a.salt = mix(a.salt ^ uint64(b) ^ r.sim.seed)
	}
	after, _ := time.ParseDuration(sp.StartAfter) // parse has checked it
	a.begins = a.since.Add(after)

	if k == tlsFailure && r.sim.tls == nil {
		return nil, fmt.Errorf("scenario %q: %w", name, errNoTLS)
	}
	if a.effect, err = k.build(a, o); err != nil {
		return nil, fmt.Errorf("scenario %q: %w", name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swap(func(b *active) bool { return b.name != name }, a)
	return a, nil
}

// parse reads a spec; every member that is not given has the kind's default.
func (k *kind) parse(body []byte) (spec, error) {
	sp := spec{Percent: 100, Sticky: k.sticky, Path: k.path, Method: k.method, Rev: k.rev, StartAfter: "0s"}
	if sp.Sticky == "" {
		sp.Sticky = "request"
	}
	if len(bytes.TrimSpace(body)) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&sp); err != nil {
			var wrongType *json.UnmarshalTypeError
			if errors.As(err, &wrongType) && wrongType.Field != "" {
				return sp, fmt.Errorf("member %q: found a %s, expected a %s", wrongType.Field, wrongType.Value, wrongType.Type)
			}
			if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
				return sp, fmt.Errorf("member %s: expected one of percent, sticky, tenant, path, method, rev, start_after, start_after_requests, options", name)
			}
			return sp, fmt.Errorf("body: expected a JSON object: %w", err)
		}
		if d.More() {
			return sp, errors.New("body: expected one JSON object, found more after it")
		}
	}
	after, err := time.ParseDuration(sp.StartAfter)
	switch {
	case sp.Percent < 0 || sp.Percent > 100 || math.IsNaN(sp.Percent):
		return sp, fmt.Errorf("percent %v: expected 0 to 100", sp.Percent)
	case sp.Sticky != "request" && sp.Sticky != "connection":
		return sp, fmt.Errorf("sticky %q: expected request or connection", sp.Sticky)
	case sp.Path != "" && sp.Path[0] != '/':
		return sp, fmt.Errorf("path %q: expected a pattern that begins with /, such as /{media-id} or /whatsapp_business/**", sp.Path)
	case err != nil || after < 0:
		return sp, fmt.Errorf("start_after %q: expected a duration such as \"30s\"", sp.StartAfter)
	case k.tenant && sp.Tenant == "":
		return sp, errors.New("tenant: expected one, since this is about one tenant's own doing")
	case k.accept && (sp.Tenant != "" || sp.Path != "" || sp.Method != ""):
		return sp, errors.New("tenant, path, method: expected none, since nothing of them is known while a connection comes in")
	}
	return sp, nil
}

// stop ends the scenario of a name. It reports false when there is none.
func (r *registry) stop(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.swap(func(a *active) bool { return a.name != name }, nil) > 0
}

// stopAll ends every scenario.
func (r *registry) stopAll() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.swap(func(*active) bool { return false }, nil)
}

// swap makes the list of those to keep and one more. It ends the others and says how many they were. The caller holds mu.
func (r *registry) swap(keep func(*active) bool, more *active) (ended int) {
	var next, over []*active
	for _, a := range *r.list.Load() {
		if keep(a) {
			next = append(next, a)
		} else {
			over = append(over, a)
		}
	}
	if more != nil {
		next = append(next, more)
	}
	slices.SortFunc(next, func(a, b *active) int {
		if a.order != b.order {
			return a.order - b.order
		}
		return strings.Compare(a.name, b.name)
	})
	r.list.Store(&next)
	for _, a := range over {
		close(a.ended)
		if a.gate != nil {
			a.gate.openForGood()
		}
	}
	return len(over)
}

// strike finds the scenarios that apply to x.
func (r *registry) strike(x *exchange) {
	list := *r.list.Load()
	if len(list) == 0 {
		return
	}
	for _, a := range list {
		if a.kind.accept || !a.matches(x) || !a.falls(x.now, x.c.id) {
			continue
		}
		if a.kind.name == "revert" { // stands first: the others are as if they weren't
			x.struck = append(x.struck[:0], a)
			break
		}
		x.struck = append(x.struck, a)
	}
	for _, a := range x.struck {
		if a.spec.Rev != 0 {
			x.reply.rev = a.spec.Rev
		}
	}
}

// accept asks the scenarios that strike connections.
func (r *registry) accept(c *conn) bool {
	for _, a := range *r.list.Load() {
		if a.kind.accept && a.falls(r.sim.now(), c.id) && !a.effect.accept(c) {
			return false
		}
	}
	return true
}

// matches reports whether a is about requests like x's.
func (a *active) matches(x *exchange) bool {
	if !tenantMatches(a.spec.Tenant, x.tenant) || a.spec.Method != "" && a.spec.Method != string(x.req.method) {
		return false
	}
	if a.spec.Path != "" && !pathMatches(a.spec.Path, x.req.path) {
		return false
	}
	return a.effect.wants == nil || a.effect.wants(x)
}

// golden is 2⁶⁴ over the golden ratio: its multiples spread so evenly that the share of any run of requests is right to within a few.
const golden = 0x9e3779b97f4a7c15

// falls decides, once per request, whether one that matches is struck.
func (a *active) falls(now time.Time, conn uint64) bool {
	n := a.seen.Add(1)
	if now.Before(a.begins) || n <= a.spec.StartAfterRequests {
		return false
	}
	if a.spec.Percent < 100 {
		if a.spec.Sticky == "connection" {
			n = conn
		}
		if float64((n*golden+a.salt)>>11)/(1<<53) >= a.spec.Percent/100 {
			return false
		}
	}
	a.hits.Add(1)
	return true
}

func tenantMatches(pattern string, tenant []byte) bool {
	if pattern == "" || pattern == string(tenant) {
		return true
	}
	prefix, ok := strings.CutSuffix(pattern, "*")
	return ok && tenant != nil && len(tenant) >= len(prefix) && string(tenant[:len(prefix)]) == prefix
}

// pathMatches compares segment by segment: a word is itself, {media-id} or any other {name} is one segment of digits, * is one
// segment, ** at the end is all that follows. A slash at the end makes no difference.
func pathMatches(pattern string, path []byte) bool {
	for {
		pattern = strings.TrimPrefix(pattern, "/")
		path = bytes.TrimPrefix(path, []byte("/"))
		if pattern == "**" {
			return true
		}
		if pattern == "" || len(path) == 0 {
			return pattern == "" && len(path) == 0
		}
		var want string
		var got []byte
		want, pattern, _ = strings.Cut(pattern, "/")
		got, path, _ = bytes.Cut(path, []byte("/"))
		switch {
		case want == "*":
		case strings.HasPrefix(want, "{") && strings.HasSuffix(want, "}"):
			if !isDigits(got) {
				return false
			}
		case want != string(got):
			return false
		}
	}
}

// gate returns the gate of an active scenario, or nil.
func (r *registry) gate(name string) *gate {
	for _, a := range *r.list.Load() {
		if a.gate != nil && a.name == name {
			return a.gate
		}
	}
	return nil
}
