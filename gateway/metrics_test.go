package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*`)
)

// A sample is one line of Prometheus' text format.
type sample struct {
	name   string
	labels map[string]string
	value  float64
}

// readMetrics reads Prometheus' text format strictly: names, escapes, values, no series twice.
func readMetrics(text string) (all []sample, err error) {
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("no line feed at the end")
	}
	seen := map[string]bool{}
	for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		bad := func(what string) error { return fmt.Errorf("line %d: %s: %q", n+1, what, line) }
		if line == "" || strings.HasPrefix(line, "# HELP ") || strings.HasPrefix(line, "# TYPE ") {
			continue
		}
		s := sample{labels: map[string]string{}}
		if s.name = metricName.FindString(line); s.name == "" {
			return nil, bad("no name")
		}
		rest := line[len(s.name):]
		if strings.HasPrefix(rest, "{") {
			for rest = rest[1:]; !strings.HasPrefix(rest, "}"); {
				name := labelName.FindString(rest)
				if name == "" || !strings.HasPrefix(rest[len(name):], `="`) {
					return nil, bad("no label")
				}
				if _, twice := s.labels[name]; twice {
					return nil, bad("a label twice")
				}
				rest = rest[len(name)+2:]
				var value strings.Builder
				for !strings.HasPrefix(rest, `"`) {
					switch {
					case rest == "":
						return nil, bad("a label value without end")
					case rest[0] == '\\' && len(rest) > 1 && strings.IndexByte(`\"n`, rest[1]) >= 0:
						value.WriteByte(strings.Replace(rest[1:2], "n", "\n", 1)[0])
						rest = rest[2:]
					case rest[0] == '\\':
						return nil, bad("an escape that is none")
					default:
						value.WriteByte(rest[0])
						rest = rest[1:]
					}
				}
				s.labels[name] = value.String()
				if rest = rest[1:]; strings.HasPrefix(rest, ",") {
					rest = strings.TrimLeft(rest[1:], " ")
				} else if !strings.HasPrefix(rest, "}") {
					return nil, bad("labels that go on without a comma")
				}
			}
			rest = rest[1:]
		}
		series := line[:len(line)-len(rest)]
		if seen[series] {
			return nil, bad("a series twice")
		}
		seen[series] = true
		value, ok := strings.CutPrefix(rest, " ")
		if s.value, err = strconv.ParseFloat(value, 64); !ok || err != nil {
			return nil, bad("no value")
		}
		all = append(all, s)
	}
	return all, nil
}

// TestMetrics counts requests of every kind and reads all that is shown.
func TestMetrics(t *testing.T) {
	up := servePartner(t, func(r *http.Request) string {
		switch r.URL.Path {
		case "/chunks":
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
		case "/close":
			return "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"
		case "/cut":
			return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nok"
		case "/none":
			return ""
		case "/odd":
			return respond(799, "")
		}
		return failing(r)
	})
	s := launch(t, up.address, "access_log: {file: access.log}\n"+acting(t, "",
		`{only: /1, request: [{do: set_field, name: X-A, value: "1"}]} gate: {flag: drop}`, `classify: {only: /400, classify: [{do: judge, name: account, status: 1}], about: body} gate: {flag: classify}`))
	s.write("flags.yaml", `
flags:
  drop: {state: ENABLED, variants: {"on": true}, defaultVariant: "on"}
  classify: {state: ENABLED, variants: {"on": true}, defaultVariant: "on"}
  "a \"flag\"\\ with\ttabs\nand ümlauts\u00a0": {state: ENABLED, variants: {"on": true}, defaultVariant: "on"}
`)
	if err := s.Gateway.flags.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := s.dial()
	for _, path := range []string{"/200", "/1/200", "/204", "/chunks", "/400", "/404", "/500", "/odd"} {
		c.get(path, acme)
	}
	c.get("/close", acme)
	c.get("/200", "")
	c.get("/-/metrics", acme)
	c.get("/none", acme)
	s.dial().get("/cut", acme)
	eventually(t, "all are counted, which they are after their answers", func() bool {
		return s.metric(`breakwater_request_seconds_count{route="all"}`) == "12"
	})
	samples, err := readMetrics(s.metrics())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range samples {
		for label, value := range m.labels {
			if label == "client" || label == "peer" || strings.Contains(value, "acme") || label != "endpoint" && strings.Contains(value, "127.0.0.1") {
				t.Errorf("%s has the label %s=%q", m.name, label, value)
			}
		}
		key := m.name
		for _, label := range []string{"route", "class", "fault", "framing", "status", "step", "plugin", "phase", "mode", "reason", "problem", "upstream", "state", "flag", "result", "le"} {
			if v, ok := m.labels[label]; ok {
				key += " " + v
			}
		}
		got[key] = m.value
	}
	for key, want := range map[string]float64{
		"breakwater_requests_total all ok nobody":                5, // 200, 1/200, 204, chunks, close
		"breakwater_requests_total all account client":           1,
		"breakwater_requests_total all not_found undecided":      1,
		"breakwater_requests_total all upstream_error upstream":  3, // 500, none, cut
		"breakwater_requests_total all protocol_error upstream":  1,
		"breakwater_requests_total all auth client":              1,
		"breakwater_requests_total  not_found client":            1, // no route
		"breakwater_request_seconds_count all":                   12,
		"breakwater_request_seconds_bucket all +Inf":             12,
		"breakwater_request_seconds_count ":                      1,
		"breakwater_upstream_responses_total all length 200":     3, // cut is one
		"breakwater_upstream_responses_total all none 204":       1,
		"breakwater_upstream_responses_total all chunked 200":    1,
		"breakwater_upstream_responses_total all close 200":      1,
		"breakwater_upstream_responses_total all length 599":     1,
		"breakwater_problems_total unknown-client":               1,
		"breakwater_problems_total no-route":                     1,
		"breakwater_problems_total upstream-failed":              1,
		"breakwater_responses_cut_total all":                     1,
		"breakwater_step_runs_total all step-1 request on":       12 - 1,
		"breakwater_step_changes_total all step-1 request on":    1,
		"breakwater_step_changes_total all classify classify on": 1,
		"breakwater_plugin_calls_total all step-1 actor":         11,
		"breakwater_plugin_traps_total all step-1 actor":         0,
		"breakwater_clients_blocked":                             0,
		"breakwater_addresses_refused":                           0,
		"breakwater_config_loaded":                               1,
		"breakwater_draining":                                    0,
		"breakwater_panics_total":                                0,
		"breakwater_access_log_dropped_total":                    0,
		"breakwater_flags_source_up":                             1,
		"breakwater_flags_refused_total":                         0,
		"breakwater_flag_verdicts_total on drop":                 -1,
		"breakwater_upstream_dials_total up":                     -1,
		"breakwater_upstream_connections up idle":                -1,
		"breakwater_upstream_connections up used":                0,
		"breakwater_flags_revision":                              2,
		"breakwater_config_load_timestamp_seconds":               -1,
		"breakwater_flags_loaded_timestamp_seconds":              -1,
		"breakwater_step_seconds_total all step-1 request":       -1,
		"breakwater_plugin_instances all step-1 actor idle":      1,
		"breakwater_plugin_memory_bytes all step-1 actor":        -1,
		"go_goroutines":                 -1,
		"process_resident_memory_bytes": -1,
	} {
		v, ok := got[key]
		if !ok {
			t.Errorf("no %s", key)
		} else if want >= 0 && v != want {
			t.Errorf("%s %v, want %v", key, v, want)
		}
	}
	if t.Failed() {
		for k, v := range got {
			if strings.HasPrefix(k, "breakwater") {
				t.Log(k, v)
			}
		}
	}
}

