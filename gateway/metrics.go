package gateway

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/upstream"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// meters are the gateway's metrics. Metrics of a route or step are found by name in the set, so that they go on counting over
// a reload; no request looks up a name.
type meters struct {
	set      *metrics.Set
	unrouted *routeMeters     // requests that no route took
	unlogged *metrics.Counter // lines that the access log had no room for

	mu    sync.Mutex
	steps map[[2]string]*stepMeters // by route and step
}

func newMeters() *meters {
	m := &meters{set: metrics.NewSet(), steps: map[[2]string]*stepMeters{}}
	m.unrouted = m.route("")
	m.unlogged = m.set.NewCounter("breakwater_access_log_dropped_total")
	return m
}

// A lazy counter appears in the metrics when it has counted something: most of a table of labels never does.
type lazy struct {
	at atomic.Pointer[metrics.Counter]
}

func (l *lazy) inc(set *metrics.Set, name func() string) {
	c := l.at.Load()
	if c == nil {
		c = set.GetOrCreateCounter(name())
		l.at.Store(c)
	}
	c.Inc()
}

// problem counts an answer of the gateway's own.
func (m *meters) problem(p *problem) {
	m.set.GetOrCreateCounter(`breakwater_problems_total{problem="` + p.name + `"}`).Inc()
}

// latencyBuckets are upper bounds in seconds.
var latencyBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// maxStatus is one more than the largest status code that is counted by its number.
const maxStatus = 600

// routeMeters count what becomes of a route's requests.
type routeMeters struct {
	set       *metrics.Set
	route     string
	requests  [abi.Classes][abi.Faults]lazy
	responses [wire.Framings][maxStatus]lazy
	seconds   *metrics.PrometheusHistogram
	cuts      *metrics.Counter
	retries   [upstream.Reasons]lazy
	unretried [unretried]lazy
}

func (m *meters) route(name string) *routeMeters {
	return &routeMeters{
		set: m.set, route: name,
		seconds: m.set.GetOrCreatePrometheusHistogramExt(fmt.Sprintf("breakwater_request_seconds{route=%q}", name), latencyBuckets),
		cuts:    m.set.GetOrCreateCounter(fmt.Sprintf("breakwater_responses_cut_total{route=%q}", name)),
	}
}

func (m *routeMeters) request(c abi.Class, f abi.Fault, elapsed time.Duration) {
	m.requests[c][f].inc(m.set, func() string {
		return fmt.Sprintf("breakwater_requests_total{route=%q,class=%q,fault=%q}", m.route, c, f)
	})
	m.seconds.Update(elapsed.Seconds())
}

func (m *routeMeters) response(f wire.Framing, status int) {
	status = min(status, maxStatus-1)
	m.responses[f][status].inc(m.set, func() string {
		return fmt.Sprintf("breakwater_upstream_responses_total{route=%q,framing=%q,status=%q}", m.route, f, strconv.Itoa(status))
	})
}

func (m *routeMeters) retried(why upstream.Reason) {
	m.retries[why].inc(m.set, func() string { return fmt.Sprintf("breakwater_retries_total{route=%q,reason=%q}", m.route, why) })
}

func (m *routeMeters) notRetried(why int) {
	m.unretried[why].inc(m.set, func() string {
		return fmt.Sprintf("breakwater_retries_refused_total{route=%q,reason=%q}", m.route, unretriedNames[why])
	})
}

// stepMeters count what a route's step does.
type stepMeters struct {
	set         *metrics.Set
	route, step string
	runs        [abi.Phases][3]lazy
	changes     [abi.Phases][3]lazy
	failures    [abi.Phases][failures]lazy
	nanoseconds [abi.Phases]atomic.Int64
}

// step returns the meters of a step: those that it had before a reload.
func (m *meters) step(route, name string) *stepMeters {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := [2]string{route, name}
	s := m.steps[key]
	if s == nil {
		s = &stepMeters{set: m.set, route: route, step: name}
		for p := abi.PhaseRequest; p <= abi.PhaseClassify; p++ {
			m.set.NewGauge(s.name("seconds", p)+"}", func() float64 { return time.Duration(s.nanoseconds[p].Load()).Seconds() })
		}
		m.steps[key] = s
	}
	return s
}

func (s *stepMeters) name(what string, p abi.Phase) string {
	return fmt.Sprintf("breakwater_step_%s_total{route=%q,step=%q,phase=%q", what, s.route, s.step, p)
}

func (s *stepMeters) ran(p abi.Phase, mode flags.Mode, took time.Duration) {
	s.runs[p][mode].inc(s.set, func() string { return fmt.Sprintf("%s,mode=%q}", s.name("runs", p), mode) })
	s.nanoseconds[p].Add(int64(took))
}

func (s *stepMeters) changed(p abi.Phase, mode flags.Mode) {
	s.changes[p][mode].inc(s.set, func() string { return fmt.Sprintf("%s,mode=%q}", s.name("changes", p), mode) })
}

func (s *stepMeters) failed(p abi.Phase, why int) {
	s.failures[p][why].inc(s.set, func() string { return fmt.Sprintf("%s,reason=%q}", s.name("failures", p), failureNames[why]) })
}

