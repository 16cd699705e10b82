package upstream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// A sender sends a request's content while its attempt waits for the response. It is the one goroutine that an exchange
// may have beside its own, and it has ended before the attempt is closed.
type sender struct {
	started bool
	joined  bool // the goroutine has ended
	taken   bool // its result has been taken
	sent    bool // valid once joined: all of the content has left
	result  chan bool

	endedAt atomic.Int64 // when the goroutine had nothing left to send, in Unix nanoseconds; 0 before
	err     error        // of reading the client's content; valid once endedAt is set
	buf     []byte
}

func (s *sender) reset() {
	s.started, s.joined, s.taken, s.sent, s.err = false, false, false, false, nil
	s.endedAt.Store(0)
}

// slim lets go of a buffer that a large piece has made large.
func (s *sender) slim() {
	if cap(s.buf) > bulkBuffer {
		s.buf = nil
	}
}

// start sends the content of req over l in a goroutine of its own.
func (s *sender) start(l *link, req *Request, client *conn.Accepted) {
	if s.result == nil {
		s.result = make(chan bool, 1)
	}
	s.started = true
	client.SetReadDeadline(time.Time{}) //nolint:errcheck // the read fails; it was the request head's
	client.SetReadIdle(req.BodyIdle)
	go s.run(l, req)
}

func (s *sender) run(l *link, req *Request) {
	source, err := s.send(l, req)
	s.err = source
	s.endedAt.Store(time.Now().UnixNano())
	if source != nil {
		l.socket.Interrupt() // without the rest of the content there is no response worth waiting for
	}
	s.result <- source == nil && err == nil
}

// send returns the error of the content's source, or of the upstream's connection.
func (s *sender) send(l *link, req *Request) (source, sink error) {
	defer func() {
		if p := recover(); p != nil {
			source = &Panic{p, debug.Stack()}
		}
	}()
	for {
		piece, err := req.Body.Next()
		if err != nil && err != io.EOF {
			return err, nil
		}
		switch {
		case !req.Chunks:
			s.buf = s.buf[:0]
		case err == io.EOF:
			piece = nil
			s.buf = wire.AppendLastChunk(s.buf[:0], req.Body.Trailers())
		default:
			s.buf = wire.AppendChunk(s.buf[:0], piece)
		}
		if req.Chunks {
			piece = s.buf
		}
		if len(piece) > 0 {
			late := !req.Limit.IsZero() && time.Until(req.Limit) < shortly
			if _, err := l.stream.Write(piece); late && errors.Is(err, os.ErrDeadlineExceeded) {
				return errLate, nil // it may not even have been tried
			} else if err != nil {
				return nil, err
			}
		}
		if err == io.EOF {
			return nil, nil
		}
	}
}

// failure is the error of the client's content, if that is what ended the sending.
func (s *sender) failure() error {
	if s.endedAt.Load() == 0 {
		return nil
	}
	return s.err
}

// headDeadline says until when the response head may take, limit after the content's last byte; zero while that is being sent.
func (s *sender) headDeadline(limit time.Duration) time.Time {
	ended := s.endedAt.Load()
	if ended == 0 {
		return time.Time{}
	}
	return time.Unix(0, ended).Add(limit)
}

// endsWithin waits that long for the goroutine to end, and reports whether it has.
func (s *sender) endsWithin(d time.Duration) bool {
	if s.taken || s.endedAt.Load() != 0 {
		return true
	}
	if d == 0 {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case s.sent = <-s.result:
		s.taken = true
		return true
	case <-timer.C:
		return false
	}
}

// join waits for the goroutine and reports whether all of the content has left. It may be called again.
func (s *sender) join(client *conn.Accepted) bool {
	if !s.taken {
		s.sent, s.taken = <-s.result, true
	}
	if !s.joined {
		s.joined = true
		client.SetReadIdle(0)
	}
	return s.sent
}

// errLate is why a client's content is not waited for any longer when the exchange's time is over.
var errLate = fmt.Errorf("the content was still on its way: %w", os.ErrDeadlineExceeded)

// timeIsOver ends the sending of a content because the exchange's time is over, and so finds out who has used that up: the
// client, which has not sent all of it, see failure; or the upstream, which has not taken what there is.
func (s *sender) timeIsOver(client *conn.Accepted) {
	if !s.started || s.endedAt.Load() != 0 {
		return
	}
	client.Interrupt() // a write to the upstream ends by itself, by the same limit
	s.join(client)
	client.Resume()
	if errors.Is(s.err, conn.ErrInterrupted) {
		s.err = errLate
	}
}

// stop breaks into the sending and waits for its end.
func (s *sender) stop(l *link, client *conn.Accepted) {
	client.Interrupt()
	l.socket.Interrupt()
	s.join(client)
	client.Resume()
}
