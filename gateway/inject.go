package gateway

import (
	"github.com/breakwater-gateway/breakwater/gateway/blame"
	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/plugins/engine"
)

// inject makes the attempt's request out of the client's, unless that goes no further.
func (x *exchange) inject() bool {
	if x.endsHere() {
		return false
	}
	d := &x.draft
	d.ledger, d.request, d.response = &x.ledger, &x.request, &x.reply
	d.id, d.peer, d.minor = x.id, x.peer, x.in.Minor
	d.method, d.uri = x.in.Method, x.in.URI
	trace := string(d.method) == "TRACE" // it comes back as content: without secrets (9110 9.3.8)
	fields := d.sections[engine.RequestFields]
	for i := range x.in.Fields {
		f := &x.in.Fields[i]
		if x.in.Hops.Drops(f) || x.dropsOrigin(f) || trace && x.sensitive(f.Name) || x.snap.credential != "" && wire.EqualFold(f.Name, x.snap.credential) {
			continue
		}
		switch f.Known {
		case wire.Host, wire.ContentLength, wire.Expect, wire.RequestID: // ours to write
			continue
		case wire.MaxForwards:
			fields = append(fields, x.oneHopLess(f))
			continue
		case wire.Trailer:
			if x.in.Framing != wire.Chunked {
				continue
			}
		}
		fields = append(fields, *f)
	}
	d.sections[engine.RequestFields] = x.tellOrigin(fields)
	if x.in.Hops.Upgrade() && len(x.route.upgrades) > 0 {
		x.askUpgrade()
	}
	in := x.route.inject
	if in == nil {
		return true
	}
	start := len(d.arena)
	var err error
	if d.arena, err = in.AppendURI(d.arena, d.uri, x); err != nil {
		return x.notInjected(err)
	}
	d.uri = d.arena[start:len(d.arena):len(d.arena)]
	// A path that is made of what the client sent as well is nobody's in particular: an error about it may be either's.
	if in.Path != nil && !in.Path.Uses(config.FromPath) {
		x.ledger.Path(blame.Gateway)
	}
	for i := range in.Query {
		x.ledger.Query(stringToBytes(in.Query[i].Name), blame.Gateway)
	}
	for i := range in.Fields {
		if f := &in.Fields[i]; !f.Value.Uses(config.FromSecret) {
			field, err := x.expand(f)
			if err != nil {
				return x.notInjected(err)
			}
			d.setField(engine.RequestFields, field)
		}
	}
	return true
}

// injectSecrets adds the route's fields that hold secrets, when no step sees the request any more. A TRACE request gets none: the
// upstream would send them back.
func (x *exchange) injectSecrets() bool {
	in := x.route.inject
	if in == nil || string(x.draft.method) == "TRACE" {
		return true
	}
	for i := range in.Fields {
		if f := &in.Fields[i]; f.Value.Uses(config.FromSecret) {
			field, err := x.expand(f)
			if err != nil {
				return x.notInjected(err)
			}
			x.draft.secrets = append(x.draft.secrets, field)
			x.ledger.Credential(blame.Gateway)
		}
	}
	return true
}

// expand makes a field of the route for this request.
func (x *exchange) expand(f *config.Injection) (wire.Field, error) {
	d, start := &x.draft, len(x.draft.arena)
	var err error
	if d.arena, err = f.Value.Append(d.arena, x); err != nil {
		return wire.Field{}, err
	}
	name := stringToBytes(f.Name)
	x.ledger.Field(name, blame.Gateway)
	return wire.Field{Name: name, Value: d.arena[start:len(d.arena):len(d.arena)], Known: wire.Lookup(name)}, nil
}
