package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/gateway/config"
	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/inbound"
	"github.com/breakwater-gateway/breakwater/plugins"
	"github.com/valyala/fasthttp"
)

// Options are what a gateway needs to be told beside its configuration.
type Options struct {
	Config   string             // the path of the configuration file
	Log      *slog.Logger       // events; nil: none
	Output   io.Writer          // where the access log "-" goes; nil: os.Stdout
	CacheDir string             // keeps compiled plugins between runs; "": none
	Load     config.LoadOptions // for tests
	Version  string             // of the program, as plugins are told
}

// A Gateway serves one configuration after another, until it is told to stop.
type Gateway struct {
	options Options
	inbound inbound.Options
	log     *slog.Logger
	started *config.Config // what the listeners were made from

	snapshot atomic.Pointer[snapshot]
	flags    *flags.Book // nil: the configuration has no flags
	plugins  *plugins.Host
	limits   *admit.Registry
	guesses  *admit.Guesses
	meters   *meters

	listener net.Listener
	admin    net.Listener
	watcher  *conn.Watcher
	secure   atomic.Pointer[serverTLS] // nil: the listener is plain
	draining atomic.Bool
	dated    atomic.Pointer[dated]

	reloading sync.Mutex // one at a time loads or closes
	closed    bool
	reloaded  atomic.Pointer[Reloaded]
	seen      atomic.Pointer[sights]
	mu        sync.Mutex // guards pools
	pools     map[string]*pool

	panics, unaccepted, tooMany, handshakeFailures *metrics.Counter
	stepFailures, exchangeFailures, acceptFailures sometimes
}

// New loads the configuration and opens everything that it names, the listeners included. Requests are served by Run, which
// must follow, or Close.
func New(ctx context.Context, o Options) (_ *Gateway, err error) {
	g, err := assemble(o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	o, c := g.options, g.started
	if c.Flags != nil {
		if g.flags, err = flags.Open(ctx, flags.Options{Path: c.Flags.File, LastGood: c.Flags.LastGood, Journal: c.Flags.Journal, Log: o.Log}); err != nil {
			return nil, err
		}
	}
	if err = g.load(ctx, c); err != nil {
		return nil, err
	}
	if g.watcher, err = conn.NewWatcher(); err != nil {
		return nil, err
	}
	if g.listener, err = net.Listen("tcp", string(c.Listen.Address)); err != nil {
		return nil, c.Listen.Errorf("address", "%w", err)
	}
	if g.admin, err = net.Listen("tcp", string(c.Admin.Address)); err != nil {
		return nil, c.Admin.Errorf("address", "%w", err)
	}
	g.meters.watch(g)
	return g, nil
}

// assemble loads the configuration and makes what does not depend on it. Nothing is bound, opened or listened to yet. Close must
// follow.
func assemble(o Options) (*Gateway, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Output == nil {
		o.Output = os.Stdout
	}
	g := &Gateway{options: o, log: o.Log, pools: map[string]*pool{}, meters: newMeters(), guesses: admit.NewGuesses(time.Now())}
	var err error
	if g.started, err = g.loadConfig(); err != nil {
		return nil, err
	}
	l := &g.started.Listen
	g.inbound = inbound.Options{MaxHead: int(l.Limits.Head), HeadTimeout: l.Timeouts.Head, IdleTimeout: l.Timeouts.Idle}
	g.limits = admit.NewRegistry(time.Now(), g.clientBlocked)
	g.panics = g.meters.set.NewCounter("breakwater_panics_total")
	g.unaccepted = g.meters.set.NewCounter("breakwater_accept_failures_total")
	g.tooMany = g.meters.set.NewCounter("breakwater_connections_refused_total")
	g.handshakeFailures = g.meters.set.NewCounter("breakwater_tls_handshake_failures_total")
	g.plugins, err = plugins.NewHost(plugins.HostOptions{CacheDir: o.CacheDir, Logger: o.Log, Gateway: "breakwater " + o.Version})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// Addr is the address at which clients are served.
func (g *Gateway) Addr() net.Addr { return g.listener.Addr() }

// URL is how clients reach the gateway.
func (g *Gateway) URL() string {
	if g.started.Listen.TLS != nil {
		return "https://" + g.Addr().String()
	}
	return "http://" + g.Addr().String()
}

// AdminAddr is the address of the admin listener.
func (g *Gateway) AdminAddr() net.Addr { return g.admin.Addr() }

// view returns the flags of this moment.
func (g *Gateway) view() *flags.View {
	if g.flags == nil {
		return &noFlags
	}
	return g.flags.View()
}

var noFlags flags.View

// Run serves until ctx ends, and then until the requests under way have ended or the time to drain is over. It returns when
// nothing of the gateway runs any more.
func (g *Gateway) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer g.Close() // last, when nobody uses any more what it closes
	defer running.Wait()
	defer stop()

	server, admin, clients := g.server(), g.adminServer(), g.accepting()
	failed := make(chan error, 2)
	running.Go(func() { failed <- server.Serve(clients) })
	running.Go(func() { failed <- admin.Serve(conn.Patient{Listener: g.admin, Failed: g.notAccepted}) })
	running.Go(func() { g.watchFiles(background) })
	running.Go(func() { g.sweep(background) })
	if g.flags != nil {
		running.Go(func() { g.flags.Run(background) }) //nolint:errcheck // it ends when it is told to
	}
	g.log.Info("serving", "address", g.Addr().String(), "admin", g.AdminAddr().String())
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	}
	err = errors.Join(err, g.drain(server, clients))
	last, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	admin.ShutdownWithContext(last) //nolint:errcheck // whoever is still connected there is not waited for
	// A server that was only about to serve when it was shut down does not know that.
	g.listener.Close() //nolint:errcheck // mostly it is closed
	g.admin.Close()    //nolint:errcheck
	return err
}

