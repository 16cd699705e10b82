package config

import (
	"errors"
	"fmt"
	"strings"
)

// A Source is where the value of a template's part comes from. Zero is text that stands in the template.
type Source uint8

const (
	Literal       Source = iota // text
	FromClient                  // an attribute of the client: {client.NAME}
	FromPath                    // a parameter of the route's path: {path.NAME}
	FromSecret                  // a secret of the client: {secret.NAME}
	sources       = iota
	sourceUnknown = Source(sources)
)

var sourceNames = [sources]string{"", "client", "path", "secret"}

func (s Source) String() string {
	if s < sources {
		return sourceNames[s]
	}
	return fmt.Sprintf("source(%d)", uint8(s))
}

// A place is where an expansion goes; it decides how values are encoded.
type place uint8

const (
	inPath place = iota
	inQuery
	inField
)

// A Part is a piece of a template.
type Part struct {
	From Source
	Name string // of the attribute, parameter or secret
	Text string // of a literal, encoded for its place
	rest bool   // a path parameter that may hold slashes, or nothing
}

// A Template is text with places to fill in, read once and expanded for each request. The zero Template is empty text.
//
//	{client.NAME}  an attribute of the client that sent the request
//	{path.NAME}    a parameter of the route's path, as it was sent
//	{secret.NAME}  a secret of the client; only in fields
//	{{ and }}      a brace
//
// An expanded value never leaves its place, whatever bytes it has:
//
//   - In a path, an attribute is percent-encoded except for letters, digits and -._~, so that it stays one segment or a part
//     of one. A path parameter keeps its bytes; one with an encoded slash, a backslash or a control character is refused. Empty values
//     are refused (a {name...} may be empty), and so are segments that come out as "." or "..", however encoded.
//   - In a query, an attribute is percent-encoded in the same way. A path parameter keeps its percent-encoding, and what
//     means something in a query is encoded.
//   - In a field, bytes stay as they are; control characters are refused.
type Template struct {
	Parts []Part
	text  string
	place place
}

// String returns the template as it was written.
func (t *Template) String() string { return t.text }

// Uses reports whether t takes anything from s.
func (t *Template) Uses(s Source) bool {
	for _, p := range t.Parts {
		if p.From == s {
			return true
		}
	}
	return false
}

// parseTemplate reads text for a place. The error says at which byte it goes wrong.
func parseTemplate(text string, in place) (Template, error) {
	t := Template{text: text, place: in}
	var literal []byte
	flush := func() {
		if len(literal) > 0 {
			t.Parts = append(t.Parts, Part{Text: string(literal)})
			literal = nil
		}
	}
	for at := 0; at < len(text); {
		c := text[at]
		if (c == '{' || c == '}') && at+1 < len(text) && text[at+1] == c {
			literal = appendLiteral(literal, c, in)
			at += 2
			continue
		}
		switch c {
		case '}':
			return t, fmt.Errorf("brace without an opening one at byte %d; write }} for a brace", at)
		case '{':
			inner, _, closed := strings.Cut(text[at+1:], "}")
			if !closed {
				return t, fmt.Errorf("unclosed brace at byte %d", at)
			}
			part, err := parsePlaceholder(inner)
			if err != nil {
				return t, fmt.Errorf("%w at byte %d", err, at)
			}
			flush()
			t.Parts = append(t.Parts, part)
			at += len(inner) + 2
		default:
			if err := checkLiteral(text, at, in); err != nil {
				return t, fmt.Errorf("%w at byte %d", err, at)
			}
			literal = appendLiteral(literal, c, in)
			at++
		}
	}
	flush()
	if in == inPath {
		return t, t.checkPath()
	}
	return t, nil
}

func parsePlaceholder(inner string) (Part, error) {
	source, name, ok := strings.Cut(inner, ".")
	from := sourceUnknown
	for i := FromClient; i < sources; i++ {
		if sourceNames[i] == source {
			from = i
		}
	}
	if from == sourceUnknown || !ok {
		return Part{}, fmt.Errorf("placeholder %s: expected {client.NAME}, {path.NAME} or {secret.NAME}", quote("{"+inner+"}"))
	}
	if err := checkPlaceholderName(name); err != nil {
		return Part{}, fmt.Errorf("placeholder %s: %w", quote("{"+inner+"}"), err)
	}
	return Part{From: from, Name: name}, nil
}

// checkPlaceholderName checks the name of an attribute, a secret or a path parameter.
func checkPlaceholderName(name string) error {
	for i, c := range []byte(name) {
		if !(c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' || i > 0 && '0' <= c && c <= '9') {
			return fmt.Errorf("name %s: expected letters, digits and _, no digit first", quote(name))
		}
	}
	if name == "" {
		return errors.New("expected a name")
	}
	return nil
}

// checkLiteral checks the byte of text at a place.
func checkLiteral(text string, at int, in place) error {
	switch c := text[at]; {
	case in == inField && (c < 0x20 && c != '\t' || c == 0x7f):
		return fmt.Errorf("control character %q", text[at:at+1])
	case in != inPath || c == '/' || pathByte(c) && c != '%':
		return nil
	case c == '%' && at+2 < len(text) && isHex(text[at+1]) && isHex(text[at+2]):
		return nil
	case c == '%':
		return errors.New(`"%" without two hexadecimal digits`)
	case c == '?':
		return errors.New(`"?" cannot stand in a path; set parameters with inject.query`)
	default:
		return fmt.Errorf("%q cannot stand in a path; percent-encode it", text[at:at+1])
	}
}

func appendLiteral(dst []byte, c byte, in place) []byte {
	switch in {
	case inPath:
		if c == '{' || c == '}' {
			return appendEscape(dst, c)
		}
	case inQuery:
		if !unreserved(c) {
			return appendEscape(dst, c)
		}
	}
	return append(dst, c)
}

// checkPath checks a template for a path as far as it can be known without values.
func (t *Template) checkPath() error {
	if len(t.Parts) == 0 || !strings.HasPrefix(t.Parts[0].Text, "/") {
		return errors.New(`expected "/" at byte 0`)
	}
	var whole []byte
	for _, p := range t.Parts {
		if p.From == FromSecret {
			return fmt.Errorf("placeholder %q: a secret may stand in a field only, paths and queries are logged", "{secret."+p.Name+"}")
		}
		if whole = append(whole, p.Text...); p.From != Literal {
			whole = append(whole, 'x')
		}
	}
	if dotSegment(whole) {
		return errors.New(`a segment "." or ".." leads elsewhere; write out the path that is meant`)
	}
	return nil
}

// pathByte says whether c may stand in a segment of a path as it is sent (RFC 3986 pchar, "%" included).
func pathByte(c byte) bool {
	return unreserved(c) || strings.IndexByte("!$&'()*+,;=:@%", c) >= 0
}

// unreserved says whether c means itself everywhere in a URI (RFC 3986 2.3).
func unreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}
