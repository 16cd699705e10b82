//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// profileMode puts Breakwater, everything on, under the paced load of the comparing run and keeps a profile of its CPU. The
// compiler reads the one that lies beside the program (cmd/breakwater/default.pgo), to see which calls are worth inlining.
func profileMode(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("bench profile", flag.ContinueOnError)
	flags.SetOutput(progress)
	file := flags.String("o", "cpu.pprof", "`file` to write")
	length := flags.Duration("duration", 30*time.Second, "of the profile")
	rate := flags.Float64("rate", 15000, "requests a second")
	var e env
	addBinaries(flags, &e.breakwater, &e.guests)
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e.dir = dir
	up, addr, err := startSelf(ctx, "upstream", "upstream")
	if err != nil {
		return err
	}
	defer up.stop()
	e.upstream = addr
	at, err := e.placeBreakwater("breakwater")
	if err != nil {
		return err
	}
	r, err := launch(ctx, &e, at.subject(variant{name: "breakwater"}))
	if err != nil {
		return err
	}
	defer r.stop()
	g, err := newGenerator(r.addr, 32, true)
	if err != nil {
		return err
	}
	defer g.close()
	exactTimers()
	type taken struct {
		profile []byte
		err     error
	}
	done := make(chan taken, 1)
	loading, stop := context.WithCancel(ctx)
	go func() {
		defer stop()
		profile, err := takeProfile(ctx, at, *length)
		done <- taken{profile, err}
	}()
	for loading.Err() == nil {
		if _, err := g.pace(ctx, *rate, time.Second); err != nil {
			return err
		}
	}
	t := <-done
	if t.err != nil {
		return t.err
	}
	if err := os.WriteFile(*file, t.profile, 0o644); err != nil { //nolint:gosec // a part of the source
		return err
	}
	_, err = fmt.Fprintf(out, "%s: %d bytes, %s at %.0f requests/s\n", *file, len(t.profile), *length, *rate)
	return err
}

// takeProfile asks the admin API for a profile.
func takeProfile(ctx context.Context, at placed, length time.Duration) ([]byte, error) {
	target := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", at.admin, int(length.Seconds()))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	profile, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", target, response.Status, profile)
	}
	return profile, err
}
