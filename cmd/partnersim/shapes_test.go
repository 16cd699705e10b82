package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wireOf is what stands on the wire for each shape: all that follows "Connection: close\r\n" in a response whose body is {B}, of
// {d} bytes, in hexadecimal {x}; {H} is its first half.
var wireOf = map[string]string{
	"one-byte-chunks":       chunkedField + "\r\n{1}0\r\n\r\n",
	"mixed-chunks":          chunkedField + "\r\n{123}0\r\n\r\n",
	"chunk-extensions":      chunkedField + "\r\n{x};sim;part=1;note=\"a;b\\\"c 0\"\r\n{B}\r\n0;last=yes\r\n\r\n",
	"chunk-size-zeros":      chunkedField + "\r\n00000{x}\r\n{B}\r\n000\r\n\r\n",
	"chunk-size-upper-case": chunkedField + "\r\n{X}\r\n{B}\r\n0\r\n\r\n",
	"trailers-announced":    "Trailer: X-Sim-Checksum, X-Sim-Note\r\n" + chunkedField + "\r\n{x}\r\n{B}\r\n0\r\n" + trailers + "\r\n",
	"trailers-unannounced":  chunkedField + "\r\n{x}\r\n{B}\r\n0\r\n" + trailers + "\r\n",
	"zero-length-chunked":   chunkedField + "\r\n0\r\n\r\n",
	"zero-length":           "Content-Length: 0\r\n\r\n",
	"no-content":            "\r\n",
	"until-close":           "\r\n{B}",
	"interim-100":           "Content-Length: {d}\r\n\r\n{B}",
	"interim-103":           "Content-Length: {d}\r\n\r\n{B}",
	"interim-many":          "Content-Length: {d}\r\n\r\n{B}",
	"head-with-length":      "Content-Length: {d}\r\n\r\n",
	"head-chunked":          chunkedField + "\r\n",
	"head-without-framing":  "\r\n",
	"no-reason":             "Content-Length: {d}\r\n\r\n{B}",
	"length-then-garbage":   "Content-Length: {d}\r\n\r\n{B}garbage after the response\r\n",
	"chunked-then-garbage":  chunkedField + "\r\n{x}\r\n{B}\r\n0\r\n\r\ngarbage after the response\r\n",
	"second-response":       "Content-Length: {d}\r\n\r\n{B}" + stray,

	"same-length-twice":   "Content-Length: {d}\r\nContent-Length: {d}\r\n\r\n{B}",
	"same-length-list":    "Content-Length: {d}, {d}\r\n\r\n{B}",
	"length-and-chunked":  "Content-Length: 5\r\n" + chunkedField + "\r\n{x}\r\n{B}\r\n0\r\n\r\n",
	"identity":            "Transfer-Encoding: identity\r\n\r\n{B}",
	"identity-and-length": "Transfer-Encoding: identity\r\nContent-Length: {d}\r\n\r\n{B}",
	"bare-lf":             "Content-Length: {d}\n\n{B}",
	"folded-field":        "Content-Length: {d}\r\nX-Folded: one\r\n two\r\n\r\n{B}",
	"head-with-body":      "Content-Length: {d}\r\n\r\n{B}",

	"different-lengths":     "Content-Length: {d}\r\nContent-Length: 7\r\n\r\n{B}",
	"different-length-list": "Content-Length: {d}, 7\r\n\r\n{B}",
	"negative-length":       "Content-Length: -1\r\n\r\n{B}",
	"signed-length":         "Content-Length: +{d}\r\n\r\n{B}",
	"hex-length":            "Content-Length: 0x10\r\n\r\n{B}",
	"huge-length":           "Content-Length: 99999999999999999999\r\n\r\n{B}",
	"chunked-twice":         "Transfer-Encoding: chunked, chunked\r\n\r\n{x}\r\n{B}\r\n0\r\n\r\n",
	"chunked-not-last":      "Transfer-Encoding: chunked, gzip\r\n\r\n{x}\r\n{B}\r\n0\r\n\r\n",
	"unknown-coding":        "Transfer-Encoding: sim, chunked\r\n\r\n{x}\r\n{B}\r\n0\r\n\r\n",
	"bad-chunk-size":        chunkedField + "\r\n{x}\r\n{B}\r\nxyz\r\nhello\r\n0\r\n\r\n",
	"negative-chunk-size":   chunkedField + "\r\n{x}\r\n{B}\r\n-1\r\nhello\r\n0\r\n\r\n",
	"prefixed-chunk-size":   chunkedField + "\r\n{x}\r\n{B}\r\n0x5\r\nhello\r\n0\r\n\r\n",
	"huge-chunk-size":       chunkedField + "\r\n{x}\r\n{B}\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
	"empty-chunk-size":      chunkedField + "\r\n{x}\r\n{B}\r\n\r\nhello\r\n0\r\n\r\n",
	"chunk-missing-crlf":    chunkedField + "\r\n{x}\r\n{B}0\r\n\r\n",
	"chunk-too-long":        chunkedField + "\r\n{x}\r\n{B}more\r\n0\r\n\r\n",
	"bad-trailer":           chunkedField + "\r\n{x}\r\n{B}\r\n0\r\nno colon here\r\n\r\n",
	"bad-status-line":       "Content-Length: {d}\r\n\r\n{B}",
	"no-status-line":        "{B}",
	"status-99":             "Content-Length: {d}\r\n\r\n{B}",
	"version-2":             "Content-Length: {d}\r\n\r\n{B}",
	"space-before-colon":    "Content-Length: {d}\r\nX-Odd : 1\r\n\r\n{B}",
	"field-without-colon":   "Content-Length: {d}\r\nX-Odd\r\n\r\n{B}",
	"nul-in-field":          "Content-Length: {d}\r\nX-Odd: a\x00b\r\n\r\n{B}",
	"cr-in-field":           "Content-Length: {d}\r\nX-Odd: a\rb\r\n\r\n{B}",
	"huge-head":             "Content-Length: {d}\r\n{huge}\r\n\r\n{B}",
	"switching-unasked":     "Content-Length: {d}\r\n\r\n{B}",

	"truncated-head":           "",
	"truncated-length":         "Content-Length: {d}\r\n\r\n{H}",
	"truncated-length-empty":   "Content-Length: {d}\r\n\r\n",
	"truncated-chunk-size":     chunkedField + "\r\n{x}\r\n{B}\r\n1f",
	"truncated-chunk-data":     chunkedField + "\r\n{x}\r\n{H}",
	"truncated-chunk-end":      chunkedField + "\r\n{x}\r\n{B}",
	"truncated-between-chunks": chunkedField + "\r\n{x}\r\n{B}\r\n",
	"truncated-last-chunk":     chunkedField + "\r\n{x}\r\n{B}\r\n0\r\n",
	"truncated-trailers":       chunkedField + "\r\n{x}\r\n{B}\r\n0\r\nX-Sim-Checksum: 5f3a",
}

