package flags

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// An outcome is what a flag says before a gate's fallback is known.
type outcome uint8

const (
	saysOff outcome = iota
	saysObserve
	saysOn
	saysNothing // missing, disabled, without a default, no mode, or in error: the gate's fallback holds
	isTargeted  // ask the rule
	outcomes    = saysNothing + 1
)

// A tally counts the answers of one flag. It outlives the views, and is striped so that requests on several
// processors do not fight over one cache line.
type tally struct {
	stripes [stripes]struct {
		n [outcomes]atomic.Uint64
		_ [64 - 8*outcomes]byte
	}
	evaluations atomic.Uint64
	errors      atomic.Uint64
	lastError   atomic.Pointer[string]
}

const stripes = 8

func (t *tally) add(o outcome) {
	t.stripes[rand.Uint32()%stripes].n[o].Add(1)
}

func (t *tally) sum(o outcome) uint64 {
	var n uint64
	for i := range t.stripes {
		n += t.stripes[i].n[o].Load()
	}
	return n
}

func (t *tally) failed(message string) {
	t.errors.Add(1)
	t.lastError.Store(&message)
}

// tallies holds the counters of all flags that a book has met, by number.
type tallies struct {
	mu   sync.Mutex
	byID map[uint32]*tally
}

func (ts *tallies) of(id uint32) *tally {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.byID[id]
	if t == nil {
		t = new(tally)
		if ts.byID == nil {
			ts.byID = map[uint32]*tally{}
		}
		ts.byID[id] = t
	}
	return t
}

// A Count is what one flag answered since the start, as gates asked.
type Count struct {
	Key         string
	Modes       [Modes]uint64 // by mode, where the flag said one
	Fallback    uint64        // where the gate's fallback held
	Evaluations uint64        // of its rule; the other answers were remembered
	Errors      uint64        // evaluations that failed
	LastError   string
}

// Counts returns the counters of every flag that the book has met, sorted by key. The answers to gates that asked before
// they were bound, for a flag that is not there, stand under "".
func (b *Book) Counts() []Count {
	b.tallies.mu.Lock()
	defer b.tallies.mu.Unlock()
	counts := make([]Count, 0, len(b.tallies.byID))
	for id, t := range b.tallies.byID {
		c := Count{Key: keys.name(id), Fallback: t.sum(saysNothing), Evaluations: t.evaluations.Load(), Errors: t.errors.Load()}
		for m := range c.Modes {
			c.Modes[m] = t.sum(outcome(m))
		}
		if message := t.lastError.Load(); message != nil {
			c.LastError = *message
		}
		counts = append(counts, c)
	}
	slices.SortFunc(counts, func(a, b Count) int { return strings.Compare(a.Key, b.Key) })
	return counts
}
