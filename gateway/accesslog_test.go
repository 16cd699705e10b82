package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/VictoriaMetrics/metrics"
)

const logging = "access_log: {file: access.log}\n" + guarded

// TestAccessLogLine compares a whole line, save what differs from one run to the next.
func TestAccessLogLine(t *testing.T) {
	s := launch(t, servePartner(t, failing).address, logging)
	s.dial().get("/media/404?token=hidden", acme, "Breakwater-Request-Id: one")
	s.end()
	got := decoded[map[string]any](t, s.read("access.log"))
	for _, name := range []string{"time", "peer", "us"} {
		if got[name] == nil {
			t.Errorf("no member %q", name)
		}
		delete(got, name)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"class":"not_found","client":"acme","counts":true,"cut":false,"fault":"undecided","flags_revision":0,"framing":"length",` +
		`"method":"GET","path":"/media/404","request":"one","route":"all","sent":12,"status":404,"upstream_status":404}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

// TestAccessLogOfHostileRequests sends what could break a line, or be read as one.
func TestAccessLogOfHostileRequests(t *testing.T) {
	s := launch(t, servePartner(t, fine).address, logging)
	tests := []struct{ name, request, path string }{
		{"quotes and backslashes", "GET /\"\\x22,\"status\":200 HTTP/1.1\r\nHost: h\r\n", ""},
		{"bytes that are not UTF-8", "GET /\xff\xfe\xc0\xaf HTTP/1.1\r\nHost: h\r\n", ""},
		{"a code point that ends lines in JavaScript", "GET /\u2028x HTTP/1.1\r\nHost: h\r\n", ""},
		{"an encoded line break stays encoded", "GET /%0d%0a{} HTTP/1.1\r\nHost: h\r\n", "/%0d%0a{}"},
		{"a control character", "GET /\x01\x7f HTTP/1.1\r\nHost: h\r\n", ""},
		{"a query that is not shown", "GET /q?password=hidden HTTP/1.1\r\nHost: h\r\n", "/q"},
		{"a second question mark", "GET /q?a?password=hidden HTTP/1.1\r\nHost: h\r\n", "/q"},
		{"a whole URI", "GET http://user:hidden@h/abs?password=hidden HTTP/1.1\r\nHost: h\r\n", ""},
		{"a method that is none", "G\"ET / HTTP/1.1\r\nHost: h\r\n", ""},
		{"no HTTP", "hidden \r\n", ""},
		{"an id that is none", "GET /id HTTP/1.1\r\nHost: h\r\nBreakwater-Request-Id: \"}hidden\r\n", "/id"},
		{"an id that is too long", "GET /id HTTP/1.1\r\nHost: h\r\nBreakwater-Request-Id: " + strings.Repeat("hidden", 11) + "\r\n", "/id"},
		{"fields are not shown", "GET /f HTTP/1.1\r\nHost: h\r\nCookie: hidden\r\nAuthorization: hidden\r\nUser-Agent: \"\r\n", "/f"},
	}
	for i, test := range tests {
		c := s.dial()
		c.send(test.request + "D360-API-KEY: example-key-acme\r\nConnection: close\r\n\r\n")
		c.rest() //nolint:errcheck // an answer or none
		eventually(t, "a line for "+test.name, func() bool { return strings.Count(s.read("access.log"), "\n") > i })
	}
	s.end()
	text := s.read("access.log")
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != len(tests) || !strings.HasSuffix(text, "}\n") {
		t.Fatalf("%d lines for %d requests: %s", len(lines), len(tests), text)
	}
	for i, test := range tests {
		if !json.Valid([]byte(lines[i])) {
			t.Errorf("%s: not JSON: %s", test.name, lines[i])
			continue
		}
		if l := decoded[line](t, lines[i]); test.path != "" && l.Path != test.path {
			t.Errorf("%s: path %q, want %q", test.name, l.Path, test.path)
		}
	}
	for _, word := range []string{"hidden", "example-key", "partner-token"} {
		if strings.Contains(text, word) {
			t.Errorf("%q in the log: %s", word, text)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	for c := range 256 {
		for _, s := range []string{string([]byte{byte(c)}), "a" + string([]byte{byte(c)}) + "z", string(rune(c))} {
			b := appendJSON(nil, s)
			var got string
			if err := json.Unmarshal(b, &got); err != nil {
				t.Errorf("%q: %s: %v", s, b, err)
			}
			if want := strings.ToValidUTF8(s, "\ufffd"); got != want {
				t.Errorf("%q came back as %q", s, got)
			}
			if bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("%q: controls in %q", s, b)
			}
		}
	}
}

// A slowWriter takes what it gets when it is let.
type slowWriter struct {
	go_    chan struct{} // closed: at once
	mu     sync.Mutex
	text   bytes.Buffer
	closed bool
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.go_
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *slowWriter) Close() error {
	w.closed = true
	return nil
}

// TestSlowAccessLogDropsLines fills the log while nothing can be written: lines are dropped and counted, never waited for, and
// what is not dropped comes whole and in order.
func TestSlowAccessLogDropsLines(t *testing.T) {
	var dropped metrics.Counter
	w := &slowWriter{go_: make(chan struct{})}
	l := newAccessLog(w, nil, &dropped)
	const writers, each = 4, 20_000
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				l.write(fmt.Appendf(nil, "%d %d %s\n", i, n, strings.Repeat("x", 100)))
			}
		})
	}
	wg.Wait() // with nothing written
	close(w.go_)
	l.release()
	if !w.closed {
		t.Error("the file is not closed")
	}
	next := [writers]int{}
	got := 0
	for text := range strings.Lines(w.text.String()) {
		var i, n int
		var x string
		if _, err := fmt.Sscanf(text, "%d %d %s\n", &i, &n, &x); err != nil || len(x) != 100 || n < next[i] {
			t.Fatalf("line %q is not whole, or out of order", text)
		}
		next[i] = n + 1
		got++
	}
	if lost := int(dropped.Get()); lost == 0 || got+lost != writers*each {
		t.Errorf("%d lines written and %d dropped of %d", got, lost, writers*each)
	}
	l.write([]byte("late\n"))
	if strings.Contains(w.text.String(), "late") || int(dropped.Get()) != writers*each-got+1 {
		t.Error("a line after the end is not counted as dropped")
	}
}

