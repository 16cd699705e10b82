package rfc

import (
	"fmt"
	"slices"
	"strings"
)

// Fields that are not the proxy's business pass as they are, in both directions (9110 5, 7.7).
var fieldRules = []rule{
	{"9110-5.3-order-same-name", must, "lines of one name keep their order in a request", func(x *exchange) {
		q, _ := x.relay(x.client(), get+"X-A: 1\r\nX-B: 2\r\nX-A: 3\r\nX-A: 2\r\n\r\n")
		x.equal("X-A", q.field("X-A"), "1, 3, 2")
	}},
	{"9110-5.3-order", quality, "fields keep their order in a request", sentFields("X-C: 1", "X-A: 2", "Accept: */*", "X-B: 3", "User-Agent: rfc", "Cookie: a=b")},
	{"9110-5.2-lines-not-merged", quality, "lines of one name stay lines in a request", sentFields("Accept: a/b", "Accept: c/d", "X-A: 1", "X-A: 2")},
	{"9110-5.1-name-case", quality, "names keep their case in a request", sentFields("x-lower: 1", "X-UPPER: 2", "x-MiXeD: 3", "uSER-aGENT: rfc", "CONTENT-type: text/plain")},
	{"9110-5.1-unknown", must, "fields that nobody knows are passed on in a request", sentValues("X-Nobody-Knows: 1", "Never-Seen: 2")},
	{"9110-5.1-underscore", must, "names with an underscore are passed on in a request", sentValues("X_A: 1", "x_b_c: 2")},
	{"9110-5.1-dot", must, "names with a dot are passed on in a request", sentValues("X.A: 1")},
	{"9110-5.1-token-characters", must, "names of all characters of a token are passed on in a request", sentValues("X-!#$%&'*+.^_`|~9: 1")},
	{"9110-5.1-digits", must, "names of digits are passed on in a request", sentValues("123: 1")},
	{"9110-5.1-long-name", quality, "a name of 200 bytes is passed on in a request", sentValues("X-" + strings.Repeat("a", 200) + ": 1")},
	{"9110-5.5-empty-value", must, "an empty value is passed on in a request", sentValues("X-Empty:", "X-A: 1")},
	{"9110-5.5-spaces-around", must, "white space around a value is no part of it", sentAs("X-A:\t 1 \t", "X-A: 1")},
	{"9110-5.5-no-space", must, "a value may follow the colon directly", sentAs("X-A:1", "X-A: 1")},
	{"9110-5.5-spaces-within", quality, "white space within a value stays", sentValues("X-A: a  b\t\tc")},
	{"9110-5.5-sent-obs-text", quality, "bytes beyond ASCII in a value stay", sentValues("X-A: \xe4\xff\x80 \xc3\xa4")},
	{"9110-5.5-all-characters", must, "every visible character may stand in a value", sentValues("X-A: " + visible())},
	{"9110-5.5-colon", must, "colons may stand in a value", sentValues("X-A: :a:b:")},
	{"9110-5.5-quoted", must, "quoted strings keep commas, backslashes and quotes", sentValues(`X-A: "a, \"b\\", c`)},
	{"9110-5.5-commas", quality, "commas with nothing between them stay", sentValues("X-A: ,a,,b,")},
	{"9110-5.5-long", quality, "a value of 6000 bytes is passed on", sentValues("X-A: " + strings.Repeat("a", 6000))},
	{"9110-10.1.5-user-agent-not-invented", should, "a request without User-Agent gets none", sentWithout("User-Agent")},
	{"9110-8.3-type-not-invented", should, "a request without Content-Type gets none", func(x *exchange) {
		q, _ := x.relay(x.client(), post+"Content-Length: 5\r\n\r\nhello")
		x.want(!q.has("Content-Type"), "the origin got %s", q)
	}},
	{"9110-12.5.3-accept-encoding-not-invented", should, "a request without Accept-Encoding gets none: that would change what is acceptable", sentWithout("Accept-Encoding")},
	{"9110-12.5.1-accept-not-invented", should, "a request without Accept gets none", sentWithout("Accept")},
	{"9110-13.1-conditions", should, "conditions are passed on as they are", sentValues(`If-None-Match: "a", W/"b"`, "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT", `If-Match: "c"`, "If-Range: \"d\"")},
	{"9110-14.2-range", should, "Range is passed on as it is", sentValues("Range: bytes=0-0,-1")},
	{"9110-11.6.2-authorization", must, "Authorization is passed on as it is", sentValues("Authorization: Basic dTpw")},
	{"9110-7.7-encoded-content", must, "content with no-transform is passed on as it is, encoded or not", func(x *exchange) {
		q, _ := x.relay(x.client(), post+"Cache-Control: no-transform\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1f\x8b\x08\x00!")
		x.equal("Content-Encoding", q.field("Content-Encoding"), "gzip")
		x.equal("content", q.content, "\x1f\x8b\x08\x00!")
	}},
	{"9110-7.7-multipart", must, "multipart content with no-transform is passed on byte for byte", func(x *exchange) {
		body := "preamble\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b  \r\n\r\n2\r\n--b--\r\nepilogue"
		q, _ := x.relay(x.client(), post+"Cache-Control: no-transform\r\nContent-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk(body)+last)
		x.equal("content", q.content, body)
	}},
	{"6265-5.4-cookie", should, "Cookie is passed on as it is", sentValues(`Cookie: a="b c"; =d; e; f=g=h;;i=`)},
	{"6265-5.4-cookies", quality, "several lines of Cookie stay as they are", sentFields("Cookie: a=b", "Cookie: c=d")},

	{"9110-5.3-answer-order-same-name", must, "lines of one name keep their order in a response", func(x *exchange) {
		r := x.answer(x.client(), "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nX-A: 3\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n", false)
		x.equal("X-A", r.field("X-A"), "1, 3, 2")
	}},
	{"9110-5.3-answer-order", quality, "fields keep their order in a response", answeredFields("X-C: 1", "Server: rfc", "X-A: 2", "Content-Type: text/plain", "X-B: 3", "ETag: \"a\"")},
	{"9110-5.2-answer-lines-not-merged", quality, "lines of one name stay lines in a response", answeredFields("Vary: a", "Vary: b", "Cache-Control: c", "Cache-Control: d")},
	{"9110-5.1-answer-name-case", quality, "names keep their case in a response", answeredFields("x-lower: 1", "X-UPPER: 2", "x-MiXeD: 3", "etag: \"a\"", "CONTENT-type: text/plain")},
	{"9110-5.1-answer-unknown", must, "fields that nobody knows are passed on in a response", answeredValues("X-Nobody-Knows: 1", "Never-Seen: 2", "X_A: 3", "X.B: 4")},
	{"9110-5.1-answer-token-characters", must, "names of all characters of a token are passed on in a response", answeredValues("X-!#$%&'*+.^_`|~9: 1")},
	{"9110-5.5-answer-empty-value", must, "an empty value is passed on in a response", answeredValues("X-Empty:", "X-A: 1")},
	{"9110-5.5-answer-obs-text", quality, "bytes beyond ASCII in a value stay in a response", answeredValues("X-A: \xe4\xff\x80 \xc3\xa4")},
	{"9110-5.5-answer-all-characters", must, "every visible character may stand in a value of a response", answeredValues("X-A: " + visible())},
	{"9110-5.3-answer-set-cookie", must, "lines of Set-Cookie stay lines, in their order", func(x *exchange) {
		cookies := []string{"a=b; Path=/", "c=d; Expires=Mon, 01 Jan 2035 00:00:00 GMT", "a=e"}
		r := x.answer(x.client(), "HTTP/1.1 200 OK\r\nSet-Cookie: "+strings.Join(cookies, "\r\nX-A: 1\r\nSet-Cookie: ")+"\r\nContent-Length: 0\r\n\r\n", false)
		x.equal("Set-Cookie", r.values("Set-Cookie"), cookies)
	}},
	{"6265-5.2-answer-set-cookie", should, "Set-Cookie is passed on as it is", answeredValues(`Set-Cookie: a="b c"; path=/; HTTPONLY; SameSite=lax; X=`)},
	{"9110-10.2.4-answer-server", should, "the origin's Server is passed on", answeredValues("Server: rfc/1.0 (test)")},
	{"9110-10.2.4-answer-server-not-invented", quality, "a response without Server gets none", answeredWithout("Server")},
	{"9110-8.3-answer-type-not-invented", should, "a response without Content-Type gets none", answeredWithout("Content-Type")},
	{"9110-8.3-answer-types", quality, "a second line of Content-Type is neither lost nor put first", answeredFields("Content-Type: a/b", "Content-Type: c/d")},
	{"9110-8.4-answer-encodings", must, "several lines of Content-Encoding are kept in order", func(x *exchange) {
		r := x.answer(x.client(), "HTTP/1.1 200 OK\r\nContent-Encoding: a\r\nContent-Encoding: b\r\nContent-Length: 2\r\n\r\nok", false)
		x.equal("Content-Encoding", r.field("Content-Encoding"), "a, b")
	}},
	{"9110-8.8.1-answer-validators", should, "validators are passed on as they are", answeredValues(`ETag: W/"a"`, "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT", "Expires: 0")},
	{"9110-10.2.2-answer-location", should, "Location is passed on as it is", func(x *exchange) {
		r := x.answer(x.client(), "HTTP/1.1 302 Found\r\nLocation: //other.test/a/../b?c#d\r\nContent-Length: 0\r\n\r\n", false)
		x.equal("Location", r.field("Location"), "//other.test/a/../b?c#d")
	}},
	{"9110-6.6.1-answer-date", should, "the origin's Date is passed on, and not made anew", answeredValues("Date: Mon, 01 Jan 2024 00:00:00 GMT")},
	{"9110-6.6.1-answer-date-missing", must, "a response without Date gets one", func(x *exchange) {
		r := x.answer(x.client(), ok, false)
		x.want(r.err == nil && len(r.values("Date")) == 1, "the client got %s", r)
	}},
	{"9110-6.6.1-answer-date-odd", quality, "a Date that is none is left as it is", answeredValues("Date: yesterday")},
	{"9110-7.7-answer-encoded-content", must, "content with no-transform is passed on as it is, encoded or not", func(x *exchange) {
		r := x.answer(x.client(), "HTTP/1.1 200 OK\r\nCache-Control: no-transform\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1f\x8b\x08\x00!", false)
		x.equal("Content-Encoding", r.field("Content-Encoding"), "gzip")
		x.equal("content", r.content, "\x1f\x8b\x08\x00!")
	}},
	{"9110-14.4-answer-range", should, "a partial response is passed on as it is", func(x *exchange) {
		r := x.answer(x.client(), "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/5\r\nContent-Length: 2\r\n\r\nhe", false)
		x.want(r.status == 206 && r.field("Content-Range") == "bytes 0-1/5" && r.content == "he", "the client got %s", r)
	}},
	{"9110-11.6.1-answer-challenges", must, "challenges are passed on as they are", answeredValues(`WWW-Authenticate: Basic realm="a, b", Digest realm="c"`)},
	{"9112-4-answer-reason", quality, "the reason phrase is passed on", func(x *exchange) {
		r := x.answer(x.client(), "HTTP/1.1 200 Quite Well\r\nContent-Length: 0\r\n\r\n", false)
		x.equal("the reason phrase", r.reason, "Quite Well")
	}},
	{"9110-15-answer-unknown-status", must, "a status that nobody knows is passed on", func(x *exchange) {
		r := x.answer(x.client(), "HTTP/1.1 299 Whatever\r\nContent-Length: 2\r\n\r\nok", false)
		x.want(r.err == nil && r.status == 299 && r.content == "ok", "the client got %s", r)
	}},
}

// visible is every character that is neither white space nor control in ASCII.
func visible() string {
	var b strings.Builder
	for c := byte('!'); c <= '~'; c++ {
		b.WriteByte(c)
	}
	return b.String()
}

func chunk(data string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(data), data) }

