package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const (
	smallBuffer = 8 << 10  // what a connection begins with: enough for a head and a small body
	largeBuffer = 64 << 10 // what it grows to for a large head or upload, and the limit of a head
	maxLine     = 8 << 10  // of a chunk size or a trailer
)

var (
	errPeerLeft = errors.New("the peer left")
	errCut      = errors.New("cut by a scenario")
	errHeadSize = errors.New("head of more than 65536 bytes")
)

// A conn is one accepted connection. Its goroutine reads, answers and writes; nothing else touches it but simulator.run, which
// closes it, and the watcher of wait, which is joined before wait returns.
type conn struct {
	sim *simulator
	tcp *net.TCPConn
	nc  net.Conn // tcp, or TLS over it
	id  uint64

	in   []byte // received and not yet consumed: in[r:w]
	r, w int
	out  []byte // to be sent

	head   []byte // of the request being served: x.req points into it
	number int    // of the request being served, from 1
	random uint64 // state of the ids that this connection makes up
	close  bool   // after this exchange
	x      exchange
}

func newConn(s *simulator, tcp *net.TCPConn, id uint64) *conn {
	c := &conn{sim: s, tcp: tcp, nc: tcp, id: id, in: make([]byte, smallBuffer), random: mix(s.seed) ^ mix(id<<20)}
	c.x.c, c.x.sim = c, s
	c.x.wire.x, c.x.body.c = &c.x, c
	return c
}

// serve answers requests until either side ends the connection.
func (c *conn) serve() {
	if !c.sim.scenarios.accept(c) {
		return
	}
	if c.sim.tls != nil {
		t := tls.Server(c.tcp, c.sim.tls)
		c.nc = t
		if err := t.Handshake(); err != nil {
			return
		}
	}
	for !c.close {
		if err := c.readHead(); err != nil {
			if err != io.EOF {
				c.refuseHead(err)
			}
			break
		}
		c.number++
		if err := c.x.serve(); err != nil {
			if errors.Is(err, errCut) {
				c.linger() // after a reset it ends at once
			}
			return
		}
	}
	if t, ok := c.nc.(*tls.Conn); ok {
		t.CloseWrite()
	}
	c.linger()
}

// linger closes so that the peer can read what was sent: closing with unread input would reset the connection.
func (c *conn) linger() {
	c.tcp.CloseWrite()
	c.tcp.SetReadDeadline(time.Now().Add(time.Second))
	for range 64 { // of largeBuffer at most
		if _, err := c.tcp.Read(c.in); err != nil {
			return
		}
	}
}

// reset ends the connection with a TCP reset.
func (c *conn) reset() {
	c.tcp.SetLinger(0)
	c.tcp.Close()
}

// readHead moves the next request's head to c.head. io.EOF is a clean end between requests.
func (c *conn) readHead() error {
	for seen := 0; ; {
		for c.w-c.r >= 2 && c.in[c.r] == '\r' && c.in[c.r+1] == '\n' && seen == 0 {
			c.r += 2 // empty lines before a request are to be ignored
		}
		got := c.in[c.r:c.w]
		if i := bytes.Index(got[seen:], []byte("\r\n\r\n")); i >= 0 {
			n := seen + i + 4
			c.head = append(c.head[:0], got[:n]...)
			c.r += n
			return nil
		}
		c.head = append(c.head[:0], got...) // what refuseHead records
		if bytes.Contains(got, []byte("\n\n")) {
			return errors.New("line ended by a bare LF")
		}
		if len(got) >= largeBuffer {
			return errHeadSize
		}
		seen = max(0, len(got)-3)
		if err := c.fill(); err != nil {
			if err == io.EOF && len(got) > 0 {
				return io.ErrUnexpectedEOF
			}
			if len(got) == 0 {
				return io.EOF // reset while idle: nothing was lost
			}
			return err
		}
	}
}

// fill reads once, for at least one more byte. It moves what is buffered to the front and grows the buffer when it is full.
func (c *conn) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(c.in) {
		if c.r == 0 {
			if len(c.in) >= largeBuffer {
				panic("BUG: fill on a full buffer")
			}
			c.in = append(make([]byte, 0, largeBuffer), c.in...)[:largeBuffer]
		}
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	n, err := c.nc.Read(c.in[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}

// line consumes one line, without its CRLF.
func (c *conn) line() ([]byte, error) {
	for {
		got := c.in[c.r:c.w]
		if i := bytes.IndexByte(got, '\n'); i >= 0 {
			if i == 0 || got[i-1] != '\r' {
				return nil, fmt.Errorf("%w: line ended by a bare LF", errMalformed)
			}
			c.r += i + 1
			return got[:i-1], nil
		}
		if len(got) >= maxLine {
			return nil, fmt.Errorf("%w: line of more than 8192 bytes", errMalformed)
		}
		if err := c.fill(); err != nil {
			return nil, eofIsUnexpected(err)
		}
	}
}

// wait returns nil when ready is closed or has a value, errPeerLeft when the peer leaves before. While nothing is buffered a
// goroutine watches for that; it is joined before wait returns.
func (c *conn) wait(ready <-chan struct{}) error {
	if c.r < c.w { // pipelined, or a body not yet read: a peer's end can't be seen behind it
		select {
		case <-ready:
			return nil
		case <-c.sim.closing:
			return errPeerLeft
		}
	}
	watched := make(chan error, 1)
	go func() { watched <- c.fill() }()
	select {
	case <-ready:
		c.tcp.SetReadDeadline(time.Unix(1, 0))
		err := <-watched
		c.tcp.SetReadDeadline(time.Time{})
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		return errPeerLeft
	case err := <-watched:
		if err != nil {
			return errPeerLeft
		}
		return c.wait(ready)
	}
}

// pause waits for d, or until the peer leaves.
func (c *conn) pause(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	ready := make(chan struct{})
	t := time.AfterFunc(d, func() { close(ready) })
	defer t.Stop()
	return c.wait(ready)
}

// refuseHead answers what is no request, and ends the connection.
func (c *conn) refuseHead(err error) {
	c.number++
	c.x.req = request{}
	c.x.begin()
	c.x.rec = c.sim.received.add(c, c.head)
	c.x.problem(err)
	c.x.end(c.x.wire.deliver())
}

func eofIsUnexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// mix spreads the bits of n (splitmix64).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
