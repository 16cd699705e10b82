package document

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// An Edition says what [Edit] changes of one flag.
type Edition struct {
	Key      string
	Default  string            // the new default variant
	Metadata map[string]string // added, or put in the place of what was there
}

// Edit returns the file's text with one flag's default variant (and metadata) changed and its state ENABLED, and the
// document that this is. Every other byte stays as it was, comments and order included. The result has been read
// again: if anything but the edition would have changed, that is an error, and the file has to be edited by hand.
func (d *Document) Edit(e Edition) ([]byte, *Document, error) {
	flag := d.Flag(e.Key)
	if flag == nil {
		return nil, nil, fmt.Errorf("%s: no flag %q: expected one of %s", d.Path, e.Key, quoted(d.Keys()))
	}
	if _, ok := flag.Variant(e.Default); !ok {
		return nil, nil, fmt.Errorf("%s: flag %q has no variant %q: expected one of %s", flag.Pos, e.Key, e.Default, quoted(flag.VariantNames()))
	}
	ed := &editor{text: d.text, json: strings.EqualFold(filepath.Ext(d.Path), ".json")}
	n := d.root.get("flags").get(e.Key)
	ed.set(n, "defaultVariant", e.Default)
	if flag.Disabled {
		ed.set(n, "state", "ENABLED")
	}
	ed.metadata(n, e.Metadata)
	out, err := ed.apply()
	var after *Document
	if err == nil {
		after, err = d.check(out, e)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: flag %q cannot be changed in place, change it by hand: %w", flag.Pos, e.Key, err)
	}
	return out, after, nil
}

// check reads the edited text and compares it with what was asked for.
func (d *Document) check(out []byte, e Edition) (*Document, error) {
	after, err := Read(d.Path, out)
	if err != nil {
		return nil, fmt.Errorf("the edited file would be wrong: %w", err)
	}
	for _, c := range Diff(d, after) {
		if c.Key != e.Key {
			return nil, fmt.Errorf("flag %q would change too", c.Key)
		}
	}
	was, now := d.Flag(e.Key), after.Flag(e.Key)
	want := maps.Clone(was.Metadata)
	if want == nil {
		want = map[string]any{}
	}
	for k, v := range e.Metadata {
		want[k] = v
	}
	have := now.Metadata
	if have == nil {
		have = map[string]any{}
	}
	switch {
	case now.Default != e.Default || now.Disabled:
		return nil, errors.New("the default variant would not be the new one")
	case !bytes.Equal(was.Targeting, now.Targeting) || !slices.Equal(was.VariantNames(), now.VariantNames()):
		return nil, errors.New("its rule or variants would change too")
	case !maps.Equal(want, have) || !maps.Equal(d.Metadata, after.Metadata):
		return nil, errors.New("other metadata would change too")
	}
	return after, nil
}

// An editor collects replacements of byte ranges.
type editor struct {
	*text
	json    bool
	patches []patch
	err     error
}

type patch struct {
	from, to int
	text     string
}

func (ed *editor) replace(n *node, with string) {
	if n.end <= n.at {
		ed.err = fmt.Errorf("line %d: %s is written in a way that is not changed here", ed.pos(n.at).Line, n.show())
		return
	}
	ed.patches = append(ed.patches, patch{n.at, n.end, with})
}

// set gives a key of an object a string value.
func (ed *editor) set(object *node, key, value string) {
	switch old := object.get(key); {
	case old == nil:
		ed.insert(object, ed.quote(key)+": "+ed.quote(value))
	case old.kind != kindString || old.text != value:
		ed.replace(old, ed.quote(value))
	}
}

// insert puts a pair before an object's first one, in the object's own style.
func (ed *editor) insert(object *node, pair string) {
	if len(object.pairs) == 0 {
		ed.replace(object, "{"+pair+"}")
		return
	}
	first := object.pairs[0].key.at
	line := ed.lines[ed.pos(first).Line-1]
	indent := string(ed.bytes[line:first])
	separator := ", "
	switch ownLine := strings.TrimLeft(indent, " \t") == ""; {
	case object.block && ownLine:
		separator = ed.newline() + indent
	case object.block:
		ed.err = fmt.Errorf("line %d: a mapping that does not begin on a line of its own", ed.pos(first).Line)
		return
	case ownLine:
		separator = "," + ed.newline() + indent
	}
	ed.patches = append(ed.patches, patch{first, first, pair + separator})
}

func (ed *editor) newline() string {
	if bytes.Contains(ed.bytes, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

func (ed *editor) metadata(flag *node, values map[string]string) {
	if len(values) == 0 {
		return
	}
	names := slices.Sorted(maps.Keys(values))
	if m := flag.get("metadata"); m != nil && len(m.pairs) > 0 {
		for _, name := range names {
			ed.set(m, name, values[name])
		}
		return
	}
	pairs := make([]string, len(names))
	for i, name := range names {
		pairs[i] = ed.quote(name) + ": " + ed.quote(values[name])
	}
	object := "{" + strings.Join(pairs, ", ") + "}"
	if m := flag.get("metadata"); m != nil {
		ed.replace(m, object)
		return
	}
	ed.insert(flag, ed.quote("metadata")+": "+object)
}

// quote writes a string: plainly where the file is YAML and every reader takes it for a string, else quoted as JSON,
// which YAML reads too.
func (ed *editor) quote(s string) string {
	if !ed.json && isPlain(s) {
		return s
	}
	return string(appendString(nil, s))
}

func isPlain(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '-' && c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "", "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return true
}

// apply returns the text with the patches made, the last first so that offsets stay true.
func (ed *editor) apply() ([]byte, error) {
	if ed.err != nil {
		return nil, ed.err
	}
	slices.SortStableFunc(ed.patches, func(a, b patch) int { return b.from - a.from })
	out := bytes.Clone(ed.bytes)
	for _, p := range ed.patches {
		out = slices.Concat(out[:p.from], []byte(p.text), out[p.to:])
	}
	return out, nil
}
