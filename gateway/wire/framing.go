package wire

import (
	"bytes"
	"errors"
)

// A Framing says how the end of a message's content is found (9112 6.3).
type Framing uint8

const (
	NoBody     Framing = iota // there is none
	Length                    // after so many bytes
	Chunked                   // after the last chunk
	UntilClose                // when the connection ends; responses only
	Framings   = iota
)

var framingNames = [Framings]string{"none", "length", "chunked", "close"}

// String returns the word for f in metrics and logs.
func (f Framing) String() string { return framingNames[f] }

// Why a message's framing is refused. What cannot be read in one way only is never forwarded (9112 6.1, 6.3).
var (
	ErrLength       = errors.New("Content-Length: expected one decimal number")
	ErrLengths      = errors.New("Content-Length: given twice with different values")
	ErrCoding       = errors.New("Transfer-Encoding: expected chunked, once")
	ErrOtherCoding  = errors.New("Transfer-Encoding: expected chunked and no compression before it")
	ErrCodingAndLen = errors.New("both Transfer-Encoding and Content-Length")
	ErrCoding10     = errors.New("Transfer-Encoding in an HTTP/1.0 message")
)

// declared is what a message's fields say of its framing.
type declared struct {
	chunked bool
	length  int64 // -1: not given
}

func declare(fields []Field, minor int) (d declared, err error) {
	d.length = -1
	coded, compressed := false, false
	for i := range fields {
		f := &fields[i]
		switch f.Known {
		case TransferEncoding:
			if minor == 0 {
				return d, ErrCoding10
			}
			coded = true
			for e := range Elements(f.Value) { // empty ones are none (9110 5.6.1.2)
				switch {
				case d.chunked: // there is nothing behind it
					return d, ErrCoding
				case EqualFold(e, "chunked"):
					d.chunked = true
				case isCompression(e):
					compressed = true
				default:
					return d, ErrCoding
				}
			}
		case ContentLength:
			n, ok := parseLength(f.Value)
			if !ok {
				return d, ErrLength
			}
			if d.length >= 0 && d.length != n {
				return d, ErrLengths
			}
			d.length = n
		}
	}
	switch {
	case coded && !d.chunked:
		return d, ErrCoding
	case compressed:
		return d, ErrOtherCoding
	}
	return d, nil
}

// isCompression reports whether a transfer coding is one of those that 9112 7.2 registers. They are not understood here.
func isCompression(coding []byte) bool {
	for _, name := range [...]string{"gzip", "x-gzip", "deflate", "compress", "x-compress"} {
		if EqualFold(coding, name) {
			return true
		}
	}
	return false
}

// parseLength reads a Content-Length. "5, 5", the same number repeated, is one number (9112 6.3).
func parseLength(value []byte) (int64, bool) {
	if bytes.IndexByte(value, ',') < 0 {
		return parseDecimal(value)
	}
	n := int64(-1)
	for e := range Elements(value) {
		m, ok := parseDecimal(e)
		if !ok || n >= 0 && m != n {
			return 0, false
		}
		n = m
	}
	return n, n >= 0
}

// RequestFraming says how a request's content ends. length is -1 unless the framing is [Length].
func RequestFraming(fields []Field, minor int) (f Framing, length int64, err error) {
	d, err := declare(fields, minor)
	switch {
	case err != nil:
		return NoBody, -1, err
	case d.chunked && d.length >= 0:
		return NoBody, -1, ErrCodingAndLen
	case d.chunked:
		return Chunked, -1, nil
	case d.length >= 0:
		return Length, d.length, nil
	}
	return NoBody, -1, nil
}

// ResponseFraming says how the content of the response to a request with that method ends. Transfer-Encoding overrides
// Content-Length, which must not be forwarded then, nor the connection be used again (9112 6.3). For a response that has none in
// spite of its fields (to HEAD, 204, 304: 9112 6.3) length is still what Content-Length says, -1 without one.
func ResponseFraming(fields []Field, minor, status int, method []byte) (f Framing, length int64, err error) {
	d, err := declare(fields, minor)
	switch {
	case err != nil:
		return NoBody, -1, err
	case status < 200, status == 204, status == 304, string(method) == "HEAD":
		return NoBody, d.length, nil
	case d.chunked:
		return Chunked, -1, nil
	case d.length >= 0:
		return Length, d.length, nil
	}
	return UntilClose, -1, nil
}
