package flags

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/open-feature/flagd/core/pkg/evaluator"
	"github.com/open-feature/flagd/core/pkg/logger"
	"github.com/open-feature/flagd/core/pkg/model"
	"github.com/open-feature/flagd/core/pkg/store"
	"github.com/open-feature/go-sdk/openfeature"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/breakwater-gateway/breakwater/flags/document"
)

// A View is every flag at one revision. It never changes: a request that keeps one gets all its answers from one
// document, however often the file changes meanwhile. It owns its store and its evaluator; flagd's, updated in place,
// would answer from two documents.
//
// The zero View knows no flag: every gate has its fallback.
type View struct {
	revision uint64
	loaded   time.Time
	origin   Origin
	doc      *document.Document // nil if no flag file could be read
	entries  []entry            // by gate id
	eval     *evaluator.Resolver
	client   *openfeature.Client
	pinned   context.Context // evaluations with it see this view
	gates    map[uint32]bool // that the running configuration asks for
	late     *tally          // counts gates that the view was not made for
}

// An entry is what a view knows of one flag: a constant, or a rule to ask.
type entry struct {
	says  outcome
	rule  *rule
	tally *tally
}

// Mode answers a gate for a subject. An untargeted flag costs a look-up; a targeted one is evaluated once for each
// set of attribute values that its rule reads. Neither allocates once the answer is known. What cannot be resolved is
// the gate's fallback, and counted.
func (v *View) Mode(g Gate, s *Subject) Mode {
	if int(g.id) >= len(v.entries) {
		return v.unknown(g)
	}
	e := &v.entries[g.id]
	says := e.says
	if says == isTargeted {
		says = e.rule.decide(v, s)
	}
	e.tally.add(says)
	if says == saysNothing {
		return g.fallback
	}
	return Mode(says)
}

func (v *View) unknown(g Gate) Mode {
	if v.late != nil {
		v.late.add(saysNothing)
	}
	return g.fallback
}

// Revision grows with every change of the flags. Zero means that no flag file was ever read.
func (v *View) Revision() uint64 { return v.revision }

// Loaded returns when the view was made.
func (v *View) Loaded() time.Time { return v.loaded }

// Origin says where the view's document came from.
func (v *View) Origin() Origin { return v.origin }

// Document returns what the view was made from, or nil if every gate has its fallback.
func (v *View) Document() *document.Document { return v.doc }

// Digest returns the SHA-256 of the flag file in hexadecimal, or "" without one.
func (v *View) Digest() string {
	if v.doc == nil {
		return ""
	}
	return fmt.Sprintf("%x", v.doc.Digest)
}

// Check says why the view could not answer a gate: its flag is not there, or has a variant that is no mode. A view
// without a document answers every gate, with its fallback.
func (v *View) Check(g Gate) error {
	if v.doc == nil {
		return nil
	}
	return CheckGate(v.doc, g)
}

// CheckGate says why a document could not answer a gate.
func CheckGate(doc *document.Document, g Gate) error {
	key := g.Key()
	f := doc.Flag(key)
	if f == nil {
		return fmt.Errorf("%s: no flag %q, which a gate asks for: expected one of %s, or the flag with \"state\": \"DISABLED\"",
			doc.Path, key, quoteAll(doc.Keys()))
	}
	modes := modesOf(f)
	var wrong []error
	for _, variant := range f.Variants {
		if _, ok := modes[variant.Name]; !ok {
			wrong = append(wrong, fmt.Errorf("%s: flag %q: variant %q is %v, which a gate takes for no mode: expected booleans, or the strings \"off\", \"observe\", \"on\"",
				variant.Pos, key, variant.Name, show(variant.Value)))
		}
	}
	return errors.Join(wrong...)
}

func show(value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v)
	case map[string]any:
		return "an object"
	}
	return fmt.Sprint(value)
}

func quoteAll(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = strconv.Quote(name)
	}
	return strings.Join(list, ", ")
}

// newView compiles a document. From previous it takes over the rules of flags that did not change.
func newView(doc *document.Document, revision uint64, origin Origin, client *openfeature.Client, gates map[uint32]bool, tallies *tallies, previous *View) *View {
	v := &View{revision: revision, loaded: time.Now(), origin: origin, doc: doc, client: client, gates: gates, late: tallies.of(0)}
	v.pinned = context.WithValue(context.Background(), pinKey{}, v)
	size := uint32(0)
	ids := map[uint32]*document.Flag{}
	if doc != nil {
		for i := range doc.Flags {
			ids[keys.id(doc.Flags[i].Key)] = &doc.Flags[i]
		}
	}
	for id := range gates {
		if ids[id] == nil {
			ids[id] = nil
		}
	}
	for id := range ids {
		size = max(size, id+1)
	}
	v.entries = make([]entry, size)
	for i := range v.entries {
		v.entries[i] = entry{says: saysNothing, tally: v.late} // the zero Gate, and flags of other books
	}
	for id, f := range ids {
		v.entries[id] = compile(f, tallies.of(id), previous.rule(id))
	}
	if doc != nil {
		eval := evaluator.NewResolver(newFlagStore(doc), quiet, noop.NewTracerProvider().Tracer(""))
		v.eval = &eval
	}
	return v
}

