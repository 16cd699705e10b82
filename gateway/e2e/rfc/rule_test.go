// Package rfc holds Breakwater to the rules that RFC 9110 and RFC 9112 make for an intermediary, and shows how other proxies do.
//
// A [rule] plays a client and an origin around the proxy under test, on raw sockets: it says which bytes go in at either end, and
// looks at the bytes that come out. Each rule has its own [lane], a way through the proxy with an origin of its own, so that nothing
// of one rule can be seen by another and many can run at a time. Where the RFC leaves a choice, a rule takes either.
//
//	rule_test.go      what a rule is              end_test.go       one end of a connection
//	exchange_test.go  what a rule does things on  message_test.go   messages, read strictly
//	run_test.go       all rules, one line each    compare_test.go   the table in gateway/README.md
//	lane_test.go      ways through a proxy        peers_test.go     nginx, HAProxy and Apache set up
//	known_test.go     what Breakwater does not follow, and why
//	expect_test.go    rows of requests and what must become of them
//	*_rules_test.go   the rules, by category
//
//	go test ./gateway/e2e/rfc                    Breakwater; -v for the lines of rules that hold
//	go test ./gateway/e2e/rfc -v -only 9112-6.3  rules whose id matches
//	make rfc-peers                               the same against the peers, and the table anew
package rfc

import (
	"slices"
	"strings"
)

// A level says how much a rule weighs.
type level string

const (
	must    level = "MUST"    // an absolute requirement of the RFC, MUST NOT and REQUIRED included
	should  level = "SHOULD"  // a requirement that may be departed from for a reason
	quality level = "QUALITY" // what the RFC leaves open and a good gateway does
)

// A rule is one thing that a proxy does or does not do.
type rule struct {
	id    string // the RFC, the section and a name: 9112-6.1-te-not-chunked-last
	level level
	says  string // the rule in one line
	run   func(x *exchange)
}

// section returns where the rule stands: "9112 6.1".
func (r *rule) section() string {
	parts := strings.SplitN(r.id, "-", 3)
	return parts[0] + " " + parts[1]
}

// A site is a way to set up a proxy.
type site uint8

const (
	patient   site = iota // no timeout that a rule could meet, no limit but of heads
	hurried               // every timeout is the variable hurry
	narrow                // a request's content is limited to the constant maxContent
	switching             // a connection may change to websocket
	sites     = iota
)

// maxContent is the limit of a request's content at a narrow site.
const maxContent = 1024

// A group is rules of one category that want the same site.
type group struct {
	category string
	rules    []rule
	site     site
}

// groups lists all rules in the order of the report. Groups of one category stand together.
var groups = []group{
	{"request", framingRules, patient},
	{"request", chunkRules, patient},
	{"request", syntaxRules, patient},
	{"request", lineRules, patient},
	{"request", sizeRules, narrow},
	{"target", targetRules, patient},
	{"fields", fieldRules, patient},
	{"response", responseRules, patient},
	{"hop-by-hop", hopByHopRules, patient},
	{"persist", persistRules, patient},
	{"expect", expectRules, patient},
	{"stream", streamRules, patient},
	{"timeout", timeoutRules, hurried},
	{"upgrade", upgradeRules, switching},
}

// categories returns the categories in the order of the report.
func categories() (names []string) {
	for _, g := range groups {
		if !slices.Contains(names, g.category) {
			names = append(names, g.category)
		}
	}
	return names
}
