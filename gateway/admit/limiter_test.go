package admit

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

var (
	start   = time.Date(2026, 1, 20, 12, 7, 0, 0, time.UTC)
	minutes = func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
)

// three is a policy that is quick to reach.
var three = Policy{Name: "media-errors", Errors: 3, Window: time.Hour, Block: 30 * time.Minute}

func limiterOf(t *testing.T, p Policy) (*Registry, *Limiter) {
	t.Helper()
	r := NewRegistry(start, nil)
	l := r.Limiter("media")
	if err := l.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	return r, l
}

// bad is an error that counts against the client.
func bad(at time.Time) Evidence {
	return Evidence{Time: at, Class: abi.InvalidRequest, Fault: abi.FaultClient, Counts: true}
}

// play runs one request a step for client acme: "12 error" at minute 12, and "12 ok", "12 upstream" and so on. A step that
// is refused ends in a tally of refusals.
func play(l *Limiter, script string) (refused []string) {
	for step := range strings.SplitSeq(script, ", ") {
		var minute, times int
		var what string
		if _, err := fmt.Sscanf(step, "%d %d×%s", &minute, &times, &what); err != nil {
			times = 1
			if _, err := fmt.Sscanf(step, "%d %s", &minute, &what); err != nil {
				panic(err)
			}
		}
		for range times {
			now := minutes(minute)
			ticket, refusal := l.Admit("acme", now)
			if refusal != nil {
				refused = append(refused, step)
				break
			}
			e := bad(now)
			switch what {
			case "ok":
				e = Evidence{Time: now, Class: abi.OK}
			case "uncounted":
				e.Counts = false
			case "undecided":
				e.Fault = abi.Undecided
			case "upstream":
				e.Fault = abi.FaultUpstream
			case "gateway":
				e.Fault = abi.FaultGateway
			case "shared":
				e.Fault = abi.FaultShared
			case "nobody":
				e.Fault = abi.FaultNobody
			case "shed":
				e.Class = abi.Shed
			case "aborted":
				e.Class = abi.Aborted
			case "unjudged":
				e.Class = abi.Unjudged
			}
			ticket.Done(e)
		}
	}
	return refused
}

