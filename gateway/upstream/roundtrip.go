package upstream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// maxInterims is how many 1xx responses one request may get.
const maxInterims = 32

// exchange writes the request and reads heads up to the final response's.
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
		a.startSending(req, client, now)
	}
	for range maxInterims {
		if err := a.readHead(req); err != nil {
			if !a.kept || a.u.ContinueTimeout <= 0 || !errors.Is(err, os.ErrDeadlineExceeded) || over(a.limit(req)) {
				if errors.Is(err, os.ErrDeadlineExceeded) && over(req.Limit) {
					a.body.timeIsOver(client)
				}
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
			a.limitReading(req)
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

// writeHead writes the request's head. With no content behind it, it waits for the beginning of the response as well.
// [conn.ErrNotClean] says that the connection that was kept is of no use, and that nothing was written on it.
func (a *Attempt) writeHead(req *Request) (err error) {
	l, n, came := a.l, 0, 0
	if req.Body == nil && l.plain() && l.reused { // what a new connection says at once may be an answer
		n, came, err = l.socket.Ask(req.Head, l.buf)
		l.w, l.heard = came, came > 0
	} else {
		n, err = l.stream.Write(req.Head)
	}
	a.wrote = n > 0
	switch {
	case err == conn.ErrNotClean && l.reused:
		return err
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
	a.startSending(req, client, time.Now())
}

func (a *Attempt) startSending(req *Request, client *conn.Accepted, now time.Time) {
	a.l.socket.SetReadDeadline(after(now, a.headTime(req))) //nolint:errcheck // the read fails
	a.body.start(a.l, req, client)
	a.limitReading(req)
}

// headTime is how long the response head may take behind the content's last byte; 0: as long as the exchange.
func (a *Attempt) headTime(req *Request) time.Duration {
	if t := a.u.HeadTimeout; req.Try <= 0 || t > 0 && t < req.Try {
		return t
	}
	return req.Try
}

func over(limit time.Time) bool { return !limit.IsZero() && !time.Now().Before(limit) }

// after is the time d after now, or zero, which is never, if d is 0.
func after(now time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return now.Add(d)
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
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
		if wire.BareLF(l.buf[l.r:l.w], 0) {
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

// moreTime reports whether err is a timeout that came before the response could be late, and sets the one that holds.
func (a *Attempt) moreTime(req *Request, err error) bool {
	if !a.body.started || !errors.Is(err, os.ErrDeadlineExceeded) || over(req.Limit) {
		return false
	}
	deadline, now := a.body.headDeadline(a.headTime(req)), time.Now()
	if deadline.IsZero() {
		deadline = now.Add(a.headTime(req))
	}
	return now.Before(deadline) && a.l.socket.SetReadDeadline(deadline) == nil
}
