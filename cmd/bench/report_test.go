//go:build linux

package main

import (
	"io"
	"strings"
	"testing"
)

func turnsOf(cpu ...float64) []turn {
	turns := make([]turn, len(cpu))
	for i, v := range cpu {
		turns[i] = turn{CPU: v, UserTicks: v / 4, SysTicks: v * 3 / 4, P50: 1, P99: 2, Saturation: 3}
	}
	return turns
}

func TestAims(t *testing.T) {
	for _, tt := range []struct {
		name       string
		aims       string
		breakwater []float64
		says       string // of the error; none expected if empty
	}{
		{"a ratio below the aim meets it", "breakwater/floor<=1.15", []float64{11, 22, 33}, ""},
		{"a ratio at the aim meets it", "breakwater/floor<=1.5", []float64{15, 30, 45}, ""},
		{"a ratio above the aim misses it", "breakwater/floor<=1.15", []float64{12, 24, 36}, "MISSED, 1.20"},
		{"one bad round of three doesn't miss it", "breakwater/floor<=1.15", []float64{11, 99, 33}, ""},
		{"a subject that wasn't there misses it", "haproxy/floor<=1.15", []float64{11, 22, 33}, "NOT MEASURED"},
		{"no aims are always met", "", []float64{99, 99, 99}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			aims, err := parseAims(tt.aims)
			if err != nil {
				t.Fatal(err)
			}
			rep := &report{Subjects: []*row{
				{Name: "floor", Turns: turnsOf(10, 20, 30)},
				{Name: "breakwater", Turns: turnsOf(tt.breakwater...)},
			}}
			rep.judge(aims)
			err = rep.missed()
			if (err == nil) != (tt.says == "") || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("missed() = %v, want %q", err, tt.says)
			}
		})
	}
}

func TestParseAimsRefuses(t *testing.T) {
	for _, text := range []string{"floor", "floor/nginx", "floor/nginx<=", "floor/nginx<=x", "floor/nginx<=0", "/nginx<=1", "floor/apache<=1"} {
		if aims, err := parseAims(text); err == nil {
			t.Errorf("parseAims(%q) = %v, want an error", text, aims)
		}
	}
}

func TestTable(t *testing.T) {
	rep := &report{Rounds: 3, Rate: 1000, LeftOut: []string{"haproxy: not installed"}, Subjects: []*row{
		{Name: "direct", Turns: turnsOf(0, 0, 0)},
		{Name: "floor", Turns: turnsOf(10, 20, 30)},
		{Name: "nginx", Turns: turnsOf(8, 18, 21)},
	}}
	rep.judge(nil)
	var text strings.Builder
	if err := rep.print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"direct     –       –     –          –        –",
		"floor   5.0    15.0  20.0  10.0…30.0     1.00  1.00…1.00",
		"nginx   4.5    13.5  18.0   8.0…21.0     0.80  0.70…0.90",
		"LEFT OUT: haproxy: not installed",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, text.String())
		}
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		check      func(o options) bool
	}{
		{"the default measures everything in nine rounds", "", func(o options) bool { return o.rounds == 9 && o.subjects == "" }},
		{"quick is shorter and measures less", "-quick", func(o options) bool { return o.rounds == 3 && o.subjects == quickSubjects }},
		{"quick gives way to what is said", "-quick -subjects floor -rounds 7", func(o options) bool { return o.rounds == 7 && o.subjects == "floor" }},
	} {
		o, err := parseOptions(strings.Fields(tt.args), io.Discard)
		if err != nil || !tt.check(o) {
			t.Errorf("%s: parseOptions(%q) = %+v, %v", tt.name, tt.args, o, err)
		}
	}
	for _, args := range []string{"-rounds 0", "-conns 0", "-duration 1ms", "-rate -1", "floor", "-nonsense"} {
		if o, err := parseOptions(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("parseOptions(%q) = %+v, want an error", args, o)
		}
	}
}

func TestPick(t *testing.T) {
	list := []subject{{name: "a"}, {name: "b"}, {name: "c"}}
	got, err := pick(list, "c,a")
	if err != nil || len(got) != 2 || got[0].name != "a" || got[1].name != "c" {
		t.Errorf("pick(c,a) = %v, %v; want a and c in the list's order", got, err)
	}
	if got, err := pick(list, ""); err != nil || len(got) != 3 {
		t.Errorf("pick() = %v, %v; want all", got, err)
	}
	if _, err := pick(list, "a,d"); err == nil || !strings.Contains(err.Error(), `"d": expected one of a, b, c`) {
		t.Errorf("pick(a,d): error %v, want one that names the choices", err)
	}
}
