package config

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-gateway/breakwater/gateway/route"
)

// What a section can say about itself. A field that was wrong has its zero value by now, which no check may complain about again.

func (t *ServerTLS) check(d *decoder) {
	d.pair(&t.Element, t.Certificate, t.Key)
	d.roots(&t.Element, "client_ca", t.ClientCA)
	if t.Has("client_certificate") && !t.Has("client_ca") {
		d.load.complain(t.about("client_certificate", t.ClientCertificate, "expected client_ca as well, whose roots it must lead to"))
	}
}

func (p *KeyPair) check(d *decoder) { d.pair(&p.Element, p.Certificate, p.Key) }

func (t *ClientTLS) check(d *decoder) {
	switch {
	case t.Has("certificate") && !t.Has("key"):
		d.load.complain(t.Errorf("certificate", "expected its private key under key as well"))
	case t.Has("key") && !t.Has("certificate"):
		d.load.complain(t.Errorf("key", "expected its certificate under certificate as well"))
	default:
		d.pair(&t.Element, t.Certificate, t.Key)
	}
	d.roots(&t.Element, "ca", t.CA)
	if t.ServerName != "" {
		if err := checkHostName(t.ServerName); err != nil {
			d.load.complain(t.about("server_name", t.ServerName, "%w", err))
		}
	}
}

// roots checks that the file of key holds certificates.
func (d *decoder) roots(e *Element, key, file string) {
	if file == "" {
		return
	}
	if pem, err := d.load.read(file, maxFile); err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		d.load.complain(e.about(key, file, "expected certificates in PEM form"))
	}
}

// pair checks that a certificate and its key can be read and belong together.
func (d *decoder) pair(e *Element, certificate, key string) {
	if certificate == "" || key == "" {
		return
	}
	cert, err := d.load.read(certificate, maxFile)
	if err != nil {
		return // exists has complained
	}
	private, err := d.load.read(key, maxFile)
	if err != nil {
		return
	}
	if _, err := tls.X509KeyPair(cert, private); err != nil {
		d.load.complain(e.about("certificate", certificate, "with key %s: %s", quote(key),
			strings.TrimPrefix(err.Error(), "tls: ")))
	}
}

func (a *Admin) check(d *decoder) {
	switch {
	case a.Example && a.Address != "" && !a.Address.Loopback():
		d.load.complain(a.about("address", string(a.Address), "with example true everyone who reaches this address may do everything: "+
			"expected a loopback address such as %q", "127.0.0.1:9090"))
	case !a.Example && !a.Has("example") && len(a.Tokens) == 0 && !a.Has("tokens"):
		d.load.complain(newError(a.Pos, "admin", "expected at least one of tokens, or example: true on a loopback address"))
	case !a.Example && a.Tokens != nil && len(a.Tokens) == 0:
		d.load.complain(a.Errorf("tokens", "expected at least one token"))
	}
	unique(d.load, "token", a.Tokens, func(t *Token) (string, *Element, string) { return t.Name, &t.Element, "name" })
	uniqueDigest(d.load, a.Tokens, func(t *Token) (Digest, *Element, string) { return t.SHA256, &t.Element, "sha256" })
}

func (c *Credential) check(d *decoder) {
	if c.Field != "" && framing(c.Field) {
		d.load.complain(c.about("field", c.Field, "this field has its own meaning in HTTP and cannot carry a key"))
	}
}

func (f *Flags) check(*decoder) {
	if f.File == "" {
		return
	}
	if f.Journal == "" {
		f.Journal = f.File + ".journal"
	}
	if f.LastGood == "" {
		f.LastGood = f.File + ".last-good"
	}
}

func (u *Upstream) check(d *decoder) {
	u.checkEndpoints(d.load)
	if u.TLS != nil && u.URL.Scheme == "http" {
		d.load.complain(u.Errorf("tls", "the upstream's url is plain http: expected https, or no tls"))
	}
	if l := &u.Limits; l.Connections > 0 && l.IdleConnections > l.Connections {
		if l.Has("idle_connections") {
			d.load.complain(l.about("idle_connections", strconv.Itoa(l.IdleConnections), "expected no more than connections, which is %d", l.Connections))
		}
		l.IdleConnections = l.Connections
	}
	if l := &u.Limits; l.Pending > 0 && l.Connections == 0 && l.Requests == 0 && u.Adaptive == nil {
		d.load.complain(l.about("pending", strconv.Itoa(l.Pending), "there is nothing to wait for: expected connections, requests or adaptive as well"))
	}
}

// gatewayErrors are the statuses with which a gateway behind us says that it got no response (9110 15.6).
var gatewayErrors = []Statuses{{502, 504}}

func (b *Breaker) check(d *decoder) {
	if b.Consecutive == 0 && b.Percent == 0 && b.Has("consecutive") && b.Has("percent") {
		d.load.complain(b.Errorf("percent", "with consecutive 0 as well it never opens: expected one of the two, or no breaker"))
	}
	if !b.Has("statuses") {
		b.Statuses = gatewayErrors
	}
}

func (a *Adaptive) check(d *decoder) {
	if a.Min > a.Max {
		d.load.complain(a.about("min", strconv.Itoa(a.Min), "expected no more than max, which is %d", a.Max))
	}
}

func (r *Retry) check(d *decoder) {
	if !r.Has("statuses") {
		r.Statuses = gatewayErrors
	}
	if !r.Has("on") {
		r.On = []string{"connect", "reset"}
	}
	if r.Backoff > r.BackoffMax && r.Has("backoff_max") {
		d.load.complain(r.about("backoff_max", r.BackoffMax.String(), "expected no less than backoff, which is %v", r.Backoff))
	}
	r.BackoffMax = max(r.BackoffMax, r.Backoff)
}

