package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waiting returns the gate's state once n responses wait there.
func (r *rig) waiting(gate string, n int) (s gateState) {
	r.t.Helper()
	r.must("GET", fmt.Sprintf("/gates/%s?waiting=%d&timeout=30s", gate, n), "", &s)
	return s
}

func TestGateHoldsTheNextChunk(t *testing.T) {
	r := start(t, frozen)
	body := r.ask(get("/123")).text
	half := (len(body) + 1) / 2
	r.scenario("gate", `{"options":{"framing":"chunked"}}`)
	c := r.dial()
	c.send(get("/123"))
	c.head()
	if got, want := c.exactly(half+6), fmt.Sprintf("%x\r\n%s\r\n", half, body[:half]); got != want {
		t.Fatalf("before the release: %q, want %q", got, want)
	}
	s := r.waiting("gate", 1)
	if h := s.Waiting[0]; h.At != "piece" || h.Sent != int64(half) || h.Target != "/123" || h.Tenant != "acme" {
		t.Errorf("waiting: %+v", h)
	}
	if c.in.Buffered() > 0 {
		t.Error("more than the first chunk is out")
	}
	r.must("POST", "/release/gate", "", nil)
	if got, want := c.exactly(len(body)-half+6+5), fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body)-half, body[half:]); got != want {
		t.Errorf("after the release: %q, want %q", got, want)
	}
}

func TestGateHoldsWhereItIsTold(t *testing.T) {
	r := start(t, frozen)
	body := r.ask(get("/123")).text
	tests := []struct{ hold, framing, first, at string }{
		{"request", "as-is", "", "request"},
		{"head", "as-is", "", "head"},
		{"body", "as-is", "head", "body"},
		{"piece", "content-length", "half", "piece"},
		{"piece", "until-close", "half", "piece"},
		{"end", "chunked", "chunks", "end"},
		{"end", "until-close", "all", "end"},
		{"after", "as-is", "all", "after"},
	}
	for _, tt := range tests {
		t.Run(tt.hold+" "+tt.framing, func(t *testing.T) {
			r := &rig{r.simulator, t}
			r.scenario("gate:x", fmt.Sprintf(`{"options":{"hold":[%q],"framing":%q}}`, tt.hold, tt.framing))
			c := r.dial()
			c.send(get("/123"))
			if h := r.waiting("gate:x", 1).Waiting[0]; h.At != tt.at {
				t.Errorf("held at %s, want %s", h.At, tt.at)
			}
			half := (len(body) + 1) / 2
			if tt.first != "" {
				c.head()
				n := map[string]int{"head": 0, "half": half, "chunks": len(body) + 12, "all": len(body)}[tt.first]
				c.exactly(n)
			}
			r.must("POST", "/release/gate:x?open=1", "", nil)
			if tt.hold == "after" {
				c.send(get("/4"))
				if a := c.response("GET"); !strings.Contains(a.text, `"id":"4"`) {
					t.Errorf("the next response: %s", a.text)
				}
			}
			r.must("DELETE", "/scenarios", "", nil)
		})
	}
}

func TestReleasesAreKeptAndServedInOrder(t *testing.T) {
	r := start(t)
	r.scenario("gate", `{"options":{"hold":["head"]}}`)
	r.must("POST", "/release/gate?n=1", "", nil)
	if a := r.ask(get("/1")); a.StatusCode != 200 { // passes on the permit that waited for it
		t.Fatalf("first: %d", a.StatusCode)
	}
	first, second := r.dial(), r.dial()
	first.send(get("/1"))
	r.waiting("gate", 1)
	second.send(get("/2"))
	r.waiting("gate", 2)
	r.must("POST", "/release/gate", "", nil)
	if a := first.response("GET"); !strings.Contains(a.text, `"id":"1"`) {
		t.Errorf("first in line got %s", a.text)
	}
	if s := r.waiting("gate", 1); len(s.Waiting) != 1 || s.Waiting[0].Target != "/2" {
		t.Errorf("still waiting: %+v", s.Waiting)
	}
	r.must("DELETE", "/scenarios/gate", "", nil) // the end of the scenario releases as well
	if a := second.response("GET"); !strings.Contains(a.text, `"id":"2"`) {
		t.Errorf("second in line got %s", a.text)
	}
	if status, _ := r.control("POST", "/release/gate", ""); status != 404 {
		t.Errorf("release of no gate = %d, want 404", status)
	}
}

