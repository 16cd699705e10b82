//go:build linux

// Command bench measures Breakwater against its peers in one interleaved run, and tells the outcome as ratios.
//
//	bench           throughput, latency and CPU per request of every subject, round by round (compare.go)
//	bench flip      how long a flag flip takes until a client sees it, by the API and by the file (flip.go)
//	bench body      the memory that a 1 GiB body costs the gateway (body.go)
//	bench profile   a profile of the gateway's CPU under that load, for the compiler (profile.go)
//	bench upstream  the upstream that all subjects stand before (upstream.go)
//	bench floor     the do-nothing proxy that every Go proxy is measured against (floor.go)
//
// A subject is a process of its own on loopback. A round gives each subject one turn, in a new order each time; what is
// reported is the median over the rounds, and ratios are taken within a round, so that a slow minute of the machine
// hits all alike. One request in sixteen fails, as a gateway that classifies has to earn its place. Every response is compared with the expected bytes, and the upstream's counts must show that a
// subject that has to drop the query parameter dropped it: a wrong answer is a failed run, not a fast one.
//
// Where to read on: subjects.go says what is compared, load.go is the load generator, cpu.go says what a request cost.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func init() {
	// Children are told to die with the thread that started them (process.go), so that one must not come and go.
	runtime.LockOSThread()
}

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run picks the mode by the first word; without one it compares.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	mode := ""
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		mode, args = args[0], args[1:]
	}
	switch mode { // these two just end when they are told to
	case "upstream":
		return upstreamMode(args, out)
	case "floor":
		return floorMode(args, out)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch mode {
	case "":
		return compareMode(ctx, args, out, progress)
	case "flip":
		return flipMode(ctx, args, out, progress)
	case "body":
		return bodyMode(ctx, args, out, progress)
	case "profile":
		return profileMode(ctx, args, out, progress)
	}
	return fmt.Errorf("mode %q: expected flip, body, profile, upstream, floor, or none to compare", mode)
}
