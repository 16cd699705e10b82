package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Whatever we take, net/http must read as we do: it stands for the recipients after us. Where it takes less, the exceptions
// are listed. `go test -fuzz` searches; plain `go test` runs the corpora of testdata/fuzz and some random messages.

// words are what messages are made of, and what is wrong with them.
var words = []string{
	"\r\n", "\r\n\r\n", "\n", "\r", "\r\n ", ": ", ":", " ", "\t", ",", ", ", ";", "\"", "\\", "\x00", "\x0b", "\x7f", "\xff", "%", "%41", "%zz",
	"GET ", "HEAD ", "POST ", "OPTIONS ", "CONNECT ", "PRI ", "/", "//", "/a", "?", "?a=b", "*", "#", "http://", "https://", "HTTP://", "@", "a", "b:80", ":80",
	"[::1]", "[1:2:3:4:5:6:7:8]", "[", "]", "::", "..", "1.2.3.4", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "HTTP/1.1 ", "HTTP/1.0 ", "HTTP/2.0", "100", "101", "103",
	"200", "204", "304", " OK\r\n", "\r\nHost: a\r\n", "Host: ", "\r\nContent-Length: ", "Content-Length: 5\r\n", "Content-Length: 05\r\n", "content-length:",
	"Content-Length : ", "\r\nTransfer-Encoding: ", "Transfer-Encoding: chunked\r\n", "transfer-encoding:", "chunked", "Chunked", "identity", "gzip", "Connection: ",
	"Connection: close\r\n", "close", "keep-alive", "upgrade", "te", "Trailer: ", "Expect: ", "100-continue", "Upgrade: ", "Pragma: no-cache\r\n", "X-A: b\r\n", "X-A: ",
	"0", "1", "5", "7", "f", "F", "-", "+", "0x", "18446744073709551621", "9223372036854775807", "10000000000000003", "7fffffffffffffff", "00000000000000000",
	"0\r\n", "0\r\n\r\n", "1\r\na\r\n", "3\r\nabc\r\n", "3\r\nabc", "3;a=b\r\n", "3;a=\"b\"\r\n", "3 \r\n", "3 ;a\r\n", "3\n", "a\r\n0123456789\r\n", ";a=\"", "A: b\r\n",
}

// spell replaces each byte from 0x80 by one of the words, so that a change of one byte is one of a whole word.
func spell(b []byte) (text []byte) {
	for _, c := range b {
		if c < 0x80 {
			text = append(text, c)
		} else {
			text = append(text, words[int(c-0x80)%len(words)]...)
		}
	}
	return text
}

// Messages of random words around good ones, always the same: what a long fuzzing run would do first.
func TestRandomMessages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	starts := []string{
		"GET / HTTP/1.1\r\nHost: a\r\n|\r\n", "POST http://|/a HTTP/1.1\r\nHost: |\r\n\r\n", "OPTIONS | HTTP/1.1\r\nHost: a\r\n\r\n",
		"PUT /| HTTP/1.0\r\n|: |\r\n|\r\n\r\n", "HTTP/1.1 200 OK\r\n|\r\n|\r\n", "HTTP/1.1 |\r\n\r\n", "HTTP/1.0 200\r\nContent-Length: |\r\n|\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: |\r\n|\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: |\r\n|\r\n\r\n",
		"|0\r\n\r\n", "3|\r\nabc\r\n|0\r\n|\r\n", "|", "1;|\r\na\r\n0|\r\n|\r\n\r\n", "1\r\na|0\r\n|",
	}
	for range 20_000 {
		b := fill(random, starts)
		checkRequestHead(t, b)
		checkResponseHead(t, b, random.IntN(2) == 0)
		checkChunkReader(t, b, random.Uint32())
		if t.Failed() {
			return
		}
	}
}

// fill puts random words in the place of each "|" of one of the texts.
func fill(random *rand.Rand, texts []string) []byte {
	var b []byte
	for _, c := range []byte(texts[random.IntN(len(texts))]) {
		if c != '|' {
			b = append(b, c)
			continue
		}
		for range random.IntN(4) {
			b = append(b, byte(0x80+random.IntN(0x80)))
		}
	}
	return spell(b)
}

