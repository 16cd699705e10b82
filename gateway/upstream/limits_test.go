package upstream

import (
	"slices"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"pgregory.net/rapid"
)

// TestQueue holds of any order of events that places are given in the order of arrival, to no more than there are places, and
// that nobody waits who need not.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pending := rapid.IntRange(0, 5).Draw(t, "pending")
		g := newGate(&Options{Limits: LimitOptions{Requests: rapid.IntRange(1, 4).Draw(t, "requests"), Pending: pending}})
		var waiting, placed []*waiter
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"arrive", "arrive", "leave", "give up", "resize"}).Draw(t, "step") {
			case "arrive":
				w, room, queue := new(waiter), len(placed) < g.places, len(waiting)
				in, queued := g.join(w)
				if in != (room && queue == 0) || queued != (!in && queue < pending) {
					t.Fatalf("placed %v, queued %v with %d of %d placed, %d waiting", in, queued, len(placed), g.places, queue)
				}
				if in {
					placed = append(placed, w)
				} else if queued {
					waiting = append(waiting, w)
				}
			case "leave":
				if len(placed) > 0 {
					placed = placed[1:]
					g.leave()
				}
			case "give up":
				if len(waiting) > 0 {
					i := rapid.IntRange(0, len(waiting)-1).Draw(t, "who")
					if g.quit(waiting[i]) {
						t.Fatal("placed, and nobody has said so")
					}
					waiting = slices.Delete(waiting, i, i+1)
				}
			case "resize": // as the adaptive limit does
				g.mu.Lock()
				g.places = rapid.IntRange(1, 6).Draw(t, "places")
				g.admit()
				g.mu.Unlock()
			}
			for len(waiting) > 0 && waiting[0].placed {
				select {
				case <-waiting[0].wake:
				default:
					t.Fatal("placed, and not woken")
				}
				placed, waiting = append(placed, waiting[0]), waiting[1:]
			}
			if slices.ContainsFunc(waiting, func(w *waiter) bool { return w.placed }) {
				t.Fatal("somebody was placed before who came earlier")
			}
			s := g.stats()
			if s.InFlight != len(placed) || s.Pending != len(waiting) || s.Pending > 0 && s.InFlight < s.Limit {
				t.Fatalf("%+v, want %d in flight and %d waiting", s, len(placed), len(waiting))
			}
		}
		for range placed {
			g.leave()
		}
		for _, w := range waiting {
			if g.quit(w) {
				g.leave()
			}
		}
		if s := g.stats(); s.InFlight != 0 || s.Pending != 0 || g.first != nil || g.last != nil {
			t.Fatalf("%+v when all have gone", s)
		}
	})
}

// A holding upstream answers each request when the test says so.
type holding struct {
	*server
	arrived chan *peer
}

func holdAll(t *testing.T) *holding {
	h := &holding{listen(t, nil), make(chan *peer, 100)}
	h.play(func(p *peer) {
		for p.head() != "" {
			h.arrived <- p
		}
	})
	return h
}

// ask sends a request from a client of its own, and gives its result when it is there.
func ask(t *testing.T, u *Upstream, change func(*Request)) (from *conn.Accepted, c *peer, got chan result) {
	from, c = client(t)
	req := get()
	if change != nil {
		change(req)
	}
	got = make(chan result, 1)
	go func() { got <- do(u, req, from) }()
	return from, c, got
}

func waits(t *testing.T, u *Upstream, n int) {
	t.Helper()
	eventually(t, "that many requests wait", func() bool { return u.Stats().Limits.Pending == n })
}

