package plugins

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/native"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// A ComplaintError says what a guest has against its configuration, each time with a JSON pointer into it.
type ComplaintError = native.ComplaintError

// Stats count what has become of a plugin's instances and calls.
type Stats = engine.Stats

// Why a step failed; a [StepError] wraps one of them, or what the exchange said.
var (
	ErrTrap    = engine.ErrTrap
	ErrTimeout = engine.ErrTimeout
	ErrExit    = engine.ErrExit
	ErrBroken  = engine.ErrBroken
	ErrBusy    = engine.ErrBusy
	ErrClosed  = engine.ErrClosed
)

// A StepError is a plugin's failure to do its work on one exchange. It is for logs and traces, not for clients.
type StepError struct {
	Plugin string
	Phase  abi.Phase
	Err    error
}

func (e *StepError) Error() string {
	return fmt.Sprintf("plugin %q: %v phase: %v", e.Plugin, e.Phase, e.Err)
}

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// A Plugin is a guest as configured: compiled once, called by many requests at a time.
type Plugin struct {
	host    *Host
	key     key
	name    string
	digest  string
	module  *engine.Module
	guest   *native.Guest
	holders atomic.Int64
}

// Name is the plugin's name in the configuration.
func (p *Plugin) Name() string { return p.name }

// Digest is the SHA-256 of its module, in hexadecimal.
func (p *Plugin) Digest() string { return p.digest }

// Retain adds a holder. Only who holds p may do so.
func (p *Plugin) Retain() {
	if p.holders.Add(1) < 2 {
		panic("BUG: plugin " + p.name + " was retained by nobody who held it")
	}
}

// Release takes a holder away. The last one closes the plugin; its memory and code are free when this returns, unless an instance
// is just being made, which then closes them.
func (p *Plugin) Release() {
	n := p.holders.Add(-1)
	if n < 0 {
		panic("BUG: plugin " + p.name + " was released more often than held")
	}
	if n > 0 {
		return
	}
	p.host.mu.Lock()
	last := p.holders.Load() == 0 && p.host.running[p.key] == p // or it was loaded again in the meantime
	if last {
		delete(p.host.running, p.key)
	}
	p.host.mu.Unlock()
	if last {
		p.module.Close()
	}
}

// Wants says, by phase, when the guest wants to be called and what it wants to see then: what a route has to hold ready for it.
// It is not to be changed.
func (p *Plugin) Wants() *[abi.Phases]abi.Want { return p.guest.Wants() }

// Reasons are the reasons that the guest may give, number 1 first. They are not to be changed.
func (p *Plugin) Reasons() []abi.Reason { return p.guest.Reasons() }

// Reason is the reason of that number in a verdict of this plugin; the zero Reason for 0.
func (p *Plugin) Reason(id uint16) abi.Reason {
	if r := p.guest.Reasons(); id > 0 && int(id) <= len(r) {
		return r[id-1]
	}
	return abi.Reason{}
}

// Stats returns the counts as they are now.
func (p *Plugin) Stats() Stats { return p.module.Stats() }

// Request lets the guest change a request before it is sent, and reports whether it answered in the upstream's place. A guest
// that does not want this request is not called. An error is a [*StepError], and the exchange is as it was.
func (p *Plugin) Request(x engine.Exchange) (answered bool, err error) {
	answered, err = p.guest.Request(x)
	if err != nil {
		return false, p.failed(abi.PhaseRequest, x, err)
	}
	return answered, nil
}

// Response lets the guest change a response. An error is a [*StepError], and the exchange is as it was.
func (p *Plugin) Response(x engine.Exchange) error {
	if err := p.guest.Response(x); err != nil {
		return p.failed(abi.PhaseResponse, x, err)
	}
	return nil
}

// Classify lets the guest judge a response. The zero Verdict leaves the judgement to others. An error is a [*StepError].
func (p *Plugin) Classify(x engine.Exchange) (abi.Verdict, error) {
	v, err := p.guest.Classify(x)
	if err != nil {
		return abi.Verdict{}, p.failed(abi.PhaseClassify, x, err)
	}
	return v, nil
}

// failed says whose a failure was. The caller logs it; what is left for the author of the guest is where in it that happened.
func (p *Plugin) failed(phase abi.Phase, x engine.Exchange, err error) error {
	if call := (*engine.CallError)(nil); errors.As(err, &call) && call.Trace != "" {
		p.module.Log(slog.LevelDebug, "where a guest failed", "phase", phase.String(), "request", x.ID(), "error", err, "trace", call.Trace)
	}
	return &StepError{Plugin: p.name, Phase: phase, Err: err}
}