func FuzzRequestHead(f *testing.F) {
	for _, head := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /a?b=%20 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\nX-A: b\r\nx-a:  c\t\r\n\r\n",
		"PUT http://[::1]:81/a HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n",
		"OPTIONS * HTTP/1.0\r\nConnection: keep-alive, x\r\nPragma: no-cache\r\n\r\n",
		"GET https://a?b HTTP/1.1\r\nHost:\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkRequestHead(t, spell(b)) })
}

func checkRequestHead(t *testing.T, b []byte) {
	end := HeadEnd(b, 0)
	if end < 0 {
		return
	}
	head := b[:end]
	var h RequestHead
	before := bytes.Clone(b)
	err := h.Parse(head)
	if !bytes.Equal(b, before) {
		t.Fatalf("Parse changed %q to %q", before, b)
	}
	if err != nil {
		if err.Status < 400 || err.Status > 599 || err.Error() == "" {
			t.Fatalf("Parse(%q) refuses with %d %q", head, err.Status, err)
		}
		return
	}

	req, goErr := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if goErr != nil {
		if !netHTTPRefusesRequest(&h) {
			t.Fatalf("we take %q, net/http says %v", head, goErr)
		}
		return
	}
	if req.Method != string(h.Method) || req.RequestURI != string(h.Target) || req.ProtoMajor != 1 || req.ProtoMinor != h.Minor {
		t.Errorf("%q: we read %q %q 1.%d, net/http %q %q %s", head, h.Method, h.Target, h.Minor, req.Method, req.RequestURI, req.Proto)
	}
	if req.Host != string(h.Host) {
		t.Errorf("%q: we read host %q, net/http %q", head, h.Host, req.Host)
	}
	path, query, _ := strings.Cut(string(h.URI), "?")
	decoded, _ := url.PathUnescape(path)
	if empty := req.URL.Path == "" && (path == "/" || path == "*"); decoded != req.URL.Path && !empty || query != req.URL.RawQuery {
		t.Errorf("%q: we read URI %q, net/http path %q and query %q", head, h.URI, req.URL.Path, req.URL.RawQuery)
	}
	wantClose := h.Hops.Close || h.Minor == 0 && !h.Hops.Keep
	if req.Close != wantClose {
		t.Errorf("%q: we read close %v, net/http %v", head, wantClose, req.Close)
	}
	framing, length := NoBody, int64(-1)
	switch {
	case slices.Equal(req.TransferEncoding, []string{"chunked"}):
		framing = Chunked
	case req.Header["Content-Length"] != nil:
		framing, length = Length, req.ContentLength
	}
	if framing != h.Framing || length != h.Length {
		t.Errorf("%q: we read framing %v, %d, net/http %v, %d", head, h.Framing, h.Length, framing, length)
	}
	sameFields(t, head, h.Fields, req.Header, Host)
}

// netHTTPRefusesRequest lists for what net/http refuses a request that we take.
func netHTTPRefusesRequest(h *RequestHead) bool {
	// It decodes the target's path at once; escapes there are the upstream's to judge.
	path, _, _ := strings.Cut(string(h.URI), "?")
	if _, err := url.PathUnescape(path); err != nil {
		return true
	}
	return netHTTPRefusesFraming(h.Fields)
}

// netHTTPRefusesFraming lists for which framing fields net/http refuses a message that we take.
func netHTTPRefusesFraming(fields []Field) bool {
	length := []byte(nil)
	for _, f := range fields {
		switch f.Known {
		case ContentLength:
			// One number is one number to us, repeated in a list (9112 6.3) or written as 5 and 05.
			if bytes.IndexByte(f.Value, ',') >= 0 || length != nil && !bytes.Equal(length, f.Value) {
				return true
			}
			length = f.Value
		case TransferEncoding:
			// Empty elements of the list are none to us (9110 5.6.1.2).
			if !EqualFold(f.Value, "chunked") {
				return true
			}
		case Trailer:
			// It looks into the announcement of trailers; we make that anew.
			for e := range Elements(f.Value) {
				switch Lookup(e) {
				case ContentLength, TransferEncoding, Trailer:
					return true
				}
			}
		}
	}
	return false
}

