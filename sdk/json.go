package sdk

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// What [parse] makes of JSON: nil, bool, string, number, []any or object.
type (
	number string // as it was written
	object []member
	member struct {
		key   string
		value any
	}
)

const maxDepth = 100 // of lists and objects in a configuration

// parse reads one JSON value. A key that stands twice in an object is a mistake, as in no two readers it means the same.
func parse(b []byte) (any, error) {
	p := parser{b: b}
	v, err := p.value(0)
	p.skip()
	if err == nil && p.at < len(b) {
		err = p.fail("the end")
	}
	return v, err
}

type parser struct {
	b  []byte
	at int
}

func (p *parser) fail(want string) error {
	return errors.New("JSON, byte " + strconv.Itoa(p.at) + ": expected " + want)
}

// skip passes white space and returns the byte after it, 0 at the end (or for a NUL, which no caller looks for).
func (p *parser) skip() byte {
	for ; p.at < len(p.b); p.at++ {
		switch c := p.b[p.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, p.fail("at most " + strconv.Itoa(maxDepth) + " levels")
	}
	switch c := p.skip(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.list(depth)
	case c == '"':
		return p.text()
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	}
	for _, w := range []struct {
		word  string
		value any
	}{{"null", nil}, {"true", true}, {"false", false}} {
		if end := p.at + len(w.word); end <= len(p.b) && string(p.b[p.at:end]) == w.word {
			p.at = end
			return w.value, nil
		}
	}
	return nil, p.fail("a value")
}

func (p *parser) object(depth int) (any, error) {
	o := object{}
	p.at++
	if p.skip() == '}' {
		p.at++
		return o, nil
	}
	for {
		if p.skip() != '"' {
			return nil, p.fail("a key")
		}
		key, err := p.text()
		if err != nil {
			return nil, err
		}
		for _, m := range o {
			if m.key == key {
				return nil, p.fail("the key " + strconv.Quote(key) + " only once")
			}
		}
		if p.skip() != ':' {
			return nil, p.fail(`":"`)
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o = append(o, member{key, v})
		switch p.skip() {
		case ',':
			p.at++
		case '}':
			p.at++
			return o, nil
		default:
			return nil, p.fail(`"," or "}"`)
		}
	}
}

func (p *parser) list(depth int) (any, error) {
	l := []any{}
	p.at++
	if p.skip() == ']' {
		p.at++
		return l, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
		switch p.skip() {
		case ',':
			p.at++
		case ']':
			p.at++
			return l, nil
		default:
			return nil, p.fail(`"," or "]"`)
		}
	}
}

func (p *parser) number() (any, error) {
	start := p.at
	digits := func() bool {
		from := p.at
		for p.at < len(p.b) && '0' <= p.b[p.at] && p.b[p.at] <= '9' {
			p.at++
		}
		return p.at > from
	}
	is := func(set string) bool {
		for i := range len(set) {
			if p.at < len(p.b) && p.b[p.at] == set[i] {
				p.at++
				return true
			}
		}
		return false
	}
	is("-")
	ok := is("0") || digits()
	if ok && is(".") {
		ok = digits()
	}
	if ok && is("eE") {
		is("+-")
		ok = digits()
	}
	if !ok {
		return nil, p.fail("a digit")
	}
	return number(p.b[start:p.at]), nil
}

func (p *parser) text() (string, error) {
	var s []byte
	for p.at++; p.at < len(p.b); {
		c := p.b[p.at]
		p.at++
		switch {
		case c == '"':
			if !utf8.Valid(s) {
				return "", p.fail("UTF-8")
			}
			return string(s), nil
		case c < ' ':
			p.at--
			return "", p.fail("a control character to be escaped")
		case c != '\\':
			s = append(s, c)
		default:
			r, ok := p.escaped()
			if !ok {
				return "", p.fail("an escape sequence")
			}
			s = utf8.AppendRune(s, r)
		}
	}
	return "", p.fail(`"\""`)
}

// escaped reads what follows a backslash. Half a surrogate pair becomes U+FFFD.
func (p *parser) escaped() (rune, bool) {
	if p.at >= len(p.b) {
		return 0, false
	}
	c := p.b[p.at]
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		r, ok := p.hex4()
		if ok && utf16.IsSurrogate(r) {
			after := p.at
			if p.at+1 < len(p.b) && p.b[p.at] == '\\' && p.b[p.at+1] == 'u' {
				p.at += 2
				if low, ok := p.hex4(); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
					return utf16.DecodeRune(r, low), true
				}
			}
			p.at = after
			return utf8.RuneError, true
		}
		return r, ok
	}
	return 0, false
}

func (p *parser) hex4() (rune, bool) {
	if p.at+4 > len(p.b) {
		return 0, false
	}
	u, err := strconv.ParseUint(string(p.b[p.at:p.at+4]), 16, 16)
	p.at += 4
	return rune(u), err == nil
}
