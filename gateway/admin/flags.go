package admin

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/flags/document"
	"github.com/breakwater-gateway/breakwater/gateway/config"
)

// patience is how long a write may take. It goes on when whoever asked has left: it is done, or it is not.
const patience = 30 * time.Second

func (c *call) mustHaveFlags() error {
	if c.Flags == nil {
		return kindNotFound.problem("the configuration has no flags: it needs the key flags.file")
	}
	return nil
}

func (c *call) listFlags() (any, error) {
	if err := c.mustHaveFlags(); err != nil {
		return nil, err
	}
	return ListFlags(c.Flags, time.Now()), nil
}

// ListFlags lists the flags of a book, all at one revision.
func ListFlags(b *flags.Book, now time.Time) FlagList {
	for {
		v := b.View()
		items := b.Flags()
		if b.View() != v {
			continue // they have just changed
		}
		list := FlagList{FlagsLoad: flagsLoad(b, v), Flags: make([]Flag, len(items))}
		for i := range items {
			list.Flags[i] = flagOf(&items[i], now)
		}
		return list
	}
}

func flagsLoad(b *flags.Book, v *flags.View) FlagsLoad {
	s := b.Status()
	l := FlagsLoad{
		Revision: v.Revision(), Origin: string(v.Origin()), Loaded: v.Loaded().UTC(), Digest: v.Digest(),
		SourceUp: s.SourceUp, Since: s.Since.UTC(),
	}
	if s.Err != nil {
		l.Error = s.Err.Error()
	}
	return l
}

func flagOf(it *flags.Item, now time.Time) Flag {
	f := Flag{
		Key: it.Key, Kind: it.Kind, Variants: it.Variants, Values: it.Values, Default: it.Default, Mode: it.Mode,
		Disabled: it.Disabled, Targeted: it.Targeted, Reads: it.Reads, Bound: it.Bound,
		Owner: it.Owner, Reason: it.Reason, Link: it.Link, Metadata: it.Metadata, Position: it.Pos,
	}
	if it.Rule != "" {
		f.Rule = json.RawMessage(it.Rule)
	}
	if !it.Expires.IsZero() {
		at := it.Expires.UTC()
		f.Expires, f.Expired = &at, at.Before(now)
	}
	if l := it.Changed; !l.At.IsZero() {
		f.LastChange = &LastChange{At: l.At.UTC(), Revision: l.Revision, Origin: string(l.Origin), By: l.By, Reason: l.Reason}
	}
	return f
}

func (c *call) getFlag() (any, error) {
	key, err := c.name("key")
	if err != nil {
		return nil, err
	}
	if err := c.mustHaveFlags(); err != nil {
		return nil, err
	}
	list := ListFlags(c.Flags, time.Now())
	f, err := list.Find(key)
	if err != nil {
		return nil, err
	}
	for _, n := range c.Flags.Counts() {
		if n.Key == key {
			f.Answers = &FlagAnswers{
				Off: n.Modes[flags.Off], Observe: n.Modes[flags.Observe], On: n.Modes[flags.On],
				Fallback: n.Fallback, Evaluations: n.Evaluations, Errors: n.Errors, LastError: n.LastError,
			}
		}
	}
	return f, nil
}

// Find returns the flag of a key. Its error says which keys there are.
func (l *FlagList) Find(key string) (*Flag, error) {
	keys := make([]string, len(l.Flags))
	for i := range l.Flags {
		if f := l.Flags[i]; f.Key == key {
			f.Revision = l.Revision
			return &f, nil
		}
		keys[i] = l.Flags[i].Key
	}
	if len(keys) == 0 {
		return nil, kindNotFound.problem("no flag %q: there is none, the flags are %s", key, l.Origin)
	}
	return nil, kindNotFound.problem("no flag %q: expected one of %s", key, quoteAll(keys))
}

