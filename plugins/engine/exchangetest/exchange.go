// Package exchangetest says in tests what an engine.Exchange has to be: [Run] puts any implementation through them, and [New] gives
// a plain one, all in memory, for tests of what works on an exchange.
package exchangetest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
)

// A Field is one field line.
type Field struct{ Name, Value string }

// A Message is a request or response as it came, apart from its first line.
type Message struct {
	Fields   []Field
	Trailers []Field // a message that has some is chunked
	Body     string  // with the content coding that the fields tell
}

// A Setup is an exchange as it is when a guest meets it.
type Setup struct {
	Method   string // empty means GET
	URI      string // empty means /
	Request  Message
	Status   int // of the response; 0: the request was not sent yet
	Response Message
}

// An Exchange is the plain implementation.
type Exchange struct {
	method, uri []byte
	status      int
	answered    bool
	sections    [4][]line
	bodies      [2][]byte
}

type line struct{ name, value []byte }

// New returns an exchange as s says.
func New(s Setup) *Exchange {
	x := &Exchange{method: []byte("GET"), uri: []byte("/"), status: s.Status}
	if s.Method != "" {
		x.method = []byte(s.Method)
	}
	if s.URI != "" {
		x.uri = []byte(s.URI)
	}
	for section, fields := range [4][]Field{s.Request.Fields, s.Response.Fields, s.Request.Trailers, s.Response.Trailers} {
		for _, f := range fields {
			x.sections[section] = append(x.sections[section], line{[]byte(f.Name), []byte(f.Value)})
		}
	}
	x.bodies = [2][]byte{[]byte(s.Request.Body), []byte(s.Response.Body)}
	return x
}

// String shows all of x.
func (x *Exchange) String() string {
	var b strings.Builder
	section := func(s engine.Section) {
		for _, l := range x.sections[s] {
			fmt.Fprintf(&b, "%s: %s\n", l.name, l.value)
		}
	}
	fmt.Fprintf(&b, "%s %s\n", x.method, x.uri)
	section(engine.RequestFields)
	fmt.Fprintf(&b, "\n%s\n", x.bodies[engine.Request])
	section(engine.RequestTrailers)
	if x.status != 0 {
		fmt.Fprintf(&b, "%d\n", x.status)
		section(engine.ResponseFields)
		fmt.Fprintf(&b, "\n%s\n", x.bodies[engine.Response])
		section(engine.ResponseTrailers)
	}
	return b.String()
}

// Answered reports whether a guest answered in the upstream's place.
func (x *Exchange) Answered() bool { return x.answered }

func (x *Exchange) ID() string                     { return "exchangetest" }
func (x *Exchange) Peer() netip.AddrPort           { return netip.MustParseAddrPort("127.0.0.1:1") }
func (x *Exchange) Protocol() string               { return "HTTP/1.1" }
func (x *Exchange) Method() []byte                 { return x.method }
func (x *Exchange) URI() []byte                    { return x.uri }
func (x *Exchange) Status() int                    { return x.status }
func (x *Exchange) NumFields(s engine.Section) int { return len(x.sections[s]) }

func (x *Exchange) Field(s engine.Section, i int) (name, value []byte) {
	l := x.sections[s][i]
	return l.name, l.value
}

// sent is the refusal of a change to a request that is on its way.
func (x *Exchange) sent() error {
	if x.status != 0 {
		return fmt.Errorf("the request was sent: %w", engine.ErrPhase)
	}
	return nil
}

func (x *Exchange) SetMethod(method []byte) error {
	if err := x.sent(); err != nil {
		return err
	}
	if !token(method) {
		return fmt.Errorf("method %q: expected a token: %w", method, engine.ErrRefused)
	}
	x.method = append(x.method[:0], method...)
	return nil
}

func (x *Exchange) SetURI(uri []byte) error {
	if err := x.sent(); err != nil {
		return err
	}
	switch {
	case len(uri) > maxLine:
		return fmt.Errorf("URI of %d bytes: %w", len(uri), engine.ErrTooLarge)
	case len(uri) == 0:
		uri = []byte("/")
	case string(uri) == "*" && string(x.method) == "OPTIONS":
	case uri[0] != '/' || bytes.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' }):
		return fmt.Errorf("URI %q: expected a path and query: %w", uri, engine.ErrRefused)
	}
	x.uri = append(x.uri[:0], uri...)
	return nil
}

