package exchangetest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
)

// Run puts an implementation through all that a guest may rely on. open makes an exchange as the setup says; what it needs to
// clean up it leaves to t.Cleanup. Fields that the gateway adds of itself (see [Reserved], and Via and Breakwater-Request-Id) may be
// there besides those of the setup.
func Run(t *testing.T, open func(t *testing.T, s Setup) engine.Exchange) {
	for _, part := range []struct {
		name string
		run  func(t *testing.T, open func(Setup) engine.Exchange)
	}{
		{"who and how", whoAndHow},
		{"method and URI", methodAndURI},
		{"status and answer", statusAndAnswer},
		{"fields", fields},
		{"refused fields", refusedFields},
		{"limits", limits},
		{"bodies", bodies},
		{"trailers", trailers},
		{"after the request was sent", afterSending},
	} {
		t.Run(part.name, func(t *testing.T) {
			part.run(t, func(s Setup) engine.Exchange { return open(t, s) })
		})
	}
}

func whoAndHow(t *testing.T, open func(Setup) engine.Exchange) {
	x := open(Setup{})
	if x.ID() == "" {
		t.Error(`ID() = "", want something`)
	}
	if !x.Peer().IsValid() {
		t.Errorf("Peer() = %v, want an address and port", x.Peer())
	}
	if x.Protocol() != "HTTP/1.1" {
		t.Errorf("Protocol() = %q, want HTTP/1.1", x.Protocol())
	}
}

func methodAndURI(t *testing.T, open func(Setup) engine.Exchange) {
	const odd = "/a%2Fb/%7euser//c/./d?x=1&&y=%41+%2B&empty=&=&z"
	x := open(Setup{Method: "DELETE", URI: odd})
	expect(t, "Method()", x.Method(), "DELETE")
	expect(t, "URI() of an odd but valid one", x.URI(), odd)
	accept(t, "SetMethod", x.SetMethod([]byte("PATCH")))
	expect(t, "Method()", x.Method(), "PATCH")

	given := []byte("/new?q=%2f&q=%2F")
	accept(t, "SetURI", x.SetURI(given))
	given[1] = 'X'
	expect(t, "URI() after the caller has changed its bytes", x.URI(), "/new?q=%2f&q=%2F")
	accept(t, "SetURI to a part of the old one", x.SetURI(x.URI()[:len("/new?q=%2f")]))
	expect(t, "URI()", x.URI(), "/new?q=%2f")
	accept(t, "SetURI to nothing", x.SetURI(nil))
	expect(t, "URI()", x.URI(), "/")

	for _, m := range []string{"", "GE T", "GET\r\n", "G\x00T", "G:T", "GÉT"} {
		refuse(t, x, engine.ErrRefused, fmt.Sprintf("SetMethod(%q)", m), func() error { return x.SetMethod([]byte(m)) })
	}
	for _, uri := range []string{
		"relative", "?q=1", "http://other.example/", "other.example:443", "*", "/a b", "/a\tb", "/a\r\nX: y", "/a\nb", "/a\x00", "/a\x7f", "/a#b",
	} {
		refuse(t, x, engine.ErrRefused, fmt.Sprintf("SetURI(%q)", uri), func() error { return x.SetURI([]byte(uri)) })
	}
}

func statusAndAnswer(t *testing.T, open func(Setup) engine.Exchange) {
	x := open(Setup{Status: 404})
	if x.Status() != 404 {
		t.Errorf("Status() = %d, want 404", x.Status())
	}
	accept(t, "SetStatus(201)", x.SetStatus(201))
	if x.Status() != 201 {
		t.Errorf("Status() = %d, want 201", x.Status())
	}
	for _, status := range []int{-1, 0, 99, 100, 101, 199, 1000, 70000} {
		refuse(t, x, engine.ErrRefused, fmt.Sprintf("SetStatus(%d)", status), func() error { return x.SetStatus(status) })
	}
	refuse(t, x, engine.ErrPhase, "Answer where there is a response", func() error { return x.Answer(200) })

	x = open(Setup{})
	if x.Status() != 0 {
		t.Errorf("Status() where there is no response = %d, want 0", x.Status())
	}
	refuse(t, x, engine.ErrPhase, "SetStatus where there is no response", func() error { return x.SetStatus(200) })
	for _, status := range []int{0, 100, 199, 1000} {
		refuse(t, x, engine.ErrRefused, fmt.Sprintf("Answer(%d)", status), func() error { return x.Answer(status) })
	}
	accept(t, "SetField of an answer", x.SetField(engine.ResponseFields, []byte("X-Why"), []byte("because")))
	accept(t, "SetBody of an answer", x.SetBody(engine.Response, []byte("no")))
	accept(t, "Answer(403)", x.Answer(403))
	if x.Status() != 403 {
		t.Errorf("Status() after an answer = %d, want 403", x.Status())
	}
	refuse(t, x, engine.ErrPhase, "a second Answer", func() error { return x.Answer(200) })
	refuse(t, x, engine.ErrPhase, "SetURI after an answer", func() error { return x.SetURI([]byte("/late")) })
}

