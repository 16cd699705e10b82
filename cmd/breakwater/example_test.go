package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The example that `make run` starts has no mistake. It names the plugins where make builds them.
func TestTheExampleIsRight(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "cmd", "breakwater", "example")
	if err := os.CopyFS(folder, os.DirFS("example")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"drop-query-param", "classify-partner"} {
		buildGuest(t, name, filepath.Join(dir, "bin", "guests", name+".wasm"))
	}
	var out, err bytes.Buffer
	status := run([]string{"check", filepath.Join(folder, "breakwater.yaml"), "-cache-dir="}, &console{&out, &err})
	if status != 0 || !strings.Contains(out.String(), "breakwater.yaml: ok (5 routes") {
		t.Errorf("check ended with %d: %s%s", status, out.String(), err.String())
	}
}
