package config

import "time"

// An Upstream is a server that requests are forwarded to.
type Upstream struct {
	Element

	// Name is what routes and metrics call it.
	Name string `yaml:"name,required" is:"name"`
	// URL is its scheme, host and port: what the Host field and TLS say, and where to connect unless there are addresses.
	URL Origin `yaml:"url,required"`
	// Addresses are where to connect, if not to the url. Each is an endpoint with connections of its own, and as many
	// idle_connections. A name that is no address is one endpoint, looked up for each new connection, unless there is dns.
	Addresses []*Endpoint `yaml:"addresses"`
	// Balance is which endpoint gets a request: each in turn, or of two taken at random that with fewer requests under way. Both
	// by weight.
	Balance string `yaml:"balance" default:"round_robin" oneof:"round_robin least_pending"`
	// PanicThreshold is a percentage of the endpoints: when fewer than that are healthy and not ejected, all are used as if all
	// were. With 0, requests are answered 503 when none is.
	PanicThreshold int `yaml:"panic_threshold" default:"50" min:"0" max:"100"`
	// DNS makes an endpoint of every address that a name has.
	DNS *DNS `yaml:"dns"`
	// Health checks the endpoints from time to time. Left out, they are not checked.
	Health *Health `yaml:"health"`
	// Outliers ejects endpoints whose requests fail. Left out, none is.
	Outliers *Outliers `yaml:"outliers"`
	// TLS is how an https upstream is spoken to and checked.
	TLS *ClientTLS `yaml:"tls"`
	// Timeouts of requests to the upstream.
	Timeouts UpstreamTimeouts `yaml:"timeouts"`
	// Limits of connections with the upstream.
	Limits UpstreamLimits `yaml:"limits"`
	// Adaptive limits the requests under way by the upstream's latency. Left out, only limits does.
	Adaptive *Adaptive `yaml:"adaptive"`
	// Breaker gives the upstream a rest when too many requests to it fail. Left out, it gets none.
	Breaker *Breaker `yaml:"breaker"`
	// RetryBudget bounds the retries of all routes to the upstream.
	RetryBudget RetryBudget `yaml:"retry_budget"`
	// Forwarded is what the upstream is told of where requests come from.
	Forwarded Forwarded `yaml:"forwarded"`
}

// ClientTLS is how a TLS connection to an upstream is made. Its certificate is always checked.
type ClientTLS struct {
	Element

	// CA is a PEM file of the roots to trust. Left out, the system's are trusted.
	CA string `yaml:"ca" is:"existing file"`
	// ServerName is the name that the upstream's certificate must have. Left out, it is the URL's host.
	ServerName string `yaml:"server_name"`
	// Certificate is the PEM file of a certificate to show to the upstream.
	Certificate string `yaml:"certificate" is:"existing file"`
	// Key is the PEM file of that certificate's private key.
	Key string `yaml:"key" is:"existing file"`
	// MinVersion is the oldest version of TLS to speak.
	MinVersion string `yaml:"min_version" default:"1.2" oneof:"1.2 1.3"`
}

// UpstreamTimeouts are how long an upstream may take. 0 is for ever.
type UpstreamTimeouts struct {
	Element

	// Connect is how long a connection may take to be made, TLS included.
	Connect time.Duration `yaml:"connect" default:"2s" max:"1h"`
	// ResponseHead is how long the response's head may take, once the request was sent.
	ResponseHead time.Duration `yaml:"response_head" default:"30s" max:"24h"`
	// Continue is how long the upstream may take to say whether it wants the body of a request with Expect: 100-continue. After
	// it the client is told to go on.
	Continue time.Duration `yaml:"continue" default:"1s" max:"1h"`
	// IdleBody is how long a body may pause, in either direction.
	IdleBody time.Duration `yaml:"idle_body" default:"60s" max:"24h"`
	// IdleConnection is how long an unused connection is kept.
	IdleConnection time.Duration `yaml:"idle_connection" default:"30s" max:"24h"`
}

