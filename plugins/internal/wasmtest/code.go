package wasmtest

import "slices"

// I32Const and the others below are instructions, or structures of them.
func I32Const(n int32) Code { return append(Code{0x41}, sleb(int64(n))...) }

// I64Const pushes a number.
func I64Const(n int64) Code { return append(Code{0x42}, sleb(n)...) }

// Get pushes a parameter or local.
func Get(i uint32) Code { return append(Code{0x20}, leb(i)...) }

// Set pops into a parameter or local.
func Set(i uint32) Code { return append(Code{0x21}, leb(i)...) }

// Do calls a function.
func Do(f Func) Code { return append(Code{0x10}, leb(uint32(f))...) }

// Loop repeats while its body branches to it.
func Loop(body ...Code) Code {
	return slices.Concat(Code{0x03, 0x40}, slices.Concat(body...), Code{0x0b})
}

// If runs its body if the number on the stack is not 0.
func If(body ...Code) Code {
	return slices.Concat(Code{0x04, 0x40}, slices.Concat(body...), Code{0x0b})
}

// Br branches out of so many structures, or back to a loop.
func Br(depth uint32) Code { return append(Code{0x0c}, leb(depth)...) }

// BrIf branches if the number on the stack is not 0.
func BrIf(depth uint32) Code { return append(Code{0x0d}, leb(depth)...) }

// The instructions without operands of their own.
var (
	Unreachable = Code{0x00}
	Return      = Code{0x0f}
	Drop        = Code{0x1a}
	I32Add      = Code{0x6a}
	I32GtU      = Code{0x4b}
	I32Eqz      = Code{0x45}
	I64Or       = Code{0x84}
	I64Shl      = Code{0x86}
	I64ExtendU  = Code{0xad}
	MemoryGrow  = Code{0x40, 0x00}
	MemorySize  = Code{0x3f, 0x00}
	I32Load     = Code{0x28, 0x00, 0x00}
	I32Store    = Code{0x36, 0x00, 0x00}
	I32Load8    = Code{0x2d, 0x00, 0x00}
)
