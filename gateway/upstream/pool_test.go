package upstream

import (
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestLateBytesAnswerNobody has an upstream say more than its response. However and whenever it comes, the next request gets
// its own answer, on another connection.
func TestLateBytesAnswerNobody(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	tests := []struct {
		name, first string
		req         func() *Request
		late        string
	}{
		{"a second response at once", ok + poison, get, ""},
		{"a second response later", ok, get, poison},
		{"a second response behind chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", get, poison},
		{"a single byte", ok, get, "\n"},
		{"the content of a response to HEAD, at once", "HTTP/1.1 200 OK\r\nContent-Length: 46\r\n\r\n" + poison, head, ""},
		{"the content of a response to HEAD, later", "HTTP/1.1 200 OK\r\nContent-Length: 46\r\n\r\n", head, poison},
		{"the content of a 204, later", "HTTP/1.1 204 No Content\r\n\r\n", get, poison},
		{"the content of a 304, later", "HTTP/1.1 304 Not Modified\r\nContent-Length: 46\r\n\r\n", get, poison},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := listen(t, nil)
			u := s.pool(Options{})
			from, _ := client(t)
			late := make(chan struct{})
			go func() {
				p := s.accept()
				p.head()
				p.send(test.first)
				<-late
				if test.late != "" {
					p.send(test.late)
				}
				answers(ok)(s.accept())
			}()
			if r := do(u, test.req(), from); r.err != nil {
				t.Fatal(r.err)
			}
			close(late)
			if test.late != "" {
				eventually(t, "the late bytes are here", func() bool { return !u.next().socket.Clean() })
			}
			if r := do(u, get(), from); r.content != "ok" || r.err != nil {
				t.Errorf("the next request got %v", r)
			}
			if n := u.Stats().Dials; n != 2 {
				t.Errorf("%d connections were made, want 2", n)
			}
		})
	}
}

