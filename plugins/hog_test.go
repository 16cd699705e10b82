package plugins_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/plugins"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
)

// locked is a buffer for logs.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// buildGuest compiles a guest with the Go tool that runs the test.
func buildGuest(t testing.TB, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	c := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, ".")
	c.Dir = dir
	c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build in %s: %v\n%s", dir, err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// A guest of stock Go that starves its own collector would have a gigabyte after some 300,000 calls; it has to stay in bounds, and
// its panics have to be its own.
func TestAGuestWithAStarvedCollector(t *testing.T) {
	log := &locked{}
	h, err := plugins.NewHost(plugins.HostOptions{Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	path, digest := file(t, buildGuest(t, "testdata/hog"))
	const growth = 4 << 20
	p, err := h.Load(t.Context(), plugins.Spec{
		Name: "hog", Path: path, SHA256: digest, Interruption: "none",
		Limits: plugins.Limits{GrowthBytes: growth, MemoryBytes: 32 << 20, Instances: 2, Wait: time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	start := p.Stats().Memory
	x := exchangetest.New(exchangetest.Setup{URI: "/quiet"})
	most := int64(0)
	for range 30_000 {
		if err := request(p, x); err != nil {
			t.Fatal(err)
		}
		most = max(most, p.Stats().Memory)
	}
	st := p.Stats()
	t.Logf("memory of %d bytes at first, %d at most; %+v", start, most, st)
	if st.Recycled == 0 || st.Lost != 0 {
		t.Errorf("%+v, want some instances recycled and none lost", st)
	}
	if limit := 2 * (start + 3*growth); most > limit {
		t.Errorf("memory of %d bytes, want at most %d", most, limit)
	}

	err = request(p, exchangetest.New(exchangetest.Setup{URI: "/panic"}))
	if !errors.Is(err, plugins.ErrExit) && !errors.Is(err, plugins.ErrTrap) {
		t.Errorf("panic: %v, want ErrExit or ErrTrap", err)
	}
	if err := request(p, x); err != nil {
		t.Errorf("the call after a panic: %v", err)
	}
	p.Release()
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"msg=configured", "plugin=hog", "stream=stdout", "panic: ", "stream=stderr", "request=exchangetest", "/etc/passwd"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log without %q:\n%s", want, log)
		}
	}
}
