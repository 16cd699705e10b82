package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/breakwater-gateway/breakwater/gateway"
)

type runCommand struct {
	Config    string     `required:"" placeholder:"FILE" help:"The configuration."`
	CacheDir  string     `placeholder:"DIR" default:"${cache}" help:"Where compiled plugins are kept between runs; empty for nowhere (${default})."`
	LogLevel  slog.Level `placeholder:"LEVEL" default:"info" help:"The least that is logged: debug, info, warn, error (${default})."`
	LogFormat string     `placeholder:"FORMAT" enum:"text,json" default:"text" help:"How events are logged to the standard error: text or json (${default})."`
}

// Run serves until it is told to stop.
func (r *runCommand) Run(c *console) error {
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: r.LogLevel}))
	if r.LogFormat == "json" {
		log = slog.New(slog.NewJSONHandler(c.err, &slog.HandlerOptions{Level: r.LogLevel}))
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	reload := make(chan struct{}, 1) // one that waits is enough: it reads what is there by then
	go obey(signals, stop, reload, log)

	g, err := gateway.New(ctx, gateway.Options{Config: r.Config, Log: log, Output: c.out, CacheDir: r.CacheDir, Version: version()})
	if err != nil {
		return err
	}
	go func() {
		for range reload {
			log.Info("reload asked for", "by", "SIGHUP")
			g.Reload(ctx) //nolint:errcheck // it is logged and counted there
		}
	}()
	fmt.Fprintf(c.out, "breakwater ready: %s admin http://%s\n", g.URL(), g.AdminAddr())
	return g.Run(ctx)
}

// obey does what signals say, for as long as the process lives.
func obey(signals <-chan os.Signal, stop func(), reload chan<- struct{}, log *slog.Logger) {
	stopping := false
	for s := range signals {
		switch {
		case s == syscall.SIGHUP:
			select {
			case reload <- struct{}{}:
			default:
			}
		case stopping:
			log.Warn("ended at once; requests under way are cut", "signal", s.String())
			os.Exit(exitFailed)
		default:
			log.Info("stopping when the requests under way have ended; once more to end at once", "signal", s.String())
			stopping = true
			stop()
		}
	}
}
