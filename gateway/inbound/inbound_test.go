package inbound

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

const patience = 20 * time.Second

// accept returns a connection as the gateway has it, and the client's end of it.
func accept(t *testing.T, o Options) (*Conn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client.SetDeadline(time.Now().Add(patience)) //nolint:errcheck
	a, err := (&conn.Listener{Listener: ln}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); a.Close() })
	return New(conn.Of(a), &o), client.(*net.TCPConn)
}

// next reads a request: its head, and its content as the head frames it.
func next(c *Conn) (head, content, trailers string, err error) {
	b, err := c.Next(time.Now())
	if err != nil {
		return "", "", "", err
	}
	head = string(b)
	var h wire.RequestHead
	if err := h.Parse(b); err != nil {
		return head, "", "", err
	}
	c.Begin(h.Framing, h.Length)
	all, err := io.ReadAll(c)
	return head, string(all), string(c.Trailers()), err
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

func post(fields, content string) string {
	return "POST / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n\r\n" + content
}

// TestRequests has requests come in one piece, and cut in two at each byte.
func TestRequests(t *testing.T) {
	long := strings.Repeat("x", 3*firstBuffer)
	tests := []struct {
		name, sends string
		want        []string // head, content, trailers; each request's
	}{
		{"one", get("/"), []string{get("/"), "", ""}},
		{"two, one behind the other", get("/a") + get("/b"), []string{get("/a"), "", "", get("/b"), "", ""}},
		{"an empty line before a request is passed over", "\r\n" + get("/a") + "\r\n\r\n" + get("/b"), []string{get("/a"), "", "", get("/b"), "", ""}},
		{"a content of a length", post("Content-Length: 5", "hello") + get("/"), []string{post("Content-Length: 5", ""), "hello", "", get("/"), "", ""}},
		{"a content of no bytes", post("Content-Length: 0", "") + get("/"), []string{post("Content-Length: 0", ""), "", "", get("/"), "", ""}},
		{
			"chunks", post("Transfer-Encoding: chunked", "2\r\nhe\r\n3 ; a=\"b\"\r\nllo\r\n0\r\n\r\n") + get("/"),
			[]string{post("Transfer-Encoding: chunked", ""), "hello", "\r\n", get("/"), "", ""},
		},
		{
			"a trailer section", post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\nSet-Cookie: a\r\nX: 1\r\n\r\n") + get("/"),
			[]string{post("Transfer-Encoding: chunked", ""), "hello", "Set-Cookie: a\r\nX: 1\r\n\r\n", get("/"), "", ""},
		},
		{
			"a content that looks like a request", post(fmt.Sprintf("Content-Length: %d", len(get("/evil"))), get("/evil")) + get("/"),
			[]string{post(fmt.Sprintf("Content-Length: %d", len(get("/evil"))), ""), get("/evil"), "", get("/"), "", ""},
		},
		{"a head larger than the first buffer", get("/"+long) + get("/b"), []string{get("/" + long), "", "", get("/b"), "", ""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			step := 1 + len(test.sends)/500
			for cut := 0; cut < len(test.sends); cut += step {
				c, client := accept(t, Options{MaxHead: 16 << 10})
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					io.WriteString(client, test.sends[:cut]) //nolint:errcheck // the reader notices
					io.WriteString(client, test.sends[cut:]) //nolint:errcheck
				}()
				var got []string
				for range len(test.want) / 3 {
					head, content, trailers, err := next(c)
					if err != nil || !c.Done() || !c.Skip() {
						t.Fatalf("cut at byte %d: %v after %q", cut, err, got)
					}
					got = append(got, head, content, trailers)
				}
				if fmt.Sprint(got) != fmt.Sprint(test.want) {
					t.Errorf("cut at byte %d: got %q, want %q", cut, got, test.want)
				}
				<-sent
				client.Close()
				if _, err := c.Next(time.Now()); err != ErrOver {
					t.Errorf("cut at byte %d: behind the last: %v", cut, err)
				}
				c.Accepted.Close()
				c.Free()
			}
		})
	}
}

func TestNoRequest(t *testing.T) {
	const soon = 50 * time.Millisecond
	o := Options{MaxHead: 8 << 10, HeadTimeout: soon, IdleTimeout: soon}
	long := strings.Repeat("x", 8<<10)
	tests := []struct {
		name, sends string
		ends        bool // the client ends its side then
		want        error
	}{
		{"a client that says nothing", "", false, ErrOver},
		{"a client that leaves", "", true, ErrOver},
		{"half a head", "GET / HTTP/1.1\r\nHost", false, ErrTimeout},
		{"a client that leaves in the middle of a head", "GET / HTTP/1.1\r\nHost", true, conn.ErrEnd},
		{"empty lines only", "\r\n\r\n\r\n", false, ErrOver},
		{"half a head behind empty lines", "\r\n\r\nGET / HT", false, ErrTimeout},
		{"a line without end", "GET /" + long, false, ErrLine},
		{"a line of the limit's length", "GET /" + long[:8<<10-16] + " HTTP/1.1\r\n\r\n", false, ErrHead},
		{"empty lines without end", strings.Repeat("\r\n", 8<<10), false, ErrHead},
		{"fields without end", "GET / HTTP/1.1\r\nX: " + long, false, ErrHead},
		{"a head above the limit that came at once", "GET / HTTP/1.1\r\nX: " + long[:8<<10-16] + "\r\n\r\n" + long, false, ErrHead},
		{"a line that ends in LF alone", "GET / HTTP/1.1\nHost: h\r\n", false, ErrBareLF},
		{"LF alone", "\n", false, ErrBareLF},
	}
	for _, test := range tests {
		for _, behind := range []string{"", get("/"), post("Content-Length: 1", "x"), post("Transfer-Encoding: chunked", "1\r\nx\r\n0\r\n\r\n")} {
			t.Run(fmt.Sprintf("%s, behind %.4q", test.name, behind), func(t *testing.T) {
				t.Parallel()
				c, client := accept(t, o)
				io.WriteString(client, behind+test.sends) //nolint:errcheck // the reader notices
				if behind != "" {
					if _, _, _, err := next(c); err != nil {
						t.Fatal(err)
					}
				}
				if test.ends {
					client.CloseWrite() //nolint:errcheck
				}
				if head, err := c.Next(time.Now()); !errors.Is(err, test.want) {
					t.Errorf("got %q, %v, want %v", head, err, test.want)
				}
			})
		}
	}
}

