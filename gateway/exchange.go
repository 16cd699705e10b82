package gateway

import (
	"encoding/hex"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/gateway/blame"
	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/inbound"
	"github.com/breakwater-gateway/breakwater/gateway/route"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// An exchange is one client request with all that is decided about it. It is pooled: everything in it is reset or
// overwritten by begin.
type exchange struct {
	g    *Gateway
	from *inbound.Conn
	conn *conn.Accepted // from's
	snap *snapshot
	view *flags.View

	began   time.Time
	limit   time.Time // when it must be over; zero: never
	id      string
	idBytes [32]byte
	peer    netip.AddrPort

	in      wire.RequestHead // the client's request, never changed
	route   *boundRoute
	params  route.Params
	client  *admit.Client // nil: nobody in particular
	subject flags.Subject
	modes   []flags.Mode // of the route's steps, answered once
	ticket  admit.Ticket

	draft   draft // the attempt's derived request and response
	shadow  draft // the copy that a step in observe mode works on
	request requestContent
	reply   responseContent
	ledger  blame.Ledger
	attempt upstream.Attempt
	sending upstream.Request
	tries   tries

	out       []byte // on its way to the client
	headOut   []byte // the head for the upstream
	scratch   []byte
	headSent  bool   // the client has, or may have, the beginning of the response
	untilEnd  bool   // its content ends with the connection
	closing   bool   // the client's connection ends with this response
	cut       bool   // the response broke off
	continued bool   // the client does not wait to be told to go on with its content
	upgrade   []byte // the protocols that the client asks for and the route allows
	sent      int64  // bytes of content sent to the client

	answer answer
}

// An answer is what an exchange comes to: what is accounted and logged.
type answer struct {
	status  int         // that the client got, 0 if none
	problem *problem    // of ours; nil if the answer is another's
	verdict abi.Verdict // of the last word on the response
	reason  abi.Reason
	by      string // the step that judged, or ""
	finding blame.Finding
	settled bool
	err     error
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// begin pins a request of from's to the snapshot and the flags of this moment. It returns nil when the gateway has been closed.
func (g *Gateway) begin(from *inbound.Conn) *exchange {
	snap, view := g.pin()
	if snap == nil {
		from.End()
		return nil
	}
	x := exchanges.Get().(*exchange)
	x.g, x.from, x.conn, x.snap, x.view = g, from, from.Accepted, snap, view
	x.began, x.limit = time.Now(), time.Time{}
	x.route, x.client, x.ticket = nil, nil, admit.Ticket{}
	x.modes = x.modes[:0]
	x.headSent, x.untilEnd, x.closing, x.cut, x.continued, x.sent = false, false, false, false, false, 0
	x.upgrade = nil
	x.answer = answer{}
	x.out, x.headOut = x.out[:0], x.headOut[:0]
	x.draft.reset()
	x.request.reset()
	x.reply.reset()
	x.tries.reset()
	x.ledger.Reset()
	x.peer = netip.AddrPort{}
	if tcp, ok := from.RemoteAddr().(*net.TCPAddr); ok {
		x.peer = tcp.AddrPort()
		x.peer = netip.AddrPortFrom(x.peer.Addr().Unmap(), x.peer.Port())
	}
	return x
}

// pin holds the snapshot of this moment, if there is one, with the flags that answer its gates: they are taken while it is still
// in force.
func (g *Gateway) pin() (*snapshot, *flags.View) {
	for {
		s := g.snapshot.Load()
		if s == nil {
			return nil, nil
		}
		if !s.retain() {
			continue
		}
		if view := g.view(); g.snapshot.Load() == s {
			return s, view
		}
		s.release()
	}
}

// release gives x back. Nothing that it lent is used any more.
func (x *exchange) release() {
	snap := x.snap
	x.from, x.conn, x.snap, x.view = nil, nil, nil, nil
	snap.release()
	x.client, x.route, x.upgrade = nil, nil, nil
	x.draft.request, x.draft.response = nil, nil
	x.request.x = nil
	x.reply.attempt = nil
	x.answer = answer{}
	for _, b := range []*[]byte{
		&x.out, &x.headOut, &x.scratch, &x.draft.arena, &x.shadow.arena,
		&x.request.ahead, &x.reply.ahead, &x.reply.start, &x.reply.decoded,
	} {
		if cap(*b) > maxKept {
			*b = nil
		}
	}
	exchanges.Put(x)
}

// maxKept is how large a buffer may be that a pooled exchange keeps.
const maxKept = 256 << 10

// maxRequestID is how long a client's own request id may be.
const maxRequestID = 64

// identify gives x its id: the client's own where that is a token of bounded length, else a new one.
func (x *exchange) identify() {
	for i := range x.in.Fields {
		if f := &x.in.Fields[i]; f.Known == wire.RequestID && len(f.Value) <= maxRequestID && wire.IsToken(f.Value) {
			x.id = string(f.Value)
			return
		}
	}
	var b [16]byte
	for i, n := range [2]uint64{rand.Uint64(), rand.Uint64()} {
		for j := range 8 {
			b[i*8+j] = byte(n >> (8 * j))
		}
	}
	hex.Encode(x.idBytes[:], b[:])
	x.id = bytesToString(x.idBytes[:])
}

// Attribute implements [config.Values].
func (x *exchange) Attribute(name string) (string, bool) {
	if x.client == nil {
		return "", false
	}
	v, ok := x.client.Attributes[name]
	return v, ok
}

// PathParam implements [config.Values].
func (x *exchange) PathParam(name string) ([]byte, bool) {
	v := x.params.Get(name)
	return v, v != nil
}

// Secret implements [config.Values].
func (x *exchange) Secret(name string) (string, bool) {
	if x.client == nil {
		return "", false
	}
	v, ok := x.client.Secrets[name]
	return v.Reveal(), ok
}
