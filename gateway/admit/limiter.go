package admit

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// A Policy says how many errors within a window block a client, and for how long. The zero Policy blocks nobody.
type Policy struct {
	Name   string // in problems and RateLimit fields
	Errors int
	Window time.Duration
	Block  time.Duration
}

// DefaultPolicy is the partner gateway's documented one: 20 errors in an hour block for half an hour.
var DefaultPolicy = Policy{Name: "errors", Errors: 20, Window: time.Hour, Block: 30 * time.Minute}

// MaxErrors is the most that a [Policy] may ask for: as many errors are held of each client.
const MaxErrors = 1000

// Check says what is wrong with p.
func (p Policy) Check() error {
	switch {
	case p.Errors < 0 || p.Errors > MaxErrors:
		return fmt.Errorf("errors %d: expected 0 (nobody is blocked) to %d", p.Errors, MaxErrors)
	case p.Errors > 0 && p.Window <= 0:
		return fmt.Errorf("window %v: expected a time above 0", p.Window)
	case p.Errors > 0 && p.Block <= 0:
		return fmt.Errorf("block %v: expected a time above 0", p.Block)
	}
	return nil
}

// A Limiter is the error throttle of one route. A [Registry] makes it.
//
// A client without errors passes with one lock-free look-up and one atomic addition.
type Limiter struct {
	route   string
	start   time.Time
	onBlock func(Standing) // may be nil
	policy  atomic.Pointer[Policy]
	clients accounts[account]
}

// never is an account's until while it is not blocked.
const never = math.MinInt64

// An account is what is known of one client on one route.
type account struct {
	until atomic.Int64  // when the block ends, in nanoseconds since the limiter's start, or never; follows from held
	ok    atomic.Uint64 // successes
	other atomic.Uint64 // errors that did not accrue

	mu    sync.Mutex
	held  []heldEvidence // that accrued and is in the window, oldest first
	some  atomic.Bool    // whether any is held
	swept uint64         // ok + other at the last sweep
	gone  bool           // dropped: a ticket that still points here must look the client up again
}

// A Refusal tells a blocked client why.
type Refusal struct {
	Allowance
	Block time.Duration // of the policy
	Until time.Time
	Count int        // how many errors led to it
	Last  []Evidence // the last of them, newest first
}

// lastEvidence is how many errors a [Refusal] names.
const lastEvidence = 3

// A Ticket is one admitted request. It holds no place: one that is never done with costs nothing. It must not be copied once
// it is in use. Done of the zero Ticket does nothing.
type Ticket struct {
	limiter *Limiter
	account *account
	client  string
}

// Admit lets a request of client pass unless client is blocked. Requests of nobody in particular, with client "", always
// pass: one's errors would be held against all. The client's name is kept.
func (l *Limiter) Admit(client string, now time.Time) (Ticket, *Refusal) {
	if client == "" {
		return Ticket{}, nil
	}
	a := l.clients.get(client)
	if a == nil {
		if a = l.clients.obtain(client, openAccount); a == nil {
			return Ticket{}, nil
		}
	}
	if a.until.Load() != never {
		if r := l.refuse(a, now); r != nil {
			return Ticket{}, r
		}
	}
	return Ticket{limiter: l, account: a, client: client}, nil
}

func openAccount() *account {
	a := new(account)
	a.until.Store(never)
	return a
}

// refuse returns the refusal while a's block lasts, and closes a block that is over.
func (l *Limiter) refuse(a *account, now time.Time) *Refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !l.settle(a, now) {
		return nil
	}
	p := l.policy.Load()
	r := &Refusal{Allowance: l.allowance(a, now), Block: p.Block, Until: l.start.Add(time.Duration(a.until.Load())), Count: len(a.held)}
	for i := len(a.held) - 1; i >= 0 && len(r.Last) < lastEvidence; i-- {
		r.Last = append(r.Last, a.held[i].evidence())
	}
	return r
}

// settle closes a block that is over: its errors are spent. It says whether one is still on. a is locked.
func (l *Limiter) settle(a *account, now time.Time) bool {
	until := a.until.Load()
	if until == never {
		return false
	}
	if int64(now.Sub(l.start)) < until {
		return true
	}
	a.hold(a.held[:0])
	a.until.Store(never)
	return false
}

// Done accounts for the request, once: a second call does nothing.
func (t *Ticket) Done(e Evidence) {
	l, a := t.limiter, t.account
	if a == nil {
		return
	}
	t.limiter, t.account = nil, nil
	switch {
	case e.Class == abi.OK:
		a.ok.Add(1)
	case e.Class == abi.Unjudged, e.Class == abi.Aborted, e.Class == abi.Shed:
		// Not known, the client left, or we refused: says nothing about whether the client asks rightly.
	case e.accrues():
		l.accrue(t.client, a, e)
	default:
		a.other.Add(1)
	}
}

