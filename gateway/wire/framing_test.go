package wire

import (
	"errors"
	"testing"
)

// Framing that both sides refuse in the same way, and a request's (9112 6.1 to 6.3).
func TestRequestFraming(t *testing.T) {
	tests := []struct {
		name   string
		minor  int
		lines  []string
		want   Framing
		length int64
		err    error
	}{
		{"no field: no content (9112 6.3 no. 7)", 1, nil, NoBody, -1, nil},
		{"no field in HTTP/1.0: no content, never until close", 0, nil, NoBody, -1, nil},
		{"a length", 1, []string{"Content-Length: 5"}, Length, 5, nil},
		{"a length of none", 1, []string{"Content-Length: 0"}, Length, 0, nil},
		{"a length in HTTP/1.0", 0, []string{"Content-Length: 5"}, Length, 5, nil},
		{"the same length twice", 1, []string{"Content-Length: 5", "Content-Length: 5"}, Length, 5, nil},
		{"the same length in a list", 1, []string{"Content-Length: 5, 5"}, Length, 5, nil},
		{"two lengths", 1, []string{"Content-Length: 5", "Content-Length: 6"}, NoBody, -1, ErrLengths},
		{"two lengths, one of them none", 1, []string{"Content-Length: 0", "Content-Length: 6"}, NoBody, -1, ErrLengths},
		{"two lengths in a list", 1, []string{"Content-Length: 5, 6"}, NoBody, -1, ErrLength},
		{"an empty length", 1, []string{"Content-Length:"}, NoBody, -1, ErrLength},
		{"a signed length", 1, []string{"Content-Length: +5"}, NoBody, -1, ErrLength},
		{"a length that overflows", 1, []string{"Content-Length: 18446744073709551621"}, NoBody, -1, ErrLength},
		{"a second length that is wrong", 1, []string{"Content-Length: 5", "Content-Length: x"}, NoBody, -1, ErrLength},
		{"chunked", 1, []string{"Transfer-Encoding: chunked"}, Chunked, -1, nil},
		{"chunked without case (9112 7)", 1, []string{"transfer-encoding: Chunked"}, Chunked, -1, nil},
		{"chunked twice (9112 7)", 1, []string{"Transfer-Encoding: chunked, chunked"}, NoBody, -1, ErrCoding},
		{"chunked twice on two lines", 1, []string{"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"}, NoBody, -1, ErrCoding},
		{"a coding before chunked", 1, []string{"Transfer-Encoding: gzip, chunked"}, NoBody, -1, ErrOtherCoding},
		{"a coding after chunked (9112 6.3 no. 4)", 1, []string{"Transfer-Encoding: chunked, gzip"}, NoBody, -1, ErrCoding},
		{"a coding on a line before", 1, []string{"Transfer-Encoding: gzip", "Transfer-Encoding: chunked"}, NoBody, -1, ErrOtherCoding},
		{"a coding on a line after", 1, []string{"Transfer-Encoding: chunked", "Transfer-Encoding: identity"}, NoBody, -1, ErrCoding},
		{"identity, which is no coding any more (9112 7)", 1, []string{"Transfer-Encoding: identity"}, NoBody, -1, ErrCoding},
		{"a coding of a similar name", 1, []string{"Transfer-Encoding: xchunked"}, NoBody, -1, ErrCoding},
		{"chunked in quotes", 1, []string{`Transfer-Encoding: "chunked"`}, NoBody, -1, ErrCoding},
		{"chunked with a parameter", 1, []string{"Transfer-Encoding: chunked;a=b"}, NoBody, -1, ErrCoding},
		{"chunked with empty members (9110 5.6.1.2)", 1, []string{"Transfer-Encoding: , chunked,"}, Chunked, -1, nil},
		{"chunked beside an empty line (9110 5.6.1.2)", 1, []string{"Transfer-Encoding:", "Transfer-Encoding: chunked"}, Chunked, -1, nil},
		{"empty members alone", 1, []string{"Transfer-Encoding: ,"}, NoBody, -1, ErrCoding},
		{"an empty coding", 1, []string{"Transfer-Encoding:"}, NoBody, -1, ErrCoding},
		{"chunked in HTTP/1.0 (9112 6.1)", 0, []string{"Transfer-Encoding: chunked"}, NoBody, -1, ErrCoding10},
		{"chunked and a length (9112 6.3 no. 3)", 1, []string{"Transfer-Encoding: chunked", "Content-Length: 5"}, NoBody, -1, ErrCodingAndLen},
		{"a length and chunked", 1, []string{"Content-Length: 0", "Transfer-Encoding: chunked"}, NoBody, -1, ErrCodingAndLen},
		{"fields of similar names are not framing", 1, []string{"Content_Length: 5", "X-Transfer-Encoding: chunked"}, NoBody, -1, nil},
	}
	for _, test := range tests {
		fields := fieldsOf(t, test.lines...)
		f, n, err := RequestFraming(fields, test.minor)
		if f != test.want || n != test.length || !errors.Is(err, test.err) {
			t.Errorf("%s: RequestFraming(%q, %d) = %v, %d, %v, want %v, %d, %v", test.name, test.lines, test.minor, f, n, err, test.want, test.length, test.err)
		}
		if test.err == nil || errors.Is(test.err, ErrCodingAndLen) {
			continue
		}
		if _, _, err := ResponseFraming(fields, test.minor, 200, []byte("GET")); !errors.Is(err, test.err) {
			t.Errorf("%s: ResponseFraming(%q, %d): error %v, want %v", test.name, test.lines, test.minor, err, test.err)
		}
	}
}