// beginsWith is how a response begins, where not with "HTTP/1.1 200 OK".
var beginsWith = map[string]string{
	"no-content":        "HTTP/1.1 204 No Content\r\n",
	"interim-100":       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
	"interim-103":       "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n",
	"interim-many":      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>; rel=preload\r\n\r\nHTTP/1.1 199 Odd\r\nX-Odd: 1\r\n\r\nHTTP/1.1 200 OK\r\n",
	"no-reason":         "HTTP/1.1 200 \r\n",
	"bare-lf":           "HTTP/1.1 200 OK\n",
	"bad-status-line":   "HTTP/1.1 OK\r\n",
	"no-status-line":    "{",
	"status-99":         "HTTP/1.1 099 Odd\r\n",
	"version-2":         "HTTP/2.0 200 OK\r\n",
	"switching-unasked": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: sim\r\n\r\nHTTP/1.1 200 OK\r\n",
}

// chunksOf cuts b into chunks of sizes that grow from 1 by step.
func chunksOf(b string, step int) (out string) {
	for n := 1; b != ""; n += step {
		n = min(n, len(b))
		out += fmt.Sprintf("%x\r\n%s\r\n", n, b[:n])
		b = b[n:]
	}
	return out
}

func frozen(o *options) {
	at := time.Unix(1_768_910_820, 0) // so that a media object is the same every time
	o.now = func() time.Time { return at }
}

