// Package e2e tests the whole: real processes and raw sockets, and the house itself.
package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/breakwater-gateway/breakwater/"

// layers says who may import whom. A new arrow is a decision: add it here and say why in the commit.
//
// "a < b c" means that b and c may import a. What a package may import of its users' rooms it may import of theirs as well,
// so that arrows only ever go down.
const layers = `
	sdk/abi < sdk plugins/engine gateway/admit gateway/blame

	sdk/abi < plugins/internal/wasmtest
	sdk < sdk/sdktest plugins/guests/drop-query-param plugins/guests/classify-partner

	flags/document flags/file flags/journal < flags

	plugins/engine < plugins/native plugins/engine/exchangetest
	plugins/native < plugins

	gateway/wire < gateway/conn
	gateway/conn < gateway/upstream gateway/inbound
	gateway/route < gateway/config
	flags gateway/admit gateway/config < gateway/admin
	gateway/inbound gateway/upstream gateway/blame gateway/admin plugins < gateway
	gateway < cmd/breakwater
`

// outsiders says which packages from elsewhere a room may import; rooms that are not named here have the standard library
// only. A dependency has one home.
const outsiders = `
	gateway: github.com/valyala/fasthttp github.com/VictoriaMetrics/metrics github.com/fsnotify/fsnotify github.com/andybalholm/brotli github.com/klauspost/compress
	gateway/admin: github.com/valyala/fasthttp
	gateway/config: github.com/goccy/go-yaml
	gateway/conn: golang.org/x/sys
	flags: github.com/open-feature github.com/open-feature/flagd/core go.opentelemetry.io/otel go.uber.org/zap
	flags/document: github.com/goccy/go-yaml github.com/open-feature/flagd
	flags/file: github.com/fsnotify/fsnotify golang.org/x/sys
	flags/journal: golang.org/x/sys
	plugins/engine: github.com/tetratelabs/wazero
	cmd/breakwater: github.com/alecthomas/kong
	cmd/bench: github.com/valyala/fasthttp
`

// A room is one package as the go tool lists it.
type room struct {
	ImportPath string
	Imports    []string
}

func rooms(t *testing.T) []room {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []room
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var r room
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
}

func TestImportsGoDown(t *testing.T) {
	below := map[string][]string{}
	for _, line := range lines(layers) {
		low, high, ok := strings.Cut(line, " < ")
		if !ok {
			t.Fatalf("layers: %q: expected LOWER < HIGHER", line)
		}
		for _, h := range strings.Fields(high) {
			for _, l := range strings.Fields(low) {
				below[h] = append(below[h], l)
				below[h] = append(below[h], below[l]...)
			}
		}
	}
	foreign := map[string][]string{}
	for _, line := range lines(outsiders) {
		who, what, _ := strings.Cut(line, ": ")
		foreign[who] = strings.Fields(what)
	}
	for _, r := range rooms(t) {
		name := strings.TrimPrefix(r.ImportPath, module)
		for _, i := range r.Imports {
			ours, is := strings.CutPrefix(i, module)
			switch {
			case is && !slices.Contains(below[name], ours):
				t.Errorf("%s imports %s, which no line of layers allows", name, ours)
			case !is && strings.Contains(strings.Split(i, "/")[0], ".") && !slices.ContainsFunc(foreign[name], func(allowed string) bool {
				return i == allowed || strings.HasPrefix(i, allowed+"/")
			}):
				t.Errorf("%s imports %s, which no line of outsiders allows", name, i)
			}
		}
	}
}

func TestTopLevel(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "ls-tree", "--name-only", "HEAD").Output()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("git ls-tree: %v", err)
		}
		t.Skipf("NOT CHECKED: this is no git checkout: %v", err)
	}
	want := strings.Fields("LICENSE Makefile RATIONALE.md README.md cmd flags gateway go.mod go.sum plugins sdk")
	for _, name := range strings.Fields(string(out)) {
		if !strings.HasPrefix(name, ".") && !slices.Contains(want, name) {
			t.Errorf("%s stands at top level, where only %s may", name, strings.Join(want, " "))
		}
	}
}

func lines(text string) []string {
	var all []string
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}
