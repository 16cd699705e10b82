package abi

import (
	"encoding/binary"
	"strconv"
)

const inputHead = 8 // size of an input's header in this version

// AppendInput appends the header of an input. Items follow: [AppendMethod], [AppendURI], [AppendField], [AppendBody] in this
// order, or [AppendConfig] and [AppendFact] for [PhaseConfigure]. What the guest did not ask for is left out.
func AppendInput(dst []byte, p Phase, status int) []byte {
	dst = append(dst, inputHead, 0, uint8(p), 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(status))
	return append(dst, 0, 0)
}

// AppendMethod appends the request's method.
func AppendMethod(dst, method []byte) []byte { return appendText(dst, KindMethod, 0, 0, method) }

// AppendURI appends the request's path and query.
func AppendURI(dst, uri []byte) []byte { return appendText(dst, KindURI, 0, 0, uri) }

// AppendField appends one field line of s.
func AppendField(dst []byte, s Section, name, value []byte) []byte {
	return appendPair(dst, KindField, uint8(s), name, value)
}

// AppendBody appends the beginning of a body, or all of it.
func AppendBody(dst, body []byte, whole bool) []byte {
	var sub uint8
	if whole {
		sub = 1
	}
	return appendText(dst, KindBody, sub, 0, body)
}

// AppendConfig appends a plugin's configuration, which is JSON.
func AppendConfig(dst, json []byte) []byte { return appendText(dst, KindConfig, 0, 0, json) }

// AppendFact appends a fact about the gateway.
func AppendFact(dst []byte, name, value string) []byte {
	return appendPair(dst, KindFact, 0, name, value)
}

// An Input is what a guest was called with. Read its parts with [Input.Next].
type Input struct {
	Phase  Phase
	Status int // of the response; 0 in the phases before it

	b  []byte
	at int
}

// ReadInput reads the header of b.
func ReadInput(b []byte) (Input, error) {
	if len(b) < inputHead {
		return Input{}, &Error{"input", 0, bytesOf(len(b)), "a header of at least 8"}
	}
	head := int(binary.LittleEndian.Uint16(b))
	if head < inputHead || head > len(b) {
		return Input{}, &Error{
			"input", 0, "header of " + bytesOf(head) + " in an input of " + strconv.Itoa(len(b)),
			"at least 8 and no more than there are",
		}
	}
	return Input{Phase: Phase(b[2]), Status: int(binary.LittleEndian.Uint16(b[4:])), b: b, at: head}, nil
}

// A Piece is one item of an input. Name and Value are borrowed from it.
type Piece struct {
	Kind    Kind
	Section Section // of a field line
	Whole   bool    // of a body: this is all of it
	Name    []byte  // of a field line or fact
	Value   []byte  // the text itself
}

// Next reads the next piece into p; false at the end. It skips what this version does not know.
//
// It is on the way of every call of a guest, and calls are dear in WebAssembly: so it reads an item itself, and leaves to
// others only what is wrong.
func (in *Input) Next(p *Piece) (bool, error) {
	for in.at < len(in.b) {
		rest := in.b[in.at:]
		if len(rest) < itemHead {
			_, _, err := next("input", in.b, in.at)
			return false, err
		}
		n := uint(binary.LittleEndian.Uint32(rest[4:]))
		if n > uint(len(rest)-itemHead) {
			_, _, err := next("input", in.b, in.at)
			return false, err
		}
		kind, sub := Kind(rest[0]), rest[1]
		end := itemHead + int(n)
		payload := rest[itemHead:end:end]
		at := in.at
		in.at += end
		switch kind {
		case KindMethod, KindURI, KindConfig, KindBody:
			p.Kind, p.Whole, p.Name, p.Value = kind, kind == KindBody && sub&1 == 1, nil, payload
			return true, nil
		case KindField, KindFact:
			name := int(binary.LittleEndian.Uint16(rest[2:]))
			if name > len(payload) {
				return false, &Error{
					"input", at, kind.String() + " with a name of " + bytesOf(name), "no more than its " + strconv.Itoa(len(payload)),
				}
			}
			if kind == KindField && sub >= Sections {
				continue // of a section that this version does not know
			}
			p.Kind, p.Section, p.Whole, p.Name, p.Value = kind, Section(sub), false, payload[:name:name], payload[name:]
			return true, nil
		}
	}
	return false, nil
}
