//go:build wasip1

package sdk

import (
	"runtime"
	"unsafe"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

//go:wasmimport breakwater log
func hostLog(level int32, text unsafe.Pointer, n int32)

func writeLog(level int, text string) {
	hostLog(int32(level), unsafe.Pointer(unsafe.StringData(text)), int32(len(text)))
}

//go:wasmexport bw_abi_v1
func mark() int32 { return int32(abi.Features) }

//go:wasmexport bw_buffer
func buffer(size int32) int32 {
	b := guest().Buffer(int(size))
	if b == nil {
		return 0
	}
	return int32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
}

//go:wasmexport bw_configure
func configure(n int32) int64 {
	defer explain("configure")
	out := guest().Configure(input(n))
	runtime.GC() // what decoding left behind
	return result(out)
}

//go:wasmexport bw_request
func request(n int32) int64 {
	defer explain("request")
	out := registered.Request(input(n))
	rest(n)
	return result(out)
}

//go:wasmexport bw_response
func response(n int32) int64 {
	defer explain("response")
	out := registered.Response(input(n))
	rest(n)
	return result(out)
}

//go:wasmexport bw_classify
func classify(n int32) int64 {
	defer explain("classify")
	v := registered.Classify(input(n))
	rest(n)
	return int64(v)
}

func guest() *Guest {
	if registered == nil {
		panic("no plugin: sdk.Register was not called")
	}
	return registered
}

func input(n int32) []byte { return registered.buffer[:n] }

func result(b []byte) int64 {
	if len(b) == 0 {
		return 0
	}
	return int64(abi.PackResult(uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), uint32(len(b))))
}

// explain names a panic in the gateway's log, and lets it end the instance.
func explain(phase string) {
	if v := recover(); v != nil {
		text := "a value that is neither text nor error"
		switch v := v.(type) {
		case string:
			text = v
		case error:
			text = v.Error()
		}
		Log(Error, "panic in "+phase+": "+text)
		panic(v)
	}
}

// Go's collector works in goroutines of its own, and they run only while a guest's call gives way: a handler that allocates
// and never does grows its memory without end. Giving way costs about as much as ten small calls, so it is done for every so
// many bytes that a handler was shown.
const (
	restEvery   = 64 << 10
	restPerCall = 1 << 10
)

var shown int32

func rest(n int32) {
	shown += restPerCall + n
	if shown >= restEvery {
		shown = 0
		runtime.Gosched()
	}
}
