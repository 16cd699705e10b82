package file

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	settle   = 10 * time.Millisecond  // after the last event, before the file is read
	unsettle = 100 * time.Millisecond // after the first one at the latest
	poll     = time.Second            // the net under lost events, and for file systems without any
)

// Watch calls seen with the file's content when it is new, and with an error when it cannot be read; after an error
// with the content again, even if it is the old one. If seen returns false it is called again for the same. It begins from first, what the caller has already seen. It
// watches the directory, because a file that is replaced is another file, and looks at the content's digest, because
// times can go back. Watch returns when ctx ends; seen is never called after that.
func Watch(ctx context.Context, path string, first Content, seen func(Content, error) bool) {
	w := &watcher{path: path, last: first.Digest, seen: seen}
	events, closeEvents := w.open()
	defer closeEvents()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	timer := time.NewTimer(0) // what happened between the first read and now
	defer timer.Stop()
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events:
			if !ok {
				events = nil // the poll goes on
				continue
			}
			if since.IsZero() {
				since = time.Now()
			}
			timer.Reset(max(min(settle, unsettle-time.Since(since)), 0))
		case <-timer.C:
			since = time.Time{}
			if w.look() {
				timer.Reset(settle)
			}
		case <-ticker.C:
			w.look()
			w.follow()
		}
	}
}

type watcher struct {
	path   string
	last   [32]byte // of the content last seen
	failed string   // the error last seen, "" after content
	busy   time.Time
	seen   func(Content, error) bool
	notify *fsnotify.Watcher
	dirs   []string
}

// open starts notification. Without it (no more inotify instances, say) the poll does all the work.
func (w *watcher) open() (<-chan fsnotify.Event, func()) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}
	}
	w.notify = notify
	w.follow()
	done := make(chan struct{})
	events := make(chan fsnotify.Event, 1)
	go func() { // every event is a kick and no more, so a full channel is enough
		defer close(done)
		defer close(events)
		for {
			select {
			case e, ok := <-notify.Events:
				if !ok {
					return
				}
				select {
				case events <- e:
				default:
				}
			case _, ok := <-notify.Errors: // an overflow: look as well
				if !ok {
					return
				}
				select {
				case events <- fsnotify.Event{}:
				default:
				}
			}
		}
	}()
	return events, func() {
		notify.Close()
		<-done
	}
}

// follow watches the directory of the file, and that of what it links to.
func (w *watcher) follow() {
	if w.notify == nil {
		return
	}
	dirs := []string{filepath.Dir(w.path)}
	if target, err := filepath.EvalSymlinks(w.path); err == nil && !slices.Contains(dirs, filepath.Dir(target)) {
		dirs = append(dirs, filepath.Dir(target))
	}
	have := w.notify.WatchList() // a directory that was removed is no longer among them
	for _, dir := range dirs {
		if !slices.Contains(have, dir) {
			_ = w.notify.Add(dir) // not there now: tried again at the next poll
		}
	}
	for _, dir := range w.dirs {
		if !slices.Contains(dirs, dir) {
			_ = w.notify.Remove(dir)
		}
	}
	w.dirs = dirs
}

// look reads the file and says what is new. It reports whether it should be called again soon.
func (w *watcher) look() (again bool) {
	c, err := Read(w.path)
	if err == nil && len(c.Bytes) == 0 {
		err = errors.New("read " + w.path + ": the file is empty")
	}
	if errors.Is(err, ErrBusy) {
		if w.busy.IsZero() {
			w.busy = time.Now()
		}
		if time.Since(w.busy) < 2*time.Second {
			return true // somebody is writing: not worth a word yet
		}
	} else {
		w.busy = time.Time{}
	}
	switch {
	case err != nil && err.Error() != w.failed:
		if w.seen(Content{}, err) {
			w.failed = err.Error()
		}
	case err != nil:
	case c.Digest != w.last || w.failed != "":
		if again = !w.seen(c, nil); !again {
			w.last, w.failed = c.Digest, ""
		}
	}
	w.follow()
	return again
}
