package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// A reading is what a recipient has understood of the message that some bytes begin with.
type reading struct {
	start    string // method and target, or status
	host     string
	fields   map[string][]string // values by name in small letters; those that frame the message are not among them
	content  string
	trailers map[string][]string
	used     int // bytes that belong to the message
}

// A recipient reads a request, or the response to a request with that method.
type recipient struct {
	name     string
	request  func(b []byte) (reading, error)
	response func(b []byte, method string) (reading, error)
	forgets  []string // fields of a response of which it does not keep every line
}

var netHTTP = recipient{
	"net/http",
	func(b []byte) (r reading, err error) {
		in := newInput(b)
		req, err := http.ReadRequest(in.Reader)
		if err != nil {
			return r, err
		}
		defer req.Body.Close()
		content, err := io.ReadAll(req.Body)
		if err != nil {
			return r, err
		}
		return reading{req.Method + " " + req.RequestURI, req.Host, byName(req.Header), string(content), byName(req.Trailer), in.used()}, nil
	},
	func(b []byte, method string) (r reading, err error) {
		in := newInput(b)
		resp, err := http.ReadResponse(in.Reader, &http.Request{Method: method})
		if err != nil {
			return r, err
		}
		defer resp.Body.Close()
		content, err := io.ReadAll(resp.Body)
		if err != nil {
			return r, err
		}
		return reading{fmt.Sprint(resp.StatusCode), "", byName(resp.Header), string(content), byName(resp.Trailer), in.used()}, nil
	},
	nil,
}

// most is more than any content here, so that nobody makes room for what a length only promises.
const most = 1 << 20

var fast = recipient{
	"fasthttp",
	func(b []byte) (r reading, err error) {
		in := newInput(b)
		var req fasthttp.Request
		req.Header.DisableNormalizing()
		if err := req.Header.Read(in.Reader); err != nil {
			return r, err
		}
		r.start = string(req.Header.Method()) + " " + string(req.Header.RequestURI())
		r.host = string(req.Header.Host())
		r.fields = map[string][]string{}
		for name, value := range req.Header.AllInOrder() {
			add(r.fields, string(name), string(value))
		}
		if err := req.ContinueReadBody(in.Reader, most, false); err != nil { // false: not to parse forms
			return r, err
		}
		r.content, r.used = string(req.Body()), in.used()
		r.trailers, err = section(req.Header.TrailerHeader())
		return r, err
	},
	func(b []byte, method string) (r reading, err error) {
		in := newInput(b)
		var resp fasthttp.Response
		resp.Header.DisableNormalizing()
		resp.Header.SetNoDefaultContentType(true)
		resp.SkipBody = method == "HEAD"
		if err := resp.ReadLimitBody(in.Reader, most); err != nil {
			return r, err
		}
		r.start = fmt.Sprint(resp.StatusCode())
		r.fields = map[string][]string{}
		for name, value := range resp.Header.All() {
			add(r.fields, string(name), string(value))
		}
		r.content, r.used = string(resp.Body()), in.used()
		r.trailers, err = section(resp.Header.TrailerHeader())
		return r, err
	},
	[]string{"content-encoding", "content-type", "server", "set-cookie"},
}

// An input counts what is read of it.
type input struct {
	*bufio.Reader
	all  int
	rest *bytes.Reader
}

func newInput(b []byte) *input {
	rest := bytes.NewReader(b)
	return &input{bufio.NewReaderSize(rest, 64<<10), len(b), rest}
}

func (in *input) used() int { return in.all - in.rest.Len() - in.Buffered() }

func add(fields map[string][]string, name, value string) {
	name = strings.ToLower(name)
	fields[name] = append(fields[name], value)
}

func byName(h http.Header) map[string][]string {
	m := map[string][]string{}
	for name, values := range h {
		for _, v := range values {
			add(m, name, v)
		}
	}
	return m
}

func section(b []byte) (map[string][]string, error) {
	fields, err := ParseFields(nil, b)
	return fieldMap(fields), err
}

func fieldMap(fields []Field) map[string][]string {
	m := map[string][]string{}
	for i := range fields {
		add(m, string(fields[i].Name), string(fields[i].Value))
	}
	return m
}

// errMore says that the message goes on behind the bytes.
var errMore = errors.New("incomplete")

// readRequest reads a request as the gateway does, with all that it checks. It returns the head and the trailers as well.
func readRequest(b []byte) (r reading, h RequestHead, trailers []Field, err error) {
	end := HeadEnd(b, 0)
	if end < 0 {
		return r, h, nil, errMore
	}
	if err := h.Parse(b[:end]); err != nil {
		return r, h, nil, err
	}
	r = reading{start: string(h.Method) + " " + string(h.Target), host: string(h.Host), fields: fieldMap(h.Fields)}
	r.content, trailers, r.used, err = readContent(b[end:], h.Framing, h.Length)
	r.trailers = fieldMap(trailers)
	r.used += end
	return r, h, trailers, err
}

// readResponse reads the response to a request with that method.
func readResponse(b []byte, method string) (r reading, h ResponseHead, trailers []Field, f Framing, length int64, err error) {
	end := HeadEnd(b, 0)
	if end < 0 {
		return r, h, nil, f, 0, errMore
	}
	if err := h.Parse(b[:end]); err != nil {
		return r, h, nil, f, 0, err
	}
	if f, length, err = ResponseFraming(h.Fields, h.Minor, h.Status, []byte(method)); err != nil {
		return r, h, nil, f, 0, err
	}
	r = reading{start: fmt.Sprint(h.Status), fields: fieldMap(h.Fields)}
	r.content, trailers, r.used, err = readContent(b[end:], f, length)
	r.trailers = fieldMap(trailers)
	r.used += end
	return r, h, trailers, f, length, err
}

func readContent(b []byte, f Framing, length int64) (content string, trailers []Field, used int, err error) {
	switch f {
	case NoBody:
		return "", nil, 0, nil
	case UntilClose:
		return string(b), nil, len(b), nil
	case Length:
		if int64(len(b)) < length {
			return "", nil, 0, errMore
		}
		return string(b[:length]), nil, int(length), nil
	}
	var r ChunkReader
	var all []byte
	for used < len(b) && !r.Done() {
		piece, n, err := r.Next(b[used:])
		if err != nil {
			return "", nil, 0, err
		}
		all, used = append(all, piece...), used+n
	}
	if !r.Done() {
		return "", nil, 0, errMore
	}
	trailers, err = ParseFields(nil, r.Trailers())
	return string(all), trailers, used, err
}

// differ says how two readings of the same bytes differ, but for the fields whose names are in but. It returns "" if they do not.
func differ(a, b reading, but ...string) string {
	switch {
	case a.start != b.start:
		return fmt.Sprintf("start %q and %q", a.start, b.start)
	case a.host != b.host:
		return fmt.Sprintf("host %q and %q", a.host, b.host)
	case a.content != b.content:
		return fmt.Sprintf("content %q and %q", a.content, b.content)
	case a.used != b.used:
		return fmt.Sprintf("%d and %d bytes", a.used, b.used)
	}
	if d := differentFields(a.fields, b.fields, but); d != "" {
		return "field " + d
	}
	if d := differentFields(a.trailers, b.trailers, but); d != "" {
		return "trailer " + d
	}
	return ""
}

func differentFields(a, b map[string][]string, but []string) string {
	names := slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(but, name) && !slices.Equal(a[name], b[name]) {
			return fmt.Sprintf("%s as %q and %q", name, a[name], b[name])
		}
	}
	return ""
}
