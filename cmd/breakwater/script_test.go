package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"breakwater": main})
}

// scriptPatience ends a script that would never end.
const scriptPatience = 60 * time.Second

// TestScripts runs the commands as a shell would. They find a plugin of ours as drop.wasm and have, beside testscript's own words:
//
//	serve FILE         start a gateway and wait until it is ready: $GATEWAY and $BREAKWATER_ADMIN say where; in FILE, $UPSTREAM
//	                   stands for an upstream that answers with the status that the path begins with
//	signal HUP|TERM    send it a signal
//	ended [STATUS]     wait until it has ended; all that it wrote is in the files out.log and err.log
//	get URL STATUS [F] ask for a URL with the field F and hold the status; the content is the standard output
//	begin URL          ask for a URL that ends in /hang, and go on when the upstream has the request
//	status N COMMAND…  run a command that ends with the status N
//	await TEXT FILE    wait until a file has a text
func TestScripts(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			hanging.Add(1)
			<-r.Context().Done()
			return
		}
		status, err := strconv.Atoi(strings.Split(r.URL.Path, "/")[1])
		if err != nil {
			status = http.StatusOK
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(upstream.Close)
	guest := filepath.Join(t.TempDir(), "drop-query-param.wasm")
	buildGuest(t, "drop-query-param", guest)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serve, "signal": sendSignal, "ended": ended, "get": get, "await": await, "begin": begin, "status": status,
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CACHE_HOME", filepath.Dir(guest))
			e.Setenv("UPSTREAM", upstream.URL)
			e.Setenv("BREAKWATER_ADMIN", "http://127.0.0.1:1") // nobody; never a gateway that happens to run on this machine
			e.Setenv("TZ", "UTC")
			e.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector would make each command a second longer
			if err := os.Symlink(guest, filepath.Join(e.WorkDir, "drop.wasm")); err != nil {
				return err
			}
			e.Values[processKey{}] = &process{environment: e.Vars}
			return nil
		},
	})
}

// buildGuest builds a plugin of ours into a file.
func buildGuest(t *testing.T, name, file string) {
	t.Helper()
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, "../../plugins/guests/"+name)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}

// A process is the gateway of a script.
type process struct {
	environment []string
	command     *exec.Cmd
	running     bool
}

type processKey struct{}

func of(ts *testscript.TestScript) *process { return ts.Value(processKey{}).(*process) }

// Where a gateway writes to: its standard output and error.
const (
	outFile = "out.log"
	errFile = "err.log"
)

var readyLine = regexp.MustCompile(`(?m)^breakwater ready: (http://\S+) admin (http://\S+)$`)

func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || of(ts).running {
		ts.Fatalf("usage: serve FILE, once at a time")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "$UPSTREAM", ts.Getenv("UPSTREAM"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
	p := of(ts)
	p.command = exec.Command("breakwater", "run", "-config", args[0])
	p.command.Dir, p.command.Env = ts.MkAbs("."), p.environment
	for name, to := range map[string]*io.Writer{outFile: &p.command.Stdout, errFile: &p.command.Stderr} {
		f, err := os.Create(ts.MkAbs(name))
		ts.Check(err)
		defer f.Close()
		*to = f
	}
	ts.Check(p.command.Start())
	p.running = true
	ts.Defer(func() {
		if p.running { // the script has failed
			p.command.Process.Kill() //nolint:errcheck // it may just have ended
			p.command.Wait()         //nolint:errcheck // it was killed
		}
	})
	var found []string
	eventually(ts, "the gateway is ready", func() bool {
		found = readyLine.FindStringSubmatch(ts.ReadFile(outFile))
		return found != nil
	})
	ts.Setenv("GATEWAY", found[1])
	ts.Setenv("BREAKWATER_ADMIN", found[2])
}

// eventually waits for a condition. What the gateway has said goes to the log of a test that waits in vain.
func eventually(ts *testscript.TestScript, what string, ok func() bool) {
	for end := time.Now().Add(scriptPatience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("it never happens: %s; the gateway said:\n%s", what, ts.ReadFile(errFile))
		}
	}
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}
	if neg || len(args) != 1 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal HUP|TERM")
	}
	ts.Check(of(ts).command.Process.Signal(signals[args[0]]))
}

func ended(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: ended [STATUS]")
	}
	want := "0"
	if len(args) == 1 {
		want = args[0]
	}
	p := of(ts)
	timer := time.AfterFunc(scriptPatience, func() { p.command.Process.Kill() }) //nolint:errcheck // then Wait says so
	defer timer.Stop()
	err := p.command.Wait()
	p.running = false
	if got := p.command.ProcessState.ExitCode(); strconv.Itoa(got) != want {
		ts.Fatalf("the gateway ended with %d (%v), want %s:\n%s", got, err, want, ts.ReadFile(errFile))
	}
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: get URL STATUS [FIELD]")
	}
	r, err := http.NewRequest("GET", args[0], nil)
	ts.Check(err)
	r.Close = true
	for _, field := range args[2:] {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer response.Body.Close()
	_, err = io.Copy(ts.Stdout(), response.Body)
	ts.Check(err)
	if strconv.Itoa(response.StatusCode) != args[1] {
		ts.Fatalf("GET %s: status %d, want %s", args[0], response.StatusCode, args[1])
	}
}

// hanging counts the requests that the upstream does not answer.
var hanging atomic.Int64

func begin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: begin URL")
	}
	u, err := url.Parse(args[0])
	ts.Check(err)
	c, err := net.Dial("tcp", u.Host)
	ts.Check(err)
	ts.Defer(func() { c.Close() })
	before := hanging.Load()
	_, err = io.WriteString(c, "GET "+u.Path+" HTTP/1.1\r\nHost: "+u.Host+"\r\n\r\n")
	ts.Check(err)
	eventually(ts, "the upstream has the request", func() bool { return hanging.Load() > before })
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await TEXT FILE")
	}
	eventually(ts, strconv.Quote(args[0])+" in "+args[1], func() bool { return strings.Contains(ts.ReadFile(args[1]), args[0]) })
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("the command ended with %d, want %s", got, args[0])
	}
}
