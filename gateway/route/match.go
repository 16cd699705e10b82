package route

import "bytes"

// A State says what became of a match. Zero is [NoRoute].
type State uint8

const (
	NoRoute          State = iota // no entry matches host and path: 404
	MethodNotAllowed              // some do, but none takes the method: 405
	Found
)

// An Outcome says what became of a match.
type Outcome struct {
	State State
	allow uint64 // set of methods, for [Table.AppendAllow]
}

// Params are the parameters of one match. They borrow the path that was matched. The zero Params are empty.
type Params struct {
	path  []byte
	names []string
	spans [MaxParams]span
}

// A span is a piece of the path.
type span struct{ start, end int32 }

// Len is the number of parameters.
func (p *Params) Len() int { return len(p.names) }

// Name is the i-th parameter's name, in the order of the template.
func (p *Params) Name(i int) string { return p.names[i] }

// Value is the i-th parameter's value as it was sent, percent-encoding included.
func (p *Params) Value(i int) []byte {
	_ = p.names[i] // no value is left over from a route that was tried and not taken
	return p.path[p.spans[i].start:p.spans[i].end]
}

// Get is the value of the parameter called name, or nil.
func (p *Params) Get(name string) []byte {
	for i, n := range p.names {
		if n == name {
			return p.Value(i)
		}
	}
	return nil
}

// A search is one request on its way through the nodes. It visits a node at most once, so its cost is bounded by the
// number of segments in all templates.
type search[V any] struct {
	method []byte
	path   []byte
	params *Params
	allow  uint64 // methods of the leaves that matched the path and refused the method
}

// below finds the best entry below n for the rest of the path from at, where a segment starts.
func (s *search[V]) below(n *node[V], at int) *bound[V] {
	end := len(s.path)
	if i := bytes.IndexByte(s.path[at:], '/'); i >= 0 {
		end = at + i
	}
	word := s.path[at:end]
	if len(n.literals) > 0 {
		if c := n.literals[string(word)]; c != nil {
			if b := s.after(c, end); b != nil {
				return b
			}
		}
	}
	if n.digits != nil && allDigits(word) {
		s.params.spans[n.params] = span{int32(at), int32(end)}
		if b := s.after(n.digits, end); b != nil {
			return b
		}
	}
	if n.param != nil && len(word) > 0 {
		s.params.spans[n.params] = span{int32(at), int32(end)}
		if b := s.after(n.param, end); b != nil {
			return b
		}
	}
	if n.rest != nil {
		s.params.spans[n.params] = span{int32(at), int32(len(s.path))}
		return s.choose(n.rest)
	}
	return nil
}

// after goes on at n, whose segment ends at end.
func (s *search[V]) after(n *node[V], end int) *bound[V] {
	if end == len(s.path) {
		return s.choose(&n.leaf)
	}
	return s.below(n, end+1)
}

// choose returns the entry of l that takes the method, or nil.
func (s *search[V]) choose(l *leaf[V]) *bound[V] {
	for i := range l.listed {
		if l.listed[i].method == string(s.method) {
			return l.listed[i].to
		}
	}
	if l.any == nil {
		s.allow |= l.allow
	}
	return l.any
}

func allDigits(word []byte) bool {
	for _, c := range word {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(word) > 0
}