func TestErrorThrottle(t *testing.T) {
	tests := []struct {
		name   string
		script string // of a limiter that blocks for 30 minutes after 3 errors in 60
		want   string // the steps that are refused
	}{
		{"fewer errors than the limit block nobody", "0 2×error, 1 ok", ""},
		{"the last error of the limit blocks", "0 3×error, 1 ok", "1 ok"},
		{"a block ends with its time", "0 3×error, 29 ok, 30 ok", "29 ok"},
		{"the block begins with its last error", "0 error, 20 error, 40 error, 69 ok, 70 ok", "69 ok"},
		{"an error leaves the window when it is as old as that", "0 error, 1 error, 60 error, 60 ok", ""},
		{"until then it counts", "0 error, 1 error, 59 error, 60 ok", "60 ok"},
		{"a window slides", "0 error, 30 error, 61 error, 89 error, 89 ok", "89 ok"},
		{"errors that led to a block are spent", "0 3×error, 30 error, 31 error, 32 ok", ""},
		{"the next block needs as many new errors", "0 3×error, 30 3×error, 31 ok", "31 ok"},
		{"success does not wash errors off", "0 2×error, 1 1000×ok, 2 error, 3 ok", "3 ok"},
		{"an undecided error counts if its verdict does", "0 3×undecided, 1 ok", "1 ok"},
		{"an error that does not count never blocks", "0 100×uncounted, 1 ok", ""},
		{"an upstream's error never blocks", "0 100×upstream, 1 ok", ""},
		{"the gateway's own error never blocks", "0 100×gateway, 1 ok", ""},
		{"a shared error never blocks", "0 100×shared, 1 ok", ""},
		{"nobody's error never blocks", "0 100×nobody, 1 ok", ""},
		{"our own refusals are no evidence", "0 100×shed, 1 ok", ""},
		{"a client that left is no evidence", "0 100×aborted, 1 ok", ""},
		{"what nobody judged is no evidence", "0 100×unjudged, 1 ok", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, l := limiterOf(t, three)
			if got := strings.Join(play(l, tt.script), ", "); got != tt.want {
				t.Errorf("refused %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDefaultPolicyIsTheIncidents(t *testing.T) {
	_, l := limiterOf(t, DefaultPolicy)
	if got := play(l, "0 19×error, 58 ok, 59 error, 88 ok, 89 ok"); strings.Join(got, ", ") != "88 ok" {
		t.Errorf("refused %q", got)
	}
}

func TestZeroPolicyBlocksNobody(t *testing.T) {
	l := NewRegistry(start, nil).Limiter("media")
	if got := play(l, "0 1000×error, 1 ok"); got != nil {
		t.Errorf("refused %q", got)
	}
}

func TestOneClientsErrorsAreNotAnothers(t *testing.T) {
	r, l := limiterOf(t, three)
	play(l, "0 3×error")
	if _, refusal := l.Admit("bolt", minutes(1)); refusal != nil {
		t.Error("bolt is refused for acme's errors")
	}
	if got := play(r.Limiter("messages"), "1 ok"); got != nil {
		t.Error("acme is refused on another route")
	}
	for range 10 { // nobody in particular
		ticket, _ := l.Admit("", minutes(1))
		ticket.Done(bad(minutes(1)))
	}
	if _, refusal := l.Admit("", minutes(1)); refusal != nil {
		t.Error("all who have no name are refused for one's errors")
	}
}

func TestRefusalSaysWhy(t *testing.T) {
	_, l := limiterOf(t, three)
	for i := range 3 {
		ticket, _ := l.Admit("acme", minutes(i))
		e := bad(minutes(i))
		e.RequestID, e.Signature, e.About = fmt.Sprintf("req-%d", i), Signature{400, "190", "length"}, abi.About{Part: abi.PartQuery, Name: "phone_number_id"}
		ticket.Done(e)
	}
	_, r := l.Admit("acme", minutes(12))
	if r == nil {
		t.Fatal("not refused")
	}
	if !r.Until.Equal(minutes(32)) || r.RetryAfter != 20*time.Minute || r.Count != 3 || r.Block != three.Block || r.Remaining != 0 {
		t.Errorf("refusal %+v", r)
	}
	if got := string(r.AppendPolicy(nil)); got != `"media-errors";q=3;w=3600` {
		t.Errorf("RateLimit-Policy: %s", got)
	}
	if got := string(r.AppendLimit(nil)); got != `"media-errors";r=0;t=1200` {
		t.Errorf("RateLimit: %s", got)
	}
	if len(r.Last) != 3 || r.Last[0].RequestID != "req-2" || r.Last[2].Signature.Code != "190" || r.Last[0].About.Name != "phone_number_id" {
		t.Errorf("last evidence %+v", r.Last)
	}
}

func TestRequestIDIsCopied(t *testing.T) {
	r, l := limiterOf(t, three)
	e := bad(start)
	e.RequestID = strings.Repeat("x", 70)
	ticket, _ := l.Admit("acme", start)
	ticket.Done(e)
	if got := r.Standing("acme", "media", start).Evidence[0].RequestID; got != strings.Repeat("x", 64) {
		t.Errorf("request id %q", got)
	}
}

func TestDoneAccountsOnce(t *testing.T) {
	r, l := limiterOf(t, three)
	ticket, _ := l.Admit("acme", start)
	for range 10 {
		ticket.Done(bad(start))
	}
	if n := len(r.Standing("acme", "media", start).Evidence); n != 1 {
		t.Errorf("one request is held %d times", n)
	}
	var zero Ticket
	zero.Done(bad(start))
}

func TestErrorsUnderWayWhenTheBlockBeginsAddNothing(t *testing.T) {
	_, l := limiterOf(t, three)
	var underWay []Ticket
	for range 10 {
		ticket, _ := l.Admit("acme", start)
		underWay = append(underWay, ticket)
	}
	for i := range underWay {
		underWay[i].Done(bad(minutes(i)))
	}
	if got := play(l, "31 ok, 32 2×error, 33 ok"); strings.Join(got, ", ") != "31 ok" {
		t.Errorf("refused %q, want only what the third error blocks", got)
	}
}

func TestAllowance(t *testing.T) {
	_, l := limiterOf(t, three)
	tests := []struct{ name, script, policy, limit string }{
		{"nothing is used up by success", "0 5×ok", `"media-errors";q=3;w=3600`, `"media-errors";r=3`},
		{"an error uses one up until it leaves the window", "10 error", `"media-errors";q=3;w=3600`, `"media-errors";r=2;t=3540`},
		{"two use up two", "11 error", `"media-errors";q=3;w=3600`, `"media-errors";r=1;t=3540`},
		{"a block leaves none until its end", "11 error", `"media-errors";q=3;w=3600`, `"media-errors";r=0;t=1800`},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			play(l, tt.script)
			a := l.Allowance("acme", minutes(11))
			if got := string(a.AppendPolicy(nil)); got != tt.policy {
				t.Errorf("RateLimit-Policy: %s, want %s", got, tt.policy)
			}
			if got := string(a.AppendLimit(nil)); got != tt.limit {
				t.Errorf("RateLimit: %s, want %s (row %d)", got, tt.limit, i)
			}
		})
	}
	if got := string(Allowance{Policy: "a\"b\\c\n"}.AppendLimit(nil)); got != `"a\"b\\c_";r=0` {
		t.Errorf("RateLimit: %s", got)
	}
}

func TestSetPolicyKeepsTheEvidence(t *testing.T) {
	with := func(change func(*Policy)) Policy {
		p := three
		change(&p)
		return p
	}
	tests := []struct {
		name          string
		before, after string
		policy        Policy
		want          string
	}{
		{"no amnesty for errors", "0 2×error", "1 error, 2 ok", with(func(p *Policy) { p.Name = "x" }), "2 ok"},
		{"no amnesty for a block", "0 3×error", "29 ok, 30 ok", with(func(p *Policy) { p.Name = "x" }), "29 ok"},
		{"a larger limit ends blocks", "0 3×error", "1 ok, 2 error, 3 ok", with(func(p *Policy) { p.Errors = 5 }), ""},
		{"but forgets nothing", "0 3×error", "1 2×error, 2 ok", with(func(p *Policy) { p.Errors = 5 }), "2 ok"},
		{"a smaller limit blocks nobody by itself", "0 2×error", "1 ok", with(func(p *Policy) { p.Errors = 1 }), ""},
		{"a smaller limit counts what is held", "0 2×error", "1 error, 2 ok", with(func(p *Policy) { p.Errors = 2 }), "2 ok"},
		{"a shorter block shortens a block", "0 3×error", "4 ok, 5 ok", with(func(p *Policy) { p.Block = 5 * time.Minute }), "4 ok"},
		{"a longer block does not prolong one", "0 3×error", "29 ok, 30 ok", with(func(p *Policy) { p.Block = 5 * time.Hour }), "29 ok"},
		{"a shorter window ends a block that it would not have caused", "0 2×error, 20 error", "21 ok", with(func(p *Policy) { p.Window = 10 * time.Minute }), ""},
		{"no policy ends blocks", "0 3×error", "1 ok, 2 9×error, 3 ok", Policy{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, l := limiterOf(t, three)
			if got := play(l, tt.before); got != nil {
				t.Fatalf("refused %q before", got)
			}
			if err := l.SetPolicy(tt.policy); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(play(l, tt.after), ", "); got != tt.want {
				t.Errorf("refused %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPolicyErrors(t *testing.T) {
	for p, want := range map[Policy]string{
		{Errors: -1}:                     "errors -1: expected 0 (nobody is blocked) to 1000",
		{Errors: 1001}:                   "errors 1001: expected 0 (nobody is blocked) to 1000",
		{Errors: 1, Block: 1}:            "window 0s: expected a time above 0",
		{Errors: 1, Window: time.Second}: "block 0s: expected a time above 0",
	} {
		if err := p.Check(); err == nil || err.Error() != want {
			t.Errorf("%+v: error %v, want %s", p, err, want)
		}
		_, l := limiterOf(t, three)
		if err := l.SetPolicy(p); err == nil || l.Policy() != three {
			t.Errorf("%+v was taken", p)
		}
	}
}

func TestSweepForgetsWhatIsOver(t *testing.T) {
	r, l := limiterOf(t, three)
	play(l, "0 ok, 0 error")
	count := func() int64 { return l.clients.n.Load() }
	r.Sweep(minutes(59))
	r.Sweep(minutes(59))
	if count() != 1 {
		t.Fatal("a client with an error in the window is forgotten")
	}
	ticket, _ := l.Admit("acme", minutes(60))
	r.Sweep(minutes(60)) // the error is out of the window, the client was there since
	if count() != 1 {
		t.Fatal("a client is forgotten as soon as its errors are")
	}
	r.Sweep(minutes(61))
	if count() != 0 {
		t.Fatal("an idle client is kept")
	}
	ticket.Done(bad(minutes(62)))
	if n := len(r.Standing("acme", "media", minutes(62)).Evidence); n != 1 {
		t.Errorf("the error of a request that outlived its client's account is held %d times, want once", n)
	}
	play(l, "63 2×error")
	r.Sweep(minutes(64))
	r.Sweep(minutes(65))
	if got := play(l, "66 ok"); got == nil {
		t.Error("a sweep has ended a block")
	}
}

func TestFullLimiterPunishesNobody(t *testing.T) {
	r, l := limiterOf(t, three)
	l.clients.n.Store(MaxClients)
	if got := play(l, "0 9×error, 1 ok"); got != nil {
		t.Errorf("refused %q", got)
	}
	if r.Untracked() != 10 {
		t.Errorf("%d untracked requests, want 10", r.Untracked())
	}
}

func TestManyAtOnce(t *testing.T) {
	var mu sync.Mutex
	begun := map[string]int{}
	r := NewRegistry(start, func(s Standing) {
		mu.Lock()
		defer mu.Unlock()
		begun[s.Client]++
	})
	l := r.Limiter("media")
	if err := l.SetPolicy(DefaultPolicy); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 400 {
				client := fmt.Sprintf("client-%d", i%10) // even ones err
				ticket, _ := l.Admit(client, minutes(1))
				e := bad(minutes(1))
				if i%2 == 1 {
					e = Evidence{Time: minutes(1), Class: abi.OK}
				}
				ticket.Done(e)
				l.Allowance(client, minutes(1))
				if i%100 == worker {
					r.Sweep(minutes(1))
					r.Blocks(minutes(1))
				}
			}
		})
	}
	wg.Wait()
	for client, n := range begun {
		if n != 1 {
			t.Errorf("%s was blocked %d times", client, n)
		}
	}
	if blocks := r.Blocks(minutes(2)); len(blocks) != 5 || len(begun) != 5 {
		t.Errorf("%d blocks, %d begun, want 5", len(blocks), len(begun))
	}
}

func TestAdmitAndDoneAllocateNothing(t *testing.T) {
	if race {
		t.Log("not counted: the race detector allocates")
		return
	}
	_, l := limiterOf(t, Policy{Name: "x", Errors: 20, Window: time.Minute, Block: time.Minute})
	now := start
	for name, e := range map[string]Evidence{"ok": {Class: abi.OK}, "an error": {Class: abi.NotFound, Counts: true, RequestID: "request-id", Fault: abi.FaultClient}} {
		if n := testing.AllocsPerRun(1000, func() {
			now = now.Add(4 * time.Second)
			ticket, _ := l.Admit("acme", now)
			e.Time = now
			ticket.Done(e)
			l.Allowance("acme", now)
		}); n != 0 {
			t.Errorf("a request that ends in %s allocates %v times", name, n)
		}
	}
}

func BenchmarkAdmitDone(b *testing.B) {
	r := NewRegistry(start, nil)
	l := r.Limiter("media")
	if err := l.SetPolicy(DefaultPolicy); err != nil {
		b.Fatal(err)
	}
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("client-%d", i)
	}
	run := func(i int) {
		ticket, _ := l.Admit(names[i%len(names)], start)
		ticket.Done(Evidence{Time: start, Class: abi.OK, RequestID: "0123456789abcdef"})
	}
	b.Run("one core", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			run(i)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				run(i)
			}
		})
	})
	b.Run("parallel, one client", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				run(7)
			}
		})
	})
}
