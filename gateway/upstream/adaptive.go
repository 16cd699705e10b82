package upstream

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// AdaptiveOptions bound a limit of requests in flight that follows the upstream's latency.
type AdaptiveOptions struct{ Min, Max int }

// How the limit is found. The names in brackets are Envoy's for the same.
const (
	adaptiveWindow  = 100 * time.Millisecond // after which the limit is set anew (concurrency_update_interval), or what a request takes if that is longer
	adaptiveSamples = 10                     // that a window must hold: else it goes on
	adaptiveKept    = 128                    // of a window's samples, the last ones
	adaptiveBuffer  = 1.25                   // by how much latency may vary before the limit falls (buffer)
	measureEvery    = time.Minute            // how often the least latency is measured (min_rtt_calc interval), plus up to a tenth
	measureSamples  = 50                     // that it takes (request_count)
	measureTime     = 5 * time.Second        // that it may take at most, once there is a sample
	lowWindows      = 5                      // at the least limit, after which the latency is measured again
)

// An adaptive limit rises while latency stays near the least that has been measured and falls when it grows: requests that
// only wait for each other inside the upstream do better to wait here, or elsewhere.
//
//	gradient = least latency × 1.25 / latency, from 1/2 to 2
//	limit    = gradient × limit + √limit
//
// Latency is the time to the response's head, the median of a window. The least latency is measured every minute by letting
// only Min requests in for a moment, so that it is the upstream's own; if nobody had to wait since the last time, all samples
// are the upstream's own and nobody is held up. All methods are called one at a time.
type adaptive struct {
	AdaptiveOptions
	random func() float64 // 0 to 1

	limit float64
	least time.Duration // latency; 0: not known yet
	last  time.Duration // latency in the window before

	start   time.Time // of the window
	samples [adaptiveKept]time.Duration
	count   int
	peak    int  // requests in flight in the window
	full    bool // somebody has been kept out since the last measurement

	measuring  bool
	measuredAt time.Time // the beginning of this measurement, or when the next is due
	lowest     time.Duration
	low        int // windows in a row with the limit at Min
}

func newAdaptive(o AdaptiveOptions, now time.Time) *adaptive {
	return &adaptive{AdaptiveOptions: o, random: rand.Float64, limit: float64(o.Min), start: now, measuring: true, measuredAt: now}
}

// places is how many requests may be in flight.
func (a *adaptive) places() int {
	if a.measuring {
		return a.Min
	}
	return int(a.limit)
}

// kept is told that a request was kept waiting, or turned away, for the limit.
func (a *adaptive) kept() { a.full = true }

// sample is told of a request that began then and took so long, while that many were in flight.
func (a *adaptive) sample(began time.Time, took time.Duration, inFlight int) {
	now := began.Add(took)
	if a.measuring && began.Before(a.measuredAt) {
		return // it has waited among others
	}
	a.samples[a.count%adaptiveKept] = max(1, took)
	a.count++
	a.peak = max(a.peak, inFlight)
	switch {
	case a.measuring:
		if a.count >= measureSamples || now.Sub(a.measuredAt) >= measureTime {
			a.least = a.median()
			a.measured(now)
		}
	case a.count >= adaptiveSamples && now.Sub(a.start) >= max(adaptiveWindow, a.last):
		a.update(now)
	}
}

func (a *adaptive) median() time.Duration {
	var sorted [adaptiveKept]time.Duration
	n := copy(sorted[:], a.samples[:min(a.count, adaptiveKept)])
	slices.Sort(sorted[:n])
	return sorted[n/2]
}

func (a *adaptive) open(now time.Time) { a.start, a.count, a.peak = now, 0, 0 }

// measured ends a measurement.
func (a *adaptive) measured(now time.Time) {
	a.measuring, a.full, a.low, a.lowest = false, false, 0, 0
	a.measuredAt = now.Add(measureEvery + time.Duration(a.random()*float64(measureEvery)/10))
	a.open(now)
}

// update ends a window.
func (a *adaptive) update(now time.Time) {
	latency := a.median()
	a.last = latency
	if a.lowest == 0 || latency < a.lowest {
		a.lowest = latency
	}
	gradient := min(max(float64(a.least)*adaptiveBuffer/float64(latency), 0.5), 2)
	limit := gradient*a.limit + math.Sqrt(a.limit)
	if limit < a.limit || a.peak*2 >= int(a.limit) { // a limit that nobody comes near says nothing if it rises
		a.limit = min(max(limit, float64(a.Min)), float64(a.Max))
	}
	if a.low++; int(a.limit) > a.Min {
		a.low = 0
	}
	a.open(now)
	switch due := !now.Before(a.measuredAt); {
	case due && !a.full:
		a.least = a.lowest
		a.measured(now)
	case due, a.low >= lowWindows && a.full:
		a.measuring, a.measuredAt = true, now
	}
}
