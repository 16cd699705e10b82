package plugins_test

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/plugins"
	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
	"github.com/breakwater-gateway/breakwater/plugins/internal/wasmtest"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// idler is a guest that sees what a rewriter sees and leaves it as it is.
func idler() wasmtest.Native {
	n := wasmtest.Native{Request: []wasmtest.Code{wasmtest.I64Const(0)}, Classify: []wasmtest.Code{wasmtest.I64Const(1)}}
	n.Declaration.Wants[abi.PhaseRequest] = abi.Want{Called: true, URI: true}
	n.Declaration.Wants[abi.PhaseClassify] = abi.Want{Called: true, Prefix: 512, ResponseFields: []string{"Content-Type"}}
	n.Declaration.Wants[abi.PhaseClassify].Statuses.AddClass(4)
	return n
}

// load runs a guest, pinned, and patiently where nothing else is said.
func load(t testing.TB, h *plugins.Host, wasm []byte, s plugins.Spec) *plugins.Plugin {
	t.Helper()
	s.Path, s.SHA256 = file(t, wasm)
	if s.Name == "" {
		s.Name = "guest"
	}
	if s.Limits == (plugins.Limits{}) {
		s.Limits = patient
	}
	p, err := h.Load(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return p
}

var (
	mediaRequest  = exchangetest.Setup{URI: "/v21.0/1234567890?phone_number_id=4711&fields=url"}
	mediaResponse = exchangetest.Setup{
		URI: mediaRequest.URI, Status: 400,
		Response: exchangetest.Message{
			Fields: []exchangetest.Field{{Name: "Date", Value: "today"}, {Name: "Content-Type", Value: "application/json"}},
			Body:   `{"error":{"message":"Invalid OAuth access token","type":"OAuthException","code":190,"fbtrace_id":"A"}}`,
		},
	}
)

// A call of a guest with interruption "none" allocates nothing, whatever it changes.
func TestCallsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := host(t)
	list := abi.AppendSetURI(nil, []byte("/v21.0/1234567890?fields=url"))
	list = abi.AppendSetMethod(list, "GET")
	several := wasmtest.Native{Declaration: want(abi.PhaseRequest), Result: list}
	several.Request = several.Return()
	tests := []struct {
		name string
		wasm []byte
		call func(p *plugins.Plugin, x engine.Exchange) error
		x    exchangetest.Setup
	}{
		{"request left as it is", idler().Bytes(), request, mediaRequest},
		{"request with a new URI", rewriter("/v21.0/1234567890?fields=url").Bytes(), request, mediaRequest},
		{"request with two changes, noted for taking back", several.Bytes(), request, mediaRequest},
		{"response that is judged", idler().Bytes(), classify, mediaResponse},
		{"response of a status that the guest does not want", idler().Bytes(), classify, exchangetest.Setup{Status: 200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := load(t, h, tt.wasm, plugins.Spec{Interruption: "none"})
			var x engine.Exchange = exchangetest.New(tt.x)
			if n := testing.AllocsPerRun(200, func() {
				if err := tt.call(p, x); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations a call, want 0", n)
			}
		})
	}
}

func request(p *plugins.Plugin, x engine.Exchange) error {
	_, err := p.Request(x)
	return err
}

func classify(p *plugins.Plugin, x engine.Exchange) error {
	_, err := p.Classify(x)
	return err
}

// BenchmarkEntry is what one entry into a native guest costs that does nothing: all of it is the host's.
func BenchmarkEntry(b *testing.B) {
	h := host(b)
	for _, bb := range []struct {
		name string
		wasm []byte
		spec plugins.Spec
		call func(p *plugins.Plugin, x engine.Exchange) error
		x    exchangetest.Setup
	}{
		{"request/none", idler().Bytes(), plugins.Spec{Interruption: "none"}, request, mediaRequest},
		{"request/context", idler().Bytes(), plugins.Spec{}, request, mediaRequest},
		{"rewrite/none", rewriter("/v21.0/1234567890?fields=url").Bytes(), plugins.Spec{Interruption: "none"}, request, mediaRequest},
		{"classify/none", idler().Bytes(), plugins.Spec{Interruption: "none"}, classify, mediaResponse},
		{"unwanted/none", idler().Bytes(), plugins.Spec{Interruption: "none"}, classify, exchangetest.Setup{Status: 200}},
	} {
		p := load(b, h, bb.wasm, bb.spec)
		b.Run(bb.name, func(b *testing.B) {
			var x engine.Exchange = exchangetest.New(bb.x)
			b.ReportAllocs()
			for b.Loop() {
				if err := bb.call(p, x); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bb.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var x engine.Exchange = exchangetest.New(bb.x)
				for pb.Next() {
					if err := bb.call(p, x); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
