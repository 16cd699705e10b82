// Package plugins runs guest programs compiled to WebAssembly.
//
// A [Host] loads modules, as long as the process lives. A [Plugin] is a guest as configured: compiled once and called by many
// requests at a time; each call borrows an instance that no other call can see. A guest that traps or overstays its limit loses
// that instance, never the gateway.
//
// Loading the same module with the same configuration and limits again gives the plugin that already runs, so that a reload that
// changes nothing costs nothing. Everything else is a new plugin beside the old one. Each has holders: who loads or retains it
// releases it, and the last one to do so closes it.
//
// What guests do wrong becomes a [*StepError] for the caller, who logs it, and a count in [Plugin.Stats]. What guests write goes to
// the log, so many lines a second. None of it is for clients.
package plugins

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/native"
)

// Limits are what a plugin's instances may take; zero fields mean the defaults.
type Limits = engine.Limits

// A Spec is a plugin as the operator wrote it.
type Spec struct {
	Name   string
	Path   string // of the module
	SHA256 string // of the module, in hexadecimal; may be empty, unless Interruption is "none"
	Config []byte // JSON; empty means null
	Limits Limits
	// Interruption says how a call that takes too long is stopped: "context" (also if empty) or "none". With "none" the limits
	// on time are not kept, and a guest that spins stops the process: only for modules pinned by SHA256.
	Interruption string
}

// HostOptions are what a [Host] needs. The zero value will do.
type HostOptions struct {
	CacheDir string       // keeps compiled code between runs; nobody else may write there. Empty: in memory only
	Logger   *slog.Logger // nil means slog.Default
	Gateway  string       // name and version of the gateway, as guests are told
}

// A Host loads plugins and keeps those that run.
type Host struct {
	engine  *engine.Engine
	gateway string

	loading sync.Mutex // one plugin is loaded at a time

	mu      sync.Mutex
	running map[key]*Plugin
	closed  bool
}

// A key is all that makes a plugin what it is.
type key struct {
	name           string
	module, config [sha256.Size]byte
	limits         Limits
	interruption   engine.Interruption
}

// NewHost opens a host.
func NewHost(o HostOptions) (*Host, error) {
	e, err := engine.New(engine.Options{CacheDir: o.CacheDir, Log: o.Logger})
	if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	return &Host{engine: e, gateway: o.Gateway, running: map[key]*Plugin{}}, nil
}

// Load gives the plugin that s describes, running and with an instance ready. The caller releases it. It can take a second: it
// is not for the way of a request.
//
// A configuration that the guest refuses is a [*ComplaintError].
func (h *Host) Load(ctx context.Context, s Spec) (*Plugin, error) {
	h.loading.Lock()
	defer h.loading.Unlock()
	p, err := h.load(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("plugin %q: %w", s.Name, err)
	}
	return p, nil
}

func (h *Host) load(ctx context.Context, s Spec) (*Plugin, error) {
	how, err := engine.ParseInterruption(s.Interruption)
	if err != nil {
		return nil, err
	}
	if len(s.Config) == 0 {
		s.Config = []byte("null")
	}
	if !json.Valid(s.Config) {
		return nil, fmt.Errorf("config %q: expected JSON", s.Config[:min(len(s.Config), 100)])
	}
	wasm, err := readModule(s.Path)
	if err != nil {
		return nil, err
	}
	k := key{s.Name, sha256.Sum256(wasm), sha256.Sum256(s.Config), s.Limits, how}
	digest := hex.EncodeToString(k.module[:])
	switch {
	case s.SHA256 == "" && how == engine.Never:
		return nil, fmt.Errorf("interruption %q: expected a sha256 beside it, since nothing stops such a module; that of %q is %s", s.Interruption, s.Path, digest)
	case s.SHA256 != "" && !strings.EqualFold(s.SHA256, digest):
		return nil, fmt.Errorf("file %q: its sha256 is %s: expected %s", s.Path, digest, s.SHA256)
	}
	if p, err := h.find(k); p != nil || err != nil {
		return p, err
	}
	module, err := h.engine.Compile(ctx, engine.Source{Name: s.Name, Wasm: wasm, Limits: s.Limits, Interruption: how})
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", s.Path, err)
	}
	p := &Plugin{host: h, key: k, name: s.Name, digest: digest, module: module}
	p.holders.Store(1)
	if err := speaksNative(module.Exports()); err != nil {
		module.Close()
		return nil, fmt.Errorf("file %q: %w", s.Path, err)
	}
	facts := []native.Fact{{Name: "gateway", Value: h.gateway}, {Name: "plugin", Value: s.Name}}
	if p.guest, err = native.Start(ctx, module, native.Setup{Config: s.Config, Facts: facts}); err != nil {
		module.Close()
		return nil, err
	}
	return p, h.keep(p)
}

// maxModule is the most that a module file may have. The largest known filters are about 4 MiB.
const maxModule = 256 << 20

func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		if e := (*fs.PathError)(nil); errors.As(err, &e) {
			err = e.Err // the path is said already
		}
		return nil, fmt.Errorf("file %q: %w: expected a WebAssembly module", path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxModule+1))
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", path, err)
	}
	if len(b) > maxModule {
		return nil, fmt.Errorf("file %q: more than %d bytes: expected a WebAssembly module", path, maxModule)
	}
	return b, nil
}

// find retains the plugin of k if it runs.
func (h *Host) find(k key) (*Plugin, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errHostClosed
	}
	p := h.running[k]
	if p != nil {
		p.holders.Add(1)
	}
	return p, nil
}

var errHostClosed = errors.New("the plugin host is closed")

func (h *Host) keep(p *Plugin) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		p.module.Close()
		return errHostClosed
	}
	h.running[p.key] = p
	return nil
}

// Close ends all plugins, held or not, and waits until the last instance has been closed or ctx ends. Calls that are under way
// come to their end; new ones fail.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	running := h.running
	h.running = nil
	h.mu.Unlock()
	for _, p := range running {
		p.module.Close()
	}
	for _, p := range running {
		select {
		case <-p.module.Closed():
		case <-ctx.Done():
			return fmt.Errorf("plugin %q: instances are still at work: %w", p.name, ctx.Err())
		}
	}
	return h.engine.Close()
}
