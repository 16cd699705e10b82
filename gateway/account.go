package gateway

import (
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// evidence is what the exchange tells the client's error throttle.
func (x *exchange) evidence(at time.Time, status int, framing string) admit.Evidence {
	a := &x.answer
	return admit.Evidence{
		Time: at, Class: a.verdict.Class, Fault: a.finding.Fault, Counts: a.finding.Counts, About: a.reason.About,
		Signature: admit.Signature{Status: status, Code: a.reason.Name, Framing: framing},
		RequestID: x.id,
	}
}

// account says what the exchange means to metrics and log, and when that was. Its verdict has been given already, see settle.
func (x *exchange) account() (now time.Time) {
	a := &x.answer
	m := x.g.meters.unrouted
	if x.route != nil {
		m = x.route.meters
	}
	now = time.Now()
	elapsed := now.Sub(x.began)
	m.request(a.verdict.Class, a.finding.Fault, elapsed)
	if x.reply.attempt != nil {
		m.response(x.attempt.Framing, x.attempt.Head.Status)
	}
	if a.problem != nil {
		x.g.meters.problem(a.problem)
	}
	if a.err != nil && a.verdict.Class != abi.Aborted && a.verdict.Class != abi.Shed && x.route != nil {
		x.g.exchangeFailures.log(x.g.log, "a request failed", "route", x.route.name, "request", x.id, "status", a.status, "error", a.err)
	}
	if x.cut {
		m.cuts.Inc()
	}
	if x.snap.accessLog != nil {
		x.scratch = appendEntry(x.scratch[:0], x, elapsed)
		x.snap.accessLog.write(x.scratch)
	}
	return now
}
