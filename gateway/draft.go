package gateway

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/breakwater-gateway/breakwater/gateway/blame"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/plugins/engine"
)

// A phase is how far an attempt has come; it says what a step may still change.
type phase uint8

const (
	requesting phase = iota // the request can be changed, or answered
	answering               // a step has answered in the upstream's place
	responding              // the response's head can be changed
	judging                 // everything has been sent: look only
)

// A draft is one attempt's derived request and response: what the client sent and the upstream answered, as injections and
// steps have left it. It is how a guest sees the exchange.
type draft struct {
	phase   phase
	by      string        // which step is at work
	ledger  *blame.Ledger // records who changed what in the request; nil on a copy that nothing comes of
	changes int           // made by steps, applied or, on a copy, not

	method, uri  []byte
	status       int
	sections     [4][]wire.Field
	secrets      []wire.Field // request fields that go to the upstream in place of those of their names; no guest sees them
	touched      [][]byte     // names of request fields that the step at work has changed
	trailersRead [2]bool      // by message: its section is as complete as the content

	request  *requestContent
	response *responseContent
	id       string
	peer     netip.AddrPort
	minor    int // of the version that the client spoke

	arena []byte // holds what was put in; older views of it stay valid when it moves
}

var _ engine.Exchange = (*draft)(nil)

// Limits of what steps may make of a field section.
const (
	maxFields     = 256
	maxFieldBytes = 64 << 10
	maxURI        = 16 << 10
)

func (d *draft) reset() {
	arena, sections := d.arena[:0], d.sections
	for i := range sections {
		sections[i] = sections[i][:0]
	}
	*d = draft{arena: arena, sections: sections, secrets: d.secrets[:0], touched: d.touched[:0]}
}

// copyOf makes d a copy of from that can be changed without changing it. Contents are shared, and are only looked at.
func (d *draft) copyOf(from *draft) {
	d.reset()
	arena, sections, secrets, touched := d.arena, d.sections, d.secrets, d.touched
	*d = *from
	d.ledger, d.arena, d.changes, d.secrets, d.touched = nil, arena, 0, secrets, touched
	for i := range sections {
		d.sections[i] = append(sections[i], from.sections[i]...)
	}
}

// keep copies b to where it lives as long as the draft.
func (d *draft) keep(b []byte) []byte {
	start := len(d.arena)
	d.arena = append(d.arena, b...)
	return d.arena[start:len(d.arena):len(d.arena)]
}

func refused(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, engine.ErrRefused)...)
}

func tooLarge(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, engine.ErrTooLarge)...)
}

