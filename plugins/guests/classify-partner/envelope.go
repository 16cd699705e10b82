package main

import (
	"bytes"
	"math"
)

// An envelope is what the partner's error says. Texts are as they stand in the JSON, with its escapes.
type envelope struct {
	code      int // unknown if there is none, or none that is whole
	subcode   int
	transient bool
	message   []byte
	details   []byte
}

const unknown = math.MinInt

// readEnvelope reads the members of the top-level "error" object of body, as far as body goes. It stops at the first byte that
// is not JSON, or is no more there, and keeps what it has read: a value counts only when it was seen to its end.
func readEnvelope(body []byte) envelope {
	e := envelope{code: unknown, subcode: unknown}
	s := scanner{b: body}
	if len(body) >= 3 && string(body[:3]) == "\ufeff" {
		s.at = 3
	}
	for first := true; s.member(first); first = false {
		if s.key != keyError || s.peek() != '{' {
			if !s.pass() {
				break
			}
			continue
		}
		e = envelope{code: unknown, subcode: unknown} // where a key stands twice, the last one counts, as for most readers
		if !s.readError(&e) {
			break
		}
	}
	return e
}

// readError reads the object at s; false if it does not end.
func (s *scanner) readError(e *envelope) bool {
	for first := true; s.member(first); first = false {
		ok := true
		switch s.key {
		case keyCode:
			e.code, ok = s.integer()
		case keySubcode:
			e.subcode, ok = s.integer()
		case keyTransient:
			e.transient, ok = s.boolean()
		case keyMessage:
			e.message, ok = s.textOrPass()
		case keyData:
			ok = s.readData(e)
		default:
			ok = s.pass()
		}
		if !ok {
			return false
		}
	}
	return s.closed
}

// readData reads the details of an error's data; false if it does not end.
func (s *scanner) readData(e *envelope) bool {
	if s.peek() != '{' {
		return s.pass()
	}
	for first := true; s.member(first); first = false {
		ok := true
		if s.key == keyDetails {
			e.details, ok = s.textOrPass()
		} else {
			ok = s.pass()
		}
		if !ok {
			return false
		}
	}
	return s.closed
}

// A scanner walks JSON from left to right without keeping anything. After a method has said false, it is not used again, save
// that member says false at the end of an object too, and closed tells the two apart.
type scanner struct {
	b      []byte
	at     int
	key    key  // the last member's
	closed bool // member has passed the end of its object
}

// peek is the next byte that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.b) && s.b[s.at] > ' ' {
		return s.b[s.at]
	}
	return s.skip()
}

func (s *scanner) skip() byte {
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// member goes to the value of the next member of an object; the first time also into the object.
func (s *scanner) member(first bool) bool {
	s.closed = false
	if first {
		if !s.take('{') {
			return false
		}
		if s.take('}') {
			s.closed = true
			return false
		}
	} else if s.take('}') {
		s.closed = true
		return false
	} else if !s.take(',') {
		return false
	}
	text, ok := s.text()
	s.key = keyOf(text)
	return ok && s.take(':')
}

// text reads a string and returns what is between its quotes.
func (s *scanner) text() ([]byte, bool) {
	if s.peek() != '"' {
		return nil, false
	}
	start := s.at + 1
	for at := start; ; at++ {
		i := bytes.IndexByte(s.b[at:], '"')
		if i < 0 {
			return nil, false
		}
		at += i
		escapes := at
		for escapes > start && s.b[escapes-1] == '\\' {
			escapes--
		}
		if (at-escapes)%2 == 0 { // the quote is not escaped, though backslashes may be
			s.at = at + 1
			return s.b[start:at], true
		}
	}
}

// scalar reads a number or a word. It has to end before the bytes do: 19 may become 190.
func (s *scanner) scalar() ([]byte, bool) {
	s.peek()
	for i := s.at; i < len(s.b); i++ {
		c := s.b[i]
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E' {
			continue
		}
		word := s.b[s.at:i]
		s.at = i
		return word, len(word) > 0
	}
	return nil, false
}

