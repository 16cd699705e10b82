package wire

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// text writes fields as "name=value" words, for comparison.
func text(fields []Field) string {
	var words []string
	for _, f := range fields {
		words = append(words, string(f.Name)+"="+string(f.Value))
	}
	return strings.Join(words, "|")
}

// fieldsOf parses lines that are given without their CRLF.
func fieldsOf(t *testing.T, lines ...string) []Field {
	t.Helper()
	var b []byte
	for _, line := range lines {
		b = append(append(b, line...), crlf...)
	}
	fields, err := ParseFields(nil, append(b, crlf...))
	if err != nil {
		t.Fatalf("ParseFields(%q): %v", lines, err)
	}
	return fields
}

func TestParseFields(t *testing.T) {
	const bad = "bad at "
	tests := []struct{ name, lines, want string }{
		{"nothing at all", "", ""},
		{"only the empty line", "\r\n", ""},
		{"one field", "A: b\r\n\r\n", "A=b"},
		{"order and repetition are kept (9110 5.3)", "B: 1\r\nA: 2\r\nB: 3\r\n\r\n", "B=1|A=2|B=3"},
		{"the name's case is kept", "x-MiXed: 1\r\n\r\n", "x-MiXed=1"},
		{"no space after the colon (9112 5)", "A:b\r\n\r\n", "A=b"},
		{"white space around the value is not part of it (9112 5.1)", "A: \t b c \t\r\n\r\n", "A=b c"},
		{"an empty value", "A:\r\n\r\n", "A="},
		{"a value of white space is empty", "A: \t \r\n\r\n", "A="},
		{"a value may hold colons", "A: b:c\r\n\r\n", "A=b:c"},
		{"a value may hold bytes above 0x7f (9110 5.5)", "A: \xff\xc3\xa4\r\n\r\n", "A=\xff\xc3\xa4"},
		{"a name may be any token (9110 5.1)", "!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n", "!#$%&'*+-.^_`|~09azAZ=b"},

		{"a line in bare LF (9112 2.2)", "A: b\n\r\n", bad + "4"},
		{"the empty line in bare LF (9112 2.2)", "A: b\r\n\n", bad + "6"},
		{"a line without an end", "A: b\r\nC: d", bad + "6"},
		{"a bare CR in a value (9112 2.2)", "A: b\rc\r\n\r\n", bad + "4"},
		{"a CR before CRLF", "A: b\r\r\n\r\n", bad + "4"},
		{"NUL in a value (9110 5.5)", "A: b\x00\r\n\r\n", bad + "4"},
		{"another control in a value", "A: b\x01c\r\n\r\n", bad + "4"},
		{"DEL in a value", "A: \x7f\r\n\r\n", bad + "3"},
		{"a folded line (9112 5.2)", "A: b\r\n c: d\r\n\r\n", bad + "6"},
		{"a folded line by tab (9112 5.2)", "A: b\r\n\tc\r\n\r\n", bad + "6"},
		{"white space before the first field (9112 2.2)", " A: b\r\n\r\n", bad + "0"},
		{"space before the colon (9112 5.1)", "A : b\r\n\r\n", bad + "1"},
		{"tab before the colon (9112 5.1)", "A\t: b\r\n\r\n", bad + "1"},
		{"space inside a name", "A B: c\r\n\r\n", bad + "1"},
		{"no colon", "A\r\n\r\n", bad + "1"},
		{"no colon behind a field", "A: b\r\nCd\r\n\r\n", bad + "8"},
		{"no name", ": b\r\n\r\n", bad + "0"},
		{"a name with a byte above 0x7f", "\xc3\xa4: b\r\n\r\n", bad + "0"},
		{"a name with NUL", "A\x00: b\r\n\r\n", bad + "1"},
		{"a name with a separator", "A(b): c\r\n\r\n", bad + "1"},
		{"a name with CR", "A\r: c\r\n\r\n", bad + "1"},
		{"bytes behind the empty line", "A: b\r\n\r\nC: d\r\n", bad + "8"},
		{"two empty lines", "\r\n\r\n", bad + "2"},
	}
	for _, test := range tests {
		fields, err := ParseFields(nil, []byte(test.lines))
		got := text(fields)
		if err != nil {
			syntax := (*SyntaxError)(nil)
			if !errors.As(err, &syntax) {
				t.Errorf("%s: error %v is no SyntaxError", test.name, err)
				continue
			}
			got = bad + strconv.Itoa(syntax.Offset)
		}
		if got != test.want {
			t.Errorf("%s: ParseFields(%q) = %q (%v), want %q", test.name, test.lines, got, err, test.want)
		}
	}
}

func TestSyntaxErrorSaysWhatWasExpected(t *testing.T) {
	_, err := ParseFields(nil, []byte("A: b\r\nC d\r\n\r\n"))
	if want := "byte 7: expected a field name directly followed by a colon"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %q", err, want)
	}
}

func TestParseFieldsAppends(t *testing.T) {
	fields, err := ParseFields(fieldsOf(t, "A: b"), []byte("C: d\r\n\r\n"))
	if got := text(fields); err != nil || got != "A=b|C=d" {
		t.Errorf("fields = %q, %v, want both", got, err)
	}
}

