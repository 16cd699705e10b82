package gateway

import (
	"bytes"
	"unsafe"
)

// bytesToString returns b as a string without copying it: for as long as b does not change.
func bytesToString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// stringToBytes returns s without copying it: nobody may write to the result.
func stringToBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// pathOf returns uri without its query.
func pathOf(uri []byte) []byte {
	if i := bytes.IndexByte(uri, '?'); i >= 0 {
		return uri[:i]
	}
	return uri
}
