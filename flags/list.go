package flags

import (
	"maps"
	"time"

	"github.com/breakwater-gateway/breakwater/flags/document"
	"github.com/breakwater-gateway/breakwater/flags/journal"
)

// An Item is one flag as a list shows it.
type Item struct {
	Key      string
	Kind     string   // boolean, string, number or object
	Variants []string // in file order
	Values   map[string]any
	Default  string // the default variant, "" for none
	Disabled bool
	Targeted bool
	Reads    []string // the attributes that its rule reads
	ReadsNow bool     // the rule reads the time
	Rule     string   // as JSON, "" for none
	Pos      string   // file:line:column
	Mode     string   // what gates get from it without a rule, "" if that depends or is their fallback
	Bound    bool     // a gate of the running configuration asks for it
	Owner    string
	Reason   string
	Link     string
	Expires  time.Time      // zero for never
	Metadata map[string]any // the flag's and the set's
	Changed  LastChange
}

// A LastChange says who changed a flag last, as far as the journal knows; zero if it does not.
type LastChange struct {
	At       time.Time
	Revision uint64
	Origin   Origin
	By       string
	Reason   string
}

func (b *Book) lastChange(key string) LastChange {
	b.changedMu.Lock()
	defer b.changedMu.Unlock()
	return b.changed[key]
}

// remember takes note of a journal entry.
func (b *Book) remember(e journal.Entry) {
	b.changedMu.Lock()
	defer b.changedMu.Unlock()
	for _, c := range e.Changes {
		b.changed[c.Flag] = LastChange{At: e.At, Revision: e.Revision, Origin: Origin(e.Origin), By: e.By, Reason: e.Reason}
	}
}

// Flags lists every flag of the current view, in file order.
func (b *Book) Flags() []Item {
	v := b.View()
	if v.doc == nil {
		return nil
	}
	items := make([]Item, len(v.doc.Flags))
	for i := range v.doc.Flags {
		f := &v.doc.Flags[i]
		items[i] = v.item(f)
		items[i].Changed = b.lastChange(f.Key)
	}
	return items
}

func (v *View) item(f *document.Flag) Item {
	it := Item{
		Key: f.Key, Kind: f.Kind.String(), Variants: f.VariantNames(), Values: map[string]any{},
		Default: f.Default, Disabled: f.Disabled, Targeted: f.Targeting != nil,
		Reads: f.Reads.Attributes, ReadsNow: f.Reads.Time, Rule: string(f.Targeting), Pos: f.Pos.String(),
		Expires: f.Expires(), Metadata: map[string]any{},
	}
	for _, variant := range f.Variants {
		it.Values[variant.Name] = variant.Value
	}
	maps.Copy(it.Metadata, v.doc.Metadata)
	maps.Copy(it.Metadata, f.Metadata)
	it.Owner, _ = f.Metadata[OwnerKey].(string)
	it.Reason, _ = f.Metadata[ReasonKey].(string)
	it.Link, _ = f.Metadata[LinkKey].(string)
	id := keys.id(f.Key)
	it.Bound = v.gates[id]
	if says := v.entries[id].says; says < saysNothing {
		it.Mode = Mode(says).String()
	}
	return it
}