func TestPendingOverSockets(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
	}{
		{"for a place in flight", Options{Limits: LimitOptions{Requests: 1, Pending: 3}}},
		{"for a connection", Options{MaxConnections: 1, Limits: LimitOptions{Pending: 3}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := holdAll(t)
			u := h.pool(test.o)
			_, _, first := ask(t, u, nil)
			p := <-h.arrived
			var others []chan result
			for i := range 3 {
				_, _, got := ask(t, u, nil)
				others = append(others, got)
				waits(t, u, i+1)
			}
			_, _, tooMany := ask(t, u, nil)
			if r := <-tooMany; kind(t, r.err) != Busy {
				t.Errorf("one more than may wait: %v", r)
			}
			p.send(ok)
			if r := <-first; r.content != "ok" {
				t.Error(r)
			}
			for i, got := range others {
				p := <-h.arrived
				p.send(ok)
				if r := <-got; r.content != "ok" {
					t.Errorf("waiting request %d, served in its turn: %v", i, r)
				}
			}
			if s := u.Stats(); s.Dials != 1 || s.Limits.Queued != 3 || s.Limits.Full != 1 || s.Limits.InFlight != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestWaitingEnds(t *testing.T) {
	h := holdAll(t)
	u := h.pool(Options{Limits: LimitOptions{Requests: 1, Pending: 2, PendingTime: soon}})
	patient := h.pool(Options{Limits: LimitOptions{Requests: 1, Pending: 2}})
	_, _, first := ask(t, u, nil)
	p := <-h.arrived
	_, _, late := ask(t, u, nil)
	if r := <-late; kind(t, r.err) != Busy {
		t.Errorf("a request that waited too long: %v", r)
	}
	if s := u.Stats().Limits; s.Expired != 1 || s.Pending != 0 {
		t.Errorf("%+v", s)
	}
	p.send(ok)
	<-first

	_, _, first = ask(t, patient, nil)
	p = <-h.arrived
	_, c, left := ask(t, patient, nil)
	waits(t, patient, 1)
	c.Close()
	if r := <-left; kind(t, r.err) != ClientLeft {
		t.Errorf("a client that left while it waited: %v", r)
	}
	_, _, over := ask(t, patient, func(r *Request) { r.Limit = time.Now().Add(soon) })
	if r := <-over; kind(t, r.err) != Busy {
		t.Errorf("an exchange whose time was over while it waited: %v, want a limit of ours: the upstream was not asked", r)
	}
	if s := patient.Stats().Limits; s.Pending != 0 || s.InFlight != 1 || s.Expired != 1 {
		t.Errorf("%+v", s)
	}
	p.send(ok)
	if r := <-first; r.content != "ok" {
		t.Error(r)
	}
}

// TestPlacesAreGivenBack ends exchanges in every way, and then holds that there is a place.
func TestPlacesAreGivenBack(t *testing.T) {
	tests := []struct {
		name string
		play func(p *peer)
		want Kind
	}{
		{"a response", answers(ok, ok), 0},
		{"none", func(p *peer) { p.head() }, Cut},
		{"half a response", func(p *peer) { p.head(); p.send(ok[:len(ok)-1]) }, Cut},
		{"what is not HTTP", func(p *peer) { p.head(); p.send("?\r\n\r\n") }, Protocol},
		{"silence", func(p *peer) { p.head(); p.ended() }, Timeout},
	}
	for _, test := range tests {
		u := listen(t, nil).play(test.play).pool(Options{HeadTimeout: soon, Limits: LimitOptions{Requests: 1}})
		from, _ := client(t)
		req := get()
		req.Repeatable = false
		for range 2 {
			if r := do(u, req, from); kind(t, r.err) != test.want {
				t.Errorf("%s: %v", test.name, r)
			}
		}
		if n := u.Stats().Limits.InFlight; n != 0 {
			t.Errorf("%s: %d are in flight", test.name, n)
		}
	}
	u := New(Options{Name: "up", Address: closed(t), Limits: LimitOptions{Requests: 1}})
	defer u.Close()
	from, _ := client(t)
	for range 2 {
		if r := do(u, get(), from); kind(t, r.err) != Connect {
			t.Errorf("nobody there: %v", r)
		}
	}
}

func TestBreakerOverSockets(t *testing.T) {
	const failing = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"
	var told []BreakerState
	u := listen(t, nil).play(answers(failing, failing, ok, ok, ok)).pool(Options{
		Breaker:        BreakerOptions{Consecutive: 2, Window: time.Hour, Open: time.Hour, Trials: 2, Statuses: []Status{{503, 503}}},
		BreakerChanged: func(_, to BreakerState, _ string) { told = append(told, to) },
	})
	clock := noon
	u.gate.now = func() time.Time { return clock }
	from, _ := client(t)
	for range 2 {
		if r := do(u, get(), from); r.status != 503 {
			t.Errorf("%v, want the upstream's own answer", r)
		}
	}
	r := do(u, get(), from)
	if e, _ := r.err.(*Error); kind(t, r.err) != Resting || e.After < time.Hour || e.After > 72*time.Minute {
		t.Errorf("while it is open: %v", r)
	}
	if left := u.Resting(); left <= 0 {
		t.Error("Resting says that it is not")
	}
	clock = clock.Add(72 * time.Minute)
	for range 3 {
		if r := do(u, get(), from); r.content != "ok" {
			t.Error(r)
		}
	}
	if !slices.Equal(told, []BreakerState{Opened, HalfOpen, Closed}) {
		t.Errorf("told %v", told)
	}
	if s := u.Stats(); s.Breaker != Closed || s.BreakerOpened != 1 || s.BreakerRefused != 1 || s.Dials != 1 {
		t.Errorf("%+v", s)
	}
}

// TestBreakerAndContent has an upstream break off every response in the middle.
func TestBreakerAndContent(t *testing.T) {
	u := listen(t, nil).play(func(p *peer) { p.head(); p.send(ok[:len(ok)-1]) }).pool(Options{
		Breaker: BreakerOptions{Consecutive: 3, Window: time.Hour, Open: time.Hour, Trials: 1},
	})
	from, _ := client(t)
	for range 3 {
		if r := do(u, get(), from); kind(t, r.err) != Cut {
			t.Error(r)
		}
	}
	if r := do(u, get(), from); kind(t, r.err) != Resting {
		t.Errorf("after three broken responses: %v", r)
	}
}

func TestAdaptiveOverSockets(t *testing.T) {
	h := holdAll(t)
	u := h.pool(Options{Adaptive: AdaptiveOptions{Min: 2, Max: 100}})
	var flying []chan result
	var peers []*peer
	for range 2 {
		_, _, got := ask(t, u, nil)
		flying, peers = append(flying, got), append(peers, <-h.arrived)
	}
	from, _ := client(t)
	if r := do(u, get(), from); kind(t, r.err) != Busy {
		t.Errorf("more than the least before anything is known: %v", r)
	}
	for i := range flying {
		peers[i].send(ok)
		if r := <-flying[i]; r.content != "ok" {
			t.Error(r)
		}
	}
	for u.Stats().Limits.Least == 0 {
		_, _, got := ask(t, u, nil)
		(<-h.arrived).send(ok)
		<-got
	}
	if s := u.Stats().Limits; s.Limit < 2 || s.Limit > 100 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}

// TestConnectionsMoveBetweenEndpoints has a limit of connections that idle ones of one endpoint use up.
func TestConnectionsMoveBetweenEndpoints(t *testing.T) {
	a, b := listen(t, nil).play(answers(ok, ok, ok)), listen(t, nil).play(answers(ok, ok, ok))
	u := New(Options{
		Name: "up", Addresses: []Address{{Address: a.ln.Addr().String()}, {Address: b.ln.Addr().String()}},
		MaxConnections: 1, MaxIdle: 4,
	})
	defer u.Close()
	from, _ := client(t)
	for range 4 { // in turns
		if r := do(u, get(), from); r.content != "ok" {
			t.Error(r)
		}
	}
	if s := u.Stats(); s.Open != 1 || s.Dials != 4 {
		t.Errorf("%+v", s)
	}
}
