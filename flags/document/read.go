package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// A reader turns nodes into a Document and collects every mistake on the way.
type reader struct {
	*text
	problems   Problems
	evaluators map[string]*node
}

func (r *reader) wrong(n *node, format string, args ...any) {
	r.problems = append(r.problems, Problem{r.pos(n.at), fmt.Sprintf(format, args...)})
}

// fields walks an object's pairs. It reports a key that stands twice and one that is not among known, and returns
// whether n is an object at all.
func (r *reader) fields(where string, n *node, known []string, each func(key, value *node)) bool {
	if n.kind != kindMap {
		r.wrong(n, "%s: %s: expected an object", where, n.show())
		return false
	}
	seen := make(map[string]*node, len(n.pairs))
	for _, p := range n.pairs {
		if first, ok := seen[p.key.text]; ok {
			r.wrong(p.key, "%s: key %q stands twice, first on line %d: expected it once", where, p.key.text, r.pos(first.at).Line)
			continue
		}
		seen[p.key.text] = p.key
		if known != nil && !contains(known, p.key.text) {
			r.wrong(p.key, "%s: unknown key %q: expected one of %s", where, p.key.text, strings.Join(known, ", "))
			continue
		}
		each(p.key, p.value)
	}
	return true
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

func (r *reader) document(root *node) *Document {
	d := &Document{byKey: map[string]int{}}
	var flags *node
	ok := r.fields("top level", root, []string{"$schema", "flags", "$evaluators", "metadata"}, func(key, value *node) {
		switch key.text {
		case "flags":
			flags = value
		case "metadata":
			d.Metadata = r.metadata("metadata", value)
		case "$evaluators":
			r.shared(value)
		}
	})
	if !ok {
		return d
	}
	switch {
	case flags == nil:
		r.wrong(root, `top level: no "flags": expected an object of flags by key`)
		return d
	case flags.kind == kindList:
		r.wrong(flags, "flags: a list: expected an object of flags by key")
		return d
	}
	if r.fields("flags", flags, nil, func(key, value *node) {
		if f, ok := r.flag(key, value); ok {
			d.byKey[f.Key] = len(d.Flags)
			d.Flags = append(d.Flags, f)
		}
	}) && len(flags.pairs) == 0 {
		r.wrong(flags, "flags: no flag at all: expected at least one; a flag is retired by \"state\": \"DISABLED\"")
	}
	return d
}

// shared reads $evaluators. flagd puts them in by replacing text, in no fixed order, so that one evaluator that
// refers to another would resolve sometimes.
func (r *reader) shared(n *node) {
	r.fields("$evaluators", n, nil, func(key, value *node) {
		where := fmt.Sprintf("$evaluators %q", key.text)
		r.name(where, "name", key)
		if value.kind != kindMap || len(value.pairs) == 0 {
			r.wrong(value, "%s: %s: expected a rule", where, value.show())
			return
		}
		r.evaluators[key.text] = value
		check := &ruleChecker{reader: r, where: where, inEvaluator: true}
		check.rule(value)
	})
}

// name checks the name of a variant or evaluator: flagd compares them with JSON text, in which these characters
// look different, so that such a name is never found.
func (r *reader) name(where, what string, key *node) {
	if key.text == "" {
		r.wrong(key, "%s: empty %s: expected at least one character", where, what)
		return
	}
	for _, c := range key.text {
		if c < 0x20 || strings.ContainsRune("\"\\<>&\u2028\u2029\ufffd", c) {
			r.wrong(key, "%s: %s %q contains %q, with which flagd never finds it: expected letters, digits, - or _", where, what, key.text, c)
			return
		}
	}
}

func (r *reader) flag(key, n *node) (Flag, bool) {
	f := Flag{Key: key.text, Pos: r.pos(key.at)}
	where := fmt.Sprintf("flag %q", key.text)
	if key.text == "" {
		r.wrong(key, "flag %q: empty key: expected at least one character", key.text)
	}
	before := len(r.problems)
	var state, variants, byDefault, targeting *node
	if !r.fields(where, n, []string{"state", "variants", "defaultVariant", "targeting", "metadata"}, func(k, v *node) {
		switch k.text {
		case "state":
			state = v
		case "variants":
			variants = v
		case "defaultVariant":
			byDefault = v
		case "targeting":
			targeting = v
		case "metadata":
			f.Metadata = r.metadata(where+": metadata", v)
		}
	}) {
		return f, false
	}
	switch {
	case state == nil:
		r.wrong(key, "%s: no state: expected ENABLED or DISABLED", where)
	case state.kind != kindString || state.text != "ENABLED" && state.text != "DISABLED":
		r.wrong(state, "%s: state %s: expected ENABLED or DISABLED", where, state.show())
	default:
		f.Disabled = state.text == "DISABLED"
	}
	if variants == nil {
		r.wrong(key, "%s: no variants: expected an object of values by name", where)
	} else {
		r.variants(where, variants, &f)
	}
	switch {
	case byDefault == nil || byDefault.kind == kindNull:
	case byDefault.kind != kindString:
		r.wrong(byDefault, "%s: defaultVariant %s: expected the name of a variant, quoted if need be", where, byDefault.show())
	case byDefault.text == "":
		r.wrong(byDefault, "%s: defaultVariant \"\": expected the name of a variant, or null for none", where)
	default:
		f.Default = byDefault.text
		if _, ok := f.Variant(f.Default); !ok && variants != nil {
			r.wrong(byDefault, "%s: defaultVariant %q: no such variant: expected one of %s", where, f.Default, quoted(f.VariantNames()))
		}
	}
	if targeting != nil {
		r.targeting(where, targeting, &f)
	}
	if len(r.problems) > before {
		return f, false
	}
	f.Source = appendJSON(nil, n)
	return f, true
}

func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = strconv.Quote(name)
	}
	return strings.Join(list, ", ")
}

