package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/breakwater-gateway/breakwater/gateway"
)

type checkCommand struct {
	File     string `arg:"" help:"The configuration."`
	CacheDir string `placeholder:"DIR" default:"${cache}" help:"Where compiled plugins are kept between runs; empty for nowhere (${default})."`
}

// Run tells every mistake, or what the file amounts to.
func (k *checkCommand) Run(c *console) error {
	log := slog.New(slog.DiscardHandler) // what is wrong comes back as an error
	f, err := gateway.Check(context.Background(), gateway.Options{Config: k.File, Log: log, CacheDir: k.CacheDir, Version: version()})
	if err != nil {
		return mistakes{err}
	}
	steps, clients := 0, 0
	for _, r := range f.Routes {
		steps += len(r.Steps)
	}
	if f.Clients != nil {
		clients = len(f.Clients.List)
	}
	fmt.Fprintf(c.out, "%s: ok (%s, %s, %s, %s)\n", k.File, count(len(f.Routes), "route"), count(steps, "step"),
		count(len(f.Plugins), "plugin"), count(clients, "client"))
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
