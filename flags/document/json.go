package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// parseJSON reads one JSON value with the place of everything in it.
func parseJSON(t *text) (*node, error) {
	if !utf8.Valid(t.bytes) {
		return nil, Problem{Pos{File: t.file}, "not UTF-8"}
	}
	p := &jsonParser{t: t, dec: json.NewDecoder(bytes.NewReader(t.bytes))}
	p.dec.UseNumber()
	n, err := p.value(0)
	if err != nil {
		return nil, p.located(err)
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		at := skipSpace(t.bytes, n.end)
		return nil, Problem{t.pos(at), "expected the end of the file after the top-level object"}
	}
	return n, nil
}

type jsonParser struct {
	t     *text
	dec   *json.Decoder
	nodes int
}

func (p *jsonParser) value(depth int) (*node, error) {
	at := skipSeparator(p.t.bytes, int(p.dec.InputOffset()))
	token, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	if p.nodes++; depth > maxDepth || p.nodes > maxNodes {
		return nil, Problem{p.t.pos(at), fmt.Sprintf("nested deeper than %d levels or too large", maxDepth)}
	}
	n := &node{at: at}
	switch v := token.(type) {
	case nil:
		n.kind = kindNull
	case bool:
		n.kind, n.yes = kindBool, v
	case json.Number:
		n.kind, n.text = kindNumber, v.String()
		if err := p.t.numberFits(n); err != nil {
			return nil, err
		}
	case string:
		n.kind, n.text = kindString, v
	case json.Delim:
		if err := p.compound(n, v, depth); err != nil {
			return nil, err
		}
	}
	n.end = int(p.dec.InputOffset())
	return n, nil
}

func (p *jsonParser) compound(n *node, open json.Delim, depth int) error {
	n.kind = kindList
	if open == '{' {
		n.kind = kindMap
	}
	for p.dec.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if open == '[' {
			n.items = append(n.items, item)
			continue
		}
		value, err := p.value(depth + 1) // the decoder has seen to it that item is a string
		if err != nil {
			return err
		}
		n.pairs = append(n.pairs, pair{item, value})
	}
	_, err := p.dec.Token() // the closing bracket
	return err
}

func (p *jsonParser) located(err error) error {
	var problem Problem
	if errors.As(err, &problem) {
		return problem
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return Problem{p.t.pos(max(int(syntax.Offset)-1, 0)), "not JSON: " + err.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Problem{p.t.pos(len(p.t.bytes)), "not JSON: the file ends in the middle of a value"}
	}
	return Problem{p.t.pos(int(p.dec.InputOffset())), "not JSON: " + err.Error()}
}

func skipSpace(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\t' || b[at] == '\n' || b[at] == '\r') {
		at++
	}
	return at
}

// skipSeparator returns where the next token begins; the decoder leaves the comma or colon before it unread.
func skipSeparator(b []byte, at int) int {
	at = skipSpace(b, at)
	if at < len(b) && (b[at] == ',' || b[at] == ':') {
		at = skipSpace(b, at+1)
	}
	return at
}
