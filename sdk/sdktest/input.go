package sdktest

import (
	"bytes"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// call does what a gateway does: the input is written to the guest's buffer, and the result is read before anything else
// happens. A panic would be a trap.
func (p *Plugin) call(in []byte, f func([]byte) []byte) (out []byte) {
	p.t.Helper()
	defer func() {
		p.t.Helper()
		if v := recover(); v != nil {
			p.t.Fatalf("panic: %v", v)
		}
	}()
	buffer := p.guest.Buffer(len(in))
	if len(buffer) < len(in) {
		p.t.Fatalf("the plugin refuses an input of %d bytes", len(in))
	}
	n := copy(buffer, in)
	out = bytes.Clone(f(buffer[:n]))
	for i := range buffer {
		buffer[i] = 0xAA
	}
	return out
}

// input is what the plugin would be shown of x; false if it would not be called. With cut not below 0, the body is a prefix
// of that many bytes.
func (p *Plugin) input(phase abi.Phase, x Exchange, cut int) ([]byte, bool) {
	p.t.Helper()
	w := &p.declaration.Wants[phase]
	if x.Method == "" {
		x.Method = "GET"
	}
	if x.URI == "" {
		x.URI = "/"
	}
	if x.Status == 0 {
		x.Status = 200
	}
	body := x.ResponseBody
	if phase == abi.PhaseRequest {
		body, x.Status = x.RequestBody, 0
	}
	if !w.Interested([]byte(x.Method), x.Status) {
		return nil, false
	}
	in := abi.AppendInput(nil, phase, x.Status)
	if w.Method {
		in = abi.AppendMethod(in, []byte(x.Method))
	}
	if w.URI {
		in = abi.AppendURI(in, []byte(x.URI))
	}
	for s, lines := range [abi.Sections]Fields{x.RequestFields, x.ResponseFields, x.RequestTrailers, x.ResponseTrailers} {
		if phase == abi.PhaseRequest && !abi.Section(s).Request() {
			continue
		}
		for _, l := range lines {
			if w.Sees(abi.Section(s), []byte(l[0])) {
				in = abi.AppendField(in, abi.Section(s), []byte(l[0]), []byte(l[1]))
			}
		}
	}
	if cut >= 0 {
		return abi.AppendBody(in, []byte(body[:cut]), false), true
	}
	switch {
	case w.Body > 0:
		if len(body) > w.Body {
			p.t.Fatalf("a body of %d bytes, and the plugin takes %d: a gateway would not call it and count a failure", len(body), w.Body)
		}
		in = abi.AppendBody(in, []byte(body), true)
	case w.Prefix > 0:
		n := min(len(body), w.Prefix)
		in = abi.AppendBody(in, []byte(body[:n]), n == len(body))
	}
	return in, true
}
