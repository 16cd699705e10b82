package upstream

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// BreakerOptions say when an upstream is given a rest. Comparable proxies call this passive health checking or outlier
// detection; what Envoy calls circuit breakers are the limits of [LimitOptions].
type BreakerOptions struct {
	Consecutive int           // failures in a row, none later than Window after the one before, that open it; 0: none do
	Percent     int           // share of failures within Window that opens it; 0: none does
	Requests    int           // that there must be within Window before a share says anything
	Window      time.Duration // in which requests count
	Open        time.Duration // for which nothing is sent; up to a fifth is added, at random
	Trials      int           // requests that must succeed, all of them, before everything is sent again
	Statuses    []Status      // of responses that are failures
}

// A BreakerState is what a circuit breaker does with requests.
type BreakerState uint8

const (
	Closed   BreakerState = iota // all are sent
	HalfOpen                     // a few are sent, on trial
	Opened                       // none are sent
)

var breakerStates = [...]string{"closed", "half-open", "open"}

// String returns the word for s in metrics and logs.
func (s BreakerState) String() string { return breakerStates[s] }

// breakerSlices is into how many parts a breaker's window is cut: the oldest part is forgotten as a whole.
const breakerSlices = 10

// A breaker counts an upstream's failures and keeps requests from it while there are too many.
type breaker struct {
	BreakerOptions
	random  func() float64 // 0 to 1, for the jitter
	changed func(from, to BreakerState, why string)
	refused atomic.Uint64
	opened  atomic.Uint64

	mu       sync.Mutex
	state    BreakerState
	era      uint32    // counts the changes of state: who was let in before one has no vote after it
	until    time.Time // Opened: when the trials begin
	underway int       // HalfOpen: trials
	passed   int       // HalfOpen: trials that succeeded
	row      int       // Closed: failures in a row
	failedAt time.Time // the last of them
	slices   [breakerSlices]tally
}

// A tally counts the requests of one slice of time.
type tally struct {
	number         int64 // of the slice
	good, failures int
}

func newBreaker(o BreakerOptions, changed func(from, to BreakerState, why string)) *breaker {
	return &breaker{BreakerOptions: o, random: rand.Float64, changed: changed}
}

// A pass lets one request through a breaker. It is given back with exactly one vote; the zero pass needs none.
type pass struct {
	era   uint32
	holds bool
	trial bool
}

// A vote is what a request says of its upstream.
type vote uint8

const (
	abstains vote = iota // it came to nothing that tells: its client left
	succeeded
	failed
)

// enter asks for a pass. Without one, wait is when to ask again.
func (b *breaker) enter(now time.Time) (p pass, wait time.Duration, ok bool) {
	var change func()
	b.mu.Lock()
	if b.state == Opened && !now.Before(b.until) {
		change = b.turn(HalfOpen, "the time is over")
	}
	switch {
	case b.state == Opened:
		wait = b.until.Sub(now)
	case b.state == HalfOpen && b.underway+b.passed >= b.Trials:
		wait = time.Second
	default:
		p, ok = pass{b.era, true, b.state == HalfOpen}, true
		if p.trial {
			b.underway++
		}
	}
	b.mu.Unlock()
	if change != nil {
		change()
	}
	if !ok {
		b.refused.Add(1)
	}
	return p, wait, ok
}

// closedTo returns how long nothing will be sent, 0 if a request may be.
func (b *breaker) closedTo(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Opened && now.Before(b.until) {
		return b.until.Sub(now)
	}
	return 0
}

// leave gives p back.
func (b *breaker) leave(p *pass, v vote, now time.Time) {
	if !p.holds {
		return
	}
	p.holds = false
	b.mu.Lock()
	change := b.count(p, v, now)
	b.mu.Unlock()
	if change != nil {
		change()
	}
}

func (b *breaker) count(p *pass, v vote, now time.Time) (change func()) {
	if p.era != b.era {
		return nil
	}
	if p.trial {
		b.underway--
		switch v {
		case succeeded:
			if b.passed++; b.passed >= b.Trials {
				return b.turn(Closed, "the trials succeeded")
			}
		case failed:
			return b.open(now, "a trial failed")
		}
		return nil
	}
	if v == abstains {
		return nil
	}
	s := b.slice(now)
	if v == succeeded {
		s.good++
		b.row = 0
		return nil
	}
	s.failures++
	if b.row > 0 && now.Sub(b.failedAt) > b.Window {
		b.row = 0
	}
	b.row, b.failedAt = b.row+1, now
	if b.Consecutive > 0 && b.row >= b.Consecutive {
		return b.open(now, "too many failures in a row")
	}
	if good, failures := b.inWindow(now); b.Percent > 0 && good+failures >= max(1, b.Requests) && failures*100 >= b.Percent*(good+failures) {
		return b.open(now, "too large a share of failures")
	}
	return nil
}

// slice returns where requests of now are counted.
func (b *breaker) slice(now time.Time) *tally {
	n := b.sliceNumber(now)
	s := &b.slices[n%breakerSlices]
	if s.number != n {
		*s = tally{number: n}
	}
	return s
}

func (b *breaker) sliceNumber(now time.Time) int64 {
	return now.UnixNano() / max(1, int64(b.Window)/breakerSlices)
}

func (b *breaker) inWindow(now time.Time) (good, failures int) {
	n := b.sliceNumber(now)
	for i := range b.slices {
		if s := &b.slices[i]; s.number > n-breakerSlices && s.number <= n {
			good, failures = good+s.good, failures+s.failures
		}
	}
	return good, failures
}

func (b *breaker) open(now time.Time, why string) func() {
	b.until = now.Add(b.Open + time.Duration(b.random()*float64(b.Open)/5))
	b.opened.Add(1)
	return b.turn(Opened, why)
}

// turn changes the state. What it returns tells of that, and is called when b is not locked.
func (b *breaker) turn(to BreakerState, why string) func() {
	from := b.state
	b.state, b.era = to, b.era+1
	b.underway, b.passed, b.row = 0, 0, 0
	clear(b.slices[:])
	if b.changed == nil {
		return nil
	}
	return func() { b.changed(from, to, why) }
}

// at returns the state as it is, whether or not it would change with the next request.
func (b *breaker) at() BreakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// voteOn says what an attempt's end tells of the upstream.
func (b *breaker) voteOn(status int, err error) vote {
	e, ok := err.(*Error)
	switch {
	case err == nil && contains(b.Statuses, status):
		return failed
	case err == nil:
		return succeeded
	case !ok:
		return abstains
	}
	switch e.Kind {
	case Connect, Timeout, Protocol, Cut:
		return failed
	}
	return abstains
}
