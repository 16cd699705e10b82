package abi

import "strconv"

// Package fmt would make every guest larger by a third, and errors and String methods need little of it.

// say joins text and numbers.
func say(parts ...any) string {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case int:
			b = strconv.AppendInt(b, int64(p), 10)
		case uint8:
			b = strconv.AppendUint(b, uint64(p), 10)
		case uint16:
			b = strconv.AppendUint(b, uint64(p), 10)
		case uint32:
			b = strconv.AppendUint(b, uint64(p), 10)
		case uint64:
			b = strconv.AppendUint(b, p, 10)
		default:
			panic("BUG: say cannot say this type")
		}
	}
	return string(b)
}

func quoted[T []byte | string](text T) string { return strconv.Quote(string(text)) }

func hexed(n uint64) string { return "0x" + strconv.FormatUint(n, 16) }

// hex16 is a 64-bit word with all its digits.
func hex16(n uint64) string {
	s := strconv.FormatUint(n, 16)
	return "0x" + "0000000000000000"[len(s):] + s
}
