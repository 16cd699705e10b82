package flags

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/breakwater-gateway/breakwater/flags/file"
)

func fileContent(s string) file.Content { return file.NewContent([]byte(s)) }

const kinds = `metadata: {flagSetId: gateway}
flags:
  bool: {state: ENABLED, variants: {yes: true, no: false}, defaultVariant: "yes", metadata: {owner: ops}}
  text: {state: ENABLED, variants: {a: alpha, b: beta}, defaultVariant: a, targeting: {if: [{"==": [{var: client}, acme]}, b]}}
  real: {state: ENABLED, variants: {pi: 3.5}, defaultVariant: pi}
  whole: {state: ENABLED, variants: {n: 7}, defaultVariant: n}
  thing: {state: ENABLED, variants: {o: {x: [1, {y: z}]}}, defaultVariant: o}
  retired: {state: DISABLED, variants: {a: alpha}, defaultVariant: a}
  undecided: {state: ENABLED, variants: {a: alpha}}
  panics: {state: ENABLED, variants: {on: true}, targeting: {if: [{in: [{var: nobody}, "text"]}, "on"]}}
  strays: {state: ENABLED, variants: {on: true}, targeting: {cat: [{var: client}, "!"]}}
`

func TestEveryKindOfFlagThroughOpenFeature(t *testing.T) {
	b := openBook(t, kinds)
	acme := Subject{Client: "acme"}
	tests := []struct {
		name, key      string
		s              Subject
		value, variant any
		reason, mode   string
		errorContains  string
	}{
		{"boolean", "bool", acme, true, "yes", "STATIC", "on", ""},
		{"string by rule", "text", acme, "beta", "b", "TARGETING_MATCH", "", ""},
		{"string by default", "text", Subject{Client: "globex"}, "alpha", "a", "DEFAULT", "", ""},
		{"number", "real", acme, 3.5, "pi", "STATIC", "", ""},
		{"disabled", "retired", acme, nil, "", "DISABLED", "", ""},
		{"no default", "undecided", acme, nil, "", "DEFAULT", "", ""},
		{"the rule fails", "panics", acme, nil, "", "ERROR", "", `flags.yaml:10:3: flag "panics": the rule failed`},
		{"the rule returns no variant", "strays", acme, nil, "", "ERROR", "", "what is no variant"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := b.View().Evaluate(t.Context(), tt.key, &tt.s)
			if err != nil || a.Value != tt.value || a.Variant != tt.variant || a.Reason != tt.reason || a.Mode != tt.mode || !strings.Contains(a.Error, tt.errorContains) {
				t.Errorf("%+v, %v", a, err)
			}
			if a.Metadata[RevisionKey] != int64(1) || a.Metadata["flagSetId"] != "gateway" {
				t.Errorf("metadata %v", a.Metadata)
			}
		})
	}
	if _, err := b.View().Evaluate(t.Context(), "bol", &acme); err == nil || !strings.Contains(err.Error(), `no flag "bol"`) {
		t.Errorf("unknown flag: %v", err)
	}
	n, err := b.Client().IntValue(t.Context(), "whole", 1, openfeature.EvaluationContext{})
	if err != nil || n != 7 {
		t.Errorf("integer: %v, %v", n, err)
	}
	o, err := b.Client().ObjectValue(t.Context(), "thing", nil, openfeature.EvaluationContext{})
	if m, _ := o.(map[string]any); err != nil || len(m) != 1 {
		t.Errorf("object: %v, %v", o, err)
	}
	if s, err := b.Client().StringValue(t.Context(), "bool", "mine", openfeature.EvaluationContext{}); err == nil || s != "mine" {
		t.Errorf("another type: %q, %v; want the caller's default and an error", s, err)
	}
}

func TestAnErrorIsTheFallbackAndCounted(t *testing.T) {
	b := openBook(t, kinds)
	for _, key := range []string{"panics", "strays"} {
		for _, fallback := range []Mode{Off, Observe, On} {
			if got := b.View().Mode(NewGate(key, fallback), &Subject{Client: "acme"}); got != fallback {
				t.Errorf("%s: %v, want the fallback %v", key, got, fallback)
			}
		}
	}
	for _, c := range b.Counts() {
		if (c.Key == "panics" || c.Key == "strays") && (c.Fallback != 3 || c.Errors == 0 || c.LastError == "") {
			t.Errorf("counted %+v", c)
		}
	}
}

type hook struct {
	openfeature.UnimplementedHook
	before func()
}

func (h hook) Before(context.Context, openfeature.HookContext, openfeature.HookHints) (*openfeature.EvaluationContext, error) {
	h.before()
	return nil, nil
}

func TestHooksSeeEvaluationsAndMayNotTakeTheGateDown(t *testing.T) {
	b := openBook(t, modesFile)
	calls := 0
	b.API().AddHooks(hook{before: func() {
		if calls++; calls > 1 {
			panic("a hook's mistake")
		}
	}})
	g := NewGate("friends", Observe)
	s := &Subject{Client: "acme"}
	for range 2 {
		if got := b.View().Mode(g, s); got != On || calls != 1 {
			t.Errorf("%v after %d calls of the hook, want on after 1: the second answer is remembered", got, calls)
		}
	}
	if got := b.View().Mode(g, &Subject{Client: "globex"}); got != Observe {
		t.Errorf("a hook that panics: %v, want the fallback", got)
	}
	if got := b.View().Mode(g, s); got != On {
		t.Errorf("after it the gate is %v, want On", got)
	}
}

func TestChangesAreAnnounced(t *testing.T) {
	b := openBook(t, modesFile)
	var mu sync.Mutex
	var changed []string
	seen := map[openfeature.EventType]bool{}
	for _, event := range []openfeature.EventType{openfeature.ProviderConfigChange, openfeature.ProviderStale, openfeature.ProviderReady} {
		handle := func(d openfeature.EventDetails) {
			mu.Lock()
			defer mu.Unlock()
			seen[event] = true
			changed = append(changed, d.FlagChanges...)
		}
		b.Client().AddHandler(event, &handle)
	}
	has := func(event openfeature.EventType) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return seen[event] }
	}
	eventually(t, "ready", has(openfeature.ProviderReady))
	if _, err := b.Set(t.Context(), Change{Key: "drop", Variant: "on", Reason: "r", By: "jo"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the flag's key is announced", func() bool { mu.Lock(); defer mu.Unlock(); return slices.Contains(changed, "drop") })
	write(t, b.opts.Path, "flags: [")
	eventually(t, "stale", has(openfeature.ProviderStale))
	eventually(t, "the state is stale", func() bool { return b.Client().State() == openfeature.StaleState })
	if b.View().Mode(NewGate("friends", Off), &Subject{Client: "globex"}) != On {
		t.Error("a stale provider still evaluates")
	}
	write(t, b.opts.Path, modesFile)
	eventually(t, "ready again", func() bool { return b.Client().State() == openfeature.ReadyState })
}
