// Hostile is a guest that misbehaves on every request, in the way that its configuration says.
package main

import "github.com/breakwater-gateway/breakwater/sdk"

func init() { sdk.Register(plugin) }

func main() {}

type config struct {
	Do string `json:"do"` // trap, spin, grow
}

var hoard [][]byte

func plugin(c config) (sdk.Plugin, error) {
	ways := map[string]func(*sdk.Request){
		"trap": func(*sdk.Request) { panic("a trap") },
		"spin": func(*sdk.Request) {
			for {
			}
		},
		"grow": func(*sdk.Request) {
			for {
				hoard = append(hoard, make([]byte, 1<<20))
			}
		},
	}
	if ways[c.Do] == nil {
		return sdk.Plugin{}, sdk.Complain("/do", "expected trap, spin or grow")
	}
	return sdk.Plugin{Request: ways[c.Do]}, nil
}
