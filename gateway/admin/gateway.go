package admin

import (
	"context"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/config"
)

func (c *call) health() (any, error) { return Health{"alive"}, nil }

func (c *call) ready() (any, error) {
	r := Readiness{Draining: c.Draining(), Config: c.load()}
	r.Ready = !r.Draining
	if !r.Ready {
		c.ctx.SetStatusCode(503)
	}
	if c.Flags != nil {
		l := flagsLoad(c.Flags, c.Flags.View())
		r.Flags = &l
	}
	if c.who.role < view {
		r.Config.Error = ""
		if r.Flags != nil {
			r.Flags.Error, r.Flags.Digest = "", ""
		}
		return r, nil
	}
	r.Listener = c.Address().String()
	if c.Plugins != nil {
		for _, p := range c.Plugins() {
			r.Plugins = append(r.Plugins, PluginState(p))
		}
	}
	return r, nil
}

func (c *call) load() Load {
	at, err := c.Loaded()
	l := Load{Loaded: err == nil, At: at.UTC()}
	if err != nil {
		l.Error = err.Error()
	}
	return l
}

func (c *call) reload() (any, error) {
	var reason, by string
	if err := c.read(c.withBy(map[string]*string{"reason": &reason}, &by)); err != nil {
		return nil, err
	}
	c.Log.Info("reload asked for", "by", c.by(by), "reason", reason)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Reload(ctx); err != nil {
		p := kindRefused.problem("the configuration is refused; the one before stays in force")
		p.Errors = strings.Split(err.Error(), "\n")
		return nil, p
	}
	return Load{Loaded: true, At: time.Now().UTC()}, nil
}

func (c *call) summary() (any, error) {
	f := c.config
	s := Config{
		Version: c.Version, File: f.Pos.File, Load: c.load(), Listen: c.Address().String(), Example: f.Admin.Example,
		Clients: len(c.clients()), Upstreams: []ConfigUpstream{}, Plugins: []ConfigPlugin{}, Routes: []ConfigRoute{}, Files: listed(f.Files()),
	}
	for _, u := range f.Upstreams {
		up := ConfigUpstream{Name: u.Name, URL: u.URL.String()}
		if c.Endpoints != nil {
			up.Endpoints = c.Endpoints(u.Name)
		}
		s.Upstreams = append(s.Upstreams, up)
	}
	for _, p := range f.Plugins {
		g := ConfigPlugin{Name: p.Name, Path: p.Path, Interruption: p.Interruption}
		if !p.SHA256.IsZero() {
			g.SHA256 = p.SHA256.String()
		}
		s.Plugins = append(s.Plugins, g)
	}
	for _, r := range f.Routes {
		s.Routes = append(s.Routes, routeOf(r))
	}
	if f.Flags != nil {
		s.FlagFile = f.Flags.File
	}
	return s, nil
}

func routeOf(r *config.Route) ConfigRoute {
	o := ConfigRoute{Name: r.Name, Host: r.Host, Methods: r.Methods, Path: r.Path, Upstream: r.Upstream, Steps: []ConfigStep{}}
	for _, s := range r.Steps {
		step := ConfigStep{Name: s.Name, Plugin: s.Plugin, OnFailure: s.OnFailure}
		if s.Gate != nil {
			step.Flag, step.Fallback = s.Gate.Flag, s.Gate.Fallback
		}
		o.Steps = append(o.Steps, step)
	}
	if l := r.Limits.Errors; l != nil {
		o.Errors = &ConfigLimit{Count: l.Count, Window: l.Window.Seconds(), Block: l.Block.Seconds()}
	}
	if l := r.Limits.Requests; l != nil {
		o.Requests = &ConfigLimit{Count: l.Rate.Count, Window: l.Rate.Per.Seconds(), Burst: l.Burst}
	}
	return o
}

// unknownRoute says that a route is none of those that can be meant.
func unknownRoute(name string, routes []string) *Problem {
	if len(routes) == 0 {
		return kindNotFound.problem("no route %q: none of the configuration's routes blocks clients", name)
	}
	return kindNotFound.problem("no route %q: expected one of %s", name, quoteAll(routes))
}
