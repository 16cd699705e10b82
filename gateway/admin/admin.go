// Package admin serves the operators' listener: health, metrics, profiles and the admin API.
//
// It shows the parts that it is given and has no state of its own. [NewServer] makes the fasthttp server; access.go says who may
// do what; the files flags.go, clients.go and gateway.go hold one handler for each line below; answers.go is the JSON that they
// speak, which the command line reads with the same types.
//
//	method and path                       needs     answer
//	GET  /healthz                         nothing   [Health]: the process is alive
//	GET  /readyz                          nothing   [Readiness]; 503 while draining
//	GET  /metrics                         view      Prometheus' text format
//	GET  /debug/pprof/…                   operate   Go's profiles
//	GET  /api/v1/flags                    view      [FlagList]
//	GET  /api/v1/flags/KEY                view      [Flag], with what it has answered
//	GET  /api/v1/flags/KEY/explain        view      [Explanation]; ?client=&route=&upstream=&method=
//	PUT  /api/v1/flags/KEY                operate   [FlagSet]; {"variant", "reason", "expires"?, "owner"?, "link"?, "by"?}
//	GET  /api/v1/journal                  view      [Journal]: the newest entries, the last first; ?limit=&verify=
//	GET  /api/v1/clients                  view      [ClientList]: names, attributes, blocks
//	GET  /api/v1/clients/NAME             view      [ClientStanding]: what is held against one client, route by route
//	POST /api/v1/clients/NAME/unblock     operate   [Unblocked]; {"reason", "route"?, "by"?}
//	GET  /api/v1/blocks                   view      [BlockList]
//	GET  /api/v1/config                   view      [Config]: a summary of what is in force
//	POST /api/v1/reload                   operate   [Load]; {"reason"?, "by"?}, or no content
//
// A write has taken effect everywhere in this gateway when its answer is sent: a request that begins afterwards sees it.
//
// What goes wrong is told as an RFC 9457 [Problem]. A write needs the content type application/json; members that are not listed
// above, members given twice and values that are no text are refused, and so are unknown query parameters.
//
// Who asks proves itself with "Authorization: Bearer TOKEN"; the configuration knows the SHA-256 of each token, its name and its
// role. The role operate includes view. Whatever a token changes is written down under the token's name. Metrics need a token
// too, for they tell routes and flags: a Prometheus scrape configuration has authorization.credentials_file for it. Health needs
// none, since whoever restarts a gateway should not hold one; without a token it says what is the case, not why.
//
// In example mode nobody needs a token and everyone is an operator, called "example" or what the member "by" says. That would
// open the API to every web page on the same machine, so the Host field must then be a loopback address or localhost (a page
// that has rebound its own name to 127.0.0.1 fails here), and what a browser sends on behalf of another origin is refused.
//
// Keys, tokens and clients' secrets are in no answer and no log.
package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/pprofhandler"

	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/breakwater-gateway/breakwater/gateway/route"
)

// Parts are what the listener shows. All must be there, unless it says otherwise.
type Parts struct {
	Version   string
	Log       *slog.Logger                     // nil: none
	Address   func() net.Addr                  // where clients are served
	Config    func() *config.Config            // the one in force
	Loaded    func() (time.Time, error)        // when a configuration was last read, and why it was refused
	Flags     *flags.Book                      // nil: the configuration has no flags
	Limits    *admit.Registry                  //
	Plugins   func() []Plugin                  // those in force; nil: none
	Endpoints func(upstream string) []Endpoint // those of this moment; nil: they are not shown
	Draining  func() bool                      //
	Metrics   func(io.Writer)                  // writes Prometheus' text format
	Reload    func(context.Context) error      // returns when the new configuration is in force
}

// maxBody is the size of the largest request body.
const maxBody = 64 << 10

// NewServer returns the server of the admin listener.
func NewServer(p Parts) *fasthttp.Server {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{Parts: p, guesses: admit.NewGuesses(time.Now())}
	if err := s.guesses.SetPolicy(unknownTokens); err != nil {
		panic("BUG: admin: " + err.Error())
	}
	return &fasthttp.Server{
		Handler:      s.serve,
		ErrorHandler: unread,

		ReadBufferSize:     16 << 10,
		MaxRequestBodySize: maxBody,
		ReadTimeout:        10 * time.Second,
		WriteTimeout:       30 * time.Second, // counted from when a handler has returned: profiles take their time
		IdleTimeout:        75 * time.Second,
		Concurrency:        1024,

		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
		SecureErrorLogMessage:        true,
		Logger:                       quiet{},
	}
}

// quiet is fasthttp's log: broken connections of operators are no event.
type quiet struct{}

// Printf implements fasthttp.Logger.
func (quiet) Printf(string, ...any) {}

type server struct {
	Parts
	guesses *admit.Guesses // unknown tokens, by address
}

// An endpoint is a path and a method of the listener.
type endpoint struct {
	method, path string
	needs        role
	public       bool                     // asked without a token as well; then the caller may be nobody
	handle       func(*call) (any, error) // the answer goes out as JSON; nil: it has been written
	query        []string                 // parameters that it takes
	lenient      bool                     // takes any
}

