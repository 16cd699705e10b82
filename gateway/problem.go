package gateway

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/gateway/route"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
	"github.com/valyala/fasthttp"
)

// A problem is a kind of answer that the gateway gives itself (RFC 9457). Its type and title never change.
type problem struct {
	name    string // the last part of the type, and the word in metrics
	title   string
	verdict abi.Verdict // unless the exchange has one already
}

// What our own answers come to. None of them counts against a client: only an upstream's answers do.
var (
	shed    = abi.Verdict{Class: abi.Shed, Fault: abi.FaultClient}
	aborted = abi.Verdict{Class: abi.Aborted, Fault: abi.FaultClient}
	broken  = abi.Verdict{Class: abi.UpstreamError, Fault: abi.FaultGateway}
	invalid = abi.Verdict{Class: abi.InvalidRequest, Fault: abi.FaultClient}
)

var (
	problemMalformed = problem{"malformed-request", "The request is malformed", invalid}
	problemTooLarge  = problem{"too-large", "The request is too large", invalid}
	problemSlow      = problem{"request-timeout", "The request did not arrive in time", abi.Verdict{Class: abi.Timeout, Fault: abi.FaultClient}}
	problemNoRoute   = problem{"no-route", "There is nothing here", abi.Verdict{Class: abi.NotFound, Fault: abi.FaultClient}}
	problemMethod    = problem{"method-not-allowed", "The method is not allowed here", invalid}
	problemKey       = problem{"unknown-client", "The client is not known", abi.Verdict{Class: abi.Auth, Fault: abi.FaultClient}}
	problemGuessing  = problem{"too-many-unknown-keys", "Too many unknown keys", shed}
	problemRate      = problem{"request-rate", "The client sends too many requests", shed}
	problemBlocked   = problem{"blocked-for-errors", "The client is blocked for its errors", shed}
	problemInjection = problem{"not-injectable", "The request cannot be completed", abi.Verdict{Class: abi.InvalidRequest, Fault: abi.FaultGateway}}
	problemStep      = problem{"step-failed", "A step of the gateway failed", abi.Verdict{Class: abi.Unavailable, Fault: abi.FaultGateway}}
	problemUpstream  = problem{"upstream-failed", "The upstream failed", abi.Verdict{}}
	problemTimeout   = problem{"upstream-timeout", "The upstream did not respond in time", abi.Verdict{}}
	problemBusy      = problem{"upstream-busy", "Too many requests to the upstream", abi.Verdict{}}
	problemUnhealthy = problem{"upstream-unhealthy", "The upstream is not healthy", abi.Verdict{}}
	problemResting   = problem{"upstream-resting", "The upstream is not asked for now", abi.Verdict{}}
	problemBroken    = problem{"gateway-failed", "The gateway failed", broken}
)

// problemType is what the type of our problems begins with. It names them and leads nowhere.
const problemType = "tag:breakwater-gateway.github.io,2026:problem/"

// refuse answers with a problem.
func (x *exchange) refuse(p *problem, status int, detail string) {
	x.sendProblem(p, status, detail, nil, nil)
}

// refuseLater answers with a problem that may be over after wait.
func (x *exchange) refuseLater(p *problem, status int, wait time.Duration, detail string) {
	fields := wire.AppendField(nil, "Retry-After", strconv.FormatInt(admit.Seconds(wait), 10))
	x.sendProblem(p, status, detail, fields, nil)
}

// allow answers a request whose method the matching routes do not take.
func (x *exchange) allow(o route.Outcome) {
	fields := wire.AppendField(nil, "Allow", x.snap.table.AppendAllow(nil, o))
	x.sendProblem(&problemMethod, fasthttp.StatusMethodNotAllowed, "no route takes this method here", fields, nil)
}

// limited answers a client that is over a limit.
func (x *exchange) limited(p *problem, a admit.Allowance, detail string) {
	x.sendProblem(p, fasthttp.StatusTooManyRequests, detail, appendAllowance(nil, a), nil)
}

func appendAllowance(b []byte, a admit.Allowance) []byte {
	b = wire.AppendField(b, "Retry-After", strconv.FormatInt(admit.Seconds(a.RetryAfter), 10))
	b = wire.AppendField(b, "RateLimit-Policy", a.AppendPolicy(nil))
	return wire.AppendField(b, "RateLimit", a.AppendLimit(nil))
}

// blocked answers a client that is blocked for its errors, and tells it which.
func (x *exchange) blocked(r *admit.Refusal) {
	type evidence struct {
		Time      time.Time `json:"time"`
		Class     string    `json:"class"`
		Status    int       `json:"status,omitempty"`
		Code      string    `json:"code,omitempty"`
		RequestID string    `json:"request_id"`
	}
	penalty := struct {
		Until    time.Time  `json:"until"`
		Errors   int        `json:"errors"`
		Window   int64      `json:"window_seconds"`
		Evidence []evidence `json:"evidence"`
	}{r.Until.UTC(), r.Count, int64(r.Window.Seconds()), nil}
	for _, e := range r.Last {
		penalty.Evidence = append(penalty.Evidence, evidence{e.Time.UTC(), e.Class.String(), e.Signature.Status, e.Signature.Code, e.RequestID})
	}
	x.sendProblem(&problemBlocked, fasthttp.StatusTooManyRequests,
		"this client had too many errors of its own on this route; they are listed, the last first", appendAllowance(nil, r.Allowance), penalty)
}

// notInjected answers a request into which the gateway could not put what the route says.
func (x *exchange) notInjected(err error) bool {
	x.answer.err = err
	type fromRequest interface{ FromRequest() bool }
	if e, ok := err.(fromRequest); ok && e.FromRequest() {
		x.refuse(&problemMalformed, fasthttp.StatusBadRequest, err.Error())
		return false
	}
	x.g.stepFailures.log(x.g.log, "a request could not be completed", "route", x.route.name, "request", x.id, "error", err)
	x.refuse(&problemInjection, fasthttp.StatusInternalServerError, "the gateway has not all that this route needs of the client")
	return false
}

// sendProblem answers with a problem, and with extra field lines and the member "penalty" if there are any.
func (x *exchange) sendProblem(p *problem, status int, detail string, fields []byte, penalty any) {
	if x.answer.verdict == (abi.Verdict{}) {
		x.answer.verdict = p.verdict
	}
	x.answer.problem, x.answer.status = p, status
	x.settle()
	body, err := json.Marshal(struct {
		Type     string `json:"type"`
		Title    string `json:"title"`
		Status   int    `json:"status"`
		Detail   string `json:"detail"`
		Instance string `json:"instance"`
		Fault    string `json:"fault"`
		Counts   bool   `json:"counts_against_client"`
		Penalty  any    `json:"penalty,omitempty"`
	}{problemType + p.name, p.title, status, detail, x.id, x.answer.finding.Fault.String(), x.answer.finding.Counts, penalty})
	if err != nil {
		panic("BUG: problem: " + err.Error())
	}
	x.closing = x.closing || x.contentLeft()
	b := wire.AppendStatusLine(x.out[:0], status, fasthttp.StatusMessage(status))
	b = wire.AppendField(b, "Date", x.g.dateOf(x.began).date)
	b = wire.AppendField(b, "Content-Type", "application/problem+json")
	b = appendLength(b, int64(len(body)))
	b = append(b, fields...)
	b = x.appendLastFields(b)
	if string(x.in.Method) != "HEAD" {
		b = append(b, body...)
		x.sent = int64(len(body))
	}
	x.out, x.headSent = b, true
	x.conn.SetLimit(time.Time{}) // that the time is over may be said after it
	x.flush()
}
