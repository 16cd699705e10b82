package rfc

import "strings"

// line makes the answer of an origin whose status line, with its end, is that, and whose content is "hello".
func line(status string) string { return status + "Content-Length: 5\r\n\r\nhello" }

// lined makes the answer of an origin with these bytes among its field lines, and the content "hello".
func lined(fields string) string {
	return "HTTP/1.1 200 OK\r\nX-Before: 1\r\n" + fields + "X-After: 2\r\nContent-Length: 5\r\n\r\nhello"
}

// around: the content is hello, and the fields around the one in question have been understood.
func around(fields ...string) verdict {
	return having(200, "hello", append(fields, "X-Before: 1", "X-After: 2")...)
}

var responseHeadRules = []rule{
	{"9112-4-reason-empty", must, "a status line may end with the space behind the status code", open.says(line("HTTP/1.1 200 \r\n"), hello)},
	{
		"9112-4-reason-missing", quality, "a status line that ends with the status code is understood, or answered with 502",
		open.says(line("HTTP/1.1 200\r\n"), oneOf(hello, bad)),
	},
	{"9112-4-reason-space-sent", must, "the space behind the status code is sent even if there is no reason", open.says(line("HTTP/1.1 200 \r\n"), spaced)},
	{"9112-4-reason-passed", quality, "a reason phrase is passed on", open.says(line("HTTP/1.1 200 Very Well\r\n"), reasoned("Very Well"))},
	{"9112-4-reason-obs-text", quality, "a reason phrase may have bytes above ASCII", open.says(line("HTTP/1.1 200 Sch\xf6n\r\n"), hello)},
	{"9110-15-status-unknown", must, "a status code that nobody knows is passed on", open.says(line("HTTP/1.1 299 New\r\n"), whole(299, "hello"))},
	{"9110-15-status-unknown-error", must, "an error status that nobody knows is passed on", open.says(line("HTTP/1.1 471 New\r\n"), whole(471, "hello"))},
	{
		"9112-2.3-version-ours", must, "a response goes out with the version of the proxy",
		closing.says(line("HTTP/1.0 200 OK\r\n"), versioned),
	},
	{"9110-6.2-version-to-http10", should, "an HTTP/1.0 client gets a response with the version of the proxy", to10.says(ok, versioned)},
	{
		"9110-6.2-version-newer-minor", should, "a response of HTTP/1.2 is taken for one of HTTP/1.1, and not passed on as such",
		open.says(line("HTTP/1.2 200 OK\r\n"), all(hello, versioned)),
	},
	{"9110-15.6.3-version-2", quality, "a status line of HTTP/2.0 is answered with 502", open.says(line("HTTP/2.0 200 OK\r\n"), bad)},
	{"9110-15.6.3-version-0", quality, "a response without a status line is answered with 502", closing.says("hello, this is content alone\r\n\r\n", bad)},
	{"9110-15.6.3-version-junk", quality, "a status line that names no version is answered with 502", open.says(line("ICY 200 OK\r\n"), bad)},
	{"9110-15.6.3-version-no-minor", quality, "a version without a minor number is answered with 502", open.says(line("HTTP/1 200 OK\r\n"), bad)},
	{"9112-2.3-version-case", quality, "the name of the protocol in small letters is answered with 502", open.says(line("http/1.1 200 OK\r\n"), bad)},
	{"9112-4-status-two-digits", quality, "a status code of two digits is answered with 502", open.says(line("HTTP/1.1 20 OK\r\n"), bad)},
	{"9112-4-status-four-digits", quality, "a status code of four digits is answered with 502", open.says(line("HTTP/1.1 2000 OK\r\n"), bad)},
	{"9112-4-status-no-digits", quality, "a status code that is no number is answered with 502", open.says(line("HTTP/1.1 abc OK\r\n"), bad)},
	{"9112-4-status-missing", quality, "a status line without a status code is answered with 502", open.says(line("HTTP/1.1\r\n"), bad)},
	{"9112-4-status-signed", quality, "a status code with a sign is answered with 502", open.says(line("HTTP/1.1 +20 OK\r\n"), bad)},
	{"9110-15-status-below-100", should, "a status code below 100 is taken for a server's error", open.says(line("HTTP/1.1 099 OK\r\n"), failing)},
	{
		"9110-15-status-600", should, "a status code above 599 is taken for a server's error: passed on, or replaced by one",
		open.says(line("HTTP/1.1 600 Odd\r\n"), oneOf(whole(600, "hello"), failing)),
	},
	{"9112-4-two-spaces", quality, "two spaces behind the version are read as one, or answered with 502", open.says(line("HTTP/1.1  200 OK\r\n"), oneOf(hello, bad))},
	{
		"9112-9.2-leading-crlf", quality, "an empty line before the status line is passed over, or answered with 502",
		open.says(line("\r\nHTTP/1.1 200 OK\r\n"), oneOf(hello, bad)),
	},
	{"9110-15.6.3-leading-junk", quality, "junk before the status line is answered with 502", open.says(line("junk\r\nHTTP/1.1 200 OK\r\n"), bad)},
	{
		"9112-2.2-reason-bare-cr", must, "a bare CR in the reason is answered with 502, or replaced by a space",
		open.says(line("HTTP/1.1 200 O\rK\r\n"), oneOf(bad, hello)),
	},
	{"9112-4-reason-nul", quality, "a NUL in the reason is not passed on", open.says(line("HTTP/1.1 200 O\x00K\r\n"), oneOf(bad, hello))},
	{
		"9112-2.2-space-before-first-field", must, "a line that begins with white space behind the status line is answered with 502, or not passed on",
		open.says("HTTP/1.1 200 OK\r\n X-Hidden: 1\r\nContent-Length: 5\r\n\r\nhello", oneOf(bad, having(200, "hello", "!X-Hidden"))),
	},

	{
		"9112-5.2-fold", must, "a folded field line is answered with 502, or its fold replaced by spaces",
		open.says(lined("X-Fold: a\r\n b\r\n"), oneOf(bad, all(around(), unfolded("X-Fold", "a b")))),
	},
	{
		"9112-5.2-fold-tab", must, "a field line folded with a tab is answered with 502, or its fold replaced by spaces",
		open.says(lined("X-Fold: a\r\n\tb\r\n"), oneOf(bad, all(around(), unfolded("X-Fold", "a b")))),
	},
	{
		"9112-5.2-fold-no-field", must, "a fold that looks like a field is none",
		open.says(lined("X-Fold: a\r\n X-Hidden: 1\r\n"), oneOf(bad, all(around("!X-Hidden"), unfolded("X-Fold", "a X-Hidden: 1")))),
	},
	{
		"9112-5.2-fold-length", must, "a folded Content-Length is answered with 502, or read with its fold replaced by spaces",
		open.says("HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\nhello", oneOf(bad, five)),
	},
	{
		"9112-5.1-space-before-colon", must, "a space before a field's colon is removed, or the response answered with 502",
		open.says(lined("X-Space : 1\r\n"), oneOf(bad, around("X-Space: 1"))),
	},
	{
		"9112-5.1-tab-before-colon", must, "a tab before a field's colon is removed, or the response answered with 502",
		open.says(lined("X-Space\t: 1\r\n"), oneOf(bad, around("X-Space: 1"))),
	},
	{
		"9112-5.1-length-space-before-colon", must, "Content-Length with a space before its colon counts, or the response is answered with 502",
		open.says("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", oneOf(bad, five)),
	},
	{
		"9110-5.5-nul", must, "a NUL in a field value is answered with 502, or replaced by a space",
		open.says(lined("X-Odd: a\x00b\r\n"), oneOf(bad, around("X-Odd: a b"))),
	},
	{
		"9110-5.5-bare-cr", must, "a bare CR in a field value is answered with 502, or replaced by a space",
		open.says(lined("X-Odd: a\rb\r\n"), oneOf(bad, around("X-Odd: a b"))),
	},
	{
		"9112-2.2-bare-cr-no-line", must, "a bare CR does not end a field line",
		open.says(lined("X-Odd: a\rX-Hidden: 1\r\n"), oneOf(bad, around("!X-Hidden"))),
	},
	{
		"9112-2.2-bare-lf", quality, "field lines that end in LF alone are understood as such, or answered with 502",
		open.says("HTTP/1.1 200 OK\nX-Before: 1\nX-After: 2\nContent-Length: 5\n\nhello", oneOf(bad, around())),
	},
	{
		"9112-2.2-bare-lf-one", quality, "a field line that ends in LF alone among others is understood as such, or answered with 502",
		open.says(lined("X-Odd: a\nX-More: b\r\n"), oneOf(bad, around("X-Odd: a", "X-More: b"))),
	},
	{"9110-5.1-name-empty", quality, "a field line without a name is not passed on", open.says(lined(": a\r\n"), oneOf(bad, around()))},
	{"9110-5.1-name-space", quality, "a field name with a space in it is not passed on", open.says(lined("X Odd: a\r\n"), oneOf(bad, around()))},
	{"9110-5.1-name-control", quality, "a field name with a control character is not passed on", open.says(lined("X\x01Odd: a\r\n"), oneOf(bad, around()))},
	{"9110-5.1-name-above-ascii", quality, "a field name with bytes above ASCII is not passed on", open.says(lined("X\xe9Odd: a\r\n"), oneOf(bad, around()))},
	{"9112-5-no-colon", quality, "a field line without a colon is not passed on", open.says(lined("X-Odd a\r\n"), oneOf(bad, around()))},
	{"9110-5.1-unknown-fields", must, "fields that nobody knows are passed on", open.says(lined("X-Odd: a\r\nQ!#$%&'*+-.^_`|~: b\r\n"), around("X-Odd: a", "Q!#$%&'*+-.^_`|~: b"))},
	{
		"9110-5.5-obs-text", should, "bytes above ASCII in a field value are passed on as they are",
		open.says(lined("X-Odd: caf\xe9 \xc3\xa9 \xff\r\n"), around("X-Odd: caf\xe9 \xc3\xa9 \xff")),
	},
	{
		"9110-5.3-repeats-in-order", must, "values of one name keep their order",
		open.says(lined("X-Odd: c\r\nX-Other: 1\r\nX-Odd: a\r\nX-Odd: b\r\n"), around("X-Odd: c, a, b")),
	},
	{
		"9110-5.3-set-cookie-lines", quality, "each Set-Cookie stays a line of its own",
		open.says(lined("Set-Cookie: a=1, x\r\nSet-Cookie: b=2; Path=/\r\n"), all(around(), cookies)),
	},
	{"9110-5.4-head-16k", quality, "a response head of 16 KiB is passed on", open.says(lined("X-Long: "+strings.Repeat("a", 16<<10)+"\r\n"), around())},
	{"9110-5.4-head-endless", quality, "a response head of 8 MiB is answered with 502", open.says(lined(strings.Repeat("X-Long: aaaaaaaaaaaaaaaaaaaaaa\r\n", 8<<15)), bad)},

	{"9110-6.6.1-date-added", must, "a response without Date gets one", open.says(lined(""), around("Date"))},
	{
		"9110-6.6.1-date-added-to-error", must, "an error of the origin without Date gets one",
		open.says("HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nhello", having(503, "hello", "Date")),
	},
	{
		"9110-7.7-date-kept", should, "the origin's Date is passed on",
		open.says(lined("Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n"), around("Date: Tue, 15 Nov 1994 08:12:31 GMT")),
	},
	{
		"9110-6.6.1-date-once", must, "a Date that is no date is passed on or replaced, not given a second",
		open.says(lined("Date: yesterday\r\n"), all(around("Date"), dated)),
	},
	{"9110-7.7-server-kept", should, "the origin's Server is passed on", open.says(lined("Server: Origin/1\r\n"), around("Server: Origin/1"))},
}

