package upstream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A clocked breaker has a clock that the test moves, and tells its changes of state.
type clocked struct {
	*breaker
	time    time.Time
	changes []string
}

func breakerOf(o BreakerOptions) *clocked {
	c := &clocked{time: noon}
	c.breaker = newBreaker(o, func(from, to BreakerState, why string) {
		c.changes = append(c.changes, fmt.Sprintf("%v→%v", from, to))
	})
	c.random = func() float64 { return 0 }
	return c
}

// ask sends one request that comes to v. It reports whether it was let in.
func (c *clocked) ask(v vote) bool {
	p, wait, ok := c.enter(c.time)
	if ok == (wait > 0) {
		panic("let in, and told to wait; or neither")
	}
	c.leave(&p, v, c.time)
	return ok
}

func TestBreaker(t *testing.T) {
	inARow := BreakerOptions{Consecutive: 3, Window: 10 * time.Second, Open: 30 * time.Second, Trials: 2}
	share := BreakerOptions{Percent: 50, Requests: 4, Window: 10 * time.Second, Open: 30 * time.Second, Trials: 1}
	tests := []struct {
		name  string
		o     BreakerOptions
		steps string // + and - are requests that succeed and fail, 0 one that comes to nothing; s is a second, ! a request that is refused
		want  string
	}{
		{"failures in a row open it", inARow, "---!", "closed→open"},
		{"a success begins the row anew", inARow, "--+--+--", ""},
		{"so does a quiet time", inARow, "--" + seconds(11) + "--", ""},
		{"what comes to nothing says nothing", inARow, "-0-00-!", "closed→open"},
		{"it stays open for its time", inARow, "---" + seconds(29) + "!", "closed→open"},
		{"then trials close it", inARow, "---" + seconds(30) + "++++", "closed→open open→half-open half-open→closed"},
		{"one trial is not enough", inARow, "---" + seconds(30) + "+", "closed→open open→half-open"},
		{"a trial that comes to nothing is tried again", inARow, "---" + seconds(30) + "0+0+", "closed→open open→half-open half-open→closed"},
		{
			"a trial that fails opens it", inARow, "---" + seconds(30) + "+-!" + seconds(29) + "!" + seconds(1) + "++",
			"closed→open open→half-open half-open→open open→half-open half-open→closed",
		},
		{"failures of before are forgotten", inARow, "---" + seconds(30) + "++--", "closed→open open→half-open half-open→closed"},
		{"a share of failures opens it", share, "+-+-!", "closed→open"},
		{"too few requests say nothing", share, "---", ""},
		{"a smaller share does not", share, "+++-++--", ""},
		{"requests leave the window", share, "+++" + seconds(11) + "---", ""},
		{"as long as they are in it they count", share, "+++" + seconds(8) + "---!", "closed→open"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := breakerOf(test.o)
			for i, step := range test.steps {
				let := step != '!'
				switch step {
				case 's':
					c.time = c.time.Add(time.Second)
					continue
				case '+':
					let = c.ask(succeeded)
				case '-':
					let = c.ask(failed)
				case '0':
					let = c.ask(abstains)
				case '!':
					let = c.ask(succeeded)
				}
				if let != (step != '!') {
					t.Errorf("step %d of %q: let in: %v", i, test.steps, let)
				}
			}
			if got := strings.Join(c.changes, " "); got != test.want {
				t.Errorf("changes %q, want %q", got, test.want)
			}
		})
	}
}

func seconds(n int) string { return strings.Repeat("s", n) }

func TestBreakerJitter(t *testing.T) {
	c := breakerOf(BreakerOptions{Consecutive: 1, Window: time.Second, Open: 10 * time.Second, Trials: 1})
	c.random = func() float64 { return 0.5 }
	c.ask(failed)
	if wait := c.closedTo(c.time); wait != 11*time.Second {
		t.Errorf("open for %v, want 11s: half of the fifth that may be added", wait)
	}
}

