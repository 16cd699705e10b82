package route

import (
	"errors"
	"strings"
	"testing"
)

// shop is the table that most tests ask.
var shop = []Entry[string]{
	{Name: "rest", Path: "/{path...}"},
	{Name: "param", Path: "/{media_id}"},
	{Name: "digits", Path: "/{media_id:digits}", Methods: []string{"GET", "DELETE"}},
	{Name: "literal", Path: "/media", Methods: []string{"POST"}},
	{Name: "root", Path: "/"},
	{Name: "cart item", Path: "/cart/{id}/{item}", Methods: []string{"GET"}},
	{Name: "cart late literal", Path: "/{any}/7/total", Methods: []string{"GET"}},
	{Name: "cart rest", Path: "/cart/{id}/{rest...}", Methods: []string{"PUT"}},
	{Name: "slash", Path: "/cart/", Methods: []string{"GET"}},
	{Name: "encoded", Path: "/a%2Fb", Methods: []string{"GET"}},
	{Name: "host", Host: "api.example", Path: "/{rest...}", Methods: []string{"PATCH"}},
	{Name: "suffix", Host: "*.example", Path: "/{rest...}", Methods: []string{"PATCH", "LOCK"}},
	{Name: "long suffix", Host: "*.eu.example", Path: "/{rest...}", Methods: []string{"PATCH"}},
	{Name: "address", Host: "[::1]", Path: "/{rest...}", Methods: []string{"PATCH"}},
}

func TestMatch(t *testing.T) {
	table := must(New(shop[1:])) // without the route that takes everything
	tests := []struct{ name, request, want string }{
		{"a literal beats a parameter", "POST x /media", "literal"},
		{"the method is part of the match", "GET x /media", "param media_id=media"},
		{"digits beat any segment", "GET x /2621233374848975", "digits media_id=2621233374848975"},
		{"a segment with another byte is not digits", "GET x /262x", "param media_id=262x"},
		{"digits outside ASCII are not digits", "GET x /%D9%A3", "param media_id=%D9%A3"},
		{"a refused method falls through to a wider template", "PUT x /262", "param media_id=262"},
		{"the query is no part of the path", "GET x /262?phone_number_id=1/2", "digits media_id=262"},
		{"a parameter is not empty", "GET x //7/total", "no route"},
		{"the root is one empty segment", "GET x /", "root"},
		{"the left segment weighs more than the right", "GET x /cart/7/total", "cart item id=7 item=total"},
		{"what is tried and not taken leaves no parameter", "GET x /shop/7/total", "cart late literal any=shop"},
		{"rest takes what is left with its slashes", "PUT x /cart/7/a//b/", "cart rest id=7 rest=a//b/"},
		{"rest may be empty", "PUT x /cart/7/", "cart rest id=7 rest="},
		{"rest needs its slash", "PUT x /cart/7", "no route"},
		{"an encoded slash is not a slash", "GET x /a%2Fb", "encoded"},
		{"percent-encoding is compared as it was sent", "GET x /a%2fb", "param media_id=a%2fb"},
		{"an encoded letter is not the letter", "POST x /medi%61", "param media_id=medi%61"},
		{"empty segments are kept", "GET x /media//", "no route"},
		{"dots are segments", "GET x /..", "param media_id=.."},
		{"a trailing slash matters", "GET x /cart/", "slash"},
		{"what matches by path alone is a wrong method", "PUT x /a/7/total", "not allowed: GET"},
		{"allowed are the methods of all that match", "POST x /cart/7/total", "not allowed: GET, PUT"},
		{"HEAD is not implied by GET", "HEAD x /cart/", "not allowed: GET"},
		{"methods are compared with case", "get x /cart/", "not allowed: GET"},
		{"an asterisk has no route", "OPTIONS x *", "no route"},
		{"an authority has no route", "CONNECT x x:443", "no route"},
		{"an empty path has no route", "GET x ?", "no route"},

		{"an exact host beats a suffix", "PATCH api.example /a", "host rest=a"},
		{"hosts are compared without case", "PATCH API.Example /a", "host rest=a"},
		{"the port is no part of a host", "PATCH api.example:8080 /a", "host rest=a"},
		{"nor is the dot of a fully qualified name", "PATCH api.example. /a", "host rest=a"},
		{"a suffix is any name before it", "PATCH a.b.example /a", "suffix rest=a"},
		{"a suffix wants a name before it", "PATCH .example /b/b/b", "no route"},
		{"a suffix is not the bare name", "PATCH example /b/b/b", "no route"},
		{"a suffix ends at a dot", "PATCH bexample /b/b/b", "no route"},
		{"a longer suffix beats a shorter one", "PATCH x.eu.example /a", "long suffix rest=a"},
		{"a host falls through to a wider one", "LOCK x.eu.example /a", "suffix rest=a"},
		{"a host weighs more than a path", "PATCH api.example /media", "host rest=media"},
		{"any host is the last resort", "POST api.example /media", "literal"},
		{"allowed are the methods of wider hosts, too", "PUT api.example /cart/", "not allowed: GET, LOCK, PATCH"},
		{"an address is a host", "PATCH [::1]:8080 /a", "address rest=a"},
		{"an address needs no port", "PATCH [::1] /a", "address rest=a"},
		{"an endless host is only any host", "POST " + strings.Repeat("a", 300) + ".example /media", "literal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(table, tt.request); got != tt.want {
				t.Errorf("match(%q) = %q, want %q", tt.request, got, tt.want)
			}
		})
	}
}

