// A guest for the tests of package sdk: its handlers do what they should not.
package main

import "github.com/breakwater-gateway/breakwater/sdk"

func init() { sdk.Register(plugin) }

func main() {}

type config struct {
	Garbage int `json:"garbage"` // bytes that each call allocates and forgets
}

var sink []byte

func plugin(c config) (sdk.Plugin, error) {
	return sdk.Plugin{
		Request: func(r *sdk.Request) {
			sink = make([]byte, c.Garbage)
			if string(r.URI()) == "/panic" {
				panic("the handler has had enough")
			}
			r.SetField("X-Seen", string(r.URI()))
		},
		RequestWant: sdk.Want{URI: true},
		Classify: func(r *sdk.Response) sdk.Verdict {
			body, _, _ := r.Body()
			sink = append([]byte(nil), body...)
			return sdk.Verdict{}
		},
		ClassifyWant: sdk.Want{Prefix: 64 << 10},
	}, nil
}
