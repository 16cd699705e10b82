package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxFile  = 32 << 20 // of a file; 100,000 clients are about 20 MB
	maxLine  = 64 << 10 // of a line: the reader's time grows with the square of some
	maxKeys  = 10_000   // of a mapping in block style, for the same reason
	maxDepth = 32       // of nesting; the schema itself needs 8
)

// A kind is what a node is.
type kind uint8

const (
	refused kind = iota // it has been complained about: nobody need look at it again
	null
	boolean
	number
	text
	mapping
	list
)

func (k kind) String() string {
	return [...]string{"nothing", "nothing", "true or false", "a number", "text", "a mapping", "a list"}[k]
}

// A node is a value in a YAML file.
type node struct {
	kind    kind
	pos     Pos
	text    string // of a scalar: as written without its quotes
	plain   bool   // a scalar without quotes
	number  any    // int64, uint64 or float64
	entries []entry
	items   []*node
}

// An entry is one line of a mapping.
type entry struct {
	key   string
	pos   Pos
	value *node
}

// parseTree reads a file's single document. Without one, or when it is not YAML, the result is nil and complain was called.
// What we refuse of YAML is complained about and left out, so that the rest of the file is checked all the same.
func parseTree(file string, data []byte, complain func(*Error)) *node {
	at := func(line, column int) Pos { return Pos{file, max(line, 1), max(column, 1)} }
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(data) > maxFile {
		complain(newError(at(1, 1), "", "the file has more than %d MiB", maxFile>>20))
		return nil
	}
	if line, column, ok := badText(data); !ok {
		complain(newError(at(line, column), "", "expected UTF-8 text without control characters"))
		return nil
	}
	// The reader counts some lines that end in CR LF twice. Any line break reads as LF, says YAML 1.2 (5.4).
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	number := 0
	for line := range bytes.Lines(data) {
		if number++; len(line) > maxLine {
			complain(newError(at(number, 1), "", "the line has more than %d KiB", maxLine>>10))
			return nil
		}
	}
	t := &tree{file: file, complain: complain}
	root, err := t.parse(string(data))
	if err != nil {
		complain(err)
		return nil
	}
	if root == nil {
		complain(newError(at(1, 1), "", "the file is empty: expected a mapping"))
	}
	return root
}

// badText finds the first byte that YAML does not allow in a file.
func badText(data []byte) (line, column int, ok bool) {
	line, column = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		control := r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0x7f || 0x80 <= r && r < 0xa0 && r != 0x85
		if r == utf8.RuneError && size == 1 || control {
			return line, column, false
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
		data = data[size:]
	}
	return 0, 0, true
}

// A tree turns what the YAML reader gives into nodes.
type tree struct {
	file     string
	complain func(*Error)
}

func (t *tree) at(tk *token.Token) Pos {
	if tk == nil || tk.Position == nil {
		return Pos{t.file, 1, 1}
	}
	return Pos{t.file, max(tk.Position.Line, 1), max(tk.Position.Column, 1)}
}

// parse returns nil for a document without content.
func (t *tree) parse(data string) (root *node, fault *Error) {
	defer func() {
		// The reader is another's code and the file may be anything: a panic there must not end a running gateway.
		if r := recover(); r != nil {
			root, fault = nil, newError(Pos{t.file, 1, 1}, "", "the YAML reader cannot read this file: %v", r)
		}
	}()
	tokens := lexer.Tokenize(data)
	if fault := t.refuse(tokens); fault != nil {
		return nil, fault
	}
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, t.syntaxError(err)
	}
	for _, doc := range parsed.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); doc.Body != nil && !directive {
			return t.node(doc.Body), nil
		}
	}
	return nil, nil
}

// syntaxError takes the reader's message without its picture of the source, which might show a secret.
func (t *tree) syntaxError(err error) *Error {
	e, ok := err.(interface {
		GetMessage() string
		GetToken() *token.Token
	})
	if !ok {
		return newError(Pos{t.file, 1, 1}, "", "this is not YAML: expected a mapping")
	}
	if tk := e.GetToken(); tk != nil && e.GetMessage() == "found character '\t' that cannot start any token" {
		return newError(t.at(tk), "", "tab: expected spaces, YAML is not indented with tabs")
	}
	hint := ""
	if strings.Contains(e.GetMessage(), "'}' must be specified") {
		hint = "; text with braces in it needs quotes here"
	}
	return newError(t.at(e.GetToken()), "", "not YAML: %s%s", e.GetMessage(), hint)
}

