package gateway

import (
	"context"
	"crypto/tls"
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
	c, err := config.Load(g.options.Config, &g.options.Load)
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

// load binds c and puts it in force.
func (g *Gateway) load(ctx context.Context, c *config.Config) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	if t := c.Listen.TLS; t != nil {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return t.Errorf("certificate", "%w", err)
		}
		g.certificate.Store(&pair)
	}
	s, err := g.bind(ctx, c)
	if err != nil {
		return err
	}
	if g.flags != nil {
		if err := g.flags.Bind(s.gates()...); err != nil {
			s.release()
			return c.Flags.Errorf("file", "%w", err)
		}
	}
	if c.AccessLog != nil {
		out, err := g.openLog(c.AccessLog.File)
		if err != nil {
			s.release()
			return c.AccessLog.Errorf("file", "%w", err)
		}
		s.accessLog = newAccessLog(out)
	}
	old := g.snapshot.Swap(s)
	g.applyLimits(s)
	if g.reloaded.Load() == nil {
		g.reloaded.Store(&Reloaded{At: time.Now()})
	}
	if old != nil {
		old.release()
	}
	return nil
}

type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

func (g *Gateway) openLog(path string) (io.WriteCloser, error) {
	if path == "-" {
		return unclosed{g.options.Output}, nil
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
}

const (
	settleTime = 100 * time.Millisecond // after which a file that is being written is taken to be whole
	pollTime   = 2 * time.Second        // in case a change was not notified
)

// watchFiles reloads when a file that the configuration was made from has changed. Folders are watched, for editors and
// orchestrators put new files in the place of old ones.
func (g *Gateway) watchFiles(ctx context.Context) {
	events := make(chan fsnotify.Event)
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		g.log.Warn("changes of files are noticed late", "error", err)
	} else {
		defer watcher.Close()
		events = watcher.Events
	}
	seen := g.look(watcher)
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	settle := time.NewTimer(0)
	<-settle.C
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			settle.Reset(settleTime)
			continue
		case <-poll.C:
		case <-settle.C:
		}
		if now := g.look(watcher); now != seen {
			seen = now
			g.Reload(ctx) //nolint:errcheck // said and counted there
			seen = g.look(watcher)
		}
	}
}

// look describes the configuration's files as they are now, and has their folders watched.
func (g *Gateway) look(watcher *fsnotify.Watcher) string {
	var all []byte
	for _, name := range append([]string{g.options.Config}, g.snapshot.Load().config.Files()...) {
		if watcher != nil {
			watcher.Add(filepath.Dir(name)) //nolint:errcheck // then the poll will do
		}
		info, err := os.Stat(name)
		if err != nil {
			all = fmt.Appendf(all, "%s: %v\n", name, errors.Unwrap(err))
			continue
		}
		all = fmt.Appendf(all, "%s %d %d %v\n", name, info.Size(), info.ModTime().UnixNano(), inode(info))
	}
	return string(all)
}
