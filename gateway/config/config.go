// Package config turns the operator's files into a checked [Config], or into every mistake that is in them.
//
// [Load] reads the configuration and, in the same pass, the file of clients that it names. YAML becomes a tree of nodes with
// positions (tree.go), the tree is read into the structs of the schema by their tags (decode.go), each section checks itself,
// and at the end everything that refers to something else is looked up (check.go). Mistakes are collected on the way and
// reported together, in the order of the file:
//
//	breakwater.yaml:12:7: routes[2] "checkout": path "/cart/{id": unclosed brace at byte 6
//
// Only a file that is not YAML at all stops the reading of that file. Every [Element] of a Config keeps its position, and
// a step's configuration those of all its values, so that what a plugin or a flag has to complain about can be reported at
// the line that it is about: see [Config.Errorf] and [StepConfig.PosAt].
//
// The schema is this package's structs: the doc comment of a field with a yaml tag is the reference for its key.
//
// Of YAML we take mappings, lists and scalars. Anchors, aliases, merge keys, tags and further documents are refused. Relative
// paths begin at the folder of the file that names them. A secret never stands in a file that is read here, only a
// reference to it, and is never shown: see [Secret].
package config

import (
	"time"
)

// A Config is the operator's file, checked: every reference in it leads somewhere.
type Config struct {
	Element

	// Listen is where clients connect.
	Listen Listen `yaml:"listen,required"`
	// Admin is the listener for operators: health, metrics, profiles and the admin API.
	Admin Admin `yaml:"admin"`
	// AccessLog writes one line for each request. Left out, there is no access log.
	AccessLog *AccessLog `yaml:"access_log"`
	// Clients says who may send requests. Left out, nobody is asked who they are; then no route can limit clients or use what
	// is known of them.
	Clients *Clients `yaml:"clients"`
	// Upstreams are the servers that requests are forwarded to.
	Upstreams []*Upstream `yaml:"upstreams,required"`
	// Plugins are the guest programs that steps run.
	Plugins []*Plugin `yaml:"plugins"`
	// Flags is where the gates' flags come from. It is needed when a step has a gate.
	Flags *Flags `yaml:"flags"`
	// Routes say what becomes of a request. The most specific one that matches wins, whatever the order.
	Routes []*Route `yaml:"routes,required"`

	files []string
}

// Listen is the gateway's public listener. Only drain, trusted_proxies, client_address and what tls says can be changed without a
// restart.
type Listen struct {
	Element

	// Address is where to listen, as host:port. Port 0 lets the system choose.
	Address Address `yaml:"address,required"`
	// TLS makes the listener speak TLS. Left out, it speaks plain HTTP.
	TLS *ServerTLS `yaml:"tls"`
	// Timeouts of connections with clients.
	Timeouts ListenTimeouts `yaml:"timeouts"`
	// Limits of connections with clients.
	Limits ListenLimits `yaml:"limits"`
	// TrustedProxies are the addresses of proxies before the gateway. What they say of where a request comes from is believed and,
	// as an upstream's forwarded has it, passed on; what anybody else says of it is neither. They must let nothing of that kind
	// through from clients. Those of clients.trusted_proxies are trusted as well.
	TrustedProxies []Prefix `yaml:"trusted_proxies"`
	// ClientAddress is the field in which trusted proxies say what the client's address is.
	ClientAddress string `yaml:"client_address" default:"x-forwarded-for" oneof:"x-forwarded-for forwarded"`
	// Drain is how long requests may take to end when the gateway is told to stop.
	Drain time.Duration `yaml:"drain" default:"30s" max:"1h"`
}

// ServerTLS is how the listener speaks TLS. A change of it, and of the files that it names, holds for new connections.
type ServerTLS struct {
	Element

	// Certificate is a PEM file: the certificate, then those that lead from it to its root.
	Certificate string `yaml:"certificate,required" is:"existing file"`
	// Key is the PEM file of the certificate's private key.
	Key string `yaml:"key,required" is:"existing file"`
	// Certificates are further ones. Of all, a client is shown the first that has the name which it asks for (SNI) and a key that
	// it can use, or else the one of certificate.
	Certificates []*KeyPair `yaml:"certificates"`
	// ClientCA is a PEM file of the roots that clients' certificates must lead to. Left out, clients are asked for none.
	ClientCA string `yaml:"client_ca" is:"existing file"`
	// ClientCertificate says whether clients must show a certificate: require refuses those who show none, request takes them too.
	// One that does not lead to a root of client_ca is always refused.
	ClientCertificate string `yaml:"client_certificate" default:"require" oneof:"require request"`
	// MinVersion is the oldest version of TLS to speak.
	MinVersion string `yaml:"min_version" default:"1.2" oneof:"1.2 1.3"`
}

