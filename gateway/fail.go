package gateway

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/inbound"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/valyala/fasthttp"
)

// fail answers a request whose attempt came to nothing.
func (x *exchange) fail(err error) {
	x.answer.err = err
	var e *upstream.Error
	if !errors.As(err, &e) {
		panic("BUG: an attempt failed with " + err.Error())
	}
	x.attempt.Close(x.conn) // nobody reads the client's content from here on
	x.answer.verdict = verdictOf(e)
	switch e.Kind {
	case upstream.Connect, upstream.Cut:
		x.refuse(&problemUpstream, fasthttp.StatusBadGateway, "the upstream "+x.route.upstreamName+" gave no response")
	case upstream.Protocol:
		x.refuse(&problemUpstream, fasthttp.StatusBadGateway, "the upstream "+x.route.upstreamName+" gave a response that is not HTTP")
	case upstream.Timeout:
		x.refuse(&problemTimeout, fasthttp.StatusGatewayTimeout, "the upstream "+x.route.upstreamName+" did not respond in time")
	case upstream.Busy:
		x.refuseLater(&problemBusy, fasthttp.StatusServiceUnavailable, time.Second,
			"too many requests are under way to the upstream "+x.route.upstreamName)
	case upstream.Unhealthy:
		x.refuse(&problemUnhealthy, fasthttp.StatusServiceUnavailable, "no endpoint of the upstream "+x.route.upstreamName+" is fit to be asked")
	case upstream.Resting:
		x.refuseLater(&problemResting, fasthttp.StatusServiceUnavailable, e.After,
			"the upstream "+x.route.upstreamName+" has failed too often and is given a rest")
	case upstream.ClientLeft:
		x.leave()
	case upstream.ClientBody:
		x.failContent(err)
	case upstream.Broken:
		x.closing = true
		x.refuse(&problemBroken, fasthttp.StatusInternalServerError, "the gateway failed on this request")
	}
}

// failContent answers a request whose content could not be read to its end.
func (x *exchange) failContent(err error) {
	x.answer.err, x.closing = err, true
	switch {
	case errors.Is(err, errBodyLimit):
		x.refuse(&problemTooLarge, fasthttp.StatusRequestEntityTooLarge, "the content is larger than this route takes")
	case errors.Is(err, os.ErrDeadlineExceeded):
		x.refuse(&problemSlow, fasthttp.StatusRequestTimeout, "the content did not arrive in time")
	case errors.As(err, new(*inbound.MalformedError)):
		x.refuse(&problemMalformed, fasthttp.StatusBadRequest, "the content is not what its framing says")
	default:
		x.leave() // the connection has ended
	}
}

// leave ends an exchange whose client is gone.
func (x *exchange) leave() {
	x.answer.verdict = aborted
	x.cutOff()
}

// panicked answers, as far as that is still possible, a request in which something of ours broke.
func (x *exchange) panicked() {
	x.attempt.Close(x.conn) // nobody reads the client's content from here on
	x.closing = true
	x.from.End()
	x.answer.verdict = broken
	if x.headSent {
		x.cutOff()
		return
	}
	x.out = x.out[:0]
	x.refuse(&problemBroken, fasthttp.StatusInternalServerError, "the gateway failed on this request")
}

// unread answers a request whose head did not come whole, as far as there was one.
func (g *Gateway) unread(from *inbound.Conn, err error) {
	p, status := &problemMalformed, fasthttp.StatusBadRequest
	switch err {
	case inbound.ErrTimeout:
		p, status = &problemSlow, fasthttp.StatusRequestTimeout
	case inbound.ErrLine:
		p, status = &problemTooLarge, fasthttp.StatusRequestURITooLong
	case inbound.ErrHead:
		p, status = &problemTooLarge, fasthttp.StatusRequestHeaderFieldsTooLarge
	case inbound.ErrBareLF:
	default:
		return // nobody is there any more
	}
	x := g.begin(from)
	if x == nil {
		return
	}
	var ended time.Time
	defer g.finish(x, &ended)
	x.forget()
	x.identify()
	x.closing = true
	x.conn.Linger()
	x.refuse(p, status, err.Error())
}

// survive has a panic outside of every request cost that connection only.
func (g *Gateway) survive() {
	if p := recover(); p != nil {
		g.broke("", p, debug.Stack())
	}
}

// abandon lets go of an exchange that panicked while it was concluded. Its parts may be in any state and are not used again.
func (g *Gateway) abandon(x *exchange) {
	p := recover()
	if p == nil {
		return
	}
	g.broke(x.id, p, debug.Stack())
	defer func() {
		if p := recover(); p != nil {
			g.broke(x.id, p, debug.Stack())
		}
		if x.snap != nil {
			x.snap.release()
		}
	}()
	if x.from != nil {
		x.from.End()
		x.attempt.Close(x.conn)
	}
}

// broke counts a panic and says where it was.
func (g *Gateway) broke(request string, p any, stack []byte) {
	g.panics.Inc()
	g.log.Error("panic while serving a request", "request", request, "panic", fmt.Sprint(p), "stack", string(stack))
}
