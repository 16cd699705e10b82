package upstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// A response as it is on the wire, and what is to be made of it.
type response struct {
	name, wire string
	req        func() *Request
	want       result
	kind       Kind // of the error that want ends with
	closes     bool // the upstream closes behind it
	keeps      bool // the connection is used again
}

var responses = []response{
	{"a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", get, result{status: 200, content: "hello"}, 0, false, true},
	{"a length of 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", get, result{status: 200}, 0, false, true},
	{"a length, and the connection is to end", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", get, result{status: 200, content: "ok"}, 0, false, false},
	{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", get, result{status: 200, content: "hello!"}, 0, false, true},
	{"no chunks but the last", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", get, result{status: 200}, 0, false, true},
	{"chunks and trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n", get, result{status: 200, content: "ok", trailers: "X-A: 1\nX-B: 2\n"}, 0, false, true},
	{"chunks beside a length", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", get, result{status: 200, content: "ok"}, 0, false, false},
	{"until the end", "HTTP/1.1 200 OK\r\n\r\nuntil", get, result{status: 200, content: "until"}, 0, true, false},
	{"nothing until the end", "HTTP/1.1 200 OK\r\n\r\n", get, result{status: 200}, 0, true, false},
	{"no content by its status", "HTTP/1.1 204 No Content\r\n\r\n", get, result{status: 204}, 0, false, true},
	{"no content by its status in spite of a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", get, result{status: 304}, 0, false, true},
	{"no content by the method", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", head, result{status: 200}, 0, false, true},
	{"no chunks by the method", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", head, result{status: 200}, 0, false, true},
	{"interim responses before it", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", get, result{status: 200, content: "ok", interims: interims{100, 103}}, 0, false, true},
	{"HTTP/1.0 ends the connection", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", get, result{status: 200, content: "ok"}, 0, false, false},
	{"HTTP/1.0 that is kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", get, result{status: 200, content: "ok"}, 0, false, true},

	{"more than its length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", get, result{status: 200, content: "ok"}, 0, false, false},
	{"more than its chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", get, result{status: 200, content: "ok"}, 0, false, false},
	{"a content where there is none", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", head, result{status: 200}, 0, false, false},
	{"less than its length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", get, result{status: 200, content: "hello"}, Cut, true, false},
	{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", get, result{status: 200, content: "hello"}, Cut, true, false},
	{"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", get, result{status: 200, content: "hello"}, Cut, true, false},
	{"half a trailer section", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: 1\r\n", get, result{status: 200, content: "ok"}, Cut, true, false},
	{"a bad trailer section", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX A: 1\r\n\r\n", get, result{status: 200, content: "ok"}, Protocol, false, false},
	{"a bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nxx\r\n", get, result{status: 200, content: "ok"}, Protocol, false, false},
	{"half a head", "HTTP/1.1 200 OK\r\nContent-Le", get, result{}, Cut, true, false},
	{"half an interim head", "HTTP/1.1 103 Early", get, result{}, Cut, true, false},
	{"nothing", "", get, result{}, Cut, true, false},
	{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", get, result{}, Protocol, false, false},
	{"a protocol that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n", get, result{}, Protocol, false, false},
}

func (r *response) check(t *testing.T, how string, got result) {
	t.Helper()
	err := got.err
	if got.err = nil; got.String() != r.want.String() || kind(t, err) != r.kind {
		t.Errorf("%s: got %v, error %v\nwant %v, kind %q", how, got, err, r.want, r.kind)
	}
}

// TestFraming has each response arrive in two parts, cut at every byte. A pipe, unlike a socket, keeps parts apart.
func TestFraming(t *testing.T) {
	from, _ := client(t)
	for _, r := range responses {
		t.Run(r.name, func(t *testing.T) {
			for cut := 0; cut <= len(r.wire); cut++ {
				u := New(Options{Name: "up", Address: "127.0.0.1:1", MaxIdle: 1})
				ours, theirs := net.Pipe()
				s := conn.NewSocket(ours)
				u.open.Add(1)
				u.only().put(&link{socket: s, stream: s, buf: make([]byte, linkBuffer), small: make([]byte, linkBuffer)}, time.Now())
				done := make(chan struct{})
				go func() {
					defer close(done)
					p := newPeer(t, theirs)
					p.head()
					p.Write([]byte(r.wire[:cut])) //nolint:errcheck // it may be closed at a bad byte
					p.Write([]byte(r.wire[cut:])) //nolint:errcheck
					if r.closes {
						p.Close()
					}
				}()
				req := r.req()
				req.Repeatable = false
				got := do(u, req, from)
				r.check(t, fmt.Sprintf("cut at byte %d", cut), got)
				if kept := u.Stats().Idle == 1; kept != r.keeps && !strings.HasPrefix(r.name, "more than") && !strings.HasPrefix(r.name, "a content where") {
					t.Errorf("cut at byte %d: the connection is kept: %v, want %v", cut, kept, r.keeps)
				}
				u.Close()
				theirs.Close()
				<-done
				if n := u.Stats().Open; n != 0 {
					t.Errorf("cut at byte %d: %d connections are still open", cut, n)
				}
			}
		})
	}
}

// TestFramingOverTCP sends each response whole, and byte by byte.
func TestFramingOverTCP(t *testing.T) {
	from, _ := client(t)
	for _, r := range responses {
		for _, bytewise := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, bytewise %v", r.name, bytewise), func(t *testing.T) {
				s := listen(t, nil).play(func(p *peer) {
					if p.head() == "" {
						return
					}
					if bytewise {
						for i := range r.wire {
							p.Write([]byte{r.wire[i]}) //nolint:errcheck
						}
					} else {
						p.send(r.wire)
					}
					if !r.closes {
						p.ended()
					}
				})
				u := s.pool(Options{})
				r.check(t, "over TCP", do(u, r.req(), from))
				if kept := u.Stats().Idle == 1; kept != r.keeps && !bytewise {
					t.Errorf("the connection is kept: %v, want %v", kept, r.keeps)
				}
			})
		}
	}
}

// TestFramingSwitches has one connection answer with one framing after another.
func TestFramingSwitches(t *testing.T) {
	var kept []response
	for _, r := range responses {
		if r.keeps {
			kept = append(kept, r)
		}
	}
	const n = 300
	var order []response
	var wires []string
	for range n {
		r := kept[rand.IntN(len(kept))]
		order, wires = append(order, r), append(wires, r.wire)
	}
	u := listen(t, nil).play(answers(wires...)).pool(Options{})
	from, _ := client(t)
	for i, r := range order {
		r.check(t, fmt.Sprintf("response %d, %s", i, r.name), do(u, r.req(), from))
	}
	if s := u.Stats(); s.Dials != 1 || s.Reuses != n-1 || s.Stale != 0 {
		t.Errorf("%+v, want one connection for all", s)
	}
}

func TestResponseHeadLimit(t *testing.T) {
	from, _ := client(t)
	const status = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
	for _, limit := range []int{4 << 10, 16 << 10, 64 << 10, 200 << 10} {
		for _, over := range []int{0, 1} {
			size := limit + over
			head := status + "X-Pad: "
			head += strings.Repeat("x", size-len(head)-4) + "\r\n\r\n"
			u := listen(t, nil).play(answers(head+"ok", head+"ok")).pool(Options{MaxHead: limit})
			for range 2 {
				r := do(u, get(), from)
				if over == 0 && (r.err != nil || r.content != "ok") || over > 0 && kind(t, r.err) != Protocol {
					t.Errorf("head of %d bytes, limit %d: %v", size, limit, r)
				}
			}
		}
	}
	endless := listen(t, nil).play(func(p *peer) {
		p.head()
		for {
			if _, err := p.Write([]byte(strings.Repeat("x", 4096))); err != nil {
				return
			}
		}
	})
	if r := do(endless.pool(Options{MaxHead: 32 << 10}), get(), from); kind(t, r.err) != Protocol {
		t.Errorf("a head without end: %v", r)
	}
}

type refusing struct{}

func (refusing) Interim(*wire.ResponseHead) error { return errors.New("gone") }
func (refusing) Continue() error                  { return errors.New("gone") }

func TestInterims(t *testing.T) {
	from, _ := client(t)
	many := strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", maxInterims)
	u := listen(t, nil).play(answers(many)).pool(Options{})
	if r := do(u, get(), from); kind(t, r.err) != Protocol || len(r.interims) != maxInterims {
		t.Errorf("%d interim responses: %v", maxInterims, r)
	}

	u = listen(t, nil).play(answers("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")).pool(Options{})
	var a Attempt
	if err := a.Do(u, get(), from, refusing{}); kind(t, err) != ClientLeft {
		t.Errorf("an interim response that the client did not take: %v", err)
	}
	a.Close(from)
	if n := u.Stats().Open; n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

func TestPiecesAreHandedOutAsTheyCome(t *testing.T) {
	s := listen(t, nil)
	u := s.pool(Options{})
	from, _ := client(t)
	next := make(chan string)
	s.play(func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for piece := range next {
			p.send(piece)
		}
	})
	var a Attempt
	defer a.Close(from)
	if err := a.Do(u, get(), from, &interims{}); err != nil {
		t.Fatal(err)
	}
	for i := range 10 { // the next is sent only when this one has been seen
		want := fmt.Sprint("piece ", i)
		next <- fmt.Sprintf("%x\r\n%s\r\n", len(want), want)
		got := ""
		for got != want {
			piece, err := a.Next()
			if err != nil {
				t.Fatal(err)
			}
			got += string(piece)
		}
	}
	next <- "0\r\n\r\n"
	var r result
	if r.rest(&a); r.content != "" || r.err != nil {
		t.Errorf("behind the last piece: %v", r)
	}
	close(next)
}
