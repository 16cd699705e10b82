//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"
)

// options say how the comparing run goes.
type options struct {
	subjects   string
	rounds     int
	duration   time.Duration // of one subject's turn in one round
	conns      int
	rate       float64 // requests a second while CPU and latency are measured; 0 = half of the slowest subject's saturation
	seed       uint64
	quick      bool
	asJSON     bool
	assert     bool
	aims       string
	breakwater string
	guests     string
}

// benchClients is how many tenants the load comes from, at most one to a connection.
const benchClients = 50

const quickSubjects = "direct,floor,nginx,haproxy,breakwater"

func parseOptions(args []string, progress io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.StringVar(&o.subjects, "subjects", "", "`names` with commas between them (default all)")
	flags.IntVar(&o.rounds, "rounds", 9, "rounds; medians are taken over them")
	flags.DurationVar(&o.duration, "duration", 1800*time.Millisecond, "of one subject's turn: a quarter at saturation, the rest paced")
	flags.IntVar(&o.conns, "conns", 32, "keep-alive connections of the load generator")
	flags.Float64Var(&o.rate, "rate", 0, "requests a second of the paced part (default half of the slowest subject's saturation)")
	flags.Uint64Var(&o.seed, "seed", 1, "of the order of subjects in each round")
	flags.BoolVar(&o.quick, "quick", false, "a run of 20 seconds: 3 short rounds, and only "+quickSubjects+" unless -subjects says otherwise")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, every round included, instead of the table")
	flags.BoolVar(&o.assert, "assert", false, "fail when an aim is missed or can't be measured")
	flags.StringVar(&o.aims, "aims", "breakwater/floor<=1.15", "`ratios` of CPU per request to hold under -assert, with commas between them")
	addBinaries(flags, &o.breakwater, &o.guests)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		set := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
		if !set["rounds"] {
			o.rounds = 3
		}
		if !set["duration"] {
			o.duration = 900 * time.Millisecond
		}
		if !set["subjects"] {
			o.subjects = quickSubjects
		}
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("argument %q: expected only flags", flags.Arg(0))
	case o.rounds < 1:
		return o, fmt.Errorf("-rounds %d: expected 1 or more", o.rounds)
	case o.conns < 1 || o.conns > 1000:
		return o, fmt.Errorf("-conns %d: expected 1 to 1000", o.conns)
	case o.duration < 100*time.Millisecond:
		return o, fmt.Errorf("-duration %s: expected 100ms or more", o.duration)
	case o.rate < 0:
		return o, fmt.Errorf("-rate %g: expected 0 or more", o.rate)
	}
	return o, nil
}

// addBinaries adds the flags that say where Breakwater is.
func addBinaries(flags *flag.FlagSet, breakwater, guests *string) {
	flags.StringVar(breakwater, "breakwater", "bin/breakwater", "`program` to measure")
	flags.StringVar(guests, "guests", "bin/guests", "`directory` of its plugins")
}

func compareMode(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parseOptions(args, progress)
	if err != nil {
		return err
	}
	aims, err := parseAims(o.aims)
	if err != nil {
		return err
	}
	rep, err := compare(ctx, o, progress)
	if err != nil {
		return err
	}
	rep.judge(aims)
	if o.asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(rep)
	} else {
		err = rep.print(out)
	}
	if err == nil && o.assert {
		err = rep.missed()
	}
	return err
}

