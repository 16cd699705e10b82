package rfc

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var only = flag.String("only", "", "run only the rules whose id matches this regular expression")

// atATime is how many rules run at a time: most of them wait for something most of the time.
const atATime = 12

// TestRules holds Breakwater to every rule. A rule that it fails must be one that it departs from on purpose.
func TestRules(t *testing.T) {
	results := breakwater.run(t)
	for _, r := range results {
		reason, departs := departures[r.rule.id]
		what, awaits := pending[r.rule.id]
		switch {
		case r.failed == nil && departs:
			t.Errorf("%s holds, and is listed as a departure", r.rule.id)
		case r.failed == nil && awaits:
			t.Logf("%s holds: it need not be listed as pending any more", r.rule.id)
		case r.failed == nil:
		case departs && r.rule.level != must:
			r.note = "departs: " + reason
		case awaits:
			r.note = "pending: " + what
		default:
			r.note = "FAILED"
			t.Errorf("%s (%s): %s\n\t%s", r.rule.id, r.rule.level, r.rule.says, r.failed.text)
		}
	}
	report(os.Stdout, breakwater.name, results)
	if *only == "" {
		compareTable(t, results)
	}
}

// TestLists holds the lists themselves.
func TestLists(t *testing.T) {
	id := regexp.MustCompile(`^(3986|6265|9110|9111|9112|6455|6585|7239|8297|3986)-[0-9A-Z.]+-[a-z0-9-]+$`)
	seen := map[string]level{}
	for _, g := range groups {
		for _, r := range g.rules {
			if _, twice := seen[r.id]; twice {
				t.Errorf("%s: there are two rules with this id", r.id)
			}
			seen[r.id] = r.level
			if !id.MatchString(r.id) {
				t.Errorf("%s: expected an id like 9112-6.1-te-not-chunked-last", r.id)
			}
			if r.says == "" || r.run == nil || !slices.Contains([]level{must, should, quality}, r.level) {
				t.Errorf("%s: expected a level, what it says and how it is run", r.id)
			}
		}
	}
	for id, reason := range departures {
		if l, known := seen[id]; !known || l == must || reason == "" {
			t.Errorf("departures: %s (%s, %q): expected a SHOULD or QUALITY rule and a reason", id, l, reason)
		}
	}
	for id := range pending {
		if _, known := seen[id]; !known {
			t.Errorf("pending: %s: there is no such rule", id)
		}
	}
}

// A result is what became of one rule.
type result struct {
	category string
	rule     *rule
	failed   *failure // nil: the rule holds
	note     string
	took     time.Duration
}

// run runs all rules, several at a time.
func (s *subject) run(t *testing.T) []*result {
	t.Helper()
	chosen, err := regexp.Compile(*only)
	if err != nil {
		t.Fatalf("-only: %v", err)
	}
	var results []*result
	var lanes []*lane
	for _, g := range groups {
		for i := range g.rules {
			if chosen.MatchString(g.rules[i].id) {
				results = append(results, &result{category: g.category, rule: &g.rules[i]})
				lanes = append(lanes, newLane(t, g.site))
			}
		}
	}
	if s.start != nil {
		s.start(t, lanes)
	}
	var running, stopping sync.WaitGroup
	places := make(chan struct{}, atATime)
	for i, r := range results {
		places <- struct{}{}
		running.Add(1)
		go func() {
			defer running.Done()
			defer func() { <-places }()
			l := lanes[i]
			stop := func() {}
			if s.open != nil {
				stop = s.open(t, l)
			}
			began := time.Now()
			r.failed = s.try(r.rule, l)
			r.took = time.Since(began)
			stopping.Add(1)
			go func() { defer stopping.Done(); stop() }()
		}()
	}
	running.Wait()
	stopping.Wait()
	return results
}

// try runs one rule in its lane.
func (s *subject) try(r *rule, l *lane) (failed *failure) {
	if l.address == "" {
		return &failure{"the proxy has no address"}
	}
	x := &exchange{rule: r, lane: l, wait: s.patience, news: make(chan struct{}, 1)}
	var accepting sync.WaitGroup
	accepting.Add(1)
	go func() { defer accepting.Done(); x.accept() }()
	defer accepting.Wait()
	defer x.helpers.Wait()
	defer x.close()
	defer func() {
		if p := recover(); p != nil {
			failed = asFailure(p)
		}
	}()
	r.run(x)
	done := make(chan struct{})
	go func() { x.helpers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(s.patience): // what it waits for ends with the connections
		x.close()
		<-done
	}
	return x.failed
}

// report writes one line per rule, and a summary.
func report(w *os.File, name string, results []*result) {
	var b strings.Builder
	for _, r := range results {
		word := "ok  "
		if r.failed != nil {
			word = "FAIL"
		}
		fmt.Fprintf(&b, "%s %-7s %-4s %-6s %s: %s\n", word, r.rule.level, r.rule.id[:4], strings.Fields(r.rule.section())[1], r.rule.id, r.rule.says)
		if r.took > 5*time.Second {
			fmt.Fprintf(&b, "     took %.0f s\n", r.took.Seconds())
		}
		if r.failed != nil {
			fmt.Fprintf(&b, "     %s\n", r.failed.text)
			if r.note != "" {
				fmt.Fprintf(&b, "     %s\n", r.note)
			}
		}
	}
	fmt.Fprintf(&b, "\n%-10s %15s %15s %15s %15s\n", name, "MUST", "SHOULD", "QUALITY", "all")
	passed, failed := 0, 0
	for _, c := range categories() {
		fmt.Fprintf(&b, "%-10s", c)
		all := tally{}
		for _, l := range []level{must, should, quality} {
			n := count(results, c, l)
			fmt.Fprintf(&b, " %15s", n)
			all.passed += n.passed
			all.cases += n.cases
		}
		fmt.Fprintf(&b, " %15s\n", all)
		passed += all.passed
		failed += all.cases - all.passed
	}
	fmt.Fprintf(&b, "%s: %d passed, %d failed\n", name, passed, failed)
	fmt.Fprint(w, b.String())
}

// A tally is how many of some rules hold.
type tally struct{ passed, cases int }

func (n tally) String() string { return fmt.Sprintf("%d of %d", n.passed, n.cases) }

// count counts the results of one category ("" for all) and level ("" for all).
func count(results []*result, category string, l level) (n tally) {
	for _, r := range results {
		if (category == "" || r.category == category) && (l == "" || r.rule.level == l) {
			n.cases++
			if r.failed == nil {
				n.passed++
			}
		}
	}
	return n
}
