package journal

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func entry(reason string) Entry {
	return Entry{
		At: time.Date(2026, 1, 20, 9, 0, 0, 0, time.UTC), Revision: 7, Origin: "api", By: "jo <jo@example.org>", Reason: reason,
		Changes: []Change{{Flag: "drop", Before: json.RawMessage(`{"defaultVariant":"off"}`)}},
	}
}

func open(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func verify(t *testing.T, path string) ([]Entry, error) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Verify(bytes.NewReader(data))
}

func TestAJournalGoesOnWhereItEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	for _, reason := range []string{"one", "two \"quoted\" <&>\n", "three"} {
		j := open(t, path)
		if _, err := j.Append(entry(reason)); err != nil {
			t.Fatal(err)
		}
		j.Close()
	}
	var seen []string
	j, err := Open(path, func(e Entry) { seen = append(seen, e.Reason) })
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	entries, err := verify(t, path)
	if err != nil || len(entries) != 3 || len(seen) != 3 {
		t.Fatalf("%d entries, %d seen, %v; want 3", len(entries), len(seen), err)
	}
	last, _ := j.Last()
	if last.Seq != 3 || last.Reason != "three" || last.Hash != entries[2].Hash || last.Prev != entries[1].Hash {
		t.Errorf("last entry %+v", last)
	}
	if c := entries[1].Changes[0]; string(c.After) != "null" || string(c.Before) != `{"defaultVariant":"off"}` {
		t.Errorf("change %+v", c)
	}
}

func TestTwoHoldersShareOneChain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var wg sync.WaitGroup
	for range 3 {
		j := open(t, path)
		wg.Go(func() {
			for range 10 {
				if _, err := j.Append(entry("shared")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if entries, err := verify(t, path); err != nil || len(entries) != 30 {
		t.Errorf("%d entries, %v; want 30", len(entries), err)
	}
}

func TestTamperingIsFoundAndTheJournalGoesOn(t *testing.T) {
	tests := []struct {
		name   string
		tamper func(lines []string) []string
		want   string // of Verify; Open says it too
	}{
		{"a changed word", func(l []string) []string { l[1] = strings.Replace(l[1], "two", "zwo", 1); return l }, "line 2: hash"},
		{"a line taken out", func(l []string) []string { return append(l[:1], l[2:]...) }, "line 2: its predecessor has hash"},
		{"lines put elsewhere", func(l []string) []string { l[0], l[1] = l[1], l[0]; return l }, "line 1: its predecessor has hash"},
		{"a line that is none", func(l []string) []string { l[1] = "{}\n"; return l }, "line 2: expected a JSON object that ends in its hash"},
		{"a line put in", func(l []string) []string { return append([]string{"\n"}, l...) }, "line 1: expected a JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			j := open(t, path)
			for _, reason := range []string{"one", "two", "three"} {
				if _, err := j.Append(entry(reason)); err != nil {
					t.Fatal(err)
				}
			}
			j.Close()
			data, _ := os.ReadFile(path)
			lines := tt.tamper(strings.SplitAfter(strings.TrimSuffix(string(data), "\n")+"\n", "\n"))
			if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := verify(t, path); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Verify: %v, want %q", err, tt.want)
			}
			j = open(t, path)
			if j.Broken() == nil {
				t.Error("Open noticed nothing")
			}
			if _, err := j.Append(entry("four")); err != nil {
				t.Errorf("it cannot be continued: %v", err)
			}
		})
	}
}

func TestACrashInTheMiddleOfALine(t *testing.T) {
	for _, cut := range []int{1, 2, 60, 200} { // bytes missing at the end
		path := filepath.Join(t.TempDir(), "journal")
		j := open(t, path)
		for _, reason := range []string{"one", "two"} {
			if _, err := j.Append(entry(reason)); err != nil {
				t.Fatal(err)
			}
		}
		j.Close()
		data, _ := os.ReadFile(path)
		if err := os.Truncate(path, int64(len(data)-cut)); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(t, path); err == nil {
			t.Errorf("%d bytes missing: Verify noticed nothing", cut)
		}
		j = open(t, path)
		if _, err := j.Append(entry("three")); err != nil {
			t.Fatal(err)
		}
		entries, err := verify(t, path)
		if err != nil || j.Broken() != nil {
			t.Errorf("%d bytes missing: %v, %v", cut, err, j.Broken())
		}
		torn, _ := os.ReadFile(path + ".torn")
		switch {
		case cut == 1 && (len(entries) != 3 || len(torn) != 0):
			t.Errorf("only the newline was missing: %d entries, %q set aside", len(entries), torn)
		case cut > 1 && (len(entries) != 2 || !strings.Contains(entries[1].Note, "torn") || len(torn) == 0):
			t.Errorf("%d bytes missing: %d entries, note %q, %q set aside", cut, len(entries), entries[len(entries)-1].Note, torn)
		}
	}
}

func TestAJournalThatWasCutIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	for range 3 {
		if _, err := j.Append(entry("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(entry("after")); err != nil {
		t.Fatal(err)
	}
	if j.Broken() == nil {
		t.Error("nobody noticed")
	}
	if _, err := verify(t, path); err == nil {
		t.Error("Verify takes a chain that begins in the middle")
	}
}
