package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Health asks endpoints how they are. It is Envoy's http_health_check with these differences: an endpoint is used until its
// first check, whose result counts at once, good or bad; no status makes an endpoint unhealthy at once later on; every check
// has a connection of its own (reuse_connection: false), which counts for no limit. Connections to an endpoint that has become
// unhealthy are left alone (close_connections_on_host_health_failure: false).
type Health struct {
	Path      string
	Host      string        // of the request
	Interval  time.Duration // between two checks, with up to a tenth more (interval); 0: there are none
	Timeout   time.Duration // of one (timeout)
	Healthy   int           // checks in a row that must pass (healthy_threshold)
	Unhealthy int           // that must fail (unhealthy_threshold)
	Statuses  []Status      // that pass (expected_statuses)
}

// checked is what health checks have said of an endpoint.
type checked struct {
	checks, checksFailed atomic.Uint64

	// Held by the upstream's mu.
	sick      bool
	endChecks context.CancelFunc // nil: there are none
}

// watch begins to check e, if there are checks. u.mu is held.
func (u *Upstream) watch(e *Endpoint) {
	if u.Health.Interval <= 0 {
		return
	}
	var ctx context.Context
	ctx, e.endChecks = context.WithCancel(u.ctx)
	u.running.Go(func() { u.check(ctx, e) })
}

// unwatch ends the checks of e. u.mu is held.
func (e *Endpoint) unwatch() {
	if e.endChecks != nil {
		e.endChecks()
	}
}

// check checks e until ctx ends.
func (u *Upstream) check(ctx context.Context, e *Endpoint) {
	h := &u.Health
	inARow, last, first := 0, true, true
	for {
		err := u.probe(ctx, e.address)
		if ctx.Err() != nil {
			return
		}
		e.checks.Add(1)
		if err != nil {
			e.checksFailed.Add(1)
		}
		if good := err == nil; good == last {
			inARow++
		} else {
			last, inARow = good, 1
		}
		if first || last && inARow == h.Healthy || !last && inARow == h.Unhealthy {
			u.diagnose(e, err)
		}
		first = false
		if !u.sleep(ctx, jittered(h.Interval)) {
			return
		}
	}
}

// diagnose says that e is well, or, with an error, that it is not.
func (u *Upstream) diagnose(e *Endpoint, err error) {
	u.mu.Lock()
	if e.sick == (err != nil) || u.closed {
		u.mu.Unlock()
		return
	}
	e.sick = err != nil
	u.arrange(u.endpoints.Load().all)
	u.mu.Unlock()
	if err != nil {
		u.notice(e, "unhealthy", err.Error())
	} else {
		u.notice(e, "healthy", "")
	}
}

// probe makes one check. Its error says why the endpoint did not pass.
func (u *Upstream) probe(ctx context.Context, address string) (err error) {
	h := &u.Health
	if h.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.Timeout)
		defer cancel()
	}
	defer func() {
		if ctx.Err() != nil {
			err = errors.New("no response in time")
		}
	}()
	l, err := u.connect(ctx, address, time.Time{})
	if err != nil {
		return err
	}
	defer l.stream.Close()
	defer context.AfterFunc(ctx, l.socket.Interrupt)()
	a := Attempt{u: u, l: l}
	req := Request{Method: []byte("GET")}
	_, err = fmt.Fprintf(l.stream, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: breakwater\r\nConnection: close\r\n\r\n", h.Path, h.Host)
	for a.Head.Status < 200 && err == nil {
		err = a.readHead(&req)
	}
	if err == nil && !contains(h.Statuses, a.Head.Status) {
		err = fmt.Errorf("status %d", a.Head.Status)
	}
	return err
}
