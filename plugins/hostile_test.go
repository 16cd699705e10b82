package plugins_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/plugins"
	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
	"github.com/breakwater-gateway/breakwater/plugins/internal/wasmtest"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// item is an item as LAYOUT.md has it, right or wrong.
func item(kind, sub byte, arg uint16, n uint32, payload string) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{kind, sub}, arg)
	return append(binary.LittleEndian.AppendUint32(b, n), payload...)
}

// returns is a guest whose request or response call returns those bytes as its list.
func returns(p abi.Phase, list ...[]byte) wasmtest.Native {
	n := wasmtest.Native{Declaration: want(p), Result: slices.Concat(list...)}
	if p == abi.PhaseRequest {
		n.Request = n.Return()
	} else {
		n.Response = n.Return()
	}
	return n
}

func result(address, n uint32) []wasmtest.Code {
	return []wasmtest.Code{wasmtest.I64Const(int64(uint64(address)<<32 | uint64(n)))}
}

func requestOf(body ...wasmtest.Code) wasmtest.Native {
	return wasmtest.Native{Declaration: want(abi.PhaseRequest), Request: body}
}

func verdict(w uint64) wasmtest.Native {
	n := wasmtest.Native{Declaration: want(abi.PhaseClassify), Classify: []wasmtest.Code{wasmtest.I64Const(int64(w))}}
	n.Declaration.Reasons = []abi.Reason{{Name: "only"}}
	return n
}

// Whatever a guest does, the call fails with a reason, the exchange is as it was, and the next call has an instance of its own.
func TestHostileGuests(t *testing.T) {
	tests := []struct {
		name  string
		phase abi.Phase
		guest wasmtest.Native
		kind  error
		text  string
	}{
		{"spins", abi.PhaseRequest, requestOf(wasmtest.Loop(wasmtest.Br(0)), wasmtest.Unreachable), plugins.ErrTimeout, "bw_request: took longer than its limit"},
		{"traps", abi.PhaseRequest, requestOf(wasmtest.Unreachable), plugins.ErrTrap, "bw_request: trapped: unreachable"},
		{"exits", abi.PhaseRequest, wasmtest.Native{
			Declaration: want(abi.PhaseRequest), Exit: true,
			Request: []wasmtest.Code{wasmtest.I32Const(7), wasmtest.Do(0), wasmtest.Unreachable},
		}, plugins.ErrExit, "bw_request: exited: with code 7"},
		{"logs from outside its memory", abi.PhaseRequest, wasmtest.Native{
			Declaration: want(abi.PhaseRequest), Log: true,
			Request: []wasmtest.Code{wasmtest.I32Const(1), wasmtest.I32Const(-16), wasmtest.I32Const(100), wasmtest.Do(0), wasmtest.I64Const(0)},
		}, plugins.ErrTrap, "bw_request: trapped: log of 100 bytes at 0xfffffff0: not within its memory of 131072"},
		{"result begins outside its memory", abi.PhaseRequest, requestOf(result(0xfffffff0, 8)...), plugins.ErrBroken, "result of 8 bytes at 0xfffffff0: not within its memory of 131072"},
		{"result ends outside its memory", abi.PhaseRequest, requestOf(result(1024, 0xffffffff)...), plugins.ErrBroken, "result of 4294967295 bytes at 0x400: not within its memory of 131072"},
		{"result without an address", abi.PhaseRequest, requestOf(result(0, 8)...), plugins.ErrBroken, "expected both or neither to be 0"},
		{"result without a length", abi.PhaseRequest, requestOf(result(8, 0)...), plugins.ErrBroken, "expected both or neither to be 0"},
		{"list of an unknown kind", abi.PhaseRequest, returns(abi.PhaseRequest, item(99, 0, 0, 1, "x")), plugins.ErrBroken, "mutations: offset 0: "},
		{"list with half an item", abi.PhaseRequest, returns(abi.PhaseRequest, abi.AppendSetURI(nil, []byte("/a")), []byte{16, 0, 0}), plugins.ErrBroken, "mutations: offset 10: 3 bytes"},
		{"item longer than the list", abi.PhaseRequest, returns(abi.PhaseRequest, item(16, 0, 0, 0xffffffff, "/a")), plugins.ErrBroken, "mutations: offset 0: set URI of 4294967295 bytes"},
		{"a good change before a bad item", abi.PhaseRequest, returns(abi.PhaseRequest, abi.AppendSetURI(nil, []byte("/a")), item(18, 9, 1, 2, "ab")), plugins.ErrBroken, "mutations: offset 10: set field in section 9"},
		{"name longer than its item", abi.PhaseRequest, returns(abi.PhaseRequest, item(18, 0, 40, 2, "ab")), plugins.ErrBroken, "with a name of 40 bytes in 2"},
		{"status in the request phase", abi.PhaseRequest, returns(abi.PhaseRequest, abi.AppendSetStatus(nil, 200)), plugins.ErrBroken, "set status"},
		{"request changed after an answer", abi.PhaseRequest, returns(abi.PhaseRequest, abi.AppendAnswer(nil, 200), abi.AppendSetURI(nil, []byte("/a"))), plugins.ErrBroken, "after an answer"},
		{"answer with an odd status", abi.PhaseRequest, returns(abi.PhaseRequest, item(23, 0, 100, 0, "")), plugins.ErrBroken, "status 100"},
		{"request changed in the response phase", abi.PhaseResponse, returns(abi.PhaseResponse, abi.AppendSetURI(nil, []byte("/a"))), plugins.ErrBroken, "set URI"},
		{"answer in the response phase", abi.PhaseResponse, returns(abi.PhaseResponse, abi.AppendAnswer(nil, 200)), plugins.ErrBroken, "answer"},
		{"verdict of an unknown class", abi.PhaseClassify, verdict(200), plugins.ErrBroken, "class 200"},
		{"verdict of an unknown fault", abi.PhaseClassify, verdict(15 << 8), plugins.ErrBroken, "fault 15"},
		{"verdict with a reserved bit", abi.PhaseClassify, verdict(1 << 14), plugins.ErrBroken, "reserved bits 1"},
		{"verdict with a reason that was not declared", abi.PhaseClassify, verdict(2 << 16), plugins.ErrBroken, "reason 2: expected at most 1"},
	}
	h := host(t)
	good := load(t, h, rewriter("/new").Bytes(), plugins.Spec{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limits := patient
			if tt.kind == plugins.ErrTimeout {
				limits.Timeout = 20 * time.Millisecond
			}
			p := load(t, h, tt.guest.Bytes(), plugins.Spec{Name: "hostile", Limits: limits})
			s := exchangetest.Setup{URI: "/old?x=1", Request: exchangetest.Message{Fields: []exchangetest.Field{{Name: "X-One", Value: "1"}}}}
			if tt.phase != abi.PhaseRequest {
				s.Status = 400
			}
			x := exchangetest.New(s)
			before := x.String()
			for range 3 {
				var err error
				switch tt.phase {
				case abi.PhaseRequest:
					_, err = p.Request(x)
				case abi.PhaseResponse:
					err = p.Response(x)
				default:
					_, err = p.Classify(x)
				}
				step := (*plugins.StepError)(nil)
				if !errors.As(err, &step) || step.Plugin != "hostile" || step.Phase != tt.phase || !errors.Is(err, tt.kind) {
					t.Fatalf("error %#v, want a StepError of the plugin and the %v phase that wraps %q", err, tt.phase, tt.kind)
				}
				if !strings.HasPrefix(err.Error(), `plugin "hostile": `+tt.phase.String()+" phase: ") || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v, want %q in it", err, tt.text)
				}
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("error %q, want one line", err)
				}
			}
			if after := x.String(); after != before {
				t.Errorf("the exchange was\n%s\nand is\n%s", before, after)
			}
			if st := p.Stats(); st.Lost != 3 {
				t.Errorf("%+v, want 3 instances lost", st)
			}
			y := exchangetest.New(exchangetest.Setup{URI: "/old"})
			if err := request(good, y); err != nil || string(y.URI()) != "/new" {
				t.Errorf("another plugin: %q, %v, want it undisturbed", y.URI(), err)
			}
		})
	}
}

