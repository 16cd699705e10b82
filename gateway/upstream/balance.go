package upstream

import (
	"errors"
	"math/rand/v2"
	"slices"
)

var errUnhealthy = errors.New("no endpoint is available")

// A Balance is how the endpoint of a request is chosen among those that are available.
type Balance uint8

const (
	RoundRobin   Balance = iota // in turn, by weight (Envoy: ROUND_ROBIN)
	LeastPending                // of two taken by chance and weight, that with less under way (Envoy: LEAST_REQUEST)
)

// endpoints are those of an upstream at one moment. They never change: what changes them makes new ones.
type endpoints struct {
	all       []*Endpoint
	turns     []*Endpoint // the available ones, each as often as its weight says
	panicking bool        // so few are available that all are used
}

// arrange makes all the endpoints of u, and says who of them is used. u.mu is held.
func (u *Upstream) arrange(all []*Endpoint) {
	available := make([]*Endpoint, 0, len(all))
	for _, e := range all {
		if e.ejection == nil && !e.sick {
			available = append(available, e)
		}
	}
	panicking := len(available)*100 < u.PanicThreshold*len(all)
	if panicking {
		available = all
	}
	u.endpoints.Store(&endpoints{all, turns(available), panicking})
}

// turns lists each endpoint as often as its weight says, evenly spread: in each step every endpoint gains its weight, and the
// one that has gathered most takes the turn and pays for it with the weight of all.
func turns(all []*Endpoint) []*Endpoint {
	total, divisor := 0, 0
	for _, e := range all {
		total += e.weight
		divisor = gcd(e.weight, divisor)
	}
	if total == len(all)*divisor {
		return all // as much for each
	}
	total /= divisor
	gathered := make([]int, len(all))
	list := make([]*Endpoint, 0, total)
	for range total {
		most := 0
		for i, e := range all {
			if gathered[i] += e.weight / divisor; gathered[i] > gathered[most] {
				most = i
			}
		}
		gathered[most] -= total
		list = append(list, all[most])
	}
	return list
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// pick returns the endpoint for the next request, none of those to avoid if there is another; nil if none is available.
func (u *Upstream) pick(avoid []*Endpoint) *Endpoint {
	s := u.endpoints.Load()
	switch {
	case len(s.turns) == 1:
		return s.turns[0]
	case len(s.turns) == 0:
		return nil
	case u.Balance == LeastPending:
		return s.leastPending(avoid)
	}
	turn := int(u.turn.Add(1) % uint32(len(s.turns)))
	if e := s.from(turn, avoid, nil); e != nil {
		return e
	}
	return s.turns[turn]
}

// from returns the first endpoint, from that turn on, that is neither to be avoided nor this other one.
func (s *endpoints) from(turn int, avoid []*Endpoint, other *Endpoint) *Endpoint {
	for i := range s.turns {
		e := s.turns[(turn+i)%len(s.turns)]
		if e != other && !slices.Contains(avoid, e) {
			return e
		}
	}
	return nil
}

func (s *endpoints) leastPending(avoid []*Endpoint) *Endpoint {
	first := s.from(rand.IntN(len(s.turns)), avoid, nil)
	if first == nil {
		return s.turns[rand.IntN(len(s.turns))]
	}
	second := s.from(rand.IntN(len(s.turns)), avoid, first)
	if second == nil || first.pending.Load()*int64(second.weight) <= second.pending.Load()*int64(first.weight) {
		return first
	}
	return second
}
