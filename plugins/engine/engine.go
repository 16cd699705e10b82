// Package engine runs WebAssembly modules: compiled once, in instances that are lent to one call at a time, within limits.
//
// An [Engine] lives as long as the process and keeps the compiled code. [Engine.Compile] makes a [Module]; an ABI then says
// with [Module.Start] which exports it will call, which functions it gives to the guest and how a new instance is made ready.
// From then on each request borrows an [Instance], calls it and gives it back:
//
//	in, err := module.Borrow()
//	if err != nil {
//		return err // [ErrBusy]: all instances are taken
//	}
//	defer in.Return()
//	in.Stack[0] = uint64(n)
//	err = in.Call(request)
//
// An instance that trapped, exited, ran out of time or broke the rules of its ABI ([Instance.Break]) is closed when it is given
// back and never lent again. Others are recycled after a number of calls or when their memory has grown, because guests with a
// garbage collector of their own only ever grow. New instances are made in the background, off the way of a request.
//
// A guest meets nothing of this machine but a clock and random bytes. The engine knows no ABI: one of the packages beside it turns
// an [Exchange] into what a guest understands, and back.
package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/tetratelabs/wazero"
)

// Options are what an [Engine] needs.
type Options struct {
	// CacheDir keeps compiled code between runs of the process. What is in it is executed: nobody else may write there.
	// Empty means that code is kept in memory only.
	CacheDir string
	// Log gets what guests write and what happens to their instances. Nil means [slog.Default].
	Log *slog.Logger
}

// An Engine compiles modules and keeps their code. It may be used by many goroutines at a time.
type Engine struct {
	log   *slog.Logger
	cache wazero.CompilationCache
	turn  sync.Mutex // one compilation at a time: it takes a core for up to a second, and requests want the others
}

// New opens an engine.
func New(o Options) (*Engine, error) {
	e := &Engine{log: o.Log}
	if e.log == nil {
		e.log = slog.Default()
	}
	if o.CacheDir == "" {
		e.cache = wazero.NewCompilationCache()
		return e, nil
	}
	var err error
	if e.cache, err = wazero.NewCompilationCacheWithDir(o.CacheDir); err != nil {
		return nil, fmt.Errorf("compile cache %q: %w", o.CacheDir, err)
	}
	return e, nil
}

// Close drops the compiled code. All modules have to be closed before.
func (e *Engine) Close() error { return e.cache.Close(context.Background()) }

// A Source is a module as it is to be run.
type Source struct {
	Name         string // for log lines
	Wasm         []byte
	Limits       Limits // zero fields mean the defaults
	Interruption Interruption
}

// Compile makes a [Module] that has no instances yet. It can take a second. The caller closes the module.
func (e *Engine) Compile(ctx context.Context, s Source) (*Module, error) {
	limits, err := s.Limits.complete()
	if err != nil {
		return nil, err
	}
	if err := looksLikeModule(s.Wasm); err != nil {
		return nil, err
	}
	// Each module has a runtime of its own: the memory limit is a property of the runtime, guests cannot meet each other, and
	// closing it closes all that is left of the module. The code is shared through the cache.
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().
		WithCompilationCache(e.cache).
		WithMemoryLimitPages(uint32(limits.MemoryBytes/pageSize)).
		WithDebugInfoEnabled(false). // line numbers of guests are not worth the memory of their DWARF sections
		WithCloseOnContextDone(s.Interruption == ByContext))
	code, err := e.compile(ctx, rt, s.Wasm)
	if err != nil {
		_ = rt.Close(ctx)
		return nil, fmt.Errorf("compile with at most %s of memory: %w", size(limits.MemoryBytes), err)
	}
	return &Module{
		name:        s.Name,
		limits:      limits,
		interrupted: s.Interruption == ByContext,
		runtime:     rt,
		code:        code,
		output:      newOutput(e.log, s.Name),
		closed:      make(chan struct{}),
	}, nil
}

func (e *Engine) compile(ctx context.Context, rt wazero.Runtime, wasm []byte) (wazero.CompiledModule, error) {
	e.turn.Lock()
	defer e.turn.Unlock()
	code, err := rt.CompileModule(ctx, wasm)
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		// The code is there, only its copy on disk could not be written. A full disk is no reason to refuse a plugin: the
		// second time finds it in memory, where it then stays as long as the engine.
		e.log.Warn("compiled code is not kept on disk", "error", err)
		code, err = rt.CompileModule(ctx, wasm)
	}
	return code, err
}

// looksLikeModule tells what a file is before the decoder complains about a byte in the middle.
func looksLikeModule(b []byte) error {
	switch {
	case bytes.HasPrefix(b, []byte("\x00asm\x01\x00\x00\x00")):
		return nil
	case bytes.HasPrefix(b, []byte("\x00asm\x0d\x00\x01\x00")):
		return errors.New("it is a WebAssembly component: expected a core module")
	case bytes.HasPrefix(b, []byte("\x00asm")):
		return fmt.Errorf("its WebAssembly version is %x: expected 01000000", b[4:min(len(b), 8)])
	case len(b) == 0:
		return errors.New("it is empty: expected a WebAssembly module")
	default:
		return fmt.Errorf("it begins with %q: expected a WebAssembly module, which begins with \"\\x00asm\"", b[:min(len(b), 8)])
	}
}
