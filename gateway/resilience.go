package gateway

import (
	"fmt"
	"io"

	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
)

// How an upstream that is not well is dealt with, from the configuration to upstream's words for it, and its metrics.

// spare fills in what an upstream is spared: limits, breaker, retry budget.
func spare(o *upstream.Options, u *config.Upstream) {
	o.Limits = upstream.LimitOptions{Requests: u.Limits.Requests, Pending: u.Limits.Pending, PendingTime: u.Limits.PendingTime}
	b := u.RetryBudget
	o.Budget = upstream.BudgetOptions{Percent: b.Percent, Burst: b.Burst, MinPerSecond: b.MinPerSecond}
	if a := u.Adaptive; a != nil {
		o.Adaptive = upstream.AdaptiveOptions{Min: a.Min, Max: a.Max}
	}
	if b := u.Breaker; b != nil {
		o.Breaker = upstream.BreakerOptions{
			Consecutive: b.Consecutive, Percent: b.Percent, Requests: b.Requests, Window: b.Window, Open: b.Open, Trials: b.Trials,
			Statuses: statuses(b.Statuses),
		}
	}
}

// breakerChanged says in the log what an upstream's circuit breaker does.
func (g *Gateway) breakerChanged(name string) func(from, to upstream.BreakerState, why string) {
	return func(from, to upstream.BreakerState, why string) {
		log := g.log.Info
		if to == upstream.Opened {
			log = g.log.Warn
		}
		log("a circuit breaker has changed", "upstream", name, "from", from.String(), "to", to.String(), "why", why)
	}
}

// retryOptions is what the configuration says, nil for nothing.
func retryOptions(r *config.Retry) *upstream.RetryOptions {
	if r == nil {
		return nil
	}
	o := &upstream.RetryOptions{
		Attempts: r.Attempts, Statuses: statuses(r.Statuses), PerTry: r.PerTry, Base: r.Backoff, Max: r.BackoffMax, MaxAfter: r.RetryAfter,
	}
	o.On[upstream.OnStatus] = len(r.Statuses) > 0
	for _, on := range r.On {
		switch on {
		case "connect":
			o.On[upstream.OnConnect] = true
		case "reset":
			o.On[upstream.OnReset] = true
		case "timeout":
			o.On[upstream.OnTimeout] = true
		case "retryable-verdict":
			o.On[upstream.OnRetryable] = true
		}
	}
	return o
}

// writeResilience writes the metrics of what keeps requests from an upstream.
func writeResilience(w io.Writer, u *upstream.Upstream, st *upstream.Stats) {
	name := u.Name
	fmt.Fprintf(w, "breakwater_upstream_retry_budget{upstream=%q} %g\n", name, st.BudgetLeft)
	fmt.Fprintf(w, "breakwater_upstream_retry_budget_refused_total{upstream=%q} %d\n", name, st.BudgetRefused)
	if u.Breaker.Trials > 0 {
		for s := upstream.Closed; s <= upstream.Opened; s++ {
			fmt.Fprintf(w, "breakwater_upstream_breaker{upstream=%q,state=%q} %g\n", name, s, boolean(st.Breaker == s))
		}
		fmt.Fprintf(w, "breakwater_upstream_breaker_opened_total{upstream=%q} %d\n", name, st.BreakerOpened)
		fmt.Fprintf(w, "breakwater_upstream_breaker_refused_total{upstream=%q} %d\n", name, st.BreakerRefused)
	}
	if !u.Gated() {
		return
	}
	l := &st.Limits
	fmt.Fprintf(w, "breakwater_upstream_requests{upstream=%q,state=\"in-flight\"} %d\n", name, l.InFlight)
	fmt.Fprintf(w, "breakwater_upstream_requests{upstream=%q,state=\"pending\"} %d\n", name, l.Pending)
	fmt.Fprintf(w, "breakwater_upstream_requests_limit{upstream=%q} %d\n", name, l.Limit)
	fmt.Fprintf(w, "breakwater_upstream_requests_queued_total{upstream=%q} %d\n", name, l.Queued)
	fmt.Fprintf(w, "breakwater_upstream_requests_refused_total{upstream=%q,reason=\"full\"} %d\n", name, l.Full)
	fmt.Fprintf(w, "breakwater_upstream_requests_refused_total{upstream=%q,reason=\"time\"} %d\n", name, l.Expired)
	if u.Adaptive.Max > 0 {
		fmt.Fprintf(w, "breakwater_upstream_latency_least_seconds{upstream=%q} %g\n", name, l.Least.Seconds())
	}
}
