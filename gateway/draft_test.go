package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/inbound"
	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/engine/exchangetest"
	"github.com/valyala/fasthttp"
)

// TestDraftKeepsTheExchangeContract takes each exchange from a real request that stands in a handler, and its response from
// a real upstream.
func TestDraftKeepsTheExchangeContract(t *testing.T) {
	exchangetest.Run(t, func(t *testing.T, s exchangetest.Setup) engine.Exchange {
		up := serveUpstream(t, func(c *peer) {
			if c.head() != "" {
				c.send(message(fmt.Sprintf("HTTP/1.1 %d OK", s.Status), s.Response))
			}
		})
		g := start(t, up, everything)
		drafts, done := make(chan *draft), make(chan struct{})
		serve := func(a *conn.Accepted) {
			from := inbound.New(a, &g.inbound)
			defer from.Free()
			defer a.Close()
			head, err := from.Next(time.Now())
			if err != nil {
				t.Error(err)
			}
			x, now := g.begin(from), time.Time{}
			defer g.finish(x, &now)
			if !x.check(head) || !x.match() || !x.admit() {
				t.Error("the request was refused")
			}
			x.gates()
			x.take()
			if !x.inject() || s.Status > 0 && !x.forward() {
				t.Error("the request was answered")
			}
			drafts <- &x.draft
			<-done
			if s.Status == 0 { // it is not sent on, so there is no response to come
				x.refuse(&problemBroken, fasthttp.StatusInternalServerError, "")
				return
			}
			x.send()
		}
		ln := &conn.Listener{Listener: newListener(t)}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c, err := ln.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			serve(conn.Of(c))
		}()
		c := dialTo(t, ln.Addr().String())
		method, uri := "GET", "/"
		if s.Method != "" {
			method = s.Method
		}
		if s.URI != "" {
			uri = s.URI
		}
		c.send(message(method+" "+uri+" HTTP/1.1\r\nHost: h", s.Request))
		t.Cleanup(func() {
			close(done)
			c.Close()
			ln.Close()
			<-ended
		})
		return <-drafts
	})
}

// message is a whole message in chunks, or without content.
func message(start string, m exchangetest.Message) string {
	var b strings.Builder
	b.WriteString(start + "\r\n")
	for _, f := range m.Fields {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	if m.Body == "" && len(m.Trailers) == 0 {
		return b.String() + "Content-Length: 0\r\n\r\n"
	}
	fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n", len(m.Body), m.Body)
	for _, f := range m.Trailers {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	return b.String() + "\r\n"
}
