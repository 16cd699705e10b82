package flags

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/flags/document"
	"github.com/breakwater-gateway/breakwater/flags/file"
	"github.com/breakwater-gateway/breakwater/flags/journal"
)

// A Change is what somebody wants of one flag.
type Change struct {
	Key     string
	Variant string    // the new default variant
	Reason  string    // why; must be given
	By      string    // who; must be given
	Owner   string    // who looks after the flag; "" leaves what the file says
	Link    string    // where to read on; "" leaves what the file says
	Expires time.Time // when the flag should be gone; zero leaves what the file says
}

// The metadata keys that a list shows, beside document.ExpiresKey: who looks after a flag, where to read on and why
// the flag is there at all. (Why it was last changed is in the journal.)
const (
	OwnerKey  = "owner"
	LinkKey   = "link"
	ReasonKey = "reason"
)

// Applied is what Set did.
type Applied struct {
	Revision uint64 // in which the flag has the variant
	Before   string // the default variant before, "" for none, or "DISABLED"
	Changed  bool   // whether there was anything to change
	Targeted bool   // the flag has a rule, which decides first: the variant holds where the rule says nothing
}

// ErrUnknown is part of every error about a flag or variant that does not exist, ErrInvalid of one about what a
// change lacks, and ErrConflict of one about a file that others keep changing.
var (
	ErrUnknown  = errors.New("not in the flag file")
	ErrInvalid  = errors.New("not a complete change")
	ErrConflict = errors.New("the flag file is being changed by others")
)

const attempts = 5

// Set gives a flag another default variant, and enables it if it was disabled. The flag file is edited in place, with
// whatever anybody has changed in it meanwhile; every other byte of it stays. When Set returns, the file is on the
// disk, the change is in the journal, and every view taken from then on has it.
//
// An error with an Applied whose Changed is true means that the flag has changed, but the journal could not be written
// or the disk does not say that it has everything.
func (b *Book) Set(ctx context.Context, c Change) (Applied, error) {
	if err := c.check(); err != nil {
		return Applied{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var a Applied
	var err error
	for range attempts {
		if a, err = b.set(ctx, c); !errors.Is(err, file.ErrChanged) {
			break
		}
	}
	if errors.Is(err, file.ErrChanged) || errors.Is(err, file.ErrBusy) {
		err = fmt.Errorf("flag %q: %w: %w", c.Key, ErrConflict, err)
	}
	return a, err
}

func (c Change) check() error {
	var missing []string
	for _, field := range []struct{ name, value string }{
		{"a flag's key", c.Key},
		{"a variant", c.Variant},
		{"a reason", c.Reason},
		{"who changes it", c.By},
	} {
		if strings.TrimSpace(field.value) == "" {
			missing = append(missing, field.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("flag %q: %w: expected %s", c.Key, ErrInvalid, strings.Join(missing, " and "))
	}
	return nil
}

// set does one attempt.
func (b *Book) set(ctx context.Context, c Change) (Applied, error) {
	now, err := readSettled(ctx, b.opts.Path)
	if err != nil {
		return Applied{}, fmt.Errorf("flag %q: %w", c.Key, err)
	}
	// What others have written and the watcher has not seen yet comes first, under their name.
	if err := b.take(now, OriginFile); err != nil {
		return Applied{}, fmt.Errorf("flag %q cannot be changed before the file is mended: %w", c.Key, err)
	}
	v := b.View()
	flag := v.doc.Flag(c.Key)
	if flag == nil {
		return Applied{}, fmt.Errorf("%w: %w", ErrUnknown, unknownFlag(v.doc, c.Key))
	}
	if _, ok := flag.Variant(c.Variant); !ok {
		return Applied{}, fmt.Errorf("%w: %s: flag %q has no variant %q: expected one of %s",
			ErrUnknown, flag.Pos, c.Key, c.Variant, quoteAll(flag.VariantNames()))
	}
	a := Applied{Revision: v.revision, Before: flag.Default, Targeted: flag.Targeting != nil}
	if flag.Disabled {
		a.Before = "DISABLED"
	}
	edition := document.Edition{Key: c.Key, Default: c.Variant, Metadata: c.metadata()}
	data, doc, err := v.doc.Edit(edition)
	if err == nil && doc.Digest == now.Digest {
		return a, nil
	}
	if err == nil {
		err = b.suits(doc)
	}
	if err != nil {
		return Applied{}, err
	}
	if err := file.Replace(b.opts.Path, data, now.Digest); err != nil {
		return Applied{}, err
	}
	changes := b.swap(doc, OriginAPI)
	b.up()
	flushed := make(chan error, 1) // beside the journal's own flush: a disk does both in the time of one
	go func() {
		b.keep(data)
		flushed <- file.Flush(b.opts.Path)
	}()
	a.Revision, a.Changed = b.View().Revision(), true
	b.log.Info("flag set", "flag", c.Key, "variant", c.Variant, "before", a.Before, "by", c.By, "reason", c.Reason, "revision", a.Revision)
	err = b.write(journal.Entry{Origin: string(OriginAPI), By: c.By, Reason: c.Reason}, changes)
	if err = errors.Join(err, <-flushed); err != nil {
		return a, fmt.Errorf("flag %q is %q from revision %d on, but not everything could be written: %w", c.Key, c.Variant, a.Revision, err)
	}
	return a, nil
}

func (c Change) metadata() map[string]string {
	m := map[string]string{}
	for key, value := range map[string]string{OwnerKey: c.Owner, LinkKey: c.Link} {
		if value != "" {
			m[key] = value
		}
	}
	if !c.Expires.IsZero() {
		m[document.ExpiresKey] = c.Expires.UTC().Format(time.RFC3339)
	}
	return m
}
