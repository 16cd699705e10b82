package config

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// values are what the tests' templates are filled from.
type values struct {
	attributes map[string]string
	params     map[string]string
	secrets    map[string]string
}

func (v *values) Attribute(name string) (string, bool) {
	s, ok := v.attributes[name]
	return s, ok
}

func (v *values) PathParam(name string) ([]byte, bool) {
	s, ok := v.params[name]
	return []byte(s), ok
}

func (v *values) Secret(name string) (string, bool) {
	s, ok := v.secrets[name]
	return s, ok
}

func mustTemplate(t testing.TB, text string, in place) Template {
	t.Helper()
	tmpl, err := parseTemplate(text, in)
	if err != nil {
		t.Fatalf("parseTemplate(%q): %v", text, err)
	}
	return tmpl
}

func TestAValueStaysInItsPlace(t *testing.T) {
	tests := []struct{ name, template, value, path, query, field string }{ // "!" begins what the error says
		{"letters stay", "{client.v}", "aZ09-._~", "aZ09-._~", "aZ09-._~", "aZ09-._~"},
		{"a slash makes no second segment", "{client.v}", "a/b", "a%2Fb", "a%2Fb", "a/b"},
		{"a question mark begins no query", "{client.v}", "a?b", "a%3Fb", "a%3Fb", "a?b"},
		{"an ampersand begins no parameter", "{client.v}", "a&b=c", "a%26b%3Dc", "a%26b%3Dc", "a&b=c"},
		{"a percent sign is text", "{client.v}", "%2e", "%252e", "%252e", "%2e"},
		{"a plus sign is no space", "{client.v}", "+ ", "%2B%20", "%2B%20", "+ "},
		{"a fragment does not begin", "{client.v}", "#", "%23", "%23", "#"},
		{"beyond ASCII", "{client.v}", "é", "%C3%A9", "%C3%A9", "é"},
		{"a line break ends no field", "{client.v}", "a\r\nb: c", "a%0D%0Ab%3A%20c", "a%0D%0Ab%3A%20c", "!control character"},
		{"a NUL", "{client.v}", "\x00", "%00", "%00", "!control character"},
		{"nothing", "{client.v}", "", "!empty", "", ""},
		{"a dot", "{client.v}", ".", `!"." or ".."`, ".", "."},
		{"two dots", "{client.v}", "..", `!"." or ".."`, "..", ".."},
		{"dots with text around them", "a{client.v}b", "..", "a..b", "a..b", "a..b"},
		{"dots that two values make", "{client.v}{client.v}", ".", `!"." or ".."`, "..", ".."},
		{"three dots are a name", "{client.v}", "...", "...", "...", "..."},
		{"an attribute that is missing", "{client.w}", "", "!no such attribute", "!no such attribute", "!no such attribute"},

		{"a path parameter keeps its bytes", "{path.v}", "a:b@!$'()*,;=%20%C3%A9", "a:b@!$'()*,;=%20%C3%A9", "a%3Ab%40%21%24%27%28%29%2A%2C%3B%3D%20%C3%A9", "a:b@!$'()*,;=%20%C3%A9"},
		{"what means something in a query is encoded", "{path.v}", "a&b+c", "a&b+c", "a%26b%2Bc", "a&b+c"},
		{"an encoded ampersand stays encoded", "{path.v}", "a%26b", "a%26b", "a%26b", "a%26b"},
		{"an encoded slash", "{path.v}", "..%2fadmin", "!encoded slash", "..%2fadmin", "..%2fadmin"},
		{"an encoded backslash", "{path.v}", "a%5Cb", "!encoded slash", "a%5Cb", "a%5Cb"},
		{"an encoded NUL", "{path.v}", "a%00", "!encoded slash", "a%00", "a%00"},
		{"a backslash", "{path.v}", `..\admin`, "!backslash", "!backslash", "!backslash"},
		{"a slash", "{path.v}", "a/b", "!slash", "a%2Fb", "a/b"},
		{"half an escape", "{path.v}", "a%2", "!hexadecimal", "!hexadecimal", "!hexadecimal"},
		{"no escape", "{path.v}", "%zz", "!hexadecimal", "!hexadecimal", "!hexadecimal"},
		{"dots of a client", "{path.v}", "..", `!"." or ".."`, "..", ".."},
		{"encoded dots of a client", "{path.v}", "%2e.", `!"." or ".."`, "%2e.", "%2e."},
		{"dots before parameters of a segment", "{path.v}", "..;x=1", `!"." or ".."`, "..%3Bx%3D1", "..;x=1"},
		{"a line break of a client", "{path.v}", "a\r\n", "!control character", "!control character", "!control character"},
		{"bytes beyond ASCII of a client", "{path.v}", "\xff", "%FF", "%FF", "\xff"},
		{"what a path cannot have", "{path.v}", `"<>^|`, "%22%3C%3E%5E%7C", "%22%3C%3E%5E%7C", `"<>^|`},
		{"a rest keeps its slashes", "{path.rest}", "a//b/c", "a//b/c", "a%2F%2Fb%2Fc", "a//b/c"},
		{"a rest may be nothing", "{path.rest}", "", "", "", ""},
		{"dots in a rest", "{path.rest}", "a/../b", `!"." or ".."`, "a%2F..%2Fb", "a/../b"},

		{"braces", "{{{client.v}}}", "x", "%7Bx%7D", "%7Bx%7D", "{x}"},
		{"text is taken as it is", "a-{client.v}-b", "x", "a-x-b", "a-x-b", "a-x-b"},
	}
	for _, tt := range tests {
		v := &values{
			attributes: map[string]string{"v": tt.value},
			params:     map[string]string{"v": tt.value, "rest": tt.value},
		}
		for _, in := range []struct {
			name   string
			place  place
			prefix string
			want   string
		}{{"path", inPath, "/", tt.path}, {"query", inQuery, "", tt.query}, {"field", inField, "", tt.field}} {
			tmpl := mustTemplate(t, in.prefix+tt.template, in.place)
			for i := range tmpl.Parts {
				tmpl.Parts[i].rest = tmpl.Parts[i].Name == "rest"
			}
			got, err := tmpl.Append([]byte("before"), v)
			if why, refused := strings.CutPrefix(in.want, "!"); refused {
				if err == nil || !strings.Contains(err.Error(), why) || string(got) != "before" {
					t.Errorf("%s: in a %s: %q, %v; want nothing and an error with %q", tt.name, in.name, got, err, why)
				}
				if e, ok := errors.AsType[*ValueError](err); !ok || e.FromRequest() != strings.Contains(tt.template, "path.") {
					t.Errorf("%s: in a %s: FromRequest of %v is wrong", tt.name, in.name, err)
				}
				continue
			}
			if want := "before" + in.prefix + in.want; err != nil || string(got) != want {
				t.Errorf("%s: in a %s: %q, %v; want %q", tt.name, in.name, got, err, want)
			}
		}
	}
}

