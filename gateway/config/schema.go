package config

import (
	"reflect"
	"strings"
	"time"
)

// keyOf returns the key of a field in the file; empty for what does not stand there.
func keyOf(f reflect.StructField) (key string, required bool) {
	key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if key == "-" {
		return "", false
	}
	return key, option == "required"
}

// keysOf returns all keys of a section in the order of the struct.
func keysOf(t reflect.Type) []string {
	keys := make([]string, 0, t.NumField())
	for i := range t.NumField() {
		if k, _ := keyOf(t.Field(i)); k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

func hasElement(t reflect.Type) bool {
	_, ok := t.FieldByName("Element")
	return ok
}

// valueOf returns the struct that p points to, to be read into.
func valueOf(p any) reflect.Value { return reflect.ValueOf(p).Elem() }

func elementOf(v reflect.Value) *Element {
	return v.FieldByName("Element").Addr().Interface().(*Element)
}

// expected says in words what a field takes.
func expected(t reflect.Type, tag reflect.StructTag) string {
	if words := strings.Fields(tag.Get("oneof")); len(words) > 0 {
		return join(words, "or")
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if w, ok := reflect.New(t).Interface().(interface{ expected() string }); ok {
		return w.expected()
	}
	if t == reflect.TypeFor[time.Duration]() {
		return expectedDuration
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "a mapping"
	}
	switch tag.Get("is") {
	case "name":
		return "a name"
	case "field":
		return "the name of a field"
	case "file", "existing file", "output":
		return "the path of a file"
	}
	return "text"
}

// join lists words as in: a, b or c.
func join(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}
