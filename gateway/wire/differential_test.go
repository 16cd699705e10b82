package wire

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A message that we take and forward is understood the same by who comes after us, and as we have understood it: the same start,
// fields, content and trailers, and the same number of bytes. So is the message that we were sent by whoever takes it: a proxy
// before us must not have seen another one. Where they differ is listed, each with its reason.

func FuzzForwardedRequest(f *testing.F) {
	for _, b := range slices.Concat(ambiguous, odd, parsed) {
		f.Add([]byte(b), uint32(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, pieces uint32) { checkForwardedRequest(t, spell(b), pieces) })
}

func FuzzForwardedResponse(f *testing.F) {
	for _, b := range answered {
		f.Add([]byte(b), uint32(7), false, false)
		f.Add([]byte(b), uint32(1<<30), true, false)
		f.Add([]byte(b), uint32(0), false, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, pieces uint32, toHead, to10 bool) {
		checkForwardedResponse(t, spell(b), pieces, toHead, to10)
	})
}

// The corpora as they are, and messages of random words around good ones: what a long fuzzing run would do first.
func TestForwardedMessages(t *testing.T) {
	for _, b := range slices.Concat(ambiguous, odd, parsed) {
		checkForwardedRequest(t, []byte(b), 7)
	}
	for _, b := range answered {
		for i := range 4 {
			checkForwardedResponse(t, []byte(b), 7, i&1 > 0, i&2 > 0)
		}
	}
	random := rand.New(rand.NewPCG(3, 4))
	requests := []string{
		"GET /| HTTP/1.1\r\nHost: a\r\n|\r\nContent-Length: 3\r\n|\r\nabc|", "POST / HTTP/1.1\r\nHost: a\r\n|Transfer-Encoding: chunked\r\n|\r\n3|\r\nabc\r\n0|\r\n|\r\n|",
		"PUT / HTTP/1.|\r\nHost: a\r\nConnection: |\r\n|: |\r\n\r\n|", "POST /| HTTP/1.1\r\nHost: |\r\nTransfer-Encoding: |chunked|\r\n\r\n0\r\n\r\n|",
	}
	responses := []string{
		"HTTP/1.1 200 |\r\n|\r\nContent-Length: 3\r\n|\r\nabc|", "HTTP/1.1 200 OK\r\n|Transfer-Encoding: chunked\r\n|\r\n3|\r\nabc\r\n0|\r\n|\r\n|",
		"HTTP/1.| |\r\nConnection: |\r\n|: |\r\n\r\n|", "HTTP/1.1 |\r\n|Transfer-Encoding: |chunked|\r\n\r\n0\r\n\r\n|",
	}
	for range 20_000 {
		checkForwardedRequest(t, fill(random, requests), random.Uint32())
		checkForwardedResponse(t, fill(random, responses), random.Uint32(), random.IntN(2) == 0, random.IntN(2) == 0)
		if t.Failed() {
			return
		}
	}
}

// What is ambiguous is never forwarded, whatever the recipients that are compared here make of it.
func TestAmbiguousRequestsAreRefused(t *testing.T) {
	for _, b := range ambiguous {
		if r, _, _, err := readRequest([]byte(b)); err == nil || err == errMore {
			t.Errorf("%q is read as %+v, %v", b, r, err)
		}
	}
	for _, b := range slices.Concat(odd, parsed) {
		if _, _, _, err := readRequest([]byte(b)); err != nil {
			t.Errorf("%q is refused: %v", b, err)
		}
	}
}

// refusals are for what another refuses a message that we forward: it is not taken for anything else.
var refusals = []struct{ who, says, why string }{
	{"net/http", "invalid URL escape", "it decodes the path at once; what escapes mean is the upstream's to judge"},
	{"fasthttp", "forbidden trailer", "it wants no fields there that it knows from heads, such as Set-Cookie; they may stand there all the same (9110 6.5.1)"},
}

func refuses(r *recipient, err error) bool {
	for _, known := range refusals {
		if known.who == r.name && strings.Contains(err.Error(), known.says) {
			return true
		}
	}
	return false
}

// recipientsOf are those who show a response with that status: fasthttp reads over one that is not final.
func recipientsOf(status int) []*recipient {
	if status < 200 && status != 101 {
		return []*recipient{&netHTTP}
	}
	return []*recipient{&netHTTP, &fast}
}

// longest is the longest message that is compared: each recipient has its own limit for a head.
const longest = 32 << 10

// Fields that frame the message or belong to the connection: what they come to is compared in other ways.
var frames = []string{"host", "content-length", "transfer-encoding", "connection", "trailer", "cache-control"}

func checkForwardedRequest(t *testing.T, b []byte, pieces uint32) {
	t.Helper()
	ours, h, trailers, err := readRequest(b)
	if err != nil || len(b) > longest {
		return
	}
	for _, r := range []*recipient{&netHTTP, &fast} {
		if theirs, err := r.request(b); err == nil {
			theirs.host = hostOf(&h, theirs.host)
			if d := differ(ours, theirs, frames...); d != "" {
				t.Errorf("%q: we and %s read %s", b, r.name, d)
			}
		}
	}

	written := forwardRequest(&h, ours.content, trailers, pieces)
	next := append(slices.Clone(written), "GET /next HTTP/1.1\r\nHost: n\r\n\r\n"...)
	want := reading{start: string(h.Method) + " " + string(h.URI), host: "upstream", fields: forwarded(h.Fields, &h.Hops, Expect), content: ours.content, trailers: forwarded(allowed(trailers), nil), used: len(written)}
	again, _, _, err := readRequest(next)
	if err != nil {
		t.Fatalf("%q: we refuse what we forward: %q: %v", b, written, err)
	}
	if d := differ(want, again, frames...); d != "" {
		t.Errorf("%q: forwarded as %q: what we mean and what we read differ in %s", b, written, d)
	}
	for _, r := range []*recipient{&netHTTP, &fast} {
		theirs, err := r.request(next)
		switch {
		case err != nil && !refuses(r, err):
			t.Errorf("%q: forwarded as %q: %s says %v", b, written, r.name, err)
		case err == nil:
			if d := differ(want, theirs, frames...); d != "" {
				t.Errorf("%q: forwarded as %q: we and %s read %s", b, written, r.name, d)
			}
		}
	}
}

// forwardRequest writes a request as the gateway does for an upstream.
func forwardRequest(h *RequestHead, content string, trailers []Field, pieces uint32) []byte {
	b := AppendRequestLine(nil, h.Method, h.URI)
	b = AppendField(b, "Host", "upstream")
	for i := range h.Fields {
		f := &h.Fields[i]
		if h.Hops.Drops(f) || f.Known == Host || f.Known == ContentLength || f.Known == Expect || f.Known == Trailer && h.Framing != Chunked {
			continue
		}
		b = AppendField(b, f.Name, f.Value)
	}
	switch h.Framing {
	case Chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n\r\n"...)
		return appendPieces(b, content, trailers, pieces)
	case Length:
		b = AppendField(b, "Content-Length", fmt.Sprint(h.Length))
	}
	b = append(b, crlf...)
	return append(b, content...)
}

// appendPieces appends content in chunks of some sizes, then the trailers that go on.
func appendPieces(b []byte, content string, trailers []Field, pieces uint32) []byte {
	random := rand.New(rand.NewPCG(uint64(pieces), 0))
	for content != "" {
		n := 1 + random.IntN(len(content))
		b, content = AppendChunk(b, []byte(content[:n])), content[n:]
	}
	return AppendLastChunk(b, allowed(trailers))
}

func allowed(trailers []Field) (some []Field) {
	for i := range trailers {
		if TrailerAllowed(&trailers[i]) {
			some = append(some, trailers[i])
		}
	}
	return some
}

// forwarded are the fields of a message that go on.
func forwarded(fields []Field, hops *Hops, but ...Name) map[string][]string {
	var on []Field
	for i := range fields {
		if f := &fields[i]; (hops == nil || !hops.Drops(f)) && !slices.Contains(but, f.Known) {
			on = append(on, *f)
		}
	}
	return fieldMap(on)
}

// hostOf is the host that theirs stands for: fasthttp's Header knows the Host field only, where the target names another.
func hostOf(h *RequestHead, theirs string) string {
	if h.Target[0] != '/' && h.Target[0] != '*' {
		return string(h.Host)
	}
	return theirs
}

func checkForwardedResponse(t *testing.T, b []byte, pieces uint32, toHead, to10 bool) {
	t.Helper()
	method := "GET"
	if toHead {
		method = "HEAD"
	}
	ours, h, trailers, framing, length, err := readResponse(b, method)
	if err != nil || len(b) > longest {
		return
	}
	for _, r := range recipientsOf(h.Status) {
		if r == &fast && h.Minor > 1 {
			continue // it takes a later version for HTTP/1.0, and then does not look at Transfer-Encoding; we write HTTP/1.1 (9110 2.5)
		}
		if theirs, err := r.response(b, method); err == nil {
			if d := differ(ours, theirs, slices.Concat(frames, r.forgets)...); d != "" {
				t.Errorf("%q to %s: we and %s read %s", b, method, r.name, d)
			}
		}
	}

	var hops Hops
	hops.ReadHops(h.Fields)
	if hops.TooMany || h.Status == 101 {
		return // not forwarded
	}
	written, ends := forwardResponse(&h, &hops, framing, length, ours.content, trailers, pieces, toHead, to10)
	next := slices.Clone(written)
	if !ends {
		next = append(next, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"...)
	}
	want := reading{start: fmt.Sprint(h.Status), fields: forwarded(h.Fields, &hops), content: ours.content, used: len(written)}
	if strings.Contains(string(written), "\r\nTransfer-Encoding: chunked\r\n") {
		want.trailers = forwarded(allowed(trailers), nil)
	}
	again, _, _, _, _, err := readResponse(next, method)
	if err != nil {
		t.Fatalf("%q: we refuse what we forward: %q: %v", b, written, err)
	}
	if d := differ(want, again, frames...); d != "" {
		t.Errorf("%q: forwarded as %q: what we mean and what we read differ in %s", b, written, d)
	}
	for _, r := range recipientsOf(h.Status) {
		theirs, err := r.response(next, method)
		switch {
		case err != nil && !refuses(r, err):
			t.Errorf("%q to %s: forwarded as %q: %s says %v", b, method, written, r.name, err)
		case err == nil:
			if d := differ(want, theirs, slices.Concat(frames, r.forgets)...); d != "" {
				t.Errorf("%q to %s: forwarded as %q: we and %s read %s", b, method, written, r.name, d)
			}
		}
	}
}

// forwardResponse writes a response as the gateway does for a client, and says whether it ends with the connection.
func forwardResponse(h *ResponseHead, hops *Hops, framing Framing, length int64, content string, trailers []Field, pieces uint32, toHead, to10 bool) (b []byte, ends bool) {
	bodiless := h.Status < 200 || h.Status == 204 || h.Status == 304
	chunks := !bodiless && !toHead && !to10 && (length < 0 || len(trailers) > 0)
	ends = !bodiless && !toHead && !chunks && length < 0
	b = AppendStatusLine(nil, h.Status, h.Reason)
	for i := range h.Fields {
		f := &h.Fields[i]
		if hops.Drops(f) || f.Known == ContentLength || f.Known == Trailer && !chunks {
			continue
		}
		b = AppendField(b, f.Name, f.Value)
	}
	switch {
	case chunks:
		return appendPieces(append(b, "Transfer-Encoding: chunked\r\n\r\n"...), content, trailers, pieces), false
	case length >= 0 && (!bodiless || h.Status == 304):
		b = AppendField(b, "Content-Length", fmt.Sprint(length))
	}
	if ends {
		b = AppendField(b, "Connection", "close")
	}
	return append(append(b, crlf...), content...), ends
}
