package document

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// targeting checks a flag's rule, resolves its references and notes what it reads.
func (r *reader) targeting(where string, n *node, f *Flag) {
	if n.kind != kindMap {
		r.wrong(n, "%s: targeting: %s: expected a rule, or {} for none", where, n.show())
		return
	}
	if len(n.pairs) == 0 {
		return
	}
	c := &ruleChecker{reader: r, where: where + ": targeting", reads: map[string]bool{}, flag: f}
	before := len(r.problems)
	c.rule(n)
	if len(r.problems) > before {
		return
	}
	resolved := c.resolve(n)
	c.result(resolved)
	c.collect(resolved)
	f.Targeting = appendJSON(nil, resolved)
	for name := range c.reads {
		f.Reads.Attributes = append(f.Reads.Attributes, name)
	}
	slices.Sort(f.Reads.Attributes)
	f.Reads.Time = c.time
}

// operators are those of flagd's schema, with how many arguments they take; -1 is any number.
var operators = map[string]struct{ min, max int }{
	"var": {1, 2}, "missing": {0, -1}, "missing_some": {2, 2},
	"if": {1, -1}, "==": {2, 2}, "===": {2, 2}, "!=": {2, 2}, "!==": {2, 2}, ">": {2, 2}, ">=": {2, 2},
	"<": {2, 3}, "<=": {2, 3}, "%": {2, 2}, "/": {2, 2}, "*": {2, -1}, "+": {1, -1}, "-": {1, -1},
	"map": {2, 2}, "filter": {2, 2}, "all": {2, 2}, "none": {2, 2}, "some": {2, 2}, "reduce": {3, 3},
	"in": {2, 2}, "substr": {2, 3}, "!": {1, 1}, "!!": {1, 1}, "or": {1, -1}, "and": {1, -1},
	"max": {1, -1}, "min": {1, -1}, "merge": {1, -1}, "cat": {1, -1},
	"starts_with": {2, 2}, "ends_with": {2, 2}, "sem_ver": {3, 3}, "fractional": {1, -1},
}

// alone are the operators whose single argument may stand without a list around it.
var alone = []string{"var", "!", "!!"}

// overLists are the operators whose second argument is applied to each element of the first.
var overLists = []string{"map", "filter", "all", "none", "some", "reduce"}

type ruleChecker struct {
	*reader
	where       string
	flag        *Flag // whose variants the rule may return; nil for a shared evaluator
	inEvaluator bool
	element     bool // inside what is applied to each element of a list
	reads       map[string]bool
	time        bool
}

// rule checks an object: exactly one operator with arguments that suit it, or a reference.
func (c *ruleChecker) rule(n *node) {
	switch len(n.pairs) {
	case 1:
	case 0:
		c.wrong(n, "%s: an empty object: expected a rule", c.where)
		return
	default:
		names := make([]string, len(n.pairs))
		for i, p := range n.pairs {
			names[i] = p.key.text
		}
		c.wrong(n, "%s: an object with keys %s, which flagd takes for data: expected one operator", c.where, quoted(names))
		return
	}
	op, value := n.pairs[0].key, n.pairs[0].value
	if op.text == "$ref" {
		c.ref(op, value)
		return
	}
	arity, ok := operators[op.text]
	if !ok {
		c.wrong(op, "%s: unknown operator %q: expected one of flagd's, such as if, ==, in, and, or, starts_with, sem_ver, fractional", c.where, op.text)
		return
	}
	args := value.items
	if value.kind != kindList {
		if !slices.Contains(alone, op.text) {
			c.wrong(value, "%s: %q: %s: expected a list of arguments", c.where, op.text, value.show())
			return
		}
		args = []*node{value}
	}
	if len(args) < arity.min || arity.max >= 0 && len(args) > arity.max {
		c.wrong(value, "%s: %q with %d arguments: expected %s", c.where, op.text, len(args), count(arity.min, arity.max))
		return
	}
	c.arguments(op, args)
}

