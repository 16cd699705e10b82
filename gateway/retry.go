package gateway

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// tries are an exchange's attempts at its upstream. Each sends the same derived request, bound to the same answers of the
// flags, and only the last one's response is anybody's: the client's ledger hears of no other.
//
// An attempt may be followed by another as long as the client has had nothing of a final response. An interim one (103 Early
// Hints) that was passed on does not stand in the way: it is not the response, says nothing of what that will be, and there may
// be many (9110 15.2).
type tries struct {
	n       int                  // attempts that have begun
	avoid   []*upstream.Endpoint // where they were
	kept    keptContent
	pauser  upstream.Pauser
	judged  bool // the last attempt's response, with the judgement that follows
	verdict abi.Verdict
	reason  abi.Reason
	by      string
}

func (t *tries) reset() {
	clear(t.avoid)
	t.n, t.avoid, t.judged, t.by, t.reason = 0, t.avoid[:0], false, "", abi.Reason{}
	t.kept.reset()
}

// Why a request that failed for a reason to try again was not tried again.
const (
	noBudget   = iota // the upstream's retry budget is spent
	noTime            // the exchange would be over before
	noPatience        // the upstream asked to wait for longer than the route waits
	noContent         // the request's content has not been kept
	noRest            // the upstream's circuit breaker has opened
	unretried
)

var unretriedNames = [unretried]string{"budget", "time", "retry_after", "content", "breaker"}

// try sends the request until there is a response to go on with, or an error that is the last.
func (x *exchange) try() error {
	p := x.route.retry
	if p == nil {
		return x.attempt.Do(x.route.upstream, &x.sending, x.conn, x)
	}
	t := &x.tries
	x.sending.Try = p.PerTry
	x.route.upstream.Budget().Request()
	if x.sending.Body != nil && x.sending.Repeatable {
		t.kept.from, t.kept.most = &x.request, int(x.route.config.Retry.Buffer)
		x.sending.Body = &t.kept
	}
	for {
		t.n++
		err := x.attempt.Do(x.route.upstream, &x.sending, x.conn, x)
		why, after := upstream.NoReason, time.Duration(0)
		if t.n < p.Attempts {
			why, after = x.whyAgain(err)
		}
		if why == upstream.NoReason {
			x.attempt.Accept(&x.sending)
			return err
		}
		until, refused := x.mayTryAgain(err, after)
		if refused >= 0 {
			x.route.meters.notRetried(refused)
			x.attempt.Accept(&x.sending)
			return err
		}
		x.route.meters.retried(why)
		x.forgetResponse()
		if !t.pauser.Pause(until, x.conn) {
			return &upstream.Error{Upstream: x.route.upstreamName, Kind: upstream.ClientLeft, Doing: "pause before a retry", Err: upstream.ErrLeft}
		}
	}
}

// whyAgain says why what an attempt came to may be followed by another one, and how long the upstream asks to wait.
func (x *exchange) whyAgain(err error) (why upstream.Reason, after time.Duration) {
	p := x.route.retry
	if err == nil && x.sending.Repeatable && !x.switched() {
		if why = p.WhyStatus(x.attempt.Head.Status); why == upstream.NoReason && p.On[upstream.OnRetryable] {
			var v abi.Verdict
			if v, err = x.judgeEarly(); v.Retryable {
				why, after = upstream.OnRetryable, v.RetryAfter
			}
		}
		if why != upstream.NoReason {
			return why, max(after, upstream.RetryAfter(x.attempt.Head.Fields, time.Now()))
		}
	}
	return p.Why(err, x.sending.Repeatable), 0
}

// mayTryAgain takes a retry out of the budget and says when it may begin; or why there is none, which is below 0 if there is one.
// After an error, nothing is left of the attempt.
func (x *exchange) mayTryAgain(err error, after time.Duration) (at time.Time, refused int) {
	t, now := &x.tries, time.Now()
	pause, ok := x.route.retry.Pause(t.n, after)
	at = now.Add(pause)
	if err != nil {
		x.attempt.Close(x.conn) // nobody reads the content from here on
	}
	switch {
	case !ok:
		return at, noPatience
	case !x.limit.IsZero() && !at.Before(x.limit):
		return at, noTime
	case !x.contentAgain(err):
		return at, noContent
	case x.route.upstream.Resting() > 0:
		return at, noRest
	case !x.route.upstream.Budget().Retry(now):
		return at, noBudget
	}
	return at, -1
}

