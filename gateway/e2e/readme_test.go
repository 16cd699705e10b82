package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The README, tried as a new user would: in a fresh clone, command by command, with make run on its fixed addresses.
//
//   - A sh block is typed into a terminal, which keeps its folder and its functions from one block to the next. It must succeed.
//     The block that ends with make run has a terminal of its own; the others are typed beside it once it is ready.
//   - A text block behind it is what it prints, where … stands for anything and the width of white space is not looked at.
//   - A go or yaml block is the file that its first line names.
//   - A diff block is an edit to the file that its first line names, hunks apart by @@.

// publicURL is what the README clones; here it is the tree that is tested.
const publicURL = "https://github.com/breakwater-gateway/breakwater"

// runAddresses are the addresses of make run.
var runAddresses = []string{"127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:9090"}

func TestReadme(t *testing.T) {
	for _, tool := range []string{"bash", "git", "make", "curl", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			notChecked(t, "the README: it needs "+tool)
		}
	}
	for _, address := range runAddresses {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			t.Fatalf("something listens at %s, where make run has to: end it first", address)
		}
	}
	origin := snapshotTree(t)
	home := t.TempDir()
	env := userEnvironment(t, origin)

	var beside, here *terminal
	for i, blocks := 0, blocksOf(t, "README.md"); i < len(blocks); i++ {
		b := blocks[i]
		switch {
		case b.kind == "sh" && strings.HasSuffix(b.text, "make run\n"):
			beside = openTerminal(t, home, env)
			beside.start(b)
			beside.await(`Ctrl-C stops everything`)
			here = openTerminal(t, filepath.Join(home, "breakwater"), env)
		case b.kind == "sh":
			here.start(b)
			printed := here.finish()
			if i+1 < len(blocks) && blocks[i+1].kind == "text" {
				i++
				if !shown(blocks[i].text).MatchString(spaced(printed)) {
					t.Fatalf("README.md:%d: it prints:\n%s\nbut line %d says:\n%s", b.line, printed, blocks[i].line, blocks[i].text)
				}
			}
		case b.kind == "go" || b.kind == "yaml":
			name := b.file(`^(?://|#) (\S+)\n`)
			if err := os.WriteFile(filepath.Join(here.dir, name), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case b.kind == "diff":
			name := b.file(`^ # (\S+)\n`)
			_, hunks, _ := strings.Cut(b.text, "\n")
			b.patch(filepath.Join(here.dir, name), strings.Split(hunks, "@@\n"))
		default:
			t.Errorf("README.md:%d: nothing makes sure of a block of %q", b.line, b.kind)
		}
	}

	for _, m := range regexp.MustCompile("`make ([a-z]+)`").FindAllStringSubmatch(repoFile(t, "README.md"), -1) {
		cmd := exec.Command("make", "-n", m[1])
		cmd.Dir, cmd.Env = origin, env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("make -n %s: %v\n%s", m[1], err, out)
		}
	}

	// Ctrl-C.
	beside.signal(syscall.SIGINT)
	<-beside.ended
	for _, address := range runAddresses {
		eventually(t, "make run has ended, and nothing listens at "+address, func() error {
			c, err := net.Dial("tcp", address)
			if err != nil {
				return nil
			}
			c.Close()
			return errNotYet
		})
	}
}

// Every link within the tree leads to a file and, where it says so, to a heading.
func TestReadmeLinks(t *testing.T) {
	for _, name := range []string{"README.md", "gateway/config/README.md", "RATIONALE.md", "sdk/abi/LAYOUT.md"} {
		for _, m := range regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`).FindAllStringSubmatch(repoFile(t, name), -1) {
			target, heading := name, strings.TrimPrefix(m[2], "#")
			if strings.Contains(m[1], "://") {
				continue
			}
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(name), m[1])
			}
			if _, err := os.Stat(filepath.Join("..", "..", target)); err != nil {
				t.Errorf("%s: link to %s: %v", name, m[1], err)
			} else if heading != "" && !slices.Contains(headings(repoFile(t, target)), heading) {
				t.Errorf("%s: %s has no heading #%s", name, target, heading)
			}
		}
	}
}

// headings returns the anchors that GitHub makes of a text's headings.
func headings(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		kept := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(kept, " ", "-"))
	}
	return all
}

func repoFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// notChecked says aloud what this machine cannot check; CI must be able to.
func notChecked(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip("NOT CHECKED: " + what)
}

// snapshotTree makes a repository of the tree as it is, what is not yet committed included, and returns its path.
func snapshotTree(t *testing.T) string {
	t.Helper()
	names, err := exec.Command("git", "-C", "../..", "ls-files", "-co", "--exclude-standard", "-z").Output()
	if err != nil {
		notChecked(t, fmt.Sprintf("the README: this is no git checkout: %v", err))
	}
	origin := t.TempDir()
	for _, name := range strings.Split(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		from, to := filepath.Join("..", "..", name), filepath.Join(origin, name)
		info, err := os.Stat(from)
		if err != nil {
			continue // it was deleted
		}
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o700)
		}
		if err == nil {
			err = os.WriteFile(to, text, info.Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "as it is"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = origin
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	return origin
}

// userEnvironment is that of somebody who has just logged in, but that the public repository is found in origin and that builds are
// remembered.
func userEnvironment(t *testing.T, origin string) []string {
	t.Helper()
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case strings.HasPrefix(name, "MAKE"), strings.HasPrefix(name, "BREAKWATER_"), strings.HasPrefix(name, "GIT_"):
		case name == "MFLAGS", name == "CGO_ENABLED", name == "GOWORK", name == "GOFLAGS":
		default:
			env = append(env, v)
		}
	}
	return append(env,
		"GOCACHE="+strings.TrimSpace(string(cache)), "XDG_CACHE_HOME="+filepath.Join(workshop, "cache"),
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url."+origin+".insteadOf", "GIT_CONFIG_VALUE_0="+publicURL)
}

// A readmeBlock is a fenced block of the README.
type readmeBlock struct {
	t          *testing.T
	line       int
	kind, text string
}

func blocksOf(t *testing.T, name string) (all []readmeBlock) {
	t.Helper()
	open := false
	s := bufio.NewScanner(strings.NewReader(repoFile(t, name)))
	for n := 1; s.Scan(); n++ {
		kind, fence := strings.CutPrefix(s.Text(), "```")
		switch {
		case fence && !open:
			all = append(all, readmeBlock{t: t, line: n, kind: kind})
			open = true
		case fence:
			open = false
		case open:
			all[len(all)-1].text += s.Text() + "\n"
		}
	}
	return all
}

