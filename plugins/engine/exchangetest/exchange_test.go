package exchangetest_test

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
)

func TestContract(t *testing.T) {
	exchangetest.Run(t, func(_ *testing.T, s exchangetest.Setup) engine.Exchange { return exchangetest.New(s) })
}
