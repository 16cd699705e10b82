package sdk

import (
	"encoding/binary"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// A message is what a handler was called with. Its parts are borrowed from the input, and it is used again for the next call.
type message struct {
	method, uri []byte
	status      int
	fields      []line // of all sections
	body        []byte
	whole       bool
	hasBody     bool
}

type line struct {
	section     abi.Section
	name, value []byte
}

// begin reads an input's header. An input that is not the layout is the gateway's mistake, and not to be gone on with.
func begin(input []byte, want abi.Phase) abi.Input {
	in, err := abi.ReadInput(input)
	if err != nil {
		panic("BUG in the gateway: " + err.Error())
	}
	if in.Phase != want {
		panic("BUG in the gateway: input of phase " + in.Phase.String() + ", want " + want.String())
	}
	return in
}

func following(in *abi.Input, p *abi.Piece) bool {
	ok, err := in.Next(p)
	if err != nil {
		panic("BUG in the gateway: " + err.Error())
	}
	return ok
}

// begin takes input apart. It does what walking an [abi.Input] would do, in one function without calls: they are dear in
// WebAssembly, and this is on the way of every call of a guest. What is not the layout is left to abi to name.
func (m *message) begin(input []byte, phase abi.Phase) {
	if len(input) < 8 || input[2] != uint8(phase) {
		begin(input, phase)
	}
	m.method, m.uri, m.body, m.whole, m.hasBody = nil, nil, nil, false, false
	m.status, m.fields = int(binary.LittleEndian.Uint16(input[4:])), m.fields[:0]
	rest := input
	n := uint64(binary.LittleEndian.Uint16(input)) // the header
	if n < 8 || n > uint64(len(rest)) {
		wrong(input, phase)
	}
	for {
		rest = rest[n:]
		if len(rest) == 0 {
			return
		}
		if len(rest) < 8 {
			wrong(input, phase)
		}
		n = uint64(binary.LittleEndian.Uint32(rest[4:])) + 8
		if n > uint64(len(rest)) {
			wrong(input, phase)
		}
		payload := rest[8:n:n]
		switch abi.Kind(rest[0]) {
		case abi.KindMethod:
			m.method = payload
		case abi.KindURI:
			m.uri = payload
		case abi.KindBody:
			m.body, m.whole, m.hasBody = payload, rest[1]&1 == 1, true
		case abi.KindField, abi.KindFact:
			name := int(binary.LittleEndian.Uint16(rest[2:]))
			if name > len(payload) {
				wrong(input, phase)
			}
			if abi.Kind(rest[0]) == abi.KindField && rest[1] < abi.Sections {
				m.fields = append(m.fields, line{abi.Section(rest[1]), payload[:name:name], payload[name:]})
			}
		}
	}
}

// wrong walks an input that is not the layout, and panics with what is wrong.
func wrong(input []byte, phase abi.Phase) {
	in := begin(input, phase)
	var p abi.Piece
	for following(&in, &p) {
	}
	panic("BUG: an input of " + phase.String() + " that is right was taken for wrong")
}

func (m *message) field(s abi.Section, name string) ([]byte, bool) {
	for i := range m.fields {
		if l := &m.fields[i]; l.section == s && sameName(l.name, name) {
			return l.value, true
		}
	}
	return nil, false
}

// eachField calls f for the lines of s in the order of the message, until f returns false.
func (m *message) eachField(s abi.Section, f func(name, value []byte) bool) {
	for i := range m.fields {
		if l := &m.fields[i]; l.section == s && !f(l.name, l.value) {
			return
		}
	}
}

// setField makes what the handler sees follow what it asked for. Value is its own copy, in the mutation list.
func (m *message) setField(s abi.Section, name string, value []byte) {
	kept, found := m.fields[:0], false
	for _, l := range m.fields {
		if l.section != s || !sameName(l.name, name) {
			kept = append(kept, l)
		} else if !found {
			kept, found = append(kept, line{s, l.name, value}), true
		}
	}
	m.fields = kept
	if !found {
		m.addField(s, name, value)
	}
}

func (m *message) addField(s abi.Section, name string, value []byte) {
	m.fields = append(m.fields, line{s, []byte(name), value})
}

func (m *message) removeField(s abi.Section, name string) {
	kept := m.fields[:0]
	for _, l := range m.fields {
		if l.section != s || !sameName(l.name, name) {
			kept = append(kept, l)
		}
	}
	m.fields = kept
}

// Method is the request's method, empty if it is not wanted.
func (m *message) Method() []byte { return m.method }

// URI is the request's path and query, empty if it is not wanted.
func (m *message) URI() []byte { return m.uri }

// Body is what is here of the message's body: its beginning or all of it, as wanted; whole says which. There is none if ok is false.
func (m *message) Body() (body []byte, whole, ok bool) { return m.body, m.whole, m.hasBody }

func sameName(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// tail is the last n bytes of list: a value just written to it.
func tail(list []byte, n int) []byte { return list[len(list)-n : len(list) : len(list)] }
