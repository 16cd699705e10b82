package sdk

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzQuery reads, drops and sets a parameter in any query. Where net/url can decode a name it is compared with what that says;
// all other pieces stay as they are.
func FuzzQuery(f *testing.F) {
	f.Add("a=1&phone%5Fnumber_id=2&&phone_number_id=3&b", "phone_number_id", "106540352242922")
	f.Add("a%20b=1&a+b=2&a%2bb=%zz&%=;#x", "a b", "&=%# é")
	f.Add("=1&&=", "", "")
	f.Add("x", "x", "\xff\x00")
	f.Fuzz(func(t *testing.T, query, name, value string) {
		for _, uri := range []string{"/p?" + query, query} {
			checkQuery(t, uri, name, value)
		}
	})
}

func checkQuery(t *testing.T, uri, name, value string) {
	query, has := queryIn(uri)
	values, others, broken := split(query, name)
	if !has {
		values, others = nil, nil
	}
	if broken {
		return // whether that is the name is not net/url's to say
	}

	var r Request
	r.uri = []byte(uri)
	raw, ok := r.Query(name)
	if ok != (len(values) > 0) || ok && string(raw) != values[0] {
		t.Errorf("%q: Query(%q) = %q, %v, want %q", uri, name, raw, ok, values)
	}

	dropped := r.DropQuery(name)
	left, still := queryIn(string(r.uri))
	if dropped != ok || !dropped && string(r.uri) != uri {
		t.Errorf("%q: DropQuery(%q) = %v, %q", uri, name, dropped, r.uri)
	}
	if v, o, _ := split(left, name); still && (len(v) > 0 || !slices.Equal(o, others)) || !still && strings.Join(others, "&") != "" {
		t.Errorf("%q: DropQuery(%q) leaves %q, want %q", uri, name, r.uri, others)
	}

	r = Request{}
	r.uri = []byte(uri)
	r.SetQuery(name, value)
	set, _ := queryIn(string(r.uri))
	v, o, _ := split(set, name)
	if len(v) != 1 {
		t.Fatalf("%q: SetQuery(%q, %q) makes %q, with %q", uri, name, value, r.uri, v)
	}
	if decoded, err := url.QueryUnescape(v[0]); err != nil || decoded != value || query != "" && !slices.Equal(o, others) {
		t.Errorf("%q: SetQuery(%q, %q) makes %q, with %q beside %q", uri, name, value, r.uri, v, o)
	}
}

// queryIn is what is between the question mark and the fragment.
func queryIn(uri string) (query string, has bool) {
	uri, _, _ = strings.Cut(uri, "#")
	_, query, has = strings.Cut(uri, "?")
	return query, has
}

// split returns the raw values of a name, and the other pieces. An empty piece has no name. Broken says that a name cannot be decoded.
func split(query, name string) (values, others []string, broken bool) {
	for piece := range strings.SplitSeq(query, "&") {
		rawName, rawValue, _ := strings.Cut(piece, "=")
		switch n, err := url.QueryUnescape(rawName); {
		case err != nil:
			broken = true
		case n == name && piece != "":
			values = append(values, rawValue)
		default:
			others = append(others, piece)
		}
	}
	return values, others, broken
}

func TestQuery(t *testing.T) {
	tests := []struct{ name, uri, parameter, want string }{ // "-" where there is none
		{"a URI without a query has no parameters", "/a", "b", "-"},
		{"nor has an empty one", "", "b", "-"},
		{"an empty query has none either", "/a?", "b", "-"},
		{"a question mark in a fragment begins no query", "/a#?b=1", "b", "-"},
		{"the value stays as it is in the URI", "/a?b=%20+%zz", "b", "%20+%zz"},
		{"the first one counts", "/a?b&b=1", "b", ""},
		{"a value may hold an equals sign", "/a?b=c=d", "b", "c=d"},
	}
	for _, test := range tests {
		var r Request
		r.uri = []byte(test.uri)
		got, ok := r.Query(test.parameter)
		if !ok {
			got = []byte("-")
		}
		if string(got) != test.want {
			t.Errorf("%s: %q: Query(%q) = %q, want %q", test.name, test.uri, test.parameter, got, test.want)
		}
	}
}