// sameFields holds our fields against net/http's, but for those that it takes out, and Cache-Control, which it adds.
func sameFields(t *testing.T, head []byte, fields []Field, header http.Header, but ...Name) {
	t.Helper()
	ours := http.Header{}
	for _, f := range fields {
		if f.Known != TransferEncoding && f.Known != ContentLength && f.Known != Trailer && !slices.Contains(but, f.Known) {
			key := textproto.CanonicalMIMEHeaderKey(string(f.Name))
			ours[key] = append(ours[key], string(f.Value))
		}
	}
	for key, values := range ours {
		if key == "Connection" && header[key] == nil {
			continue // taken out when it says close
		}
		if !slices.Equal(values, header[key]) {
			t.Errorf("%q: we read %s as %q, net/http as %q", head, key, values, header[key])
		}
	}
	for key, values := range header {
		if _, ok := ours[key]; !ok && key != "Cache-Control" && key != "Content-Length" && key != "Trailer" {
			t.Errorf("%q: net/http reads %s as %q, we do not", head, key, values)
		}
	}
}

func FuzzResponseHead(f *testing.F) {
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\n\r\n",
		"HTTP/1.0 404\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 206 \r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\nConnection: close, x\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 7, 7\r\nTrailer: A\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink:</b>\r\n\r\n",
	} {
		f.Add([]byte(head), false)
		f.Add([]byte(head), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, toHead bool) { checkResponseHead(t, spell(b), toHead) })
}

func checkResponseHead(t *testing.T, b []byte, toHead bool) {
	end := HeadEnd(b, 0)
	if end < 0 {
		return
	}
	head := b[:end]
	method := "GET"
	if toHead {
		method = "HEAD"
	}
	var h ResponseHead
	if err := h.Parse(head); err != nil {
		if syntax, ok := errors.AsType[*SyntaxError](err); !ok || syntax.Offset < 0 || syntax.Offset >= len(head) {
			t.Fatalf("Parse(%q) = %v, want a SyntaxError inside the head", head, err)
		}
		return
	}
	framing, length, err := ResponseFraming(h.Fields, h.Minor, h.Status, []byte(method))
	if err != nil {
		if framing != NoBody || length != -1 {
			t.Fatalf("%q: %v, %d beside %v", head, framing, length, err)
		}
		return
	}

	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: method})
	if err != nil {
		if !netHTTPRefusesFraming(h.Fields) {
			t.Fatalf("we take %q, net/http says %v", head, err)
		}
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != h.Status || resp.ProtoMajor != 1 || resp.ProtoMinor != h.Minor {
		t.Errorf("%q: we read 1.%d %d, net/http %s %d", head, h.Minor, h.Status, resp.Proto, resp.StatusCode)
	}
	if _, reason, _ := strings.Cut(resp.Status, " "); strings.Trim(reason, " \t") != string(h.Reason) {
		t.Errorf("%q: we read reason %q, net/http status %q", head, h.Reason, resp.Status)
	}
	// What net/http does with the content that would follow says how it frames it.
	goFraming, goLength := UntilClose, int64(-1)
	switch {
	case resp.Body == http.NoBody && (toHead || h.Status < 200 || h.Status == 204 || h.Status == 304):
		goFraming, goLength = NoBody, length // it forgets a length that means nothing
	case slices.Equal(resp.TransferEncoding, []string{"chunked"}):
		goFraming = Chunked
	case resp.ContentLength >= 0:
		goFraming, goLength = Length, resp.ContentLength
	}
	if goFraming != framing || goLength != length {
		t.Errorf("%q to %s: we read framing %v, %d, net/http %v, %d", head, method, framing, length, goFraming, goLength)
	}
	var hops Hops
	hops.ReadHops(h.Fields)
	wantClose := hops.Close || h.Minor == 0 && !hops.Keep || framing == UntilClose
	if resp.Close != wantClose {
		t.Errorf("%q to %s: we read close %v, net/http %v", head, method, wantClose, resp.Close)
	}
	sameFields(t, head, h.Fields, resp.Header)
}

