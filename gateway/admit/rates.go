package admit

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// A RatePolicy says how often a client may ask. The zero RatePolicy sets no limit.
type RatePolicy struct {
	Name     string // in RateLimit fields
	Requests int
	Per      time.Duration
	Burst    int // how many may come at once; 0 is Requests
}

// Check says what is wrong with p.
func (p RatePolicy) Check() error {
	switch {
	case p.Requests < 0:
		return fmt.Errorf("rate of %d requests: expected 0 (no limit) or more", p.Requests)
	case p.Requests > 0 && p.Per <= 0:
		return fmt.Errorf("rate of %d requests per %v: expected a time above 0", p.Requests, p.Per)
	case p.Burst < 0:
		return fmt.Errorf("burst %d: expected 0 (as many as the rate) or more", p.Burst)
	case p.Requests > 0 && p.Per/time.Duration(p.Requests) <= 0:
		return fmt.Errorf("rate of %d requests per %v: expected at most one per nanosecond", p.Requests, p.Per)
	case p.Requests > 0 && int64(max(p.Burst, p.Requests)) > int64(math.MaxInt64/4)/int64(p.Per/time.Duration(p.Requests)):
		return fmt.Errorf("burst %d at %d requests per %v: takes more than 73 years to refill", p.Burst, p.Requests, p.Per)
	}
	return nil
}

// Rates limits the requests of each client to a rate (GCRA: the one number per client is the time at which its bucket will
// be full again). Taking is lock-free.
type Rates struct {
	start   time.Time
	rate    atomic.Pointer[rate]
	clients accounts[atomic.Int64] // when the bucket is full again, in nanoseconds since start
}

// A rate is a policy as the arithmetic wants it.
type rate struct {
	RatePolicy
	every int64 // nanoseconds that one request costs
	depth int64 // nanoseconds in a full bucket
}

// SetPolicy changes the rate. What clients have used stays used, but nobody owes more than a whole new bucket.
func (r *Rates) SetPolicy(p RatePolicy) error {
	if err := p.Check(); err != nil {
		return err
	}
	if p.Burst == 0 {
		p.Burst = p.Requests
	}
	next := &rate{RatePolicy: p}
	if p.Requests > 0 {
		next.every = int64(p.Per) / int64(p.Requests)
		next.depth = next.every * int64(p.Burst)
	}
	r.rate.Store(next)
	return nil
}

// Take takes one request out of client's bucket, if there is one. Requests of nobody in particular, with client "", share
// one bucket. The client's name is kept.
func (r *Rates) Take(client string, now time.Time) (Allowance, bool) {
	p := r.rate.Load()
	if p.Requests == 0 {
		return Allowance{}, true
	}
	at := int64(now.Sub(r.start))
	full := r.clients.get(client)
	if full == nil {
		full = r.open(client)
	}
	if full == nil {
		return p.allowance(0), true
	}
	for {
		old := full.Load()
		if old-at > p.depth { // used under a policy with a larger bucket
			full.CompareAndSwap(old, at+p.depth)
			continue
		}
		used := p.used(old, at)
		if used+p.every > p.depth {
			a := p.allowance(used)
			a.RetryAfter = time.Duration(used + p.every - p.depth)
			return a, false
		}
		if full.CompareAndSwap(old, at+used+p.every) {
			return p.allowance(used + p.every), true
		}
	}
}

// open makes an account for client. (Apart from Take, which must not allocate.)
func (r *Rates) open(client string) *atomic.Int64 {
	return r.clients.obtain(client, func() *atomic.Int64 {
		full := new(atomic.Int64)
		full.Store(math.MinInt64 / 2)
		return full
	})
}

// Allowance reads what client has left, and takes nothing.
func (r *Rates) Allowance(client string, now time.Time) Allowance {
	p := r.rate.Load()
	full := r.clients.get(client)
	if full == nil || p.Requests == 0 {
		return p.allowance(0)
	}
	return p.allowance(p.used(full.Load(), int64(now.Sub(r.start))))
}

// used is what is gone of a bucket that will be full at full.
func (p *rate) used(full, at int64) int64 { return min(max(full-at, 0), p.depth) }

func (p *rate) allowance(used int64) Allowance {
	a := Allowance{Policy: p.Name, Quota: p.Requests, Window: p.Per, Reset: time.Duration(used)}
	if p.every > 0 {
		a.Remaining = int((p.depth - used) / p.every)
	}
	return a
}

// sweep forgets clients whose buckets are full.
func (r *Rates) sweep(now time.Time) {
	at := int64(now.Sub(r.start))
	r.clients.each(func(client string, full *atomic.Int64) {
		if full.Load() <= at {
			r.clients.drop(client, full)
		}
	})
}
