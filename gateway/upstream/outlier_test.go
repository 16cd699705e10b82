package upstream

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// notices gathers what becomes of endpoints.
type notices struct {
	mu   sync.Mutex
	list []string
}

func (n *notices) note(_, what, why string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, strings.TrimSuffix(what+": "+why, ": "))
}

func (n *notices) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

// TestWhatIsAFailure makes the same exchange twice, where two failures in a row eject.
func TestWhatIsAFailure(t *testing.T) {
	const half = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12"
	plays := func(script func(p *peer)) func(t *testing.T) string {
		return func(t *testing.T) string { return listen(t, nil).play(script).ln.Addr().String() }
	}
	tests := []struct {
		name    string
		address func(t *testing.T) string
		leaves  bool // the client does, when the response has begun
		failure bool
	}{
		{"no connection", closed, false, true},
		{"no response in time", plays(func(p *peer) { p.ended() }), false, true},
		{"no response at all", plays(func(p *peer) { p.head() }), false, true},
		{"what is not HTTP", plays(func(p *peer) { p.head(); p.send("SSH-2.0\r\n\r\n") }), false, true},
		{"a content that is cut off", plays(answers(half)), false, true},
		{"a status that is listed", plays(answers("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")), false, true},
		{"a status of a range that is listed", plays(answers("HTTP/1.1 521 No\r\nContent-Length: 0\r\n\r\n")), false, true},
		{"another status is none", plays(answers("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")), false, false},
		{"nor is a client that leaves", plays(func(p *peer) { p.head(); p.send(half); p.ended() }), true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var seen notices
			u := New(Options{
				Name: "up", Address: test.address(t), HeadTimeout: patience, MaxIdle: 1, Noticed: seen.note,
				Outliers: Outliers{Consecutive: 2, Base: time.Hour, MaxPercent: 1, Statuses: []Status{{503, 503}, {520, 530}}}, PanicThreshold: 1,
			})
			if strings.Contains(test.name, "in time") {
				u.HeadTimeout = soon
			}
			defer u.Close()
			for range 2 {
				from, theirs := client(t)
				if !test.leaves {
					do(u, get(), from)
					continue
				}
				var a Attempt
				if err := a.Do(u, get(), from, &interims{}); err != nil {
					t.Fatal(err)
				}
				theirs.Close()
				var r result
				if r.rest(&a); kind(t, r.err) != ClientLeft {
					t.Error(r)
				}
				a.Close(from)
			}
			want, n := []string(nil), uint64(0)
			if test.failure {
				want, n = []string{"ejected: failures in a row"}, 2
			}
			if st := u.only().Stats(); st.Failures != n || st.Ejected != test.failure || !slices.Equal(seen.all(), want) {
				t.Errorf("%+v, %q", st, seen.all())
			}
		})
	}
	t.Run("nor is a client's slow content", func(t *testing.T) {
		u := listen(t, nil).play(func(p *peer) { p.ended() }).pool(Options{Outliers: Outliers{Consecutive: 1, Base: time.Hour, MaxPercent: 1}})
		from, c := client(t)
		c.send("half")
		req := post(&fromClient{from: from})
		req.Limit = time.Now().Add(soon)
		if r := do(u, req, from); kind(t, r.err) != ClientBody || u.only().Stats().Failures != 0 {
			t.Errorf("%v, %+v", r, u.only().Stats())
		}
	})
	t.Run("but one that is not taken is", func(t *testing.T) {
		gone := make(chan struct{})
		u := listen(t, nil).play(func(*peer) { <-gone }).pool(Options{Outliers: Outliers{Consecutive: 1, Base: time.Hour, MaxPercent: 1}})
		defer close(gone)
		from, _ := client(t)
		content := fixed(slices.Repeat([]string{strings.Repeat("x", 64<<10)}, 1000)) // more than lies between us
		req := post(&content)
		req.Limit = time.Now().Add(time.Second) // by then, it is not taken any more
		if r := do(u, req, from); kind(t, r.err) != Timeout || u.only().Stats().Failures != 1 {
			t.Errorf("%v, %+v", r, u.only().Stats())
		}
	})
	t.Run("nor is a connection that went stale", func(t *testing.T) {
		s := listen(t, nil)
		u := s.pool(Options{Outliers: Outliers{Consecutive: 1, Base: time.Hour, MaxPercent: 1}})
		go func() {
			p := s.accept()
			answers(ok)(p)
			p.head()
			p.Close()
			answers(ok)(s.accept())
		}()
		from, _ := client(t)
		for range 2 {
			if r := do(u, get(), from); r.err != nil {
				t.Fatal(r.err)
			}
		}
		if st := u.only().Stats(); st.Failures != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestASuccessEndsTheStreak(t *testing.T) {
	const bad = "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n"
	u := listen(t, nil).play(answers(bad, bad, ok, bad, bad, ok, bad, bad, bad)).pool(Options{
		Outliers: Outliers{Consecutive: 3, Base: time.Hour, MaxPercent: 1, Statuses: []Status{{502, 504}}}, PanicThreshold: 1,
	})
	from, _ := client(t)
	for i := range 9 {
		if r := do(u, get(), from); r.err != nil {
			t.Fatal(r.err)
		}
		if out := u.only().Stats().Ejected; out != (i == 8) {
			t.Errorf("after %d requests: ejected %v", i+1, out)
		}
	}
}

func TestLengthOfAnEjection(t *testing.T) {
	tests := []struct {
		name      string
		base, max time.Duration
		times     int
		want      time.Duration
	}{
		{"the first takes the base time", 30 * time.Second, 5 * time.Minute, 1, 30 * time.Second},
		{"each further one the base time longer", 30 * time.Second, 5 * time.Minute, 3, 90 * time.Second},
		{"up to the longest", 30 * time.Second, 5 * time.Minute, 11, 5 * time.Minute},
		{"which need not be a multiple", 30 * time.Second, 100 * time.Second, 3, 90 * time.Second},
		{"a base time that is longer is the longest", time.Hour, time.Minute, 2, time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := Outliers{Base: test.base, Max: test.max}
			if got := o.length(test.times); got != test.want {
				t.Errorf("length(%d) = %v, want %v", test.times, got, test.want)
			}
		})
	}
}

func TestEjectionsAreForgotten(t *testing.T) {
	u := several(t, Options{Outliers: Outliers{Consecutive: 1, Base: time.Minute, Max: 3 * time.Minute, Interval: 10 * time.Second, MaxPercent: 100}}, 1)
	e := u.only()
	again := func(ago time.Duration) int {
		u.mu.Lock()
		e.back = time.Now().Add(-ago)
		u.mu.Unlock()
		u.eject(e, "")
		u.mu.Lock()
		e.ejection.Stop()
		u.mu.Unlock()
		u.readmit(e)
		return e.times
	}
	for i, step := range []struct {
		ago  time.Duration
		want int
	}{{0, 1}, {0, 2}, {0, 2}, {0, 2}, {15 * time.Second, 2}, {25 * time.Second, 1}, {time.Hour, 1}} {
		if got := again(step.ago); got != step.want {
			t.Errorf("step %d: %d ejections are remembered %v after the last, want %d", i, got, step.ago, step.want)
		}
	}
	if n := e.Stats().Ejections; n != 7 {
		t.Errorf("%d ejections counted", n)
	}
}

func TestShareOfEjections(t *testing.T) {
	tests := []struct {
		name                string
		endpoints, out, max int
		want                bool
	}{
		{"one always may be", 3, 0, 10, true},
		{"even the only one", 1, 0, 10, true},
		{"but not with a share of 0", 3, 0, 0, false},
		{"a second one not above the share", 3, 1, 60, false},
		{"but up to it", 4, 1, 50, true},
		{"all with 100", 2, 1, 100, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := &Upstream{Options: Options{Outliers: Outliers{MaxPercent: test.max}}}
			var all []*Endpoint
			for i := range test.endpoints {
				e := &Endpoint{}
				if i < test.out {
					e.ejection = new(time.Timer)
				}
				all = append(all, e)
			}
			if got := u.mayEject(all); got != test.want {
				t.Errorf("%d of %d are ejected, share %d%%: one more may be: %v, want %v", test.out, test.endpoints, test.max, got, test.want)
			}
		})
	}
}

