package upstream

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
)

// LimitOptions say how many requests an upstream is sent at a time, and how many may wait for their turn. Envoy calls Requests
// max_requests and Pending max_pending_requests.
type LimitOptions struct {
	Requests    int           // in flight; 0: as many as there may be connections
	Pending     int           // waiting; 0: none
	PendingTime time.Duration // that one may wait; 0: as long as the exchange may last
}

// A gate is what a request passes before it may ask for a connection: the circuit breaker, and the queue for a place among the
// requests in flight. An upstream that is configured with neither has none.
//
// A place is held from before the connection is taken until after it was given back. With as many places as there may be
// connections, whoever has a place gets a connection: waiting for the one is waiting for the other.
type gate struct {
	name    string
	breaker *breaker // nil: none
	now     func() time.Time
	limits  LimitOptions
	places  int // 0: no limit but the adaptive one

	mu       sync.Mutex
	adaptive *adaptive // nil: none
	inFlight int
	waiting  int
	first    *waiter // who gets the next place
	last     *waiter

	queued  atomic.Uint64 // requests that had to wait
	full    atomic.Uint64 // that found no room to wait in
	expired atomic.Uint64 // that waited for too long
}

// newGate returns the gate that o asks for, nil if there is no need of one.
func newGate(o *Options) *gate {
	if o.Breaker.Trials == 0 && o.Adaptive.Max == 0 && o.Limits.Requests == 0 && o.Limits.Pending == 0 {
		return nil
	}
	g := &gate{name: o.Name, now: time.Now, limits: o.Limits, places: o.Limits.Requests}
	if most := o.MaxConnections; o.Limits.Pending > 0 && most > 0 && (g.places == 0 || most < g.places) {
		g.places = most
	}
	if o.Breaker.Trials > 0 {
		g.breaker = newBreaker(o.Breaker, o.BreakerChanged)
	}
	if o.Adaptive.Max > 0 {
		g.adaptive = newAdaptive(o.Adaptive, g.now())
	}
	return g
}

// room reports whether another request may be sent. The gate is locked.
func (g *gate) room() bool {
	return (g.places == 0 || g.inFlight < g.places) && (g.adaptive == nil || g.inFlight < g.adaptive.places())
}

// A waiter is a request in the queue. It is used again.
type waiter struct {
	before, after *waiter
	placed        bool          // it has its place, and is in the queue no more
	wake          chan struct{} // something has happened
	left          atomic.Bool   // its client has
}

// Interrupt says that the client has left. It implements [conn.Interrupter].
func (w *waiter) Interrupt() {
	w.left.Store(true)
	w.stir()
}

func (w *waiter) stir() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

// reset makes w ready for another wait.
func (w *waiter) reset() {
	if w.wake == nil {
		w.wake = make(chan struct{}, 1)
	}
	select {
	case <-w.wake:
	default:
	}
	w.placed = false
	w.left.Store(false)
}

var (
	errQueueFull = errors.New("too many requests are waiting")
	errWaited    = errors.New("waited too long for a place")
	errResting   = errors.New("the circuit breaker is open")
)

// enter waits for a place until limit, if that is not zero, and as long as the client stays.
func (g *gate) enter(w *waiter, limit time.Time, client *conn.Accepted) (p pass, err error) {
	if g.breaker != nil { // a queue for an upstream that nothing is sent to would be none
		if wait := g.breaker.closedTo(g.now()); wait > 0 {
			g.breaker.refused.Add(1)
			return pass{}, g.resting(wait)
		}
	}
	if err := g.place(w, limit, client); err != nil {
		return pass{}, err
	}
	if g.breaker != nil {
		var wait time.Duration
		var ok bool
		if p, wait, ok = g.breaker.enter(g.now()); !ok {
			g.leave()
			return pass{}, g.resting(wait)
		}
	}
	return p, nil
}

func (g *gate) resting(wait time.Duration) error {
	return &Error{Upstream: g.name, Kind: Resting, Doing: "ask the circuit breaker", Err: errResting, After: wait}
}

