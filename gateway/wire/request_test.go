package wire

import (
	"strings"
	"testing"
)

// check runs Check over a request head as it stands on the wire.
func check(h *RequestHead, head string) *RequestError {
	line, fields, _ := strings.Cut(head, "\r\n")
	method, rest, _ := strings.Cut(line, " ")
	i := max(strings.LastIndexByte(rest, ' '), 0)
	return h.check([]byte(method), []byte(rest[:i]), []byte(strings.TrimPrefix(rest[i:], " ")), []byte(fields))
}

func status(err *RequestError) int {
	if err == nil {
		return 0
	}
	return err.Status
}

// Requests that are taken or not, by the status code to say so with; 0 is taken.
func TestRequestHeads(t *testing.T) {
	const host = "Host: a\r\n"
	tests := []struct {
		name, line, fields string
		status             int
	}{
		{"a request", "GET / HTTP/1.1", host, 0},
		{"an unknown method (9110 9.1)", "BREW / HTTP/1.1", host, 0},
		{"any token is a method", "!#$%&'*+-.^_`|~ / HTTP/1.1", host, 0},
		{"no method", " / HTTP/1.1", host, 400},
		{"a method with a separator", "G(T / HTTP/1.1", host, 400},
		{"a method with a control", "G\x01T / HTTP/1.1", host, 400},
		{"CONNECT is not offered", "CONNECT a:443 HTTP/1.1", host, 501},
		{"CONNECT of a path is not either", "CONNECT / HTTP/1.1", host, 501},
		{"methods have a case: connect is another (9110 9.1)", "connect / HTTP/1.1", host, 0},

		{"HTTP/1.0 (9112 2.3)", "GET / HTTP/1.0", host, 0},
		{"a later minor version (9110 2.5)", "GET / HTTP/1.2", host, 0},
		{"an earlier major version", "GET / HTTP/0.9", host, 505},
		{"a later major version", "GET / HTTP/2.0", host, 505},
		{"a minor version of two digits", "GET / HTTP/1.10", host, 400},
		{"a version without its minor", "GET / HTTP/1", host, 400},
		{"a version in small letters (9112 2.3)", "GET / http/1.1", host, 400},
		{"a minor version that is no digit", "GET / HTTP/1.x", host, 400},
		{"a major version that is no digit", "GET / HTTP/x.1", host, 400},
		{"no version", "GET / ", host, 400},
		{"another protocol", "GET / ICAP/1.0", host, 400},

		{"no Host in HTTP/1.1 (9112 3.2)", "GET / HTTP/1.1", "", 400},
		{"no Host in HTTP/1.0", "GET / HTTP/1.0", "", 0},
		{"no Host beside an absolute target (9112 3.2)", "GET http://a/ HTTP/1.1", "", 400},
		{"Host twice (9112 3.2)", "GET / HTTP/1.1", host + "Host: b\r\n", 400},
		{"the same Host twice", "GET / HTTP/1.1", host + host, 400},
		{"Host twice in HTTP/1.0", "GET / HTTP/1.0", host + host, 400},
		{"Host twice beside an absolute target", "GET http://a/ HTTP/1.1", host + host, 400},
		{"a wrong Host beside an absolute target (9112 3.2)", "GET http://a/ HTTP/1.1", "Host: a b\r\n", 400},
		{"an empty Host (9112 3.2)", "GET / HTTP/1.1", "Host:\r\n", 0},
		{"Host with user information (9110 4.2.4)", "GET / HTTP/1.1", "Host: user:pw@a\r\n", 400},
		{"Host as a list", "GET / HTTP/1.1", "Host: a, b\r\n", 400},

		{"a wrong field", "GET / HTTP/1.1", host + "A b: c\r\n", 400},
		{"a folded field (9112 5.2)", "GET / HTTP/1.1", host + "A: b\r\n c\r\n", 400},
		{"framing that can be read in two ways (9112 6.3)", "POST / HTTP/1.1", host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400},
		{"more listed names than can be held", "GET / HTTP/1.1", host + "Connection: " + strings.Repeat("x,", 17) + "\r\n", 400},

		{"Expect: 100-continue (9110 10.1.1)", "POST / HTTP/1.1", host + "Expect: 100-Continue\r\n", 0},
		{"another expectation (9110 10.1.1)", "POST / HTTP/1.1", host + "Expect: 200-ok\r\n", 417},
		{"one more expectation", "POST / HTTP/1.1", host + "Expect: 100-continue\r\nExpect: x\r\n", 417},
		{"an empty expectation", "POST / HTTP/1.1", host + "Expect:\r\n", 417},
		{"an HTTP/1.0 client cannot mean its expectation", "POST / HTTP/1.0", host + "Expect: 200-ok\r\n", 0},
	}
	var h RequestHead
	for _, test := range tests {
		if err := check(&h, test.line+"\r\n"+test.fields+"\r\n"); status(err) != test.status {
			t.Errorf("%s: %q with %q: %d (%v), want %d", test.name, test.line, test.fields, status(err), err, test.status)
		}
	}
}

