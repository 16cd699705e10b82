package admit

import (
	"sync"
	"sync/atomic"
)

// MaxClients is how many clients one limiter remembers at a time.
const MaxClients = 1 << 16

// accounts holds what is known of each client under one limiter. A client that is there is found without a lock.
type accounts[A any] struct {
	byName    sync.Map // string → *A
	n         atomic.Int64
	untracked atomic.Uint64 // requests that passed because all places were taken
}

func (s *accounts[A]) get(client string) *A {
	if a, ok := s.byName.Load(client); ok {
		return a.(*A)
	}
	return nil
}

// obtain returns client's account, opened now if need be, or nil if all places are taken.
func (s *accounts[A]) obtain(client string, open func() *A) *A {
	if a := s.get(client); a != nil {
		return a
	}
	if s.n.Add(1) > MaxClients {
		s.n.Add(-1)
		s.untracked.Add(1)
		return nil
	}
	a, loaded := s.byName.LoadOrStore(client, open())
	if loaded {
		s.n.Add(-1)
	}
	return a.(*A)
}

// drop forgets client if its account is still a.
func (s *accounts[A]) drop(client string, a *A) {
	if s.byName.CompareAndDelete(client, a) {
		s.n.Add(-1)
	}
}

// each calls f with every account.
func (s *accounts[A]) each(f func(client string, a *A)) {
	s.byName.Range(func(k, v any) bool {
		f(k.(string), v.(*A))
		return true
	})
}
