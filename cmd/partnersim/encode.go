package main

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"embed"
	"encoding/binary"
	"io"
	"strings"
)

// compressed holds one good answer and one error, as they are and compressed with br and zstd, for which the standard library
// has no writer.
//
//go:embed compressed
var compressed embed.FS

var codingNames = []string{"gzip", "deflate", "deflate-raw", "br", "zstd", "br-stored", "zstd-stored"}

// encode puts the reply's body under a content coding. With negotiate it does so only if the request accepts it.
func (x *exchange) encode(name string, negotiate bool) {
	coding, _, _ := strings.Cut(name, "-")
	if negotiate && !acceptsCoding(x.req.acceptEncoding, coding) {
		return
	}
	text := x.reply.text
	switch name {
	case "gzip":
		text = through(text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	case "deflate":
		text = through(text, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	case "deflate-raw": // what some servers send under that name, against RFC 9110
		text = through(text, func(w io.Writer) io.WriteCloser {
			f, _ := flate.NewWriter(w, flate.DefaultCompression) // fails for a bad level only
			return f
		})
	case "br-stored":
		text = brotliStored(text)
	case "zstd-stored":
		text = zstdStored(text)
	default:
		file := "compressed/media.json."
		if x.reply.status >= 400 {
			file = "compressed/error.json."
		}
		var err error
		if text, err = compressed.ReadFile(file + coding); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	x.reply.text = append(x.reply.text[:0:0], text...)
	x.reply.fields = append(append(append(x.reply.fields, "Content-Encoding: "...), coding...), "\r\n"...)
}

func through(text []byte, open func(io.Writer) io.WriteCloser) []byte {
	var b bytes.Buffer
	w := open(&b)
	w.Write(text) // to memory: cannot fail
	w.Close()
	return b.Bytes()
}

// acceptsCoding reports whether an Accept-Encoding names coding without q=0.
func acceptsCoding(field []byte, coding string) bool {
	for item := range strings.SplitSeq(string(field), ",") {
		name, params, _ := strings.Cut(item, ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q := strings.TrimSpace(params)
			return q == "" || strings.Trim(strings.TrimPrefix(q, "q="), "0.") != ""
		}
	}
	return false
}

// brotliStored returns a brotli stream (RFC 7932) of one uncompressed meta-block of text and the empty last one.
func brotliStored(text []byte) []byte {
	if len(text) == 0 {
		return []byte{0x06} // WBITS 16, ISLAST, ISLASTEMPTY
	}
	var out []byte
	for len(text) > 0 {
		n := min(len(text), 1<<16)
		// Bits, lowest first: WBITS 0 (window of 16 bits) in the first block only; ISLAST 0; MNIBBLES 00 (4); MLEN-1; ISUNCOMPRESSED 1.
		bits, count := uint32(0), 0
		if out == nil {
			count = 1
		}
		count += 3
		bits |= uint32(n-1) << count
		count += 16
		bits |= 1 << count
		head := binary.LittleEndian.AppendUint32(nil, bits)
		out = append(append(out, head[:3]...), text[:n]...)
		text = text[n:]
	}
	return append(out, 0x03) // ISLAST, ISLASTEMPTY
}

// zstdStored returns a zstd frame (RFC 8878) of raw blocks.
func zstdStored(text []byte) []byte {
	out := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0} // magic; single segment, content size in 4 bytes
	out = binary.LittleEndian.AppendUint32(out, uint32(len(text)))
	for first := true; first || len(text) > 0; first = false {
		n := min(len(text), 1<<16)
		head := uint32(n) << 3
		if n == len(text) {
			head |= 1 // last
		}
		out = append(out, byte(head), byte(head>>8), byte(head>>16))
		out = append(out, text[:n]...)
		text = text[n:]
	}
	return out
}
