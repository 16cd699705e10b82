package route

import (
	"bytes"
	"fmt"
	"strings"
)

// maxHost is the longest host name that can be matched; DNS allows 253 bytes.
const maxHost = 255

// parseHost checks an entry's host and returns it as the table keeps it: lower case, "" for any, ".suffix" for "*.suffix".
func parseHost(host string) (string, error) {
	if host == "" || host == "*" {
		return "", nil
	}
	name, suffix := strings.CutPrefix(strings.ToLower(host), "*.")
	name = strings.TrimSuffix(name, ".")
	const expected = `expected a name without port, "*.suffix" or "*"`
	if name == "" || len(name) >= maxHost || strings.HasPrefix(name, ".") {
		return "", fmt.Errorf("host %q: %s", host, expected)
	}
	if inner, ok := strings.CutPrefix(name, "["); ok && !suffix && strings.HasSuffix(inner, "]") {
		return name, nil // an IPv6 address, compared as text
	}
	for i, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return "", fmt.Errorf("host %q: %s; found %q", host, expected, name[i:i+1])
		}
	}
	if suffix {
		return "." + name, nil
	}
	return name, nil
}

// hostName returns the name in a Host field: lower case, without port and without the dot of a fully qualified name.
// buf lends the bytes when the client wrote upper case. A name that is too long is nil.
func hostName(host []byte, buf *[maxHost]byte) []byte {
	if end := bytes.LastIndexByte(host, ':'); end >= 0 && bytes.IndexByte(host[end:], ']') < 0 {
		host = host[:end]
	}
	if n := len(host); n > 0 && host[n-1] == '.' {
		host = host[:n-1]
	}
	if len(host) > maxHost {
		return nil
	}
	for i, c := range host {
		if 'A' <= c && c <= 'Z' {
			copy(buf[:i], host)
			for ; i < len(host); i++ {
				c := host[i]
				if 'A' <= c && c <= 'Z' {
					c |= 0x20
				}
				buf[i] = c
			}
			return buf[:len(host)]
		}
	}
	return host
}
