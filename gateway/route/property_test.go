package route

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// naive matches by the package comment, word for word: it collects every entry that matches and sorts.
func naive(entries []Entry[string], host, method, path string) string {
	var matching []Entry[string]
	allow := map[string]bool{}
	for _, e := range entries {
		if !naiveHost(e.Host, host) || !naivePath(e.Path, path) {
			continue
		}
		if len(e.Methods) > 0 && !slices.Contains(e.Methods, method) {
			for _, m := range e.Methods {
				allow[m] = true
			}
			continue
		}
		matching = append(matching, e)
	}
	if len(matching) == 0 {
		if len(allow) == 0 {
			return "no route"
		}
		var list []string
		for m := range allow {
			list = append(list, m)
		}
		slices.Sort(list)
		return "not allowed: " + strings.Join(list, ", ")
	}
	slices.SortFunc(matching, func(a, b Entry[string]) int {
		return cmp.Or(
			cmp.Compare(hostRank(b.Host), hostRank(a.Host)),
			slices.Compare(pathRank(a.Path), pathRank(b.Path)),
			cmp.Compare(min(len(b.Methods), 1), min(len(a.Methods), 1)),
		)
	})
	return matching[0].Value
}

func naiveHost(pattern, host string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(host, suffix) && len(host) > len(suffix)
	}
	return pattern == "" || pattern == host
}

func hostRank(pattern string) int {
	if pattern == "" || pattern[0] == '*' {
		return len(pattern)
	}
	return 1000
}

func naivePath(template, path string) bool {
	ts, ps := strings.Split(template, "/"), strings.Split(path, "/")
	for i, s := range ts {
		switch {
		case i == len(ps):
			return false
		case strings.HasSuffix(s, "...}"):
			return true
		case strings.HasSuffix(s, ":digits}"):
			if ps[i] == "" || strings.Trim(ps[i], "0123456789") != "" {
				return false
			}
		case strings.HasPrefix(s, "{"):
			if ps[i] == "" {
				return false
			}
		case s != ps[i]:
			return false
		}
	}
	return len(ts) == len(ps)
}

func pathRank(template string) (ranks []int) {
	for _, s := range strings.Split(template, "/") {
		switch {
		case strings.HasSuffix(s, "...}"):
			ranks = append(ranks, 3)
		case strings.HasSuffix(s, ":digits}"):
			ranks = append(ranks, 1)
		case strings.HasPrefix(s, "{"):
			ranks = append(ranks, 2)
		default:
			ranks = append(ranks, 0)
		}
	}
	return ranks
}

func TestMatchIsAsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"a", "7", "", "%2F", "{x}", "{x:digits}"})
		host := rapid.SampledFrom([]string{"", "*.b", "*.a.b", "a.b", "b"})
		var entries []Entry[string]
		for i := range rapid.IntRange(0, 12).Draw(t, "entries") {
			words := rapid.SliceOfN(word, 1, 4).Draw(t, "template")
			for i, w := range words {
				words[i] = strings.Replace(w, "x", string(rune('a'+i)), 1)
			}
			path := "/" + strings.Join(words, "/")
			if rapid.Bool().Draw(t, "rest") {
				path += "/{rest...}"
			}
			methods := rapid.SampledFrom([][]string{nil, {"GET"}, {"PUT", "GET"}, {"POST"}}).Draw(t, "methods")
			e := Entry[string]{Name: path, Host: host.Draw(t, "host"), Methods: methods, Path: path, Value: string(rune('A' + i))}
			if _, err := New(append(entries, e)); err == nil { // without conflicts
				entries = append(entries, e)
			}
		}
		table, err := New(entries)
		if err != nil {
			t.Fatal(err)
		}
		turned, err := New(rapid.Permutation(entries).Draw(t, "permutation"))
		if err != nil {
			t.Fatalf("in another order: %v", err)
		}
		for range 8 {
			h := rapid.SampledFrom([]string{"b", "a.b", "x.b", "x.a.b", "y"}).Draw(t, "request host")
			m := rapid.SampledFrom([]string{"GET", "PUT", "POST", "MOVE"}).Draw(t, "request method")
			p := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "7", "", "%2F", "b7"}), 1, 5).Draw(t, "request path"), "/")
			want := naive(entries, h, m, p)
			for _, table := range []*Table[string]{table, turned} {
				var params Params
				got, o := table.Match([]byte(h), []byte(m), []byte(p), &params)
				switch o.State {
				case NoRoute:
					got = "no route"
				case MethodNotAllowed:
					got = "not allowed: " + string(table.AppendAllow(nil, o))
				}
				if got != want {
					t.Fatalf("match(%s %s %s) = %q, want %q", m, h, p, got, want)
				}
			}
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"/", "/a/{b}/{c:digits}/{d...}", "/cart/{id", "/{a}{b}", "//"} {
		f.Add(s, "/a/b/7/x/y")
	}
	f.Fuzz(func(t *testing.T, template, path string) {
		table, err := New([]Entry[string]{{Name: "fuzzed", Path: template, Value: "it"}})
		if err != nil {
			return
		}
		var params Params
		_, o := table.Match(nil, []byte("GET"), []byte(path), &params)
		clean, _, _ := strings.Cut(path, "?")
		if want := naivePath(template, clean) && strings.HasPrefix(path, "/"); (o.State == Found) != want {
			t.Errorf("template %q, path %q: found %v, want %v", template, path, o.State == Found, want)
		}
		for i := range params.Len() {
			params.Value(i)
		}
	})
}
