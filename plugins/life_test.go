package plugins_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/plugins"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

func TestTheSamePluginIsLoadedOnce(t *testing.T) {
	h := host(t)
	path, digest := file(t, rewriter("/new").Bytes())
	changed, _ := file(t, rewriter("/newer").Bytes())
	spec := plugins.Spec{Name: "guest", Path: path, Config: []byte(`{"a": 1}`), Limits: patient}
	first, err := h.Load(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	if first.Name() != "guest" || first.Digest() != digest {
		t.Errorf("Name, Digest = %s, %s, want guest, %s", first.Name(), first.Digest(), digest)
	}
	for _, tt := range []struct {
		name   string
		change func(s *plugins.Spec)
		same   bool
	}{
		{"nothing changed", func(*plugins.Spec) {}, true},
		{"now pinned to what it is", func(s *plugins.Spec) { s.SHA256 = strings.ToUpper(digest) }, true},
		{"the default said aloud", func(s *plugins.Spec) { s.Interruption = "context" }, true},
		{"another module", func(s *plugins.Spec) { s.Path = changed }, false},
		{"another configuration", func(s *plugins.Spec) { s.Config = []byte(`{"a": 2}`) }, false},
		{"other limits", func(s *plugins.Spec) { s.Limits.Instances = 1 }, false},
		{"another interruption", func(s *plugins.Spec) { s.Interruption, s.SHA256 = "none", digest }, false},
		{"another name", func(s *plugins.Spec) { s.Name = "other" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := spec
			tt.change(&s)
			p, err := h.Load(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if (p == first) != tt.same {
				t.Errorf("the same plugin: %v, want %v", p == first, tt.same)
			}
			p.Release()
		})
	}
	if st := first.Stats(); st.Made != 1 || st.Closed != 0 {
		t.Errorf("%+v, want the first one untouched", st)
	}
}

func TestClosedWhenTheLastHolderHasReleased(t *testing.T) {
	h := host(t)
	path, _ := file(t, rewriter("/new").Bytes())
	p, err := h.Load(t.Context(), plugins.Spec{Name: "guest", Path: path, Limits: patient})
	if err != nil {
		t.Fatal(err)
	}
	p.Retain()
	p.Release()
	if err := request(p, exchangetest.New(exchangetest.Setup{})); err != nil {
		t.Errorf("a plugin that is still held: %v", err)
	}
	p.Release()
	if st := p.Stats(); st.Live != 0 || st.Closed != st.Made {
		t.Errorf("%+v after the last release, want everything closed", st)
	}
	if err := request(p, exchangetest.New(exchangetest.Setup{})); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("a plugin that nobody holds: %v, want ErrClosed", err)
	}
	again, err := h.Load(t.Context(), plugins.Spec{Name: "guest", Path: path, Limits: patient})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Release()
	if again == p {
		t.Error("a closed plugin was given out again")
	}
}

// executable is how many bytes of this process's memory are code that was made at run time.
func executable(t *testing.T) int64 {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Logf("not checked that code is unmapped: %v", err)
		return 0
	}
	total := int64(0)
	for line := range strings.Lines(string(maps)) {
		if f := strings.Fields(line); len(f) == 5 && strings.HasPrefix(f[1], "r-x") { // no file behind it
			from, to, _ := strings.Cut(f[0], "-")
			a, err1 := strconv.ParseInt(from, 16, 64)
			b, err2 := strconv.ParseInt(to, 16, 64)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			total += b - a
		}
	}
	return total
}

