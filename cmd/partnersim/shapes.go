package main

import (
	"strconv"
	"strings"
)

// A shape is one way to put a response onto the wire, byte by byte.
type shape struct {
	name  string
	valid bool
	// recipient is what a careful recipient does with it:
	//	whole          takes content and trailers as they are
	//	whole-or-error takes it so, or refuses it: HTTP leaves the choice
	//	error          refuses it, or cuts its own message where this one broke; never shows it as whole
	recipient string
	does      string
	onlyHEAD  bool
	write     func(*wire)
}

// fits reports whether s is for this request: some are only for HEAD, the others only for what may have a body.
func (s *shape) fits(x *exchange) bool {
	return s.onlyHEAD == (string(x.req.method) == "HEAD")
}

func shapeByName(name string) *shape {
	for i := range shapes {
		if shapes[i].name == name {
			return &shapes[i]
		}
	}
	return nil
}

func shapeNames() (names []string) {
	for _, s := range shapes {
		names = append(names, s.name)
	}
	return names
}

const (
	chunkedField = "Transfer-Encoding: chunked\r\n"
	lastChunk    = "0\r\n"
	trailers     = "X-Sim-Checksum: 5f3a9c01\r\nX-Sim-Note: sent after the body\r\n"
	// stray is what no client asked for: whoever shows it to a client has mixed up responses.
	stray = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nSTRAY RESPONSE"
)

