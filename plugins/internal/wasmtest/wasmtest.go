// Package wasmtest builds small WebAssembly modules by hand, for tests: hostile guests need no compiler and no file.
//
//	m := wasmtest.New()
//	m.Memory(1, 0)
//	m.Func("spin", nil, nil, wasmtest.Loop(wasmtest.Br(0)))
//	wasm := m.Bytes()
package wasmtest

import "slices"

// A Type is a value type.
type Type byte

// The value types that the tests need.
const (
	I32 Type = 0x7f
	I64 Type = 0x7e
)

// Code is a piece of a function's body.
type Code []byte

// A Func is the index of a function.
type Func uint32

// A Module is a module under construction. Imports come before functions.
type Module struct {
	types, imports, funcs, exports, codes, datas [][]byte
	memory                                       []byte
	start                                        []byte
	count                                        uint32 // of functions, imported ones included
}

// New returns an empty module.
func New() *Module { return &Module{} }

func (m *Module) typeOf(params, results []Type) uint32 {
	t := append([]byte{0x60}, leb(uint32(len(params)))...)
	for _, p := range params {
		t = append(t, byte(p))
	}
	t = append(t, leb(uint32(len(results)))...)
	for _, r := range results {
		t = append(t, byte(r))
	}
	m.types = append(m.types, t)
	return uint32(len(m.types) - 1)
}

// Import imports a function.
func (m *Module) Import(module, name string, params, results []Type) Func {
	if len(m.funcs) > 0 {
		panic("wasmtest: an import after a function")
	}
	b := slices.Concat(text(module), text(name), []byte{0x00}, leb(m.typeOf(params, results)))
	m.imports = append(m.imports, b)
	m.count++
	return Func(m.count - 1)
}

// Memory gives m a memory of min pages, exported as "memory". It can grow to most pages; 0 says nothing about it.
func (m *Module) Memory(min, most uint32) {
	m.memory = append([]byte{0x00}, leb(min)...)
	if most > 0 {
		m.memory = slices.Concat([]byte{0x01}, leb(min), leb(most))
	}
	m.exports = append(m.exports, slices.Concat(text("memory"), []byte{0x02, 0x00}))
}

// Func adds a function, exported under a name unless that is empty. It has two locals of each type after its parameters: of I32
// first, then of I64.
func (m *Module) Func(export string, params, results []Type, body ...Code) Func {
	f := Func(m.count)
	m.count++
	m.funcs = append(m.funcs, leb(m.typeOf(params, results)))
	code := slices.Concat([]byte{0x02, 0x02, byte(I32), 0x02, byte(I64)}, slices.Concat(body...), []byte{0x0b})
	m.codes = append(m.codes, slices.Concat(leb(uint32(len(code))), code))
	if export != "" {
		m.exports = append(m.exports, slices.Concat(text(export), []byte{0x00}, leb(uint32(f))))
	}
	return f
}

// Start has f run when an instance is made.
func (m *Module) Start(f Func) { m.start = leb(uint32(f)) }

// Data puts bytes into the memory.
func (m *Module) Data(address uint32, b []byte) {
	m.datas = append(m.datas, slices.Concat([]byte{0x00}, I32Const(int32(address)), []byte{0x0b}, leb(uint32(len(b))), b))
}

// Bytes is the module as a file.
func (m *Module) Bytes() []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, items [][]byte) {
		if len(items) > 0 {
			content := slices.Concat(leb(uint32(len(items))), slices.Concat(items...))
			b = slices.Concat(b, []byte{id}, leb(uint32(len(content))), content)
		}
	}
	section(1, m.types)
	section(2, m.imports)
	section(3, m.funcs)
	if m.memory != nil {
		section(5, [][]byte{m.memory})
	}
	section(7, m.exports)
	if m.start != nil {
		b = slices.Concat(b, []byte{8}, leb(uint32(len(m.start))), m.start)
	}
	section(10, m.codes)
	section(11, m.datas)
	return b
}

func text(s string) []byte { return append(leb(uint32(len(s))), s...) }

func leb(n uint32) []byte {
	var b []byte
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

func sleb(n int64) []byte {
	var b []byte
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
