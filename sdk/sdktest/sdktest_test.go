package sdktest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/sdk"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
	"github.com/breakwater-gateway/breakwater/sdk/sdktest"
)

// rewriter is a plugin that does one thing with every request.
func rewriter(want sdk.Want, f func(*sdk.Request)) func(struct{}) (sdk.Plugin, error) {
	return func(struct{}) (sdk.Plugin, error) { return sdk.Plugin{Request: f, RequestWant: want}, nil }
}

func TestRequest(t *testing.T) {
	x := sdktest.Exchange{
		Method: "POST", URI: "/a?b=1&c=2", RequestBody: "hello",
		RequestFields: sdktest.Fields{{"Accept", "*/*"}, {"X-A", "1"}, {"x-a", "2"}, {"Cookie", "c"}},
	}
	all := sdk.Want{Method: true, URI: true, AllRequestFields: true, Prefix: 3}
	tests := []struct {
		name   string
		want   sdk.Want
		handle func(*sdk.Request)
		out    string
	}{
		{"nothing done is nothing changed", all, func(*sdk.Request) {}, ""},
		{"everything is shown", all, func(r *sdk.Request) {
			body, whole, ok := r.Body()
			accept, _ := r.Field("aCCept")
			if string(r.Method()) != "POST" || string(r.URI()) != "/a?b=1&c=2" || string(accept) != "*/*" || string(body) != "hel" || whole || !ok {
				r.Answer(500, "", "not everything")
			}
		}, ""},
		{"what is not wanted is not shown", sdk.Want{RequestFields: []string{"x-a"}}, func(r *sdk.Request) {
			_, _, body := r.Body()
			n := 0
			r.EachField(func(_, _ []byte) bool { n++; return true })
			if r.Method() != nil || r.URI() != nil || body || n != 2 {
				r.Answer(500, "", "too much")
			}
		}, ""},
		{"a method that is not wanted", sdk.Want{Methods: []string{"GET"}}, func(r *sdk.Request) { r.SetURI(nil) }, sdktest.NotCalled},
		{"every change", all, func(r *sdk.Request) {
			r.SetMethod("PUT")
			r.SetURI([]byte("/x"))
			r.SetField("X-A", "3")
			r.AddField("X-B", "")
			r.RemoveField("Cookie")
			r.SetBody([]byte("bye"))
		}, "set method PUT\nset field X-A: 3\nadd field X-B: \nremove field Cookie\nset body bye\nset URI /x"},
		{"a handler sees its own changes", all, func(r *sdk.Request) {
			r.SetMethod("PUT")
			r.SetField("X-A", "3")
			r.AddField("X-A", "4")
			r.RemoveField("Cookie")
			r.SetField("X-New", "5")
			r.SetBody([]byte("bye"))
			var seen []string
			r.EachField(func(n, v []byte) bool { seen = append(seen, string(n)+"="+string(v)); return true })
			body, whole, _ := r.Body()
			if whole {
				seen = append(seen, string(r.Method()), string(body))
			}
			r.Answer(200, "", strings.Join(seen, " "))
		}, "answer 200\nset body Accept=*/* X-A=3 X-A=4 X-New=5 PUT bye"},
		{"an empty URI is the root", all, func(r *sdk.Request) { r.SetURI(nil) }, "set URI /"},
		{"the last URI", all, func(r *sdk.Request) { r.SetURI([]byte("/x")); r.SetURI(append(r.URI(), '/')) }, "set URI /x/"},
		{"an answer forgets what was changed", all, func(r *sdk.Request) {
			r.SetMethod("PUT")
			r.SetURI([]byte("/x"))
			r.Answer(403, "text/plain", "no")
			r.AnswerField("Retry-After", "1")
		}, "answer 403\nset response field Content-Type: text/plain\nset body no\nadd response field Retry-After: 1"},
		{"a bare answer", all, func(r *sdk.Request) { r.Answer(204, "", "") }, "answer 204"},
		{"a parameter is read as it stands", all, func(r *sdk.Request) {
			b, _ := r.Query("b")
			_, ok := r.Query("d")
			r.Answer(200, "", string(b)+map[bool]string{true: "yes", false: "no"}[ok])
		}, "answer 200\nset body 1no"},
		{"a parameter is set in its place", all, func(r *sdk.Request) { r.SetQuery("b", "ä &") }, "set URI /a?b=%C3%A4%20%26&c=2"},
		{"a parameter is added", all, func(r *sdk.Request) { r.SetQuery("d", "") }, "set URI /a?b=1&c=2&d="},
		{"changes of the query add up", all, func(r *sdk.Request) {
			r.DropQuery("b")
			r.SetQuery("d", "1")
			r.DropQuery("c")
			r.SetQuery("b", "2")
		}, "set URI /a?d=1&b=2"},
		{"no parameter left, and one added", all, func(r *sdk.Request) { r.DropQuery("b", "c"); r.SetQuery("d", "1") }, "set URI /a?d=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := sdktest.New(t, rewriter(tt.want, tt.handle), "null")
			for range 2 { // what one call leaves must not be in the next
				if got := p.Request(x); got != tt.out {
					t.Errorf("got %q, want %q", got, tt.out)
				}
			}
		})
	}
}

