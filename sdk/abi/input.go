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
func (in *Input) Next(p *Piece) (bool, error) {
	for in.at < len(in.b) {
		it, after, err := next("input", in.b, in.at)
		if err != nil {
			return false, err
		}
		in.at = after
		switch it.kind {
		case KindMethod, KindURI, KindConfig:
			*p = Piece{Kind: it.kind, Value: it.payload}
			return true, nil
		case KindBody:
			*p = Piece{Kind: it.kind, Whole: it.sub&1 == 1, Value: it.payload}
			return true, nil
		case KindField, KindFact:
			if int(it.arg) > len(it.payload) {
				return false, &Error{
					"input", it.offset, it.kind.String() + " with a name of " + bytesOf(int(it.arg)),
					"no more than its " + strconv.Itoa(len(it.payload)),
				}
			}
			if it.kind == KindField && it.sub >= Sections {
				continue // of a section that this version does not know
			}
			*p = Piece{Kind: it.kind, Section: Section(it.sub)}
			p.Name, p.Value = it.pair()
			return true, nil
		}
	}
	return false, nil
}
