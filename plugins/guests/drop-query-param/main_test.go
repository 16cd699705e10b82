package main

import (
	"slices"
	"testing"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
	"github.com/breakwater-gateway/breakwater/sdk/sdktest"
)

// row is a row of a table.
var row = sdktest.Row

func TestDrop(t *testing.T) {
	uri := func(s string) sdktest.Exchange { return sdktest.Exchange{URI: s} }
	p := sdktest.New(t, plugin, `{"parameters": ["phone_number_id", "b c"]}`)
	p.TestRequests(t, []sdktest.Case{
		row("no query, no change", uri("/v23.0/42"), ""),
		row("another parameter, no change", uri("/42?a=1&b=2"), ""),
		row("the only parameter takes the question mark along", uri("/42?phone_number_id=7"), "set URI /42"),
		row("a parameter without a value", uri("/42?phone_number_id"), "set URI /42"),
		row("a parameter with an empty value", uri("/42?phone_number_id="), "set URI /42"),
		row("the first goes", uri("/42?phone_number_id=7&a=1"), "set URI /42?a=1"),
		row("the last goes", uri("/42?a&phone_number_id=1"), "set URI /42?a"),
		row("one in the middle goes", uri("/42?a=1&phone_number_id=7&b=2"), "set URI /42?a=1&b=2"),
		row("every repeat goes", uri("/42?phone_number_id=1&a=1&phone_number_id=2&phone_number_id=3"), "set URI /42?a=1"),
		row("only repeats leave nothing", uri("/42?phone_number_id=1&phone_number_id=2"), "set URI /42"),
		row("the rest keeps its bytes and its order", uri("/a%2Fb?z=%C3%A4+%20&y=%zz&x=a=b&phone_number_id=7&w"), "set URI /a%2Fb?z=%C3%A4+%20&y=%zz&x=a=b&w"),
		row("an encoded name is the name", uri("/42?phone%5Fnumber_id=7&a"), "set URI /42?a"),
		row("wholly encoded, in either case", uri("/42?a&%70hone%5fnumber%5F%69d=7"), "set URI /42?a"),
		row("a plus is a space", uri("/42?b+c=1&b%20c=2&b%2Bc=3"), "set URI /42?b%2Bc=3"),
		row("names have a case", uri("/42?Phone_Number_Id=7"), ""),
		row("a longer name is another name", uri("/42?phone_number_id2=7&xphone_number_id=1&phone_number_id[]=1"), ""),
		row("a broken escape is itself", uri("/42?phone%5number_id=7&phone%5"), ""),
		row("an encoded equals sign belongs to the name", uri("/42?phone_number_id%3D=7"), ""),
		row("a semicolon separates nothing", uri("/42?a=1;phone_number_id=7"), ""),
		row("a semicolon after the name makes another name", uri("/42?phone_number_id;a=7"), ""),
		row("a semicolon in the value goes with it", uri("/42?phone_number_id=7;a=1&b"), "set URI /42?b"),
		row("an encoded ampersand separates nothing", uri("/42?a=1%26phone_number_id=7"), ""),
		row("a lone question mark stays", uri("/42?"), ""),
		row("empty pairs stay when nothing goes", uri("/42?&&"), ""),
		row("empty pairs stay beside what goes", uri("/42?&a&&phone_number_id=7&"), "set URI /42?&a&&"),
		row("two empty pairs are left", uri("/42?&phone_number_id=7&"), "set URI /42?&"),
		row("one empty pair is nothing", uri("/42?phone_number_id=7&"), "set URI /42"),
		row("one empty pair before is nothing", uri("/42?&phone_number_id=7"), "set URI /42"),
		row("the name in the path is not a parameter", uri("/phone_number_id=7"), ""),
		row("a second question mark belongs to the query", uri("/42?a?phone_number_id=7&phone_number_id=?"), "set URI /42?a?phone_number_id=7"),
		row("nothing behind a fragment is touched", uri("/42?phone_number_id=7#?phone_number_id=7"), "set URI /42#?phone_number_id=7"),
		row("a question mark in a fragment begins no query", uri("/42#?phone_number_id=7"), ""),
		row("the asterisk form", uri("*"), ""),
		row("the authority form", uri("example.com:443"), ""),
		row("an absolute URI", uri("http://h/42?phone_number_id=7&a"), "set URI http://h/42?a"),
		row("every method", sdktest.Exchange{Method: "DELETE", URI: "/42?phone_number_id=7"}, "set URI /42"),
	})
}

func TestMethods(t *testing.T) {
	p := sdktest.New(t, plugin, `{"parameters": ["x"], "methods": ["GET", "HEAD"]}`)
	p.TestRequests(t, []sdktest.Case{
		row("a method that is meant", sdktest.Exchange{Method: "HEAD", URI: "/?x"}, "set URI /"),
		row("a method that is not", sdktest.Exchange{Method: "POST", URI: "/?x"}, sdktest.NotCalled),
	})
}

func TestConfig(t *testing.T) {
	tests := []struct {
		name, config string
		want         []string
	}{
		{"it needs names", `{}`, []string{"/parameters: expected at least one name of a query parameter"}},
		{"it needs a configuration", `null`, []string{"/parameters: expected at least one name of a query parameter"}},
		{"a name has at least a letter", `{"parameters": ["a", ""]}`, []string{"/parameters/1: expected a name, not an empty one"}},
		{"an unknown key", `{"parameters": ["a"], "names": []}`, []string{`/names: unknown key "names": expected parameters, methods`}},
		{"every mistake at once", `{"parameters": ["a", 1], "methods": "GET"}`, []string{
			"/parameters/1: expected a string, not 1", `/methods: expected a list, not "GET"`,
		}},
	}
	for _, tt := range tests {
		if got := sdktest.Complaints(t, plugin, tt.config); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %s: got %q, want %q", tt.name, tt.config, got, tt.want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p := sdktest.New(t, plugin, `{"parameters": ["phone_number_id"]}`)
	if n := p.Allocations(abi.PhaseRequest, sdktest.Exchange{URI: "/42?a=1&phone_number_id=7&b=2"}); n != 0 {
		t.Errorf("%v allocations per call, want 0", n)
	}
}