func spaced(r *response) string {
	if wrong := hello(r); wrong != "" {
		return wrong
	}
	if !strings.HasPrefix(r.line, "HTTP/1.1 200 ") {
		return "expected a space behind the status code; got " + r.String()
	}
	return ""
}

func reasoned(reason string) verdict {
	return func(r *response) string {
		if r.reason != reason {
			return "expected the reason " + reason + "; got " + r.String()
		}
		return hello(r)
	}
}

func versioned(r *response) string {
	if r.err != nil || r.version != "HTTP/1.1" {
		return "expected HTTP/1.1; got " + r.String()
	}
	return ""
}

// failing: a whole 5xx.
func failing(r *response) string {
	if r.err != nil || r.status/100 != 5 {
		return "expected a status from 500 to 599; got " + r.String()
	}
	return ""
}

// unfolded: the field has that value, but for the number of spaces.
func unfolded(name, value string) verdict {
	return func(r *response) string {
		if strings.Join(strings.Fields(r.field(name)), " ") != value {
			return "expected " + name + ": " + value + "; got " + r.String()
		}
		return ""
	}
}

func cookies(r *response) string {
	if v := r.values("Set-Cookie"); len(v) != 2 || v[0] != "a=1, x" || v[1] != "b=2; Path=/" {
		return "expected two lines of Set-Cookie; got " + r.String()
	}
	return ""
}

func dated(r *response) string {
	if len(r.values("Date")) != 1 {
		return "expected one Date; got " + r.String()
	}
	return ""
}
