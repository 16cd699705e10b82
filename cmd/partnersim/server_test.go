package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestCommandSaysWhenItIsReadyAndEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-listen", "127.0.0.1:0", "-control", "127.0.0.1:0"}, in, io.Discard)
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	m := regexp.MustCompile(`^partnersim ready: api (http://127\.0\.0\.1:[1-9]\d*) control (http://127\.0\.0\.1:[1-9]\d*)\n$`).FindStringSubmatch(line)
	if err != nil || m == nil {
		t.Fatalf("first line %q, %v", line, err)
	}
	for _, base := range m[1:] {
		resp, err := http.Get(base + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestCommandMistakesAreNamed(t *testing.T) {
	for args, want := range map[string]string{
		"extra":                            `argument "extra": expected flags only`,
		"-record=-1":                       `-record -1: expected 0 or more`,
		"-public-url=example.org":          `-public-url "example.org": expected a URL`,
		"-listen=nowhere":                  `-listen "nowhere"`,
		"-listen=127.0.0.1:0 -control=nix": `-control "nix"`,
		"-tls-cert=a.pem":                  `-tls-cert "a.pem" -tls-key ""`,
	} {
		err := run(context.Background(), strings.Fields(args), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("partnersim %s: %v, want %s", args, err, want)
		}
	}
}

func TestReceivedTellsEveryByte(t *testing.T) {
	r := start(t)
	c := r.dial()
	c.send("GET /1?a=%41&&b HTTP/1.1\r\nhost: sim\r\nX-Dup:  one \r\nx-dup: \xfftwo\r\nAuthorization: Bearer partner-token-acme\r\n\r\n")
	c.response("GET")
	rec := r.receipts("count=1&done=1&target=/1&tenant=acme")[0]
	if rec.Method != "GET" || rec.Target != "/1?a=%41&&b" || rec.Version != "HTTP/1.1" || rec.Tenant != "acme" || rec.Number != 1 || rec.Body.Framing != "none" || !rec.Body.Complete {
		t.Errorf("recorded as %+v", rec)
	}
	if got := strings.Join(rec.Fields[:2], "|"); got != "host: sim|X-Dup:  one " {
		t.Errorf("fields %q", got)
	}
	if !strings.Contains(string(rec.RawHead), "x-dup: \xfftwo\r\n") {
		t.Errorf("raw head %q", rec.RawHead)
	}
	if rec.Response.Status != 200 || !rec.Response.Done || rec.Response.Outcome != "answered" || rec.Response.Bytes == 0 {
		t.Errorf("response recorded as %+v", rec.Response)
	}
	r.must("DELETE", "/received", "", nil)
	if got := r.receipts(""); len(got) != 0 {
		t.Errorf("after DELETE: %d records", len(got))
	}
}

func TestReceivedShowsABodyOnItsWay(t *testing.T) {
	r := start(t)
	c := r.dial()
	c.send(requestOf("POST", "/55/messages", "acme", "Transfer-Encoding: chunked") + "5\r\nhello\r\n")
	rec := r.receipts("count=1&body_bytes=5")[0]
	if rec.Body.Bytes != 5 || rec.Body.Complete || rec.Response.Done || string(rec.Body.Prefix) != "hello" {
		t.Errorf("half a request is recorded as %+v %+v", rec.Body, rec.Response)
	}
	c.send("0\r\n\r\n")
	c.response("POST")
	if rec := r.receipts("count=1&done=1")[0]; !rec.Body.Complete || rec.Body.SHA256 != sum("hello") {
		t.Errorf("the whole one as %+v", rec.Body)
	}
}

func TestReceivedKeepsTheNewest(t *testing.T) {
	r := start(t, func(o *options) { o.record = 3 })
	c := r.dial()
	for i := range 5 {
		c.send(get(fmt.Sprintf("/%d", i)))
		c.response("GET")
	}
	var got []string
	for _, rec := range r.receipts("count=3&done=1") {
		got = append(got, rec.Target)
	}
	if strings.Join(got, " ") != "/2 /3 /4" {
		t.Errorf("kept %v, want the newest three, oldest first", got)
	}
	if status, _ := r.control("GET", "/received?count=9&timeout=1ms", ""); status != 504 {
		t.Errorf("waiting for more than there will be = %d, want 504", status)
	}
	if status, text := r.control("GET", "/received?count=many", ""); status != 400 || !strings.Contains(text, "expected a whole number") {
		t.Errorf("count=many = %d %s, want 400", status, text)
	}
	off := start(t, func(o *options) { o.record = 0 })
	if a := off.ask(get("/1")); a.StatusCode != 200 {
		t.Errorf("without recording: %d", a.StatusCode)
	}
	if status, _ := off.control("GET", "/received", ""); status != 409 {
		t.Errorf("records of a simulator that keeps none = %d, want 409", status)
	}
}

// writePair writes a certificate for 127.0.0.1 and its key, and returns a pool that trusts it.
func writePair(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	conf, err := certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair := conf.Certificates[0]
	der, err := x509.MarshalECPrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600)
	os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(leaf)
	return cert, key, pool
}

func TestTLS(t *testing.T) {
	cert, key, pool := writePair(t)
	r := start(t, func(o *options) { o.tlsCert, o.tlsKey = cert, key })
	retrieve := func() (string, error) {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true, TLSHandshakeTimeout: patience}
		req, _ := http.NewRequest("GET", r.apiURL+"/1", nil)
		req.Header.Set("Authorization", "Bearer partner-token-acme")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	got, err := retrieve()
	if err != nil || !json.Valid([]byte(got)) || !strings.Contains(got, `"url":"https://127.0.0.1:`) {
		t.Fatalf("over TLS: %q, %v", got, err)
	}
	for how, want := range map[string]string{
		"alert":      "handshake failure",
		"close":      "EOF",
		"reset":      "reset",
		"plain-http": "TLS handshake",
		"untrusted":  "certificate",
	} {
		r.scenario("tls-failure", `{"options":{"how":"`+how+`"}}`)
		if got, err := retrieve(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want an error with %q", how, got, err, want)
		}
	}
	r.scenario("tls-failure", `{"options":{"how":"hang"}}`)
	failed := make(chan error, 1)
	go func() {
		_, err := retrieve()
		failed <- err
	}()
	for deadline := time.Now().Add(patience); ; { // until the hang has begun
		if a := r.scenarios.describe().Active; a[0].Hits > 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	r.must("DELETE", "/scenarios", "", nil)
	if err := <-failed; err == nil {
		t.Error("hang: the handshake went on after the end of the scenario")
	}
}

func TestCutOverTLSHasNoCloseNotify(t *testing.T) {
	cert, key, pool := writePair(t)
	r := start(t, func(o *options) { o.tlsCert, o.tlsKey = cert, key })
	for _, cut := range []bool{false, true} {
		if cut {
			r.scenario("mid-stream-reset", `{"path":"/**","options":{"by":"fin","framing":"until-close"}}`)
		}
		tap := &tapConn{Conn: r.dial().Conn}
		c := tls.Client(tap, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MaxVersion: tls.VersionTLS12}) // so that an alert shows as one
		io.WriteString(c, get("/1", "Connection: close"))
		io.Copy(io.Discard, c)
		if got := tap.alert(); got == cut {
			t.Errorf("cut %v: alert at the end %v", cut, got)
		}
	}
}

func TestGateOverTLSLeavesTheConnectionUsable(t *testing.T) {
	cert, key, pool := writePair(t)
	r := start(t, func(o *options) { o.tlsCert, o.tlsKey = cert, key })
	r.scenario("gate", `{"path":"/1","options":{"hold":["request","piece"]}}`)
	raw := r.dial()
	c := &caller{t: t, Conn: tls.Client(raw.Conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})}
	c.in = bufio.NewReader(c.Conn)
	c.send(get("/1"))
	for range 2 {
		r.waiting("gate", 1)
		r.must("POST", "/release/gate", "", nil)
	}
	if a := c.response("GET"); a.StatusCode != 200 {
		t.Fatalf("held twice: %d", a.StatusCode)
	}
	c.send(get("/2"))
	if a := c.response("GET"); !strings.Contains(a.text, `"id":"2"`) {
		t.Errorf("the next one: %s", a.text)
	}
}

// A tapConn remembers what it read.
type tapConn struct {
	net.Conn
	got []byte
}

func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.got = append(c.got, p[:n]...)
	return n, err
}

// alert reports whether the last TLS record is one.
func (c *tapConn) alert() bool {
	last := byte(0)
	for rest := c.got; len(rest) >= 5; {
		last = rest[0]
		rest = rest[min(len(rest), 5+int(rest[3])<<8+int(rest[4])):]
	}
	return last == 21
}
