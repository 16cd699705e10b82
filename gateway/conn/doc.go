// Package conn is the two layers that a connection carries.
//
// A [Socket] lies below TLS. It keeps the peer's clean end apart from what io.EOF means to parsers (crypto/tls takes an end between
// two records for the end of the message), it arms deadlines only when they have come nearer, and another goroutine can break
// into whatever waits on it. On Linux it reads and writes by bare system calls, and asks in one go (bare_linux.go).
//
// An [Accepted] lies above TLS on a client's connection. It knows whether it rests between two requests, so that draining ends
// it. A [Watcher] tells an Accepted that its client has left, or has half-closed, while nobody reads from it. They come from a
// [Listener], which goes on accepting through what passes ([Patient]), bounds their number, and ends those that rest or all.
package conn
