// Package native speaks the gateway's own ABI, version 1, with a guest. The layout of every byte is in sdk/abi/LAYOUT.md.
//
// [Start] configures a guest and reads what it declares: the phases in which it wants to be called, what it wants to see there,
// and the reasons that its verdicts name. After that each call lays its input straight into the guest's memory, makes one entry
// into the guest without any call back, and reads one result.
//
// A guest is not trusted. Addresses and lengths are checked against its memory after every entry, lists are read to their end
// before any of them is applied, and a guest that breaks the rules loses the instance that did. A change that the [Exchange]
// refuses is taken back together with those before it, see [Guest.Request].
//
// [Exchange]: github.com/breakwater-gateway/breakwater/plugins/engine.Exchange
package native

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// What is called, by index.
const (
	callMark = iota
	callBuffer
	callConfigure
	callRequest
	callResponse
	callClassify
)

// callOf is what is called in a phase.
var callOf = [abi.Phases]int{
	abi.PhaseConfigure: callConfigure,
	abi.PhaseRequest:   callRequest,
	abi.PhaseResponse:  callResponse,
	abi.PhaseClassify:  callClassify,
}

var (
	i32   = []engine.ValueType{engine.I32}
	i64   = []engine.ValueType{engine.I64}
	calls = []engine.Call{
		callMark:      {Name: abi.ExportMark, Results: i32},
		callBuffer:    {Name: abi.ExportBuffer, Params: i32, Results: i32},
		callConfigure: {Name: abi.ExportConfigure, Params: i32, Results: i64},
		callRequest:   {Name: abi.ExportRequest, Params: i32, Results: i64, Optional: true},
		callResponse:  {Name: abi.ExportResponse, Params: i32, Results: i64, Optional: true},
		callClassify:  {Name: abi.ExportClassify, Params: i32, Results: i64, Optional: true},
	}
)

// A Setup is what a guest is told when it is configured.
type Setup struct {
	Config []byte // JSON; empty means null
	Facts  []Fact
}

// A Fact is something that a guest may want to know of the gateway.
type Fact struct{ Name, Value string }

// A Guest is a configured guest. It may be called by many goroutines at a time.
type Guest struct {
	module   *engine.Module
	setup    Setup
	declared *abi.Declaration // by the first instance; all others have to say the same
}

// A ComplaintError says that a guest does not accept its configuration.
type ComplaintError struct {
	Complaints []abi.Complaint // at least one
}

func (e *ComplaintError) Error() string {
	var s []string
	for _, c := range e.Complaints {
		where := ""
		if c.Pointer != "" {
			where = c.Pointer + ": "
		}
		s = append(s, where+c.Message)
	}
	return "refuses its configuration: " + strings.Join(s, "; ")
}

