package gateway

import (
	"bytes"
	"net"
	"runtime/debug"
	"time"

	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/inbound"
	"github.com/breakwater-gateway/breakwater/gateway/route"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
	"github.com/valyala/fasthttp"
)

// converse serves one client's connection: its requests, one after another. It is what fasthttp's worker calls.
func (g *Gateway) converse(c net.Conn) error {
	from := inbound.New(conn.Of(c), &g.inbound)
	defer from.Free()
	defer g.survive()
	for now := time.Now(); ; {
		head, err := from.Next(now)
		if err != nil {
			g.unread(from, err)
			break
		}
		if now = g.serve(from, head); from.Ended() || !from.Skip() {
			break
		}
	}
	return nil
}

// serve is a request's whole way. When it returns, the last byte of the response is out and nothing of the exchange is left
// running. It tells when that was.
func (g *Gateway) serve(from *inbound.Conn, head []byte) (ended time.Time) {
	x := g.begin(from)
	if x == nil {
		return
	}
	defer g.finish(x, &ended) // recovers, then accounts exactly once
	if !x.check(head) || !x.match() || !x.admit() {
		return // answered, as below
	}
	x.gates()
	x.take()
	if !x.inject() || !x.runRequestSteps() || !x.forward() {
		return
	}
	x.runResponseSteps() // may rewrite the head
	if x.switched() {
		x.tunnel()
		return
	}
	x.send() // judges before the last byte, and returns when that is out
	return
}

// take makes the request's content ready to be read.
func (x *exchange) take() {
	x.request.begin(x)
	x.conn.SetReadIdle(x.route.bodyIdle)
	if x.route.halfClosed {
		x.conn.KeepHalfClosed(true)
	}
}

// finish ends the exchange, whatever has become of it. It must be deferred itself: only so can it recover.
func (g *Gateway) finish(x *exchange, ended *time.Time) {
	p := recover()
	g.conclude(x, p, ended)
}

// conclude ends the exchange, which has panicked with p unless that is nil.
func (g *Gateway) conclude(x *exchange, p any, ended *time.Time) {
	defer g.abandon(x)
	if p != nil {
		g.broke(x.id, p, debug.Stack())
		x.panicked()
	}
	x.settle()
	x.attempt.Close(x.conn)
	if p := x.attempt.Panicked(); p != nil {
		g.broke(x.id, p.Value, p.Stack)
	}
	if x.contentLeft() {
		x.from.End()
		x.conn.Linger() // so that unread content does not take the response with it
	}
	x.conn.SetLimit(time.Time{})
	x.conn.SetReadIdle(0)
	if x.route != nil && x.route.halfClosed {
		x.conn.KeepHalfClosed(false)
	}
	*ended = x.account()
	x.release()
}

// contentLeft reports whether the connection holds content that nobody will read, beyond a little that is skipped for the
// connection's sake. No attempt is sending the content meanwhile.
func (x *exchange) contentLeft() bool {
	const little = 64 << 10
	switch {
	case x.request.begun():
		return !x.request.ended
	case x.in.Continues && !x.continued:
		return true // the client may send it all the same, or not (9110 10.1.1)
	case x.in.Framing == wire.Length:
		return x.in.Length > little
	}
	return x.in.Framing != wire.NoBody
}

// check reads the request as the client sent it.
func (x *exchange) check(head []byte) bool {
	x.forget()
	err := x.in.Parse(head)
	x.identify()
	if err != nil {
		x.closing = true // what follows on the connection may be anything
		x.conn.Linger()
		x.refuse(&problemMalformed, err.Status, err.Error())
		return false
	}
	x.from.Begin(x.in.Framing, x.in.Length)
	x.believeProxies()
	x.closing = x.in.Hops.Close || x.in.Minor == 0 && !x.in.Hops.Keep
	return true
}

// forget makes x.in a request of which nothing is known: it may hold views of another client's.
func (x *exchange) forget() {
	in := &x.in
	in.Method, in.Target, in.URI, in.Host, in.Fields, in.Minor = nil, nil, nil, nil, in.Fields[:0], 1
	in.Framing, in.Length, in.Continues = wire.NoBody, -1, false
	in.Hops.ReadHops(nil)
}

// match finds the route.
func (x *exchange) match() bool {
	path := pathOf(x.in.URI)
	if bytes.HasPrefix(path, []byte(reserved)) {
		x.refuse(&problemNoRoute, fasthttp.StatusNotFound, "nothing is served at this path")
		return false
	}
	var o route.Outcome
	switch x.route, o = x.snap.table.Match(x.in.Host, x.in.Method, path, &x.params); o.State {
	case route.NoRoute:
		if x.optionsOfAll() {
			return false
		}
		x.refuse(&problemNoRoute, fasthttp.StatusNotFound, "no route matches this host and path")
		return false
	case route.MethodNotAllowed:
		x.allow(o)
		return false
	}
	if x.route.total > 0 {
		x.limit = x.began.Add(x.route.total)
		x.conn.SetLimit(x.limit)
	}
	if limit := x.route.bodyLimit; limit > 0 && x.in.Length > limit {
		x.refuse(&problemTooLarge, fasthttp.StatusRequestEntityTooLarge, "the content is larger than this route takes")
		return false
	}
	return true
}

// reserved is the path below which only the gateway itself may answer.
const reserved = "/-/"