func FuzzChunkReader(f *testing.F) {
	for _, b := range []string{
		"3\r\nabc\r\n0\r\n\r\n",
		"1;a=\"b\\\";\" \r\nx\r\nA \t;c\r\n0123456789\r\n00\r\nA: b\r\n\r\nGET",
		"0 \r\nA: b\r\nC:d\r\n\r\n",
		"10000000000000003\r\nabc",
		"2\r\nab\r0",
		"1\r\na\r\n0\r\nA\n\r\n",
	} {
		f.Add([]byte(b), uint32(1<<16+4))
	}
	f.Fuzz(func(t *testing.T, b []byte, split uint32) { checkChunkReader(t, spell(b), split) })
}

func checkChunkReader(t *testing.T, b []byte, split uint32) {
	var r ChunkReader
	before := bytes.Clone(b)
	whole := dechunk(t, &r, b)
	if !bytes.Equal(b, before) {
		t.Fatalf("Next changed %q to %q", before, b)
	}
	// Split in three at any places, and in single bytes.
	first := int(split>>16) % (len(b) + 1)
	second := first + int(split&0xffff)%(len(b)-first+1)
	var single [][]byte
	for k := range b {
		single = append(single, b[k:k+1])
	}
	for _, pieces := range [][][]byte{{b[:first], b[first:second], b[second:]}, single} {
		r.Reset()
		if got := dechunk(t, &r, pieces...); got != whole {
			t.Fatalf("%q as %q: %+v, want %+v as in one piece", b, pieces, got, whole)
		}
	}

	message := bytes.NewReader(b)
	in := bufio.NewReader(message)
	content, err := io.ReadAll(httputil.NewChunkedReader(in))
	switch {
	case !whole.done:
		// It may take more than we do, but must not see other content on the way.
		if n := min(len(content), len(whole.content)); string(content[:n]) != whole.content[:n] {
			t.Fatalf("%q: we read %q and stop, net/http reads %q", b, whole.content, content)
		}
		return
	case err != nil:
		if !netHTTPRefusesChunks(b[:whole.used]) {
			t.Fatalf("we take %q, net/http says %v", b, err)
		}
		return
	case string(content) != whole.content:
		t.Fatalf("%q: we read %q, net/http %q", b, whole.content, content)
	}
	// It leaves the trailer section unread. That begins where ours did.
	if rest, want := message.Len()+in.Buffered(), len(b)-whole.used+len(whole.trailers); rest != want {
		t.Fatalf("%q: before the trailer section net/http leaves %d bytes, we %d", b, rest, want)
	}
	// A section that is fields is the same fields to both.
	fields, err := ParseFields(nil, []byte(whole.trailers))
	if err != nil {
		return
	}
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(whole.trailers))).ReadMIMEHeader()
	if err != nil {
		t.Fatalf("we take the trailers %q, net/textproto says %v", whole.trailers, err)
	}
	for _, f := range fields {
		if values := header.Values(string(f.Name)); !slices.Contains(values, string(f.Value)) {
			t.Fatalf("trailers %q: we read %s as %q, net/textproto as %q", whole.trailers, f.Name, f.Value, values)
		}
	}
	// And what we write is what we read.
	r.Reset()
	again := AppendLastChunk(AppendChunk(nil, []byte(whole.content)), fields)
	if got := dechunk(t, &r, again); !got.done || got.content != whole.content {
		t.Fatalf("%q is read again as %+v", again, got)
	}
}

// netHTTPRefusesChunks lists for what net/http refuses a chunked content that we take. It looks at lines only, so a line in
// the content counts as well; the fuzzer finds enough others.
func netHTTPRefusesChunks(b []byte) bool {
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		size := line[:span(line, isHex)]
		switch rest := line[len(size):]; {
		case len(size) > 16: // zeros in front
			return true
		case len(size) > 0 && len(rest) > 0 && isSpace(rest[0]) && bytes.IndexByte(rest, ';') >= 0: // white space before an extension
			return true
		}
	}
	return false
}
