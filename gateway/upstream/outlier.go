package upstream

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// Outliers say when an endpoint is not used for a while because of how requests to it ended. It is Envoy's outlier_detection
// without split_external_local_origin_errors, with these differences: an ejection ends at its time, not at the next interval,
// and not by a health check that passes; an endpoint fails, too, when it cuts off a response's content. Connections to an
// ejected endpoint are left alone, as Envoy leaves them.
type Outliers struct {
	Consecutive int      // failures in a row that eject (consecutive_gateway_failure); 0: none do
	Statuses    []Status // that are failures, beside no connection, no response in time, none that is HTTP, and one cut off

	Base       time.Duration // how long an ejection takes, times how many there were of late (base_ejection_time)
	Max        time.Duration // how long it may take, if that is not less than Base (max_ejection_time)
	Jitter     time.Duration // by chance, up to this is added (max_ejection_time_jitter)
	Interval   time.Duration // for each, without an ejection, one that was is forgotten; and see SuccessRate (interval)
	MaxPercent int           // of all endpoints that may be ejected at a time; above 0, one always may (max_ejection_percent)

	SuccessRate SuccessRate
}

// SuccessRate ejects, at each interval, endpoints that fail much more often than the others. The zero value does not.
type SuccessRate struct {
	Endpoints int // that must have had enough requests in the interval (success_rate_minimum_hosts); 0: nobody is ejected
	Requests  int // that are enough (success_rate_request_volume)
	Deviation int // thousandths of the standard deviation below the mean that are too much (success_rate_stdev_factor)
}

// A Status is a range of status codes, both ends included.
type Status struct{ From, To int }

func contains(ranges []Status, status int) bool {
	for _, r := range ranges {
		if r.From <= status && status <= r.To {
			return true
		}
	}
	return false
}

func (o *Outliers) on() bool { return o.Consecutive > 0 || o.SuccessRate.Endpoints > 0 }

// standing is what an endpoint's requests have said of it.
type standing struct {
	streak    atomic.Int64 // failures in a row
	ejections atomic.Uint64
	ok, bad   atomic.Uint64 // requests in this interval

	// Held by the upstream's mu.
	ejection *time.Timer // ends it; nil: not ejected
	times    int         // ejections that are not forgotten
	back     time.Time   // when the last one ended
}

// judge tells a's endpoint if it is at fault for err, or for the status of the response if err is nil.
func (a *Attempt) judge(err error) {
	if err == nil {
		if !contains(a.u.Outliers.Statuses, a.Head.Status) {
			return // it may yet break off
		}
	} else if e, ok := err.(*Error); !ok || !a.theirs(e.Kind) {
		return
	}
	if !a.judged {
		a.judged = true
		a.e.failed()
	}
}

// theirs reports whether it is the endpoint's fault that an attempt failed in that way. While a content is being sent, the
// client may be as slow.
func (a *Attempt) theirs(k Kind) bool {
	switch k {
	case Connect, Protocol, Cut:
		return true
	case Timeout:
		return !a.body.started || a.body.endedAt.Load() != 0
	}
	return false
}

// worked says that a request went well.
func (e *Endpoint) worked() {
	if !e.u.Outliers.on() {
		return
	}
	if e.streak.Load() != 0 {
		e.streak.Store(0)
	}
	e.ok.Add(1)
}

// failed says that a request failed by the endpoint's fault.
func (e *Endpoint) failed() {
	e.failures.Add(1)
	o := &e.u.Outliers
	if !o.on() {
		return
	}
	e.bad.Add(1)
	if n := e.streak.Add(1); o.Consecutive > 0 && n >= int64(o.Consecutive) {
		e.u.eject(e, "failures in a row")
	}
}

// eject takes e out of use, if so many may be.
func (u *Upstream) eject(e *Endpoint, why string) {
	u.mu.Lock()
	now, all := time.Now(), u.endpoints.Load().all
	if u.closed || e.ejection != nil || !slices.Contains(all, e) || !u.mayEject(all) {
		u.mu.Unlock()
		return
	}
	o := &u.Outliers
	if o.Interval > 0 && e.times > 0 {
		e.times -= min(e.times, int(now.Sub(e.back)/o.Interval))
	}
	e.times++
	d := o.length(e.times)
	if d == max(o.Base, o.Max) {
		e.times-- // more of them make no difference, and must not take longer to be forgotten
	}
	if o.Jitter > 0 {
		d += rand.N(o.Jitter)
	}
	e.ejections.Add(1)
	e.ejection = time.AfterFunc(d, func() { u.readmit(e) })
	u.arrange(all)
	u.mu.Unlock()
	u.notice(e, "ejected", why)
}

// mayEject reports whether one more of all may be ejected.
func (u *Upstream) mayEject(all []*Endpoint) bool {
	out := 0
	for _, e := range all {
		if e.ejection != nil {
			out++
		}
	}
	percent := u.Outliers.MaxPercent
	return out == 0 && percent > 0 || (out+1)*100 <= percent*len(all)
}

// length is how long an ejection takes if it is the so-manieth of late.
func (o *Outliers) length(times int) time.Duration {
	return min(o.Base*time.Duration(times), max(o.Base, o.Max))
}

// readmit ends e's ejection, if it has not been ended.
func (u *Upstream) readmit(e *Endpoint) {
	u.mu.Lock()
	if e.ejection == nil {
		u.mu.Unlock()
		return
	}
	e.ejection, e.back = nil, time.Now()
	e.streak.Store(0)
	u.arrange(u.endpoints.Load().all)
	u.mu.Unlock()
	u.notice(e, "back from its ejection", "")
}

// pardon forgets an ejection without ending it as one: e is not used any more, or u has ended. u.mu is held.
func (e *Endpoint) pardon() {
	if e.ejection != nil {
		e.ejection.Stop()
		e.ejection = nil
	}
}

// compare ejects endpoints by their success rates at every interval.
func (u *Upstream) compare() {
	ticker := time.NewTicker(u.Outliers.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-u.ctx.Done():
			return
		case <-ticker.C:
			for _, e := range u.unlike() {
				u.eject(e, "success rate")
			}
		}
	}
}

// unlike begins a new interval and returns the endpoints that failed too often in the last one.
func (u *Upstream) unlike() (outliers []*Endpoint) {
	o := &u.Outliers.SuccessRate
	rates := map[*Endpoint]float64{}
	mean := 0.0
	for _, e := range u.endpoints.Load().all {
		ok, bad := float64(e.ok.Swap(0)), float64(e.bad.Swap(0))
		if ok+bad >= float64(o.Requests) && ok+bad > 0 {
			rates[e] = ok / (ok + bad)
			mean += rates[e]
		}
	}
	if len(rates) < o.Endpoints {
		return nil
	}
	mean /= float64(len(rates))
	variance := 0.0
	for _, r := range rates {
		variance += (r - mean) * (r - mean)
	}
	least := mean - math.Sqrt(variance/float64(len(rates)))*float64(o.Deviation)/1000
	for e, r := range rates {
		if r < least {
			outliers = append(outliers, e)
		}
	}
	return outliers
}