// TestConnectionThatWentStale has an upstream close a connection between two requests, seen before the second is sent or only
// by its failing.
func TestConnectionThatWentStale(t *testing.T) {
	tests := []struct {
		name    string
		second  func() *Request
		script  func(p *peer) // behind the first response, on the first connection
		unseen  bool          // the end comes only once the second request is being sent
		want    Kind
		retried bool
	}{
		{"FIN that was seen costs a GET nothing", get, func(p *peer) { p.Close() }, false, 0, false},
		{"FIN that was seen costs a POST nothing", func() *Request { return post(&fixed{"x"}) }, func(p *peer) { p.Close() }, false, 0, false},
		{"RST that was seen costs nothing", get, func(p *peer) { p.Conn.(*net.TCPConn).SetLinger(0); p.Close() }, false, 0, false},
		{"FIN in place of an answer has a GET sent again", get, func(p *peer) { p.head(); p.Close() }, true, 0, true},
		{"RST in place of an answer has a GET sent again", get, func(p *peer) { p.head(); p.Conn.(*net.TCPConn).SetLinger(0); p.Close() }, true, 0, true},
		{"a POST is never sent again", func() *Request { return post(&fixed{"x"}) }, func(p *peer) { p.head(); p.Close() }, true, Cut, false},
		{"what has a content is never sent again", func() *Request {
			r := post(&fixed{"x"})
			r.Repeatable = true
			return r
		}, func(p *peer) { p.head(); p.Close() }, true, Cut, false},
		{"an answer that began is not asked for again", get, func(p *peer) { p.head(); p.send("H"); p.Close() }, true, Cut, false},
		{"nor is one that an interim response announced", get, func(p *peer) { p.head(); p.send("HTTP/1.1 103 Early Hints\r\n\r\n"); p.Close() }, true, Cut, false},
		{"what is not HTTP is not asked for again", get, func(p *peer) { p.head(); p.send("SSH-2.0\r\n\r\n"); p.Close() }, true, Protocol, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := listen(t, nil)
			u := s.pool(Options{})
			from, _ := client(t)
			go func() {
				p := s.accept()
				answers(ok)(p)
				test.script(p)
				if test.want == 0 {
					p := s.accept()
					p.head()
					if test.second().Chunks {
						p.take(len("1\r\nx\r\n0\r\nX-Sum: 7\r\n\r\n"))
					}
					p.send(ok)
				}
			}()
			if r := do(u, get(), from); r.err != nil {
				t.Fatal(r.err)
			}
			if !test.unseen {
				eventually(t, "the end is here", func() bool { return !u.next().socket.Clean() })
			}
			r := do(u, test.second(), from)
			if kind(t, r.err) != test.want || test.want == 0 && r.content != "ok" {
				t.Errorf("%v, want kind %q", r, test.want)
			}
			if n := u.Stats().Reconnects; n != map[bool]uint64{true: 1}[test.retried] {
				t.Errorf("%d requests were sent again", n)
			}
		})
	}

	t.Run("a new connection that fails is not tried again", func(t *testing.T) {
		u := listen(t, nil).play(func(p *peer) { p.head() }).pool(Options{})
		from, _ := client(t)
		if r := do(u, get(), from); kind(t, r.err) != Cut {
			t.Error(r)
		}
		if s := u.Stats(); s.Dials != 1 || s.Reconnects != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestDeadlinesOfTheLastExchangeDoNotEndTheConnection lets the time for a head run out while the connection is idle.
func TestDeadlinesOfTheLastExchangeDoNotEndTheConnection(t *testing.T) {
	s := listen(t, nil).play(answers(ok, ok))
	u := s.pool(Options{HeadTimeout: time.Hour, IdleBodyTimeout: time.Hour})
	from, _ := client(t)
	if r := do(u, get(), from); r.err != nil {
		t.Fatal(r.err)
	}
	u.next().socket.SetDeadline(time.Unix(1, 0)) //nolint:errcheck // as if that hour were over
	if r := do(u, post(nil), from); r.content != "ok" || r.err != nil {
		t.Error(r)
	}
	if st := u.Stats(); st.Dials != 1 || st.Stale != 0 {
		t.Errorf("%+v, want one connection", st)
	}
}

// hold makes n exchanges that have read their heads and wait for their contents, and returns what ends the i-th.
func hold(t *testing.T, s *server, u *Upstream, n int) (end func(i int)) {
	t.Helper()
	from, _ := client(t)
	attempts, peers := make([]Attempt, n), make([]*peer, n)
	for i := range attempts {
		accepted := make(chan struct{})
		go func() {
			defer close(accepted)
			peers[i] = s.accept()
			peers[i].head()
			peers[i].send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
		}()
		if err := attempts[i].Do(u, get(), from, &interims{}); err != nil {
			t.Fatal(err)
		}
		<-accepted
	}
	return func(i int) {
		peers[i].send("ok")
		var r result
		if r.rest(&attempts[i]); r.content != "ok" {
			t.Error(r)
		}
		attempts[i].Close(from)
	}
}

func TestTheLatestIsUsedFirst(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{MaxIdle: 2})
	end := hold(t, s, u, 3)
	var ports []string
	for _, i := range []int{1, 2, 0} {
		end(i)
		ports = append(ports, u.next().socket.LocalAddr().String())
	}
	if st := u.Stats(); st.Idle != 2 || st.Open != 2 {
		t.Errorf("%+v, want two connections kept of three", st)
	}
	for i := 2; i > 0; i-- {
		l, err := u.only().take(false, false, time.Time{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.socket.LocalAddr().String(); got != ports[i] {
			t.Errorf("took %s, want %s, the latest", got, ports[i])
		}
		defer u.only().discard(l)
	}
}

func TestLimitOfConnections(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{MaxConnections: 2})
	end := hold(t, s, u, 2)
	from, _ := client(t)
	if r := do(u, get(), from); kind(t, r.err) != Busy {
		t.Errorf("the third at a time: %v, want busy", r)
	}
	end(0)
	if _, err := u.only().take(true, false, time.Time{}, nil); kind(t, err) != Busy {
		t.Error("an idle connection does not count")
	}
	l, err := u.only().take(false, false, time.Time{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	u.only().discard(l)
	end(1)
	if st := u.Stats(); st.Open != 1 || st.Dials != 2 {
		t.Errorf("%+v", st)
	}
}

func TestUnusedConnectionsAreClosed(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{IdleTimeout: 20 * time.Millisecond})
	var served sync.WaitGroup
	served.Go(func() {
		p := s.accept()
		answers(ok)(p)
		if rest := p.ended(); rest != "" {
			t.Errorf("got %q", rest)
		}
	})
	from, _ := client(t)
	if r := do(u, get(), from); r.err != nil {
		t.Fatal(r.err)
	}
	served.Wait()
	eventually(t, "none is open", func() bool { st := u.Stats(); return st.Idle == 0 && st.Open == 0 })
}

func TestAConnectionIsUnusedSinceItsLastByte(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{})
	end := hold(t, s, u, 1)
	before := time.Now()
	end(0)
	if since := u.next().since; since.Before(before) {
		t.Errorf("unused since %v before its content came", before.Sub(since))
	}
}

func TestReapingKeepsTheYoung(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{})
	end := hold(t, s, u, 3)
	for i := range 3 {
		end(i)
	}
	e := u.only()
	e.mu.Lock()
	e.idle[0].since, e.idle[1].since = time.Unix(1, 0), time.Unix(2, 0)
	young := e.idle[2]
	e.mu.Unlock()
	e.closeBefore(time.Unix(3, 0))
	if st := u.Stats(); st.Idle != 1 || st.Open != 1 || u.next() != young {
		t.Errorf("%+v, want only the youngest left", st)
	}
	e.closeBefore(time.Unix(3, 0))
	if st := u.Stats(); st.Open != 1 {
		t.Errorf("%+v", st)
	}
}

func TestCloseWithConnectionsInUse(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{})
	end := hold(t, s, u, 2)
	end(0)
	u.Close()
	if st := u.Stats(); st.Idle != 0 || st.Open != 1 {
		t.Errorf("%+v, want the one in use", st)
	}
	end(1) // undisturbed
	if st := u.Stats(); st.Idle != 0 || st.Open != 0 {
		t.Errorf("%+v, want none", st)
	}
	u.Close()
}

