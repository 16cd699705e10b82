package plugins_test

import (
	"errors"
	"testing"

	"github.com/breakwater-gateway/breakwater/plugins"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// The guests that we ship, as an operator runs them.
func TestShippedGuests(t *testing.T) {
	h := host(t)
	t.Run("drop-query-param", func(t *testing.T) {
		wasm := buildGuest(t, "guests/drop-query-param")
		p := load(t, h, wasm, plugins.Spec{
			Name: "drop", Config: []byte(`{"parameters": ["phone_number_id"]}`), Limits: patient,
		})
		x := exchangetest.New(mediaRequest)
		if err := request(p, x); err != nil || string(x.URI()) != "/v21.0/1234567890?fields=url" {
			t.Errorf("URI = %s, %v, want it without phone_number_id", x.URI(), err)
		}
		path, _ := file(t, wasm)
		_, err := h.Load(t.Context(), plugins.Spec{Name: "drop", Path: path, Config: []byte(`{"parameters": ["a", ""]}`), Limits: patient})
		complaint := (*plugins.ComplaintError)(nil)
		if !errors.As(err, &complaint) || complaint.Complaints[0].Pointer != "/parameters/1" {
			t.Errorf("Load with an empty name: %v, want a complaint about /parameters/1", err)
		}
	})

	t.Run("classify-partner", func(t *testing.T) {
		p := load(t, h, buildGuest(t, "guests/classify-partner"), plugins.Spec{
			Name: "classify", Config: []byte(`{"parameters": ["phone_number_id"]}`), Limits: patient,
		})
		v, err := p.Classify(exchangetest.New(mediaResponse))
		if err != nil || v.Class != abi.Auth || p.Reason(v.Reason).About.Part != abi.PartCredential {
			t.Errorf("Classify = %+v (%+v), %v, want an error about the credential", v, p.Reason(v.Reason), err)
		}
	})
}
