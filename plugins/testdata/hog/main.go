// Hog is a guest that is written as badly as a guest in Go can be: every call makes garbage and never lets the collector of its
// runtime work. It panics if the URI of a request is /panic.
package main

import (
	"bytes"
	"fmt"
	"os"
	"unsafe"
)

func main() {}

var (
	buffer      []byte
	declaration = []byte{32, 1, 0, 0, 16, 0, 0, 0 /* want phase 1 */, 2, 0, 0, 0 /* URI */, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	garbage     []byte
)

//go:wasmexport bw_abi_v1
func mark() uint32 { return 0 }

//go:wasmexport bw_buffer
func room(n uint32) uint32 {
	buffer = make([]byte, n)
	return uint32(uintptr(unsafe.Pointer(&buffer[0])))
}

//go:wasmexport bw_configure
func configure(uint32) uint64 {
	fmt.Println("configured")
	return uint64(uintptr(unsafe.Pointer(&declaration[0])))<<32 | uint64(len(declaration))
}

//go:wasmexport bw_request
func request(n uint32) uint64 {
	garbage = make([]byte, 8<<10)
	if bytes.Contains(buffer[:n], []byte("/panic")) {
		_, err := os.ReadFile("/etc/passwd")
		panic(err)
	}
	return 0
}