func (g *gate) place(w *waiter, limit time.Time, client *conn.Accepted) error {
	placed, queued := g.join(w)
	switch {
	case placed:
		return nil
	case !queued:
		g.full.Add(1)
		return &Error{Upstream: g.name, Kind: Busy, Doing: "wait for a place", Err: errQueueFull}
	}
	g.queued.Add(1)
	now := g.now()
	w.sleep(now, earlier(after(now, g.limits.PendingTime), limit), client)
	switch {
	case g.quit(w):
		return nil
	case w.left.Load():
		return &Error{Upstream: g.name, Kind: ClientLeft, Doing: "wait for a place", Err: ErrLeft}
	}
	g.expired.Add(1) // be it the exchange's own time that is over: the upstream, which was never asked, has not failed
	return &Error{Upstream: g.name, Kind: Busy, Doing: "wait for a place", Err: errWaited}
}

// join gives w a place at once, or lets it queue, or does neither.
func (g *gate) join(w *waiter) (placed, queued bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first == nil && g.room() {
		g.inFlight++
		return true, false
	}
	if g.adaptive != nil {
		g.adaptive.kept()
	}
	if g.waiting >= g.limits.Pending {
		return false, false
	}
	w.reset()
	g.append(w)
	return false, true
}

// quit ends w's waiting. It reports whether w has got its place meanwhile.
func (g *gate) quit(w *waiter) (placed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !w.placed {
		g.remove(w)
	}
	return w.placed
}

// sleep waits until w is woken, the client leaves, or it is end, which is never if zero.
func (w *waiter) sleep(now, end time.Time, client *conn.Accepted) {
	var timeout <-chan time.Time
	if !end.IsZero() {
		timer := time.NewTimer(end.Sub(now))
		defer timer.Stop()
		timeout = timer.C
	}
	client.Watch(w)
	defer client.Unwatch()
	select {
	case <-w.wake:
	case <-timeout:
	}
}

func (g *gate) append(w *waiter) {
	w.before, w.after = g.last, nil
	if g.last == nil {
		g.first = w
	} else {
		g.last.after = w
	}
	g.last = w
	g.waiting++
}

func (g *gate) remove(w *waiter) {
	if w.before == nil {
		g.first = w.after
	} else {
		w.before.after = w.after
	}
	if w.after == nil {
		g.last = w.before
	} else {
		w.after.before = w.before
	}
	w.before, w.after = nil, nil
	g.waiting--
}

// leave gives a place back.
func (g *gate) leave() {
	g.mu.Lock()
	g.inFlight--
	g.admit()
	g.mu.Unlock()
}

// admit gives the places that there are to those who wait, the first first.
func (g *gate) admit() {
	for g.first != nil && g.room() {
		w := g.first
		g.remove(w)
		g.inFlight++
		w.placed = true
		w.stir()
	}
}

// answered tells the adaptive limit of a request whose response's head, or whose time, has come.
func (g *gate) answered(began, now time.Time) {
	g.mu.Lock()
	g.adaptive.sample(began, now.Sub(began), g.inFlight)
	g.admit()
	g.mu.Unlock()
}

// LimitStats are the requests now, and counts since the start.
type LimitStats struct {
	InFlight, Pending     int
	Limit                 int // of requests in flight, as it is now; 0: none
	Queued, Full, Expired uint64
	Least                 time.Duration // latency that the adaptive limit goes by; 0: none
}

// addTo writes what the gate has counted into s.
func (g *gate) addTo(s *Stats) {
	s.Limits = g.stats()
	if b := g.breaker; b != nil {
		s.Breaker, s.BreakerOpened, s.BreakerRefused = b.at(), b.opened.Load(), b.refused.Load()
	}
}

// Gated reports whether requests are counted on their way in: whether u has a breaker, a queue, or a limit of requests.
func (u *Upstream) Gated() bool { return u.gate != nil }

// Resting is for how long nothing will be sent to u, because its circuit breaker is open; 0 if it is not.
func (u *Upstream) Resting() time.Duration {
	if u.gate == nil || u.gate.breaker == nil {
		return 0
	}
	return u.gate.breaker.closedTo(u.gate.now())
}

func (g *gate) stats() LimitStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := LimitStats{g.inFlight, g.waiting, g.places, g.queued.Load(), g.full.Load(), g.expired.Load(), 0}
	if a := g.adaptive; a != nil {
		s.Least = a.least
		if n := a.places(); s.Limit == 0 || n < s.Limit {
			s.Limit = n
		}
	}
	return s
}
