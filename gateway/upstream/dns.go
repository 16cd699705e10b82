package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"
)

// DNS makes an endpoint of every address that a name has (Envoy: STRICT_DNS). Without it a name is one endpoint, looked up
// whenever a connection is made (much like LOGICAL_DNS). Other than in Envoy, a lookup that finds nothing changes nothing,
// and until the first one has found something the name itself is the endpoint.
type DNS struct {
	Refresh time.Duration // between two lookups (dns_refresh_rate); 0: names are not made into addresses
	Timeout time.Duration // of one lookup; 0: the resolver's own
	Family  string        // "ip4", "ip6", or "" for both (dns_lookup_family)
	Server  string        // host:port to ask; "": the system's resolver
}

// resolver returns what d asks. A lookup that nobody waits for any more ends at once where Go makes it: of itself, net.Resolver
// would go on reading until its timeout.
func (d *DNS) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: d.Server != "", Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if d.Server != "" {
			address = d.Server
		}
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // then it is closed
		}
		return c, err
	}}
}

// resolve looks up the i-th of u's addresses, a name, again and again.
func (u *Upstream) resolve(i int, host, port string) {
	for {
		found, err := u.lookup(host)
		switch {
		case u.ctx.Err() != nil:
			return
		case err != nil:
			u.lookupsFailed.Add(1)
		default:
			addresses := make([]Address, 0, len(found))
			for _, ip := range found {
				addresses = append(addresses, Address{net.JoinHostPort(ip.String(), port), u.Addresses[i].Weight})
			}
			u.found(i, addresses)
		}
		if !u.sleep(u.ctx, jittered(u.DNS.Refresh)) {
			return
		}
	}
}

// lookup returns the addresses of a name, sorted: it does not matter in which order they came.
func (u *Upstream) lookup(host string) ([]netip.Addr, error) {
	ctx := u.ctx
	if u.DNS.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, u.DNS.Timeout)
		defer cancel()
	}
	family := u.DNS.Family
	if family == "" {
		family = "ip"
	}
	u.lookups.Add(1)
	found, err := u.resolver.LookupNetIP(ctx, family, host)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	slices.SortFunc(found, netip.Addr.Compare)
	found = slices.Compact(found)
	if err == nil && len(found) == 0 {
		err = errors.New("no addresses")
	}
	return found, err
}

// found says what the i-th of u's addresses stands for.
func (u *Upstream) found(i int, addresses []Address) {
	u.mu.Lock()
	if u.closed || slices.Equal(u.resolved[i], addresses) {
		u.mu.Unlock()
		return
	}
	u.resolved[i] = addresses
	came, left := u.compose()
	u.mu.Unlock()
	for _, e := range left {
		e.retire() // its idle connections are closed, those in use when their exchanges have ended
		u.notice(e, "gone from DNS", "")
	}
	for _, e := range came {
		u.notice(e, "found in DNS", "")
	}
}

// compose makes the endpoints of what u's addresses stand for: those that are there already stay as they are. u.mu is held.
func (u *Upstream) compose() (came, left []*Endpoint) {
	old := map[Address]*Endpoint{}
	if s := u.endpoints.Load(); s != nil {
		for _, e := range s.all {
			old[Address{e.address, e.weight}] = e
		}
	}
	var all []*Endpoint
	seen := map[string]bool{}
	for _, list := range u.resolved {
		for _, a := range list {
			if seen[a.Address] {
				continue // two names for one endpoint
			}
			seen[a.Address] = true
			e := old[a]
			if delete(old, a); e == nil {
				e = &Endpoint{u: u, address: a.Address, weight: a.Weight}
				came = append(came, e)
				u.watch(e)
			}
			all = append(all, e)
		}
	}
	for _, e := range old {
		e.pardon()
		e.unwatch()
		left = append(left, e)
	}
	u.arrange(all)
	return came, left
}

// sleep reports whether ctx had not ended by then.
func (u *Upstream) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// jittered is d and up to a tenth more: what begins at the same time in many places shall not stay so.
func jittered(d time.Duration) time.Duration { return d + rand.N(d/10+1) }