// A KeyPair is a certificate and its private key.
type KeyPair struct {
	Element

	// Certificate is a PEM file: the certificate, then those that lead from it to its root.
	Certificate string `yaml:"certificate,required" is:"existing file"`
	// Key is the PEM file of the certificate's private key.
	Key string `yaml:"key,required" is:"existing file"`
}

// ListenTimeouts are how long a client may take. 0 is for ever.
type ListenTimeouts struct {
	Element

	// Head is how long a request's head may take to arrive, from its first byte.
	Head time.Duration `yaml:"head" default:"10s" max:"1h"`
	// Idle is how long a connection may wait for its next request.
	Idle time.Duration `yaml:"idle" default:"75s" max:"24h"`
	// IdleBody is how long a request's body may pause.
	IdleBody time.Duration `yaml:"idle_body" default:"60s" max:"24h"`
	// Write is how long a client may take nothing of a response.
	Write time.Duration `yaml:"write" default:"60s" max:"24h"`
}

// ListenLimits are how much clients may ask for.
type ListenLimits struct {
	Element

	// Head is the size of the largest request head.
	Head Size `yaml:"head" default:"16KiB" min:"4KiB" max:"1MiB"`
	// Connections is how many clients may be connected at a time. 0 is no limit.
	Connections int `yaml:"connections" default:"0" min:"0" max:"10000000"`
}

// Admin is the listener for operators. Only its tokens can be changed without a restart.
type Admin struct {
	Element

	// Address is where to listen, as host:port.
	Address Address `yaml:"address" default:"127.0.0.1:9090"`
	// Example lets everyone who reaches the listener do everything. It is refused on an address that is not this machine's own.
	Example bool `yaml:"example"`
	// Tokens are who may use the admin API. Without Example there must be at least one.
	Tokens []*Token `yaml:"tokens"`
}

// A Token is what an operator or a program proves itself with to the admin API.
type Token struct {
	Element

	// Name is what the journal calls whoever used the token.
	Name string `yaml:"name,required" is:"name"`
	// SHA256 is the SHA-256 of the token.
	SHA256 Digest `yaml:"sha256,required" secret:"yes"`
	// Role is what the token allows: to look, or to change things too.
	Role string `yaml:"role,required" oneof:"view operate"`
}

// AccessLog is where requests are logged. Secrets and credentials are never in it.
type AccessLog struct {
	Element

	// File is appended to; "-" is the standard output.
	File string `yaml:"file" default:"-" is:"output"`
}

// Clients is who may send requests.
type Clients struct {
	Element

	// File is the YAML file that lists the clients. It can be changed at any time.
	File string `yaml:"file,required" is:"file"`
	// Credential is how a request says whose it is.
	Credential Credential `yaml:"credential,required"`
	// Guessing throttles addresses that try keys.
	Guessing Guessing `yaml:"guessing"`
	// TrustedProxies are more addresses of proxies that are trusted: see listen.trusted_proxies.
	TrustedProxies []Prefix `yaml:"trusted_proxies"`
	// List is what the file says.
	List []*Client `yaml:"-"`
}

// A Credential is where a request carries its client's key. It is never forwarded.
type Credential struct {
	Element

	// Field is the name of the request field.
	Field string `yaml:"field,required" is:"field"`
}

// Guessing is the throttle of unknown keys: an address with so many failures within the window is turned away for the time of
// the block.
type Guessing struct {
	Element

	// Failures is how many unknown keys it takes.
	Failures int `yaml:"failures" default:"30" min:"1" max:"1000000"`
	// Window is the time in which they count.
	Window time.Duration `yaml:"window" default:"1m" min:"1s" max:"24h"`
	// Block is how long the address is turned away.
	Block time.Duration `yaml:"block" default:"5m" min:"1s" max:"24h"`
}

// Flags is where flags come from: a file in flagd's schema, JSON or YAML. What is in it is not checked here.
type Flags struct {
	Element

	// File holds the flags. It can be changed at any time.
	File string `yaml:"file,required" is:"file"`
	// Journal is the file to which each flip is appended. Left out, it stands beside the flags: FILE.journal.
	Journal string `yaml:"journal" is:"file"`
	// LastGood is where a copy of the last flags that were good is kept, for a start with a broken file. Left out, it stands
	// beside the flags: FILE.last-good.
	LastGood string `yaml:"last_good" is:"file"`
}

// Files returns every file that the configuration was made from: the file itself, the clients, certificates, secrets and
// plugins. A change of any of them is a reason to load again. The flags are not among them: they have a life of their own.
func (c *Config) Files() []string { return c.files }

// Errorf returns a complaint about something in c at a place that its caller knows, in the form of this package's own. Where
// is as in [Element.Where]. An error behind %w is kept for errors.As.
func (c *Config) Errorf(pos Pos, where, format string, args ...any) *Error {
	return newError(pos, where, format, args...)
}
