package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

// fetch returns what clients of a load ask again and again: a media of 5000 bytes, on the route of a host.
func fetch(host, target string) func(p *peer, client, i int) string {
	return func(p *peer, client, i int) string {
		m := p.ask("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer partner-token-acme\r\n\r\n")
		if m.err == nil && m.status == 200 && len(m.body) == 5000 {
			return "good"
		}
		return m.String()
	}
}

// ask sends one request to the route of a host, over a connection of its own.
func (g *gateway) ask(host, target string) message {
	p := g.dial()
	defer p.Close()
	return p.ask("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer partner-token-acme\r\n\r\n")
}

// An upstream that is killed takes with it what it was saying, which its clients can see, and nothing else.
func TestUpstreamKilled(t *testing.T) {
	well, ill := startPartner(t, raced, ""), startPartner(t, raced, "")
	g := startGateway(t, raced, t.TempDir(), fmt.Sprintf(listeners+`
upstreams:
  - {name: well, url: "http://%s"}
  - {name: ill, url: "http://%s"}
routes:
  - {name: well, host: well.test, path: "/{rest...}", upstream: well}
  - {name: ill, host: ill.test, path: "/{rest...}", upstream: ill}
`, well.api, ill.api))
	l := startLoad(t, g.address, 8, &stage{name: "all along", want: only("good")}, fetch("well.test", well.download(5000)))
	target := ill.download(5000)
	for round, framing := range []string{"content-length", "chunked"} {
		if m := g.ask("ill.test", target); m.err != nil || len(m.body) != 5000 {
			t.Fatalf("before: %v", m)
		}
		ill.scenario("gate:half", fmt.Sprintf(`{"path":"/whatsapp_business/**","options":{"framing":%q}}`, framing))
		var waiting []*peer
		for range 3 {
			p := g.dial()
			p.send("GET " + target + " HTTP/1.1\r\nHost: ill.test\r\nAuthorization: Bearer partner-token-acme\r\n\r\n")
			if _, err := p.r.Peek(1); err != nil { // the response has begun
				t.Fatal(err)
			}
			waiting = append(waiting, p)
		}
		ill.held("gate:half", 3)
		ill.kill()
		for _, p := range waiting {
			if m := readMessage(p.r, "GET"); m.err == nil || m.status != 200 || len(m.body) > 2500 {
				t.Errorf("%s: the upstream was killed after 2500 bytes; the client has %v", framing, m)
			}
		}
		eventually(t, "the cuts are counted", func() error {
			if n := g.metric(`breakwater_responses_cut_total{route="ill"}`); n != float64(3*(round+1)) {
				return fmt.Errorf("%v, want %d", n, 3*(round+1))
			}
			return nil
		})
		if m := g.ask("ill.test", target); !isProblem(m, 502, "upstream-failed") {
			t.Errorf("%s: while the upstream is gone the client has %v; want a problem with status 502", framing, m)
		}
		ill = startPartner(t, raced, ill.api)
		target = ill.download(5000)
		if m := g.ask("ill.test", target); m.err != nil || m.status != 200 || len(m.body) != 5000 {
			t.Errorf("%s: when the upstream is back the client has %v", framing, m)
		}
	}
	l.stop()
	l.check()
}

// A flag file that is no longer one changes nothing but what the gateway says of it.
func TestBrokenFlagFile(t *testing.T) {
	in := startIncident(t, "drop-phone-number-id=on", "classify-partner=on")
	g, p := in.gateway, in.gateway.dial()
	if in.parameters(p, 0) {
		t.Fatal("the partner gets the parameter, though the flag is on")
	}
	l := startLoad(t, g.address, 8, &stage{name: "all along", want: only("good")}, in.ask)
	for _, bad := range []struct{ name, text, says string }{
		{"cut off", "flags:\n  drop-phone-number-id:\n    state: ENABLED\n    variants: {\"off\": ", "flags.yaml:"},
		{"a variant that is none", strings.ReplaceAll(flagFile("drop-phone-number-id=off", "classify-partner=on"), `defaultVariant: "off"`, `defaultVariant: "of"`), "flags.yaml:5:21"},
		{"empty", "", "flags.yaml"},
	} {
		write(t, g.path("flags.yaml"), bad.text)
		eventually(t, bad.name+": the gateway says so", func() error {
			if r := g.readiness(); r.Flags.SourceUp || !strings.Contains(r.Flags.Error, bad.says) || !r.Ready {
				return fmt.Errorf("readiness %+v; want the source down and an error at %s", r, bad.says)
			}
			return nil
		})
		if g.metric("breakwater_flags_source_up") != 0 {
			t.Errorf("%s: the metrics have the source up", bad.name)
		}
		if in.parameters(p, 0) {
			t.Errorf("%s: the last good flags are not in force", bad.name)
		}
	}
	write(t, g.path("flags.yaml"), flagFile("drop-phone-number-id=off", "classify-partner=on"))
	eventually(t, "the file is taken again", func() error {
		if r := g.readiness(); !r.Flags.SourceUp || r.Flags.Error != "" {
			return fmt.Errorf("readiness %+v", r)
		}
		return nil
	})
	if !in.parameters(p, 0) {
		t.Error("the mended file is not in force")
	}
	l.stop()
	l.check()
}

