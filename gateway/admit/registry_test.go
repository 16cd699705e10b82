package admit

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRegistryOutlivesASnapshot(t *testing.T) {
	r, l := limiterOf(t, three)
	play(l, "0 3×error")
	if got := play(r.Limiter("media"), "1 ok"); got == nil {
		t.Error("asking for the same route again was an amnesty")
	}
	if err := r.Rates("media").SetPolicy(RatePolicy{Requests: 1, Per: time.Minute}); err != nil {
		t.Fatal(err)
	}
	r.Rates("media").Take("acme", start)
	if _, ok := r.Rates("media").Take("acme", start); ok {
		t.Error("asking for the same rate again filled the bucket")
	}
}

func TestBlocksAreListed(t *testing.T) {
	r, l := limiterOf(t, three)
	if err := r.Limiter("upload").SetPolicy(three); err != nil {
		t.Fatal(err)
	}
	play(r.Limiter("upload"), "0 3×error")
	play(l, "1 9×ok, 2 error, 3 5×ok, 4 2×error")
	block := func(l *Limiter, client string, n int) {
		for range n {
			ticket, _ := l.Admit(client, minutes(5))
			ticket.Done(bad(minutes(5)))
		}
	}
	block(l, "bolt", 2) // not enough
	block(l, "core", 3)
	tests := []struct {
		name   string
		minute int
		want   string
	}{
		{"by route and client", 6, "media/acme until 34, media/core until 35, upload/acme until 30"},
		{"only those that are on", 34, "media/core until 35"},
		{"none is listed after its end", 35, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, s := range r.Blocks(minutes(tt.minute)) {
				got = append(got, fmt.Sprintf("%s/%s until %.0f", s.Route, s.Client, s.Until.Sub(start).Minutes()))
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("blocks %q, want %q", got, tt.want)
			}
			if n := r.Blocked(minutes(tt.minute)); n != len(got) {
				t.Errorf("%d are blocked, want %d", n, len(got))
			}
		})
	}
	play(l, "36 uncounted, 37 error, 38 7×ok")
	s := r.Standing("acme", "media", minutes(40))
	if len(s.Evidence) != 1 || !s.Until.IsZero() || s.OK != 7 || s.Other != 1 || s.Policy != three {
		t.Errorf("standing %+v", s)
	}
	if s := r.Standing("nobody", "nowhere", start); s.Client != "nobody" || len(s.Evidence) != 0 {
		t.Errorf("standing of nobody %+v", s)
	}
}

func TestUnblock(t *testing.T) {
	r, l := limiterOf(t, three)
	other := r.Limiter("upload")
	if err := other.SetPolicy(three); err != nil {
		t.Fatal(err)
	}
	play(l, "0 3×error")
	play(other, "0 3×error")
	lifted := r.Unblock("acme", "media", minutes(1))
	if len(lifted) != 1 || lifted[0].Route != "media" || len(lifted[0].Evidence) != 3 || !lifted[0].Until.Equal(minutes(30)) {
		t.Errorf("lifted %+v", lifted)
	}
	if got := play(l, "1 ok, 2 2×error, 3 ok"); got != nil {
		t.Errorf("refused %q after unblocking: two new errors are not three", got)
	}
	if got := play(other, "1 ok"); got == nil {
		t.Error("another route was unblocked, too")
	}
	if lifted := r.Unblock("bolt", "", minutes(1)); lifted != nil {
		t.Errorf("lifted %+v of somebody else", lifted)
	}
	if lifted := r.Unblock("acme", "", minutes(1)); len(lifted) != 1 || lifted[0].Route != "upload" {
		t.Errorf("lifted %+v everywhere", lifted)
	}
	if n := len(r.Standing("acme", "media", minutes(4)).Evidence); n != 0 {
		t.Errorf("%d errors are held although all were forgotten", n)
	}
}

func TestAcquitLiftsExactlyWhatRestedOnIt(t *testing.T) {
	r, l := limiterOf(t, three)
	err := func(client, code string, minute int) {
		ticket, _ := l.Admit(client, minutes(minute))
		e := bad(minutes(minute))
		e.Signature.Code = code
		ticket.Done(e)
	}
	for i := range 3 {
		err("innocent", "190", i)
		err("offender", "100", i)
		err("mixed", []string{"100", "190", "100"}[i], i)
	}
	lifted := r.Acquit(func(_, route string, e *Evidence) bool { return route == "media" && e.Signature.Code == "190" }, minutes(3))
	var names []string
	for _, s := range lifted {
		names = append(names, s.Client)
	}
	if strings.Join(names, " ") != "innocent mixed" {
		t.Errorf("lifted %q", names)
	}
	if blocks := r.Blocks(minutes(3)); len(blocks) != 1 || blocks[0].Client != "offender" {
		t.Errorf("blocked are %+v, want the offender", blocks)
	}
	if n := len(r.Standing("mixed", "media", minutes(3)).Evidence); n != 2 {
		t.Errorf("%d errors are left of its own, want 2", n)
	}
	err("mixed", "100", 4)
	if blocks := r.Blocks(minutes(4)); len(blocks) != 2 {
		t.Error("a third error of its own does not block")
	}
}

func TestOnBlockTellsOnce(t *testing.T) {
	var told []Standing
	r := NewRegistry(start, func(s Standing) { told = append(told, s) })
	l := r.Limiter("media")
	if err := l.SetPolicy(three); err != nil {
		t.Fatal(err)
	}
	play(l, "0 3×error, 1 ok, 30 3×error, 31 ok")
	if len(told) != 2 || told[0].Client != "acme" || told[0].Route != "media" || !told[0].Until.Equal(minutes(30)) || len(told[1].Evidence) != 3 {
		t.Errorf("told %+v", told)
	}
}
