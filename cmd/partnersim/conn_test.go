package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestMalformedRequestsAreRefusedAndTheConnectionEnds(t *testing.T) {
	r := start(t)
	tests := []struct{ name, raw, want string }{
		{"no version", "GET /1\r\n\r\n", "request line"},
		{"two spaces", "GET  /1 HTTP/1.1\r\nHost: a\r\n\r\n", "request line"},
		{"another version", "GET /1 HTTP/2.0\r\nHost: a\r\n\r\n", "version"},
		{"no Host", "GET /1 HTTP/1.1\r\n\r\n", "Host"},
		{"two Hosts", "GET /1 HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "Host"},
		{"space before the colon", "GET /1 HTTP/1.1\r\nHost : a\r\n\r\n", "field line"},
		{"folded field", "GET /1 HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "field line"},
		{"bare LF", "GET /1 HTTP/1.1\nHost: a\n\n", "bare LF"},
		{"bare CR", "GET /1 HTTP/1.1\r\nHost: a\rb\r\n\r\n", "bare CR"},
		{"two lengths", "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", "Content-Length"},
		{"signed length", "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", "Content-Length"},
		{"length and chunked", "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both"},
		{"unknown coding", "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding"},
		{"chunked in 1.0", "POST /1 HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"},
		{"two Authorizations", strings.Replace(get("/1"), "Host", "Authorization: Bearer x\r\nHost", 1), "Authorization"},
		{"huge head", "GET /1 HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 70000), "head of more"},
		{"bad chunk size", requestOf("POST", "/55/messages", "acme", "Transfer-Encoding: chunked") + "zz\r\n", "chunk size"},
		{"chunk without CRLF", requestOf("POST", "/55/messages", "acme", "Transfer-Encoding: chunked") + "1\r\nab\r\n", "CRLF"},
		{"chunk line with bare LF", requestOf("POST", "/55/media", "acme", "Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=b") + "1\na\r\n", "bare LF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := (&rig{r.simulator, t}).dial()
			c.send(tt.raw)
			a := c.response("GET")
			if a.StatusCode != 400 || !strings.Contains(a.text, tt.want) {
				t.Errorf("%q = %d %s, want 400 … %s", tt.raw, a.StatusCode, a.text, tt.want)
			}
			if more, err := c.rest(); more != "" || err != nil {
				t.Errorf("after the refusal: %q, %v; want the end", more, err)
			}
		})
	}
	for _, rec := range r.receipts("count=19") {
		if rec.Problem == "" {
			t.Errorf("%q was recorded without its problem", rec.RawHead)
		}
	}
}

func TestConnectionServesManyRequests(t *testing.T) {
	r := start(t)
	c := r.dial()
	body := `{"messaging_product":"whatsapp","to":"1","type":"text"}`
	pipeline := get("/1") + post("/55/messages", body) +
		requestOf("POST", "/55/messages", "acme", "Transfer-Encoding: chunked") +
		fmt.Sprintf("%x;ext=1\r\n%s\r\n%x\r\n%s\r\n0\r\nX-Trailer: yes\r\n\r\n", 10, body[:10], len(body)-10, body[10:]) +
		"\r\n" + get("/2") + get("/3", "Connection: close")
	c.send(pipeline)
	for i, want := range []string{`"id":"1"`, `"wamid.`, `"wamid.`, `"id":"2"`, `"id":"3"`} {
		if a := c.response("GET"); a.StatusCode != 200 || !strings.Contains(a.text, want) {
			t.Fatalf("response %d = %d %s, want 200 … %s", i, a.StatusCode, a.text, want)
		}
	}
	if more, err := c.rest(); more != "" || err != nil {
		t.Errorf("after Connection: close: %q, %v; want the end", more, err)
	}
	recs := r.receipts("count=5&done=1")
	for i, rec := range recs {
		if rec.Number != i+1 || rec.Connection != recs[0].Connection {
			t.Errorf("request %d is recorded as number %d on connection %d", i+1, rec.Number, rec.Connection)
		}
	}
	if b := recs[2].Body; b.SHA256 != sum(body) || b.Framing != "chunked" || strings.Join(b.Trailers, "|") != "X-Trailer: yes" || !b.Complete {
		t.Errorf("chunked body recorded as %+v", b)
	}
}

func TestContinueIsSentWhenTheBodyIsWanted(t *testing.T) {
	r := start(t)
	body := `{"messaging_product":"whatsapp","to":"1"}`
	c := r.dial()
	c.send(requestOf("POST", "/55/messages", "acme", "Expect: 100-continue", fmt.Sprintf("Content-Length: %d", len(body))))
	if got := c.head(); got != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("before the body: %q, want 100 Continue", got)
	}
	c.send(body)
	if a := c.response("POST"); a.StatusCode != 200 {
		t.Errorf("after it: %d %s, want 200", a.StatusCode, a.text)
	}

	c = r.dial()
	c.send("POST /55/messages HTTP/1.1\r\nHost: sim\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
	if a := c.response("POST"); a.StatusCode != 401 || !a.Close {
		t.Errorf("refused by its head: %d, close %v; want 401 and the end", a.StatusCode, a.Close)
	}
}

func TestOldClientsGetNoChunks(t *testing.T) {
	r := start(t)
	r.scenario("chunked-media", "")
	c := r.dial()
	c.send(strings.Replace(get("/1"), "HTTP/1.1", "HTTP/1.0", 1))
	head := c.head()
	body, err := c.rest()
	if err != nil || strings.Contains(head, "chunked") || !strings.HasSuffix(body, `"id":"1"}`) {
		t.Errorf("HTTP/1.0: %q %q, %v", head, body, err)
	}
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	r := start(t)
	c := r.dial()
	c.send(get("/1") + requestOf("HEAD", "/1", "acme") + get("/2"))
	a, h, b := c.response("GET"), c.response("HEAD"), c.response("GET")
	if a.ContentLength != h.ContentLength || h.text != "" || !strings.Contains(b.text, `"id":"2"`) {
		t.Errorf("GET %d bytes, HEAD %d with body %q, then %q", a.ContentLength, h.ContentLength, h.text, b.text)
	}
}

func TestTruncatedRequestGetsNoAnswer(t *testing.T) {
	r := start(t)
	c := r.dial()
	c.send(requestOf("POST", "/55/messages", "acme", "Content-Length: 50") + "half")
	c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	if more, _ := c.rest(); more != "" {
		t.Errorf("answer to half a request: %q", more)
	}
	rec := r.receipts("count=1&done=1")[0]
	if rec.Body.Complete || rec.Body.Bytes != 4 || rec.Response.Outcome != "unexpected EOF" {
		t.Errorf("recorded as %+v %+v, want 4 bytes, incomplete", rec.Body, rec.Response)
	}
}