// A tornWriter breaks off in the middle of its first write.
type tornWriter struct {
	bytes.Buffer
	torn bool
}

func (w *tornWriter) Close() error { return nil }

func (w *tornWriter) Write(p []byte) (int, error) {
	if !w.torn {
		w.torn = true
		n, _ := w.Buffer.Write(p[:6]) //nolint:errcheck // memory
		return n, errors.New("no room on the disk")
	}
	return w.Buffer.Write(p)
}

func TestLineBehindATornOneIsWhole(t *testing.T) {
	var dropped metrics.Counter
	w := &tornWriter{}
	l := newAccessLog(w, nil, &dropped)
	l.write([]byte("one\ntwo\nthree\n"))
	eventually(t, "the first write", func() bool { return dropped.Get() > 0 })
	l.write([]byte("four\n"))
	l.release()
	if got, want := w.String(), "one\ntw\nfour\n"; got != want || dropped.Get() != 2 {
		t.Errorf("written %q with %d dropped, want %q with 2", got, dropped.Get(), want)
	}
}

// TestAccessLogOverReloads moves the file away, as log rotation does; no line is lost or written twice.
func TestAccessLogOverReloads(t *testing.T) {
	up := servePartner(t, fine)
	s := launch(t, up.address, logging)
	c := s.dial()
	ask := func(id string) { c.get("/1", acme, "Breakwater-Request-Id: "+id) }
	ask("a-1")
	first := s.snapshot.Load().accessLog
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.snapshot.Load().accessLog != first {
		t.Error("a reload that changes nothing has opened the log again")
	}
	ask("a-2")
	if err := os.Rename(filepath.Join(s.dir, "access.log"), filepath.Join(s.dir, "access.log.1")); err != nil {
		t.Fatal(err)
	}
	ask("a-3")
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask("b-1")
	s.configure(up.address, strings.Replace(logging, "access.log", "other.log", 1))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask("c-1")
	s.configure(up.address, guarded)
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask("d-1")
	s.end()
	for name, want := range map[string]string{"access.log.1": "a-1 a-2 a-3", "access.log": "b-1", "other.log": "c-1"} {
		var got []string
		for text := range strings.Lines(s.read(name)) {
			got = append(got, decoded[line](t, text).Request)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s has %v, want %s", name, got, want)
		}
	}
}
