package wire

import "bytes"

// isAuthority reports whether b can be a Host field's value: uri-host [ ":" port ] (9110 7.2), without user information.
// Empty is allowed there (9112 3.2). Percent-encoded bytes (3986 3.2.2) are not taken: some recipients decode them, so that
// the next could see another host than the one that we route by. No host in DNS has any.
func isAuthority(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	end := 0 // of the host
	if b[0] == '[' {
		if end = bytes.IndexByte(b, ']') + 1; end == 0 || !isIPv6(b[1:end-1]) {
			return false
		}
	} else if end = span(b, isHost); end == 0 {
		return false
	}
	port := b[end:]
	return len(port) == 0 || port[0] == ':' && all(port[1:], isDigit)
}

// isIPv6 reports whether b is an IPv6 address (3986 3.2.2): eight groups of hexadecimal digits, of which "::" leaves out at
// least one; an IPv4 address may stand for the last two. It has no zone.
func isIPv6(b []byte) bool {
	groups, gap := 0, false
	complete := func() bool { return gap && groups < 8 || !gap && groups == 8 }
	if bytes.HasPrefix(b, []byte("::")) {
		b, gap = b[2:], true
	}
	for len(b) > 0 {
		n := span(b, isHex)
		if n < len(b) && b[n] == '.' {
			groups += 2
			return isIPv4(b) && complete()
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		if b = b[n:]; len(b) == 0 {
			break
		}
		switch {
		case bytes.HasPrefix(b, []byte("::")) && !gap:
			b, gap = b[2:], true
		case b[0] == ':' && len(b) > 1:
			b = b[1:]
		default:
			return false
		}
	}
	return complete()
}

// isIPv4 reports whether b is four decimal bytes between dots, without zeros in front: some recipients read those as octal.
func isIPv4(b []byte) bool {
	for i := range 4 {
		n := span(b, isDigit)
		if n == 0 || n > 3 || n > 1 && b[0] == '0' {
			return false
		}
		if v, _ := parseDecimal(b[:n]); v > 255 {
			return false
		}
		if b = b[n:]; i == 3 {
			break
		}
		if len(b) == 0 || b[0] != '.' {
			return false
		}
		b = b[1:]
	}
	return len(b) == 0
}
