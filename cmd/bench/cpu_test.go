//go:build linux

package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " S 17 100 100 0 -1 4194560 900 0 0 0 250 31 7 9 20 0 3 0 5000 1000000 200 18446744073709551615"
	want := procStat{parent: 17, user: 2500 * time.Millisecond, system: 310 * time.Millisecond}
	for _, tt := range []struct{ name, line string }{
		{"a plain name", "42 (nginx)" + rest},
		{"a name with a space", "42 (nginx: worker)" + rest},
		{"a name that looks like the end of the name", "42 (a) S 1 (b)" + rest},
		{"a line end", "42 (nginx)" + rest + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStat([]byte(tt.line))
			if err != nil || got != want {
				t.Errorf("parseStat(%q) = %+v, %v; want %+v", tt.line, got, err, want)
			}
		})
	}
	for _, tt := range []struct{ name, line, says string }{
		{"no name", "42 nginx S 17", "expected a name in parentheses"},
		{"too few fields", "42 (nginx) S 17", "2 fields after the name"},
		{"a field that isn't a number", strings.Replace("42 (nginx)"+rest, " 250 ", " x ", 1), "field 14"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := parseStat([]byte(tt.line)); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("parseStat(%q) = %+v, %v; want an error with %q", tt.line, got, err, tt.says)
			}
		})
	}
}

func TestParseStatus(t *testing.T) {
	const text = "Name:\tbreakwater\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t9\n"
	for _, tt := range []struct {
		name, field string
		want        int64
	}{
		{"the peak", "VmHWM", 20 << 20},
		{"what is resident", "VmRSS", 10 << 20},
	} {
		if got, err := parseStatus([]byte(text), tt.field); err != nil || got != tt.want {
			t.Errorf("%s: parseStatus(%q) = %d, %v; want %d", tt.name, tt.field, got, err, tt.want)
		}
	}
	for _, field := range []string{"Threads", "VmSwap"} {
		if got, err := parseStatus([]byte(text), field); err == nil {
			t.Errorf("parseStatus(%q) = %d; want an error", field, got)
		}
	}
}

func TestParseMachine(t *testing.T) {
	const text = "cpu  100 20 3 5000 600 7 8 9 1000 2000\ncpu0 50 10 1 2500 300 3 4 4 500 1000\nintr 1\n"
	if got, err := parseMachine([]byte(text)); err != nil || got != 147*clockTick {
		t.Errorf("parseMachine = %s, %v; want all but idle, iowait and the guests counted twice: %s", got, err, 147*clockTick)
	}
	for _, text := range []string{"", "cpu 1 2 3\n", "cpu  100 20 x 5000 600 7 8 9\n", "intr 1 2 3 4 5 6 7 8 9\n"} {
		if got, err := parseMachine([]byte(text)); err == nil {
			t.Errorf("parseMachine(%q) = %s, want an error", text, got)
		}
	}
}

func TestDescend(t *testing.T) {
	stats := map[int]procStat{
		1: {parent: 0}, 10: {parent: 1}, 11: {parent: 10}, 12: {parent: 10}, 13: {parent: 12}, 20: {parent: 1},
	}
	for _, tt := range []struct {
		name string
		root int
		want []int
	}{
		{"children and their children", 10, []int{10, 11, 12, 13}},
		{"a process without children", 20, []int{20}},
		{"a process that is gone", 30, nil},
	} {
		got := descend(stats, tt.root)
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: descend(%d) = %v, want %v", tt.name, tt.root, got, tt.want)
		}
	}
}

// The CPU clock must be the process's own: it has to grow while the process works, and by no less than the ticks say.
func TestCPUClockGrowsWithWork(t *testing.T) {
	before, err := treeCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var used cpuTime
	for used.user+used.system < 5*clockTick {
		for n := range 1000 {
			_ = statusWork(n)
		}
		after, err := treeCPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		used = after.minus(before)
	}
	if used.total < used.user+used.system-2*clockTick {
		t.Errorf("the clock grew by %s while /proc counted %s user and %s system", used.total, used.user, used.system)
	}
}

func statusWork(n int) int {
	_, _ = parseStatus([]byte("Name:\tx\nVmHWM:\t   20480 kB\n"), "VmHWM")
	return n
}

func TestResetPeak(t *testing.T) {
	pid := os.Getpid()
	if err := resetPeak(pid); err != nil {
		t.Skipf("this kernel doesn't let us reset the peak: %v", err)
	}
	peak, err := statusBytes(pid, "VmHWM")
	if err != nil || peak <= 0 {
		t.Errorf("VmHWM = %d, %v; want a size", peak, err)
	}
}
