// Package wire is HTTP/1.1 as bytes: heads, fields, chunks, framing and hop-by-hop rules, once for both sides of the gateway.
//
// Nothing here reads or writes a connection, and nothing is kept: functions take bytes and return views of them. Parsing is
// strict. What RFC 9112 lets a recipient tolerate (bare LF, folded lines, space around a name) is refused, because each
// tolerance is a chance that the next recipient reads the same bytes differently. Section numbers in comments are those of
// RFC 9110 and RFC 9112.
package wire
