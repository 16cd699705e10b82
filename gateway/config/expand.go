package config

import (
	"bytes"
	"fmt"
)

// Values are what a request's templates are filled from.
type Values interface {
	// Attribute is an attribute of the client, in plain text.
	Attribute(name string) (string, bool)
	// PathParam is a parameter of the route's path as it was sent, percent-encoding included.
	PathParam(name string) ([]byte, bool)
	// Secret is a secret of the client.
	Secret(name string) (string, bool)
}

// A ValueError says why a template cannot be expanded for one request. It never holds a value.
type ValueError struct {
	Part Part
	Why  string
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("{%v.%s}: %s", e.Part.From, e.Part.Name, e.Why)
}

// FromRequest reports whether it is what the client sent that is at fault, and not the configuration.
func (e *ValueError) FromRequest() bool { return e.Part.From == FromPath }

// Append appends the expansion of t to dst. It allocates nothing unless dst must grow or a value is refused; then dst comes
// back as it was, with a [*ValueError].
func (t *Template) Append(dst []byte, v Values) ([]byte, error) {
	start := len(dst)
	var last *Part // that was filled in
	for i := range t.Parts {
		p := &t.Parts[i]
		why := ""
		switch p.From {
		case Literal:
			dst = append(dst, p.Text...)
			continue
		case FromClient:
			s, ok := v.Attribute(p.Name)
			if why = "the client has no such attribute"; ok {
				dst, why = appendText(dst, s, t.place)
			}
		case FromSecret:
			s, ok := v.Secret(p.Name)
			if why = "the client has no such secret"; ok {
				dst, why = appendText(dst, s, t.place)
			}
		case FromPath:
			s, ok := v.PathParam(p.Name)
			if why = "the path has no such parameter"; ok {
				dst, why = appendRaw(dst, s, t.place, p.rest)
			}
		}
		if why != "" {
			return dst[:start], &ValueError{*p, why}
		}
		last = p
	}
	if t.place == inPath && last != nil && dotSegment(dst[start:]) {
		// The template alone has no such segment, so a value made it. A path parameter is the client's doing.
		for i := range t.Parts {
			if t.Parts[i].From == FromPath {
				last = &t.Parts[i]
			}
		}
		return dst[:start], &ValueError{*last, `a segment of the path became "." or ".."`}
	}
	return dst, nil
}

// appendText appends a value that is plain text.
func appendText(dst []byte, s string, in place) (_ []byte, why string) {
	if in == inPath && s == "" {
		return dst, "the value is empty"
	}
	if in == inField {
		for i := range len(s) {
			if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
				return dst, "the value has a control character"
			}
		}
		return append(dst, s...), ""
	}
	for {
		n := run(s)
		if dst = append(dst, s[:n]...); n == len(s) {
			return dst, ""
		}
		dst = appendEscape(dst, s[n])
		s = s[n+1:]
	}
}

// run is how many bytes at the beginning of s stand for themselves wherever they are put.
func run[T string | []byte](s T) int {
	n := 0
	for n < len(s) && asIs[s[n]] {
		n++
	}
	return n
}

var asIs = func() (t [256]bool) {
	for c := range t {
		t[c] = unreserved(byte(c))
	}
	return t
}()

// appendRaw appends a value that is a piece of a path as it was sent.
func appendRaw(dst, s []byte, in place, rest bool) (_ []byte, why string) {
	if in == inPath && len(s) == 0 && !rest {
		return dst, "the value is empty"
	}
	for i := 0; i < len(s); i++ {
		if n := run(s[i:]); n > 0 {
			dst = append(dst, s[i:i+n]...)
			if i += n; i == len(s) {
				break
			}
		}
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return dst, `"%" without two hexadecimal digits`
			}
			if b := unhex(s[i+1])<<4 | unhex(s[i+2]); in == inPath && (b == '/' || b == '\\' || b < 0x20 || b == 0x7f) {
				return dst, "an encoded slash, backslash or control character"
			}
			dst = append(dst, s[i:i+3]...)
			i += 2
			continue
		}
		switch {
		case c < 0x20 || c == 0x7f || c == '\\':
			return dst, "a backslash or control character"
		case c == '/' && in == inPath && !rest:
			return dst, "a slash"
		case in == inField, unreserved(c), in == inPath && (c == '/' || pathByte(c)):
			dst = append(dst, c)
		default:
			dst = appendEscape(dst, c)
		}
	}
	return dst, ""
}

