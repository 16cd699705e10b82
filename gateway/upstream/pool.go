package upstream

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how to reach and use an upstream. Zero timeouts are none.
type Options struct {
	Name      string
	Address   string      // host:port, where Addresses are not given
	Addresses []Address   // among which requests are balanced
	TLS       *tls.Config // nil: plain

	ConnectTimeout  time.Duration // for TCP and TLS together
	HeadTimeout     time.Duration // from the request's last byte to the response head's
	IdleBodyTimeout time.Duration // between two reads of a content, and for each write
	IdleTimeout     time.Duration // for which an unused connection is kept

	MaxConnections int // open at a time; 0: no limit
	MaxIdle        int // kept unused with each address
	MaxHead        int // bytes of a response head
}

// An Address is a host:port, and its share of the requests.
type Address struct {
	Address string
	Weight  int // 0 is 1
}

// An Upstream is a set of endpoints, each a pool of connections to one address. It outlives the configuration that named it as long as nothing of
// its Options changes.
type Upstream struct {
	Options
	name string

	endpoints atomic.Pointer[endpoints]
	turn      atomic.Uint32

	mu     sync.Mutex // of what changes the endpoints
	closed bool

	open    atomic.Int64
	dials   atomic.Uint64
	reuses  atomic.Uint64
	retries atomic.Uint64
	stale   atomic.Uint64

	stop chan struct{}
	done chan struct{}
}

// New returns a pool without connections. Close ends it.
func New(o Options) *Upstream {
	u := &Upstream{Options: o, name: o.Name, stop: make(chan struct{}), done: make(chan struct{})}
	addresses := o.Addresses
	if len(addresses) == 0 {
		addresses = []Address{{Address: o.Address}}
	}
	var all []*Endpoint
	for _, a := range addresses {
		all = append(all, &Endpoint{u: u, address: a.Address})
	}
	u.endpoints.Store(&endpoints{all: all, order: all})
	go u.reap()
	return u
}

// Stats are counts since the start, and the connections now.
type Stats struct {
	Open, Idle                    int
	Dials, Reuses, Retries, Stale uint64
}

// Stats returns u's counts.
func (u *Upstream) Stats() Stats {
	idle := 0
	for _, e := range u.endpoints.Load().all {
		idle += e.unused()
	}
	return Stats{int(u.open.Load()), idle, u.dials.Load(), u.reuses.Load(), u.retries.Load(), u.stale.Load()}
}

// Close closes the idle connections. Those in use are closed when their attempts end.
func (u *Upstream) Close() {
	u.mu.Lock()
	closed := u.closed
	u.closed = true
	u.mu.Unlock()
	if closed {
		return
	}
	for _, e := range u.endpoints.Load().all {
		e.retire()
	}
	close(u.stop)
	<-u.done
}

// reap closes connections that have not been used for IdleTimeout.
func (u *Upstream) reap() {
	defer close(u.done)
	if u.IdleTimeout <= 0 {
		<-u.stop
		return
	}
	ticker := time.NewTicker(max(u.IdleTimeout/2, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-u.stop:
			return
		case now := <-ticker.C:
			for _, e := range u.endpoints.Load().all {
				e.closeBefore(now.Add(-u.IdleTimeout))
			}
		}
	}
}
