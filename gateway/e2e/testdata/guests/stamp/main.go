// Stamp is a guest that tells its version in every request and response.
package main

import "github.com/breakwater-gateway/breakwater/sdk"

var version string // set when it is built

func init() { sdk.Register(plugin) }

func main() {}

func plugin(struct{}) (sdk.Plugin, error) {
	return sdk.Plugin{
		Request:  func(r *sdk.Request) { r.SetField("X-Stamp", version) },
		Response: func(r *sdk.ResponseHead) { r.SetField("X-Stamp", version) },
	}, nil
}
