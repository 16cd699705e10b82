package document

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Files under testdata/bad carry the mistakes that they must be refused for, one per line, in FILE.want.
func TestReadReportsEveryMistakeWithItsPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.[jy]*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, ".want") {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file + ".want")
			if err != nil && os.Getenv("UPDATE") == "" {
				t.Fatal(err)
			}
			_, err = Load(file)
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.ReplaceAll(err.Error(), "testdata/bad/", "") + "\n"
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(file+".want", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

func TestEditKeepsEveryOtherByte(t *testing.T) {
	tests := []struct {
		name, file, in, want string
		e                    Edition
	}{
		{
			"yaml: only the value changes", "f.yaml",
			"# top\nflags:\n  drop: # why\n    state: ENABLED   # yes\n    variants: {on: true, off: false}\n    defaultVariant: off # now\n  other: {state: ENABLED, variants: {a: 1}, defaultVariant: a}\n",
			"# top\nflags:\n  drop: # why\n    state: ENABLED   # yes\n    variants: {on: true, off: false}\n    defaultVariant: \"on\" # now\n  other: {state: ENABLED, variants: {a: 1}, defaultVariant: a}\n",
			Edition{Key: "drop", Default: "on"},
		},
		{
			"yaml: quoted values and characters of several bytes", "f.yaml",
			"flags: # für später\n  drop: {state: ENABLED, metadata: {owner: 'Jürgen', n: \"ü\"}, variants: {\"on\": true, 'off': false}, defaultVariant: 'off'} # ü\n",
			"flags: # für später\n  drop: {state: ENABLED, metadata: {owner: 'Jürgen', n: \"ü\"}, variants: {\"on\": true, 'off': false}, defaultVariant: \"on\"} # ü\n",
			Edition{Key: "drop", Default: "on"},
		},
		{
			"yaml: no default yet", "f.yaml",
			"flags:\n  drop:\n    state: ENABLED\n    variants:\n      observe: observe\n",
			"flags:\n  drop:\n    defaultVariant: observe\n    state: ENABLED\n    variants:\n      observe: observe\n",
			Edition{Key: "drop", Default: "observe"},
		},
		{
			"yaml: a null default, a disabled flag, new metadata", "f.yml",
			"flags:\n  drop:\n    state: DISABLED\n    defaultVariant: ~\n    variants: {x: true}\n",
			"flags:\n  drop:\n    metadata: {expires: \"2027-01-31\"}\n    state: ENABLED\n    defaultVariant: x\n    variants: {x: true}\n",
			Edition{Key: "drop", Default: "x", Metadata: map[string]string{"expires": "2027-01-31"}},
		},
		{
			"yaml: metadata in place and added", "f.yml",
			"flags:\n  drop:\n    state: ENABLED\n    defaultVariant: x\n    variants: {x: true}\n    metadata:\n      # who\n      owner: me\n      expires: 2026-01-01\n",
			"flags:\n  drop:\n    state: ENABLED\n    defaultVariant: x\n    variants: {x: true}\n    metadata:\n      # who\n      link: \"http://x/\"\n      owner: me\n      expires: \"2027-01-31\"\n",
			Edition{Key: "drop", Default: "x", Metadata: map[string]string{"expires": "2027-01-31", "link": "http://x/"}},
		},
		{
			"yaml: carriage returns", "f.yml",
			"flags:\r\n  drop:\r\n    state: ENABLED\r\n    variants: {x: true}\r\n",
			"flags:\r\n  drop:\r\n    defaultVariant: x\r\n    state: ENABLED\r\n    variants: {x: true}\r\n",
			Edition{Key: "drop", Default: "x"},
		},
		{
			"yaml: an alias gives way to the value", "f.yml",
			"flags:\n  a: {state: ENABLED, variants: &v {x: true, y: false}, defaultVariant: &d x}\n  b: {state: ENABLED, variants: *v, defaultVariant: *d }\n",
			"flags:\n  a: {state: ENABLED, variants: &v {x: true, y: false}, defaultVariant: &d x}\n  b: {state: ENABLED, variants: *v, defaultVariant: \"y\" }\n",
			Edition{Key: "b", Default: "y"},
		},
		{
			"json: only the value changes", "f.json",
			"{\n\t\"flags\": {\n\t\t\"drop\": {\"state\":\"ENABLED\", \"variants\": {\"on\": true, \"off\": false},\n\t\t\t\"defaultVariant\": \"off\"}}}\n",
			"{\n\t\"flags\": {\n\t\t\"drop\": {\"state\":\"ENABLED\", \"variants\": {\"on\": true, \"off\": false},\n\t\t\t\"defaultVariant\": \"on\"}}}\n",
			Edition{Key: "drop", Default: "on"},
		},
		{
			"json: pairs on lines of their own", "f.json",
			"{\"flags\": {\"drop\": {\n  \"state\": \"ENABLED\",\n  \"variants\": {\"on\": true}\n}}}",
			"{\"flags\": {\"drop\": {\n  \"metadata\": {\"expires\": \"2027-01-31\"},\n  \"defaultVariant\": \"on\",\n  \"state\": \"ENABLED\",\n  \"variants\": {\"on\": true}\n}}}",
			Edition{Key: "drop", Default: "on", Metadata: map[string]string{"expires": "2027-01-31"}},
		},
		{
			"json: empty metadata", "f.json",
			`{"flags": {"drop": {"metadata": {}, "state": "ENABLED", "variants": {"on": true}, "defaultVariant": null}}}`,
			`{"flags": {"drop": {"metadata": {"expires": "2027-01-31"}, "state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"}}}`,
			Edition{Key: "drop", Default: "on", Metadata: map[string]string{"expires": "2027-01-31"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := Read(tt.file, []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			got, after, err := doc.Edit(tt.e)
			if err != nil {
				t.Fatal(err)
			}
			if f := after.Flag(tt.e.Key); f.Default != tt.e.Default || f.Disabled {
				t.Errorf("the flag is now %+v", f)
			}
			if string(got) != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}