// TestMetricsOverReloads: counters never go back, and nothing is shown twice.
func TestMetricsOverReloads(t *testing.T) {
	up := servePartner(t, mirror)
	text := acting(t, "", `{request: [{do: set_field, name: X-A, value: "1"}]}`)
	s := launch(t, up.address, text)
	c := s.dial()
	last := map[string]float64{}
	for i := range 6 {
		c.get("/", acme)
		s.configure(up.address, strings.Replace(text, "count: 3", "count: "+itoa(3+i), 1)+strings.Repeat("nonsense: 1\n", i%2))
		if err := s.Reload(t.Context()); (err != nil) != (i%2 == 1) {
			t.Fatal(err)
		}
		samples, err := readMetrics(s.metrics())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range samples {
			if strings.HasSuffix(m.name, "_total") && strings.HasPrefix(m.name, "breakwater_") {
				key := fmt.Sprint(m.name, m.labels)
				if m.value < last[key] {
					t.Errorf("%s went from %v to %v", key, last[key], m.value)
				}
				last[key] = m.value
			}
		}
	}
	if got := last[`breakwater_step_runs_total`+fmt.Sprint(map[string]string{"route": "all", "step": "step-1", "phase": "request", "mode": "on"})]; got != 6 {
		t.Errorf("%v runs of the step, want 6", got)
	}
}

// TestMetricsWhileServing scrapes while requests, reloads and flips go on.
func TestMetricsWhileServing(t *testing.T) {
	up := servePartner(t, failing)
	text := acting(t, "", `{request: [{do: set_field, name: X-A, value: "1"}]} gate: {flag: drop}`)
	s := launch(t, up.address, text)
	var all sync.WaitGroup
	for i := range 2 {
		c := s.dial()
		all.Go(func() {
			for n := range 100 {
				c.get(fmt.Sprintf("/%d", []int{200, 400, 500}[n%3]), []string{acme, globex}[i])
			}
		})
	}
	all.Go(func() {
		for range 30 {
			if _, err := readMetrics(s.metrics()); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for i := range 10 {
			s.configure(up.address, strings.Replace(text, "count: 3", "count: "+itoa(3+i), 1))
			if err := s.Reload(t.Context()); err != nil {
				t.Error(err)
			}
			s.flags([]string{"on", "off", "observe"}[i%3], "on")
		}
	})
	all.Wait()
	r, err := http.Get("http://" + s.AdminAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 || !bytes.Contains(b, []byte("breakwater_requests_total{")) {
		t.Errorf("GET /metrics: %d, %v, %d bytes", r.StatusCode, err, len(b))
	}
	if _, err := readMetrics(string(b)); err != nil {
		t.Error(err)
	}
}
