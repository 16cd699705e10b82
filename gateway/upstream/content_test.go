package upstream

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

func TestContentOfARequest(t *testing.T) {
	const end = "GET / HTTP/1.1\r\nHost: up\r\n\r\n" // the next request shows that nothing else was sent
	tests := []struct {
		name string
		req  *Request
		want string
	}{
		{"a length goes as it is", &Request{Head: []byte("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\n"), Body: &fixed{"abc", "def"}}, "abcdef"},
		{"chunks as they come, and trailers", post(&fixed{"abc", "", "0123456789abcdef"}), "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 7\r\n\r\n"},
		{"no chunk but the last", post(&fixed{}), "0\r\nX-Sum: 7\r\n\r\n"},
		{"none", get(), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := listen(t, nil)
			u := s.pool(Options{})
			from, _ := client(t)
			got := make(chan string, 2)
			go func() {
				p := s.accept()
				got <- p.head()
				content := p.take(len(test.want))
				p.send(ok)
				got <- content + p.head()
				p.send(ok)
			}()
			test.req.Method = []byte("POST")
			var a Attempt
			if err := a.Do(u, test.req, from, &interims{}); err != nil {
				t.Fatal(err)
			}
			var r result
			r.rest(&a)
			eventually(t, "the content has left", func() bool { return a.BodySent(from) })
			if !a.Close(from) {
				t.Error("Close says that the content has not left")
			}
			if r := do(u, get(), from); r.content != "ok" || r.err != nil {
				t.Error(r)
			}
			if head := <-got; head != string(test.req.Head) {
				t.Errorf("head %q", head)
			}
			if content := <-got; content != test.want+end {
				t.Errorf("content %q, want %q", content, test.want)
			}
			if n := u.Stats().Dials; n != 1 {
				t.Errorf("%d connections, want the first one again", n)
			}
		})
	}
}

// TestEarlyResponse has the upstream answer while the client holds the rest of its content.
func TestEarlyResponse(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{})
	from, c := client(t)
	up := make(chan *peer, 1)
	go func() {
		p := s.accept()
		p.head()
		p.take(len("5\r\nfirst\r\n"))
		p.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nok")
		up <- p
	}()
	c.send("first")
	var a Attempt
	if err := a.Do(u, post(&fromClient{from: from}), from, &interims{}); err != nil {
		t.Fatal(err)
	}
	var r result
	if r.rest(&a); r.content != "ok" || a.Head.Status != 413 {
		t.Errorf("%d %v", a.Head.Status, r)
	}
	if a.BodySent(from) {
		t.Error("the content has been sent, it says")
	}
	if a.Close(from) {
		t.Error("Close says that the content has left")
	}
	if rest := (<-up).ended(); rest != "" {
		t.Errorf("the upstream got %q: the content was not whole", rest)
	}
	if n := u.Stats().Open; n != 0 {
		t.Errorf("%d connections are open; what follows on it is content", n)
	}
	c.send("later") // nobody reads it any more, but it can be read
	if n, err := from.Read(make([]byte, 8)); n != 5 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
}

// TestContentThatLeavesWithTheResponse ends an exchange while the goroutine that has sent the content is about to say so.
func TestContentThatLeavesWithTheResponse(t *testing.T) {
	s := listen(t, nil).play(func(p *peer) { p.head(); p.take(len("0\r\n\r\n")); p.send(ok); p.ended() })
	u := s.pool(Options{})
	from, c := client(t)
	var a Attempt
	go c.send("end\n")
	if err := a.Do(u, post(&fromClient{from: from}), from, &interims{}); err != nil {
		t.Fatal(err)
	}
	var r result
	r.rest(&a)
	result := <-a.body.result
	a.body.endedAt.Store(0) // as if it were not that far
	go func() { a.body.result <- result }()
	if !a.body.endsWithin(patience) || !a.Close(from) || u.Stats().Idle != 1 {
		t.Error("the connection is lost")
	}
	if a.body.reset(); a.body.endsWithin(0) {
		t.Error("a content that is under way has ended")
	}
}

// TestDuplex has both contents go on together, each piece answered before the next is sent.
func TestDuplex(t *testing.T) {
	s := listen(t, nil).play(func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range 10 {
			p.send("6\r\n" + p.take(len("5\r\nping0\r\n"))[3:8] + "!\r\n")
		}
		p.take(len("0\r\n\r\n"))
		p.send("0\r\n\r\n")
	})
	u := s.pool(Options{})
	from, c := client(t)
	var a Attempt
	defer a.Close(from)
	if err := a.Do(u, post(&fromClient{from: from}), from, &interims{}); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		ping := "ping" + string(rune('0'+i))
		c.send(ping)
		got := ""
		for len(got) < 6 {
			piece, err := a.Next()
			if err != nil {
				t.Fatal(err)
			}
			got += string(piece)
		}
		if got != ping+"!" {
			t.Fatalf("got %q", got)
		}
	}
	c.send("end\n")
	var r result
	if r.rest(&a); r.err != nil {
		t.Error(r.err)
	}
}

