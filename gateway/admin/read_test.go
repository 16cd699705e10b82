package admin

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/breakwater-gateway/breakwater/gateway/config"
)

func TestWritesAreReadStrictly(t *testing.T) {
	l := listen(t, withTokens())
	tests := []struct {
		name, content string
		status        int
		want          string // in the detail
	}{
		{"a member that is not known", `{"varient": "on", "reason": "x"}`, 400, `unknown member "varient": expected an object with the members "expires", "link", "owner", "reason", "variant"`},
		{"names are compared with case", `{"Variant": "on"}`, 400, `unknown member "Variant"`},
		{"a member twice", `{"variant": "on", "variant": "off", "reason": "x"}`, 400, `member "variant" is given twice`},
		{"a wrong type", `{"variant": true, "reason": "x"}`, 400, `member "variant": expected text, found true`},
		{"an object for text", `{"variant": {}}`, 400, `member "variant": expected text, found an object`},
		{"null", `{"variant": null}`, 400, `member "variant": expected text, found null`},
		{"no object", `[]`, 400, `the content is not a JSON object`},
		{"half an object", `{"variant": "on"`, 400, `it ends too early`},
		{"two objects", `{"variant": "on", "reason": "x"} {}`, 400, `something follows`},
		{"no UTF-8", "{\"variant\": \"\xff\"}", 400, `not UTF-8`},
		{"no variant", `{"reason": "x"}`, 400, `member "variant": expected the name of a variant`},
		{"no reason", `{"variant": "on", "reason": "  "}`, 400, `member "reason": expected why`},
		{"a reason of two lines", `{"variant": "on", "reason": "a\nb"}`, 400, `without line breaks`},
		{"a reason that is too long", `{"variant": "on", "reason": "` + strings.Repeat("x", 1001) + `"}`, 400, `has 1001 bytes: expected at most 1000`},
		{"by is not taken from who has a token", `{"variant": "on", "reason": "x", "by": "the boss"}`, 400, `who it was is told by the token`},
		{"an expiry in the past", `{"variant": "on", "reason": "x", "expires": "2001-01-01T00:00:00Z"}`, 400, `expected a time to come`},
		{"an expiry that is no time", `{"variant": "on", "reason": "x", "expires": "24h"}`, 400, `member "expires" "24h"`},
		{"a variant that is not there", `{"variant": "maybe", "reason": "x"}`, 422, `flag "drop" has no variant "maybe": expected one of "on", "off"`},
		{"more than may be", `{"variant": "` + strings.Repeat("x", maxBody) + `"}`, 413, `more than 65536 bytes`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := l.ask("PUT", "/api/v1/flags/drop", tt.content, asOperate)
			var p Problem
			if err := json.Unmarshal([]byte(r.body), &p); err != nil {
				t.Fatalf("%v: %s", err, r.body)
			}
			if r.status != tt.status || p.Status != tt.status || !strings.Contains(p.Detail, tt.want) || r.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("status %d, want %d with %q: %s", r.status, tt.status, tt.want, r.body)
			}
		})
	}
	if got := l.flags.View().Revision(); got != 1 {
		t.Errorf("the flags are at revision %d: something was changed", got)
	}
}

func TestABrokenRequestIsAProblem(t *testing.T) {
	l := listen(t, example)
	for _, tt := range []struct{ name, sent, want string }{
		{"no HTTP", "nonsense\r\n\r\n", "HTTP/1.1 400 "},
		{"a head that is too large", "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", "HTTP/1.1 431 "},
		{"no Host", "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 403 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", l.address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tt.sent); err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			head := make([]byte, len(tt.want))
			if _, err := io.ReadFull(c, head); err != nil || string(head)[9:] != tt.want[9:] {
				t.Errorf("answer %q (%v), want %q", head, err, tt.want)
			}
		})
	}
}

func TestAPanicCostsOneAnswer(t *testing.T) {
	s := &server{Parts: Parts{
		Log: slog.New(slog.DiscardHandler), Config: func() *config.Config { panic("a mistake") },
	}}
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	s.serve(&ctx)
	if ctx.Response.StatusCode() != 500 || !bytes.Contains(ctx.Response.Body(), []byte("gateway-failed")) {
		t.Errorf("status %d: %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
}
