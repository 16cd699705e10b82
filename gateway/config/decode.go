package config

import (
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The schema is the structs of this package. A field's tags say what its key is and what may stand there:
//
//	yaml:"name"           the key; yaml:"name,required" when it may not be left out
//	default:"10s"         what holds when it is left out, written as in the file
//	min:"1" max:"10"      the range of a number, a duration or a size
//	oneof:"view operate"  the words that are allowed
//	is:"name"             what a text must be: see decoder.text
//	secret:"yes"          never show what stands here
//
// A section that is left out gets its defaults; one behind a pointer stays nil.

// A leaf is a type that is written as one scalar.
type leaf interface {
	parse(text string) error // the error says what was expected
}

// A branch is a type that reads its own node.
type branch interface {
	read(d *decoder, n *node, e *Element, key string)
}

// A checker looks at a whole section once all its keys have been read.
type checker interface {
	check(d *decoder)
}

// A decoder turns the nodes of one file into the structs of the schema and collects every mistake.
type decoder struct {
	dir  string // relative paths begin here
	opts LoadOptions
	load *loading
}

// wrong complains about the value n of key in e. With secret set the value is not shown.
func (d *decoder) wrong(n *node, e *Element, key string, secret bool, format string, args ...any) {
	if n.kind == refused {
		return
	}
	x := newError(n.pos, e.where, format, args...)
	x.What = key
	switch scalar := n.kind == boolean || n.kind == number || n.kind == text; {
	case scalar && secret:
		x.Text += " (the value is not shown)"
	case scalar:
		x.What = strings.TrimPrefix(key+" "+quote(n.text), " ")
	}
	d.load.complain(x)
}

// found is how an error calls a value of the wrong kind.
func (n *node) found() string {
	if n.kind == null {
		return "it is empty"
	}
	return "found " + n.kind.String()
}

// section reads n, which key has in e, into the struct v, which embeds an Element.
func (d *decoder) section(n *node, v reflect.Value, e *Element, where, key string, secret bool) {
	self := elementOf(v)
	self.Pos, self.where, self.keys = n.pos, where, map[string]Pos{}
	if n.kind != mapping {
		d.wrong(n, e, key, secret, "expected a mapping, %s", n.found())
		self.Pos = e.At(key)
		d.defaults(v, self)
		return
	}
	values := d.keys(n, self, keysOf(v.Type()))
	for i := range v.NumField() {
		f := v.Type().Field(i)
		k, required := keyOf(f)
		if k == "" {
			continue
		}
		if value, given := values[k]; given {
			d.value(value, v.Field(i), self, k, f.Tag)
		} else if required {
			d.load.complain(self.Errorf(k, "missing: expected %s", expected(f.Type, f.Tag)))
		} else {
			d.absent(v.Field(i), self, k, f.Tag)
		}
	}
	if c, ok := v.Addr().Interface().(checker); ok {
		c.check(d)
	}
}

// keys returns the values of a mapping by key and complains about those that are unknown or given twice. With known nil
// any key is good.
func (d *decoder) keys(n *node, self *Element, known []string) map[string]*node {
	values := make(map[string]*node, len(n.entries))
	first := make(map[string]Pos, len(n.entries))
	for _, at := range n.entries {
		if p, twice := first[at.key]; twice {
			d.load.complain(newError(at.pos, self.where, "key %s is given twice; first in line %d", quote(at.key), p.Line))
			continue
		}
		first[at.key] = at.pos
		if known != nil && !slices.Contains(known, at.key) {
			hint := suggest(at.key, known)
			if hint == "" {
				hint = ": expected " + join(known, "or")
			}
			d.load.complain(newError(at.pos, self.where, "unknown key %s%s", quote(at.key), hint))
			continue
		}
		self.keys[at.key] = at.value.pos
		values[at.key] = at.value
	}
	return values
}

// absent gives a field whose key was left out its default.
func (d *decoder) absent(v reflect.Value, e *Element, key string, tag reflect.StructTag) {
	if v.Kind() == reflect.Struct && hasElement(v.Type()) {
		self := elementOf(v)
		self.Pos, self.where = e.Pos, e.inside(key)
		d.defaults(v, self)
		for i := range v.NumField() {
			if k, required := keyOf(v.Type().Field(i)); required {
				x := self.Errorf(k, "missing: expected %s", expected(v.Type().Field(i).Type, v.Type().Field(i).Tag))
				d.load.complain(x)
			}
		}
		if c, ok := v.Addr().Interface().(checker); ok {
			c.check(d)
		}
		return
	}
	if text, ok := tag.Lookup("default"); ok {
		d.value(&node{kind: defaultKind(v), text: text, plain: true, pos: e.Pos}, v, e, key, tag)
	}
}

// defaults gives every field of v its default.
func (d *decoder) defaults(v reflect.Value, self *Element) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if k, required := keyOf(f); k != "" && !required {
			d.absent(v.Field(i), self, k, f.Tag)
		}
	}
}

func defaultKind(v reflect.Value) kind {
	switch v.Kind() {
	case reflect.Bool:
		return boolean
	case reflect.Int:
		return number
	default:
		return text
	}
}

