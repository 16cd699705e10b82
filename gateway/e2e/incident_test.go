package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The incident of 20 January, on real processes. A partner that we don't control begins to refuse its own optional parameter
// phone_number_id (S1) and to answer chunked (S2). Half of the requests carry the parameter because their client sends it,
// half because the gateway puts it in.

const incidentConfig = listeners + `
clients: {file: clients.yaml, credential: {field: D360-API-KEY}}
upstreams: [{name: partner, url: "http://PARTNER"}]
flags: {file: flags.yaml}
plugins:
  - {name: drop-query-param, path: DROP, limits: {time: 30s}}
  - {name: classify-partner, path: CLASSIFY, limits: {time: 30s}}
routes:
  - name: sent-by-client
    host: sent.test
    path: /{media_id:digits}
    upstream: partner
    inject:
      path: /v23.0/{path.media_id}
      fields: {Authorization: "Bearer {secret.partner_token}"}
    steps:
      STEPS
    limits: {errors: {count: 20, window: 60m, block: 30m}}
  - name: injected
    host: injected.test
    path: /{media_id:digits}
    upstream: partner
    inject:
      path: /v23.0/{path.media_id}
      query: {phone_number_id: "{client.phone_number_id}"}
      fields: {Authorization: "Bearer {secret.partner_token}"}
    steps:
      STEPS
    limits: {errors: {count: 20, window: 60m, block: 30m}}
`

const incidentSteps = `- name: drop-phone-number-id
        plugin: drop-query-param
        config: {parameters: [phone_number_id]}
        gate: {flag: drop-phone-number-id, fallback: off}
      - name: classify
        plugin: classify-partner
        config: {parameters: [phone_number_id]}
        gate: {flag: classify-partner, fallback: off}`

// An incident is what its tests share.
type incident struct {
	t       *testing.T
	partner *partner
	gateway *gateway
	tenants []tenant
	good    []string // what the partner says when all is well, by client
	bad     []string // and what it says to the parameter
}

// clients make the load. There is one more, for what a test asks beside it.
const (
	clients = 50
	another = clients
)

func startIncident(t *testing.T, flags ...string) *incident {
	in := &incident{t: t, partner: startPartner(t, raced, "")}
	dir := t.TempDir()
	in.tenants = tenants(t, dir, clients+1)
	write(t, dir+"/flags.yaml", flagFile(flags...))
	config := strings.NewReplacer("STEPS", incidentSteps, "PARTNER", in.partner.api,
		"DROP", guest(t, "plugins/guests/drop-query-param", ""), "CLASSIFY", guest(t, "plugins/guests/classify-partner", "")).Replace(incidentConfig)
	in.gateway = startGateway(t, raced, dir, config)

	// The partner itself says what its answers are.
	for i := range in.tenants {
		in.good = append(in.good, in.direct(i))
	}
	in.partner.scenario("reject-phone-number-id", "")
	for i := range in.tenants {
		in.bad = append(in.bad, in.direct(i))
	}
	in.partner.revert()
	if !strings.HasPrefix(in.good[0], "200 {") || !strings.HasPrefix(in.bad[0], `400 {"error":{"message":"Invalid OAuth access token`) {
		t.Fatalf("the partner says %q and %q", in.good[0], in.bad[0])
	}
	return in
}

// target is what client asks for: each something of its own, so that an answer for another would be seen.
func target(client int, number string) string {
	t := fmt.Sprintf("/%d8", 4490709327+client)
	if number != "" {
		t += "?phone_number_id=" + number
	}
	return t
}

// direct asks the partner without the gateway.
func (in *incident) direct(client int) string {
	c := in.tenants[client]
	p := dial(in.t, in.partner.api)
	defer p.Close()
	return spoken(p.ask(get("/v23.0"+target(client, c.number), "Authorization: Bearer "+c.token)))
}

// request is a client's request number i for the gateway: by turns with the parameter and without.
func (in *incident) request(client, i int) string {
	c := in.tenants[client]
	if i%2 == 1 {
		return "GET " + target(client, "") + " HTTP/1.1\r\nHost: injected.test\r\nD360-API-KEY: " + c.key + "\r\n\r\n"
	}
	return "GET " + target(client, c.number) + " HTTP/1.1\r\nHost: sent.test\r\nD360-API-KEY: " + c.key + "\r\n\r\n"
}

// ask sends a client's request number i through the gateway and says what came back.
func (in *incident) ask(p *peer, client, i int) string {
	return in.heard(client, p.ask(in.request(client, i)))
}