// section is a field section with the setup in which a guest may change it.
type section struct {
	name   string
	s      engine.Section
	setup  func(fields []Field) Setup
	reread engine.Message // to be read before the section is there
	isLast bool           // trailers
}

var sections = []section{
	{"request fields", engine.RequestFields, func(f []Field) Setup { return Setup{Request: Message{Fields: f}} }, engine.Request, false},
	{"response fields", engine.ResponseFields, func(f []Field) Setup { return Setup{Status: 200, Response: Message{Fields: f}} }, engine.Response, false},
	{"request trailers", engine.RequestTrailers, func(f []Field) Setup {
		return Setup{Method: "POST", Request: Message{Body: "content", Trailers: f}}
	}, engine.Request, true},
	{"response trailers", engine.ResponseTrailers, func(f []Field) Setup {
		return Setup{Status: 200, Response: Message{Body: "content", Trailers: f}}
	}, engine.Response, true},
}

// with opens an exchange with those fields and reads as much of it as has to be read before they are there.
func (sec section) with(t *testing.T, open func(Setup) engine.Exchange, fields []Field) engine.Exchange {
	t.Helper()
	x := open(sec.setup(fields))
	if sec.isLast {
		if _, err := x.Body(sec.reread, 1<<10); err != nil {
			t.Fatalf("Body before trailers: %v", err)
		}
	}
	return x
}

func fields(t *testing.T, open func(Setup) engine.Exchange) {
	start := []Field{{"X-One", "1"}, {"x-LIST", "a"}, {"X-Two", ""}, {"X-List", "b"}, {"X-Three", "caf\xc3\xa9 \xff\ta"}}
	for _, tt := range []struct {
		name   string
		change func(x engine.Exchange, s engine.Section) error
		want   []Field // names of changed lines are compared without case
	}{
		{"order, case and repeats are those of the message", func(engine.Exchange, engine.Section) error { return nil }, start},
		{"set replaces the value in its place", func(x engine.Exchange, s engine.Section) error {
			return x.SetField(s, []byte("x-one"), []byte("new"))
		}, []Field{{"X-One", "new"}, start[1], start[2], start[3], start[4]}},
		{"set leaves one line, at the first one's place", func(x engine.Exchange, s engine.Section) error {
			return x.SetField(s, []byte("X-List"), []byte("c"))
		}, []Field{start[0], {"X-List", "c"}, start[2], start[4]}},
		{"set of a name that is not there goes to the end", func(x engine.Exchange, s engine.Section) error {
			return x.SetField(s, []byte("X-New"), nil)
		}, append(slices.Clone(start), Field{"X-New", ""})},
		{"add goes to the end, others of its name stay", func(x engine.Exchange, s engine.Section) error {
			return x.AddField(s, []byte("X-LIST"), []byte("c"))
		}, append(slices.Clone(start), Field{"X-LIST", "c"})},
		{"remove takes every line of the name", func(x engine.Exchange, s engine.Section) error {
			return x.RemoveField(s, []byte("X-LIST"))
		}, []Field{start[0], start[2], start[4]}},
		{"remove of a name that is not there is fine", func(x engine.Exchange, s engine.Section) error {
			return x.RemoveField(s, []byte("X-Lis"))
		}, start},
		{"what is given is copied", func(x engine.Exchange, s engine.Section) error {
			name, value := []byte("X-New"), []byte("value")
			err := x.AddField(s, name, value)
			name[2], value[0] = 'n', 'V'
			clear(name[3:])
			clear(value[1:])
			return err
		}, append(slices.Clone(start), Field{"X-New", "value"})},
		{"what is given may be part of what is there", func(x engine.Exchange, s engine.Section) error {
			for i := range x.NumFields(s) {
				if name, value := x.Field(s, i); string(name) == "X-Three" {
					return x.SetField(s, []byte("X-One"), value[:4])
				}
			}
			return errors.New("no field X-Three")
		}, []Field{{"X-One", "caf\xc3"}, start[1], start[2], start[3], start[4]}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, sec := range sections {
				x := sec.with(t, open, start)
				accept(t, sec.name, tt.change(x, sec.s))
				got := lines(x, sec.s)
				if !slices.EqualFunc(got, tt.want, func(a, b Field) bool { return strings.EqualFold(a.Name, b.Name) && a.Value == b.Value }) {
					t.Errorf("%s: %q, want %q", sec.name, got, tt.want)
				}
				if slices.Equal(tt.want, start) && !slices.Equal(got, start) {
					t.Errorf("%s: %q, want the case of names kept: %q", sec.name, got, start)
				}
			}
		})
	}
}