// accrue holds e against the client and blocks it if that makes enough.
func (l *Limiter) accrue(client string, a *account, e Evidence) {
	a.mu.Lock()
	for a.gone {
		a.mu.Unlock()
		if a = l.clients.obtain(client, openAccount); a == nil {
			return
		}
		a.mu.Lock()
	}
	p := l.policy.Load() // under the lock: SetPolicy comes to this account after it has stored the new one
	if p.Errors == 0 || l.settle(a, e.Time) {
		a.mu.Unlock()
		return // nothing is held, or e's request was under way when the block began
	}
	held := append(a.inWindow(p, e.Time), hold(e, a.ok.Load()))
	if over := len(held) - p.Errors; over > 0 { // the policy has become stricter
		held = append(held[:0], held[over:]...)
	}
	a.hold(held)
	until := l.derive(a, p)
	a.until.Store(until)
	var s Standing
	if until != never && l.onBlock != nil {
		s = l.standing(client, a, e.Time)
	}
	a.mu.Unlock()
	if s.Client != "" {
		l.onBlock(s)
	}
}

// derive says until when the evidence blocks, or never. a is locked.
func (l *Limiter) derive(a *account, p *Policy) int64 {
	n := len(a.held)
	if p.Errors == 0 || n < p.Errors {
		return never
	}
	first, last := a.held[n-p.Errors].Time, a.held[n-1].Time
	if last.Sub(first) >= p.Window {
		return never
	}
	return int64(last.Add(p.Block).Sub(l.start))
}

// mend takes back what the evidence no longer bears. A block may so end or become shorter, but not begin. a is locked.
func (l *Limiter) mend(a *account) {
	if until := a.until.Load(); until != never {
		a.until.Store(min(until, l.derive(a, l.policy.Load())))
	}
}

// hold replaces what is held. a is locked.
func (a *account) hold(held []heldEvidence) {
	clear(a.held[min(len(held), len(a.held)):]) // let go of their strings
	a.held = held
	a.some.Store(len(held) > 0)
}

// inWindow drops the evidence that has left the window at now. a is locked.
func (a *account) inWindow(p *Policy, now time.Time) []heldEvidence {
	old := 0
	for old < len(a.held) && now.Sub(a.held[old].Time) >= p.Window {
		old++
	}
	if old > 0 {
		a.hold(append(a.held[:0], a.held[old:]...))
	}
	return a.held
}

// SetPolicy changes the policy and keeps the evidence.
func (l *Limiter) SetPolicy(p Policy) error {
	if err := p.Check(); err != nil {
		return err
	}
	l.policy.Store(&p)
	l.clients.each(func(_ string, a *account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		l.mend(a)
	})
	return nil
}

// Policy returns the policy in force.
func (l *Limiter) Policy() Policy { return *l.policy.Load() }

// Allowance reads how many more errors client may make. For a client without errors it takes no lock.
func (l *Limiter) Allowance(client string, now time.Time) Allowance {
	a := l.clients.get(client)
	if a == nil || !a.some.Load() {
		p := l.policy.Load()
		return Allowance{Policy: p.Name, Quota: p.Errors, Window: p.Window, Remaining: p.Errors}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l.settle(a, now)
	return l.allowance(a, now)
}

// allowance is Allowance of an account that is locked and settled.
func (l *Limiter) allowance(a *account, now time.Time) Allowance {
	p := l.policy.Load()
	all := Allowance{Policy: p.Name, Quota: p.Errors, Window: p.Window, Remaining: p.Errors}
	if until := a.until.Load(); until != never {
		all.Remaining = 0
		all.RetryAfter = time.Duration(until) - now.Sub(l.start)
		all.Reset = all.RetryAfter
		return all
	}
	if held := a.inWindow(p, now); len(held) > 0 {
		all.Remaining = max(p.Errors-len(held), 0)
		all.Reset = held[0].Time.Add(p.Window).Sub(now)
	}
	return all
}

// sweep drops the accounts that have nothing to tell and were not used since the sweep before.
func (l *Limiter) sweep(now time.Time) {
	l.clients.each(func(client string, a *account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if l.settle(a, now) || len(a.inWindow(l.policy.Load(), now)) > 0 {
			return
		}
		if used := a.ok.Load() + a.other.Load(); used != a.swept {
			a.swept = used
			return
		}
		a.gone = true
		l.clients.drop(client, a)
	})
}
