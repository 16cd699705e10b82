package gateway

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/breakwater-gateway/breakwater/gateway/admin"
	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
)

// endpointOptions adds to o what u says of its endpoints.
func endpointOptions(u *config.Upstream, o *upstream.Options) {
	for _, a := range u.Addresses {
		o.Addresses = append(o.Addresses, upstream.Address{Address: string(a.Address), Weight: a.Weight})
	}
	if u.Balance == "least_pending" {
		o.Balance = upstream.LeastPending
	}
	o.PanicThreshold = u.PanicThreshold
	if d := u.DNS; d != nil {
		families := map[string]string{"ipv4": "ip4", "ipv6": "ip6"}
		o.DNS = upstream.DNS{Refresh: d.Refresh, Timeout: d.Timeout, Family: families[d.Family], Server: string(d.Server)}
	}
	if h := u.Health; h != nil {
		o.Health = upstream.Health{
			Path: string(h.Path), Host: u.URL.Authority(), Interval: h.Interval, Timeout: h.Timeout,
			Healthy: h.Healthy, Unhealthy: h.Unhealthy, Statuses: statuses(h.ExpectedStatuses),
		}
	}
	if l := u.Outliers; l != nil {
		o.Outliers = upstream.Outliers{
			Consecutive: l.Consecutive, Statuses: statuses(l.Statuses), Base: l.BaseEjectionTime, Max: l.MaxEjectionTime,
			Jitter: l.Jitter, Interval: l.Interval, MaxPercent: l.MaxEjectedPercent,
		}
		if s := l.SuccessRate; s != nil {
			o.Outliers.SuccessRate = upstream.SuccessRate{Endpoints: s.MinimumEndpoints, Requests: s.Requests, Deviation: s.StdevFactor}
		}
	}
}

func statuses(ranges []config.Statuses) []upstream.Status {
	list := make([]upstream.Status, 0, len(ranges))
	for _, r := range ranges {
		list = append(list, upstream.Status(r))
	}
	return list
}

// noticedEndpoint logs what becomes of the endpoints of an upstream.
func (g *Gateway) noticedEndpoint(name string) func(endpoint, what, why string) {
	return func(endpoint, what, why string) {
		args := []any{slog.String("upstream", name), slog.String("endpoint", endpoint), slog.String("is", what)}
		if why != "" {
			args = append(args, slog.String("why", why))
		}
		g.log.Warn("an endpoint has changed", args...)
	}
}

// writeEndpoints writes the metrics of u's endpoints of this moment.
func writeEndpoints(w io.Writer, u *upstream.Upstream) {
	fmt.Fprintf(w, "breakwater_upstream_panicking{upstream=%q} %g\n", u.Name, boolean(u.Panicking()))
	if u.DNS.Refresh > 0 {
		made, failed := u.Lookups()
		fmt.Fprintf(w, "breakwater_upstream_dns_lookups_total{upstream=%q} %d\n", u.Name, made)
		fmt.Fprintf(w, "breakwater_upstream_dns_lookups_failed_total{upstream=%q} %d\n", u.Name, failed)
	}
	for _, e := range u.Endpoints() {
		st := e.Stats()
		labels := fmt.Sprintf("{upstream=%q,endpoint=%q", u.Name, st.Address)
		fmt.Fprintf(w, "breakwater_upstream_endpoint_connections%s,state=\"idle\"} %d\n", labels, st.Idle)
		fmt.Fprintf(w, "breakwater_upstream_endpoint_connections%s,state=\"used\"} %d\n", labels, max(st.Open-st.Idle, 0))
		fmt.Fprintf(w, "breakwater_upstream_endpoint_dials_total%s} %d\n", labels, st.Dials)
		fmt.Fprintf(w, "breakwater_upstream_endpoint_failures_total%s} %d\n", labels, st.Failures)
		fmt.Fprintf(w, "breakwater_upstream_endpoint_healthy%s} %g\n", labels, boolean(st.Healthy))
		fmt.Fprintf(w, "breakwater_upstream_endpoint_ejected%s} %g\n", labels, boolean(st.Ejected))
		fmt.Fprintf(w, "breakwater_upstream_endpoint_ejections_total%s} %d\n", labels, st.Ejections)
		if u.Health.Interval > 0 {
			fmt.Fprintf(w, "breakwater_upstream_endpoint_health_checks_total%s,result=\"passed\"} %d\n", labels, st.Checks-st.ChecksFailed)
			fmt.Fprintf(w, "breakwater_upstream_endpoint_health_checks_total%s,result=\"failed\"} %d\n", labels, st.ChecksFailed)
		}
	}
}

// endpointsInForce returns the endpoints of an upstream of the configuration in force.
func (g *Gateway) endpointsInForce(name string) (all []admin.Endpoint) {
	s := g.snapshot.Load()
	if s == nil || !s.retain() {
		return nil
	}
	defer s.release()
	for _, p := range s.pools {
		if p.upstream.Name != name {
			continue
		}
		for _, e := range p.upstream.Endpoints() {
			st := e.Stats()
			all = append(all, admin.Endpoint{
				Address: st.Address, Weight: st.Weight, Connections: st.Open, Idle: st.Idle,
				Failures: st.Failures, Healthy: st.Healthy, Ejected: st.Ejected, Ejections: st.Ejections,
			})
		}
	}
	return all
}
