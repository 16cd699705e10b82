package document

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Pos is a place in a flag file. Lines and columns count from 1; a column counts characters.
type Pos struct {
	File         string
	Line, Column int
}

// String returns "file:line:column", or only the file where no line is known.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// A Problem is one mistake: where, in what, and what was expected.
type Problem struct {
	Pos  Pos
	Text string
}

func (p Problem) Error() string { return p.Pos.String() + ": " + p.Text }

// Problems is every mistake of one file, in file order.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sorted() Problems {
	sort.SliceStable(p, func(i, j int) bool {
		a, b := p[i].Pos, p[j].Pos
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	return p
}

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindList
	kindMap
)

var kindNames = [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}

func (k kind) String() string { return kindNames[k] }

// A node is one value of the file with its place, the same for JSON and YAML.
type node struct {
	kind  kind
	at    int // byte offset of its first character
	end   int // offset behind its last, where an edit may replace it; 0 where it may not
	text  string
	yes   bool // kindBool
	items []*node
	pairs []pair
	block bool // a YAML mapping written by indentation: a new pair goes on a line of its own
}

type pair struct {
	key   *node // kindString
	value *node
}

// get returns the value of a key, the last one where it stands twice, or nil.
func (n *node) get(key string) *node {
	for i := len(n.pairs) - 1; i >= 0; i-- {
		if n.pairs[i].key.text == key {
			return n.pairs[i].value
		}
	}
	return nil
}

// show returns the value as a message quotes it.
func (n *node) show() string {
	switch n.kind {
	case kindNull:
		return "null"
	case kindBool:
		return fmt.Sprint(n.yes)
	case kindNumber:
		return n.text
	case kindString:
		return fmt.Sprintf("%q", n.text)
	}
	return n.kind.String()
}

// A text is a file's bytes with the way from an offset to its line and column.
type text struct {
	file  string
	bytes []byte
	lines []int // offset of each line's first byte
}

func newText(file string, data []byte) *text {
	t := &text{file: file, bytes: data, lines: []int{0}}
	for i, b := range data {
		if b == '\n' {
			t.lines = append(t.lines, i+1)
		}
	}
	return t
}

func (t *text) pos(offset int) Pos {
	line := sort.SearchInts(t.lines, offset+1) - 1
	return Pos{File: t.file, Line: line + 1, Column: utf8.RuneCount(t.bytes[t.lines[line]:min(offset, len(t.bytes))]) + 1}
}

// offset returns the place of a line and column that count from 1, the column in characters.
func (t *text) offset(line, column int) int {
	if line < 1 || line > len(t.lines) {
		return len(t.bytes)
	}
	at := t.lines[line-1]
	for ; column > 1 && at < len(t.bytes); column-- {
		_, size := utf8.DecodeRune(t.bytes[at:])
		at += size
	}
	return at
}

// numberFits refuses a number that is no float64: flagd would not load the file.
func (t *text) numberFits(n *node) error {
	if _, err := strconv.ParseFloat(n.text, 64); err != nil {
		return Problem{t.pos(n.at), fmt.Sprintf("number %s: out of range", n.text)}
	}
	return nil
}

const (
	maxDepth = 64      // of nested values: a rule nested deeper is not one that somebody reads
	maxNodes = 1 << 20 // of one file, aliases counted each time they are used
)
