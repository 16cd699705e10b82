package config

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzInjectedQuery sets a parameter in any query. Net/url stands for whoever reads it then: it sees that one value, and all else as
// it was. What it cannot decode it does not see, and that stays as it was byte for byte.
func FuzzInjectedQuery(f *testing.F) {
	f.Add("a=1&phone%5Fnumber_id=2&&phone_number_id=3&b", "phone_number_id", "106540352242922")
	f.Add("a%20b=1&a+b=2&a%2bb=%zz&%=;", "a b", "&=%# é")
	f.Add("=1&&=", "x", "")
	f.Add("x", "x", "\xff\x00")
	f.Fuzz(func(t *testing.T, query, name, value string) {
		if name == "" || strings.Contains(name, "%") && strings.Contains(query, "%") {
			return // no name of a parameter; or a broken escape, which net/url does not read, may be it
		}
		in := &Inject{Query: Injections{{Name: name, encoded: encodeName(name), Value: mustTemplate(t, "{client.v}", inQuery)}}}
		got, err := in.AppendURI([]byte("GET "), []byte("/p?"+query), &values{attributes: map[string]string{"v": value}})
		uri, ok := strings.CutPrefix(string(got), "GET /p?")
		if err != nil || !ok {
			t.Fatalf("%q with %q = %q: %q, %v", query, name, value, got, err)
		}
		before, after := named(query, name), named(uri, name)
		if !slices.Equal(before.others, after.others) {
			t.Errorf("%q with %q = %q became %q: others were %q, are %q", query, name, value, uri, before.others, after.others)
		}
		if !slices.Equal(after.values, []string{value}) {
			t.Errorf("%q with %q = %q became %q, whose values are %q", query, name, value, uri, after.values)
		}
		if len(before.values) > 0 && before.first != after.first {
			t.Errorf("%q with %q = %q became %q: the parameter is no. %d, was no. %d", query, name, value, uri, after.first, before.first)
		}
	})
}

// A reading of a query for one name.
type reading struct {
	values []string // of that name, decoded
	first  int      // which piece is the first of that name
	others []string // all other pieces as they are
}

func named(query, name string) (r reading) {
	if query == "" {
		return r
	}
	for i, piece := range strings.Split(query, "&") {
		rawName, rawValue, _ := strings.Cut(piece, "=")
		n, err := url.QueryUnescape(rawName)
		if err != nil || n != name {
			r.others = append(r.others, piece)
			continue
		}
		if len(r.values) == 0 {
			r.first = i
		}
		v, err := url.QueryUnescape(rawValue)
		if err != nil {
			v = rawValue
		}
		r.values = append(r.values, v)
	}
	return r
}
