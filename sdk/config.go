package sdk

import (
	"encoding"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// Complain returns an error about the value of a configuration that pointer, a JSON pointer such as /parameters/0, leads to. Join several
// with [errors.Join]: all are reported.
func Complain(pointer, message string) error { return &complaint{pointer, message} }

type complaint struct{ pointer, message string }

func (c *complaint) Error() string {
	if c.pointer == "" {
		return c.message
	}
	return c.pointer + ": " + c.message
}

// complaints takes err apart. What was not made by [Complain] is about the whole configuration.
func complaints(err error) []abi.Complaint {
	if err == nil {
		return nil
	}
	if c, ok := err.(*complaint); ok {
		return []abi.Complaint{{Pointer: c.pointer, Message: c.message}}
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []abi.Complaint
		for _, e := range joined.Unwrap() {
			all = append(all, complaints(e)...)
		}
		return all
	}
	var c *complaint
	if errors.As(err, &c) {
		return []abi.Complaint{{Pointer: c.pointer, Message: err.Error()}}
	}
	return []abi.Complaint{{Message: err.Error()}}
}

// decode fills v, a pointer, from a configuration and returns every mistake in it. It does what encoding/json does, strictly and for less than
// what a guest would grow by with that package; and it knows where every mistake is.
func decode(config []byte, v any) error {
	value, err := parse(config)
	if err != nil {
		return Complain("", err.Error())
	}
	var errs []error
	fill(value, reflect.ValueOf(v).Elem(), "", &errs)
	return errors.Join(errs...)
}

func fill(j any, v reflect.Value, pointer string, errs *[]error) {
	expected := func(what string) {
		*errs = append(*errs, Complain(pointer, "expected "+what+", not "+inWords(j)))
	}
	if j == nil {
		v.SetZero()
		return
	}
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		text, ok := j.(string)
		if !ok {
			expected("a string")
		} else if err := t.UnmarshalText([]byte(text)); err != nil {
			*errs = append(*errs, Complain(pointer, err.Error()))
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(j, v.Elem(), pointer, errs)
	case reflect.String:
		if s, ok := j.(string); ok {
			v.SetString(s)
		} else {
			expected("a string")
		}
	case reflect.Bool:
		if b, ok := j.(bool); ok {
			v.SetBool(b)
		} else {
			expected("true or false")
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, ok := j.(number)
		i, err := strconv.ParseInt(string(n), 10, v.Type().Bits())
		if !ok || err != nil {
			expected("a whole number of " + strconv.Itoa(v.Type().Bits()) + " bits")
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, ok := j.(number)
		u, err := strconv.ParseUint(string(n), 10, v.Type().Bits())
		if !ok || err != nil {
			expected("a whole number of " + strconv.Itoa(v.Type().Bits()) + " bits, not below 0")
		}
		v.SetUint(u)
	case reflect.Float32, reflect.Float64:
		n, ok := j.(number)
		f, err := strconv.ParseFloat(string(n), v.Type().Bits())
		if !ok || err != nil {
			expected("a number")
		}
		v.SetFloat(f)
	case reflect.Slice:
		list, ok := j.([]any)
		if !ok {
			expected("a list")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
		for i, item := range list {
			fill(item, v.Index(i), pointer+"/"+strconv.Itoa(i), errs)
		}
	case reflect.Map:
		o, ok := j.(object)
		if !ok {
			expected("an object")
			return
		}
		v.Set(reflect.MakeMapWithSize(v.Type(), len(o)))
		for _, m := range o {
			item := reflect.New(v.Type().Elem()).Elem()
			fill(m.value, item, pointer+"/"+escape(m.key), errs)
			v.SetMapIndex(reflect.ValueOf(m.key).Convert(v.Type().Key()), item)
		}
	case reflect.Struct:
		o, ok := j.(object)
		if !ok {
			expected("an object")
			return
		}
		fillStruct(o, v, pointer, errs)
	default:
		panic("BUG: a configuration cannot have the type " + v.Type().String())
	}
}

func fillStruct(o object, v reflect.Value, pointer string, errs *[]error) {
	var names []string
	var fields []int
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		names, fields = append(names, name), append(fields, i)
	}
	for _, m := range o {
		at := pointer + "/" + escape(m.key)
		if i := slices.Index(names, m.key); i >= 0 {
			fill(m.value, v.Field(fields[i]), at, errs)
			continue
		}
		want := "no keys"
		if len(names) > 0 {
			want = strings.Join(names, ", ")
		}
		*errs = append(*errs, Complain(at, "unknown key "+strconv.Quote(m.key)+": expected "+want))
	}
}

// escape makes a key a part of a JSON pointer.
func escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

func inWords(j any) string {
	switch j := j.(type) {
	case string:
		return strconv.Quote(j)
	case number:
		return string(j)
	case bool:
		return strconv.FormatBool(j)
	case object:
		return "an object"
	default:
		return "a list"
	}
}
