package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should come soon. Nothing is asserted of how long it takes.
const patience = 90 * time.Second

// workshop holds what the whole test run needs once: programs, guests, compiled plugins.
var workshop string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if workshop, err = os.MkdirTemp("", "breakwater-e2e-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(workshop)
		return m.Run()
	}())
}

// A kit is how a program is built: with the race detector to find faults, plain to measure memory.
type kit string

const (
	raced kit = "race"
	plain kit = "plain"
)

var built sync.Map // by path: func() error

// once runs build for path the first time that anyone asks for it.
func once(t *testing.T, path string, build func() error) string {
	t.Helper()
	f, _ := built.LoadOrStore(path, sync.OnceValue(build))
	if err := f.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return path
}

func goBuild(env []string, args ...string) error {
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// program returns the path of a program of ours.
func program(t *testing.T, name string, k kit) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil && k == raced {
		if os.Getenv("CI") == "true" {
			t.Fatal("gcc: not found, and the race detector needs it")
		}
		t.Log("NOT CHECKED: data races in the programs: gcc is not here, and the race detector needs it")
		k = plain
	}
	path := filepath.Join(workshop, string(k), name)
	return once(t, path, func() error {
		if k == raced {
			return goBuild([]string{"CGO_ENABLED=1"}, "-race", "-o", path, "./cmd/"+name)
		}
		return goBuild(nil, "-o", path, "./cmd/"+name)
	})
}

// guest returns the path of a module built from a folder below the repository's root. Its variable main.version is set.
func guest(t *testing.T, folder, version string) string {
	t.Helper()
	path := filepath.Join(workshop, "guests", filepath.Base(folder)+version+".wasm")
	return once(t, path, func() error {
		return goBuild([]string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"},
			"-buildmode=c-shared", "-ldflags=-s -w -X main.version="+version, "-o", path, "./"+folder)
	})
}

// A process is a program of ours that runs.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	out   *output
	ended chan struct{} // closed when it has
	over  bool          // the test has dealt with its end
}

// launch starts a program and waits for the line that says that it is ready, which it returns.
func launch(t *testing.T, path string, args ...string) (*process, []string) {
	t.Helper()
	p := &process{t: t, name: filepath.Base(path), cmd: exec.Command(path, args...), out: &output{changed: make(chan struct{})}, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=0 exitcode=66")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait() //nolint:errcheck // ProcessState says it
		close(p.ended)
	}()
	t.Cleanup(func() {
		if !p.over {
			p.stop()
		}
		if t.Failed() {
			t.Logf("output of %s:\n%s", p.name, p.out.tail())
		}
	})
	return p, p.await(p.name + ` ready: .*`)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// await returns the first match of pattern in what the process has written so far, or will.
func (p *process) await(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		text, changed := p.out.state()
		if m := re.FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-changed:
		case <-p.ended:
			if text, _ := p.out.state(); !re.MatchString(text) {
				p.t.Fatalf("%s ended (%v) and never wrote %s", p.name, p.cmd.ProcessState, pattern)
			}
		case <-late.C:
			p.t.Fatalf("%s did not write %s", p.name, pattern)
		}
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("%s: signal %v: %v", p.name, s, err)
	}
}

// alive fails the test if the process has ended by itself.
func (p *process) alive() {
	p.t.Helper()
	select {
	case <-p.ended:
		p.t.Fatalf("%s has ended: %v", p.name, p.cmd.ProcessState)
	default:
	}
}

// stop ends the process as an operator would and looks whether all was well with it.
func (p *process) stop() {
	p.t.Helper()
	p.alive()
	p.signal(syscall.SIGTERM)
	p.end()
}

// end waits for the end of a process that was told to, and looks whether all was well with it.
func (p *process) end() {
	p.t.Helper()
	p.over = true
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.cmd.Process.Kill() //nolint:errcheck
		p.t.Fatalf("%s did not end", p.name)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%s: exit code %d, want 0", p.name, code)
	}
	p.sound()
}

// sound fails the test if the process has written of a race or a panic.
func (p *process) sound() {
	p.t.Helper()
	text, _ := p.out.state()
	if at := unsound.FindStringIndex(text); at != nil {
		p.t.Errorf("%s wrote: %s", p.name, text[at[0]:min(len(text), at[0]+4000)])
	}
}

// unsound is what no program of ours may write. (What a guest has written stands within a line.)
var unsound = regexp.MustCompile(`(?m)^WARNING: DATA RACE|^panic: |^fatal error: |panic while serving|the admin API panicked|BUG:`)

// kill ends the process as the kernel would.
func (p *process) kill() {
	p.t.Helper()
	p.over = true
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// An output is what a process has written so far.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(b)
}

func (o *output) state() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

func (o *output) tail() string {
	text, _ := o.state()
	return text[max(0, len(text)-6000):]
}

var errNotYet = errors.New("not yet")

// eventually asks again and again until ok says nil: for what only looking can tell, such as the files of /proc.
func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
