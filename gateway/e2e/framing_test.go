package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// A route for everything, and an upstream that is left soon so that its connections can be counted.
const passConfig = listeners + `
upstreams:
  - {name: partner, url: "http://PARTNER", timeouts: {idle_connection: 500ms}}
routes:
  - {name: all, path: "/{rest...}", upstream: partner}
`

// A shape is a way to put a response onto the wire, as the partner lists it.
type shape struct {
	Shape     string `json:"shape"`
	HTTP      string `json:"http"`      // valid, invalid
	Recipient string `json:"recipient"` // whole, whole-or-error, error
	OnlyHEAD  bool   `json:"only_head"`
}

func (p *partner) shapes() (all []shape) {
	p.t.Helper()
	var d struct {
		Scenarios []struct {
			Shapes []shape `json:"shapes"`
		} `json:"scenarios"`
	}
	p.call("GET", "/scenarios", "", &d)
	for _, s := range d.Scenarios {
		all = append(all, s.Shapes...)
	}
	return all
}

// download is the target of a media with so many bytes, which are always the same.
func (p *partner) download(bytes int) (target string) {
	p.t.Helper()
	c := p.dial()
	defer c.Close()
	m := c.ask(get(fmt.Sprintf("/900%d", bytes), "Authorization: Bearer partner-token-acme"))
	_, target, _ = strings.Cut(string(m.body), p.api)
	target, _, ok := strings.Cut(target, `"`)
	if m.err != nil || !ok {
		p.t.Fatalf("no URL in %v", m)
	}
	return target
}

// What a response must show to a client beyond its content, by shape.
var (
	trailersOf = []string{"X-Sim-Checksum: 5f3a9c01", "X-Sim-Note: sent after the body"}
	interimsOf = map[string][]int{"interim-100": {100}, "interim-103": {103}, "interim-many": {102, 103, 103, 199}}
)

// A partner that changes its framing from one request to the next, in every way that HTTP knows and in those that it does not,
// meets one gateway: what is valid passes with content and trailers byte for byte; what is not ends in a 502 or in a cut that
// no client can miss.
func TestEveryFraming(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		up := startPartner(t, raced, "")
		everyFraming(t, up, startGateway(t, raced, t.TempDir(), strings.ReplaceAll(passConfig, "PARTNER", up.api)))
	})
	t.Run("TLS", func(t *testing.T) {
		over := newPrivate(t)
		up := over.partner(t, raced)
		everyFraming(t, up, over.gateway(t, raced, t.TempDir(), strings.ReplaceAll(passConfig, "PARTNER", up.api)))
	})
}

func everyFraming(t *testing.T, up *partner, g *gateway) {
	target := up.download(5000)
	direct := up.dial().ask(get(target, "Authorization: Bearer partner-token-acme"))
	if direct.err != nil || direct.status != 200 || len(direct.body) != 5000 {
		t.Fatalf("the partner says %v", direct)
	}
	shapes := up.shapes()
	if len(shapes) < 60 {
		t.Fatalf("the partner has %d shapes", len(shapes))
	}
	at := scene{t: t, partner: up, gateway: g, target: target, content: direct.body}
	at.ask(t, "1.1", "GET") // so that all that is made once is made
	settled := func() (files, goroutines int) {
		eventually(t, "connections end", func() error {
			if n := g.metric(`breakwater_upstream_connections{`); n > 0 {
				return fmt.Errorf("%v connections with the upstream", n)
			}
			return nil
		})
		return g.files(), g.goroutines()
	}
	files, goroutines := settled()

	for _, s := range shapes {
		t.Run(s.Shape, func(t *testing.T) {
			for _, how := range []string{`"writes":"together"`, `"writes":"apart","pieces":3`, `"cut":"reset"`} {
				if strings.Contains(how, "reset") && !strings.HasPrefix(s.Shape, "truncated") {
					continue
				}
				up.scenario("framing", fmt.Sprintf(`{"options":{"shape":%q,%s}}`, s.Shape, how))
				for _, version := range []string{"1.1", "1.0"} {
					at.meet(t, s, version, how)
				}
			}
		})
	}
	up.revert()
	at.whole(t, at.ask(t, "1.1", "GET"), shape{Shape: "none"}, "1.1")

	eventually(t, "nothing is left over", func() error {
		f, n := settled()
		if f > files+2 || n > goroutines+2 {
			return fmt.Errorf("%d files and %d goroutines; %d and %d before", f, n, files, goroutines)
		}
		return nil
	})
}

