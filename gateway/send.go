package gateway

import (
	"strconv"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/valyala/fasthttp"
)

// appendRequestHead makes the head for the upstream.
func (x *exchange) appendRequestHead() {
	d := &x.draft
	b := wire.AppendRequestLine(x.headOut[:0], d.method, d.uri)
	b = wire.AppendField(b, "Host", x.route.authority)
	for i := range d.sections[engine.RequestFields] {
		if f := &d.sections[engine.RequestFields][i]; !d.hidden(f.Name) {
			b = wire.AppendField(b, f.Name, f.Value)
		}
	}
	for i := range d.secrets {
		b = wire.AppendField(b, d.secrets[i].Name, d.secrets[i].Value)
	}
	switch {
	case x.sending.Chunks:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case x.request.framing == wire.Length:
		b = appendLength(b, x.request.length)
	}
	if x.sending.Waits {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	if len(x.upgrade) > 0 {
		b = wire.AppendField(b, wire.Upgrade.String(), x.upgrade)
		b = append(b, connectionUpgrade...)
	}
	b = appendVia(b, x.in.Minor)
	b = wire.AppendField(b, wire.RequestID.String(), x.id)
	x.headOut = append(b, "\r\n"...)
}

// appendVia names the gateway to the other side (9110 7.6.3). minor is of the version in which the message came.
func appendVia(b []byte, minor int) []byte {
	b = append(b, "Via: 1."...)
	b = strconv.AppendInt(b, int64(minor), 10)
	return append(b, " breakwater\r\n"...)
}

func appendLength(b []byte, n int64) []byte {
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, n, 10)
	return append(b, "\r\n"...)
}

// Interim forwards a response that comes before the final one. It implements [upstream.Interims].
func (x *exchange) Interim(head *wire.ResponseHead) error {
	if x.in.Minor == 0 {
		return nil // an HTTP/1.0 client cannot take one (9110 15.2)
	}
	if head.Status == fasthttp.StatusContinue && !x.continued { // else the content may be under way, and its goroutine reads this
		x.continued = true
	}
	var hops wire.Hops
	hops.ReadHops(head.Fields)
	b := wire.AppendStatusLine(x.out[:0], head.Status, head.Reason)
	for i := range head.Fields {
		if f := &head.Fields[i]; !hops.Drops(f) && f.Known != wire.ContentLength {
			b = wire.AppendField(b, f.Name, f.Value)
		}
	}
	x.out = append(b, "\r\n"...)
	_, err := x.conn.Write(x.out)
	x.out = x.out[:0]
	return err
}

// outgoing is how a content goes to the client.
type outgoing uint8

const (
	nothing   outgoing = iota
	plain              // as long as its Content-Length says
	chunks             // in chunks
	untilEnd           // until the connection ends: for HTTP/1.0 clients
	discarded          // nowhere: the client has asked with HEAD
)

// appendResponseHead makes the head for the client out of the draft, and says how the content is to follow.
func (x *exchange) appendResponseHead(reason []byte) outgoing {
	d := &x.draft
	length, mode := x.reply.length(), plain
	switch {
	case bodiless(d.status):
		mode = nothing
		if d.status != fasthttp.StatusNotModified {
			length = -1
		}
	case string(x.in.Method) == "HEAD":
		mode = discarded
	case length >= 0 && len(d.sections[engine.ResponseTrailers]) == 0:
	case x.in.Minor > 0:
		mode = chunks
	default:
		mode = untilEnd
		x.closing = true
	}
	b := wire.AppendStatusLine(x.out[:0], d.status, reason)
	date := false
	for i := range d.sections[engine.ResponseFields] {
		f := &d.sections[engine.ResponseFields][i]
		switch f.Known {
		case wire.ContentLength, wire.RequestID:
			continue
		case wire.Trailer:
			if mode != chunks {
				continue
			}
		case wire.Date:
			date = true
		}
		b = wire.AppendField(b, f.Name, f.Value)
	}
	if !date {
		b = wire.AppendField(b, "Date", x.g.dateOf(x.began).date)
	}
	switch {
	case mode == chunks:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case length >= 0:
		b = appendLength(b, length)
	}
	if x.reply.attempt != nil {
		b = appendVia(b, x.attempt.Head.Minor)
	}
	x.out = x.appendLastFields(b)
	return mode
}

