//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// A process is one child of the bench with a process group of its own. Whoever starts it stops it; should the bench be
// killed, the kernel asks the child to end.
type process struct {
	name  string
	cmd   *exec.Cmd
	said  *tail
	ended chan struct{} // closed when the child has ended
}

// startProcess starts a program whose output is kept only to be quoted in errors.
func startProcess(name string, argv ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(argv[0], argv[1:]...), said: new(tail), ended: make(chan struct{})}
	p.cmd.Stdout = p.said
	return p, p.start()
}

// startSelf starts one of the bench's own modes, which print their address first.
func startSelf(ctx context.Context, name string, args ...string) (*process, netip.AddrPort, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	p := &process{name: name, cmd: exec.Command(self, args...), said: new(tail), ended: make(chan struct{})}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	defer out.Close()
	p.cmd.Stdout = in
	err = p.start()
	_ = in.Close()
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = out.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_ = out.SetReadDeadline(time.Now().Add(readyPatience))
	line, err := bufio.NewReader(out).ReadString('\n')
	var addr netip.AddrPort
	if err == nil {
		addr, err = netip.ParseAddrPort(line[:len(line)-1])
	}
	if err != nil {
		p.stop()
		return nil, netip.AddrPort{}, fmt.Errorf("%s: its address: %w; it said %q", name, err, p.said)
	}
	return p, addr, nil
}

func (p *process) start() error {
	p.cmd.Stderr = p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks the whole group to end and makes it end when it doesn't.
func (p *process) stop() {
	const patience = 5 * time.Second
	_ = syscall.Kill(-p.pid(), syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
	}
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL) // what is left of the group, a master's orphans included
	<-p.ended
}

const readyPatience = 20 * time.Second

// waitReady asks until the question is answered without an error.
func (p *process) waitReady(ctx context.Context, question func() error) error {
	deadline := time.After(readyPatience)
	for {
		err := question()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return fmt.Errorf("%s: ended at once (%s): %s", p.name, p.cmd.ProcessState, p.said)
		case <-deadline:
			return fmt.Errorf("%s: isn't ready after %s: %w; it said %q", p.name, readyPatience, err, p.said)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// freeAddr is a loopback address that nobody listens on, for programs that can't be asked which port they got.
func freeAddr() (netip.AddrPort, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	return listener.Addr().(*net.TCPAddr).AddrPort(), listener.Close()
}

// A tail keeps the last bytes that a child has said.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const kept = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - kept; over > 0 {
		t.text = t.text[:copy(t.text, t.text[over:])]
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

// errMissing marks a subject that can't be started because a program isn't there.
var errMissing = errors.New("not installed")

// find looks for a program, also where Debian keeps those of the administrator.
func find(program string) (string, error) {
	for _, name := range []string{program, "/usr/sbin/" + program, "/usr/local/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", program, errMissing)
}
