package rfc

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"
)

// At a hurried site every timeout is hurry. That something is ended is waited for; that nothing is ended is shown with what comes later.

// silent makes the run of a rule in which the client sends that and no more. The proxy must end its connection, perhaps with one of these
// statuses before, and the origin must not get a whole request.
func silent(bytes string, statuses ...int) func(x *exchange) {
	return func(x *exchange) {
		c := x.client()
		c.send(bytes) //nolint:errcheck // what becomes of it says it
		x.tired(c, statuses...)
		for _, q := range x.arrived() {
			x.want(q.err != nil, "the origin got a whole request: %s", q)
		}
	}
}

// tired has the proxy end the connection, perhaps with one of these statuses before.
func (x *exchange) tired(c *client, statuses ...int) {
	r := c.response("GET")
	x.want(r.err == nil && slices.Contains(statuses, r.status) || r.head == "" && c.over != nil, "expected %v or the end; got %s", statuses, r)
	c.ends()
}

// late504 is the answer for an origin that is too slow.
func late504(r *response) string {
	if r.err != nil || r.status != 504 {
		return "expected 504; got " + r.String()
	}
	return ""
}

// steps calls send for each piece, a good while apart but for less than any timeout, for much longer than one in all. It reports whether it
// was in time: on a machine that stands still in between, nothing has been shown.
func steps(pieces []string, send func(piece string)) bool {
	ticker := time.NewTicker(hurry / 5)
	defer ticker.Stop()
	last := time.Now()
	for _, p := range pieces {
		<-ticker.C
		if time.Since(last) > hurry/2 {
			return false
		}
		last = time.Now()
		send(p)
	}
	return true
}

// steady makes the run of a rule that moves content slowly but steadily. A run that was not in time is done again.
func steady(once func(x *exchange, pieces []string) (inTime bool)) func(x *exchange) {
	return func(x *exchange) {
		pieces := strings.SplitAfter("0 1 2 3 4 5 6 7 8 9 a b c d e f ", " ")
		pieces = pieces[:len(pieces)-1]
		for range 10 {
			if once(x, pieces) {
				return
			}
		}
		x.failf("the machine is too slow for this rule")
	}
}

// attempt runs f, and drops its failure when it was not in time.
func (x *exchange) attempt(f func(inTime *bool)) (inTime bool) {
	inTime = true
	defer func() {
		if p := recover(); p != nil && inTime {
			panic(p)
		}
	}()
	f(&inTime)
	return inTime
}

var steadyContent = "0 1 2 3 4 5 6 7 8 9 a b c d e f "

