package wire

import (
	"bytes"
	"iter"
)

// Elements returns the elements of a list of tokens or numbers (9110 5.6.1): comma-separated, without white space, empty ones
// left out. A quote has no meaning in such a list, and hides no comma: see [Split] for lists that may hold quoted strings.
func Elements(value []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(value) > 0 {
			var e []byte
			if i := bytes.IndexByte(value, ','); i >= 0 {
				e, value = value[:i], value[i+1:]
			} else {
				e, value = value, nil
			}
			if e = trim(e); len(e) > 0 && !yield(e) {
				return
			}
		}
	}
}

// Split returns what stands between the bytes sep in a value, as Elements does, but for those within a quoted string (9110
// 5.6.4). A quoted string that does not end lasts to the end of the value.
func Split(value []byte, sep byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(value) > 0 {
			end := unquoted(value, sep)
			e := trim(value[:end])
			value = value[min(end+1, len(value)):]
			if len(e) > 0 && !yield(e) {
				return
			}
		}
	}
}

// unquoted returns where the first sep outside a quoted string is, else the length of b.
func unquoted(b []byte, sep byte) int {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++ // a quoted pair
		case !quoted && c == sep:
			return i
		}
	}
	return len(b)
}

// Unquote returns what a parameter's value stands for: a token, or the inside of a quoted string without quoted pairs. Those
// would need another place to stand in; nothing that is asked here has use for them.
func Unquote(value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' {
		return value, IsToken(value)
	}
	inside := value[1 : len(value)-1]
	return inside, value[len(value)-1] == '"' && !bytes.ContainsAny(inside, `"\`)
}