func (d *draft) in(what string, allowed ...phase) error {
	for _, p := range allowed {
		if d.phase == p {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", what, engine.ErrPhase)
}

// ID implements [engine.Exchange].
func (d *draft) ID() string { return d.id }

// Peer implements [engine.Exchange].
func (d *draft) Peer() netip.AddrPort { return d.peer }

// Protocol implements [engine.Exchange].
func (d *draft) Protocol() string {
	if d.minor == 0 {
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// Method implements [engine.Exchange].
func (d *draft) Method() []byte { return d.method }

// SetMethod implements [engine.Exchange].
func (d *draft) SetMethod(method []byte) error {
	if err := d.in("set method", requesting); err != nil {
		return err
	}
	switch {
	case !wire.IsToken(method) || len(method) > 32:
		return refused("method %.40q: expected a token of at most 32 bytes", method)
	case string(method) == "CONNECT":
		return refused("method CONNECT")
	case (string(method) == "TRACE") != (string(d.method) == "TRACE"):
		return refused("method %q in place of %q: it would change what may stand in the request", method, d.method)
	case (string(method) == "HEAD") != (string(d.method) == "HEAD"):
		return refused("method %q in place of %q: it would change how the response ends", method, d.method)
	}
	d.method = d.keep(method)
	d.changes++
	return nil
}

// URI implements [engine.Exchange].
func (d *draft) URI() []byte { return d.uri }

// SetURI implements [engine.Exchange].
func (d *draft) SetURI(uri []byte) error {
	if err := d.in("set URI", requesting); err != nil {
		return err
	}
	if len(uri) == 0 {
		uri = []byte("/")
	}
	if len(uri) > maxURI {
		return tooLarge("URI of %d bytes, limit %d", len(uri), maxURI)
	}
	if uri[0] != '/' && (string(uri) != "*" || string(d.method) != "OPTIONS") || !wire.IsTarget(uri) {
		return refused("URI %.80q: expected a path and an optional query, without white space and controls", uri)
	}
	for _, c := range uri {
		if c == '#' {
			return refused("URI %.80q: expected no fragment", uri)
		}
	}
	d.uri = d.keep(uri)
	d.changes++
	return nil
}

// Status implements [engine.Exchange].
func (d *draft) Status() int { return d.status }

// SetStatus implements [engine.Exchange].
func (d *draft) SetStatus(status int) error {
	if err := d.in("set status", responding); err != nil {
		return err
	}
	if status < 200 || status > 599 {
		return refused("status %d: expected 200 to 599", status)
	}
	if bodiless(status) != bodiless(d.status) {
		return refused("status %d in place of %d: it would change how the response ends", status, d.status)
	}
	d.status = status
	d.changes++
	return nil
}

func bodiless(status int) bool { return status < 200 || status == 204 || status == 304 }

// NumFields implements [engine.Exchange].
func (d *draft) NumFields(s engine.Section) int { return len(d.sections[s]) }

// Field implements [engine.Exchange].
func (d *draft) Field(s engine.Section, i int) (name, value []byte) {
	f := &d.sections[s][i]
	return f.Name, f.Value
}

// mayChange says whether fields of that name may be changed in s now.
func (d *draft) mayChange(s engine.Section, name []byte) error {
	switch s {
	case engine.RequestFields, engine.RequestTrailers:
		if err := d.in("change request fields", requesting); err != nil {
			return err
		}
	default:
		if err := d.in("change response fields", requesting, responding); err != nil {
			return err
		}
	}
	if !wire.IsToken(name) {
		return refused("field name %.80q: expected a token", name)
	}
	known := wire.Lookup(name)
	switch known {
	case wire.ContentLength, wire.TransferEncoding, wire.Trailer, wire.Host, wire.Expect, wire.Via, wire.RequestID:
		return refused("field %q: it is the gateway's to set", name)
	}
	if known.HopByHop() {
		return refused("field %q: it belongs to one connection", name)
	}
	if f := (&wire.Field{Name: name, Known: known}); s >= engine.RequestTrailers && !wire.TrailerAllowed(f) {
		return refused("field %q: not in a trailer section", name)
	}
	return nil
}

func (d *draft) mayHold(s engine.Section, name, value []byte) error {
	if err := d.mayChange(s, name); err != nil {
		return err
	}
	if !wire.IsValue(value) {
		return refused("field %q: value %.80q: expected no controls, and no white space at the ends", name, value)
	}
	size := len(name) + len(value) + 4
	for i := range d.sections[s] {
		size += len(d.sections[s][i].Name) + len(d.sections[s][i].Value) + 4
	}
	if len(d.sections[s]) >= maxFields || size > maxFieldBytes {
		return tooLarge("field %q: the section would have more than %d fields or %d bytes", name, maxFields, maxFieldBytes)
	}
	return nil
}

// SetField implements [engine.Exchange].
func (d *draft) SetField(s engine.Section, name, value []byte) error {
	if err := d.mayHold(s, name, value); err != nil {
		return err
	}
	name = d.keep(name)
	d.setField(s, wire.Field{Name: name, Value: d.keep(value), Known: wire.Lookup(name)})
	d.changed(s, name)
	return nil
}

// setField leaves one line of f's name: at the first one's place, or at the end.
func (d *draft) setField(s engine.Section, f wire.Field) {
	fields, set := d.sections[s][:0], false
	for _, old := range d.sections[s] {
		if !wire.EqualFold(old.Name, f.Name) {
			fields = append(fields, old)
		} else if !set {
			fields, set = append(fields, f), true
		}
	}
	if !set {
		fields = append(fields, f)
	}
	d.sections[s] = fields
}

// AddField implements [engine.Exchange].
func (d *draft) AddField(s engine.Section, name, value []byte) error {
	if err := d.mayHold(s, name, value); err != nil {
		return err
	}
	name = d.keep(name)
	d.sections[s] = append(d.sections[s], wire.Field{Name: name, Value: d.keep(value), Known: wire.Lookup(name)})
	d.changed(s, name)
	return nil
}

// RemoveField implements [engine.Exchange].
func (d *draft) RemoveField(s engine.Section, name []byte) error {
	if err := d.mayChange(s, name); err != nil {
		return err
	}
	if d.removeField(s, name) {
		d.changed(s, d.keep(name))
	}
	return nil
}

func (d *draft) removeField(s engine.Section, name []byte) (removed bool) {
	fields := d.sections[s][:0]
	for _, f := range d.sections[s] {
		if !wire.EqualFold(f.Name, name) {
			fields = append(fields, f)
		}
	}
	removed = len(fields) < len(d.sections[s])
	d.sections[s] = fields
	return removed
}

func (d *draft) changed(s engine.Section, name []byte) {
	d.changes++
	if s == engine.RequestFields || s == engine.RequestTrailers {
		d.touched = append(d.touched, name)
	}
}

// record writes into the ledger what the step at work has made of the request, whose URI was before it. It is called when the
// step has come to its end: one that was refused something has changed nothing.
func (d *draft) record(before []byte) {
	by := blame.Step(d.by)
	if !bytes.Equal(before, d.uri) {
		d.ledger.RewroteURI(before, d.uri, by)
	}
	for _, name := range d.touched {
		d.ledger.Field(name, by)
		if provesIdentity(name) {
			d.ledger.Credential(by)
		}
	}
}

// hidden reports whether a secret stands in the place of request fields of that name.
func (d *draft) hidden(name []byte) bool {
	for i := range d.secrets {
		if wire.EqualFold(d.secrets[i].Name, name) {
			return true
		}
	}
	return false
}

// provesIdentity reports whether a request field of that name says to the upstream who the sender is.
func provesIdentity(name []byte) bool {
	return wire.EqualFold(name, "Authorization") || wire.EqualFold(name, "Cookie")
}

// Prefix implements [engine.Exchange].
func (d *draft) Prefix(m engine.Message, limit int) (prefix []byte, whole bool, err error) {
	if m == engine.Request {
		prefix, whole, err = d.request.prefix(limit, contentCoding(d.sections[engine.RequestFields]))
		d.readTrailers()
		return prefix, whole, err
	}
	if err := d.in("read the response's content", responding, judging); err != nil {
		return nil, false, err
	}
	prefix, whole, err = d.response.prefix(limit, contentCoding(d.sections[engine.ResponseFields]), d.phase == responding)
	d.readTrailers()
	return prefix, whole, err
}

// Body implements [engine.Exchange].
func (d *draft) Body(m engine.Message, limit int) (body []byte, err error) {
	defer d.readTrailers()
	if m == engine.Request {
		body, whole, err := d.request.fetch(limit)
		if err == nil && !whole {
			err = tooLarge("request content of more than %d bytes", limit)
		}
		return body, err
	}
	if err := d.in("read the response's content", responding); err != nil {
		return nil, err
	}
	return d.response.whole(limit)
}

// readTrailers makes the fields behind a content visible once that has been read ahead to its end.
func (d *draft) readTrailers() {
	if d.phase == requesting && d.request.ended && !d.trailersRead[engine.Request] {
		d.trailersRead[engine.Request] = true
		d.sections[engine.RequestTrailers] = append(d.sections[engine.RequestTrailers], d.request.trailers...)
	}
	if d.phase == responding && !d.response.replaced && d.response.attempt.Done() && !d.trailersRead[engine.Response] {
		d.trailersRead[engine.Response] = true
		for _, f := range d.response.attempt.Trailers() {
			if wire.TrailerAllowed(&f) && !d.response.attempt.Hops().Drops(&f) {
				d.sections[engine.ResponseTrailers] = append(d.sections[engine.ResponseTrailers], f)
			}
		}
	}
}

// SetBody implements [engine.Exchange].
func (d *draft) SetBody(m engine.Message, body []byte) error {
	if m == engine.Request {
		if err := d.in("set the request's content", requesting); err != nil {
			return err
		}
		if d.ledger != nil {
			if err := d.request.replace(body); err != nil {
				return err
			}
			d.ledger.Body(blame.Step(d.by))
		}
		d.changes++
		return nil
	}
	if err := d.in("set the response's content", requesting, responding); err != nil {
		return err
	}
	if d.phase == responding && bodiless(d.status) {
		return refused("content for a response with status %d", d.status)
	}
	if d.ledger != nil {
		d.response.replace(body)
	}
	d.changes++
	return nil
}

// Answer implements [engine.Exchange].
func (d *draft) Answer(status int) error {
	if err := d.in("answer", requesting); err != nil {
		return err
	}
	if status < 200 || status > 599 {
		return refused("answer with status %d: expected 200 to 599", status)
	}
	d.status, d.phase = status, answering
	d.changes++
	return nil
}
