package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What a chunk reader made of some bytes.
type dechunked struct {
	content, trailers string
	used              int
	done              bool
	err               string
}

// dechunk feeds pieces to r and checks what Next promises of each call.
func dechunk(t *testing.T, r *ChunkReader, pieces ...[]byte) (got dechunked) {
	t.Helper()
	var content []byte
	for _, piece := range pieces {
		for len(piece) > 0 && !r.Done() {
			skips := *r
			skipped, skipErr := skips.Skip(piece)
			stretch, used, err := r.Next(piece)
			if skipped+len(stretch) != used || fmt.Sprint(skipErr) != fmt.Sprint(err) || skips.Done() != r.Done() {
				t.Fatalf("Skip(%q) = %d, %v, where Next used %d for %d of content, %v", piece, skipped, skipErr, used, len(stretch), err)
			}
			if used < 0 || used > len(piece) {
				t.Fatalf("Next(%q) used %d bytes", piece, used)
			}
			if err == nil && len(stretch) == 0 && used < len(piece) && !r.Done() {
				t.Fatalf("Next(%q) stopped at %d without content", piece, used)
			}
			if n := len(stretch); n > 0 && &stretch[n-1] != &piece[used-1] {
				t.Fatalf("Next(%q) = %q, want a view that ends where it stopped, at %d", piece, stretch, used)
			}
			content = append(content, stretch...)
			got.used += used
			if err != nil {
				got.err = err.Error()
				got.content, got.trailers = string(content), string(r.Trailers())
				return got
			}
			piece = piece[used:]
		}
	}
	got.content, got.trailers, got.done = string(content), string(r.Trailers()), r.Done()
	return got
}

// splits calls f with b cut into two pieces at every place, into three at every pair of places if it is short, and into
// single bytes.
func splits(b []byte, f func(pieces ...[]byte)) {
	for i := range len(b) + 1 {
		f(b[:i], b[i:])
		for j := i; j <= len(b) && len(b) < 80; j++ {
			f(b[:i], b[i:j], b[j:])
		}
	}
	var single [][]byte
	for i := range b {
		single = append(single, b[i:i+1])
	}
	f(single...)
}

// everySplit feeds b in one piece, and holds every other way of feeding it against that.
func everySplit(t *testing.T, b []byte) dechunked {
	t.Helper()
	var r ChunkReader
	want := dechunk(t, &r, b)
	splits(b, func(pieces ...[]byte) {
		r.Reset()
		if got := dechunk(t, &r, pieces...); got != want {
			t.Errorf("fed as %q: %+v, want %+v as in one piece", pieces, got, want)
		}
	})
	return want
}