func TestAppendURI(t *testing.T) {
	inject := func(path string, query ...string) *Inject {
		in := &Inject{}
		if path != "" {
			p := mustTemplate(t, path, inPath)
			in.Path = &p
		}
		for i := 0; i < len(query); i += 2 {
			in.Query = append(in.Query, Injection{Name: query[i], encoded: encodeName(query[i]), Value: mustTemplate(t, query[i+1], inQuery)})
		}
		return in
	}
	id := inject("", "phone_number_id", "{client.phone_number_id}")
	tests := []struct {
		name   string
		inject *Inject
		uri    string
		want   string
	}{
		{"nothing to inject", nil, "/a?b=c&&d?e", "/a?b=c&&d?e"},
		{"only fields to inject", &Inject{}, "/a?", "/a?"},
		{"a path is replaced, the query stays", inject("/v23.0/{path.media_id}"), "/77?a=%41&b", "/v23.0/77?a=%41&b"},
		{"a path is replaced, the empty query stays", inject("/v23.0/{path.media_id}"), "/77?", "/v23.0/77?"},
		{"a parameter is added to no query", id, "/77", "/77?phone_number_id=1065"},
		{"a parameter is added to an empty query", id, "/77?", "/77?phone_number_id=1065"},
		{"a parameter is added at the end", id, "/77?b=%7e+x&a", "/77?b=%7e+x&a&phone_number_id=1065"},
		{"the client's is replaced in its place", id, "/77?a=1&phone_number_id=666&b=2", "/77?a=1&phone_number_id=1065&b=2"},
		{"one without a value is replaced", id, "/77?phone_number_id", "/77?phone_number_id=1065"},
		{"further ones are dropped", id, "/77?phone_number_id=1&a&phone_number_id=2&phone_number_id", "/77?phone_number_id=1065&a"},
		{"a name in another encoding is the same", id, "/77?phone%5Fnumber_%69d=666&a", "/77?phone_number_id=1065&a"},
		{"another case is another name", id, "/77?Phone_number_id=1", "/77?Phone_number_id=1&phone_number_id=1065"},
		{"a longer name is another", id, "/77?phone_number_idx=1&xphone_number_id=2", "/77?phone_number_idx=1&xphone_number_id=2&phone_number_id=1065"},
		{"the value that is the same stays", id, "/77?phone_number_id=1065", "/77?phone_number_id=1065"},
		{"empty pieces stay", id, "/77?&&a=1&", "/77?&&a=1&&phone_number_id=1065"},
		{"a question mark in the query stays", id, "/77?a=?b", "/77?a=?b&phone_number_id=1065"},
		{"a semicolon separates nothing", id, "/77?a=1;phone_number_id=2", "/77?a=1;phone_number_id=2&phone_number_id=1065"},
		{"two are added in the order of the file", inject("", "b", "1", "a", "2"), "/x?c", "/x?c&b=1&a=2"},
		{"one is replaced, one added", inject("", "b", "1", "a", "2"), "/x?a=0&c", "/x?a=2&c&b=1"},
		{"a name with a space", inject("", "a b", "c d"), "/?a+b=1&a%20b=2", "/?a%20b=c%20d"},
	}
	v := &values{attributes: map[string]string{"phone_number_id": "1065"}, params: map[string]string{"media_id": "77"}}
	for _, tt := range tests {
		got, err := tt.inject.AppendURI([]byte("GET "), []byte(tt.uri), v)
		if want := "GET " + tt.want; err != nil || string(got) != want {
			t.Errorf("%s: AppendURI(%q) = %q, %v; want %q", tt.name, tt.uri, got, err, want)
		}
	}
	for _, in := range []*Inject{inject("/{client.nope}"), inject("", "a", "{client.nope}"), inject("", "b", "{client.nope}")} {
		if got, err := in.AppendURI([]byte("GET "), []byte("/x?b=1"), v); err == nil || string(got) != "GET " {
			t.Errorf("with a value missing: %q, %v; want only what was there, and an error", got, err)
		}
	}
}

func TestNoValueBreaksOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "attribute")
		param := string(rapid.SliceOf(rapid.ByteRange(1, 255)).Draw(t, "parameter"))
		v := &values{attributes: map[string]string{"a": value}, params: map[string]string{"p": param}}
		path, err := parseTemplate("/v1/{client.a}/{path.p}/end", inPath)
		if err != nil {
			t.Fatal(err)
		}
		query, err := parseTemplate("{client.a}", inQuery)
		if err != nil {
			t.Fatal(err)
		}
		in := &Inject{Path: &path, Query: Injections{{Name: "q", encoded: "q", Value: query}}}
		got, err := in.AppendURI(nil, []byte("/x?keep=%2f&q=1"), v)
		if err != nil {
			return
		}
		u, err := url.ParseRequestURI(string(got))
		if err != nil {
			t.Fatalf("%q is no target: %v", got, err)
		}
		segments := strings.Split(u.EscapedPath(), "/")
		if len(segments) != 5 || segments[1] != "v1" || segments[4] != "end" {
			t.Fatalf("%q has other segments than its template", got)
		}
		if s, err := url.PathUnescape(segments[2]); err != nil || s != value {
			t.Fatalf("%q: the attribute arrives as %q, %v; want %q", got, s, err, value)
		}
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(q) != 2 || len(q["q"]) != 1 || q.Get("q") != value || q.Get("keep") != "/" {
			t.Fatalf("%q: the query arrives as %v, %v", got, q, err)
		}
	})
}

func TestExpandingAllocatesNothing(t *testing.T) {
	path, field := mustTemplate(t, "/v23.0/{client.id}/{path.m}", inPath), mustTemplate(t, "Bearer {secret.token}", inField)
	in := &Inject{Path: &path, Query: Injections{{Name: "id", encoded: "id", Value: mustTemplate(t, "{client.id}", inQuery)}}}
	v := &constant{param: []byte("77")}
	dst, uri := make([]byte, 0, 256), []byte("/77?a=b&id=4")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := in.AppendURI(dst, uri, v); err != nil {
			t.Fatal(err)
		}
		if _, err := field.Append(dst, v); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

type constant struct{ param []byte }

func (*constant) Attribute(string) (string, bool)   { return "1065", true }
func (c *constant) PathParam(string) ([]byte, bool) { return c.param, true }
func (*constant) Secret(string) (string, bool)      { return "token", true }

func BenchmarkAppendURI(b *testing.B) {
	path := mustTemplate(b, "/v23.0/{path.m}", inPath)
	in := &Inject{Path: &path, Query: Injections{{Name: "id", encoded: "id", Value: mustTemplate(b, "{client.id}", inQuery)}}}
	v := &constant{param: []byte("2621233374848975")}
	dst, uri := make([]byte, 0, 256), []byte("/2621233374848975?a=b&id=4")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := in.AppendURI(dst, uri, v); err != nil {
			b.Fatal(err)
		}
	}
}
