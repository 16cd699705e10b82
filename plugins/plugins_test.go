package plugins_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/plugins"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
	"github.com/breakwater-gateway/breakwater/plugins/internal/wasmtest"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient are limits for tests that are not about time: the machine may be busy.
var patient = plugins.Limits{Timeout: time.Minute, Wait: time.Minute, Start: time.Minute}

// host opens a host whose log is the test's, and checks when the test ends that nothing is left of its plugins.
func host(t testing.TB) *plugins.Host {
	t.Helper()
	h, err := plugins.NewHost(plugins.HostOptions{
		CacheDir: t.TempDir(),
		Logger:   slog.New(slog.NewTextHandler(t.Output(), nil)),
		Gateway:  "breakwater test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

// file writes a module and returns its path and digest.
func file(t testing.TB, wasm []byte) (path, digest string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "guest.wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(wasm)
	return path, hex.EncodeToString(sum[:])
}

// want is a declaration that wants every request, without seeing anything of it.
func want(phases ...abi.Phase) abi.Declaration {
	var d abi.Declaration
	for _, p := range phases {
		d.Wants[p] = abi.Want{Called: true}
	}
	return d
}

// rewriter is a guest that sets the URI of every request.
func rewriter(uri string) wasmtest.Native {
	n := wasmtest.Native{Declaration: want(abi.PhaseRequest), Result: abi.AppendSetURI(nil, []byte(uri))}
	n.Request = n.Return()
	return n
}

func TestRequest(t *testing.T) {
	h := host(t)
	path, _ := file(t, rewriter("/new").Bytes())
	p, err := h.Load(t.Context(), plugins.Spec{Name: "rewriter", Path: path, Limits: patient})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	x := exchangetest.New(exchangetest.Setup{URI: "/old"})
	if answered, err := p.Request(x); answered || err != nil {
		t.Fatalf("Request = %v, %v", answered, err)
	}
	if got := string(x.URI()); got != "/new" {
		t.Errorf("URI = %q, want /new", got)
	}
	if err := p.Response(x); err != nil {
		t.Errorf("Response of a guest that has none: %v, want no error", err)
	}
	if v, err := p.Classify(x); v != (abi.Verdict{}) || err != nil {
		t.Errorf("Classify of a guest that has none = %+v, %v, want nothing", v, err)
	}
}

func TestLoadErrors(t *testing.T) {
	h := host(t)
	good := rewriter("/new").Bytes()
	path, digest := file(t, good)
	other := strings.Repeat("0", 64)
	write := func(wasm []byte) string {
		path, _ := file(t, wasm)
		return path
	}
	abi2 := wasmtest.New()
	abi2.Memory(1, 0)
	abi2.Func("bw_abi_v2", nil, []wasmtest.Type{wasmtest.I32}, wasmtest.I32Const(0))
	bare := wasmtest.New()
	bare.Memory(1, 0)
	command := wasmtest.New() // as Go builds it without -buildmode=c-shared
	command.Memory(1, 0)
	command.Func("_start", nil, nil)
	command.Func("bw_abi_v1", nil, []wasmtest.Type{wasmtest.I32}, wasmtest.I32Const(0))
	half := wasmtest.New()
	half.Func("bw_abi_v1", nil, nil)
	half.Func("bw_configure", []wasmtest.Type{wasmtest.I32}, []wasmtest.Type{wasmtest.I64}, wasmtest.I64Const(0))
	importer := wasmtest.New()
	importer.Import("env", "secret", []wasmtest.Type{wasmtest.I64}, nil)
	importer.Import("wasi_snapshot_preview1", "sock_dial", nil, nil)
	importer.Import("breakwater", "log", nil, nil)
	importer.Memory(1, 0)
	importer.Func("bw_abi_v1", nil, []wasmtest.Type{wasmtest.I32}, wasmtest.I32Const(0))
	importer.Func("bw_buffer", []wasmtest.Type{wasmtest.I32}, []wasmtest.Type{wasmtest.I32}, wasmtest.I32Const(0))
	importer.Func("bw_configure", []wasmtest.Type{wasmtest.I32}, []wasmtest.Type{wasmtest.I64}, wasmtest.I64Const(0))
	complaining := wasmtest.Native{Declaration: abi.Declaration{Complaints: []abi.Complaint{{Pointer: "/names/0", Message: "expected a name"}, {Message: "expected more"}}}}

	tests := []struct {
		name string
		spec plugins.Spec
		want []string // parts of the error
	}{
		{"no file", plugins.Spec{Path: path + "x"}, []string{fmt.Sprintf("file %q: no such file or directory: expected a WebAssembly module", path+"x")}},
		{"a directory", plugins.Spec{Path: filepath.Dir(path)}, []string{"is a directory"}},
		{"not wasm", plugins.Spec{Path: write([]byte("#!/bin/sh\necho"))}, []string{`it begins with "#!/bin/s": expected a WebAssembly module`}},
		{"empty", plugins.Spec{Path: write(nil)}, []string{"it is empty: expected a WebAssembly module"}},
		{"a component", plugins.Spec{Path: write([]byte("\x00asm\x0d\x00\x01\x00"))}, []string{"it is a WebAssembly component: expected a core module"}},
		{"cut off", plugins.Spec{Path: write(good[:len(good)-20])}, []string{"compile with at most 64 MiB of memory: "}},
		{"another digest", plugins.Spec{Path: path, SHA256: other}, []string{fmt.Sprintf("file %q: its sha256 is %s: expected %s", path, digest, other)}},
		{"no interruption without a digest", plugins.Spec{Path: path, Interruption: "none"}, []string{`interruption "none": expected a sha256 beside it`, digest}},
		{"unknown interruption", plugins.Spec{Path: path, Interruption: "fuel"}, []string{`interruption "fuel": expected context or none`}},
		{"limit out of range", plugins.Spec{Path: path, Limits: plugins.Limits{Instances: -1}}, []string{"limit instances -1: expected"}},
		{"config that is not JSON", plugins.Spec{Path: path, Config: []byte("a: b")}, []string{`config "a: b": expected JSON`}},
		{"another version of the ABI", plugins.Spec{Path: write(abi2.Bytes())}, []string{"speaks abi 2, this gateway speaks 1"}},
		{"no plugin", plugins.Spec{Path: write(bare.Bytes())}, []string{"is no plugin: expected the export bw_abi_v1"}},
		{"a command", plugins.Spec{Path: write(command.Bytes())}, []string{"expected a library with the export _initialize; with Go, build it with -buildmode=c-shared"}},
		{"exports missing or of another type", plugins.Spec{Path: write(half.Bytes())}, []string{
			"exports no memory: expected one named memory",
			"export bw_abi_v1 is () -> (): expected () -> (i32)",
			"lacks the export bw_buffer: expected (i32) -> (i32)",
		}},
		{"imports that nobody gives, all of them", plugins.Spec{Path: write(importer.Bytes())}, []string{
			"imports env.secret (i64) -> (): the gateway has no such function",
			"imports wasi_snapshot_preview1.sock_dial () -> (): the gateway has no such function",
			"imports breakwater.log as () -> (): the gateway's is (i32, i32, i32) -> ()",
		}},
		{"more memory than allowed", plugins.Spec{Path: write(wasmtest.Native{Pages: 20}.Bytes()), Limits: plugins.Limits{MemoryBytes: 1 << 20}}, []string{
			"compile with at most 1 MiB of memory: ", "min 20 pages (1 Mi) over limit of 16 pages (1 Mi)",
		}},
		{"configuration refused", plugins.Spec{Path: write(complaining.Bytes())}, []string{
			"refuses its configuration: /names/0: expected a name; expected more",
		}},
		{"configuration takes too long", plugins.Spec{
			Path:   write(wasmtest.Native{Configure: []wasmtest.Code{wasmtest.Loop(wasmtest.Br(0)), wasmtest.Unreachable}}.Bytes()),
			Limits: plugins.Limits{Start: 10 * time.Millisecond},
		}, []string{"bw_configure: took longer than its limit"}},
		{"a want without its export", plugins.Spec{Path: write(wasmtest.Native{Declaration: want(abi.PhaseClassify)}.Bytes())}, []string{
			"declares a want for the classify phase: expected the export bw_classify",
		}},
		{"nothing declared", plugins.Spec{Path: write(wasmtest.Native{Configure: []wasmtest.Code{wasmtest.I64Const(0)}}.Bytes())}, []string{
			"declaration: offset 0: no wants: expected at least one, or a complaint",
		}},
		{"an optional feature that we lack", plugins.Spec{Path: write(wasmtest.Native{Mark: []wasmtest.Code{wasmtest.I32Const(4)}}.Bytes())}, []string{
			"bw_abi_v1: broke the rules of its ABI: needs the optional features 0x4",
		}},
		{"no room", plugins.Spec{Path: write(wasmtest.Native{Buffer: []wasmtest.Code{wasmtest.I32Const(0)}}.Bytes())}, []string{
			"bw_buffer: broke the rules of its ABI: has no room for an input of 8192 bytes",
		}},
		{"trap in _initialize", plugins.Spec{Path: write(wasmtest.Native{Init: []wasmtest.Code{wasmtest.Unreachable}}.Bytes())}, []string{
			"_initialize: trapped: unreachable",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Name = "mine"
			p, err := h.Load(t.Context(), tt.spec)
			if err == nil {
				p.Release()
				t.Fatal("Load gave no error")
			}
			for _, part := range append(tt.want, `plugin "mine": `) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("Load: %v\nwant %q in it", err, part)
				}
			}
		})
	}

	_, err := h.Load(t.Context(), plugins.Spec{Name: "mine", Path: write(complaining.Bytes())})
	complaint := (*plugins.ComplaintError)(nil)
	if !errors.As(err, &complaint) || len(complaint.Complaints) != 2 || complaint.Complaints[0].Pointer != "/names/0" {
		t.Errorf("Load: %#v, want a ComplaintError with both complaints", err)
	}
}
