package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/admin"
	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
)

// serveNamed answers every request with a name and a status, and gathers the heads' Host fields.
func serveNamed(t *testing.T, name string, status *atomic.Int64) string {
	return serveUpstream(t, func(c *peer) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			if host := field(head, "Host"); host != "partner.example" {
				t.Errorf("the upstream was asked for Host %q", host)
			}
			c.send(fmt.Sprintf("HTTP/1.1 %d Well\r\nContent-Length: %d\r\n\r\n%s", status.Load(), len(name), name))
		}
	})
}

// answeredBy makes n requests and returns who answered.
func (r *running) answeredBy(n int) string {
	r.t.Helper()
	c := r.dial()
	var who strings.Builder
	for range n {
		_, body := c.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		who.WriteString(body)
	}
	return who.String()
}

func (r *running) metric(name string, labels ...string) float64 {
	r.t.Helper()
	var b bytes.Buffer
	r.writeMetrics(&b)
	all, err := readMetrics(b.String())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range all {
		fits := s.name == name
		for i := 0; i < len(labels); i += 2 {
			fits = fits && s.labels[labels[i]] == labels[i+1]
		}
		if fits {
			return s.value
		}
	}
	r.t.Fatalf("there is no metric %s with %q", name, labels)
	return 0
}

// TestEndpoints balances requests among two addresses, ejects one of them, and keeps it ejected over a reload.
func TestEndpoints(t *testing.T) {
	var a, b atomic.Int64
	a.Store(200)
	b.Store(200)
	one, two := serveNamed(t, "a", &a), serveNamed(t, "b", &b)
	rest := fmt.Sprintf(`    addresses: [{address: %q, weight: 2}, {address: %q}]
    outliers: {consecutive: 3, base_ejection_time: 1h, statuses: [500]}
`, one, two) + everything
	r := start(t, "partner.example", rest)
	if who := r.answeredBy(6); strings.Count(who, "a") != 4 || strings.Count(who, "b") != 2 {
		t.Errorf("%q answered, want a two times in three", who)
	}
	b.Store(500)
	r.answeredBy(9)
	if who := r.answeredBy(6); who != "aaaaaa" {
		t.Errorf("%q answered, while b is ejected", who)
	}
	r.configure("partner.example", strings.Replace(rest, "upstream: up}", "upstream: up, host: '*'}", 1))
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if who := r.answeredBy(6); who != "aaaaaa" {
		t.Errorf("%q answered, when b was ejected before a reload", who)
	}
	for _, m := range []struct {
		name, endpoint string
		want           float64
	}{
		{"ejected", one, 0},
		{"ejected", two, 1},
		{"ejections_total", two, 1},
		{"failures_total", two, 3},
		{"failures_total", one, 0},
		{"healthy", two, 1},
	} {
		if got := r.metric("breakwater_upstream_endpoint_"+m.name, "upstream", "up", "endpoint", m.endpoint); got != m.want {
			t.Errorf("%s of %s is %v, want %v", m.name, m.endpoint, got, m.want)
		}
	}
	got, err := http.Get("http://" + r.AdminAddr().String() + "/api/v1/config")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, _ := io.ReadAll(got.Body)
	var c admin.Config
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	for i := range c.Upstreams[0].Endpoints { // an answer may be here before its connection is idle again, and the next takes another
		c.Upstreams[0].Endpoints[i].Connections, c.Upstreams[0].Endpoints[i].Idle = 0, 0
	}
	want := []admin.Endpoint{
		{Address: one, Weight: 2, Healthy: true},
		{Address: two, Weight: 1, Healthy: true, Ejected: true, Ejections: 1, Failures: 3},
	}
	if e := c.Upstreams[0].Endpoints; len(e) != 2 || e[0] != want[0] || e[1] != want[1] {
		t.Errorf("the admin API says %+v, want %+v", e, want)
	}
}

func TestNoHealthyEndpoint(t *testing.T) {
	var status atomic.Int64
	status.Store(503)
	address := serveNamed(t, "ill", &status)
	r := start(t, "partner.example", fmt.Sprintf(`    addresses: [{address: %q}]
    panic_threshold: 0
    health: {path: /health, interval: 10ms}
`, address)+everything)
	eventually(t, "it is unhealthy", func() bool {
		return r.metric("breakwater_upstream_endpoint_healthy", "endpoint", address) == 0
	})
	head, body := r.dial().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 503 ") || !strings.Contains(body, "upstream-unhealthy") {
		t.Errorf("%s%s", head, body)
	}
	status.Store(200)
	eventually(t, "it is used again", func() bool { return strings.HasPrefix(r.answeredBy(1), "ill") })
	if n := r.metric("breakwater_upstream_endpoint_health_checks_total", "result", "failed"); n == 0 {
		t.Error("no failed check was counted")
	}
}

// TestEndpointOptions says every key of an upstream's endpoints, and what the upstream makes of it.
func TestEndpointOptions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "breakwater.yaml")
	text := `
listen: {address: "127.0.0.1:0"}
admin: {example: true}
upstreams:
  - name: up
    url: https://partner.example:8443
    addresses: [{address: "10.0.0.1:1", weight: 3}, {address: "internal.example:2"}]
    balance: least_pending
    panic_threshold: 30
    dns: {refresh: 10s, timeout: 1s, family: ipv6, server: "127.0.0.1:53"}
    health: {path: /h, interval: 5s, timeout: 2s, healthy: 3, unhealthy: 4, expected_statuses: [200, "300-399"]}
    outliers: {consecutive: 1, statuses: [500], base_ejection_time: 2s, max_ejection_time: 3s, jitter: 4s, interval: 6s, max_ejected_percent: 7, success_rate: {minimum_endpoints: 8, requests: 9, stdev_factor: 10}}
` + everything
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got upstream.Options
	endpointOptions(c.Upstreams[0], &got)
	want := upstream.Options{
		Addresses:      []upstream.Address{{Address: "10.0.0.1:1", Weight: 3}, {Address: "internal.example:2", Weight: 1}},
		Balance:        upstream.LeastPending,
		PanicThreshold: 30,
		DNS:            upstream.DNS{Refresh: 10 * time.Second, Timeout: time.Second, Family: "ip6", Server: "127.0.0.1:53"},
		Health: upstream.Health{
			Path: "/h", Host: "partner.example:8443", Interval: 5 * time.Second, Timeout: 2 * time.Second, Healthy: 3, Unhealthy: 4,
			Statuses: []upstream.Status{{From: 200, To: 200}, {From: 300, To: 399}},
		},
		Outliers: upstream.Outliers{
			Consecutive: 1, Statuses: []upstream.Status{{From: 500, To: 500}}, Base: 2 * time.Second, Max: 3 * time.Second, Jitter: 4 * time.Second,
			Interval: 6 * time.Second, MaxPercent: 7, SuccessRate: upstream.SuccessRate{Endpoints: 8, Requests: 9, Deviation: 10},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}
