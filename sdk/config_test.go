package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

type color int

func (c *color) UnmarshalText(b []byte) error {
	if string(b) != "red" {
		return errors.New("expected red")
	}
	*c = 1
	return nil
}

type everything struct {
	Text   string         `json:"text"`
	Yes    bool           `json:"yes"`
	Small  int8           `json:"small"`
	Count  uint16         `json:"count"`
	Ratio  float64        `json:"ratio"`
	List   []string       `json:"list,omitempty"`
	Map    map[string]int `json:"map"`
	Inner  struct{ Deep []struct{ X int } }
	Ptr    *int              `json:"ptr"`
	Color  color             `json:"color"`
	Named  map[string]color  `json:"named"`
	Hidden string            `json:"-"`
	Rest   map[string]string `json:"a/b~c"`
}

func TestConfigIsRead(t *testing.T) {
	three := 3
	want := everything{
		Text: "a\"\\/\b\f\n\r\tä€😀\ufffd", Yes: true, Small: -128, Count: 65535, Ratio: -0.25e2, List: []string{"x", ""},
		Map: map[string]int{"k": 1}, Ptr: &three, Color: 1, Named: map[string]color{}, Rest: map[string]string{"": "y"},
	}
	want.Inner.Deep = []struct{ X int }{{X: 1}, {}}
	var got everything
	err := decode([]byte(` {"text":"a\"\\\/\b\f\n\r\t\u00e4€\ud83d\ude00\ud83d","yes":true,"small":-128,"count":65535,"ratio":-0.25e2,
		"list":["x",""],"map":{"k":1},"Inner":{"Deep":[{"X":1},{}]},"ptr":3,"color":"red","named":{},"a/b~c":{"":"y"}} `), &got)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestConfigMistakes(t *testing.T) {
	tests := []struct{ name, config, want string }{
		{"null is the zero value", `null`, ""},
		{"null in it too", `{"text":null,"list":null,"ptr":null}`, ""},
		{"not JSON", `{"text":}`, "JSON, byte 8: expected a value"},
		{"nothing", ``, "JSON, byte 0: expected a value"},
		{"two values", `{} {}`, "JSON, byte 3: expected the end"},
		{"a NUL is not the end", "0\x00", "JSON, byte 1: expected the end"},
		{"a key twice", `{"text":"a","text":"b"}`, `JSON, byte 18: expected the key "text" only once`},
		{"a string without end", `{"text":"a`, `JSON, byte 10: expected "\""`},
		{"a line break in a string", "{\"text\":\"\n\"}", "JSON, byte 9: expected a control character to be escaped"},
		{"an escape that there is not", `{"text":"\x"}`, "JSON, byte 11: expected an escape sequence"},
		{"a number that begins with zero", `{"small":01}`, `JSON, byte 10: expected "," or "}"`},
		{"a number without digits", `{"small":-}`, "JSON, byte 10: expected a digit"},
		{"levels without end", strings.Repeat("[", 200), "JSON, byte 101: expected at most 100 levels"},
		{"not an object", `[]`, "expected an object, not a list"},
		{"text for a number", `{"small":"1"}`, `/small: expected a whole number of 8 bits, not "1"`},
		{"a number that is too large", `{"small":128}`, `/small: expected a whole number of 8 bits, not 128`},
		{"a fraction", `{"small":1.0}`, `/small: expected a whole number of 8 bits, not 1.0`},
		{"below zero", `{"count":-1}`, `/count: expected a whole number of 16 bits, not below 0, not -1`},
		{"a number for text", `{"text":1}`, `/text: expected a string, not 1`},
		{"text for a boolean", `{"yes":"true"}`, `/yes: expected true or false, not "true"`},
		{"an object for a number", `{"ratio":{}}`, `/ratio: expected a number, not an object`},
		{"what a type itself refuses", `{"color":"blue"}`, `/color: expected red`},
		{"what a type reads is text", `{"color":1}`, `/color: expected a string, not 1`},
		{"deep inside", `{"Inner":{"Deep":[{"X":1},{"X":true}]}}`, `/Inner/Deep/1/X: expected a whole number of 64 bits, not true`},
		{"in a map", `{"map":{"k/":""}}`, `/map/k~1: expected a whole number of 64 bits, not ""`},
		{"a pointer's value", `{"a/b~c":[]}`, `/a~1b~0c: expected an object, not a list`},
		{"an unknown key", `{"Text":""}`, `/Text: unknown key "Text": expected text, yes, small, count, ratio, list, map, Inner, ptr, color, named, a/b~c`},
		{"every mistake", `{"text":1,"yes":2,"small":3}`, "/text: expected a string, not 1\n/yes: expected true or false, not 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v everything
			err := decode([]byte(tt.config), &v)
			if got := fmt.Sprint(err); got != tt.want && (err != nil || tt.want != "") {
				t.Errorf("%s:\n got %s\nwant %s", tt.config, got, tt.want)
			}
		})
	}
}

func TestComplaints(t *testing.T) {
	a, b := Complain("/a", "wrong"), Complain("", "worse")
	tests := []struct {
		name string
		err  error
		want []abi.Complaint
	}{
		{"none", nil, nil},
		{"one", a, []abi.Complaint{{Pointer: "/a", Message: "wrong"}}},
		{"joined", errors.Join(a, errors.Join(b)), []abi.Complaint{{Pointer: "/a", Message: "wrong"}, {Message: "worse"}}},
		{"any other error is about everything", errors.New("no"), []abi.Complaint{{Message: "no"}}},
		{"a wrapped one keeps its place and its words", fmt.Errorf("in row 3: %w", a), []abi.Complaint{{Pointer: "/a", Message: "in row 3: /a: wrong"}}},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, complaints(tt.err)); d != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, d)
		}
	}
}

// What is JSON for encoding/json is JSON here, and means the same; only keys that stand twice and broken UTF-8 are not.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e+3,"\u00e4\ud83d\ude00",null,true,{}]}`, `"\ud800"`, `01`, `[,]`, `{"a":1,}`, "\"\x80\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parse(b)
		if err != nil {
			if json.Valid(b) && !strings.Contains(err.Error(), "only once") && !strings.Contains(err.Error(), "UTF-8") &&
				!strings.Contains(err.Error(), "levels") {
				t.Errorf("%q: %v", b, err)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q is not JSON, and was read as %v", b, got)
		}
		var want any
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(plain(got), want) {
			t.Errorf("%q: got %v, want %v", b, plain(got), want)
		}
	})
}

// plain makes of a parsed value what encoding/json would make.
func plain(j any) any {
	switch j := j.(type) {
	case number:
		return json.Number(j)
	case []any:
		for i := range j {
			j[i] = plain(j[i])
		}
		return j
	case object:
		m := map[string]any{}
		for _, x := range j {
			m[x.key] = plain(x.value)
		}
		return m
	}
	return j
}
