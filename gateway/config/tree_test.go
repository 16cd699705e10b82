package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Every value must stand where its node says, or all positions in errors are worth nothing.
func TestEveryNodeStandsWhereItSays(t *testing.T) {
	files := map[string]string{
		"after a block of text":   "a: |\n  one\n\n  two\n\nb: x\nc: >-\n  one\n  two\n# é\nd: [y, \"z\"]\n",
		"after quotes over lines": "a: \"one\n  two\"\nb: 'one\n\n  two'\nc: {d: x}\n",
		"after text over lines":   "a: one\n  two\n  three\nb: x\nc:\n- d: y\n  e: z\n-   f: g\n",
		"after escapes":           "a: {b: \"\\u00e9\\n\", c: x}\n",
		"after wide characters":   "größe: {日本: x, b: \"日本\", c: 'y'}\n",
		"after a start mark":      "# c\n---\na: x # c\nb: y\n...\n",
	}
	for _, pattern := range []string{"testdata/good/*.txtar", "testdata/bad/*.txtar"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.Contains(name, "yaml-refused") { // what has a tag is found one column late, and tags are refused
				continue
			}
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = strings.ReplaceAll(strings.TrimPrefix(string(a.Files[0].Data), "\ufeff"), "\r\n", "\n")
		}
	}
	for name, file := range files {
		for _, end := range []string{"\n", "\r\n"} {
			data := []byte(strings.ReplaceAll(file, "\n", end))
			root := parseTree("f", data, func(*Error) {})
			if root == nil {
				continue
			}
			var check func(n *node)
			at := func(p Pos, text string, plain bool) {
				got := textAt(data, p)
				first, _, _ := strings.Cut(text, " ") // a line break reads as a space
				if plain && !strings.HasPrefix(got, first) || !plain && !strings.HasPrefix(got, `"`) && !strings.HasPrefix(got, `'`) && !strings.HasPrefix(got, "|") && !strings.HasPrefix(got, ">") {
					t.Errorf("%s with %q: %q should stand at %v, where it says %q", name, end, text, p, got)
				}
			}
			check = func(n *node) {
				switch n.kind {
				case text, number, boolean:
					at(n.pos, n.text, n.plain)
				case mapping, list:
					for _, e := range n.entries {
						if got := textAt(data, e.pos); !strings.Contains(got, e.key) {
							t.Errorf("%s with %q: key %q should stand at %v, where it says %q", name, end, e.key, e.pos, got)
						}
						check(e.value)
					}
					for _, item := range n.items {
						check(item)
					}
				}
			}
			check(root)
		}
	}
}