// ours returns the fields whose names, in whatever case, are among those of lines, as lines.
func ours(fields []field, lines []string) (all []string) {
	for _, f := range fields {
		if slices.ContainsFunc(lines, func(l string) bool {
			name, _, _ := strings.Cut(l, ":")
			return strings.EqualFold(f.name, name)
		}) {
			all = append(all, strings.TrimRight(f.name+": "+f.value, " "))
		}
	}
	return all
}

// sentFields sends field lines which must reach the origin as they are, in that order.
func sentFields(lines ...string) func(x *exchange) {
	return func(x *exchange) {
		q, _ := x.relay(x.client(), get+strings.Join(lines, "\r\n")+"\r\n\r\n")
		x.equal("fields at the origin", ours(q.fields, lines), lines)
	}
}

// sentValues sends fields whose values must reach the origin as they are.
func sentValues(lines ...string) func(x *exchange) {
	return func(x *exchange) {
		q, _ := x.relay(x.client(), get+strings.Join(lines, "\r\n")+"\r\n\r\n")
		x.values(&q.message, lines)
	}
}

// values wants each of the lines' names once, with the value that it has there.
func (x *exchange) values(m *message, lines []string) {
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		x.equal(name, m.values(name), []string{strings.TrimSpace(value)})
	}
}

