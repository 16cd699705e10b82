package e2e

import (
	"fmt"
	"slices"
	"strings"
)

// A kind says what a byte of a message is part of.
type kind int

const (
	inHead kind = iota
	inContent
	inFraming // chunk sizes and line ends around content
	inTrailer
)

// A part is a stretch of a message's bytes that are all of one kind.
type part struct {
	kind kind
	text string
}

// A script is a message as it stands on the wire.
type script []part

func head1(lines ...string) part { return part{inHead, strings.Join(lines, "\r\n") + "\r\n\r\n"} }

// chunked puts content into chunks, and trailers behind it.
func chunked(pieces []string, trailers ...string) (s script) {
	for _, p := range pieces {
		s = append(s, part{inFraming, fmt.Sprintf("%x\r\n", len(p))}, part{inContent, p}, part{inFraming, "\r\n"})
	}
	s = append(s, part{inFraming, "0\r\n"})
	for _, t := range trailers {
		s = append(s, part{inTrailer, t + "\r\n"})
	}
	return append(s, part{inFraming, "\r\n"})
}

func (s script) wire() string {
	var b strings.Builder
	for _, p := range s {
		b.WriteString(p.text)
	}
	return b.String()
}

// size is the length of all parts of some kinds.
func (s script) size(kinds ...kind) (n int) {
	for _, p := range s {
		if slices.Contains(kinds, p.kind) {
			n += len(p.text)
		}
	}
	return n
}

// before is the content that has been sent with the first n bytes.
func (s script) before(n int) (content string) {
	for _, p := range s {
		if p.kind == inContent {
			content += p.text[:max(0, min(n, len(p.text)))]
		}
		n -= len(p.text)
	}
	return content
}

// at is what byte n is part of.
func (s script) at(n int) kind {
	for _, p := range s {
		if n < len(p.text) {
			return p.kind
		}
		n -= len(p.text)
	}
	panic("BUG: no such byte")
}

// edges are the offsets at which something begins or ends, and those next to them.
func (s script) edges() map[int]bool {
	all, n := map[int]bool{0: true, 1: true}, 0
	for _, p := range s {
		n += len(p.text)
		all[n-1], all[n], all[n+1] = true, true, true
	}
	return all
}

// A transfer is a request and its response.
type transfer struct {
	name       string
	request    script // its path is the case's
	response   script
	untilClose bool     // the response ends with the connection
	up, down   []string // trailers
	long       bool     // too long for every byte
	read       bool     // over the route with a step that reads contents
}

// ID is the path of each case, in as many digits.
const idPath = "/c/000000"

