package flags

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/flags/document"
)

// A rule is a targeted flag, compiled: which attributes it reads, what each variant means as a mode, and the verdicts
// found so far. Verdicts are keyed by the attributes that the rule reads and by nothing else, so that one client costs
// one evaluation whatever else its requests differ in. An unchanged flag keeps its rule, and with it its verdicts,
// from one revision to the next.
//
// Reading is lock-free: a table of pointers to immutable verdicts, two places for each hash. A table that gets crowded
// is replaced by a larger one, up to maxVerdicts; from there on a new verdict takes an old one's place.
type rule struct {
	flag  *document.Flag
	modes map[string]outcome // by variant
	reads []reading
	table atomic.Pointer[table]
	grow  sync.Mutex
	tally *tally
}

type table struct {
	places []atomic.Pointer[verdict]
	used   atomic.Int64
}

type verdict struct {
	hash   uint64
	values []string // of rule.reads
	says   outcome
	until  time.Duration // by clock; 0 means always
}

const (
	minVerdicts = 64
	maxVerdicts = 1 << 14
)

var seed = maphash.MakeSeed()

// clock is the time since the program began: reading it costs half of what time.Now does.
func clock() time.Duration { return time.Since(began) }

var began = time.Now()

// thisSecond returns when the current second of Unix time ends. A rule that reads the time sees whole seconds, so it
// answers anew in each; an error is tried again in the next.
func thisSecond() time.Duration {
	now := time.Now()
	return now.Sub(began) + time.Second - time.Duration(now.Nanosecond())
}

func newRule(f *document.Flag, t *tally) *rule {
	r := &rule{flag: f, modes: modesOf(f), tally: t}
	for _, name := range f.Reads.Attributes {
		rd := newReading(name)
		if len(r.reads) == 0 || r.reads[len(r.reads)-1] != rd {
			r.reads = append(r.reads, rd)
		}
	}
	r.table.Store(newTable(minVerdicts))
	return r
}

func newTable(places int) *table { return &table{places: make([]atomic.Pointer[verdict], places)} }

// decide returns the remembered verdict, or evaluates and remembers.
func (r *rule) decide(v *View, s *Subject) outcome {
	var some [8]string // a rule that reads more attributes costs an allocation
	values := some[:0]
	hash := uint64(len(r.reads))
	for _, rd := range r.reads {
		value := s.value(rd)
		values = append(values, value)
		hash = (hash<<7 | hash>>57) ^ maphash.String(seed, value)
	}
	t := r.table.Load()
	i := hash & uint64(len(t.places)-1)
	for _, i := range [2]uint64{i, i ^ 1} {
		if p := t.places[i].Load(); p != nil && p.hash == hash && slices.Equal(p.values, values) && (p.until == 0 || clock() < p.until) {
			return p.says
		}
	}
	return r.evaluate(v, s, hash)
}

// evaluate stays out of decide, which has to be small.
//
//go:noinline
func (r *rule) evaluate(v *View, s *Subject, hash uint64) outcome {
	until := thisSecond() // by when it begins, however long it takes
	says, err := v.resolve(r, s)
	r.tally.evaluations.Add(1)
	p := &verdict{hash: hash, says: says, values: make([]string, len(r.reads))}
	for i, rd := range r.reads {
		p.values[i] = strings.Clone(s.value(rd))
	}
	if err != nil {
		r.tally.failed(err.Error())
	}
	if err != nil || r.flag.Reads.Time {
		p.until = until
	}
	r.remember(p)
	return says
}

func (r *rule) remember(p *verdict) {
	t := r.table.Load()
	if t.put(p) || len(t.places) >= maxVerdicts {
		return
	}
	r.grow.Lock()
	defer r.grow.Unlock()
	if r.table.Load() != t {
		return // somebody else was faster; one lost verdict is evaluated once more
	}
	larger := newTable(4 * len(t.places))
	for i := range t.places {
		if old := t.places[i].Load(); old != nil {
			larger.put(old)
		}
	}
	r.table.Store(larger)
}

// put stores p and reports whether the table has room for more.
func (t *table) put(p *verdict) bool {
	first := p.hash & uint64(len(t.places)-1)
	second := first ^ 1
	for _, i := range [2]uint64{first, second} {
		old := t.places[i].Load()
		if old == nil && t.places[i].CompareAndSwap(nil, p) {
			return t.used.Add(1) <= int64(len(t.places))*3/4
		}
		if old != nil && old.hash == p.hash {
			t.places[i].Store(p)
			return true
		}
	}
	t.places[first].Store(p)
	return false
}

// modesOf says what each variant means as a mode. A variant that is none is left out.
func modesOf(f *document.Flag) map[string]outcome {
	modes := make(map[string]outcome, len(f.Variants))
	for _, v := range f.Variants {
		switch value := v.Value.(type) {
		case bool:
			modes[v.Name] = saysOff
			if value {
				modes[v.Name] = saysOn
			}
		case string:
			if m, err := ParseMode(value); err == nil {
				modes[v.Name] = outcome(m)
			}
		}
	}
	return modes
}