// TestClientLeaves has the client go away at each stage. The upstream sees the end of its connection, and not of a whole request.
func TestClientLeaves(t *testing.T) {
	tests := []struct {
		name   string
		upload bool
		script func(p *peer) // up to where the client leaves
		leave  func(c *peer)
	}{
		{"before the request", false, nil, func(c *peer) { c.Close() }},
		{"while it waits", false, func(p *peer) { p.head() }, func(c *peer) { c.Close() }},
		{"after an interim response", false, func(p *peer) { p.head(); p.send("HTTP/1.1 103 Early Hints\r\n\r\n") }, func(c *peer) { c.Close() }},
		{"in the middle of the response", false, func(p *peer) { p.head(); p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello") }, func(c *peer) { c.Close() }},
		{"in the middle of the upload", true, func(p *peer) { p.head(); p.take(len("4\r\nhalf\r\n")) }, func(c *peer) { c.Close() }},
		{"in the middle of both", true, func(p *peer) {
			p.head()
			p.take(len("4\r\nhalf\r\n"))
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		}, func(c *peer) { c.Close() }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := listen(t, nil)
			u := s.pool(Options{HeadTimeout: time.Hour, IdleBodyTimeout: time.Hour})
			from, c := client(t)
			req := get()
			if test.upload {
				req = post(&fromClient{from: from})
				c.send("half")
			}
			if test.script == nil {
				test.leave(c)
				eventually(t, "the client has left", from.Left)
				s.ln.Close() // nothing is asked of the upstream
			}
			rest := make(chan string, 1)
			go func() {
				if test.script == nil {
					rest <- ""
					return
				}
				p := s.accept()
				test.script(p)
				test.leave(c)
				rest <- p.ended()
			}()
			if r := do(u, req, from); kind(t, r.err) != ClientLeft {
				t.Errorf("%v, want that the client left", r)
			}
			if rest := <-rest; strings.Contains(rest, "0\r\n\r\n") {
				t.Errorf("the upstream got a whole request: %q", rest)
			}
			if n := u.Stats().Open; n != 0 {
				t.Errorf("%d connections are open", n)
			}
		})
	}
}

func TestContentThatCannotBeRead(t *testing.T) {
	broken := errors.New("bad chunk")
	tests := []struct {
		name string
		err  error
		want Kind
	}{
		{"malformed", broken, ClientBody},
		{"not in time", os.ErrDeadlineExceeded, ClientBody},
		{"shorter than it said", io.ErrUnexpectedEOF, ClientBody},
		{"cut by the client", conn.ErrEnd, ClientLeft},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := listen(t, nil)
			u := s.pool(Options{})
			from, _ := client(t)
			rest := make(chan string, 1)
			go func() {
				p := s.accept()
				p.head()
				rest <- p.ended()
			}()
			r := do(u, post(&failing{"some", test.err}), from)
			if kind(t, r.err) != test.want || !errors.Is(r.err, test.err) {
				t.Errorf("%v, want kind %q", r.err, test.want)
			}
			if got := <-rest; got != "4\r\nsome\r\n" && got != "" {
				t.Errorf("the upstream got %q", got)
			}
			if n := u.Stats().Open; n != 0 {
				t.Errorf("%d connections are open", n)
			}
		})
	}
}

// failing is one piece of content and then an error, or a panic if that is nil.
type failing struct {
	piece string
	err   error
}

func (f *failing) Next() ([]byte, error) {
	if f.piece != "" {
		piece := f.piece
		f.piece = ""
		return []byte(piece), nil
	}
	if f.err == nil {
		panic("out of order")
	}
	return nil, f.err
}

func (f *failing) Trailers() []wire.Field { return nil }

// TestContentThatPanics asserts first of all that the test goes on.
func TestContentThatPanics(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{})
	from, _ := client(t)
	go func() {
		p := s.accept()
		p.head()
		p.ended()
		answers(ok)(s.accept())
	}()
	var a Attempt
	err := a.Do(u, post(&failing{"some", nil}), from, &interims{})
	if a.Close(from) {
		t.Error("the content has left, it says")
	}
	var p *Panic
	if kind(t, err) != Broken || !errors.As(err, &p) || p.Value != "out of order" || !strings.Contains(string(p.Stack), "failing") {
		t.Errorf("%v", err)
	}
	if p := a.Panicked(); p == nil || p.Value != "out of order" {
		t.Errorf("Panicked() = %v", p)
	}
	if p := a.Panicked(); p != nil {
		t.Errorf("Panicked() = %v for the second time", p)
	}
	if n := u.Stats().Open; n != 0 {
		t.Errorf("%d connections are open", n)
	}
	if r := do(u, get(), from); r.content != "ok" {
		t.Errorf("the next request: %v", r)
	}
}

// A tardy content comes at this time, again and again.
type tardy struct{ at time.Time }

func (b *tardy) Next() ([]byte, error) {
	time.Sleep(time.Until(b.at))
	return []byte("late"), nil
}

func (b *tardy) Trailers() []wire.Field { return nil }

const soon = 50 * time.Millisecond