// watch publishes what other rooms count.
func (m *meters) watch(g *Gateway) {
	gauge := func(name string, f func() float64) { m.set.NewGauge(name, f) }
	gauge("breakwater_config_loaded", func() float64 { return boolean(g.Reloaded().Err == nil) })
	gauge("breakwater_config_load_timestamp_seconds", func() float64 { return float64(g.Reloaded().At.Unix()) })
	gauge("breakwater_clients_blocked", func() float64 { return float64(g.limits.Blocked(time.Now())) })
	gauge("breakwater_addresses_refused", func() float64 { return float64(g.guesses.Refused(time.Now())) })
	gauge("breakwater_draining", func() float64 { return boolean(g.draining.Load()) })
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// write writes all metrics in Prometheus' text format. What belongs to parts that come and go with a snapshot is written
// as it is now.
func (g *Gateway) writeMetrics(w io.Writer) {
	g.meters.set.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
	s := g.snapshot.Load()
	if s == nil || !s.retain() {
		return
	}
	defer s.release()
	for _, p := range s.pools {
		st := p.upstream.Stats()
		name := p.upstream.Name
		fmt.Fprintf(w, "breakwater_upstream_connections{upstream=%q,state=\"idle\"} %d\n", name, st.Idle)
		fmt.Fprintf(w, "breakwater_upstream_connections{upstream=%q,state=\"used\"} %d\n", name, st.Open-st.Idle)
		fmt.Fprintf(w, "breakwater_upstream_dials_total{upstream=%q} %d\n", name, st.Dials)
		fmt.Fprintf(w, "breakwater_upstream_reuses_total{upstream=%q} %d\n", name, st.Reuses)
		fmt.Fprintf(w, "breakwater_upstream_retries_total{upstream=%q} %d\n", name, st.Reconnects) // older than retries in the strict sense
		fmt.Fprintf(w, "breakwater_upstream_stale_connections_total{upstream=%q} %d\n", name, st.Stale)
		writeEndpoints(w, p.upstream)
		writeResilience(w, p.upstream, &st)
	}
	s.writeCertificates(w)
	for _, r := range s.routes {
		for i := range r.steps {
			writePlugin(w, r.name, &r.steps[i])
		}
	}
	if g.flags != nil {
		g.writeFlags(w)
	}
}

func writePlugin(w io.Writer, route string, s *step) {
	st := s.plugin.Stats()
	labels := fmt.Sprintf("{route=%q,step=%q,plugin=%q", route, s.name, s.plugin.Name())
	fmt.Fprintf(w, "breakwater_plugin_instances%s,state=\"idle\"} %d\n", labels, st.Idle)
	fmt.Fprintf(w, "breakwater_plugin_instances%s,state=\"used\"} %d\n", labels, st.Live-st.Idle)
	fmt.Fprintf(w, "breakwater_plugin_memory_bytes%s} %d\n", labels, st.Memory)
	for _, c := range []struct {
		what string
		n    int64
	}{
		{"instances_made", st.Made},
		{"instances_closed", st.Closed},
		{"instances_recycled", st.Recycled},
		{"instances_lost", st.Lost},
		{"instances_failed", st.Failed},
		{"calls", st.Calls},
		{"traps", st.Traps},
		{"timeouts", st.Timeouts},
		{"exits", st.Exits},
		{"broken_results", st.Broken},
		{"busy", st.Busy},
	} {
		fmt.Fprintf(w, "breakwater_plugin_%s_total%s} %d\n", c.what, labels, c.n)
	}
}

// labelEscapes are all that a label's value may have.
var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (g *Gateway) writeFlags(w io.Writer) {
	v, st := g.flags.View(), g.flags.Status()
	fmt.Fprintf(w, "breakwater_flags_revision %d\n", v.Revision())
	fmt.Fprintf(w, "breakwater_flags_loaded_timestamp_seconds %d\n", v.Loaded().Unix())
	fmt.Fprintf(w, "breakwater_flags_source_up %g\n", boolean(st.SourceUp))
	fmt.Fprintf(w, "breakwater_flags_refused_total %d\n", g.flags.Refused())
	fmt.Fprintf(w, "breakwater_flags_unjournalled_total %d\n", g.flags.Unwritten())
	for _, c := range g.flags.Counts() {
		key := labelEscapes.Replace(strings.ToValidUTF8(c.Key, "\ufffd")) // it may be any text; other names are words
		for mode, n := range c.Modes {
			fmt.Fprintf(w, "breakwater_flag_verdicts_total{flag=\"%s\",mode=%q} %d\n", key, flags.Mode(mode), n)
		}
		fmt.Fprintf(w, "breakwater_flag_verdicts_total{flag=\"%s\",mode=\"fallback\"} %d\n", key, c.Fallback)
		fmt.Fprintf(w, "breakwater_flag_evaluations_total{flag=\"%s\"} %d\n", key, c.Evaluations)
		fmt.Fprintf(w, "breakwater_flag_errors_total{flag=\"%s\"} %d\n", key, c.Errors)
	}
}
