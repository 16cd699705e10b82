package flags

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/flags/document"
	"github.com/breakwater-gateway/breakwater/flags/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAFileWithMistakesChangesNothing(t *testing.T) {
	b := openBook(t, modesFile)
	if err := b.Bind(NewGate("drop", Off), NewGate("classify", Off)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, content, want string }{
		{"not YAML", "flags: [", "flags.yaml:1:"},
		{"a mistake", strings.Replace(modesFile, "ENABLED", "ENABLD", 1), `flags.yaml:4:12: flag "drop": state "ENABLD"`},
		{"empty", "", "empty"},
		{"a flag that a gate asks for is gone", strings.Replace(modesFile, "drop:", "dropped:", 1), `no flag "drop", which a gate asks for`},
		{"a variant that is no mode for a gate", strings.Replace(modesFile, "observe: observe", "observe: look", 1), `flags.yaml:9:26: flag "classify": variant "observe" is "look"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			write(t, b.opts.Path, tt.content)
			eventually(t, "the mistake is reported", func() bool {
				s := b.Status()
				return !s.SourceUp && s.Err != nil && strings.Contains(s.Err.Error(), tt.want)
			})
			if v := b.View(); v.Revision() != 1 || v.Mode(NewGate("classify", Off), &Subject{}) != Observe {
				t.Errorf("revision %d: the last good flags are gone", v.Revision())
			}
			if _, err := b.Set(t.Context(), Change{Key: "drop", Variant: "on", Reason: "r", By: "jo"}); err == nil {
				t.Error("a broken file was written over")
			}
			write(t, b.opts.Path, modesFile)
			eventually(t, "the file is good again", func() bool { return b.Status().SourceUp })
			if r := b.View().Revision(); r != 1 {
				t.Errorf("revision %d for the same content, want 1", r)
			}
		})
	}
	if b.Refused() < uint64(len(tests)) {
		t.Errorf("%d refusals counted, want at least %d", b.Refused(), len(tests))
	}
}

func TestWhereTheFirstFlagsComeFrom(t *testing.T) {
	dir := t.TempDir()
	o := Options{Path: filepath.Join(dir, "flags.yaml"), LastGood: filepath.Join(dir, "good")}
	open := func(want Origin, revision uint64) *Book {
		t.Helper()
		b, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		if v := b.View(); v.Origin() != want || v.Revision() != revision || b.Status().SourceUp != (want == OriginStart) {
			t.Errorf("origin %q, revision %d, %+v; want %q, %d", v.Origin(), v.Revision(), b.Status(), want, revision)
		}
		return b
	}
	g := NewGate("drop", Observe)
	b := open(OriginNone, 0)
	if b.View().Mode(g, &Subject{}) != Observe || b.Bind(g) != nil || b.View().Check(g) != nil {
		t.Error("without any flags every gate has its fallback")
	}
	if _, err := b.Set(t.Context(), Change{Key: "drop", Variant: "on", Reason: "r", By: "jo"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Set without a file: %v", err)
	}
	write(t, o.Path, modesFile)
	open(OriginStart, 1)
	write(t, o.Path, "flags: {")
	b = open(OriginLastGood, 1)
	if b.View().Mode(g, &Subject{}) != Off {
		t.Error("the last good copy does not hold")
	}
}

func TestABookWithoutFlagsTakesThemWhenTheyCome(t *testing.T) {
	dir := t.TempDir()
	b := follow(t, Options{Path: filepath.Join(dir, "flags.yaml")})
	g := NewGate("classify", Off)
	if err := b.Bind(g); err != nil {
		t.Fatal(err)
	}
	write(t, b.opts.Path, modesFile)
	eventually(t, "the flags are there", func() bool { return b.View().Mode(g, &Subject{}) == Observe })
}

func TestBindNeedsEveryFlag(t *testing.T) {
	b := openBook(t, modesFile+"  number: {state: ENABLED, variants: {one: 1}, defaultVariant: one}\n")
	err := b.Bind(NewGate("drop", Off), NewGate("dropp", Off), NewGate("number", Off))
	for _, want := range []string{`no flag "dropp"`, `"classify", "drop"`, `flag "number": variant "one" is 1`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Bind: %v, want %q in it", err, want)
		}
	}
	if err := b.Bind(NewGate("drop", Off), Gate{}); err != nil {
		t.Error(err)
	}
}

func TestSetSaysWhatIsWrong(t *testing.T) {
	b := openBook(t, modesFile)
	tests := []struct {
		name string
		c    Change
		is   error
		want string
	}{
		{"no reason and nobody", Change{Key: "drop", Variant: "on"}, ErrInvalid, "expected a reason and who changes it"},
		{"blank is none", Change{Key: "drop", Variant: "on", Reason: " ", By: "jo"}, ErrInvalid, "expected a reason"},
		{"unknown flag", Change{Key: "dorp", Variant: "on", Reason: "r", By: "jo"}, ErrUnknown, `no flag "dorp": expected one of "classify", "drop",`},
		{"unknown variant", Change{Key: "drop", Variant: "observe", Reason: "r", By: "jo"}, ErrUnknown, `flags.yaml:3:3: flag "drop" has no variant "observe": expected one of "on", "off"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.Set(t.Context(), tt.c)
			if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Set: %v, want %q", err, tt.want)
			}
		})
	}
	if b.View().Revision() != 1 {
		t.Error("something changed")
	}
}

