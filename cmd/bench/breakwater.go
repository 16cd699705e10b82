//go:build linux

package main

import (
	"context"
	"net/netip"
)

// A variant is Breakwater with some of its parts off.
type variant struct {
	name, what string
}

func (v variant) drops() bool { return true }

func variants() []variant { return []variant{{name: "breakwater", what: "everything on"}} }

func startBreakwater(_ context.Context, e *env, name string, v variant) (*process, netip.AddrPort, error) {
	_, err := find(e.breakwater)
	return nil, netip.AddrPort{}, err
}
