package wire

import (
	"strings"
	"testing"
)

// Each class is held against its grammar, byte by byte.
func TestByteClasses(t *testing.T) {
	letters := "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits := "0123456789"
	for c := range 256 {
		one := []byte{byte(c)}
		in := func(set string) bool { return c < 0x80 && strings.IndexByte(set, byte(c)) >= 0 }
		visible := c > 0x20 && c < 0x7f
		text := c >= 0x80

		if got, want := IsToken(one), in(letters+digits+"!#$%&'*+-.^_`|~"); got != want {
			t.Errorf("IsToken(%q) = %v, want %v (9110 5.6.2)", one, got, want)
		}
		if got, want := IsValue(one), visible || text; got != want {
			t.Errorf("IsValue(%q) = %v, want %v (9110 5.5)", one, got, want)
		}
		inside := []byte{'a', byte(c), 'b'}
		if got, want := IsValue(inside), visible || text || c == ' ' || c == '\t'; got != want {
			t.Errorf("IsValue(%q) = %v, want %v (9110 5.5)", inside, got, want)
		}
		if got, want := IsTarget(one), visible || text; got != want {
			t.Errorf("IsTarget(%q) = %v, want %v (9112 3.2)", one, got, want)
		}
		if got, want := all(one, isDigit), in(digits); got != want {
			t.Errorf("all(%q, isDigit) = %v, want %v", one, got, want)
		}
		if got, want := all(one, isHex), in(digits+"abcdefABCDEF"); got != want {
			t.Errorf("all(%q, isHex) = %v, want %v", one, got, want)
		}
		if got, want := all(one, isHost), in(letters+digits+"-._~"+"!$&'()*+,;="); got != want {
			t.Errorf("all(%q, isHost) = %v, want %v (3986 3.2.2)", one, got, want)
		}
	}
}

func TestEmptyAndSpacedWords(t *testing.T) {
	tests := []struct {
		name   string
		is     func([]byte) bool
		text   string
		expect bool
	}{
		{"a token has at least one character", IsToken, "", false},
		{"a token holds no space", IsToken, "a b", false},
		{"a value may be empty", IsValue, "", true},
		{"a value may hold white space inside", IsValue, "a \t b", true},
		{"a value has no space before it", IsValue, " a", false},
		{"a value has no tab behind it", IsValue, "a\t", false},
		{"a value holds no CR", IsValue, "a\rb", false},
		{"a value holds no LF", IsValue, "a\nb", false},
		{"a value holds no NUL", IsValue, "a\x00b", false},
		{"a target has at least one character", IsTarget, "", false},
		{"a target holds no space", IsTarget, "/a b", false},
	}
	for _, test := range tests {
		if got := test.is([]byte(test.text)); got != test.expect {
			t.Errorf("%s: %q = %v, want %v", test.name, test.text, got, test.expect)
		}
	}
}

func TestEqualFold(t *testing.T) {
	tests := []struct {
		name, a, b string
		want       bool
	}{
		{"letters are compared without case", "Content-Length", "cONTENT-lENGTH", true},
		{"lengths count", "close", "closed", false},
		{"empty equals empty", "", "", true},
		{"only letters have a case: @ is not a back-quote", "@", "`", false},
		{"only letters have a case: [ is not a brace", "[", "{", false},
		{"only ASCII is folded: the Kelvin sign is no K", "\u212a", "k", false},
		{"only ASCII is folded: bytes above 0x7f stand for themselves", "\xc0", "\xe0", false},
	}
	for _, test := range tests {
		if got := EqualFold(test.a, []byte(test.b)); got != test.want {
			t.Errorf("%s: EqualFold(%q, %q) = %v, want %v", test.name, test.a, test.b, got, test.want)
		}
	}
}

// Numbers (9110 8.6: Content-Length = 1*DIGIT).
func TestParseLength(t *testing.T) {
	const no = -1
	tests := []struct {
		name, value string
		want        int64
	}{
		{"a number", "42", 42},
		{"zero", "0", 0},
		{"leading zeros mean nothing", "0042", 42},
		{"the greatest", "9223372036854775807", 1<<63 - 1},
		{"one more", "9223372036854775808", no},
		{"19 digits that do not fit", "9999999999999999999", no},
		{"2^64 must not wrap to 0", "18446744073709551616", no},
		{"2^64+5 must not wrap to 5", "18446744073709551621", no},
		{"longer than any that fits, though small", "00000000000000000005", no},
		{"empty", "", no},
		{"a plus sign", "+5", no},
		{"a minus sign", "-5", no},
		{"minus zero", "-0", no},
		{"hexadecimal", "0x10", no},
		{"hexadecimal digits", "a", no},
		{"an underscore", "1_0", no},
		{"a fraction", "5.0", no},
		{"an exponent", "1e3", no},
		{"space inside", "1 0", no},
		{"digits of another script", "\u0665", no},
		{"a semicolon list is no list", "5;5", no},
		{"the same number repeated in a list is one number (9112 6.3)", "5, 5", 5},
		{"the same without space", "5,5,5", 5},
		{"the same number written otherwise", "5, 05", 5},
		{"different numbers in a list", "5, 6", no},
		{"a list with a wrong member", "5, x", no},
		{"a list with a signed member", "5, +5", no},
		{"a list with an overflowing member", "5, 18446744073709551621", no},
		{"none repeated in a list", "0, 0", 0},
		{"none and then some in a list", "0, 5", no},
		{"none and then one in a list", "0, 1", no},
		{"a list of nothing", ",", no},
		{"a list with empty members (9110 5.6.1)", ", 5,", 5},
	}
	for _, test := range tests {
		got, ok := parseLength([]byte(test.value))
		if !ok {
			got = no
		}
		if got != test.want {
			t.Errorf("%s: parseLength(%q) = %d, want %d", test.name, test.value, got, test.want)
		}
	}
}
