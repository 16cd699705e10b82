package admit

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func ratesOf(t testing.TB, p RatePolicy) (*Registry, *Rates) {
	t.Helper()
	r := NewRegistry(start, nil)
	l := r.Rates("media")
	if err := l.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	return r, l
}

func TestRates(t *testing.T) {
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	tests := []struct {
		name   string
		policy RatePolicy
		times  []int  // milliseconds at which acme asks
		want   string // one letter each: y passes, n does not
	}{
		{"a whole rate may come at once", RatePolicy{Requests: 3, Per: time.Second}, []int{0, 0, 0, 0}, "yyyn"},
		{"one comes back in its time", RatePolicy{Requests: 2, Per: time.Second}, []int{0, 0, 499, 500, 501, 1000}, "yynyny"},
		{"a burst may be smaller than the rate", RatePolicy{Requests: 10, Per: time.Second, Burst: 1}, []int{0, 99, 100, 150, 200}, "ynyny"},
		{"a burst may be larger", RatePolicy{Requests: 1, Per: time.Second, Burst: 3}, []int{0, 0, 0, 0, 1000, 1000}, "yyynyn"},
		{"refusals cost nothing", RatePolicy{Requests: 1, Per: time.Second}, []int{0, 1, 2, 999, 1000}, "ynnny"},
		{"a bucket does not overflow", RatePolicy{Requests: 2, Per: time.Second}, []int{60000, 60000, 60000}, "yyn"},
		{"time that goes back gives nothing", RatePolicy{Requests: 1, Per: time.Second}, []int{5000, 1000}, "yn"},
		{"time before the start is time", RatePolicy{Requests: 1, Per: time.Second}, []int{-9000, -8500, -8000}, "yny"},
		{"the zero policy sets no limit", RatePolicy{}, []int{0, 0, 0, 0}, "yyyy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, l := ratesOf(t, tt.policy)
			var got strings.Builder
			for _, ms := range tt.times {
				if _, ok := l.Take("acme", at(ms)); ok {
					got.WriteByte('y')
				} else {
					got.WriteByte('n')
				}
			}
			if got.String() != tt.want {
				t.Errorf("%v passes %s, want %s", tt.times, got.String(), tt.want)
			}
			if _, ok := l.Take("bolt", at(tt.times[0])); !ok {
				t.Error("another client is refused")
			}
		})
	}
}

func TestRateAllowance(t *testing.T) {
	_, l := ratesOf(t, RatePolicy{Name: "media", Requests: 60, Per: time.Minute, Burst: 3})
	if a := l.Allowance("acme", start); a.Remaining != 3 || a.Reset != 0 {
		t.Errorf("before: %+v", a)
	}
	want := []string{`"media";r=2;t=1`, `"media";r=1;t=2`, `"media";r=0;t=3`, `"media";r=0;t=3`}
	for i, want := range want {
		a, ok := l.Take("acme", start)
		if got := string(a.AppendLimit(nil)); got != want || ok != (i < 3) || string(a.AppendPolicy(nil)) != `"media";q=60;w=60` {
			t.Errorf("request %d: %s, %v, want %s", i, got, ok, want)
		}
		if !ok && a.RetryAfter != time.Second {
			t.Errorf("retry after %v", a.RetryAfter)
		}
		if read := l.Allowance("acme", start); read.Remaining != a.Remaining {
			t.Errorf("reading says %+v", read)
		}
	}
	a, _ := l.Take("acme", start.Add(100*time.Millisecond))
	if a.RetryAfter != 900*time.Millisecond || Seconds(a.RetryAfter) != 1 {
		t.Errorf("retry after %v", a.RetryAfter)
	}
	if _, ok := l.Take("acme", start.Add(100*time.Millisecond+a.RetryAfter)); !ok {
		t.Error("who waits as long as told is refused")
	}
}

func TestRatePolicyMayChange(t *testing.T) {
	_, l := ratesOf(t, RatePolicy{Requests: 100, Per: 100 * time.Second})
	for range 100 {
		l.Take("acme", start)
	}
	if err := l.SetPolicy(RatePolicy{Requests: 2, Per: time.Second}); err != nil {
		t.Fatal(err)
	}
	if a, ok := l.Take("acme", start); ok || a.RetryAfter != 500*time.Millisecond {
		t.Errorf("%+v, %v: what was used under the old rate is at most one new bucket", a, ok)
	}
	if _, ok := l.Take("acme", start.Add(500*time.Millisecond)); !ok {
		t.Error("refused although it has waited as told")
	}
}

func TestRatePolicyErrors(t *testing.T) {
	for p, want := range map[RatePolicy]string{
		{Requests: -1}: "rate of -1 requests: expected 0 (no limit) or more",
		{Requests: 1}:  "rate of 1 requests per 0s: expected a time above 0",
		{Requests: 1, Per: time.Second, Burst: -1}:           "burst -1: expected 0 (as many as the rate) or more",
		{Requests: 10, Per: 9}:                               "rate of 10 requests per 9ns: expected at most one per nanosecond",
		{Requests: 1, Per: 24 * time.Hour, Burst: 1_000_000}: "burst 1000000 at 1 requests per 24h0m0s: takes more than 73 years to refill",
	} {
		_, l := ratesOf(t, RatePolicy{})
		if err := l.SetPolicy(p); err == nil || err.Error() != want {
			t.Errorf("%+v: error %v, want %s", p, err, want)
		}
	}
}

func TestRatesAtOnce(t *testing.T) {
	_, l := ratesOf(t, RatePolicy{Requests: 100, Per: time.Hour})
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if _, ok := l.Take("acme", start); ok {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 100 {
		t.Errorf("%d of 800 passed, want 100", passed.Load())
	}
}

func TestRatesForgetFullBuckets(t *testing.T) {
	r, l := ratesOf(t, RatePolicy{Requests: 2, Per: time.Second})
	l.Take("acme", start)
	r.Sweep(start.Add(499 * time.Millisecond))
	if l.clients.n.Load() != 1 {
		t.Error("a bucket was forgotten before it was full")
	}
	r.Sweep(start.Add(500 * time.Millisecond))
	if l.clients.n.Load() != 0 {
		t.Error("a full bucket is kept")
	}
	l.clients.n.Store(MaxClients)
	for range 9 {
		if _, ok := l.Take("late", start); !ok {
			t.Fatal("refused because others take all places")
		}
	}
	if r.Untracked() != 9 {
		t.Errorf("%d untracked requests", r.Untracked())
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	_, l := ratesOf(t, RatePolicy{Name: "media", Requests: 5, Per: time.Minute})
	if n := testing.AllocsPerRun(100, func() { l.Take("acme", start) }); n != 0 && !race {
		t.Errorf("Take allocates %v times", n)
	}
}

func BenchmarkTake(b *testing.B) {
	_, l := ratesOf(b, RatePolicy{Name: "media", Requests: 1 << 30, Per: 10 * time.Second})
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("client-%d", i)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			l.Take(names[i%len(names)], start)
		}
	})
}