func TestRestOfTheRootTakesEverything(t *testing.T) {
	table := must(New(shop))
	for _, request := range []string{"PUT x //", "GET x /media//", "MKCOL x /"} {
		if got := ask(table, request); !strings.HasPrefix(got, "rest ") && got != "root" {
			t.Errorf("match(%q) = %q, want the route that takes everything", request, got)
		}
	}
}

func TestNoRouteLeavesNoParams(t *testing.T) {
	table := must(New(shop[1:]))
	params := Params{names: []string{"left over"}}
	if _, o := table.Match([]byte("x"), []byte("GET"), []byte("/1/2/3"), &params); o.State != NoRoute || params.Len() != 0 || params.Get("left over") != nil {
		t.Errorf("outcome %v, params %v, want none", o, params)
	}
}

func TestZeroTable(t *testing.T) {
	var table Table[string]
	if got := ask(&table, "GET x /"); got != "no route" {
		t.Errorf("match in an empty table = %q", got)
	}
}

func TestParseTemplate(t *testing.T) {
	long := strings.Repeat("/{p}", MaxParams+1)
	for i := range MaxParams + 1 {
		long = strings.Replace(long, "{p}", "{p"+string(rune('a'+i))+"}", 1)
	}
	tests := []struct{ name, path, want string }{
		{"a brace is closed", "/cart/{id", `path "/cart/{id": unclosed brace at byte 6`},
		{"a brace is opened", "/cart/id}", `path "/cart/id}": brace without an opening one at byte 8`},
		{"a path starts with a slash", "cart", `path "cart": expected "/" at byte 0`},
		{"an empty path is none", "", `path "": expected "/" at byte 0`},
		{"nothing stands before a parameter", "/v{n}", `path "/v{n}": a parameter must be a whole segment: found "v" before the brace at byte 2`},
		{"nothing stands after a parameter", "/{n}.json", `path "/{n}.json": a parameter must be a whole segment: found ".json" after the brace at byte 4`},
		{"a parameter has a name", "/a/{}", `path "/a/{}": parameter without a name at byte 4`},
		{"rest has a name", "/{...}", `path "/{...}": parameter without a name at byte 2`},
		{"a name is a word", "/{media-id}", `path "/{media-id}": parameter "media-id": expected letters, digits and _, no digit first at byte 2`},
		{"a name does not start with a digit", "/{7}", `path "/{7}": parameter "7": expected letters, digits and _, no digit first at byte 2`},
		{"names differ", "/{a}/{a}", `path "/{a}/{a}": second parameter "a" at byte 6`},
		{"rest is the end", "/{a...}/b", `path "/{a...}/b": {a...} must be the end, found "/b" at byte 7`},
		{"rest is the end, also before a slash", "/{a...}/", `path "/{a...}/": {a...} must be the end, found "/" at byte 7`},
		{"the only constraint is digits", "/{a:int}", `path "/{a:int}": constraint "int": expected "digits" at byte 2`},
		{"a query is no part of a path", "/a?b", `path "/a?b": "?" cannot stand in a path; percent-encode it at byte 2`},
		{"a space is encoded", "/a b", `path "/a b": " " cannot stand in a path; percent-encode it at byte 2`},
		{"parameters are few", long, `path "` + long + `": more than 8 parameters at byte 41`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseTemplate(tt.path); err == nil || err.Error() != tt.want {
				t.Errorf("error %v\nwant  %s", err, tt.want)
			}
		})
	}
	got, err := ParseTemplate("/{version}/{media_id:digits}/{rest...}")
	if err != nil || strings.Join(got.Names(), " ") != "version media_id rest" || got.String() != "/{version}/{media_id:digits}/{rest...}" {
		t.Errorf("template %q with %q, %v", got, got.Names(), err)
	}
}