func (p *Plugin) check(d *decoder) {
	if p.Interruption == "none" && !p.Has("sha256") {
		d.load.complain(p.about("interruption", "none", "a call that is never stopped is for a known module only: expected its sha256 as well"))
	}
	if p.Limits.Memory%(64<<10) != 0 {
		d.load.complain(p.Limits.about("memory", p.Limits.Memory.String(), "expected a multiple of 64KiB"))
	}
}

func (l *RequestLimit) check(*decoder) {
	if l.Burst == 0 && l.Rate.Per > 0 {
		l.Burst = max(1, int(l.Rate.PerSecond()))
	}
}

func (r *Route) check(d *decoder) {
	// The table of routes knows what it takes. One entry at a time tells which of the keys it does not.
	try := func(key string, entry route.Entry[struct{}]) {
		if _, err := route.New([]route.Entry[struct{}]{entry}); err != nil {
			for _, err := range reasons(err) {
				d.load.complain(newError(r.At(key), r.where, "%w", err))
			}
		}
	}
	try("host", route.Entry[struct{}]{Path: "/", Host: r.Host})
	for i, m := range r.Methods {
		if m != "" {
			try(indexed("methods", i), route.Entry[struct{}]{Path: "/", Methods: []string{m}})
		}
		if i > 0 && m != "" && slices.Contains(r.Methods[:i], m) {
			d.load.complain(newError(r.At(indexed("methods", i)), r.where, "method %s: listed twice", quote(m)))
		}
	}
	if r.Methods != nil && len(r.Methods) == 0 {
		d.load.complain(r.Errorf("methods", "expected at least one method; leave the key out for any"))
	}
	for i, p := range r.Upgrade {
		if name, version, versioned := strings.Cut(p, "/"); !isToken(name) || versioned && !isToken(version) {
			d.load.complain(newError(r.At(indexed("upgrade", i)), r.where, "upgrade %s: expected a protocol such as websocket, or with its version", quote(p)))
		}
	}
	if r.Path != "" {
		try("path", route.Entry[struct{}]{Path: r.Path})
	}
	unique(d.load, "step of this route", r.Steps, func(s *Step) (string, *Element, string) { return s.Name, &s.Element, "name" })
}

// reasons returns what the table of routes says of single entries.
func reasons(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		if e, ok := err.(*route.Error); ok {
			err = e.Err
		}
		all = append(all, err)
	}
	return all
}

func (t *Template) expected() string { return "a path such as \"/v1/{client.account}/media\"" }

// parse reads the template of a path. Those of parameters and fields are read by Injections.
func (t *Template) parse(text string) (err error) {
	*t, err = parseTemplate(text, inPath)
	return err
}

func (*Injections) expected() string { return "a mapping of names to values" }

// maxInjections is how many parameters or fields a route may set: the bits of a word.
const maxInjections = 64

func (ps *Injections) read(d *decoder, n *node, e *Element, key string) {
	if n.kind != mapping {
		d.wrong(n, e, key, true, "expected %s, %s", ps.expected(), n.found())
		return
	}
	in := inField
	if key == "query" {
		in = inQuery
	}
	self := &Element{Pos: n.pos, where: e.inside(key), keys: map[string]Pos{}}
	values := d.keys(n, self, nil)
	if len(values) > maxInjections {
		d.load.complain(e.Errorf(key, "%d of them: expected at most %d", len(values), maxInjections))
		return
	}
	for _, at := range n.entries {
		value := values[at.key]
		if value != at.value {
			continue // given twice, or complained about
		}
		i := Injection{Element: Element{Pos: at.pos, where: self.where, keys: self.keys}, Name: at.key, encoded: encodeName(at.key)}
		if err := i.checkName(in, *ps); err != "" {
			d.load.complain(newError(at.pos, self.where, "%s: %s", quote(at.key), err))
			continue
		}
		if value.kind != text && value.kind != number {
			d.wrong(value, self, at.key, false, "expected text, %s", value.found())
			continue
		}
		plainText := in == inField && carriesCredential(at.key)
		var err error
		if i.Value, err = parseTemplate(value.text, in); err != nil {
			d.wrong(value, self, at.key, plainText, "%w", err)
			continue
		}
		switch {
		case in == inQuery && i.Value.Uses(FromSecret):
			d.wrong(value, self, at.key, false, "a secret may stand in a field only, paths and queries are logged")
		case plainText && !i.Value.Uses(FromSecret):
			d.load.complain(self.Errorf(at.key, "this field carries a credential, and the value is written here (it is not shown): "+
				"expected a secret, such as \"Bearer {secret.partner_token}\""))
		}
		*ps = append(*ps, i)
	}
}

// checkName says what is wrong with the name of a parameter or field.
func (i *Injection) checkName(in place, before Injections) string {
	if in == inQuery {
		if i.Name == "" {
			return "expected the name of a parameter"
		}
		return ""
	}
	if err := checkFieldName(i.Name); err != nil {
		return err.Error()
	}
	if framing(i.Name) {
		return "this field is the gateway's own and cannot be set"
	}
	for _, b := range before {
		if strings.EqualFold(b.Name, i.Name) {
			return "the same field as " + quote(b.Name) + ": names of fields are compared without case"
		}
	}
	return ""
}

// framing reports whether a field belongs to the connection or to the gateway.
func framing(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "content-length", "expect", "host", "keep-alive", "max-forwards", "proxy-connection", "te", "trailer",
		"transfer-encoding", "upgrade", "via", "breakwater-request-id":
		return true
	}
	return false
}

// carriesCredential reports whether the value of a field is a secret.
func carriesCredential(name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie":
		return true
	}
	return looksSecret(strings.ReplaceAll(name, "-", "_"))
}