func count(low, high int) string {
	switch {
	case high < 0:
		return fmt.Sprintf("at least %d", low)
	case low == high:
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}

// ref checks a reference to a shared evaluator.
func (c *ruleChecker) ref(op, value *node) {
	switch {
	case value.kind != kindString:
		c.wrong(value, "%s: $ref %s: expected the name of an evaluator", c.where, value.show())
	case c.inEvaluator:
		c.wrong(op, "%s: $ref %q inside an evaluator, which flagd resolves only sometimes: expected the rule itself", c.where, value.text)
	case c.evaluators[value.text] == nil:
		c.wrong(value, "%s: $ref %q: no such evaluator in \"$evaluators\"", c.where, value.text)
	}
}

// operand checks an argument: a rule, a plain value or a list of operands.
func (c *ruleChecker) operand(n *node) {
	switch n.kind {
	case kindMap:
		c.rule(n)
	case kindList:
		for _, item := range n.items {
			c.operand(item)
		}
	}
}

func (c *ruleChecker) arguments(op *node, args []*node) {
	switch {
	case op.text == "var":
		c.variable(op, args)
		return
	case op.text == "missing":
		c.literalNames(op.text, args)
		return
	case op.text == "missing_some":
		if args[0].kind != kindNumber || args[1].kind != kindList {
			c.wrong(op, `%s: "missing_some": expected a number and a list of attribute names`, c.where)
			return
		}
		c.literalNames(op.text, args[1].items)
		return
	case op.text == "sem_ver":
		c.semver(args)
	case op.text == "fractional":
		c.fractional(op, args)
		return
	case op.text == "starts_with" || op.text == "ends_with":
		for _, arg := range args {
			if arg.kind != kindString && arg.kind != kindMap {
				c.wrong(arg, "%s: %q: %s: expected a string or a rule", c.where, op.text, arg.show())
			}
		}
	case slices.Contains(overLists, op.text):
		c.operand(args[0])
		inside := *c
		inside.element = true
		inside.operand(args[1])
		for _, arg := range args[2:] {
			c.operand(arg)
		}
		return
	}
	for _, arg := range args {
		c.operand(arg)
	}
}

// variable checks {"var": NAME} and {"var": [NAME, DEFAULT]}. Which attributes a rule reads must be known when it is
// loaded: answers are remembered by them.
func (c *ruleChecker) variable(op *node, args []*node) {
	name := args[0]
	switch {
	case c.element && name.kind == kindNumber: // the element of an element
	case name.kind != kindString:
		c.wrong(name, `%s: "var" %s: expected the name of an attribute`, c.where, name.show())
	case !c.element && strings.Trim(name.text, ".") == "":
		c.wrong(name, `%s: "var" %q, which is the whole context: expected the name of an attribute`, c.where, name.text)
	case strings.HasPrefix(name.text, "$flagd") && name.text != timeAttribute && name.text != keyAttribute:
		c.wrong(name, `%s: "var" %q: expected %q or %q`, c.where, name.text, timeAttribute, keyAttribute)
	}
	if len(args) == 2 && (args[1].kind == kindMap || args[1].kind == kindList) {
		c.wrong(args[1], `%s: "var" %s: default %s: expected a plain value`, c.where, name.show(), args[1].show())
	}
}

const (
	timeAttribute = "$flagd.timestamp"
	keyAttribute  = "$flagd.flagKey"
	targetingKey  = "targetingKey"
)

func (c *ruleChecker) literalNames(op string, args []*node) {
	for _, arg := range args {
		if arg.kind != kindString || arg.text == "" {
			c.wrong(arg, "%s: %q: %s: expected the name of an attribute", c.where, op, arg.show())
		}
	}
}

var (
	version        = regexp.MustCompile(`^[vV]?(0|[1-9]\d*)(\.(0|[1-9]\d*)){0,2}([-+].+)?$`)
	versionCompare = []string{"=", "!=", ">", "<", ">=", "<=", "~", "^"}
)

func (c *ruleChecker) semver(args []*node) {
	for _, i := range []int{0, 2} {
		if args[i].kind == kindMap || args[i].kind == kindString && version.MatchString(args[i].text) {
			continue
		}
		c.wrong(args[i], `%s: "sem_ver": %s: expected a version such as "1.2.3" or a rule`, c.where, args[i].show())
	}
	if args[1].kind != kindString || !slices.Contains(versionCompare, args[1].text) {
		c.wrong(args[1], `%s: "sem_ver": operator %s: expected one of %s`, c.where, args[1].show(), quoted(versionCompare))
	}
}

// fractional checks [BUCKET BY, [VARIANT, WEIGHT]…]; what to bucket by may be left out.
func (c *ruleChecker) fractional(op *node, args []*node) {
	shares := args
	if args[0].kind != kindList {
		if args[0].kind != kindMap && args[0].kind != kindString {
			c.wrong(args[0], `%s: "fractional": bucket by %s: expected a rule or a share such as ["on", 25]`, c.where, args[0].show())
		}
		c.operand(args[0])
		shares = args[1:]
	}
	if len(shares) == 0 {
		c.wrong(op, `%s: "fractional": no shares: expected lists such as ["on", 25]`, c.where)
		return
	}
	fixed, total := true, 0.0
	for _, share := range shares {
		if share.kind != kindList || len(share.items) < 1 || len(share.items) > 2 {
			c.wrong(share, `%s: "fractional": %s: expected a share such as ["on", 25]`, c.where, share.show())
			fixed = false
			continue
		}
		if variant := share.items[0]; variant.kind == kindList || variant.kind == kindNumber {
			c.wrong(variant, `%s: "fractional": variant %s: expected the name of a variant`, c.where, variant.show())
		}
		c.operand(share.items[0])
		if len(share.items) == 1 {
			total++
			continue
		}
		weight := share.items[1]
		number, isNumber := plain(weight).(float64)
		switch {
		case weight.kind == kindMap:
			fixed = false
			c.operand(weight)
		case !isNumber || number != float64(int32(number)) || number < 0:
			c.wrong(weight, `%s: "fractional": weight %s: expected a whole number from 0 on`, c.where, weight.show())
			fixed = false
		default:
			total += number
		}
	}
	if fixed && (total == 0 || total > 1<<31-1) {
		c.wrong(op, `%s: "fractional": weights add up to %.0f: expected 1 to %d`, c.where, total, 1<<31-1)
	}
}

// resolve returns the rule with its references replaced, as flagd does.
func (c *ruleChecker) resolve(n *node) *node {
	if n.kind != kindMap && n.kind != kindList {
		return n
	}
	if n.kind == kindMap && len(n.pairs) == 1 && n.pairs[0].key.text == "$ref" {
		return c.evaluators[n.pairs[0].value.text]
	}
	out := *n
	out.items, out.pairs = nil, nil
	for _, item := range n.items {
		out.items = append(out.items, c.resolve(item))
	}
	for _, p := range n.pairs {
		out.pairs = append(out.pairs, pair{p.key, c.resolve(p.value)})
	}
	return &out
}

// collect notes the attributes that a resolved rule reads: more rather than fewer.
func (c *ruleChecker) collect(n *node) {
	for _, item := range n.items {
		c.collect(item)
	}
	for _, p := range n.pairs {
		c.collect(p.value)
		names := []*node{p.value}
		if p.value.kind == kindList {
			names = p.value.items
		}
		switch p.key.text {
		case "var":
			c.read(names[0])
		case "missing":
			for _, name := range names {
				c.read(name)
			}
		case "missing_some":
			for _, name := range names[1].items {
				c.read(name)
			}
		case "fractional":
			// Without a string to bucket by, flagd takes the targeting key; a rule may turn out not to give one.
			if names[0].kind != kindString {
				c.reads[targetingKey] = true
			}
		}
	}
}

func (c *ruleChecker) read(name *node) {
	if name.kind != kindString {
		return
	}
	// flagd steps over empty parts: ".client" reads client. A part behind the first looks into an attribute.
	first, _, _ := strings.Cut(strings.TrimLeft(name.text, "."), ".")
	switch {
	case name.text == timeAttribute:
		c.time = true
	case first != "" && first != "$flagd":
		c.reads[first] = true
	}
}
