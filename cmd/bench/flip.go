//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// flipMode measures how long a flip of one flag among many takes until a client sees it, from the moment when the operator
// sends it or the file is in place. By the API it also holds that every request begun after the answer sees the flip.
func flipMode(ctx context.Context, args []string, out, progress io.Writer) error {
	var breakwater, guests string
	flags := flag.NewFlagSet("bench flip", flag.ContinueOnError)
	flags.SetOutput(progress)
	count := flags.Int("count", 40, "flips of each kind; medians are taken over them")
	only := flags.String("by", "api,rename,write", "kinds of flip: by the API, by a renamed file, by a file written in place")
	assert := flags.Bool("assert", false, "fail when a median is not below its aim")
	byAPI := flags.Duration("api", 5*time.Millisecond, "aim for flips by the API")
	byFile := flags.Duration("file", 50*time.Millisecond, "aim for flips by the file")
	addBinaries(flags, &breakwater, &guests)
	if err := flags.Parse(args); err != nil {
		return err
	}
	for by := range strings.SplitSeq(*only, ",") {
		if !slices.Contains([]string{"api", "rename", "write"}, by) {
			return fmt.Errorf("-by %q: expected api, rename or write", by)
		}
	}
	if *count < 2 || *count%2 != 0 {
		return fmt.Errorf("-count %d: expected an even number, so that the flag ends as it began", *count)
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	up, upAddr, err := startSelf(ctx, "upstream", "upstream")
	if err != nil {
		return err
	}
	defer up.stop()
	e := &env{dir: dir, upstream: upAddr, breakwater: breakwater, guests: guests}
	at, err := e.placeBreakwater("breakwater")
	if err != nil {
		return err
	}
	gateway, err := launch(ctx, e, at.subject(variants()[0]))
	if err != nil {
		return err
	}
	defer gateway.stop()
	w, err := watch(gateway.addr)
	if err != nil {
		return err
	}
	defer w.stop()

	kinds := []struct {
		by     string
		name   string
		aim    time.Duration
		flip   func(ctx context.Context, on bool) error
		strict bool // once flip has returned, no request may begin that doesn't see it
	}{
		{"api", "by the API", *byAPI, func(ctx context.Context, on bool) error { return flipByAPI(ctx, at, dropGate, on) }, true},
		{"rename", "by the file, renamed", *byFile, func(_ context.Context, on bool) error { return flipByRename(at.flags, dropGate, on) }, false},
		{"write", "by the file, in place", *byFile, func(_ context.Context, on bool) error { return flipInPlace(at.flags, dropGate, on) }, false},
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "%d flips among %d flags\tdone ms\trange\tseen ms\trange\taim ms\t\n", *count, benchFlags)
	var errs []error
	for _, kind := range kinds {
		if !slices.Contains(strings.Split(*only, ","), kind.by) {
			continue
		}
		fmt.Fprintf(progress, "flips %s\n", kind.name)
		var done, seen []float64
		for n := range *count {
			took, err := w.flip(ctx, n%2 == 1, kind.flip, kind.strict)
			if err != nil {
				return fmt.Errorf("flip %d %s: %w; the gateway said %q", n+1, kind.name, err, gateway.process.said)
			}
			done, seen = append(done, millis(took.done)), append(seen, millis(took.seen))
		}
		d, s := spreadOf(done), spreadOf(seen)
		fmt.Fprintf(table, "%s\t%.2f\t%s\t%.2f\t%s\t<%.0f\t\n", kind.name, d.Median, between(d, 2), s.Median, between(s, 2), millis(kind.aim))
		if s.Median >= millis(kind.aim) {
			errs = append(errs, fmt.Errorf("flips %s take %.2f ms, expected less than %.0f", kind.name, s.Median, millis(kind.aim)))
		}
	}
	if err := table.Flush(); err != nil || !*assert {
		return err
	}
	return errors.Join(errs...)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// flipByAPI asks the gateway's admin API, as the CLI does.
func flipByAPI(ctx context.Context, at placed, key string, on bool) error {
	body, err := json.Marshal(map[string]string{"variant": variantName(on), "reason": "bench flip"})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+at.admin.String()+"/api/v1/flags/"+key, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+adminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("PUT /api/v1/flags/%s: %s: %q", key, response.Status, text)
	}
	return err
}

func variantName(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// flipByRename edits the flag file as a careful editor does: a new file takes the old one's place.
func flipByRename(file, key string, on bool) error {
	text, err := flipped(file, key, on)
	if err != nil {
		return err
	}
	temporary := file + ".new"
	if err := os.WriteFile(temporary, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, file)
}

// flipInPlace edits the flag file as a redirection in a shell does: cut to nothing, then written.
func flipInPlace(file, key string, on bool) error {
	text, err := flipped(file, key, on)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// flipped is the flag file with one default variant changed. Everything else in it stays.
func flipped(file, key string, on bool) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	all, _ := doc["flags"].(map[string]any)
	one, ok := all[key].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: flags: %q: expected it to be there", file, key)
	}
	one["defaultVariant"] = variantName(on)
	return json.MarshalIndent(doc, "", "  ")
}

// A watcher sends request after request over one connection and notes when the upstream begins or ceases to see the
// parameter.
type watcher struct {
	conn    net.Conn
	changes chan change
	done    chan struct{}
}

// A change is the first response that differs from the one before.
type change struct {
	dropped  bool
	seen     time.Time // when the response was read
	lastSent time.Time // when the last request with the old answer was begun
	err      error     // the watcher has ended
}

func watch(addr netip.AddrPort) (*watcher, error) {
	conn, err := net.Dial("tcp4", addr.String())
	if err != nil {
		return nil, err
	}
	w := &watcher{conn, make(chan change, 16), make(chan struct{})}
	go w.run()
	return w, nil
}

func (w *watcher) stop() {
	_ = w.conn.Close()
	<-w.done
}

func (w *watcher) run() {
	defer close(w.done)
	request := mediaRequest(0, 0, false)
	buf := make([]byte, 4<<10)
	last, lastSent := true, time.Time{} // the gateway begins with the parameter dropped
	for {
		sent := time.Now()
		dropped, err := w.askOnce(request, buf)
		if err == nil && dropped == last {
			lastSent = sent
			continue
		}
		select {
		case w.changes <- change{dropped, time.Now(), lastSent, err}:
		default: // nobody asked for that many
			return
		}
		if err != nil {
			return
		}
		last, lastSent = dropped, sent
	}
}

func (w *watcher) askOnce(request, buf []byte) (dropped bool, err error) {
	if _, err := w.conn.Write(request); err != nil {
		return false, err
	}
	for n := 0; ; {
		k, err := w.conn.Read(buf[n:])
		if err != nil {
			return false, err
		}
		n += k
		dropped, err := checkResponse(buf[:n], &mediaDropped)
		if err == nil && dropped {
			return true, nil
		}
		present, err2 := checkResponse(buf[:n], &mediaPresent)
		if err2 == nil && present {
			return false, nil
		}
		if err != nil && err2 != nil {
			return false, err
		}
	}
}

// A flipTime counts from the begin of a flip.
type flipTime struct {
	done time.Duration // the flip has returned
	seen time.Duration // a client has seen it
}

// flip flips once and waits until the watcher has seen it.
func (w *watcher) flip(ctx context.Context, on bool, flip func(context.Context, bool) error, strict bool) (flipTime, error) {
	const patience = 10 * time.Second
	// Flips at odd times, so that they keep no step with anything that the gateway does regularly.
	select {
	case <-ctx.Done():
		return flipTime{}, ctx.Err()
	case <-time.After(20*time.Millisecond + rand.N(30*time.Millisecond)):
	}
	start := time.Now()
	if err := flip(ctx, on); err != nil {
		return flipTime{}, err
	}
	answered := time.Now()
	select {
	case <-ctx.Done():
		return flipTime{}, ctx.Err()
	case <-time.After(patience):
		return flipTime{}, fmt.Errorf("no request has seen %q within %s", variantName(on), patience)
	case c := <-w.changes:
		switch {
		case c.err != nil:
			return flipTime{}, c.err
		case c.dropped != on:
			return flipTime{}, fmt.Errorf("the parameter's being dropped became %t, expected %t", c.dropped, on)
		case c.seen.Before(start):
			return flipTime{}, errors.New("the behaviour changed before the flip")
		case strict && c.lastSent.After(answered):
			return flipTime{}, fmt.Errorf("a request begun %s after the flip's answer didn't see it", c.lastSent.Sub(answered))
		}
		return flipTime{answered.Sub(start), c.seen.Sub(start)}, nil
	}
}
