package route

import (
	"fmt"
	"strings"
)

// MaxParams is how many parameters one template may have.
const MaxParams = 8

// A Template is the path of an entry: "/", literal segments, parameters. The zero Template matches nothing.
//
//	/v1/media       literal segments, compared byte for byte
//	/{name}         one segment that is not empty
//	/{name:digits}  one segment of ASCII digits, at least one
//	/{name...}      what is left, slashes included, maybe nothing; only at the end
type Template struct {
	text     string
	segments []segment
	names    []string // of the parameters, from left to right
}

// A kind is what a segment accepts. The smaller one wins.
type kind uint8

const (
	literal kind = iota
	digits
	param
	rest
)

type segment struct {
	kind kind
	text string // of a literal
}

// ParseTemplate reads a path template. Its errors carry the byte at which the template goes wrong.
func ParseTemplate(text string) (Template, error) {
	t := Template{text: text}
	wrong := func(at int, format string, args ...any) (Template, error) {
		return Template{}, fmt.Errorf("path %q: %s at byte %d", text, fmt.Sprintf(format, args...), at)
	}
	if !strings.HasPrefix(text, "/") {
		return wrong(0, `expected "/"`)
	}
	for at := 1; at <= len(text); {
		word, _, _ := strings.Cut(text[at:], "/")
		if t.ends() {
			return wrong(at-1, "{%s...} must be the end, found %q", t.names[len(t.names)-1], text[at-1:])
		}
		if i := strings.IndexAny(word, "{}"); i < 0 {
			for i, c := range []byte(word) {
				if !pathByte(c) {
					return wrong(at+i, "%q cannot stand in a path; percent-encode it", word[i:i+1])
				}
			}
			t.segments = append(t.segments, segment{literal, word})
			at += len(word) + 1
			continue
		} else if word[i] == '}' {
			return wrong(at+i, "brace without an opening one")
		} else if i > 0 {
			return wrong(at+i, "a parameter must be a whole segment: found %q before the brace", word[:i])
		}
		inner, after, closed := strings.Cut(word[1:], "}")
		if !closed {
			return wrong(at, "unclosed brace")
		}
		if after != "" {
			return wrong(at+len(inner)+2, "a parameter must be a whole segment: found %q after the brace", after)
		}
		name, kind, err := parseParam(inner)
		if err != nil {
			return wrong(at+1, "%v", err)
		}
		for _, n := range t.names {
			if n == name {
				return wrong(at+1, "second parameter %q", name)
			}
		}
		if len(t.names) == MaxParams {
			return wrong(at, "more than %d parameters", MaxParams)
		}
		t.names = append(t.names, name)
		t.segments = append(t.segments, segment{kind: kind})
		at += len(word) + 1
	}
	return t, nil
}

// parseParam reads what stands between a parameter's braces.
func parseParam(inner string) (name string, k kind, err error) {
	name, constraint, constrained := strings.Cut(inner, ":")
	k = param
	if constrained {
		if constraint != "digits" {
			return "", 0, fmt.Errorf(`constraint %q: expected "digits"`, constraint)
		}
		k = digits
	} else if cut, ok := strings.CutSuffix(name, "..."); ok {
		name, k = cut, rest
	}
	if name == "" {
		return "", 0, fmt.Errorf("parameter without a name")
	}
	for i, c := range []byte(name) {
		if !(c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' || i > 0 && '0' <= c && c <= '9') {
			return "", 0, fmt.Errorf("parameter %q: expected letters, digits and _, no digit first", name)
		}
	}
	return name, k, nil
}

// pathByte says whether c may stand in a segment of a path as it is sent (RFC 3986 pchar, with % left to its writer).
func pathByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~!$&'()*+,;=:@%", c) >= 0
}

// String returns t as it was written.
func (t Template) String() string { return t.text }

// Names returns the names of t's parameters from left to right. The i-th one is [Params.Value] i after a match.
func (t Template) Names() []string { return t.names }

// ends says whether nothing may follow t's last segment.
func (t Template) ends() bool {
	return len(t.segments) > 0 && t.segments[len(t.segments)-1].kind == rest
}
