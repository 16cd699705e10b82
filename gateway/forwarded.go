package gateway

import (
	"bytes"
	"net"
	"net/netip"
	"strings"

	"github.com/breakwater-gateway/breakwater/gateway/blame"
	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// Where a request comes from stands in fields that anybody can write. What trusted proxies say there is believed; what others
// say is not, and does not reach an upstream, which could not tell who has written it.

// A telling is what becomes of one of these fields. Zero adds nothing.
type telling uint8

const (
	keepTold    telling = iota // what a trusted proxy has sent
	addTold                    // that, and what we know
	replaceTold                // what we know
	dropTold                   // nothing
)

const origins = int(wire.Forwarded-wire.ForwardedFor) + 1

// A forwarding is what an upstream is told of where requests come from.
type forwarding struct {
	of     [origins]telling // by the field's name, from wire.ForwardedFor on
	speaks bool             // there is a field to which we add something
	by     string           // how we call ourselves in Forwarded; "": we do not
}

func forwardingOf(c *config.Forwarded) forwarding {
	words := map[string]telling{"keep": keepTold, "append": addTold, "replace": replaceTold, "remove": dropTold}
	f := forwarding{by: c.By}
	for i, word := range [origins]string{c.For, c.Host, c.Proto, c.Port, c.Forwarded} {
		f.of[i] = words[word]
		f.speaks = f.speaks || f.of[i] == addTold || f.of[i] == replaceTold
	}
	return f
}

// sender is the address at the other end of the connection. It is not valid where that has none.
func (x *exchange) sender() netip.Addr {
	if tcp, ok := x.conn.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// believeProxies finds the client's address behind the proxies that are trusted: of the addresses that they list the last one
// that is not such a proxy's itself. Its port is not known then.
func (x *exchange) believeProxies() {
	if !x.snap.trusts(x.peer.Addr()) {
		return
	}
	var client netip.Addr
	for i := range x.in.Fields {
		f := &x.in.Fields[i]
		if f.Known != x.snap.clientAddress {
			continue
		}
		elements := wire.Elements(f.Value)
		if f.Known == wire.Forwarded {
			elements = wire.Split(f.Value, ',')
		}
		for e := range elements {
			a, ok := forwardedFor(e)
			if f.Known == wire.Forwarded {
				a, ok = nodeOf(e)
			}
			switch {
			case !ok:
				client = netip.Addr{} // who comes after this is the first one known
			case !client.IsValid() || !x.snap.trusts(a):
				client = a
			}
		}
	}
	if client.IsValid() {
		x.peer = netip.AddrPortFrom(client, 0)
	}
}

// nodeOf returns the address in an element of Forwarded (7239 4). Every value of the element must be whole: a quote that a client
// has left open must not swallow what its proxy has added, so that the client's own word stands.
func nodeOf(element []byte) (a netip.Addr, ok bool) {
	var node []byte
	for pair := range wire.Split(element, ';') {
		key, value, _ := bytes.Cut(pair, []byte("="))
		if value, ok = wire.Unquote(value); !ok || !wire.IsToken(key) {
			return a, false
		}
		if wire.EqualFold(key, "for") {
			if node != nil {
				return a, false // 7239 4: once in an element
			}
			node = value
		}
	}
	return forwardedFor(node)
}

// forwardedFor reads an address, to which some proxies add a port.
func forwardedFor(text []byte) (a netip.Addr, ok bool) {
	s := string(text)
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		var with netip.AddrPort
		if with, err = netip.ParseAddrPort(s); err != nil {
			return a, false
		}
		a = with.Addr()
	}
	return a.Unmap(), true
}

// dropsOrigin reports whether f, a field of the client's, says where the request comes from and is not to be passed on.
func (x *exchange) dropsOrigin(f *wire.Field) bool {
	if !f.Known.TellsOrigin() {
		return looksLikeOrigin(f.Name) && !x.snap.trusts(x.sender())
	}
	how := x.route.forwarding.of[f.Known-wire.ForwardedFor]
	return how == replaceTold || how == dropTold || !x.snap.trusts(x.sender())
}

// looksLikeOrigin reports whether name, which is none of the fields that say where a request comes from, becomes one where names
// of fields are made into names of variables, as CGI does: X_Forwarded-For is HTTP_X_FORWARDED_FOR there as well.
func looksLikeOrigin(name []byte) bool {
	const shortest, longest = len("X-Forwarded-For"), len("X-Forwarded-Proto")
	if len(name) < shortest || len(name) > longest || bytes.IndexByte(name, '_') < 0 {
		return false
	}
	var written [longest]byte
	for i, c := range name {
		if c == '_' {
			c = '-'
		}
		written[i] = c
	}
	return wire.Lookup(written[:len(name)]).TellsOrigin()
}

// tellOrigin adds to fields what the upstream is told of where the request comes from.
func (x *exchange) tellOrigin(fields []wire.Field) []wire.Field {
	p := &x.route.forwarding
	if !p.speaks {
		return fields
	}
	for i, how := range p.of {
		if how != addTold && how != replaceTold {
			continue
		}
		name := wire.ForwardedFor + wire.Name(i)
		before := lastOf(fields, name)
		isList := name == wire.ForwardedFor || name == wire.Forwarded
		if before != nil && !isList {
			continue // it takes one value
		}
		d := &x.draft
		start := len(d.arena)
		if before != nil && len(before.Value) > 0 {
			d.arena = append(append(d.arena, before.Value...), ", "...)
		}
		said := len(d.arena)
		// To those before us we add who has sent us the request. Where nothing is kept of what they say, the client's is the address.
		from := x.sender()
		if how == replaceTold {
			from = x.peer.Addr()
		}
		if d.arena = x.appendOrigin(d.arena, name, from.WithZone("")); len(d.arena) == said {
			d.arena = d.arena[:start]
			continue // it is not known
		}
		f := wire.Field{Name: stringToBytes(name.String()), Value: d.arena[start:len(d.arena):len(d.arena)], Known: name}
		if before != nil {
			before.Value = f.Value
		} else {
			fields = append(fields, f)
		}
		x.ledger.Field(f.Name, blame.Gateway)
	}
	return fields
}

// lastOf returns the last of fields with that name, nil if there is none.
func lastOf(fields []wire.Field, name wire.Name) *wire.Field {
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Known == name {
			return &fields[i]
		}
	}
	return nil
}