// heard is "good" or "bad" if the client has what the partner says, to the byte, and "blocked" if it is turned away.
func (in *incident) heard(client int, m message) string {
	if m.err != nil {
		return "broken: " + m.err.Error()
	}
	switch s := spoken(m); {
	case s == in.good[client]:
		return "good"
	case s == in.bad[client]:
		return "bad"
	case isProblem(m, 429, "blocked-for-errors") && m.field("Retry-After") != "":
		return "blocked"
	default:
		return s
	}
}

// isProblem reports whether m is a problem of that kind that the gateway answers itself.
func isProblem(m message, status int, kind string) bool {
	return m.err == nil && m.status == status && m.field("Content-Type") == "application/problem+json" &&
		strings.Contains(string(m.body), "problem/"+kind+`"`)
}

// passing are the parts of the partner's answers that are new each time.
var passing = regexp.MustCompile(`&ext=\d+&hash=[\w-]+|"fbtrace_id":"[\w-]+"`)

func spoken(m message) string {
	return fmt.Sprintf("%d %s", m.status, passing.ReplaceAll(m.body, nil))
}

// storm starts both halves of the partner's change.
func (in *incident) storm() {
	in.t.Helper()
	in.partner.scenario("chunked-media", `{"options":{"errors":true,"chunk_bytes":100}}`)
	in.partner.scenario("reject-phone-number-id", "")
}

// unchanged looks whether the partner's refusal reaches a client with all its fields, and chunked as it is.
func (in *incident) unchanged(client int) {
	in.t.Helper()
	c := in.tenants[client]
	p, q := dial(in.t, in.partner.api), in.gateway.dial()
	defer p.Close()
	defer q.Close()
	told := p.ask(get("/v23.0"+target(client, c.number), "Authorization: Bearer "+c.token))
	heard := q.ask(in.request(client, 0))
	lasting := func(m message) (lines []string) {
		for _, line := range m.lines {
			if !ours.MatchString(line) {
				lines = append(lines, line)
			}
		}
		slices.Sort(lines)
		return lines
	}
	if told.status != 400 || heard.status != 400 || !slices.Equal(lasting(told), lasting(heard)) || len(lasting(told)) < 10 {
		in.t.Errorf("the partner says %d %q, the client hears %d %q", told.status, lasting(told), heard.status, lasting(heard))
	}
	if told.field("Transfer-Encoding") != "chunked" || heard.field("Transfer-Encoding") != "chunked" {
		in.t.Errorf("not chunked: the partner says %q, the client hears %q", told.lines, heard.lines)
	}
}

// ours are the fields of one connection or one moment.
var ours = regexp.MustCompile(`(?i)^(date|connection|via|breakwater-request-id|x-fb-request-id|x-fb-trace-id|x-fb-debug):`)

// parameters reports whether the partner gets the parameter now, and fails the test unless the rest of the target is as it was sent.
func (in *incident) parameters(p *peer, client int) (got bool) {
	in.t.Helper()
	in.partner.call("DELETE", "/received", "", nil)
	for i := range 2 {
		in.ask(p, client, i)
	}
	c := in.tenants[client]
	all := in.partner.received(2, "tenant="+c.name)
	with := "/v23.0" + target(client, c.number)
	for _, r := range all {
		if r.Target != all[0].Target || r.Target != with && r.Target != "/v23.0"+target(client, "") {
			in.t.Errorf("the partner got %q and %q", all[0].Target, r.Target)
		}
	}
	return all[0].Target == with
}