// admit finds the client and asks the limits.
func (x *exchange) admit() bool {
	if x.snap.clients != nil && !x.authenticate() {
		return false
	}
	name := ""
	if x.client != nil {
		name = x.client.Name
	}
	x.subject = flags.Subject{Client: name, Route: x.route.name, Upstream: x.route.upstreamName, Method: bytesToString(x.in.Method)}
	if x.client != nil {
		x.subject.Attributes = x.client.Attributes
	}
	if x.route.rates != nil {
		if left, ok := x.route.rates.Take(name, x.began); !ok {
			x.limited(&problemRate, left, "the client sends requests faster than this route takes them")
			return false
		}
	}
	if x.route.errors != nil {
		var refusal *admit.Refusal
		if x.ticket, refusal = x.route.errors.Admit(name, x.began); refusal != nil {
			x.blocked(refusal)
			return false
		}
	}
	return true
}

func (x *exchange) authenticate() bool {
	var key []byte
	for i := range x.in.Fields {
		if f := &x.in.Fields[i]; wire.EqualFold(f.Name, x.snap.credential) {
			if key != nil {
				x.refuse(&problemKey, fasthttp.StatusUnauthorized, "the field "+x.snap.credential+" was sent more than once")
				return false
			}
			key = f.Value
		}
	}
	if len(key) == 0 {
		x.refuse(&problemKey, fasthttp.StatusUnauthorized, "expected the client's key in the field "+x.snap.credential)
		return false
	}
	var ok bool
	if x.client, ok = x.snap.clients.Lookup(key); ok {
		return true
	}
	if wait := x.g.guesses.Miss(x.peer.Addr(), x.began); wait > 0 {
		x.answer.verdict = shed
		x.refuseLater(&problemGuessing, fasthttp.StatusTooManyRequests, wait, "this address has sent too many unknown keys")
		return false
	}
	x.refuse(&problemKey, fasthttp.StatusUnauthorized, "the key in the field "+x.snap.credential+" is not known")
	return false
}

// gates asks each of the route's flags, once for the whole exchange.
func (x *exchange) gates() {
	for i := range x.route.steps {
		s := &x.route.steps[i]
		mode := flags.On
		if s.gated {
			mode = x.view.Mode(s.gate, &x.subject)
		}
		x.modes = append(x.modes, mode)
	}
}

// runRequestSteps lets each step see and change the request. It reports whether the request is to be forwarded.
func (x *exchange) runRequestSteps() bool {
	for i := range x.route.steps {
		s := &x.route.steps[i]
		if x.modes[i] == flags.Off || !s.interested(abi.PhaseRequest, &x.draft) {
			continue
		}
		answered, err := x.runStep(s, x.modes[i], abi.PhaseRequest)
		if failed := x.request.failed; failed != nil { // it is the client's content that ended before its time
			x.failContent(failed)
			return false
		}
		if err != nil && s.failClosed && x.modes[i] == flags.On { // why is in the log already
			x.refuse(&problemStep, fasthttp.StatusServiceUnavailable, "a step of this route failed")
			return false
		}
		if answered {
			x.sendAnswer(s)
			return false
		}
	}
	return x.injectSecrets()
}

// forward sends the request and reads the head of the response.
func (x *exchange) forward() bool {
	d := &x.draft
	x.sending = upstream.Request{Method: d.method, BodyIdle: x.route.bodyIdle, Limit: x.limit, Repeatable: idempotent(d.method)}
	if d.trailersRead[engine.Request] {
		x.request.trailers = d.sections[engine.RequestTrailers] // as steps have left them
	}
	if !x.request.none() || len(x.request.trailers) > 0 {
		x.sending.Body = &x.request
		x.sending.Chunks = x.request.framing != wire.Length || len(x.request.trailers) > 0
		x.sending.Waits = x.expects()
		x.upgrade = nil // what follows the head is content
	}
	x.sending.Upgrade = x.upgrade
	x.appendRequestHead()
	x.sending.Head = x.headOut
	if err := x.try(); err != nil {
		x.fail(err)
		return false
	}
	x.received()
	return true
}

// received has the draft be the response that has come.
func (x *exchange) received() {
	d := &x.draft
	x.reply.attempt = &x.attempt
	d.phase, d.status = responding, x.attempt.Head.Status
	fields := d.sections[engine.ResponseFields][:0]
	for i := range x.attempt.Head.Fields {
		if f := &x.attempt.Head.Fields[i]; !x.attempt.Hops().Drops(f) {
			fields = append(fields, *f)
		}
	}
	d.sections[engine.ResponseFields] = fields
}

// idempotent reports whether a request with that method may be sent twice (9110 9.2.2).
func idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// runResponseSteps lets each step see and change the head of the response. A step that fails here is passed over: it never
// replaces the upstream's answer.
func (x *exchange) runResponseSteps() {
	x.reply.want = x.wantsToJudge()
	for i := range x.route.steps {
		if s := &x.route.steps[i]; x.modes[i] != flags.Off && s.interested(abi.PhaseResponse, &x.draft) {
			x.runStep(s, x.modes[i], abi.PhaseResponse) //nolint:errcheck // counted and logged there
		}
	}
}

// wantsToJudge is how much of the beginning of the content the steps want to see that say what the response is.
func (x *exchange) wantsToJudge() (want int) {
	for i := range x.route.steps {
		w := &x.route.steps[i].wants[abi.PhaseClassify]
		if x.modes[i] != flags.Off && w.Interested(x.draft.method, x.attempt.Head.Status) {
			want = max(want, w.Prefix)
		}
	}
	return want
}
