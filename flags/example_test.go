package flags_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/breakwater-gateway/breakwater/flags"
)

func Example() {
	dir, err := os.MkdirTemp("", "flags")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "flags.yaml")
	if err := os.WriteFile(path, []byte(`
flags:
  drop-phone-number-id:
    state: ENABLED
    variants: {on: true, off: false}
    defaultVariant: off
    targeting: {if: [{in: [{var: client}, [acme]]}, "on"]} # acme tries it first
`), 0o644); err != nil {
		panic(err)
	}
	book, err := flags.Open(context.Background(), flags.Options{Path: path, Journal: filepath.Join(dir, "journal")})
	if err != nil {
		panic(err)
	}
	defer book.Close()
	gate := flags.NewGate("drop-phone-number-id", flags.Off) // when the configuration is bound
	if err := book.Bind(gate); err != nil {
		panic(err)
	}

	ask := func() { // for each request
		view := book.View()
		for _, client := range []string{"acme", "globex"} {
			fmt.Println(view.Revision(), client, view.Mode(gate, &flags.Subject{Client: client, Route: "media", Method: "GET"}))
		}
	}
	ask()
	if _, err := book.Set(context.Background(), flags.Change{
		Key: "drop-phone-number-id", Variant: "on", By: "jo", Reason: "the partner refuses phone_number_id",
	}); err != nil {
		panic(err)
	}
	ask()
	// Output:
	// 1 acme on
	// 1 globex off
	// 2 acme on
	// 2 globex on
}
