package e2e

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakConfig is everything that the gateway has, at work on downloads of media and on questions for them.
const soakConfig = listeners + `
clients: {file: clients.yaml, credential: {field: D360-API-KEY}}
upstreams: [{name: partner, url: "http://PARTNER", timeouts: {response_head: 5s, idle_body: 5s}}]
flags: {file: flags.yaml}
plugins:
  - {name: drop-query-param, path: DROP, limits: {time: 30s}}
  - {name: classify-partner, path: CLASSIFY, limits: {time: 30s}}
routes:
  - name: media
    path: /{rest...}
    upstream: partner
    inject:
      query: {phone_number_id: "{client.phone_number_id}"}
      fields: {Authorization: "Bearer {secret.partner_token}"}
    steps:
      - {name: drop, plugin: drop-query-param, config: {parameters: [phone_number_id]}, gate: {flag: drop, fallback: off}}
      - {name: classify, plugin: classify-partner, config: {parameters: [phone_number_id]}, gate: {flag: classify, fallback: off}}
    limits: {errors: {count: 20, window: 60m, block: 30m}}
`

// A want is a media whose content the soak test asks for.
type want struct{ id, target, sum string }

// TestSoak loads a gateway for SOAKTIME (20 seconds if that is not set) while the partner misbehaves at random, flags flip,
// the configuration is read again, and clients break off. No content is ever wrong; and afterwards all is as before.
func TestSoak(t *testing.T) {
	length := 20 * time.Second
	if s := os.Getenv("SOAKTIME"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatalf("SOAKTIME %q: expected a duration such as 30m", s)
		}
	}
	up := startPartner(t, raced, "")
	dir := t.TempDir()
	list := tenants(t, dir, 16)
	write(t, dir+"/flags.yaml", flagFile("drop=on", "classify=on"))
	config := strings.NewReplacer("PARTNER", up.api,
		"DROP", guest(t, "plugins/guests/drop-query-param", ""), "CLASSIFY", guest(t, "plugins/guests/classify-partner", "")).Replace(soakConfig)
	g := startGateway(t, raced, dir, config)
	s := &soak{t: t, gateway: g, partner: up, tenants: list}
	s.refresh()
	for client := range list { // a quiet round: what is opened once is open
		s.round(rand.New(rand.NewPCG(uint64(client), 0)), client, false)
	}
	if s.whole.Load() == 0 || s.cut.Load() > 0 {
		t.Fatalf("without any fault %d contents were whole and %d were not", s.whole.Load(), s.cut.Load())
	}
	goroutines, files, heap := g.goroutines(), g.files(), g.heap()

	over := make(chan struct{})
	var clients sync.WaitGroup
	end := sync.OnceFunc(func() { close(over); clients.Wait() })
	t.Cleanup(end)
	for client := range list {
		clients.Go(func() {
			for r := rand.New(rand.NewPCG(uint64(client), 1)); ; {
				select {
				case <-over:
					return
				default:
					s.round(r, client, true)
				}
			}
		})
	}
	s.trouble(length)
	end()
	up.revert()
	t.Logf("%d contents were whole, %d were cut, %d requests were answered otherwise", s.whole.Load(), s.cut.Load(), s.other.Load())
	if s.whole.Load() == 0 || s.cut.Load() == 0 {
		t.Error("expected contents of both kinds")
	}
	eventually(t, "connections and goroutines are as few as before", func() error {
		// Idle connections to the partner may stay: one for each client.
		if n := g.goroutines(); n > goroutines+len(list) {
			return fmt.Errorf("%d goroutines, %d before", n, goroutines)
		}
		if n := g.files(); n > files+len(list) {
			return fmt.Errorf("%d open files, %d before", n, files)
		}
		return nil
	})
	if now := g.heap(); now > heap+64<<20 {
		t.Errorf("%d MiB in use on the heap, %d MiB before", now>>20, heap>>20)
	}
	if n := g.metric("breakwater_panics_total"); n > 0 {
		t.Errorf("%g panics", n)
	}
}

// heap returns how many bytes are in use on the gateway's heap after a collection. (What the kernel says of the process
// means little under the race detector.)
func (g *gateway) heap() int64 {
	g.t.Helper()
	if status, text := callURL(g.t, "GET", g.admin+"/debug/pprof/heap?gc=1", ""); status != 200 {
		g.t.Fatalf("heap profile: %d %.200s", status, text)
	}
	return int64(g.metric("go_memstats_heap_inuse_bytes"))
}

