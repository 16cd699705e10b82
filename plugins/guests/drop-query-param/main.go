// Drop-query-param is a guest that takes parameters out of the query of every request.
//
// It is the workaround for an upstream that has stopped to accept a parameter which it used to ignore or to document as
// optional. The rest of the query keeps its bytes, its order and its encoding; see [sdk.Request.DropQuery] for what becomes of an
// empty query. Names are compared decoded, so that phone%5Fnumber_id is phone_number_id.
//
//	config: {parameters: [phone_number_id]}
package main

import (
	"strconv"

	"github.com/breakwater-gateway/breakwater/sdk"
)

func init() { sdk.Register(plugin) }

func main() {}

type config struct {
	Parameters []string `json:"parameters"` // names as a form decoder reads them: not encoded
	Methods    []string `json:"methods"`    // of the requests to change; none means all
}

func plugin(c config) (sdk.Plugin, error) {
	if len(c.Parameters) == 0 {
		return sdk.Plugin{}, sdk.Complain("/parameters", "expected at least one name of a query parameter")
	}
	for i, name := range c.Parameters {
		if name == "" {
			return sdk.Plugin{}, sdk.Complain("/parameters/"+strconv.Itoa(i), "expected a name, not an empty one")
		}
	}
	return sdk.Plugin{
		Request:     func(r *sdk.Request) { r.DropQuery(c.Parameters...) },
		RequestWant: sdk.Want{URI: true, Methods: c.Methods},
	}, nil
}
