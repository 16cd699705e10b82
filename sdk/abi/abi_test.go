package abi

import (
	"bytes"
	"testing"
)

func TestWant(t *testing.T) {
	var errors Want
	errors.Called = true
	errors.Statuses.AddClass(4)
	errors.Statuses.Add(503)
	tests := []struct {
		name   string
		want   Want
		method string
		status int
		called bool
	}{
		{"the zero want is never called", Want{}, "GET", 200, false},
		{"no masks mean every call", Want{Called: true}, "PURGE", 200, true},
		{"a status of a wanted class", errors, "GET", 499, true},
		{"a wanted status", errors, "GET", 503, true},
		{"a status beside them", errors, "GET", 500, false},
		{"a status outside the protocol", errors, "GET", 7, false},
		{"a wanted method", Want{Called: true, Methods: []string{"GET", "HEAD"}}, "HEAD", 0, true},
		{"methods have a case", Want{Called: true, Methods: []string{"GET"}}, "get", 0, false},
	}
	for _, tt := range tests {
		if got := tt.want.Interested([]byte(tt.method), tt.status); got != tt.called {
			t.Errorf("%s: Interested(%q, %d) = %v, want %v", tt.name, tt.method, tt.status, got, tt.called)
		}
	}
}

func TestWantSees(t *testing.T) {
	w := Want{Called: true, RequestFields: []string{"X-Tenant"}, AllResponseFields: true, ResponseTrailers: true}
	tests := []struct {
		name    string
		section Section
		field   string
		want    bool
	}{
		{"a chosen name in another case", RequestFields, "x-tenant", true},
		{"a name that was not chosen", RequestFields, "x-tenants", false},
		{"all of a section", ResponseFields, "anything", true},
		{"trailers not asked for", RequestTrailers, "x-tenant", false},
		{"trailers asked for", ResponseTrailers, "x", true},
	}
	for _, tt := range tests {
		if got := w.Sees(tt.section, []byte(tt.field)); got != tt.want {
			t.Errorf("%s: Sees(%d, %q) = %v, want %v", tt.name, tt.section, tt.field, got, tt.want)
		}
	}
}

func TestResultIsBothOrNeither(t *testing.T) {
	for _, w := range []uint64{1, 1 << 32} {
		if _, _, err := UnpackResult(w); err == nil {
			t.Errorf("UnpackResult(%#x) has no error", w)
		}
	}
	if a, n, err := UnpackResult(PackResult(0xfffffff0, 16)); a != 0xfffffff0 || n != 16 || err != nil {
		t.Errorf("got %#x, %d, %v", a, n, err)
	}
}

