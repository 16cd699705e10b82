package config

import "fmt"

// NeedsRestart returns what differs between the configuration that a gateway started with and a new one, and cannot be
// changed while it runs: listeners, and where flags are kept. The complaints stand at their place in the new file. Whether
// the listener speaks TLS is compared, not how.
func NeedsRestart(started, next *Config) ErrorList {
	var l ErrorList
	differ := func(e *Element, key string, old, new any) {
		if old != new {
			l = append(l, e.about(key, fmt.Sprint(new), "changed from %s: needs a restart", quote(fmt.Sprint(old))))
		}
	}
	a, b := &started.Listen, &next.Listen
	differ(&b.Element, "address", a.Address, b.Address)
	switch {
	case a.TLS == nil && b.TLS != nil:
		l = append(l, b.Errorf("tls", "was not there before: needs a restart"))
	case a.TLS != nil && b.TLS == nil:
		l = append(l, b.Errorf("tls", "is gone: needs a restart"))
	}
	differ(&b.Timeouts.Element, "head", a.Timeouts.Head, b.Timeouts.Head)
	differ(&b.Timeouts.Element, "idle", a.Timeouts.Idle, b.Timeouts.Idle)
	differ(&b.Timeouts.Element, "idle_body", a.Timeouts.IdleBody, b.Timeouts.IdleBody)
	differ(&b.Timeouts.Element, "write", a.Timeouts.Write, b.Timeouts.Write)
	differ(&b.Limits.Element, "head", a.Limits.Head, b.Limits.Head)
	differ(&b.Limits.Element, "connections", a.Limits.Connections, b.Limits.Connections)
	differ(&next.Admin.Element, "address", started.Admin.Address, next.Admin.Address)
	differ(&next.Admin.Element, "example", started.Admin.Example, next.Admin.Example)
	switch {
	case started.Flags != nil && next.Flags != nil:
		differ(&next.Flags.Element, "file", started.Flags.File, next.Flags.File)
		differ(&next.Flags.Element, "journal", started.Flags.Journal, next.Flags.Journal)
		differ(&next.Flags.Element, "last_good", started.Flags.LastGood, next.Flags.LastGood)
	case started.Flags != nil || next.Flags != nil:
		l = append(l, next.Element.Errorf("flags", "came or went: needs a restart"))
	}
	l.sort(next.Pos.File)
	return l
}
