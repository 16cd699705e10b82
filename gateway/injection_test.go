package gateway

import (
	"net/http"
	"strings"
	"testing"
)

// TestInjection puts into the request what the route says of this client.
func TestInjection(t *testing.T) {
	up := servePartner(t, mirror)
	s := launch(t, up.address, withKeys+`
routes:
  - name: media
    path: /{media_id}
    upstream: up
    inject:
      path: /v23.0/{path.media_id}
      query: {phone_number_id: "{client.phone_number_id}"}
      fields: {Authorization: "Bearer {secret.partner_token}", X-Phone: "{client.phone_number_id}", X-Media: "m-{path.media_id}"}
  - name: own
    path: /own/media
    upstream: up
    inject: {path: "/{client.phone_number_id}/media"}
  - name: lacking
    path: /lacking
    upstream: up
    inject: {fields: {X-Region: "{client.region}"}}
`, func(s *site) {
		s.write("clients.yaml", strings.Replace(s.read("clients.yaml"), `{phone_number_id: "106540352242922"}`, `{phone_number_id: "106540352242922", region: eu}`, 1))
	})
	c := s.dial()
	tests := []struct {
		name, target, key string
		fields            []string
		want              []string
	}{
		{"path, query and fields", "/12?a=b", acme, nil, []string{"GET /v23.0/12?a=b&phone_number_id=106540352242922 HTTP/1.1\r\n", "X-Phone: 106540352242922\r\n", "X-Media: m-12\r\n", "Authorization: Bearer partner-token-acme\r\n"}},
		{"of this client", "/12", globex, nil, []string{"GET /v23.0/12?phone_number_id=106540352242923 HTTP/1.1\r\n"}},
		{"in the place of what the client sent", "/12?phone%5Fnumber_id=1&a&phone_number_id=2", acme, []string{"x-phone: 1", "X-PHONE: 2", "authorization: mine"}, []string{"GET /v23.0/12?phone_number_id=106540352242922&a HTTP/1.1\r\n"}},
		{"a path of the client's own", "/own/media?x", acme, nil, []string{"GET /106540352242922/media?x HTTP/1.1\r\n"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if r := c.get(test.target, test.key, test.fields...); r.code != 200 {
				t.Fatalf("status %d %s", r.code, r.body)
			}
			got := up.last()
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("the upstream got %q, want %q in it", got, want)
				}
			}
			lower := strings.ToLower(got)
			if strings.Count(lower, "\r\nx-phone:") > 1 || strings.Count(lower, "\r\nauthorization:") > 1 || strings.Contains(lower, "mine") || strings.Contains(lower, "example-key") {
				t.Errorf("the upstream got %q", got)
			}
		})
	}

	before := len(up.got())
	for _, bad := range []string{"/a%2Fb", "/..%5C", "/%2e%2e", "/a%00"} {
		r := c.get(bad, acme)
		if r.code != 400 || r.kind() != "malformed-request" || r.problem(t)["fault"] != "client" || r.problem(t)["counts_against_client"] != false {
			t.Errorf("%s: status %d, problem %s, want 400", bad, r.code, r.body)
		}
	}
	r := c.get("/lacking", globex, "Breakwater-Request-Id: lacking-1")
	if p := r.problem(t); r.code != 500 || r.kind() != "not-injectable" || p["fault"] != "gateway" || p["counts_against_client"] != false || strings.Contains(r.body, "region") {
		t.Errorf("a client without the attribute: status %d, problem %s, want 500 and nothing of the configuration", r.code, r.body)
	}
	if len(up.got()) != before {
		t.Errorf("what could not be injected has reached the upstream: %q", up.last())
	}
	if log := s.events.String(); !strings.Contains(log, "request=lacking-1") || !strings.Contains(log, "{client.region}: the client has no such attribute") {
		t.Errorf("the log does not say what is missing: %s", log)
	}
	if r := c.get("/lacking", acme); r.code != 200 {
		t.Errorf("a client with the attribute: status %d", r.code)
	}
}

// TestSecretsAreNeverSeen looks for the client's key and the gateway's secret wherever they could come out.
func TestSecretsAreNeverSeen(t *testing.T) {
	up := servePartner(t, func(*http.Request) string { return respond(400, "no", "X-Up: yes") })
	s := launch(t, up.address, "access_log: {file: access.log}\n"+acting(t, `{fields: {Authorization: "Bearer {secret.partner_token}", X-Token: "{secret.partner_token}", X-Sent: "{client.phone_number_id}"}}`,
		`{only: /tell-request, request: [{do: tell}]}`,
		`{request: [{do: log}], response: [{do: log}], classify: [{do: log}]}`,
		`{only: /tell-response, response: [{do: tell}]}`))
	c := s.dial()
	// Behind the content a field could slip past what looks at the head.
	c.send("POST /trailer HTTP/1.1\r\nHost: h\r\nD360-API-KEY: example-key-acme\r\nAuthorization: own\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nd360-api-key: example-key-acme\r\nX-T: 1\r\n\r\n")
	c.reply("POST")
	if got := up.last(); !strings.Contains(got, "\r\nAuthorization: Bearer partner-token-acme\r\nX-Token: partner-token-acme\r\n") || strings.Contains(got, "own") {
		t.Fatalf("the upstream got %q, want the secrets", got)
	}
	told := []string{c.get("/tell-request", acme, "Authorization: own").body, c.get("/tell-response", acme, "Authorization: own").body}
	for i, want := range []string{"Authorization: own\n", "sent Authorization: own\nsent X-Sent: 106540352242922\n"} {
		if !strings.Contains(told[i], want) {
			t.Errorf("a guest saw %q, want %q in it", told[i], want)
		}
	}
	for range 3 {
		told = append(told, c.get("/x", acme).body) // the last one is blocked
	}
	s.dial().get("/x", "example-key-acme-but-wrong")
	s.configure(up.address, "nonsense")
	s.Reload(t.Context()) //nolint:errcheck // it is refused
	told = append(told, s.metrics())
	s.end()
	told = append(told, s.events.String(), s.read("access.log"))
	if !strings.Contains(told[len(told)-1], `"client":"acme"`) || !strings.Contains(s.events.String(), "X-Up") {
		t.Fatal("the logs are empty")
	}
	for _, text := range told {
		for _, secret := range []string{"partner-token", "example-key", "2b9d340e03bf"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q in %s", secret, text)
			}
		}
	}
	for _, body := range up.bodies {
		if strings.Contains(body, "example-key") {
			t.Errorf("the key went to the upstream in %q", body)
		}
	}
}

func TestTrailersWithoutIdentity(t *testing.T) {
	arrived := make(chan string, 1)
	up := serveUpstream(t, func(c *peer) {
		c.head()
		c.take(len("1\r\na\r\n"))
		arrived <- c.head()
		c.send(respond(200, ""))
	})
	s := launch(t, up, guarded)
	c := s.dial()
	c.send("POST /x HTTP/1.1\r\nHost: h\r\nD360-API-KEY: example-key-acme\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nd360-api-key: example-key-acme\r\nX-T: 1\r\n\r\n")
	if got, want := <-arrived, "0\r\nX-T: 1\r\n\r\n"; got != want {
		t.Errorf("the upstream got %q, want %q", got, want)
	}
	c.reply("POST")
}
