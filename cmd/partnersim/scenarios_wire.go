package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

var framingKind = &kind{
	name: "framing", story: "S7",
	does: "The response goes out in a shape of HTTP/1.1 that is valid or not; GET /scenarios lists the shapes.",
	options: []option{
		{name: "shape", fallback: "one-byte-chunks", does: "which one", oneOf: shapeNames()},
		{name: "writes", fallback: "together", does: "together: as few writes as possible; apart: every piece of the body in its own", oneOf: []string{"together", "apart"}},
		{name: "pieces", fallback: 0, does: "cut the body into so many pieces (chunks, where the shape has chunks); 0: as the shape has it", max: 1 << 20},
		{name: "cut", fallback: "fin", does: "how the truncated shapes end the connection", oneOf: []string{"fin", "reset"}},
	},
	build: func(_ *active, o values) (effect, error) {
		s := shapeByName(o.word("shape"))
		apart, pieces, reset := o.word("writes") == "apart", int64(o.num("pieces")), o.word("cut") == "reset"
		return effect{reshape: func(x *exchange) {
			x.plan.shape, x.plan.cutByReset = s, reset
			x.plan.apart = x.plan.apart || apart
			if pieces > 0 {
				x.plan.pieces = pieces
			}
		}}, nil
	},
}

// driftNames are the words for what can be off with JSON, codings last.
var driftNames = append([]string{"file-size-string", "new-field", "missing-sha256", "escaped-slashes", "html"}, codingNames...)

var jsonDrift = &kind{
	name: "json-drift", story: "S8", path: mediaPath,
	does: "The JSON is no longer what it was: file_size as a string, a new field, no sha256, \\/ in the URL (media objects only), HTML under a JSON content type, or a content coding (any answer). The codings br and zstd carry pre-compressed answers, with an id that is not the one asked for; br-stored and zstd-stored carry the true one, uncompressed blocks in a valid stream.",
	options: []option{
		{name: "changes", fallback: []string{"file-size-string"}, does: "which, together", oneOf: driftNames},
		{name: "negotiate", fallback: false, does: "use a coding only when the request's Accept-Encoding names it"},
	},
	build: func(_ *active, o values) (effect, error) {
		changes, negotiate := o.list("changes"), o.flag("negotiate")
		var d drift
		var html bool
		var coding string
		for _, c := range changes {
			switch c {
			case "file-size-string":
				d |= sizeAsString
			case "new-field":
				d |= newField
			case "missing-sha256":
				d |= noSum
			case "escaped-slashes":
				d |= escapedSlashes
			case "html":
				html = true
			default:
				if coding != "" {
					return effect{}, fmt.Errorf("option \"changes\": %q and %q: expected one content coding at most", coding, c)
				}
				coding = c
			}
		}
		return effect{
			before: func(x *exchange) error {
				x.drift |= d
				return nil
			},
			reshape: func(x *exchange) {
				if x.reply.media || x.reply.contentType != "application/json" {
					return
				}
				if html {
					x.reply.text = append(x.reply.text[:0], "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>Sorry, something went wrong.</h1></body></html>\n"...)
				}
				if coding != "" {
					x.encode(coding, negotiate)
				}
			},
		}, nil
	},
}

var slowDrip = &kind{
	name: "slow-drip", story: "S11", path: downloadPath,
	does: "The body comes a little at a time. For a download of 100 MB ask for media 900100000000.",
	options: []option{
		{name: "piece_bytes", fallback: 16384, does: "bytes in one piece", min: 1, max: 1 << 30},
		{name: "every", fallback: 50 * time.Millisecond, does: "wait between pieces"},
		{name: "framing", fallback: "as-is", does: "as-is, chunked (a chunk is a piece) or until-close", oneOf: framingWords},
	},
	build: func(_ *active, o values) (effect, error) {
		bytes, every, f := int64(o.num("piece_bytes")), o.duration("every"), o.word("framing")
		return effect{reshape: func(x *exchange) {
			x.plan.pieceBytes, x.plan.every = bytes, every
			x.plan.reframe(f)
		}}, nil
	},
}

var framingWords = []string{"as-is", "content-length", "chunked", "until-close"}

// reframe sets the framing that an option names.
func (p *plan) reframe(word string) {
	switch word {
	case "content-length":
		p.framing = noBody
	case "chunked":
		p.framing = chunked
	case "until-close":
		p.framing = untilClose
	}
}

var midStreamReset = &kind{
	name: "mid-stream-reset", story: "S11", path: downloadPath,
	does: "The connection is cut in the middle of the body. A reset takes with it what the client's kernel has not yet received.",
	options: []option{
		{name: "after_bytes", fallback: -1, does: "bytes of the body before the cut; -1: half of it", min: -1, max: 1 << 40},
		{name: "by", fallback: "reset", does: "TCP reset or fin", oneOf: []string{"reset", "fin"}},
		{name: "framing", fallback: "as-is", does: "framing of the response that breaks", oneOf: framingWords},
	},
	build: func(_ *active, o values) (effect, error) {
		after, byReset, f := int64(o.num("after_bytes")), o.word("by") == "reset", o.word("framing")
		return effect{reshape: func(x *exchange) {
			x.plan.cutAt, x.plan.cutByReset = after, byReset
			if after < 0 {
				x.plan.cutAt = x.reply.length() / 2
			}
			x.plan.reframe(f)
		}}, nil
	},
}

