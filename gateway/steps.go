package gateway

import (
	"errors"
	"time"

	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/blame"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/breakwater-gateway/breakwater/plugins"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// A step is a plugin on a route, behind its gate.
type step struct {
	name       string
	plugin     *plugins.Plugin
	gate       flags.Gate
	gated      bool // else the step is always on
	failClosed bool // a failure in the request phase answers 503
	wants      *[abi.Phases]abi.Want
	meters     *stepMeters
}

// interested reports whether the step's guest is to be called in phase p for what d holds.
func (s *step) interested(p abi.Phase, d *draft) bool {
	return s.wants[p].Interested(d.method, d.status)
}

// runStep lets the step's guest work on the draft, or on a copy of it if it only observes.
func (x *exchange) runStep(s *step, mode flags.Mode, phase abi.Phase) (answered bool, err error) {
	d := &x.draft
	if mode == flags.Observe {
		x.shadow.copyOf(d)
		d = &x.shadow
	}
	d.by, d.touched = s.name, d.touched[:0]
	before, uri := d.changes, d.uri
	began := time.Now()
	if phase == abi.PhaseRequest {
		answered, err = s.plugin.Request(d)
	} else {
		err = s.plugin.Response(d)
	}
	x.stepped(s, mode, phase, began, err)
	if err == nil && (d.changes > before || answered) {
		s.meters.changed(phase, mode)
		if d.ledger != nil && phase == abi.PhaseRequest {
			d.record(uri)
		}
	}
	return answered && mode == flags.On, err
}

// stepped counts one call of a guest, and says loudly why it failed if it did.
func (x *exchange) stepped(s *step, mode flags.Mode, phase abi.Phase, began time.Time, err error) {
	s.meters.ran(phase, mode, time.Since(began))
	if err == nil {
		return
	}
	s.meters.failed(phase, failureOf(err))
	x.g.stepFailures.log(x.g.log, "a step failed", "route", x.route.name, "step", s.name, "phase", phase.String(),
		"request", x.id, "error", err)
}

// What a step's failure is in metrics.
const (
	failedTrap = iota
	failedTimeout
	failedExit
	failedBroken
	failedBusy
	failedRefused
	failures
)

var failureNames = [failures]string{"trap", "timeout", "exit", "broken", "busy", "refused"}

func failureOf(err error) int {
	for i, target := range [...]error{plugins.ErrTrap, plugins.ErrTimeout, plugins.ErrExit, plugins.ErrBroken, plugins.ErrBusy} {
		if errors.Is(err, target) {
			return i
		}
	}
	return failedRefused // the exchange did not allow what the guest asked for
}

// sendAnswer sends what a step has answered in the upstream's place.
func (x *exchange) sendAnswer(s *step) {
	x.answer.by = s.name
	x.answer.verdict = abi.Verdict{Class: blame.ByStatus(x.draft.status).Class, Fault: abi.Undecided}
	if !x.reply.replaced {
		x.reply.replace(nil)
	}
	x.closing = x.closing || x.contentLeft()
	x.send()
}

// settle says what the response is and whose fault it was, and gives the client's ticket back with that. It does so once, and
// before the client has the last byte: whoever asks again after the answer meets its consequences.
func (x *exchange) settle() {
	a := &x.answer
	if a.settled {
		return
	}
	a.settled = true
	if a.verdict.Class == abi.Aborted && x.conn.CutOff() {
		a.verdict.Fault = abi.FaultGateway // the client would have stayed
	}
	status, framing := 0, ""
	if x.reply.attempt != nil {
		status, framing = x.attempt.Head.Status, x.attempt.Framing.String()
	}
	switch {
	case status == 0:
	case a.verdict == abi.Verdict{}:
		x.judge()
	case a.verdict.Class == abi.Aborted:
		// Nobody gets away with an error by leaving before its end: what had come of the response is judged. If that was no
		// error, the client has left, and no more.
		left := a.verdict
		if x.judge(); a.verdict.Class == abi.OK || a.verdict.Class == abi.Unjudged {
			a.verdict, a.reason, a.by = left, abi.Reason{}, ""
		}
	}
	a.finding = blame.Judge(a.verdict, a.reason.About, &x.ledger)
	at := x.began
	if status > 0 {
		at = x.attempt.HeadAt
	}
	x.ticket.Done(x.evidence(at, status, framing))
}

// judge asks the route's steps what the upstream's response is. The first that says something is believed; where none does,
// the status speaks.
func (x *exchange) judge() {
	a, d := &x.answer, &x.draft
	if t := &x.tries; t.judged { // it has been asked before any of it was passed on
		a.verdict, a.reason, a.by = t.verdict, t.reason, t.by
		return
	}
	d.phase, d.status = judging, x.attempt.Head.Status // the upstream's own, whatever a step has made of it
	for i := range x.route.steps {
		s := &x.route.steps[i]
		if x.modes[i] == flags.Off || !s.interested(abi.PhaseClassify, d) {
			continue
		}
		began := time.Now()
		v, err := s.plugin.Classify(d)
		x.stepped(s, x.modes[i], abi.PhaseClassify, began, err)
		if err != nil || v.Class == abi.Unjudged {
			continue
		}
		if x.modes[i] == flags.Observe {
			if v.Class != blame.ByStatus(d.status).Class {
				s.meters.changed(abi.PhaseClassify, flags.Observe)
			}
			continue
		}
		if a.by == "" {
			a.verdict, a.reason, a.by = v, s.plugin.Reason(v.Reason), s.name
			s.meters.changed(abi.PhaseClassify, flags.On)
		}
	}
	if a.by == "" {
		a.verdict, a.reason = blame.ByStatus(d.status), abi.Reason{About: blame.AboutStatus(d.status)}
	}
}

// verdictOf says what a failed attempt comes to.
func verdictOf(e *upstream.Error) abi.Verdict {
	v := abi.Verdict{Class: abi.UpstreamError, Fault: abi.FaultUpstream}
	switch e.Kind {
	case upstream.Connect, upstream.Unhealthy:
		v.Class, v.Retryable = abi.Unavailable, true
	case upstream.Busy:
		v = abi.Verdict{Class: abi.Shed, Fault: abi.FaultGateway, Retryable: true}
	case upstream.Resting:
		v.Class, v.Retryable = abi.Shed, true
	case upstream.Timeout:
		v.Class = abi.Timeout
	case upstream.Protocol:
		v.Class = abi.ProtocolError
	case upstream.ClientLeft:
		v = aborted
	case upstream.ClientBody:
		v = invalid
	case upstream.Broken:
		v = broken
	}
	return v
}