// blocks returns who is blocked, and on which routes, as the command line tells it.
func (in *incident) blocks() (names []string) {
	in.t.Helper()
	for _, line := range strings.Split(in.gateway.command("client", "list", "--blocked"), "\n")[1:] {
		if name, _, ok := strings.Cut(line, " "); ok && strings.Contains(line, " until ") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// As in January: nothing tells the partner's errors from the clients'. Busy clients are blocked for what they didn't do;
// others get the partner's error. One flag ends it.
func TestIncidentAsInJanuary(t *testing.T) {
	in := startIncident(t, "drop-phone-number-id=off", "classify-partner=off")
	const busy = 30 // the others stop sending when they see errors
	patient := func(client int) int {
		if client < busy {
			return 60 // 30 on each route
		}
		return 6
	}
	l := startLoad(t, in.gateway.address, clients, &stage{name: "calm", each: all(10), want: only("good")}, in.ask)
	l.finish(l.now.Load())

	l.enter(&stage{name: "storm rises", want: only("good", "bad", "blocked")})
	in.storm()
	storm := l.enter(&stage{name: "storm", each: patient, want: func(client int, answer string) bool {
		return answer == "bad" || answer == "blocked" && client < busy
	}})
	l.finish(storm)
	in.unchanged(another)
	if l.count(storm, "bad") == 0 || l.count(storm, "blocked") == 0 {
		t.Errorf("in the storm %d requests failed and %d were turned away; want some of each", l.count(storm, "bad"), l.count(storm, "blocked"))
	}
	if got := in.blocks(); len(got) != busy {
		t.Errorf("blocked: %v; want the %d busy clients", got, busy)
	}

	l.enter(&stage{name: "flip", each: patient, want: only("good", "bad", "blocked")})
	in.gateway.flip("drop-phone-number-id", "on", "the partner refuses its own parameter")
	flipped := l.enter(&stage{name: "flipped", each: all(20), want: func(client int, answer string) bool {
		if client < busy {
			return answer == "blocked"
		}
		return answer == "good"
	}})
	l.finish(flipped)

	l.enter(&stage{name: "unblocking", each: all(10), want: only("good", "blocked")})
	for i, name := range in.blocks() {
		if i < 2 {
			in.gateway.command("client", "unblock", name, "--reason", "it was the partner")
		} else {
			in.gateway.api("POST", "/api/v1/clients/"+name+"/unblock", `{"reason":"it was the partner"}`, nil)
		}
	}
	l.finish(l.enter(&stage{name: "unblocked", each: all(20), want: only("good")}))
	if got := in.blocks(); len(got) != 0 {
		t.Errorf("still blocked: %v", got)
	}
	in.aftermath(l)
}

// aftermath has the partner take its change back, and the workaround after it.
func (in *incident) aftermath(l *load, offenders ...int) {
	in.t.Helper()
	want := func(client int, answer string) bool {
		return answer == "good" || slices.Contains(offenders, client)
	}
	p := in.gateway.dial()
	if in.parameters(p, another) {
		in.t.Error("the partner gets the parameter, though the flag is on")
	}
	in.partner.scenario("revert", "")
	l.finish(l.enter(&stage{name: "reverted", each: all(10), want: want}))
	in.partner.revert()
	in.gateway.flip("drop-phone-number-id", "off", "the partner has taken it back")
	l.finish(l.enter(&stage{name: "flag off", each: all(10), want: want}))
	if !in.parameters(p, another) {
		in.t.Error("the partner doesn't get the parameter, though the flag is off")
	}
	l.stop() // each client has sent everything over one connection: nothing was dropped
	l.check()
	in.gateway.alive()
}

// With the classifying step on from the start nobody is blocked for what the partner does, while a client that makes errors
// of its own is, all the same, in the middle of the storm.
func TestIncidentWithClassification(t *testing.T) {
	in := startIncident(t, "drop-phone-number-id=off", "classify-partner=on")
	const offender = 7
	others := func(answers ...string) func(int, string) bool {
		allowed := only(answers...)
		return func(client int, answer string) bool {
			if client == offender {
				return answer == "blocked" || strings.HasPrefix(answer, `400 {"error":{"message":"(#100) Invalid parameter"`)
			}
			return allowed(client, answer)
		}
	}
	in.partner.scenario("client-faults", fmt.Sprintf(`{"tenant":%q}`, in.tenants[offender].name))
	l := startLoad(t, in.gateway.address, clients, &stage{name: "calm", each: all(4), want: others("good")}, in.ask)
	l.finish(l.now.Load())
	l.enter(&stage{name: "storm rises", want: others("good", "bad")})
	in.storm()
	storm := l.enter(&stage{name: "storm", each: all(60), want: others("bad")})
	l.finish(storm)
	if got := in.blocks(); !slices.Equal(got, []string{in.tenants[offender].name}) {
		t.Errorf("blocked: %v; want %v only", got, in.tenants[offender].name)
	}
	if l.count(storm, "blocked") == 0 {
		t.Error("the offender was never turned away")
	}
	in.partner.scenario("gate:late", fmt.Sprintf(`{"tenant":%q,"options":{"hold":["head"]}}`, in.tenants[another].name))
	late := in.gateway.dial()
	late.send(in.request(another, 0))
	in.partner.held("gate:late", 1)
	l.enter(&stage{name: "flip", want: others("good", "bad")}) // all clients send meanwhile
	in.gateway.flip("drop-phone-number-id", "on", "the partner refuses its own parameter")
	in.partner.call("DELETE", "/scenarios/gate:late", "", nil)
	if answer := in.heard(another, readMessage(late.r, "GET")); answer != "bad" {
		t.Errorf("a request that was with the partner at the flip was answered %s; want what the partner says to it", answer)
	}
	l.finish(l.enter(&stage{name: "flipped", each: all(20), want: others("good")}))
	in.aftermath(l, offender)
}
