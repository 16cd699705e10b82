package flags

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const modesFile = `# what the gateway does
flags:
  drop: # the workaround
    state: ENABLED
    variants: {on: true, off: false}
    defaultVariant: off
  classify:
    state: ENABLED
    variants: {off: off, observe: observe, on: on}
    defaultVariant: observe
  retired: {state: DISABLED, variants: {on: true, off: false}, defaultVariant: on}
  undecided: {state: ENABLED, variants: {on: true, off: false}}
  friends:
    state: ENABLED
    variants: {on: true, off: false}
    defaultVariant: off
    targeting: {if: [{in: [{var: client}, [acme, globex]]}, "on"]}
  half:
    state: ENABLED
    variants: {on: on, off: off}
    defaultVariant: off
    targeting: {fractional: [["on", 50], ["off", 50]]}
`

// openBook writes a flag file and follows it until the test ends.
func openBook(t testing.TB, content string) *Book {
	t.Helper()
	dir := t.TempDir()
	o := Options{Path: filepath.Join(dir, "flags.yaml"), LastGood: filepath.Join(dir, "state", "good"), Journal: filepath.Join(dir, "state", "journal")}
	write(t, o.Path, content)
	return follow(t, o)
}

func follow(t testing.TB, o Options) *Book {
	t.Helper()
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition; the bound only ends a test that would never end.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happens: %s", what)
		}
	}
}

func TestAGateHasTheModeOfItsFlag(t *testing.T) {
	b := openBook(t, modesFile)
	tests := []struct {
		name     string
		key      string
		fallback Mode
		client   string
		want     Mode
	}{
		{"a boolean variant false is off", "drop", On, "acme", Off},
		{"a string variant names the mode", "classify", Off, "acme", Observe},
		{"disabled is the fallback", "retired", Observe, "acme", Observe},
		{"no default is the fallback", "undecided", On, "acme", On},
		{"a flag that is not there is the fallback", "nowhere", On, "acme", On},
		{"targeted by client", "friends", Off, "acme", On},
		{"the default where the rule says nothing", "friends", On, "initech", Off},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 3 { // evaluated, then remembered
				got := b.View().Mode(NewGate(tt.key, tt.fallback), &Subject{Client: tt.client})
				if got != tt.want {
					t.Errorf("Mode(%q, client %q) = %v, want %v", tt.key, tt.client, got, tt.want)
				}
			}
		})
	}
	if got := b.View().Mode(Gate{}, &Subject{}); got != Off {
		t.Errorf("the zero gate is %v, want off", got)
	}
	if got := (&View{}).Mode(NewGate("drop", On), &Subject{}); got != On {
		t.Errorf("the zero view says %v, want the fallback", got)
	}
}

func TestAPercentageIsOfClientsAndStays(t *testing.T) {
	b := openBook(t, modesFile)
	g := NewGate("half", Off)
	on := 0
	for i := range 400 {
		s := &Subject{Client: fmt.Sprint("client-", i), Route: "a"}
		first := b.View().Mode(g, s)
		s.Route = "b"
		if b.View().Mode(g, s) != first {
			t.Fatalf("client %d has two answers", i)
		}
		if first == On {
			on++
		}
	}
	if on < 140 || on > 260 {
		t.Errorf("%d of 400 clients are on, want about half", on)
	}
	for _, c := range b.Counts() {
		if c.Key == "half" && (c.Evaluations != 400 || c.Modes[On]+c.Modes[Off] != 800 || c.Errors != 0) {
			t.Errorf("counted %+v, want 400 evaluations for 800 answers", c)
		}
	}
}

func TestSetIsSeenByEveryViewTakenAfterIt(t *testing.T) {
	b := openBook(t, modesFile)
	g := NewGate("drop", Off)
	if err := b.Bind(g); err != nil {
		t.Fatal(err)
	}
	before := b.View()
	for i, variant := range []string{"on", "off", "on"} {
		a, err := b.Set(t.Context(), Change{Key: "drop", Variant: variant, Reason: "incident", By: "jo"})
		if err != nil {
			t.Fatal(err)
		}
		if !a.Changed || a.Revision != uint64(i)+2 {
			t.Errorf("change %d: %+v", i, a)
		}
		want, _ := ParseMode(variant)
		if got := b.View().Mode(g, &Subject{}); got != want || b.View().Revision() != a.Revision {
			t.Errorf("after Set(%q) the gate is %v at revision %d, want %v at %d", variant, got, b.View().Revision(), want, a.Revision)
		}
	}
	if before.Mode(g, &Subject{}) != Off {
		t.Error("a view that was taken before has changed")
	}
	data, _ := os.ReadFile(b.opts.Path)
	if want := strings.Replace(modesFile, "defaultVariant: off\n  classify", "defaultVariant: \"on\"\n  classify", 1); string(data) != want {
		t.Errorf("the file is now:\n%s", data)
	}
	if s := b.Status(); !s.SourceUp || s.Err != nil {
		t.Errorf("status %+v", s)
	}
}