// contentAgain reports whether the request's content can be sent from its beginning.
func (x *exchange) contentAgain(err error) bool {
	switch {
	case x.sending.Body == nil, !x.attempt.BodyBegun():
		return true // this attempt, at least, has not touched it
	case x.sending.Body != &x.tries.kept:
		return false
	case err == nil:
		return x.tries.kept.whole.Load()
	}
	return x.tries.kept.good()
}

// forgetResponse lets go of a response that nobody will see. Its connection is used again if all of it is here.
func (x *exchange) forgetResponse() {
	t, r := &x.tries, &x.reply
	x.attempt.Discard()
	x.attempt.Close(x.conn)
	if e := x.attempt.Endpoint(); e != nil {
		t.avoid = append(t.avoid, e)
		x.sending.Avoid = t.avoid
	}
	t.judged = false
	t.kept.again()
	r.forget()
}

// judgeEarly asks the route's steps what the response is before any of it is passed on. They see as much of the content as they
// have asked for, for which it waits, as long as the attempt may take. An error is the upstream's: the content broke off.
func (x *exchange) judgeEarly() (abi.Verdict, error) {
	t, a, r := &x.tries, &x.answer, &x.reply
	x.received()
	want := x.wantsToJudge()
	if want > 0 {
		if err := r.fetch(want); err != nil {
			return abi.Verdict{}, err
		}
	}
	r.show(want)
	x.judge()
	r.hide()
	t.judged, t.verdict, t.reason, t.by = true, a.verdict, a.reason, a.by
	a.verdict, a.reason, a.by = abi.Verdict{}, abi.Reason{}, ""
	return t.verdict, nil
}

// show has the beginning that was read ahead be what is remembered of the content, for whoever judges it before it is sent.
func (c *responseContent) show(want int) {
	c.start = append(c.start[:0], c.ahead[:min(want, len(c.ahead))]...)
	c.over = len(c.ahead) > want
	c.unsent = false
}

// hide undoes show.
func (c *responseContent) hide() {
	c.start, c.over, c.unsent = c.start[:0], false, len(c.ahead) > 0
}

// forget lets go of what was read of an attempt's response. What a step has put in its place stays.
func (c *responseContent) forget() {
	c.attempt, c.start, c.over = nil, c.start[:0], false
	if !c.replaced {
		c.ahead, c.unsent = c.ahead[:0], false
	}
}

// A keptContent is a request's content that is kept while it is sent, so that it can be sent again. It implements
// [upstream.Body].
type keptContent struct {
	from   *requestContent
	most   int
	bytes  []byte
	at     int         // of bytes: what this attempt has sent
	lost   bool        // there was more than may be kept
	failed bool        // it could not be read on
	whole  atomic.Bool // all of it is kept
}

func (k *keptContent) reset() {
	if k.from == nil {
		return // it was not used
	}
	if cap(k.bytes) > maxKept {
		k.bytes = nil
	}
	k.from, k.bytes, k.at, k.lost, k.failed = nil, k.bytes[:0], 0, false, false
	k.whole.Store(false)
}

// Next implements [upstream.Body].
func (k *keptContent) Next() ([]byte, error) {
	if k.at < len(k.bytes) {
		piece := k.bytes[k.at:]
		k.at = len(k.bytes)
		return piece, nil
	}
	piece, err := k.from.Next()
	k.failed = err != nil && err != io.EOF
	if k.lost = k.lost || len(k.bytes)+len(piece) > k.most; k.lost {
		k.bytes, k.at = k.bytes[:0], 0
		return piece, err
	}
	k.bytes = append(k.bytes, piece...)
	k.at = len(k.bytes)
	if err == io.EOF || err == nil && k.from.ended {
		k.whole.Store(true)
	}
	return piece, err
}

// Trailers implements [upstream.Body].
func (k *keptContent) Trailers() []wire.Field { return k.from.Trailers() }

// good reports whether the content can be sent from its beginning: what was read is kept, and the rest can be read. Nobody
// calls Next meanwhile.
func (k *keptContent) good() bool { return !k.lost && !k.failed }

// again goes back to the beginning.
func (k *keptContent) again() { k.at = 0 }

var _ upstream.Body = (*keptContent)(nil)
