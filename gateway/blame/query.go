package blame

import (
	"bytes"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// maxPairs is how many parameters may differ on either side of a rewriting: their product bounds the time, and what is put
// is noted in one word.
const maxPairs = 64

// RewroteQuery finds which parameters by put, changed or removed when it put one query in place of another. Names are
// compared decoded, so that phone%5Fnumber_id is phone_number_id; contents byte for byte. Parameters of one name are
// compared in their order; the order of different names does not matter.
func (l *Ledger) RewroteQuery(was, is []byte, by Origin) {
	was, is = differing(was, is)
	if bytes.Count(was, []byte("&")) >= maxPairs || bytes.Count(is, []byte("&")) >= maxPairs {
		l.overflow = true
		return
	}
	var matched uint64 // of is, by its place
	for len(was) > 0 {
		var old []byte
		old, was = next(was)
		if len(old) == 0 {
			continue // as in a&&b
		}
		change := Removed
		for rest, i := is, 0; len(rest) > 0; i++ {
			var p []byte
			if p, rest = next(rest); len(p) == 0 || matched>>i&1 == 1 || !sameName(old, p) {
				continue
			}
			matched |= 1 << i
			if change = Changed; bytes.Equal(old, p) {
				change = Unchanged
			}
			break
		}
		if change != Unchanged {
			l.record(abi.PartQuery, name(old), mark{by, change})
		}
	}
	for i := 0; len(is) > 0; i++ {
		var p []byte
		if p, is = next(is); len(p) > 0 && matched>>i&1 == 0 {
			l.record(abi.PartQuery, name(p), mark{by, Put})
		}
	}
}

// differing drops the parameters with which both queries begin and those with which both end.
func differing(a, b []byte) (restA, restB []byte) {
	for len(a) > 0 && len(b) > 0 {
		first, afterA := next(a)
		other, afterB := next(b)
		if !bytes.Equal(first, other) {
			break
		}
		a, b = afterA, afterB
	}
	for len(a) > 0 && len(b) > 0 {
		cutA, cutB := bytes.LastIndexByte(a, '&'), bytes.LastIndexByte(b, '&')
		if !bytes.Equal(a[cutA+1:], b[cutB+1:]) {
			break
		}
		a, b = a[:max(cutA, 0)], b[:max(cutB, 0)]
	}
	return a, b
}

// next takes the first parameter off a query.
func next(query []byte) (param, rest []byte) {
	param, rest, _ = bytes.Cut(query, []byte("&"))
	return param, rest
}

// name is the encoded name of a parameter.
func name(param []byte) []byte {
	n, _, _ := bytes.Cut(param, []byte("="))
	return n
}

// sameName compares the names of two parameters decoded.
func sameName(a, b []byte) bool {
	a, b = name(a), name(b)
	for len(a) > 0 && len(b) > 0 {
		var c, d byte
		c, a = decode(a)
		d, b = decode(b)
		if c != d {
			return false
		}
	}
	return len(a) == 0 && len(b) == 0
}

// decode takes the first byte off an encoded name that is not empty. A "%" without two hexadecimal digits is itself.
func decode(s []byte) (c byte, rest []byte) {
	switch {
	case s[0] == '+':
		return ' ', s[1:]
	case s[0] == '%' && len(s) >= 3:
		if high, low := unhex(s[1]), unhex(s[2]); high < 16 && low < 16 {
			return high<<4 | low, s[3:]
		}
	}
	return s[0], s[1:]
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}