// A turn is what one subject did in one round.
type turn struct {
	Saturation float64 `json:"saturation_per_second"`
	Rate       float64 `json:"paced_per_second"`
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`
	CPU        float64 `json:"cpu_us"`           // per paced request, user and system, exact
	UserTicks  float64 `json:"user_us_sampled"`  // per paced request
	SysTicks   float64 `json:"sys_us_sampled"`   // per paced request
	Saturated  float64 `json:"cpu_saturated_us"` // per request at saturation
}

// compare runs all rounds. Every subject stays up for the whole run; only the one whose turn it is gets requests.
func compare(ctx context.Context, o options, progress io.Writer) (*report, error) {
	list, err := pick(subjects(), o.subjects)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	up, upAddr, err := startSelf(ctx, "upstream", "upstream")
	if err != nil {
		return nil, err
	}
	defer up.stop()

	e := &env{dir: dir, upstream: upAddr, breakwater: o.breakwater, guests: o.guests}
	rep := newReport(o)
	var live []*running // in the order of rep.Subjects
	for _, s := range list {
		r, err := launch(ctx, e, s)
		if errors.Is(err, errMissing) {
			fmt.Fprintf(progress, "LEFT OUT: %v\n", err)
			rep.LeftOut = append(rep.LeftOut, err.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		defer r.stop()
		live = append(live, r)
		rep.Subjects = append(rep.Subjects, &row{Name: s.name, What: s.what})
	}
	if os.Getenv("CI") == "true" && len(rep.LeftOut) > 0 {
		return nil, fmt.Errorf("CI=true and left out: %q", rep.LeftOut)
	}
	if err := rep.calibrate(ctx, o, e, live, progress); err != nil {
		return nil, err
	}
	neighbours, err := watchNeighbours()
	if err != nil {
		return nil, err
	}
	order := rand.New(rand.NewPCG(o.seed, 0))
	for round := range o.rounds {
		fmt.Fprintf(progress, "round %d of %d:", round+1, o.rounds)
		for _, i := range order.Perm(len(live)) {
			fmt.Fprintf(progress, " %s", live[i].name)
			t, err := takeTurn(ctx, e, live[i], o.conns, o.duration, rep.Rate)
			if err != nil {
				fmt.Fprintln(progress)
				return nil, fmt.Errorf("round %d: %s: %w", round+1, live[i].name, err)
			}
			rep.Subjects[i].Turns = append(rep.Subjects[i].Turns, t)
		}
		fmt.Fprintln(progress)
	}
	rep.Others, err = neighbours.share()
	return rep, err
}

// calibrate warms every subject up and sets the rate of the paced parts, one for all of them: CPU per request depends on
// the rate, as a busier proxy finds more to do each time it wakes.
func (rep *report) calibrate(ctx context.Context, o options, e *env, live []*running, progress io.Writer) error {
	slowest := 0.0
	fmt.Fprint(progress, "warm-up:")
	for _, r := range live {
		fmt.Fprintf(progress, " %s", r.name)
		t, err := takeTurn(ctx, e, r, o.conns, min(o.duration, time.Second), 100)
		if err != nil {
			fmt.Fprintln(progress)
			return fmt.Errorf("warm-up: %s: %w", r.name, err)
		}
		if r.process != nil && (slowest == 0 || t.Saturation < slowest) {
			slowest, rep.Slowest = t.Saturation, r.name
		}
	}
	fmt.Fprintln(progress)
	rep.Rate = o.rate
	switch {
	case rep.Rate > 0:
		rep.Slowest = ""
	case slowest > 0:
		rep.Rate = slowest / 2
	default:
		rep.Rate = 1000 // nothing but direct
	}
	return nil
}

// takeTurn measures one subject: a few requests to warm up, then at saturation, then paced.
func takeTurn(ctx context.Context, e *env, r *running, conns int, d time.Duration, rate float64) (turn, error) {
	before, err := readCounts(e.upstream)
	if err != nil {
		return turn{}, err
	}
	g, err := newGenerator(r.addr, conns, r.drops)
	if err != nil {
		return turn{}, err
	}
	defer g.close()
	exactTimers()

	warm, err := g.saturate(ctx, d/16)
	if err != nil {
		return turn{}, err
	}
	cpu0, err := r.cpu()
	if err != nil {
		return turn{}, err
	}
	full, err := g.saturate(ctx, d/4)
	if err != nil {
		return turn{}, err
	}
	cpu1, err := r.cpu()
	if err != nil {
		return turn{}, err
	}
	paced, err := g.pace(ctx, rate, d*3/4)
	if err != nil {
		return turn{}, err
	}
	cpu2, err := r.cpu()
	if err != nil {
		return turn{}, err
	}
	after, err := readCounts(e.upstream)
	if err != nil {
		return turn{}, err
	}
	sent := warm.requests + full.requests + paced.requests
	if err := checkCounts(after.minus(before), sent, r.drops); err != nil {
		return turn{}, err
	}
	used := cpu2.minus(cpu1)
	return turn{
		Saturation: full.perSecond(),
		Rate:       paced.perSecond(),
		P50:        micros(quantile(paced.latency, 0.50)),
		P99:        micros(quantile(paced.latency, 0.99)),
		CPU:        micros(used.total) / float64(paced.requests),
		UserTicks:  micros(used.user) / float64(paced.requests),
		SysTicks:   micros(used.system) / float64(paced.requests),
		Saturated:  micros(cpu1.minus(cpu0).total) / float64(full.requests),
	}, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func readCounts(upstream netip.AddrPort) (counts, error) {
	var c counts
	text, err := ask(upstream, countsPath, readyPatience)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// checkCounts compares what the upstream saw with what was sent.
func checkCounts(seen counts, sent int, drops bool) error {
	with := int64(sent)
	if drops {
		with = 0
	}
	if seen.Requests != int64(sent) {
		return fmt.Errorf("the upstream saw %d requests of %d sent", seen.Requests, sent)
	}
	if seen.WithParam != with {
		return fmt.Errorf("the upstream saw %s in %d of %d requests: expected %d", droppedParam, seen.WithParam, sent, with)
	}
	return nil
}