// A name's size has 16 bits. Whatever is appended, what comes out is a list that can be read.
func TestLongNamesStayReadable(t *testing.T) {
	long := bytes.Repeat([]byte("n"), 1<<16)
	for _, list := range [][]byte{
		AppendSetField(nil, RequestFields, long, "v"), AppendAddField(nil, RequestFields, long, "v"), AppendRemoveField(nil, RequestFields, long),
	} {
		if err := CheckMutations(PhaseRequest, list); err != nil {
			t.Error(err)
		}
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	uri, name, value := []byte("/v23.0/42?phone_number_id=7"), []byte("Content-Type"), []byte("application/json")
	want := Want{Called: true, Methods: []string{"GET"}, ResponseFields: []string{"content-type"}}
	want.Statuses.AddClass(4)
	buf := make([]byte, 0, 1024)
	allocs := testing.AllocsPerRun(100, func() {
		if !want.Interested([]byte("GET"), 400) || !want.Sees(ResponseFields, name) {
			t.Fatal("not wanted")
		}
		b := AppendInput(buf, PhaseClassify, 400)
		b = AppendURI(b, uri)
		b = AppendField(b, ResponseFields, name, value)
		b = AppendBody(b, value, false)
		in, _ := ReadInput(b)
		var p Piece
		for ok := true; ok; ok, _ = in.Next(&p) {
		}
		b = AppendSetURI(buf, uri)
		b = AppendSetField(b, RequestFields, name, value)
		if err := CheckMutations(PhaseRequest, b); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func FuzzInput(f *testing.F) {
	for _, v := range load[vector](f, "inputs.json") {
		f.Add(unhex(f, v.Hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := ReadInput(b)
		if err != nil {
			return
		}
		w := AppendInput(nil, in.Phase, in.Status)
		var p Piece
		for {
			ok, err := in.Next(&p)
			if err != nil {
				return
			}
			if !ok {
				break
			}
			w = appendPiece(w, p)
		}
		again, err := ReadInput(w)
		if err != nil {
			t.Fatal(err)
		}
		once := w
		w = AppendInput(nil, again.Phase, again.Status)
		for {
			ok, err := again.Next(&p)
			if err != nil {
				t.Fatalf("written %x: %v", once, err)
			}
			if !ok {
				break
			}
			w = appendPiece(w, p)
		}
		if !bytes.Equal(once, w) {
			t.Errorf("written %x, read and written again %x", once, w)
		}
	})
}

func appendPiece(dst []byte, p Piece) []byte {
	switch p.Kind {
	case KindMethod:
		return AppendMethod(dst, p.Value)
	case KindURI:
		return AppendURI(dst, p.Value)
	case KindField:
		return AppendField(dst, p.Section, p.Name, p.Value)
	case KindBody:
		return AppendBody(dst, p.Value, p.Whole)
	case KindConfig:
		return AppendConfig(dst, p.Value)
	default:
		return AppendFact(dst, string(p.Name), string(p.Value))
	}
}

// What the strict reader accepts, the writer writes: there is one way to say a thing.
func FuzzMutations(f *testing.F) {
	for _, v := range load[vector](f, "mutations.json") {
		f.Add(v.Phase == "request", unhex(f, v.Hex))
	}
	f.Fuzz(func(t *testing.T, request bool, list []byte) {
		p := PhaseResponse
		if request {
			p = PhaseRequest
		}
		if CheckMutations(p, list) != nil {
			return
		}
		var w []byte
		m := ReadMutations(p, list)
		var mu Mutation
		for {
			ok, err := m.Next(&mu)
			if err != nil {
				t.Fatalf("after the check: %v", err)
			}
			if !ok {
				break
			}
			w = appendMutationAgain(w, mu)
		}
		if !bytes.Equal(w, list) {
			t.Errorf("read %x, written %x", list, w)
		}
	})
}

func appendMutationAgain(dst []byte, m Mutation) []byte {
	switch m.Kind {
	case KindSetURI:
		return AppendSetURI(dst, m.Value)
	case KindSetMethod:
		return AppendSetMethod(dst, m.Value)
	case KindSetField:
		return AppendSetField(dst, m.Section, m.Name, m.Value)
	case KindAddField:
		return AppendAddField(dst, m.Section, m.Name, m.Value)
	case KindRemoveField:
		return AppendRemoveField(dst, m.Section, m.Name)
	case KindSetStatus:
		return AppendSetStatus(dst, m.Status)
	case KindSetBody:
		return AppendSetBody(dst, m.Response, m.Value)
	default:
		return AppendAnswer(dst, m.Status)
	}
}

func FuzzDeclaration(f *testing.F) {
	for _, v := range load[vectorDeclaration](f, "declarations.json") {
		f.Add(unhex(f, v.Hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ReadDeclaration(b)
		if err != nil {
			return
		}
		w := AppendDeclaration(nil, &d)
		again, err := ReadDeclaration(w)
		if err != nil {
			t.Fatalf("written %x: %v", w, err)
		}
		if x := AppendDeclaration(nil, &again); !bytes.Equal(w, x) {
			t.Errorf("written %x, read and written again %x", w, x)
		}
	})
}
