package upstream

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"pgregory.net/rapid"
)

func TestWhy(t *testing.T) {
	all := [Reasons]bool{false, true, true, true, true, true}
	only := func(r Reason) (on [Reasons]bool) { on[r] = true; return on }
	tests := []struct {
		name       string
		err        error
		on         [Reasons]bool
		repeatable bool
		want       Reason
	}{
		{"no connection", &Error{Kind: Connect}, all, true, OnConnect},
		{"no connection for a POST", &Error{Kind: Connect}, all, false, OnConnect},
		{"a connection that took too long, for a POST", &Error{Kind: Timeout}, all, false, OnConnect},
		{"broken off", &Error{Kind: Cut, Sent: true}, all, true, OnReset},
		{"a POST that was broken off", &Error{Kind: Cut, Sent: true}, all, false, NoReason},
		{"broken off before a POST was sent", &Error{Kind: Cut}, all, false, OnConnect},
		{"the same, where only resets are a reason", &Error{Kind: Cut}, only(OnReset), false, OnReset},
		{"too late", &Error{Kind: Timeout, Sent: true}, all, true, OnTimeout},
		{"a POST that was too late", &Error{Kind: Timeout, Sent: true}, all, false, NoReason},
		{"too late, where that is no reason", &Error{Kind: Timeout, Sent: true}, only(OnReset), true, NoReason},
		{"no connection, where that is no reason", &Error{Kind: Connect}, only(OnReset), true, NoReason},
		{"what is not HTTP", &Error{Kind: Protocol, Sent: true}, all, true, NoReason},
		{"a limit of ours", &Error{Kind: Busy}, all, true, NoReason},
		{"an open breaker", &Error{Kind: Resting}, all, true, NoReason},
		{"a client that left", &Error{Kind: ClientLeft}, all, true, NoReason},
		{"a client's bad content", &Error{Kind: ClientBody, Sent: true}, all, true, NoReason},
		{"anything else", errors.New("?"), all, true, NoReason},
	}
	for _, test := range tests {
		o := RetryOptions{On: test.on}
		if got := o.Why(test.err, test.repeatable); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	o := RetryOptions{On: all, Statuses: []Status{{503, 503}}}
	if a, b := o.WhyStatus(503), o.WhyStatus(500); a != OnStatus || b != NoReason {
		t.Errorf("503 %q, 500 %q", a, b)
	}
}

func TestPause(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := RetryOptions{
			Base:     time.Duration(rapid.IntRange(0, 1000).Draw(t, "base")) * time.Millisecond,
			Max:      time.Duration(rapid.IntRange(0, 10000).Draw(t, "max")) * time.Millisecond,
			MaxAfter: time.Second,
		}
		n := rapid.IntRange(1, 100).Draw(t, "n")
		after := time.Duration(rapid.IntRange(0, 2000).Draw(t, "after")) * time.Millisecond
		pause, ok := o.Pause(n, after)
		most := o.Max
		if n < 20 {
			most = min(most, o.Base<<(n-1))
		}
		switch {
		case ok != (after <= time.Second):
			t.Fatalf("asked for %v: waits %v", after, ok)
		case ok && (pause < after || pause > after+most):
			t.Fatalf("pause %v before retry %d, asked for %v; want at most %v more", pause, n, after, most)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	tests := []struct {
		value string
		want  time.Duration
	}{
		{"3", 3 * time.Second},
		{" 0 ", 0},
		{"Mon, 23 Nov 2026 12:00:07 GMT", 7 * time.Second},
		{"Monday, 23-Nov-26 12:00:07 GMT", 7 * time.Second},
		{"Mon Nov 23 12:00:07 2026", 7 * time.Second},
		{"Mon, 23 Nov 2026 11:00:00 GMT", 0},
		{"99999999999999999999", 365 * 24 * time.Hour},
		{"-1", 0},
		{"soon", 0},
		{"", 0},
	}
	for _, test := range tests {
		fields := []wire.Field{{Name: []byte("X"), Value: []byte("9")}, {Name: []byte("retry-after"), Value: []byte(test.value)}}
		if got := RetryAfter(fields, noon); got != test.want {
			t.Errorf("%q: %v, want %v", test.value, got, test.want)
		}
	}
	if got := RetryAfter(nil, noon); got != 0 {
		t.Errorf("no field: %v", got)
	}
}

func TestPauser(t *testing.T) {
	var p Pauser
	from, c := client(t)
	for range 2 { // it is used again
		if !p.Pause(time.Now().Add(time.Millisecond), from) {
			t.Error("the client has left, it says")
		}
	}
	done := make(chan bool)
	go func() { done <- p.Pause(time.Now().Add(time.Hour), from) }()
	c.Close()
	if <-done {
		t.Error("the client has left, and it says that it has not")
	}
	if p.Pause(time.Now().Add(time.Hour), from) {
		t.Error("the client had left before")
	}
}

// TestTry has no response come in the time of one attempt.
func TestTry(t *testing.T) {
	h := holdAll(t)
	u := h.pool(Options{HeadTimeout: patience})
	from, _ := client(t)
	req := get()
	req.Try = soon
	if r := do(u, req, from); kind(t, r.err) != Timeout {
		t.Errorf("no response: %v", r)
	}
	<-h.arrived
}

// TestTryIsNotTheClientsTime has a content take longer than a try may, and then no response come: the try ends, but not before
// the upstream has all of the content.
func TestTryIsNotTheClientsTime(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{})
	from, c := client(t)
	got := make(chan string)
	go func() {
		p := s.accept()
		answers(ok)(p)
		p.head()
		p.take(len("4\r\nhalf\r\n"))
		time.Sleep(2 * soon) // what a try may take, were it to run
		c.send("restend\n")
		got <- p.ended()
	}()
	if r := do(u, get(), from); r.content != "ok" { // so that the try needs no time to connect
		t.Fatal(r)
	}
	c.send("half")
	req := post(&fromClient{from: from})
	req.Try = soon
	if r := do(u, req, from); kind(t, r.err) != Timeout {
		t.Error(r)
	}
	if all := <-got; all != "4\r\nrest\r\n0\r\n\r\n" {
		t.Errorf("the upstream got %q", all)
	}
}

// TestAccept has a content come when the time of the attempt is over.
func TestAccept(t *testing.T) {
	h := holdAll(t)
	u := h.pool(Options{})
	from, _ := client(t)
	req := get()
	req.Try = patience / 4
	var a Attempt
	defer a.Close(from)
	got := make(chan error)
	go func() { got <- a.Do(u, req, from, &interims{}) }()
	p := <-h.arrived
	p.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	a.Accept(req)
	a.l.socket.Conn.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // as if it were over: the read finds that there is time left
	p.send("ok")
	var r result
	if r.rest(&a); r.content != "ok" || r.err != nil {
		t.Error(r)
	}
}

// TestAcceptWhileSending has a response be accepted while the content is being sent by another goroutine, for the race detector.
func TestAcceptWhileSending(t *testing.T) {
	u := listen(t, nil).play(func(p *peer) { p.head(); p.send(ok); p.ended() }).pool(Options{IdleBodyTimeout: patience})
	from, c := client(t)
	req := post(&fromClient{from: from})
	req.Try = time.Hour
	var stop atomic.Bool
	stopped := make(chan bool)
	go func() {
		defer close(stopped)
		for !stop.Load() {
			c.send("more\n")
		}
	}()
	var a Attempt
	if err := a.Do(u, req, from, &interims{}); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		a.Accept(req)
	}
	a.Close(from)
	stop.Store(true)
	c.Close()
	<-stopped
}

func TestDiscard(t *testing.T) {
	const head = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n"
	tests := []struct {
		name string
		wire string
		kept bool
	}{
		{"a response that is here leaves its connection", head + "no", true},
		{"in chunks, too", "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", true},
		{"and without content", "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n", true},
		{"one that is not here takes it along", head + "n", false},
		{"so does the framing of a chunk that is not here", "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n", false},
		{"and a chunk whose end is not here", "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno", false},
		{"so does one that is not HTTP", "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n?\r\n", false},
	}
	for _, test := range tests {
		u := listen(t, nil).play(func(p *peer) { p.head(); p.send(test.wire); p.ended() }).pool(Options{})
		from, _ := client(t)
		var a Attempt
		if err := a.Do(u, get(), from, &interims{}); err != nil {
			t.Fatal(err)
		}
		a.Discard()
		a.Close(from)
		if kept := u.Stats().Idle == 1; kept != test.kept {
			t.Errorf("%s: kept %v", test.name, kept)
		}
	}
}
