package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A peer is a client that says exactly what it sends, and takes nothing from HTTP that it does not say.
type peer struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, address string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return newPeer(t, c)
}

func newPeer(t *testing.T, c net.Conn) *peer {
	p := &peer{t, c, bufio.NewReaderSize(c, 64<<10)}
	p.patient()
	return p
}

// patient gives the peer some time more.
func (p *peer) patient() { p.SetDeadline(time.Now().Add(patience)) } //nolint:errcheck // of TCP it has deadlines

func (p *peer) send(s string) {
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.t.Errorf("send %.60q: %v", s, err)
	}
}

// ask sends a request and reads the response to its end.
func (p *peer) ask(request string) message {
	p.patient()
	if _, err := io.WriteString(p.Conn, request); err != nil {
		return message{err: err}
	}
	method, _, _ := strings.Cut(request, " ")
	return readMessage(p.r, method)
}

// get makes a request without content; fields are whole lines without their end.
func get(target string, fields ...string) string { return request("GET", target, "1.1", fields...) }

func request(method, target, version string, fields ...string) string {
	return method + " " + target + " HTTP/" + version + "\r\n" + strings.Join(append([]string{"Host: gateway.test"}, fields...), "\r\n") + "\r\n\r\n"
}

// A head is a status line and fields.
type head struct {
	status int
	lines  []string // field lines
}

// field returns the value of a field, or "".
func (h *head) field(name string) string {
	for _, line := range h.lines {
		if k, v, _ := strings.Cut(line, ":"); strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// A message is a response as it stood on the wire.
type message struct {
	interims []head
	head
	body     []byte
	trailers []string
	err      error // why the message is not whole; nil: it is
}

func (m message) String() string {
	return fmt.Sprintf("status %d, %d bytes %.200q, error %v", m.status, len(m.body), m.body, m.err)
}

// readMessage reads a response strictly: what a careless client would take for a whole response, and is none, has an error.
func readMessage(r *bufio.Reader, method string) (m message) {
	for {
		if m.head, m.err = readHead(r); m.err != nil {
			return m
		}
		if m.status >= 200 {
			break
		}
		m.interims = append(m.interims, m.head)
	}
	length, coding := m.field("Content-Length"), m.field("Transfer-Encoding")
	switch {
	case method == "HEAD" || m.status == 204 || m.status == 304:
	case coding == "chunked" && length == "":
		m.readChunks(r)
	case coding != "":
		m.err = fmt.Errorf("transfer coding %q, content length %q", coding, length)
	case length != "":
		n, err := strconv.ParseInt(length, 10, 64)
		if m.err = err; err == nil {
			m.body, m.err = readN(r, n)
		}
	default:
		m.body, m.err = io.ReadAll(r)
	}
	return m
}

func readHead(r *bufio.Reader) (h head, err error) {
	line, err := readLine(r)
	if err != nil {
		return h, err
	}
	code, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	if !ok || len(code) < 4 || code[3] != ' ' {
		return h, fmt.Errorf("status line %q", line)
	}
	if h.status, err = strconv.Atoi(code[:3]); err != nil {
		return h, err
	}
	for {
		if line, err = readLine(r); err != nil || line == "" {
			return h, err
		}
		if name, _, ok := strings.Cut(line, ":"); !ok || name == "" || strings.ContainsAny(name, " \t") {
			return h, fmt.Errorf("field line %q", line)
		}
		h.lines = append(h.lines, line)
	}
}

func (m *message) readChunks(r *bufio.Reader) {
	for {
		line, err := readLine(r)
		if m.err = err; err != nil {
			return
		}
		n, err := strconv.ParseInt(line, 16, 63)
		if m.err = err; err != nil {
			return
		}
		if n == 0 {
			break
		}
		data, err := readN(r, n)
		m.body = append(m.body, data...)
		if m.err = err; err != nil {
			return
		}
		if end, err := readLine(r); err != nil || end != "" {
			m.err = fmt.Errorf("%q, %v where a chunk ends", end, err)
			return
		}
	}
	for {
		line, err := readLine(r)
		if m.err = err; err != nil || line == "" {
			return
		}
		m.trailers = append(m.trailers, line)
	}
}

// readN returns n bytes, or those that came.
func readN(r io.Reader, n int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, n))
	if err == nil && int64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// readLine returns a line without its CRLF.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		if errors.Is(err, io.EOF) && line != "" {
			err = io.ErrUnexpectedEOF
		}
		return line, err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return line, fmt.Errorf("line %q does not end with CRLF", line)
	}
	return text, nil
}
