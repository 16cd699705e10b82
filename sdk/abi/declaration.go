package abi

import (
	"encoding/binary"
	"strconv"
)

// A StatusSet is a set of status codes from 100 to 999.
type StatusSet [16]uint64

// Add puts one code into s.
func (s *StatusSet) Add(status int) {
	if status >= 100 && status <= 999 {
		s[status>>6] |= 1 << (status & 63)
	}
}

// AddClass puts the hundred codes of a class, 1 to 5, into s.
func (s *StatusSet) AddClass(class int) {
	if class >= 1 && class <= 5 {
		for code := class * 100; code < class*100+100; code++ {
			s.Add(code)
		}
	}
}

// Has reports whether status is in s.
func (s *StatusSet) Has(status int) bool {
	return status >= 100 && status <= 999 && s[status>>6]>>(status&63)&1 == 1
}

// A Want says when a guest wants to be called in one phase, and what it wants to see then.
type Want struct {
	Called bool // the zero Want is never called

	Method, URI       bool
	RequestFields     []string // names of chosen fields, compared without case
	ResponseFields    []string
	AllRequestFields  bool
	AllResponseFields bool
	RequestTrailers   bool
	ResponseTrailers  bool
	Prefix            int // cap of the body prefix; 0 for none
	Body              int // cap of the whole body; 0 for none

	Statuses StatusSet // of responses; empty means every status
	Methods  []string  // of requests; empty means every method
}

// Interested reports whether the guest wants to be called for a request of that method, and in the phases of the response for
// that status.
func (w *Want) Interested(method []byte, status int) bool {
	if !w.Called || w.Statuses != (StatusSet{}) && !w.Statuses.Has(status) {
		return false
	}
	for _, m := range w.Methods {
		if m == string(method) {
			return true
		}
	}
	return len(w.Methods) == 0
}

// Sees reports whether the guest wants to see the field lines of that name in s.
func (w *Want) Sees(s Section, name []byte) bool {
	names := w.RequestFields
	switch s {
	case RequestFields:
		if w.AllRequestFields {
			return true
		}
	case ResponseFields:
		if w.AllResponseFields {
			return true
		}
		names = w.ResponseFields
	case RequestTrailers:
		return w.RequestTrailers
	case ResponseTrailers:
		return w.ResponseTrailers
	}
	for _, n := range names {
		if equalFold(n, name) {
			return true
		}
	}
	return false
}

// SeesFields reports whether the guest wants to see any line of s.
func (w *Want) SeesFields(s Section) bool {
	switch s {
	case RequestFields:
		return w.AllRequestFields || len(w.RequestFields) > 0
	case ResponseFields:
		return w.AllResponseFields || len(w.ResponseFields) > 0
	case RequestTrailers:
		return w.RequestTrailers
	default:
		return w.ResponseTrailers
	}
}

// A Complaint says what is wrong with a plugin's configuration.
type Complaint struct {
	Pointer string // to the value at fault: a JSON pointer, empty for all of it
	Message string // what was expected
}

// A Declaration is a guest's answer to its configuration.
type Declaration struct {
	Wants      [Phases]Want // by phase
	Reasons    []Reason     // number 1 first
	Complaints []Complaint  // with any, the rest is empty and the plugin must not be used
}

// MaxReasons is how many reasons a guest may declare.
const MaxReasons = 256

// The bits of a want.
const (
	wantMethod = 1 << iota
	wantURI
	wantAllRequestFields
	wantAllResponseFields
	wantRequestTrailers
	wantResponseTrailers
	wantBits = iota
)

const (
	wantSize     = 16
	maxCap       = 1 << 30 // of a prefix or body; a guest has no more memory than 4 GiB
	maxReasonLen = 64
)

// AppendDeclaration appends d, on the guest's side. It writes what d says, sensible or not: the host checks.
func AppendDeclaration(dst []byte, d *Declaration) []byte {
	if len(d.Complaints) > 0 {
		for _, c := range d.Complaints {
			dst = appendPair(dst, KindComplaint, 0, c.Pointer, c.Message)
		}
		return dst
	}
	for p := range d.Wants {
		if d.Wants[p].Called {
			dst = appendWant(dst, Phase(p), &d.Wants[p])
		}
	}
	for _, r := range d.Reasons {
		dst = appendPair(dst, KindReason, uint8(r.About.Part), r.Name, r.About.Name)
	}
	return dst
}

