package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A seer keeps everything that a watch has shown.
type seer struct {
	mu   sync.Mutex
	all  []string // contents, and "error: …"
	kick chan struct{}
}

func watch(t *testing.T, path string) *seer {
	t.Helper()
	s := &seer{kick: make(chan struct{}, 1)}
	first, err := Read(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, path, first, func(c Content, err error) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			if err != nil {
				s.all = append(s.all, "error: "+err.Error())
			} else {
				s.all = append(s.all, string(c.Bytes))
			}
			select {
			case s.kick <- struct{}{}:
			default:
			}
			return true
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// until waits until the newest thing shown is as wanted, and returns everything.
func (s *seer) until(t *testing.T, want func(string) bool) []string {
	t.Helper()
	end := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		all := s.all
		s.mu.Unlock()
		if len(all) > 0 && want(all[len(all)-1]) {
			return all
		}
		select {
		case <-s.kick:
		case <-end:
			t.Fatalf("never seen; shown: %q", all)
		}
	}
}

func is(want string) func(string) bool { return func(s string) bool { return s == want } }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The ways in which a file gets new content; flagd's own watchers miss some of them or show halves.
func TestEveryWayOfWritingIsSeen(t *testing.T) {
	const before, after = "old\n", "the new content\n"
	put := func(t *testing.T, path, content string) {
		t.Helper()
		must(t, os.WriteFile(path, []byte(content), 0o644))
	}
	tests := []struct {
		name  string
		write func(t *testing.T, path string)
		halts bool // an error may be seen on the way
	}{
		{name: "in place at once", write: func(t *testing.T, path string) { put(t, path, after) }},
		{name: "in place, slowly", write: func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
			must(t, err)
			for _, part := range strings.SplitAfter(after, " ") {
				time.Sleep(3 * settle) // longer than the watcher waits: only the open file holds it back
				_, err := f.WriteString(part)
				must(t, err)
			}
			must(t, f.Close())
		}},
		{name: "temporary file renamed over it", write: func(t *testing.T, path string) {
			put(t, path+".tmp", after)
			must(t, os.Rename(path+".tmp", path))
		}},
		{name: "old one moved away, new one written, as editors do", halts: true, write: func(t *testing.T, path string) {
			must(t, os.Rename(path, path+"~"))
			put(t, path, after)
		}},
		{name: "deleted and made again", halts: true, write: func(t *testing.T, path string) {
			must(t, os.Remove(path))
			time.Sleep(2 * settle)
			put(t, path, after)
		}},
		{name: "backup with an older time put back", write: func(t *testing.T, path string) {
			put(t, path+".bak", after)
			old := time.Now().Add(-time.Hour)
			must(t, os.Chtimes(path+".bak", old, old))
			must(t, os.Rename(path+".bak", path))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.yaml")
			put(t, path, before)
			s := watch(t, path)
			tt.write(t, path)
			for _, shown := range s.until(t, is(after)) {
				if shown != after && shown != before && (!tt.halts || !strings.HasPrefix(shown, "error: ")) {
					t.Errorf("shown: %q", shown)
				}
			}
			put(t, path, "and then\n") // the watch is still alive
			s.until(t, is("and then\n"))
		})
	}
}

// Kubernetes mounts a ConfigMap so: the file is a link through "..data", which is exchanged.
func TestASwappedDirectoryLinkIsSeen(t *testing.T) {
	dir := t.TempDir()
	version := func(name, content string) {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name, "f.yaml"), []byte(content), 0o644))
		must(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	version("..1", "one\n")
	path := filepath.Join(dir, "f.yaml")
	must(t, os.Symlink("..data/f.yaml", path))
	s := watch(t, path)
	version("..2", "two\n")
	must(t, os.RemoveAll(filepath.Join(dir, "..1")))
	s.until(t, is("two\n"))
	version("..3", "three\n")
	s.until(t, is("three\n"))
}

func TestALinkToAFileElsewhereIsFollowed(t *testing.T) {
	target, path := filepath.Join(t.TempDir(), "real"), filepath.Join(t.TempDir(), "f.yaml")
	must(t, os.WriteFile(target, []byte("one\n"), 0o644))
	must(t, os.Symlink(target, path))
	s := watch(t, path)
	must(t, os.WriteFile(target, []byte("two\n"), 0o644))
	s.until(t, is("two\n"))
}

func TestWhatIsNoNewContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.yaml")
	must(t, os.WriteFile(path, []byte("same\n"), 0o644))
	s := watch(t, path)
	must(t, os.WriteFile(path, []byte("same\n"), 0o644)) // touched only
	must(t, os.Truncate(path, 0))
	s.until(t, func(shown string) bool { return strings.Contains(shown, "empty") })
	must(t, os.WriteFile(path, []byte("same\n"), 0o644))
	all := s.until(t, is("same\n")) // after an error the content is shown again
	if len(all) != 2 {
		t.Errorf("shown %q, want the error and then the content", all)
	}
}

func TestAMissingDirectoryMayComeLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "later", "f.yaml")
	s := watch(t, path)
	s.until(t, func(shown string) bool { return strings.HasPrefix(shown, "error: ") })
	must(t, os.Mkdir(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte("here\n"), 0o644))
	s.until(t, is("here\n"))
}

func TestReplaceKeepsWhatIsNotItsOwn(t *testing.T) {
	dir := t.TempDir()
	target, path := filepath.Join(dir, "real.yaml"), filepath.Join(dir, "f.yaml")
	must(t, os.WriteFile(target, []byte("one\n"), 0o640))
	must(t, os.Symlink("real.yaml", path))
	based := NewContent([]byte("one\n")).Digest

	must(t, Replace(path, []byte("two\n"), based))
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v: want 0640", info.Mode(), err)
	}
	if link, err := os.Readlink(path); err != nil || link != "real.yaml" {
		t.Errorf("the link is %q, %v", link, err)
	}
	if err := Replace(path, []byte("three\n"), based); !errors.Is(err, ErrChanged) {
		t.Errorf("replacing what has changed: %v, want ErrChanged", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "two\n" {
		t.Errorf("content %q, want two", data)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	if err := Replace(path, []byte("three\n"), NewContent([]byte("two\n")).Digest); !errors.Is(err, ErrBusy) {
		t.Errorf("replacing under a writer: %v, want ErrBusy", err)
	}
	must(t, f.Close())
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Two writers that both base on what they read never lose a change.
func TestNoChangeIsLostBetweenWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.yaml")
	must(t, os.WriteFile(path, nil, 0o644))
	var wg sync.WaitGroup
	const each = 20
	for _, mark := range []string{"a", "b", "c"} {
		wg.Go(func() {
			for n := 0; n < each; {
				c, err := Read(path)
				if err == nil {
					err = Replace(path, append(c.Bytes, mark...), c.Digest)
				}
				switch {
				case err == nil:
					n++
				case !errors.Is(err, ErrChanged) && !errors.Is(err, ErrBusy):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	data, _ := os.ReadFile(path)
	for _, mark := range []string{"a", "b", "c"} {
		if n := strings.Count(string(data), mark); n != each {
			t.Errorf("%d marks %q of %d are there", n, mark, each)
		}
	}
}
