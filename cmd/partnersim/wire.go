package main

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// A plan says how a reply goes onto the wire. Its zero value, with cutAt -1, is one write with Content-Length.
type plan struct {
	framing    framing // noBody: Content-Length
	shape      *shape  // exact bytes instead of framing
	chunkBytes int64   // data of one chunk; 0: as large as convenient
	pieceBytes int64   // the body is sent piece by piece of so many bytes; 0: see pieces
	pieces     int64   // or in so many pieces of one size
	apart      bool    // every piece in a write of its own
	every      time.Duration
	cutAt      int64 // bytes of the body that are sent before the connection is cut; -1: it isn't
	cutByReset bool
	gate       *gate
	holds      point // where the gate holds
}

// A point is a place in an exchange where a gate can hold it.
type point uint8

const (
	atRequest point = 1 << iota // the request's head is read, its body is not
	atHead                      // before the response's head
	atBody                      // between head and body
	atPiece                     // before every piece of the body but the first
	atEnd                       // between the body's last byte and its end: the last chunk, trailers, close
	atAfter                     // after the response: before what a shape sends then, and before the next request is read
)

var pointNames = []string{"request", "head", "body", "piece", "end", "after"} // bit 0 first

func (p point) String() string {
	for i, name := range pointNames {
		if p == 1<<i {
			return name
		}
	}
	return "point(" + strconv.Itoa(int(p)) + ")"
}

// A wire turns a reply into bytes. After its first error it does nothing more.
type wire struct {
	x       *exchange
	err     error
	status  int
	sent    int64 // bytes of the body that were given to the connection
	started bool  // anything was sent
}

func (w *wire) reset() {
	*w = wire{x: w.x}
	w.x.c.out = w.x.c.out[:0]
}

// deliver sends the reply as the plan says and returns when the last byte is out.
func (w *wire) deliver() error {
	x := w.x
	w.pauseAt(atHead)
	switch {
	case x.plan.shape != nil && x.plan.shape.fits(x):
		x.plan.shape.write(w)
		if x.plan.shape.recipient == "error" {
			x.c.close = true // a recipient that goes on reading should meet an end, not wait
		}
	case !w.mayHaveBody():
		w.head(w.framingField())
	default:
		w.whole()
	}
	w.pauseAt(atAfter)
	w.flush()
	return w.err
}

// whole sends head and body in the framing of the plan.
func (w *wire) whole() {
	w.head(w.framingField())
	if w.x.plan.framing == chunked && !w.x.req.http10 {
		w.body(chunk)
		w.raw("0\r\n\r\n")
		return
	}
	w.body(plain)
}

// mayHaveBody is false for what HTTP says is only a head.
func (w *wire) mayHaveBody() bool {
	return string(w.x.req.method) != "HEAD" && w.x.reply.status != 204 && w.x.reply.status != 304
}

// framingField returns the field line for the plan's framing and sees to it that a body without length ends with the connection.
func (w *wire) framingField() string {
	switch {
	case w.x.reply.status == 204 || w.x.reply.status == 304:
		return ""
	case w.x.plan.framing == chunked && !w.x.req.http10:
		return "Transfer-Encoding: chunked\r\n"
	case w.x.plan.framing == chunked || w.x.plan.framing == untilClose:
		w.x.c.close = true
		return ""
	}
	return lengthOf
}

// lengthOf stands for the Content-Length of the reply; see head.
const lengthOf = "Content-Length: $\r\n"

// raw sends bytes as they are.
func (w *wire) raw(s string) {
	w.x.c.out = append(w.x.c.out, s...)
}

// head sends the status line, what the API says, and framing: field lines, or lengthOf.
func (w *wire) head(framing string) { w.headAs("HTTP/1.1", framing) }

