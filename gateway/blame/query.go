package blame

import (
	"bytes"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// maxPairs is how many parameters may differ on either side of a rewriting. To find out costs their product.
const maxPairs = 64

// A pair is a query parameter as it was sent.
type pair struct {
	raw     []byte
	name    []byte // encoded
	matched bool
}

// RewroteQuery finds which parameters by put, changed or removed when it put one query in place of another. Names are
// compared decoded, so that phone%5Fnumber_id is phone_number_id; contents byte for byte. Parameters of one name are
// compared in their order; the order of different names does not matter.
func (l *Ledger) RewroteQuery(was, is []byte, by Origin) {
	was, is = differing(was, is)
	if len(was) == 0 && len(is) == 0 {
		return
	}
	var before, after [maxPairs]pair
	n, fits := split(before[:], was)
	m, fitToo := split(after[:], is)
	if !fits || !fitToo {
		l.overflow = true
		return
	}
	for i := range before[:n] {
		old := &before[i]
		change := Removed
		for j := range after[:m] {
			if p := &after[j]; !p.matched && equalDecoded(old.name, p.name) {
				p.matched, change = true, Changed
				if bytes.Equal(old.raw, p.raw) {
					change = Unchanged
				}
				break
			}
		}
		if change != Unchanged {
			l.record(abi.PartQuery, old.name, mark{by, change})
		}
	}
	for i := range after[:m] {
		if !after[i].matched {
			l.record(abi.PartQuery, after[i].name, mark{by, Put})
		}
	}
}

// differing drops the parameters with which both queries begin and those with which both end.
func differing(a, b []byte) (restA, restB []byte) {
	for len(a) > 0 && len(b) > 0 {
		first, afterA, _ := bytes.Cut(a, []byte("&"))
		other, afterB, _ := bytes.Cut(b, []byte("&"))
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

// split writes query's parameters to dst and returns how many there are, unless they don't fit.
func split(dst []pair, query []byte) (n int, fits bool) {
	for len(query) > 0 {
		var raw []byte
		raw, query, _ = bytes.Cut(query, []byte("&"))
		if len(raw) == 0 {
			continue // as in a&&b
		}
		if n == len(dst) {
			return n, false
		}
		name, _, _ := bytes.Cut(raw, []byte("="))
		dst[n] = pair{raw: raw, name: name}
		n++
	}
	return n, true
}

func equalDecoded(a, b []byte) bool {
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
