package gateway

import (
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
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
		server := g.server()
		server.Handler = func(ctx *fasthttp.RequestCtx) {
			x := g.begin(ctx)
			defer g.finish(x)
			if !x.open() {
				t.Error("the request was refused")
			}
			x.request.begin(ctx, &x.in, 0)
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
		ln := newListener(t)
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(&conn.Listener{Listener: ln}) }()
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
			server.Shutdown() //nolint:errcheck
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
