package upstream

import (
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
)

// A passage is an attempt's way through its upstream's gate: in before it asks for a connection, out when that was given back.
type passage struct {
	inside bool
	pass   pass
	waiter waiter
}

// gate makes the attempt behind the upstream's gate. What it comes to is told when the response's head is here, except
// that a breaker which lets everything in waits for the end of the content: an upstream that breaks off every response is
// not well.
func (p *passage) gate(a *Attempt, req *Request, client *conn.Accepted, to Interims) (err error) {
	g := a.u.gate
	if p.pass, err = g.enter(&p.waiter, a.limit(req), client); err != nil {
		return err
	}
	p.inside = true
	err = a.do(req, client, to)
	if g.adaptive != nil {
		g.learn(a, err)
	}
	if g.breaker != nil && (err != nil || p.pass.trial) {
		g.breaker.leave(&p.pass, a.vote(err), g.now())
	}
	return err
}

// leave gives back the attempt's place, and says what has not been said.
func (p *passage) leave(a *Attempt) {
	g := a.u.gate
	p.inside = false
	g.leave()
	if g.breaker != nil {
		g.breaker.leave(&p.pass, a.vote(a.broken), g.now())
	}
}

// vote says what the attempt, whose response has broken with err, or has not, tells the breaker.
func (a *Attempt) vote(err error) vote {
	if e, ok := err.(*Error); ok && e.Kind == Timeout && a.body.started && a.body.endedAt.Load() == 0 {
		return abstains // it was still being sent: the client may be as slow as the upstream
	}
	return a.u.gate.breaker.voteOn(a.Head.Status, err)
}

// learn tells the adaptive limit how long the response's head took, if it is one that took work, or how long it was waited for
// in vain.
func (g *gate) learn(a *Attempt, err error) {
	if a.body.started || a.l == nil {
		return // it depends on the client's content, or there was nobody to ask
	}
	if err == nil && a.Head.Status < 500 {
		g.answered(a.began, a.HeadAt)
	} else if e, ok := err.(*Error); ok && e.Kind == Timeout {
		g.answered(a.began, time.Now())
	}
}
