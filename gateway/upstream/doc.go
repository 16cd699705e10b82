// Package upstream is one upstream: its connections and the round trip over them.
//
// An [Attempt] is one try at an upstream. It writes a head that the gateway has made, sends the content beside it, reads
// response heads one by one until the final one, and hands the content out in pieces of its own buffer, decoded from whatever
// framing it came in. A connection goes back to the pool only when the exchange on it ended cleanly, and is looked at
// before it is used again: bytes that came late would answer another client's request.
package upstream
