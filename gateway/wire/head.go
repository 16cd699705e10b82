package wire

import (
	"bytes"
	"errors"
	"strconv"
)

// ErrIncomplete says that a head has not arrived whole.
var ErrIncomplete = errors.New("head incomplete")

// HeadEnd returns the length of the head that b begins with, its empty line included, or -1. The first from bytes are known
// not to complete one.
func HeadEnd(b []byte, from int) int {
	from = max(from-3, 0)
	if i := bytes.Index(b[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 4
	}
	return -1
}

// BareLF reports whether a line of b ends in LF alone. The first from bytes are known not to have one.
func BareLF(b []byte, from int) bool {
	for at := from; ; at++ {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return false
		}
		if at += i; at == 0 || b[at-1] != '\r' {
			return true
		}
	}
}

// A ResponseHead is a status line and its fields: views of the bytes that it was parsed from.
type ResponseHead struct {
	Minor  int // of the version: HTTP/1.Minor
	Status int // 100 to 999
	Reason []byte
	Fields []Field // reused by the next Parse
}

// Parse reads b, one whole head as measured by [HeadEnd].
func (h *ResponseHead) Parse(b []byte) error {
	// HTTP/1.1 200 OK
	if len(b) < 15 || string(b[:7]) != "HTTP/1." || class[b[7]]&isDigit == 0 || b[8] != ' ' {
		return &SyntaxError{0, `a status line that begins with "HTTP/1."`}
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 || b[end-1] != '\r' {
		return &SyntaxError{max(end, 0), "a status line that ends in CRLF"}
	}
	status := 0
	for _, c := range b[9:12] {
		if class[c]&isDigit == 0 {
			return &SyntaxError{9, "a status code of three digits"}
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 {
		return &SyntaxError{9, "a status code from 100"}
	}
	reason := b[12 : end-1]
	if len(reason) > 0 && reason[0] != ' ' {
		return &SyntaxError{12, "a space and a reason phrase, or the end of the line"}
	}
	if n := span(reason, isValue); n < len(reason) {
		return &SyntaxError{12 + n, "a reason phrase without control characters"}
	}
	h.Minor, h.Status, h.Reason = int(b[7]-'0'), status, trim(reason)
	var err error
	h.Fields, err = ParseFields(h.Fields[:0], b[end+1:])
	if syntax, ok := errors.AsType[*SyntaxError](err); ok {
		syntax.Offset += end + 1
	}
	return err
}

// AppendStatusLine appends a status line of ours to dst: always HTTP/1.1, whatever the peer speaks (9110 2.5).
func AppendStatusLine[R string | []byte](dst []byte, status int, reason R) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, reason...)
	return append(dst, crlf...)
}

// AppendRequestLine appends a request line of ours to dst.
func AppendRequestLine(dst, method, target []byte) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	return append(dst, " HTTP/1.1\r\n"...)
}

// A RequestHead is a request line and its fields, checked: views of the bytes that it was made from.
type RequestHead struct {
	Method []byte
	Target []byte  // as on the wire
	Minor  int     // of the version: HTTP/1.Minor
	Fields []Field // reused by the next Parse
	Hops   Hops

	Host      []byte // what the request is for: the authority of an absolute-form target, else the Host field
	URI       []byte // path and query of the target, byte for byte, an empty path as "/"; or "*"
	Framing   Framing
	Length    int64 // of the content; -1 unless Framing is Length
	Continues bool  // it expects 100-continue before it sends content
}

// A RequestError is a request that is not taken, and the status code to say so with.
type RequestError struct {
	Status int
	Err    error
}

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

func refuse(status int, text string) *RequestError { return &RequestError{status, errors.New(text)} }

func bad(text string) *RequestError { return refuse(400, text) }

// Parse makes h the request of b, one whole head as measured by [HeadEnd], and says what is wrong with it if it is not one that
// can be forwarded.
func (h *RequestHead) Parse(b []byte) *RequestError {
	end := bytes.IndexByte(b, '\n')
	if end < 1 || b[end-1] != '\r' {
		h.Method, h.Target = nil, nil
		return bad("request line: expected CRLF at its end")
	}
	method, rest, ok := bytes.Cut(b[:end-1], space)
	target, version, spaced := bytes.Cut(rest, space)
	if !ok || !spaced {
		h.Method, h.Target = nil, nil
		return bad("request line: expected a method, a target and a version with one space between")
	}
	return h.check(method, target, version, b[end+1:])
}