// A list that the gateway does not allow is the guest's mistake too, but its instance is sound.
func TestRefusedChanges(t *testing.T) {
	fields := []exchangetest.Field{{Name: "X-One", Value: "1"}, {Name: "X-Two", Value: "a"}, {Name: "X-Three", Value: "3"}, {Name: "X-Two", Value: "b"}}
	name := func(s string) []byte { return []byte(s) }
	tests := []struct {
		name  string
		phase abi.Phase
		list  []byte
		text  string
	}{
		{"a URI elsewhere", abi.PhaseRequest, abi.AppendSetURI(nil, name("http://other.example/")), `mutations: offset 0: set URI "http://other.example/": `},
		{"framing", abi.PhaseRequest, abi.AppendSetField(nil, abi.RequestFields, "Content-Length", "5"), `mutations: offset 0: set field "Content-Length": `},
		{"a line break in a value", abi.PhaseRequest, abi.AppendAddField(nil, abi.RequestFields, "X-One", "1\r\nX-Evil: 1"), `mutations: offset 0: add field "X-One": `},
		{"good changes before it are taken back", abi.PhaseRequest, slices.Concat(
			abi.AppendSetURI(nil, name("/new")),
			abi.AppendSetMethod(nil, "POST"),
			abi.AppendSetField(nil, abi.RequestFields, "X-Two", "new"),
			abi.AppendSetField(nil, abi.RequestFields, "X-New", "new"),
			abi.AppendAddField(nil, abi.RequestFields, "X-One", "more"),
			abi.AppendRemoveField(nil, abi.RequestFields, "Host"),
		), `remove field "Host": `},
		{"what was changed twice is as at first", abi.PhaseRequest, slices.Concat(
			abi.AppendSetURI(nil, name("/new")),
			abi.AppendSetURI(nil, name("/newer")),
			abi.AppendRemoveField(nil, abi.RequestFields, "X-New"),
			abi.AppendSetURI(nil, name("no")),
		), `set URI "no": `},
		{"also those of the response", abi.PhaseResponse, slices.Concat(
			abi.AppendSetStatus(nil, 201),
			abi.AppendSetField(nil, abi.ResponseFields, "X-One", "new"),
			abi.AppendAddField(nil, abi.ResponseFields, "TE", "trailers"),
		), `add field "TE": `},
		{"and of an answer", abi.PhaseRequest, slices.Concat(
			abi.AppendAnswer(nil, 200),
			abi.AppendSetField(nil, abi.ResponseFields, "X-One", "new"),
			abi.AppendSetField(nil, abi.ResponseFields, "Connection", "close"),
		), `set field "Connection": `},
	}
	h := host(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := load(t, h, returns(tt.phase, tt.list).Bytes(), plugins.Spec{})
			s := exchangetest.Setup{URI: "/old?x=1", Request: exchangetest.Message{Fields: fields, Body: "body"}}
			if tt.phase == abi.PhaseResponse {
				s.Status, s.Response.Fields = 200, fields
			}
			x := exchangetest.New(s)
			before := x.String()
			var answered bool
			var err error
			if tt.phase == abi.PhaseRequest {
				answered, err = p.Request(x)
			} else {
				err = p.Response(x)
			}
			if answered || !errors.Is(err, engine.ErrRefused) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v, %v, want %q in an error that wraps ErrRefused", answered, err, tt.text)
			}
			if err != nil && strings.Contains(err.Error(), "could not be taken back") {
				t.Errorf("error %v, want everything taken back", err)
			}
			if got := x.String(); got != before {
				t.Errorf("the exchange was\n%s\nand is\n%s", before, got)
			}
			if st := p.Stats(); st.Lost != 0 {
				t.Errorf("%+v, want no instance lost", st)
			}
		})
	}
}

