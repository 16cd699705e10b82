package upstream

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func health() Health {
	return Health{
		Path: "/health?full", Host: "api.example", Interval: time.Millisecond, Timeout: patience, Healthy: 2, Unhealthy: 3,
		Statuses: []Status{{200, 200}, {204, 204}},
	}
}

// TestHealthThresholds has an endpoint answer its checks from a list, and says after how many of them its state changed.
func TestHealthThresholds(t *testing.T) {
	tests := []struct {
		name     string
		statuses []int
		want     string
	}{
		{"a first check that passes changes nothing", []int{200}, ""},
		{"a first check that fails counts at once", []int{500}, "1 unhealthy: status 500"},
		{"later ones only in a row", []int{200, 500, 500, 200, 500, 500, 204, 500, 500, 500, 500}, "10 unhealthy: status 500"},
		{"and so do those that pass", []int{500, 200, 500, 200, 503, 204, 200, 200}, "1 unhealthy: status 500, 7 healthy"},
		{"another status does not pass", []int{200, 302, 201, 404}, "4 unhealthy: status 404"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var seen []string
			var u *Upstream
			s := listen(t, nil)
			o := Options{Name: "up", Address: s.ln.Addr().String(), Health: health()}
			made := make(chan struct{})
			o.Noticed = func(_, what, why string) {
				<-made
				seen = append(seen, strings.TrimSuffix(fmt.Sprintf("%d %s: %s", u.only().checks.Load(), what, why), ": "))
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for _, status := range test.statuses {
					p := s.accept() // each check has its own connection
					p.head()
					p.send(fmt.Sprintf("HTTP/1.1 %d Well\r\nContent-Length: 0\r\n\r\n", status))
				}
				s.accept().head() // one more: the results of all others have been dealt with
			}()
			u = New(o)
			close(made)
			<-ended
			u.Close()
			if got := strings.Join(seen, ", "); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestHealthCheck(t *testing.T) {
	const fine = "HTTP/1.1 204 Fine\r\n\r\n"
	tests := []struct {
		name   string
		tls    bool
		script func(p *peer)
		want   string // in why it is not healthy; "": it is
	}{
		{"passes", false, answers(fine), ""},
		{"passes after interim responses", false, answers("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n" + fine), ""},
		{"passes without waiting for a content", false, func(p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nab")
			p.ended()
		}, ""},
		{"passes over TLS", true, answers(fine), ""},
		{"fails without a response", false, func(p *peer) { p.head() }, "ended by the peer"},
		{"fails with what is not HTTP", false, func(p *peer) { p.send("220 smtp\r\n\r\n") }, "status line"},
		{"fails without TLS", true, func(p *peer) {
			p.Conn.(*tls.Conn).NetConn().Write([]byte("HTTP/1.1 400 No\r\n\r\n")) //nolint:errcheck
		}, "tls: "},
		{"fails when it takes too long", false, func(p *peer) { p.ended() }, "no response in time"},
		{"fails when TLS takes too long", true, func(p *peer) { p.Conn.(*tls.Conn).NetConn().Read(make([]byte, 1)); <-p.t.Context().Done() }, "no response in time"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var seen notices
			h := health()
			h.Interval = time.Hour
			if strings.Contains(test.name, "too long") {
				h.Timeout = soon
			}
			var theirs, ours *tls.Config
			if test.tls {
				theirs, ours = serverTLS(), clientTLS()
			}
			s := listen(t, theirs).play(test.script)
			u := s.pool(Options{Health: h, TLS: ours, Noticed: seen.note})
			eventually(t, "it has been checked", func() bool { return u.only().Stats().Checks == 1 })
			if test.want == "" {
				u.Close()
				if list := seen.all(); len(list) != 0 {
					t.Errorf("%q", list)
				}
				return
			}
			eventually(t, "it is unhealthy", func() bool { return !u.only().Stats().Healthy })
			u.Close()
			if list := seen.all(); len(list) != 1 || !strings.HasPrefix(list[0], "unhealthy: ") || !strings.Contains(list[0], test.want) {
				t.Errorf("%q, want unhealthy for %q", list, test.want)
			}
			if st := u.Stats(); st.Open != 0 || st.Dials != 0 {
				t.Errorf("%+v: a check is counted among the connections", st)
			}
		})
	}
	t.Run("is this request", func(t *testing.T) {
		s := listen(t, nil)
		got := make(chan string, 1)
		go func() { got <- s.accept().head() }()
		s.pool(Options{Health: health()})
		const want = "GET /health?full HTTP/1.1\r\nHost: api.example\r\nUser-Agent: breakwater\r\nConnection: close\r\n\r\n"
		if head := <-got; head != want {
			t.Errorf("%q, want %q", head, want)
		}
	})
}

// TestAnUnhealthyEndpointIsNotUsed has one of two endpoints fall ill and recover, under requests.
func TestAnUnhealthyEndpointIsNotUsed(t *testing.T) {
	var ill atomic.Bool
	b := listen(t, nil).play(func(p *peer) {
		for {
			switch h := p.head(); {
			case h == "":
				return
			case strings.HasPrefix(h, "GET /health"):
				status := 200
				if ill.Load() {
					status = 503
				}
				p.send(fmt.Sprintf("HTTP/1.1 %d Well\r\nContent-Length: 0\r\n\r\n", status))
				return
			default:
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb")
			}
		}
	})
	a := listen(t, nil).play(named("a"))
	u := New(Options{
		Name: "up", Addresses: []Address{{a.ln.Addr().String(), 1}, {b.ln.Addr().String(), 1}}, MaxIdle: 1, Health: health(), PanicThreshold: 50,
	})
	defer u.Close()
	for range 2 {
		eventually(t, "b is used", func() bool { return strings.Contains(inTurn(t, u, 4), "b") })
		ill.Store(true)
		eventually(t, "b is not used", func() bool { return inTurn(t, u, 4) == "aaaa" })
		ill.Store(false)
	}
	if st := u.Endpoints()[1].Stats(); st.ChecksFailed == 0 || st.Checks <= st.ChecksFailed {
		t.Errorf("%+v", st)
	}
}

// TestCloseEndsHealthChecks closes while checks hang, in every phase. goleak sees what is left.
func TestCloseEndsHealthChecks(t *testing.T) {
	scripts := map[string]func(p *peer){
		"before a response": func(p *peer) { p.ended() },
		"in TLS":            func(p *peer) { p.ended() },
		"between two":       answers(ok),
	}
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			h := health()
			h.Timeout, h.Interval = 0, time.Hour
			o := Options{Health: h}
			if name == "in TLS" {
				o.TLS = clientTLS()
			}
			came := make(chan struct{}, 1)
			u := listen(t, nil).play(func(p *peer) { came <- struct{}{}; script(p) }).pool(o)
			<-came
			if name == "between two" {
				eventually(t, "it has been checked", func() bool { return u.only().Stats().Checks == 1 })
			}
			u.Close()
			if st := u.only().Stats(); !st.Healthy {
				t.Errorf("%+v: a check that was broken off counts", st)
			}
		})
	}
}

func TestEndpointsWithoutChecksAreHealthy(t *testing.T) {
	u := several(t, Options{PanicThreshold: 50}, 1, 1)
	if !slices.ContainsFunc(u.Endpoints(), func(e *Endpoint) bool { return e.Stats().Healthy }) || u.Panicking() {
		t.Error("they are not")
	}
}
