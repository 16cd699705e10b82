package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/fsnotify/fsnotify"
)

// Reloaded says how the last load went.
type Reloaded struct {
	At  time.Time
	Err error // why the snapshot before stayed; nil if there is a new one
}

// Reloaded returns how the last load of the configuration went.
func (g *Gateway) Reloaded() Reloaded { return *g.reloaded.Load() }

// Reload reads the configuration again. Requests that begin after it has returned meet the new one; if anything is wrong, the
// one before stays in force.
func (g *Gateway) Reload(ctx context.Context) error {
	g.reloading.Lock() // around the reading as well: an older content must not follow a newer one
	defer g.reloading.Unlock()
	if g.closed {
		return errors.New("the gateway has ended")
	}
	if g.flags != nil {
		g.flags.Refresh(ctx) //nolint:errcheck // a flag that was just added may be what the new configuration asks for
	}
	c, err := g.loadConfig()
	if err == nil {
		if restart := config.NeedsRestart(g.started, c); len(restart) > 0 {
			err = restart
		}
	}
	if err == nil {
		err = g.load(ctx, c)
	}
	g.reloaded.Store(&Reloaded{time.Now(), err})
	result := "ok"
	if err != nil {
		result = "refused"
		g.log.Error("configuration refused; the one before stays in force", "error", err)
	} else {
		g.log.Info("configuration loaded", "file", g.options.Config)
	}
	g.meters.set.GetOrCreateCounter(fmt.Sprintf("breakwater_config_loads_total{result=%q}", result)).Inc()
	return err
}

// load binds c and puts it in force, or changes nothing. One at a time may do so.
func (g *Gateway) load(ctx context.Context, c *config.Config) error {
	var secure *serverTLS
	if t := c.Listen.TLS; t != nil {
		var err error
		if secure, err = g.serverTLS(t); err != nil {
			return err
		}
	}
	s, err := g.bind(ctx, c)
	if err != nil {
		return err
	}
	s.secure = secure
	if c.AccessLog != nil {
		if s.accessLog, err = g.openLog(c.AccessLog.File); err != nil {
			s.release()
			return c.AccessLog.Errorf("file", "%w", err)
		}
	}
	if g.flags != nil { // last: the book would go on asking for the gates of a snapshot that is refused
		if err := g.bindFlags(s); err != nil {
			s.release()
			return err
		}
	}
	g.secure.Store(secure)
	old := g.snapshot.Swap(s)
	if g.flags != nil && old != nil { // a request may have begun in between: until now all gates were answered, the old ones too
		g.flags.Bind(s.gates()...) //nolint:errcheck // it has just been done, with more
		g.flags.Refresh(ctx)       //nolint:errcheck // flags may have gone together with the gates that asked for them
	}
	g.applyLimits(s)
	if g.reloaded.Load() == nil {
		g.reloaded.Store(&Reloaded{At: time.Now()})
	}
	if old != nil {
		old.release()
	}
	return nil
}

// bindFlags has the flags answer the gates of s beside those of the snapshot in force. Its error says at which gate a flag is
// missing or of no use.
func (g *Gateway) bindFlags(s *snapshot) error {
	gates := s.gates()
	if old := g.snapshot.Load(); old != nil {
		gates = append(gates, old.gates()...)
	}
	err := g.flags.Bind(gates...)
	if err == nil {
		return nil
	}
	if missing := missingFlags(s.config, g.flags.View()); len(missing) > 0 {
		return missing
	}
	return s.config.Flags.Errorf("file", "%w", err) // the flags have changed meanwhile
}

type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// openLog returns the access log of that file, held: the running one where it still is that file's.
func (g *Gateway) openLog(path string) (*accessLog, error) {
	var running *accessLog
	if s := g.snapshot.Load(); s != nil {
		running = s.accessLog
	}
	if path == "-" {
		if running != nil && running.file == nil {
			return running.retain(), nil
		}
		return newAccessLog(unclosed{g.options.Output}, nil, g.meters.unlogged), nil
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	info, err := out.Stat()
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if running != nil && running.file != nil && os.SameFile(running.file, info) { // else it was moved away, as log rotation does
		return running.retain(), out.Close()
	}
	return newAccessLog(out, info, g.meters.unlogged), nil
}

const (
	settleTime = 100 * time.Millisecond // after which a file that is being written is taken to be whole
	pollTime   = 2 * time.Second        // in case a change was not notified
)

// sights are the files that a configuration was made from, or would have been: what each looked like just before it was read.
type sights map[string]string

// sight describes a file as it is now: a change of it is a change of this.
func sight(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Sprint(errors.Unwrap(err))
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano(), inode(info))
}

// loadConfig reads the configuration, and notes what it was made from.
func (g *Gateway) loadConfig() (*config.Config, error) {
	seen := sights{}
	o := g.options.Load
	o.Looked = func(name string) {
		if _, again := seen[name]; !again {
			seen[name] = sight(name)
		}
	}
	c, err := config.Load(g.options.Config, &o)
	g.seen.Store(&seen)
	return c, err
}

// watchFiles reloads when a file has changed that the configuration was made from, or, if it was refused, would have been.
// Folders are watched, for editors and orchestrators put new files in the place of old ones.
func (g *Gateway) watchFiles(ctx context.Context) {
	var events <-chan fsnotify.Event
	var failures <-chan error
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		g.log.Warn("changes of files are noticed late", "error", err)
	} else {
		defer watcher.Close()
		events, failures = watcher.Events, watcher.Errors
	}
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	settle := time.NewTimer(0) // what has changed since the configuration was read
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			settle.Reset(settleTime)
			continue
		case <-failures: // notices were lost: the poll will do
			continue
		case <-poll.C:
		case <-settle.C:
		}
		if g.changed(watcher) {
			g.Reload(ctx) //nolint:errcheck // said and counted there
			settle.Reset(settleTime)
		}
	}
}

// changed reports whether a file is not what it was when it was last read, and has the files' folders watched.
func (g *Gateway) changed(watcher *fsnotify.Watcher) bool {
	changed := false
	for name, was := range *g.seen.Load() {
		if watcher != nil {
			watcher.Add(filepath.Dir(name)) //nolint:errcheck // then the poll will do
		}
		changed = changed || sight(name) != was
	}
	return changed
}
