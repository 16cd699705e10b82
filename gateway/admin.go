package gateway

import (
	"slices"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/admin"
	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/valyala/fasthttp"
)

// adminServer is the operators' listener, which shows what runs.
func (g *Gateway) adminServer() *fasthttp.Server {
	return admin.NewServer(admin.Parts{
		Version:   g.options.Version,
		Log:       g.log,
		Address:   g.Addr,
		Config:    g.configInForce,
		Loaded:    func() (at time.Time, refused error) { r := g.Reloaded(); return r.At, r.Err },
		Flags:     g.flags,
		Limits:    g.limits,
		Plugins:   g.pluginsInForce,
		Endpoints: g.endpointsInForce,
		Draining:  g.draining.Load,
		Metrics:   g.writeMetrics,
		Reload:    g.Reload,
	})
}

func (g *Gateway) configInForce() *config.Config {
	if s := g.snapshot.Load(); s != nil {
		return s.config
	}
	return nil
}

func (g *Gateway) pluginsInForce() []admin.Plugin {
	s := g.snapshot.Load()
	if s == nil || !s.retain() {
		return nil
	}
	defer s.release()
	var all []admin.Plugin
	for i, p := range s.plugins {
		if slices.Contains(s.plugins[:i], p) {
			continue // steps with the same plugin and configuration share it
		}
		st := p.Stats()
		all = append(all, admin.Plugin{
			Name: p.Name(), SHA256: p.Digest(), Idle: st.Idle, Live: st.Live,
			Calls: st.Calls, Failures: st.Traps + st.Timeouts + st.Exits + st.Broken + st.Busy,
		})
	}
	return all
}
