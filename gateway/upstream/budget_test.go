package upstream

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// noon is when the tests' clocks begin.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// TestBudget holds at every moment that there are no more retries than were paid for, and that none is refused which was.
func TestBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := BudgetOptions{
			Percent: rapid.IntRange(0, 100).Draw(t, "percent"), Burst: rapid.IntRange(1, 20).Draw(t, "burst"),
			MinPerSecond: rapid.IntRange(0, 10).Draw(t, "min"),
		}
		b, now, requests, retries := NewBudget(o), noon, 0, 0
		saved := o.Burst * retryCents // by another way of counting: in cents, time aside
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"request", "retry", "time"}).Draw(t, "step") {
			case "request":
				b.Request()
				requests++
				saved = min(saved+o.Percent, o.Burst*retryCents)
			case "retry":
				if b.Retry(now) {
					retries++
					saved -= retryCents
				} else if saved >= retryCents {
					t.Fatalf("refused with %d cents", saved)
				}
			case "time":
				now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "milliseconds")) * time.Millisecond)
			}
			paid := float64(o.Burst) + float64(o.Percent*requests)/100 + float64(o.MinPerSecond)*now.Sub(noon).Seconds()
			if float64(retries) > paid+1e-6 {
				t.Fatalf("%d retries after %d requests in %v, want at most %.2f", retries, requests, now.Sub(noon), paid)
			}
		}
	})
}

func TestBudgetOfManyAtATime(t *testing.T) {
	b := NewBudget(BudgetOptions{Percent: 20, Burst: 5})
	var retries atomic.Int64
	var all sync.WaitGroup
	const clients, each = 16, 500
	for range clients {
		all.Go(func() {
			for range each {
				b.Request()
				for b.Retry(noon) {
					retries.Add(1)
				}
			}
		})
	}
	all.Wait()
	const most = 5 + clients*each/5
	if n := retries.Load(); n > most || n < most-clients*20/retryCents-1 { // what is paid in while it is full is lost
		t.Errorf("%d retries, want %d", n, most)
	}
}

func TestBudgetWithTime(t *testing.T) {
	b := NewBudget(BudgetOptions{Burst: 2, MinPerSecond: 2})
	tests := []struct {
		name    string
		at      time.Duration
		retries int
	}{
		{"it begins full", 0, 2},
		{"half a second is one", 500 * time.Millisecond, 1},
		{"what is left of a part is not lost", 1500 * time.Millisecond, 2},
		{"more than the burst is not saved", time.Hour, 2},
		{"a clock that goes back pays nothing", time.Minute, 0},
	}
	for _, test := range tests {
		n := 0
		for b.Retry(noon.Add(test.at)) {
			n++
		}
		if n != test.retries {
			t.Errorf("%s: %d retries, want %d", test.name, n, test.retries)
		}
	}
	if n := b.refused.Load(); n != uint64(len(tests)) {
		t.Errorf("%d refused, want %d", n, len(tests))
	}
}