// file returns the name in the block's first line.
func (b *readmeBlock) file(pattern string) string {
	b.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(b.text)
	if m == nil {
		b.t.Fatalf("README.md:%d: the first line must name the file", b.line)
	}
	return m[1]
}

// patch makes the edits to a file. The first place that a hunk fits is the one that a reader takes.
func (b *readmeBlock) patch(name string, hunks []string) {
	b.t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		b.t.Fatal(err)
	}
	whole := string(text)
	for _, h := range hunks {
		var before, after strings.Builder
		for line := range strings.Lines(h) {
			if line[0] != '+' {
				before.WriteString(line[1:])
			}
			if line[0] != '-' {
				after.WriteString(line[1:])
			}
		}
		if !strings.Contains(whole, before.String()) {
			b.t.Fatalf("README.md:%d: %s has no place like this:\n%s", b.line, name, before.String())
		}
		whole = strings.Replace(whole, before.String(), after.String(), 1)
	}
	write(b.t, name, whole)
}

// shown returns what matches a text block.
func shown(text string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)^` + strings.ReplaceAll(regexp.QuoteMeta(spaced(text)), "…", `.*?`) + `$`)
}

// spaced leaves one space where there are many, and no empty lines.
func spaced(text string) string {
	var all []string
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			all = append(all, strings.Join(words, " "))
		}
	}
	return strings.Join(all, "\n")
}

// A terminal is a shell that somebody types into. A command that fails ends it.
type terminal struct {
	t     *testing.T
	dir   string // where it is
	shell *exec.Cmd
	input *os.File
	out   *output
	ended chan struct{}
	typed readmeBlock
	seen  int // of what it has printed
}

func openTerminal(t *testing.T, dir string, env []string) *terminal {
	t.Helper()
	x := &terminal{t: t, dir: dir, shell: exec.Command("bash", "-eo", "pipefail"), out: &output{changed: make(chan struct{})}, ended: make(chan struct{})}
	x.shell.Dir, x.shell.Env = dir, env
	x.shell.Stdout, x.shell.Stderr = x.out, x.out
	x.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C goes to all that runs in it
	in, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	x.shell.Stdin, x.input = in, input
	if err := x.shell.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	go func() {
		x.shell.Wait() //nolint:errcheck // a shell that ends too early is noticed by who waits for its output
		close(x.ended)
	}()
	t.Cleanup(func() {
		x.input.Close()
		x.signal(syscall.SIGINT)
		select {
		case <-x.ended:
		case <-time.After(patience):
			x.signal(syscall.SIGKILL)
			<-x.ended
		}
	})
	return x
}

// signal sends s to all that runs in the terminal, if anything does.
func (x *terminal) signal(s syscall.Signal) {
	select {
	case <-x.ended:
	default:
		syscall.Kill(-x.shell.Process.Pid, s) //nolint:errcheck // it may end at this moment
	}
}

// start types a block.
func (x *terminal) start(b readmeBlock) {
	x.t.Helper()
	x.typed = b
	text, _ := x.out.state()
	x.seen = len(text)
	file := filepath.Join(x.t.TempDir(), "block.sh")
	if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
		x.t.Fatal(err)
	}
	fmt.Fprintf(x.input, ". %s </dev/null\nprintf '\\n%s %%s\\n' \"$PWD\"\n", file, blockDone)
}

// blockDone is what the shell prints behind a block, before its folder.
const blockDone = "-- block done in"

// finish waits until the block has ended and returns what it has printed.
func (x *terminal) finish() string {
	x.t.Helper()
	m := x.await(`(?s)^(.*)\n` + blockDone + ` (\S+)\n`)
	x.dir = m[2]
	return m[1]
}

// slowestBlock is how long a block may take: a build from nothing on a small machine.
const slowestBlock = 10 * time.Minute

// await waits for the block to print something.
func (x *terminal) await(pattern string) []string {
	x.t.Helper()
	re, late := regexp.MustCompile(pattern), time.NewTimer(slowestBlock)
	defer late.Stop()
	for over := false; ; {
		text, changed := x.out.state()
		if m := re.FindStringSubmatch(text[x.seen:]); m != nil {
			return m
		}
		if over {
			x.t.Fatalf("README.md:%d: %v after\n%s", x.typed.line, x.shell.ProcessState, text[x.seen:])
		}
		select {
		case <-changed:
		case <-x.ended:
			over = true
		case <-late.C:
			x.t.Fatalf("README.md:%d: it has not ended, after\n%s", x.typed.line, text[x.seen:])
		}
	}
}