// TestBreakerLateVotes has a request that began before the breaker opened end while others are on trial.
func TestBreakerLateVotes(t *testing.T) {
	c := breakerOf(BreakerOptions{Consecutive: 1, Window: time.Second, Open: 10 * time.Second, Trials: 2})
	late, _, _ := c.enter(c.time)
	later, _, _ := c.enter(c.time)
	c.ask(failed)
	c.time = c.time.Add(10 * time.Second)
	c.ask(succeeded)
	c.leave(&late, failed, c.time)
	c.leave(&later, succeeded, c.time)
	if s := c.at(); s != HalfOpen {
		t.Errorf("it is %v, want half-open: only trials tell", s)
	}
	c.ask(succeeded)
	if s := c.at(); s != Closed {
		t.Errorf("it is %v after all trials succeeded", s)
	}
}

// TestBreakerModel holds that whatever happens, no more than the trials are let in while it is half-open, nobody while it is
// open, and everybody while it is closed; and that no place of a trial is lost.
func TestBreakerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := breakerOf(BreakerOptions{
			Consecutive: rapid.IntRange(1, 5).Draw(t, "row"), Percent: rapid.IntRange(0, 100).Draw(t, "percent"), Requests: 5,
			Window: 10 * time.Second, Open: 10 * time.Second, Trials: rapid.IntRange(1, 3).Draw(t, "trials"),
		})
		var under []pass
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"enter", "enter", "leave", "time"}).Draw(t, "step") {
			case "enter":
				trials, before := 0, c.at()
				for _, p := range under {
					if p.trial && p.era == c.era {
						trials++
					}
				}
				p, _, ok := c.enter(c.time)
				switch now := c.at(); {
				case now == Closed && !ok:
					t.Fatal("refused while closed")
				case now == Opened && ok:
					t.Fatal("let in while open")
				case now == HalfOpen && before == HalfOpen && ok != (trials+c.passed < c.Trials):
					t.Fatalf("let in: %v with %d trials under way and %d passed of %d", ok, trials, c.passed, c.Trials)
				}
				if ok {
					under = append(under, p)
				}
			case "leave":
				if len(under) > 0 {
					i := rapid.IntRange(0, len(under)-1).Draw(t, "which")
					c.leave(&under[i], rapid.SampledFrom([]vote{abstains, succeeded, failed}).Draw(t, "vote"), c.time)
					under = append(under[:i], under[i+1:]...)
				}
			case "time":
				c.time = c.time.Add(time.Duration(rapid.IntRange(0, 6000).Draw(t, "milliseconds")) * time.Millisecond)
			}
		}
		for i := range under {
			c.leave(&under[i], abstains, c.time)
		}
		if c.underway != 0 {
			t.Fatalf("%d trials are under way, and nobody is there", c.underway)
		}
		c.time = c.time.Add(20 * time.Second)
		for c.at() != Closed {
			if !c.ask(succeeded) {
				t.Fatal("it does not close when all is well")
			}
		}
	})
}

func TestVotes(t *testing.T) {
	b := newBreaker(BreakerOptions{Statuses: []Status{{502, 503}}}, nil)
	tests := []struct {
		name   string
		status int
		err    error
		want   vote
	}{
		{"a response", 200, nil, succeeded},
		{"an error that is not listed", 500, nil, succeeded},
		{"a status that is", 503, nil, failed},
		{"no connection", 0, &Error{Kind: Connect}, failed},
		{"too late", 0, &Error{Kind: Timeout}, failed},
		{"not HTTP", 0, &Error{Kind: Protocol}, failed},
		{"broken off", 200, &Error{Kind: Cut}, failed},
		{"a client that left", 0, &Error{Kind: ClientLeft}, abstains},
		{"a client's bad content", 0, &Error{Kind: ClientBody}, abstains},
		{"a limit of ours", 0, &Error{Kind: Busy}, abstains},
		{"anything else", 0, errors.New("?"), abstains},
	}
	for _, test := range tests {
		if got := b.voteOn(test.status, test.err); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
