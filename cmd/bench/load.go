//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A generator sends requests over a fixed number of keep-alive connections and compares every response with the bytes
// that it must have. It is one thread; the first wrong answer ends it.
type generator struct {
	poll  *poller
	conns []loadConn
	idle  []int // connections without a request, the one idle for longest first
	open  int   // requests on their way
	done  int   // responses seen, all of them right
	took  []time.Duration
}

// A loadConn is one client of the subject.
type loadConn struct {
	fd       int
	requests []loadRequest // sent in turn
	next     int
	want     *answer   // to the request on its way
	due      time.Time // when that was due; its latency counts from there
	buf      [4 << 10]byte
	n        int // bytes of the response so far
}

type loadRequest struct {
	bytes []byte
	want  *answer
}

// requestsPerConn is how many different requests a connection sends in turn, so that no subject sees one path only. The
// last of them fails: a share of failures that a bad day brings, for which a gateway has to read the body.
const requestsPerConn = 16

// mediaRequest is the request of the incident, as a tenant's client sends it.
func mediaRequest(client, media int, fails bool) []byte {
	id := 2621233374840000 + media
	if fails {
		id += 7000000000000000
	}
	return fmt.Appendf(nil, "GET /%d?%s=%d HTTP/1.1\r\n"+
		"Host: waba.example\r\n"+
		"D360-API-KEY: %s\r\n"+
		"User-Agent: tenant-client/2.4 (+https://tenant.example)\r\n"+
		"Accept: application/json\r\n"+
		"Accept-Language: en-GB,en;q=0.8\r\n"+
		"X-Correlation-Id: 7f3c2a10-5a1e-4b7e-9c55-%012d\r\n"+
		"\r\n", id, droppedParam, phoneNumberID(client), clientKey(client), media)
}

// clientKey is the API key of the bench's tenant.
func clientKey(client int) string { return fmt.Sprintf("bench-key-%04d-0123456789abcdef", client) }

func phoneNumberID(client int) int { return 106540352242000 + client }

// newGenerator connects to a subject that drops the parameter or doesn't.
func newGenerator(addr netip.AddrPort, conns int, drops bool) (*generator, error) {
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	g := &generator{poll: poll, conns: make([]loadConn, 0, conns)}
	for i := range conns {
		fd, err := dial(addr)
		if err != nil {
			g.close()
			return nil, err
		}
		c := loadConn{fd: fd}
		for j := range requestsPerConn {
			fails := j == requestsPerConn-1
			c.requests = append(c.requests, loadRequest{mediaRequest(i%benchClients, i*requestsPerConn+j, fails), answerTo(fails, !drops)})
		}
		g.conns = append(g.conns, c)
		g.idle = append(g.idle, i)
		if err := poll.add(fd, i); err != nil {
			g.close()
			return nil, err
		}
	}
	return g, nil
}

func (g *generator) close() {
	for i := range g.conns {
		_ = syscall.Close(g.conns[i].fd)
	}
	g.poll.close()
}

// A loadResult is what one run of the generator saw.
type loadResult struct {
	requests int
	elapsed  time.Duration
	latency  []time.Duration // sorted; valid until the generator's next run
}

func (r loadResult) perSecond() float64 { return float64(r.requests) / r.elapsed.Seconds() }

// saturate keeps a request on its way on every connection for the given time.
func (g *generator) saturate(ctx context.Context, d time.Duration) (loadResult, error) {
	start := time.Now()
	g.begin()
	for ctx.Err() == nil {
		now := time.Now()
		if now.Sub(start) >= d {
			break
		}
		for len(g.idle) > 0 {
			if err := g.send(now); err != nil {
				return loadResult{}, err
			}
		}
		if err := g.receive(time.Second); err != nil {
			return loadResult{}, err
		}
	}
	return g.end(ctx, start)
}

// pace sends requests at an even rate for the given time, whatever the responses do: a request that finds all connections
// busy waits for one, and the wait is part of its latency.
func (g *generator) pace(ctx context.Context, rate float64, d time.Duration) (loadResult, error) {
	start := time.Now()
	p := newPacer(rate, d)
	g.begin()
	for ctx.Err() == nil {
		elapsed := time.Since(start)
		for len(g.idle) > 0 && p.ready(elapsed) {
			if err := g.send(start.Add(p.take())); err != nil {
				return loadResult{}, err
			}
		}
		if p.finished() {
			break
		}
		if elapsed > 2*d+time.Second {
			return loadResult{}, fmt.Errorf("the rate of %.0f/s can't be held: %d of %d requests sent in %s", rate, p.sent, p.total, elapsed)
		}
		wait := time.Second
		if len(g.idle) > 0 {
			wait = p.wait(time.Since(start))
		}
		if err := g.receive(wait); err != nil {
			return loadResult{}, err
		}
	}
	return g.end(ctx, start)
}

func (g *generator) begin() {
	g.done, g.took = 0, g.took[:0]
}

// end waits for the responses still on their way.
func (g *generator) end(ctx context.Context, start time.Time) (loadResult, error) {
	const patience = 10 * time.Second
	elapsed := time.Since(start)
	for begun := time.Now(); g.open > 0; {
		if time.Since(begun) > patience {
			return loadResult{}, fmt.Errorf("%d responses still missing %s after the last request", g.open, patience)
		}
		if err := g.receive(time.Second); err != nil {
			return loadResult{}, err
		}
		elapsed = time.Since(start)
	}
	slices.Sort(g.took)
	return loadResult{g.done, elapsed, g.took}, ctx.Err()
}