func TestTimeouts(t *testing.T) {
	t.Run("for the head", func(t *testing.T) {
		s := listen(t, nil).play(func(p *peer) { p.head(); p.ended() })
		u := s.pool(Options{HeadTimeout: soon})
		from, _ := client(t)
		began := time.Now()
		r := do(u, get(), from)
		if kind(t, r.err) != Timeout || time.Since(began) < soon {
			t.Errorf("%v after %v", r, time.Since(began))
		}
	})
	t.Run("for the head that began", func(t *testing.T) {
		s := listen(t, nil).play(func(p *peer) { p.head(); p.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1."); p.ended() })
		from, _ := client(t)
		if r := do(s.pool(Options{HeadTimeout: soon}), get(), from); kind(t, r.err) != Timeout {
			t.Error(r)
		}
	})
	t.Run("for the head counts from the last byte of the request", func(t *testing.T) {
		s := listen(t, nil).play(func(p *peer) { p.head(); p.ended() })
		u := s.pool(Options{HeadTimeout: soon})
		from, c := client(t)
		var last time.Time
		go func() {
			for range 3 {
				c.send("x")
				time.Sleep(soon) // the whole of what the head has, again and again
			}
			last = time.Now()
			c.send("end\n")
		}()
		r := do(u, post(&fromClient{from: from}), from)
		if kind(t, r.err) != Timeout || time.Since(last) < soon {
			t.Errorf("%v, %v after the last byte", r, time.Since(last))
		}
	})
	t.Run("for each piece of the content", func(t *testing.T) {
		s := listen(t, nil).play(func(p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
			p.ended()
		})
		from, _ := client(t)
		r := do(s.pool(Options{IdleBodyTimeout: soon}), get(), from)
		if kind(t, r.err) != Timeout || r.content != "hello" {
			t.Error(r)
		}
	})
	t.Run("not for a content that goes on", func(t *testing.T) {
		t.Parallel()
		const idle = 2 * time.Second
		s := listen(t, nil).play(func(p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
			for range 6 {
				time.Sleep(idle / 5)
				p.send("x")
			}
		})
		from, _ := client(t)
		if r := do(s.pool(Options{HeadTimeout: idle, IdleBodyTimeout: idle}), get(), from); r.content != "xxxxxx" || r.err != nil {
			t.Error(r)
		}
	})
	t.Run("for an upstream that does not read", func(t *testing.T) {
		gone := make(chan struct{})
		s := listen(t, nil).play(func(*peer) { <-gone })
		u := s.pool(Options{HeadTimeout: soon, IdleBodyTimeout: soon})
		from, _ := client(t)
		r := do(u, post(&fixed{strings.Repeat("x", 64<<20)}), from)
		close(gone)
		if kind(t, r.err) != Timeout {
			t.Error(r.err)
		}
	})
	t.Run("for the client's content", func(t *testing.T) {
		s := listen(t, nil).play(func(p *peer) { p.head(); p.ended() })
		from, _ := client(t)
		req := post(&fromClient{from: from})
		req.BodyIdle = soon
		r := do(s.pool(Options{}), req, from)
		if kind(t, r.err) != ClientBody || !errors.Is(r.err, os.ErrDeadlineExceeded) {
			t.Error(r)
		}
	})
	t.Run("for the exchange, of which the client's content takes all", func(t *testing.T) {
		for _, own := range []bool{true, false} { // the client's connection has the same limit, or not
			s := listen(t, nil).play(func(p *peer) { p.head(); p.ended() })
			from, c := client(t)
			c.send("half")
			req := post(&fromClient{from: from})
			req.Limit = time.Now().Add(soon)
			if own {
				from.SetLimit(req.Limit)
			}
			r := do(s.pool(Options{}), req, from)
			if kind(t, r.err) != ClientBody || !errors.Is(r.err, os.ErrDeadlineExceeded) {
				t.Error(r)
			}
			from.SetLimit(time.Time{})
			c.send("!")
			if n, err := from.Read(make([]byte, 8)); n != 1 || err != nil {
				t.Errorf("the client's connection after that: %d, %v", n, err)
			}
		}
	})
	t.Run("for the exchange, at the end of which a piece comes that cannot be sent any more", func(t *testing.T) {
		s := listen(t, nil).play(func(p *peer) { p.head(); p.ended() })
		from, _ := client(t)
		req := post(nil)
		req.Limit = time.Now().Add(soon)
		req.Body = &tardy{req.Limit}
		if r := do(s.pool(Options{}), req, from); kind(t, r.err) != ClientBody || !errors.Is(r.err, os.ErrDeadlineExceeded) {
			t.Error(r)
		}
	})
	t.Run("none for the client's content without one, whatever held for its head", func(t *testing.T) {
		s := listen(t, nil).play(func(p *peer) { p.head(); p.take(len("2\r\nhi\r\n0\r\n\r\n")); p.send(ok) })
		from, c := client(t)
		from.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // as if it were over
		go c.send("hiend\n")
		if r := do(s.pool(Options{}), post(&fromClient{from: from}), from); r.content != "ok" {
			t.Error(r)
		}
	})
}
