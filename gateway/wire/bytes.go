package wire

// What a byte may be part of.
const (
	isToken  = 1 << iota // tchar (9110 5.6.2)
	isValue              // a field value's byte: VCHAR, obs-text, SP, HTAB (9110 5.5)
	isTarget             // of a request target: what may stand between two spaces and is no control
	isDigit
	isHex
	isHost // of a registered name (3986 3.2.2), but for what is percent-encoded
)

var class = func() (t [256]uint8) {
	for c := range 256 {
		if c >= '0' && c <= '9' {
			t[c] |= isDigit | isHex | isToken | isHost
		}
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			t[c] |= isToken | isHost
		}
		if c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' {
			t[c] |= isHex
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= isValue
		}
		if c > ' ' && c != 0x7f {
			t[c] |= isTarget
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= isToken
	}
	for _, c := range "-._~!$&'()*+,;=" {
		t[c] |= isHost
	}
	return t
}()

// span returns how many bytes of the class b begins with.
func span(b []byte, want uint8) int {
	for i, c := range b {
		if class[c]&want == 0 {
			return i
		}
	}
	return len(b)
}

// all reports whether every byte of b is of the class.
func all(b []byte, want uint8) bool { return span(b, want) == len(b) }

// IsToken reports whether b is a token (9110 5.6.2): what methods and field names are made of.
func IsToken(b []byte) bool { return len(b) > 0 && all(b, isToken) }

// IsValue reports whether b can be a field value (9110 5.5): no controls but HTAB, no white space at either end.
func IsValue(b []byte) bool {
	return all(b, isValue) && (len(b) == 0 || !isSpace(b[0]) && !isSpace(b[len(b)-1]))
}

// IsTarget reports whether b can stand in a request line as the target: not empty, no white space, no controls. Bytes above
// 0x7f and characters that RFC 3986 excludes are let through: path and query are the upstream's to judge.
func IsTarget(b []byte) bool { return len(b) > 0 && all(b, isTarget) }

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// trim returns b without optional white space (9110 5.6.3) at its ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// EqualFold reports whether a equals b when ASCII letters are compared without case.
func EqualFold[A, B string | []byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// parseDecimal reads b as 1*DIGIT below 2^63. Signs, spaces and everything else are not digits.
func parseDecimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	var u uint64
	for _, c := range b {
		if class[c]&isDigit == 0 {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	return int64(u), u < 1<<63
}
