//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPacer(t *testing.T) {
	t.Run("requests are due at even distances, however late the generator is", func(t *testing.T) {
		p := newPacer(1000, 5*time.Millisecond)
		var due []time.Duration
		for now := 3500 * time.Microsecond; p.ready(now); {
			due = append(due, p.take())
		}
		if got, want := fmt.Sprint(due), "[0s 1ms 2ms 3ms]"; got != want {
			t.Errorf("due by 3.5ms: %s, want %s", got, want)
		}
	})
	t.Run("the wait ends when the next one is due", func(t *testing.T) {
		p := newPacer(1000, time.Second)
		p.take()
		if got := p.wait(400 * time.Microsecond); got != 600*time.Microsecond {
			t.Errorf("wait = %s, want 600µs", got)
		}
		if got := p.wait(2 * time.Millisecond); got != 0 {
			t.Errorf("wait when late = %s, want 0s", got)
		}
	})
	t.Run("it ends after rate times duration requests", func(t *testing.T) {
		p := newPacer(2000, 10*time.Millisecond)
		n := 0
		for p.ready(time.Hour) {
			p.take()
			n++
		}
		if n != 20 || !p.finished() {
			t.Errorf("%d requests, finished %t; want 20, true", n, p.finished())
		}
	})
	t.Run("distances don't add up rounding errors", func(t *testing.T) {
		p := newPacer(3, 1000*time.Second)
		for !p.finished() {
			p.take()
		}
		if got := p.due(); got != 1000*time.Second {
			t.Errorf("the 3000th interval ends at %s, want 16m40s", got)
		}
	})
}

func TestCheckResponse(t *testing.T) {
	want := &answer{"200 OK", []byte("0123456789")}
	for _, tt := range []struct {
		name, response string
		whole          bool
		says           string // of the error; none expected if empty
	}{
		{"nothing yet", "", false, ""},
		{"a part of the status line", "HTTP/1.1 2", false, ""},
		{"a part of the head", "HTTP/1.1 200 OK\r\nA: b\r\n", false, ""},
		{"a part of the body", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n01234", false, ""},
		{"head and body", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n0123456789", true, ""},
		{"another status", "HTTP/1.1 502 Bad Gateway\r\n\r\n0123456789", false, "expected status 200"},
		{"another version", "HTTP/1.0 200 OK\r\n\r\n0123456789", false, "expected status 200"},
		{"another status, seen early", "HTTP/1.1 4", false, "expected status 200"},
		{"another body", "HTTP/1.1 200 OK\r\n\r\n0123x56789", false, "expected"},
		{"another body, seen early", "HTTP/1.1 200 OK\r\n\r\n0x", false, "expected"},
		{"bytes after the body", "HTTP/1.1 200 OK\r\n\r\n0123456789H", false, "expected"},
		{"a chunked body", "HTTP/1.1 200 OK\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", false, "expected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole, err := checkResponse([]byte(tt.response), want)
			if whole != tt.whole || (err == nil) != (tt.says == "") || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("checkResponse(%q) = %t, %v; want %t, error %q", tt.response, whole, err, tt.whole, tt.says)
			}
		})
	}
}

// startUpstream runs the bench's upstream inside the test until the test's process ends.
func startUpstream(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, addr, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	up, err := newUpstream(fd)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := up.serve(); err != nil {
			t.Error(err)
		}
	}()
	return addr
}

func TestTurnBeforeTheUpstream(t *testing.T) {
	addr := startUpstream(t)
	direct := &running{subject: subject{name: "direct"}, addr: addr}
	got, err := takeTurn(t.Context(), &env{upstream: addr}, direct, 4, 160*time.Millisecond, 500)
	if err != nil {
		t.Fatal(err)
	}
	if got.Saturation <= 0 || got.P50 <= 0 || got.P99 < got.P50 || got.CPU != 0 {
		t.Errorf("turn %+v: expected throughput, latencies in order and no CPU time of a proxy", got)
	}
}

func TestASubjectThatDoesNotDropFailsTheRun(t *testing.T) {
	addr := startUpstream(t)
	claims := &running{subject: subject{name: "claims to drop", drops: true}, addr: addr}
	_, err := takeTurn(t.Context(), &env{upstream: addr}, claims, 1, 160*time.Millisecond, 100)
	if err == nil || !strings.Contains(err.Error(), "present") {
		t.Errorf("error %v: expected one that quotes the body", err)
	}
}

func TestCheckCounts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		seen  counts
		sent  int
		drops bool
		says  string
	}{
		{"a forwarding subject passes the parameter", counts{10, 10}, 10, false, ""},
		{"a dropping subject drops it", counts{10, 0}, 10, true, ""},
		{"a dropping subject that let one through", counts{10, 1}, 10, true, "in 1 of 10 requests: expected 0"},
		{"a forwarding subject that dropped one", counts{10, 9}, 10, false, "in 9 of 10 requests: expected 10"},
		{"a request answered without the upstream", counts{9, 0}, 10, true, "saw 9 requests of 10"},
		{"a request sent twice", counts{11, 0}, 10, true, "saw 11 requests of 10"},
	} {
		err := checkCounts(tt.seen, tt.sent, tt.drops)
		if (err == nil) != (tt.says == "") || (err != nil && !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.says)
		}
	}
}

func TestGeneratorReportsAClosedConnection(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 1024)
		_, _ = conn.Read(buf)
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\n"))
		_ = conn.Close()
	}()
	g, err := newGenerator(listener.Addr().(*net.TCPAddr).AddrPort(), 1, true)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	_, err = g.saturate(t.Context(), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "after 17 bytes of a response") {
		t.Errorf("error %v: expected one that tells how far the response got", err)
	}
}

func TestGeneratorEndsWhenTold(t *testing.T) {
	addr := startUpstream(t)
	g, err := newGenerator(addr, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.pace(ctx, 10, time.Hour); err != context.Canceled {
		t.Errorf("pace under a cancelled context = %v, want context.Canceled", err)
	}
}

func TestUpstream(t *testing.T) {
	addr := startUpstream(t)
	for _, tt := range []struct{ name, target, body string }{
		{"with the parameter", "/1?phone_number_id=2", string(mediaPresent.body)},
		{"with the parameter among others", "/1?a=b&phone_number_id=2", string(mediaPresent.body)},
		{"without a query", "/1", string(mediaDropped.body)},
		{"counts aren't counted", countsPath, `{"requests":3,"with_param":2}`},
		{"counts again", countsPath, `{"requests":3,"with_param":2}`},
	} {
		got, err := ask(addr, tt.target, readyPatience)
		if err != nil || string(got) != tt.body {
			t.Errorf("%s: GET %s = %q, %v; want %q", tt.name, tt.target, got, err, tt.body)
		}
	}
	if len(mediaPresent.body) != 300 || len(mediaDropped.body) != 300 {
		t.Errorf("bodies of %d and %d bytes, want 300", len(mediaPresent.body), len(mediaDropped.body))
	}
	_, err := ask(addr, "/v23.0/9?phone_number_id=2", readyPatience)
	if err == nil || !strings.Contains(err.Error(), "500 Internal Server Error") || !strings.Contains(err.Error(), "A-present") {
		t.Errorf("a media that fails: %v, want a 500 that says present", err)
	}
}