// appendOrigin appends what we know for the field name; nothing if that is not known.
func (x *exchange) appendOrigin(b []byte, name wire.Name, from netip.Addr) []byte {
	switch name {
	case wire.ForwardedFor:
		if from.IsValid() {
			b = from.AppendTo(b)
		}
	case wire.ForwardedHost:
		b = append(b, x.in.Host...)
	case wire.ForwardedProto:
		b = append(b, x.scheme()...)
	case wire.ForwardedPort:
		b = append(b, x.port()...)
	case wire.Forwarded:
		b = x.appendForwarded(b, from)
	}
	return b
}

// appendForwarded appends an element of Forwarded (7239 4).
func (x *exchange) appendForwarded(b []byte, from netip.Addr) []byte {
	switch {
	case !from.IsValid():
		b = append(b, "for=unknown"...)
	case from.Is6():
		b = append(b, `for="[`...)
		b = append(from.AppendTo(b), `]"`...)
	default:
		b = from.AppendTo(append(b, "for="...))
	}
	switch {
	case len(x.in.Host) == 0:
	case wire.IsToken(x.in.Host):
		b = append(append(b, ";host="...), x.in.Host...)
	default: // it has a colon or brackets, and no quotes: see wire's Host
		b = append(append(b, `;host="`...), x.in.Host...)
		b = append(b, '"')
	}
	b = append(append(b, ";proto="...), x.scheme()...)
	if x.route.forwarding.by != "" {
		b = append(append(b, ";by="...), x.route.forwarding.by...)
	}
	return b
}

// scheme is how the request has reached us.
func (x *exchange) scheme() string {
	if x.snap.secure != nil {
		return "https"
	}
	return "http"
}

// port is the port that the client asked for: the one that it named with the host, or the scheme's. Which one we listen on need
// not be that.
func (x *exchange) port() []byte {
	if host := x.in.Host; len(host) > 0 {
		if i := bytes.LastIndexByte(host, ':'); i >= 0 && i+1 < len(host) && bytes.IndexByte(host[i:], ']') < 0 {
			return host[i+1:]
		}
	}
	if x.scheme() == "https" {
		return []byte("443")
	}
	return []byte("80")
}
