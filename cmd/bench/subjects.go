//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A subject is something that requests can be sent to.
type subject struct {
	name  string
	what  string // for the table
	drops bool   // the query parameter must not reach the upstream through it
	start func(ctx context.Context, e *env, name string) (*process, netip.AddrPort, error)
}

// subjects lists all of them, in the order of the table.
func subjects() []subject {
	list := []subject{
		{"direct", "no proxy: what generator and upstream can do", false, startDirect},
		{"floor", "fasthttp, forwarding and nothing else", false, startFloor},
		{"nginx", "forwarding only", false, func(ctx context.Context, e *env, name string) (*process, netip.AddrPort, error) {
			return startNginx(ctx, e, name, false)
		}},
		{"nginx-lua", "drops the parameter in Lua", true, func(ctx context.Context, e *env, name string) (*process, netip.AddrPort, error) {
			return startNginx(ctx, e, name, true)
		}},
		{"haproxy", "drops the parameter by regsub", true, startHAProxy},
	}
	for _, v := range variants() {
		list = append(list, subject{v.name, v.what, v.drops(), func(ctx context.Context, e *env, name string) (*process, netip.AddrPort, error) {
			at, err := e.placeBreakwater(name)
			if err != nil {
				return nil, netip.AddrPort{}, err
			}
			return at.subject(v).start(ctx, e, name)
		}})
	}
	return list
}

// pick chooses subjects by name, in the order of the list; no name is all of them.
func pick(list []subject, names string) ([]subject, error) {
	if names == "" {
		return list, nil
	}
	var all []string
	for _, s := range list {
		all = append(all, s.name)
	}
	wanted := strings.Split(names, ",")
	for _, name := range wanted {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("subject %q: expected one of %s", name, strings.Join(all, ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(list), func(s subject) bool { return !slices.Contains(wanted, s.name) }), nil
}

// An env is what subjects are started with.
type env struct {
	dir        string // a directory of the run, removed at its end
	upstream   netip.AddrPort
	breakwater string // the program
	guests     string // the directory of its plugins
}

// place gives a subject a directory and an address of its own.
func (e *env) place(name string) (string, netip.AddrPort, error) {
	dir := filepath.Join(e.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", netip.AddrPort{}, err
	}
	addr, err := freeAddr()
	return dir, addr, err
}

func startDirect(_ context.Context, e *env, _ string) (*process, netip.AddrPort, error) {
	return nil, e.upstream, nil
}

func startFloor(ctx context.Context, e *env, name string) (*process, netip.AddrPort, error) {
	return startSelf(ctx, name, "floor", "-upstream", e.upstream.String())
}

// A running subject has answered its first request.
type running struct {
	subject
	process *process // nil for direct
	addr    netip.AddrPort
}

// launch starts a subject and waits until it answers rightly.
func launch(ctx context.Context, e *env, s subject) (*running, error) {
	p, addr, err := s.start(ctx, e, s.name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	r := &running{s, p, addr}
	if p == nil {
		return r, nil
	}
	err = p.waitReady(ctx, func() error {
		body, err := askRaw(addr, mediaRequest(0, 0, false), readyPatience)
		if want := answerTo(false, !r.drops).body; err == nil && !bytes.Equal(body, want) {
			err = fmt.Errorf("body %q: expected %q", body, want)
		}
		return err
	})
	if err != nil {
		p.stop()
		return nil, err
	}
	return r, nil
}

func (r *running) stop() {
	if r.process != nil {
		r.process.stop()
	}
}

// cpu is the CPU time that the subject's processes have used so far; none for direct.
func (r *running) cpu() (cpuTime, error) {
	if r.process == nil {
		return cpuTime{}, nil
	}
	return treeCPU(r.process.pid())
}
