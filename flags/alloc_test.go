package flags

import (
	"fmt"
	"testing"
)

var gateTests = []struct {
	name, key string
	s         Subject
}{
	{"untargeted", "drop", Subject{Client: "acme", Route: "media", Method: "GET"}},
	{"by client", "friends", Subject{Client: "acme", Route: "media", Method: "GET"}},
	{"percentage", "half", Subject{Client: "acme", Route: "media", Method: "GET"}},
	{"by attribute and route", "plan", Subject{Client: "acme", Route: "media", Attributes: map[string]string{"plan": "gold", "region": "eu"}}},
	{"by many attributes", "many", Subject{Client: "acme", Route: "media", Upstream: "partner", Method: "GET", Attributes: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}}},
	{"by time", "later", Subject{Client: "acme"}},
	{"not there", "nowhere", Subject{Client: "acme"}},
}

const moreFlags = modesFile + `
  plan:
    state: ENABLED
    variants: {on: true, off: false}
    defaultVariant: off
    targeting: {if: [{and: [{"==": [{var: plan}, gold]}, {starts_with: [{var: route}, med]}]}, "on"]}
  many: {state: ENABLED, variants: {on: true, off: false}, defaultVariant: off, targeting: {if: [{missing: [client, route, upstream, method, a, b, c, d]}, "off", "on"]}}
  later: {state: ENABLED, variants: {on: true, off: false}, defaultVariant: off, targeting: {if: [{">": [{var: $flagd.timestamp}, 32503680000]}, "on"]}}
`

func TestAGateAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	b := openBook(t, moreFlags)
	for _, tt := range gateTests {
		g := NewGate(tt.key, Off)
		v := b.View()
		v.Mode(g, &tt.s)
		if tt.name == "by time" {
			continue // evaluated again in each second, which may begin just now
		}
		if n := testing.AllocsPerRun(1000, func() { v.Mode(g, &tt.s) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", tt.name, n)
		}
	}
}

func BenchmarkGate(b *testing.B) {
	book := openBook(b, moreFlags)
	for _, tt := range gateTests {
		g := NewGate(tt.key, Off)
		v := book.View()
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v.Mode(g, &tt.s)
			}
		})
		b.Run(tt.name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					v.Mode(g, &tt.s)
				}
			})
		})
	}
	b.Run("miss", func(b *testing.B) {
		g, v := NewGate("friends", Off), book.View()
		subjects := make([]Subject, 1<<15)
		for i := range subjects {
			subjects[i].Client = fmt.Sprint("client-", i)
		}
		i := 0
		for b.Loop() {
			i++
			v.Mode(g, &subjects[i%len(subjects)])
		}
	})
}