// endpoints is the list in the package comment.
func endpoints() []endpoint {
	return []endpoint{
		{method: "GET", path: "/healthz", needs: nobody, public: true, handle: (*call).health, lenient: true},
		{method: "GET", path: "/readyz", needs: nobody, public: true, handle: (*call).ready, lenient: true},
		{method: "GET", path: "/metrics", needs: view, handle: (*call).metrics, lenient: true},
		{method: "GET", path: "/debug/pprof/{profile...}", needs: operate, handle: (*call).profile, lenient: true},
		{method: "GET", path: "/api/v1/flags", needs: view, handle: (*call).listFlags},
		{method: "GET", path: "/api/v1/flags/{key}", needs: view, handle: (*call).getFlag},
		{method: "GET", path: "/api/v1/flags/{key}/explain", needs: view, handle: (*call).explainFlag, query: []string{"client", "route", "upstream", "method"}},
		{method: "PUT", path: "/api/v1/flags/{key}", needs: operate, handle: (*call).setFlag},
		{method: "GET", path: "/api/v1/journal", needs: view, handle: (*call).journal, query: []string{"limit", "verify"}},
		{method: "GET", path: "/api/v1/clients", needs: view, handle: (*call).listClients},
		{method: "GET", path: "/api/v1/clients/{name}", needs: view, handle: (*call).getClient},
		{method: "POST", path: "/api/v1/clients/{name}/unblock", needs: operate, handle: (*call).unblock},
		{method: "GET", path: "/api/v1/blocks", needs: view, handle: (*call).listBlocks},
		{method: "GET", path: "/api/v1/config", needs: view, handle: (*call).summary},
		{method: "POST", path: "/api/v1/reload", needs: operate, handle: (*call).reload},
	}
}

var table = func() *route.Table[*endpoint] {
	var entries []route.Entry[*endpoint]
	for _, e := range endpoints() {
		methods := []string{e.method}
		if e.method == "GET" {
			methods = append(methods, "HEAD") // fasthttp leaves the body away
		}
		entries = append(entries, route.Entry[*endpoint]{Name: e.method + " " + e.path, Methods: methods, Path: e.path, Value: &e})
	}
	t, err := route.New(entries)
	if err != nil {
		panic("BUG: admin: " + err.Error())
	}
	return t
}()

// A call is one request to the listener, pinned to one configuration.
type call struct {
	*server
	ctx    *fasthttp.RequestCtx
	config *config.Config
	params route.Params
	who    caller
}

// serve answers one request.
func (s *server) serve(ctx *fasthttp.RequestCtx) {
	defer func() {
		if p := recover(); p != nil { // fasthttp would let the gateway die of it
			s.Log.Error("the admin API panicked", "path", string(ctx.Path()), "panic", p, "stack", string(debug.Stack()))
			ctx.Response.Reset()
			writeProblem(ctx, kindFailed.problem("this is a mistake in the gateway; its log tells more"))
		}
	}()
	answer, err := s.answer(ctx)
	if err != nil {
		p, ok := errors.AsType[*Problem](err)
		if !ok {
			p = kindFailed.problem("%v", err)
		}
		writeProblem(ctx, p)
		return
	}
	if answer != nil {
		writeJSON(ctx, answer)
	}
	unkept(ctx)
}

// answer finds the endpoint, looks whether the caller may use it, and asks it.
func (s *server) answer(ctx *fasthttp.RequestCtx) (any, error) {
	c := &call{server: s, ctx: ctx, config: s.Config()}
	if c.config == nil {
		return nil, kindUnready.problem("the gateway has no configuration: it is stopping")
	}
	if err := c.identify(); err != nil {
		return nil, err
	}
	e, outcome := table.Match(nil, ctx.Method(), ctx.Request.URI().PathOriginal(), &c.params)
	if e == nil || !e.public {
		if err := c.mustBe(view); err != nil { // who may not look is not told what there is either
			return nil, err
		}
	}
	switch outcome.State {
	case route.NoRoute:
		return nil, kindNotFound.problem("path %q: expected one of /healthz, /readyz, /metrics, /debug/pprof/, /api/v1/flags, "+
			"/api/v1/journal, /api/v1/clients, /api/v1/blocks, /api/v1/config, /api/v1/reload", ctx.Path())
	case route.MethodNotAllowed:
		allow := string(table.AppendAllow(nil, outcome))
		ctx.Response.Header.Set("Allow", allow)
		return nil, kindMethod.problem("method %q: expected one of %s", ctx.Method(), allow)
	}
	if err := c.mustBe(e.needs); err != nil {
		return nil, err
	}
	if err := c.checkQuery(e); err != nil {
		return nil, err
	}
	return e.handle(c)
}

// unread answers a request that could not be read.
func unread(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		writeProblem(ctx, kindHead.problem("the head has more than 16 KiB"))
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		writeProblem(ctx, kindTooLarge.problem("the content has more than %d bytes", maxBody))
	case errors.As(err, &network) && network.Timeout():
		writeProblem(ctx, kindSlow.problem("the request did not arrive within 10 seconds"))
	default:
		writeProblem(ctx, kindMalformed.problem("the request is not HTTP/1.1 as it should be"))
	}
}

func (c *call) metrics() (any, error) {
	c.ctx.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	c.Metrics(c.ctx)
	return nil, nil
}

func (c *call) profile() (any, error) {
	pprofhandler.PprofHandler(c.ctx)
	return nil, nil
}
