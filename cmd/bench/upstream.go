//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// The upstream answers a GET with one of four fixed responses in a few microseconds, so that it neither limits nor blurs what
// is measured before it. One word of each body says whether the query parameter arrived: the load generator checks with
// every response that the subject did its job, and bench flip sees a flip by it. It counts both, too.

// droppedParam is the query parameter of the incident, which the subjects drop.
const droppedParam = "phone_number_id"

// An answer is a response that the upstream gives and a client has to get.
type answer struct {
	status string
	body   []byte
}

// The answers come in pairs that differ in one word of the same length. A failure is one that the partner blames itself for,
// so that a classifying gateway has something to read and no client is turned away for it.
var (
	mediaPresent   = answer{"200 OK", mediaBody("present")}
	mediaDropped   = answer{"200 OK", mediaBody("dropped")}
	failurePresent = answer{"500 Internal Server Error", failureBody("present")}
	failureDropped = answer{"500 Internal Server Error", failureBody("dropped")}
)

func answerTo(fails, present bool) *answer {
	switch {
	case fails && present:
		return &failurePresent
	case fails:
		return &failureDropped
	case present:
		return &mediaPresent
	}
	return &mediaDropped
}

// mediaBody is what the partner answers to a media request, padded to 300 bytes.
func mediaBody(param string) []byte {
	const size = 300
	head := `{"messaging_product":"whatsapp","url":"https://lookaside.example/whatsapp_business/attachments/` +
		`?mid=2621233374848975&ext=1769000000&hash=ATsp","mime_type":"image/jpeg","file_size":303833,` +
		`"id":"2621233374848975","` + droppedParam + `":"` + param + `","sha256":"`
	tail := `"}`
	return []byte(head + strings.Repeat("0", size-len(head)-len(tail)) + tail)
}

// failureBody is the partner's envelope of an error of its own.
func failureBody(param string) []byte {
	return []byte(`{"error":{"message":"(#2) Service temporarily unavailable","type":"OAuthException","code":2,` +
		`"is_transient":true,"error_data":{"messaging_product":"whatsapp","details":"Try again later."},` +
		`"fbtrace_id":"A-` + param + `"}}`)
}

// response is the whole answer, with fields such as the partner sends.
func (a *answer) response() []byte {
	return []byte("HTTP/1.1 " + a.status + "\r\n" +
		"Content-Type: application/json; charset=UTF-8\r\n" +
		"Content-Length: " + strconv.Itoa(len(a.body)) + "\r\n" +
		"Date: Tue, 20 Jan 2026 12:20:00 GMT\r\n" +
		"Cache-Control: private, no-cache, no-store, must-revalidate\r\n" +
		"facebook-api-version: v23.0\r\n" +
		"x-fb-rev: 1019544279\r\n" +
		"x-app-usage: {\"call_count\":0,\"total_cputime\":0,\"total_time\":0}\r\n" +
		"\r\n" + string(a.body))
}

// failingMedia begins the last segment of a path whose media can't be had; see mediaRequest.
var failingMedia = []byte("/9")

// countsPath is answered with the upstream's counts instead; it isn't counted itself.
const countsPath = "/-/bench/counts"

// counts says how many requests an upstream has answered, and how many of them carried the parameter.
type counts struct {
	Requests  int64 `json:"requests"`
	WithParam int64 `json:"with_param"`
}

func (c counts) minus(d counts) counts {
	return counts{c.Requests - d.Requests, c.WithParam - d.WithParam}
}

// upstreamMode serves until it is killed. The first line it prints is its address.
func upstreamMode(args []string, out io.Writer) error {
	if err := flag.NewFlagSet("bench upstream", flag.ContinueOnError).Parse(args); err != nil {
		return err
	}
	fd, addr, err := listen()
	if err != nil {
		return fmt.Errorf("upstream: listen: %w", err)
	}
	up, err := newUpstream(fd)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, addr)
	return up.serve()
}

type upstream struct {
	poll     *poller
	listener int
	conns    map[int]*upstreamConn // by descriptor
	counts   counts
	answers  map[*answer][]byte // whole responses
}

type upstreamConn struct {
	buf [8 << 10]byte
	n   int // bytes of a request that is not whole yet
}

func newUpstream(listener int) (*upstream, error) {
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	if err := poll.add(listener, listener); err != nil {
		return nil, err
	}
	u := &upstream{poll: poll, listener: listener, conns: make(map[int]*upstreamConn), answers: make(map[*answer][]byte)}
	for _, a := range []*answer{&mediaPresent, &mediaDropped, &failurePresent, &failureDropped} {
		u.answers[a] = a.response()
	}
	return u, nil
}

func (u *upstream) serve() error {
	for {
		events, err := u.poll.wait(-1)
		if err != nil {
			return err
		}
		for _, event := range events {
			fd := int(event.Fd)
			if fd == u.listener {
				u.accept()
				continue
			}
			if err := u.answer(fd, u.conns[fd]); err != nil {
				if err != errClosed {
					fmt.Fprintln(os.Stderr, "bench upstream:", err)
				}
				delete(u.conns, fd)
				_ = syscall.Close(fd)
			}
		}
	}
}

func (u *upstream) accept() {
	for {
		fd, _, err := syscall.Accept4(u.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return // nobody is waiting any more
		}
		if err := prepare(fd); err != nil {
			_ = syscall.Close(fd)
			continue
		}
		u.conns[fd] = new(upstreamConn)
		if err := u.poll.add(fd, fd); err != nil {
			delete(u.conns, fd)
			_ = syscall.Close(fd)
		}
	}
}

// answer reads what has come and answers each request that is whole.
func (u *upstream) answer(fd int, c *upstreamConn) error {
	n, err := readSome(fd, c.buf[c.n:])
	if err != nil {
		return err
	}
	c.n += n
	rest := c.buf[:c.n]
	for {
		end := bytes.Index(rest, []byte("\r\n\r\n"))
		if end < 0 {
			break
		}
		response, err := u.respond(rest[:end])
		if err != nil {
			return err
		}
		if err := writeAll(fd, response); err != nil {
			return err
		}
		rest = rest[end+4:]
	}
	if len(rest) == len(c.buf) {
		return fmt.Errorf("head of more than %d bytes: %.60q…", len(c.buf), rest)
	}
	c.n = copy(c.buf[:], rest)
	return nil
}

// respond chooses the response to one request head.
func (u *upstream) respond(head []byte) ([]byte, error) {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	target, ok := bytes.CutPrefix(line, []byte("GET "))
	if !ok {
		return nil, fmt.Errorf("%q: expected a GET: requests with a body are not understood here", line)
	}
	if bytes.HasPrefix(target, []byte(countsPath+" ")) {
		text, err := json.Marshal(u.counts)
		return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text), err
	}
	u.counts.Requests++
	present := bytes.Contains(target, []byte(droppedParam+"="))
	if present {
		u.counts.WithParam++
	}
	return u.answers[answerTo(bytes.Contains(target, failingMedia), present)], nil
}