// The four forms of a request target (9112 3.2), and what each says of host and path.
func TestTargets(t *testing.T) {
	tests := []struct{ name, method, target, host, uri string }{
		{"origin-form (9112 3.2.1)", "GET", "/a/b?c=d", "h", "/a/b?c=d"},
		{"a path is kept byte for byte", "GET", "//a/../b/./%7e%2F;x=y//?", "h", "//a/../b/./%7e%2F;x=y//?"},
		{"a query is kept byte for byte", "GET", "/?&&a=%zz&?b=c+d", "h", "/?&&a=%zz&?b=c+d"},
		{"bytes above 0x7f are the upstream's to judge", "GET", "/\xff", "h", "/\xff"},
		{"a path that looks like an authority is a path", "GET", "//other/x", "h", "//other/x"},
		{"a path that looks like a URI is a path", "GET", "/http://other/x", "h", "/http://other/x"},
		{"absolute-form: its authority overrides Host (9112 3.2.2)", "GET", "http://other:81/a?b", "other:81", "/a?b"},
		{"https too", "GET", "https://other/a", "other", "/a"},
		{"a scheme has no case (9110 4.2.3)", "GET", "hTTp://other/a", "other", "/a"},
		{"the host's case is kept", "GET", "http://Other/", "Other", "/"},
		{"an IPv6 address", "GET", "http://[::1]:81/a", "[::1]:81", "/a"},
		{"an empty path is / (9112 3.2.1)", "GET", "http://other", "other", "/"},
		{"an empty path before a query is / (9112 3.2.1)", "GET", "http://other?a/b=c", "other", "/?a/b=c"},
		{"a query may be empty", "GET", "http://other?", "other", "/?"},
		{"a URI in the query is not looked into", "GET", "http://other/?u=http://x/", "other", "/?u=http://x/"},
		{"OPTIONS of a URI without a path is for the server (9112 3.2.4)", "OPTIONS", "http://other", "other", "*"},
		{"OPTIONS of / is for /", "OPTIONS", "http://other/", "other", "/"},
		{"OPTIONS of a query is for /", "OPTIONS", "http://other?a", "other", "/?a"},
		{"asterisk-form (9112 3.2.4)", "OPTIONS", "*", "h", "*"},

		{"an asterisk is for OPTIONS", "GET", "*", "", ""},
		{"OPTIONS has a case (9110 9.1)", "options", "*", "", ""},
		{"an asterisk stands alone", "OPTIONS", "*/a", "", ""},
		{"authority-form is for CONNECT (9112 3.2.3)", "GET", "other:443", "", ""},
		{"no target", "GET", "", "", ""},
		{"space inside", "GET", "/a b", "", ""},
		{"a tab inside", "GET", "/a\tb", "", ""},
		{"a control inside", "GET", "/a\x00", "", ""},
		{"DEL inside", "GET", "/a\x7f", "", ""},
		{"a fragment (9112 3.2)", "GET", "/a#b", "", ""},
		{"a fragment in absolute-form", "GET", "http://other/#b", "", ""},
		{"a path that does not begin with a slash", "GET", "a/b", "", ""},
		{"only a query", "GET", "?a=b", "", ""},
		{"another scheme", "GET", "ftp://other/a", "", ""},
		{"a scheme without authority", "GET", "http:/a", "", ""},
		{"one slash too many: no authority (9110 4.2.1)", "GET", "http:///a", "", ""},
		{"a port without a host", "GET", "http://:80/a", "", ""},
		{"user information (9110 4.2.4)", "GET", "http://user@other/a", "", ""},
		{"user information with a password", "GET", "http://user:pw@other/a", "", ""},
		{"a backslash is no slash", "GET", `http://other\@x/`, "", ""},
		{"a wrong authority", "GET", "http://oth^er/", "", ""},
	}
	var h RequestHead
	for _, test := range tests {
		err := h.check([]byte(test.method), []byte(test.target), []byte("HTTP/1.1"), []byte("Host: h\r\n\r\n"))
		want := 0
		if test.uri == "" {
			want = 400
		}
		if status(err) != want {
			t.Errorf("%s: %s %q: %d (%v), want %d", test.name, test.method, test.target, status(err), err, want)
			continue
		}
		if err != nil {
			continue
		}
		if string(h.Host) != test.host || string(h.URI) != test.uri || string(h.Target) != test.target {
			t.Errorf("%s: %s %q: host %q, uri %q, target %q, want host %q, uri %q", test.name, test.method, test.target, h.Host, h.URI, h.Target, test.host, test.uri)
		}
	}
}

