//go:build linux

package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/valyala/fasthttp"
)

// floorMode is the least that a Go proxy can cost: fasthttp on both sides with every costly default off, forwarding and
// nothing else. It is not a correct proxy (it keeps no hop-by-hop rule and holds bodies in memory); it is the floor that
// Breakwater is measured against. The first line it prints is its address.
func floorMode(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench floor", flag.ContinueOnError)
	upstream := flags.String("upstream", "", "`address` to forward to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *upstream == "" {
		return fmt.Errorf("floor: -upstream: expected an address")
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	fmt.Fprintln(out, listener.Addr())
	return newFloor(*upstream).Serve(listener)
}

func newFloor(upstream string) *fasthttp.Server {
	client := &fasthttp.HostClient{
		Addr:                          upstream,
		MaxConns:                      1024,
		NoDefaultUserAgentHeader:      true,
		DisableHeaderNamesNormalizing: true,
		DisablePathNormalizing:        true,
	}
	return &fasthttp.Server{
		NoDefaultServerHeader:         true,
		NoDefaultDate:                 true,
		NoDefaultContentType:          true,
		DisableHeaderNamesNormalizing: true,
		DisablePreParseMultipartForm:  true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Request.URI().DisablePathNormalizing = true
			if err := client.Do(&ctx.Request, &ctx.Response); err != nil {
				fmt.Fprintln(os.Stderr, "bench floor:", err)
				ctx.Error("bad gateway", fasthttp.StatusBadGateway)
			}
		},
	}
}