var transfers = []transfer{
	{
		name:     "GET, length",
		request:  script{head1("GET "+idPath+"?drop=1 HTTP/1.1", "Host: h")},
		response: script{head1("HTTP/1.1 200 OK", "Content-Length: 11"), {inContent, "hello world"}},
	},
	{
		name:     "GET, chunks and trailers behind an interim response",
		request:  script{head1("GET "+idPath+" HTTP/1.1", "Host: h", "TE: trailers")},
		response: append(script{head1("HTTP/1.1 103 Early Hints", "Link: </a>"), head1("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}, chunked([]string{"hello", " world, and more"}, "X-Sum: 7", "X-Note: b")...),
		down:     []string{"X-Sum: 7", "X-Note: b"},
	},
	{
		name:       "GET, until the connection ends",
		request:    script{head1("GET "+idPath+" HTTP/1.1", "Host: h")},
		response:   script{head1("HTTP/1.1 200 OK", "X-A: b"), {inContent, "hello world"}},
		untilClose: true,
	},
	{
		name:     "POST, length",
		request:  script{head1("POST "+idPath+" HTTP/1.1", "Host: h", "Content-Length: 10"), {inContent, "0123456789"}},
		response: script{head1("HTTP/1.1 200 OK", "Content-Length: 2"), {inContent, "ok"}},
	},
	{
		name:     "POST, chunks and trailers",
		request:  append(script{head1("POST "+idPath+" HTTP/1.1", "Host: h", "Transfer-Encoding: chunked")}, chunked([]string{"01234", "56789abcdef0"}, "X-Up: 1")...),
		response: append(script{head1("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}, chunked([]string{"ok"})...),
		up:       []string{"X-Up: 1"},
	},
	{
		name:     "GET of HTTP/1.0, chunks and trailers",
		request:  script{head1("GET "+idPath+" HTTP/1.0", "Host: h")},
		response: append(script{head1("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}, chunked([]string{"hello", " world"}, "X-Sum: 7")...),
	},
	{
		name:     "long POST, length",
		long:     true,
		request:  script{head1("POST "+idPath+" HTTP/1.1", "Host: h", "Content-Length: 300000"), {inContent, string(block[:300_000])}},
		response: script{head1("HTTP/1.1 200 OK", "Content-Length: 300000"), {inContent, string(block[300_000:600_000])}},
	},
	{
		name:     "long POST, chunks",
		long:     true,
		request:  append(script{head1("POST "+idPath+" HTTP/1.1", "Host: h", "Transfer-Encoding: chunked")}, chunked([]string{string(block[:70_000]), string(block[70_000:300_000])})...),
		response: append(script{head1("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}, chunked([]string{string(block[300_000:500_000]), string(block[500_000:600_000])})...),
	},
}

// Those that are short once more, over a route with a step that asks for whole contents before it lets them go on.
func init() {
	for _, x := range slices.Clone(transfers) {
		if !x.long {
			x.name, x.read = x.name+", read by a step", true
			x.request = slices.Clone(x.request)
			x.request[0].text = strings.Replace(x.request[0].text, "Host: h", "Host: r", 1)
			transfers = append(transfers, x)
		}
	}
}

// A side is who is at fault.
type side string

const (
	client   side = "client"
	upstream side = "upstream"
	reader   side = "reader" // a client that leaves when so much of the response is under way
)

// A fault is what becomes of a message at one byte of it.
type fault string

const (
	fReset   fault = "RST"
	fEnd     fault = "FIN" // over TLS without close_notify
	fNotify  fault = "close_notify"
	fStall   fault = "stall"
	fDrip    fault = "drip"             // the rest comes byte by byte
	fGarbage fault = "garbage"          // a NUL in the byte's place; behind the last byte one more
	fBelow   fault = "garbage, not TLS" // in a stream of records
)

var (
	plainFaults = []fault{fReset, fEnd, fStall, fDrip, fGarbage}
	tlsFaults   = []fault{fReset, fEnd, fNotify, fStall, fDrip, fGarbage, fBelow}
)

// An allowed is what may come of a case. What is not allowed here is a fault of the gateway's.
type allowed struct {
	whole    bool   // the client has this content, its trailers, and its end
	content  string // of whole; and what a cut response is the beginning of
	cut      bool   // the client has a beginning, and can see that it is not all
	exact    bool   // the beginning is content
	problems []int  // the client has a problem with such a status
	ended    bool   // the client has nothing, and the end of the connection

	arrives  bool   // the upstream may have the request, whole
	must     bool   // and has it
	received string // its content
}

// model says what is allowed of a fault at byte n. Nothing is said of how long it takes; but for a stall in its time,
// something must come of it.
func model(x *transfer, s side, f fault, n int, secure bool) allowed {
	a := allowed{whole: true, content: x.response.before(1 << 20), arrives: true, must: true, received: x.request.before(1 << 20)}
	if f == fDrip {
		return a
	}
	switch s {
	case client:
		return a.client(x.request, f, n)
	case reader:
		a.whole, a.ended, a.cut, a.content = false, true, true, x.response.before(n)
		return a
	}
	return a.upstream(x, f, n, secure)
}

func (a allowed) client(req script, f fault, n int) allowed {
	all := len(req.wire())
	if n == all {
		switch f {
		case fGarbage: // which belongs to another request
		case fStall:
		default: // a client that ends the connection does not wait for the response
			a.ended, a.cut, a.must = true, true, false
		}
		return a
	}
	if f == fGarbage && req.at(n) == inContent {
		at := len(req.before(n))
		a.received = a.received[:at] + "\x00" + a.received[at+1:]
		return a
	}
	a.whole, a.arrives, a.must = false, false, false
	switch f {
	case fReset:
		a.ended = true
	case fEnd, fNotify, fBelow: // it may be told what was missing
		a.ended, a.problems = true, []int{400}
	case fStall:
		a.problems = []int{408}
		a.ended = n == 0 // it has not asked for anything
	case fGarbage:
		a.problems = []int{400}
		if n >= all-4 || n >= req.size(inHead)-4 && n < req.size(inHead) {
			a.problems = append(a.problems, 408) // the end that would come is none any more
		}
	}
	return a
}

func (a allowed) upstream(x *transfer, f fault, n int, secure bool) allowed {
	resp := x.response
	all, heads := len(resp.wire()), resp.size(inHead)
	begun := resp.before(n)
	if f == fGarbage {
		switch {
		case n == all && x.untilClose:
			a.content += "\x00"
		case n == all:
		case resp.at(n) == inContent:
			a.content = begun + "\x00" + a.content[len(begun)+1:]
		case resp.at(n) == inHead:
			a.whole, a.problems = false, []int{502}
			if n >= heads-4 {
				a.problems = append(a.problems, 504) // the end that would come is none any more
			}
		default:
			a.whole, a.cut, a.content = false, true, begun
			a.exact = true
		}
		return a
	}
	if n == all && !x.untilClose {
		if f == fReset {
			a.cut, a.problems = true, []int{502} // a reset may take with it what has arrived
		}
		return a
	}
	if n < heads {
		a.whole, a.problems = false, []int{502}
		if f == fStall {
			a.problems = []int{504}
		}
		return a
	}
	if x.untilClose && (f == fNotify || f == fEnd && !secure) { // it looks like this whole content, to everybody
		a.content = begun
		return a
	}
	a.whole, a.cut, a.exact, a.content = false, true, f != fReset, begun
	if f == fReset {
		a.problems = []int{502}
	}
	return a
}
