package blame

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

func TestRewroteURI(t *testing.T) {
	tests := []struct{ name, was, is, want string }{
		{"nothing changed", "/1?a=1&b=2", "/1?a=1&b=2", ""},
		{"a parameter is put", "/1", "/1?a=1", "a put"},
		{"a parameter is put at the end", "/1?a=1", "/1?a=1&b=2", "b put"},
		{"and in the middle", "/1?a=1&c=3", "/1?a=1&b=2&c=3", "b put"},
		{"a parameter is removed", "/1?a=1&phone_number_id=2&b", "/1?a=1&b", "phone_number_id removed"},
		{"the last one takes the question mark along", "/1?a=1", "/1", "a removed"},
		{"a value is changed", "/1?a=1&b=2", "/1?a=1&b=3", "b changed"},
		{"a value is its bytes", "/1?a=%41", "/1?a=A", "a changed"},
		{"no value is not an empty value", "/1?a", "/1?a=", "a changed"},
		{"names are compared decoded", "/1?phone%5Fnumber_id=1&x", "/1?x", "phone_number_id removed"},
		{"other bytes of a name change the parameter", "/1?phone%5Fnumber_id=1", "/1?phone_number_id=1", "phone_number_id changed"},
		{"a plus in a name is a space", "/1?a+b=1", "/1?a%20b=2", "a b changed"},
		{"a broken encoding is itself", "/1?a%5=1&%zz=1", "/1", "%zz removed, a%5 removed"},
		{"the order of names does not matter", "/1?a=1&b=2&c=3", "/1?c=3&a=1&b=2", ""},
		{"the order under one name does", "/1?a=1&a=2", "/1?a=2&a=1", "a changed"},
		{"one of several is removed", "/1?a=1&a=2&a=3", "/1?a=1&a=3", "a removed"},
		{"a parameter twice is put once more", "/1?a=1", "/1?a=1&a=1", "a put"},
		{"empty parameters are none", "/1?&&a=1&", "/1?a=1", ""},
		{"one is renamed", "/1?a=1", "/1?b=1", "a removed, b put"},
		{"the path is changed", "/1?a=1", "/v2/1?a=1", "path changed"},
		{"the path's bytes are compared", "/%31", "/1", "path changed"},
		{"a question mark alone is no parameter", "/1?", "/1", ""},
		{"a question mark is part of a value", "/1?a=?", "/1?a=?&b=?", "b put"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l Ledger
			l.RewroteURI([]byte(tt.was), []byte(tt.is), Gateway)
			if got := list(&l); got != tt.want {
				t.Errorf("%s → %s: %q, want %q", tt.was, tt.is, got, tt.want)
			}
		})
	}
}

func TestNamesAreCopied(t *testing.T) {
	var l Ledger
	lent := []byte("/1?a=1")
	l.RewroteURI(lent, []byte("/1"), Step("drop"))
	copy(lent, "xxxxxx")
	if got := list(&l); got != "a removed" {
		t.Errorf("after the guest's bytes are gone: %q", got)
	}
}

func TestLedgerAllocatesNothing(t *testing.T) {
	l := new(Ledger)
	was, is := []byte("/2621?phone_number_id=102&fields=url"), []byte("/v23.0/2621?fields=url")
	name, by := []byte("X-Version"), Step("drop")
	about := abi.About{Part: abi.PartQuery, Name: "phone_number_id"}
	if n := testing.AllocsPerRun(100, func() {
		l.Reset()
		l.RewroteURI(was, is, by)
		l.Field(name, Gateway)
		l.Credential(Gateway)
		if Judge(abi.Verdict{Class: abi.InvalidRequest, Counts: true}, about, l).Counts {
			t.Error("counts")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLedger(b *testing.B) {
	l := new(Ledger)
	was, is := []byte("/2621?phone_number_id=102&fields=url"), []byte("/2621?fields=url")
	by := Step("drop")
	about := abi.About{Part: abi.PartQuery, Name: "phone_number_id"}
	b.ReportAllocs()
	for b.Loop() {
		l.Reset()
		l.RewroteURI(was, is, by)
		Judge(abi.Verdict{Class: abi.InvalidRequest, Counts: true}, about, l)
	}
}

// list tells what l holds, sorted.
func list(l *Ledger) string {
	var all []string
	if l.path.change != Unchanged {
		all = append(all, "path "+l.path.change.String())
	}
	for _, e := range l.entries[:l.n] {
		all = append(all, string(l.names[e.start:e.end])+" "+e.change.String())
	}
	slices.Sort(all)
	if l.overflow {
		all = append(all, "overflow")
	}
	return strings.Join(all, ", ")
}

var encoded = regexp.MustCompile(`%[0-9a-fA-F]{2}`)

// naive lists the raw parameters of each decoded name.
func naive(query string) map[string][]string {
	params := map[string][]string{}
	for raw := range strings.SplitSeq(query, "&") {
		if raw == "" {
			continue
		}
		name, _, _ := strings.Cut(raw, "=")
		name = encoded.ReplaceAllStringFunc(strings.ReplaceAll(name, "+", " "), func(s string) string {
			b, err := strconv.ParseUint(s[1:], 16, 8)
			if err != nil {
				panic(err)
			}
			return string([]byte{byte(b)})
		})
		params[name] = append(params[name], raw)
	}
	return params
}

func FuzzRewroteURI(f *testing.F) {
	f.Add("/1?a=1&phone%5Fnumber_id=2", "/1?a=1")
	f.Add("/1?a=1&a=2&a=3&b", "/2?b&a=3&a=1&c")
	f.Add("/1?%2B=1&+=2&%=3&&", "/1?%2b=1&%20=2&=3")
	f.Fuzz(func(t *testing.T, was, is string) {
		var l Ledger
		l.RewroteURI([]byte(was), []byte(is), Step("fuzz"))
		wasPath, wasQuery, _ := strings.Cut(was, "?")
		isPath, isQuery, _ := strings.Cut(is, "?")
		if (l.path.change != Unchanged) != (wasPath != isPath) {
			t.Errorf("%q → %q: path %v", was, is, l.path.change)
		}
		before, after := naive(wasQuery), naive(isQuery)
		judge := func(name string) Finding {
			return Judge(abi.Verdict{Class: abi.InvalidRequest, Counts: true}, abi.About{Part: abi.PartQuery, Name: name}, &l)
		}
		for _, params := range []map[string][]string{before, after} {
			for name := range params {
				got := judge(name)
				changed := !slices.Equal(before[name], after[name])
				switch {
				case got.Why == LedgerFull:
				case changed != (got.Why == StepChanged):
					t.Errorf("%q → %q: parameter %q: %v, want changed %v", was, is, name, got, changed)
				case changed && before[name] == nil && got.Change != Put, changed && after[name] == nil && got.Change != Removed:
					t.Errorf("%q → %q: parameter %q: %v", was, is, name, got)
				}
				if changed && got.Counts {
					t.Errorf("%q → %q: parameter %q counts", was, is, name)
				}
			}
		}
		if l.overflow && len(was)+len(is) < maxEntries {
			t.Errorf("%q → %q: overflow", was, is)
		}
	})
}