// TestEjection has one of three endpoints fail until it is ejected, and come back.
func TestEjection(t *testing.T) {
	var seen notices
	u := several(t, Options{Noticed: seen.note, Outliers: Outliers{Consecutive: 3, Base: time.Hour, Jitter: time.Hour, MaxPercent: 10}}, 1, 1, 1)
	inTurn(t, u, 3)
	first, bad := u.Endpoints()[0], u.Endpoints()[1]
	for range 3 {
		bad.failed()
	}
	if who := inTurn(t, u, 6); who != "acacac" && who != "cacaca" {
		t.Errorf("%q answered, while b is ejected", who)
	}
	if st := bad.Stats(); st.Idle != 1 || st.Ejections != 1 || !st.Ejected {
		t.Errorf("%+v, want its connection left alone", st)
	}
	for range 3 {
		first.failed()
	}
	if first.Stats().Ejected {
		t.Error("two of three are ejected, at a share of 10%")
	}
	u.mu.Lock()
	bad.ejection.Reset(0) // its time is over
	u.mu.Unlock()
	eventually(t, "it is used again", func() bool { return strings.Contains(inTurn(t, u, 3), "b") })
	if list := seen.all(); !slices.Equal(list, []string{"ejected: failures in a row", "back from its ejection"}) {
		t.Errorf("%q", list)
	}
}