func TestLoadingAndReleasingLeavesNothing(t *testing.T) {
	h, err := plugins.NewHost(plugins.HostOptions{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	const cycles = 200
	limits := patient
	limits.Calls = 10
	code, goroutines := executable(t), runtime.NumGoroutine()
	for i := range cycles {
		path, _ := file(t, rewriter(fmt.Sprintf("/new/%d", i)).Bytes())
		p, err := h.Load(t.Context(), plugins.Spec{Name: "guest", Path: path, Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		for range 25 { // some instances are recycled
			if err := request(p, exchangetest.New(exchangetest.Setup{})); err != nil {
				t.Fatal(err)
			}
		}
		p.Release()
		for deadline := time.Now().Add(time.Minute); p.Stats().Live > 0; runtime.Gosched() { // one may just have been made
			if time.Now().After(deadline) {
				t.Fatal("an instance lives on")
			}
		}
		if st := p.Stats(); st.Made != st.Closed || st.Memory != 0 {
			t.Fatalf("cycle %d: %+v, want as many closed as made", i, st)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		runtime.GC() // code is unmapped by finalizers
		c, g := executable(t), runtime.NumGoroutine()
		if c <= code+cycles/4*4096 && g <= goroutines { // a page for every module that is still there

			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %d cycles: %d bytes of code and %d goroutines, want about %d and %d as before", cycles, c, g, code, goroutines)
		}
	}
	if err := h.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := h.Load(t.Context(), plugins.Spec{Name: "guest", Path: "x"}); err == nil {
		t.Error("a closed host loads")
	}
}

func TestSwapUnderLoad(t *testing.T) {
	h := host(t)
	var paths []string
	for _, uri := range []string{"/one", "/two"} {
		path, _ := file(t, rewriter(uri).Bytes())
		paths = append(paths, path)
	}
	get := func(i int) *plugins.Plugin {
		p, err := h.Load(t.Context(), plugins.Spec{Name: "guest", Path: paths[i%2], Limits: patient})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var mu sync.RWMutex // stands for the pinning of a snapshot
	current := get(0)
	var seen [2]atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				mu.RLock()
				p := current
				p.Retain()
				mu.RUnlock()
				x := exchangetest.New(exchangetest.Setup{URI: "/old"})
				if err := request(p, x); err != nil {
					t.Error(err)
				}
				switch string(x.URI()) {
				case "/one":
					seen[0].Add(1)
				case "/two":
					seen[1].Add(1)
				default:
					t.Errorf("URI %q, want /one or /two", x.URI())
				}
				p.Release()
			}
		})
	}
	for i := range 20 {
		next := get(i + 1)
		mu.Lock()
		old := current
		current = next
		mu.Unlock()
		old.Release()
		for before := seen[(i+1)%2].Load(); seen[(i+1)%2].Load() == before && !t.Failed(); {
			runtime.Gosched()
		}
	}
	stop.Store(true)
	wg.Wait()
	current.Release()
}

func TestHostClosesWhatIsHeld(t *testing.T) {
	h, err := plugins.NewHost(plugins.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	path, _ := file(t, rewriter("/new").Bytes())
	p, err := h.Load(t.Context(), plugins.Spec{Name: "guest", Path: path, Limits: patient})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := p.Stats(); st.Live != 0 || st.Made != st.Closed {
		t.Errorf("%+v, want everything closed", st)
	}
	p.Release() // late, but not wrong
}

func TestReasons(t *testing.T) {
	n := verdict(2 << 16)
	n.Declaration.Reasons = []abi.Reason{{Name: "one"}, {Name: "two", About: abi.About{Part: abi.PartQuery, Name: "phone_number_id"}}}
	p := load(t, host(t), n.Bytes(), plugins.Spec{})
	v, err := p.Classify(exchangetest.New(exchangetest.Setup{Status: 400}))
	if err != nil || v.Reason != 2 {
		t.Fatalf("Classify = %+v, %v, want reason 2", v, err)
	}
	if got := p.Reason(v.Reason); got != n.Declaration.Reasons[1] {
		t.Errorf("Reason(2) = %+v, want %+v", got, n.Declaration.Reasons[1])
	}
	if got := p.Reason(0); got != (abi.Reason{}) {
		t.Errorf("Reason(0) = %+v, want none", got)
	}
	if len(p.Reasons()) != 2 || !p.Wants()[abi.PhaseClassify].Called || p.Wants()[abi.PhaseRequest].Called {
		t.Errorf("Reasons, Wants = %+v, %+v, want as declared", p.Reasons(), p.Wants())
	}
}
