// Package flags answers gates: whether a step is off, observes or is on, for this client on this route, now.
//
// A [Gate] names a flag and says what holds while it cannot be resolved. A [Book] follows one flag file in flagd's
// schema and holds its current [View]; a request takes the view once and asks it for every gate, so that all its
// answers come from one revision. Flags without targeting are compiled into the view. Targeted ones are evaluated by
// flagd's evaluator through the OpenFeature client, once for each set of values that the rule reads. Nothing on the
// way of a request waits, and nothing that goes wrong with a flag does more than leave its gates at their fallback.
//
// A file with a mistake in it changes nothing: the last good flags stay, and the mistakes are in [Book.Status] and in
// the log, each with line and column. [Book.Set] is the one way to change a flag from within: it edits the file in
// place and writes who, when and why to a journal that can only grow; an edit by hand gets there too.
//
// Below are flags/document (the file's text and meaning), flags/file (reading, watching, replacing) and flags/journal.
package flags

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"

	"github.com/breakwater-gateway/breakwater/flags/document"
	"github.com/breakwater-gateway/breakwater/flags/file"
	"github.com/breakwater-gateway/breakwater/flags/journal"
)

// Options say where a book's flags are.
type Options struct {
	Path     string       // the flag file: .json, .yaml or .yml
	LastGood string       // where a copy of the last good file is kept; "" for none; its directory is made
	Journal  string       // where changes are written down; "" for nowhere; its directory is made
	Log      *slog.Logger // nil for none
}

// An Origin says where a document came from.
type Origin string

const (
	OriginNone     Origin = "fallbacks" // nowhere: every gate has its fallback
	OriginLastGood Origin = "last good" // the copy of the last good file
	OriginFile     Origin = "file"      // the file, changed by somebody else
	OriginAPI      Origin = "api"       // Book.Set
	OriginStart    Origin = "start"     // the file, as it was when the book was opened
)

// A Book follows a flag file. Its methods may be called from many goroutines.
type Book struct {
	opts     Options
	log      *slog.Logger
	api      *openfeature.EvaluationAPI
	client   *openfeature.Client
	provider *provider
	journal  *journal.Journal // nil for none
	tallies  tallies
	view     atomic.Pointer[View]
	status   atomic.Pointer[Status]
	refused  atomic.Uint64
	journalN atomic.Uint64 // entries that could not be written

	mu    sync.Mutex // one at a time changes view, gates or file
	gates map[uint32]bool
	first file.Content // what Open saw, from where Run watches on

	changedMu sync.Mutex
	changed   map[string]LastChange // by flag
}

// Status says how the book and its file are.
type Status struct {
	SourceUp bool      // the file can be read and its content is what the view was made from
	Err      error     // why not: what is wrong with the file, or with reading it
	Since    time.Time // since when it is like that
}

// Open reads the flags: from the file, else from the last good copy, else none, which leaves every gate at its
// fallback; Status and View().Origin() say which. An error means that the book cannot work at all (the journal cannot
// be opened, say), never that the flag file is wrong. Close ends it.
func Open(ctx context.Context, o Options) (*Book, error) {
	if o.Path == "" {
		return nil, errors.New("flags: no path of a flag file")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Book{opts: o, log: o.Log, gates: map[uint32]bool{}, changed: map[string]LastChange{}}
	b.provider = &provider{view: b.View, events: make(chan openfeature.Event, 16)}
	b.view.Store(newView(nil, 0, OriginNone, nil, nil, &b.tallies, nil))
	b.status.Store(&Status{Since: time.Now()})
	b.api = isolated.NewAPI()
	if err := b.api.SetProviderAndWait(ctx, b.provider); err != nil {
		return nil, fmt.Errorf("flags: %w", err)
	}
	b.client = b.api.NewClient()
	if o.LastGood != "" {
		if err := os.MkdirAll(filepath.Dir(o.LastGood), 0o700); err != nil {
			b.log.Warn("the last good flags cannot be kept", "error", err)
		}
	}
	if o.Journal != "" {
		err := os.MkdirAll(filepath.Dir(o.Journal), 0o700)
		var j *journal.Journal
		if err == nil {
			j, err = journal.Open(o.Journal, b.remember)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("flags: open the journal: %w", err), b.Close())
		}
		b.journal = j
		if broken := j.Broken(); broken != nil {
			b.log.Error("the flag journal's chain is broken; it is continued", "error", broken)
		}
	}
	b.start(ctx)
	return b, nil
}

