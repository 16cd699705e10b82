package wire

import (
	"bytes"
	"testing"
)

// Heads as a messaging client and its partner exchange them.
const (
	typicalRequest = "GET /1234567890?phone_number_id=106540352242922 HTTP/1.1\r\n" +
		"Host: waba.example.com\r\n" +
		"User-Agent: GuzzleHttp/7\r\n" +
		"Accept: */*\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\n" +
		"Connection: keep-alive\r\n" +
		"D360-API-KEY: 3gUJ5kLXhJPqXq7Hc1Qz0mAK\r\n" +
		"X-Request-Id: 4bf92f3577b34da6a3ce929d0e0e4736\r\n" +
		"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n" +
		"\r\n"
	typicalResponse = "HTTP/1.1 200 OK\r\n" +
		"Content-Type: application/json; charset=UTF-8\r\n" +
		"Access-Control-Allow-Origin: *\r\n" +
		"Strict-Transport-Security: max-age=15552000; preload\r\n" +
		"Pragma: no-cache\r\n" +
		"Cache-Control: private, no-cache, no-store, must-revalidate\r\n" +
		"facebook-api-version: v21.0\r\n" +
		"x-fb-request-id: AbCdEfGhIjKlMnOpQrStUvW\r\n" +
		"x-fb-trace-id: GTyW2kNlQ0u\r\n" +
		"x-fb-rev: 1019520000\r\n" +
		"X-FB-Debug: q0vW0dD6bAcX5lC8u9bQ8mYc1c0Jd2b6m9rJ4Hq0w3Y1T2cZk0pQeB9m5w7s6a==\r\n" +
		"Date: Tue, 20 Jan 2026 09:30:00 GMT\r\n" +
		"Connection: keep-alive\r\n" +
		"Content-Length: 331\r\n" +
		"\r\n"
)

// work is what the hot path does with bytes. Each must reach its end, and allocates nothing once its memory has grown.
func work(tb testing.TB) map[string]func() {
	request, response := []byte(typicalRequest), []byte(typicalResponse)
	lineEnd := bytes.Index(request, crlf)
	method, target, version := request[:3], request[4:lineEnd-9], request[lineEnd-8:lineEnd]
	fields := request[lineEnd+2:]
	absolute, v6 := []byte("http://other:81/a?b"), []byte("Host: [2001:db8::1]:80\r\n\r\n")
	content := bytes.Repeat([]byte("x"), 4<<10)
	chunks := AppendChunk(AppendChunk(nil, content), content)
	chunks = AppendLastChunk(chunks, []Field{{Name: []byte("A"), Value: []byte("b")}})
	get := []byte("GET")

	var req, other RequestHead
	var resp ResponseHead
	var hops Hops
	var r ChunkReader
	var trailers []Field
	var out []byte
	must := func(ok bool) {
		if !ok {
			tb.Fatal("the work was refused")
		}
	}
	return map[string]func(){
		"RequestHead": func() {
			must(req.check(method, target, version, fields) == nil)
			for i := range req.Fields {
				req.Hops.Drops(&req.Fields[i])
			}
		},
		"RequestHead/absolute": func() { must(other.check(method, absolute, version, v6) == nil) },
		"ResponseHead": func() {
			must(HeadEnd(response, 0) == len(response) && resp.Parse(response) == nil)
			framing, _, err := ResponseFraming(resp.Fields, resp.Minor, resp.Status, get)
			must(framing == Length && err == nil)
			hops.ReadHops(resp.Fields)
			for i := range resp.Fields {
				hops.Drops(&resp.Fields[i])
			}
		},
		"ChunkReader": func() {
			r.Reset()
			for b := chunks; !r.Done(); {
				_, used, err := r.Next(b)
				must(err == nil && used > 0)
				b = b[used:]
			}
			var err error
			trailers, err = ParseFields(trailers[:0], r.Trailers())
			must(err == nil && TrailerAllowed(&trailers[0]))
		},
		"Append": func() {
			out = AppendRequestLine(out[:0], method, target)
			out = AppendStatusLine(out, 200, "OK")
			out = AppendField(out, get, method)
			out = AppendField(out, "Via", "1.1 breakwater")
			out = AppendChunk(out, content)
			out = AppendLastChunk(out, trailers)
		},
	}
}

func TestNothingIsAllocated(t *testing.T) {
	for name, f := range work(t) {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", name, n)
		}
	}
}

func BenchmarkRequestHead(b *testing.B)  { benchmark(b, "RequestHead") }
func BenchmarkResponseHead(b *testing.B) { benchmark(b, "ResponseHead") }
func BenchmarkChunkReader(b *testing.B)  { benchmark(b, "ChunkReader") }

func BenchmarkHeadEnd(b *testing.B) {
	head := []byte(typicalResponse)
	for b.Loop() {
		HeadEnd(head, 0)
	}
}

func BenchmarkLookup(b *testing.B) {
	var h ResponseHead
	if err := h.Parse([]byte(typicalResponse)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for i := range h.Fields {
			Lookup(h.Fields[i].Name)
		}
	}
}

func benchmark(b *testing.B, name string) {
	f := work(b)[name]
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}
