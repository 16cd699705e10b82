package wire

import (
	"bytes"
	"fmt"
)

// A Name is a field name that means something to an intermediary. Zero is any other name.
type Name uint8

const (
	Other Name = iota
	Connection
	ContentEncoding
	ContentLength
	ContentType
	Date
	Expect
	Host
	KeepAlive
	MaxForwards
	ProxyConnection
	TE
	Trailer
	TransferEncoding
	Upgrade
	Via
	ForwardedFor   // X-Forwarded-For
	ForwardedHost  // X-Forwarded-Host
	ForwardedProto // X-Forwarded-Proto
	ForwardedPort  // X-Forwarded-Port
	Forwarded      // of RFC 7239
	RequestID      // Breakwater-Request-Id
	names
)

var nameText = [names]string{
	"", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Date", "Expect", "Host", "Keep-Alive",
	"Max-Forwards", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Via",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "Forwarded", "Breakwater-Request-Id",
}

// String returns the name as it is usually written.
func (n Name) String() string { return nameText[n] }

// namesByLength makes the common case, a name of no meaning to us, cost one look at its length and first letter.
var namesByLength = func() (t [24][]Name) {
	for n := Other + 1; n < names; n++ {
		l := len(nameText[n])
		t[l] = append(t[l], n)
	}
	return t
}()

// Lookup returns which known name b is.
func Lookup(b []byte) Name {
	if len(b) == 0 || len(b) >= len(namesByLength) {
		return Other
	}
	for _, n := range namesByLength[len(b)] {
		if lower(b[0]) == lower(nameText[n][0]) && EqualFold(b, nameText[n]) {
			return n
		}
	}
	return Other
}

// HopByHop reports whether a field of that name is for one connection only and never forwarded (9110 7.6.1). Fields that a
// Connection field lists come on top. Trailer is not among them: it goes with the trailer section, where that goes (9110 6.6.2).
func (n Name) HopByHop() bool {
	switch n {
	case Connection, KeepAlive, ProxyConnection, TE, TransferEncoding, Upgrade:
		return true
	}
	return false
}

// TellsOrigin reports whether a field of that name says where a request comes from: what anybody can write, and only some may.
func (n Name) TellsOrigin() bool { return n >= ForwardedFor && n <= Forwarded }

// A Field is one field line: views of the bytes that it was read from.
type Field struct {
	Name  []byte // as written
	Value []byte // without white space around it
	Known Name
}

// A SyntaxError says where a head is not HTTP.
type SyntaxError struct {
	Offset int    // of the first byte that is wrong, counted in the bytes that were parsed
	What   string // what was expected there
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: expected %s", e.Offset, e.What) }

var crlf = []byte("\r\n")

// ParseFields appends to dst the field lines of b, which ends with the empty line of a head or a trailer section, or holds
// nothing. Every line must end in CRLF, start with a name, and have no white space around that name (9112 5).
func ParseFields(dst []Field, b []byte) ([]Field, error) {
	for at := 0; at < len(b); {
		line := b[at:]
		end := bytes.IndexByte(line, '\n')
		if end < 1 || line[end-1] != '\r' {
			return dst, &SyntaxError{at + max(end, 0), "a field line that ends in CRLF"}
		}
		line = line[:end-1]
		if len(line) == 0 {
			if at+2 != len(b) {
				return dst, &SyntaxError{at + 2, "nothing after the empty line"}
			}
			return dst, nil
		}
		colon := span(line, isToken)
		if colon == 0 || colon == len(line) || line[colon] != ':' {
			return dst, &SyntaxError{at + colon, "a field name directly followed by a colon"}
		}
		name, value := line[:colon], line[colon+1:]
		if n := span(value, isValue); n < len(value) {
			return dst, &SyntaxError{at + colon + 1 + n, "a field value without control characters"}
		}
		dst = append(dst, Field{Name: name, Value: trim(value), Known: Lookup(name)})
		at += end + 1
	}
	return dst, nil
}

// AppendField appends one field line to dst.
func AppendField[N, V string | []byte](dst []byte, name N, value V) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, crlf...)
}

// Lists reports whether one of the elements of value is e, in any case.
func Lists(value, e []byte) bool {
	for one := range Elements(value) {
		if EqualFold(one, e) {
			return true
		}
	}
	return false
}

// maxListed is how many field names a Connection field may list. A message that lists more is refused, not half obeyed.
const maxListed = 16

// Hops says which fields of one message belong to one hop. It holds views of the message's Connection fields.
type Hops struct {
	listed  [maxListed][]byte
	n       int
	Close   bool // Connection: close
	Keep    bool // Connection: keep-alive, of meaning in HTTP/1.0
	TooMany bool // more names listed than this can hold: refuse the message
	upgrade bool
}

// ReadHops gathers the Connection fields of a message (9110 7.6.1).
func (h *Hops) ReadHops(fields []Field) {
	h.n, h.Close, h.Keep, h.TooMany, h.upgrade = 0, false, false, false, false
	for i := range fields {
		if fields[i].Known != Connection {
			continue
		}
		for e := range Elements(fields[i].Value) {
			switch {
			case EqualFold(e, "close"):
				h.Close = true
			case EqualFold(e, "keep-alive"):
				h.Keep = true
			case EqualFold(e, "upgrade"):
				h.upgrade = true
			case Lookup(e).HopByHop():
			case h.n == maxListed:
				h.TooMany = true
			default:
				h.listed[h.n] = e
				h.n++
			}
		}
	}
}

// Upgrade reports whether the message asks for, or agrees to, another protocol on this connection (9110 7.8).
func (h *Hops) Upgrade() bool { return h.upgrade }

// Drops reports whether f is not to be forwarded.
func (h *Hops) Drops(f *Field) bool {
	if f.Known.HopByHop() {
		return true
	}
	for _, name := range h.listed[:h.n] {
		// Content-Length, Host and the like cannot be disowned by listing them: the message would change its meaning.
		if f.Known != ContentLength && f.Known != Host && EqualFold(name, f.Name) {
			return true
		}
	}
	return false
}
