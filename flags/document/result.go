package document

import "slices"

// yesNo are the operators that answer true or false.
var yesNo = []string{
	"==", "===", "!=", "!==", ">", ">=", "<", "<=", "in", "!", "!!", "all", "none", "some",
	"starts_with", "ends_with", "sem_ver",
}

// result checks what a rule can return as a whole: names of variants, or null for the default one. Where that
// is known only when it is evaluated, as with "var" and "cat", nothing is said.
func (c *ruleChecker) result(n *node) {
	switch n.kind {
	case kindNull:
	case kindString:
		c.returns(n, n.text)
	case kindBool:
		c.returns(n, n.show())
	case kindNumber, kindList:
		c.wrong(n, "%s: returns %s: expected the name of a variant, or null for the default", c.where, n.show())
	case kindMap:
		c.resultOf(n)
	}
}

func (c *ruleChecker) resultOf(n *node) {
	op, value := n.pairs[0].key.text, n.pairs[0].value
	args := value.items
	if value.kind != kindList {
		args = []*node{value}
	}
	switch {
	case op == "if":
		for i, arg := range args {
			if i%2 == 1 || i == len(args)-1 && i > 0 {
				c.result(arg)
			}
		}
	case op == "and" || op == "or":
		// One of the operands; which falsy or truthy one is known only when it is evaluated, so literals only.
		for _, arg := range args {
			if arg.kind == kindString {
				c.result(arg)
			}
		}
	case op == "fractional":
		for _, share := range args {
			if share.kind == kindList {
				c.result(share.items[0])
			}
		}
	case slices.Contains(yesNo, op):
		for _, name := range []string{"true", "false"} {
			if _, ok := c.flag.Variant(name); !ok {
				c.wrong(n, "%s: %q as the whole rule returns true or false, and there is no variant %q: expected \"if\" around it, or variants of these names", c.where, op, name)
				return
			}
		}
	}
}

func (c *ruleChecker) returns(n *node, name string) {
	if _, ok := c.flag.Variant(name); !ok {
		c.wrong(n, "%s: returns %q: no such variant: expected one of %s, or null for the default", c.where, name, quoted(c.flag.VariantNames()))
	}
}
