// Package route finds the route of a request: an immutable table from host, method and path to a value.
//
// [New] reads all entries, or says everything that is wrong with them; [Table.Match] then allocates nothing and may be
// called by any number of goroutines.
//
// Of all entries that match a request's host, path and method, the most specific one wins, whatever their order:
//
//   - An exact host beats a longer suffix, that beats a shorter suffix, that beats any host. Hosts are compared without
//     case and without port.
//   - Then paths are compared segment by segment from the left: a literal beats {name:digits}, that beats {name}, that
//     beats {name...}.
//   - Then an entry that lists the method beats one for any method.
//
// The host weighs most: any entry of an exact host that matches comes before every entry of a suffix. The method is part of
// the match: a path whose entries all refuse the method falls through to a less specific entry that takes it. HEAD is not
// implied by GET, because what is routed is not ours to answer.
//
// Paths are matched as they were sent. Percent-encoding is not undone, so %2F is not a slash and %61 is not "a"; empty
// segments and dots are segments like others. What the upstream gets to see is thus exactly what was matched.
package route

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An Entry is one route as it was configured.
type Entry[V any] struct {
	Name    string   // in errors
	Host    string   // "api.example", "*.example", or "*" or empty for any
	Methods []string // tokens, compared with case; empty for any
	Path    string   // a [Template]
	Value   V
}