// integer reads a whole number, or a string of its digits. Another value is passed, and unknown.
func (s *scanner) integer() (n int, ok bool) {
	var word []byte
	switch s.peek() {
	case '"':
		word, ok = s.text()
	case '{', '[':
		return unknown, s.pass()
	default:
		word, ok = s.scalar()
	}
	if n, whole := digits(word); ok && whole {
		return n, true
	}
	return unknown, ok
}

// boolean reads true or false. Another value is passed, and not true.
func (s *scanner) boolean() (yes, ok bool) {
	switch s.peek() {
	case '"', '{', '[':
		return false, s.pass()
	}
	word, ok := s.scalar()
	return string(word) == "true", ok
}

func (s *scanner) textOrPass() ([]byte, bool) {
	if s.peek() == '"' {
		return s.text()
	}
	return nil, s.pass()
}

const maxDepth = 64 // of lists and objects within a value; the partner uses two

// pass goes past a value of any kind.
func (s *scanner) pass() bool {
	var objects uint64 // which of the open levels are objects, the innermost in bit 0
	for depth := 0; ; {
		switch c := s.peek(); c {
		case '{', '[':
			if depth == maxDepth {
				return false
			}
			s.at++
			depth++
			objects <<= 1
			if c == '{' {
				objects |= 1
			}
			if s.peek() == c+2 { // the brackets of ASCII are two apart
				break // empty: it closes below
			}
			if c == '{' && !s.passKey() {
				return false
			}
			continue
		case '"':
			if _, ok := s.text(); !ok {
				return false
			}
		default:
			if _, ok := s.scalar(); !ok {
				return false
			}
		}
		for { // a value has ended, and maybe with it those that it ends
			if depth == 0 {
				return true
			}
			object := objects&1 == 1
			c := s.peek()
			if c == ',' {
				s.at++
				if object && !s.passKey() {
					return false
				}
				break
			}
			if object && c != '}' || !object && c != ']' {
				return false
			}
			s.at++
			depth--
			objects >>= 1
		}
	}
}

func (s *scanner) passKey() bool {
	_, ok := s.text()
	return ok && s.take(':')
}

// A key is one of those that are looked for, or another.
type key uint8

const (
	keyOther key = iota
	keyError
	keyCode
	keySubcode
	keyTransient
	keyMessage
	keyData
	keyDetails
)

const longestKey = len("error_subcode")

// keyOf tells which key text is. It may be escaped, though nobody does that who wants to be understood.
func keyOf(text []byte) key {
	var plain [longestKey]byte
	if bytes.IndexByte(text, '\\') >= 0 {
		text = plain[:unescape(&plain, text)]
	}
	switch string(text) {
	case "error":
		return keyError
	case "code":
		return keyCode
	case "error_subcode":
		return keySubcode
	case "is_transient":
		return keyTransient
	case "message":
		return keyMessage
	case "error_data":
		return keyData
	case "details":
		return keyDetails
	}
	return keyOther
}

// unescape writes text, its escapes undone, to plain and returns the length; 0 if it is none of the keys that are looked for.
func unescape(plain *[longestKey]byte, text []byte) int {
	n := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' {
			if i+5 >= len(text) || string(text[i+1:i+4]) != "u00" {
				return 0
			}
			high, low := hex(text[i+4]), hex(text[i+5])
			if high > 15 || low > 15 {
				return 0
			}
			c = high<<4 | low
			i += 5
		}
		if n == len(plain) {
			return 0
		}
		plain[n] = c
		n++
	}
	return n
}

func hex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// digits reads a number of at most nine digits and nothing else.
func digits(word []byte) (int, bool) {
	if len(word) == 0 || len(word) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range word {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// mentions reports whether name stands in text as a word of its own. Case counts.
func mentions(text []byte, name string) bool {
	for i := 0; i+len(name) <= len(text); i++ {
		if string(text[i:i+len(name)]) != name {
			continue
		}
		after := i + len(name)
		if (after == len(text) || !inWord(text[after])) && (i == 0 || !inWord(text[i-1]) || i > 1 && text[i-2] == '\\') {
			return true
		}
	}
	return false
}

func inWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}
