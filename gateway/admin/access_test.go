package admin

import (
	"strings"
	"testing"
)

func TestWhoMayDoWhat(t *testing.T) {
	l := listen(t, withTokens())
	set := `{"variant": "on", "reason": "a test"}`
	tests := []struct {
		name, method, path, content, field string
		want                               int
	}{
		{"health needs no token", "GET", "/healthz", "", "", 200},
		{"readiness needs no token", "GET", "/readyz", "", "", 200},
		{"an unknown token does no harm to health", "GET", "/healthz", "", "Authorization: Bearer nonsense", 200},
		{"metrics need a token", "GET", "/metrics", "", "", 401},
		{"view sees metrics", "GET", "/metrics", "", asView, 200},
		{"view sees flags", "GET", "/api/v1/flags", "", asView, 200},
		{"operate includes view", "GET", "/api/v1/flags", "", asOperate, 200},
		{"view changes no flag", "PUT", "/api/v1/flags/drop", set, asView, 403},
		{"view unblocks nobody", "POST", "/api/v1/clients/acme/unblock", `{"reason": "x"}`, asView, 403},
		{"view reloads nothing", "POST", "/api/v1/reload", "{}", asView, 403},
		{"view takes no profile", "GET", "/debug/pprof/heap", "", asView, 403},
		{"operate takes a profile", "GET", "/debug/pprof/heap", "", asOperate, 200},
		{"nobody changes no flag", "PUT", "/api/v1/flags/drop", set, "", 401},
		{"a token in another scheme is none", "GET", "/api/v1/flags", "", "Authorization: Basic " + viewToken, 401},
		{"the scheme is compared without case", "GET", "/api/v1/flags", "", "Authorization: bearer " + viewToken, 200},
		{"a hash is no token", "GET", "/api/v1/flags", "", "Authorization: Bearer " + sum(viewToken), 401},
		{"an empty token is none", "GET", "/api/v1/flags", "", "Authorization: Bearer ", 401},
		{"nobody learns what paths there are", "GET", "/nowhere", "", "", 401},
		{"HEAD is answered where GET is", "HEAD", "/api/v1/flags", "", asView, 200},
		{"a path that is not there", "GET", "/nowhere", "", asView, 404},
		{"a method that is not there", "DELETE", "/api/v1/flags/drop", "", asOperate, 405},
		{"with tokens any Host will do", "GET", "/api/v1/flags", "", asView, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fields := []string{"Host: gateway.example:9090"}
			if tt.field != "" {
				fields = append(fields, tt.field)
			}
			r := l.ask(tt.method, tt.path, tt.content, fields...)
			if r.status != tt.want {
				t.Errorf("%s %s: status %d, want %d: %s", tt.method, tt.path, r.status, tt.want, r.body)
			}
			if got := r.header.Get("Cache-Control") + " " + r.header.Get("X-Content-Type-Options"); got != "no-store nosniff" {
				t.Errorf("fields %q, want no-store nosniff", got)
			}
			if r.status == 401 && r.header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
			if r.status == 405 && r.header.Get("Allow") != "GET, HEAD, PUT" {
				t.Errorf("Allow %q", r.header.Get("Allow"))
			}
		})
	}
}

func TestUnknownTokensAreThrottledAndKnownOnesAreNot(t *testing.T) {
	l := listen(t, withTokens())
	last := 0
	for range unknownTokens.Misses + 1 {
		last = l.ask("GET", "/api/v1/flags", "", "Authorization: Bearer guess").status
	}
	if last != 429 {
		t.Errorf("status %d after %d unknown tokens, want 429", last, unknownTokens.Misses+1)
	}
	if r := l.ask("GET", "/api/v1/flags", "", "Authorization: Bearer guess"); r.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	if r := l.ask("GET", "/api/v1/flags", "", asView); r.status != 200 {
		t.Errorf("status %d for a known token, want 200", r.status)
	}
}

func TestTheExampleTakesNothingFromElsewhere(t *testing.T) {
	l := listen(t, example)
	set := `{"variant": "on", "reason": "a test"}`
	tests := []struct {
		name   string
		fields []string
		want   int
	}{
		{"the address itself", nil, 200},
		{"localhost with a port", []string{"Host: localhost:9090"}, 200},
		{"localhost without", []string{"Host: LocalHost"}, 200},
		{"another loopback address", []string{"Host: 127.9.9.9:1"}, 200},
		{"IPv6", []string{"Host: [::1]:9090"}, 200},
		{"IPv6 without a port", []string{"Host: [::1]"}, 200},
		{"a name that was rebound to this machine", []string{"Host: evil.example:9090"}, 403},
		{"a name that begins like ours", []string{"Host: localhost.evil.example"}, 403},
		{"an address elsewhere", []string{"Host: 192.0.2.1:9090"}, 403},
		{"the unspecified address", []string{"Host: 0.0.0.0:9090"}, 403},
		{"no port after the colon", []string{"Host: localhost:"}, 403},
		{"the page of this listener", []string{"Host: localhost:9090", "Origin: http://localhost:9090", "Sec-Fetch-Site: same-origin"}, 200},
		{"a page of another port", []string{"Host: localhost:9090", "Origin: http://localhost:3000"}, 403},
		{"a page of elsewhere", []string{"Origin: https://evil.example"}, 403},
		{"a page without an origin", []string{"Origin: null"}, 403},
		{"what a browser calls cross-site", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"what a browser calls same-site", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"typed into the browser", []string{"Sec-Fetch-Site: none"}, 200},
		{"a form's content", []string{"Content-Type: text/plain"}, 415},
		{"a form's other content", []string{"Content-Type: application/x-www-form-urlencoded"}, 415},
		{"JSON with a charset", []string{"Content-Type: application/json; charset=UTF-8"}, 200},
		{"JSON in another charset", []string{"Content-Type: application/json; charset=latin1"}, 415},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r := l.ask("PUT", "/api/v1/flags/drop", set, tt.fields...); r.status != tt.want {
				t.Errorf("status %d, want %d: %s", r.status, tt.want, r.body)
			}
			if tt.want == 403 {
				if r := l.ask("GET", "/readyz", "", tt.fields...); r.status != 403 {
					t.Errorf("readyz: status %d, want 403", r.status)
				}
			}
		})
	}
}

func TestNoSecretIsEverShown(t *testing.T) {
	l := listen(t, withTokens())
	l.block()
	for _, path := range []string{
		"/readyz", "/metrics", "/api/v1/flags", "/api/v1/clients", "/api/v1/clients/acme", "/api/v1/blocks", "/api/v1/config", "/api/v1/journal",
	} {
		r := l.ask("GET", path, "", asOperate)
		if r.status != 200 {
			t.Errorf("%s: status %d: %s", path, r.status, r.body)
		}
		for _, secret := range []string{secretValue, clientKey, viewToken, operateToken} {
			if strings.Contains(r.body, secret) || strings.Contains(r.body, sum(secret)) {
				t.Errorf("%s shows %q or its hash: %s", path, secret, r.body)
			}
		}
	}
	l.ask("GET", "/api/v1/flags", "", "Authorization: Bearer a-mistyped-token")
	if strings.Contains(l.log.String(), "a-mistyped-token") {
		t.Errorf("the log has a token:\n%s", l.log)
	}
}