// dotSegment reports whether a path has a segment that a receiver may take for "." or "..": with dots that are
// percent-encoded, or followed by ";" and parameters, as some servers cut off.
func dotSegment(path []byte) bool {
	if bytes.IndexByte(path, '.') < 0 && bytes.IndexByte(path, '%') < 0 {
		return false
	}
	dots, only := 0, true // of the segment so far
	for i := 0; i <= len(path); i++ {
		if i == len(path) || path[i] == '/' || path[i] == ';' {
			if only && (dots == 1 || dots == 2) {
				return true
			}
			if i == len(path) || path[i] == '/' {
				dots, only = 0, true
			} else {
				only = false
			}
			continue
		}
		switch {
		case path[i] == '.':
			dots++
		case i+2 < len(path) && path[i] == '%' && path[i+1] == '2' && path[i+2]|0x20 == 'e':
			dots++
			i += 2
		default:
			only = false
		}
	}
	return false
}

// AppendURI appends path and query as they go to the upstream: uri, the client's, with the route's path and parameters
// injected. Parameters are set as [Inject] says; everything else of the query stays byte for byte. A nil Inject changes
// nothing. dst must not overlap uri. The error is a [*ValueError], and dst is then as it was.
func (in *Inject) AppendURI(dst, uri []byte, v Values) ([]byte, error) {
	if in == nil {
		return append(dst, uri...), nil
	}
	start := len(dst)
	path, query, hasQuery := cutByte(uri, '?')
	var err error
	if in.Path == nil {
		dst = append(dst, path...)
	} else if dst, err = in.Path.Append(dst, v); err != nil {
		return dst[:start], err
	}
	if len(in.Query) == 0 {
		if hasQuery {
			dst = append(append(dst, '?'), query...)
		}
		return dst, nil
	}
	dst = append(dst, '?')
	begin := len(dst)
	var done uint64 // which of in.Query stand in dst
	for more := len(query) > 0; more; {
		var piece []byte
		piece, query, more = cutByte(query, '&')
		name, _, _ := cutByte(piece, '=')
		i := in.Query.find(name)
		switch {
		case i < 0:
			dst = append(append(dst, piece...), '&')
		case done>>i&1 == 0:
			done |= 1 << i
			if dst, err = in.Query[i].appendQuery(dst, v); err != nil {
				return dst[:start], err
			}
		}
	}
	for i := range in.Query {
		if done>>i&1 == 0 {
			if dst, err = in.Query[i].appendQuery(dst, v); err != nil {
				return dst[:start], err
			}
		}
	}
	if len(dst) > begin {
		dst = dst[:len(dst)-1] // the last "&"
	}
	return dst, nil
}

// find returns the index of the injection with that name, which is percent-encoded, or -1.
func (ps Injections) find(name []byte) int {
	for i := range ps {
		if sameName(name, ps[i].Name) {
			return i
		}
	}
	return -1
}

// appendQuery appends name=value&.
func (p *Injection) appendQuery(dst []byte, v Values) ([]byte, error) {
	dst = append(append(dst, p.encoded...), '=')
	dst, err := p.Value.Append(dst, v)
	return append(dst, '&'), err
}

// sameName reports whether a parameter's name as it was sent means name: a client must not get a second value past us by
// encoding the name in another way.
func sameName(sent []byte, name string) bool {
	i := 0
	for j := range len(name) {
		if i >= len(sent) {
			return false
		}
		c := sent[i]
		i++
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+1 < len(sent) && isHex(sent[i]) && isHex(sent[i+1]):
			c = unhex(sent[i])<<4 | unhex(sent[i+1])
			i += 2
		}
		if c != name[j] {
			return false
		}
	}
	return i == len(sent)
}

func cutByte(b []byte, sep byte) (before, after []byte, found bool) {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

// encodeName is the name of a parameter as it is sent.
func encodeName(name string) string {
	var b []byte
	for i := range len(name) {
		b = appendLiteral(b, name[i], inQuery)
	}
	return string(b)
}
