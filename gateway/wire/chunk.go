package wire

import (
	"errors"
	"strconv"
)

// What a chunk reader refuses (9112 7.1).
var (
	ErrChunkSize    = errors.New("chunk size: expected hexadecimal digits below 2^63, then CRLF")
	ErrChunkEnd     = errors.New("chunk: expected CRLF after its content")
	ErrChunkLine    = errors.New("chunk extensions: longer than allowed")
	ErrChunkExcess  = errors.New("chunks: too much framing for so little content")
	ErrTrailerLimit = errors.New("trailer section: longer than allowed")
)

const (
	maxChunkLine = 4 << 10  // of a chunk's size and extensions, with the CRLF behind them
	maxTrailers  = 16 << 10 // of a trailer section

	// Extensions mean nothing to anybody here, and each chunk may carry some: without a limit over all of them a sender could make
	// us read for ever at the price of a content of a few bytes. A chunk may have freeChunk bytes of framing and twice its content;
	// what goes beyond adds up, what stays below is given back, and the sum may not pass maxExcess. Single bytes can still be
	// streamed as chunks of their own.
	freeChunk = 16
	maxExcess = 16 << 10
)

type chunkState uint8

const (
	atSize      chunkState = iota // before the first digit of a chunk size
	inSize                        // after it
	inGap                         // in white space behind it
	inExt                         // in the extensions
	inQuoted                      // in a quoted string there
	inEscape                      // after a backslash in it
	atSizeLF                      // after the CR that ends the line
	inContent                     // in a chunk's content
	atEndCR                       // behind the content
	atEndLF                       // behind its CR
	inTrailer                     // in the trailer section
	atTrailerLF                   // behind a CR there
	ended                         // behind the last byte of the message
)

// A ChunkReader takes the chunked coding (9112 7.1) off a content that arrives in pieces. The zero ChunkReader is at the
// start of one; Reset makes it so again. Chunk extensions are read and dropped, as an intermediary may (9112 7.1.1).
type ChunkReader struct {
	state    chunkState
	left     int64 // content bytes still to come in this chunk
	line     int   // bytes of the line so far
	excess   int64 // framing beyond what the chunks so far may have
	trailers []byte
}

// Reset makes r ready for another content. It keeps the memory of its trailer section.
func (r *ChunkReader) Reset() { *r = ChunkReader{trailers: r.trailers[:0]} }

// Done reports whether the content and its trailer section are complete.
func (r *ChunkReader) Done() bool { return r.state == ended }

// Trailers returns the field lines of the trailer section with the empty line at their end, for [ParseFields]. They hold
// until the next Reset.
func (r *ChunkReader) Trailers() []byte { return r.trailers }

// Next reads from b up to the end of a stretch of content, and returns that stretch, a view of b, with the number of bytes
// used up. It has used all of b, or returned content, or is done.
func (r *ChunkReader) Next(b []byte) (content []byte, used int, err error) {
	if used, err = r.Skip(b); err != nil || used == len(b) || r.state == ended {
		return nil, used, err
	}
	n := int(min(int64(len(b)-used), r.left))
	if r.left -= int64(n); r.left == 0 {
		r.state = atEndCR
	}
	return b[used : used+n], used + n, nil
}

// Skip takes the framing off the beginning of b and returns how many bytes it used up: content follows, or all of b has been
// used, or r is done.
func (r *ChunkReader) Skip(b []byte) (used int, err error) {
	for used < len(b) && r.state != inContent && r.state != ended {
		if err := r.frame(b[used]); err != nil {
			return used, err
		}
		used++
	}
	return used, nil
}

