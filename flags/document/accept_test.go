package document

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-feature/flagd/core/pkg/evaluator"
	"github.com/open-feature/flagd/core/pkg/logger"
	"github.com/open-feature/flagd/core/pkg/store"
	"github.com/open-feature/flagd/core/pkg/sync"
	"github.com/open-feature/flagd/core/pkg/utils"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// What is accepted here must load in flagd, without even its warning that the schema is not met.
func TestWhatIsAcceptedLoadsInFlagd(t *testing.T) {
	files, _ := filepath.Glob("testdata/good/*")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := Read(file, data)
			if err != nil {
				t.Fatalf("refused:\n%v", err)
			}
			core, logs := observer.New(zap.WarnLevel)
			lg := logger.NewLogger(zap.New(core), false)
			st, err := store.NewStore(lg, []string{file})
			if err != nil {
				t.Fatal(err)
			}
			js, err := utils.ConvertToJSON(data, filepath.Ext(file), "")
			if err != nil {
				t.Fatalf("flagd does not convert it: %v", err)
			}
			if err := evaluator.NewJSON(lg, st).SetState(sync.DataSync{FlagData: js, Source: file}); err != nil {
				t.Fatalf("flagd refuses it: %v", err)
			}
			for _, entry := range logs.All() {
				// flagd's own schema does not know computed weights, which its evaluator resolves.
				if !strings.Contains(file, "computed-weights") {
					t.Errorf("flagd warns: %s", entry.Message)
				}
			}
			sameFlags(t, doc, st)
		})
	}
}

// sameFlags compares what we read with what flagd's store holds.
func sameFlags(t *testing.T, doc *Document, st *store.Store) {
	t.Helper()
	theirs, _, err := st.GetAll(t.Context(), nil)
	if err != nil || len(theirs) != len(doc.Flags) {
		t.Fatalf("flagd has %d flags, %v; we have %d", len(theirs), err, len(doc.Flags))
	}
	for _, their := range theirs {
		our := doc.Flag(their.Key)
		if our == nil {
			t.Fatalf("flag %q is only in flagd", their.Key)
		}
		if our.Default != their.DefaultVariant || our.Disabled != (their.State == "DISABLED") {
			t.Errorf("flag %q: default %q, disabled %v; flagd has %q, %q", our.Key, our.Default, our.Disabled, their.DefaultVariant, their.State)
		}
		if got, want := compact(t, our.Targeting), compact(t, their.Targeting); got != want {
			t.Errorf("flag %q: rule %s; flagd has %s", our.Key, got, want)
		}
		for _, v := range our.Variants {
			got, _ := json.Marshal(v.Value)
			want, _ := json.Marshal(their.Variants[v.Name])
			if !bytes.Equal(got, want) {
				t.Errorf("flag %q: variant %q is %s; flagd has %s", our.Key, v.Name, got, want)
			}
		}
	}
}

func compact(t *testing.T, rule json.RawMessage) string {
	if len(rule) == 0 || string(rule) == "{}" {
		return ""
	}
	var v any
	if err := json.Unmarshal(rule, &v); err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

func TestARuleSaysWhatItReads(t *testing.T) {
	tests := []struct{ name, rule, reads string }{
		{"nothing", `{"if": [true, "on"]}`, ""},
		{"variables, each once", `{"if": [{"==": [{"var": "client"}, {"var": ["route", "x"]}]}, {"var": "client"}]}`, "client route"},
		{"the first part of a path", `{"if": [{"var": ".plan.name"}, "on"]}`, "plan"},
		{"missing and missing_some", `{"if": [{"missing": ["a", "b"]}, "on", {"missing_some": [1, ["c"]]}, "on"]}`, "a b c"},
		{"a percentage reads the targeting key", `{"fractional": [["on", 1], ["off", 1]]}`, "targetingKey"},
		{"a rule to bucket by may give nothing", `{"fractional": [{"var": "plan"}, ["on", 1], ["off", 1]]}`, "plan targetingKey"},
		{"a string to bucket by does not", `{"fractional": ["all", ["on", 1], ["off", 1]]}`, ""},
		{"the clock", `{"if": [{">": [{"var": "$flagd.timestamp"}, 1]}, "on"]}`, "clock"},
		{"the flag's own key is no attribute", `{"if": [{"==": [{"var": "$flagd.flagKey"}, "a"]}, "on"]}`, ""},
		{"through a reference", `{"if": [{"$ref": "friends"}, "on"]}`, "client"},
		{"inside of lists", `{"if": [{"some": [["a"], {"==": [{"var": ""}, {"var": "client"}]}]}, "on"]}`, "client"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := Read("f.json", []byte(`{"$evaluators": {"friends": {"in": [{"var": "client"}, ["a"]]}},
				"flags": {"f": {"state": "ENABLED", "variants": {"on": true, "off": false}, "targeting": `+tt.rule+`}}}`))
			if err != nil {
				t.Fatal(err)
			}
			reads := doc.Flag("f").Reads
			got := strings.Join(reads.Attributes, " ")
			if reads.Time {
				got += "clock"
			}
			if got != tt.reads {
				t.Errorf("%s reads %q, want %q", tt.rule, got, tt.reads)
			}
		})
	}
}

func TestDiffNamesWhatChanged(t *testing.T) {
	read := func(s string) *Document {
		d, err := Read("f.yaml", []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const flag = ": {state: ENABLED, variants: {on: true, off: false}, targeting: {if: [{$ref: r}, \"on\"]}}\n"
	before := read("$evaluators: {r: {var: a}}\nflags:\n  same: {variants: {x: 1}, state: ENABLED}\n  refers" + flag + "  gone" + flag)
	after := read("$evaluators: {r: {var: b}}\nflags:\n  new" + flag + "  refers" + flag + "  same: {state: ENABLED, variants: {\"x\": 1}} # moved\n")
	var got []string
	for _, c := range Diff(before, after) {
		got = append(got, c.Key)
	}
	if s := strings.Join(got, " "); s != "gone new refers" {
		t.Errorf("changed: %s, want gone new refers", s)
	}
	if n := len(Diff(nil, before)); n != 3 {
		t.Errorf("against nothing %d flags changed, want 3", n)
	}
}

// Whatever bytes are in the file, reading ends with a document or with problems.
func FuzzRead(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*", "testdata/bad/*.[jy]*"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			data, _ := os.ReadFile(file)
			f.Add(strings.HasSuffix(file, ".json"), data)
		}
	}
	f.Fuzz(func(t *testing.T, asJSON bool, data []byte) {
		name := "f.yaml"
		if asJSON {
			name = "f.json"
		}
		doc, err := Read(name, data)
		if (doc == nil) == (err == nil) {
			t.Fatalf("document %v and error %v", doc, err)
		}
		if err != nil {
			return
		}
		for _, flag := range doc.Flags {
			if !json.Valid(flag.Source) || flag.Targeting != nil && !json.Valid(flag.Targeting) {
				t.Fatalf("flag %q gives no JSON", flag.Key)
			}
			for _, v := range flag.Variants { // an edit that cannot be made in place is an error, never a wrong file
				_, after, err := doc.Edit(Edition{Key: flag.Key, Default: v.Name, Metadata: map[string]string{"owner": "jo: \"x\""}})
				if err == nil && after.Flag(flag.Key).Default != v.Name {
					t.Fatalf("flag %q is not %q after the edit", flag.Key, v.Name)
				}
			}
		}
	})
}