func TestClientThatLeavesAHeldResponseIsNoticed(t *testing.T) {
	r := start(t)
	for _, name := range []string{"gate", "hang", "latency"} {
		r.must("DELETE", "/received", "", nil)
		r.scenario(name, map[string]string{"latency": `{"options":{"delay":"1h"}}`}[name])
		c := r.dial()
		c.send(get("/1"))
		r.receipts("count=1")
		c.Close()
		rec := r.receipts("count=1&done=1")[0]
		if rec.Response.Outcome != errPeerLeft.Error() {
			t.Errorf("%s: outcome %q, want %q", name, rec.Response.Outcome, errPeerLeft)
		}
		r.must("DELETE", "/scenarios", "", nil)
	}
}

func TestHangEndsWithItsScenario(t *testing.T) {
	r := start(t)
	r.scenario("hang", "")
	c := r.dial()
	c.send(get("/1"))
	r.receipts("count=1")
	r.must("DELETE", "/scenarios/hang", "", nil)
	if a := c.response("GET"); a.StatusCode != 200 {
		t.Errorf("after the hang: %d, want 200", a.StatusCode)
	}
}

func TestGateHoldsTheRequestBody(t *testing.T) {
	r := start(t)
	r.scenario("gate", `{"options":{"hold":["request"]}}`)
	c := r.dial()
	body := `{"messaging_product":"whatsapp","to":"1"}`
	c.send(post("/55/messages", body))
	r.waiting("gate", 1)
	if b := r.receipts("target=/55")[0].Body; b.Bytes != 0 || b.Complete {
		t.Errorf("read while held: %+v", b)
	}
	r.must("POST", "/release/gate", "", nil)
	if a := c.response("POST"); a.StatusCode != 200 {
		t.Errorf("after the release: %d %s", a.StatusCode, a.text)
	}
}

func TestGateMeetsTrailersAndGarbage(t *testing.T) {
	r := start(t)
	r.scenario("gate", `{"options":{"hold":["after"]}}`)
	r.scenario("framing", `{"options":{"shape":"second-response"}}`)
	c := r.dial()
	c.send(get("/1"))
	if a := c.response("GET"); a.StatusCode != 200 {
		t.Fatalf("response: %d", a.StatusCode)
	}
	r.waiting("gate", 1)
	if c.in.Buffered() > 0 {
		t.Error("the stray response is out before its release")
	}
	r.must("POST", "/release/gate", "", nil)
	if got := c.exactly(len(stray)); got != stray {
		t.Errorf("after the release: %q", got)
	}
	c.send(get("/2")) // no second hold: the connection goes on
	r.must("POST", "/release/gate?open=1", "", nil)
	c.response("GET")
}

