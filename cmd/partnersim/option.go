package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An option is one member of a scenario's "options". Its default says its type: bool, int, string, time.Duration or []string.
type option struct {
	name     string
	fallback any
	does     string
	oneOf    []string // of a string or the members of a list; nil: any
	min, max int      // of an int
}

// values are a scenario's options, each with what was given or its default.
type values map[string]any

func (v values) flag(name string) bool              { return v[name].(bool) }
func (v values) num(name string) int                { return v[name].(int) }
func (v values) word(name string) string            { return v[name].(string) }
func (v values) duration(name string) time.Duration { return v[name].(time.Duration) }
func (v values) list(name string) []string          { return v[name].([]string) }

// parseOptions reads the member "options" of a scenario.
func parseOptions(known []option, given map[string]json.RawMessage) (values, error) {
	v := values{}
	for _, o := range known {
		v[o.name] = o.fallback
		if raw, ok := given[o.name]; ok {
			value, err := o.parse(raw)
			if err != nil {
				return nil, err
			}
			v[o.name] = value
		}
	}
	for name := range given {
		if _, ok := v[name]; !ok {
			return nil, fmt.Errorf("option %q: expected one of %s", name, names(known))
		}
	}
	return v, nil
}

func names(known []option) string {
	if len(known) == 0 {
		return "none: this scenario has no options"
	}
	var n []string
	for _, o := range known {
		n = append(n, o.name)
	}
	return strings.Join(n, ", ")
}

// parse reads one value and says what it expected when it is something else.
func (o *option) parse(raw json.RawMessage) (any, error) {
	bad := func(expected string) error {
		return fmt.Errorf("option %q: value %s: expected %s", o.name, bytes.TrimSpace(raw), expected)
	}
	switch o.fallback.(type) {
	case bool:
		var b bool
		if strict(raw, &b) != nil {
			return nil, bad(o.expected())
		}
		return b, nil
	case int:
		var n int
		if strict(raw, &n) != nil || n < o.min || n > o.max {
			return nil, bad(o.expected())
		}
		return n, nil
	case time.Duration:
		var s string
		if strict(raw, &s) != nil {
			return nil, bad(o.expected())
		}
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 {
			return nil, bad(o.expected())
		}
		return d, nil
	case string:
		var s string
		if strict(raw, &s) != nil || o.oneOf != nil && !slices.Contains(o.oneOf, s) {
			return nil, bad(o.expected())
		}
		return s, nil
	case []string:
		var l []string
		if strict(raw, &l) != nil {
			return nil, bad(o.expected())
		}
		for _, s := range l {
			if o.oneOf != nil && !slices.Contains(o.oneOf, s) {
				return nil, bad(o.expected())
			}
		}
		return l, nil
	}
	panic(fmt.Sprintf("BUG: option %q has a default of type %T", o.name, o.fallback))
}

// expected says what the values of o are, for errors and for GET /scenarios.
func (o *option) expected() string {
	switch o.fallback.(type) {
	case bool:
		return "true or false"
	case int:
		return fmt.Sprintf("a whole number from %d to %d", o.min, o.max)
	case time.Duration:
		return `a duration such as "1.5s"`
	case []string:
		return "a list of: " + strings.Join(o.oneOf, ", ")
	}
	if o.oneOf == nil {
		return "a string"
	}
	return "one of " + strings.Join(o.oneOf, ", ")
}

// shown is the default as GET /scenarios shows it.
func (o *option) shown() any {
	if d, ok := o.fallback.(time.Duration); ok {
		return d.String()
	}
	return o.fallback
}

// strict decodes JSON, and takes null for a mistake.
func strict(raw json.RawMessage, into any) error {
	if string(bytes.TrimSpace(raw)) == "null" {
		return fmt.Errorf("null")
	}
	return json.Unmarshal(raw, into)
}