func TestLookup(t *testing.T) {
	for n := Other + 1; n < names; n++ {
		if len(n.String()) >= len(namesByLength) {
			t.Fatalf("%q is longer than the table of lengths", n)
		}
		for _, name := range []string{n.String(), strings.ToLower(n.String()), strings.ToUpper(n.String())} {
			if got := Lookup([]byte(name)); got != n {
				t.Errorf("Lookup(%q) = %q, want %q", name, got, n)
			}
			for _, near := range []string{name + "x", name[1:], name[:len(name)-1], "q" + name[1:], name[:len(name)-1] + "\x00"} {
				if got := Lookup([]byte(near)); got == n {
					t.Errorf("Lookup(%q) = %q, want another", near, got)
				}
			}
		}
	}
	for _, other := range []string{"", "X-Custom", "Content_Length", "Transfer-Encodinq", strings.Repeat("a", 300), strings.Repeat("a", len(namesByLength)), "\xff"} {
		if got := Lookup([]byte(other)); got != Other {
			t.Errorf("Lookup(%q) = %q, want none", other, got)
		}
	}
}

func TestElements(t *testing.T) {
	tests := []struct {
		name, value string
		want        []string
	}{
		{"an empty value has none", "", nil},
		{"one", "a", []string{"a"}},
		{"white space around them is not part (9110 5.6.1)", " a ,\tb\t, c", []string{"a", "b", "c"}},
		{"empty ones are left out (9110 5.6.1.2)", ",, a, ,b,", []string{"a", "b"}},
		{"white space inside stays", "a b, c", []string{"a b", "c"}},
	}
	for _, test := range tests {
		var got []string
		for e := range Elements([]byte(test.value)) {
			got = append(got, string(e))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: Elements(%q) = %q, want %q", test.name, test.value, got, test.want)
		}
	}
}

// Which fields go no further (9110 7.6.1).
func TestHops(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		kept  string
	}{
		{"fields for one hop are never forwarded, listed or not", []string{
			"Connection: x-a", "Keep-Alive: timeout=5", "Proxy-Connection: close", "TE: trailers", "Transfer-Encoding: chunked",
			"Upgrade: websocket", "B: 1",
		}, "B=1"},
		{"Trailer goes with the trailer section", []string{"Trailer: X", "Transfer-Encoding: chunked"}, "Trailer=X"},
		{"a listed field is not forwarded", []string{"Connection: X-A, x-b", "x-a: 1", "X-B: 2", "X-C: 3"}, "X-C=3"},
		{"every line of a listed field goes", []string{"X-A: 1", "Connection: x-a", "X-a: 2"}, ""},
		{"several Connection fields add up", []string{"Connection: x-a", "X-A: 1", "Connection: x-b", "X-B: 2"}, ""},
		{"a list of nothing drops nothing", []string{"Connection: , ,", "X-A: 1"}, "X-A=1"},
		{"close next to a listed field", []string{"Connection: close, X-A", "X-A: 1"}, ""},
		{"close is no field to drop", []string{"Connection: close", "Close: 1"}, "Close=1"},
		{"a longer name is another name", []string{"Connection: X-A", "X-Ab: 1", "X: 2"}, "X-Ab=1|X=2"},
		{"Host and Content-Length cannot be listed away", []string{"Connection: host, content-length", "Host: a", "Content-Length: 1"}, "Host=a|Content-Length=1"},
	}
	for _, test := range tests {
		fields := fieldsOf(t, test.lines...)
		var h Hops
		h.ReadHops(fields)
		kept := slices.DeleteFunc(fields, func(f Field) bool { return h.Drops(&f) })
		if got := text(kept); got != test.kept || h.TooMany {
			t.Errorf("%s: kept %q (too many: %v), want %q", test.name, got, h.TooMany, test.kept)
		}
	}
}

func TestConnectionOptions(t *testing.T) {
	tests := []struct {
		name, value                   string
		close, keep, upgrade, tooMany bool
	}{
		{"close (9112 9.6)", "close", true, false, false, false},
		{"without case", "CLOSE", true, false, false, false},
		{"in a list", "x-a, close", true, false, false, false},
		{"keep-alive (9112 9.3)", "Keep-Alive", false, true, false, false},
		{"upgrade (9110 7.8)", "Upgrade", false, false, true, false},
		{"part of a word is not the word", "closed, xclose, keep-alives", false, false, false, false},
		{"as many names as can be held", strings.Repeat("x,", maxListed), false, false, false, false},
		{"one name more", strings.Repeat("x,", maxListed+1), false, false, false, true},
		{"names that go in any case take no place", strings.Repeat("te,", maxListed+1), false, false, false, false},
	}
	h := Hops{Close: true, Keep: true, TooMany: true, upgrade: true, n: 3} // of another message: must not show through
	for _, test := range tests {
		h.ReadHops(fieldsOf(t, "Connection: "+test.value))
		if h.Close != test.close || h.Keep != test.keep || h.Upgrade() != test.upgrade || h.TooMany != test.tooMany {
			t.Errorf("%s: %q: close %v, keep %v, upgrade %v, too many %v", test.name, test.value, h.Close, h.Keep, h.Upgrade(), h.TooMany)
		}
	}
	h.ReadHops(fieldsOf(t, "X: close"))
	if h.Close {
		t.Error("only a Connection field says close")
	}
}

func TestAppendField(t *testing.T) {
	b := AppendField([]byte("x"), []byte("A"), []byte("b"))
	b = AppendField(b, "C", "")
	if want := "xA: b\r\nC: \r\n"; string(b) != want {
		t.Errorf("appended %q, want %q", b, want)
	}
}
