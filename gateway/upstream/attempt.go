package upstream

import (
	"errors"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// A Request is what an attempt sends. Its bytes are the caller's and must hold until the attempt is closed.
type Request struct {
	Method []byte
	Head   []byte // the whole head, to the empty line
	Body   Body   // nil: no content
	Chunks bool   // the content goes out in chunks; else the head has said its length

	// Waits says that the head expects 100-continue (9110 10.1.1): the content stays where it is until the upstream agrees to take
	// it, or has said nothing for ContinueTimeout.
	Waits bool
	// Upgrade is the value of the head's Upgrade field: the protocols that a 101 may agree to; nil if none.
	Upgrade []byte

	BodyIdle time.Duration // how long each read of the client's content may wait; 0: for ever
	Limit    time.Time     // when the exchange must be over; zero: never
	Try      time.Duration // for this attempt to come to a response; 0: until Limit. See [Attempt.Accept]

	// Avoid are endpoints that are not used if there is another.
	Avoid []*Endpoint

	// Repeatable says that sending the request again does no harm (9110 9.2.2), so that a connection which turns out to have
	// been closed while idle costs nothing.
	Repeatable bool
}

// A Body is a content that arrives in pieces. The goroutine that calls it is not the attempt's caller.
type Body interface {
	// Next returns the next piece, which holds until the following call, or io.EOF behind the last one.
	Next() ([]byte, error)
	// Trailers are the fields behind a chunked content, once Next has returned io.EOF.
	Trailers() []wire.Field
}

// Interims takes the responses before the final one (9110 15.2).
type Interims interface {
	Interim(head *wire.ResponseHead) error
	// Continue is called when an upstream does not say whether it takes the content that waits: it is sent all the same.
	Continue() error
}

// An Attempt is one try at an upstream. It is used again after Close; the zero Attempt is ready.
type Attempt struct {
	// The final response, after Do: Head and what it is made of hold until Close.
	Head    wire.ResponseHead
	Framing wire.Framing
	Length  int64 // of the content as declared, -1 if it is not
	HeadAt  time.Time

	u       *Upstream
	e       *Endpoint
	l       *link
	wrote   bool   // a byte of the request may have reached the endpoint
	judged  bool   // what this says of the endpoint has been said
	head    []byte // what Head is made of
	hops    wire.Hops
	left    int64 // of a Length content
	chunks  wire.ChunkReader
	trailer []wire.Field
	done    bool  // the response's last byte has been read
	broken  error // why it never will be
	kept    bool  // the content waited to be asked for, and was not
	misused bool  // Transfer-Encoding and Content-Length in one response: the connection ends with it (9112 6.1)

	lastAt time.Time // when the last of the content came; zero if that was with the head
	body   sender

	tried   time.Time // when the attempt began; not set without a Try
	began   time.Time // when the request was sent
	through passage
}

// Endpoint is the one that was tried, nil before Do. It holds after Close.
func (a *Attempt) Endpoint() *Endpoint { return a.e }

// Do sends req and reads heads until the response's own. The client is watched meanwhile, and until Close: if it leaves,
// the attempt fails with [ClientLeft]. On an error, too, Close must follow.
func (a *Attempt) Do(u *Upstream, req *Request, client *conn.Accepted, to Interims) error {
	a.u, a.e, a.judged = u, nil, false
	a.body.reset()
	if req.Try > 0 {
		a.tried = time.Now()
	}
	if u.gate != nil {
		return a.through.gate(a, req, client, to)
	}
	return a.do(req, client, to)
}

func (a *Attempt) do(req *Request, client *conn.Accepted, to Interims) error {
	u := a.u
	if a.e = u.pick(req.Avoid); a.e == nil {
		return &Error{Upstream: u.name, Kind: Unhealthy, Doing: "connect", Err: errUnhealthy}
	}
	fresh := false
	for {
		l, err := a.e.take(fresh, req.Body == nil, a.limit(req), client)
		if err != nil {
			a.judge(err)
			return err
		}
		a.begin(l, req)
		client.Watch(l.socket)
		err = a.exchange(req, client, to)
		unclean := err == conn.ErrNotClean
		if err == nil || !unclean && !a.stale(req, err) {
			a.judge(err)
			return err
		}
		client.Unwatch()
		a.drop()
		if unclean { // as take would have found, had it looked
			u.stale.Add(1)
			u.reuses.Add(^uint64(0))
			continue
		}
		u.reconnects.Add(1)
		fresh = true
	}
}

// limit is when there must be a response, as far as that is known. While a content is being sent, the attempt's own time does
// not run: the client may be slow. It begins with the last byte (Envoy: per_try_timeout).
func (a *Attempt) limit(req *Request) time.Time {
	switch {
	case req.Try <= 0:
		return req.Limit
	case !a.body.started:
		return earlier(req.Limit, a.tried.Add(req.Try))
	}
	return earlier(req.Limit, a.body.headDeadline(req.Try))
}

// limitReading has [Attempt.limit], as it is now, hold for what is read. What is written has the exchange's limit, for that
// is another goroutine's.
func (a *Attempt) limitReading(req *Request) {
	if req.Try > 0 {
		a.l.socket.SetReadLimit(a.limit(req))
	}
}

// Accept says that the response is the one: from here on only the exchange's limit holds.
func (a *Attempt) Accept(req *Request) {
	if a.l != nil && req.Try > 0 {
		a.l.socket.SetReadLimit(req.Limit)
	}
}

// stale reports whether err says only that a connection which was used before had been closed meanwhile. If nothing of the
// request was taken, it may be any request.
func (a *Attempt) stale(req *Request, err error) bool {
	var e *Error
	return a.l.reused && (!a.wrote || req.Repeatable && !a.body.started && !a.l.heard) && errors.As(err, &e) && e.Kind == Cut
}

func (a *Attempt) begin(l *link, req *Request) {
	a.l, a.wrote, a.done, a.broken, a.kept, a.misused, a.left = l, false, false, nil, false, false, 0
	a.lastAt = time.Time{}
	a.body.reset()
	a.trailer = a.trailer[:0]
	l.r, l.w, l.heard = 0, 0, false
	l.socket.SetLimit(req.Limit)
	a.limitReading(req)
}

// BodyBegun reports whether any of the request's content may have been sent, or read for that.
func (a *Attempt) BodyBegun() bool { return a.body.started }

// BodySent reports whether the request's content has left whole. It is false while it is being sent; for a response that
// came early, the client's connection then holds content that nobody will read.
func (a *Attempt) BodySent(client *conn.Accepted) bool {
	if a.kept {
		return false
	}
	patience := time.Duration(0)
	if a.Arrived() {
		patience = shortly
	}
	return !a.body.started || a.body.endsWithin(patience) && a.body.join(client)
}

// shortly is how long a content may still be under way when its response is complete. Mostly it has left already, or else the
// upstream would not have answered, and its goroutine has only to say so: that must not cost the connection.
const shortly = 10 * time.Millisecond

// Discard reads what has come of a response that nobody will see, without waiting, so that its connection can be used again if
// that is all. Close must follow.
func (a *Attempt) Discard() {
	for a.broken == nil && !a.done && a.Ready() {
		a.Next() //nolint:errcheck // then the connection is not used again
	}
}

// Close ends the attempt: its connection is used again if the exchange on it ended cleanly. When it returns, nobody reads the
// request's content any more, and it reports whether that has left whole.
func (a *Attempt) Close(client *conn.Accepted) (sent bool) {
	sent = a.close(client)
	if a.through.inside {
		a.through.leave(a)
	}
	return sent
}

func (a *Attempt) close(client *conn.Accepted) (sent bool) {
	if a.l == nil {
		return true
	}
	if sent = a.BodySent(client); !sent && a.body.started {
		a.body.stop(a.l, client)
	}
	a.body.slim()
	client.Unwatch()
	if a.done && !a.judged {
		a.e.worked()
	}
	l := a.l
	if !a.done || !sent || l.socket.Interrupted() || a.misused || a.Framing == wire.UntilClose || l.r < l.w ||
		a.hops.Close || a.Head.Minor == 0 && !a.hops.Keep {
		a.drop()
		return sent
	}
	a.l = nil
	l.socket.SetLimit(time.Time{})
	l.socket.SetIdle(0, 0)
	if a.lastAt.IsZero() {
		a.lastAt = a.HeadAt
	}
	a.e.put(l, a.lastAt)
	return sent
}

// Panicked returns what the request's Body broke with, nil if it did not; once, and only when the attempt is closed.
func (a *Attempt) Panicked() *Panic {
	p, ok := a.body.err.(*Panic)
	if ok {
		a.body.err = nil
	}
	return p
}

func (a *Attempt) drop() {
	a.e.drop(a.l)
	a.l = nil
}