// Host = uri-host [ ":" port ] (9110 7.2), uri-host as in 3986 3.2.2.
func TestAuthorities(t *testing.T) {
	good := map[string]string{
		"a name":                              "shop.example",
		"a name with a port":                  "shop.example:8080",
		"an empty port (9110 4.2.3)":          "shop.example:",
		"a port that no host has":             "shop.example:99999",
		"nothing (9112 3.2)":                  "",
		"a final dot":                         "shop.example.",
		"an underscore":                       "a_b",
		"all of a reg-name":                   "-._~!$&'()*+;=09azAZ",
		"an IPv4 address":                     "127.0.0.1:80",
		"an IPv6 address":                     "[2001:db8::1]",
		"an IPv6 address with a port":         "[2001:db8::1]:80",
		"an IPv6 address with an empty port":  "[::]:",
		"eight groups":                        "[1:2:3:4:5:6:7:8]",
		"eight groups in capitals":            "[ABCD:EF01:2345:6789:ABCD:EF01:2345:6789]",
		"one group left out":                  "[1:2:3:4:5:6:7::]",
		"groups left out in front":            "[::2:3:4:5:6:7:8]",
		"an IPv4 address at the end":          "[::ffff:192.0.2.1]",
		"an IPv4 address behind six groups":   "[1:2:3:4:5:6:192.0.2.1]",
		"an IPv4 address and nothing else":    "[::192.0.2.255]",
		"groups left out and a group at last": "[fe80::1]",
	}
	bad := map[string]string{
		"user information (9110 4.2.4)":       "user@a",
		"user information with a password":    "user:pw@a",
		"a port without a host":               ":80",
		"a port that is no number":            "a:http",
		"a signed port":                       "a:+80",
		"two ports":                           "a:80:81",
		"a space":                             "a b",
		"a slash":                             "a/b",
		"a backslash":                         `a\b`,
		"a query":                             "a?b",
		"a fragment":                          "a#b",
		"a list":                              "a, b",
		"a quote":                             `"a"`,
		"angle brackets":                      "<a>",
		"a character that no reg-name has: ^": "a^",
		"a character that no reg-name has: |": "a|b",
		"a character that no reg-name has: `": "a`",
		"a brace":                             "{a}",
		"a byte above 0x7f":                   "\xc3\xa4",
		"a control":                           "a\x01",
		"a percent-encoded byte, which some decode": "a%20b",
		"a percent-encoded letter":                  "%61",
		"a percent sign alone":                      "a%",
		"a percent sign and one digit":              "a%2",
		"a percent sign and no digits":              "a%zz",
		"a percent sign and one digit, then more":   "a%2g",
		"an IPv6 address without brackets":          "::1",
		"an open bracket":                           "[::1",
		"a closed bracket":                          "::1]",
		"empty brackets":                            "[]",
		"text behind the brackets":                  "[::1]a",
		"user information behind the brackets":      "[::1]@a",
		"a port without its colon":                  "[::1]80",
		"a port that is no number in IPv6":          "[::1]:x",
		"brackets around a name":                    "[a.example]",
		"brackets around an IPv4 address":           "[127.0.0.1]",
		"brackets in brackets":                      "[[::1]]",
		"a zone (9110 4.2.3 has none)":              "[fe80::1%25eth0]",
		"an address of a future version":            "[v1.a]",
		"one group":                                 "[1]",
		"seven groups":                              "[1:2:3:4:5:6:7]",
		"nine groups":                               "[1:2:3:4:5:6:7:8:9]",
		"nothing left out by ::":                    "[1:2:3:4:5:6:7:8::]",
		"groups left out twice":                     "[1::2::3]",
		"three colons":                              "[1:::2]",
		"a colon in front":                          "[:1:2:3:4:5:6:7]",
		"a colon at the end":                        "[1:2:3:4:5:6:7:]",
		"one colon":                                 "[:]",
		"a group of five digits":                    "[::12345]",
		"a group that is no number":                 "[::g]",
		"an IPv4 address in the middle":             "[::1.2.3.4:5]",
		"an IPv4 address behind too many groups":    "[1:2:3:4:5:6:7:1.2.3.4]",
		"an IPv4 address of three bytes":            "[::1.2.3]",
		"an IPv4 address of five bytes":             "[::1.2.3.4.5]",
		"an IPv4 byte above 255":                    "[::1.2.3.256]",
		"an IPv4 byte of four digits":               "[::1.2.3.0004]",
		"an IPv4 byte with a zero in front":         "[::1.2.3.04]",
		"an empty IPv4 byte":                        "[::1..3.4]",
		"an IPv4 byte in hexadecimal":               "[::1.2.3.a]",
		"only dots":                                 "[...]",
	}
	for name, text := range good {
		if !isAuthority([]byte(text)) {
			t.Errorf("%s: isAuthority(%q) = false, want true", name, text)
		}
	}
	for name, text := range bad {
		if isAuthority([]byte(text)) {
			t.Errorf("%s: isAuthority(%q) = true, want false", name, text)
		}
	}
}

func TestRequestHeadSaysWhatItRead(t *testing.T) {
	var h RequestHead
	if err := check(&h, "POST http://b/x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close, z\r\nZ: 1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if string(h.Method) != "POST" || h.Minor != 1 || h.Framing != Length || h.Length != 5 || !h.Continues || !h.Hops.Close || len(h.Fields) != 5 {
		t.Errorf("head = %+v", h)
	}
	if !h.Hops.Drops(&h.Fields[4]) {
		t.Error("a listed field is not dropped")
	}
	// The next request on the same head shows nothing of the last one.
	if err := check(&h, "GET /z HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if string(h.Method) != "GET" || h.Minor != 0 || h.Framing != NoBody || h.Length != -1 || h.Continues || h.Hops.Close || len(h.Fields) != 0 ||
		len(h.Host) != 0 || string(h.URI) != "/z" {
		t.Errorf("head = %+v, want nothing of the request before", h)
	}
}
