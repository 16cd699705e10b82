package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// An Instance is one running copy of a module. It belongs to the one who borrowed it, until it is given back.
type Instance struct {
	// Stack carries parameters to a call and its results back.
	Stack [16]uint64
	// Exchange is the request that the instance works for, nil for none. It is for host functions and log lines.
	Exchange Exchange
	// State is the ABI's own.
	State any

	module *Module
	guest  api.Module
	memory api.Memory
	calls  []api.Function // by index in the ABI; nil where the guest lacks one
	ctx    callContext
	timer  *time.Timer // ends a call that takes too long; nil if calls are not interrupted
	depth  int         // calls under way: a host function may call the guest again
	fault  error       // what went wrong in it
	spent  bool        // its context came to its end
	lent   bool
	out    stream
	err    stream

	made  int64 // size of its memory when it was ready
	size  int64 // size of its memory when it was given back last
	count int64 // calls so far
	added int64 // of those, what the module's stats know already
}

// A callContext is the context of all of an instance's calls. Making one for each call would cost more than the call: this one
// is armed before a call and disarmed after it, and it has come to its end only when the instance has.
type callContext struct {
	in      *Instance
	done    chan struct{}
	expired atomic.Bool
}

func (c *callContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *callContext) Done() <-chan struct{}       { return c.done }
func (c *callContext) Value(any) any               { return nil }

func (c *callContext) Err() error {
	if c.expired.Load() {
		return context.DeadlineExceeded
	}
	return nil
}

func (c *callContext) expire() {
	c.expired.Store(true)
	close(c.done)
}

// instantiate makes an instance and makes it ready.
func (m *Module) instantiate() (*Instance, error) {
	in := &Instance{module: m, lent: true}
	in.ctx.in = in
	in.out = stream{in: in, name: "stdout", level: slog.LevelInfo}
	in.err = stream{in: in, name: "stderr", level: slog.LevelWarn}
	if m.interrupted {
		in.ctx.done = make(chan struct{})
		in.timer = time.AfterFunc(m.limits.Start, in.ctx.expire)
	}
	err := in.begin()
	if in.timer != nil && !in.timer.Stop() && err == nil {
		err = &CallError{Export: "start", Kind: ErrTimeout}
	}
	if err != nil {
		in.close()
		return nil, err
	}
	in.made = in.MemorySize()
	in.size = in.made
	in.count = 0
	return in, nil
}

// begin does all that has to happen before an instance can be lent, under the limit for it.
func (in *Instance) begin() error {
	m := in.module
	in.depth++ // the timer runs for all of it: calls are not to set it anew
	defer func() { in.depth-- }()
	config := wazero.NewModuleConfig().
		WithName(""). // instances have no names to clash
		WithStartFunctions().
		WithStdout(&in.out).
		WithStderr(&in.err).
		WithRandSource(rand.Reader).
		WithSysWalltime().
		WithSysNanotime().
		WithNanosleep(in.sleep)
	var err error
	if in.guest, err = m.runtime.InstantiateModule(&in.ctx, m.code, config); err != nil {
		return callError("start", in.ctx.expired.Load(), err)
	}
	in.memory = in.guest.ExportedMemory("memory")
	for _, name := range m.abi.Init {
		if f := in.guest.ExportedFunction(name); f != nil {
			if err := f.CallWithStack(&in.ctx, in.Stack[:]); err != nil {
				return callError(name, in.ctx.expired.Load(), err)
			}
		}
	}
	in.calls = make([]api.Function, len(m.abi.Calls))
	for i, c := range m.abi.Calls {
		in.calls[i] = in.guest.ExportedFunction(c.Name)
	}
	if m.abi.Ready != nil {
		return m.abi.Ready(in)
	}
	return nil
}

// Call calls the ABI's i-th export. Parameters and results are in in.Stack. After an error the instance is lost.
func (in *Instance) Call(i int) error {
	f := in.calls[i]
	if f == nil {
		panic(fmt.Sprintf("BUG: call of %s, which the module lacks", in.module.abi.Calls[i].Name))
	}
	in.count++
	if in.timer == nil || in.depth > 0 {
		in.depth++
		err := f.CallWithStack(&in.ctx, in.Stack[:])
		in.depth--
		if err != nil {
			return in.failed(i, err)
		}
		return nil
	}
	in.depth++
	in.timer.Reset(in.module.limits.Timeout)
	err := f.CallWithStack(&in.ctx, in.Stack[:])
	stopped := in.timer.Stop()
	in.depth--
	if err != nil {
		return in.failed(i, err)
	}
	if !stopped {
		in.spent = true // it came home in the last moment: its answer holds, but its context is spent
	}
	return nil
}

func (in *Instance) failed(i int, err error) error {
	in.fault = callError(in.module.abi.Calls[i].Name, in.ctx.expired.Load(), err)
	return in.fault
}

// Has reports whether the module has the ABI's i-th export.
func (in *Instance) Has(i int) bool { return in.calls[i] != nil }

// Break says that the guest broke the rules of its ABI in the i-th export. The instance is lost.
func (in *Instance) Break(i int, detail string) error {
	in.fault = &CallError{Export: in.module.abi.Calls[i].Name, Kind: ErrBroken, Detail: detail}
	return in.fault
}

// Memory returns n bytes of the guest's memory at address; false if they are not all within it. They hold until the guest is
// called again: its memory may move then.
func (in *Instance) Memory(address, n uint32) ([]byte, bool) { return in.memory.Read(address, n) }

// MemorySize is the size of the guest's memory now.
func (in *Instance) MemorySize() int64 { return int64(in.memory.Size()) }

// sleep lets a guest sleep until its call's time is up.
func (in *Instance) sleep(ns int64) {
	t := time.NewTimer(min(time.Duration(ns), in.module.limits.Start))
	defer t.Stop()
	select {
	case <-t.C:
	case <-in.ctx.done: // never, if calls are not interrupted
	}
}

// due reports whether the instance has worked enough.
func (in *Instance) due() bool {
	l := &in.module.limits
	return in.count >= l.Calls || in.size-in.made >= l.GrowthBytes
}

// overdue reports whether it has worked twice as much as enough.
func (in *Instance) overdue() bool {
	l := &in.module.limits
	return in.count/2 >= l.Calls || (in.size-in.made)/2 >= l.GrowthBytes
}

// close frees what the instance holds. Nobody may use it any more.
func (in *Instance) close() {
	in.out.flush()
	in.err.flush()
	if in.guest != nil {
		_ = in.guest.Close(context.Background()) // it has no files, so there is nothing to fail
	}
}