// value reads n into the field v.
func (d *decoder) value(n *node, v reflect.Value, e *Element, key string, tag reflect.StructTag) {
	secret := tag.Get("secret") != ""
	switch p := v.Addr().Interface().(type) {
	case branch:
		p.read(d, n, e, key)
		return
	case leaf:
		if d.scalar(n, e, key, v.Type(), tag) {
			if err := p.parse(n.text); err != nil {
				_, hide := err.(hidden)
				d.wrong(n, e, key, secret || hide, "%w", err)
			} else {
				d.inRange(n, v, e, key, tag)
			}
		}
		return
	case *time.Duration:
		if d.scalar(n, e, key, v.Type(), tag) {
			if err := parseDuration(n.text, p); err != nil {
				d.wrong(n, e, key, false, "%w", err)
			} else {
				d.inRange(n, v, e, key, tag)
			}
		}
		return
	case *string:
		if d.scalar(n, e, key, v.Type(), tag) {
			d.text(n, p, e, key, tag)
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		if n.kind != boolean {
			d.wrong(n, e, key, secret, "expected true or false, %s", n.found())
			return
		}
		v.SetBool(strings.EqualFold(n.text, "true"))
	case reflect.Int:
		i, err := strconv.Atoi(n.text)
		if n.kind != number || err != nil {
			d.wrong(n, e, key, secret, "expected a whole number, %s", n.found())
			return
		}
		v.SetInt(int64(i))
		d.inRange(n, v, e, key, tag)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), e, key, tag)
	case reflect.Struct:
		d.section(n, v, e, e.inside(key), key, secret)
	case reflect.Slice:
		d.list(n, v, e, key, tag)
	default:
		panic("BUG: no way to read a " + v.Type().String())
	}
}

// list reads n into the slice v.
func (d *decoder) list(n *node, v reflect.Value, e *Element, key string, tag reflect.StructTag) {
	if n.kind != list {
		d.wrong(n, e, key, tag.Get("secret") != "", "expected a list, %s", n.found())
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		k := key + "[" + strconv.Itoa(i) + "]"
		elem := v.Index(i)
		if elem.Kind() == reflect.Pointer {
			elem.Set(reflect.New(elem.Type().Elem()))
			where := e.inside(k)
			if name := item.scalarOf("name"); name != "" {
				where += " " + quote(name)
			}
			e.keys[k] = item.pos
			d.section(item, elem.Elem(), e, where, k, tag.Get("secret") != "")
			continue
		}
		e.keys[k] = item.pos
		d.value(item, elem, e, k, tag)
	}
}

// scalarOf returns the text that key has in a mapping, if it has one.
func (n *node) scalarOf(key string) string {
	for _, at := range n.entries {
		if at.key == key && (at.value.kind == text || at.value.kind == number) {
			return at.value.text
		}
	}
	return ""
}

// scalar complains unless n is something that can be taken as text. A number is taken as it is written.
func (d *decoder) scalar(n *node, e *Element, key string, t reflect.Type, tag reflect.StructTag) bool {
	if n.kind == text || n.kind == number {
		return true
	}
	hint := ""
	if n.kind == boolean && tag.Get("oneof") == "" {
		hint = "; put quotes around it if it is meant as text"
	}
	d.wrong(n, e, key, tag.Get("secret") != "", "expected %s, %s%s", expected(t, tag), n.found(), hint)
	return false
}

// text checks n against the tags of a string field:
//
//	is:"name"           a name for metrics, logs and command lines
//	is:"field"          the name of a header field
//	is:"file"           the path of a file
//	is:"existing file"  the same, and it must be there
//	is:"output"         the path of a file, or "-"
//
// The field is set even if its value is wrong, so that nothing that refers to it is wrong as well.
func (d *decoder) text(n *node, p *string, e *Element, key string, tag reflect.StructTag) {
	*p = n.text
	if n.text == "" {
		d.wrong(n, e, key, false, "expected %s", expected(reflect.TypeFor[string](), tag))
		return
	}
	if words := strings.Fields(tag.Get("oneof")); len(words) > 0 && !slices.Contains(words, n.text) {
		d.wrong(n, e, key, false, "expected %s%s", join(words, "or"), suggest(n.text, words))
		return
	}
	var err error
	switch is := tag.Get("is"); is {
	case "":
	case "name":
		err = checkName(n.text)
	case "field":
		err = checkFieldName(n.text)
	case "file":
		*p, err = d.path(n.text)
	case "existing file":
		if *p, err = d.path(n.text); err == nil {
			err = d.load.exists(*p)
		}
	case "output":
		if n.text != "-" {
			*p, err = d.path(n.text)
		}
	default:
		panic("BUG: unknown tag is:" + is)
	}
	if err != nil {
		d.wrong(n, e, key, false, "%w", err)
	}
}

// path is the file that an operator means: relative to the file that names it.
func (d *decoder) path(name string) (string, error) {
	if strings.ContainsRune(name, 0) {
		return "", errors.New("expected the path of a file")
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	return filepath.Join(d.dir, name), nil
}

// inRange checks a number, a duration or a size against the tags min and max.
func (d *decoder) inRange(n *node, v reflect.Value, e *Element, key string, tag reflect.StructTag) {
	low, high := tag.Get("min"), tag.Get("max")
	if low == "" && high == "" {
		return
	}
	bound := func(text string, none int64) int64 {
		if text == "" {
			return none
		}
		return parseBound(v, text)
	}
	if x := v.Int(); x < bound(low, x) || x > bound(high, x) {
		d.wrong(n, e, key, false, "out of range: expected %s", limits(low, high))
		v.SetInt(bound(low, 0)) // a sane value, so that nothing after it complains as well
	}
}

func parseBound(v reflect.Value, text string) int64 {
	var err error
	var x int64
	switch v.Interface().(type) {
	case time.Duration:
		var d time.Duration
		err = parseDuration(text, &d)
		x = int64(d)
	case Size:
		var s Size
		err = s.parse(text)
		x = int64(s)
	default:
		x, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil {
		panic("BUG: bound " + text + ": " + err.Error())
	}
	return x
}

func limits(low, high string) string {
	switch {
	case high == "":
		return "at least " + low
	case low == "":
		return "at most " + high
	default:
		return low + " to " + high
	}
}
