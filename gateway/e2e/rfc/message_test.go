package rfc

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A field is one field line, its value without white space around it.
type field struct{ name, value string }

// A message is what stood on the wire, read strictly: what only a lenient reader would take has a problem.
type message struct {
	head     string // all bytes of the head, or as many as came
	line     string // the start line
	fields   []field
	framing  string // none, length, chunked or close
	content  string // decoded
	wire     string // the content as it was framed, trailers included
	trailers []field
	err      error // why this is no whole message; nil: it is one
}

// A request as the origin got it.
type request struct {
	message
	method, target, version string
}

// A response as the client got it.
type response struct {
	message
	version  string
	status   int
	reason   string
	interims []*response // the 1xx that came before
}

// values returns the values of all lines of that name, in order.
func (m *message) values(name string) (all []string) {
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			all = append(all, f.value)
		}
	}
	return all
}

// field returns the values of that name as one list, "" if there is none.
func (m *message) field(name string) string { return strings.Join(m.values(name), ", ") }

// has reports whether there is a field of that name.
func (m *message) has(name string) bool { return len(m.values(name)) > 0 }

// trailer returns the value of a field in the trailer section, "" if there is none.
func (m *message) trailer(name string) string {
	for _, f := range m.trailers {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// lists reports whether the list-based field of that name has the element.
func (m *message) lists(name, element string) bool {
	for _, e := range strings.Split(m.field(name), ",") {
		if strings.EqualFold(strings.TrimSpace(e), element) {
			return true
		}
	}
	return false
}

func (m *message) String() string {
	if m == nil {
		return "nothing"
	}
	s := fmt.Sprintf("%.600q", m.head)
	if m.framing != "none" {
		s += fmt.Sprintf(" content %.100q (%s)", m.content, m.framing)
	}
	if len(m.trailers) > 0 {
		s += fmt.Sprintf(" trailers %q", m.trailers)
	}
	if m.err != nil {
		s += fmt.Sprintf(" error: %v", m.err)
	}
	return s
}

// errNothing says that a connection ended where a message could have begun.
var errNothing = errors.New("the connection ended before a message")

// readHead reads the start line and the fields.
func (e *end) readHead(m *message) {
	line, err := e.readLine(&m.head)
	if m.err = err; err != nil {
		if m.head == "" && errors.Is(err, io.EOF) {
			m.err = errNothing
		}
		return
	}
	m.line = line
	m.fields, m.err = e.readFields(&m.head)
}

// readLine reads a line and returns it without its CRLF. All bytes that come are added to raw.
func (e *end) readLine(raw *string) (string, error) {
	line, err := e.r.ReadString('\n')
	*raw += line
	if err != nil {
		return line, err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return text, fmt.Errorf("a line that does not end in CRLF: %.80q", line)
	}
	if strings.ContainsAny(text, "\r\x00") {
		return text, fmt.Errorf("a CR or NUL within a line: %.80q", line)
	}
	return text, nil
}

// readFields reads field lines up to the empty one. It goes on after one that is wrong, and returns what was with it.
func (e *end) readFields(raw *string) (fields []field, wrong error) {
	for {
		line, err := e.readLine(raw)
		if wrong == nil {
			wrong = err
		}
		if e.over != nil || line == "" || line == "\n" {
			return fields, wrong
		}
		name, value, ok := strings.Cut(line, ":")
		if wrong == nil && (!ok || !isToken(name)) {
			wrong = fmt.Errorf("no field line: %.80q", line)
		}
		fields = append(fields, field{name, strings.Trim(value, " \t")})
	}
}

// readContent reads what follows the head. closing says that the end of the connection ends the content.
func (e *end) readContent(m *message, closing bool) {
	codings, lengths := m.values("Transfer-Encoding"), m.values("Content-Length")
	switch {
	case len(codings) > 0 && len(lengths) > 0:
		m.err = errors.New("both Transfer-Encoding and Content-Length")
	case len(codings) > 1 || len(codings) == 1 && !strings.EqualFold(codings[0], "chunked"):
		m.err = fmt.Errorf("transfer codings %q", codings)
	case len(codings) == 1:
		m.framing = "chunked"
		e.readChunks(m)
	case len(lengths) > 1:
		m.err = fmt.Errorf("content lengths %q", lengths)
	case len(lengths) == 1:
		m.framing = "length"
		n, err := strconv.ParseUint(lengths[0], 10, 62)
		if m.err = err; err == nil {
			m.content, m.err = e.readN(int64(n))
			m.wire = m.content
		}
	case closing:
		m.framing = "close"
		m.content, m.err = e.readAll()
		m.wire = m.content
	default:
		m.framing = "none"
	}
}

func (e *end) readChunks(m *message) {
	for {
		line, err := e.readLine(&m.wire)
		size, _, _ := strings.Cut(line, ";")
		n, bad := strconv.ParseUint(strings.TrimRight(size, " \t"), 16, 62)
		if m.err = errors.Join(err, bad); m.err != nil {
			return
		}
		if n == 0 {
			m.trailers, m.err = e.readFields(&m.wire)
			return
		}
		data, err := e.readN(int64(n))
		m.content += data
		m.wire += data
		if m.err = err; err != nil {
			return
		}
		if line, err = e.readLine(&m.wire); err != nil || line != "" {
			m.err = fmt.Errorf("%.80q (%v) where a chunk should end", line, err)
			return
		}
	}
}

// tooMuch is how much a rule takes at a time: what a proxy sends without end is not kept without end.
const tooMuch = 64 << 20

// readAll returns what comes until the connection ends.
func (e *end) readAll() (string, error) {
	b, err := io.ReadAll(io.LimitReader(e.r, tooMuch))
	if len(b) == tooMuch {
		err = errors.New("more content than anybody has sent")
	}
	return string(b), err
}

// readN returns n bytes, or those that came.
func (e *end) readN(n int64) (string, error) {
	b, err := io.ReadAll(io.LimitReader(e.r, min(n, tooMuch)))
	if err == nil && int64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	return string(b), err
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