// UpstreamLimits are how much is asked of an upstream, and taken from it.
type UpstreamLimits struct {
	Element

	// Connections is how many there may be at a time. 0 is no limit.
	Connections int `yaml:"connections" default:"1024" min:"0" max:"1000000"`
	// IdleConnections is how many are kept for later.
	IdleConnections int `yaml:"idle_connections" default:"256" min:"0" max:"1000000"`
	// Head is the size of the largest response head.
	Head Size `yaml:"head" default:"64KiB" min:"4KiB" max:"1MiB"`
	// Requests is how many may be under way at a time. 0 is as many as there may be connections.
	Requests int `yaml:"requests" default:"0" min:"0" max:"1000000"`
	// Pending is how many may wait for their turn, first come, first served, when as many are under way as may be. Whoever finds
	// no room, or waits for too long, is answered 503.
	Pending int `yaml:"pending" default:"0" min:"0" max:"1000000"`
	// PendingTime is how long one may wait. 0 is as long as the request may take.
	PendingTime time.Duration `yaml:"pending_time" default:"1s" max:"1h"`
}

// Adaptive is a limit of the requests under way that rises while responses come as fast as ever and falls when they take
// longer. What comes fast is measured every minute with few requests under way. It is Envoy's gradient controller.
type Adaptive struct {
	Element

	// Min is the least that the limit can be, and what it is while latency is measured.
	Min int `yaml:"min" default:"3" min:"1" max:"1000000"`
	// Max is the most that it can be.
	Max int `yaml:"max" default:"1000" min:"1" max:"1000000"`
}

// A Breaker is a circuit breaker. While it is open, nothing is sent to the upstream and requests are answered 503 at once; then a
// few are sent on trial. A request has failed if there was no connection, no response, one that came too late, broke off or is
// not HTTP, or one with a listed status.
type Breaker struct {
	Element

	// Consecutive is how many failures in a row open it. 0 is never.
	Consecutive int `yaml:"consecutive" default:"5" min:"0" max:"1000000"`
	// Percent is the share of failures that opens it. 0 is never.
	Percent int `yaml:"percent" default:"50" min:"0" max:"100"`
	// Requests is how many there must be within the window before their share says anything.
	Requests int `yaml:"requests" default:"20" min:"1" max:"1000000"`
	// Window is the time in which requests count.
	Window time.Duration `yaml:"window" default:"10s" min:"100ms" max:"1h"`
	// Open is how long nothing is sent; up to a fifth is added, at random.
	Open time.Duration `yaml:"open" default:"10s" min:"10ms" max:"1h"`
	// Trials is how many requests must then succeed, all of them, before all are sent again.
	Trials int `yaml:"trials" default:"3" min:"1" max:"1000"`
	// Statuses are those of responses that are failures. Left out, they are 502, 503 and 504.
	Statuses []Statuses `yaml:"statuses"`
}

// A RetryBudget is an account of retries: each request of a route with retries pays in a part of one, each retry takes one out.
// However many requests fail, there are no more retries than have been paid in.
type RetryBudget struct {
	Element

	// Percent of a retry is what each request pays in.
	Percent int `yaml:"percent" default:"20" min:"0" max:"100"`
	// Burst is how many retries can be saved, and how many there are to begin with.
	Burst int `yaml:"burst" default:"10" min:"1" max:"1000000"`
	// MinPerSecond is how many are paid in each second whatever the requests, for upstreams with few.
	MinPerSecond int `yaml:"min_per_second" default:"1" min:"0" max:"1000000"`
}

// A Plugin is a guest program and what it may use.
type Plugin struct {
	Element

	// Name is what steps and metrics call it.
	Name string `yaml:"name,required" is:"name"`
	// Path is the WebAssembly module.
	Path string `yaml:"path,required" is:"existing file"`
	// SHA256 is the module's SHA-256. Where it is given, no other module is run. It is needed with interruption none.
	SHA256 Digest `yaml:"sha256"`
	// Limits of each instance.
	Limits PluginLimits `yaml:"limits"`
	// Interruption is how a call that overstays its time is ended: context stops it, at a cost for each call; none does not stop
	// it, for modules that are known not to need it.
	Interruption string `yaml:"interruption" default:"context" oneof:"context none"`
}