func appendWant(dst []byte, p Phase, w *Want) []byte {
	var bits uint32
	for i, b := range [wantBits]bool{
		w.Method, w.URI, w.AllRequestFields, w.AllResponseFields, w.RequestTrailers, w.ResponseTrailers,
	} {
		if b {
			bits |= 1 << i
		}
	}
	var classes uint32
	rest := w.Statuses
	for class := 1; class <= 5; class++ {
		var all StatusSet
		all.AddClass(class)
		if !containsAll(&w.Statuses, &all) {
			continue
		}
		classes |= 1 << class
		for i := range rest {
			rest[i] &^= all[i]
		}
	}
	dst = appendItem(dst, KindWant, uint8(p), 0, wantSize)
	for _, u := range [wantSize / 4]uint32{bits, uint32(w.Prefix), uint32(w.Body), classes} {
		dst = binary.LittleEndian.AppendUint32(dst, u)
	}
	for _, name := range w.RequestFields {
		dst = appendText(dst, KindWantField, uint8(p), uint16(RequestFields), []byte(name))
	}
	for _, name := range w.ResponseFields {
		dst = appendText(dst, KindWantField, uint8(p), uint16(ResponseFields), []byte(name))
	}
	for code := 100; code <= 999; code++ {
		if rest.Has(code) {
			dst = appendItem(dst, KindWantStatus, uint8(p), uint16(code), 0)
		}
	}
	for _, m := range w.Methods {
		dst = appendText(dst, KindWantMethod, uint8(p), 0, []byte(m))
	}
	return dst
}

func containsAll(s, t *StatusSet) bool {
	for i := range t {
		if s[i]&t[i] != t[i] {
			return false
		}
	}
	return true
}

// ReadDeclaration reads what a guest returned from its configuration. It keeps nothing of b.
func ReadDeclaration(b []byte) (Declaration, error) {
	var d Declaration
	for at := 0; at < len(b); {
		it, after, err := next("declaration", b, at)
		if err != nil {
			return Declaration{}, err
		}
		if got, want := d.add(&it); want != "" {
			return Declaration{}, &Error{"declaration", at, it.kind.String() + got, want}
		}
		at = after
	}
	if !d.anyWant() && len(d.Complaints) == 0 {
		return Declaration{}, &Error{"declaration", len(b), "no wants", "at least one, or a complaint"}
	}
	return d, nil
}

// add takes one item into d, or says what is not right with it and what was expected.
func (d *Declaration) add(it *item) (got, want string) {
	if it.kind == KindComplaint {
		switch {
		case len(d.Reasons) > 0 || d.anyWant():
			return " after a want or reason", "only complaints"
		case it.sub != 0:
			return say(" with sub ", it.sub), "0"
		case int(it.arg) >= len(it.payload):
			return say(" with a pointer of ", it.arg, " bytes in ", len(it.payload)), "a message after it"
		case it.arg > 0 && it.payload[0] != '/':
			return say(" with pointer ", quoted(it.payload[:it.arg])), "a JSON pointer: empty or beginning with /"
		}
		pointer, message := it.pair()
		d.Complaints = append(d.Complaints, Complaint{string(pointer), string(message)})
		return "", ""
	}
	switch {
	case it.kind < KindWant || it.kind > KindComplaint:
		return "", "a part of a declaration, 32 to 37"
	case len(d.Complaints) > 0:
		return " after a complaint", "only complaints"
	case it.kind == KindReason:
		return d.addReason(it)
	case it.sub == uint8(PhaseConfigure) || it.sub >= Phases:
		return say(" for phase ", it.sub), "1 to 3"
	}
	w := &d.Wants[it.sub]
	response := Phase(it.sub) != PhaseRequest
	switch {
	case it.kind == KindWant && w.Called:
		return say(" for phase ", it.sub), "one for each phase"
	case it.kind == KindWant:
		return w.read(it, response)
	case !w.Called:
		return say(" for phase ", it.sub), "the want of that phase before it"
	}
	switch it.kind {
	case KindWantField:
		switch {
		case it.arg > uint16(ResponseFields) || Section(it.arg) == ResponseFields && !response:
			return say(" of section ", it.arg, " in phase ", it.sub), "section 0, or 1 in phases 2 and 3"
		case len(it.payload) == 0:
			return " without a name", "a name"
		}
		if Section(it.arg) == RequestFields {
			w.RequestFields = append(w.RequestFields, string(it.payload))
		} else {
			w.ResponseFields = append(w.ResponseFields, string(it.payload))
		}
	case KindWantStatus:
		switch {
		case !response:
			return " in phase 1", "it only in phases 2 and 3"
		case it.arg < 100 || it.arg > 999:
			return say(" ", it.arg), "100 to 999"
		case len(it.payload) != 0:
			return say(" with a payload of ", len(it.payload), " bytes"), "none"
		}
		w.Statuses.Add(int(it.arg))
	case KindWantMethod:
		switch {
		case it.arg != 0:
			return say(" with arg ", it.arg), "0"
		case len(it.payload) == 0:
			return " without text", "a method"
		}
		w.Methods = append(w.Methods, string(it.payload))
	}
	return "", ""
}

