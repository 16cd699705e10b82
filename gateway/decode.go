package gateway

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/klauspost/compress/zstd"
)

// contentCoding returns the one content coding that fields name, or "" for none, or "?" for what we cannot undo.
func contentCoding(fields []wire.Field) string {
	coding := ""
	for i := range fields {
		if fields[i].Known != wire.ContentEncoding {
			continue
		}
		for e := range wire.Elements(fields[i].Value) {
			if wire.EqualFold(e, "identity") {
				continue
			}
			if coding != "" {
				return "?" // one over another
			}
			coding = "?"
			for _, known := range []string{"gzip", "x-gzip", "deflate", "br", "zstd"} {
				if wire.EqualFold(e, known) {
					coding = known
				}
			}
		}
	}
	return coding
}

// decode appends to dst at most limit bytes of what b, the beginning of a content, says with its coding undone, and reports
// whether that is all of it. What cannot be decoded is nothing: a guess at compressed bytes would be worse than none.
func decode(dst, b []byte, limit int, coding string, all bool) ([]byte, bool) {
	if coding == "" {
		n := min(limit, len(b))
		return append(dst, b[:n]...), all && n == len(b)
	}
	var r io.Reader
	var err error
	in := bytes.NewReader(b)
	switch coding {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(in)
	case "deflate":
		if r, err = zlib.NewReader(in); err != nil { // some send it without zlib's frame (9110 8.4.1.2)
			r, err = flate.NewReader(bytes.NewReader(b)), nil
		}
	case "br":
		r = brotli.NewReader(in)
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
		if err == nil {
			defer z.Close()
			r = z
		}
	default:
		return dst, false
	}
	if err != nil {
		return dst, false
	}
	out := bytes.NewBuffer(dst)
	n, err := io.Copy(out, io.LimitReader(r, int64(limit)))
	return out.Bytes(), all && err == nil && n < int64(limit) // else it broke off where the beginning ends, or there may be more
}