// PluginLimits are what a plugin may use.
type PluginLimits struct {
	Element

	// Memory is how much an instance may have, in steps of 64KiB.
	Memory Size `yaml:"memory" default:"64MiB" min:"64KiB" max:"4GiB"`
	// Time is how long one call may take, by the clock on the wall: leave room for a busy machine.
	Time time.Duration `yaml:"time" default:"100ms" min:"100us" max:"1m"`
	// Instances is how many there may be at a time, for each configuration of the plugin.
	Instances int `yaml:"instances" default:"8" min:"1" max:"4096"`
}

// A Route says what becomes of the requests that it matches.
type Route struct {
	Element

	// Name is what metrics, logs and blocks call it. Limits are remembered by this name.
	Name string `yaml:"name,required" is:"name"`
	// Host is which host the route is for: a name, *.suffix, or * for any.
	Host string `yaml:"host" default:"*"`
	// Methods are which methods the route is for. Left out, it takes any. HEAD is not implied by GET.
	Methods []string `yaml:"methods"`
	// Path is which paths the route is for: literal segments, {name} for one segment, {name:digits} for one of digits only,
	// and at the end {name...} for all that is left.
	Path string `yaml:"path,required"`
	// Upstream is the name of the upstream to forward to.
	Upstream string `yaml:"upstream,required" is:"name"`
	// Inject is what the gateway puts into the request.
	Inject *Inject `yaml:"inject"`
	// Steps are the plugins that requests and responses go through, in this order.
	Steps []*Step `yaml:"steps"`
	// Limits of requests to this route.
	Limits RouteLimits `yaml:"limits"`
	// Upgrade are the protocols to which a connection may change when the upstream agrees, such as websocket, in any case. Left
	// out, none. From then on bytes pass both ways, until both sides have ended, or neither has said anything for the route's
	// idle_body, or the time to drain is over.
	Upgrade []string `yaml:"upgrade"`
	// Continue is who tells a client that sent Expect: 100-continue to go on: upstream passes the request's head on and waits for
	// the upstream's word; gateway asks for the body at once, when the client has been admitted.
	Continue string `yaml:"continue" default:"upstream" oneof:"upstream gateway"`
	// HalfClosed is what a client means that ends its side of the connection while it waits for a response: gone, and the
	// request is given up, or waiting.
	HalfClosed string `yaml:"half_closed" default:"gone" oneof:"gone waiting"`
	// Retry sends a request that failed once more. Left out, only a connection that had been closed while it was unused costs
	// no request.
	Retry *Retry `yaml:"retry"`

	// To is the upstream that is meant.
	To *Upstream `yaml:"-"`
}

// Inject is what the gateway puts into a request before its first step; secrets are added after the last one. Values are
// templates: {client.NAME} is an attribute of the client, {path.NAME} a parameter of the route's path, {secret.NAME} a
// secret of the client (in fields only), {{ and }} are braces. See [Template] for how values are encoded.
type Inject struct {
	Element

	// Path replaces the path. Left out, it stays as it was sent.
	Path *Template `yaml:"path"`
	// Query sets parameters: one that the client sent under that name gets the new value in its place, further ones of that
	// name are dropped, and one that it did not send is added at the end. All else stays as it was sent, byte for byte.
	// A name is recognised however the client percent-encoded it; parameters are separated by "&".
	Query Injections `yaml:"query"`
	// Fields sets request fields: all that the client sent under that name are dropped.
	Fields Injections `yaml:"fields"`
}

// An Injection is one parameter or field that is set.
type Injection struct {
	Element
	Name    string // in plain text
	Value   Template
	encoded string // of a parameter: as it is sent
}

// Injections are parameters or fields in the order of the file. In the file they are a mapping of names to templates.
type Injections []Injection

// A Step is a plugin on a route, behind its gate.
type Step struct {
	Element

	// Name is what metrics, logs and the record of changes call it.
	Name string `yaml:"name,required" is:"name"`
	// Plugin is the name of the plugin to run.
	Plugin string `yaml:"plugin,required" is:"name"`
	// Config is handed to the plugin as JSON. It may be any YAML.
	Config StepConfig `yaml:"config"`
	// Gate is the flag that turns the step on and off. Left out, it is always on.
	Gate *Gate `yaml:"gate"`
	// OnFailure is what happens when the plugin fails on a request: skip goes on without the step, fail answers 503. On a
	// response a step that fails is always skipped.
	OnFailure string `yaml:"on_failure" default:"skip" oneof:"skip fail"`

	// Use is the plugin that is meant.
	Use *Plugin `yaml:"-"`
}

