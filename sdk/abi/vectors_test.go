package abi

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The vectors in testdata were made from LAYOUT.md without this package, and every other language's SDK is held to them too.

// A vectorItem is one item of an input or a mutation list in words.
type vectorItem struct {
	Is       string
	Section  Section
	Name     string
	Value    string
	Whole    bool
	Response bool
	Status   int
}

type vector struct {
	Name     string
	Phase    string
	Status   int
	Items    []vectorItem
	ReadOnly bool   `json:"read_only"` // no writer of this version makes these bytes
	Error    string // what the reader says
	Hex      string
}

func (v *vector) phase(t *testing.T) Phase {
	t.Helper()
	for p, name := range phaseNames {
		if name == v.Phase {
			return Phase(p)
		}
	}
	t.Fatalf("phase %q", v.Phase)
	return 0
}

func load[T any](t testing.TB, file string) []T {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var vs []T
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&vs); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return vs
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sameError(t *testing.T, err error, want string) {
	t.Helper()
	if got := errorText(err); got != want {
		t.Errorf("error %q\n want %q", got, want)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestInputVectors(t *testing.T) {
	for _, v := range load[vector](t, "inputs.json") {
		t.Run(v.Name, func(t *testing.T) {
			b := unhex(t, v.Hex)
			if v.Error == "" && !v.ReadOnly {
				w := AppendInput(nil, v.phase(t), v.Status)
				for _, it := range v.Items {
					w = appendInputItem(t, w, it)
				}
				if !bytes.Equal(w, b) {
					t.Errorf("written %x\n   want %x", w, b)
				}
			}
			in, err := ReadInput(b)
			var got []vectorItem
			for err == nil {
				var p Piece
				var ok bool
				if ok, err = in.Next(&p); !ok {
					break
				}
				got = append(got, pieceInWords(p))
			}
			sameError(t, err, v.Error)
			if v.Error != "" {
				return
			}
			if in.Phase != v.phase(t) || in.Status != v.Status {
				t.Errorf("phase %s, status %d; want %s, %d", in.Phase, in.Status, v.Phase, v.Status)
			}
			if len(got)+len(v.Items) > 0 {
				if d := cmp.Diff(v.Items, got); d != "" {
					t.Errorf("items (-want +got):\n%s", d)
				}
			}
		})
	}
}

func appendInputItem(t *testing.T, dst []byte, it vectorItem) []byte {
	t.Helper()
	switch it.Is {
	case "method":
		return AppendMethod(dst, []byte(it.Value))
	case "uri":
		return AppendURI(dst, []byte(it.Value))
	case "field":
		return AppendField(dst, it.Section, []byte(it.Name), []byte(it.Value))
	case "body":
		return AppendBody(dst, []byte(it.Value), it.Whole)
	case "config":
		return AppendConfig(dst, []byte(it.Value))
	case "fact":
		return AppendFact(dst, it.Name, it.Value)
	}
	t.Fatalf("item %q", it.Is)
	return nil
}

func pieceInWords(p Piece) vectorItem {
	is := map[Kind]string{
		KindMethod: "method", KindURI: "uri", KindField: "field", KindBody: "body", KindConfig: "config", KindFact: "fact",
	}
	return vectorItem{Is: is[p.Kind], Section: p.Section, Name: string(p.Name), Value: string(p.Value), Whole: p.Whole}
}

func TestMutationVectors(t *testing.T) {
	for _, v := range load[vector](t, "mutations.json") {
		t.Run(v.Name, func(t *testing.T) {
			b := unhex(t, v.Hex)
			sameError(t, CheckMutations(v.phase(t), b), v.Error)
			if v.Error != "" {
				return
			}
			var w []byte
			for _, it := range v.Items {
				w = appendMutation(t, w, it)
			}
			if !bytes.Equal(w, b) {
				t.Errorf("written %x\n   want %x", w, b)
			}
			var got []vectorItem
			m := ReadMutations(v.phase(t), b)
			for {
				var mu Mutation
				ok, err := m.Next(&mu)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				got = append(got, mutationInWords(mu))
			}
			if d := cmp.Diff(v.Items, got); d != "" {
				t.Errorf("items (-want +got):\n%s", d)
			}
		})
	}
}

func appendMutation(t *testing.T, dst []byte, it vectorItem) []byte {
	t.Helper()
	switch it.Is {
	case "set_uri":
		return AppendSetURI(dst, []byte(it.Value))
	case "set_method":
		return AppendSetMethod(dst, it.Value)
	case "set_field":
		return AppendSetField(dst, it.Section, it.Name, it.Value)
	case "add_field":
		return AppendAddField(dst, it.Section, it.Name, it.Value)
	case "remove_field":
		return AppendRemoveField(dst, it.Section, it.Name)
	case "set_status":
		return AppendSetStatus(dst, it.Status)
	case "set_body":
		return AppendSetBody(dst, it.Response, it.Value)
	case "answer":
		return AppendAnswer(dst, it.Status)
	}
	t.Fatalf("item %q", it.Is)
	return nil
}

func mutationInWords(m Mutation) vectorItem {
	is := map[Kind]string{
		KindSetURI: "set_uri", KindSetMethod: "set_method", KindSetField: "set_field", KindAddField: "add_field",
		KindRemoveField: "remove_field", KindSetStatus: "set_status", KindSetBody: "set_body", KindAnswer: "answer",
	}
	return vectorItem{
		Is: is[m.Kind], Section: m.Section, Name: string(m.Name), Value: string(m.Value), Response: m.Response, Status: m.Status,
	}
}

// A vectorWant is a [Want] in words.
type vectorWant struct {
	Method            bool
	URI               bool
	RequestFields     []string `json:"request_fields"`
	ResponseFields    []string `json:"response_fields"`
	AllRequestFields  bool     `json:"all_request_fields"`
	AllResponseFields bool     `json:"all_response_fields"`
	RequestTrailers   bool     `json:"request_trailers"`
	ResponseTrailers  bool     `json:"response_trailers"`
	Prefix            int
	Body              int
	Statuses          []int
	StatusClasses     []int `json:"status_classes"`
	Methods           []string
}

type vectorDeclaration struct {
	Name        string
	Declaration struct {
		Wants   map[string]vectorWant
		Reasons []struct {
			Name  string
			About string
		}
		Complaints []Complaint
	}
	Error string
	Hex   string
}

func (v *vectorDeclaration) read(t *testing.T) Declaration {
	t.Helper()
	d := Declaration{Complaints: v.Declaration.Complaints}
	for p, name := range phaseNames {
		w, ok := v.Declaration.Wants[name]
		if !ok {
			continue
		}
		d.Wants[p] = Want{
			Called: true, Method: w.Method, URI: w.URI, RequestFields: w.RequestFields, ResponseFields: w.ResponseFields,
			AllRequestFields: w.AllRequestFields, AllResponseFields: w.AllResponseFields,
			RequestTrailers: w.RequestTrailers, ResponseTrailers: w.ResponseTrailers,
			Prefix: w.Prefix, Body: w.Body, Methods: w.Methods,
		}
		for _, c := range w.StatusClasses {
			d.Wants[p].Statuses.AddClass(c)
		}
		for _, c := range w.Statuses {
			d.Wants[p].Statuses.Add(c)
		}
	}
	for _, r := range v.Declaration.Reasons {
		about, err := ParseAbout(r.About)
		if err != nil {
			t.Fatal(err)
		}
		d.Reasons = append(d.Reasons, Reason{Name: r.Name, About: about})
	}
	return d
}

func TestDeclarationVectors(t *testing.T) {
	for _, v := range load[vectorDeclaration](t, "declarations.json") {
		t.Run(v.Name, func(t *testing.T) {
			b := unhex(t, v.Hex)
			got, err := ReadDeclaration(b)
			sameError(t, err, v.Error)
			if v.Error != "" {
				return
			}
			want := v.read(t)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("declaration (-want +got):\n%s", d)
			}
			if w := AppendDeclaration(nil, &want); !bytes.Equal(w, b) {
				t.Errorf("written %x\n   want %x", w, b)
			}
		})
	}
}

func TestVerdictVectors(t *testing.T) {
	type vectorVerdict struct {
		Name    string
		Word    string
		Verdict struct {
			Class, Fault      string
			Counts, Retryable bool
			RetryAfter        int64 `json:"retry_after_ms"`
			Reason            uint16
		}
		Error string
	}
	for _, v := range load[vectorVerdict](t, "verdicts.json") {
		t.Run(v.Name, func(t *testing.T) {
			word, err := strconv.ParseUint(v.Word, 0, 64)
			if err != nil {
				t.Fatal(err)
			}
			got, err := UnpackVerdict(word)
			sameError(t, err, v.Error)
			if v.Error != "" {
				return
			}
			want := Verdict{
				Counts: v.Verdict.Counts, Retryable: v.Verdict.Retryable, Reason: v.Verdict.Reason,
				RetryAfter: time.Duration(v.Verdict.RetryAfter) * time.Millisecond,
			}
			for c, name := range classNames {
				if name == v.Verdict.Class {
					want.Class = Class(c)
				}
			}
			for f, name := range faultNames {
				if name == v.Verdict.Fault {
					want.Fault = Fault(f)
				}
			}
			if got != want {
				t.Errorf("read %+v, want %+v", got, want)
			}
			if w := want.Pack(); w != word {
				t.Errorf("written %#016x, want %#016x", w, word)
			}
		})
	}
}
