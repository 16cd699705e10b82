//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// A cpuTime is the CPU time that a process tree has used so far.
//
// The total is the kernel's own account in nanoseconds, read from the processes' CPU clocks; /proc/PID/stat would round
// it to 10 ms, which is half a per cent of a short turn. The split into user and system is only sampled by the kernel
// (at each tick), so it comes from /proc/PID/stat and serves as a share of the total. Work that a peer's write causes
// on loopback (the receiving half of TCP) runs in the writer's context and counts as the writer's system time.
type cpuTime struct {
	total        time.Duration
	user, system time.Duration // as sampled; their sum is not exactly the total
}

func (t cpuTime) minus(u cpuTime) cpuTime {
	return cpuTime{t.total - u.total, t.user - u.user, t.system - u.system}
}

// clockTick is USER_HZ, the unit of times in /proc/PID/stat: 100 a second on every Linux that Go supports.
const clockTick = time.Second / 100

// treeCPU is the CPU time of a process and all of its living descendants.
func treeCPU(root int) (cpuTime, error) {
	stats, err := readStats("/proc")
	if err != nil {
		return cpuTime{}, err
	}
	var sum cpuTime
	pids := descend(stats, root)
	if len(pids) == 0 {
		return cpuTime{}, fmt.Errorf("process %d: is gone", root)
	}
	for _, pid := range pids {
		total, err := cpuClock(pid)
		if err != nil {
			return cpuTime{}, fmt.Errorf("process %d: its CPU clock: %w", pid, err)
		}
		sum.total += total
		sum.user += stats[pid].user
		sum.system += stats[pid].system
	}
	return sum, nil
}

// cpuClock reads the CPU clock of a process: the time of all its threads, those that have ended included.
func cpuClock(pid int) (time.Duration, error) {
	const allThreadsExact = 2 // CPUCLOCK_SCHED, without CPUCLOCK_PERTHREAD_MASK
	id := int32(^pid)<<3 | allThreadsExact
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, errno
	}
	return time.Duration(ts.Nano()), nil
}

// A procStat is what we use of /proc/PID/stat.
type procStat struct {
	parent       int
	user, system time.Duration
}

// readStats reads the stat of every process under proc. A process that ends meanwhile is left out.
func readStats(proc string) (map[int]procStat, error) {
	names, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "stat"))
	if err != nil {
		return nil, err
	}
	stats := make(map[int]procStat, len(names))
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			continue
		}
		stat, err := parseStat(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		stats[pid] = stat
	}
	return stats, nil
}

// parseStat reads one line of /proc/PID/stat. The second field is the program's name in parentheses and may itself
// hold spaces and parentheses, so fields are counted from the last closing one.
func parseStat(line []byte) (procStat, error) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("%q: expected a name in parentheses", line)
	}
	fields := bytes.Fields(line[end+1:]) // fields[0] is the third of proc(5)
	if len(fields) < 13 {
		return procStat{}, fmt.Errorf("%q: %d fields after the name, expected 13 or more", line, len(fields))
	}
	var n [3]int64
	for i, at := range [3]int{4 - 3, 14 - 3, 15 - 3} { // ppid, utime, stime
		v, err := strconv.ParseInt(string(fields[at]), 10, 64)
		if err != nil {
			return procStat{}, fmt.Errorf("%q: field %d: %w", line, at+3, err)
		}
		n[i] = v
	}
	return procStat{int(n[0]), time.Duration(n[1]) * clockTick, time.Duration(n[2]) * clockTick}, nil
}

// descend lists root and its descendants, those that exist.
func descend(stats map[int]procStat, root int) []int {
	if _, ok := stats[root]; !ok {
		return nil
	}
	pids := []int{root}
	for i := 0; i < len(pids); i++ {
		for pid, stat := range stats {
			if stat.parent == pids[i] && pid != pids[i] {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// machineCPU is how much CPU time all processes of the machine have used so far, and time that its host took away.
func machineCPU() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseMachine(text)
}

func parseMachine(text []byte) (time.Duration, error) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return 0, fmt.Errorf("/proc/stat: %q: expected cpu and 8 or more numbers", line)
	}
	var busy time.Duration
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %q: %w", line, err)
		}
		if i != 3 && i != 4 { // idle, and idle waiting for the disk
			busy += time.Duration(n) * clockTick
		}
	}
	return busy, nil
}

// A neighbourhood tells what the rest of the machine does while the bench runs.
type neighbourhood struct {
	began         time.Time
	machine, ours time.Duration
}

func watchNeighbours() (neighbourhood, error) {
	machine, err := machineCPU()
	if err != nil {
		return neighbourhood{}, err
	}
	ours, err := treeCPU(os.Getpid())
	return neighbourhood{time.Now(), machine, ours.total}, err
}

// share is the part of the machine's CPUs that others have used since n: a figure of a run beside which much else went on
// is not to be trusted.
func (n neighbourhood) share() (float64, error) {
	now, err := watchNeighbours()
	if err != nil {
		return 0, err
	}
	others := (now.machine - n.machine) - (now.ours - n.ours)
	all := now.began.Sub(n.began) * time.Duration(runtime.NumCPU())
	return max(0, others.Seconds()/all.Seconds()), nil
}

// statusBytes reads one size (such as VmRSS or VmHWM) of /proc/PID/status.
func statusBytes(pid int, field string) (int64, error) {
	name := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	n, err := parseStatus(text, field)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

func parseStatus(text []byte, field string) (int64, error) {
	for line := range bytes.Lines(text) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(name) != field {
			continue
		}
		number, ok := bytes.CutSuffix(bytes.TrimSpace(value), []byte(" kB"))
		if !ok {
			return 0, fmt.Errorf("%s: %q, expected a size in kB", field, value)
		}
		n, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", field, err)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("%s: no such line", field)
}

// resetPeak makes the kernel forget the highest memory use (VmHWM) that a process has had until now.
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
