package rfc

import "strings"

// length5 makes the answer of an origin whose content is "hello", and whose Content-Length lines have these values.
func length5(values ...string) string {
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\n")
	for _, v := range values {
		b.WriteString("Content-Length: " + v + "\r\n")
	}
	return b.String() + "\r\nhello"
}

// five: the content is hello, and so says one Content-Length line of a single number.
var five = having(200, "hello", "Content-Length: 5")

var responseLengthRules = []rule{
	{
		"9112-6.3-length-twice-same", must, "the same Content-Length twice is refused, or passed on once",
		open.says(length5("5", "5"), oneOf(bad, five)),
	},
	{
		"9112-6.3-length-list-same", must, "a Content-Length that lists the same number twice is refused, or passed on as one number",
		open.says(length5("5, 5"), oneOf(bad, five)),
	},
	{
		"9112-6.3-length-twice-differing", must, "two Content-Lengths that differ are answered with 502",
		closing.says(length5("5", "6"), bad),
	},
	{
		"9112-6.3-length-twice-differing-first-right", must, "two Content-Lengths that differ are answered with 502, whichever the content has",
		open.says(length5("4", "5"), bad),
	},
	{
		"9112-6.3-length-list-differing", must, "a Content-Length that lists two numbers is answered with 502",
		open.says(length5("5, 6"), bad),
	},
	{
		"9112-6.3-length-plus", must, "a Content-Length with a plus sign is answered with 502",
		open.says(length5("+5"), bad),
	},
	{
		"9112-6.3-length-minus", must, "a Content-Length with a minus sign is answered with 502",
		open.says(length5("-5"), bad),
	},
	{
		"9112-6.3-length-minus-zero", must, "a Content-Length of -0 is answered with 502",
		open.says("HTTP/1.1 200 OK\r\nContent-Length: -0\r\n\r\n", bad),
	},
	{
		"9112-6.3-length-hex", must, "a hexadecimal Content-Length is answered with 502",
		open.says(length5("0x5"), bad),
	},
	{
		"9112-6.3-length-fraction", must, "a Content-Length with a fraction is answered with 502",
		open.says(length5("5.0"), bad),
	},
	{
		"9112-6.3-length-underscore", must, "a Content-Length with an underscore is answered with 502",
		open.says("HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\nhellohello", bad),
	},
	{
		"9112-6.3-length-two-words", must, "a Content-Length of two numbers without a comma is answered with 502",
		open.says(length5("5 5"), bad),
	},
	{
		"9112-6.3-length-word", must, "a Content-Length that is no number is answered with 502",
		open.says(length5("five"), bad),
	},
	{
		"9112-6.3-length-empty", must, "an empty Content-Length is answered with 502",
		closing.says(length5(""), bad),
	},
	{
		"9112-6.3-length-wide-digits", must, "a Content-Length in digits that are not ASCII's is answered with 502",
		open.says(length5("５"), bad),
	},
	{
		"9110-8.6-length-overflow-64", must, "a Content-Length of 2^64+5 is not taken for 5",
		closing.says(length5("18446744073709551621"), cut("hello")),
	},
	{
		"9110-8.6-length-overflow-63", must, "a Content-Length of 2^63 is not taken for a negative number",
		closing.says(length5("9223372036854775808"), cut("hello")),
	},
	{
		"9110-8.6-length-overflow-32", must, "a Content-Length of 2^32+5 is not taken for 5",
		closing.says(length5("4294967301"), cut("hello")),
	},
	{
		"9112-6.3-length-leading-zeros", must, "a Content-Length may begin with zeros",
		open.says(length5("0005"), whole(200, "hello")),
	},
	{
		"9112-5.1-length-white-space", must, "white space around a Content-Length is none of it",
		open.says("HTTP/1.1 200 OK\r\nContent-Length: \t 5\t \r\n\r\nhello", five),
	},
	{
		"9112-5.1-length-no-white-space", must, "a Content-Length needs no space after its colon",
		open.says("HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello", five),
	},
}
