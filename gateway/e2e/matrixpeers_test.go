package e2e

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
)

// An end is one end of a connection that is about to do something wrong.
type end struct {
	raw    *net.TCPConn
	stream net.Conn // raw, or TLS over it
	r      *bufio.Reader
}

func newEnd(raw net.Conn, over func(net.Conn) *tls.Conn) *end {
	raw.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // of TCP it has deadlines
	e := &end{raw: raw.(*net.TCPConn), stream: raw}
	if over != nil {
		e.stream = over(conn.NewSocket(raw))
	}
	e.r = bufio.NewReader(e.stream)
	return e
}

// play sends what is to be sent, with a fault at byte n unless f is "". It reports whether the connection goes on. What
// cannot be sent is not looked at: whoever does not read it any more has said why, or will.
func (e *end) play(wire string, f fault, n int) (goesOn bool) {
	switch f {
	case "":
		io.WriteString(e.stream, wire) //nolint:errcheck
		return true
	case fDrip:
		io.WriteString(e.stream, wire[:n]) //nolint:errcheck
		for ; n < len(wire); n++ {
			runtime.Gosched()
			io.WriteString(e.stream, wire[n:n+1]) //nolint:errcheck
		}
		return true
	case fGarbage:
		io.WriteString(e.stream, wire[:n]+"\x00"+wire[min(n+1, len(wire)):]) //nolint:errcheck
		return true
	}
	io.WriteString(e.stream, wire[:n]) //nolint:errcheck
	switch f {
	case fReset:
		e.raw.SetLinger(0) //nolint:errcheck
		e.raw.Close()      //nolint:errcheck
	case fNotify:
		e.stream.(*tls.Conn).CloseWrite() //nolint:errcheck
		e.raw.CloseWrite()                //nolint:errcheck
	case fEnd:
		e.raw.CloseWrite() //nolint:errcheck
	case fBelow:
		io.WriteString(e.raw, "this is no record") //nolint:errcheck
	}
	return false
}

// A receipted is a request that has reached the upstream whole.
type receipted struct {
	content  string
	trailers []string
}

// A partnerInside answers the cases of a matrix as they say.
type partnerInside struct {
	m      *matrix
	ln     net.Listener
	over   func(net.Conn) *tls.Conn
	served sync.WaitGroup
}

func (m *matrix) partner(config *tls.Config) *partnerInside {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.t.Fatal(err)
	}
	p := &partnerInside{m: m, ln: ln}
	if config != nil {
		p.over = func(c net.Conn) *tls.Conn { return tls.Server(c, config) }
	}
	p.served.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.served.Go(func() {
				defer c.Close()
				p.serve(newEnd(c, p.over))
			})
		}
	})
	return p
}

func (p *partnerInside) close() {
	p.ln.Close()
	p.served.Wait()
}

func (p *partnerInside) serve(e *end) {
	for {
		e.raw.SetDeadline(time.Now().Add(patience)) //nolint:errcheck
		c, err := p.request(e)
		if err != nil {
			return
		}
		if c.side == reader {
			p.abandoned(e, c)
			return
		}
		f := c.fault
		if c.side != upstream {
			f = ""
		}
		goesOn := e.play(c.transfer.response.wire(), f, c.at)
		if c.transfer.untilClose && goesOn {
			if t, ok := e.stream.(*tls.Conn); ok {
				t.CloseWrite() //nolint:errcheck
			}
			e.raw.CloseWrite() //nolint:errcheck
			goesOn = false
		}
		if !goesOn {
			io.Copy(io.Discard, e.raw) //nolint:errcheck // until the gateway has had enough
			return
		}
	}
}

// abandoned sends the beginning of a response whose reader then leaves, and waits to be told so.
func (p *partnerInside) abandoned(e *end, c *incidence) {
	io.WriteString(e.stream, c.transfer.response.wire()[:c.at]) //nolint:errcheck // then it is over already
	close(c.reached)
	_, err := io.Copy(io.Discard, e.raw)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = errors.Is(err, os.ErrDeadlineExceeded)
}

