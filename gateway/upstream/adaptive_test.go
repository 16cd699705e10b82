package upstream

import (
	"container/heap"
	"testing"
	"time"
)

// A queueing upstream serves that many requests at a time, each in the time of service; the others wait inside it.
type queueing struct {
	servers int
	service time.Duration
}

// An ending is when a request will be over that began then.
type ending struct{ at, began time.Time }

type endings []ending

func (e endings) Len() int           { return len(e) }
func (e endings) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e endings) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *endings) Push(x any)        { *e = append(*e, x.(ending)) }
func (e *endings) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// load has that many clients ask the upstream, as many at a time as a lets, until then. It returns the most that were in flight
// while nothing was being measured.
func (q queueing) load(a *adaptive, clients int, from, until time.Time) (most int) {
	var flying endings
	free := make([]time.Time, q.servers) // when each server is
	for i := range free {
		free[i] = from
	}
	for now := from; now.Before(until); {
		for len(flying) < clients && len(flying) < a.places() {
			next := 0
			for i := range free {
				if free[i].Before(free[next]) {
					next = i
				}
			}
			start := now
			if free[next].After(now) {
				start = free[next]
			}
			free[next] = start.Add(q.service)
			heap.Push(&flying, ending{free[next], now})
		}
		if len(flying) < clients {
			a.kept()
		}
		if !a.measuring {
			most = max(most, len(flying))
		}
		e := heap.Pop(&flying).(ending)
		now = e.at
		a.sample(e.began, now.Sub(e.began), len(flying)+1)
	}
	return most
}

func calm(o AdaptiveOptions) *adaptive {
	a := newAdaptive(o, noon)
	a.random = func() float64 { return 0 }
	return a
}

func TestAdaptive(t *testing.T) {
	tests := []struct {
		name      string
		o         AdaptiveOptions
		q         queueing
		clients   int
		low, high int // between which the limit is in the end
	}{
		{"it finds what the upstream can do", AdaptiveOptions{3, 1000}, queueing{20, 10 * time.Millisecond}, 500, 20, 60},
		{"of a slow one, too", AdaptiveOptions{3, 1000}, queueing{40, 200 * time.Millisecond}, 500, 40, 110},
		{"it never passes its maximum", AdaptiveOptions{3, 30}, queueing{100, 10 * time.Millisecond}, 500, 30, 30},
		{"nor its minimum", AdaptiveOptions{5, 1000}, queueing{1, 10 * time.Millisecond}, 500, 5, 12},
		{"a limit that nobody comes near does not rise", AdaptiveOptions{3, 1000}, queueing{100, 10 * time.Millisecond}, 4, 4, 12},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := calm(test.o)
			test.q.load(a, test.clients, noon, noon.Add(50*time.Second))
			if n := int(a.limit); n < test.low || n > test.high || n < test.o.Min || n > test.o.Max {
				t.Errorf("the limit is %d, want %d to %d", n, test.low, test.high)
			}
		})
	}
}

// TestAdaptiveFollows has an upstream lose most of what it can do, and find it again.
func TestAdaptiveFollows(t *testing.T) {
	a := calm(AdaptiveOptions{3, 1000})
	well, ill := queueing{50, 10 * time.Millisecond}, queueing{5, 10 * time.Millisecond}
	well.load(a, 500, noon, noon.Add(20*time.Second))
	before := int(a.limit)
	ill.load(a, 500, noon.Add(20*time.Second), noon.Add(40*time.Second))
	worse := int(a.limit)
	well.load(a, 500, noon.Add(40*time.Second), noon.Add(55*time.Second))
	if after := int(a.limit); before < 50 || worse > 25 || after < 50 {
		t.Errorf("limits %d, %d, %d for upstreams of 50, 5 and 50", before, worse, after)
	}
}

// TestAdaptiveMeasures says when requests are held up for the sake of the least latency.
func TestAdaptiveMeasures(t *testing.T) {
	q := queueing{20, 10 * time.Millisecond}
	t.Run("at the beginning", func(t *testing.T) {
		a := calm(AdaptiveOptions{3, 1000})
		if a.places() != 3 {
			t.Errorf("%d places before anything is known, want the least", a.places())
		}
		q.load(a, 500, noon, noon.Add(time.Second))
		if a.measuring || a.least != 10*time.Millisecond {
			t.Errorf("measuring %v, least latency %v", a.measuring, a.least)
		}
	})
	t.Run("every minute under load, and what began before does not count", func(t *testing.T) {
		a := calm(AdaptiveOptions{3, 1000})
		q.load(a, 500, noon, noon.Add(58*time.Second))
		slower := queueing{20, 30 * time.Millisecond}
		slower.load(a, 500, noon.Add(58*time.Second), noon.Add(70*time.Second))
		if a.least != 30*time.Millisecond {
			t.Errorf("least latency %v, want that of a request that waits for no other", a.least)
		}
	})
	t.Run("not while nobody has to wait", func(t *testing.T) {
		a := calm(AdaptiveOptions{3, 1000})
		q.load(a, 2, noon, noon.Add(50*time.Second))
		slower := queueing{20, 15 * time.Millisecond}
		for now := noon.Add(50 * time.Second); now.Before(noon.Add(4 * time.Minute)); now = now.Add(time.Second) {
			slower.load(a, 2, now, now.Add(time.Second))
			if a.measuring {
				t.Fatal("it measures")
			}
		}
		if a.least != 15*time.Millisecond {
			t.Errorf("least latency %v: it has not followed", a.least)
		}
	})
	t.Run("a slow upstream does not keep it at it", func(t *testing.T) {
		a := calm(AdaptiveOptions{3, 1000})
		queueing{20, 3 * time.Second}.load(a, 500, noon, noon.Add(10*time.Second))
		if a.measuring {
			t.Error("it measures after ten seconds")
		}
	})
}
