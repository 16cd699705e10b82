package flags

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"
)

const twins = `flags:
  left: {state: ENABLED, variants: {on: true, off: false}, defaultVariant: "MODE"}
  right: {state: ENABLED, variants: {on: true, off: false}, defaultVariant: "MODE"}
  targeted-left: {state: ENABLED, variants: {on: true, off: false}, targeting: {if: [{var: client}, "MODE"]}}
  targeted-right: {state: ENABLED, variants: {on: true, off: false}, targeting: {if: [{var: client}, "MODE"]}}
`

// Flags that are always flipped together never disagree within one view, whichever way they are asked.
func TestAViewNeverTears(t *testing.T) {
	content := func(mode string) string { return strings.ReplaceAll(twins, "MODE", mode) }
	b := openBook(t, content("off"))
	gates := []Gate{NewGate("left", Off), NewGate("right", Off), NewGate("targeted-left", Off), NewGate("targeted-right", Off)}
	var stop atomic.Bool
	var wg sync.WaitGroup
	var asked atomic.Int64
	for reader := range 3 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				v := b.View()
				s := &Subject{Client: fmt.Sprint("client-", reader, "-", i%50)}
				first := v.Mode(gates[0], s)
				for _, g := range gates[1:] {
					if got := v.Mode(g, s); got != first {
						t.Errorf("revision %d: %v is %v, the others are %v", v.Revision(), g, got, first)
						return
					}
				}
				if i%20 == 0 {
					on, err := b.Client().BooleanValue(v.Pin(context.Background()), "targeted-right", false, openfeature.NewEvaluationContext("x", map[string]any{"client": "x"}))
					if err != nil || on != (first == On) {
						t.Errorf("revision %d: the client says %v, %v; the gates say %v", v.Revision(), on, err, first)
						return
					}
				}
				asked.Add(1)
			}
		})
	}
	for i := range 40 {
		mode := [...]string{"on", "off"}[i%2]
		temp := b.opts.Path + ".new"
		write(t, temp, content(mode))
		if err := os.Rename(temp, b.opts.Path); err != nil {
			t.Fatal(err)
		}
		want, _ := ParseMode(mode)
		eventually(t, "the flip is in force", func() bool { return b.View().Mode(gates[0], &Subject{Client: "c"}) == want })
	}
	stop.Store(true)
	wg.Wait()
	if r := b.View().Revision(); r != 41 || asked.Load() == 0 {
		t.Errorf("revision %d after 40 flips, asked %d times", r, asked.Load())
	}
}

// A torn document must never be in force, not even one that happens to be valid YAML.
func TestAHalfWrittenFileIsNeverInForce(t *testing.T) {
	b := openBook(t, strings.ReplaceAll(twins, "MODE", "off"))
	whole := strings.ReplaceAll(twins, "MODE", "on")
	f, err := os.OpenFile(b.opts.Path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.SplitAfter(whole, "\n") { // valid after every line but the first
		if _, err := f.WriteString(line); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			b.offer(fileContent(line), nil) // as often as a busy directory would make it look
		}
		if r := b.View().Revision(); r != 1 {
			t.Fatalf("revision %d after %q", r, line)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the whole file is in force", func() bool { return b.View().Revision() == 2 })
	if n := len(b.Flags()); n != 4 {
		t.Errorf("%d flags, want 4", n)
	}
}
