package rfc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The comparison stands in gateway/README.md between these lines.
const (
	tableBegin = "<!-- make rfc-peers writes this -->\n"
	tableEnd   = "<!-- to here -->\n"
)

var readme = filepath.Join("..", "..", "README.md")

// TestPeers runs the same rules against the peers, and writes the table. It fails nobody.
func TestPeers(t *testing.T) {
	if os.Getenv("RFC_PEERS") == "" {
		t.Skip("NOT CHECKED: how the peers do: make rfc-peers")
	}
	all := append([]*subject{breakwater}, peers...)
	results := make([][]*result, len(all))
	for i, s := range all {
		t.Run(s.name, func(t *testing.T) {
			results[i] = s.run(t)
			report(os.Stdout, s.name, results[i])
		})
	}
	if t.Failed() {
		return
	}
	if slices.ContainsFunc(results, func(of []*result) bool { return of == nil }) {
		return // -run has chosen among them
	}
	fmt.Println("\nRules that every peer breaks, to be read again:")
	for i, r := range results[0] {
		if !slices.ContainsFunc(results[1:], func(of []*result) bool { return of[i].failed == nil }) {
			fmt.Printf("  %s %s: %s\n", r.rule.level, r.rule.id, r.rule.says)
		}
	}
	if *only != "" {
		return
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s: expected the lines %q and %q", readme, tableBegin, tableEnd)
	}
	if err := os.WriteFile(readme, []byte(before+tableBegin+comparison(all, results)+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// comparison renders the tables.
func comparison(all []*subject, results [][]*result) string {
	var b strings.Builder
	head := func(first string) {
		fmt.Fprintf(&b, "| %s | cases | Breakwater |", first)
		for _, s := range all[1:] {
			fmt.Fprintf(&b, " %s %s |", s.name, peerVersion(s))
		}
		b.WriteString("\n|---|--:|" + strings.Repeat("--:|", len(all)) + "\n")
	}
	row := func(name, category string, l level) {
		n := count(results[0], category, l)
		if n.cases == 0 {
			return
		}
		fmt.Fprintf(&b, "| %s | %d |", name, n.cases)
		for _, of := range results {
			fmt.Fprintf(&b, " %d |", count(of, category, l).passed)
		}
		b.WriteString("\n")
	}
	b.WriteString("\nAll levels:\n\n")
	head("passed")
	for _, c := range categories() {
		row(c, c, "")
	}
	for _, l := range []level{must, should, quality} {
		row("all "+string(l), "", l)
	}
	row("**all**", "", "")
	b.WriteString("\nMUST alone:\n\n")
	head("passed")
	for _, c := range categories() {
		row(c+", MUST", c, must)
	}
	b.WriteString("\n<details><summary>Rules of level MUST that a peer does not follow as it is set up here</summary>\n\n")
	for i, r := range results[0] {
		var who []string
		for j, of := range results {
			if of[i].failed != nil {
				who = append(who, all[j].name)
			}
		}
		if r.rule.level == must && len(who) > 0 {
			fmt.Fprintf(&b, "- `%s` %s: %s\n", r.rule.id, r.rule.says, strings.Join(who, ", "))
		}
	}
	b.WriteString("\n</details>\n\n")
	return b.String()
}

// compareTable holds the table's columns of cases and of Breakwater against what the rules say.
func compareTable(t *testing.T, results []*result) {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, category string, l level) {
		n := count(results, category, l)
		for _, line := range strings.Split(string(text), "\n") {
			cells := strings.Split(line, "|")
			if len(cells) < 5 || strings.TrimSpace(cells[1]) != name {
				continue
			}
			if strings.TrimSpace(cells[2]) != strconv.Itoa(n.cases) || strings.TrimSpace(cells[3]) != strconv.Itoa(n.passed) {
				t.Errorf("%s: %q says %s cases, %s passed; now there are %d and %d: make rfc-peers", readme, name, cells[2], cells[3], n.cases, n.passed)
			}
			return
		}
		t.Errorf("%s: expected a row %q: make rfc-peers", readme, name)
	}
	for _, c := range categories() {
		check(c, c, "")
		if count(results, c, must).cases > 0 {
			check(c+", MUST", c, must)
		}
	}
	for _, l := range []level{must, should, quality} {
		check("all "+string(l), "", l)
	}
	check("**all**", "", "")
}

// need makes sure that a peer can be run here: it fails the test in CI, and skips it aloud elsewhere.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT CHECKED: %s: %v", t.Name(), err)
	}
}