// start loads the first document there is.
func (b *Book) start(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := readSettled(ctx, b.opts.Path)
	if err == nil {
		b.first = c
		var doc *document.Document
		if doc, err = document.Read(b.opts.Path, c.Bytes); err == nil {
			b.accept(doc, c.Bytes, OriginStart)
			return
		}
	}
	b.refuse(err)
	if b.opts.LastGood == "" {
		b.log.Error("no flags: every gate has its fallback")
		return
	}
	data, err := os.ReadFile(b.opts.LastGood)
	if err == nil {
		var doc *document.Document
		// The copy has the file's format whatever its own name is.
		if doc, err = document.Read(b.opts.Path, data); err == nil {
			b.swap(doc, OriginLastGood)
			b.log.Warn("flags are those of the last good copy", "path", b.opts.LastGood, "revision", b.View().Revision())
			return
		}
	}
	b.log.Error("no last good copy of the flags either: every gate has its fallback", "error", err)
}

// readSettled reads the file, and waits for a moment if somebody is just writing it.
func readSettled(ctx context.Context, path string) (file.Content, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for {
		c, err := file.Read(path)
		if !errors.Is(err, file.ErrBusy) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return c, err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Run follows the file until ctx ends. It returns when nothing of it runs any more.
func (b *Book) Run(ctx context.Context) error {
	file.Watch(ctx, b.opts.Path, b.first, b.offer)
	return ctx.Err()
}

// Close ends the book; gates keep their answers, untargeted ones at least. Call it after Run has returned and the
// last request has ended.
func (b *Book) Close() error {
	err := b.api.Shutdown(context.Background())
	if b.journal != nil {
		err = errors.Join(err, b.journal.Close())
	}
	return err
}

// View returns the current view. A request keeps it until its end.
func (b *Book) View() *View { return b.view.Load() }

// Refresh reads the file now instead of when it is next noticed, and says what is wrong with it.
func (b *Book) Refresh(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := readSettled(ctx, b.opts.Path)
	if err == nil {
		err = b.take(c, OriginFile)
	}
	if err != nil {
		b.refuse(err)
	}
	return err
}

// Client returns an OpenFeature client of these flags, for whoever wants values that are no gate. Its evaluations
// see the current view, or the one that [View.Pin] has put into their context.
func (b *Book) Client() *openfeature.Client { return b.client }

// API returns the OpenFeature API that the book's provider is registered with, for hooks and event handlers. A
// provider must not be set on it. Hooks run for each evaluation, so for a gate once for each verdict; the answer that
// is remembered includes what they add to the context.
func (b *Book) API() *openfeature.EvaluationAPI { return b.api }

// Pin returns a context in which OpenFeature evaluations of the book's client see this view.
func (v *View) Pin(ctx context.Context) context.Context { return context.WithValue(ctx, pinKey{}, v) }

// Status returns how the file is.
func (b *Book) Status() Status { return *b.status.Load() }

// Refused counts contents of the file that were not taken, or times when it could not be read.
func (b *Book) Refused() uint64 { return b.refused.Load() }

// Unwritten counts changes that the journal could not take.
func (b *Book) Unwritten() uint64 { return b.journalN.Load() }

// Broken says where the journal's chain does not hold, or nil. The journal is continued all the same.
func (b *Book) Broken() error {
	if b.journal == nil {
		return nil
	}
	return b.journal.Broken()
}

// Bind says which gates the running configuration asks for, instead of those said before. A document that lacks one
// of their flags, or in which a variant is no mode, is refused from now on; if the current one does, Bind changes nothing
// and says so.
func (b *Book) Bind(gates ...Gate) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	bound := make(map[uint32]bool, len(gates))
	var wrong []error
	for _, g := range gates {
		if g == (Gate{}) || bound[g.id] {
			continue
		}
		bound[g.id] = true
		if err := b.View().Check(g); err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	b.gates = bound
	v := b.View() // the same revision, with room for the gates' numbers
	b.view.Store(newView(v.doc, v.revision, v.origin, b.client, bound, &b.tallies, v).at(v.loaded))
	return nil
}

func (v *View) at(loaded time.Time) *View {
	v.loaded = loaded
	return v
}

// offer takes what the watcher sees. While it waited for its turn Set may have replaced the file, so it is read once
// more: an older content must never follow a newer one.
func (b *Book) offer(_ file.Content, err error) (done bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var c file.Content
	if err == nil {
		if c, err = file.Read(b.opts.Path); errors.Is(err, file.ErrBusy) {
			return false // somebody has just begun to write
		}
	}
	if err == nil {
		err = b.take(c, OriginFile)
	}
	if err != nil {
		b.refuse(err)
	}
	return true
}

// take makes a view of the file's content, unless it is the one that the current view was made from.
func (b *Book) take(c file.Content, origin Origin) error {
	v := b.View()
	if v.doc != nil && v.doc.Digest == c.Digest && v.origin != OriginLastGood {
		b.up()
		return nil
	}
	doc, err := document.Read(b.opts.Path, c.Bytes)
	if err != nil {
		return err
	}
	if err := b.suits(doc); err != nil {
		return err
	}
	b.accept(doc, c.Bytes, origin)
	return nil
}

// suits checks a document against the gates that are asked for.
func (b *Book) suits(doc *document.Document) error {
	var wrong []error
	for id := range b.gates {
		if err := CheckGate(doc, Gate{id: id}); err != nil {
			wrong = append(wrong, err)
		}
	}
	slices.SortFunc(wrong, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
	return errors.Join(wrong...)
}

// accept puts a document in force and writes it down.
func (b *Book) accept(doc *document.Document, data []byte, origin Origin) {
	before := b.View()
	changes := b.swap(doc, origin)
	b.up()
	b.keep(data)
	if origin == OriginStart && b.isLastJournalled(doc) {
		return
	}
	_ = b.write(journal.Entry{Origin: string(origin)}, changes) // counted and logged there
	if before.revision > 0 {
		b.log.Info("flags changed", "revision", b.View().Revision(), "flags", changedKeys(changes))
	}
}

// swap makes and publishes the view of a document.
func (b *Book) swap(doc *document.Document, origin Origin) []document.Change {
	was := b.View()
	revision := was.revision + 1
	if was.revision == 0 {
		revision = b.firstRevision(doc)
	}
	b.view.Store(newView(doc, revision, origin, b.client, b.gates, &b.tallies, was))
	changes := document.Diff(was.doc, doc)
	b.provider.emit(openfeature.ProviderConfigChange, changes, "revision "+fmt.Sprint(revision))
	return changes
}

// firstRevision goes on from the journal's last one, so that revisions grow over restarts too.
func (b *Book) firstRevision(doc *document.Document) uint64 {
	if b.journal == nil {
		return 1
	}
	last, _ := b.journal.Last()
	if b.isLastJournalled(doc) {
		return max(last.Revision, 1)
	}
	return last.Revision + 1
}

func (b *Book) isLastJournalled(doc *document.Document) bool {
	if b.journal == nil {
		return false
	}
	last, ok := b.journal.Last()
	return ok && last.Digest == hex.EncodeToString(doc.Digest[:])
}

// write appends an entry to the journal.
func (b *Book) write(e journal.Entry, changes []document.Change) error {
	if b.journal == nil {
		return nil
	}
	v := b.View()
	e.At, e.Revision, e.Digest = time.Now().UTC(), v.revision, v.Digest()
	for _, c := range changes {
		e.Changes = append(e.Changes, journal.Change{Flag: c.Key, Before: c.Before, After: c.After})
	}
	_, err := b.journal.Append(e)
	if err != nil {
		b.journalN.Add(1)
		b.log.Error("a change of the flags is not in the journal", "revision", v.revision, "error", err)
	}
	return err
}

// keep stores the last good copy.
func (b *Book) keep(data []byte) {
	if b.opts.LastGood == "" {
		return
	}
	if err := file.Keep(b.opts.LastGood, data); err != nil {
		b.log.Warn("the last good flags cannot be kept", "error", err)
	}
}

// up says that the file and the view agree.
func (b *Book) up() {
	if s := b.Status(); s.SourceUp {
		return
	}
	b.status.Store(&Status{SourceUp: true, Since: time.Now()})
	b.provider.emit(openfeature.ProviderReady, nil, "the flag file is read")
}

// refuse says that the file cannot be used; what is in force stays.
func (b *Book) refuse(err error) {
	b.refused.Add(1)
	b.log.Error("the flag file is not taken; what was in force stays", "path", b.opts.Path, "revision", b.View().Revision(), "error", err)
	since := time.Now()
	if s := b.Status(); !s.SourceUp && s.Err != nil {
		since = s.Since
	}
	b.status.Store(&Status{Err: err, Since: since})
	event := openfeature.ProviderStale
	if b.View().doc == nil {
		event = openfeature.ProviderError
	}
	b.provider.emit(event, nil, err.Error())
}

func changedKeys(changes []document.Change) []string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.Key
	}
	return list
}