// frame takes one byte that is not content.
func (r *ChunkReader) frame(c byte) error {
	switch r.state {
	case atSize, inSize:
		if class[c]&isHex != 0 {
			if r.left >= 1<<59 {
				return ErrChunkSize
			}
			r.left = r.left<<4 | int64(hexValue(c))
			r.state = inSize
			r.line++
			return r.lineLimit()
		}
		if r.state == atSize {
			return ErrChunkSize
		}
		return r.sizeEnd(c)
	case inGap, inExt:
		return r.sizeEnd(c)
	case inQuoted:
		if c == '"' {
			r.state = inExt
		} else if c == '\\' {
			r.state = inEscape
		}
		return r.extByte(c)
	case inEscape:
		r.state = inQuoted
		return r.extByte(c)
	case atSizeLF:
		if c != '\n' {
			return ErrChunkSize
		}
		const ends = int64(len("\r\n\r\n"))
		content := min(r.left, maxExcess) // more leaves nothing in any case
		r.excess = max(0, r.excess+int64(r.line)+ends-freeChunk-2*content)
		r.line = 0
		if r.state = inContent; r.left == 0 {
			r.state = inTrailer
		}
		if r.excess > maxExcess {
			return ErrChunkExcess
		}
	case atEndCR:
		if c != '\r' {
			return ErrChunkEnd
		}
		r.state = atEndLF
	case atEndLF:
		if c != '\n' {
			return ErrChunkEnd
		}
		r.state = atSize
	case inTrailer, atTrailerLF:
		return r.trailerByte(c)
	}
	return nil
}

// sizeEnd takes a byte behind a chunk size or in its extensions.
func (r *ChunkReader) sizeEnd(c byte) error {
	switch {
	case c == '\r':
		r.state = atSizeLF
		return nil
	case r.state != inExt && isSpace(c): // 9112 7.1.1: "bad" white space before the semicolon
		r.state = inGap
	case r.state != inExt && c != ';':
		return ErrChunkSize
	case c == '"':
		r.state = inQuoted
	default:
		r.state = inExt
	}
	return r.extByte(c)
}

func (r *ChunkReader) extByte(c byte) error {
	if class[c]&isValue == 0 {
		return ErrChunkSize
	}
	r.line++
	return r.lineLimit()
}

func (r *ChunkReader) lineLimit() error {
	if r.line+len(crlf) > maxChunkLine {
		return ErrChunkLine
	}
	return nil
}

// trailerByte gathers the trailer section up to the empty line that ends it.
func (r *ChunkReader) trailerByte(c byte) error {
	if len(r.trailers) >= maxTrailers {
		return ErrTrailerLimit
	}
	r.trailers = append(r.trailers, c)
	switch {
	case r.state == inTrailer && c == '\r':
		r.state = atTrailerLF
	case r.state == inTrailer && c == '\n':
		return &SyntaxError{len(r.trailers) - 1, "a trailer line that ends in CRLF"}
	case r.state == inTrailer:
		r.line++
	case c != '\n':
		return &SyntaxError{len(r.trailers) - 1, "a trailer line that ends in CRLF"}
	case r.line == 0:
		r.state = ended
	default:
		r.state, r.line = inTrailer, 0
	}
	return nil
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lower(c) - 'a' + 10
}

// AppendChunk appends content to dst as one chunk. Empty content appends nothing: it would end the message.
func AppendChunk(dst, content []byte) []byte {
	if len(content) == 0 {
		return dst
	}
	dst = strconv.AppendInt(dst, int64(len(content)), 16)
	dst = append(dst, crlf...)
	dst = append(dst, content...)
	return append(dst, crlf...)
}

// AppendLastChunk appends the end of a chunked content: the last chunk, and the trailer section.
func AppendLastChunk(dst []byte, trailers []Field) []byte {
	dst = append(dst, "0\r\n"...)
	for i := range trailers {
		dst = AppendField(dst, trailers[i].Name, trailers[i].Value)
	}
	return append(dst, crlf...)
}

// TrailerAllowed reports whether a trailer section may hold f (9110 6.5.1): nothing that frames or routes a message, or that
// is for one hop, or that is this gateway's to say: some recipients merge trailers into the head.
func TrailerAllowed(f *Field) bool {
	switch f.Known {
	case ContentLength, Host, ContentEncoding, ContentType, Expect, MaxForwards, RequestID, Trailer, Via:
		return false
	}
	return !f.Known.HopByHop() && !f.Known.TellsOrigin()
}
