package flags

import (
	"fmt"
	"strconv"
	"sync"
)

// A Mode says what a gated step does. Zero is Off: a step that nobody decided about does nothing.
type Mode uint8

const (
	Off     Mode   = iota // the step is not run
	Observe               // it runs on a copy; what it decides is recorded, nothing is applied
	On                    // it runs and counts
	Modes   = iota        // how many there are
)

var modeNames = [Modes]string{"off", "observe", "on"}

// String returns "off", "observe" or "on".
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "Mode(" + strconv.Itoa(int(m)) + ")"
}

// ParseMode reads what String writes.
func ParseMode(s string) (Mode, error) {
	for m, name := range modeNames {
		if s == name {
			return Mode(m), nil
		}
	}
	return Off, fmt.Errorf("mode %q: expected off, observe or on", s)
}

// A Gate is a flag and what holds while that flag cannot be resolved. It is small and comparable; make it once, when
// a configuration is bound, and ask any [View] with it.
type Gate struct {
	id       uint32 // of the flag's key; zero belongs to the zero Gate, which is always Off
	fallback Mode
}

// NewGate returns the gate of the flag key, with the mode that holds while the flag is missing, disabled, without a
// default or in error.
func NewGate(key string, fallback Mode) Gate {
	if key == "" {
		panic("BUG: flags: a gate needs the key of its flag")
	}
	if fallback >= Modes {
		panic("BUG: flags: gate " + strconv.Quote(key) + ": no such fallback " + fallback.String())
	}
	return Gate{id: keys.id(key), fallback: fallback}
}

// Key returns the key of the gate's flag, or "" for the zero Gate.
func (g Gate) Key() string { return keys.name(g.id) }

// Fallback returns what holds while the flag cannot be resolved.
func (g Gate) Fallback() Mode { return g.fallback }

// String returns the key and the fallback, for messages.
func (g Gate) String() string { return fmt.Sprintf("%q (fallback %s)", g.Key(), g.fallback) }

// A registry numbers flag keys, so that a view finds a gate by index instead of by string. Numbers are never given
// back: a process meets few keys.
type registry struct {
	mu    sync.RWMutex
	ids   map[string]uint32
	names []string
}

var keys = registry{ids: map[string]uint32{"": 0}, names: []string{""}}

func (r *registry) id(key string) uint32 {
	r.mu.RLock()
	id, ok := r.ids[key]
	r.mu.RUnlock()
	if ok {
		return id
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := r.ids[key]; ok {
		return id
	}
	id = uint32(len(r.names))
	r.ids[key], r.names = id, append(r.names, key)
	return id
}

func (r *registry) name(id uint32) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.names[id]
}
