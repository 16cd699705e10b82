package admit

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// A GuessPolicy says how many unknown keys from one address within a window have the address refused, and for how long.
// The zero GuessPolicy refuses nobody.
type GuessPolicy struct {
	Misses int
	Window time.Duration
	Block  time.Duration
}

// DefaultGuessPolicy stops a guesser soon and forgives a mistyped key.
var DefaultGuessPolicy = GuessPolicy{Misses: 10, Window: time.Minute, Block: 5 * time.Minute}

// Check says what is wrong with p.
func (p GuessPolicy) Check() error {
	switch {
	case p.Misses < 0 || p.Misses > 1<<20:
		return fmt.Errorf("misses %d: expected 0 (nobody is refused) to %d", p.Misses, 1<<20)
	case p.Misses > 0 && p.Window <= 0:
		return fmt.Errorf("window %v: expected a time above 0", p.Window)
	case p.Misses > 0 && p.Block <= 0:
		return fmt.Errorf("block %v: expected a time above 0", p.Block)
	}
	return nil
}

// Guesses throttles addresses that try keys nobody has: after some misses the answer to an unknown key is "too many" in place
// of "unknown" until the block is over.
//
// A known key is never refused for its address: behind one address there may be an office or a carrier's whole NAT, and a
// neighbour's guessing is not a client's fault. So the key is looked up first, always, and Guesses only hears of misses:
// the way of a good request does not touch it. That leaves a guesser one look-up a guess, which is what it costs and not
// what protects: keys are random and long. The throttle makes guessing visible and its answers cheap.
//
// An address is an IPv4 address or an IPv6 /64, since one host may own that many. Memory is fixed. When places get
// scarce, those go first whose time is over, then those not refused, with the fewest misses, then the oldest.
type Guesses struct {
	seed  maphash.Seed
	start time.Time
	sets  []guessSet

	policyMu sync.RWMutex
	policy   GuessPolicy
}

const (
	guessSets = 1 << 10 // sets of places; an address belongs to one
	guessWays = 8       // places in a set
)

type guessSet struct {
	mu     sync.Mutex
	places [guessWays]guesser
}

// A guesser is one address. The zero guesser is a free place.
type guesser struct {
	addr    [16]byte
	misses  int
	until   int64 // when its window or its block ends, in nanoseconds since the start
	refused bool  // it is a block
}

// NewGuesses makes a throttle that refuses nobody until it gets a policy.
func NewGuesses(start time.Time) *Guesses {
	return &Guesses{seed: maphash.MakeSeed(), start: start, sets: make([]guessSet, guessSets)}
}

// SetPolicy changes the policy. Blocks that are on last as long as they were to.
func (g *Guesses) SetPolicy(p GuessPolicy) error {
	if err := p.Check(); err != nil {
		return err
	}
	g.policyMu.Lock()
	defer g.policyMu.Unlock()
	g.policy = p
	return nil
}

// Miss notes that a key from addr was unknown. It returns how long the address is refused, 0 if it is not. Requests
// without any key are no guesses and need not be noted.
func (g *Guesses) Miss(addr netip.Addr, now time.Time) (retryAfter time.Duration) {
	g.policyMu.RLock()
	p := g.policy
	g.policyMu.RUnlock()
	if p.Misses == 0 {
		return 0
	}
	key := guessKey(addr)
	at := int64(now.Sub(g.start))
	set := &g.sets[maphash.Bytes(g.seed, key[:])%guessSets]
	set.mu.Lock()
	defer set.mu.Unlock()
	w := set.place(key, at)
	if w.refused {
		return time.Duration(w.until - at)
	}
	if w.misses++; w.misses == 1 {
		w.until = at + int64(p.Window)
	}
	if w.misses >= p.Misses {
		w.refused, w.until = true, at+int64(p.Block)
	}
	return 0
}

// place returns the place of key: its own, or the one that matters least, emptied. s is locked.
func (s *guessSet) place(key [16]byte, at int64) *guesser {
	least := &s.places[0]
	for i := range s.places {
		w := &s.places[i]
		if w.misses > 0 && w.until <= at {
			*w = guesser{}
		}
		if w.misses > 0 && w.addr == key {
			return w
		}
		if w.before(least) {
			least = w
		}
	}
	*least = guesser{addr: key}
	return least
}

// before says whether w's place is given away before v's. Free places have no misses.
func (w *guesser) before(v *guesser) bool {
	if w.refused != v.refused {
		return v.refused
	}
	if w.misses != v.misses {
		return w.misses < v.misses
	}
	return w.until < v.until
}

// guessKey is the part of an address that one guesser has to itself.
func guessKey(addr netip.Addr) (key [16]byte) {
	key = addr.As16() // an IPv4 address and the same one mapped into IPv6 are one
	if addr = addr.Unmap(); addr.Is6() {
		clear(key[8:])
	}
	return key
}

// Refused is how many addresses are refused now.
func (g *Guesses) Refused(now time.Time) (n int) {
	at := int64(now.Sub(g.start))
	for i := range g.sets {
		set := &g.sets[i]
		set.mu.Lock()
		for j := range set.places {
			if w := &set.places[j]; w.refused && w.until > at {
				n++
			}
		}
		set.mu.Unlock()
	}
	return n
}
