// Package gateway is a request's way through Breakwater and the life around it.
//
// serve.go tells the way from top to bottom; each step of it is a method of [exchange], the pooled state of one request.
// fasthttp is the base: it accepts, shakes hands, lends each connection a worker and shuts down. What is said on a connection is ours:
// package inbound reads the requests out of it, one after another, and the response is written as exact bytes; a worker has
// done with a request when the last one is out.
//
//	client → listener → route match → identity, admission → flag view pinned → injections → request steps
//	       → secrets added → upstream → response steps, classification → attribution → accounting → client
//
//	serve.go      the way               exchange.go  its state             draft.go     what a guest sees and changes
//	inject.go     what we put in        forwarded.go where it comes from   options.go   what ends here
//	content.go    bodies                decode.go    codings undone        steps.go     guests and verdicts
//	continue.go   who waits for a 100   tunnel.go    other protocols       retry.go     another attempt
//	send.go       the response          fail.go      what went wrong       problem.go   answers of our own
//	account.go    what it all meant     metrics.go, accesslog.go           admin.go     what operators see
//	gateway.go    start, stop           snapshot.go  a Config, bound       reload.go    from one snapshot to the next
//	tls.go        certificates          endpoints.go, resilience.go        check.go     a Config, tried
//
// A request is pinned to one snapshot and one flag view from its beginning to its end.
package gateway