// TestContentThatIsNotWhole ends the connection, or breaks the framing, within a content: it never ends like a whole one.
func TestContentThatIsNotWhole(t *testing.T) {
	const chunked = "2\r\nhe\r\n3\r\nllo\r\n0\r\nX: 1\r\n\r\n"
	for _, whole := range []string{post("Content-Length: 5", "hello"), post("Transfer-Encoding: chunked", chunked)} {
		start := strings.Index(whole, "\r\n\r\n") + 4
		for cut := start; cut < len(whole); cut++ {
			c, client := accept(t, Options{MaxHead: 8 << 10})
			io.WriteString(client, whole[:cut]) //nolint:errcheck // the reader notices
			client.CloseWrite()                 //nolint:errcheck
			if _, content, _, err := next(c); !errors.Is(err, conn.ErrEnd) {
				t.Errorf("%q: content %q, %v", whole[start:cut], content, err)
			}
			if c.Done() || c.Skip() {
				t.Errorf("%q: another request may follow", whole[start:cut])
			}
			client.Close()
			c.Accepted.Close()
		}
	}
	for _, wrong := range []string{"x\r\n", "5\r\nhello!", "5\nhello", "0\r\nX: 1\n\r\n"} {
		c, client := accept(t, Options{MaxHead: 8 << 10})
		io.WriteString(client, post("Transfer-Encoding: chunked", wrong)) //nolint:errcheck
		client.CloseWrite()                                               //nolint:errcheck
		if _, _, _, err := next(c); err == nil || errors.Is(err, conn.ErrEnd) {
			t.Errorf("%q: %v", wrong, err)
		}
		if c.Skip() {
			t.Errorf("%q: another request may follow", wrong)
		}
	}
}

func TestContentOfWhichNobodySpoke(t *testing.T) {
	c, client := accept(t, Options{MaxHead: 8 << 10})
	io.WriteString(client, post("Content-Length: 5", "hello")+get("/")) //nolint:errcheck // the reader notices
	if _, err := c.Next(time.Now()); err != nil {
		t.Fatal(err)
	}
	if c.Skip() {
		t.Error("what follows may be its content")
	}
}

func TestContentThatIsSkipped(t *testing.T) {
	c, client := accept(t, Options{MaxHead: 8 << 10})
	large := strings.Repeat("x", 100<<10)
	go io.WriteString(client, post(fmt.Sprintf("Content-Length: %d", len(large)), large)+get("/next")) //nolint:errcheck // the reader notices
	if _, err := c.Next(time.Now()); err != nil {
		t.Fatal(err)
	}
	c.Begin(wire.Length, int64(len(large)))
	if !c.Skip() {
		t.Fatal("not skipped")
	}
	if head, _, _, err := next(c); head != get("/next") || err != nil {
		t.Errorf("got %q, %v", head, err)
	}
}

// TestMuchBehindAContent has more follow the last chunk than the buffer that holds the head has room for.
func TestMuchBehindAContent(t *testing.T) {
	c, client := accept(t, Options{MaxHead: 64 << 10})
	first, last := post("Transfer-Encoding: chunked", ""), get("/"+strings.Repeat("y", 2*firstBuffer))
	go io.WriteString(client, first+"5\r\nhello\r\n0\r\n\r\n"+last) //nolint:errcheck // the reader notices
	head, err := c.Next(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.Begin(wire.Chunked, -1)
	big := make([]byte, 1<<20)
	var content []byte
	for !c.Done() {
		n, err := c.Read(big)
		if content = append(content, big[:n]...); err != nil && err != io.EOF {
			t.Fatal(err)
		}
	}
	if string(content) != "hello" || string(head) != first {
		t.Errorf("content %q behind %q", content, head)
	}
	if head, _, _, err := next(c); head != last || err != nil {
		t.Errorf("got %d bytes, %v", len(head), err)
	}
}

func TestAnotherProtocol(t *testing.T) {
	c, client := accept(t, Options{MaxHead: 8 << 10})
	io.WriteString(client, get("/")+"what") //nolint:errcheck // the reader notices
	if _, err := c.Next(time.Now()); err != nil {
		t.Fatal(err)
	}
	c.Begin(wire.UntilClose, -1)
	io.WriteString(client, "ever") //nolint:errcheck
	client.CloseWrite()            //nolint:errcheck
	if all, err := io.ReadAll(c); string(all) != "whatever" || err != conn.ErrEnd {
		t.Errorf("got %q, %v", all, err)
	}
	if c.Skip() {
		t.Error("it speaks HTTP again")
	}
}

func TestIdleConnectionHoldsLittle(t *testing.T) {
	c, client := accept(t, Options{MaxHead: 1 << 20})
	io.WriteString(client, get("/"+strings.Repeat("x", 100<<10))) //nolint:errcheck // the reader notices
	if _, _, _, err := next(c); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if _, err := c.Next(time.Now()); err != ErrOver {
		t.Fatal(err)
	}
	if len(c.buf) > firstBuffer {
		t.Errorf("it holds %d bytes while it is idle", len(c.buf))
	}
}