// rule returns the rule of a flag, or nil.
func (v *View) rule(id uint32) *rule {
	if v == nil || int(id) >= len(v.entries) {
		return nil
	}
	return v.entries[id].rule
}

func compile(f *document.Flag, t *tally, was *rule) entry {
	switch {
	case f == nil || f.Disabled:
		return entry{says: saysNothing, tally: t}
	case f.Targeting != nil && was != nil && document.Same(was.flag, f):
		return entry{says: isTargeted, rule: was, tally: t}
	case f.Targeting != nil:
		return entry{says: isTargeted, rule: newRule(f, t), tally: t}
	}
	says, ok := modesOf(f)[f.Default]
	if !ok {
		says = saysNothing // no default, or a flag that no gate asks for
	}
	return entry{says: says, tally: t}
}

// quiet is flagd's logger: what it has to say comes back as errors.
var quiet = logger.NewLogger(zap.NewNop(), false)

// resolve asks OpenFeature, and through it this view's evaluator.
func (v *View) resolve(r *rule, s *Subject) (says outcome, err error) {
	defer func() {
		if p := recover(); p != nil { // a hook is anybody's code
			says, err = saysNothing, fmt.Errorf("flag %q: evaluation panicked: %v", r.flag.Key, p)
		}
	}()
	a := v.evaluate(v.pinned, r.flag, s)
	if a.Error != "" {
		return saysNothing, errors.New(a.Error)
	}
	if says, ok := r.modes[a.Variant]; ok {
		return says, nil
	}
	if a.Variant == "" { // the rule gave nothing and there is no default
		return saysNothing, nil
	}
	return saysNothing, fmt.Errorf("flag %q: variant %q is no mode", r.flag.Key, a.Variant)
}

// pinKey is the context key of the view that an evaluation belongs to.
type pinKey struct{}

// flagStore is the store of one view's evaluator: the flags of one document, which never change.
type flagStore struct{ flags map[string]model.Flag }

func newFlagStore(doc *document.Document) *flagStore {
	s := &flagStore{flags: make(map[string]model.Flag, len(doc.Flags))}
	for i := range doc.Flags {
		f := &doc.Flags[i]
		m := model.Flag{Key: f.Key, State: "ENABLED", DefaultVariant: f.Default, Targeting: f.Targeting, Source: doc.Path}
		if f.Disabled {
			m.State = evaluator.Disabled
		}
		m.Variants = make(map[string]any, len(f.Variants))
		for _, variant := range f.Variants {
			m.Variants[variant.Name] = variant.Value
		}
		m.Metadata = make(model.Metadata, len(doc.Metadata)+len(f.Metadata))
		for key, value := range doc.Metadata {
			m.Metadata[key] = value
		}
		for key, value := range f.Metadata {
			m.Metadata[key] = value
		}
		s.flags[f.Key] = m
	}
	return s
}

// Get returns a flag and a new map, which the evaluator fills with the flag's metadata.
func (s *flagStore) Get(_ context.Context, key string, _ *store.Selector) (model.Flag, model.Metadata, error) {
	f, ok := s.flags[key]
	if !ok {
		return model.Flag{}, model.Metadata{}, fmt.Errorf("no flag %q", key)
	}
	return f, model.Metadata{}, nil
}

// GetAll returns all flags.
func (s *flagStore) GetAll(context.Context, *store.Selector) ([]model.Flag, model.Metadata, error) {
	all := make([]model.Flag, 0, len(s.flags))
	for _, f := range s.flags {
		all = append(all, f)
	}
	return all, model.Metadata{}, nil
}

// Watch and Update are the store's way to change, which a view has none of; only flagd's servers call them.
func (s *flagStore) Watch(context.Context, *store.Selector, chan<- store.FlagQueryResult) {
	panic("BUG: flags: a view's store does not change")
}

func (s *flagStore) Update(string, []model.Flag, model.Metadata, bool) {
	panic("BUG: flags: a view's store does not change")
}