func TestSetKeepsWhatOthersWroteMeanwhile(t *testing.T) {
	b := openBook(t, modesFile)
	// Nobody waits for the watcher: the hand edit is only on the disk when Set begins.
	write(t, b.opts.Path, strings.Replace(modesFile, "defaultVariant: observe", "defaultVariant: on # by hand", 1))
	a, err := b.Set(t.Context(), Change{Key: "drop", Variant: "on", Reason: "incident", By: "jo"})
	if err != nil || a.Before != "off" {
		t.Fatalf("%+v, %v", a, err)
	}
	v := b.View()
	if v.Mode(NewGate("drop", Off), &Subject{}) != On || v.Mode(NewGate("classify", Off), &Subject{}) != On {
		t.Error("one of the two changes is lost")
	}
	data, _ := os.ReadFile(b.opts.Path)
	if !bytes.Contains(data, []byte("# by hand")) {
		t.Errorf("the file lost the edit:\n%s", data)
	}
}

func TestManySetsAtOnceAllHappen(t *testing.T) {
	b := openBook(t, modesFile)
	var wg sync.WaitGroup
	for _, key := range []string{"drop", "friends", "undecided", "retired"} {
		wg.Go(func() {
			for _, variant := range []string{"off", "on", "off", "on"} {
				if _, err := b.Set(t.Context(), Change{Key: key, Variant: variant, Reason: "r", By: key}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, f := range b.Flags() {
		if f.Key != "classify" && f.Key != "half" && (f.Default != "on" || f.Disabled || f.Changed.By != f.Key) {
			t.Errorf("flag %q: default %q, last changed by %+v", f.Key, f.Default, f.Changed)
		}
	}
	doc, err := document.Load(b.opts.Path)
	if err != nil || doc.Digest != b.View().Document().Digest {
		t.Errorf("file and view differ: %v", err)
	}
}

func TestEveryChangeIsInTheJournal(t *testing.T) {
	dir := t.TempDir()
	o := Options{Path: filepath.Join(dir, "flags.yaml"), Journal: filepath.Join(dir, "journal")}
	write(t, o.Path, modesFile)
	b := follow(t, o)
	expires := time.Date(2027, 1, 31, 18, 0, 0, 0, time.UTC)
	if _, err := b.Set(t.Context(), Change{Key: "drop", Variant: "on", Reason: "partner refuses phone_number_id", By: "jo", Owner: "ops", Link: "https://status.example/1", Expires: expires}); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(o.Path)
	write(t, o.Path, strings.Replace(string(data), "defaultVariant: observe", "defaultVariant: off", 1))
	eventually(t, "the hand edit is in force", func() bool { return b.View().Revision() == 3 })
	if _, err := b.Set(t.Context(), Change{Key: "drop", Variant: "on", Reason: "again", By: "jo"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hand edit is written down", func() bool { return lines(t, o.Journal) == 3 })

	raw, _ := os.ReadFile(o.Journal)
	entries, err := journal.Verify(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	type short struct {
		Origin, By, Reason, Flag string
		Revision                 uint64
		Changes                  int
	}
	want := []short{
		{"start", "", "", "classify", 1, 6},
		{"api", "jo", "partner refuses phone_number_id", "drop", 2, 1},
		{"file", "", "", "classify", 3, 1},
	}
	for i, e := range entries {
		got := short{e.Origin, e.By, e.Reason, e.Changes[0].Flag, e.Revision, len(e.Changes)}
		if got != want[i] {
			t.Errorf("entry %d is %+v, want %+v", i+1, got, want[i])
		}
	}
	if c := entries[1].Changes[0]; !strings.Contains(string(c.Before), `"defaultVariant":"off"`) || !strings.Contains(string(c.After), `"defaultVariant":"on"`) {
		t.Errorf("before %s, after %s", c.Before, c.After)
	}
	for _, f := range b.Flags() {
		if f.Key == "drop" && (f.Owner != "ops" || f.Link == "" || !f.Expires.Equal(expires) || f.Mode != "on" || f.Changed.Reason != entries[1].Reason) {
			t.Errorf("listed as %+v", f)
		}
	}
}

func lines(t *testing.T, path string) int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte("\n"))
}

func TestRevisionsGrowOverRestarts(t *testing.T) {
	dir := t.TempDir()
	o := Options{Path: filepath.Join(dir, "flags.yaml"), Journal: filepath.Join(dir, "journal")}
	starts := []struct {
		name, content  string
		revision       uint64
		journalEntries int
	}{
		{"the first start", modesFile, 1, 1},
		{"nothing changed since", modesFile, 1, 1},
		{"changed while nobody looked", modesFile + "# a word\n", 2, 2},
		{"and back", modesFile, 3, 3},
	}
	for _, tt := range starts {
		write(t, o.Path, tt.content)
		b, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if r, n := b.View().Revision(), lines(t, o.Journal); r != tt.revision || n != tt.journalEntries {
			t.Errorf("%s: revision %d with %d journal entries, want %d with %d", tt.name, r, n, tt.revision, tt.journalEntries)
		}
		b.Close()
	}
}

func TestRefreshSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	o := Options{Path: filepath.Join(dir, "flags.yaml")}
	write(t, o.Path, modesFile)
	b, err := Open(t.Context(), o) // nobody watches
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	write(t, o.Path, strings.Replace(modesFile, "ENABLED", "ENABLD", 1))
	if err := b.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "ENABLD") {
		t.Errorf("Refresh: %v", err)
	}
	write(t, o.Path, strings.Replace(modesFile, "defaultVariant: off", "defaultVariant: on", 1))
	if err := b.Refresh(t.Context()); err != nil || b.View().Mode(NewGate("drop", Off), &Subject{}) != On {
		t.Errorf("Refresh: %v", err)
	}
}