func TestMidStreamCuts(t *testing.T) {
	r := start(t)
	target := r.mediaURL("9001000000")
	tests := []struct {
		options     string
		sent        int
		byReset     bool
		endsWhole   bool
		wantFraming string
	}{
		{`{}`, 500_000, true, false, "Content-Length"},
		{`{"by":"fin"}`, 500_000, false, false, "Content-Length"},
		{`{"by":"fin","after_bytes":0}`, 0, false, false, "Content-Length"},
		{`{"by":"fin","after_bytes":70000,"framing":"chunked"}`, 70_000, false, false, "chunked"},
		{`{"by":"fin","after_bytes":1000000,"framing":"chunked"}`, 1_000_000, false, false, "chunked"},
		{`{"by":"reset","after_bytes":70000,"framing":"until-close"}`, 70_000, true, false, "close"},
	}
	for _, tt := range tests {
		r.must("DELETE", "/received", "", nil)
		r.scenario("mid-stream-reset", `{"options":`+tt.options+`}`)
		c := r.dial()
		c.send(get(target))
		a, err := c.try("GET")
		if err == nil {
			t.Errorf("%s: looked whole with %d bytes", tt.options, len(a.text))
		}
		if reset := errors.Is(err, syscall.ECONNRESET); reset != tt.byReset {
			t.Errorf("%s: ended with %v, want a reset: %v", tt.options, err, tt.byReset)
		}
		if !tt.byReset && len(a.text) != tt.sent {
			t.Errorf("%s: %d bytes came, want %d", tt.options, len(a.text), tt.sent)
		}
		rec := r.receipts("count=1&done=1")[0].Response
		if rec.Bytes != int64(tt.sent) || rec.Outcome != errCut.Error() {
			t.Errorf("%s: recorded %+v, want %d bytes and %q", tt.options, rec, tt.sent, errCut)
		}
	}
}

func TestSlowDripComesPieceByPiece(t *testing.T) {
	r := start(t)
	target := r.mediaURL("900100000")
	r.scenario("slow-drip", `{"options":{"piece_bytes":40000,"every":"1ms","framing":"chunked"}}`)
	c := r.dial()
	c.send(get(target))
	c.head()
	want := ""
	for off := 0; off < 100_000; off += 40_000 {
		n := min(40_000, 100_000-off)
		want += fmt.Sprintf("%x\r\n%s\r\n", n, patternAt(int64(off), n))
	}
	if got := c.exactly(len(want) + 5); got != want+"0\r\n\r\n" {
		t.Error("the chunks are not the pieces of the media")
	}
}

func TestConnectionsAreReset(t *testing.T) {
	r := start(t)
	old := r.dial()
	old.send(get("/1"))
	old.response("GET")
	r.scenario("connection-reset", "")
	nc, err := net.Dial("tcp", r.api.Addr().String())
	if err == nil { // else the reset came before the handshake was over
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		_, err = nc.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("new connection: %v, want a reset", err)
	}
	old.send(get("/1"))
	if a := old.response("GET"); a.StatusCode != 200 {
		t.Errorf("old connection: %d, want 200", a.StatusCode)
	}
	r.must("DELETE", "/scenarios", "", nil)
	for by, want := range map[string]error{"reset": syscall.ECONNRESET, "fin": nil} {
		r.scenario("reset", `{"options":{"by":"`+by+`"}}`)
		c := r.dial()
		c.send(get("/1"))
		if got, err := c.rest(); got != "" || !errors.Is(err, want) {
			t.Errorf("reset by %s: %q, %v; want %v", by, got, err, want)
		}
	}
}

func TestEarlyAnswer(t *testing.T) {
	r := start(t)
	r.scenario("early-answer", `{"options":{"status":413,"then":"read"}}`)
	c := r.dial()
	c.send(requestOf("POST", "/55/media", "acme", "Content-Length: 100000"))
	if a := c.response("POST"); a.StatusCode != 413 || a.Close {
		t.Fatalf("before the body: %d, close %v; want 413 and the connection kept", a.StatusCode, a.Close)
	}
	r.must("DELETE", "/scenarios", "", nil)
	c.send(strings.Repeat("x", 100_000) + get("/1"))
	if a := c.response("GET"); a.StatusCode != 200 {
		t.Errorf("after the body: %d, want 200", a.StatusCode)
	}
	r.scenario("early-answer", `{"options":{"then":"close"}}`)
	c.send(requestOf("POST", "/55/media", "acme", "Content-Length: 100000"))
	if a := c.response("POST"); a.StatusCode != 413 || !a.Close {
		t.Errorf("with close: %d, close %v", a.StatusCode, a.Close)
	}
	if _, err := c.rest(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection was left open")
	}
}