// A scene is what all shapes are tried with.
type scene struct {
	t       *testing.T
	partner *partner
	gateway *gateway
	target  string
	content []byte
}

func (at *scene) request(version, method string) string {
	fields := []string{"Authorization: Bearer partner-token-acme"}
	if version == "1.0" {
		fields = append(fields, "Connection: keep-alive")
	}
	return request(method, at.target, version, fields...)
}

func (at *scene) ask(t *testing.T, version, method string) message {
	p := at.gateway.over.dial(t, at.gateway.address)
	defer p.Close()
	return p.ask(at.request(version, method))
}

// meet asks twice over one connection, if it stays open: what a shape has left over must not reach the second request.
func (at *scene) meet(t *testing.T, s shape, version, how string) {
	t.Helper()
	method := "GET"
	if s.OnlyHEAD {
		method = "HEAD"
	}
	p := at.gateway.over.dial(t, at.gateway.address)
	defer p.Close()
	for n := range 2 {
		m := p.ask(at.request(version, method))
		if n == 1 && len(m.lines) == 0 && m.status == 0 {
			return // the gateway closed the connection before, and rightly so
		}
		switch {
		case isProblem(m, 502, "upstream-failed") && s.Recipient != "whole":
		case m.err == nil && s.Recipient != "error":
			at.whole(t, m, s, version)
		case m.err != nil && s.Recipient == "error":
			at.cut(t, m, s)
		default:
			t.Errorf("HTTP/%s, %s: %s (%s): the client has %v", version, how, s.HTTP, s.Recipient, m)
		}
		if m.err != nil || m.field("Connection") == "close" {
			if rest, _ := io.ReadAll(p.r); len(rest) > 0 {
				t.Errorf("HTTP/%s, %s: %q came after the response", version, how, rest)
			}
			return
		}
	}
}

// whole looks whether a whole response has all that it should have.
func (at *scene) whole(t *testing.T, m message, s shape, version string) {
	t.Helper()
	status, content := 200, at.content
	switch {
	case s.Shape == "no-content":
		status, content = 204, nil
	case s.OnlyHEAD || strings.HasPrefix(s.Shape, "zero-length"):
		content = nil
	}
	if m.err != nil || m.status != status || !bytes.Equal(m.body, content) {
		t.Errorf("HTTP/%s: %v; want %d and %d bytes as the partner has them", version, m, status, len(content))
	}
	var trailers []string
	if strings.HasPrefix(s.Shape, "trailers-") && version == "1.1" {
		trailers = trailersOf
	}
	if !slices.Equal(m.trailers, trailers) {
		t.Errorf("HTTP/%s: trailers %q, want %q", version, m.trailers, trailers)
	}
	var interims []int
	for _, h := range m.interims {
		interims = append(interims, h.status)
	}
	want := interimsOf[s.Shape]
	if version == "1.0" {
		want = nil
	}
	if !slices.Equal(interims, want) {
		t.Errorf("HTTP/%s: interim responses %v, want %v", version, interims, want)
	}
}

// cut looks whether a response that broke off shows nothing but the partner's content, as far as it goes, and the break.
func (at *scene) cut(t *testing.T, m message, s shape) {
	t.Helper()
	if m.status != 200 {
		t.Errorf("cut: %v; want a response that was begun", m)
	}
	if !bytes.HasPrefix(at.content, m.body) {
		t.Errorf("cut: %d bytes which the partner's content does not begin with", len(m.body))
	}
	var refused interface{ Timeout() bool }
	if errors.As(m.err, &refused) && refused.Timeout() {
		t.Errorf("cut: the client was left waiting: %v", m)
	}
}
