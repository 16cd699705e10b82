package document

import (
	"bytes"
	"encoding/json"
	"slices"
)

// A Change is one flag that differs between two documents. Before or After is nil where the flag is not there.
type Change struct {
	Key           string          `json:"flag"`
	Before, After json.RawMessage // the flag as JSON
}

// Diff returns the flags that differ, sorted by key. A nil document has no flags. A flag whose rule refers to an
// evaluator that changed differs too.
func Diff(before, after *Document) []Change {
	if before == nil {
		before = &Document{}
	}
	var changes []Change
	for i := range after.Flags {
		now := &after.Flags[i]
		was := before.Flag(now.Key)
		switch {
		case was == nil:
			changes = append(changes, Change{Key: now.Key, After: now.Source})
		case !Same(was, now):
			changes = append(changes, Change{Key: now.Key, Before: was.Source, After: now.Source})
		}
	}
	for i := range before.Flags {
		if was := &before.Flags[i]; after.Flag(was.Key) == nil {
			changes = append(changes, Change{Key: was.Key, Before: was.Source})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	return changes
}

// Same reports whether two flags of one key mean the same.
func Same(a, b *Flag) bool {
	return bytes.Equal(a.Source, b.Source) && bytes.Equal(a.Targeting, b.Targeting)
}
