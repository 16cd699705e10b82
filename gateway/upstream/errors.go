package upstream

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
)

// A Kind says how an attempt failed.
type Kind uint8

const (
	Connect    Kind = iota + 1 // no connection could be made
	Busy                       // a limit of ours is reached: nothing was tried
	Timeout                    // it took too long
	Protocol                   // what came is not HTTP/1.1
	Cut                        // the connection ended or broke before the response did
	ClientLeft                 // the client went away, so nobody waits for a response
	ClientBody                 // the client's content could not be read to its end
	Broken                     // the request's Body panicked
	Unhealthy                  // no endpoint is fit to be asked: nothing was tried
	Resting                    // the circuit breaker is open: nothing was tried
)

var kindNames = [...]string{"", "connect", "busy", "timeout", "protocol", "cut", "client left", "client body", "broken", "unhealthy", "resting"}

// String returns the word for k in metrics and logs.
func (k Kind) String() string { return kindNames[k] }

// ErrLeft says that a client went away while its request waited.
var ErrLeft = errors.New("the client has left")

// An Error is why an attempt failed.
type Error struct {
	Upstream string
	Endpoint string // that was tried
	Kind     Kind
	Sent     bool   // a byte of the request may have reached the endpoint
	Doing    string // such as "response head"
	Err      error
	After    time.Duration // until it may be worth asking again; 0: not known
}

func (e *Error) Error() string {
	return fmt.Sprintf("upstream %q: %s: %s: %v", e.Upstream, e.Doing, e.Kind, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// fail says what err, met while doing something on a connection, means.
func (a *Attempt) fail(doing string, err error) error {
	kind := Cut
	var network net.Error
	source := a.body.failure()
	switch {
	case source != nil:
		kind, err = ClientBody, source
		if _, panicked := source.(*Panic); panicked {
			kind = Broken
		} else if errors.Is(err, conn.ErrEnd) || errors.Is(err, conn.ErrInterrupted) {
			kind = ClientLeft
		}
	case errors.Is(err, conn.ErrInterrupted):
		kind = ClientLeft
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		kind = Timeout
	case errors.As(err, new(*malformed)):
		kind = Protocol
	}
	return &Error{Upstream: a.u.name, Endpoint: a.e.address, Kind: kind, Sent: a.wrote, Doing: doing, Err: err}
}

// malformed wraps what is wrong with the bytes that an upstream sent.
type malformed struct{ error }

func (m *malformed) Unwrap() error { return m.error }

// A Panic is what a request's Body broke with. It costs that request, as it would in the request's own goroutine.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }
