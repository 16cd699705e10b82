// Package sdk is what the author of a plugin imports.
//
// A plugin is one function that takes its configuration and says what to do with requests and responses. It is registered
// in init and built with the stock Go toolchain:
//
//	func init() {
//		sdk.Register(func(c struct{ Tenant string }) (sdk.Plugin, error) {
//			return sdk.Plugin{Request: func(r *sdk.Request) { r.SetField("X-Tenant", c.Tenant) }}, nil
//		})
//	}
//
//	func main() {} // never called: a guest is a library
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w' -o tenant.wasm .
//
// A plugin sees only what it wants to see: the gateway copies nothing else, and doesn't call a plugin for what it does not
// want at all. Bytes that a handler is given hold until it returns; what it keeps longer it copies.
//
// A handler that allocates nothing runs for ever in the memory it started with. One that allocates is collected now and
// then between calls; memory stays bounded, calls are slower. A panic costs the instance and is in the gateway's log.
//
// Everything but the exports also runs natively, so that a plugin is tested by go test: see package sdktest.
package sdk

import (
	"strconv"
	"time"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// A Plugin is what a guest does, once it has its configuration. At least one of the handlers is set.
type Plugin struct {
	// Request may rewrite a request before it is sent to the upstream, or answer it.
	Request     func(*Request)
	RequestWant Want

	// Response may rewrite a response when its head is here.
	Response     func(*ResponseHead)
	ResponseWant Want

	// Classify judges a response, from its head and as much of its body as ClassifyWant asks for.
	Classify     func(*Response) Verdict
	ClassifyWant Want

	Reasons Reasons // that Classify gives
}

// A Want says what a handler wants to see, and for which methods and statuses it wants to be called. The zero Want is called
// always and sees no more than the status. Its Called need not be set: having a handler says it.
type Want = abi.Want

// Statuses is the set of those status codes; 1 to 5 stand for all codes of a class.
func Statuses(codes ...int) abi.StatusSet {
	var s abi.StatusSet
	for _, c := range codes {
		if c < 10 {
			s.AddClass(c)
		} else {
			s.Add(c)
		}
	}
	return s
}

// A Verdict is what a plugin says of a response. The zero Verdict says nothing, and the gateway judges by the status.
type Verdict struct {
	Class      abi.Class
	Fault      abi.Fault     // a hint: the gateway knows who put what into the request, and what other clients meet
	Counts     bool          // it counts against the client, unless the fault turns out to be another's
	Retryable  bool          // the same request may be sent again
	RetryAfter time.Duration // no sooner than this
	Reason     Reason
}

// A Reason is one of the explanations that a plugin has declared in [Plugin.Reasons]. Zero is none.
type Reason uint16

// Reasons is a table of reasons, at most [abi.MaxReasons].
type Reasons []abi.Reason

// Add declares a reason: a word of a-z, 0-9 and _ that will be a metric's label, and the part of the request that the error is
// about. The gateway joins it with its knowledge of who put that part there.
func (rs *Reasons) Add(word string, about abi.About) Reason {
	*rs = append(*rs, abi.Reason{Name: word, About: about})
	return Reason(len(*rs))
}

// Register makes configure this guest's plugin. It is called once, from init.
//
// C is filled from the plugin's configuration, by the rules of encoding/json but strictly: keys have the case of the field or its tag, and an unknown one is a
// mistake. Mistakes, and what configure returns as an error, are reported at the line of the configuration file that they are about;
// use [Complain] to say which value is meant.
func Register[C any](configure func(C) (Plugin, error)) {
	if registered != nil {
		panic("BUG: sdk.Register was called twice")
	}
	registered = NewGuest(configure)
}

var registered *Guest

// A Guest is a plugin as the gateway meets it: bytes in, bytes out, as package abi lays them out. It is what the exports
// of a guest call, and what sdktest calls; a plugin's author needs neither.
type Guest struct {
	configure func(config []byte) (Plugin, error)
	plugin    Plugin
	buffer    []byte // that the host writes inputs to
	out       []byte // the last result
	request   Request
	response  ResponseHead
}

// NewGuest returns a guest that is not yet configured.
func NewGuest[C any](configure func(C) (Plugin, error)) *Guest {
	return &Guest{configure: func(config []byte) (Plugin, error) {
		var c C
		if err := decode(config, &c); err != nil {
			return Plugin{}, err
		}
		return configure(c)
	}}
}

const maxBuffer = 1 << 30

// Buffer returns at least size bytes for the next inputs, nil if that is too much to ask.
func (g *Guest) Buffer(size int) []byte {
	if size < 0 || size > maxBuffer {
		return nil
	}
	if size > len(g.buffer) {
		g.buffer = make([]byte, max(size, 2*len(g.buffer), 4096))
	}
	return g.buffer
}

// Configure takes the configuration and returns a declaration.
func (g *Guest) Configure(input []byte) []byte {
	config := []byte("null")
	in := begin(input, abi.PhaseConfigure)
	var p abi.Piece
	for following(&in, &p) {
		if p.Kind == abi.KindConfig {
			config = p.Value
		}
	}
	plugin, err := g.configure(config)
	d := abi.Declaration{Complaints: complaints(err)}
	if len(d.Complaints) == 0 {
		g.plugin = plugin
		d.Reasons = plugin.Reasons
		d.Wants[abi.PhaseRequest] = called(plugin.RequestWant, plugin.Request != nil)
		d.Wants[abi.PhaseResponse] = called(plugin.ResponseWant, plugin.Response != nil)
		d.Wants[abi.PhaseClassify] = called(plugin.ClassifyWant, plugin.Classify != nil)
	}
	g.out = abi.AppendDeclaration(g.out[:0], &d)
	return g.out
}

func called(w Want, handled bool) Want {
	if !handled {
		return Want{}
	}
	w.Called = true
	return w
}

// Request returns a mutation list, empty for unchanged.
func (g *Guest) Request(input []byte) []byte {
	r := &g.request
	r.begin(input, abi.PhaseRequest)
	r.list, r.uriSet, r.answered = g.out[:0], false, false
	g.plugin.Request(r)
	g.out = r.finish()
	r.list = nil
	return g.out
}

// Response returns a mutation list, empty for unchanged.
func (g *Guest) Response(input []byte) []byte {
	r := &g.response
	r.begin(input, abi.PhaseResponse)
	r.list = g.out[:0]
	g.plugin.Response(r)
	g.out = r.list
	r.list = nil
	return g.out
}

// Classify returns a packed [abi.Verdict].
func (g *Guest) Classify(input []byte) uint64 {
	r := &g.response
	r.begin(input, abi.PhaseClassify)
	v := g.plugin.Classify(&r.Response)
	if int(v.Reason) > len(g.plugin.Reasons) {
		panic("BUG: reason " + strconv.Itoa(int(v.Reason)) + ", but " + strconv.Itoa(len(g.plugin.Reasons)) + " are declared")
	}
	return abi.Verdict{
		Class: v.Class, Fault: v.Fault, Counts: v.Counts, Retryable: v.Retryable, RetryAfter: v.RetryAfter, Reason: uint16(v.Reason),
	}.Pack()
}
