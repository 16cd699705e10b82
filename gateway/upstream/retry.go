package upstream

import (
	"bytes"
	"math/rand/v2"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// A Reason is why a request is tried again. Its words are metric labels.
type Reason uint8

const (
	NoReason    Reason = iota
	OnConnect          // no connection was made: nothing of the request has left
	OnReset            // the connection ended or broke before the response's head was here
	OnTimeout          // the head did not come in time
	OnStatus           // the response has a status that is listed
	OnRetryable        // a step has judged the response to be retryable
	Reasons     = iota // how many there are
)

var reasonNames = [Reasons]string{"", "connect", "reset", "timeout", "status", "retryable"}

// String returns the word for r in metrics.
func (r Reason) String() string { return reasonNames[r] }

// RetryOptions say when a request is tried again. Those in Envoy's retry_policy: Attempts is num_retries + 1; OnConnect is
// connect-failure, OnReset reset, OnTimeout what reset says of a per-try timeout, Statuses retriable-status-codes; PerTry is
// per_try_timeout, Base and Max are retry_back_off, MaxAfter is rate_limited_retry_back_off's max_interval.
type RetryOptions struct {
	Attempts int           // in all
	On       [Reasons]bool // what is a reason
	Statuses []Status
	PerTry   time.Duration // for a response's head to come; 0: no limit of its own
	Base     time.Duration // of the pause before the first retry
	Max      time.Duration // of any pause
	MaxAfter time.Duration // Retry-After that is waited for: whoever asks for more gets no retry
}

// Why says why an attempt that ended with err may be followed by another one: NoReason if it may not. Once a byte of the
// request may have arrived, only a request that may be sent twice is (9110 9.2.2).
func (o *RetryOptions) Why(err error, repeatable bool) Reason {
	e, ok := err.(*Error)
	if !ok || e.Sent && !repeatable {
		return NoReason
	}
	r := NoReason
	switch e.Kind {
	case Connect:
		r = OnConnect
	case Cut:
		r = OnReset
	case Timeout:
		r = OnTimeout
	}
	if r != NoReason && !e.Sent && o.On[OnConnect] {
		return OnConnect
	}
	if !o.On[r] {
		return NoReason
	}
	return r
}

// WhyStatus is Why for a response.
func (o *RetryOptions) WhyStatus(status int) Reason {
	if o.On[OnStatus] && contains(o.Statuses, status) {
		return OnStatus
	}
	return NoReason
}

// Pause is how long to wait before retry number n, which begins at 1: exponential, with full jitter. After is what the upstream
// asks for, 0 if it asks for nothing; ok is false when that is too long to wait.
func (o *RetryOptions) Pause(n int, after time.Duration) (pause time.Duration, ok bool) {
	if after > o.MaxAfter {
		return 0, false
	}
	most := o.Base
	for i := 1; i < n && most < o.Max; i++ {
		most *= 2
	}
	if most = min(most, o.Max); most > 0 {
		pause = rand.N(most)
	}
	return after + pause, true
}

// RetryAfter reads the field Retry-After (9110 10.2.3): how long from now to wait, 0 if there is none that can be read.
func RetryAfter(fields []wire.Field, now time.Time) time.Duration {
	for i := range fields {
		if !wire.EqualFold(fields[i].Name, "Retry-After") {
			continue
		}
		value := string(bytes.TrimSpace(fields[i].Value))
		if seconds, ok := digits(value); ok {
			return seconds
		}
		for _, layout := range []string{time.RFC1123, time.RFC850, time.ANSIC} { // HTTP-date and its old forms (9110 5.6.7)
			if t, err := time.Parse(layout, value); err == nil {
				return max(0, t.Sub(now))
			}
		}
		return 0
	}
	return 0
}

// digits reads delay-seconds. What is too long to be meant is a year.
func digits(s string) (time.Duration, bool) {
	const year = 365 * 24 * time.Hour
	var d time.Duration
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		d = min(d*10+time.Duration(c-'0')*time.Second, year)
	}
	return d, s != ""
}

// A Pauser waits between attempts.
type Pauser struct{ w waiter }

// Pause waits until then, and reports whether the client has stayed. It returns at once if that has left.
func (p *Pauser) Pause(until time.Time, client *conn.Accepted) bool {
	p.w.reset()
	p.w.sleep(time.Now(), until, client)
	return !p.w.left.Load()
}