// request reads a request and finds the case that it belongs to.
func (p *partnerInside) request(e *end) (*incidence, error) {
	line, err := readLine(e.r)
	if err != nil {
		return nil, err
	}
	words := strings.Split(line, " ")
	fields := map[string]string{}
	for {
		if line, err = readLine(e.r); err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		k, v, _ := strings.Cut(line, ": ")
		fields[k] = v
	}
	c := p.m.find(words[1])
	if c == nil || len(words) != 3 {
		p.m.t.Errorf("the upstream was asked for %q", words)
		return nil, errors.New("unknown")
	}
	var content message
	switch {
	case fields["Transfer-Encoding"] == "chunked":
		content.readChunks(e.r)
	case fields["Content-Length"] != "":
		n, err := strconv.ParseInt(fields["Content-Length"], 10, 64)
		if err != nil {
			return nil, err
		}
		content.body, content.err = readN(e.r, n)
	}
	if content.err == nil {
		c.mu.Lock()
		c.receipts = append(c.receipts, receipted{string(content.body), content.trailers})
		c.mu.Unlock()
	}
	return c, content.err
}

// meet plays the client of a case, and says what is wrong with what came of it, "" if nothing is.
func (c *incidence) meet(address string, over func(net.Conn) *tls.Conn) (complaint string) {
	raw, err := net.Dial("tcp", address)
	if err != nil {
		return err.Error()
	}
	defer raw.Close()
	e := newEnd(raw, over)
	f := c.fault
	if c.side != client {
		f = ""
	}
	wire := strings.Replace(c.transfer.request.wire(), idPath, c.path(), 1)
	goesOn := e.play(wire, f, c.at)
	if c.side == reader {
		select {
		case <-c.reached:
			goesOn = e.play("", c.fault, 0)
		case <-time.After(patience):
			return "the request did not reach the upstream"
		}
	}
	method, _, _ := strings.Cut(wire, " ")
	m := readMessage(e.r, method)
	if complaint := c.judge(m, method); complaint != "" {
		return complaint
	}
	if !goesOn || m.err != nil || m.field("Connection") == "close" || f == fGarbage && c.at == len(wire) {
		return ""
	}
	// The connection lives on, so it serves another request, and nothing of the first is left on it.
	e.play(c.m.after, "", 0)
	if m := readMessage(e.r, "GET"); m.err != nil || m.status != 200 || string(m.body) != afterwards {
		return fmt.Sprintf("the next request on this connection was answered %v", m)
	}
	return ""
}

const afterwards = "after that"

// judge compares what the client has with what it may have.
func (c *incidence) judge(m message, method string) string {
	a := &c.allowed
	var late net.Error
	switch {
	case errors.Is(m.err, os.ErrDeadlineExceeded) || errors.As(m.err, &late) && late.Timeout():
		return fmt.Sprintf("the client was left waiting with %v", m)
	case m.status == 0 && a.ended:
		return ""
	case m.status == 0:
		return fmt.Sprintf("the client has nothing: %v", m.err)
	case m.field("Content-Type") == "application/problem+json":
		if m.err == nil && slices.Contains(a.problems, m.status) {
			return ""
		}
		return fmt.Sprintf("the client has a problem: %v", m)
	case m.status != 200:
		return fmt.Sprintf("the client has %v", m)
	case m.err != nil && a.cut:
		if a.exact && string(m.body) != a.content || !strings.HasPrefix(a.content, string(m.body)) {
			return fmt.Sprintf("cut, with %d bytes %.200q, want %d", len(m.body), m.body, len(a.content))
		}
		return ""
	case m.err != nil:
		return fmt.Sprintf("cut: %v", m)
	case !a.whole:
		return fmt.Sprintf("whole: %v", m)
	case string(m.body) != a.content || !slices.Equal(m.trailers, c.transfer.down):
		return fmt.Sprintf("whole, but wrong: %d bytes %.200q, trailers %q", len(m.body), m.body, m.trailers)
	}
	return ""
}

// arrived compares what the upstream has with what it may have.
func (c *incidence) arrived() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits {
		return "the upstream still waits for a reader that has left"
	}
	a, n := &c.allowed, len(c.receipts)
	most := 1
	if c.side == upstream && strings.HasPrefix(c.transfer.name, "GET") {
		most = 2 // the connection may have been an old one
	}
	switch {
	case n > 0 && !a.arrives:
		return fmt.Sprintf("the upstream takes a broken request for a whole one: %.200q", c.receipts)
	case n > most:
		return fmt.Sprintf("the upstream got the request %d times", n)
	case n == 0 && a.must && !c.hasty:
		return "the request never reached the upstream"
	}
	for _, r := range c.receipts {
		if r.content != a.received || !slices.Equal(r.trailers, c.transfer.up) {
			return fmt.Sprintf("the upstream got %.200q, want %.200q and trailers %q", r, a.received, c.transfer.up)
		}
	}
	return ""
}

func testingPath(id int) string { return fmt.Sprintf("/c/%06d", id) }