func TestSetQuery(t *testing.T) {
	p := sdktest.New(t, rewriter(sdk.Want{URI: true}, func(r *sdk.Request) { r.SetQuery("a b", "1") }), "null")
	row := func(name, uri, want string) sdktest.Case {
		return sdktest.Row(name, sdktest.Exchange{URI: uri}, "set URI "+want)
	}
	p.TestRequests(t, []sdktest.Case{
		row("without a query", "/", "/?a%20b=1"),
		row("with an empty query", "/?", "/?a%20b=1"),
		row("the name keeps its bytes", "/?x&a+b=2&y", "/?x&a+b=1&y"),
		row("a name without a value gets one", "/?a+b", "/?a+b=1"),
		row("later ones go", "/?a%20b=2&x&a+b=3&", "/?a%20b=1&x&"),
		row("before a fragment", "/#f?a", "/?a%20b=1#f?a"),
		row("empty pairs stay", "/?&&", "/?&&&a%20b=1"),
	})
}

func TestResponse(t *testing.T) {
	configure := func(struct{}) (sdk.Plugin, error) {
		return sdk.Plugin{
			Response: func(r *sdk.ResponseHead) {
				server, _ := r.Field("server")
				path, _ := r.RequestField("X-Path")
				trailer, _ := r.Trailer("T")
				r.SetField("X-Was", string(server)+string(path)+string(trailer)+string(r.URI()))
				r.AddField("Vary", "Accept")
				r.RemoveField("Server")
				r.SetStatus(r.Status() + 1)
				r.SetBody([]byte("x"))
			},
			ResponseWant: sdk.Want{
				URI: true, AllResponseFields: true, RequestFields: []string{"x-path"}, ResponseTrailers: true, Statuses: sdk.Statuses(2, 404),
			},
		}, nil
	}
	p := sdktest.New(t, configure, "{}")
	x := sdktest.Exchange{
		URI: "/u", RequestFields: sdktest.Fields{{"X-Path", "p"}}, ResponseFields: sdktest.Fields{{"Server", "s"}}, ResponseTrailers: sdktest.Fields{{"t", "t"}},
	}
	const changed = "set response field X-Was: spt/u\nadd response field Vary: Accept\nremove response field Server\nset status "
	for status, want := range map[int]string{
		0: changed + "201\nset body x", 404: changed + "405\nset body x", 500: sdktest.NotCalled,
	} {
		x.Status = status
		if got := p.Response(x); got != want {
			t.Errorf("status %d: got %q, want %q", status, got, want)
		}
	}
}

func TestClassify(t *testing.T) {
	configure := func(struct{}) (sdk.Plugin, error) {
		var reasons sdk.Reasons
		busy := reasons.Add("busy", abi.About{})
		id := reasons.Add("id", abi.About{Part: abi.PartQuery, Name: "id"})
		return sdk.Plugin{
			Classify: func(r *sdk.Response) sdk.Verdict {
				switch body, whole, _ := r.Body(); {
				case string(body) == "busy":
					return sdk.Verdict{Class: abi.Throttled, Fault: abi.FaultShared, Retryable: true, RetryAfter: 90 * time.Second, Reason: busy}
				case string(body) == "id" && whole:
					return sdk.Verdict{Class: abi.NotFound, Fault: abi.FaultClient, Counts: true, Reason: id}
				}
				return sdk.Verdict{}
			},
			ClassifyWant: sdk.Want{Prefix: 4},
			Reasons:      reasons,
		}, nil
	}
	p := sdktest.New(t, configure, "{}")
	p.TestClassify(t, []sdktest.Case{
		sdktest.Row("nothing to say", sdktest.Exchange{}, "unjudged"),
		sdktest.Row("a prefix is enough", sdktest.Exchange{ResponseBody: "busy now"}, "throttled, fault shared, retryable, after 1m30s, busy"),
		sdktest.Row("all of it", sdktest.Exchange{ResponseBody: "id"}, "not_found, fault client, counts, id about query:id"),
	})
	var seen []string
	p.EveryPrefix(sdktest.Exchange{ResponseBody: "busy"}, func(_ int, verdict string) { seen = append(seen, verdict) })
	if len(seen) != 5 || seen[3] != "unjudged" || seen[4] == "unjudged" {
		t.Errorf("verdicts by prefix: %q", seen)
	}
}

func TestComplaints(t *testing.T) {
	configure := func(c struct{ N int }) (sdk.Plugin, error) {
		if c.N > 3 {
			return sdk.Plugin{}, sdk.Complain("/N", "expected at most 3")
		}
		return sdk.Plugin{Request: func(*sdk.Request) {}}, nil
	}
	for config, want := range map[string][]string{
		`{"N": 3}`: nil, `{"N": 4}`: {"/N: expected at most 3"}, `{"N": "x"}`: {`/N: expected a whole number of 64 bits, not "x"`},
		`{`: {": JSON, byte 1: expected a key"},
	} {
		if got := sdktest.Complaints(t, configure, config); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", config, got, want)
		}
	}
}

// Keeping borrowed bytes is a mistake that shows: the next call's input lies where they lay.
func TestBorrowedBytesDoNotLast(t *testing.T) {
	var kept []byte
	p := sdktest.New(t, rewriter(sdk.Want{URI: true}, func(r *sdk.Request) { kept = r.URI() }), "null")
	p.Request(sdktest.Exchange{URI: "/kept"})
	if string(kept) == "/kept" {
		t.Error("bytes of the input outlive the call")
	}
}