// refuse complains about what we do not take of YAML. What it returns makes reading on impossible.
func (t *tree) refuse(tokens token.Tokens) *Error {
	type block struct{ column, keys int }
	var blocks []block // the collections in block style around a token
	flow, odd, content, directive := 0, 0, false, 0
	for _, tk := range tokens {
		say := func(format string, args ...any) {
			odd++
			t.complain(newError(t.at(tk), "", format, args...))
		}
		switch tk.Type {
		case token.AnchorType:
			say("anchor: write the value out, anchors and aliases are not supported; put quotes around text that begins with \"&\"")
		case token.AliasType:
			say("alias: write the value out, anchors and aliases are not supported; put quotes around text that begins with \"*\"")
		case token.MergeKeyType:
			say("merge key \"<<\": write the keys out, merging is not supported")
		case token.TagType:
			say("tag %s: leave it out, a key's type is known; put quotes around text that begins with \"!\"", quote(tk.Value))
		case token.MappingKeyType:
			say("\"?\": expected a plain key")
		case token.DirectiveType:
			say("directive: leave it out")
			directive = tk.Position.Line
		case token.DocumentHeaderType:
			if content {
				say("second document: expected one document in a file")
			}
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		}
		switch tk.Type {
		case token.CommentType, token.DocumentHeaderType, token.DocumentEndType, token.DirectiveType, token.InvalidType:
		default:
			content = content || tk.Position.Line != directive
			column := tk.Position.Column
			for len(blocks) > 0 && flow <= 0 && blocks[len(blocks)-1].column > column {
				blocks = blocks[:len(blocks)-1]
			}
			if flow > 0 || !startsEntry(tk) {
				break
			}
			if len(blocks) == 0 || blocks[len(blocks)-1].column < column {
				blocks = append(blocks, block{column: column})
			}
			if tk.Type == token.SequenceEntryType { // it may stand in the column of the mapping around it
				break
			}
			b := &blocks[len(blocks)-1]
			if b.keys++; b.keys > maxKeys {
				return newError(t.at(tk), "", "expected at most %d keys in a mapping", maxKeys)
			}
		}
		if len(blocks)+max(flow, 0) > maxDepth || odd > maxDepth {
			return newError(t.at(tk), "", "nested too deeply: expected at most %d levels", maxDepth)
		}
	}
	return nil
}

// startsEntry says whether tk may be the first token of an entry of a list or mapping in block style.
func startsEntry(tk *token.Token) bool {
	if tk.Type == token.SequenceEntryType {
		return true
	}
	return tk.Next != nil && tk.Next.Type == token.MappingValueType
}

func (t *tree) node(n ast.Node) *node {
	switch n := n.(type) {
	case *ast.MappingNode:
		x := &node{kind: mapping, pos: t.at(n.Start)}
		if !n.IsFlowStyle && len(n.Values) > 0 {
			x.pos = t.at(n.Values[0].Key.GetToken())
		}
		for _, v := range n.Values {
			x.entries = t.appendEntry(x.entries, v)
		}
		return x
	case *ast.MappingValueNode: // a mapping of one key
		x := &node{kind: mapping, pos: t.at(n.Key.GetToken())}
		x.entries = t.appendEntry(nil, n)
		return x
	case *ast.SequenceNode:
		x := &node{kind: list, pos: t.at(n.Start)}
		for _, v := range n.Values {
			x.items = append(x.items, t.node(v))
		}
		return x
	case *ast.AnchorNode:
		return t.node(n.Value)
	case *ast.TagNode:
		return t.node(n.Value)
	case *ast.StringNode:
		plain := n.Token.Type != token.SingleQuoteType && n.Token.Type != token.DoubleQuoteType
		return &node{kind: text, pos: t.at(n.Token), text: n.Value, plain: plain}
	case *ast.LiteralNode:
		return &node{kind: text, pos: t.at(n.Start), text: n.Value.Value}
	case *ast.IntegerNode:
		return &node{kind: number, pos: t.at(n.Token), text: n.Token.Value, plain: true, number: n.Value}
	case *ast.FloatNode:
		return &node{kind: number, pos: t.at(n.Token), text: n.Token.Value, plain: true, number: n.Value}
	case *ast.InfinityNode:
		return &node{kind: number, pos: t.at(n.Token), text: n.Token.Value, plain: true, number: n.Value}
	case *ast.NanNode:
		return &node{kind: number, pos: t.at(n.Token), text: n.Token.Value, plain: true, number: nil}
	case *ast.BoolNode:
		return &node{kind: boolean, pos: t.at(n.Token), text: n.Token.Value, plain: true}
	case *ast.NullNode:
		return &node{kind: null, pos: t.at(n.Token), plain: true}
	case *ast.AliasNode:
		return &node{kind: refused, pos: t.at(n.Start)}
	case nil:
		return &node{kind: refused, pos: Pos{t.file, 1, 1}}
	default:
		t.complain(newError(t.at(n.GetToken()), "", "%s: expected a mapping, a list or a value", fmt.Sprint(n.Type())))
		return &node{kind: refused, pos: t.at(n.GetToken())}
	}
}

func (t *tree) appendEntry(entries []entry, v *ast.MappingValueNode) []entry {
	switch key := v.Key.(type) {
	case *ast.MergeKeyNode, *ast.MappingKeyNode: // refused already
		return entries
	case *ast.StringNode:
		return append(entries, entry{key.Value, t.at(key.Token), t.node(v.Value)})
	default:
		k := t.node(key)
		if k.kind == refused {
			return entries
		}
		return append(entries, entry{k.text, k.pos, t.node(v.Value)})
	}
}
