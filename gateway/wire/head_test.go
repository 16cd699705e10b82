package wire

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

func TestHeadEnd(t *testing.T) {
	tests := []struct {
		name, bytes string
		want        int
	}{
		{"nothing", "", -1},
		{"a whole head", "A\r\n\r\n", 5},
		{"a head and content behind it", "A\r\n\r\n\r\n\r\n", 5},
		{"one byte missing", "A: b\r\n\r", -1},
		{"bare LF does not end a head (9112 2.2)", "A: b\n\n", -1},
		{"an empty line in bare LF does not", "A: b\r\n\n", -1},
		{"a CR too many does not", "A: b\r\n\r\r\n", -1},
	}
	for _, test := range tests {
		b := []byte(test.bytes)
		// However the bytes arrive, the end is found when its last byte is there.
		known, got := 0, -1
		for n := range len(b) + 1 {
			if got = HeadEnd(b[:n], known); got >= 0 {
				break
			}
			known = n
		}
		if whole := HeadEnd(b, 0); got != test.want || whole != test.want {
			t.Errorf("%s: HeadEnd(%q) = %d, byte by byte %d, want %d", test.name, b, whole, got, test.want)
		}
	}
}

func TestResponseHead(t *testing.T) {
	const bad = "bad at "
	tests := []struct{ name, head, want string }{
		{"a head", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", `1.1 200 "OK" A=b`},
		{"no field", "HTTP/1.1 200 OK\r\n\r\n", `1.1 200 "OK" `},
		{"HTTP/1.0", "HTTP/1.0 404 Not Found\r\n\r\n", `1.0 404 "Not Found" `},
		{"a later minor version is read as 1.1 (9110 2.5)", "HTTP/1.2 200 OK\r\n\r\n", `1.2 200 "OK" `},
		{"an empty reason (9112 4)", "HTTP/1.1 200 \r\n\r\n", `1.1 200 "" `},
		{"no reason, nor its space", "HTTP/1.1 200\r\n\r\n", `1.1 200 "" `},
		{"a reason above ASCII", "HTTP/1.1 200 \xff\r\n\r\n", `1.1 200 "\xff" `},
		{"a status code of no known class (9110 15)", "HTTP/1.1 999 x\r\n\r\n", `1.1 999 "x" `},
		{"an interim response", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", `1.1 103 "Early Hints" Link=a`},
		{"the least status code", "HTTP/1.1 100 Continue\r\n\r\n", `1.1 100 "Continue" `},

		{"nothing", "", bad + "0"},
		{"a line without an end", "HTTP/1.1 200 OK", bad + "0"},
		{"only an empty line", "\r\n\r\n", bad + "0"},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", bad + "0"},
		{"HTTP/2 without a minor version", "HTTP/2 200 OK OK\r\n\r\n", bad + "0"},
		{"HTTP/0.9", "hello, this is just text\r\n\r\n", bad + "0"},
		{"the name in small letters (9112 2.3)", "http/1.1 200 OK\r\n\r\n", bad + "0"},
		{"a minor version of two digits", "HTTP/1.10 200 OK\r\n\r\n", bad + "0"},
		{"a minor version that is no digit", "HTTP/1.x 200 OK\r\n\r\n", bad + "0"},
		{"a tab for the space", "HTTP/1.1\t200 OK\r\n\r\n", bad + "0"},
		{"space before the line", " HTTP/1.1 200 OK\r\n\r\n", bad + "0"},
		{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", bad + "9"},
		{"no status code", "HTTP/1.1 OK yes\r\n\r\n", bad + "9"},
		{"two digits", "HTTP/1.1 20 OK\r\n\r\n", bad + "9"},
		{"two digits and no reason", "HTTP/1.1 20\r\n\r\n", bad + "9"},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", bad + "12"},
		{"a status code below 100", "HTTP/1.1 099 OK\r\n\r\n", bad + "9"},
		{"a signed status code", "HTTP/1.1 +20 OK\r\n\r\n", bad + "9"},
		{"a reason without its space", "HTTP/1.1 200OK\r\n\r\n", bad + "12"},
		{"a control in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", bad + "14"},
		{"CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", bad + "14"},
		{"a status line in bare LF (9112 2.2)", "HTTP/1.1 200 OK\nA: b\r\n\r\n", bad + "15"},
		{"a wrong field, counted from the head's first byte", "HTTP/1.1 200 OK\r\nA b\r\n\r\n", bad + "18"},
		{"a folded field right away (9112 5.2)", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", bad + "17"},
	}
	var h ResponseHead
	for _, test := range tests {
		err := h.Parse([]byte(test.head))
		got := "1." + strconv.Itoa(h.Minor) + " " + strconv.Itoa(h.Status) + " " + strconv.Quote(string(h.Reason)) + " " + text(h.Fields)
		if err != nil {
			syntax := (*SyntaxError)(nil)
			if !errors.As(err, &syntax) {
				t.Errorf("%s: error %v is no SyntaxError", test.name, err)
				continue
			}
			got = bad + strconv.Itoa(syntax.Offset)
		}
		if got != test.want {
			t.Errorf("%s: Parse(%q) = %s (%v), want %s", test.name, test.head, got, err, test.want)
		}
	}
}

// A status line that is short by a digit must not be told to end in CRLF: it does.
func TestResponseHeadErrorNamesTheFault(t *testing.T) {
	var h ResponseHead
	err := h.Parse([]byte("HTTP/1.1 20\r\n\r\n"))
	if err == nil || !strings.Contains(err.Error(), "three digits") {
		t.Errorf("error = %v, want one about the status code", err)
	}
}

func TestAppendLines(t *testing.T) {
	tests := []struct{ name, got, want string }{
		{"a status line is always HTTP/1.1 (9110 2.5)", string(AppendStatusLine([]byte("x"), 404, "Not Found")), "xHTTP/1.1 404 Not Found\r\n"},
		{"its space stays without a reason (9112 4)", string(AppendStatusLine(nil, 200, []byte(nil))), "HTTP/1.1 200 \r\n"},
		{"a request line", string(AppendRequestLine([]byte("x"), []byte("GET"), []byte("/a?b"))), "xGET /a?b HTTP/1.1\r\n"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", test.name, test.got, test.want)
		}
	}
}

// A head of ours is one that we take.
func TestAppendedHeadParses(t *testing.T) {
	b := AppendStatusLine(nil, 200, "OK")
	b = append(AppendField(b, "A", "b"), crlf...)
	var h ResponseHead
	if err := h.Parse(b); err != nil || h.Status != 200 || text(h.Fields) != "A=b" || HeadEnd(b, 0) != len(b) {
		t.Errorf("Parse(%q) = %+v, %v", b, h, err)
	}
}
