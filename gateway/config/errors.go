package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Pos is a place in a file. Line and column start at 1; a column counts characters. Zero is no place.
type Pos struct {
	File         string
	Line, Column int
}

// String returns file:line:column, or only what is known of it.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// An Error is one mistake in a file that an operator wrote.
type Error struct {
	Pos   Pos
	Where string // which element, such as: routes[2] "checkout"
	What  string // which of its keys and its value, such as: path "/cart/{id"; empty when it is about the whole element
	Text  string // what is wrong, and what was expected
	Err   error  // what another room said about it, if that was an error
}

// Error returns one line: file:line:column: where: what: text.
func (e *Error) Error() string {
	parts := make([]string, 0, 4)
	for _, p := range []string{e.Pos.String(), e.Where, e.What, e.Text} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

func (e *Error) Unwrap() error { return e.Err }

// An ErrorList is every mistake that was found, in the order of the files: the operator's own first, then by name, then by
// line and column. It is not empty when it is returned as an error.
type ErrorList []*Error

// Error returns all mistakes, one a line.
func (l ErrorList) Error() string {
	lines := make([]string, len(l))
	for i, e := range l {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As and errors.Is look at every mistake.
func (l ErrorList) Unwrap() []error {
	all := make([]error, len(l))
	for i, e := range l {
		all[i] = e
	}
	return all
}

// sort orders l with the mistakes of file first in first place. Of mistakes at one place the first found stays first.
func (l ErrorList) sort(first string) {
	slices.SortStableFunc(l, func(a, b *Error) int {
		if a.Pos.File != b.Pos.File && (a.Pos.File == first || b.Pos.File == first) {
			if a.Pos.File == first {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
}

// An Element is a part of a file that remembers where it stands.
type Element struct {
	Pos   Pos            // where it begins; of a section that was left out, where its owner begins
	where string         // how errors call it
	keys  map[string]Pos // where the value of each key begins that was given
}

// At returns where the value of key begins, or where e begins if key was not given.
func (e *Element) At(key string) Pos {
	if p, ok := e.keys[key]; ok {
		return p
	}
	return e.Pos
}

// Has reports whether key was given, rightly or wrongly.
func (e *Element) Has(key string) bool {
	_, ok := e.keys[key]
	return ok
}

// Where is how errors call e, such as: routes[2] "checkout": steps[0] "strip".
func (e *Element) Where() string { return e.where }

// Errorf returns a complaint about the value of key, at its place. With an empty key it is about e as a whole.
// An error among args is kept for errors.As where the format has %w.
func (e *Element) Errorf(key, format string, args ...any) *Error {
	x := newError(e.At(key), e.where, format, args...)
	x.What = key
	return x
}

// about returns a complaint about the value of key, and shows the value.
func (e *Element) about(key, value, format string, args ...any) *Error {
	x := e.Errorf(key, format, args...)
	x.What += " " + quote(value)
	return x
}

// inside is how errors call the part of e that key names.
func (e *Element) inside(key string) string {
	switch {
	case e.where == "":
		return key
	case strings.HasSuffix(e.where, `"`), strings.HasSuffix(e.where, "]"):
		return e.where + ": " + key
	default:
		return e.where + "." + key
	}
}

func newError(pos Pos, where, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	x := &Error{Pos: pos, Where: where, Text: err.Error()}
	if u, ok := err.(interface{ Unwrap() error }); ok {
		x.Err = u.Unwrap()
	}
	return x
}

// quote returns s as it stands in an error: quoted, and cut where it is too long to be read.
func quote(s string) string {
	const limit = 100
	if len(s) > limit {
		end := limit
		for !utf8.RuneStart(s[end]) {
			end--
		}
		return strconv.Quote(s[:end]) + "…"
	}
	return strconv.Quote(s)
}

// suggest returns `; did you mean "x"?` for the one of words that is closest to a mistyped word, or nothing.
func suggest(word string, words []string) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, w := range words {
		if d := distance(strings.ToLower(word), strings.ToLower(w)); d < least {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + quote(best) + "?"
}

// distance is the number of single-byte edits between a and b; a swap of neighbours is one edit.
func distance(a, b string) int {
	if max(len(a), len(b)) > 64 { // no key is that long
		return 64
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			d := min(last[j+1]+1, row[j]+1)
			if a[i] == b[j] {
				d = min(d, last[j])
			} else {
				d = min(d, last[j]+1)
			}
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, before[j-1]+1)
			}
			row[j+1] = d
		}
	}
	return row[len(b)]
}
