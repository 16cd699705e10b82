package gateway

import (
	"errors"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/valyala/fasthttp"
)

// A client may ask for another protocol on its connection, WebSocket mostly (9110 7.8). Where the route allows it, the upstream is
// asked; if that agrees, the handshake ends like any other response, steps and verdict included, and from then on bytes
// go both ways as they come, until both sides have ended or nothing has come for the time that a body may pause.

const connectionUpgrade = "Connection: Upgrade\r\n"

// askUpgrade finds which of the protocols that the client asks for the route allows. HTTP/1.0 knows no upgrade, and one with
// content in its way is not offered; nor is it if that content is a step's, see forward.
func (x *exchange) askUpgrade() {
	if x.in.Minor == 0 || x.in.Framing != wire.NoBody {
		return
	}
	d := &x.draft
	start := len(d.arena)
	for i := range x.in.Fields {
		f := &x.in.Fields[i]
		if f.Known != wire.Upgrade {
			continue
		}
		for protocol := range wire.Elements(f.Value) {
			if !x.allowsUpgrade(protocol) {
				continue
			}
			if len(d.arena) > start {
				d.arena = append(d.arena, ", "...)
			}
			d.arena = append(d.arena, protocol...)
		}
	}
	if len(d.arena) > start {
		x.upgrade = d.arena[start:len(d.arena):len(d.arena)]
	}
}

func (x *exchange) allowsUpgrade(protocol []byte) bool {
	for _, allowed := range x.route.upgrades {
		if wire.EqualFold(protocol, allowed) {
			return true
		}
	}
	return false
}

// switched reports whether the upstream has agreed to another protocol.
func (x *exchange) switched() bool { return x.attempt.Head.Status == fasthttp.StatusSwitchingProtocols }

// tunnel ends the handshake and then passes on what either side says. It returns when both have ended. If one way fails, the other
// is of no use any more, and both sides see that they were cut. That is no failure of the request, which has had its answer.
func (x *exchange) tunnel() {
	x.settle()
	x.appendSwitch()
	x.answer.status, x.headSent, x.untilEnd = fasthttp.StatusSwitchingProtocols, true, true
	x.closing = true
	x.from.End()
	t := x.attempt.Tunnel()
	x.conn.Unwatch() // both sides are read from here on: a client may end its way as soon as it has the 101
	x.conn.KeepHalfClosed(true)
	if !x.flush() {
		t.Abort()
		return
	}
	x.conn.SetLimit(time.Time{})
	t.Socket().SetLimit(time.Time{})
	x.from.Begin(wire.UntilClose, -1)
	p := &pipes{client: x.conn.Socket, upstream: t.Socket(), idle: x.route.bodyIdle}
	p.moved()
	up := make(chan error, 1)
	go func() {
		err := p.pass(t, x.from, p.client)
		if err == nil { // nobody reads the client any more, and it may leave all the same
			x.conn.Watch(p.upstream)
		}
		up <- err
	}()
	down := &toClient{to: x.conn}
	err := p.pass(down, t, p.upstream)
	if other := <-up; err != nil || other != nil {
		x.cutOff()
		t.Abort()
		for _, err := range []error{err, other} {
			if p, ok := err.(*upstream.Panic); ok {
				x.g.broke(x.id, p.Value, p.Stack)
			}
		}
	}
	x.sent = down.n
}

// appendSwitch makes the 101 for the client.
func (x *exchange) appendSwitch() {
	d, head := &x.draft, &x.attempt.Head
	b := wire.AppendStatusLine(x.out[:0], head.Status, head.Reason)
	for i := range d.sections[engine.ResponseFields] {
		f := &d.sections[engine.ResponseFields][i]
		if f.Known != wire.ContentLength && f.Known != wire.RequestID {
			b = wire.AppendField(b, f.Name, f.Value)
		}
	}
	for i := range head.Fields {
		if f := &head.Fields[i]; f.Known == wire.Upgrade {
			b = wire.AppendField(b, f.Name, f.Value)
		}
	}
	b = append(b, connectionUpgrade...)
	b = appendVia(b, head.Minor)
	b = wire.AppendField(b, wire.RequestID.String(), x.id)
	x.out = append(b, "\r\n"...)
}

// pipes are the two ways of a tunnel. Neither ends for idleness while the other is in use.
type pipes struct {
	client, upstream *conn.Socket
	idle             time.Duration // 0: for ever
	last             atomic.Int64  // when something came last, in Unix nanoseconds
}

func (p *pipes) moved() { p.last.Store(time.Now().UnixNano()) }

// until is when the tunnel has been idle for too long.
func (p *pipes) until() time.Time { return time.Unix(0, p.last.Load()).Add(p.idle) }

// pass passes on what from says until it ends, and then says so. If it cannot, it breaks into the other way. s is where from's
// bytes come in, below what was read ahead and below TLS: the deadlines are its own. A panic costs this tunnel only.
func (p *pipes) pass(to side, from io.Reader, s *conn.Socket) (err error) {
	defer func() {
		if broke := recover(); broke != nil {
			err = &upstream.Panic{Value: broke, Stack: debug.Stack()}
		}
		if err != nil {
			p.client.Interrupt()
			p.upstream.Interrupt()
		}
	}()
	return p.copy(to, from, s)
}

func (p *pipes) copy(to side, from io.Reader, s *conn.Socket) error {
	buf := make([]byte, tunnelBuffer)
	s.SetReadIdle(0)
	for {
		if p.idle > 0 {
			s.SetReadDeadline(p.until()) //nolint:errcheck // the read fails
		} else {
			s.SetReadDeadline(time.Time{}) //nolint:errcheck
		}
		n, err := from.Read(buf)
		if n > 0 {
			p.moved()
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case err == conn.ErrEnd:
			return to.CloseWrite()
		case errors.Is(err, os.ErrDeadlineExceeded) && p.idle > 0 && time.Now().Before(p.until()):
		default:
			return err
		}
	}
}

const tunnelBuffer = 16 << 10

// A side is a side of a tunnel that is written to.
type side interface {
	io.Writer
	CloseWrite() error
}

// toClient writes to a client and counts what it is sent.
type toClient struct {
	to *conn.Accepted
	n  int64
}

func (c *toClient) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *toClient) CloseWrite() error { return c.to.CloseWrite() }

var _ side = (*upstream.Tunnel)(nil)
