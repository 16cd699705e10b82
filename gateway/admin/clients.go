package admin

import (
	"cmp"
	"slices"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/gateway/config"
)

func (c *call) listClients() (any, error) {
	blocks := map[string][]Block{}
	for _, s := range c.Limits.Blocks(time.Now()) {
		b := blockOf(&s)
		b.Evidence = nil // GET /api/v1/blocks and /api/v1/clients/NAME have it
		blocks[s.Client] = append(blocks[s.Client], b)
	}
	list := ClientList{Clients: []Client{}}
	for _, k := range c.clients() {
		list.Clients = append(list.Clients, Client{Name: k.Name, Attributes: k.Attributes, Known: true, Blocks: listed(blocks[k.Name])})
		delete(blocks, k.Name)
	}
	for name, b := range blocks {
		list.Clients = append(list.Clients, Client{Name: name, Blocks: b})
	}
	slices.SortFunc(list.Clients, func(a, b Client) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

func (c *call) getClient() (any, error) {
	name, err := c.name("name")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	k := c.client(name)
	if k == nil && !c.blocked(name, now) {
		return nil, c.unknownClient(name)
	}
	answer := ClientStanding{Name: name, Routes: []RouteStanding{}}
	if k != nil {
		answer.Known, answer.Attributes = true, k.Attributes
	}
	for _, r := range c.config.Routes {
		if r.Limits.Errors == nil {
			continue
		}
		s := c.Limits.Standing(name, r.Name, now)
		at := RouteStanding{
			Route: r.Name, Limit: s.Policy.Errors, Window: int64(s.Policy.Window.Seconds()), OK: s.OK, Other: s.Other, Evidence: evidence(s.Evidence),
		}
		if !s.Until.IsZero() {
			until := s.Until.UTC()
			at.Until = &until
		}
		answer.Routes = append(answer.Routes, at)
	}
	return answer, nil
}

func (c *call) listBlocks() (any, error) {
	return BlockList{blocksOf(c.Limits.Blocks(time.Now()))}, nil
}

func (c *call) unblock() (any, error) {
	name, err := c.name("name")
	if err != nil {
		return nil, err
	}
	var onRoute, reason, by string
	err = c.read(c.withBy(map[string]*string{"route": &onRoute, "reason": &reason}, &by))
	if err == nil {
		err = must("reason", reason, "why the client is unblocked; it goes to the log")
	}
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if c.client(name) == nil && !c.blocked(name, now) {
		return nil, c.unknownClient(name)
	}
	if onRoute != "" && !slices.Contains(c.limited(), onRoute) && !slices.ContainsFunc(c.Limits.Blocks(now), func(s admit.Standing) bool {
		return s.Client == name && s.Route == onRoute // of a route that is gone
	}) {
		return nil, unknownRoute(onRoute, c.limited())
	}
	lifted := c.Limits.Unblock(name, onRoute, now)
	routes := make([]string, len(lifted))
	for i := range lifted {
		routes[i] = lifted[i].Route
	}
	c.Log.Info("client unblocked", "client", name, "routes", routes, "by", c.by(by), "reason", reason)
	return Unblocked{Client: name, Lifted: blocksOf(lifted)}, nil
}

// clients are those of the configuration.
func (c *call) clients() []*config.Client {
	if c.config.Clients == nil {
		return nil
	}
	return c.config.Clients.List
}

// client finds a client of the configuration, or nil.
func (c *call) client(name string) *config.Client {
	return first(c.clients(), func(k *config.Client) bool { return k.Name == name })
}

func (c *call) blocked(client string, now time.Time) bool {
	return slices.ContainsFunc(c.Limits.Blocks(now), func(s admit.Standing) bool { return s.Client == client })
}

func (c *call) unknownClient(name string) *Problem {
	all := c.clients()
	switch {
	case len(all) == 0:
		return kindNotFound.problem("no client %q: the configuration has none", name)
	case len(all) > 20:
		return kindNotFound.problem("no client %q among the %d of the configuration", name, len(all))
	}
	names := make([]string, len(all))
	for i, k := range all {
		names[i] = k.Name
	}
	return kindNotFound.problem("no client %q: expected one of %s", name, quoteAll(names))
}

// limited are the routes that block clients for errors.
func (c *call) limited() (names []string) {
	for _, r := range c.config.Routes {
		if r.Limits.Errors != nil {
			names = append(names, r.Name)
		}
	}
	return names
}

func blocksOf(all []admit.Standing) []Block {
	list := make([]Block, len(all))
	for i := range all {
		list[i] = blockOf(&all[i])
	}
	return list
}

func blockOf(s *admit.Standing) Block {
	return Block{Client: s.Client, Route: s.Route, Until: s.Until.UTC(), Errors: len(s.Evidence), Evidence: evidence(s.Evidence)}
}

func evidence(all []admit.Evidence) []Evidence {
	list := make([]Evidence, len(all))
	for i, e := range all {
		list[i] = Evidence{
			Time: e.Time.UTC(), RequestID: e.RequestID, Class: e.Class.String(), Fault: e.Fault.String(), About: e.About.String(),
			Status: e.Signature.Status, Code: e.Signature.Code, Framing: e.Signature.Framing,
		}
	}
	return list
}

// listed makes JSON's empty list of none.
func listed[E any](list []E) []E {
	if list == nil {
		return []E{}
	}
	return list
}

// first returns the first element that is meant, or the zero one.
func first[E any](list []E, meant func(E) bool) (e E) {
	if i := slices.IndexFunc(list, meant); i >= 0 {
		return list[i]
	}
	return e
}
