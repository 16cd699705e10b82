package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
)

// An Endpoint is one address of an upstream, with the connections to it and what is thought of it.
type Endpoint struct {
	u       *Upstream
	address string
	weight  int

	mu   sync.Mutex
	idle []*link // the most recently used last
	gone bool    // connections are not kept any more

	open     atomic.Int64
	pending  atomic.Int64 // connections lent or being made; counted for [LeastPending] only
	dials    atomic.Uint64
	failures atomic.Uint64

	standing // see outlier.go
	checked  // see health.go
}

// Address is where e is, as host:port.
func (e *Endpoint) Address() string { return e.address }

// Stats returns e's counts.
func (e *Endpoint) Stats() EndpointStats {
	s := EndpointStats{
		Address: e.address, Weight: e.weight, Open: int(e.open.Load()), Idle: e.unused(),
		Dials: e.dials.Load(), Failures: e.failures.Load(), Ejections: e.ejections.Load(),
		Checks: e.checks.Load(), ChecksFailed: e.checksFailed.Load(),
	}
	e.u.mu.Lock()
	defer e.u.mu.Unlock()
	s.Ejected, s.Healthy = e.ejection != nil, !e.sick
	return s
}

// EndpointStats are counts since the endpoint is there, and what is now.
type EndpointStats struct {
	Address              string
	Weight               int
	Open, Idle           int
	Dials                uint64
	Failures             uint64 // as [Outliers] has them
	Ejected              bool
	Ejections            uint64
	Healthy              bool // by its health checks; without them it always is
	Checks, ChecksFailed uint64
}

var errBusy = errors.New("limit of connections reached")

// take returns a connection that is open and has nothing to read, an idle one if there is one and fresh is not asked for. One
// without TLS may be unseen, for a caller that looks itself, see [conn.Socket.Ask]. A
// client that leaves while a connection is being made, if it is not nil, ends that; afterwards it may still be watched. What was
// taken is given back once, by put or drop.
func (e *Endpoint) take(fresh, unseen bool, limit time.Time, client *conn.Accepted) (*link, error) {
	if e.u.Balance == LeastPending {
		e.pending.Add(1)
	}
	for !fresh {
		e.mu.Lock()
		n := len(e.idle) - 1
		if n < 0 {
			e.mu.Unlock()
			break
		}
		l := e.idle[n]
		e.idle[n] = nil
		e.idle = e.idle[:n]
		e.mu.Unlock()
		if !(unseen && l.plain()) && !l.clean() {
			e.u.stale.Add(1)
			e.discard(l)
			continue
		}
		l.reused = true
		e.u.reuses.Add(1)
		return l, nil
	}
	return e.dial(limit, client)
}

func (e *Endpoint) dial(limit time.Time, client *conn.Accepted) (*link, error) {
	u := e.u
	if n := u.open.Add(1); u.MaxConnections > 0 && n > int64(u.MaxConnections) && !u.makeRoom(e) {
		u.open.Add(-1)
		e.returned()
		return nil, &Error{Upstream: u.name, Endpoint: e.address, Kind: Busy, Doing: "connect", Err: errBusy}
	}
	e.open.Add(1)
	u.dials.Add(1)
	e.dials.Add(1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if client != nil {
		client.Watch(interruption(cancel))
	}
	l, err := u.connect(ctx, e.address, limit)
	if err == nil {
		l.from = e
		return l, nil
	}
	if client != nil {
		client.Unwatch()
	}
	e.open.Add(-1)
	u.open.Add(-1)
	e.returned()
	kind := Connect
	if network := net.Error(nil); ctx.Err() != nil {
		kind = ClientLeft
	} else if errors.As(err, &network) && network.Timeout() {
		kind = Timeout
	}
	return nil, &Error{Upstream: u.name, Endpoint: e.address, Kind: kind, Doing: "connect", Err: err}
}

// An interruption has a client that leaves cancel a context.
type interruption context.CancelFunc

// Interrupt implements [conn.Interrupter].
func (i interruption) Interrupt() { i() }

// connect makes a connection before limit, if that is not zero, and within ConnectTimeout.
func (u *Upstream) connect(ctx context.Context, address string, limit time.Time) (*link, error) {
	if u.ConnectTimeout > 0 {
		if end := time.Now().Add(u.ConnectTimeout); limit.IsZero() || end.Before(limit) {
			limit = end
		}
	}
	if !limit.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, limit)
		defer cancel()
	}
	dialer := net.Dialer{Resolver: u.resolver}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := conn.NewSocket(c)
	l := &link{socket: s, stream: s, small: make([]byte, linkBuffer)}
	l.buf = l.small
	if u.TLS != nil {
		t := tls.Client(s, u.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, err
		}
		l.stream = t
	}
	return l, nil
}

// returned counts that a connection which was taken, or could not be made, is not in use.
func (e *Endpoint) returned() {
	if e.u.Balance == LeastPending {
		e.pending.Add(-1)
	}
}

// drop gives back a connection that is of no use any more.
func (e *Endpoint) drop(l *link) {
	e.returned()
	e.discard(l)
}

func (e *Endpoint) discard(l *link) {
	l.slim()
	l.stream.Close()
	e.open.Add(-1)
	e.u.open.Add(-1)
}

// put gives back a connection on which an exchange has ended cleanly.
func (e *Endpoint) put(l *link, now time.Time) {
	l.slim()
	l.since = now
	e.returned()
	var oldest *link
	e.mu.Lock()
	switch {
	case e.gone, e.u.MaxIdle <= 0:
		oldest = l
	case len(e.idle) >= e.u.MaxIdle:
		oldest = e.idle[0]
		copy(e.idle, e.idle[1:])
		e.idle[len(e.idle)-1] = l
	default:
		e.idle = append(e.idle, l)
	}
	e.mu.Unlock()
	if oldest != nil {
		e.discard(oldest)
	}
}

// unused is how many idle connections there are.
func (e *Endpoint) unused() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.idle)
}

// retire closes the idle connections, now and whatever is given back.
func (e *Endpoint) retire() {
	e.mu.Lock()
	idle := e.idle
	e.idle, e.gone = nil, true
	e.mu.Unlock()
	for _, l := range idle {
		e.discard(l)
	}
}

func (e *Endpoint) closeBefore(t time.Time) {
	e.mu.Lock()
	n := 0
	for n < len(e.idle) && e.idle[n].since.Before(t) {
		n++
	}
	old := append([]*link(nil), e.idle[:n]...)
	e.idle = slices.Delete(e.idle, 0, n)
	e.mu.Unlock()
	for _, l := range old {
		e.discard(l)
	}
}

// makeRoom closes an unused connection to another endpoint than to, the one that has not been used for the longest. It reports
// whether there was one: the idle connections of one endpoint must not keep another from having any.
func (u *Upstream) makeRoom(to *Endpoint) bool {
	for {
		var oldest *Endpoint
		var since time.Time
		for _, e := range u.endpoints.Load().all {
			e.mu.Lock()
			if e != to && len(e.idle) > 0 && (oldest == nil || e.idle[0].since.Before(since)) {
				oldest, since = e, e.idle[0].since
			}
			e.mu.Unlock()
		}
		if oldest == nil {
			return false
		}
		if l := oldest.oldest(); l != nil {
			oldest.discard(l)
			return true
		}
	}
}

// oldest takes the idle connection that has not been used for the longest; nil if there is none.
func (e *Endpoint) oldest() *link {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.idle) == 0 {
		return nil
	}
	l := e.idle[0]
	e.idle = slices.Delete(e.idle, 0, 1)
	return l
}
