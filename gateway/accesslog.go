package gateway

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/VictoriaMetrics/metrics"
	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
)

// An accessLog takes whole lines from requests and writes them in a goroutine of its own, so that a slow disk or pipe holds
// nobody up: what does not fit meanwhile is dropped, and counted.
//
// Snapshots share it for as long as their configuration leads to the same file.
type accessLog struct {
	out     io.WriteCloser
	file    fs.FileInfo // of out; nil if that is no file of ours
	kick    chan struct{}
	done    chan struct{}
	holders atomic.Int64

	mu      sync.Mutex
	filling []byte
	closed  bool

	dropped *metrics.Counter // lines
}

const (
	accessLogRoom  = 1 << 20                // bytes that may wait to be written
	accessLogEvery = 100 * time.Millisecond // how long a line may: waking the writer for each would cost more than the line
)

func newAccessLog(out io.WriteCloser, file fs.FileInfo, dropped *metrics.Counter) *accessLog {
	l := &accessLog{
		out: out, file: file, kick: make(chan struct{}, 1), done: make(chan struct{}), filling: make([]byte, 0, accessLogRoom), dropped: dropped,
	}
	l.holders.Store(1)
	go l.run()
	return l
}

// retain adds a holder. Only who holds l may do so.
func (l *accessLog) retain() *accessLog {
	l.holders.Add(1)
	return l
}

// release takes a holder away. The last one closes l.
func (l *accessLog) release() {
	if l.holders.Add(-1) == 0 {
		l.close()
	}
}

// write takes a copy of line.
func (l *accessLog) write(line []byte) {
	l.mu.Lock()
	fits := len(l.filling)+len(line) <= accessLogRoom && !l.closed
	before := len(l.filling)
	if fits {
		l.filling = append(l.filling, line...)
	}
	l.mu.Unlock()
	if !fits {
		l.dropped.Inc()
	} else if before < accessLogRoom/2 && before+len(line) >= accessLogRoom/2 {
		select {
		case l.kick <- struct{}{}:
		default:
		}
	}
}

func (l *accessLog) run() {
	defer close(l.done)
	ticker := time.NewTicker(accessLogEvery)
	defer ticker.Stop()
	writing := make([]byte, 0, accessLogRoom)
	for closed, torn := false, false; !closed; {
		select {
		case <-ticker.C:
		case <-l.kick:
		}
		l.mu.Lock()
		writing, l.filling = l.filling, writing[:0]
		closed = l.closed
		l.mu.Unlock()
		if len(writing) == 0 {
			continue
		}
		if torn { // lines stay whole for whoever reads on behind what broke off
			writing = append(writing, 0)
			copy(writing[1:], writing)
			writing[0] = '\n'
		}
		n, err := l.out.Write(writing)
		if err != nil {
			l.dropped.Add(bytes.Count(writing[n:], []byte("\n"))) // there is nowhere to say so but in the count
		}
		if n > 0 {
			torn = writing[n-1] != '\n'
		}
	}
}

// close writes what is left and ends the log.
func (l *accessLog) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	select {
	case l.kick <- struct{}{}:
	default:
	}
	<-l.done
	l.out.Close() //nolint:errcheck // what was written is written
}

// appendEntry appends x's access-log line to dst: one JSON object. It keeps nothing of x. The query, which may hold
// anything, is not in it, and no field's value but the request id.
func appendEntry(dst []byte, x *exchange, elapsed time.Duration) []byte {
	a := &x.answer
	dst = append(dst, `{"time":"`...)
	dst = append(dst, x.g.dateOf(x.began).stamp...)
	dst = append(dst, '.')
	for div, us := 100_000, x.began.Nanosecond()/1000; div > 0; div /= 10 {
		dst = append(dst, byte('0'+us/div%10))
	}
	dst = append(dst, `Z","request":`...)
	dst = appendJSON(dst, x.id)
	dst = append(dst, `,"peer":`...)
	dst = append(dst, '"')
	dst = x.peer.AppendTo(dst)
	dst = append(dst, '"')
	dst = append(dst, `,"method":`...)
	dst = appendJSON(dst, bytesToString(x.in.Method))
	dst = append(dst, `,"path":`...)
	dst = appendJSON(dst, bytesToString(pathOf(x.in.URI)))
	if x.route != nil {
		dst = append(dst, `,"route":`...)
		dst = appendJSON(dst, x.route.name)
	}
	if x.client != nil {
		dst = append(dst, `,"client":`...)
		dst = appendJSON(dst, x.client.Name)
	}
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(a.status), 10)
	if x.reply.attempt != nil {
		dst = append(dst, `,"upstream_status":`...)
		dst = strconv.AppendInt(dst, int64(x.attempt.Head.Status), 10)
		dst = append(dst, `,"framing":"`...)
		dst = append(dst, x.attempt.Framing.String()...)
		dst = append(dst, '"')
	}
	if x.tries.n > 1 {
		dst = append(dst, `,"attempts":`...)
		dst = strconv.AppendInt(dst, int64(x.tries.n), 10)
	}
	dst = append(dst, `,"class":"`...)
	dst = append(dst, a.verdict.Class.String()...)
	dst = append(dst, `","fault":"`...)
	dst = append(dst, a.finding.Fault.String()...)
	dst = append(dst, `","counts":`...)
	dst = strconv.AppendBool(dst, a.finding.Counts)
	if a.reason.Name != "" {
		dst = append(dst, `,"reason":`...)
		dst = appendJSON(dst, a.reason.Name)
	}
	if a.by != "" {
		dst = append(dst, `,"judged_by":`...)
		dst = appendJSON(dst, a.by)
	}
	if a.problem != nil {
		dst = append(dst, `,"problem":"`...)
		dst = append(dst, a.problem.name...)
		dst = append(dst, '"')
	}
	if e, ok := errors.AsType[*upstream.Error](a.err); ok {
		dst = append(dst, `,"failed":`...)
		dst = appendJSON(dst, e.Doing+": "+e.Kind.String())
	}
	dst = appendSteps(dst, x)
	dst = append(dst, `,"flags_revision":`...)
	dst = strconv.AppendUint(dst, x.view.Revision(), 10)
	dst = append(dst, `,"sent":`...)
	dst = strconv.AppendInt(dst, x.sent, 10)
	dst = append(dst, `,"cut":`...)
	dst = strconv.AppendBool(dst, x.cut)
	dst = append(dst, `,"us":`...)
	dst = strconv.AppendInt(dst, elapsed.Microseconds(), 10)
	return append(dst, "}\n"...)
}

// appendSteps names the steps that were not off.
func appendSteps(dst []byte, x *exchange) []byte {
	start := len(dst)
	for i, mode := range x.modes {
		if mode == flags.Off {
			continue
		}
		if len(dst) == start {
			dst = append(dst, `,"steps":{`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, x.route.steps[i].name)
		dst = append(dst, `:"`...)
		dst = append(dst, mode.String()...)
		dst = append(dst, '"')
	}
	if len(dst) > start {
		dst = append(dst, '}')
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// asIs says which bytes stand for themselves in a JSON string.
var asIs = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendJSON appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendJSON(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for len(s) > 0 {
		n := 0
		for n < len(s) && asIs[s[n]] {
			n++
		}
		dst = append(dst, s[:n]...)
		if s = s[n:]; s == "" {
			break
		}
		switch c := s[0]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			s = s[1:]
		case c < utf8.RuneSelf:
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
			s = s[1:]
		default:
			r, size := utf8.DecodeRuneInString(s)
			dst = utf8.AppendRune(dst, r)
			s = s[size:]
		}
	}
	return append(dst, '"')
}
