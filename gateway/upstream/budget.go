package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

// BudgetOptions say how many retries an upstream takes.
type BudgetOptions struct {
	Percent      int // of a retry that each request pays in
	Burst        int // retries that can be saved up, and that there are to begin with
	MinPerSecond int // retries paid in each second, whatever the requests
}

// A Budget bounds an upstream's retries by its requests: however many fail, in all there are no more than
//
//	Burst + Percent/100 of the requests + MinPerSecond for each second
//
// retries. It is an account of retries: requests pay in, retries pay out, and what is more than Burst is lost, so that a quiet
// day does not pay for a storm.
type Budget struct {
	options BudgetOptions
	cents   atomic.Int64 // a hundredth of a retry each
	refused atomic.Uint64

	mu   sync.Mutex
	paid time.Time // until when MinPerSecond has been paid in; zero: not begun
}

// a retry costs that many cents
const retryCents = 100

// NewBudget returns a full budget.
func NewBudget(o BudgetOptions) *Budget {
	b := &Budget{options: o}
	b.cents.Store(b.most())
	return b
}

func (b *Budget) most() int64 { return int64(b.options.Burst) * retryCents }

// Request pays in what a request is worth.
func (b *Budget) Request() { b.add(int64(b.options.Percent)) }

func (b *Budget) add(cents int64) {
	for {
		has := b.cents.Load()
		if has >= b.most() || b.cents.CompareAndSwap(has, min(has+cents, b.most())) {
			return
		}
	}
}

// Retry takes a retry out, and reports whether there was one.
func (b *Budget) Retry(now time.Time) bool {
	b.refill(now)
	for {
		has := b.cents.Load()
		if has < retryCents {
			b.refused.Add(1)
			return false
		}
		if b.cents.CompareAndSwap(has, has-retryCents) {
			return true
		}
	}
}

// refill pays in what time has brought since the last retry.
func (b *Budget) refill(now time.Time) {
	perSecond := time.Duration(b.options.MinPerSecond) * retryCents
	if perSecond == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paid.IsZero() {
		b.paid = now
	}
	cent := time.Second / perSecond
	if n := now.Sub(b.paid) / cent; n > 0 {
		b.paid = b.paid.Add(n * cent)
		b.add(int64(min(n, time.Duration(b.most()))))
	}
}

// left is how many retries there are.
func (b *Budget) left() float64 { return float64(b.cents.Load()) / retryCents }
