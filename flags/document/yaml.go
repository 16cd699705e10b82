package document

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parseYAML reads one YAML document with the place of everything in it.
func parseYAML(t *text) (n *node, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser is not ours; a file must never take the gateway down
			n, err = nil, Problem{Pos{File: t.file}, fmt.Sprintf("not YAML: the parser gave up: %v", r)}
		}
	}()
	if at, ok := nested(t.bytes); ok {
		return nil, Problem{t.pos(at), fmt.Sprintf("brackets or dashes nested deeper than %d", maxBrackets)}
	}
	file, err := parser.ParseBytes(t.bytes, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			return nil, Problem{t.at(syntax.Token), "not YAML: " + syntax.Message}
		}
		return nil, Problem{Pos{File: t.file}, "not YAML: " + err.Error()}
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			return nil, Problem{t.at(doc.Body.GetToken()), "a second YAML document: expected one"}
		}
		body = doc.Body
	}
	if body == nil {
		return &node{kind: kindNull}, nil
	}
	return (&yamlParser{t: t, anchors: map[string]ast.Node{}}).value(body, 0)
}

// maxBrackets keeps the parser from texts that cost it minutes or all of the stack. Those inside of quotes and
// comments count too; no text for people comes near it.
const maxBrackets = 200

func nested(b []byte) (at int, ok bool) {
	open, dashes := 0, 0
	for i, c := range b {
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open = max(open-1, 0)
		case ' ', '\t':
			if i > 0 && (b[i-1] == '-' || b[i-1] == '?') {
				dashes++
			}
		case '\n':
			dashes = 0
		}
		if open > maxBrackets || dashes > maxBrackets {
			return i, true
		}
	}
	return 0, false
}

func (t *text) at(tok *token.Token) Pos {
	return t.pos(t.offset(tok.Position.Line, tok.Position.Column))
}

type yamlParser struct {
	t       *text
	anchors map[string]ast.Node
	nodes   int
	aliased int // how many aliases we are inside of: what is read there belongs to another place
}

// number is what JSON calls one. YAML's other ways (octal, hexadecimal, underscores, .inf) are read differently by
// different readers, flagd's among them.
var number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func (p *yamlParser) value(a ast.Node, depth int) (*node, error) {
	at := p.t.offset(a.GetToken().Position.Line, a.GetToken().Position.Column)
	if p.nodes++; depth > maxDepth || p.nodes > maxNodes {
		return nil, Problem{p.t.pos(at), fmt.Sprintf("nested deeper than %d levels or too large", maxDepth)}
	}
	n := &node{at: at}
	switch a := a.(type) {
	case *ast.NullNode:
		if a.Token.Value != "" && bytes.HasPrefix(p.t.bytes[at:], []byte(a.Token.Value)) {
			n.end = at + len(a.Token.Value)
		}
	case *ast.BoolNode:
		n.kind, n.yes = kindBool, a.Value
		n.end = p.scalarEnd(a.Token, at)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text = kindNumber, a.GetToken().Value
		if !number.MatchString(n.text) {
			return nil, Problem{p.t.pos(at), fmt.Sprintf("number %s: expected it as JSON writes it, or quoted for a string", n.text)}
		}
		if err := p.t.numberFits(n); err != nil {
			return nil, err
		}
		n.end = p.scalarEnd(a.GetToken(), at)
	case *ast.StringNode:
		n.kind, n.text = kindString, a.Value
		n.end = p.scalarEnd(a.Token, at)
	case *ast.LiteralNode:
		n.kind, n.text = kindString, a.Value.Value
	case *ast.SequenceNode:
		n.kind = kindList
		for _, item := range a.Values {
			v, err := p.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, v)
		}
	case *ast.MappingNode:
		return n, p.mapping(n, a.Values, a.IsFlowStyle, a.End, depth)
	case *ast.MappingValueNode: // a block mapping with a single pair
		return n, p.mapping(n, []*ast.MappingValueNode{a}, false, nil, depth)
	case *ast.AnchorNode:
		v, err := p.value(a.Value, depth+1)
		if err == nil {
			p.anchors[a.Name.GetToken().Value] = a.Value
		}
		return v, err
	case *ast.AliasNode:
		return p.alias(n, a, depth)
	default:
		return nil, Problem{p.t.pos(at), fmt.Sprintf("%s: not used in flag files; expected a plain value", strings.ToLower(a.Type().YAMLName()))}
	}
	if p.aliased > 0 {
		n.end = 0
	}
	return n, nil
}

func (p *yamlParser) mapping(n *node, values []*ast.MappingValueNode, flow bool, end *token.Token, depth int) error {
	n.kind, n.block = kindMap, !flow
	if flow && end != nil && p.aliased == 0 {
		n.end = p.t.offset(end.Position.Line, end.Position.Column) + 1
	}
	for _, v := range values {
		if v.Key.IsMergeKey() {
			return Problem{p.t.at(v.Key.GetToken()), `"<<": merging mappings is not supported: write the pairs out`}
		}
		var keyNode ast.Node = v.Key
		if mk, ok := keyNode.(*ast.MappingKeyNode); ok {
			keyNode = mk.Value
		}
		key, err := p.value(keyNode, depth+1)
		if err != nil {
			return err
		}
		switch key.kind {
		case kindString:
		case kindBool, kindNumber, kindNull: // true: …, 1: …; flagd turns these into strings too
			key.text, key.kind = keyNode.GetToken().Value, kindString
		default:
			return Problem{p.t.pos(key.at), "a key that is " + key.kind.String() + ": expected a string"}
		}
		value, err := p.value(v.Value, depth+1)
		if err != nil {
			return err
		}
		n.pairs = append(n.pairs, pair{key, value})
	}
	if n.block && len(n.pairs) > 0 {
		n.at = n.pairs[0].key.at
	}
	return nil
}

// alias reads the anchor's value again; it stands where the alias stands, so that an edit replaces the alias.
func (p *yamlParser) alias(n *node, a *ast.AliasNode, depth int) (*node, error) {
	name := a.Value.GetToken().Value
	target, ok := p.anchors[name]
	if !ok {
		return nil, Problem{p.t.pos(n.at), fmt.Sprintf("alias *%s: no such anchor before it", name)}
	}
	p.aliased++
	v, err := p.value(target, depth+1)
	p.aliased--
	if err != nil {
		return nil, err
	}
	v.at = n.at
	if p.aliased == 0 && bytes.HasPrefix(p.t.bytes[n.at:], []byte("*"+name)) {
		v.end = n.at + 1 + len(name)
	}
	return v, nil
}

// scalarEnd returns where a scalar on one line ends, or 0 if that is not certain.
func (p *yamlParser) scalarEnd(tok *token.Token, at int) int {
	rest := p.t.bytes[at:]
	if len(rest) == 0 {
		return 0
	}
	switch quote := rest[0]; {
	case quote == '"':
		for i := 1; i < len(rest) && rest[i] != '\n'; i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return at + i + 1
			}
		}
	case quote == '\'':
		for i := 1; i < len(rest) && rest[i] != '\n'; i++ {
			if rest[i] != '\'' {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == '\'' {
				i++
				continue
			}
			return at + i + 1
		}
	case bytes.HasPrefix(rest, []byte(tok.Value)):
		return at + len(tok.Value)
	}
	return 0
}