func (c *call) explainFlag() (any, error) {
	key, err := c.name("key")
	if err != nil {
		return nil, err
	}
	if err := c.mustHaveFlags(); err != nil {
		return nil, err
	}
	s := flags.Subject{Client: c.param("client"), Route: c.param("route"), Upstream: c.param("upstream"), Method: c.param("method")}
	if s.Client != "" && c.config.Clients != nil {
		known := c.client(s.Client)
		if known == nil {
			return nil, c.unknownClient(s.Client)
		}
		s.Attributes = known.Attributes
	}
	if s.Route != "" {
		r := first(c.config.Routes, func(r *config.Route) bool { return r.Name == s.Route })
		if r == nil {
			names := make([]string, len(c.config.Routes))
			for i, r := range c.config.Routes {
				names[i] = r.Name
			}
			return nil, unknownRoute(s.Route, names)
		}
		if s.Upstream == "" {
			s.Upstream = r.Upstream
		}
	}
	v := c.Flags.View()
	a, err := v.Evaluate(context.Background(), key, &s)
	if err != nil {
		return nil, kindNotFound.problem("%v", err)
	}
	x := Explanation{
		Key: key, Revision: a.Revision, Subject: subject(&s), Variant: a.Variant, Value: a.Value, Reason: a.Reason, Error: a.Error,
		Targeted: v.Document().Flag(key).Targeting != nil, Mode: mode(a.Value),
	}
	if a.Reason == "DISABLED" || a.Error != "" {
		x.Mode = ""
	}
	return x, nil
}

// mode is what a gate takes a variant's value for.
func mode(value any) string {
	switch value {
	case true:
		return flags.On.String()
	case false:
		return flags.Off.String()
	}
	if s, ok := value.(string); ok {
		if m, err := flags.ParseMode(s); err == nil {
			return m.String()
		}
	}
	return ""
}

func subject(s *flags.Subject) map[string]string {
	all := maps.Clone(s.Attributes)
	if all == nil {
		all = map[string]string{}
	}
	for name, value := range map[string]string{"client": s.Client, "route": s.Route, "upstream": s.Upstream, "method": s.Method} {
		delete(all, name)
		if value != "" {
			all[name] = value
		}
	}
	return all
}

func (c *call) setFlag() (any, error) {
	key, err := c.name("key")
	if err != nil {
		return nil, err
	}
	var expires, by string
	change := flags.Change{Key: key}
	err = c.read(c.withBy(map[string]*string{
		"variant": &change.Variant, "reason": &change.Reason, "owner": &change.Owner, "link": &change.Link, "expires": &expires,
	}, &by))
	if err == nil {
		err = c.mustHaveFlags()
	}
	if err == nil {
		err = must("variant", change.Variant, "the name of a variant")
	}
	if err == nil {
		err = must("reason", change.Reason, "why the flag is changed; it goes to the journal")
	}
	if err != nil {
		return nil, err
	}
	change.By = c.by(by)
	if expires != "" {
		if change.Expires, err = time.Parse(time.RFC3339, expires); err != nil || !change.Expires.After(time.Now()) {
			return nil, kindMalformed.problem("member \"expires\" %q: expected a time to come, such as \"2030-01-31T12:00:00Z\"", expires)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return SetFlag(ctx, c.Flags, change)
}

// SetFlag changes a flag of a book. Its errors are problems.
func SetFlag(ctx context.Context, b *flags.Book, change flags.Change) (*FlagSet, error) {
	a, err := b.Set(ctx, change)
	if err == nil {
		return &FlagSet{
			Key: change.Key, Variant: change.Variant, Revision: a.Revision, Before: a.Before, Changed: a.Changed, Targeted: a.Targeted,
		}, nil
	}
	_, badFile := errors.AsType[document.Problems](err)
	p := kindFailed.problem("%v", err)
	switch {
	case a.Revision > 0 && a.Changed:
		p = kindNotJournalled.problem("%v", err)
		p.Revision = a.Revision
	case errors.Is(err, flags.ErrUnknown) && b.View().Document().Flag(change.Key) == nil:
		p = kindNotFound.problem("%v", err)
	case errors.Is(err, flags.ErrUnknown), errors.Is(err, flags.ErrInvalid), badFile:
		p = kindRefused.problem("%v", err)
	case errors.Is(err, flags.ErrConflict):
		p = kindConflict.problem("%v", err)
	}
	p.Detail = strings.TrimPrefix(p.Detail, flags.ErrUnknown.Error()+": ")
	return nil, p
}