// Guests that trap, spin and allocate without end cost their own step on their own route.
func TestHostileGuests(t *testing.T) {
	up := startPartner(t, raced, "")
	config := fmt.Sprintf(listeners+`
upstreams: [{name: partner, url: "http://%[1]s"}]
plugins:
  - {name: hostile, path: %[2]s, limits: {time: 300ms, instances: 2}}
  - {name: greedy, path: %[2]s, limits: {time: 60s, memory: 16MiB, instances: 2}}
routes:
  - {name: well, host: well.test, path: "/{rest...}", upstream: partner}
`, up.api, guest(t, "gateway/e2e/testdata/guests/hostile", ""))
	ways := map[string]string{"trap": "trap", "spin": "timeout", "grow": "trap"} // and how each ends
	for way := range ways {
		plugin := "hostile"
		if way == "grow" {
			plugin = "greedy" // it has the time to come to the limit of its memory
		}
		for _, policy := range []string{"skip", "fail"} {
			config += fmt.Sprintf(`
  - name: %[1]s-%[2]s
    host: %[1]s-%[2]s.test
    path: "/{rest...}"
    upstream: partner
    steps: [{name: %[1]s, plugin: %[3]s, config: {do: %[1]s}, on_failure: %[2]s}]
`, way, policy, plugin)
		}
	}
	g := startGateway(t, raced, t.TempDir(), config)
	target := up.download(5000)
	l := startLoad(t, g.address, 8, &stage{name: "all along", want: only("good")}, fetch("well.test", target))
	const times = 3
	for way, end := range ways {
		for range times {
			if m := g.ask(way+"-skip.test", target); m.err != nil || m.status != 200 || len(m.body) != 5000 {
				t.Errorf("%s, skip: the client has %v; want what the upstream says", way, m)
			}
			if m := g.ask(way+"-fail.test", target); !isProblem(m, 503, "step-failed") {
				t.Errorf("%s, fail: the client has %v; want a problem with status 503", way, m)
			}
		}
		for _, policy := range []string{"skip", "fail"} {
			name := fmt.Sprintf("breakwater_step_failures_total{route=%q,step=%q,phase=\"request\",reason=%q}", way+"-"+policy, way, end)
			if n := g.metric(name); n != times {
				t.Errorf("%s is %v, want %d", name, n, times)
			}
		}
	}
	g.await(`a step failed.* step=\w+ .*plugin \\"hostile\\"`)
	l.stop()
	l.check()
}

// A gateway that is told to stop ends what it has begun, takes nothing new, and leaves with 0.
func TestDrain(t *testing.T) {
	up := startPartner(t, raced, "")
	g := startGateway(t, raced, t.TempDir(), strings.ReplaceAll(passConfig, "PARTNER", up.api))
	target := up.download(5000)
	ask := get(target, "Authorization: Bearer partner-token-acme")
	idle := g.dial()
	if m := idle.ask(ask); m.err != nil {
		t.Fatal(m)
	}
	up.scenario("gate:half", `{"path":"/whatsapp_business/**"}`)
	up.scenario("gate:head", `{"path":"/{media-id}","options":{"hold":["head"]}}`)
	var begun []*peer
	for range 4 {
		half, none := g.dial(), g.dial()
		half.send(ask)
		none.send(get("/12348", "Authorization: Bearer partner-token-acme"))
		begun = append(begun, half, none)
	}
	sending := g.dial()
	sending.send(request("POST", "/106540352242922/messages", "1.1", "Authorization: Bearer partner-token-acme", "Content-Length: 10"))
	sending.send("     ")
	up.held("gate:half", 4)
	up.held("gate:head", 4)
	up.received(1, "target=/106540352242922/messages&body_bytes=5")

	g.signal(os.Interrupt)
	g.await("draining")
	eventually(t, "no new connections are taken", func() error {
		c, err := net.Dial("tcp", g.address)
		if err != nil {
			return nil
		}
		c.Close()
		return errors.New("one was taken")
	})
	if _, err := idle.r.ReadByte(); err == nil {
		t.Error("an idle connection has something to read")
	}
	up.call("POST", "/release/gate:half?open=1", "", nil)
	up.call("POST", "/release/gate:head?open=1", "", nil)
	for i, p := range begun {
		if m := readMessage(p.r, "GET"); m.err != nil || m.status != 200 {
			t.Errorf("request %d, which had begun, was answered %v", i, m)
		}
	}
	sending.send("     ")
	if m := readMessage(sending.r, "POST"); m.err != nil || m.status != 400 {
		t.Errorf("the request that was being sent was answered %v; want what the partner says to spaces", m)
	}
	g.end()
}