func TestNewErrors(t *testing.T) {
	tests := []struct {
		name    string
		entries []Entry[string]
		want    string
	}{
		{
			"two routes for any method conflict",
			[]Entry[string]{{Name: "a", Path: "/x/{id}"}, {Name: "b", Path: "/x/{name}"}},
			`route "b": path "/x/{name}": any method already goes to route "a" (host "", path "/x/{id}")`,
		},
		{
			"two routes for one method conflict",
			[]Entry[string]{{Name: "a", Path: "/x", Methods: []string{"GET", "PUT"}}, {Name: "b", Path: "/x", Methods: []string{"PUT"}}},
			`route "b": path "/x": PUT already goes to route "a" (host "", path "/x")`,
		},
		{
			"hosts that differ by case conflict",
			[]Entry[string]{{Name: "a", Host: "X.example", Path: "/x"}, {Name: "b", Host: "x.example.", Path: "/x"}},
			`route "b": path "/x": any method already goes to route "a" (host "X.example", path "/x")`,
		},
		{
			"all mistakes are said at once",
			[]Entry[string]{{Name: "a", Path: "/{"}, {Name: "b", Path: "/", Host: "a:80", Methods: []string{"G T"}}},
			`route "a": path "/{": unclosed brace at byte 1` + "\n" +
				`route "b": host "a:80": expected a name without port, "*.suffix" or "*"; found ":"` + "\n" +
				`route "b": method "G T": expected a token such as "GET"`,
		},
		{"a method is listed once", []Entry[string]{{Name: "a", Path: "/", Methods: []string{"GET", "GET"}}}, `route "a": method "GET": listed twice`},
		{"a suffix is at the front only", []Entry[string]{{Name: "a", Path: "/", Host: "a.*"}}, `route "a": host "a.*": expected a name without port, "*.suffix" or "*"; found "*"`},
		{"a suffix has a name", []Entry[string]{{Name: "a", Path: "/", Host: "*."}}, `route "a": host "*.": expected a name without port, "*.suffix" or "*"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.entries)
			if err == nil || err.Error() != tt.want {
				t.Fatalf("error %v\nwant  %s", err, tt.want)
			}
			if at := (*Error)(nil); !errors.As(err, &at) || tt.entries[at.Index].Name != at.Name {
				t.Errorf("error %v names no entry", err)
			}
		})
	}
	ok := []Entry[string]{{Name: "a", Path: "/x/{id}", Methods: []string{"GET"}}, {Name: "b", Path: "/x/{id:digits}"}, {Name: "c", Path: "/x/{name}"}}
	if _, err := New(ok); err != nil {
		t.Errorf("routes that differ by a constraint or by naming the method: %v", err)
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	table := must(New(shop[1:]))
	var params Params
	for _, request := range []string{"GET api.example:80 /cart/7/total?x=1", "PUT X.EU.Example /262", "POST a.b.example /cart/7/total"} {
		host, method, path := split(request)
		if n := testing.AllocsPerRun(100, func() { table.Match(host, method, path, &params) }); n != 0 {
			t.Errorf("match(%q) allocates %v times", request, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	table := must(New(shop[1:]))
	for _, bb := range []struct{ name, request string }{
		{"media", "GET 127.0.0.1:8080 /2621233374848975?phone_number_id=102290129340398"},
		{"literal", "POST 127.0.0.1:8080 /media"},
		{"suffix and backtracking", "GET a.b.example /shop/7/total"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			host, method, path := split(bb.request)
			var params Params
			b.ReportAllocs()
			for b.Loop() {
				table.Match(host, method, path, &params)
			}
		})
	}
}

// ask matches "METHOD host path" and tells the outcome in words.
func ask(table *Table[string], request string) string {
	host, method, path := split(request)
	var params Params
	value, o := table.Match(host, method, path, &params)
	switch o.State {
	case NoRoute:
		return "no route"
	case MethodNotAllowed:
		return "not allowed: " + string(table.AppendAllow(nil, o))
	}
	for i := range params.Len() {
		value += " " + params.Name(i) + "=" + string(params.Value(i))
	}
	return value
}

func split(request string) (host, method, path []byte) {
	words := strings.SplitN(request, " ", 3)
	return []byte(words[1]), []byte(words[0]), []byte(words[2])
}

func must(table *Table[string], err error) *Table[string] {
	if err != nil {
		panic(err)
	}
	return table
}

func init() {
	for i := range shop {
		shop[i].Value = shop[i].Name
	}
}
