package native

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

func TestInputShowsWhatIsWanted(t *testing.T) {
	fields := func(names ...string) (f []exchangetest.Field) {
		for _, n := range names {
			f = append(f, exchangetest.Field{Name: n, Value: "value of " + n})
		}
		return f
	}
	setup := exchangetest.Setup{
		Method: "POST", URI: "/a?b=c", Status: 418,
		Request:  exchangetest.Message{Fields: fields("X-One", "X-Two", "x-one"), Trailers: fields("X-Sum"), Body: "request body"},
		Response: exchangetest.Message{Fields: fields("X-Three", "Content-Type"), Trailers: fields("X-End"), Body: "response body"},
	}
	tests := []struct {
		name  string
		phase abi.Phase
		want  abi.Want
		shown []string
	}{
		{"nothing", abi.PhaseRequest, abi.Want{}, nil},
		{"method and URI", abi.PhaseRequest, abi.Want{Method: true, URI: true}, []string{"method POST", "URI /a?b=c"}},
		{"chosen fields, compared without case", abi.PhaseRequest, abi.Want{RequestFields: []string{"X-ONE"}}, []string{
			"0 X-One: value of X-One", "0 x-one: value of x-one",
		}},
		{"all fields of the request and a prefix of its body", abi.PhaseRequest, abi.Want{AllRequestFields: true, RequestTrailers: true, Prefix: 7}, []string{
			"0 X-One: value of X-One", "0 X-Two: value of X-Two", "0 x-one: value of x-one", "2 X-Sum: value of X-Sum", "body request false",
		}},
		{"a whole body", abi.PhaseRequest, abi.Want{Body: 100}, []string{"body request body true"}},
		{"everything, in the order of the layout", abi.PhaseClassify, abi.Want{
			Method: true, URI: true, RequestFields: []string{"x-two"}, ResponseFields: []string{"content-type"},
			RequestTrailers: true, ResponseTrailers: true, Prefix: 100,
		}, []string{
			"method POST", "URI /a?b=c", "0 X-Two: value of X-Two", "1 Content-Type: value of Content-Type",
			"2 X-Sum: value of X-Sum", "3 X-End: value of X-End", "body response body true",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := setup
			status := s.Status
			if tt.phase == abi.PhaseRequest {
				s.Status, status = 0, 0
			}
			b, err := appendInput(nil, tt.phase, &tt.want, exchangetest.New(s))
			if err != nil {
				t.Fatal(err)
			}
			in, err := abi.ReadInput(b)
			if err != nil || in.Phase != tt.phase || in.Status != status {
				t.Fatalf("ReadInput = phase %v, status %d, %v, want %v, %d", in.Phase, in.Status, err, tt.phase, status)
			}
			var shown []string
			var p abi.Piece
			for {
				more, err := in.Next(&p)
				if err != nil {
					t.Fatal(err)
				}
				if !more {
					break
				}
				switch p.Kind {
				case abi.KindField:
					shown = append(shown, fmt.Sprintf("%d %s: %s", p.Section, p.Name, p.Value))
				case abi.KindBody:
					shown = append(shown, fmt.Sprintf("body %s %v", p.Value, p.Whole))
				default:
					shown = append(shown, fmt.Sprintf("%v %s", p.Kind, p.Value))
				}
			}
			if !slices.Equal(shown, tt.shown) {
				t.Errorf("shown %q, want %q", shown, tt.shown)
			}
		})
	}
}

// failing is an exchange whose bodies cannot be read.
type failing struct{ *exchangetest.Exchange }

var errGone = errors.New("the client is gone")

func (failing) Prefix(engine.Message, int) ([]byte, bool, error) { return nil, false, errGone }
func (failing) Body(engine.Message, int) ([]byte, error)         { return nil, errGone }

func TestABodyThatCannotBeRead(t *testing.T) {
	x := failing{exchangetest.New(exchangetest.Setup{})}
	for want, w := range map[string]abi.Want{
		"body: the client is gone":              {Body: 10},
		"start of the body: the client is gone": {Prefix: 10},
	} {
		if _, err := appendInput(nil, abi.PhaseRequest, &w, x); !errors.Is(err, errGone) || err.Error() != want {
			t.Errorf("appendInput: %v, want %q", err, want)
		}
	}
}
