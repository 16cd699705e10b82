package engine_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
	"github.com/breakwater-gateway/breakwater/plugins/internal/wasmtest"
)

// writer is a module that writes text to a standard stream, a number of times.
func writer(stream int32, text string, times int32) (*wasmtest.Module, engine.ABI) {
	m := wasmtest.New()
	i32 := wasmtest.I32
	write := m.Import("wasi_snapshot_preview1", "fd_write", []wasmtest.Type{i32, i32, i32, i32}, []wasmtest.Type{i32})
	m.Memory(2, 0)
	const vector, at = 16, 1024
	n := len(text)
	m.Data(vector, []byte{0, at >> 8, 0, 0, byte(n), byte(n >> 8), 0, 0})
	m.Data(at, []byte(text))
	m.Func("write", nil, nil, wasmtest.I32Const(times), wasmtest.Set(0), wasmtest.Loop(
		wasmtest.I32Const(stream), wasmtest.I32Const(vector), wasmtest.I32Const(1), wasmtest.I32Const(8), wasmtest.Do(write), wasmtest.Drop,
		wasmtest.Get(0), wasmtest.I32Const(-1), wasmtest.I32Add, wasmtest.Set(0),
		wasmtest.Get(0), wasmtest.BrIf(0)))
	return m, engine.ABI{Calls: []engine.Call{{Name: "write"}}}
}

func attr(r slog.Record, key string) string {
	value := ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			value = a.Value.String()
		}
		return true
	})
	return value
}

func TestWhatGuestsWriteIsLogged(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fd    int32
		text  string
		want  []string
		level slog.Level
	}{
		{"a line of standard output", 1, "hello\n", []string{"hello"}, slog.LevelInfo},
		{"lines of standard error", 2, "panic: no\n\ngoroutine 1:\n", []string{"panic: no", "goroutine 1:"}, slog.LevelWarn},
		{"a line without its end, when the instance is closed", 1, "a\nb", []string{"a", "b"}, slog.LevelInfo},
		{"a long line, cut", 1, strings.Repeat("x", 5000) + "\nnext\n", []string{strings.Repeat("x", 1024), "next"}, slog.LevelInfo},
		{"bytes that are not text", 1, "a\xffb\n", []string{"a\uFFFDb"}, slog.LevelInfo},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := &records{}
			wasm, abi := writer(tt.fd, tt.text, 1)
			m := setup{wasm: wasm, abi: abi, log: log}.start(t)
			in := borrow(t, m)
			in.Exchange = exchangetest.New(exchangetest.Setup{})
			if err := in.Call(0); err != nil {
				t.Fatal(err)
			}
			if r := log.all(); len(r) > 0 && attr(r[0], "request") != "exchangetest" {
				t.Errorf("request %q, want that of the exchange", attr(r[0], "request"))
			}
			in.Return()
			m.Close()
			<-m.Closed()
			var got []string
			for _, r := range log.all() {
				got = append(got, r.Message)
				if r.Level != tt.level {
					t.Errorf("level %v, want %v", r.Level, tt.level)
				}
			}
			if strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("log %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAFloodOfOutputIsLimited(t *testing.T) {
	log := &records{}
	wasm, abi := writer(1, "flood\n", 20_000)
	start := time.Now()
	m := setup{wasm: wasm, abi: abi, log: log}.start(t)
	in := borrow(t, m)
	if err := in.Call(0); err != nil {
		t.Fatal(err)
	}
	in.Return()
	if got, most := len(log.all()), 51+int(10*time.Since(start).Seconds()); got < 50 || got > most {
		t.Errorf("%d lines logged of 20,000, want 50 to %d", got, most)
	}
}

func TestASleepingGuestIsStoppedToo(t *testing.T) {
	m := wasmtest.New()
	i32 := wasmtest.I32
	poll := m.Import("wasi_snapshot_preview1", "poll_oneoff", []wasmtest.Type{i32, i32, i32, i32}, []wasmtest.Type{i32})
	m.Memory(1, 0)
	subscription := make([]byte, 48)
	subscription[24+6] = 0xff // nanoseconds: two years
	m.Data(64, subscription)
	m.Func("sleep", nil, nil, wasmtest.Loop(
		wasmtest.I32Const(64), wasmtest.I32Const(256), wasmtest.I32Const(1), wasmtest.I32Const(512), wasmtest.Do(poll), wasmtest.Drop,
		wasmtest.Br(0)))
	module := setup{
		wasm: m, abi: engine.ABI{Calls: []engine.Call{{Name: "sleep"}}},
		limits: engine.Limits{Timeout: 20 * time.Millisecond, Start: time.Hour},
	}.start(t)
	in := borrow(t, module)
	err := in.Call(0)
	in.Return()
	if err == nil || err.Error() != "sleep: took longer than its limit" {
		t.Errorf("Call = %v, want its limit", err)
	}
}