// send sends the next request of the connection that has been idle for longest.
func (g *generator) send(due time.Time) error {
	i := g.idle[0]
	g.idle = g.idle[:copy(g.idle, g.idle[1:])]
	c := &g.conns[i]
	request := &c.requests[c.next]
	c.next = (c.next + 1) % len(c.requests)
	c.due, c.want = due, request.want
	g.open++
	return writeAll(c.fd, request.bytes)
}

// receive waits for responses and takes in those that have come.
func (g *generator) receive(wait time.Duration) error {
	events, err := g.poll.wait(wait)
	if err != nil {
		return err
	}
	for _, event := range events {
		i := int(event.Fd)
		c := &g.conns[i]
		n, err := readSome(c.fd, c.buf[c.n:])
		if err != nil {
			return fmt.Errorf("%w after %d bytes of a response: %q", err, c.n, c.buf[:c.n])
		}
		c.n += n
		whole, err := checkResponse(c.buf[:c.n], c.want)
		if err != nil {
			return err
		}
		if !whole {
			if c.n == len(c.buf) {
				return fmt.Errorf("response of more than %d bytes: %.200q…", c.n, c.buf)
			}
			continue
		}
		c.n = 0
		g.took = append(g.took, time.Since(c.due))
		g.idle = append(g.idle, i)
		g.done++
		g.open--
	}
	return nil
}

// checkResponse says whether a response is whole. An error is a response that can't become right: its status or its body,
// which must be framed by its length, isn't the wanted one.
func checkResponse(b []byte, want *answer) (whole bool, err error) {
	const version = "HTTP/1.1 "
	status := b[min(len(b), len(version)):]
	if !strings.HasPrefix(version, string(b[:len(b)-len(status)])) || string(status[:min(len(status), 4)]) != want.status[:min(len(status), 4)] {
		return false, fmt.Errorf("response %.400q: expected status %s", b, want.status)
	}
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return false, nil
	}
	body := b[end+4:]
	if len(body) < len(want.body) && bytes.HasPrefix(want.body, body) {
		return false, nil
	}
	if !bytes.Equal(body, want.body) {
		return false, fmt.Errorf("response body %.400q after head %q: expected %q", body, b[:end], want.body)
	}
	return true, nil
}

// A pacer says when requests are due: number i at i/rate after the start, however late those before it were. Latencies
// that count from there include the time in which a slow subject kept the generator from sending.
type pacer struct {
	interval float64 // in nanoseconds
	sent     int
	total    int
}

func newPacer(rate float64, d time.Duration) *pacer {
	return &pacer{interval: float64(time.Second) / rate, total: max(1, int(rate*d.Seconds()))}
}

// due is when the next request has to go out.
func (p *pacer) due() time.Duration { return time.Duration(float64(p.sent) * p.interval) }

func (p *pacer) finished() bool { return p.sent == p.total }

// ready says whether the next request is due.
func (p *pacer) ready(elapsed time.Duration) bool { return !p.finished() && p.due() <= elapsed }

// take counts the next request as sent and returns when it was due.
func (p *pacer) take() time.Duration {
	due := p.due()
	p.sent++
	return due
}

// wait is how long nothing will be due.
func (p *pacer) wait(elapsed time.Duration) time.Duration { return max(0, p.due()-elapsed) }

// ask sends one GET over a new connection and returns the body of a 200 response, for the bench's own questions.
func ask(addr netip.AddrPort, target string, patience time.Duration) ([]byte, error) {
	return askRaw(addr, []byte("GET "+target+" HTTP/1.1\r\nHost: waba.example\r\n\r\n"), patience)
}

// askRaw sends one request as given and returns the body, which the response must frame by Content-Length.
func askRaw(addr netip.AddrPort, request []byte, patience time.Duration) ([]byte, error) {
	fd, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = syscall.Close(fd) }()
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	defer poll.close()
	if err := poll.add(fd, fd); err != nil {
		return nil, err
	}
	if err := writeAll(fd, request); err != nil {
		return nil, err
	}
	buf, n := make([]byte, 16<<10), 0
	for deadline := time.Now().Add(patience); ; {
		if time.Now().After(deadline) || n == len(buf) {
			return nil, fmt.Errorf("%s: %q isn't a whole response after %s", addr, buf[:n], patience)
		}
		if _, err := poll.wait(time.Until(deadline)); err != nil {
			return nil, err
		}
		k, err := readSome(fd, buf[n:])
		if err != nil {
			return nil, fmt.Errorf("%s: %w after %q", addr, err, buf[:n])
		}
		n += k
		head, body, ok := strings.Cut(string(buf[:n]), "\r\n\r\n")
		if !ok {
			continue
		}
		if !strings.HasPrefix(head, "HTTP/1.1 200 ") {
			return nil, fmt.Errorf("%s: answered %q: expected status 200", addr, buf[:n])
		}
		length, err := contentLength(head)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", addr, err)
		}
		if len(body) >= length {
			return []byte(body[:length]), nil
		}
	}
}

func contentLength(head string) (int, error) {
	for line := range strings.SplitSeq(head, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "Content-Length") {
			var n int
			_, err := fmt.Sscanf(strings.TrimSpace(value), "%d", &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("head %q: expected a Content-Length", head)
}
