package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWhoIsAsked holds what becomes of a request by its key: the problem with all its members, whatever the method.
func TestWhoIsAsked(t *testing.T) {
	up := servePartner(t, fine)
	s := launch(t, up.address, guarded)
	unknown := func(detail string) map[string]any {
		return map[string]any{
			"type": "tag:breakwater-gateway.github.io,2026:problem/unknown-client", "title": "The client is not known", "status": 401.0,
			"detail": detail, "instance": "request-1", "fault": "client", "counts_against_client": false,
		}
	}
	tests := []struct {
		name   string
		keys   []string
		detail string // "": the request passes
	}{
		{"a known key passes", []string{"D360-API-KEY: example-key-acme"}, ""},
		{"its field is found without case", []string{"d360-api-key: example-key-acme"}, ""},
		{"no key", nil, "expected the client's key in the field D360-API-KEY"},
		{"an empty key", []string{"D360-API-KEY:"}, "expected the client's key in the field D360-API-KEY"},
		{"an unknown key", []string{"D360-API-KEY: example-key-acm"}, "the key in the field D360-API-KEY is not known"},
		{"a key has case", []string{"D360-API-KEY: Example-key-acme"}, "the key in the field D360-API-KEY is not known"},
		{"two keys, both known", []string{"D360-API-KEY: example-key-acme", "D360-API-KEY: example-key-globex"}, "the field D360-API-KEY was sent more than once"},
		{"the same key twice", []string{"D360-API-KEY: example-key-acme", "d360-api-key: example-key-acme"}, "the field D360-API-KEY was sent more than once"},
		{"an empty key and a known one", []string{"D360-API-KEY:", "D360-API-KEY: example-key-acme"}, "the field D360-API-KEY was sent more than once"},
		{"a key in another field", []string{"Authorization: example-key-acme"}, "expected the client's key in the field D360-API-KEY"},
		{"a key that Connection lists is a key all the same", []string{"Connection: D360-API-KEY", "D360-API-KEY: example-key-acme"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				before := len(up.got())
				r := s.dial().do(method, "/1?a=b", "", append(test.keys, "Breakwater-Request-Id: request-1")...)
				if test.detail == "" {
					if r.code != 200 || strings.Contains(strings.ToLower(up.last()), "example-key") || strings.Contains(strings.ToLower(up.last()), "d360") {
						t.Errorf("%s: status %d, the upstream got %q", method, r.code, up.last())
					}
					continue
				}
				if r.code != 401 || len(up.got()) != before {
					t.Fatalf("%s: status %d, %d requests to the upstream, want 401 and none", method, r.code, len(up.got())-before)
				}
				if method == "HEAD" {
					if r.body != "" || r.header.Get("Content-Length") == "0" {
						t.Errorf("HEAD: content %q, Content-Length %s, want none, of a GET's length", r.body, r.header.Get("Content-Length"))
					}
					continue
				}
				if diff := cmp.Diff(unknown(test.detail), r.problem(t)); diff != "" {
					t.Errorf("problem (-want +got):\n%s", diff)
				}
				if r.header.Get("Breakwater-Request-Id") != "request-1" {
					t.Errorf("fields %v, want the request id", r.header)
				}
			}
		})
	}
}

func TestConnectionGoesOnAfterARefusal(t *testing.T) {
	s := launch(t, servePartner(t, fine).address, guarded)
	c := s.dial()
	for _, key := range []string{"wrong", acme, "", acme} {
		want := 401
		if key == acme {
			want = 200
		}
		if r := c.get("/1", key); r.code != want {
			t.Errorf("key %q: status %d, want %d", key, r.code, want)
		}
	}
}

// TestGuessing turns an address away that tries keys, and nobody who has one.
func TestGuessing(t *testing.T) {
	s := launch(t, servePartner(t, fine).address, `
clients: {file: clients.yaml, credential: {field: D360-API-KEY}, trusted_proxies: [127.0.0.0/8], guessing: {failures: 3, window: 1h, block: 1h}}
routes:
  - {name: all, path: "/{rest...}", upstream: up}
`)
	c := s.dial()
	from := func(address, key string) reply { return c.get("/1", key, "X-Forwarded-For: "+address) }
	for range 5 {
		if r := from("192.0.2.1", ""); r.code != 401 {
			t.Fatalf("no key at all: status %d, want 401: it is no guess", r.code)
		}
	}
	for i := range 5 {
		r := from("192.0.2.1", fmt.Sprintf("guess-%d", i))
		want, kind := 401, "unknown-client"
		if i >= 3 {
			want, kind = 429, "too-many-unknown-keys"
		}
		if r.code != want || r.kind() != kind || (want == 429) != (r.header.Get("Retry-After") == "3600") {
			t.Errorf("guess %d: status %d, problem %q, fields %v, want %d %q", i+1, r.code, r.kind(), r.header, want, kind)
		}
		if p := r.problem(t); p["fault"] != "client" || p["counts_against_client"] != false || strings.Contains(r.body, "guess-") {
			t.Errorf("guess %d: problem %s", i+1, r.body)
		}
	}
	if r := from("192.0.2.1", acme); r.code != 200 {
		t.Errorf("a known key from the same address: status %d, want 200", r.code)
	}
	if r := from("192.0.2.2", "guess"); r.code != 401 {
		t.Errorf("another address: status %d, want 401", r.code)
	}
	if got := s.metric("breakwater_addresses_refused"); got != "1" {
		t.Errorf("addresses refused: %s, want 1", got)
	}
}

