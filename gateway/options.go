package gateway

import (
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-gateway/breakwater/gateway/route"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
	"github.com/valyala/fasthttp"
)

// OPTIONS and TRACE ask about the way itself, and may say how far on it they go (9110 7.6.2). Those that end here are answered
// by the gateway as the last recipient.

// endsHere answers an OPTIONS or TRACE request that goes no further, and reports whether it was one.
func (x *exchange) endsHere() bool {
	trace := string(x.in.Method) == "TRACE"
	if !trace && string(x.in.Method) != "OPTIONS" {
		return false
	}
	hops, ok := x.hopsLeft()
	switch {
	case !ok:
		x.refuse(&problemMalformed, fasthttp.StatusBadRequest, "Max-Forwards: expected one decimal number")
	case trace && !slices.Contains(x.route.config.Methods, "TRACE"):
		fields := wire.AppendField(nil, "Allow", x.allowed())
		x.sendProblem(&problemMethod, fasthttp.StatusMethodNotAllowed, "this route does not take TRACE", fields, nil)
	case trace && x.in.Framing != wire.NoBody && x.in.Length != 0:
		x.refuse(&problemMalformed, fasthttp.StatusBadRequest, "a TRACE request cannot have content") // 9110 9.3.8
	case hops > 0:
		return false
	case trace:
		x.reflect()
	default:
		x.answerItself(wire.AppendField(nil, "Allow", x.allowed()), nil)
	}
	return true
}

// optionsOfAll answers an OPTIONS request that is for the server as a whole (9110 9.3.7), and reports whether it was one. No route
// takes those: a route is for paths.
func (x *exchange) optionsOfAll() bool {
	if string(x.in.URI) != "*" {
		return false
	}
	if _, ok := x.hopsLeft(); !ok {
		x.refuse(&problemMalformed, fasthttp.StatusBadRequest, "Max-Forwards: expected one decimal number")
		return true
	}
	var all []string
	for _, r := range x.snap.routes {
		if all = append(all, r.config.Methods...); len(r.config.Methods) == 0 {
			all = append(all, anyMethod...)
		}
	}
	slices.Sort(all)
	x.answerItself(wire.AppendField(nil, "Allow", strings.Join(slices.Compact(all), ", ")), nil)
	return true
}

// maxHops is the largest Max-Forwards that is passed on.
const maxHops = 1 << 20

// hopsLeft is how many more hops the request may take, and whether that can be told. Without Max-Forwards there is no end.
func (x *exchange) hopsLeft() (n int, ok bool) {
	n = maxHops
	given := false
	for i := range x.in.Fields {
		f := &x.in.Fields[i]
		if f.Known != wire.MaxForwards {
			continue
		}
		if given || len(f.Value) == 0 {
			return 0, false
		}
		n, given = 0, true
		for _, c := range f.Value {
			if c < '0' || c > '9' {
				return 0, false
			}
			n = min(n*10+int(c-'0'), maxHops)
		}
	}
	return n, true
}

// oneHopLess is the field Max-Forwards as it is passed on: counted down where it means something.
func (x *exchange) oneHopLess(f *wire.Field) wire.Field {
	less := *f
	if m := string(x.in.Method); m == "OPTIONS" || m == "TRACE" {
		n, _ := x.hopsLeft()
		d := &x.draft
		start := len(d.arena)
		d.arena = strconv.AppendInt(d.arena, int64(n-1), 10)
		less.Value = d.arena[start:len(d.arena):len(d.arena)]
	}
	return less
}

// anyMethod is what a route without methods says that it takes: it takes others as well, if the upstream does.
var anyMethod = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}

// allowed are the methods that the routes of the request's path take, as a list.
func (x *exchange) allowed() []byte {
	var params route.Params
	// A method that cannot be asks for those that are.
	_, o := x.snap.table.Match(x.in.Host, nil, pathOf(x.in.URI), &params)
	if o.State == route.MethodNotAllowed {
		return x.snap.table.AppendAllow(nil, o)
	}
	return []byte(strings.Join(anyMethod, ", "))
}

// reflect answers a TRACE request with itself (9110 9.3.8), but for what only the client and the server may know.
func (x *exchange) reflect() {
	b := append(append(append([]byte(nil), x.in.Method...), ' '), x.in.Target...)
	b = append(b, " HTTP/1."...)
	b = append(strconv.AppendInt(b, int64(x.in.Minor), 10), "\r\n"...)
	for i := range x.in.Fields {
		if f := &x.in.Fields[i]; !x.sensitive(f.Name) {
			b = wire.AppendField(b, f.Name, f.Value)
		}
	}
	x.answerItself(wire.AppendField(nil, "Content-Type", "message/http"), append(b, "\r\n"...))
}

// sensitive reports whether a field's value is likely a secret, and not for the content of a response. It may be wrong on the
// safe side.
func (x *exchange) sensitive(name []byte) bool {
	n := strings.ToLower(string(name))
	if x.snap.credential != "" && wire.EqualFold(n, x.snap.credential) {
		return true
	}
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(n, word) })
}

var secretWords = []string{"auth", "cookie", "credential", "key", "pass", "secret", "session", "signature", "token"}

// answerItself answers with success in the upstream's place.
func (x *exchange) answerItself(fields, content []byte) {
	x.answer.verdict = abi.Verdict{Class: abi.OK, Fault: abi.FaultNobody}
	x.answer.status = fasthttp.StatusOK
	x.settle()
	x.closing = x.closing || x.contentLeft()
	b := wire.AppendStatusLine(x.out[:0], fasthttp.StatusOK, "OK")
	b = wire.AppendField(b, "Date", x.g.dateOf(x.began).date)
	b = append(b, fields...)
	b = appendLength(b, int64(len(content)))
	b = append(x.appendLastFields(b), content...)
	x.sent, x.out, x.headSent = int64(len(content)), b, true
	x.flush()
}