func refusedFields(t *testing.T, open func(Setup) engine.Exchange) {
	for _, sec := range sections {
		x := sec.with(t, open, []Field{{"X-One", "1"}})
		for _, name := range []string{"", "X One", "X-One:", "X\r\nY", "X\x00", "X-É", "X\tY"} {
			refuse(t, x, engine.ErrRefused, fmt.Sprintf("%s: SetField(%q)", sec.name, name), func() error { return x.SetField(sec.s, []byte(name), nil) })
			refuse(t, x, engine.ErrRefused, fmt.Sprintf("%s: AddField(%q)", sec.name, name), func() error { return x.AddField(sec.s, []byte(name), nil) })
		}
		for _, value := range []string{"a\r\nX: y", "a\nb", "a\rb", "a\x00b", "a\r\n b"} {
			refuse(t, x, engine.ErrRefused, fmt.Sprintf("%s: SetField(X-One, %q)", sec.name, value), func() error { return x.SetField(sec.s, []byte("X-One"), []byte(value)) })
			refuse(t, x, engine.ErrRefused, fmt.Sprintf("%s: AddField(X-One, %q)", sec.name, value), func() error { return x.AddField(sec.s, []byte("X-One"), []byte(value)) })
		}
		for _, own := range reserved {
			if own == "Host" && sec.s != engine.RequestFields {
				continue // it means nothing in a response
			}
			for _, name := range []string{own, strings.ToUpper(own)} {
				refuse(t, x, engine.ErrRefused, fmt.Sprintf("%s: SetField(%q)", sec.name, name), func() error { return x.SetField(sec.s, []byte(name), []byte("5")) })
				refuse(t, x, engine.ErrRefused, fmt.Sprintf("%s: AddField(%q)", sec.name, name), func() error { return x.AddField(sec.s, []byte(name), []byte("5")) })
				refuse(t, x, engine.ErrRefused, fmt.Sprintf("%s: RemoveField(%q)", sec.name, name), func() error { return x.RemoveField(sec.s, []byte(name)) })
			}
		}
	}
}

func limits(t *testing.T, open func(Setup) engine.Exchange) {
	huge := bytes.Repeat([]byte("x"), 16<<20)
	x := open(Setup{})
	refuse(t, x, engine.ErrTooLarge, "SetURI of 16 MiB", func() error { return x.SetURI(append([]byte("/"), huge...)) })
	for _, sec := range sections {
		x := sec.with(t, open, []Field{{"X-One", "1"}})
		refuse(t, x, engine.ErrTooLarge, sec.name+": SetField of 16 MiB", func() error { return x.SetField(sec.s, []byte("X-One"), huge) })
		refuse(t, x, engine.ErrTooLarge, sec.name+": AddField of 16 MiB", func() error { return x.AddField(sec.s, []byte("X-One"), huge) })
		var err error
		for range 16 << 10 { // of 1 KiB each
			if err = x.AddField(sec.s, []byte("X-Many"), huge[:1<<10]); err != nil {
				break
			}
		}
		if !errors.Is(err, engine.ErrTooLarge) {
			t.Errorf("%s: 16,384 lines of 1 KiB: %v, want ErrTooLarge", sec.name, err)
		}
	}
}

func bodies(t *testing.T, open func(Setup) engine.Exchange) {
	const text = "hello world"
	for _, m := range []struct {
		name  string
		m     engine.Message
		setup func(Message) Setup
	}{
		{"request", engine.Request, func(m Message) Setup { return Setup{Method: "POST", Request: m} }},
		{"response", engine.Response, func(m Message) Setup { return Setup{Status: 200, Response: m} }},
	} {
		prefix := func(x engine.Exchange, limit int, want string, all bool) {
			t.Helper()
			b, whole, err := x.Prefix(m.m, limit)
			if err != nil || string(b) != want || whole != all {
				t.Errorf("%s: Prefix(%d) = %q, %v, %v, want %q, %v", m.name, limit, b, whole, err, want, all)
			}
		}
		body := func(x engine.Exchange, want string) {
			t.Helper()
			if b, err := x.Body(m.m, 1<<10); err != nil || string(b) != want {
				t.Errorf("%s: Body = %q, %v, want %q", m.name, b, err, want)
			}
		}
		x := open(m.setup(Message{Body: text}))
		prefix(x, 5, "hello", false)
		prefix(x, 5, "hello", false) // it can be seen again
		prefix(x, 100, text, true)   // and more of it
		prefix(x, 2, "he", false)    // and less
		body(x, text)                // and all of it
		prefix(x, 5, "hello", false)

		x = open(m.setup(Message{Body: text}))
		refuse(t, x, engine.ErrTooLarge, m.name+": Body over its limit", func() error {
			_, err := x.Body(m.m, 10)
			return err
		})
		prefix(x, 100, text, true) // nothing was lost by that

		x = open(m.setup(Message{}))
		prefix(x, 100, "", true)
		body(x, "")

		given := []byte("something longer than before")
		x = open(m.setup(Message{Body: text}))
		accept(t, m.name+": SetBody", x.SetBody(m.m, given))
		clear(given)
		body(x, "something longer than before")
		prefix(x, 9, "something", false)
		accept(t, m.name+": SetBody to nothing", x.SetBody(m.m, nil))
		body(x, "")

		x = open(m.setup(Message{Body: zip(text), Fields: []Field{{"Content-Encoding", "gzip"}}}))
		prefix(x, 5, "hello", false)
		prefix(x, 100, text, true)
	}
	x := open(Setup{})
	refuse(t, x, engine.ErrPhase, "Prefix of a response that is not there", func() error {
		_, _, err := x.Prefix(engine.Response, 10)
		return err
	})
	refuse(t, x, engine.ErrPhase, "Body of a response that is not there", func() error {
		_, err := x.Body(engine.Response, 10)
		return err
	})
}

