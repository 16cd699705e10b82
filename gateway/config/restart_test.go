package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

func TestNeedsRestart(t *testing.T) {
	a, err := txtar.ParseFile("testdata/good/full.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := unpack(t, a)
	file := filepath.Join(dir, "breakwater.yaml")
	load := func(old, new string) *Config {
		t.Helper()
		text := string(a.Files[0].Data)
		if !strings.Contains(text, old) {
			t.Fatalf("the file has no %q", old)
		}
		c, err := Parse(file, []byte(strings.Replace(text, old, new, 1)), testOptions)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	started := load("", "")
	tests := []struct{ name, old, new, want string }{
		{"nothing has changed", "", "", ""},
		{"another address", "address: 127.0.0.1:8080", "address: 127.0.0.1:8888", `:2:12: listen: address "127.0.0.1:8888": changed from "127.0.0.1:8080": needs a restart`},
		{"no TLS any more", "  tls: {certificate: tls/cert.pem, key: tls/key.pem, min_version: 1.2}\n", "", `:2:3: listen: tls: is gone: needs a restart`},
		{"how TLS is spoken can change", "min_version: 1.2", "min_version: 1.3, client_ca: tls/cert.pem", ""},
		{"another timeout of the listener", "head: 11s", "head: 12s", `:4:20: listen.timeouts: head "12s": changed from "11s": needs a restart`},
		{"another admin address", `"[::1]:0"`, `"[::1]:9090"`, `:10:12: admin: address "[::1]:9090": changed from "[::1]:0": needs a restart`},
		{"another place for flags", "flags.yaml", "flags.json", `flags.json": changed from`},
		{"drain can change", "drain: 1m", "drain: 2m", ""},
		{"tokens can change", "name: board", "name: staff", ""},
		{"routes can change", "name: files", "name: others", ""},
		{"upstreams can change", "connect: 500ms", "connect: 600ms", ""},
		{"who is a client can change", "X-Tenant", "X-Client", ""},
	}
	for _, tt := range tests {
		got := NeedsRestart(started, load(tt.old, tt.new)).Error()
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
