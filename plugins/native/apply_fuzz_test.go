package native

import (
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// Whatever list a guest returns: if it is refused, the exchange holds the same as before, apart from the order of its fields and a
// body that came before another one.
func FuzzApply(f *testing.F) {
	name := func(s string) []byte { return []byte(s) }
	uri := abi.AppendSetURI(nil, name("/new"))
	add := abi.AppendAddField(nil, abi.RequestFields, "X-Two", "c")
	remove := abi.AppendRemoveField(nil, abi.RequestFields, "X-Two")
	bad := abi.AppendSetField(nil, abi.RequestFields, "Host", "other.example")
	for _, list := range [][]byte{
		nil,
		{0},
		uri, slices.Concat(uri, bad), slices.Concat(add, remove, bad), slices.Concat(remove, add, add, bad),
		slices.Concat(abi.AppendSetBody(nil, false, "x"), bad),
		slices.Concat(abi.AppendAnswer(nil, 403), abi.AppendSetField(nil, abi.ResponseFields, "X-Why", "so"), abi.AppendSetBody(nil, true, "no")),
		abi.AppendSetStatus(nil, 204), abi.AppendSetField(nil, abi.ResponseTrailers, "X-Sum", "1"),
	} {
		f.Add(true, list)
		f.Add(false, list)
	}
	fields := []exchangetest.Field{{Name: "X-One", Value: "1"}, {Name: "X-Two", Value: "a"}, {Name: "x-two", Value: "b"}}
	f.Fuzz(func(t *testing.T, response bool, list []byte) {
		s, p := exchangetest.Setup{URI: "/old", Request: exchangetest.Message{Fields: fields}}, abi.PhaseRequest
		if response {
			s.Status, s.Response.Fields, p = 200, fields, abi.PhaseResponse
		}
		if abi.CheckMutations(p, list) != nil {
			return
		}
		x := exchangetest.New(s)
		before := sorted(x.String())
		var u undo
		answered, err := apply(p, list, x, &u)
		if err == nil {
			if answered != x.Answered() {
				t.Errorf("answered %v, but the exchange says %v", answered, x.Answered())
			}
			return
		}
		if after := sorted(x.String()); after != before || answered || x.Answered() {
			t.Errorf("apply of %q: %v; the exchange was\n%s\nand is\n%s", list, err, before, after)
		}
	})
}

func sorted(s string) string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