// sentAs sends a field line in place of which the origin must get another.
func sentAs(sent, want string) func(x *exchange) {
	return func(x *exchange) {
		q, _ := x.relay(x.client(), get+sent+"\r\n\r\n")
		x.values(&q.message, []string{want})
	}
}

// sentWithout sends a plain request: the origin must get no field of that name.
func sentWithout(name string) func(x *exchange) {
	return func(x *exchange) {
		q, _ := x.relay(x.client(), get+"\r\n")
		x.want(!q.has(name), "the origin got %s", q)
	}
}

// answeredFields has the origin answer with field lines which must reach the client as they are, in that order.
func answeredFields(lines ...string) func(x *exchange) {
	return func(x *exchange) {
		r := x.answer(x.client(), "HTTP/1.1 200 OK\r\n"+strings.Join(lines, "\r\n")+"\r\nContent-Length: 2\r\n\r\nok", false)
		x.want(r.err == nil, "the client got %s", r)
		x.equal("fields at the client", ours(r.fields, lines), lines)
	}
}

// answeredValues has the origin answer with fields whose values must reach the client as they are.
func answeredValues(lines ...string) func(x *exchange) {
	return func(x *exchange) {
		r := x.answer(x.client(), "HTTP/1.1 200 OK\r\n"+strings.Join(lines, "\r\n")+"\r\nContent-Length: 2\r\n\r\nok", false)
		x.want(r.err == nil, "the client got %s", r)
		x.values(&r.message, lines)
	}
}

// answeredWithout has the origin answer plainly: the client must get no field of that name.
func answeredWithout(name string) func(x *exchange) {
	return func(x *exchange) {
		r := x.answer(x.client(), ok, false)
		x.want(r.err == nil && !r.has(name), "the client got %s", r)
	}
}