func TestChunkReader(t *testing.T) {
	const bare = "expected a trailer line that ends in CRLF"
	size, end := ErrChunkSize.Error(), ErrChunkEnd.Error()
	tests := []struct {
		name, bytes, content string
		rest                 string // "", "more" or the error; "done" if all is read
	}{
		{"no content (9112 7.1)", "0\r\n\r\n", "", "done"},
		{"one chunk", "3\r\nabc\r\n0\r\n\r\n", "abc", "done"},
		{"several chunks", "3\r\nabc\r\n1\r\nd\r\n2\r\nef\r\n0\r\n\r\n", "abcdef", "done"},
		{"content may look like framing", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n", "done"},
		{"a size in hexadecimal, small letters", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789", "done"},
		{"a size in hexadecimal, capitals", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", "done"},
		{"a size with zeros in front", "0003\r\nabc\r\n0000\r\n\r\n", "abc", "done"},
		{"a size in more digits than fit, all zeros in front", strings.Repeat("0", 40) + "3\r\nabc\r\n0\r\n\r\n", "abc", "done"},
		{"the greatest size", "7fffffffffffffff\r\nabc", "abc", "more"},
		{"a trailer section (9112 7.1.2)", "0\r\nA: b\r\nC: d\r\n\r\n", "", "done"},
		{"an extension (9112 7.1.1)", "3;a\r\nabc\r\n0;b=c;d\r\n\r\n", "abc", "done"},
		{"an extension with a quoted value", "3;a=\"b;\\\"c\\\\\"\r\nabc\r\n0\r\n\r\n", "abc", "done"},
		{"an extension behind a quoted one", "3;a=\"b\";c=\"d\"\r\nabc\r\n0\r\n\r\n", "abc", "done"},
		{"an extension in bytes above 0x7f", "3;a=\"\xff\"\r\nabc\r\n0\r\n\r\n", "abc", "done"},
		{"white space before an extension (9112 7.1.1: BWS)", "3 \t;a\r\nabc\r\n0\r\n\r\n", "abc", "done"},
		{"white space in an extension", "3; a = b \r\nabc\r\n0\r\n\r\n", "abc", "done"},
		{"white space behind a size, as old servers pad it", "3  \r\nabc\r\n0 \r\n\r\n", "abc", "done"},

		{"nothing yet", "", "", "more"},
		{"cut in a size", "3", "", "more"},
		{"cut behind a size's CR", "3\r", "", "more"},
		{"cut before the content", "3\r\n", "", "more"},
		{"cut in the content", "3\r\nab", "ab", "more"},
		{"cut behind the content", "3\r\nabc", "abc", "more"},
		{"cut behind the content's CR", "3\r\nabc\r", "abc", "more"},
		{"cut between chunks", "3\r\nabc\r\n", "abc", "more"},
		{"cut in the last chunk", "3\r\nabc\r\n0", "abc", "more"},
		{"cut before the trailer section", "3\r\nabc\r\n0\r\n", "abc", "more"},
		{"cut in a trailer line", "0\r\nA: b", "", "more"},
		{"cut before the empty line", "0\r\nA: b\r\n", "", "more"},
		{"cut in the empty line", "0\r\nA: b\r\n\r", "", "more"},

		{"no size", "\r\n", "", size},
		{"no size before an extension", ";a\r\n", "", size},
		{"no digit", "x\r\n", "", size},
		{"a wrong digit", "1x\r\n", "", size},
		{"a size with a prefix", "0x3\r\nabc\r\n", "", size},
		{"a signed size", "+3\r\nabc\r\n", "", size},
		{"a negative size", "-1\r\n", "", size},
		{"white space before a size", " 3\r\nabc\r\n", "", size},
		{"white space inside a size", "1 0\r\n", "", size},
		{"a size of 2^63", "8000000000000000\r\n", "", size},
		{"a size of 2^64 must not wrap to 0", "10000000000000000\r\n\r\n", "", size},
		{"a size of 2^64+3 must not wrap to 3", "10000000000000003\r\nabc", "", size},
		{"a size line in bare LF (9112 2.2)", "3\nabc\r\n", "", size},
		{"a size line in bare CR", "3\rabc\r\n", "", size},
		{"a CR too many", "3\r\r\nabc\r\n", "", size},
		{"an extension line in bare LF", "3;a\nabc\r\n", "", size},
		{"a control in an extension", "3;a\x00\r\nabc\r\n", "", size},
		{"CR in an extension's quotes", "3;a=\"\r\n\"\r\nabc\r\n", "", size},
		{"CR behind a backslash", "3;a=\"\\\r\n", "", size},
		{"LF in an extension's quotes", "3;a=\"\n\"\r\nabc\r\n", "", size},
		{"quotes that do not end", "3;a=\"b\r\nabc\r\n", "", size},
		{"content longer than its size", "3\r\nabcd\r\n0\r\n\r\n", "abc", end},
		{"content shorter than its size", "3\r\nab\r\n0\r\n\r\n", "ab\r", end},
		{"content that ends in bare LF", "3\r\nabc\n0\r\n\r\n", "abc", end},
		{"content that ends in CR and no LF", "3\r\nabc\r0\r\n\r\n", "abc", end},
		{"a chunk right behind another", "3\r\nabc3\r\nabc\r\n", "abc", end},
		{"an empty line between chunks", "3\r\nabc\r\n\r\n0\r\n\r\n", "abc", size},
		{"the empty line in bare LF", "0\r\n\n", "", "byte 0: " + bare},
		{"a trailer line in bare LF", "0\r\nA: b\n\r\n", "", "byte 4: " + bare},
		{"a bare CR in a trailer line", "0\r\nA: b\rc\r\n\r\n", "", "byte 5: " + bare},
	}
	for _, test := range tests {
		got := everySplit(t, []byte(test.bytes))
		rest := got.err
		if got.done {
			rest = "done"
		} else if rest == "" {
			rest = "more"
		}
		if got.content != test.content || rest != test.rest {
			t.Errorf("%s: %q: content %q, then %q, want %q, then %q", test.name, test.bytes, got.content, rest, test.content, test.rest)
		}
		if got.err == "" && got.used != len(test.bytes) {
			t.Errorf("%s: %q: used %d of %d bytes", test.name, test.bytes, got.used, len(test.bytes))
		}
	}
}

// Every digit of a chunk size counts as what it is (9112 7.1: HEXDIG, which has no case).
func TestChunkSizes(t *testing.T) {
	for n := range 0x1ff {
		for _, form := range []string{"%x\r\n", "%X\r\n"} {
			var r ChunkReader
			content := strings.Repeat("x", n+1)
			if got := dechunk(t, &r, fmt.Appendf(nil, form, n+1), []byte(content+"\r\n0\r\n\r\n")); !got.done || len(got.content) != n+1 {
				t.Errorf("size %x as %q: %d bytes, error %q", n+1, form, len(got.content), got.err)
			}
		}
	}
}

// What follows a message is the next one's.
func TestChunkReaderStopsBehindTheMessage(t *testing.T) {
	message := "1\r\na\r\n0\r\nA: b\r\n\r\n"
	var r ChunkReader
	got := dechunk(t, &r, []byte(message+"GET / HTTP/1.1\r\n"))
	if !got.done || got.used != len(message) {
		t.Errorf("read %+v, want done after %d bytes", got, len(message))
	}
	if content, used, err := r.Next([]byte("x")); len(content) > 0 || used > 0 || err != nil {
		t.Errorf("Next behind the end = %q, %d, %v, want nothing", content, used, err)
	}
}

func TestChunkTrailers(t *testing.T) {
	tests := []struct{ name, section, want string }{
		{"none", "\r\n", ""},
		{"in order", "A: b\r\nc:d\r\n\r\n", "A=b|c=d"},
		{"a wrong line is refused as in a head", "A b\r\n\r\n", "wrong"},
		{"a folded line is refused as in a head (9112 5.2)", "A: b\r\n c\r\n\r\n", "wrong"},
		{"NUL is refused as in a head", "A: \x00\r\n\r\n", "wrong"},
	}
	var r ChunkReader
	for _, test := range tests {
		r.Reset()
		if got := dechunk(t, &r, []byte("0\r\n"+test.section)); !got.done || got.trailers != test.section {
			t.Errorf("%s: read %+v, want the section %q", test.name, got, test.section)
			continue
		}
		fields, err := ParseFields(nil, r.Trailers())
		got := text(fields)
		if err != nil {
			got = "wrong"
		}
		if got != test.want {
			t.Errorf("%s: fields %q (%v), want %q", test.name, got, err, test.want)
		}
	}
}

func TestChunkLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	tests := []struct {
		name, bytes string
		want        error
	}{
		{"a size line as long as allowed", "3;" + long(maxChunkLine-4) + "\r\nabc\r\n0\r\n\r\n", nil},
		{"a size line longer than allowed", "3;" + long(maxChunkLine-3) + "\r\n", ErrChunkLine},
		{"a quoted extension longer than allowed", "3;a=\"" + long(maxChunkLine) + "\"\r\n", ErrChunkLine},
		{"quoted pairs count as well", "3;a=\"" + strings.Repeat(`\a`, maxChunkLine/2) + "\"\r\n", ErrChunkLine},
		{"zeros in front of a size count as well", strings.Repeat("0", maxChunkLine+1), ErrChunkLine},
		{"padding behind a size counts as well", "3" + strings.Repeat(" ", maxChunkLine), ErrChunkLine},
		{"each chunk has a line of its own", strings.Repeat("1;"+long(maxChunkLine-4)+"\r\nx\r\n", 3) + "0\r\n\r\n", nil},
		{"but all together are limited", strings.Repeat("1;"+long(maxChunkLine-4)+"\r\nx\r\n", 5), ErrChunkExcess},
		{"the last chunk's line as well", strings.Repeat("1;"+long(maxChunkLine-4)+"\r\nx\r\n", 4) + "0;" + long(200) + "\r\n\r\n", ErrChunkExcess},
		{"short ones too, if there are many", strings.Repeat("1;"+long(100)+"\r\nx\r\n", 300), ErrChunkExcess},
		{"content makes up for extensions", strings.Repeat("c8;"+long(400)+"\r\n"+long(200)+"\r\n", 1000) + "0\r\n\r\n", nil},
		{"but not for those that come after it: what was not needed is not saved up", "ffff\r\n" + long(0xffff) + "\r\n" + strings.Repeat("1;"+long(maxChunkLine-4)+"\r\nx\r\n", 5), ErrChunkExcess},
		{"single bytes may come in chunks of their own", strings.Repeat("1\r\nx\r\n", 50_000) + "0\r\n\r\n", nil},
		{"a trailer section as long as allowed", "0\r\nA: " + long(maxTrailers-7) + "\r\n\r\n", nil},
		{"a trailer section longer than allowed", "0\r\nA: " + long(maxTrailers-6) + "\r\n\r\n", ErrTrailerLimit},
		{"in many lines", "0\r\n" + strings.Repeat("A: b\r\n", maxTrailers/6+1) + "\r\n", ErrTrailerLimit},
	}
	var r ChunkReader
	for _, test := range tests {
		r.Reset()
		var err error
		for b := []byte(test.bytes); len(b) > 0 && err == nil && !r.Done(); {
			var used int
			_, used, err = r.Next(b)
			b = b[used:]
		}
		if !errors.Is(err, test.want) || r.Done() != (test.want == nil) {
			t.Errorf("%s: done %v, error %v, want %v", test.name, r.Done(), err, test.want)
		}
	}
}

// The zero ChunkReader and one that was reset in any state are the same.
func TestChunkReaderReset(t *testing.T) {
	used := []byte("3;a=\"\\b\"\r\nabc\r\n0\r\nA: b\r\n\r\n")
	next := []byte("2\r\nxy\r\n0\r\nC: d\r\n\r\n")
	var fresh ChunkReader
	want := dechunk(t, &fresh, next)
	for n := range len(used) + 1 {
		var r ChunkReader
		dechunk(t, &r, used[:n])
		r.Reset()
		if got := dechunk(t, &r, next); got != want {
			t.Errorf("after %q and Reset: %+v, want %+v", used[:n], got, want)
		}
	}
}

func TestAppendChunks(t *testing.T) {
	long := strings.Repeat("x", 0x1a2b)
	trailers := []Field{{Name: []byte("A"), Value: []byte("b")}, {Name: []byte("c")}}
	tests := []struct {
		name, want string
		got        []byte
	}{
		{"a chunk", "~3\r\nabc\r\n", AppendChunk([]byte("~"), []byte("abc"))},
		{"a long chunk", "1a2b\r\n" + long + "\r\n", AppendChunk(nil, []byte(long))},
		{"empty content would end the message, so it is nothing", "~", AppendChunk([]byte("~"), nil)},
		{"the last chunk", "~0\r\n\r\n", AppendLastChunk([]byte("~"), nil)},
		{"the last chunk with trailers", "0\r\nA: b\r\nc: \r\n\r\n", AppendLastChunk(nil, trailers)},
	}
	for _, test := range tests {
		if string(test.got) != test.want {
			t.Errorf("%s: %q, want %q", test.name, test.got, test.want)
		}
	}
	b := AppendLastChunk(AppendChunk(AppendChunk(nil, []byte("abc")), []byte(long)), trailers)
	if got := everySplit(t, b[:40]); got.err != "" {
		t.Errorf("our own chunks: %+v", got)
	}
	var r ChunkReader
	if got := dechunk(t, &r, b); !got.done || got.content != "abc"+long || got.trailers != "A: b\r\nc: \r\n\r\n" {
		t.Errorf("our own chunks are read as %d bytes, trailers %q, error %q", len(got.content), got.trailers, got.err)
	}
}

// Which trailers go on (9110 6.5.1).
func TestTrailerAllowed(t *testing.T) {
	tests := []struct {
		why   string
		allow bool
		names []string
	}{
		{"it frames the message", false, []string{"Transfer-Encoding", "Content-Length", "trailer"}},
		{"it routes the message", false, []string{"Host", "HOST"}},
		{"it steers the request", false, []string{"Expect", "Max-Forwards", "TE"}},
		{"it says how to read the content", false, []string{"Content-Encoding", "Content-Type"}},
		{"it is for one hop", false, []string{"Connection", "Keep-Alive", "Proxy-Connection", "Upgrade"}},
		{"the gateway says it, and a recipient that merges trailers would take the sender's word", false, []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Breakwater-Request-Id", "Via"}},
		{"it is what trailers are for", true, []string{"Digest", "X-Checksum", "Server-Timing", "ETag", "Date", "Content-Lengths"}},
	}
	for _, test := range tests {
		for _, name := range test.names {
			f := Field{Name: []byte(name), Known: Lookup([]byte(name))}
			if got := TrailerAllowed(&f); got != test.allow {
				t.Errorf("TrailerAllowed(%s) = %v, want %v: %s", name, got, test.allow, test.why)
			}
		}
	}
}