// A Gate is a flag and what holds while the flag cannot be resolved.
type Gate struct {
	Element

	// Flag is the key of the flag.
	Flag string `yaml:"flag,required"`
	// Fallback holds while the flag cannot be resolved.
	Fallback string `yaml:"fallback" default:"off" oneof:"off observe on"`
}

// Retry is when a request is sent to the upstream again. Of a request whose method is not idempotent nothing may have been sent;
// nothing of a response may have been passed on, except interim responses such as 103. Another endpoint is taken if there is one,
// and the upstream's retry_budget must have a retry to give.
type Retry struct {
	Element

	// Attempts is how many there are in all, the first one included.
	Attempts int `yaml:"attempts" default:"2" min:"2" max:"10"`
	// On is what is a reason: connect, no connection was made; reset, it ended before the response's head was here; timeout, the
	// head took too long; retryable-verdict, a step, or the status where no step says anything, judges the response retryable.
	// For that the beginning of a response is judged before any of it is passed on. Left out, it is connect and reset.
	On []string `yaml:"on" oneof:"connect reset timeout retryable-verdict"`
	// Statuses are those of responses that are a reason. Left out, they are 502, 503 and 504.
	Statuses []Statuses `yaml:"statuses"`
	// PerTry is how long each attempt may take to a response; while a content is being sent, and the client may be slow, it does
	// not run. 0 is as long as the upstream's timeouts let it.
	PerTry time.Duration `yaml:"per_try" default:"0" max:"1h"`
	// Backoff is the longest pause before the second attempt; how long it is is left to chance. It doubles with each attempt.
	Backoff time.Duration `yaml:"backoff" default:"25ms" max:"1m"`
	// BackoffMax is the longest pause of all.
	BackoffMax time.Duration `yaml:"backoff_max" default:"250ms" max:"1m"`
	// RetryAfter is the longest that an upstream may ask to wait, with the field of that name or through a step's verdict. One
	// that asks for more is not asked again.
	RetryAfter time.Duration `yaml:"retry_after" default:"1s" max:"1h"`
	// Buffer is the size of the largest request body that is kept to be sent again.
	Buffer Size `yaml:"buffer" default:"64KiB" max:"16MiB"`
}

// RouteLimits are limits of the requests to one route.
type RouteLimits struct {
	Element

	// Errors blocks a client with too many errors of its own. Left out, nobody is blocked for errors.
	Errors *ErrorLimit `yaml:"errors"`
	// Requests limits how often a client may ask. Left out, it may at any rate.
	Requests *RequestLimit `yaml:"requests"`
	// Body is the size of the largest request body. 0 is no limit.
	Body Size `yaml:"body" default:"0"`
	// IdleBody is how long a body may pause, in place of the listener's and the upstream's timeout. 0 leaves those.
	IdleBody time.Duration `yaml:"idle_body" default:"0" max:"24h"`
	// Total is how long a request may take from its head to the last byte of the response. 0 is for ever.
	Total time.Duration `yaml:"total" default:"0" max:"24h"`
}

// An ErrorLimit is the error throttle: a client with so many errors that count against it within the window is blocked on this
// route for the time of the block.
type ErrorLimit struct {
	Element

	// Count is how many errors it takes.
	Count int `yaml:"count" default:"20" min:"1" max:"1000"`
	// Window is the time in which they count.
	Window time.Duration `yaml:"window" default:"60m" min:"1s" max:"168h"`
	// Block is how long the client is blocked.
	Block time.Duration `yaml:"block" default:"30m" min:"1s" max:"168h"`
}

// A RequestLimit is a client's rate of requests.
type RequestLimit struct {
	Element

	// Rate is how many requests a client may send, such as 80/s.
	Rate Rate `yaml:"rate,required"`
	// Burst is how many may come at once. Left out, it is one second's worth, at least 1.
	Burst int `yaml:"burst" min:"1" max:"1000000000"`
}