var variantKinds = map[kind]Kind{kindBool: Boolean, kindString: String, kindNumber: Number, kindMap: Object}

func (r *reader) variants(where string, n *node, f *Flag) {
	var first *node
	ok := r.fields(where+": variants", n, nil, func(key, value *node) {
		r.name(where, "variant name", key)
		is, ok := variantKinds[value.kind]
		switch {
		case !ok:
			r.wrong(value, "%s: variant %q: %s: expected a boolean, string, number or object", where, key.text, value.show())
		case first == nil:
			first, f.Kind = value, is
		case first.kind != value.kind:
			r.wrong(value, "%s: variant %q: %s, but the first variant is %s: expected all of one type", where, key.text, value.show(), first.kind)
		}
		if ref := findRef(value); ref != nil {
			r.wrong(ref, "%s: variant %q: \"$ref\" in a value, which flagd would replace: expected plain data", where, key.text)
		}
		r.noDuplicates(where, value)
		f.Variants = append(f.Variants, Variant{Name: key.text, Value: plain(value), Pos: r.pos(key.at)})
	})
	if ok && len(n.pairs) == 0 {
		r.wrong(n, "%s: variants: none: expected at least one", where)
	}
}

// noDuplicates reports keys that stand twice inside an object variant.
func (r *reader) noDuplicates(where string, n *node) {
	for _, item := range n.items {
		r.noDuplicates(where, item)
	}
	if n.kind == kindMap {
		r.fields(where, n, nil, func(_, value *node) { r.noDuplicates(where, value) })
	}
}

func findRef(n *node) *node {
	for _, item := range n.items {
		if ref := findRef(item); ref != nil {
			return ref
		}
	}
	for _, p := range n.pairs {
		if p.key.text == "$ref" {
			return p.key
		}
		if ref := findRef(p.value); ref != nil {
			return ref
		}
	}
	return nil
}

func (r *reader) metadata(where string, n *node) map[string]any {
	m := map[string]any{}
	r.fields(where, n, nil, func(key, value *node) {
		switch value.kind {
		case kindString, kindNumber, kindBool:
			m[key.text] = plain(value)
		default:
			r.wrong(value, "%s: %q: %s: expected a string, number or boolean", where, key.text, value.show())
			return
		}
		if key.text == ExpiresKey {
			if _, err := parseExpiry(value.text); value.kind != kindString || err != nil {
				r.wrong(value, "%s: expires %s: expected an RFC 3339 time or date such as \"2027-01-31\" or \"2027-01-31T18:00:00Z\"", where, value.show())
			}
		}
		if (key.text == "flagSetId" || key.text == "version") && value.kind != kindString {
			r.wrong(value, "%s: %s %s: expected a string", where, key.text, value.show())
		}
	})
	return m
}

// plain returns a value as encoding/json would decode it.
func plain(n *node) any {
	switch n.kind {
	case kindBool:
		return n.yes
	case kindNumber:
		f, _ := strconv.ParseFloat(n.text, 64) // checked when it was parsed
		return f
	case kindString:
		return n.text
	case kindList:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = plain(item)
		}
		return list
	case kindMap:
		m := make(map[string]any, len(n.pairs))
		for _, p := range n.pairs {
			m[p.key.text] = plain(p.value)
		}
		return m
	}
	return nil
}

// appendJSON appends the value as JSON: keys sorted, nothing escaped that need not be, so that equal meaning gives
// equal bytes whatever the file's format.
func appendJSON(dst []byte, n *node) []byte {
	switch n.kind {
	case kindBool:
		return strconv.AppendBool(dst, n.yes)
	case kindNumber:
		return append(dst, n.text...)
	case kindString:
		return appendString(dst, n.text)
	case kindList:
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, item)
		}
		return append(dst, ']')
	case kindMap:
		pairs := append([]pair(nil), n.pairs...)
		sort.SliceStable(pairs, func(i, j int) bool { return pairs[i].key.text < pairs[j].key.text })
		dst = append(dst, '{')
		for i, p := range pairs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, p.key.text), ':')
			dst = appendJSON(dst, p.value)
		}
		return append(dst, '}')
	}
	return append(dst, "null"...)
}

func appendString(dst []byte, s string) []byte {
	if isPlainText(s) {
		return append(append(append(dst, '"'), s...), '"')
	}
	b := bytes.NewBuffer(dst)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// isPlainText reports whether JSON writes the string as it is.
func isPlainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
