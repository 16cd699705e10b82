package abi

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// The layout of every byte between host and guest stands in LAYOUT.md, for authors in any language. This file and its
// neighbours are that layout in Go, for both sides: append to build, walk to read, no allocation unless there is an error.
// What a guest needs of it does without package fmt, which would make every guest larger by a third.

// Names of the functions that a guest exports.
const (
	ExportMark      = "bw_abi_v1"
	ExportBuffer    = "bw_buffer"
	ExportConfigure = "bw_configure"
	ExportRequest   = "bw_request"
	ExportResponse  = "bw_response"
	ExportClassify  = "bw_classify"
)

// The import that a guest may use, and its levels.
const (
	ImportModule = "breakwater"
	ImportLog    = "log"

	LogDebug = 0
	LogInfo  = 1
	LogWarn  = 2
	LogError = 3
)

// Features is the set of optional features that this version knows; the mark of a guest may name no others.
const Features uint32 = 0

// A Phase is a point of an exchange at which a guest is called.
type Phase uint8

const (
	PhaseConfigure Phase  = iota
	PhaseRequest          // before the request is sent to the upstream
	PhaseResponse         // when the response head is here
	PhaseClassify         // when the response is judged
	Phases         = iota // how many there are
)

var phaseNames = [Phases]string{"configure", "request", "response", "classify"}

// String returns the word for p in metrics, logs and the API.
func (p Phase) String() string {
	if int(p) < Phases {
		return phaseNames[p]
	}
	return "phase(" + strconv.Itoa(int(p)) + ")"
}

// A Section is one of an exchange's four field sections.
type Section uint8

const (
	RequestFields Section = iota
	ResponseFields
	RequestTrailers
	ResponseTrailers
	Sections = iota // how many there are
)

// Request reports whether s belongs to the request.
func (s Section) Request() bool { return s == RequestFields || s == RequestTrailers }

// A Kind says what an item is.
type Kind uint8

const (
	KindMethod Kind = 1 // inputs
	KindURI    Kind = 2
	KindField  Kind = 3
	KindBody   Kind = 4
	KindConfig Kind = 5
	KindFact   Kind = 6

	KindSetURI      Kind = 16 // mutations
	KindSetMethod   Kind = 17
	KindSetField    Kind = 18
	KindAddField    Kind = 19
	KindRemoveField Kind = 20
	KindSetStatus   Kind = 21
	KindSetBody     Kind = 22
	KindAnswer      Kind = 23

	KindWant       Kind = 32 // declarations
	KindWantField  Kind = 33
	KindWantStatus Kind = 34
	KindWantMethod Kind = 35
	KindReason     Kind = 36
	KindComplaint  Kind = 37
)

var kindNames = [...]string{
	KindMethod: "method", KindURI: "URI", KindField: "field line", KindBody: "body", KindConfig: "configuration", KindFact: "fact",
	KindSetURI: "set URI", KindSetMethod: "set method", KindSetField: "set field", KindAddField: "add field",
	KindRemoveField: "remove field", KindSetStatus: "set status", KindSetBody: "set body", KindAnswer: "answer",
	KindWant: "want", KindWantField: "wanted field", KindWantStatus: "wanted status", KindWantMethod: "wanted method",
	KindReason: "reason", KindComplaint: "complaint",
}

// String returns the word for k in errors.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

const itemHead = 8 // size of an item without its payload

// An Error says where bytes are not what the layout asks for.
type Error struct {
	What   string // "input", "mutations" or "declaration"
	Offset int    // of the item, or of the bytes in question
	Got    string
	Want   string
}

func (e *Error) Error() string {
	return e.What + ": offset " + strconv.Itoa(e.Offset) + ": " + e.Got + ": expected " + e.Want
}

// appendItem appends an item's head; n bytes of payload have to follow.
func appendItem(dst []byte, k Kind, sub uint8, arg uint16, n int) []byte {
	return append(dst, uint8(k), sub, uint8(arg), uint8(arg>>8), uint8(n), uint8(n>>8), uint8(n>>16), uint8(n>>24))
}

func appendText(dst []byte, k Kind, sub uint8, arg uint16, payload []byte) []byte {
	return append(appendItem(dst, k, sub, arg, len(payload)), payload...)
}

// appendPair appends an item of two texts. A first one that is too long for its size to be told is cut: no name is.
func appendPair[A, B []byte | string](dst []byte, k Kind, sub uint8, first A, second B) []byte {
	first = first[:min(len(first), 1<<16-1)]
	dst = appendItem(dst, k, sub, uint16(len(first)), len(first)+len(second))
	return append(append(dst, first...), second...)
}

// An item is one piece of any sequence. Its payload is borrowed from the sequence.
type item struct {
	kind    Kind
	sub     uint8
	arg     uint16
	payload []byte
	offset  int // of its head
}

// pair is the item's two texts. It is called only after arg was checked.
func (it *item) pair() (first, second []byte) {
	return it.payload[:it.arg:it.arg], it.payload[it.arg:]
}

// next reads the item at offset at of b. It is not called at the end.
func next(what string, b []byte, at int) (it item, after int, err error) {
	rest := b[at:]
	if len(rest) < itemHead {
		return item{}, 0, &Error{what, at, bytesOf(len(rest)), "an item of at least 8"}
	}
	n := binary.LittleEndian.Uint32(rest[4:])
	if uint64(n) > uint64(len(rest)-itemHead) {
		return item{}, 0, &Error{
			what, at, Kind(rest[0]).String() + " of " + strconv.FormatUint(uint64(n), 10) + " bytes",
			"at most the " + strconv.Itoa(len(rest)-itemHead) + " that are left",
		}
	}
	end := itemHead + int(n)
	return item{
		kind:    Kind(rest[0]),
		sub:     rest[1],
		arg:     binary.LittleEndian.Uint16(rest[2:]),
		payload: rest[itemHead:end:end],
		offset:  at,
	}, at + end, nil
}

// PackResult is what a guest returns for a result of n bytes at address.
func PackResult(address, n uint32) uint64 { return uint64(address)<<32 | uint64(n) }

// UnpackResult reads what [PackResult] wrote. 0 is no result and no error.
func UnpackResult(w uint64) (address, n uint32, err error) {
	address, n = uint32(w>>32), uint32(w)
	if w != 0 && (address == 0 || n == 0) {
		return 0, 0, errors.New(say("result ", hex16(w), ": address ", hexed(uint64(address)), ", length ", n, ": expected both or neither to be 0"))
	}
	return address, n, nil
}

func bytesOf(n int) string { return say(n, " bytes") }

// equalFold compares two field names.
func equalFold[A, B []byte | string](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
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
