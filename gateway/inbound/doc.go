// Package inbound is a client's connection as its requests come out of it, one after another.
//
// A [Conn] delivers whole heads, as bytes, and then the content behind each, decoded from its framing. It knows how long a
// client may take over a head and how large that may be; what a head means is package wire's to say, and what becomes of it
// the gateway's. The counterpart on the other side is package upstream.
package inbound
