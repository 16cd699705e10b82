package admin

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/gateway/config"
)

// A role is what a caller may do. Zero is nothing that is not public.
type role uint8

const (
	nobody role = iota
	view
	operate
)

// roles are the configuration's words.
var roles = map[string]role{"view": view, "operate": operate}

// A caller is who asks. The zero caller is nobody in particular.
type caller struct {
	name    string
	role    role
	example bool     // the listener asks nobody who they are
	why     *Problem // why the caller is nobody
}

// exampleName is what everyone is called in example mode.
const exampleName = "example"

// unknownTokens throttles addresses that try tokens. A known token is never refused for its address.
var unknownTokens = admit.GuessPolicy{Misses: 10, Window: time.Minute, Block: time.Minute}

// identify finds out who calls. Its error is about a request that nobody may send.
func (c *call) identify() error {
	if c.config.Admin.Example {
		c.who = caller{name: exampleName, role: operate, example: true}
		return c.mustBeLocal()
	}
	fields := c.ctx.Request.Header.PeekAll("Authorization")
	if len(fields) != 1 {
		c.who.why = kindUnknown.problem("expected the field Authorization once, as \"Bearer TOKEN\"; this gateway has tokens in its configuration, under admin.tokens")
		return nil
	}
	scheme, token, ok := bytes.Cut(fields[0], []byte(" "))
	if token = bytes.TrimLeft(token, " "); !ok || !strings.EqualFold(string(scheme), "Bearer") || len(token) == 0 {
		c.who.why = kindUnknown.problem("field Authorization: expected \"Bearer TOKEN\"")
		return nil
	}
	if t := find(c.config.Admin.Tokens, token); t != nil {
		c.who = caller{name: t.Name, role: roles[t.Role]}
		return nil
	}
	if wait := c.guesses.Miss(c.address(), time.Now()); wait > 0 {
		c.who.why = kindGuessing.problem("too many unknown tokens came from this address; try again in %d seconds", admit.Seconds(wait))
		c.who.why.retryAfter = wait
		return nil
	}
	c.who.why = kindUnknown.problem("this token is not known here")
	return nil
}

// find returns the token that it is, or nil. It looks at all of them in full: how long it takes tells nothing.
func find(tokens []*config.Token, token []byte) (found *config.Token) {
	sum := sha256.Sum256(token)
	for _, t := range tokens {
		if subtle.ConstantTimeCompare(sum[:], t.SHA256[:]) == 1 {
			found = t
		}
	}
	return found
}

func (c *call) address() netip.Addr {
	a, _ := netip.AddrFromSlice(c.ctx.RemoteIP())
	return a
}

// mustBe refuses a caller who may do less than r.
func (c *call) mustBe(r role) error {
	switch {
	case c.who.role >= r:
		return nil
	case c.who.role == nobody:
		return c.who.why
	}
	return kindForbidden.problem("token %q may only look: expected one with the role operate", c.who.name)
}

// mustBeLocal refuses what a web page of elsewhere can have sent: one whose name leads to this machine has its own name in
// the Host field, and what a browser sends for another page says so.
func (c *call) mustBeLocal() error {
	header := &c.ctx.Request.Header
	host := header.Host()
	if !loopback(string(host)) {
		return kindForeign.problem("field Host %q: expected localhost or a loopback address, because the listener is in example mode", host)
	}
	if origin := header.Peek("Origin"); len(origin) > 0 && !strings.EqualFold(string(origin), "http://"+string(host)) {
		return kindForeign.problem("field Origin %q: expected %q or none, because the listener is in example mode", origin, "http://"+string(host))
	}
	switch site := string(header.Peek("Sec-Fetch-Site")); site {
	case "", "same-origin", "none":
		return nil
	default:
		return kindForeign.problem("field Sec-Fetch-Site %q: expected \"same-origin\" or \"none\", because the listener is in example mode", site)
	}
}

// loopback reports whether a Host field names this machine itself, with or without a port.
func loopback(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, "0"
		if inner, ok := strings.CutPrefix(host, "["); ok {
			if name, ok = strings.CutSuffix(inner, "]"); !ok {
				return false
			}
		}
	}
	if strings.Trim(port, "0123456789") != "" || port == "" {
		return false
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}
