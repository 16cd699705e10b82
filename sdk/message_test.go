package sdk

import (
	"bytes"
	"testing"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// What a message is, walked with package abi; ok is false if it is not the layout.
func walk(input []byte, phase abi.Phase) (m message, ok bool) {
	in, err := abi.ReadInput(input)
	if err != nil || in.Phase != phase {
		return message{}, false
	}
	m.status = in.Status
	var p abi.Piece
	for {
		more, err := in.Next(&p)
		if err != nil || !more {
			return m, err == nil
		}
		switch p.Kind {
		case abi.KindMethod:
			m.method = p.Value
		case abi.KindURI:
			m.uri = p.Value
		case abi.KindField:
			m.fields = append(m.fields, line{p.Section, p.Name, p.Value})
		case abi.KindBody:
			m.body, m.whole, m.hasBody = p.Value, p.Whole, true
		}
	}
}

// The fast reader of inputs and the one in package abi read the same, or both refuse.
func FuzzMessage(f *testing.F) {
	in := abi.AppendInput(nil, abi.PhaseRequest, 0)
	f.Add(bytes.Clone(in))
	in = abi.AppendURI(abi.AppendMethod(in, []byte("GET")), []byte("/"))
	in = abi.AppendField(in, abi.RequestTrailers, []byte("name"), []byte("value"))
	in = abi.AppendBody(in, []byte("body"), true)
	for n := range len(in) {
		f.Add(in[:n])
	}
	later := bytes.Clone(in)
	later[0] = 9 // a header that is longer, by the first byte of the first item
	f.Add(later)
	f.Add(append(in, byte(abi.KindField), abi.Sections, 1, 0, 2, 0, 0, 0, 'a', 'b'))
	f.Add(append(in, byte(abi.KindField), 0, 3, 0, 2, 0, 0, 0, 'a', 'b'))
	f.Add(append(in, byte(abi.KindBody), 0, 0, 0, 255, 255, 255, 255))
	f.Fuzz(func(t *testing.T, input []byte) {
		want, ok := walk(input, abi.PhaseRequest)
		var got message
		refused := func() (v any) {
			defer func() { v = recover() }()
			got.begin(input, abi.PhaseRequest)
			return nil
		}()
		if ok != (refused == nil) {
			t.Fatalf("%x: refused with %v, want ok %v", input, refused, ok)
		}
		if !ok {
			return
		}
		same := string(got.method) == string(want.method) && string(got.uri) == string(want.uri) && string(got.body) == string(want.body) &&
			got.whole == want.whole && got.hasBody == want.hasBody && got.status == want.status && len(got.fields) == len(want.fields)
		for i := range want.fields {
			g, w := got.fields[i], want.fields[i]
			same = same && g.section == w.section && string(g.name) == string(w.name) && string(g.value) == string(w.value)
		}
		if !same {
			t.Errorf("%x: got %+v, want %+v", input, got, want)
		}
	})
}
