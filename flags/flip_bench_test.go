package flags

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// fifty is a file of 50 flags, every fifth of them targeted.
func fifty() string {
	var b strings.Builder
	b.WriteString("flags:\n")
	for i := range 50 {
		fmt.Fprintf(&b, "  flag-%02d: # what it is for\n    state: ENABLED\n    variants: {on: true, off: false}\n    defaultVariant: \"off\"\n    metadata: {owner: ops}\n", i)
		if i%5 == 1 {
			b.WriteString("    targeting: {if: [{in: [{var: client}, [acme, globex]]}, \"on\", {fractional: [[\"on\", 10], [\"off\", 90]]}]}\n")
		}
	}
	return b.String()
}

// BenchmarkFlipAPI is one flip through Set: edit, check, write, flush, swap, journal.
func BenchmarkFlipAPI(b *testing.B) {
	book := openBook(b, fifty())
	i := 0
	for b.Loop() {
		i++
		if _, err := book.Set(b.Context(), Change{Key: "flag-00", Variant: [...]string{"on", "off"}[(i+1)%2], Reason: "bench", By: "bench"}); err != nil {
			b.Fatal(err)
		}
	}
	if book.View().Revision() != uint64(i)+1 {
		b.Errorf("revision %d after %d flips", book.View().Revision(), i)
	}
}

// BenchmarkFlipFile is the time from a file's rename to the first view with the new value.
func BenchmarkFlipFile(b *testing.B) {
	book := openBook(b, fifty())
	on := strings.Replace(fifty(), "\"off\"", "\"on\"", 1)
	g := NewGate("flag-00", Off)
	i := 0
	for b.Loop() {
		content, want := on, On
		if i++; i%2 == 0 {
			content, want = fifty(), Off
		}
		write(b, book.opts.Path+".new", content)
		if err := os.Rename(book.opts.Path+".new", book.opts.Path); err != nil {
			b.Fatal(err)
		}
		for book.View().Mode(g, &Subject{}) != want {
			time.Sleep(100 * time.Microsecond)
		}
	}
}

func BenchmarkView(b *testing.B) {
	book := openBook(b, fifty())
	doc := book.View().Document()
	for b.Loop() {
		newView(doc, 1, OriginFile, book.client, nil, &book.tallies, nil)
	}
}