func TestPanic(t *testing.T) {
	tests := []struct {
		name      string
		threshold int
		ejected   int // of four
		used      string
		panicking bool
	}{
		{"enough are left", 50, 2, "cd", false},
		{"too few are left", 50, 3, "abcd", true},
		{"none is left", 1, 4, "abcd", true},
		{"few are enough", 0, 3, "d", false},
		{"none is left, and that is held to", 0, 4, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := several(t, Options{PanicThreshold: test.threshold, Outliers: Outliers{Consecutive: 1, Base: time.Hour, MaxPercent: 100}}, 1, 1, 1, 1)
			for _, e := range u.Endpoints()[:test.ejected] {
				e.failed()
			}
			if u.Panicking() != test.panicking {
				t.Errorf("panicking: %v", u.Panicking())
			}
			if test.used == "" {
				from, _ := client(t)
				if r := do(u, get(), from); kind(t, r.err) != Unhealthy {
					t.Errorf("%v, want an error of its own", r)
				}
				return
			}
			who := []byte(inTurn(t, u, len(test.used)))
			slices.Sort(who)
			if string(who) != test.used {
				t.Errorf("%q answered, want each of %q", who, test.used)
			}
		})
	}
}

func TestSuccessRate(t *testing.T) {
	tests := []struct {
		name    string
		ok, bad []uint64 // of each endpoint
		want    string   // who is ejected
	}{
		{"who fails much more than the others", []uint64{99, 98, 100, 99, 50}, []uint64{1, 2, 0, 1, 50}, "e"},
		{"nobody where all fail alike", []uint64{50, 52, 49, 51, 50}, []uint64{50, 48, 51, 49, 50}, ""},
		{"nobody with too few requests", []uint64{99, 98, 100, 99, 1}, []uint64{1, 2, 0, 1, 9}, ""},
		{"nobody with no requests at all", []uint64{0, 0, 0, 0, 0}, []uint64{0, 0, 0, 0, 0}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := several(t, Options{Outliers: Outliers{
				Interval: time.Hour, Base: time.Hour, MaxPercent: 100, SuccessRate: SuccessRate{Endpoints: 4, Requests: 50, Deviation: 1900},
			}}, 1, 1, 1, 1, 1)
			for i, e := range u.Endpoints() {
				e.ok.Store(test.ok[i])
				for range test.bad[i] {
					e.failed()
				}
			}
			got := ""
			for _, e := range u.unlike() {
				got += string(rune('a' + slices.Index(u.Endpoints(), e)))
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			if again := u.unlike(); again != nil {
				t.Errorf("%d of an interval without requests", len(again))
			}
		})
	}
	t.Run("at the interval's end", func(t *testing.T) {
		u := several(t, Options{Outliers: Outliers{
			Interval: 20 * time.Millisecond, Base: time.Hour, MaxPercent: 100, SuccessRate: SuccessRate{Endpoints: 1, Requests: 0, Deviation: 500},
		}}, 1, 1, 1)
		eventually(t, "it is ejected", func() bool {
			for i, e := range u.Endpoints() {
				for range 10 {
					if e.worked(); i == 2 {
						e.failed()
					}
				}
			}
			return u.Endpoints()[2].Stats().Ejected
		})
	})
}

func TestCloseWhileEjected(t *testing.T) {
	u := several(t, Options{Outliers: Outliers{Consecutive: 1, Base: soon, MaxPercent: 100}}, 1, 1)
	e := u.Endpoints()[0]
	e.failed()
	u.Close()
	u.readmit(e) // a timer that was just going off
	e.failed()
	if st := e.Stats(); st.Ejected || st.Ejections != 1 {
		t.Errorf("%+v", st)
	}
}