func (x *Exchange) SetStatus(status int) error {
	if x.status == 0 || x.answered {
		return fmt.Errorf("there is no response: %w", engine.ErrPhase)
	}
	if status < 200 || status > 599 {
		return fmt.Errorf("status %d: expected 200 to 599: %w", status, engine.ErrRefused)
	}
	x.status = status
	return nil
}

// change checks whether the lines of that name in s may change.
func (x *Exchange) change(s engine.Section, name, value []byte) error {
	if s == engine.RequestFields || s == engine.RequestTrailers {
		if err := x.sent(); err != nil {
			return err
		}
	}
	switch {
	case !token(name):
		return fmt.Errorf("field name %q: expected a token: %w", name, engine.ErrRefused)
	case bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return fmt.Errorf("value of field %q: control characters: %w", name, engine.ErrRefused)
	case Reserved(string(name)):
		return fmt.Errorf("field %q is the gateway's own: %w", name, engine.ErrRefused)
	}
	total := len(name) + len(value)
	for _, l := range x.sections[s] {
		total += len(l.name) + len(l.value)
	}
	if total > maxLine {
		return fmt.Errorf("field section of %d bytes: %w", total, engine.ErrTooLarge)
	}
	return nil
}

func (x *Exchange) SetField(s engine.Section, name, value []byte) error {
	if err := x.change(s, name, value); err != nil {
		return err
	}
	l := line{bytes.Clone(name), bytes.Clone(value)} // before lines move: they may be parts of one
	kept, found := x.sections[s][:0], false
	for _, old := range x.sections[s] {
		switch {
		case !bytes.EqualFold(old.name, l.name):
			kept = append(kept, old)
		case !found:
			kept, found = append(kept, l), true
		}
	}
	if !found {
		kept = append(kept, l)
	}
	x.sections[s] = kept
	return nil
}

func (x *Exchange) AddField(s engine.Section, name, value []byte) error {
	if err := x.change(s, name, value); err != nil {
		return err
	}
	x.sections[s] = append(x.sections[s], line{bytes.Clone(name), bytes.Clone(value)})
	return nil
}

func (x *Exchange) RemoveField(s engine.Section, name []byte) error {
	if err := x.change(s, name, nil); err != nil {
		return err
	}
	name = bytes.Clone(name)
	kept := x.sections[s][:0]
	for _, old := range x.sections[s] {
		if !bytes.EqualFold(old.name, name) {
			kept = append(kept, old)
		}
	}
	x.sections[s] = kept
	return nil
}

// received is the refusal to show what is not there yet.
func (x *Exchange) received(m engine.Message) error {
	if m == engine.Response && x.status == 0 {
		return fmt.Errorf("there is no response: %w", engine.ErrPhase)
	}
	return nil
}

func (x *Exchange) Prefix(m engine.Message, limit int) (prefix []byte, whole bool, err error) {
	if err := x.received(m); err != nil {
		return nil, false, err
	}
	body := x.bodies[m]
	for _, l := range x.sections[m] { // the numbers of the messages are those of their field sections
		if bytes.EqualFold(l.name, []byte("Content-Encoding")) && bytes.EqualFold(l.value, []byte("gzip")) {
			if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
				body, _ = io.ReadAll(io.LimitReader(z, int64(limit)+1)) // what can be decoded
			}
		}
	}
	return body[:min(limit, len(body))], len(body) <= limit, nil
}

func (x *Exchange) Body(m engine.Message, limit int) ([]byte, error) {
	if err := x.received(m); err != nil {
		return nil, err
	}
	if len(x.bodies[m]) > limit {
		return nil, fmt.Errorf("body of %d bytes: %w", len(x.bodies[m]), engine.ErrTooLarge)
	}
	return x.bodies[m], nil
}

func (x *Exchange) SetBody(m engine.Message, body []byte) error {
	if m == engine.Request {
		if err := x.sent(); err != nil {
			return err
		}
	}
	x.bodies[m] = bytes.Clone(body)
	return nil
}

func (x *Exchange) Answer(status int) error {
	if err := x.sent(); err != nil {
		return err
	}
	if status < 200 || status > 599 {
		return fmt.Errorf("status %d: expected 200 to 599: %w", status, engine.ErrRefused)
	}
	x.status, x.answered = status, true
	return nil
}

const maxLine = 64 << 10 // bytes of a URI or a field section

// Reserved reports whether the field of that name is for the gateway alone: framing, hop-by-hop and authority.
func Reserved(name string) bool {
	for _, own := range reserved {
		if strings.EqualFold(name, own) {
			return true
		}
	}
	return false
}

var reserved = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade",
}

func token(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return len(b) > 0
}
