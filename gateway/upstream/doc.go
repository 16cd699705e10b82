// Package upstream is one upstream: its connections and the round trip over them.
//
// An [Attempt] is one try at an upstream (attempt.go). It writes a head that the gateway has made, sends the content beside it
// (sender.go), reads response heads one by one until the final one (roundtrip.go), and hands the content out in pieces of its own
// buffer, decoded from whatever framing it came in (content.go); or what both sides say once they have agreed to another
// protocol (tunnel.go). Why it failed is an [Error] (errors.go). A connection (link.go) goes back to the pool only when the
// exchange on it ended cleanly, and is looked at before it is used again: bytes that came late would answer another client's
// request.
//
// An [Upstream] (upstream.go) is one or more endpoints, each an address with a pool of its own (endpoint.go). They come from the
// configuration or, by name, from DNS (dns.go). What is known of them makes a list of turns (balance.go), which changes rarely
// and is read without a lock: an endpoint is in it unless its requests failed (outlier.go) or its health checks did (health.go),
// or so few are left that all are used. Whoever gives a request its endpoint takes the next turn. An endpoint that is out of
// turns keeps its connections, and what is under way there goes on; one that is gone from DNS loses the idle ones.
//
// Where it is configured, an attempt passes its upstream's gate first (passage.go, limits.go): the circuit breaker (breaker.go), and
// a queue for a place among the requests in flight, whose number may follow the latency (adaptive.go). Whether to try again
// is the caller's to decide, by the rules of retry.go and as long as the retry budget lasts (budget.go).
package upstream
