// Package document reads the flag file: flagd's schema, in JSON or YAML, strictly.
//
// flagd is lenient where an operator would want to be told: an unknown state counts as enabled, of two flags with one
// key the last wins, "flags": null deletes everything, an unknown operator fails when it is evaluated. [Read] calls each
// of these a mistake and reports all mistakes at once, each with its line and column and what was expected. Whatever
// it accepts loads in flagd and means the same there.
//
// A [Document] is immutable. [Document.Edit] changes one flag in the file's text, leaving every other byte as
// it was, comments included; [Diff] says what differs between two documents.
package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Document is one flag file, read and checked.
type Document struct {
	Path     string
	Digest   [sha256.Size]byte // of the file's bytes
	Flags    []Flag            // in file order
	Metadata map[string]any    // of the set: strings, float64, booleans

	byKey map[string]int
	text  *text // for Edit
	root  *node
}

// A Kind is the type that all variants of a flag share.
type Kind uint8

const (
	Boolean Kind = iota + 1
	String
	Number
	Object
)

// String returns "boolean", "string", "number" or "object".
func (k Kind) String() string {
	return [...]string{"unknown", "boolean", "string", "number", "object"}[k]
}

// A Flag is one flag of a document.
type Flag struct {
	Key      string
	Pos      Pos // of its key
	Kind     Kind
	Disabled bool
	Default  string // the default variant; "" if the flag has none
	Variants []Variant
	Metadata map[string]any // its own; the set's are not merged in

	Targeting json.RawMessage // the rule with its references resolved, or nil if there is none
	Reads     Reads           // what the rule reads

	Source json.RawMessage // the whole flag as JSON, its references unresolved: what a diff compares and a journal keeps
}

// A Variant is one value that a flag can take.
type Variant struct {
	Name  string
	Value any // bool, string, float64 or map[string]any
	Pos   Pos
}

// Reads says what of an evaluation context a rule depends on.
type Reads struct {
	Attributes []string // sorted, each once
	Time       bool     // it reads $flagd.timestamp
}

// Variant returns the variant of that name.
func (f *Flag) Variant(name string) (Variant, bool) {
	for _, v := range f.Variants {
		if v.Name == name {
			return v, true
		}
	}
	return Variant{}, false
}

// VariantNames returns the names of all variants, in file order.
func (f *Flag) VariantNames() []string {
	names := make([]string, len(f.Variants))
	for i, v := range f.Variants {
		names[i] = v.Name
	}
	return names
}

// Expires returns when the flag's metadata say that it should be gone, or the zero time.
func (f *Flag) Expires() time.Time {
	s, _ := f.Metadata[ExpiresKey].(string)
	at, _ := parseExpiry(s) // checked when the file was read
	return at
}

// ExpiresKey is the metadata key of a flag's expiry: an RFC 3339 time or date.
const ExpiresKey = "expires"

func parseExpiry(s string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, nil
	}
	return time.Parse(time.DateOnly, s)
}

// Flag returns the flag of that key, or nil.
func (d *Document) Flag(key string) *Flag {
	if i, ok := d.byKey[key]; ok {
		return &d.Flags[i]
	}
	return nil
}

// Keys returns the keys of all flags, sorted.
func (d *Document) Keys() []string {
	list := make([]string, len(d.Flags))
	for i := range d.Flags {
		list[i] = d.Flags[i].Key
	}
	slices.Sort(list)
	return list
}

// MaxBytes is the largest flag file that is read.
const MaxBytes = 1 << 20

// Load reads the file at path. What is wrong with its content comes back as [Problems].
func Load(path string) (*Document, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Read(path, data)
}

// Read reads a file's content; path names it in messages, and its extension says which format it has. It keeps data,
// which must not be written to any more.
func Read(path string, data []byte) (*Document, error) {
	t, root, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	r := &reader{text: t, evaluators: map[string]*node{}}
	d := r.document(root)
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	d.Path, d.Digest, d.text, d.root = path, sha256.Sum256(data), t, root
	return d, nil
}

// parse reads the text into nodes, whatever they mean.
func parse(path string, data []byte) (*text, *node, error) {
	t := newText(path, data)
	fail := func(message string) (*text, *node, error) {
		return nil, nil, Problems{{Pos{File: path}, message}}
	}
	if len(data) > MaxBytes {
		return fail(fmt.Sprintf("%d bytes: expected at most %d", len(data), MaxBytes))
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return fail(`the file is empty: expected an object with "flags"`)
	}
	var root *node
	var err error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".json":
		root, err = parseJSON(t)
	case ".yaml", ".yml":
		root, err = parseYAML(t)
	default:
		return fail(fmt.Sprintf("file extension %q: expected .json, .yaml or .yml", ext))
	}
	if err != nil {
		problem, ok := err.(Problem)
		if !ok {
			problem = Problem{Pos{File: path}, err.Error()}
		}
		return nil, nil, Problems{problem}
	}
	return t, root, nil
}
