package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// An ABI is how a gateway and a guest talk, as far as the engine has to know it.
type ABI struct {
	Init  []string                 // exports without parameters that run first in a new instance, those that are there
	Calls []Call                   // what [Instance.Call] can call, by index
	Host  []HostFunc               // what a guest may import, besides WASI
	Ready func(in *Instance) error // makes a new instance ready to be lent; may be nil
}

// A Call is an export with its type.
type Call struct {
	Name            string
	Params, Results []ValueType
	Optional        bool // a module may lack it; calling it then is a bug of the ABI
}

// A HostFunc is a function that a guest may import. It finds its parameters at the start of stack and leaves its results there.
// A panic in it is a trap of the guest.
type HostFunc struct {
	Module, Name    string
	Params, Results []ValueType
	Func            func(in *Instance, stack []uint64)
}

// A ValueType is the type of a parameter or result.
type ValueType = api.ValueType

// The value types that the ABIs use.
const (
	I32 = api.ValueTypeI32
	I64 = api.ValueTypeI64
)

// A Module is a compiled module and its instances. It may be used by many goroutines at a time.
type Module struct {
	name        string
	limits      Limits
	interrupted bool
	runtime     wazero.Runtime
	code        wazero.CompiledModule
	hosts       []wazero.CompiledModule // that have to be closed with it
	output      *output
	abi         ABI

	mu      sync.Mutex
	idle    []*Instance // the one that was used last is lent first: its memory is warm
	waiting []*waiter   // for an instance, the first come first
	live    int         // instances that are there or being made
	making  int         // instances that are being made
	closing bool
	ended   bool // closing, and the last instance is gone
	stats   Stats
	closed  chan struct{} // closed when nothing is left
}

// Exports returns the names of the functions that m exports, in order.
func (m *Module) Exports() []string {
	var names []string
	for name := range m.code.ExportedFunctions() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Limits returns m's limits with their defaults filled in.
func (m *Module) Limits() Limits { return m.limits }

// Start links m with what it imports and makes its first instance. It is called once; m is of no use when it fails, and still
// has to be closed.
func (m *Module) Start(ctx context.Context, abi ABI) error {
	m.abi = abi
	if err := m.checkExports(); err != nil {
		return err
	}
	if err := m.link(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	m.live++
	m.making++
	m.mu.Unlock()
	in, err := m.instantiate()
	m.arrive(in, err)
	return err
}

func (m *Module) checkExports() error {
	var errs []error
	if m.code.ExportedMemories()["memory"] == nil {
		errs = append(errs, errors.New("exports no memory: expected one named memory"))
	}
	there := m.code.ExportedFunctions()
	for _, name := range m.abi.Init {
		if f := there[name]; f != nil && len(f.ParamTypes())+len(f.ResultTypes()) > 0 {
			errs = append(errs, fmt.Errorf("export %s is %s: expected %s", name, signature(f.ParamTypes(), f.ResultTypes()), signature(nil, nil)))
		}
	}
	for _, c := range m.abi.Calls {
		f := there[c.Name]
		want := signature(c.Params, c.Results)
		switch {
		case f == nil && !c.Optional:
			errs = append(errs, fmt.Errorf("lacks the export %s: expected %s", c.Name, want))
		case f != nil && signature(f.ParamTypes(), f.ResultTypes()) != want:
			errs = append(errs, fmt.Errorf("export %s is %s: expected %s", c.Name, signature(f.ParamTypes(), f.ResultTypes()), want))
		}
	}
	return errors.Join(errs...)
}

// link gives m the functions that it imports, and nothing that it does not. What cannot be given is named all at once.
func (m *Module) link(ctx context.Context) error {
	given := map[string]map[string]HostFunc{}
	for _, f := range m.abi.Host {
		if given[f.Module] == nil {
			given[f.Module] = map[string]HostFunc{}
		}
		given[f.Module][f.Name] = f
	}
	wasi, err := m.wasi(ctx)
	if err != nil {
		return err
	}
	var errs []error
	builders := map[string]wazero.HostModuleBuilder{}
	linked := map[string]bool{}
	for _, f := range m.code.ImportedFunctions() {
		module, name, _ := f.Import()
		if module == wasi_snapshot_preview1.ModuleName && wasi[name] {
			continue // its types are checked when an instance is made
		}
		h, ok := given[module][name]
		got, want := signature(f.ParamTypes(), f.ResultTypes()), signature(h.Params, h.Results)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("imports %s.%s %s: the gateway has no such function", module, name, got))
		case got != want:
			errs = append(errs, fmt.Errorf("imports %s.%s as %s: the gateway's is %s", module, name, got, want))
		case !linked[module+"\x00"+name]:
			linked[module+"\x00"+name] = true
			if builders[module] == nil {
				builders[module] = m.runtime.NewHostModuleBuilder(module)
			}
			builders[module].NewFunctionBuilder().WithGoModuleFunction(h.bind(), h.Params, h.Results).Export(name)
		}
	}
	for _, mem := range m.code.ImportedMemories() {
		module, name, _ := mem.Import()
		errs = append(errs, fmt.Errorf("imports the memory %s.%s: expected a module that brings its own", module, name))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for module, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("host module %s: %w", module, err)
		}
	}
	return nil
}

// bind makes h what the runtime calls: the instance is known by the context of its call.
func (h HostFunc) bind() api.GoModuleFunc {
	return func(ctx context.Context, _ api.Module, stack []uint64) { h.Func(ctx.(*callContext).in, stack) }
}

// wasi provides WASI if m imports it, and returns the names of its functions.
func (m *Module) wasi(ctx context.Context) (map[string]bool, error) {
	wanted := slices.ContainsFunc(m.code.ImportedFunctions(), func(f api.FunctionDefinition) bool {
		module, _, _ := f.Import()
		return module == wasi_snapshot_preview1.ModuleName
	})
	if !wanted {
		return nil, nil
	}
	code, err := wasi_snapshot_preview1.NewBuilder(m.runtime).Compile(ctx)
	if err != nil {
		return nil, fmt.Errorf("WASI: %w", err)
	}
	m.hosts = append(m.hosts, code)
	if _, err := m.runtime.InstantiateModule(ctx, code, wazero.NewModuleConfig()); err != nil {
		return nil, fmt.Errorf("WASI: %w", err)
	}
	names := map[string]bool{}
	for name := range code.ExportedFunctions() {
		names[name] = true
	}
	return names, nil
}

// signature is a function's type as text.
func signature(params, results []ValueType) string {
	words := func(types []ValueType) string {
		var s []string
		for _, t := range types {
			s = append(s, api.ValueTypeName(t))
		}
		return "(" + strings.Join(s, ", ") + ")"
	}
	return words(params) + " -> " + words(results)
}