// An Error is a mistake in the entries given to [New].
type Error struct {
	Index int // of the entry
	Name  string
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("route %q: %v", e.Name, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// maxMethods is how many methods one table may tell apart: a set of them is one word.
const maxMethods = 64

// A Table holds all routes. Its zero value has none.
type Table[V any] struct {
	exact    map[string]*node[V] // by name
	suffixes map[string]*node[V] // by ".suffix"
	any      *node[V]
	methods  []string // all that entries list, sorted; a bit in a set is an index here
}

// A node is a place in the templates of one host: the segments up to it have matched.
type node[V any] struct {
	literals map[string]*node[V]
	digits   *node[V]
	param    *node[V]
	rest     *leaf[V]
	leaf     leaf[V] // of templates that end here
	params   int     // parameters up to here
}

// A leaf holds the entries of one template: at most one for a method.
type leaf[V any] struct {
	listed []choice[V]
	any    *bound[V]
	allow  uint64 // set of the methods in listed
}

type choice[V any] struct {
	method string
	to     *bound[V]
}

// A bound is an entry's value with the names of its parameters.
type bound[V any] struct {
	index int // of the entry
	value V
	names []string
}

// New builds a table. Its error joins an [*Error] for every mistake in entries.
func New[V any](entries []Entry[V]) (*Table[V], error) {
	t := &Table[V]{exact: map[string]*node[V]{}, suffixes: map[string]*node[V]{}}
	t.methods = methodsOf(entries)
	var errs []error
	wrong := func(i int, err error) { errs = append(errs, &Error{i, entries[i].Name, err}) }
	for i, e := range entries {
		template, err := ParseTemplate(e.Path)
		if err != nil {
			wrong(i, err)
		}
		host, hostErr := parseHost(e.Host)
		if hostErr != nil {
			wrong(i, hostErr)
		}
		methodsErr := checkMethods(e.Methods)
		if methodsErr != nil {
			wrong(i, methodsErr)
		}
		if err != nil || hostErr != nil || methodsErr != nil {
			continue
		}
		b := &bound[V]{index: i, value: e.Value, names: template.names}
		if err := t.add(entries, host, template, e.Methods, b); err != nil {
			wrong(i, err)
		}
	}
	if len(t.methods) > maxMethods {
		errs = append(errs, fmt.Errorf("routes: %d different methods, at most %d", len(t.methods), maxMethods))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return t, nil
}

// methodsOf returns every method that entries list, sorted.
func methodsOf[V any](entries []Entry[V]) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Methods...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func checkMethods(methods []string) error {
	for i, m := range methods {
		if m == "" || strings.ContainsFunc(m, func(r rune) bool { return !tokenRune(r) }) {
			return fmt.Errorf("method %q: expected a token such as \"GET\"", m)
		}
		if slices.Contains(methods[:i], m) {
			return fmt.Errorf("method %q: listed twice", m)
		}
	}
	return nil
}

func tokenRune(r rune) bool {
	return 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || r < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// add puts b where its host and template lead.
func (t *Table[V]) add(entries []Entry[V], host string, template Template, methods []string, b *bound[V]) error {
	var n *node[V]
	switch {
	case host == "":
		n = child(&t.any, 0)
	case host[0] == '.':
		n = childOf(t.suffixes, host, 0)
	default:
		n = childOf(t.exact, host, 0)
	}
	l := n.reach(template)
	taken := func(by *bound[V], method string) error {
		other := entries[by.index]
		return fmt.Errorf("path %q: %s already goes to route %q (host %q, path %q)", template, method, other.Name, other.Host, other.Path)
	}
	if len(methods) == 0 {
		if l.any != nil {
			return taken(l.any, "any method")
		}
		l.any = b
		return nil
	}
	for _, m := range methods {
		for _, c := range l.listed {
			if c.method == m {
				return taken(c.to, m)
			}
		}
		l.listed = append(l.listed, choice[V]{m, b})
		at, _ := slices.BinarySearch(t.methods, m)
		l.allow |= 1 << at
	}
	return nil
}

// reach returns the leaf of a template below n and makes the nodes on the way.
func (n *node[V]) reach(template Template) *leaf[V] {
	for _, s := range template.segments {
		switch s.kind {
		case literal:
			if n.literals == nil {
				n.literals = map[string]*node[V]{}
			}
			n = childOf(n.literals, s.text, n.params)
		case digits:
			n = child(&n.digits, n.params+1)
		case param:
			n = child(&n.param, n.params+1)
		case rest:
			if n.rest == nil {
				n.rest = &leaf[V]{}
			}
			return n.rest
		}
	}
	return &n.leaf
}

func child[V any](at **node[V], params int) *node[V] {
	if *at == nil {
		*at = &node[V]{params: params}
	}
	return *at
}

func childOf[V any](in map[string]*node[V], key string, params int) *node[V] {
	n := in[key]
	if n == nil {
		n = &node[V]{params: params}
		in[key] = n
	}
	return n
}

// Methods returns every method that an entry lists, sorted.
func (t *Table[V]) Methods() []string { return slices.Clone(t.methods) }

// AppendAllow appends the value of the Allow field for a [MethodNotAllowed] outcome of this table: the methods of all
// entries that match the request's host and path, sorted.
func (t *Table[V]) AppendAllow(dst []byte, o Outcome) []byte {
	first := true
	for i, m := range t.methods {
		if o.allow>>i&1 == 0 {
			continue
		}
		if !first {
			dst = append(dst, ", "...)
		}
		dst, first = append(dst, m...), false
	}
	return dst
}

// Match finds the route of a request. host is the Host field or the authority; path is as it was sent and ends before the
// first "?", so that a whole origin-form target may be given. params gets the parameters of the route found; it borrows path.
func (t *Table[V]) Match(host, method, path []byte, params *Params) (V, Outcome) {
	*params = Params{}
	if end := bytes.IndexByte(path, '?'); end >= 0 {
		path = path[:end]
	}
	s := search[V]{method: method, path: path, params: params}
	if b := t.find(&s, host); b != nil {
		params.path, params.names = path, b.names
		return b.value, Outcome{State: Found}
	}
	var none V
	if s.allow != 0 {
		return none, Outcome{State: MethodNotAllowed, allow: s.allow}
	}
	return none, Outcome{State: NoRoute}
}

// find asks the hosts that match, the most specific one first.
func (t *Table[V]) find(s *search[V], host []byte) *bound[V] {
	if len(s.path) == 0 || s.path[0] != '/' { // such as "*" of OPTIONS, or the authority of CONNECT
		return nil
	}
	if len(t.exact) > 0 || len(t.suffixes) > 0 {
		var buf [maxHost]byte
		name := hostName(host, &buf)
		if n := t.exact[string(name)]; n != nil {
			if b := s.below(n, 1); b != nil {
				return b
			}
		}
		for i := 1; i < len(name) && len(t.suffixes) > 0; i++ {
			if name[i] != '.' {
				continue
			}
			if n := t.suffixes[string(name[i:])]; n != nil {
				if b := s.below(n, 1); b != nil {
					return b
				}
			}
		}
	}
	if t.any != nil {
		return s.below(t.any, 1)
	}
	return nil
}
