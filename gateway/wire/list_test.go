package wire

import (
	"slices"
	"testing"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		name, value string
		want        []string
	}{
		{"nothing", "", nil},
		{"one element", "for=192.0.2.1", []string{"for=192.0.2.1"}},
		{"several, with white space or not", "a,b ,\tc", []string{"a", "b", "c"}},
		{"empty elements are none (9110 5.6.1)", " ,a,, b,", []string{"a", "b"}},
		{"a comma in quotes is none", `for="a,b",c`, []string{`for="a,b"`, "c"}},
		{"quotes that are quoted do not end a string (9110 5.6.4)", `"a\",b\\",c`, []string{`"a\",b\\"`, "c"}},
		{"a backslash outside quotes is nothing", `a\,b`, []string{`a\`, "b"}},
		{"quotes that do not end last to the end", `a,"b,c`, []string{"a", `"b,c`}},
		{"a backslash at the end", `"a\`, []string{`"a\`}},
	}
	for _, test := range tests {
		var got []string
		for e := range Split([]byte(test.value), ',') {
			got = append(got, string(e))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: Split(%q) = %q, want %q", test.name, test.value, got, test.want)
		}
	}
	for e := range Split([]byte("a;b;c"), ';') {
		if string(e) == "b" {
			break
		}
	}
}

func TestUnquote(t *testing.T) {
	tests := []struct {
		name, value, want string
		ok                bool
	}{
		{"a token stands for itself", "192.0.2.1", "192.0.2.1", true},
		{"quotes are taken off", `"[2001:db8::1]:4711"`, "[2001:db8::1]:4711", true},
		{"an empty string", `""`, "", true},
		{"a token is not empty", "", "", false},
		{"an address of IPv6 needs quotes (7239 4)", "[2001:db8::1]", "", false},
		{"quotes end", `"a`, "", false},
		{"a quote alone", `"`, "", false},
		{"quotes end only once", `"a"b"`, "", false},
		{"quoted pairs are not taken", `"a\b"`, "", false},
		{"an end that is quoted is none", `"a\"`, "", false},
	}
	for _, test := range tests {
		if got, ok := Unquote([]byte(test.value)); ok != test.ok || ok && string(got) != test.want {
			t.Errorf("%s: Unquote(%s) = %q, %v, want %q, %v", test.name, test.value, got, ok, test.want, test.ok)
		}
	}
}