// appendLastFields appends what every head of ours to a client ends with.
func (x *exchange) appendLastFields(b []byte) []byte {
	if x.id != "" {
		b = wire.AppendField(b, wire.RequestID.String(), x.id)
	}
	switch {
	case x.closing, x.g.draining.Load():
		x.closing = true
		b = append(b, "Connection: close\r\n"...)
		x.from.End()
	case x.in.Minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

// send sends the response: head and content as they come, nothing held back but the end, before which the response is judged.
func (x *exchange) send() {
	d, r := &x.draft, &x.reply
	var reason []byte
	if r.attempt != nil && d.status == x.attempt.Head.Status {
		reason = x.attempt.Head.Reason
	} else {
		reason = stringToBytes(fasthttp.StatusMessage(d.status))
	}
	if x.in.Continues && !x.continued {
		x.closing = true // the client may send its content all the same, or not
	}
	if x.in.Framing != wire.NoBody && !x.closing && r.attempt != nil && x.attempt.Arrived() && !x.attempt.BodySent(x.conn) {
		x.closing = true // an early answer: the rest of the request's content will not be read
	}
	mode := x.appendResponseHead(reason)
	x.answer.status, x.headSent, x.untilEnd = d.status, true, mode == untilEnd
	for !r.done() {
		if !r.unsent && !x.attempt.Ready() && len(x.out) > 0 && !x.flush() {
			return
		}
		piece, err := r.next()
		x.appendContent(mode, piece)
		if err != nil {
			x.brokeOff(err)
			return
		}
		if !r.done() && len(x.out) > 0 && !x.flush() {
			return
		}
	}
	x.settle()
	if mode == chunks {
		x.out = wire.AppendLastChunk(x.out, x.trailers())
	}
	x.flush()
}

func (x *exchange) appendContent(mode outgoing, piece []byte) {
	switch mode {
	case plain, untilEnd:
		x.out = append(x.out, piece...)
	case chunks:
		x.out = wire.AppendChunk(x.out, piece)
	default:
		return
	}
	x.sent += int64(len(piece))
}

// trailers are the fields behind the content.
func (x *exchange) trailers() []wire.Field {
	d := &x.draft
	if x.reply.attempt != nil {
		d.phase = responding
		d.readTrailers()
	}
	return d.sections[engine.ResponseTrailers]
}

// flush sends what has gathered. A client that cannot be written to has left.
func (x *exchange) flush() bool {
	_, err := x.conn.Write(x.out)
	x.out = x.out[:0]
	if err != nil {
		x.answer.err = err
		x.leave()
		return false
	}
	return true
}

// brokeOff ends a response whose content broke off: what came is passed on, and the client can see that it is not all.
func (x *exchange) brokeOff(err error) {
	x.answer.err = err
	if e, ok := err.(*upstream.Error); ok {
		x.answer.verdict = verdictOf(e)
	}
	x.settle()
	if len(x.out) == 0 || x.flush() {
		x.cutOff()
	}
}

// cutOff ends the client's connection in the middle of whatever was being sent.
func (x *exchange) cutOff() {
	x.cut, x.closing = true, true
	x.from.End()
	if x.untilEnd {
		x.conn.Abort() // FIN would be the end of a whole content
	}
}

// A dated second is a second's time as it is written, made once for all requests of that second.
type dated struct {
	second int64
	date   string // for a Date field (9110 6.6.1)
	stamp  string // for the access log, up to the second
}

func (g *Gateway) dateOf(t time.Time) *dated {
	second := t.Unix()
	if d := g.dated.Load(); d != nil && d.second == second {
		return d
	}
	t = t.UTC()
	d := &dated{second, t.Format("Mon, 02 Jan 2006 15:04:05 GMT"), t.Format("2006-01-02T15:04:05")}
	g.dated.Store(d)
	return d
}
