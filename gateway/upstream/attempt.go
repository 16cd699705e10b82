package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
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
	Try      time.Time     // when this attempt must have come to a response; zero: by Limit. See [Attempt.Accept]

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

// maxInterims is how many 1xx responses one request may get.
const maxInterims = 32

// An Attempt is one try at an upstream. It is used again after Close; the zero Attempt is ready.
type Attempt struct {
	// The final response, after Do: Head and what it is made of hold until Close.
	Head    wire.ResponseHead
	Framing wire.Framing
	Length  int64 // of the content as declared, -1 if it is not
	Retried bool  // a connection had gone stale
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

	began   time.Time // when the request was sent
	through passage
}

// Endpoint is the one that was tried, nil before Do. It holds after Close.
func (a *Attempt) Endpoint() *Endpoint { return a.e }

// Do sends req and reads heads until the response's own. The client is watched meanwhile, and until Close: if it leaves,
// the attempt fails with [ClientLeft]. On an error, too, Close must follow.
func (a *Attempt) Do(u *Upstream, req *Request, client *conn.Accepted, to Interims) error {
	a.u, a.e, a.Retried, a.judged = u, nil, false, false
	a.body.reset()
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
		l, err := a.e.take(fresh, req.Body == nil, req.tryLimit(), client)
		if err != nil {
			a.judge(err)
			return err
		}
		a.begin(l, req)
		client.Watch(l.socket)
		err = a.exchange(req, client, to)
		unclean := err == errUnclean
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
		u.retries.Add(1)
		a.Retried, fresh = true, true
	}
}

// tryLimit is when there must be a response.
func (r *Request) tryLimit() time.Time {
	if !r.Try.IsZero() && (r.Limit.IsZero() || r.Try.Before(r.Limit)) {
		return r.Try
	}
	return r.Limit
}