func trailers(t *testing.T, open func(Setup) engine.Exchange) {
	sent := []Field{{"X-Sum", "1"}, {"x-sum", "2"}}
	for _, sec := range sections {
		if !sec.isLast {
			continue
		}
		x := sec.with(t, open, sent)
		if got := lines(x, sec.s); !slices.Equal(got, sent) {
			t.Errorf("%s after the body was read: %q, want %q", sec.name, got, sent)
		}
		accept(t, sec.name+": AddField", x.AddField(sec.s, []byte("X-More"), []byte("3")))
		if got, want := lines(x, sec.s), append(slices.Clone(sent), Field{"X-More", "3"}); !slices.Equal(got, want) {
			t.Errorf("%s after AddField: %q, want %q", sec.name, got, want)
		}
	}
}

func afterSending(t *testing.T, open func(Setup) engine.Exchange) {
	x := open(Setup{Method: "POST", URI: "/sent", Request: Message{Fields: []Field{{"X-One", "1"}}}, Status: 200})
	expect(t, "Method()", x.Method(), "POST")
	expect(t, "URI()", x.URI(), "/sent")
	if got, want := lines(x, engine.RequestFields), []Field{{"X-One", "1"}}; !slices.Equal(got, want) {
		t.Errorf("request fields: %q, want %q", got, want)
	}
	refuse(t, x, engine.ErrPhase, "SetMethod", func() error { return x.SetMethod([]byte("PUT")) })
	refuse(t, x, engine.ErrPhase, "SetURI", func() error { return x.SetURI([]byte("/late")) })
	refuse(t, x, engine.ErrPhase, "SetBody", func() error { return x.SetBody(engine.Request, []byte("late")) })
	for _, s := range []engine.Section{engine.RequestFields, engine.RequestTrailers} {
		refuse(t, x, engine.ErrPhase, "SetField", func() error { return x.SetField(s, []byte("X-One"), []byte("2")) })
		refuse(t, x, engine.ErrPhase, "AddField", func() error { return x.AddField(s, []byte("X-One"), []byte("2")) })
		refuse(t, x, engine.ErrPhase, "RemoveField", func() error { return x.RemoveField(s, []byte("X-One")) })
	}
}

// lines are the field lines of s, without those that the gateway adds.
func lines(x engine.Exchange, s engine.Section) []Field {
	var f []Field
	for i := range x.NumFields(s) {
		name, value := x.Field(s, i)
		if n := string(name); !Reserved(n) && !strings.EqualFold(n, "Via") && !strings.EqualFold(n, "Breakwater-Request-Id") {
			f = append(f, Field{n, string(value)})
		}
	}
	return f
}

func expect(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if string(got) != want {
		t.Errorf("%s = %q, want %q", what, got, want)
	}
}

func accept(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v, want no error", what, err)
	}
}

// refuse checks that a change gives an error of that kind and changes nothing.
func refuse(t *testing.T, x engine.Exchange, kind error, what string, change func() error) {
	t.Helper()
	before := state(x)
	if err := change(); !errors.Is(err, kind) {
		t.Errorf("%s: %v, want an error that wraps %q", what, err, kind)
	}
	if after := state(x); after != before {
		t.Errorf("%s was refused but changed the exchange from\n%s\nto\n%s", what, before, after)
	}
}

func state(x engine.Exchange) string {
	s := fmt.Sprintf("%s %s %d", x.Method(), x.URI(), x.Status())
	for section := range engine.Section(4) {
		for i := range x.NumFields(section) {
			name, value := x.Field(section, i)
			s += fmt.Sprintf("\n%d %q: %q", section, name, value)
		}
	}
	return s
}

func zip(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s)) // a buffer takes it
	_ = z.Close()
	return b.String()
}