// drain ends the serving of clients: requests under way have their time, and are cut off after it.
func (g *Gateway) drain(server *fasthttp.Server, clients *conn.Listener) error {
	g.draining.Store(true)
	clients.Drain()
	length := g.snapshot.Load().config.Listen.Drain
	g.log.Info("draining", "limit", length.String())
	limit, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	err := server.ShutdownWithContext(limit)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("drain: %d connections were still in use after %v: %w", clients.Open(), length, err)
	select {
	case <-clients.Abort():
	case <-time.After(abortTime): // something waits that no client's leaving ends; it finds no snapshot to go on with
	}
	return err
}

// abortTime is how long requests may take to end whose clients have been cut off.
const abortTime = 5 * time.Second

// Close lets go of everything that New opened. Run does so itself.
func (g *Gateway) Close() {
	for _, l := range []net.Listener{g.listener, g.admin} {
		if l != nil {
			l.Close() //nolint:errcheck // it may have been closed by its server
		}
	}
	g.reloading.Lock()
	defer g.reloading.Unlock()
	g.closed = true
	if s := g.snapshot.Swap(nil); s != nil {
		s.release()
	}
	if g.plugins != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := g.plugins.Close(ctx); err != nil {
			g.log.Error("plugins did not end", "error", err)
		}
	}
	if g.flags != nil {
		if err := g.flags.Close(); err != nil {
			g.log.Error("flags did not end", "error", err)
		}
	}
	g.watcher.Close()
}

// server is fasthttp as the base of the data plane: it accepts, shakes hands, lends a worker to each connection, and shuts down.
// What is said on a connection is ours, see converse.
func (g *Gateway) server() *fasthttp.Server {
	s := &fasthttp.Server{
		ReadTimeout: g.inbound.HeadTimeout, // for the TLS handshake
		Concurrency: math.MaxInt32,         // connections are limited where they are accepted
		Handler:     func(*fasthttp.RequestCtx) { panic("BUG: a connection that is not ours") },
		Logger:      quiet{},
	}
	s.NextProto("", g.converse)
	s.NextProto("http/1.1", g.converse)
	return s
}

// notAccepted says that a connection could not be accepted, which is tried again.
func (g *Gateway) notAccepted(err error) {
	g.unaccepted.Inc()
	g.acceptFailures.log(g.log, "a connection could not be accepted", "error", err)
}

// quiet is fasthttp's log: what it has to say of a connection is said by our own metrics and log.
type quiet struct{}

// Printf implements fasthttp.Logger.
func (quiet) Printf(string, ...any) {}

// accepting is the public listener with our layers on its connections.
func (g *Gateway) accepting() *conn.Listener {
	l := &conn.Listener{
		Listener: g.listener, Watcher: g.watcher, Write: g.started.Listen.Timeouts.Write,
		Max: g.started.Listen.Limits.Connections, Refused: g.tooMany.Inc, Failed: g.notAccepted,
	}
	if g.started.Listen.TLS != nil {
		l.TLS, l.Unshaken = g.listenTLS, g.unshaken
	}
	return l
}

// sweep drops what limits need not remember any more.
func (g *Gateway) sweep(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			g.limits.Sweep(now)
		}
	}
}

// clientBlocked is told of every block that begins.
func (g *Gateway) clientBlocked(s admit.Standing) {
	g.meters.set.GetOrCreateCounter(fmt.Sprintf("breakwater_blocks_total{route=%q}", s.Route)).Inc()
	g.log.Warn("client blocked for errors", "client", s.Client, "route", s.Route, "until", s.Until, "errors", len(s.Evidence))
}

// sometimes lets one line a second through to the log, and says how many it has held back.
type sometimes struct {
	last atomic.Int64
	held atomic.Int64
}

func (s *sometimes) log(l *slog.Logger, message string, args ...any) {
	now, last := time.Now().Unix(), s.last.Load()
	if now == last || !s.last.CompareAndSwap(last, now) {
		s.held.Add(1)
		return
	}
	l.Error(message, append(args, "held_back", s.held.Swap(0))...)
}
