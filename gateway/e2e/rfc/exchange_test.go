package rfc

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// ok is a response that needs no thought.
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// An exchange is what a rule does things on: its lane through the proxy, and every connection at either end of it.
type exchange struct {
	rule *rule
	lane *lane
	wait time.Duration // how long to wait for what should come at once
	news chan struct{} // has one when anything may have happened at the origin

	mu      sync.Mutex
	clients []*end
	origins []*origin // in the order in which they were accepted
	helpers sync.WaitGroup
	failed  *failure // of a helper
}

// A failure ends a rule.
type failure struct{ text string }

func (x *exchange) failf(format string, args ...any) { panic(&failure{fmt.Sprintf(format, args...)}) }

// want fails the rule unless it holds.
func (x *exchange) want(holds bool, format string, args ...any) {
	if !holds {
		x.failf(format, args...)
	}
}

// equal fails the rule unless got is want.
func (x *exchange) equal(what string, got, want any) {
	if g, w := fmt.Sprintf("%q", got), fmt.Sprintf("%q", want); g != w {
		x.failf("%s: got %.300s, want %.300s", what, g, w)
	}
}

func (x *exchange) patience() time.Duration { return x.wait }

// meanwhile runs f beside the rule, which does not end before it.
func (x *exchange) meanwhile(f func()) {
	x.helpers.Add(1)
	go func() {
		defer x.helpers.Done()
		defer func() {
			if f := recover(); f != nil {
				x.mu.Lock()
				defer x.mu.Unlock()
				x.failed = asFailure(f)
			}
		}()
		f()
	}()
}

// asFailure takes what was recovered for a failure, or panics with it again.
func asFailure(recovered any) *failure {
	f, is := recovered.(*failure)
	if !is {
		panic(recovered)
	}
	return f
}

// client makes a connection to the proxy.
func (x *exchange) client() *client {
	c, err := net.DialTimeout("tcp", x.lane.address, x.wait)
	if err != nil {
		x.failf("connect to the proxy: %v", err)
	}
	e := x.newEnd(c)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.clients = append(x.clients, e)
	return &client{e}
}

// accept takes the proxy's connections until the lane is closed.
func (x *exchange) accept() {
	for {
		c, err := x.lane.origin.Accept()
		if err != nil {
			return
		}
		x.mu.Lock()
		x.origins = append(x.origins, &origin{x.newEnd(c)})
		x.mu.Unlock()
		x.tell()
	}
}

func (x *exchange) tell() {
	select {
	case x.news <- struct{}{}:
	default:
	}
}

// origin returns the connection on which the next request begins: a new one, or one on which the request before has been read to
// its end.
func (x *exchange) origin() *origin {
	late := time.NewTimer(x.wait)
	defer late.Stop()
	for {
		if o := x.next(); o != nil {
			return o
		}
		select {
		case <-x.news:
		case <-late.C:
			x.failf("no request has reached the origin")
		}
	}
}

// next returns the oldest connection on which a request begins, nil if there is none yet.
func (x *exchange) next() *origin {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, o := range x.origins {
		if o.busy.Load() || o.closed.Load() || o.stirred == nil && o.over != nil {
			continue
		}
		select {
		case <-o.stirs():
			if o.stirred = nil; o.r.Buffered() > 0 {
				o.busy.Store(true)
				return o
			}
		default:
		}
	}
	return nil
}

// nothingArrives fails the rule if a request has reached the origin that the rule has not taken. It is to be called when the proxy has
// told the client what became of the request: then nothing of it is on its way any more.
func (x *exchange) nothingArrives() {
	for _, q := range x.arrived() {
		x.failf("the origin got %s", q)
	}
}

// arrived returns the requests, or what there is of them, that have reached the origin and that the rule has not taken.
func (x *exchange) arrived() (all []*request) {
	c, err := net.DialTimeout("tcp", x.lane.origin.Addr().String(), x.wait)
	if err != nil {
		x.failf("connect to the origin: %v", err)
	}
	defer c.Close()
	// Connections are accepted in the order in which they were made: when ours is there, so are the proxy's.
	late := time.NewTimer(x.wait)
	defer late.Stop()
	for !x.forget(c.LocalAddr().String()) {
		select {
		case <-x.news:
		case <-late.C:
			x.failf("the origin accepts no connection")
		}
	}
	x.mu.Lock()
	origins := append([]*origin(nil), x.origins...)
	x.mu.Unlock()
	for _, o := range origins {
		if !o.busy.Load() && !o.closed.Load() && o.pending() {
			all = append(all, o.request())
		}
	}
	return all
}

// forget drops a connection that is not the proxy's, once it has been accepted.
func (x *exchange) forget(address string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, o := range x.origins {
		if o.conn.RemoteAddr().String() == address {
			o.close()
			x.origins = append(x.origins[:i], x.origins[i+1:]...)
			return true
		}
	}
	return false
}

// kept fails the rule unless the connection is good for another request, which must be the next that reaches the origin.
func (x *exchange) kept(c *client) {
	c.send("GET /next HTTP/1.1\r\nHost: next.test\r\n\r\n") //nolint:errcheck // the origin says it
	x.arrivesBefore(c, "the connection was to be kept")
	o := x.origin()
	q := o.request()
	x.want(q.err == nil && q.target == "/next", "the next request: got %s, want GET /next", q)
	o.send(ok) //nolint:errcheck
	r := c.response("GET")
	x.want(r.err == nil && r.status == 200 && r.content == "ok", "the next response: %s", r)
}

// arrivesBefore waits until a request reaches the origin, and fails the rule when the client hears of it first.
func (x *exchange) arrivesBefore(c *client, what string) {
	if x.first(c) == "client" {
		s, how := c.rest()
		x.failf("%s; the client got %.300q, then %s", what, s, how)
	}
}

// first returns at which side something happens first: "origin" when a request begins there, "client" when a byte or the end of the
// connection comes there.
func (x *exchange) first(c *client) string {
	late := time.NewTimer(x.wait)
	defer late.Stop()
	heard := c.stirs()
	for {
		if o := x.next(); o != nil {
			o.busy.Store(false)
			return "origin"
		}
		select {
		case <-heard:
			return "client"
		case <-x.news:
		case <-late.C:
			x.failf("neither has a request reached the origin nor a response the client")
		}
	}
}

// pass takes the next request at the origin, which must be whole, and answers it with ok.
func (x *exchange) pass() *request {
	o := x.origin()
	q := o.request()
	x.want(q.err == nil, "the origin got %s", q)
	o.send(ok) //nolint:errcheck // the client says it
	return q
}

// relay sends a request, has it reach the origin whole, has it answered, and returns what came at either side.
func (x *exchange) relay(c *client, request string) (*request, *response) {
	c.send(request) //nolint:errcheck // the origin says it
	x.arrivesBefore(c, "the request was to be forwarded")
	q := x.pass()
	r := c.response(q.method)
	x.want(r.err == nil && r.status == 200, "the client got %s", r)
	return q, r
}

// answer sends a plain GET, has the origin answer it with exact bytes, and returns what the client got. With end the origin ends its
// connection after that.
func (x *exchange) answer(c *client, bytes string, end bool) *response {
	c.send("GET / HTTP/1.1\r\nHost: rfc.test\r\n\r\n") //nolint:errcheck // the origin says it
	o := x.origin()
	o.request()
	o.send(bytes) //nolint:errcheck
	if end {
		o.close()
	}
	return c.response("GET")
}

// close ends all that the exchange has begun.
func (x *exchange) close() {
	x.lane.origin.Close()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.clients {
		e.close()
	}
	for _, o := range x.origins {
		o.close()
	}
}