func TestNothingListens(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	u := New(Options{Name: "up", Address: ln.Addr().String()})
	defer u.Close()
	from, _ := client(t)
	if r := do(u, get(), from); kind(t, r.err) != Connect {
		t.Error(r)
	}
	if st := u.Stats(); st.Open != 0 {
		t.Errorf("%+v", st)
	}
}

// TestDescriptorsStayFlat makes exchanges end in every way, many times.
func TestDescriptorsStayFlat(t *testing.T) {
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skipf("this system does not say which descriptors are open: %v", err)
		}
		return len(list)
	}
	from, _ := client(t)
	before := open()
	for range 10 {
		for _, r := range responses {
			s := listen(t, nil)
			u := s.pool(Options{})
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				p := s.accept()
				defer p.Close()
				p.head()
				p.send(r.wire)
				if !r.closes {
					io.Copy(io.Discard, p.r) //nolint:errcheck
				}
			}()
			do(u, r.req(), from)
			u.Close()
			<-gone
			s.ln.Close()
			if n := u.Stats().Open; n != 0 {
				t.Fatalf("%s: %d connections are open", r.name, n)
			}
		}
	}
	eventually(t, "as many descriptors as before", func() bool { return open() <= before })
}

// TestAConnectionThatItsClientLeftIsNobodysElse has a client leave between the last byte of its response and the attempt's end.
func TestAConnectionThatItsClientLeftIsNobodysElse(t *testing.T) {
	s := listen(t, nil).play(answers(ok, ok, ok))
	u := s.pool(Options{})
	leaver, gone := client(t)
	stayer, _ := client(t)
	var a Attempt
	if err := a.Do(u, get(), leaver, &interims{}); err != nil {
		t.Fatal(err)
	}
	for !a.Done() {
		if _, err := a.Next(); err != nil {
			t.Fatal(err)
		}
	}
	gone.Close()
	eventually(t, "the client is known to have left", leaver.Left)
	a.Close(leaver)
	if r := do(u, get(), stayer); r.err != nil || r.content != "ok" {
		t.Errorf("another client got %v", r)
	}
}
