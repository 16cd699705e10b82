package admit

import (
	"strconv"
	"time"
)

// An Allowance says what a client has left under one policy: the numbers of the RateLimit and RateLimit-Policy fields
// (draft-ietf-httpapi-ratelimit-headers-10).
type Allowance struct {
	Policy     string        // its name
	Quota      int           // how many requests or errors per Window
	Window     time.Duration //
	Remaining  int           // how many more now
	Reset      time.Duration // until more, or all, are left again; 0 when nothing is used up
	RetryAfter time.Duration // until the next request can pass; 0 when one can now
}

// AppendPolicy appends an item of the RateLimit-Policy field: "media-errors";q=20;w=3600.
func (a Allowance) AppendPolicy(dst []byte) []byte {
	dst = append(appendString(dst, a.Policy), ";q="...)
	dst = append(strconv.AppendInt(dst, int64(a.Quota), 10), ";w="...)
	return strconv.AppendInt(dst, Seconds(a.Window), 10)
}

// AppendLimit appends an item of the RateLimit field: "media-errors";r=17;t=2210.
func (a Allowance) AppendLimit(dst []byte) []byte {
	dst = append(appendString(dst, a.Policy), ";r="...)
	dst = strconv.AppendInt(dst, int64(a.Remaining), 10)
	if a.Reset > 0 {
		dst = strconv.AppendInt(append(dst, ";t="...), Seconds(a.Reset), 10)
	}
	return dst
}

// Seconds rounds d up to whole seconds, as Retry-After has them: who waits that long does not come too early.
func Seconds(d time.Duration) int64 { return int64((max(d, 0) + time.Second - 1) / time.Second) }

// appendString appends a structured field string (RFC 9651). What it cannot hold becomes "_".
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, c := range []byte(s) {
		switch {
		case c < ' ' || c > '~':
			dst = append(dst, '_')
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
