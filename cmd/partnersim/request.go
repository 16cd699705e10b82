package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// A framing says how a message body is delimited.
type framing uint8

const (
	noBody     framing = iota
	byLength           // Content-Length
	chunked            // Transfer-Encoding: chunked
	untilClose         // a response without either
)

func (f framing) String() string {
	return [...]string{"none", "content-length", "chunked", "until-close"}[f]
}

// A request is a parsed head. Its slices point into the connection's copy of the head and hold until the next one is read.
type request struct {
	method, target []byte
	version        []byte // API version segment of the path, "v23.0", or nil
	path           []byte // without version and query
	query          []byte // without "?"
	host           []byte

	framing        framing
	length         int64 // by Content-Length
	http10         bool
	close          bool // the peer wants the connection closed
	keepAlive      bool // it says keep-alive
	expectContinue bool

	authorization, contentType, acceptEncoding []byte
}

// parse reads a whole head strictly: what a gateway forwards to its partner must leave nothing to interpret.
func (q *request) parse(head []byte) error {
	*q = request{}
	line, rest, _ := bytes.Cut(head, crlf)
	if err := q.parseLine(line); err != nil {
		return err
	}
	var hosts int
	var lengthSeen, encodingSeen bool
	for {
		line, rest, _ = bytes.Cut(rest, crlf)
		if len(line) == 0 {
			break
		}
		if bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, 0) >= 0 {
			return fmt.Errorf("field line %q: bare CR, LF or NUL", line)
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || !isToken(line[:colon]) {
			return fmt.Errorf("field line %q: expected name, colon, value", line)
		}
		name, value := line[:colon], trim(line[colon+1:])
		switch len(name) {
		case len("Host"):
			if is(name, "Host") {
				hosts++
				q.host = value
			}
		case len("Expect"):
			if is(name, "Expect") {
				q.expectContinue = is(value, "100-continue")
			}
		case len("Connection"):
			if is(name, "Connection") {
				q.close = q.close || listHas(value, "close")
				q.keepAlive = q.keepAlive || listHas(value, "keep-alive")
			}
		case len("Content-Type"):
			if is(name, "Content-Type") {
				q.contentType = value
			}
		case len("Authorization"):
			if is(name, "Authorization") {
				if q.authorization != nil {
					return errors.New("more than one Authorization")
				}
				q.authorization = value
			}
		case len("Content-Length"):
			if is(name, "Content-Length") {
				n, err := parseLength(value)
				if err != nil {
					return err
				}
				if lengthSeen {
					return errors.New("more than one Content-Length")
				}
				lengthSeen, q.framing, q.length = true, byLength, n
			}
		case len("Accept-Encoding"):
			if is(name, "Accept-Encoding") {
				q.acceptEncoding = value
			}
		case len("Transfer-Encoding"):
			if is(name, "Transfer-Encoding") {
				if encodingSeen || !is(value, "chunked") {
					return fmt.Errorf("Transfer-Encoding %q: expected one line with chunked", value)
				}
				encodingSeen = true
			}
		}
	}
	switch {
	case lengthSeen && encodingSeen:
		return errors.New("both Content-Length and Transfer-Encoding")
	case encodingSeen && q.http10:
		return errors.New("Transfer-Encoding in HTTP/1.0")
	case encodingSeen:
		q.framing = chunked
	}
	if hosts > 1 || hosts == 0 && !q.http10 {
		return fmt.Errorf("%d Host fields: expected one", hosts)
	}
	if q.http10 && !q.keepAlive {
		q.close = true
	}
	return nil
}

func (q *request) parseLine(line []byte) error {
	method, rest, ok1 := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 || !isToken(method) || !isVisible(target) {
		return fmt.Errorf("request line %q: expected method, target and version", line)
	}
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		q.http10 = true
	default:
		return fmt.Errorf("version %q: expected HTTP/1.1 or HTTP/1.0", version)
	}
	q.method, q.target = method, target
	path := target
	if path[0] != '/' { // absolute form
		_, after, ok := bytes.Cut(path, []byte("://"))
		slash := bytes.IndexByte(after, '/')
		if !ok || slash < 0 {
			return fmt.Errorf("target %q: expected a path", target)
		}
		path = after[slash:]
	}
	path, q.query, _ = bytes.Cut(path, []byte("?"))
	q.version, q.path = cutVersion(path)
	return nil
}

// cutVersion splits /v23.0/rest into v23.0 and /rest.
func cutVersion(path []byte) (version, rest []byte) {
	if len(path) < 3 || path[1] != 'v' || path[2] < '0' || path[2] > '9' {
		return nil, path
	}
	end := bytes.IndexByte(path[1:], '/') + 1
	if end == 0 {
		return nil, path
	}
	for _, b := range path[2:end] {
		if b != '.' && (b < '0' || b > '9') {
			return nil, path
		}
	}
	return path[1:end], path[end:]
}

// param returns the value of a query parameter, still encoded, and whether it is there. The partner decodes names.
func (q *request) param(name string) (value []byte, ok bool) {
	for rest := q.query; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte("&"))
		key, value, _ := bytes.Cut(pair, []byte("="))
		if string(key) == name || bytes.IndexByte(key, '%') >= 0 && unescape(key) == name {
			return value, true
		}
	}
	return nil, false
}

// unescape decodes percent encodings; malformed ones stay.
func unescape(s []byte) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func parseLength(value []byte) (int64, error) {
	if len(value) == 0 || len(value) > 18 || !isDigits(value) {
		return 0, fmt.Errorf("Content-Length %q: expected a decimal number", value)
	}
	return decimal(value), nil
}

// decimal is the value of at most 18 digits.
func decimal(digits []byte) int64 {
	var n int64
	for _, d := range digits {
		n = n*10 + int64(d-'0')
	}
	return n
}

func isDigits(s []byte) bool {
	for _, b := range s {
		if b < '0' || b > '9' {
			return false
		}
	}
	return len(s) > 0
}

var crlf = []byte("\r\n")

// tokenByte says which bytes a method or a field name may have (RFC 9110 §5.6.2).
var tokenByte = func() (t [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[b] = true
	}
	return t
}()

func isToken(s []byte) bool {
	for _, b := range s {
		if !tokenByte[b] {
			return false
		}
	}
	return len(s) > 0
}

// isVisible reports whether s has neither spaces nor control bytes, and is not empty.
func isVisible(s []byte) bool {
	for _, b := range s {
		if b <= ' ' || b == 0x7f {
			return false
		}
	}
	return len(s) > 0
}

func is(s []byte, word string) bool { return len(s) == len(word) && bytes.EqualFold(s, []byte(word)) }

func trim(s []byte) []byte { return bytes.Trim(s, " \t") }

// listHas reports whether a comma-separated list names word.
func listHas(list []byte, word string) bool {
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte(","))
		if is(trim(item), word) {
			return true
		}
	}
	return false
}