func TestABodyOverTheCapIsNotShown(t *testing.T) {
	n := requestOf(wasmtest.Unreachable)
	n.Declaration.Wants[abi.PhaseRequest].Body = 4
	p := load(t, host(t), n.Bytes(), plugins.Spec{})
	x := exchangetest.New(exchangetest.Setup{Method: "POST", Request: exchangetest.Message{Body: "12345"}})
	_, err := p.Request(x)
	if !errors.Is(err, engine.ErrTooLarge) || !strings.Contains(err.Error(), "body is more than the 4 bytes that it wants to see whole") {
		t.Errorf("Request = %v, want ErrTooLarge and no call", err)
	}
	if st := p.Stats(); st.Lost != 0 {
		t.Errorf("%+v, want no instance lost", st)
	}
}

func TestInputLongerThanTheRoom(t *testing.T) {
	long := "/" + strings.Repeat("x", 40<<10)
	seen := func(n wasmtest.Native) wasmtest.Native {
		n.Declaration.Wants[abi.PhaseRequest].URI = true
		return n
	}
	h := host(t)
	// It traps if the first byte of its input is not where it said: the size of the header.
	check := []wasmtest.Code{
		wasmtest.I32Const(wasmtest.InputAt), wasmtest.I32Load8, wasmtest.I32Eqz, wasmtest.If(wasmtest.Unreachable), wasmtest.I64Const(0),
	}
	p := load(t, h, seen(requestOf(check...)).Bytes(), plugins.Spec{})
	for range 3 {
		if err := request(p, exchangetest.New(exchangetest.Setup{URI: long})); err != nil {
			t.Errorf("40 KiB where the guest has room: %v", err)
		}
	}
	err := request(p, exchangetest.New(exchangetest.Setup{URI: long + long}))
	if !errors.Is(err, plugins.ErrBroken) || !strings.Contains(err.Error(), "bw_buffer: broke the rules of its ABI: has no room for an input of") {
		t.Errorf("80 KiB where the guest has none: %v, want an error of bw_buffer", err)
	}

	// A guest that moves its memory at every call, by growing it.
	moving := seen(requestOf(append([]wasmtest.Code{wasmtest.I32Const(1), wasmtest.MemoryGrow, wasmtest.Drop}, check...)...))
	p = load(t, h, moving.Bytes(), plugins.Spec{})
	for range 100 {
		if err := request(p, exchangetest.New(exchangetest.Setup{URI: long})); err != nil {
			t.Fatalf("memory that moves: %v", err)
		}
	}

	// A guest whose buffer is not in its memory.
	path, _ := file(t, wasmtest.Native{Buffer: []wasmtest.Code{wasmtest.I32Const(-16)}}.Bytes())
	_, err = h.Load(t.Context(), plugins.Spec{Name: "guest", Path: path})
	if err == nil || !strings.Contains(err.Error(), "bw_buffer: broke the rules of its ABI: 8192 bytes at 0xfffffff0: not within its memory of 131072") {
		t.Errorf("buffer outside the memory: %v", err)
	}
}
