package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-gateway/breakwater/gateway/route"
)

// refer follows every reference in c, and complains about those that lead nowhere and about names that are given twice.
func (l *loading) refer(c *Config) {
	unique(l, "upstream", c.Upstreams, func(u *Upstream) (string, *Element, string) { return u.Name, &u.Element, "name" })
	unique(l, "plugin", c.Plugins, func(p *Plugin) (string, *Element, string) { return p.Name, &p.Element, "name" })
	unique(l, "route", c.Routes, func(r *Route) (string, *Element, string) { return r.Name, &r.Element, "name" })
	if c.Upstreams != nil && len(c.Upstreams) == 0 {
		l.complain(c.Element.Errorf("upstreams", "expected at least one upstream"))
	}
	if c.Routes != nil && len(c.Routes) == 0 {
		l.complain(c.Element.Errorf("routes", "expected at least one route"))
	}
	var known whatIsKnown
	if c.Clients != nil {
		unique(l, "client", c.Clients.List, func(x *Client) (string, *Element, string) { return x.Name, &x.Element, "name" })
		uniqueDigest(l, c.Clients.List, func(x *Client) (Digest, *Element, string) { return x.KeySHA256, &x.Element, "key_sha256" })
		known = c.Clients.known()
	}
	for _, r := range c.Routes {
		// A section that could not be read at all has been complained about; what refers to it may be right.
		r.To = find(l, &r.Element, "upstream", r.Upstream, c.Upstreams, c.Upstreams == nil, func(u *Upstream) string { return u.Name })
		for _, s := range r.Steps {
			s.Use = find(l, &s.Element, "plugin", s.Plugin, c.Plugins, c.Plugins == nil && c.Has("plugins"), func(p *Plugin) string { return p.Name })
			if s.Gate != nil && c.Flags == nil && !c.Has("flags") {
				l.complain(s.Errorf("gate", "there are no flags: expected a section flags that says where they come from"))
			}
		}
		if r.Inject != nil {
			l.templates(c, r, known)
		}
		if !c.Has("clients") {
			for key, given := range map[string]bool{"errors": r.Limits.Errors != nil, "requests": r.Limits.Requests != nil} {
				if given {
					l.complain(r.Limits.Errorf(key, "this limits clients, and nobody is asked who they are: expected a section clients"))
				}
			}
		}
	}
	l.table(c)
}

// table asks the table of routes whether two of them are for the same requests.
func (l *loading) table(c *Config) {
	var entries []route.Entry[struct{}]
	var of []*Route
	for _, r := range c.Routes {
		e := route.Entry[struct{}]{Name: r.Name, Host: r.Host, Methods: r.Methods, Path: r.Path}
		if _, err := route.New([]route.Entry[struct{}]{e}); err == nil { // what is wrong with one alone has been said
			entries, of = append(entries, e), append(of, r)
		}
	}
	_, err := route.New(entries)
	if err == nil {
		return
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		l.complain(c.Element.Errorf("routes", "%w", err))
		return
	}
	for _, err := range joined.Unwrap() {
		if e, ok := errors.AsType[*route.Error](err); ok {
			l.complain(newError(of[e.Index].At("path"), of[e.Index].where, "%w", e.Err))
			continue
		}
		l.complain(c.Element.Errorf("routes", "%w", err))
	}
}

// whatIsKnown is the names of all that clients have.
type whatIsKnown struct {
	clients             int
	attributes, secrets []string
}

func (c *Clients) known() (k whatIsKnown) {
	k.clients = len(c.List)
	for _, client := range c.List {
		for name := range client.Attributes {
			k.attributes = append(k.attributes, name)
		}
		for name := range client.Secrets {
			k.secrets = append(k.secrets, name)
		}
	}
	slices.Sort(k.attributes)
	slices.Sort(k.secrets)
	k.attributes, k.secrets = slices.Compact(k.attributes), slices.Compact(k.secrets)
	return k
}

// templates checks that what a route's templates name exists: a parameter in its path, an attribute or secret with at least
// one client. While there are no clients any name is good.
func (l *loading) templates(c *Config, r *Route, known whatIsKnown) {
	pattern, err := route.ParseTemplate(r.Path)
	if err != nil {
		return
	}
	look := func(t *Template, e *Element, key string) {
		for i := range t.Parts {
			p := &t.Parts[i]
			placeholder := quote("{" + p.From.String() + "." + p.Name + "}")
			missing := func(what string, names []string) {
				hint := suggest(p.Name, names)
				l.complain(e.about(key, t.text, "%s: %s%s", placeholder, what, hint))
			}
			switch {
			case p.From == Literal:
			case p.From == FromPath && !slices.Contains(pattern.Names(), p.Name):
				missing("the route's path has no such parameter", pattern.Names())
			case p.From == FromPath:
				p.rest = strings.HasSuffix(r.Path, "{"+p.Name+"...}")
			case !c.Has("clients"):
				missing("nobody is asked who they are: expected a section clients", nil)
			case known.clients == 0:
			case p.From == FromClient && !slices.Contains(known.attributes, p.Name):
				missing("no client has such an attribute", known.attributes)
			case p.From == FromSecret && !slices.Contains(known.secrets, p.Name):
				missing("no client has such a secret", known.secrets)
			}
		}
	}
	if r.Inject.Path != nil {
		look(r.Inject.Path, &r.Inject.Element, "path")
	}
	for _, all := range []Injections{r.Inject.Query, r.Inject.Fields} {
		for i := range all {
			look(&all[i].Value, &all[i].Element, all[i].Name)
		}
	}
}

// find returns what a reference leads to. With unread set it cannot be known.
func find[T any](l *loading, e *Element, what, name string, all []*T, unread bool, nameOf func(*T) string) *T {
	if name == "" || unread {
		return nil
	}
	names := make([]string, 0, len(all))
	for _, x := range all {
		if nameOf(x) == name {
			return x
		}
		names = append(names, nameOf(x))
	}
	l.complain(e.about(what, name, "there is no such %s%s", what, suggest(name, names)))
	return nil
}

// unique complains about names that were given before.
func unique[T any](l *loading, what string, all []*T, of func(*T) (name string, e *Element, key string)) {
	first := make(map[string]Pos, len(all))
	for _, x := range all {
		name, e, key := of(x)
		if name == "" {
			continue
		}
		if p, twice := first[name]; twice {
			l.complain(e.about(key, name, "there is another %s of this name in line %d", what, p.Line))
			continue
		}
		first[name] = e.At(key)
	}
}

// uniqueDigest complains about digests that were given before. They are not shown.
func uniqueDigest[T any](l *loading, all []*T, of func(*T) (Digest, *Element, string)) {
	first := make(map[Digest]Pos, len(all))
	for _, x := range all {
		digest, e, key := of(x)
		if digest.IsZero() {
			continue
		}
		if p, twice := first[digest]; twice {
			l.complain(e.Errorf(key, "the same key as in line %d: expected one of its own", p.Line))
			continue
		}
		first[digest] = e.At(key)
	}
}

func indexed(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }
