package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/breakwater-gateway/breakwater/gateway/admit"
)

// A Problem is what went wrong, as RFC 9457 has it.
type Problem struct {
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Status   int      `json:"status"`
	Detail   string   `json:"detail"`
	Errors   []string `json:"errors,omitempty"`   // of a refused configuration: one line for each mistake
	Revision uint64   `json:"revision,omitempty"` // of a change that is in force, but not in the journal

	retryAfter time.Duration
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// A kind is a problem's type, which never changes its meaning.
type kind struct {
	status      int
	name, title string
}

// typePrefix is what the type of our problems begins with. It names them and leads nowhere.
const typePrefix = "tag:breakwater-gateway.github.io,2026:problem/"

var (
	kindMalformed     = kind{400, "malformed-request", "The request is malformed"}
	kindUnknown       = kind{401, "unknown-token", "The token is missing or not known"}
	kindForbidden     = kind{403, "not-allowed", "The token does not allow this"}
	kindForeign       = kind{403, "foreign-request", "The request does not come from this machine's own operator"}
	kindNotFound      = kind{404, "not-found", "There is nothing of this name"}
	kindMethod        = kind{405, "method-not-allowed", "The method is not allowed here"}
	kindSlow          = kind{408, "request-timeout", "The request did not arrive in time"}
	kindConflict      = kind{409, "changed-by-others", "The flag file is being changed by others"}
	kindTooLarge      = kind{413, "too-large", "The request is too large"}
	kindNotJSON       = kind{415, "not-json", "The content is not declared as JSON"}
	kindRefused       = kind{422, "refused", "The change is refused"}
	kindGuessing      = kind{429, "too-many-unknown-tokens", "Too many unknown tokens"}
	kindHead          = kind{431, "head-too-large", "The request's head is too large"}
	kindFailed        = kind{500, "gateway-failed", "The gateway failed"}
	kindNotJournalled = kind{500, "not-journalled", "The change is in force, but could not be written down"}
	kindUnready       = kind{503, "stopping", "The gateway is stopping"}
)

func (k kind) problem(format string, args ...any) *Problem {
	return &Problem{Type: typePrefix + k.name, Title: k.title, Status: k.status, Detail: fmt.Sprintf(format, args...)}
}

func writeProblem(ctx *fasthttp.RequestCtx, p *Problem) {
	header := &ctx.Response.Header
	ctx.SetStatusCode(p.Status)
	switch {
	case p.Status == fasthttp.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="breakwater"`)
	case p.retryAfter > 0:
		header.Set("Retry-After", strconv.FormatInt(admit.Seconds(p.retryAfter), 10))
	}
	writeJSON(ctx, p)
	ctx.SetContentType("application/problem+json")
}

// writeJSON puts v into the response.
func writeJSON(ctx *fasthttp.RequestCtx, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is never a page
	if err := e.Encode(v); err != nil {
		panic("BUG: admin: " + err.Error())
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(b.Bytes())
	unkept(ctx)
}

// unkept says that nobody may keep the response or take it for something else.
func unkept(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
}