// Start makes the module's first instance and configures it. The module stays the caller's, who closes it in any case.
func Start(ctx context.Context, m *engine.Module, s Setup) (*Guest, error) {
	if len(s.Config) == 0 {
		s.Config = []byte("null")
	}
	g := &Guest{module: m, setup: s}
	err := m.Start(ctx, engine.ABI{
		Init:  []string{"_initialize"},
		Calls: calls,
		Host: []engine.HostFunc{{
			Module: abi.ImportModule, Name: abi.ImportLog,
			Params: []engine.ValueType{engine.I32, engine.I32, engine.I32},
			Func:   logged,
		}},
		Ready: g.ready,
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// Wants returns what the guest wants, by phase. It is not to be changed.
func (g *Guest) Wants() *[abi.Phases]abi.Want { return &g.declared.Wants }

// Reasons returns the reasons that the guest declared, number 1 first. They are not to be changed.
func (g *Guest) Reasons() []abi.Reason { return g.declared.Reasons }

// A buffer is where the host may write in an instance's memory. It is the instance's State.
type buffer struct {
	address, room uint32
	undo          undo
}

// firstRoom is the room for inputs that is asked for at once, so that few requests have to ask for more.
const firstRoom = 8 << 10

// ready configures a new instance.
func (g *Guest) ready(in *engine.Instance) error {
	if err := in.Call(callMark); err != nil {
		return err
	}
	if unknown := uint32(in.Stack[0]) &^ abi.Features; unknown != 0 {
		return in.Break(callMark, fmt.Sprintf("needs the optional features %#x, expected none of those", unknown))
	}
	buf := &buffer{}
	in.State = buf
	input := abi.AppendConfig(abi.AppendInput(nil, abi.PhaseConfigure, 0), g.setup.Config)
	for _, f := range g.setup.Facts {
		input = abi.AppendFact(input, f.Name, f.Value)
	}
	if err := buf.reserve(in, max(len(input), firstRoom)); err != nil {
		return err
	}
	view, err := buf.view(in)
	if err != nil {
		return err
	}
	copy(view, input)
	in.Stack[0] = uint64(len(input))
	if err := in.Call(callConfigure); err != nil {
		return err
	}
	b, err := result(in, callConfigure)
	if err != nil {
		return err
	}
	d, err := abi.ReadDeclaration(b)
	if err != nil {
		return in.Break(callConfigure, err.Error())
	}
	if len(d.Complaints) > 0 {
		return &ComplaintError{d.Complaints}
	}
	for p := range d.Wants {
		if d.Wants[p].Called && !in.Has(callOf[p]) {
			return in.Break(callConfigure, fmt.Sprintf("declares a want for the %v phase: expected the export %s", abi.Phase(p), calls[callOf[p]].Name))
		}
	}
	switch {
	case g.declared == nil:
		g.declared = &d
	case !reflect.DeepEqual(*g.declared, d):
		// A verdict's reason is a number in this list, so it has to be the same list everywhere.
		return in.Break(callConfigure, "declares something else than the first instance did: expected the same, in the same order")
	}
	return nil
}

// logged is what a guest calls to write to the log.
func logged(in *engine.Instance, stack []uint64) {
	level, address, n := uint32(stack[0]), uint32(stack[1]), uint32(stack[2])
	text, ok := in.Memory(address, n)
	if !ok {
		panic(fmt.Errorf("log of %d bytes at %#x: not within its memory of %d", n, address, in.MemorySize()))
	}
	in.Log(levels[min(level, abi.LogError)], text)
}

var levels = [...]slog.Level{
	abi.LogDebug: slog.LevelDebug, abi.LogInfo: slog.LevelInfo, abi.LogWarn: slog.LevelWarn, abi.LogError: slog.LevelError,
}

// reserve asks the guest for room.
func (b *buffer) reserve(in *engine.Instance, n int) error {
	if int64(n) >= 1<<31 {
		return fmt.Errorf("input of %d bytes: expected less than 2 GiB", n)
	}
	in.Stack[0] = uint64(n)
	if err := in.Call(callBuffer); err != nil {
		return err
	}
	address := uint32(in.Stack[0])
	if address == 0 {
		return in.Break(callBuffer, fmt.Sprintf("has no room for an input of %d bytes", n))
	}
	b.address, b.room = address, uint32(n)
	_, err := b.view(in)
	return err
}

// view is the room for an input in the guest's memory as it lies now.
func (b *buffer) view(in *engine.Instance) ([]byte, error) {
	view, ok := in.Memory(b.address, b.room)
	if !ok {
		return nil, in.Break(callBuffer, fmt.Sprintf("%d bytes at %#x: not within its memory of %d", b.room, b.address, in.MemorySize()))
	}
	return view, nil
}

// result is what the guest returned from a call, where it lies in the guest's memory; nil for nothing.
func result(in *engine.Instance, call int) ([]byte, error) {
	w := in.Stack[0]
	if w == 0 {
		return nil, nil
	}
	address, n, err := abi.UnpackResult(w)
	if err != nil {
		return nil, in.Break(call, err.Error())
	}
	b, ok := in.Memory(address, n)
	if !ok {
		return nil, in.Break(call, fmt.Sprintf("result of %d bytes at %#x: not within its memory of %d", n, address, in.MemorySize()))
	}
	return b, nil
}
