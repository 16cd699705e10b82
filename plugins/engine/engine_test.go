package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/internal/wasmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// records is a log that tests can read.
type records struct {
	mu    sync.Mutex
	lines []slog.Record
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *records) WithGroup(string) slog.Handler            { return r }

func (r *records) Handle(_ context.Context, rec slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, rec)
	return nil
}

func (r *records) all() []slog.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

// setup is one engine with one module. Limits of time are long where nothing else is said: the machine may be busy.
type setup struct {
	wasm   *wasmtest.Module
	limits engine.Limits
	how    engine.Interruption
	abi    engine.ABI
	log    *records
}

// start runs a module and closes it, and all that is left of it, when the test ends.
func (s setup) start(t testing.TB) *engine.Module {
	t.Helper()
	if s.log == nil {
		s.log = &records{}
	}
	for _, limit := range []*time.Duration{&s.limits.Timeout, &s.limits.Wait, &s.limits.Start} {
		if *limit == 0 {
			*limit = time.Minute
		}
	}
	e, err := engine.New(engine.Options{Log: slog.New(s.log)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Compile(t.Context(), engine.Source{Name: "guest", Wasm: s.wasm.Bytes(), Limits: s.limits, Interruption: s.how})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Close()
		<-m.Closed()
		if st := m.Stats(); st.Made != st.Closed || st.Live != 0 || st.Idle != 0 || st.Memory != 0 {
			t.Errorf("after the end: %+v, want everything closed", st)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := m.Start(t.Context(), s.abi); err != nil {
		t.Fatal(err)
	}
	return m
}

func borrow(t testing.TB, m *engine.Module) *engine.Instance {
	t.Helper()
	in, err := m.Borrow()
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after a minute", what)
		}
	}
}

// plain is a module with a function that does nothing and one that traps.
func plain() (*wasmtest.Module, engine.ABI) {
	m := wasmtest.New()
	m.Memory(1, 0)
	m.Func("nothing", nil, nil)
	m.Func("trap", nil, nil, wasmtest.Unreachable)
	m.Func("grow", nil, nil, wasmtest.I32Const(1), wasmtest.MemoryGrow, wasmtest.Drop)
	return m, engine.ABI{Calls: []engine.Call{{Name: "nothing"}, {Name: "trap"}, {Name: "grow"}}}
}

const (
	nothing = iota
	trap
	grow
)

func TestCompiledCodeIsKeptOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	e, err := engine.New(engine.Options{CacheDir: dir, Log: slog.New(&records{})})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	wasm, abi := plain()
	m, err := e.Compile(t.Context(), engine.Source{Name: "guest", Wasm: wasm.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Start(t.Context(), abi); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(files) != 1 {
		t.Errorf("files in the cache: %q, want one", files)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the cache directory: %v, %v, want 0700: what is in it is executed", info.Mode(), err)
	}
}

func TestCodeThatCannotBeKeptIsStillUsed(t *testing.T) {
	dir, log := t.TempDir(), &records{}
	e, err := engine.New(engine.Options{CacheDir: dir, Log: slog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	wasm, abi := plain()
	m, err := e.Compile(t.Context(), engine.Source{Name: "guest", Wasm: wasm.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Start(t.Context(), abi); err != nil {
		t.Fatal(err)
	}
	if lines := log.all(); len(lines) != 1 || lines[0].Message != "compiled code is not kept on disk" {
		t.Errorf("log: %v, want one line about it", lines)
	}
}

func TestHowCallsEnd(t *testing.T) {
	m := wasmtest.New()
	m.Import("wasi_snapshot_preview1", "proc_exit", []wasmtest.Type{wasmtest.I32}, nil)
	m.Import("test", "panic", nil, nil)
	m.Memory(1, 0)
	m.Func("spin", nil, nil, wasmtest.Loop(wasmtest.Br(0)))
	m.Func("trap", nil, nil, wasmtest.Unreachable)
	m.Func("outside", nil, nil, wasmtest.I32Const(-8), wasmtest.I32Load, wasmtest.Drop)
	m.Func("exit", nil, nil, wasmtest.I32Const(3), wasmtest.Do(0))
	m.Func("exit0", nil, nil, wasmtest.I32Const(0), wasmtest.Do(0))
	m.Func("panic", nil, nil, wasmtest.Do(1))
	m.Func("deep", nil, nil, wasmtest.Do(8))
	abi := engine.ABI{Host: []engine.HostFunc{{Module: "test", Name: "panic", Func: func(*engine.Instance, []uint64) { panic("no more") }}}}
	tests := []struct {
		export string
		kind   error
		text   string
	}{
		{"spin", engine.ErrTimeout, "spin: took longer than its limit"},
		{"trap", engine.ErrTrap, "trap: trapped: unreachable"},
		{"outside", engine.ErrTrap, "outside: trapped: out of bounds memory access"},
		{"exit", engine.ErrExit, "exit: exited: with code 3"},
		{"exit0", engine.ErrExit, "exit0: exited: with code 0"},
		{"panic", engine.ErrTrap, "panic: trapped: no more"},
		{"deep", engine.ErrTrap, "deep: trapped: stack overflow"},
	}
	for _, tt := range tests {
		abi.Calls = append(abi.Calls, engine.Call{Name: tt.export})
	}
	limits := engine.Limits{Timeout: 20 * time.Millisecond}
	module := setup{wasm: m, abi: abi, limits: limits}.start(t)
	patient := setup{wasm: m, abi: abi}.start(t)
	for i, tt := range tests {
		t.Run(tt.export, func(t *testing.T) {
			module := module
			if tt.kind != engine.ErrTimeout {
				module = patient // on a busy machine the others shall not run out of time
			}
			before := module.Stats()
			in := borrow(t, module)
			err := in.Call(i)
			in.Return()
			if !errors.Is(err, tt.kind) || err.Error() != tt.text {
				t.Errorf("Call = %v, want %s", err, tt.text)
			}
			if after := module.Stats(); after.Lost != before.Lost+1 || after.Closed != before.Closed+1 {
				t.Errorf("%+v, want one instance more lost and closed than before", after)
			}
		})
	}
	if st := module.Stats(); st.Timeouts != 1 || st.Traps != 0 {
		t.Errorf("%+v, want 1 timeout", st)
	}
	if st := patient.Stats(); st.Traps != 4 || st.Exits != 2 || st.Calls != 6 {
		t.Errorf("%+v, want 4 traps, 2 exits, 6 calls", st)
	}
}

func TestGuestCalledByAHostFunction(t *testing.T) {
	m := wasmtest.New()
	m.Import("test", "again", []wasmtest.Type{wasmtest.I32}, []wasmtest.Type{wasmtest.I32})
	m.Memory(1, 0)
	m.Func("outer", nil, []wasmtest.Type{wasmtest.I32}, wasmtest.I32Const(20), wasmtest.Do(0))
	m.Func("inner", []wasmtest.Type{wasmtest.I32}, []wasmtest.Type{wasmtest.I32}, wasmtest.Get(0), wasmtest.I32Const(1), wasmtest.I32Add)
	i32 := []engine.ValueType{engine.I32}
	module := setup{wasm: m, abi: engine.ABI{
		Calls: []engine.Call{{Name: "outer", Results: i32}, {Name: "inner", Params: i32, Results: i32}},
		Host: []engine.HostFunc{{Module: "test", Name: "again", Params: i32, Results: i32, Func: func(in *engine.Instance, stack []uint64) {
			in.Stack[0] = 2 * stack[0]
			if err := in.Call(1); err != nil {
				panic(err)
			}
			stack[0] = in.Stack[0]
		}}},
	}}.start(t)
	in := borrow(t, module)
	defer in.Return()
	for range 3 {
		if err := in.Call(0); err != nil || in.Stack[0] != 41 {
			t.Errorf("Call = %d, %v, want 41", in.Stack[0], err)
		}
	}
}

func TestWASIGrantsNothing(t *testing.T) {
	m := wasmtest.New()
	i32s := func(n int) []wasmtest.Type {
		var s []wasmtest.Type
		for range n {
			s = append(s, wasmtest.I32)
		}
		return s
	}
	const wasi = "wasi_snapshot_preview1"
	args := m.Import(wasi, "args_sizes_get", i32s(2), i32s(1))
	env := m.Import(wasi, "environ_sizes_get", i32s(2), i32s(1))
	prestat := m.Import(wasi, "fd_prestat_get", i32s(2), i32s(1))
	m.Memory(1, 0)
	two := func(f wasmtest.Func, a, b int32) wasmtest.Code {
		return append(append(wasmtest.I32Const(a), wasmtest.I32Const(b)...), wasmtest.Do(f)...)
	}
	at := func(address int32) wasmtest.Code { return append(wasmtest.I32Const(address), wasmtest.I32Load...) }
	m.Func("args", nil, i32s(1), two(args, 0, 4), wasmtest.Drop, at(0))
	m.Func("env", nil, i32s(1), two(env, 0, 4), wasmtest.Drop, at(0))
	m.Func("files", nil, i32s(1), two(prestat, 3, 0))
	i32 := []engine.ValueType{engine.I32}
	module := setup{wasm: m, abi: engine.ABI{Calls: []engine.Call{
		{Name: "args", Results: i32}, {Name: "env", Results: i32}, {Name: "files", Results: i32},
	}}}.start(t)
	in := borrow(t, module)
	defer in.Return()
	const badFile = 8
	for i, want := range []uint64{0, 0, badFile} {
		if err := in.Call(i); err != nil || in.Stack[0] != want {
			t.Errorf("call %d = %d, %v, want %d", i, in.Stack[0], err, want)
		}
	}
}