func TestResponseFraming(t *testing.T) {
	length, chunked := []string{"Content-Length: 5"}, []string{"Transfer-Encoding: chunked"}
	tests := []struct {
		name   string
		method string
		status int
		minor  int
		lines  []string
		want   Framing
		length int64
		err    error
	}{
		{"no field: until close (9112 6.3 no. 8)", "GET", 200, 1, nil, UntilClose, -1, nil},
		{"until close in HTTP/1.0", "GET", 200, 0, nil, UntilClose, -1, nil},
		{"a length", "GET", 200, 1, length, Length, 5, nil},
		{"a length in HTTP/1.0", "GET", 200, 0, length, Length, 5, nil},
		{"the same length twice", "GET", 200, 1, []string{"Content-Length: 5", "Content-Length: 5, 5"}, Length, 5, nil},
		{"chunked", "GET", 200, 1, chunked, Chunked, -1, nil},
		{"chunked overrides a length (9112 6.3 no. 3)", "GET", 200, 1, append(chunked, length...), Chunked, -1, nil},
		{"chunked with a wrong length", "GET", 200, 1, append(chunked, "Content-Length: x"), NoBody, -1, ErrLength},
		{"an error has content", "GET", 500, 1, length, Length, 5, nil},
		{"the answer to POST has content", "POST", 201, 1, chunked, Chunked, -1, nil},
		{"no content to HEAD, whose length is GET's (9112 6.3 no. 1)", "HEAD", 200, 1, length, NoBody, 5, nil},
		{"no content to HEAD, with chunked", "HEAD", 200, 1, chunked, NoBody, -1, nil},
		{"no content to HEAD, without a field", "HEAD", 200, 1, nil, NoBody, -1, nil},
		{"methods have a case: head is not HEAD (9110 9.1)", "head", 200, 1, length, Length, 5, nil},
		{"no content with 204", "GET", 204, 1, length, NoBody, 5, nil},
		{"no content with 204, with chunked", "GET", 204, 1, chunked, NoBody, -1, nil},
		{"no content with 304, whose length is 200's", "GET", 304, 1, length, NoBody, 5, nil},
		{"no content with 100", "GET", 100, 1, nil, NoBody, -1, nil},
		{"no content with 101", "GET", 101, 1, nil, NoBody, -1, nil},
		{"no content with 103", "GET", 103, 1, length, NoBody, 5, nil},
		{"205 is framed as any other", "GET", 205, 1, length, Length, 5, nil},
		{"bad framing is refused without content too", "HEAD", 304, 1, []string{"Content-Length: 5", "Content-Length: 6"}, NoBody, -1, ErrLengths},
		{"chunked in HTTP/1.0 is refused (9112 6.1)", "GET", 200, 0, chunked, NoBody, -1, ErrCoding10},
	}
	for _, test := range tests {
		f, n, err := ResponseFraming(fieldsOf(t, test.lines...), test.minor, test.status, []byte(test.method))
		if f != test.want || n != test.length || !errors.Is(err, test.err) {
			t.Errorf("%s: ResponseFraming(%q, 1.%d, %d, %s) = %v, %d, %v, want %v, %d, %v",
				test.name, test.lines, test.minor, test.status, test.method, f, n, err, test.want, test.length, test.err)
		}
	}
}

func TestFramingWords(t *testing.T) {
	seen := map[string]bool{}
	for f := range Framing(Framings) {
		if seen[f.String()] || f.String() == "" {
			t.Errorf("framing %d is called %q: want a word of its own", f, f)
		}
		seen[f.String()] = true
	}
}
