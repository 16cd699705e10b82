//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// A report is the outcome of a run, printed as a table or as JSON.
type report struct {
	Machine  string    `json:"machine"`
	Began    time.Time `json:"began"`
	Rounds   int       `json:"rounds"`
	Turn     string    `json:"turn"` // how long a subject's turn is
	Conns    int       `json:"connections"`
	Rate     float64   `json:"rate_per_second"`
	Slowest  string    `json:"slowest,omitempty"` // whose saturation the rate is half of
	Others   float64   `json:"others"`            // the share of the machine that other processes used meanwhile
	LeftOut  []string  `json:"left_out,omitempty"`
	Subjects []*row    `json:"subjects"`
	Aims     []*aim    `json:"aims"`
}

// A row is one subject's rounds, and what they come to.
type row struct {
	Name  string `json:"name"`
	What  string `json:"what"`
	Turns []turn `json:"turns"`

	Saturation spread  `json:"saturation_per_second"`
	CPU        spread  `json:"cpu_us"`
	User       float64 `json:"user_us"`
	System     float64 `json:"system_us"`
	ToFloor    spread  `json:"cpu_to_floor"`
	P50        spread  `json:"p50_us"`
	P99        spread  `json:"p99_us"`
}

func newReport(o options) *report {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return &report{
		Machine: fmt.Sprintf("%d CPUs, Linux %s, %s", runtime.NumCPU(), strings.TrimSpace(string(release)), runtime.Version()),
		Began:   time.Now().UTC().Truncate(time.Second),
		Rounds:  o.rounds,
		Turn:    o.duration.String(),
		Conns:   o.conns,
	}
}

func (rep *report) row(name string) *row {
	for _, r := range rep.Subjects {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// each takes one figure of every round.
func (r *row) each(figure func(turn) float64) []float64 {
	out := make([]float64, len(r.Turns))
	for i, t := range r.Turns {
		out[i] = figure(t)
	}
	return out
}

func cpuOf(t turn) float64 { return t.CPU }

// judge works out the medians and ratios, and whether each aim was met.
func (rep *report) judge(aims []*aim) {
	floor := rep.row("floor")
	for _, r := range rep.Subjects {
		r.Saturation = spreadOf(r.each(func(t turn) float64 { return t.Saturation }))
		r.CPU = spreadOf(r.each(cpuOf))
		r.P50 = spreadOf(r.each(func(t turn) float64 { return t.P50 }))
		r.P99 = spreadOf(r.each(func(t turn) float64 { return t.P99 }))
		r.User, r.System = split(r.Turns, r.CPU.Median)
		if floor != nil && r.CPU.Median > 0 {
			r.ToFloor = spreadOf(ratios(r.each(cpuOf), floor.each(cpuOf)))
		}
	}
	for _, a := range aims {
		of, to := rep.row(a.Of), rep.row(a.To)
		if of != nil && to != nil {
			if got := ratios(of.each(cpuOf), to.each(cpuOf)); len(got) > 0 {
				a.Measured = spreadOf(got)
				a.Met = a.Measured.Median <= a.Most
			}
		}
	}
	rep.Aims = aims
}

// split divides the exact CPU time as the ticks of all rounds were divided.
func split(turns []turn, cpu float64) (user, system float64) {
	for _, t := range turns {
		user += t.UserTicks
		system += t.SysTicks
	}
	if user+system == 0 {
		return 0, 0
	}
	share := user / (user + system)
	return cpu * share, cpu * (1 - share)
}

func (rep *report) print(out io.Writer) error {
	fmt.Fprintf(out, "%s; %d connections, %d interleaved rounds, turns of %s\n", rep.Machine, rep.Conns, rep.Rounds, rep.Turn)
	fmt.Fprintf(out, "CPU and latency at %.0f requests/s", rep.Rate)
	if rep.Slowest != "" {
		fmt.Fprintf(out, ", half of the saturation of the slowest (%s)", rep.Slowest)
	}
	fmt.Fprint(out, ". CPU in µs per request, the subject's process tree; medians, and lowest to highest round.\n\n")

	if rep.Others > 0.05 {
		fmt.Fprintf(out, "BUSY MACHINE: other processes used %.0f %% of its CPUs; run this again when it is quiet.\n\n", rep.Others*100)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "subject\tuser\tsystem\tCPU\tCPU range\t× floor\trange\tp50 µs\tp99 µs\tsaturation/s\t")
	for _, r := range rep.Subjects {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f\t%.0f\t%.0f\t\n", r.Name,
			number(r.User, 1), number(r.System, 1), number(r.CPU.Median, 1), between(r.CPU, 1),
			number(r.ToFloor.Median, 2), between(r.ToFloor, 2), r.P50.Median, r.P99.Median, r.Saturation.Median)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, r := range rep.Subjects {
		fmt.Fprintf(out, "%s: %s\n", r.Name, r.What)
	}
	for _, name := range rep.LeftOut {
		fmt.Fprintf(out, "LEFT OUT: %s\n", name)
	}
	fmt.Fprintln(out)
	for _, a := range rep.Aims {
		fmt.Fprintln(out, a)
	}
	return nil
}

// number leaves out what wasn't measured.
func number(v float64, digits int) string {
	if v == 0 || math.IsNaN(v) {
		return "–"
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func between(s spread, digits int) string {
	if s.Median == 0 || math.IsNaN(s.Median) {
		return "–"
	}
	return number(s.Low, digits) + "…" + number(s.High, digits)
}

// An aim is a ratio of CPU per request that shall not be exceeded.
type aim struct {
	Of       string  `json:"of"`
	To       string  `json:"to"`
	Most     float64 `json:"at_most"`
	Measured spread  `json:"measured"` // zero if one of the two wasn't there
	Met      bool    `json:"met"`
}

// parseAims reads "breakwater/floor<=1.15,haproxy/nginx<=2".
func parseAims(text string) ([]*aim, error) {
	var aims []*aim
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		pair, limit, ok := strings.Cut(part, "<=")
		of, to, ok2 := strings.Cut(pair, "/")
		most, err := strconv.ParseFloat(limit, 64)
		if !ok || !ok2 || of == "" || to == "" || err != nil || !(most > 0) {
			return nil, fmt.Errorf("-aims: %q: expected SUBJECT/SUBJECT<=NUMBER", part)
		}
		for _, name := range []string{of, to} {
			if _, err := pick(subjects(), name); err != nil {
				return nil, fmt.Errorf("-aims: %q: %w", part, err)
			}
		}
		aims = append(aims, &aim{Of: of, To: to, Most: most})
	}
	return aims, nil
}

func (a *aim) String() string {
	head := fmt.Sprintf("aim %s ≤ %g × %s: ", a.Of, a.Most, a.To)
	switch {
	case a.Measured.Median == 0:
		return head + "NOT MEASURED"
	case a.Met:
		return head + fmt.Sprintf("met, %.2f (%s)", a.Measured.Median, between(a.Measured, 2))
	}
	return head + fmt.Sprintf("MISSED, %.2f (%s)", a.Measured.Median, between(a.Measured, 2))
}

// missed is an error that names every aim that wasn't met.
func (rep *report) missed() error {
	var errs []error
	for _, a := range rep.Aims {
		if !a.Met {
			errs = append(errs, errors.New(a.String()))
		}
	}
	return errors.Join(errs...)
}
