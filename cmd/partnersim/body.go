package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

var errMalformed = errors.New("malformed chunked body")

// A body is the body of the request being served, read piece by piece straight from the connection's buffer. It tells the
// record of every piece. It implements io.Reader for the multipart parser.
type body struct {
	c       *conn
	framing framing
	left    int64 // of the message, or of the chunk
	inChunk bool
	expect  bool // 100 Continue is still owed
	done    bool // the end has been seen
	err     error
	rest    []byte // of the last piece, for Read
}

func (b *body) begin(q *request) {
	*b = body{c: b.c, framing: q.framing, left: q.length, expect: q.expectContinue && !q.http10}
	b.done = q.framing == noBody || q.framing == byLength && q.length == 0
}

// next returns the next bytes of the body, good until the next call. io.EOF is its clean end; whatever else stays.
func (b *body) next() ([]byte, error) {
	if b.done {
		return nil, io.EOF
	}
	if b.err != nil {
		return nil, b.err
	}
	if b.expect {
		b.expect = false
		if b.c.r == b.c.w {
			if _, b.err = b.c.nc.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); b.err != nil {
				return nil, b.err
			}
		}
	}
	var p []byte
	p, b.err = b.piece()
	if b.err == io.EOF {
		b.done, b.err = true, nil
		return nil, io.EOF
	}
	if b.err == nil {
		b.c.x.rec.bodyPiece(p)
	}
	return p, b.err
}

func (b *body) piece() ([]byte, error) {
	c := b.c
	if b.framing == chunked && b.left == 0 {
		if err := b.chunkHead(); err != nil {
			return nil, err
		}
	}
	if b.left == 0 {
		return nil, io.EOF
	}
	if c.r == c.w {
		if b.left > smallBuffer && len(c.in) < largeBuffer {
			c.in, c.r, c.w = make([]byte, largeBuffer), 0, 0
		}
		if err := c.fill(); err != nil {
			return nil, eofIsUnexpected(err)
		}
	}
	n := min(int64(c.w-c.r), b.left)
	p := c.in[c.r : c.r+int(n)]
	c.r += int(n)
	b.left -= n
	return p, nil
}

// chunkHead reads up to the next chunk's data. After the last chunk it reads the trailers and returns io.EOF.
func (b *body) chunkHead() error {
	if b.inChunk {
		line, err := b.c.line()
		if err != nil {
			return err
		}
		if len(line) > 0 {
			return fmt.Errorf("%w: %q where a chunk's data should end with CRLF", errMalformed, line)
		}
		b.inChunk = false
	}
	line, err := b.c.line()
	if err != nil {
		return err
	}
	digits, _, _ := bytes.Cut(line, []byte(";"))
	var size int64
	for _, d := range digits {
		if unhex(d) < 0 {
			return fmt.Errorf("%w: chunk size %q: expected hexadecimal digits", errMalformed, line)
		}
		size = size<<4 | int64(unhex(d))
	}
	if len(digits) == 0 || len(digits) > 15 {
		return fmt.Errorf("%w: chunk size %q: expected 1 to 15 hexadecimal digits", errMalformed, line)
	}
	if size > 0 {
		b.left, b.inChunk = size, true
		return nil
	}
	for {
		if line, err = b.c.line(); err != nil {
			return err
		}
		if len(line) == 0 {
			return io.EOF
		}
		b.c.x.rec.trailer(line)
	}
}

func (b *body) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		piece, err := b.next()
		if err != nil {
			return 0, err
		}
		b.rest = piece
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// drain reads what is left.
func (b *body) drain() error {
	for {
		if _, err := b.next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
