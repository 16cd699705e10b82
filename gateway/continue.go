package gateway

import "github.com/breakwater-gateway/breakwater/gateway/upstream"

// A client that sends Expect: 100-continue keeps its content back until it is told to go on (9110 10.1.1). Who tells it is the
// upstream: its 100 is passed on, and its final status, should that come instead, is the answer, and the content is never asked
// for. The gateway itself asks only for content that a step wants to see, for an upstream that says nothing for a while, and
// where a route says so.

// expects reports whether the upstream is to be asked whether it takes the content. A client that has sent some already does not
// wait for it.
func (x *exchange) expects() bool {
	if !x.in.Continues || x.continued {
		return false
	}
	if x.route.continues {
		x.Continue() //nolint:errcheck // a client that cannot be told has left, which is noticed
		return false
	}
	if len(x.from.Buffered()) > 0 {
		x.continued = true
	}
	return !x.continued
}

// Continue tells a client that waits for it to send its content. It implements [upstream.Interims].
func (x *exchange) Continue() error {
	if !x.in.Continues || x.continued {
		return nil
	}
	x.continued = true
	_, err := x.conn.Write(continueHead)
	return err
}

var continueHead = []byte("HTTP/1.1 100 Continue\r\n\r\n")

var _ upstream.Interims = (*exchange)(nil)
