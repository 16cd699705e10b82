package native

import (
	"errors"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

func TestTooManyChangesAreRefusedBeforeTheFirst(t *testing.T) {
	var list []byte
	for len(list) <= maxChanges {
		list = abi.AppendSetField(list, abi.RequestFields, "X-One", strings.Repeat("x", 1<<10))
	}
	x := exchangetest.New(exchangetest.Setup{Request: exchangetest.Message{Fields: []exchangetest.Field{{Name: "X-One", Value: "1"}}}})
	before := x.String()
	if _, err := apply(abi.PhaseRequest, list, x, &undo{}); !errors.Is(err, engine.ErrTooLarge) {
		t.Errorf("apply: %v, want an error that wraps ErrTooLarge", err)
	}
	if after := x.String(); after != before {
		t.Errorf("%s, want it as it was: %s", after, before)
	}
}

func TestABodyIsNoManyChanges(t *testing.T) {
	list := abi.AppendSetBody(nil, false, []byte(strings.Repeat("x", 2*maxChanges)))
	x := exchangetest.New(exchangetest.Setup{Method: "POST", Request: exchangetest.Message{Body: "y"}})
	if _, err := apply(abi.PhaseRequest, list, x, &undo{}); err != nil {
		t.Error(err)
	}
}