var timeoutRules = []rule{
	{"9110-15.5.9-no-head", quality, "a connection on which nothing comes ends", silent("", 408)},
	{
		"9110-15.5.9-slow-head", quality, "a client that does not finish its head gets 408 or no answer, and its connection ends",
		silent("GET / HTTP/1.1\r\nHost: rfc.test\r\n", 408),
	},
	{
		"9110-15.5.9-slow-line", quality, "a client that does not finish its request line gets 408 or no answer, and its connection ends",
		silent("GET / HT", 408),
	},
	{"9110-15.5.9-drip", quality, "a client that sends its head byte by byte for ever is ended", func(x *exchange) {
		c := x.client()
		c.send("GET / HTTP/1.1\r\nHost: rfc.test\r\nX-Drip: ") //nolint:errcheck // what becomes of it says it
		ticker := time.NewTicker(hurry / 10)
		defer ticker.Stop()
		patience := time.NewTimer(x.patience())
		defer patience.Stop()
		for heard := c.stirs(); ; {
			select {
			case <-heard:
				x.tired(c, 408)
				x.nothingArrives()
				return
			case <-ticker.C:
				c.send("x") //nolint:errcheck // it may have ended
			case <-patience.C:
				x.failf("the head is waited for, for ever")
			}
		}
	}},
	{"9112-9.5-idle", quality, "a connection that waits for its next request for too long ends", func(x *exchange) {
		c := x.client()
		x.kept(c)
		x.tired(c, 408)
	}},
	{
		"9112-8-request-stalls", must, "a request whose content stalls is not whole for the origin, and its connection ends",
		silent("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 10\r\n\r\nhello", 408, 504, 502, 400, 500),
	},
	{
		"9112-8-request-stalls-chunked", must, "a request whose chunked content stalls is not whole for the origin, and its connection ends",
		silent("POST / HTTP/1.1\r\nHost: rfc.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 408, 504, 502, 400, 500),
	},
	{
		"9110-15.5.9-request-stalls", quality, "a client whose content stalls gets 408",
		func(x *exchange) {
			c := x.client()
			c.send("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: 10\r\n\r\nhello") //nolint:errcheck // the answer says it
			r := c.response("POST")
			x.want(r.err == nil && r.status == 408, "expected 408; got %s", r)
			c.ends()
		},
	},
	{"9112-8-response-stalls", must, "a response whose content stalls is not whole for the client", open.says(cutLength, cut(world))},
	{"9112-8-response-stalls-chunked", must, "a response whose chunked content stalls is not whole for the client", open.says(cutAfterChunk, cut(world))},
	{
		"9112-8-response-stalls-until-close", quality, "a response that stalls, and would have lasted until the connection ends, is not whole for the client",
		open.says(cutUntilClose, cut(world)),
	},
	{"9112-8-response-stalls-http10", quality, "a response whose chunked content stalls is not whole for an HTTP/1.0 client", to10.says(cutAfterChunk, cut(world))},
	{"9112-9.5-response-stalls-origin", should, "the connection of a response that stalls ends at the origin as well", func(x *exchange) {
		c := x.client()
		open.play(x, c, cutLength)
		s, how := x.origins[0].rest()
		x.want(s == "" && how != "nothing", "the origin got %q, then %s", s, how)
	}},
	{"9110-15.6.3-refused", quality, "an origin that takes no connection is answered with 502", func(x *exchange) {
		x.lane.origin.Close()
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the answer says it
		x.judge(bad, c.response("GET"))
	}},
	{"9110-15.6.5-connect", quality, "an origin that does not take a connection in time is answered with 504", func(x *exchange) {
		full := x.fill()
		defer full()
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the answer says it
		x.judge(late504, c.response("GET"))
	}},
	{"9110-15.6.5-no-head", quality, "an origin that does not answer in time is answered with 504", open.says("", late504)},
	{"9110-15.6.5-slow-head", quality, "an origin that does not finish its head in time is answered with 504", open.says("HTTP/1.1 200 OK\r\nX-Slow: ", late504)},
	{"9110-15.6.5-after-1xx", quality, "an origin that does not answer in time behind an interim response is answered with 504", open.says(early103, late504)},
	{"9112-9.5-slow-head-origin", should, "the connection of an origin that does not answer in time ends", func(x *exchange) {
		x.judge(failing, open.play(x, x.client(), ""))
		s, how := x.origins[0].rest()
		x.want(s == "" && how != "nothing", "the origin got %q, then %s", s, how)
	}},
	{"9110-9.2.2-not-again", must, "a POST that was not answered in time is not sent again", func(x *exchange) {
		c := x.client()
		c.send(postOf("/", "hello")) //nolint:errcheck // the origin says it
		x.origin().request()
		x.judge(failing, c.response("POST"))
		x.nothingArrives()
	}},
	{"9112-9.5-client-does-not-read", quality, "a client that takes nothing of its response for too long is ended, and the origin let go", func(x *exchange) {
		c := x.client()
		c.send(plainGet) //nolint:errcheck // the origin says it
		o := x.origin()
		o.request()
		o.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 2*most)) //nolint:errcheck // nobody reads it
		x.want(o.breaks(), "the connection with the origin goes on")
	}},
	{"9112-9.5-origin-does-not-read", quality, "an origin that takes nothing of a request for too long is left, and the client answered or ended", func(x *exchange) {
		c := x.client()
		x.asksFirst(c, fmt.Sprintf("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: %d\r\n\r\n", 2*most))
		x.meanwhile(func() { c.breaks() })
		r := c.response("POST")
		x.want(c.over != nil || r.err == nil && r.status >= 400, "the client got %s", r)
	}},
	{"9112-9.5-steady-response", quality, "a response that comes slowly but steadily is not cut", steady(func(x *exchange, pieces []string) bool {
		return x.attempt(func(inTime *bool) {
			c := x.client()
			c.send(plainGet) //nolint:errcheck // the origin says it
			o := x.origin()
			o.request()
			o.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(steadyContent))) //nolint:errcheck // the client says it
			*inTime = steps(pieces, func(p string) { o.send(p) })                                    //nolint:errcheck // the client says it
			x.judge(whole(200, steadyContent), c.response("GET"))
		})
	})},
	{"9112-9.5-steady-response-chunked", quality, "a chunked response that comes slowly but steadily is not cut", steady(func(x *exchange, pieces []string) bool {
		return x.attempt(func(inTime *bool) {
			c := x.client()
			c.send(plainGet) //nolint:errcheck // the origin says it
			o := x.origin()
			o.request()
			o.send(chunkedHead)                                                                        //nolint:errcheck // the client says it
			*inTime = steps(pieces, func(p string) { o.send(fmt.Sprintf("%x\r\n%s\r\n", len(p), p)) }) //nolint:errcheck // the client says it
			o.send("0\r\n\r\n")                                                                        //nolint:errcheck // the client says it
			x.judge(whole(200, steadyContent), c.response("GET"))
		})
	})},
	{"9112-9.5-steady-request", quality, "a request that comes slowly but steadily is not cut", steady(func(x *exchange, pieces []string) bool {
		return x.attempt(func(inTime *bool) {
			c := x.client()
			o, q := x.asksFirst(c, fmt.Sprintf("POST / HTTP/1.1\r\nHost: rfc.test\r\nContent-Length: %d\r\n\r\n", len(steadyContent)))
			*inTime = steps(pieces, func(p string) { c.send(p) }) //nolint:errcheck // the origin says it
			o.content(q)
			x.want(q.err == nil && q.content == steadyContent, "the origin got %s", q)
			o.send(ok) //nolint:errcheck // the client says it
			x.judge(whole(200, "ok"), c.response("POST"))
		})
	})},
}

// breaks sends until the connection ends, and reports whether it does.
func (e *end) breaks() bool {
	piece := strings.Repeat("0123456789abcdef", 1<<12)
	for range 4 * most / len(piece) {
		if err := e.send(piece); err != nil {
			return !isTimeout(err)
		}
	}
	return false
}

// fill puts a listener that takes no more connections in the place of the origin's: the system does not answer whoever connects. It returns
// how to end that.
func (x *exchange) fill() (end func()) {
	address := x.lane.origin.Addr().(*net.TCPAddr)
	x.lane.origin.Close()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	x.want(err == nil, "socket: %v", err)
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) //nolint:errcheck // Bind says it
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())})
	x.want(err == nil, "bind: %v", err)
	x.want(syscall.Listen(fd, 0) == nil, "listen")
	c, err := net.Dial("tcp", address.String()) // it has place for one
	x.want(err == nil, "connect: %v", err)
	return func() {
		c.Close()
		syscall.Close(fd) //nolint:errcheck
	}
}
