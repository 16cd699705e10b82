package sdk

import "bytes"

// A query is pairs between ampersands; a pair is a name and, after its first "=", a value. A semicolon separates nothing. Names are
// compared as a form decoder reads them, with %XX and "+" undone; everything that is not changed keeps its bytes.

// Query is the value, as it stands in the URI, of the first parameter of that name.
func (r *Request) Query(name string) (raw []byte, ok bool) {
	start, end := queryOf(r.uri)
	for at := start; at >= 0 && at <= end; {
		var pair []byte
		pair, at = nextPair(r.uri[:end], at)
		if isParameter(pair, name) {
			_, value := cutPair(pair)
			return value, true
		}
	}
	return nil, false
}

// DropQuery takes every parameter of these names out of the query and reports whether there was one. The others stay as they
// are, byte for byte and in their order, empty ones too. The question mark goes when nothing is left behind it.
func (r *Request) DropQuery(names ...string) bool {
	start, end := queryOf(r.uri)
	if start < 0 {
		return false
	}
	uri := r.uri
	var dst []byte // nil until there is something to drop
	for at := start; at <= end; {
		pair, after := nextPair(uri[:end], at)
		switch drop := isAny(pair, names); {
		case drop && dst == nil:
			dst = append(r.scratch(), uri[:at]...)
		case !drop && dst != nil:
			dst = append(append(dst, pair...), '&')
		}
		at = after
	}
	if dst == nil {
		return false
	}
	dst = dst[:len(dst)-1] // the last ampersand; the question mark if no pair is left
	if len(dst) == start && dst[start-1] == '?' {
		dst = dst[:start-1] // what is left is one empty pair
	}
	r.takeURI(append(dst, uri[end:]...))
	return true
}

// SetQuery gives the parameter of that name this value, percent-encoded. The first one of that name changes in its place, later ones go;
// if there is none, it is added at the end.
func (r *Request) SetQuery(name, value string) {
	uri := r.uri
	start, end := queryOf(uri)
	dst, found := r.scratch(), false
	if start < 0 {
		end = pathEnd(uri)
		dst = append(append(dst, uri[:end]...), '?')
	} else {
		dst = append(dst, uri[:start]...)
		for at := start; at <= end && start < end; {
			var pair []byte
			pair, at = nextPair(uri[:end], at)
			switch {
			case !isParameter(pair, name):
				dst = append(append(dst, pair...), '&')
			case !found:
				raw, _ := cutPair(pair)
				dst = append(appendEncoded(append(append(dst, raw...), '='), value), '&')
				found = true
			}
		}
	}
	if found {
		dst = dst[:len(dst)-1]
	} else {
		dst = appendEncoded(append(appendEncoded(dst, name), '='), value)
	}
	r.takeURI(append(dst, uri[end:]...))
}

// scratch is memory for a new URI that is not the current one's.
func (r *Request) scratch() []byte {
	if r.uriSet { // the current URI lies in newURI, so both change places
		r.newURI, r.oldURI = r.oldURI, r.newURI
	}
	return r.newURI[:0]
}

// takeURI makes uri, which was built in scratch, the request's.
func (r *Request) takeURI(uri []byte) {
	if len(uri) == 0 {
		uri = append(uri, '/')
	}
	r.newURI, r.uri, r.uriSet = uri, uri, true
}

// queryOf tells where the query of uri is, without its question mark; start is -1 if it has none.
func queryOf(uri []byte) (start, end int) {
	start, end = bytes.IndexByte(uri, '?')+1, len(uri)
	if f := bytes.IndexByte(uri, '#'); f >= 0 {
		end = f
	}
	if start == 0 || start > end {
		start = -1
	}
	return start, end
}

// pathEnd is where the path of a URI without a query ends.
func pathEnd(uri []byte) int {
	_, end := queryOf(uri)
	return end
}

// nextPair is the pair at offset at of uri, which ends with its query, and the offset of the one after it; past the end if
// there is none.
func nextPair(uri []byte, at int) (pair []byte, after int) {
	if i := bytes.IndexByte(uri[at:], '&'); i >= 0 {
		return uri[at : at+i], at + i + 1
	}
	return uri[at:], len(uri) + 1
}

func cutPair(pair []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(pair, equals)
	return name, value
}

var equals = []byte("=")

func isAny(pair []byte, names []string) bool {
	for _, name := range names {
		if isParameter(pair, name) {
			return true
		}
	}
	return false
}

// isParameter reports whether pair's name is name once it is decoded. A broken escape stands for itself.
func isParameter(pair []byte, name string) bool {
	if len(pair) == 0 {
		return false // an empty pair is no parameter, not one with an empty name
	}
	if c := pair[0]; name != "" && c != name[0] && c != '%' && c != '+' {
		return false // most pairs
	}
	raw := pair
	if i := bytes.IndexByte(pair, '='); i >= 0 {
		raw = pair[:i]
	}
	if len(raw) < len(name) || bytes.IndexByte(raw, '%') < 0 && bytes.IndexByte(raw, '+') < 0 {
		return string(raw) == name // plain, or too short to be it encoded
	}
	n := 0
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(raw) && isHex(raw[i+1]) && isHex(raw[i+2]):
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
		}
		if n == len(name) || c != name[n] {
			return false
		}
		n++
	}
	return n == len(name)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// appendEncoded appends text with all but the unreserved characters of RFC 3986 percent-encoded.
func appendEncoded(dst []byte, text string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}
