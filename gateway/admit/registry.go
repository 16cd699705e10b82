package admit

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// A Registry holds the limiters by the names of their routes. It outlives every snapshot: a reload binds the same limiters
// again and, once the new snapshot is in force, changes their policies.
type Registry struct {
	start   time.Time
	onBlock func(Standing)

	mu     sync.Mutex
	errors map[string]*Limiter
	rates  map[string]*Rates
}

// NewRegistry makes an empty registry. onBlock, if not nil, is called whenever a block begins, on the goroutine of the
// request that caused it: it must be quick and must not ask the registry.
func NewRegistry(start time.Time, onBlock func(Standing)) *Registry {
	return &Registry{start: start, onBlock: onBlock, errors: map[string]*Limiter{}, rates: map[string]*Rates{}}
}

// Limiter returns the error throttle of route. A new one blocks nobody until it gets a policy.
func (r *Registry) Limiter(route string) *Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.errors[route]
	if l == nil {
		l = &Limiter{route: route, start: r.start, onBlock: r.onBlock}
		l.policy.Store(&Policy{})
		r.errors[route] = l
	}
	return l
}

// Rates returns the request rate limit called name: a route's, or one that several routes share. A new one sets no limit
// until it gets a policy.
func (r *Registry) Rates(name string) *Rates {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.rates[name]
	if l == nil {
		l = &Rates{start: r.start}
		l.rate.Store(&rate{})
		r.rates[name] = l
	}
	return l
}

// A Standing is what is held against one client on one route.
type Standing struct {
	Client, Route string
	Policy        Policy
	Until         time.Time  // the end of its block; zero while it is not blocked
	Evidence      []Evidence // that accrued and is in the window, oldest first
	OK            uint64     // successes since the oldest evidence
	Other         uint64     // errors that did not accrue, for as long as the client is remembered
}

// standing describes an account. a is locked.
func (l *Limiter) standing(client string, a *account, now time.Time) Standing {
	s := Standing{Client: client, Route: l.route, Policy: *l.policy.Load(), Other: a.other.Load()}
	if l.settle(a, now) {
		s.Until = l.start.Add(time.Duration(a.until.Load()))
	} else {
		a.inWindow(&s.Policy, now)
	}
	for i := range a.held {
		s.Evidence = append(s.Evidence, a.held[i].evidence())
	}
	if len(a.held) > 0 {
		s.OK = a.ok.Load() - a.held[0].ok
	}
	return s
}

// Standing returns what is held against client on route.
func (r *Registry) Standing(client, route string, now time.Time) Standing {
	l := r.Limiter(route)
	a := l.clients.get(client)
	if a == nil {
		return Standing{Client: client, Route: route, Policy: l.Policy()}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return l.standing(client, a, now)
}

// Blocks lists who is blocked now, by route and client.
func (r *Registry) Blocks(now time.Time) []Standing {
	var all []Standing
	for _, l := range r.limiters() {
		l.clients.each(func(client string, a *account) {
			if a.until.Load() == never {
				return
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if l.settle(a, now) {
				all = append(all, l.standing(client, a, now))
			}
		})
	}
	return sorted(all)
}

// Blocked is how many blocks there are now.
func (r *Registry) Blocked(now time.Time) (n int) {
	at := int64(now.Sub(r.start))
	for _, l := range r.limiters() {
		l.clients.each(func(_ string, a *account) {
			if at < a.until.Load() {
				n++
			}
		})
	}
	return n
}

// Unblock forgets the evidence against client on route, or on every route if route is "", and returns the blocks that it
// has ended.
func (r *Registry) Unblock(client, route string, now time.Time) []Standing {
	return r.Acquit(func(c, r string, _ *Evidence) bool { return c == client && (route == "" || r == route) }, now)
}

// Acquit forgets all evidence that match says yes to: it was not the client's doing. Blocks that rested on it end or become
// shorter; those that it has ended are returned as they were. match must not ask the registry.
func (r *Registry) Acquit(match func(client, route string, e *Evidence) bool, now time.Time) []Standing {
	var lifted []Standing
	for _, l := range r.limiters() {
		l.clients.each(func(client string, a *account) {
			if !a.some.Load() {
				return
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			was := l.standing(client, a, now)
			kept := make([]heldEvidence, 0, len(a.held))
			for i := range a.held {
				if !match(client, l.route, &was.Evidence[i]) {
					kept = append(kept, a.held[i])
				}
			}
			a.hold(kept)
			l.mend(a)
			if !was.Until.IsZero() && !l.settle(a, now) {
				lifted = append(lifted, was)
			}
		})
	}
	return sorted(lifted)
}

// Sweep forgets clients of whom nothing is left to know. It is for the gateway's housekeeping, every minute or so.
func (r *Registry) Sweep(now time.Time) {
	for _, l := range r.limiters() {
		l.sweep(now)
	}
	r.mu.Lock()
	rates := make([]*Rates, 0, len(r.rates))
	for _, l := range r.rates {
		rates = append(rates, l)
	}
	r.mu.Unlock()
	for _, l := range rates {
		l.sweep(now)
	}
}

// Untracked is how many requests passed because a limiter held its most clients.
func (r *Registry) Untracked() (n uint64) {
	for _, l := range r.limiters() {
		n += l.clients.untracked.Load()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.rates {
		n += l.clients.untracked.Load()
	}
	return n
}

func (r *Registry) limiters() []*Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Limiter, 0, len(r.errors))
	for _, l := range r.errors {
		all = append(all, l)
	}
	return all
}

func sorted(all []Standing) []Standing {
	slices.SortFunc(all, func(a, b Standing) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Client, b.Client))
	})
	return all
}
