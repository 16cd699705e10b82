package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// patience bounds what a test waits for; nothing takes so long unless it is broken.
const patience = 30 * time.Second

// A rig is a running simulator.
type rig struct {
	*simulator
	t *testing.T
}

func start(t *testing.T, change ...func(*options)) *rig {
	t.Helper()
	o := options{listen: "127.0.0.1:0", control: "127.0.0.1:0", seed: 1, record: 64}
	for _, c := range change {
		c(&o)
	}
	s, err := newSimulator(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run ended with %v", err)
			}
		case <-time.After(patience):
			t.Error("run did not end")
		}
	})
	return &rig{s, t}
}

// control makes a call to the control API and returns status and body.
func (r *rig) control(method, path, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.controlURL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// must is control for calls that have to succeed; into, unless nil, takes the JSON.
func (r *rig) must(method, path, body string, into any) {
	r.t.Helper()
	status, text := r.control(method, path, body)
	if status != 200 {
		r.t.Fatalf("%s %s %s = %d %s, want 200", method, path, body, status, text)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			r.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
}

// scenario starts one.
func (r *rig) scenario(name, body string) {
	r.t.Helper()
	r.must("PUT", "/scenarios/"+name, body, nil)
}

// received waits for so many requests that match and returns them.
func (r *rig) receipts(query string) (found []receipt) {
	r.t.Helper()
	r.must("GET", "/received?timeout=30s&"+query, "", &found)
	return found
}

// A caller is a raw connection to the API.
type caller struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (r *rig) dial() *caller {
	r.t.Helper()
	c, err := net.Dial("tcp", r.api.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { c.Close() })
	return &caller{r.t, c, bufio.NewReader(c)}
}

// get is the head of a GET with a token of tenant acme and further field lines.
func get(target string, lines ...string) string { return requestOf("GET", target, "acme", lines...) }

func requestOf(method, target, tenant string, lines ...string) string {
	raw := method + " " + target + " HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer partner-token-" + tenant + "\r\n"
	for _, line := range lines {
		raw += line + "\r\n"
	}
	return raw + "\r\n"
}

func (c *caller) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, raw); err != nil {
		c.t.Fatal(err)
	}
}

// head reads up to the end of one head.
func (c *caller) head() string {
	c.t.Helper()
	var b strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			c.t.Fatalf("%v within the head %q", err, b.String())
		}
		if line == "\r\n" {
			return b.String()
		}
	}
}

// exactly reads n bytes.
func (c *caller) exactly(n int) string {
	c.t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(c.in, b); err != nil {
		c.t.Fatalf("%v after %d of %d bytes: %q", err, got, n, b[:got])
	}
	return string(b)
}

// rest reads until the connection ends, and how it ended (nil: cleanly).
func (c *caller) rest() (string, error) {
	var b bytes.Buffer
	_, err := io.Copy(&b, c.in)
	return b.String(), err
}

// What is heard is a response that was read whole.
type heard struct {
	*http.Response
	text string
	code int // of the envelope
}

// response reads one response of a method's request.
func (c *caller) response(method string) heard {
	c.t.Helper()
	a, err := c.try(method)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func (c *caller) try(method string) (heard, error) {
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return heard{}, err
	}
	b, err := io.ReadAll(resp.Body)
	a := heard{Response: resp, text: string(b)}
	var e struct {
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	json.Unmarshal(b, &e)
	a.code = e.Error.Code
	return a, err
}

// ask sends a raw request on a connection of its own and reads the response.
func (r *rig) ask(raw string) heard {
	r.t.Helper()
	c := r.dial()
	defer c.Close()
	c.send(raw)
	method, _, _ := strings.Cut(raw, " ")
	return c.response(method)
}

// mediaURL retrieves a media's URL and returns it as a request target.
func (r *rig) mediaURL(id string) string {
	r.t.Helper()
	a := r.ask(get("/" + id))
	var m struct{ URL string }
	if err := json.Unmarshal([]byte(a.text), &m); err != nil {
		r.t.Fatalf("%v in %s", err, a.text)
	}
	u, err := url.Parse(m.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	return u.RequestURI()
}
