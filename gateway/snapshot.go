package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/breakwater-gateway/breakwater/gateway/route"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/plugins"
)

// A snapshot is a configuration bound to running parts. It never changes; requests are pinned to one. The parts that outlive
// it (limiters, unchanged pools and plugins) are only held by it, and are let go when its last request has left.
type snapshot struct {
	config     *config.Config
	table      *route.Table[*boundRoute]
	clients    *admit.Directory // nil: nobody is asked who they are
	credential string           // the field that carries a client's key
	accessLog  *accessLog       // nil: none
	secure     *serverTLS       // nil: the listener is plain

	proxies       []netip.Prefix // whose word is taken on where requests come from
	clientAddress wire.Name      // the field in which they say what the client's address is

	routes  []*boundRoute
	pools   []*pool
	plugins []*plugins.Plugin
	holders atomic.Int64
	free    func()
}

// retain adds a holder unless the last one has left.
func (s *snapshot) retain() bool {
	for {
		n := s.holders.Load()
		if n == 0 {
			return false
		}
		if s.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *snapshot) release() {
	if s.holders.Add(-1) == 0 {
		s.free()
	}
}

// trusts reports whether a is the address of a proxy whose word on its own clients is taken.
func (s *snapshot) trusts(a netip.Addr) bool {
	for _, p := range s.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// A boundRoute is all that one request needs, bound when the file was read.
type boundRoute struct {
	name         string
	config       *config.Route
	upstream     *upstream.Upstream
	upstreamName string
	authority    string // the Host field for the upstream
	forwarding   forwarding
	inject       *config.Inject
	steps        []step
	errors       *admit.Limiter         // nil: nobody is blocked for errors
	rates        *admit.Rates           // nil: at any rate
	retry        *upstream.RetryOptions // nil: a request is tried once
	bodyLimit    int64                  // bytes; 0: none
	bodyIdle     time.Duration
	total        time.Duration // of the whole exchange; 0: no limit
	meters       *routeMeters
	upgrades     []string // protocols that a connection may change to
	continues    bool     // the gateway itself asks for content that waits
	halfClosed   bool     // a client that has sent FIN waits all the same
}

// A pool is an upstream that snapshots share for as long as its configuration stays what it is.
type pool struct {
	key      string
	upstream *upstream.Upstream
	holders  int
}

// bind makes a snapshot of c, or says all that cannot be bound, at the places in the file.
func (g *Gateway) bind(ctx context.Context, c *config.Config) (_ *snapshot, err error) {
	s := &snapshot{config: c}
	s.holders.Store(1)
	s.free = func() { g.free(s) }
	defer func() {
		if err != nil {
			g.free(s)
		}
	}()
	var wrong config.ErrorList
	trusted := c.Listen.TrustedProxies
	if c.Clients != nil {
		trusted = slices.Concat(trusted, c.Clients.TrustedProxies)
		s.credential = c.Clients.Credential.Field
		if s.clients, err = directory(c.Clients.List); err != nil {
			wrong = append(wrong, c.Clients.Errorf("file", "%w", err))
		}
	}
	for _, p := range trusted {
		s.proxies = append(s.proxies, p.Prefix)
	}
	if s.clientAddress = wire.ForwardedFor; c.Listen.ClientAddress == "forwarded" {
		s.clientAddress = wire.Forwarded
	}
	pools := map[*config.Upstream]*pool{}
	for _, u := range c.Upstreams {
		p, err := g.pool(u)
		if err != nil {
			wrong = append(wrong, u.Errorf("tls", "%w", err))
			continue
		}
		pools[u] = p
		s.pools = append(s.pools, p)
	}
	var entries []route.Entry[*boundRoute]
	for _, r := range c.Routes {
		b := &boundRoute{
			name: r.Name, config: r, upstreamName: r.To.Name, authority: r.To.URL.Authority(), inject: r.Inject,
			forwarding: forwardingOf(&r.To.Forwarded),
			bodyLimit:  int64(r.Limits.Body), bodyIdle: r.Limits.IdleBody, total: r.Limits.Total, meters: g.meters.route(r.Name),
			upgrades: r.Upgrade, continues: r.Continue == "gateway", halfClosed: r.HalfClosed == "waiting",
		}
		b.retry = retryOptions(r.Retry)
		if p := pools[r.To]; p != nil {
			b.upstream = p.upstream
		}
		if b.bodyIdle == 0 {
			b.bodyIdle = c.Listen.Timeouts.IdleBody
		}
		if e := r.Limits.Errors; e != nil {
			b.errors = g.limits.Limiter(r.Name)
			if err := errorPolicy(r).Check(); err != nil {
				wrong = append(wrong, e.Errorf("", "%w", err))
			}
		}
		if q := r.Limits.Requests; q != nil {
			b.rates = g.limits.Rates(r.Name)
			if err := ratePolicy(r).Check(); err != nil {
				wrong = append(wrong, q.Errorf("", "%w", err))
			}
		}
		for _, st := range r.Steps {
			bound, err := g.bindStep(ctx, r, st)
			if err != nil {
				wrong = append(wrong, err...)
				continue
			}
			s.plugins = append(s.plugins, bound.plugin)
			b.steps = append(b.steps, bound)
		}
		s.routes = append(s.routes, b)
		entries = append(entries, route.Entry[*boundRoute]{Name: r.Name, Host: r.Host, Methods: r.Methods, Path: r.Path, Value: b})
	}
	if s.table, err = route.New(entries); err != nil {
		wrong = append(wrong, c.Errorf(c.At("routes"), "routes", "%w", err))
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return s, nil
}

func (g *Gateway) bindStep(ctx context.Context, r *config.Route, st *config.Step) (step, config.ErrorList) {
	use := st.Use
	spec := plugins.Spec{
		Name: use.Name, Path: use.Path, Config: st.Config.JSON(), Interruption: use.Interruption,
		Limits: plugins.Limits{
			MemoryBytes: int64(use.Limits.Memory), Timeout: use.Limits.Time, Instances: use.Limits.Instances,
			Wait: max(100*time.Millisecond, use.Limits.Time), // an instance may rightly be taken for so long
		},
	}
	if !use.SHA256.IsZero() {
		spec.SHA256 = use.SHA256.String()
	}
	p, err := g.plugins.Load(ctx, spec)
	if err != nil {
		var refuses *plugins.ComplaintError
		if !errors.As(err, &refuses) {
			return step{}, config.ErrorList{use.Errorf("path", "%w", err)}
		}
		var wrong config.ErrorList
		for _, c := range refuses.Complaints {
			e := st.Errorf("config", "plugin %q: %s%s", use.Name, pointed(c.Pointer), c.Message)
			e.Pos = st.Config.PosAt(c.Pointer)
			wrong = append(wrong, e)
		}
		return step{}, wrong
	}
	b := step{name: st.Name, plugin: p, failClosed: st.OnFailure == "fail", wants: p.Wants(), meters: g.meters.step(r.Name, st.Name)}
	if st.Gate != nil {
		fallback, err := flags.ParseMode(st.Gate.Fallback)
		if err != nil {
			panic("BUG: gate: " + err.Error())
		}
		b.gate, b.gated = flags.NewGate(st.Gate.Flag, fallback), true
	}
	return b, nil
}

func pointed(pointer string) string {
	if pointer == "" {
		return ""
	}
	return pointer + ": "
}

func directory(list []*config.Client) (*admit.Directory, error) {
	clients := make([]admit.Client, 0, len(list))
	for _, c := range list {
		a := admit.Client{Name: c.Name, KeySHA256: c.KeySHA256, Attributes: c.Attributes, Secrets: map[string]admit.Secret{}}
		for name, secret := range c.Secrets {
			a.Secrets[name] = admit.NewSecret(secret.Reveal())
		}
		clients = append(clients, a)
	}
	return admit.NewDirectory(clients)
}

// gates are all that the snapshot's steps ask.
func (s *snapshot) gates() []flags.Gate {
	var gates []flags.Gate
	for _, r := range s.routes {
		for i := range r.steps {
			if r.steps[i].gated {
				gates = append(gates, r.steps[i].gate)
			}
		}
	}
	return gates
}

// applyLimits puts the snapshot's limits in force, without forgetting what clients have done.
func (g *Gateway) applyLimits(s *snapshot) {
	for _, r := range s.routes {
		if r.errors != nil {
			g.must(r.errors.SetPolicy(errorPolicy(r.config)))
		}
		if r.rates != nil {
			g.must(r.rates.SetPolicy(ratePolicy(r.config)))
		}
	}
	if c := s.config.Clients; c != nil {
		g.must(g.guesses.SetPolicy(admit.GuessPolicy{Misses: c.Guessing.Failures, Window: c.Guessing.Window, Block: c.Guessing.Block}))
	}
}

// errorPolicy and ratePolicy are a route's limits as admit has them, whose Check is the last word on them.
func errorPolicy(r *config.Route) admit.Policy {
	e := r.Limits.Errors
	return admit.Policy{Name: r.Name + "-errors", Errors: e.Count, Window: e.Window, Block: e.Block}
}

func ratePolicy(r *config.Route) admit.RatePolicy {
	q := r.Limits.Requests
	return admit.RatePolicy{Name: r.Name, Requests: q.Rate.Count, Per: q.Rate.Per, Burst: q.Burst}
}

// must reports a policy that should not have been bound; the old one stays in force.
func (g *Gateway) must(err error) {
	if err != nil {
		g.log.Error("BUG: a limit was not applied", "error", err)
	}
}

// pool returns the running pool of u's configuration, or a new one. It is held until let go.
func (g *Gateway) pool(u *config.Upstream) (*pool, error) {
	o := upstream.Options{
		Name: u.Name, Address: u.URL.Address(),
		ConnectTimeout: u.Timeouts.Connect, HeadTimeout: u.Timeouts.ResponseHead, ContinueTimeout: u.Timeouts.Continue, IdleBodyTimeout: u.Timeouts.IdleBody,
		IdleTimeout: u.Timeouts.IdleConnection, MaxConnections: u.Limits.Connections, MaxIdle: u.Limits.IdleConnections,
		MaxHead: int(u.Limits.Head),
	}
	endpointOptions(u, &o)
	spare(&o, u)
	key := fmt.Sprintf("%+v", o)
	if u.URL.TLS() {
		var files string
		var err error
		if o.TLS, files, err = clientTLS(u); err != nil {
			return nil, err
		}
		key += files
	}
	o.Noticed = g.noticedEndpoint(u.Name)
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pools[key]
	if p == nil {
		o.BreakerChanged = g.breakerChanged(u.Name)
		p = &pool{key: key, upstream: upstream.New(o)}
		g.pools[key] = p
	}
	p.holders++
	return p, nil
}

// free lets go of what s holds.
func (g *Gateway) free(s *snapshot) {
	for _, p := range s.plugins {
		p.Release()
	}
	var unused []*pool
	g.mu.Lock()
	for _, p := range s.pools {
		if p.holders--; p.holders == 0 {
			delete(g.pools, p.key)
			unused = append(unused, p)
		}
	}
	g.mu.Unlock()
	for _, p := range unused {
		p.upstream.Close()
	}
	if s.accessLog != nil {
		s.accessLog.release()
	}
}
