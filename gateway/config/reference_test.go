package config

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The reference is README.md in this folder. It is written from the schema itself: a key's words are the doc comment of its
// field, its default and its range are the field's tags, what it takes is what a mistake would say was expected.

const referenceHead = `# Configuration reference

Written from the structs of this package by ` + "`go test ./gateway/config -run TestReference -update`" + `; do not edit it by hand.

` + "`breakwater run -config FILE`" + ` serves a configuration, ` + "`breakwater check FILE`" + ` tells every mistake in it. The
[example](../../cmd/breakwater/example/breakwater.yaml) uses most of what is here.

A configuration is a YAML file of mappings, lists and scalars; anchors, aliases, merge keys and tags are refused. Relative paths
begin at the folder of the file that names them. Durations carry a unit (` + "`250ms`, `10s`, `1m30s`" + `), and so do sizes
(` + "`64KiB`, `100MiB`; `64kB`" + ` is 64,000 bytes). Secrets are never written in a file of the configuration, only where to find them.

The gateway reads all files again when one of them changes and when it is told to, by SIGHUP or ` + "`breakwater reload`" + `. If
anything is wrong, the configuration before stays in force as a whole.
`

func TestReference(t *testing.T) {
	r := reference{t: t, docs: docs(t)}
	r.write(referenceHead)
	r.section("The file", "", reflect.TypeFor[Config]())
	r.section("The file of clients", "clients file", reflect.TypeFor[clientsFile]())
	r.write("\n## Templates\n\n%s", r.markdown(r.docs["Template"]))

	const name = "README.md"
	if *update {
		if err := os.WriteFile(name, []byte(r.text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != r.text.String() {
		t.Errorf("%s is not what the schema says: run go test ./gateway/config -run TestReference -update", name)
	}
}

// A reference is the text so far.
type reference struct {
	t    *testing.T
	docs map[string]string // doc comments by type and by type.Field
	text strings.Builder
}

func (r *reference) write(format string, args ...any) { fmt.Fprintf(&r.text, format, args...) }

// section writes the keys of a struct, then those of the structs below it. Path is where it stands in the file.
func (r *reference) section(title, path string, s reflect.Type) {
	level := "##"
	if strings.Contains(path, ".") {
		level = "###"
	}
	what := regexp.MustCompile(`^(An? )?`+s.Name()+` (is|are) `).ReplaceAllString(r.doc(s.Name()), "")
	r.write("\n%s %s\n\n%s\n", level, title, r.markdown(capital(what)))
	r.write("| Key | Takes | Left out | |\n|---|---|---|---|\n")
	var below []func()
	for i := range s.NumField() {
		f := s.Field(i)
		key, required := keyOf(f)
		if key == "" {
			continue
		}
		takes, section := r.takes(f)
		if section != nil {
			at := strings.TrimPrefix(path+"."+key, ".")
			if f.Type.Kind() == reflect.Slice {
				at += "[]"
			}
			takes += fmt.Sprintf(": [%s](#%s)", at, anchor(at))
			below = append(below, func() { r.section(at, at, section) })
		}
		absent := ""
		if d := f.Tag.Get("default"); d != "" {
			absent = "`" + d + "`"
		} else if required {
			absent = "required"
		}
		r.write("| `%s` | %s | %s | %s |\n", key, takes, absent, r.about(s.Name(), f.Name, key))
	}
	for _, f := range below {
		f()
	}
}

// takes says what may stand behind a key. If that is a section, or a list of some, it returns their struct.
func (r *reference) takes(f reflect.StructField) (text string, section reflect.Type) {
	one := f.Type
	if _, is := reflect.New(f.Type).Interface().(branch); !is && one.Kind() == reflect.Slice {
		one = one.Elem()
	}
	if one.Kind() == reflect.Pointer {
		one = one.Elem()
	}
	_, custom := reflect.New(one).Interface().(branch)
	switch {
	case one.Kind() == reflect.Struct && hasElement(one) && !custom:
		return expected(f.Type, f.Tag), one
	case one == reflect.TypeFor[StepConfig]():
		return "anything", nil
	case one == reflect.TypeFor[time.Duration]():
		text = "a duration"
	case one == reflect.TypeFor[Size]():
		text = "a size"
	case f.Tag.Get("oneof") != "":
		words := strings.Fields(f.Tag.Get("oneof"))
		return "`" + strings.Join(words, "`, `") + "`", nil
	default:
		text = regexp.MustCompile(`"([^"]*)"`).ReplaceAllString(expected(f.Type, f.Tag), "`$1`")
		if one != f.Type && f.Type.Kind() == reflect.Slice && one.Kind() != reflect.String {
			text += ", each " + regexp.MustCompile(`"([^"]*)"`).ReplaceAllString(expected(one, ""), "`$1`")
		}
	}
	if lo, hi := f.Tag.Get("min"), f.Tag.Get("max"); lo != "" {
		text += fmt.Sprintf(", %s to %s", lo, hi)
	} else if hi != "" {
		text += ", at most " + hi
	}
	return text, nil
}

// doc returns a doc comment; everything in the schema has one.
func (r *reference) doc(name string) string {
	text := r.docs[name]
	if text == "" {
		r.t.Errorf("%s has no doc comment", name)
	}
	return text
}

// about is what a field's comment says of it, on one line and with its key in the place of its name.
func (r *reference) about(section, field, key string) string {
	text := r.markdown(r.doc(section + "." + field))
	rest, ok := strings.CutPrefix(text, field+" ")
	verb, what, _ := strings.Cut(rest, " ")
	switch {
	case !ok:
	case verb == "is" || verb == "are":
		text = capital(what)
	case verb != "of":
		text = "`" + key + "` " + rest
	}
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

func (r *reference) markdown(text string) string {
	p := comment.Parser{LookupSym: func(_, name string) bool { return name == "Template" }}
	w := comment.Printer{DocLinkURL: func(*comment.DocLink) string { return "#templates" }}
	return string(w.Markdown(p.Parse(text)))
}

// anchor is how GitHub calls a heading.
func anchor(title string) string {
	return strings.NewReplacer(".", "", "[", "", "]", "", " ", "-").Replace(strings.ToLower(title))
}

// docs returns the doc comments of this package's types and their fields.
func docs(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			types, ok := d.(*ast.GenDecl)
			if !ok || types.Tok != token.TYPE {
				continue
			}
			for _, spec := range types.Specs {
				s := spec.(*ast.TypeSpec)
				all[s.Name.Name] = types.Doc.Text() + s.Doc.Text()
				fields, ok := s.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, f := range fields.Fields.List {
					for _, n := range f.Names {
						all[s.Name.Name+"."+n.Name] = f.Doc.Text()
					}
				}
			}
		}
	}
	return all
}