type soak struct {
	t       *testing.T
	gateway *gateway
	partner *partner
	tenants []tenant
	wants   atomic.Pointer[[]want]

	whole, cut, other atomic.Int64
}

// refresh asks the partner itself where some media are: its URLs hold for five minutes.
func (s *soak) refresh() {
	s.t.Helper()
	var all []want
	for _, size := range []string{"0", "1", "1000", "20000", "300000"} {
		w := want{id: "900" + size}
		var m struct{ URL, SHA256 string }
		answer := dial(s.t, s.partner.api).ask(get("/v23.0/"+w.id, "Authorization: Bearer partner-token-soak"))
		if err := json.Unmarshal(answer.body, &m); err != nil {
			s.t.Fatalf("media %s: %v: %v", w.id, err, answer)
		}
		_, w.target, _ = strings.Cut(m.URL, s.partner.api)
		w.sum = m.SHA256
		all = append(all, w)
	}
	s.wants.Store(&all)
}

// round is one connection of a client and a few requests over it.
func (s *soak) round(r *rand.Rand, client int, rough bool) {
	c, err := net.Dial("tcp", s.gateway.address)
	if err != nil {
		s.t.Errorf("connect: %v", err)
		return
	}
	defer c.Close()
	p := &peer{s.t, c, bufio.NewReaderSize(c, 64<<10)}
	for range 8 {
		w := (*s.wants.Load())[r.IntN(len(*s.wants.Load()))]
		request := get(w.target, "D360-API-KEY: "+s.tenants[client].key)
		if rough && r.IntN(20) == 0 { // gone in the middle of it
			p.patient()
			p.Write([]byte(request))             //nolint:errcheck // it is given up
			p.Read(make([]byte, r.IntN(4096)+1)) //nolint:errcheck
			return
		}
		m := p.ask(request)
		switch sum := sha256.Sum256(m.body); {
		case m.err != nil:
			s.cut.Add(1)
			return
		case m.status != 200:
			s.other.Add(1)
		case hex.EncodeToString(sum[:]) != w.sum:
			s.t.Errorf("media %s: a content that looks whole and is wrong: %v", w.id, m)
		default:
			s.whole.Add(1)
		}
		if m.field("Connection") == "close" {
			return
		}
	}
}

// trouble is what happens meanwhile.
func (s *soak) trouble(length time.Duration) {
	var errors []string
	for _, shape := range s.partner.shapes() {
		if shape.Recipient == "error" && !shape.OnlyHEAD {
			errors = append(errors, shape.Shape)
		}
	}
	r := rand.New(rand.NewPCG(2, 3))
	on := map[bool]string{true: "on", false: "off"}
	next := time.Now().Add(time.Minute)
	for end := time.Now().Add(length); time.Now().Before(end); {
		percent := 10 + r.IntN(40)
		switch r.IntN(9) {
		case 0:
			s.partner.scenario("framing", fmt.Sprintf(`{"path":"/whatsapp_business/**","percent":%d,"options":{"shape":%q}}`, percent, errors[r.IntN(len(errors))]))
		case 1:
			s.partner.scenario("mid-stream-reset", fmt.Sprintf(`{"path":"/whatsapp_business/**","percent":%d}`, percent))
		case 2:
			s.partner.scenario("connection-reset", fmt.Sprintf(`{"percent":%d}`, percent))
		case 3:
			s.partner.scenario("latency", fmt.Sprintf(`{"path":"/whatsapp_business/**","percent":%d,"options":{"delay":"20ms","jitter":"100ms"}}`, percent))
		case 4:
			s.partner.scenario("chunked-media", fmt.Sprintf(`{"path":"/whatsapp_business/**","percent":%d}`, percent))
		case 5:
			s.gateway.api("PUT", "/api/v1/flags/drop", fmt.Sprintf(`{"variant":%q,"reason":"soak"}`, on[r.IntN(2) == 0]), nil)
		case 6:
			s.gateway.api("POST", "/api/v1/reload", "{}", nil)
		default:
			s.partner.revert()
		}
		if time.Now().After(next) {
			s.partner.revert()
			s.refresh()
			next = time.Now().Add(time.Minute)
		}
		time.Sleep(time.Duration(50+r.IntN(250)) * time.Millisecond) // the pace of the trouble: nothing waits for it
	}
}
