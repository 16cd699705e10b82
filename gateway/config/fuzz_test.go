package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzLoad gives any bytes as a configuration. Whatever they are, there is a Config or there are mistakes with their
// places in the file.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.txtar", "testdata/bad/*.txtar"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("no archives in %s: %v", pattern, err)
		}
		for _, name := range names {
			a, err := txtar.ParseFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(a.Files[0].Data)
		}
	}
	dir := f.TempDir() // nothing that a file names is there
	file := filepath.Join(dir, "f.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(file, data, &LoadOptions{LookupEnv: environment})
		checkMistakes(t, c, err, file, data)
	})
}

// FuzzClients gives any bytes as the file of clients.
func FuzzClients(f *testing.F) {
	for _, text := range []string{
		"clients:\n  - {name: a, key_sha256: 2b9d340e03bf0ff9af1688bd8285d673849d3aeb8ee2c0340b70189edc129316, attributes: {b: c}, secrets: {t: {env: ACME_TOKEN}}}\n",
		"clients:\n- name: a\n  key: b\n  secrets: {t: c, u: {file: x, env: EMPTY}}\n- name: a\n", "clients: a\n", "- a", "",
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	file, clients := filepath.Join(dir, "f.yaml"), filepath.Join(dir, "clients.yaml")
	config := []byte(`
listen: {address: ":0"}
admin: {example: true}
clients: {file: clients.yaml, credential: {field: K}}
upstreams: [{name: u, url: "http://u"}]
routes: [{name: r, path: /, upstream: u}]
`)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(clients, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Parse(file, config, &LoadOptions{LookupEnv: environment})
		checkMistakes(t, c, err, clients, data)
	})
}

// checkMistakes looks at what Parse has said of data, the content of file.
func checkMistakes(t *testing.T, c *Config, err error, file string, data []byte) {
	t.Helper()
	if (c == nil) == (err == nil) {
		t.Fatalf("Parse = %v, %v", c, err)
	}
	if err == nil {
		return
	}
	list, ok := errors.AsType[ErrorList](err)
	if !ok || len(list) == 0 {
		t.Fatalf("%T is no list of mistakes: %v", err, err)
	}
	lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 2
	for i, e := range list {
		if e.Pos.File != file || e.Pos.Line < 1 || e.Pos.Column < 1 || e.Pos.Line > lines || e.Text == "" || !utf8.ValidString(e.Error()) {
			t.Errorf("mistake without a place in the file, or without words: %#v", e)
		}
		if i > 0 && e.Pos.Line < list[i-1].Pos.Line {
			t.Errorf("%v stands after %v", e, list[i-1])
		}
		if strings.Contains(e.Text, "BUG") || strings.Contains(e.Text, "runtime error") && !strings.HasPrefix(e.Text, "the YAML reader") {
			t.Errorf("our mistake: %v", e)
		}
	}
}

// FuzzTemplate expands any template with any value. What comes out of a path's is one path.
func FuzzTemplate(f *testing.F) {
	f.Add("/v23.0/{path.v}/{client.v}", "..")
	f.Add("/{{{path.v}", "a%2fb")
	f.Fuzz(func(t *testing.T, text, value string) {
		v := &values{attributes: map[string]string{"v": value}, params: map[string]string{"v": value}, secrets: map[string]string{"v": value}}
		for _, in := range []place{inPath, inQuery, inField} {
			tmpl, err := parseTemplate(text, in)
			if err != nil {
				continue
			}
			got, err := tmpl.Append(nil, v)
			if err != nil {
				continue
			}
			switch in {
			case inPath:
				if len(got) == 0 || got[0] != '/' || dotSegment(got) || strings.ContainsAny(string(got), "?#\\ \r\n") {
					t.Errorf("path %q with %q became %q", text, value, got)
				}
			case inQuery:
				if strings.ContainsAny(string(got), "&=#+; \r\n") {
					t.Errorf("query %q with %q became %q", text, value, got)
				}
			default:
				if strings.ContainsAny(string(got), "\r\n\x00") {
					t.Errorf("field %q with %q became %q", text, value, got)
				}
			}
		}
	})
}
