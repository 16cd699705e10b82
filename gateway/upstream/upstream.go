package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how to reach and use an upstream. Zero timeouts are none.
type Options struct {
	Name      string
	Address   string    // host:port, where Addresses are not given
	Addresses []Address // among which requests are balanced
	Balance   Balance
	TLS       *tls.Config // nil: plain

	ConnectTimeout  time.Duration // for TCP and TLS together
	HeadTimeout     time.Duration // from the request's last byte to the response head's
	ContinueTimeout time.Duration // for which a content waits that the head has announced with Expect; 0: until HeadTimeout
	IdleBodyTimeout time.Duration // between two reads of a content, and for each write
	IdleTimeout     time.Duration // for which an unused connection is kept

	MaxConnections int // open at a time; 0: no limit
	MaxIdle        int // kept unused with each address
	MaxHead        int // bytes of a response head

	DNS      DNS
	Health   Health
	Outliers Outliers
	// PanicThreshold is the share of endpoints, in percent, below which those that are available would be left with too much:
	// then all are used, as if all were well (Envoy: healthy_panic_threshold). With 0 there may be none to use.
	PanicThreshold int

	Limits   LimitOptions
	Breaker  BreakerOptions  // without Trials there is none
	Adaptive AdaptiveOptions // without Max there is no limit that follows the latency
	Budget   BudgetOptions   // of retries

	// BreakerChanged is told of each change of the circuit breaker's state; nil: nobody is.
	BreakerChanged func(from, to BreakerState, why string)

	// Noticed is told what becomes of endpoints, and why, in words; nil: nobody is.
	Noticed func(endpoint, what, why string)
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
	gate      *gate // nil: none
	budget    *Budget

	mu       sync.Mutex  // of what changes the endpoints
	resolved [][]Address // by place in Addresses: what it stands for
	closed   bool
	resolver *net.Resolver

	open       atomic.Int64
	dials      atomic.Uint64
	reuses     atomic.Uint64
	reconnects atomic.Uint64 // because a connection that was kept turned out to be closed
	stale      atomic.Uint64

	lookups       atomic.Uint64
	lookupsFailed atomic.Uint64

	ctx     context.Context // of all that runs beside the requests
	stop    context.CancelFunc
	running sync.WaitGroup
}

// New returns an upstream without connections. Close ends it.
func New(o Options) *Upstream {
	u := &Upstream{Options: o, name: o.Name, budget: NewBudget(o.Budget)}
	u.gate = newGate(&u.Options)
	if o.DNS != (DNS{}) {
		u.resolver = u.DNS.resolver()
	}
	u.ctx, u.stop = context.WithCancel(context.Background())
	if len(u.Addresses) == 0 {
		u.Addresses = []Address{{Address: o.Address}}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.Addresses = slices.Clone(u.Addresses)
	for i := range u.Addresses {
		a := &u.Addresses[i]
		a.Weight = max(a.Weight, 1)
		u.resolved = append(u.resolved, []Address{*a})
	}
	u.compose()
	if u.IdleTimeout > 0 {
		u.running.Go(u.reap)
	}
	if u.Outliers.SuccessRate.Endpoints > 0 {
		u.running.Go(u.compare)
	}
	if u.DNS.Refresh > 0 {
		for i, a := range u.Addresses {
			if host, port, err := net.SplitHostPort(a.Address); err == nil && !isIP(host) {
				u.running.Go(func() { u.resolve(i, host, port) })
			}
		}
	}
	return u
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// notice tells what has become of e.
func (u *Upstream) notice(e *Endpoint, what, why string) {
	if u.Noticed != nil {
		u.Noticed(e.address, what, why)
	}
}

// Stats are counts since the start, and the connections now.
type Stats struct {
	Open, Idle                       int
	Dials, Reuses, Reconnects, Stale uint64

	Limits         LimitStats
	Breaker        BreakerState
	BreakerOpened  uint64
	BreakerRefused uint64
	BudgetRefused  uint64 // retries
	BudgetLeft     float64
}

// Stats returns u's counts.
func (u *Upstream) Stats() Stats {
	idle := 0
	for _, e := range u.endpoints.Load().all {
		idle += e.unused()
	}
	s := Stats{
		Open: int(u.open.Load()), Idle: idle,
		Dials: u.dials.Load(), Reuses: u.reuses.Load(), Reconnects: u.reconnects.Load(), Stale: u.stale.Load(),
		BudgetRefused: u.budget.refused.Load(), BudgetLeft: u.budget.left(),
	}
	if u.gate != nil {
		u.gate.addTo(&s)
	}
	return s
}

// Budget is what u's retries are paid from.
func (u *Upstream) Budget() *Budget { return u.budget }

// Endpoints returns u's endpoints of this moment.
func (u *Upstream) Endpoints() []*Endpoint { return u.endpoints.Load().all }

// Lookups returns how many lookups of names there have been, and how many of them found nothing.
func (u *Upstream) Lookups() (made, failed uint64) { return u.lookups.Load(), u.lookupsFailed.Load() }

// Panicking reports whether so few endpoints are available that all are used.
func (u *Upstream) Panicking() bool { return u.endpoints.Load().panicking }

// Close ends health checks and lookups, and closes the idle connections. Those in use are closed when their attempts end.
func (u *Upstream) Close() {
	u.mu.Lock()
	closed := u.closed
	u.closed = true
	all := u.endpoints.Load().all
	for _, e := range all {
		e.pardon()
	}
	u.mu.Unlock()
	if closed {
		return
	}
	u.stop()
	for _, e := range all {
		e.retire()
	}
	u.running.Wait()
}

// reap closes connections that have not been used for IdleTimeout.
func (u *Upstream) reap() {
	ticker := time.NewTicker(max(u.IdleTimeout/2, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-u.ctx.Done():
			return
		case now := <-ticker.C:
			for _, e := range u.endpoints.Load().all {
				e.closeBefore(now.Add(-u.IdleTimeout))
			}
		}
	}
}
