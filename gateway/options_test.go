package gateway

import (
	"strings"
	"testing"
)

// What OPTIONS and TRACE come to, and whether they reach the upstream.
func TestLastRecipient(t *testing.T) {
	const some = withKeys + `
routes:
  - {name: items, path: "/items/{id}", methods: [GET, PUT, OPTIONS, TRACE], upstream: up, inject: {fields: {Authorization: "Bearer {secret.partner_token}", X-Phone: "{client.phone_number_id}"}}}
  - {name: item, path: "/items/{id:digits}", methods: [PURGE], upstream: up}
  - {name: read, path: "/read", methods: [GET], upstream: up}
  - {name: all, path: "/all/{rest...}", upstream: up}
`
	const key = "D360-API-KEY: " + acme
	tests := []struct {
		name, method, target string
		fields               []string
		code                 int
		allow                string
		upstream             []string // lines that it gets; nil: nothing arrives
		not                  string   // what it must not get
	}{
		{"OPTIONS goes on", "OPTIONS", "/items/a", []string{key}, 200, "", []string{"OPTIONS /items/a HTTP/1.1", "Authorization: Bearer partner-token-acme"}, "Max-Forwards"},
		{"a number is counted down (9110 7.6.2)", "OPTIONS", "/items/a", []string{key, "max-forwards: 5"}, 200, "", []string{"max-forwards: 4"}, ""},
		{"one goes on as zero", "OPTIONS", "/items/a", []string{key, "Max-Forwards: 1"}, 200, "", []string{"Max-Forwards: 0"}, ""},
		{"zeros in front mean nothing", "OPTIONS", "/items/a", []string{key, "Max-Forwards: 010"}, 200, "", []string{"Max-Forwards: 9"}, ""},
		{"a number beyond counting is lowered to what we count to", "OPTIONS", "/items/a", []string{key, "Max-Forwards: 99999999999999999999"}, 200, "", []string{"Max-Forwards: 1048575"}, ""},
		{"zero is answered here, with what the route takes", "OPTIONS", "/items/a", []string{key, "Max-Forwards: 0"}, 200, "GET, OPTIONS, PUT, TRACE", nil, ""},
		{"all routes of the path", "OPTIONS", "/items/7", []string{key, "Max-Forwards: 00"}, 200, "GET, OPTIONS, PURGE, PUT, TRACE", nil, ""},
		{"a route for any method lists the usual ones", "OPTIONS", "/all/x", []string{key, "Max-Forwards: 0"}, 200, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT", nil, ""},
		{"the field is listed as the connection's", "OPTIONS", "/all/x", []string{key, "Max-Forwards: 0", "Connection: max-forwards"}, 200, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT", nil, ""},
		{"who is not known is not answered", "OPTIONS", "/all/x", []string{"Max-Forwards: 0"}, 401, "", nil, ""},
		{"no number", "OPTIONS", "/all/x", []string{key, "Max-Forwards: x"}, 400, "", nil, ""},
		{"a sign", "OPTIONS", "/all/x", []string{key, "Max-Forwards: -1"}, 400, "", nil, ""},
		{"nothing", "OPTIONS", "/all/x", []string{key, "Max-Forwards:"}, 400, "", nil, ""},
		{"two numbers", "OPTIONS", "/all/x", []string{key, "Max-Forwards: 1, 0"}, 400, "", nil, ""},
		{"two fields", "OPTIONS", "/all/x", []string{key, "Max-Forwards: 1", "Max-Forwards: 1"}, 400, "", nil, ""},
		{"other methods do not count (9110 7.6.2)", "GET", "/all/x", []string{key, "Max-Forwards: 0"}, 200, "", []string{"Max-Forwards: 0"}, ""},
		{"and may say what they like", "GET", "/all/x", []string{key, "Max-Forwards: x"}, 200, "", []string{"Max-Forwards: x"}, ""},
		{"a method that the route does not take", "OPTIONS", "/read", []string{key}, 405, "GET", nil, ""},

		{"OPTIONS for the server as a whole", "OPTIONS", "*", nil, 200, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PURGE, PUT, TRACE", nil, ""},
		{"which goes no further in any case", "OPTIONS", "*", []string{"Max-Forwards: 7"}, 200, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PURGE, PUT, TRACE", nil, ""},
		{"in the absolute form", "OPTIONS", "http://other.example", nil, 200, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PURGE, PUT, TRACE", nil, ""},
		{"no number for the server as a whole", "OPTIONS", "*", []string{"Max-Forwards: x"}, 400, "", nil, ""},

		{
			"TRACE goes on, without secrets of either side (9110 9.3.8)", "TRACE", "/items/a",
			[]string{key, "Authorization: own", "Cookie: c=d", "X-Auth-Token: value-e", "X-Other: f", "Max-Forwards: 2"},
			200, "",
			[]string{"TRACE /items/a HTTP/1.1", "X-Other: f", "Max-Forwards: 1", "X-Phone: 106540352242922"},
			"own c=d value-e partner-token example-key",
		},
		{"a route takes TRACE only where it says so", "TRACE", "/all/x", []string{key}, 405, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT", nil, ""},
		{"whatever Max-Forwards says", "TRACE", "/all/x", []string{key, "Max-Forwards: 0"}, 405, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT", nil, ""},
		{"no number for TRACE", "TRACE", "/items/a", []string{key, "Max-Forwards: x"}, 400, "", nil, ""},
		{"TRACE with content (9110 9.3.8)", "TRACE", "/items/a", []string{key, "Content-Length: 5\r\n\r\nhello"}, 400, "", nil, ""},
		{"TRACE with chunks", "TRACE", "/items/a", []string{key, "Transfer-Encoding: chunked\r\n\r\n0"}, 400, "", nil, ""},
		{"TRACE with a content of nothing", "TRACE", "/items/a", []string{key, "Content-Length: 0"}, 200, "", []string{"TRACE /items/a HTTP/1.1"}, ""},
	}
	up := servePartner(t, fine)
	s := launch(t, up.address, some)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := len(up.got())
			c := dialTo(t, s.Addr().String())
			r := c.do(test.method, test.target, "", test.fields...)
			if r.code != test.code || r.header.Get("Allow") != test.allow {
				t.Fatalf("status %d, Allow %q, %s; want %d, %q", r.code, r.header.Get("Allow"), r.body, test.code, test.allow)
			}
			got := up.got()[before:]
			if (len(got) > 0) != (test.upstream != nil) {
				t.Fatalf("the upstream got %q", got)
			}
			for _, line := range test.upstream {
				if !strings.Contains("\r\n"+got[0], "\r\n"+line+"\r\n") {
					t.Errorf("the upstream got %q, want %q in it", got[0], line)
				}
			}
			for _, part := range strings.Fields(test.not) {
				if len(got) > 0 && strings.Contains(got[0], part) {
					t.Errorf("the upstream got %q with %q in it", got[0], part)
				}
			}
			if test.code == 200 && test.upstream == nil {
				if r.body != "" || r.header.Get("Content-Length") != "0" || r.header.Get("Date") == "" || r.header.Get("Breakwater-Request-Id") == "" || r.header.Get("Via") != "" {
					t.Errorf("fields %v, content %q", r.header, r.body)
				}
				if r := c.do("OPTIONS", "*", ""); r.code != 200 {
					t.Errorf("the next request on the connection: status %d", r.code)
				}
			}
		})
	}
}

// TestTraceComesBack holds the answer to a TRACE request against the request.
func TestTraceComesBack(t *testing.T) {
	up := servePartner(t, fine)
	s := launch(t, up.address, withKeys+`
routes:
  - {name: all, path: "/{rest...}", methods: [GET, TRACE], upstream: up, inject: {fields: {Authorization: "Bearer {secret.partner_token}"}}}
`)
	c := s.dial()
	for _, version := range []string{"1.1", "1.0"} {
		c.send("TRACE /a?b HTTP/" + version + "\r\nHost: h\r\nx-a:  1\r\nX-A: 2\r\nMax-Forwards: 0\r\nD360-API-KEY: " + acme + "\r\nAuthorization: own\r\nPROXY-AUTHORIZATION: own\r\ncookie: own\r\n" +
			"X-Api-Key: own\r\nX-Session-Id: own\r\nVia: 1.1 before\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
		r := c.reply("TRACE")
		want := "TRACE /a?b HTTP/" + version + "\r\nHost: h\r\nx-a: 1\r\nX-A: 2\r\nMax-Forwards: 0\r\nVia: 1.1 before\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
		if r.code != 200 || r.header.Get("Content-Type") != "message/http" || r.body != want {
			t.Errorf("status %d, fields %v, content\n%q, want\n%q", r.code, r.header, r.body, want)
		}
	}
	if got := up.got(); len(got) > 0 {
		t.Errorf("the upstream got %q", got)
	}
	s.counted(`breakwater_requests_total{route="all",class="ok",fault="nobody"}`, "2")
}
