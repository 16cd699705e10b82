package admit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func guessesOf(t testing.TB, p GuessPolicy) *Guesses {
	t.Helper()
	g := NewGuesses(start)
	if err := g.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuesses(t *testing.T) {
	type miss struct {
		addr   string
		second int
		want   int // seconds to wait
	}
	tests := []struct {
		name   string
		misses []miss // under 2 misses in 60 seconds → 300 seconds
	}{
		{"the limit of misses is answered as unknown, what follows is refused", []miss{{"192.0.2.1", 0, 0}, {"192.0.2.1", 10, 0}, {"192.0.2.1", 20, 290}}},
		{"a block lasts its time and is not prolonged", []miss{{"192.0.2.1", 0, 0}, {"192.0.2.1", 0, 0}, {"192.0.2.1", 299, 1}, {"192.0.2.1", 300, 0}, {"192.0.2.1", 300, 0}, {"192.0.2.1", 300, 300}}},
		{"misses are forgotten with their window", []miss{{"192.0.2.1", 0, 0}, {"192.0.2.1", 60, 0}, {"192.0.2.1", 119, 0}, {"192.0.2.1", 119, 300}}},
		{"addresses are counted apart", []miss{{"192.0.2.1", 0, 0}, {"192.0.2.1", 0, 0}, {"192.0.2.2", 0, 0}, {"192.0.2.1", 0, 300}}},
		{"an IPv6 /64 is one guesser", []miss{{"2001:db8::1", 0, 0}, {"2001:db8::2", 0, 0}, {"2001:db8::3", 0, 300}, {"2001:db8:0:1::1", 0, 0}}},
		{"an IPv4 address mapped into IPv6 is the IPv4 address", []miss{{"192.0.2.1", 0, 0}, {"::ffff:192.0.2.1", 0, 0}, {"192.0.2.1", 0, 300}, {"::ffff:192.0.2.2", 0, 0}}},
		{"a zone makes no other guesser", []miss{{"fe80::1%eth0", 0, 0}, {"fe80::1%eth1", 0, 0}, {"fe80::1", 0, 300}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := guessesOf(t, GuessPolicy{Misses: 2, Window: time.Minute, Block: 5 * time.Minute})
			for i, m := range tt.misses {
				got := g.Miss(netip.MustParseAddr(m.addr), start.Add(time.Duration(m.second)*time.Second))
				if got != time.Duration(m.want)*time.Second {
					t.Errorf("miss %d of %s at %ds: wait %v, want %ds", i, m.addr, m.second, got, m.want)
				}
			}
		})
	}
}

func TestGuessesRefuseNobodyWithoutPolicy(t *testing.T) {
	g := NewGuesses(start)
	for range 100 {
		if g.Miss(netip.MustParseAddr("192.0.2.1"), start) != 0 {
			t.Fatal("refused")
		}
	}
}

func TestGuessesKeepTheWorst(t *testing.T) {
	g := guessesOf(t, GuessPolicy{Misses: 2, Window: time.Minute, Block: 5 * time.Minute})
	worst := netip.MustParseAddr("192.0.2.1")
	g.Miss(worst, start)
	g.Miss(worst, start)
	for i := range 20 * guessSets * guessWays { // a crowd, each with one guess
		g.Miss(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), start)
	}
	if g.Miss(worst, start) == 0 {
		t.Error("a crowd has made the throttle forget a guesser")
	}
	if n := g.Refused(start); n != 1 {
		t.Errorf("%d addresses are refused, want 1", n)
	}
	if n := g.Refused(start.Add(5 * time.Minute)); n != 0 {
		t.Errorf("%d addresses are refused after the block", n)
	}
	if n := testing.AllocsPerRun(100, func() { g.Miss(worst, start) }); n != 0 && !race {
		t.Errorf("Miss allocates %v times", n)
	}
}

func TestGuessPolicyErrors(t *testing.T) {
	for p, want := range map[GuessPolicy]string{
		{Misses: -1}:                     "misses -1: expected 0 (nobody is refused) to 1048576",
		{Misses: 1, Block: time.Second}:  "window 0s: expected a time above 0",
		{Misses: 1, Window: time.Second}: "block 0s: expected a time above 0",
	} {
		if err := NewGuesses(start).SetPolicy(p); err == nil || err.Error() != want {
			t.Errorf("%+v: error %v, want %s", p, err, want)
		}
	}
}

func BenchmarkMiss(b *testing.B) {
	g := guessesOf(b, DefaultGuessPolicy)
	var addrs []netip.Addr
	for i := range 1000 {
		addrs = append(addrs, netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/250, i%250)))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			g.Miss(addrs[i%len(addrs)], start)
		}
	})
}
