package rfc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// An end is the rule's end of one connection with the proxy. All that is read waits for the exchange's patience and no longer.
type end struct {
	x    *exchange
	conn *net.TCPConn
	r    *bufio.Reader
	over error // why nothing more comes; nil: more may

	stirred chan struct{} // being closed when something has come; nil: nobody waits for that
	busy    atomic.Bool   // a request has begun on it and is not read to its end
	closed  atomic.Bool   // by the rule
}

func (x *exchange) newEnd(c net.Conn) *end {
	e := &end{x: x, conn: c.(*net.TCPConn)}
	e.r = bufio.NewReaderSize(reader{e}, 64<<10)
	return e
}

// A reader remembers how the connection ended: a reset is told only once.
type reader struct{ e *end }

func (r reader) Read(b []byte) (int, error) {
	if r.e.over != nil {
		return 0, r.e.over
	}
	n, err := r.e.conn.Read(b)
	if err != nil && !isTimeout(err) {
		r.e.over = err
	}
	return n, err
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// send writes exact bytes. That the proxy takes no more is no failure here: its answer will say what matters.
func (e *end) send(s string) error {
	e.conn.SetWriteDeadline(time.Now().Add(e.x.patience())) //nolint:errcheck // of TCP it has deadlines
	_, err := io.WriteString(e.conn, s)
	return err
}

// finish sends FIN: nothing more comes from here, and what still comes from there is read.
func (e *end) finish() { e.conn.CloseWrite() } //nolint:errcheck

// close ends the connection with FIN (with RST, if bytes have come that were not read).
func (e *end) close() { e.closed.Store(true); e.conn.Close() }

// reset ends the connection with RST.
func (e *end) reset() { e.conn.SetLinger(0); e.close() } //nolint:errcheck

// stirs is closed when a byte or the end of the connection has come. Nothing else may be read meanwhile.
func (e *end) stirs() <-chan struct{} {
	if e.stirred == nil {
		done := make(chan struct{})
		e.stirred = done
		e.conn.SetReadDeadline(time.Now().Add(e.x.patience())) //nolint:errcheck
		go func() {
			e.r.Peek(1) //nolint:errcheck // Buffered and over say it
			close(done)
			e.x.tell()
		}()
	}
	return e.stirred
}

// ready prepares for reading.
func (e *end) ready() {
	if e.stirred != nil {
		<-e.stirred
		e.stirred = nil
	}
	e.conn.SetReadDeadline(time.Now().Add(e.x.patience())) //nolint:errcheck
}

// pending reports whether bytes have come that were not read, without waiting.
func (e *end) pending() bool {
	if e.stirred != nil {
		e.conn.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck
		<-e.stirred
		e.stirred = nil
	}
	if e.r.Buffered() > 0 {
		return true
	}
	n := 0
	if raw, err := e.conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { //nolint:errcheck
			n, _, _ = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		})
	}
	return n > 0
}

// take reads n bytes of whatever comes, or those that came.
func (e *end) take(n int) string {
	e.ready()
	s, _ := e.readN(int64(n))
	return s
}

// rest reads all that comes up to the end of the connection, and says what ended it: "FIN", "RST", or "nothing" when it had
// not ended.
func (e *end) rest() (s, how string) {
	e.ready()
	s, err := e.readAll()
	switch {
	case err == nil:
		how = "FIN"
	case isTimeout(err):
		how = "nothing"
	default:
		how = "RST"
	}
	return s, how
}

// ends fails the rule unless the proxy ends the connection, with FIN or RST, and sends nothing more before.
func (e *end) ends() {
	if s, how := e.rest(); how == "nothing" || s != "" {
		e.x.failf("the connection was to end; got %.200q, then %s", s, how)
	}
}

// A client is the end of a connection that the rule made to the proxy.
type client struct{ *end }

// head reads the head of the next response, interim or final. Its content is left to be read.
func (c *client) head() *response {
	c.ready()
	r := new(response)
	c.readHead(&r.message)
	if r.err == nil {
		r.err = r.parse()
	}
	return r
}

func (r *response) parse() error {
	r.framing = "none"
	version, rest, _ := strings.Cut(r.line, " ")
	code, reason, ok := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || !ok || !strings.HasPrefix(version, "HTTP/1.") {
		return fmt.Errorf("status line %.80q", r.line)
	}
	r.version, r.status, r.reason = version, status, reason
	return nil
}

// content reads the content that belongs to a head; method is the request's.
func (c *client) content(r *response, method string) {
	c.ready()
	if r.err == nil && method != "HEAD" && r.status >= 200 && r.status != 204 && r.status != 304 {
		c.readContent(&r.message, true)
	}
}

// response reads the response to a request with that method to its end, the interim responses before it included.
func (c *client) response(method string) *response {
	var interims []*response
	for {
		r := c.head()
		if r.err != nil || r.status >= 200 || r.status == 101 {
			r.interims = interims
			c.content(r, method)
			return r
		}
		if interims = append(interims, r); len(interims) > 1000 {
			r.interims, r.err = interims, errors.New("interim responses without end")
			return r
		}
	}
}

// An origin is the end of a connection that the proxy made to the origin.
type origin struct{ *end }

// head reads the head of the next request. Its content is left to be read.
func (o *origin) head() *request {
	o.ready()
	o.busy.Store(true)
	q := new(request)
	o.readHead(&q.message)
	if q.err == nil {
		parts := strings.Split(q.line, " ")
		if len(parts) != 3 || !isToken(parts[0]) || parts[1] == "" || !strings.HasPrefix(parts[2], "HTTP/1.") {
			q.err = fmt.Errorf("request line %.80q", q.line)
			return q
		}
		q.method, q.target, q.version, q.framing = parts[0], parts[1], parts[2], "none"
	}
	return q
}

// content reads the content that belongs to a head.
func (o *origin) content(q *request) {
	o.ready()
	if q.err == nil {
		o.readContent(&q.message, false)
	}
	o.busy.Store(q.err != nil)
}

// request reads the next request to its end.
func (o *origin) request() *request {
	q := o.head()
	o.content(q)
	return q
}
