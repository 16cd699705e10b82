package wasmtest

import "github.com/breakwater-gateway/breakwater/sdk/abi"

// A Native is a guest of the native ABI, well-behaved where nothing else is said. What is called in a phase is exported if it has
// a body.
type Native struct {
	Declaration abi.Declaration
	Pages       uint32 // of memory; 0 means 2
	Log         bool   // import breakwater.log, as function 0
	Exit        bool   // import WASI's proc_exit, as the first function, or the one after the log

	Mark, Buffer, Configure     []Code // instead of the usual
	Init                        []Code
	Request, Response, Classify []Code

	Result []byte // lies in the memory for [Native.Return]
}

// Where things lie in the memory.
const (
	ResultAt = 4 << 10
	InputAt  = 64 << 10 // to the end of the second page

	declarationAt = 1 << 10
	room          = 64 << 10
)

// Return is the body that returns n.Result.
func (n Native) Return() []Code {
	return []Code{I64Const(int64(abi.PackResult(ResultAt, uint32(len(n.Result)))))}
}

// Bytes is the guest as a file.
func (n Native) Bytes() []byte {
	m := New()
	if n.Log {
		m.Import(abi.ImportModule, abi.ImportLog, []Type{I32, I32, I32}, nil)
	}
	if n.Exit {
		m.Import("wasi_snapshot_preview1", "proc_exit", []Type{I32}, nil)
	}
	pages := n.Pages
	if pages == 0 {
		pages = 2
	}
	m.Memory(pages, 0)
	declaration := abi.AppendDeclaration(nil, &n.Declaration)
	m.Data(declarationAt, declaration)
	if len(n.Result) > 0 {
		m.Data(ResultAt, n.Result)
	}
	or := func(body []Code, usual ...Code) []Code {
		if body != nil {
			return body
		}
		return usual
	}
	i32, i64 := []Type{I32}, []Type{I64}
	m.Func(abi.ExportMark, nil, i32, or(n.Mark, I32Const(0))...)
	m.Func(abi.ExportBuffer, i32, i32, or(n.Buffer,
		Get(0), I32Const(room), I32GtU, If(I32Const(0), Return),
		I32Const(InputAt))...)
	m.Func(abi.ExportConfigure, i32, i64, or(n.Configure, I64Const(int64(abi.PackResult(declarationAt, uint32(len(declaration))))))...)
	if n.Init != nil {
		m.Func("_initialize", nil, nil, n.Init...)
	}
	for _, e := range []struct {
		name string
		body []Code
	}{{abi.ExportRequest, n.Request}, {abi.ExportResponse, n.Response}, {abi.ExportClassify, n.Classify}} {
		if e.body != nil {
			m.Func(e.name, i32, i64, e.body...)
		}
	}
	return m.Bytes()
}