func (w *wire) headAs(version, framing string) {
	x, r := w.x, &w.x.reply
	w.status = r.status
	b := append(append(x.c.out, version...), ' ')
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(append(append(b, ' '), http.StatusText(r.status)...), "\r\n"...)
	if r.contentType != "" && r.status != 204 {
		b = append(append(append(b, "Content-Type: "...), r.contentType...), "\r\n"...)
	}
	b = append(b, r.fields...)
	b = x.appendFields(b)
	b = append(b, x.sim.dateField(x.now)...)
	switch {
	case x.c.close:
		b = append(b, "Connection: close\r\n"...)
	default:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	if framing == lengthOf {
		b = strconv.AppendInt(append(b, "Content-Length: "...), r.length(), 10)
		b = append(b, "\r\n"...)
	} else {
		b = append(b, framing...)
	}
	x.c.out = append(b, "\r\n"...)
}

// body sends the reply's body through emit, piece by piece, with the holds, the pace and the cut of the plan.
func (w *wire) body(emit func(*wire, []byte)) {
	p, total := &w.x.plan, w.x.reply.length()
	step := p.pieceBytes
	if p.pieces > 0 {
		step = (total + p.pieces - 1) / p.pieces
	}
	if step <= 0 {
		step = total
	}
	unit := int64(maxPiece)
	if p.chunkBytes > 0 {
		unit = min(unit, p.chunkBytes)
	}
	w.pauseAt(atBody)
	for off := int64(0); off < total && w.err == nil; {
		if off > 0 && off%step == 0 {
			w.betweenPieces()
		}
		if off == p.cutAt {
			break
		}
		n := min(unit, total-off, step-off%step)
		if p.cutAt > off {
			n = min(n, p.cutAt-off)
		}
		if w.err == nil {
			emit(w, w.x.reply.piece(off, int(n)))
		}
		off += n
	}
	if p.cutAt >= 0 && (p.cutAt < total || p.framing != noBody || p.shape != nil) {
		w.cut(p.cutByReset)
	}
	w.pauseAt(atEnd)
}

// betweenPieces holds, waits and flushes as the plan says.
func (w *wire) betweenPieces() {
	w.pauseAt(atPiece)
	p := &w.x.plan
	if p.every > 0 || p.apart {
		w.flush()
	}
	if p.every > 0 && w.err == nil {
		w.err = w.x.c.pause(p.every)
	}
}

// copyUpTo is the size from which data goes to the connection by itself, since copying it would cost more than a write.
const copyUpTo = 16 << 10

// plain sends data without framing.
func plain(w *wire, data []byte) {
	w.sent += int64(len(data))
	if len(data) < copyUpTo {
		w.x.c.out = append(w.x.c.out, data...)
		if len(w.x.c.out) > largeBuffer {
			w.flush()
		}
		return
	}
	w.flush()
	if w.err == nil {
		_, w.err = w.x.c.nc.Write(data)
		w.note()
	}
}

// chunk sends data as one chunk.
func chunk(w *wire, data []byte) {
	w.x.c.out = strconv.AppendInt(w.x.c.out, int64(len(data)), 16)
	w.raw("\r\n")
	plain(w, data)
	w.raw("\r\n")
}

// flush sends what is buffered in one write.
func (w *wire) flush() {
	out := w.x.c.out
	w.x.c.out = out[:0]
	if w.err != nil || len(out) == 0 {
		return
	}
	_, w.err = w.x.c.nc.Write(out)
	w.started = true
	w.note()
}

// note tells the record how far the response is.
func (w *wire) note() {
	if w.err != nil && !errors.Is(w.err, errCut) {
		w.err = errPeerLeft
	}
	w.x.rec.progress(w)
}

// cut sends what is buffered and ends the connection in the middle of the message.
func (w *wire) cut(byReset bool) {
	w.flush()
	if w.err != nil {
		return
	}
	if byReset {
		w.x.c.reset()
	} else {
		w.x.c.tcp.CloseWrite()
	}
	w.err = errCut
}

// pauseAt waits at the plan's gate if it holds at p, everything before p being sent.
func (w *wire) pauseAt(p point) {
	if w.x.plan.holds&p == 0 || w.err != nil {
		return
	}
	w.flush()
	if w.err == nil {
		w.err = w.hold(p)
	}
	w.x.plan.holds &^= p & atAfter // a shape may have come to it before deliver does
}

// hold waits at the plan's gate if it holds at p.
func (w *wire) hold(p point) error {
	if w.x.plan.holds&p == 0 {
		return nil
	}
	return w.x.plan.gate.wait(w.x, p)
}

// length returns the length of the body.
func (r *reply) length() int64 {
	if r.media {
		return r.size
	}
	return int64(len(r.text))
}

// piece returns n ≤ maxPiece bytes of the body from off.
func (r *reply) piece(off int64, n int) []byte {
	if r.media {
		return patternAt(off, n)
	}
	return r.text[off:][:n]
}
