// Package conn is the two layers that a connection carries.
//
// A [Socket] lies below TLS. It keeps the peer's clean end apart from what io.EOF means to parsers (fasthttp and crypto/tls
// both take an end between two chunks or records for the end of the message), it arms deadlines only when they have come
// nearer, and another goroutine can break into whatever waits on it.
//
// An [Accepted] lies above TLS on a client's connection. fasthttp reads from it and believes to write to it: what it
// writes is dropped, for the gateway writes every response itself, with Send. A [Watcher] tells an Accepted that its client
// has left while nobody reads from it.
package conn