// Accept says that the response is the one: from here on only the exchange's limit holds.
func (a *Attempt) Accept(req *Request) {
	if a.l != nil && !req.Try.IsZero() {
		a.l.socket.SetLimit(req.Limit)
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
	l.socket.SetLimit(req.tryLimit())
}

func (a *Attempt) exchange(req *Request, client *conn.Accepted, to Interims) error {
	s, now := a.l.socket, time.Now()
	a.began = now
	s.SetIdle(0, 0)
	s.SetReadDeadline(after(now, a.u.HeadTimeout))      //nolint:errcheck // the read fails
	s.SetWriteDeadline(after(now, a.u.IdleBodyTimeout)) //nolint:errcheck // the write fails
	if err := a.writeHead(req); err != nil {
		return err
	}
	s.SetIdle(0, a.u.IdleBodyTimeout)
	a.kept = req.Body != nil && req.Waits
	if a.kept && a.u.ContinueTimeout > 0 {
		s.SetReadDeadline(now.Add(a.u.ContinueTimeout)) //nolint:errcheck // the read fails
	} else if req.Body != nil && !a.kept {
		a.body.start(a.l, req, client)
	}
	for range maxInterims {
		if err := a.readHead(req); err != nil {
			if !a.kept || a.u.ContinueTimeout <= 0 || !errors.Is(err, os.ErrDeadlineExceeded) || over(req.tryLimit()) {
				return a.fail("response head", err)
			}
			if err := to.Continue(); err != nil {
				return &Error{Upstream: a.u.name, Endpoint: a.e.address, Kind: ClientLeft, Sent: true, Doing: "100 Continue", Err: err}
			}
			a.sendKept(req, client)
			continue
		}
		switch {
		case a.Head.Status >= 200, a.Head.Status == 101 && a.agreed(req):
			a.HeadAt = time.Now()
			a.l.socket.SetReadDeadline(time.Time{}) //nolint:errcheck // the read fails
			a.l.socket.SetReadIdle(a.u.IdleBodyTimeout)
			return nil
		case a.Head.Status == 101:
			return a.fail("response head", &malformed{errors.New("101 Switching Protocols, which was not asked for")})
		}
		if err := to.Interim(&a.Head); err != nil {
			return &Error{Upstream: a.u.name, Endpoint: a.e.address, Kind: ClientLeft, Sent: true, Doing: "interim response", Err: err}
		}
		if a.kept && a.Head.Status == 100 {
			a.sendKept(req, client)
		}
	}
	return a.fail("response head", &malformed{fmt.Errorf("more than %d interim responses", maxInterims)})
}

// errUnclean says that the connection that was kept is of no use, and that nothing was written on it.
var errUnclean = errors.New("connection not clean")

// writeHead writes the request's head. With no content behind it, it waits for the beginning of the response as well.
func (a *Attempt) writeHead(req *Request) (err error) {
	l, n, came := a.l, 0, 0
	if req.Body == nil && l.plain() {
		n, came, err = l.socket.Ask(req.Head, l.buf)
		l.w, l.heard = came, came > 0
	} else {
		n, err = l.stream.Write(req.Head)
	}
	a.wrote = n > 0
	switch {
	case err == conn.ErrNotClean && l.reused:
		return errUnclean
	case err != nil && n == len(req.Head):
		return a.fail("response head", err)
	case err != nil:
		return a.fail("request head", err)
	}
	return nil
}

// sendKept starts to send the content that has waited.
func (a *Attempt) sendKept(req *Request, client *conn.Accepted) {
	a.kept = false
	a.l.socket.SetReadDeadline(after(time.Now(), a.u.HeadTimeout)) //nolint:errcheck // the read fails
	a.body.start(a.l, req, client)
}

func over(limit time.Time) bool { return !limit.IsZero() && !time.Now().Before(limit) }

// agreed reports whether a 101 changes to a protocol that was asked for (9110 7.8).
func (a *Attempt) agreed(req *Request) bool {
	if !a.hops.Upgrade() {
		return false
	}
	chosen := 0
	for i := range a.Head.Fields {
		if f := &a.Head.Fields[i]; f.Known == wire.Upgrade {
			for e := range wire.Elements(f.Value) {
				if !wire.Lists(req.Upgrade, e) {
					return false
				}
				chosen++
			}
		}
	}
	return chosen > 0
}

// Tunnel is the connection once the upstream has agreed to another protocol: what it reads comes after the 101. It holds
// until Close.
func (a *Attempt) Tunnel() *Tunnel { return &Tunnel{a.l} }

// A Tunnel is a connection that no longer speaks HTTP.
type Tunnel struct{ l *link }

// Read implements io.Reader. It returns [conn.ErrEnd] or io.EOF at the end.
func (t *Tunnel) Read(p []byte) (int, error) {
	if l := t.l; l.r < l.w {
		n := copy(p, l.buf[l.r:l.w])
		l.r += n
		return n, nil
	}
	return t.l.stream.Read(p)
}

// Write implements io.Writer.
func (t *Tunnel) Write(p []byte) (int, error) { return t.l.stream.Write(p) }

// CloseWrite says to the upstream that nothing more will come.
func (t *Tunnel) CloseWrite() error { return conn.CloseWrite(t.l.stream, t.l.socket) }

// Socket is what lies below TLS, for its deadlines.
func (t *Tunnel) Socket() *conn.Socket { return t.l.socket }

// after is the time d after now, or zero, which is never, if d is 0.
func after(now time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return now.Add(d)
}

// readHead reads one head and says how the content behind it ends.
func (a *Attempt) readHead(req *Request) error {
	l := a.l
	limit := a.u.MaxHead
	if limit <= 0 {
		limit = linkBuffer
	}
	n := wire.HeadEnd(l.buf[l.r:l.w], 0)
	for n < 0 {
		have := l.w - l.r
		if bareLF(l.buf[l.r:l.w]) {
			return &malformed{errors.New("a line that ends in LF alone")} // whoever sends that waits for us, not we for it
		}
		if have >= limit || !l.grow(max(limit, linkBuffer)) {
			return &malformed{fmt.Errorf("longer than %d bytes", limit)}
		}
		err := l.fill()
		if err != nil && a.moreTime(req, err) {
			continue
		}
		if err != nil {
			if have > 0 && (err == conn.ErrEnd || err == io.EOF) {
				return fmt.Errorf("ended after %d bytes: %w", have, err)
			}
			return err
		}
		n = wire.HeadEnd(l.buf[l.r:l.w], have)
	}
	if n > limit {
		return &malformed{fmt.Errorf("longer than %d bytes", limit)}
	}
	a.head = append(a.head[:0], l.buf[l.r:l.r+n]...)
	l.r += n
	err := a.Head.Parse(a.head)
	if err == nil {
		a.Framing, a.Length, err = wire.ResponseFraming(a.Head.Fields, a.Head.Minor, a.Head.Status, req.Method)
	}
	if err != nil {
		return &malformed{err}
	}
	a.hops.ReadHops(a.Head.Fields)
	if a.hops.TooMany {
		return &malformed{errors.New("the field Connection lists too many names")}
	}
	switch a.Framing {
	case wire.NoBody:
		a.done = a.Head.Status >= 200
	case wire.Length:
		a.left = a.Length
		a.done = a.left == 0
	case wire.Chunked:
		a.chunks.Reset()
		for i := range a.Head.Fields {
			a.misused = a.misused || a.Head.Fields[i].Known == wire.ContentLength
		}
	}
	return nil
}

// bareLF reports whether b, a head that is not whole, has a line without CR at its end.
func bareLF(b []byte) bool {
	for i := bytes.IndexByte(b, '\n'); i >= 0; i = bytes.IndexByte(b, '\n') {
		if i == 0 || b[i-1] != '\r' {
			return true
		}
		b = b[i+1:]
	}
	return false
}

// moreTime reports whether err is a timeout that came before the response could be late, and sets the one that holds.
func (a *Attempt) moreTime(req *Request, err error) bool {
	deadline, now, limit := a.body.headDeadline(a.u.HeadTimeout), time.Now(), req.tryLimit()
	if !a.body.started || !errors.Is(err, os.ErrDeadlineExceeded) || !limit.IsZero() && !now.Before(limit) {
		return false
	}
	if deadline.IsZero() {
		deadline = now.Add(a.u.HeadTimeout)
	}
	return now.Before(deadline) && a.l.socket.SetReadDeadline(deadline) == nil
}

// Hops tells which of Head's fields are not to be forwarded.
func (a *Attempt) Hops() *wire.Hops { return &a.hops }

// Done reports whether the whole response has been read.
func (a *Attempt) Done() bool { return a.done }

// Arrived reports whether the whole response is known to have come, read or not.
func (a *Attempt) Arrived() bool {
	return a.done || a.Framing == wire.Length && int64(a.l.w-a.l.r) >= a.left
}

// Trailers are the fields behind a chunked content, once Done.
func (a *Attempt) Trailers() []wire.Field { return a.trailer }

// Next returns the next piece of the content, decoded from its framing, which holds until the following call. A piece may be
// empty when the response is done. It must not be called when Done.
func (a *Attempt) Next() ([]byte, error) {
	if a.broken != nil {
		return nil, a.broken
	}
	piece, err := a.next()
	if err != nil {
		a.broken = a.fail("response content", err)
		a.judge(a.broken)
	}
	return piece, a.broken
}

func (a *Attempt) next() ([]byte, error) {
	l := a.l
	for {
		if l.r < l.w {
			piece, err := a.piece()
			if err != nil || len(piece) > 0 || a.done {
				return piece, err
			}
		}
		if l.r == l.w && l.w == len(l.buf) {
			l.bulk() // it came faster than the buffer takes it
		}
		if err := l.fill(); err != nil {
			if a.Framing == wire.UntilClose && a.cleanEnd(err) {
				a.done = true
				return nil, nil
			}
			return nil, err
		}
		a.lastAt = time.Now()
	}
}

// cleanEnd reports whether err is how a content ends that ends with the connection: FIN, and over TLS a close_notify.
func (a *Attempt) cleanEnd(err error) bool {
	if a.u.TLS != nil {
		return err == io.EOF
	}
	return err == conn.ErrEnd
}

// piece takes content out of what has been read.
func (a *Attempt) piece() ([]byte, error) {
	l := a.l
	b := l.buf[l.r:l.w]
	switch a.Framing {
	case wire.Length:
		if int64(len(b)) > a.left {
			b = b[:a.left]
		}
		a.left -= int64(len(b))
		a.done = a.left == 0
		l.r += len(b)
		return b, nil
	case wire.Chunked:
		return a.unchunk(b)
	default:
		l.r = l.w
		return b, nil
	}
}

// unchunk moves the content of all chunks in b together, at the place of the first: what leaves the gateway is chunked by
// how it arrived, not by how the upstream cut it.
func (a *Attempt) unchunk(b []byte) ([]byte, error) {
	var piece []byte
	for len(b) > 0 && !a.chunks.Done() {
		content, used, err := a.chunks.Next(b)
		a.l.r += used
		if err != nil {
			return piece, &malformed{err}
		}
		if piece == nil {
			piece = content
		} else {
			piece = append(piece, content...) // behind it lies only framing that was read
		}
		b = b[used:]
	}
	if a.chunks.Done() {
		var err error
		if a.trailer, err = wire.ParseFields(a.trailer[:0], a.chunks.Trailers()); err != nil {
			return piece, &malformed{err}
		}
		a.done = true
	}
	return piece, nil
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
	for a.broken == nil && !a.done && a.Buffered() {
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

// Buffered reports whether there is content to be had without waiting.
func (a *Attempt) Buffered() bool { return a.l != nil && a.l.r < a.l.w }
