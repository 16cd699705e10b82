package e2e

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Each configuration puts its number into two places of every request. The partner tells the one to the client, and both to
// the test: a request that saw two configurations would have two numbers.
const numberedConfig = listeners + `
upstreams: [{name: partner, url: "http://PARTNER"}]
plugins: [{name: drop-query-param, path: DROP, limits: {time: 30s}}]
routes:
  - name: media
    path: /{media_id:digits}
    upstream: partner
    inject:
      path: /vNUMBER.0/{path.media_id}
      fields: {X-Number: "NUMBER"}
    steps:
      - {name: drop, plugin: drop-query-param, config: {parameters: [numberNUMBER]}}
`

// While clients send, the configuration is exchanged again and again, in every way that there is. No request is lost, none sees
// two of them, and each that begins after a change sees it. A file with mistakes changes nothing; the log says where they are.
func TestReloadUnderLoad(t *testing.T) {
	up := startPartner(t, raced, "")
	numbered := func(n int) string {
		return strings.NewReplacer("NUMBER", fmt.Sprint(n), "PARTNER", up.api, "DROP", guest(t, "plugins/guests/drop-query-param", "")).Replace(numberedConfig)
	}
	g := startGateway(t, raced, t.TempDir(), numbered(30))
	word := func(n int) string { return fmt.Sprintf("v%d.0", n) }
	ask := func(p *peer, client, i int) string {
		m := p.ask(get(fmt.Sprintf("/%d8?number%d=1", 1000+client, i%3+30), "Authorization: Bearer partner-token-acme"))
		if m.err != nil || m.status != 200 || !strings.Contains(string(m.body), fmt.Sprintf(`"id":"%d8"`, 1000+client)) {
			return m.String()
		}
		return m.field("facebook-api-version")
	}
	l := startLoad(t, g.address, 16, &stage{name: word(30), each: all(20), want: only(word(30))}, ask)
	l.finish(l.now.Load())
	probe := g.dial()

	ways := []struct {
		name string
		have func()
		told bool // the way says when the new configuration is in force; else only looking tells
	}{
		{"signal", func() { g.signal(syscall.SIGHUP) }, false},
		{"file", func() {}, false},
		{"command", func() { g.command("reload") }, true},
	}
	number := 30
	for range 2 {
		for _, way := range ways {
			number++
			l.enter(&stage{name: way.name, want: only(word(number-1), word(number))})
			write(t, g.path("breakwater.yaml"), numbered(number))
			way.have()
			if !way.told {
				eventually(t, "the new configuration is in force", func() error {
					if answer := ask(probe, 0, 0); answer != word(number) {
						return fmt.Errorf("asked, the partner says %s", answer)
					}
					return nil
				})
			}
			l.finish(l.enter(&stage{name: word(number), each: all(20), want: only(word(number))}))
		}
	}

	good := numbered(number)
	for _, bad := range []struct{ name, config, says string }{
		{"not YAML", good + "\n  - [", `breakwater.yaml:\d+:\d+`},
		{"an unknown upstream", strings.Replace(good, "upstream: partner", "upstream: nobody", 1), `breakwater.yaml:11:15: routes\[0\] .*nobody`},
		{"a plugin's own complaint", strings.Replace(good, fmt.Sprintf("[number%d]", number), "[]", 1), `breakwater.yaml:16:69: .*drop-query-param.*at least one name`},
		{"another listener", strings.Replace(good, `address: "127.0.0.1:0", drain`, `address: "127.0.0.2:0", drain`, 1), `breakwater.yaml:2:19: .*restart`},
		{"a plugin that is none", strings.Replace(good, guest(t, "plugins/guests/drop-query-param", ""), "clients.yaml", 1), `breakwater.yaml:7:42: .*clients.yaml`},
	} {
		write(t, g.path("breakwater.yaml"), bad.config)
		g.signal(syscall.SIGHUP)
		g.await(`configuration refused.*` + bad.says)
		r := g.readiness()
		if r.Config.Loaded || r.Config.Error == "" || !r.Ready {
			t.Errorf("%s: readiness %+v", bad.name, r)
		}
		l.finish(l.enter(&stage{name: bad.name, each: all(5), want: only(word(number))}))
	}
	write(t, g.path("breakwater.yaml"), good)
	g.command("reload")
	l.stop()
	l.check()
	for _, r := range up.received(1, "target=/v") {
		n, _, _ := strings.Cut(strings.TrimPrefix(r.Target, "/v"), ".")
		if !slices.Contains(r.Fields, "X-Number: "+n) || strings.Contains(r.Target, "number"+n) {
			t.Errorf("one request saw more than one configuration: %s with %q", r.Target, r.Fields)
		}
	}
}