func (d *Declaration) anyWant() bool {
	for p := range d.Wants {
		if d.Wants[p].Called {
			return true
		}
	}
	return false
}

func (w *Want) read(it *item, response bool) (got, want string) {
	if it.arg != 0 || len(it.payload) != wantSize {
		return say(" with arg ", it.arg, " and a payload of ", len(it.payload), " bytes"), say("0 and ", wantSize)
	}
	bits := binary.LittleEndian.Uint32(it.payload)
	prefix := binary.LittleEndian.Uint32(it.payload[4:])
	body := binary.LittleEndian.Uint32(it.payload[8:])
	classes := binary.LittleEndian.Uint32(it.payload[12:])
	switch {
	case bits>>wantBits != 0:
		return say(" with bits ", hexed(uint64(bits))), say("none above ", hexed(uint64(1<<wantBits-1)))
	case !response && bits&(wantAllResponseFields|wantResponseTrailers) != 0:
		return say(" with bits ", hexed(uint64(bits)), " in phase 1"), "nothing of the response"
	case prefix != 0 && body != 0:
		return " with a prefix and a whole body", "one of them"
	case prefix > maxCap || body > maxCap:
		return say(" with a cap of ", max(prefix, body)), say("at most ", maxCap)
	case classes&^0b111110 != 0:
		return " with status classes 0b" + strconv.FormatUint(uint64(classes), 2), "bits 1 to 5"
	case !response && classes != 0:
		return " with status classes in phase 1", "them only in phases 2 and 3"
	}
	*w = Want{
		Called: true,
		Method: bits&wantMethod != 0, URI: bits&wantURI != 0,
		AllRequestFields: bits&wantAllRequestFields != 0, AllResponseFields: bits&wantAllResponseFields != 0,
		RequestTrailers: bits&wantRequestTrailers != 0, ResponseTrailers: bits&wantResponseTrailers != 0,
		Prefix: int(prefix), Body: int(body),
	}
	for class := 1; class <= 5; class++ {
		if classes>>class&1 == 1 {
			w.Statuses.AddClass(class)
		}
	}
	return "", ""
}

func (d *Declaration) addReason(it *item) (got, want string) {
	switch {
	case len(d.Reasons) == MaxReasons:
		return "", say("at most ", MaxReasons, " of them")
	case it.sub >= Parts:
		return say(" about part ", it.sub), say("0 to ", Parts-1)
	case it.arg == 0 || it.arg > maxReasonLen || int(it.arg) > len(it.payload):
		return say(" with a word of ", it.arg, " bytes in ", len(it.payload)), say("1 to ", maxReasonLen, ", within the item")
	}
	word, name := it.pair()
	part := Part(it.sub)
	for _, c := range word {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return say(" ", quoted(word)), "only a-z, 0-9 and _"
		}
	}
	if named := part == PartQuery || part == PartField; named != (len(name) > 0) {
		return say(" ", quoted(word), " about part ", it.sub, " with name ", quoted(name)), "a name for parts 3 and 4, and only for them"
	}
	for _, r := range d.Reasons {
		if r.Name == string(word) {
			return say(" ", quoted(word)), "another word than an earlier reason's"
		}
	}
	d.Reasons = append(d.Reasons, Reason{Name: string(word), About: About{Part: part, Name: string(name)}})
	return "", ""
}