var space = []byte{' '}

// check makes h the request of that method, target and version, whose field lines are the bytes raw, and says what is wrong
// with it if it is not one that can be forwarded: every recipient after us must read what we have read.
func (h *RequestHead) check(method, target, version, raw []byte) *RequestError {
	h.Method, h.Target = method, target
	if !IsToken(method) {
		return bad("method: expected a token")
	}
	if len(version) != 8 || string(version[:5]) != "HTTP/" || class[version[5]]&isDigit == 0 || version[6] != '.' || class[version[7]]&isDigit == 0 {
		return bad("version: expected HTTP/1.1")
	}
	if version[5] != '1' {
		return refuse(505, "version: expected HTTP/1.1 or HTTP/1.0")
	}
	h.Minor = int(version[7] - '0')
	var err error
	if h.Fields, err = ParseFields(h.Fields[:0], raw); err != nil {
		return &RequestError{400, err}
	}
	h.Hops.ReadHops(h.Fields)
	if h.Hops.TooMany {
		return bad("Connection: lists too many names")
	}
	switch h.Framing, h.Length, err = RequestFraming(h.Fields, h.Minor); {
	case err == ErrOtherCoding:
		return &RequestError{501, err} // 9112 6.1
	case err != nil:
		return &RequestError{400, err}
	}
	if e := h.readHost(); e != nil {
		return e
	}
	return h.readTarget()
}

func (h *RequestHead) readHost() *RequestError {
	h.Host, h.Continues = nil, false
	hosts := 0
	for i := range h.Fields {
		switch f := &h.Fields[i]; f.Known {
		case Other:
			if framesElsewhere(f.Name) {
				return bad("a field that some take for Content-Length or Transfer-Encoding")
			}
		case Host:
			hosts++
			h.Host = f.Value
		case Expect:
			if h.Minor == 0 {
				break // 9110 10.1.1: an HTTP/1.0 client cannot mean it
			}
			if !EqualFold(f.Value, "100-continue") {
				return refuse(417, "Expect: expected 100-continue")
			}
			h.Continues = h.Framing == Chunked || h.Length > 0 // without content there is nothing to wait for
		}
	}
	switch {
	case hosts > 1:
		return bad("Host: given more than once")
	case hosts == 0 && h.Minor > 0:
		return bad("Host: missing")
	case !isAuthority(h.Host):
		return bad("Host: expected a host name or address, and an optional port")
	}
	return nil
}

// framesElsewhere reports whether a field that does not frame the message here does so where names of fields are made into names of
// variables, as CGI does: Content_Length is HTTP_CONTENT_LENGTH there as well. No client means such a field.
func framesElsewhere(name []byte) bool {
	for _, n := range [...]Name{ContentLength, TransferEncoding} {
		text := n.String()
		if len(name) == len(text) && bytes.IndexByte(name, '_') >= 0 && EqualFold(bytes.ReplaceAll(name, []byte("_"), []byte("-")), []byte(text)) {
			return true
		}
	}
	return false
}

// readTarget tells the four forms of a request target apart (9112 3.2).
func (h *RequestHead) readTarget() *RequestError {
	t := h.Target
	switch {
	case !IsTarget(t):
		return bad("request target: expected no white space and no controls")
	case bytes.IndexByte(t, '#') >= 0:
		return bad("request target: expected no fragment")
	case string(h.Method) == "CONNECT":
		return refuse(501, "CONNECT is not offered here")
	case t[0] == '/':
		h.URI = t
		return nil
	case string(t) == "*":
		if string(h.Method) != "OPTIONS" {
			return bad(`request target: "*" is for OPTIONS`)
		}
		h.URI = t
		return nil
	}
	scheme, rest, ok := bytes.Cut(t, []byte("://"))
	if !ok || !EqualFold(scheme, "http") && !EqualFold(scheme, "https") {
		return bad("request target: expected a path, or http:// and an authority")
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if h.Host, h.URI = rest[:end], rest[end:]; len(h.Host) == 0 || !isAuthority(h.Host) {
		return bad("request target: expected a host name or address after the scheme")
	}
	switch {
	case len(h.URI) == 0 && string(h.Method) == "OPTIONS":
		h.URI = []byte("*") // 9112 3.2.4: the server as a whole
	case len(h.URI) == 0 || h.URI[0] == '?':
		h.URI = append([]byte("/"), h.URI...) // 9112 3.2.1: an empty path is sent as /
	}
	return nil
}
