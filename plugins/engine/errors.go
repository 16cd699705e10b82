package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/sys"
)

// Why a call of a guest failed. A [CallError] wraps one of the first four.
var (
	ErrTrap    = errors.New("trapped")
	ErrTimeout = errors.New("took longer than its limit")
	ErrExit    = errors.New("exited")
	ErrBroken  = errors.New("broke the rules of its ABI")

	ErrBusy   = errors.New("all instances are taken")
	ErrClosed = errors.New("the module is closed")
)

// A CallError is a call that ended badly. The instance is lost.
type CallError struct {
	Export string
	Kind   error  // ErrTrap, ErrTimeout, ErrExit or ErrBroken
	Detail string // one line; empty if there is nothing to add
	Trace  string // the guest's stack, for a debug log; empty if there is none
}

func (e *CallError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("%s: %v", e.Export, e.Kind)
	}
	return fmt.Sprintf("%s: %v: %s", e.Export, e.Kind, e.Detail)
}

// Unwrap returns the kind of failure.
func (e *CallError) Unwrap() error { return e.Kind }

// callError reads what the runtime says of a call that failed.
func callError(export string, expired bool, err error) *CallError {
	e := &CallError{Export: export, Kind: ErrTrap}
	if exit := (*sys.ExitError)(nil); errors.As(err, &exit) {
		if expired {
			e.Kind = ErrTimeout
			return e
		}
		e.Kind, e.Detail = ErrExit, fmt.Sprintf("with code %d", exit.ExitCode())
		return e
	}
	text, trace, _ := strings.Cut(err.Error(), "\n")
	e.Detail = strings.TrimSuffix(strings.TrimPrefix(text, "wasm error: "), " (recovered by wazero)")
	e.Trace = trace
	return e
}
