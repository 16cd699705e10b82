package flags

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"sync"
	"testing"
	"unsafe"
)

func TestVerdictsAreKeyedByWhatTheRuleReads(t *testing.T) {
	b := openBook(t, moreFlags)
	evaluations := func(key string) uint64 {
		for _, c := range b.Counts() {
			if c.Key == key {
				return c.Evaluations
			}
		}
		return 0
	}
	v, g := b.View(), NewGate("plan", Off)
	for _, tt := range []struct {
		name string
		s    Subject
		want Mode
		cost uint64 // evaluations so far
	}{
		{"the first", Subject{Client: "a", Route: "media", Attributes: map[string]string{"plan": "gold"}}, On, 1},
		{"another client, the same plan and route", Subject{Client: "b", Route: "media", Attributes: map[string]string{"plan": "gold", "x": "y"}}, On, 1},
		{"another route", Subject{Client: "a", Route: "other", Attributes: map[string]string{"plan": "gold"}}, Off, 2},
		{"another plan", Subject{Client: "a", Route: "media", Attributes: map[string]string{"plan": "tin"}}, Off, 3},
		{"no plan is another value", Subject{Client: "a", Route: "media"}, Off, 4},
		{"an empty one is none", Subject{Client: "a", Route: "media", Attributes: map[string]string{"plan": ""}}, Off, 4},
		{"an attribute hides nothing of the request", Subject{Route: "media", Attributes: map[string]string{"plan": "gold", "route": "other"}}, On, 4},
	} {
		if got := v.Mode(g, &tt.s); got != tt.want || evaluations("plan") != tt.cost {
			t.Errorf("%s: %v after %d evaluations, want %v after %d", tt.name, got, evaluations("plan"), tt.want, tt.cost)
		}
	}
	// A flip of another flag costs nothing.
	if _, err := b.Set(t.Context(), Change{Key: "drop", Variant: "on", Reason: "r", By: "jo"}); err != nil {
		t.Fatal(err)
	}
	if b.View().Mode(g, &Subject{Route: "media"}); evaluations("plan") != 4 {
		t.Errorf("%d evaluations after another flag was flipped, want 4", evaluations("plan"))
	}
	// One of the flag itself forgets: the default is part of the answer.
	if _, err := b.Set(t.Context(), Change{Key: "plan", Variant: "on", Reason: "r", By: "jo"}); err != nil {
		t.Fatal(err)
	}
	if b.View().Mode(g, &Subject{Route: "media"}) != On || v.Mode(g, &Subject{Route: "media"}) != Off {
		t.Error("a verdict of another revision was taken")
	}
}

// The request's memory is used again as soon as it is over.
func TestAVerdictKeepsNothingOfTheRequest(t *testing.T) {
	b := openBook(t, modesFile)
	memory := []byte("acme")
	s := &Subject{Client: unsafe.String(&memory[0], len(memory))}
	v, g := b.View(), NewGate("friends", Off)
	if v.Mode(g, s) != On {
		t.Fatal("acme is a friend")
	}
	copy(memory, "evil")
	if v.Mode(g, s) != Off {
		t.Error("evil got acme's verdict")
	}
	if v.Mode(g, &Subject{Client: "acme"}) != On {
		t.Error("acme got evil's verdict")
	}
}

func TestVerdictsAreBoundedAndRight(t *testing.T) {
	b := openBook(t, modesFile)
	v, g := b.View(), NewGate("friends", Off)
	r := v.rule(g.id)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range maxVerdicts { // more clients than places, their verdicts put in without the cost of a rule
				s := Subject{Client: fmt.Sprint(worker, "-", i)}
				hash := bits.RotateLeft64(1, 7) ^ maphash.String(seed, s.Client) // as decide does for one attribute
				r.remember(&verdict{hash: hash, values: []string{s.Client}, says: saysOff})
				if i%100 != 0 {
					continue
				}
				for client, want := range map[string]Mode{s.Client: Off, fmt.Sprint("new-", worker, i): Off, "acme": On} {
					if got := v.Mode(g, &Subject{Client: client}); got != want {
						t.Errorf("client %q: %v, want %v", client, got, want)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if n := len(r.table.Load().places); n != maxVerdicts {
		t.Errorf("%d places, want it grown to %d and no further", n, maxVerdicts)
	}
}
