package engine

import (
	"fmt"
	"runtime"
	"time"
)

const (
	pageSize  = 64 << 10
	maxMemory = 4 << 30 // what 32 bits can address
)

// Limits are what a module's instances may take. A zero field means its default. Tables and call stacks are not counted as
// memory; the runtime bounds a stack at some 100 MB.
type Limits struct {
	MemoryBytes int64         // bytes of linear memory of one instance; 64 MiB. Rounded up to pages of 64 KiB
	Timeout     time.Duration // for one call; 100 ms. Not kept with [Never]
	Start       time.Duration // for making an instance, its configuration included; 10 s. Not kept with [Never]
	Wait        time.Duration // how long a call waits for an instance when all are taken; 100 ms
	Instances   int           // at a time; twice the processors, at least 4
	Calls       int64         // after so many calls an instance is recycled; 1,000,000
	GrowthBytes int64         // when its memory has grown by so many bytes an instance is recycled; a quarter of MemoryBytes
}

// complete checks l and fills in the defaults.
func (l Limits) complete() (Limits, error) {
	for _, f := range []struct {
		name string
		bad  bool
		got  any
	}{
		{"memory", l.MemoryBytes < 0 || l.MemoryBytes > maxMemory, l.MemoryBytes},
		{"timeout", l.Timeout < 0, l.Timeout},
		{"start", l.Start < 0, l.Start},
		{"wait", l.Wait < 0, l.Wait},
		{"instances", l.Instances < 0, l.Instances},
		{"calls", l.Calls < 0, l.Calls},
		{"growth", l.GrowthBytes < 0, l.GrowthBytes},
	} {
		if f.bad {
			return Limits{}, fmt.Errorf("limit %s %v: expected 0 for the default, or more; memory at most 4 GiB", f.name, f.got)
		}
	}
	fill(&l.MemoryBytes, 64<<20)
	fill(&l.Timeout, 100*time.Millisecond)
	fill(&l.Start, 10*time.Second)
	fill(&l.Wait, 100*time.Millisecond)
	fill(&l.Instances, max(4, 2*runtime.GOMAXPROCS(0)))
	fill(&l.Calls, 1_000_000)
	l.MemoryBytes = (l.MemoryBytes + pageSize - 1) / pageSize * pageSize
	fill(&l.GrowthBytes, l.MemoryBytes/4)
	return l, nil
}

func fill[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// size is n bytes for people.
func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// An Interruption says how a call that takes too long is stopped.
type Interruption uint8

const (
	// ByContext has the compiler put a check at every loop. It costs about 1 µs and 3 allocations a call and makes tight loops
	// 25 to 40 times slower. It does not see a chain of calls without a loop.
	ByContext Interruption = iota
	// Never lets a call run on. A guest that spins then stops the whole process at the next garbage collection: it is for
	// modules that are known byte by byte.
	Never
)

var interruptionNames = [...]string{"context", "none"}

// String returns the word for i in configuration files.
func (i Interruption) String() string {
	if int(i) < len(interruptionNames) {
		return interruptionNames[i]
	}
	return fmt.Sprintf("interruption(%d)", uint8(i))
}

// ParseInterruption reads the word for an [Interruption]. No word means [ByContext].
func ParseInterruption(s string) (Interruption, error) {
	switch s {
	case "", "context":
		return ByContext, nil
	case "none":
		return Never, nil
	default:
		return 0, fmt.Errorf("interruption %q: expected context or none", s)
	}
}