// TestPeer finds out who the client is behind proxies.
func TestPeer(t *testing.T) {
	tests := []struct {
		name, trusted string
		fields        []string
		want          string // "": the connection's own
	}{
		{"nobody is trusted", "[]", []string{"X-Forwarded-For: 192.0.2.1"}, ""},
		{"an untrusted peer is not believed", "[10.0.0.0/8]", []string{"X-Forwarded-For: 192.0.2.1"}, ""},
		{"a trusted peer is", "[127.0.0.1]", []string{"X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
		{"a trusted peer that says nothing", "[127.0.0.1]", nil, ""},
		{"the last that is not a proxy counts: a client can write what is before", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 198.51.100.9, 192.0.2.1, 10.1.1.1"}, "192.0.2.1"},
		{"without the proxy's trust it is the client", "[127.0.0.1]", []string{"X-Forwarded-For: 192.0.2.1, 10.1.1.1"}, "10.1.1.1"},
		{"lines are one list", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 10.1.1.1,10.1.1.2"}, "192.0.2.1"},
		{"proxies all the way: the first is the client", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 10.1.1.1, 10.1.1.2"}, "10.1.1.1"},
		{"what is no address ends the way", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 192.0.2.1, unknown, 10.1.1.2"}, "10.1.1.2"},
		{"empty elements are none", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 192.0.2.1, , 10.1.1.2,"}, "192.0.2.1"},
		{"addresses with ports", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: 192.0.2.1:4711, 10.1.1.2:80"}, "192.0.2.1"},
		{"IPv6", "[127.0.0.1]", []string{"X-Forwarded-For: 2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", "[127.0.0.1]", []string{`X-Forwarded-For: [2001:db8::1]:4711`}, "2001:db8::1"},
		{"IPv4 in IPv6 is IPv4", "[127.0.0.1, 10.0.0.0/8]", []string{"X-Forwarded-For: ::ffff:192.0.2.1, ::ffff:10.0.0.1"}, "192.0.2.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := launch(t, servePartner(t, fine).address, `
access_log: {file: access.log}
clients: {file: clients.yaml, credential: {field: D360-API-KEY}, trusted_proxies: `+test.trusted+`}
routes:
  - {name: all, path: "/{rest...}", upstream: up}
`)
			c := s.dial()
			c.get("/1", acme, test.fields...)
			s.end()
			var line struct{ Peer string }
			if err := json.Unmarshal([]byte(s.read("access.log")), &line); err != nil {
				t.Fatal(err)
			}
			want := test.want
			if want == "" {
				want = c.LocalAddr().String()
			} else if host, ok := strings.CutSuffix(line.Peer, ":0"); ok {
				line.Peer = strings.Trim(host, "[]")
			}
			if line.Peer != want {
				t.Errorf("peer %s, want %s", line.Peer, want)
			}
		})
	}
}

func TestNoRoute(t *testing.T) {
	up := servePartner(t, fine)
	s := launch(t, up.address, `
routes:
  - {name: read, methods: [GET, HEAD], path: /x, upstream: up}
  - {name: write, methods: [PUT], path: /x, upstream: up}
  - {name: rest, path: "/-x/{rest...}", upstream: up}
  - {name: internal, host: shop.example, path: "/{rest...}", upstream: up}
`)
	tests := []struct {
		name, method, host, target string
		status                     int
		kind, allow                string
	}{
		{"a path that nobody takes", "GET", "h", "/y", 404, "no-route", ""},
		{"a method that nobody takes there", "DELETE", "h", "/x", 405, "method-not-allowed", "GET, HEAD, PUT"},
		{"HEAD has no content", "HEAD", "h", "/y", 404, "", ""},
		{"the gateway's own prefix is nobody else's", "GET", "shop.example", "/-/x", 404, "no-route", ""},
		{"and so is its root", "GET", "shop.example", "/-/", 404, "no-route", ""},
		{"what only looks like it is free", "GET", "h", "/-x/1", 200, "", ""},
		{"in a query it is nothing special", "GET", "shop.example", "/?/-/", 200, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := s.dial()
			c.send(test.method + " " + test.target + " HTTP/1.1\r\nHost: " + test.host + "\r\n\r\n")
			r := c.reply(test.method)
			if r.code != test.status || r.kind() != test.kind || r.header.Get("Allow") != test.allow {
				t.Errorf("status %d, problem %q, Allow %q, want %d, %q, %q", r.code, r.kind(), r.header.Get("Allow"), test.status, test.kind, test.allow)
			}
			if test.method == "HEAD" && r.body != "" {
				t.Errorf("HEAD: content %q", r.body)
			}
		})
	}
	if n := len(up.got()); n != 2 {
		t.Errorf("%d requests at the upstream, want 2", n)
	}
}

// TestTotalLimit ends an exchange that takes too long: with a problem while that can be, visibly cut after that.
func TestTotalLimit(t *testing.T) {
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	up := serveUpstream(t, func(c *peer) {
		if strings.HasPrefix(c.head(), "GET /head") {
			<-ended
			return
		}
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		<-ended
	})
	s := launch(t, up, "routes:\n  - {name: all, path: \"/{rest...}\", upstream: up, limits: {total: 200ms}}\n")
	r := s.dial().get("/head", "")
	if r.code != 504 || r.kind() != "upstream-timeout" || r.problem(t)["fault"] != "upstream" {
		t.Errorf("no head in time: status %d, problem %s", r.code, r.body)
	}
	r = s.dial().get("/content", "")
	if r.code != 200 || r.body != "hello" || r.err == nil {
		t.Errorf("no end in time: status %d, content %q, error %v, want the beginning and a cut", r.code, r.body, r.err)
	}
	s.counted(`breakwater_requests_total{route="all",class="timeout",fault="upstream"}`, "2")
}
