package sdk_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	wasm "github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// These tests build guests as an author would and call their exports with nothing between but wazero.

var compiled sync.Map // path of a guest's package → func() (string, error): the file, built once

// machineCode keeps what each guest was compiled to; compiling is most of a test's time.
var machineCode = wazero.NewCompilationCache()

func build(t testing.TB, pkg string) []byte {
	t.Helper()
	once, _ := compiled.LoadOrStore(pkg, sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "breakwater-guest")
		if err != nil {
			return "", err
		}
		file := filepath.Join(dir, "guest.wasm")
		cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, pkg)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		return file, cmd.Run()
	}))
	file, err := once.(func() (string, error))()
	if err != nil {
		t.Fatalf("go build %s: %v", pkg, err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMain(m *testing.M) {
	code := m.Run()
	_ = machineCode.Close(context.Background())
	compiled.Range(func(_, once any) bool {
		if file, err := once.(func() (string, error))(); err == nil {
			_ = os.RemoveAll(filepath.Dir(file))
		}
		return true
	})
	os.Exit(code)
}

// An instance is a running guest, and what it has logged.
type instance struct {
	t      testing.TB
	module wasm.Module
	log    []string
	stderr strings.Builder
	stack  [1]uint64
	calls  map[string]wasm.Function
	buffer uint32
	size   uint32
}

func start(t testing.TB, pkg, config string) (*instance, abi.Declaration) {
	t.Helper()
	ctx := context.Background()
	in := &instance{t: t, calls: map[string]wasm.Function{}}
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(machineCode).WithMemoryLimitPages(64<<20/65536))
	t.Cleanup(func() { _ = r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	_, err := r.NewHostModuleBuilder(abi.ImportModule).NewFunctionBuilder().
		WithFunc(func(_ context.Context, m wasm.Module, level, address, n uint32) {
			text, _ := m.Memory().Read(address, n)
			in.log = append(in.log, string(text))
		}).Export(abi.ImportLog).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	code, err := r.CompileModule(ctx, build(t, pkg))
	if err != nil {
		t.Fatal(err)
	}
	in.module, err = r.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithStartFunctions("_initialize").WithStderr(&in.stderr))
	if err != nil {
		t.Fatal(err)
	}
	if mark, err := in.call(abi.ExportMark, 0); err != nil || uint32(mark) != abi.Features {
		t.Fatalf("%s: %#x, %v", abi.ExportMark, mark, err)
	}
	input := abi.AppendConfig(abi.AppendInput(nil, abi.PhaseConfigure, 0), []byte(config))
	w, err := in.send(abi.ExportConfigure, input)
	if err != nil {
		t.Fatal(err)
	}
	d, err := abi.ReadDeclaration(in.result(w))
	if err != nil {
		t.Fatal(err)
	}
	return in, d
}

func (in *instance) call(name string, arg uint64) (uint64, error) {
	f := in.calls[name]
	if f == nil {
		f = in.module.ExportedFunction(name)
		if f == nil {
			in.t.Fatalf("no export %s", name)
		}
		in.calls[name] = f
	}
	in.stack[0] = arg
	err := f.CallWithStack(context.Background(), in.stack[:])
	return in.stack[0], err
}

// send calls an export with an input, as a gateway does: a buffer that was given is used again.
func (in *instance) send(name string, input []byte) (uint64, error) {
	if n := uint32(len(input)); n > in.size {
		address, err := in.call(abi.ExportBuffer, uint64(n))
		if err != nil || address == 0 {
			in.t.Fatalf("%s(%d): %d, %v", abi.ExportBuffer, n, address, err)
		}
		in.buffer, in.size = uint32(address), n
	}
	if !in.module.Memory().Write(in.buffer, input) {
		in.t.Fatalf("a buffer of %d bytes at %#x is not in the memory", in.size, in.buffer)
	}
	return in.call(name, uint64(len(input)))
}

func (in *instance) result(w uint64) []byte {
	in.t.Helper()
	address, n, err := abi.UnpackResult(w)
	if err != nil {
		in.t.Fatal(err)
	}
	b, ok := in.module.Memory().Read(address, n)
	if !ok {
		in.t.Fatalf("a result of %d bytes at %#x is not in the memory", n, address)
	}
	return b
}

func (in *instance) memory() uint32 { return in.module.Memory().Size() }

const (
	dropQueryParam  = "github.com/breakwater-gateway/breakwater/plugins/guests/drop-query-param"
	classifyPartner = "github.com/breakwater-gateway/breakwater/plugins/guests/classify-partner"
	misbehaving     = "./testdata/guest"
)

func TestDropQueryParamKeepsItsMemory(t *testing.T) {
	in, _ := start(t, dropQueryParam, `{"parameters": ["phone_number_id"]}`)
	input := func(uri string) []byte {
		return abi.AppendURI(abi.AppendInput(nil, abi.PhaseRequest, 0), []byte(uri))
	}
	inputs := [][]byte{
		input("/v23.0/42?phone_number_id=7&a=1"), input("/v23.0/42"), input("/42?" + strings.Repeat("a=1&", 1000) + "phone_number_id=7"),
	}
	want := [][]byte{
		abi.AppendSetURI(nil, []byte("/v23.0/42?a=1")), nil,
		abi.AppendSetURI(nil, []byte("/42?"+strings.TrimSuffix(strings.Repeat("a=1&", 1000), "&"))),
	}
	var before uint32
	for n := range calls {
		i := n % 2
		if n%1000 == 0 {
			i = 2
		}
		w, err := in.send(abi.ExportRequest, inputs[i])
		if err != nil {
			t.Fatal(err)
		}
		if w == 0 != (want[i] == nil) || w != 0 && string(in.result(w)) != string(want[i]) {
			t.Fatalf("call %d: not the result that was expected", n)
		}
		if n == warm {
			before = in.memory()
		}
	}
	if after := in.memory(); after != before {
		t.Errorf("memory was %d bytes after %d calls and %d after %d", before, warm, after, calls)
	}
}

func TestClassifyPartnerKeepsItsMemory(t *testing.T) {
	in, d := start(t, classifyPartner, `{"parameters": ["phone_number_id"]}`)
	input := func(status int, body string) []byte {
		return abi.AppendBody(abi.AppendMethod(abi.AppendInput(nil, abi.PhaseClassify, status), []byte("GET")), []byte(body), true)
	}
	inputs := [][]byte{
		input(400, `{"error":{"message":"Invalid OAuth access token","type":"OAuthException","code":190}}`),
		input(400, `{"error":{"message":"(#100) Param phone_number_id","code":100}}`),
		input(502, "<html>"+strings.Repeat("x", 8000)),
	}
	reasons := []string{"token", "query_phone_number_id", "status"}
	var before uint32
	for n := range calls {
		i := n % 2
		if n%1000 == 0 {
			i = 2
		}
		w, err := in.send(abi.ExportClassify, inputs[i])
		if err != nil {
			t.Fatal(err)
		}
		v, err := abi.UnpackVerdict(w)
		if err != nil {
			t.Fatal(err)
		}
		if r := d.Reasons[v.Reason-1].Name; r != reasons[i] {
			t.Fatalf("call %d: reason %q, want %q", n, r, reasons[i])
		}
		if n == warm {
			before = in.memory()
		}
	}
	if after := in.memory(); after != before {
		t.Errorf("memory was %d bytes after %d calls and %d after %d", before, warm, after, calls)
	}
}

// A Go guest's collector works only while the guest gives way; without that, this guest would need gigabytes.
func TestGarbageIsCollected(t *testing.T) {
	const bound = 32 << 20
	tests := []struct {
		name    string
		garbage string
		calls   int
		export  string
		input   []byte
	}{
		{"4 KiB a call", `{"garbage": 4096}`, calls, abi.ExportRequest, abi.AppendURI(abi.AppendInput(nil, abi.PhaseRequest, 0), []byte("/"))},
		{
			"a copy of every body", `{}`, calls / 50, abi.ExportClassify,
			abi.AppendBody(abi.AppendInput(nil, abi.PhaseClassify, 400), make([]byte, 64<<10), true),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, _ := start(t, misbehaving, tt.garbage)
			for n := range tt.calls {
				if _, err := in.send(tt.export, tt.input); err != nil {
					t.Fatalf("call %d: %v", n, err)
				}
			}
			t.Logf("%d bytes after %d calls", in.memory(), tt.calls)
			if in.memory() > bound {
				t.Errorf("%d bytes after %d calls, want at most %d", in.memory(), tt.calls, bound)
			}
		})
	}
}

func TestPanicIsNamed(t *testing.T) {
	in, _ := start(t, misbehaving, "null")
	_, err := in.send(abi.ExportRequest, abi.AppendURI(abi.AppendInput(nil, abi.PhaseRequest, 0), []byte("/panic")))
	if err == nil {
		t.Error("a panic is not an error for the gateway")
	}
	if want := "panic in request: the handler has had enough"; len(in.log) != 1 || in.log[0] != want {
		t.Errorf("log %q, want %q", in.log, want)
	}
}

func TestComplaintsPassThrough(t *testing.T) {
	_, d := start(t, dropQueryParam, `{"parameters": [1]}`)
	want := abi.Complaint{Pointer: "/parameters/0", Message: "expected a string, not 1"}
	if len(d.Complaints) != 1 || d.Complaints[0] != want {
		t.Errorf("complaints %v, want %v", d.Complaints, want)
	}
}

// What a call costs inside the guest, its input already written.
func BenchmarkGuest(b *testing.B) {
	uri := func(s string) []byte {
		return abi.AppendURI(abi.AppendInput(nil, abi.PhaseRequest, 0), []byte(s))
	}
	body := func(s string) []byte {
		return abi.AppendBody(abi.AppendMethod(abi.AppendInput(nil, abi.PhaseClassify, 400), []byte("GET")), []byte(s), true)
	}
	for _, bb := range []struct {
		name, pkg, export string
		input             []byte
	}{
		{"nothing at all", dropQueryParam, abi.ExportMark, uri("/")},
		{"drop", dropQueryParam, abi.ExportRequest, uri("/v23.0/2621233374848975?phone_number_id=106540352242922")},
		{"nothing to drop", dropQueryParam, abi.ExportRequest, uri("/v23.0/2621233374848975")},
		{"classify", classifyPartner, abi.ExportClassify, body(`{"error":{"message":"Invalid OAuth access token - Cannot parse access token",` +
			`"type":"OAuthException","code":190,"fbtrace_id":"AbCdEfGhIjKlMnOpQrStUv"}}`)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			in, _ := start(b, bb.pkg, `{"parameters": ["phone_number_id"]}`)
			if _, err := in.send(bb.export, bb.input); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				// Nothing is sent: these guests leave their input as it was.
				if _, err := in.call(bb.export, uint64(len(bb.input))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