var shapes = []shape{
	// Valid ones.
	{"one-byte-chunks", true, "whole", "chunks of one byte", false, func(w *wire) {
		w.x.plan.chunkBytes = 1
		chunkedAs(w, "", chunk, lastChunk+"\r\n")
	}},
	{"mixed-chunks", true, "whole", "chunks of 1, 2, 3, … bytes", false, func(w *wire) {
		n := 0
		chunkedAs(w, "", func(w *wire, p []byte) {
			for len(p) > 0 {
				n = min(n%4096+1, len(p))
				chunk(w, p[:n])
				p = p[n:]
			}
		}, lastChunk+"\r\n")
	}},
	{"chunk-extensions", true, "whole", "chunk extensions with and without value, quoted too, on the last chunk as well", false, func(w *wire) {
		chunkedAs(w, "", sizedAs(func(n int) string {
			return strconv.FormatInt(int64(n), 16) + `;sim;part=1;note="a;b\"c 0"`
		}), "0;last=yes\r\n\r\n")
	}},
	{"chunk-size-zeros", true, "whole", "chunk sizes with leading zeros", false, func(w *wire) {
		chunkedAs(w, "", sizedAs(func(n int) string { return "00000" + strconv.FormatInt(int64(n), 16) }), "000\r\n\r\n")
	}},
	{"chunk-size-upper-case", true, "whole", "chunk sizes in upper case", false, func(w *wire) {
		chunkedAs(w, "", sizedAs(func(n int) string { return strings.ToUpper(strconv.FormatInt(int64(n), 16)) }), lastChunk+"\r\n")
	}},
	{"trailers-announced", true, "whole", "trailers, named by Trailer", false, func(w *wire) {
		chunkedAs(w, "Trailer: X-Sim-Checksum, X-Sim-Note\r\n", chunk, lastChunk+trailers+"\r\n")
	}},
	{"trailers-unannounced", true, "whole", "trailers that nothing announced", false, func(w *wire) {
		chunkedAs(w, "", chunk, lastChunk+trailers+"\r\n")
	}},
	{"zero-length-chunked", true, "whole", "an empty body, chunked", false, func(w *wire) {
		w.head(chunkedField)
		w.raw(lastChunk + "\r\n")
	}},
	{"zero-length", true, "whole", "an empty body with Content-Length: 0", false, func(w *wire) { w.head("Content-Length: 0\r\n") }},
	{"no-content", true, "whole", "204 without a body and without framing", false, func(w *wire) {
		w.x.reply.status = 204
		w.head("")
	}},
	{"until-close", true, "whole", "a body that ends with the connection", false, func(w *wire) {
		w.x.c.close = true
		w.head("")
		w.body(plain)
	}},
	{"interim-100", true, "whole", "100 Continue, asked or not, before the response", false, func(w *wire) {
		w.raw("HTTP/1.1 100 Continue\r\n\r\n")
		w.whole()
	}},
	{"interim-103", true, "whole", "103 Early Hints with fields before the response", false, func(w *wire) {
		w.raw("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
		w.flush()
		w.whole()
	}},
	{"interim-many", true, "whole", "102, 103, 103 and an unknown 1xx before the response, in one write with it", false, func(w *wire) {
		w.raw("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" +
			"HTTP/1.1 103 Early Hints\r\nLink: </b>; rel=preload\r\n\r\nHTTP/1.1 199 Odd\r\nX-Odd: 1\r\n\r\n")
		w.whole()
	}},
	{"head-with-length", true, "whole", "HEAD: the Content-Length that GET would have", true, func(w *wire) { w.head(lengthOf) }},
	{"head-chunked", true, "whole", "HEAD: Transfer-Encoding as GET would have it, and no chunk", true, func(w *wire) { w.head(chunkedField) }},
	{"head-without-framing", true, "whole", "HEAD: neither length nor coding; the connection stays", true, func(w *wire) { w.head("") }},
	{"no-reason", true, "whole", "a status line without reason phrase", false, func(w *wire) {
		w.edited(func(head string) string { return head[:len("HTTP/1.1 200 ")] + head[strings.Index(head, "\r\n"):] })
	}},
	{"length-then-garbage", true, "whole", "a whole response with bytes after it that belong to nothing; the connection must not be used again", false, func(w *wire) {
		w.head(lengthOf)
		w.body(plain)
		w.pauseAt(atAfter)
		w.raw("garbage after the response\r\n")
	}},
	{"chunked-then-garbage", true, "whole", "the same after a chunked response", false, func(w *wire) {
		chunkedAs(w, "", chunk, lastChunk+"\r\n")
		w.pauseAt(atAfter)
		w.raw("garbage after the response\r\n")
	}},
	{"second-response", true, "whole", "a whole response and a second one that nobody asked for; the connection must not be used again", false, func(w *wire) {
		w.head(lengthOf)
		w.body(plain)
		w.pauseAt(atAfter)
		w.raw(stray)
	}},

	// Invalid, but HTTP lets a recipient make sense of them.
	{"same-length-twice", false, "whole-or-error", "Content-Length twice with the same value", false, func(w *wire) { lengthAs(w, "Content-Length: $\r\nContent-Length: $\r\n") }},
	{"same-length-list", false, "whole-or-error", "Content-Length as a list of one value twice", false, func(w *wire) { lengthAs(w, "Content-Length: $, $\r\n") }},
	{"length-and-chunked", false, "whole-or-error", "Content-Length and chunked: chunked decides, the connection must not be used again", false, func(w *wire) {
		chunkedAs(w, "Content-Length: 5\r\n", chunk, lastChunk+"\r\n")
	}},
	{"identity", false, "whole-or-error", "Transfer-Encoding: identity, which HTTP no longer has; the body ends with the connection", false, func(w *wire) {
		w.x.c.close = true
		w.head("Transfer-Encoding: identity\r\n")
		w.body(plain)
	}},
	{"identity-and-length", false, "whole-or-error", "Transfer-Encoding: identity and Content-Length", false, func(w *wire) {
		w.x.c.close = true
		lengthAs(w, "Transfer-Encoding: identity\r\nContent-Length: $\r\n")
	}},
	{"bare-lf", false, "whole-or-error", "lines of the head ended by LF alone", false, func(w *wire) {
		w.edited(func(head string) string { return strings.ReplaceAll(head, "\r\n", "\n") })
	}},
	{"folded-field", false, "whole-or-error", "a field value continued on a second line", false, func(w *wire) {
		w.edited(func(head string) string { return withField(head, "X-Folded: one\r\n two") })
	}},
	{"head-with-body", false, "whole-or-error", "HEAD: a body follows; the connection must not be used again", true, func(w *wire) {
		w.head(lengthOf)
		w.body(plain)
	}},

	// Invalid.
	{"different-lengths", false, "error", "Content-Length twice with different values", false, func(w *wire) { lengthAs(w, "Content-Length: $\r\nContent-Length: 7\r\n") }},
	{"different-length-list", false, "error", "Content-Length as a list of different values", false, func(w *wire) { lengthAs(w, "Content-Length: $, 7\r\n") }},
	{"negative-length", false, "error", "Content-Length: -1", false, func(w *wire) { lengthAs(w, "Content-Length: -1\r\n") }},
	{"signed-length", false, "error", "Content-Length with a plus sign", false, func(w *wire) { lengthAs(w, "Content-Length: +$\r\n") }},
	{"hex-length", false, "error", "Content-Length: 0x10", false, func(w *wire) { lengthAs(w, "Content-Length: 0x10\r\n") }},
	{"huge-length", false, "error", "a Content-Length beyond 64 bits", false, func(w *wire) { lengthAs(w, "Content-Length: 99999999999999999999\r\n") }},
	{"chunked-twice", false, "error", "Transfer-Encoding: chunked, chunked", false, func(w *wire) { codedAs(w, "Transfer-Encoding: chunked, chunked\r\n") }},
	{"chunked-not-last", false, "error", "Transfer-Encoding: chunked, gzip", false, func(w *wire) { codedAs(w, "Transfer-Encoding: chunked, gzip\r\n") }},
	{"unknown-coding", false, "error", "Transfer-Encoding: sim, chunked", false, func(w *wire) { codedAs(w, "Transfer-Encoding: sim, chunked\r\n") }},
	{"bad-chunk-size", false, "error", "a chunk size that is no number", false, func(w *wire) { badSize(w, "xyz") }},
	{"negative-chunk-size", false, "error", "a chunk size of -1", false, func(w *wire) { badSize(w, "-1") }},
	{"prefixed-chunk-size", false, "error", "a chunk size written 0x5", false, func(w *wire) { badSize(w, "0x5") }},
	{"huge-chunk-size", false, "error", "a chunk size beyond 64 bits", false, func(w *wire) { badSize(w, "10000000000000005") }},
	{"empty-chunk-size", false, "error", "an empty line where a chunk size belongs", false, func(w *wire) { badSize(w, "") }},
	{"chunk-missing-crlf", false, "error", "no CRLF after a chunk's data", false, func(w *wire) {
		chunkedAs(w, "", func(w *wire, p []byte) {
			w.raw(strconv.FormatInt(int64(len(p)), 16) + "\r\n")
			plain(w, p)
		}, lastChunk+"\r\n")
	}},
	{"chunk-too-long", false, "error", "more data than the chunk size says", false, func(w *wire) {
		chunkedAs(w, "", func(w *wire, p []byte) {
			w.raw(strconv.FormatInt(int64(len(p)), 16) + "\r\n")
			plain(w, p)
			w.raw("more\r\n")
		}, lastChunk+"\r\n")
	}},
	{"bad-trailer", false, "error", "a trailer line without colon", false, func(w *wire) { chunkedAs(w, "", chunk, lastChunk+"no colon here\r\n\r\n") }},
	{"bad-status-line", false, "error", "a status line with a word for a status", false, func(w *wire) {
		w.edited(func(head string) string { return "HTTP/1.1 OK" + head[strings.Index(head, "\r\n"):] })
	}},
	{"no-status-line", false, "error", "a body without any head (HTTP/0.9)", false, func(w *wire) {
		w.x.c.close = true
		w.body(plain)
	}},
	{"status-99", false, "error", "status 099", false, func(w *wire) {
		w.edited(func(head string) string { return "HTTP/1.1 099 Odd" + head[strings.Index(head, "\r\n"):] })
	}},
	{"version-2", false, "error", "HTTP/2.0 in a status line of HTTP/1.1", false, func(w *wire) {
		w.headAs("HTTP/2.0", lengthOf)
		w.body(plain)
	}},
	{"space-before-colon", false, "error", "a space between a field name and its colon", false, func(w *wire) {
		w.edited(func(head string) string { return withField(head, "X-Odd : 1") })
	}},
	{"field-without-colon", false, "error", "a field line without colon", false, func(w *wire) {
		w.edited(func(head string) string { return withField(head, "X-Odd") })
	}},
	{"nul-in-field", false, "error", "a NUL in a field value", false, func(w *wire) {
		w.edited(func(head string) string { return withField(head, "X-Odd: a\x00b") })
	}},
	{"cr-in-field", false, "error", "a bare CR in a field value", false, func(w *wire) {
		w.edited(func(head string) string { return withField(head, "X-Odd: a\rb") })
	}},
	{"huge-head", false, "error", "a head of 1 MiB", false, func(w *wire) {
		w.edited(func(head string) string {
			return withField(head, strings.Repeat("X-Long: "+strings.Repeat("a", 1014)+"\r\n", 1024)+"X-Last: 1")
		})
	}},
	{"switching-unasked", false, "error", "101 Switching Protocols that nobody asked for", false, func(w *wire) {
		w.raw("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: sim\r\n\r\n")
		w.whole()
	}},

	// Truncated: the status is out and promised a whole body. The option cut says how the connection ends.
	{"truncated-head", false, "error", "cut within the head", false, func(w *wire) {
		w.head(lengthOf)
		w.x.c.out = w.x.c.out[:len(w.x.c.out)*2/3]
		w.cut(w.x.plan.cutByReset)
	}},
	{"truncated-length", false, "error", "cut after half of the body, with Content-Length", false, func(w *wire) {
		w.x.plan.cutAt = w.x.reply.length() / 2
		w.head(lengthOf)
		w.body(plain)
	}},
	{"truncated-length-empty", false, "error", "cut before the first byte of the body, with Content-Length", false, func(w *wire) {
		w.head(lengthOf)
		w.cut(w.x.plan.cutByReset)
	}},
	{"truncated-chunk-size", false, "error", "cut within a chunk size, after a whole chunk", false, func(w *wire) { chunkedAndCut(w, "1f") }},
	{"truncated-chunk-data", false, "error", "cut within a chunk's data", false, func(w *wire) {
		w.head(chunkedField)
		w.raw(strconv.FormatInt(w.x.reply.length(), 16) + "\r\n")
		w.x.plan.cutAt = w.x.reply.length() / 2
		w.body(plain)
	}},
	{"truncated-chunk-end", false, "error", "cut between a chunk's data and its CRLF", false, func(w *wire) {
		w.head(chunkedField)
		w.raw(strconv.FormatInt(w.x.reply.length(), 16) + "\r\n")
		w.body(plain)
		w.cut(w.x.plan.cutByReset)
	}},
	{"truncated-between-chunks", false, "error", "cut after a whole chunk, before the last one", false, func(w *wire) { chunkedAndCut(w, "") }},
	{"truncated-last-chunk", false, "error", "cut after the last chunk's line, before the empty one", false, func(w *wire) { chunkedAndCut(w, lastChunk) }},
	{"truncated-trailers", false, "error", "cut within the trailers", false, func(w *wire) { chunkedAndCut(w, lastChunk+"X-Sim-Checksum: 5f3a") }},
}

// chunkedAs sends a chunked response: fields in the head, the data through emit, then end.
func chunkedAs(w *wire, fields string, emit func(*wire, []byte), end string) {
	w.head(fields + chunkedField)
	w.body(emit)
	w.raw(end)
}

// sizedAs emits chunks with the size lines that line returns.
func sizedAs(line func(n int) string) func(*wire, []byte) {
	return func(w *wire, p []byte) {
		w.raw(line(len(p)) + "\r\n")
		plain(w, p)
		w.raw("\r\n")
	}
}

// chunkedAndCut sends every chunk, then rest in the place of the end, then cuts.
func chunkedAndCut(w *wire, rest string) {
	chunkedAs(w, "", chunk, rest)
	w.cut(w.x.plan.cutByReset)
}

// badSize sends one good chunk, then one with that size line.
func badSize(w *wire, size string) {
	chunkedAs(w, "", chunk, size+"\r\nhello\r\n"+lastChunk+"\r\n")
}

// lengthAs sends a body of which fields, with $ for the true length, say how long it is.
func lengthAs(w *wire, fields string) {
	w.head(strings.ReplaceAll(fields, "$", strconv.FormatInt(w.x.reply.length(), 10)))
	w.body(plain)
}

// codedAs sends a chunked body under another Transfer-Encoding.
func codedAs(w *wire, field string) {
	w.head(field)
	w.body(chunk)
	w.raw(lastChunk + "\r\n")
}

// edited sends a response with Content-Length after its head went through edit.
func (w *wire) edited(edit func(head string) string) {
	from := len(w.x.c.out)
	w.head(lengthOf)
	head := string(w.x.c.out[from:])
	w.x.c.out = append(w.x.c.out[:from], edit(head)...)
	w.body(plain)
}

// withField adds a line to a head.
func withField(head, line string) string {
	return strings.TrimSuffix(head, "\r\n") + line + "\r\n\r\n"
}
