package blame

import (
	"bytes"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// An Origin is who put a part of a request where it is. The zero Origin is the client. Origins compare with ==.
type Origin struct {
	step string
	ours bool
}

// Gateway is the gateway's own configuration: its injections and its credentials.
var Gateway = Origin{ours: true}

// Step is the step of that name. The name is kept.
func Step(name string) Origin { return Origin{step: name, ours: true} }

// String returns client, gateway, or step "NAME".
func (o Origin) String() string {
	switch {
	case !o.ours:
		return "client"
	case o.step == "":
		return "gateway"
	}
	return `step "` + o.step + `"`
}

// A Change is what was done to a part. Zero is [Unchanged].
type Change uint8

const (
	Unchanged Change = iota // as the client sent it
	Put                     // it is there, or there once more
	Changed                 // it has other bytes
	Removed                 // it is gone, or there once less
)

func (c Change) String() string { return [...]string{"unchanged", "put", "changed", "removed"}[c] }

// Sizes of a Ledger. More than fits makes it forget, never grow.
const (
	maxEntries = 32   // named parts
	maxNames   = 1024 // bytes of their names
)

// A Ledger records who put what into one attempt's request. What is not recorded is as the client sent it. Of several
// changes to a part, the last one is remembered.
//
// The zero Ledger is ready. Its size is fixed; names are copied into it, so that guests' bytes may be lent. It is used by
// one goroutine at a time.
type Ledger struct {
	path, body, credential mark

	entries  [maxEntries]entry
	n        int
	names    [maxNames]byte
	used     int
	overflow bool // a named part is missing
}

// A mark is a change and whose it was.
type mark struct {
	by     Origin
	change Change
}

// An entry is the mark of a query parameter or field.
type entry struct {
	mark
	part       abi.Part
	start, end uint16 // of its name; a query parameter's is decoded
}

// Reset empties l for the next attempt.
func (l *Ledger) Reset() {
	l.path, l.body, l.credential = mark{}, mark{}, mark{}
	clear(l.entries[:l.n])
	l.n, l.used, l.overflow = 0, 0, false
}

// Path records that the path is by's, or holds something of by's that an error can be about, such as an injected id.
//
// A template that only sets fixed text around what the client sent is better not recorded: what varies in it is still the
// client's, and somebody who asks for one wrong thing after the other would never be found.
func (l *Ledger) Path(by Origin) { l.path = mark{by, Changed} }

// Body records that the content is by's.
func (l *Ledger) Body(by Origin) { l.body = mark{by, Changed} }

// Credential records that by put what proves to the upstream who the sender is.
func (l *Ledger) Credential(by Origin) { l.credential = mark{by, Put} }

// Field records that by set, added or removed the field name.
func (l *Ledger) Field(name []byte, by Origin) { l.record(abi.PartField, name, mark{by, Changed}) }

// Query records that by put the query parameter name, which may be percent-encoded.
func (l *Ledger) Query(name []byte, by Origin) { l.record(abi.PartQuery, name, mark{by, Put}) }

// record notes m for a named part.
func (l *Ledger) record(part abi.Part, name []byte, m mark) {
	own, fits := write(l.names[l.used:], name, part == abi.PartQuery)
	if !fits {
		l.overflow = true
		return
	}
	if e := find(l, part, own); e != nil {
		e.mark = m
		return
	}
	if l.n == maxEntries {
		l.overflow = true
		return
	}
	l.entries[l.n] = entry{mark: m, part: part, start: uint16(l.used), end: uint16(l.used + len(own))}
	l.n++
	l.used += len(own)
}

// write copies name to dst, decoded if it is encoded, and returns the copy, unless it does not fit.
func write(dst, name []byte, encoded bool) (own []byte, fits bool) {
	n := 0
	for len(name) > 0 {
		if n == len(dst) {
			return nil, false
		}
		if encoded {
			dst[n], name = decode(name)
		} else {
			dst[n], name = name[0], name[1:]
		}
		n++
	}
	return dst[:n], true
}

// find returns the entry of a part by its plain name, or nil.
func find[T []byte | string](l *Ledger, part abi.Part, name T) *entry {
	for i := range l.entries[:l.n] {
		e := &l.entries[i]
		if e.part == part && equal(l.names[e.start:e.end], name, part == abi.PartField) {
			return e
		}
	}
	return nil
}

// equal compares names, fold without the case of ASCII letters.
func equal[T []byte | string](a []byte, b T, fold bool) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if d := b[i]; c != d && !(fold && c|0x20 == d|0x20 && 'a' <= c|0x20 && c|0x20 <= 'z') {
			return false
		}
	}
	return true
}

// RewroteURI finds what by did to the path and the query when it put one URI in place of another.
func (l *Ledger) RewroteURI(was, is []byte, by Origin) {
	wasPath, wasQuery, _ := bytes.Cut(was, []byte("?"))
	isPath, isQuery, _ := bytes.Cut(is, []byte("?"))
	if !bytes.Equal(wasPath, isPath) {
		l.Path(by)
	}
	l.RewroteQuery(wasQuery, isQuery, by)
}