var gateKind = &kind{
	name: "gate",
	does: "Holds responses until POST /release/NAME lets them go on; GET /gates/NAME shows what waits. NAME is the scenario's, with its label. Everything before the place of the hold has been sent then. By default the body is cut in two: head and first half go out, the rest waits.",
	options: []option{
		{name: "hold", fallback: []string{"piece"}, does: "where: request (head read, body not), head (before the response's head), body (before its body), piece (before every piece but the first), end (before the last chunk or close), after (before the next request, or before what a framing shape sends after the response)", oneOf: pointNames},
		{name: "pieces", fallback: 2, does: "cut the body into so many pieces", min: 1, max: 1 << 20},
		{name: "piece_bytes", fallback: 0, does: "or into pieces of so many bytes", max: 1 << 30},
		{name: "framing", fallback: "as-is", does: "framing of the response; with chunked a piece is a chunk", oneOf: framingWords},
	},
	build: func(a *active, o values) (effect, error) {
		a.gate = &gate{name: a.name}
		var holds point
		for _, word := range o.list("hold") {
			holds |= 1 << slices.Index(pointNames, word)
		}
		pieces, bytes, f := int64(o.num("pieces")), int64(o.num("piece_bytes")), o.word("framing")
		if bytes > 0 {
			pieces = 0
		}
		return effect{
			before: func(x *exchange) error {
				if x.plan.gate == nil {
					x.plan.gate, x.plan.holds = a.gate, holds
				}
				return nil
			},
			reshape: func(x *exchange) {
				if x.plan.gate == a.gate {
					x.plan.pieces, x.plan.pieceBytes = pieces, bytes
					x.plan.reframe(f)
				}
			},
		}, nil
	},
}

var earlyAnswer = &kind{
	name: "early-answer",
	does: "The final answer is sent before the request's body is read; no 100 Continue is sent.",
	options: []option{
		{name: "status", fallback: 413, does: "HTTP status", min: 400, max: 599},
		{name: "then", fallback: "read", does: "read the body after the answer and go on, or close the connection unread", oneOf: []string{"read", "close"}},
	},
	build: func(_ *active, o values) (effect, error) {
		f := byCode(131053)
		f.status = o.num("status")
		shut := o.word("then") == "close"
		return effect{answer: func(x *exchange) bool {
			x.early, x.body.expect = true, false
			if shut || x.req.expectContinue {
				x.c.close = true
			}
			x.refuse(f)
			return true
		}}, nil
	},
}

var latency = &kind{
	name: "latency", story: "S13",
	does: "The answer comes late.",
	options: []option{
		{name: "delay", fallback: time.Second, does: "how much later"},
		{name: "jitter", fallback: time.Duration(0), does: "up to so much more, by request"},
	},
	build: func(a *active, o values) (effect, error) {
		delay, jitter := o.duration("delay"), o.duration("jitter")
		return effect{before: func(x *exchange) error {
			d := delay
			if jitter > 0 {
				d += time.Duration(mix(a.salt+a.hits.Load()) % uint64(jitter))
			}
			return x.c.pause(d)
		}}, nil
	},
}

var hang = &kind{
	name: "hang", story: "S13",
	does: "No answer, until the scenario ends (then it comes) or the client gives up.",
	build: func(a *active, _ values) (effect, error) {
		return effect{before: func(x *exchange) error { return x.c.wait(a.ended) }}, nil
	},
}

var resetBeforeAnswer = &kind{
	name: "reset", story: "S13",
	does: "The connection is cut when the request's head has come, before any answer.",
	options: []option{
		{name: "by", fallback: "reset", does: "TCP reset or fin", oneOf: []string{"reset", "fin"}},
	},
	build: func(_ *active, o values) (effect, error) {
		byReset := o.word("by") == "reset"
		return effect{before: func(x *exchange) error {
			if byReset {
				x.c.reset()
			} else {
				x.c.tcp.CloseWrite()
			}
			return errCut
		}}, nil
	},
}

var connectionReset = &kind{
	name: "connection-reset", story: "S13", accept: true,
	does: "New connections are reset as soon as they are accepted. Those that are open go on.",
	build: func(*active, values) (effect, error) {
		return effect{accept: func(c *conn) bool {
			c.reset()
			return false
		}}, nil
	},
}

var tlsFailure = &kind{
	name: "tls-failure", story: "S13", accept: true,
	does: "The TLS handshake of new connections fails. Only for a simulator that was started with -tls-cert.",
	options: []option{{
		name: "how", fallback: "alert", oneOf: []string{"alert", "close", "reset", "plain-http", "untrusted", "hang"},
		does: "a handshake_failure alert; closed or reset after the client's hello; an answer in plain HTTP; a certificate that nobody has signed, for another name; or silence until the scenario ends",
	}},
	build: func(a *active, o values) (effect, error) {
		how := o.word("how")
		untrusted, err := certificate("untrusted.example")
		if err != nil {
			return effect{}, err
		}
		return effect{accept: func(c *conn) bool {
			if how == "untrusted" {
				tls.Server(c.tcp, untrusted).Handshake() // the client breaks it off
				return false
			}
			if c.fill() != nil { // the client's hello
				return false
			}
			switch how {
			case "alert":
				c.tcp.Write([]byte{21, 3, 3, 0, 2, 2, 40})
			case "plain-http":
				c.tcp.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
			case "reset":
				c.reset()
				return false
			case "hang":
				c.r, c.w = 0, 0
				c.wait(a.ended)
			}
			c.linger()
			return false
		}}, nil
	},
}

// certificate makes a TLS configuration with a fresh certificate for name (a host name, or 127.0.0.1) that nobody has signed.
func certificate(name string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	if ip := net.ParseIP(name); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else {
		t.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, nil
}

var errNoTLS = errors.New("this simulator speaks plain HTTP: start it with -tls-cert and -tls-key")
