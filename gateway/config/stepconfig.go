package config

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// A StepConfig is what the operator tells a plugin: any YAML, handed on as JSON. The zero StepConfig says nothing.
type StepConfig struct {
	json []byte
	pos  map[string]Pos // by JSON pointer
}

// JSON returns the configuration as JSON, in the order of the file; nil if there is none. It must not be changed.
func (c *StepConfig) JSON() []byte { return c.json }

// PosAt returns where the value begins that a JSON pointer such as "/names/0" leads to. Where the pointer leads nowhere, as
// when a value is missing, it is where the innermost value begins that does exist. Zero if there is no configuration.
func (c *StepConfig) PosAt(pointer string) Pos {
	for {
		if p, ok := c.pos[pointer]; ok {
			return p
		}
		i := strings.LastIndexByte(pointer, '/')
		if i < 0 {
			return c.pos[""]
		}
		pointer = pointer[:i]
	}
}

func (c *StepConfig) read(d *decoder, n *node, e *Element, key string) {
	self := &Element{Pos: n.pos, where: e.inside(key), keys: map[string]Pos{}}
	c.pos = map[string]Pos{}
	if n.kind == null { // the key stands there with nothing behind it
		c.pos[""] = n.pos
		return
	}
	c.json = c.append(nil, d, n, self, "")
}

// jsonNumber is what a plain scalar looks like that is a number in JSON and in YAML 1.2, but not to our reader: 1e3.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// append appends n as JSON and remembers where n and all that is in it begin.
func (c *StepConfig) append(dst []byte, d *decoder, n *node, self *Element, pointer string) []byte {
	c.pos[pointer] = n.pos
	switch n.kind {
	case mapping:
		dst = append(dst, '{')
		first := map[string]Pos{}
		for _, at := range n.entries {
			if p, twice := first[at.key]; twice {
				d.load.complain(newError(at.pos, self.where, "key %s is given twice; first in line %d", quote(at.key), p.Line))
				continue
			}
			first[at.key] = at.pos
			if len(first) > 1 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, at.key), ':')
			dst = c.append(dst, d, at.value, self, pointer+"/"+pointerEscape.Replace(at.key))
		}
		return append(dst, '}')
	case list:
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = c.append(dst, d, item, self, pointer+"/"+strconv.Itoa(i))
		}
		return append(dst, ']')
	case boolean:
		return append(dst, strings.ToLower(n.text)...)
	case number:
		return c.appendNumber(dst, d, n, self, pointer)
	case text:
		if n.plain && jsonNumber.MatchString(n.text) {
			return append(dst, n.text...)
		}
		return appendString(dst, n.text)
	default:
		return append(dst, "null"...)
	}
}

func (c *StepConfig) appendNumber(dst []byte, d *decoder, n *node, self *Element, pointer string) []byte {
	switch x := n.number.(type) {
	case int64:
		return strconv.AppendInt(dst, x, 10)
	case uint64:
		return strconv.AppendUint(dst, x, 10)
	case float64:
		if jsonNumber.MatchString(n.text) {
			return append(dst, n.text...)
		}
		if !math.IsInf(x, 0) && !math.IsNaN(x) {
			return strconv.AppendFloat(dst, x, 'g', -1, 64)
		}
	}
	d.wrong(n, self, strings.TrimPrefix(pointer, "/"), false, "JSON has no such number")
	return append(dst, "null"...)
}

// pointerEscape writes a key as a piece of a JSON pointer (RFC 6901).
var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

func appendString(dst []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("BUG: a string is always JSON: " + err.Error())
	}
	return append(dst, b...)
}