func TestShapesByteForByte(t *testing.T) {
	r := start(t, frozen)
	body := r.ask(get("/12345")).text
	fill := strings.NewReplacer(
		"{B}", body, "{H}", body[:len(body)/2], "{d}", strconv.Itoa(len(body)), "{x}", fmt.Sprintf("%x", len(body)), "{X}", fmt.Sprintf("%X", len(body)),
		"{1}", chunksOf(body, 0), "{123}", chunksOf(body, 1), "{huge}", strings.Repeat("X-Long: "+strings.Repeat("a", 1014)+"\r\n", 1024)+"X-Last: 1",
	)
	for i := range shapes {
		s := &shapes[i]
		for _, writes := range []string{"together", "apart"} {
			t.Run(s.name+"/"+writes, func(t *testing.T) {
				r := &rig{r.simulator, t}
				r.scenario("framing", fmt.Sprintf(`{"options":{"shape":%q,"writes":%q}}`, s.name, writes))
				defer r.must("DELETE", "/scenarios", "", nil)
				method := "GET"
				if s.onlyHEAD {
					method = "HEAD"
				}
				c := r.dial()
				c.send(requestOf(method, "/12345", "acme", "Connection: close"))
				got, err := c.rest()
				if err != nil {
					t.Fatalf("%v after %q", err, got)
				}
				begins := beginsWith[s.name]
				if begins == "" {
					begins = "HTTP/1.1 200 OK\r\n"
				}
				if !strings.HasPrefix(got, begins) {
					t.Errorf("begins %q, want %q", got[:min(len(got), len(begins)+20)], begins)
				}
				want, known := wireOf[s.name]
				switch {
				case !known:
					t.Error("no row says what this shape looks like")
				case s.name == "truncated-head":
					if strings.Contains(got, "\r\n\r\n") {
						t.Errorf("whole head %q", got)
					}
				default:
					_, after, ok := strings.Cut(got, "Connection: close\r\n")
					if s.name == "bare-lf" {
						_, after, ok = strings.Cut(got, "Connection: close\n")
					}
					if s.name == "no-status-line" {
						after, ok = got, true
					}
					if want := fill.Replace(want); !ok || after != want {
						t.Errorf("after the common fields: %q\nwant %q", after, want)
					}
				}
			})
		}
	}
	for name := range wireOf {
		if shapeByName(name) == nil {
			t.Errorf("row %q: no such shape", name)
		}
	}
}

// A careful client is the judge of what each shape says about itself.
func TestShapesAreWhatTheySay(t *testing.T) {
	r := start(t, frozen)
	body := r.ask(get("/12345")).text
	for i := range shapes {
		s := &shapes[i]
		if s.valid != (s.recipient == "whole") {
			t.Errorf("%s: valid %v, recipient %q", s.name, s.valid, s.recipient)
		}
		if s.recipient == "whole-or-error" || s.recipient == "error" && !strings.HasPrefix(s.name, "truncated") {
			continue // Go's client uses its freedom, and is lenient where it shouldn't be
		}
		for _, cut := range []string{"fin", "reset"} {
			r.scenario("framing", fmt.Sprintf(`{"options":{"shape":%q,"cut":%q}}`, s.name, cut))
			method := "GET"
			if s.onlyHEAD {
				method = "HEAD"
			}
			req, _ := http.NewRequest(method, r.apiURL+"/12345", nil)
			req.Header.Set("Authorization", "Bearer partner-token-acme")
			var got string
			tr := &http.Transport{DisableKeepAlives: true}
			resp, err := tr.RoundTrip(req)
			if err == nil {
				var b []byte
				b, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				got = string(b)
			}
			empty := s.onlyHEAD || strings.HasPrefix(s.name, "zero-length") || s.name == "no-content"
			switch {
			case s.recipient == "error" && err == nil:
				t.Errorf("%s/%s: a careful client takes %q for whole", s.name, cut, got)
			case s.recipient == "whole" && (err != nil || got != body && !empty || empty && got != ""):
				t.Errorf("%s/%s: a careful client has %q, %v; want the whole body", s.name, cut, got, err)
			}
			if s.name == "trailers-announced" && resp.Trailer.Get("X-Sim-Note") == "" {
				t.Errorf("%s: no trailers: %v", s.name, resp.Trailer)
			}
		}
	}
}
