package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakConfig is everything that the gateway has, at work on downloads and uploads of media.
const soakConfig = listeners + `
clients: {file: clients.yaml, credential: {field: D360-API-KEY}}
upstreams:
  - {name: partner, url: "http://PARTNER", timeouts: {response_head: 5s, idle_body: 5s}, limits: {requests: 64, pending: 64, pending_time: 5s}}
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
    retry: {attempts: 3, on: [connect, reset, retryable-verdict], backoff: 2ms, backoff_max: 10ms}
`

// A want is a media whose content the soak test asks for.
type want struct{ id, target, sum string }

// A world is a gateway and its partner, with clients of their own.
type world struct {
	t       *testing.T
	gateway *gateway
	partner *partner
	tenants []tenant
	wants   atomic.Pointer[[]want]
	courses []*course // how much the gateway holds, over time

	whole, taken, cut, other atomic.Int64
}

// TestSoak loads two gateways for SOAKTIME (20 seconds if that is not set) while their partners misbehave at random, flags flip,
// configurations and certificates are read again, and clients break off. One has the race detector; the other speaks TLS on both
// sides, and as it is built like any other, its memory is its own. No content is ever wrong, in either direction; what the
// gateways hold does not grow; and afterwards all is as before.
func TestSoak(t *testing.T) {
	length := 20 * time.Second
	if s := os.Getenv("SOAKTIME"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatalf("SOAKTIME %q: expected a duration such as 30m", s)
		}
	}
	t.Run("race", func(t *testing.T) {
		t.Parallel()
		newWorld(t, raced, nil).soak(length)
	})
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		newWorld(t, plain, newPrivate(t)).soak(length)
	})
}

func newWorld(t *testing.T, k kit, over *private) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, tenants: tenants(t, dir, 16)}
	write(t, dir+"/flags.yaml", flagFile("drop=on", "classify=on"))
	if over == nil {
		w.partner = startPartner(t, k, "")
	} else {
		w.partner = over.partner(t, k)
	}
	config := strings.NewReplacer("PARTNER", w.partner.api,
		"DROP", guest(t, "plugins/guests/drop-query-param", ""), "CLASSIFY", guest(t, "plugins/guests/classify-partner", "")).Replace(soakConfig)
	if over == nil {
		w.gateway = startGateway(t, k, dir, config)
	} else {
		w.gateway = over.gateway(t, k, dir, config)
	}
	w.refresh()
	for client := range w.tenants { // a quiet round: what is opened once is open
		w.round(rand.New(rand.NewPCG(uint64(client), 0)), client, false)
	}
	if w.whole.Load() == 0 || w.taken.Load() == 0 || w.cut.Load() > 0 {
		t.Fatalf("without any fault %d contents came whole, %d were taken, and %d were cut", w.whole.Load(), w.taken.Load(), w.cut.Load())
	}
	w.courses = []*course{
		{name: "goroutines", most: 32, now: func() float64 { return float64(w.gateway.goroutines()) }},
		{name: "open files", most: 32, now: func() float64 { return float64(w.gateway.files()) }},
	}
	memory := &course{name: "bytes of memory", most: 48 << 20, now: func() float64 { return float64(w.gateway.memory("VmRSS")) }}
	if k == raced { // what the kernel says of such a process means little
		memory = &course{name: "bytes in use on the heap", most: 48 << 20, now: func() float64 { return float64(w.gateway.heap()) }}
	}
	w.courses = append(w.courses, memory)
	return w
}

// soak is the life of a world. It ends with what is to be said of it.
func (w *world) soak(length time.Duration) {
	t := w.t
	goroutines, files := w.gateway.goroutines(), w.gateway.files()
	over := make(chan struct{})
	var clients sync.WaitGroup
	end := sync.OnceFunc(func() { close(over); clients.Wait() })
	defer end()
	for client := range w.tenants {
		clients.Go(func() {
			for r := rand.New(rand.NewPCG(uint64(client), 1)); ; {
				select {
				case <-over:
					return
				default:
					w.round(r, client, true)
				}
			}
		})
	}
	w.trouble(length)
	end()
	w.partner.revert()
	w.received()
	t.Logf("%d contents came whole, %d were taken whole, %d were cut, %d requests were answered otherwise",
		w.whole.Load(), w.taken.Load(), w.cut.Load(), w.other.Load())
	if w.whole.Load() == 0 || w.taken.Load() == 0 || w.cut.Load() == 0 {
		t.Error("expected contents of each kind")
	}
	for _, c := range w.courses {
		rise := c.rise()
		t.Logf("%s: %s", c.name, c)
		if rise > c.most {
			t.Errorf("%s have risen by %.0f, by the median of all slopes; want at most %.0f", c.name, rise, c.most)
		}
	}
	eventually(t, "connections and goroutines are as few as before", func() error {
		// Idle connections to the partner may stay: one for each client.
		if n := w.gateway.goroutines(); n > goroutines+len(w.tenants) {
			return fmt.Errorf("%d goroutines, %d before", n, goroutines)
		}
		if n := w.gateway.files(); n > files+len(w.tenants) {
			return fmt.Errorf("%d open files, %d before", n, files)
		}
		return nil
	})
	if n := w.gateway.metric("breakwater_panics_total"); n > 0 {
		t.Errorf("%g panics", n)
	}
}

// heap returns how many bytes are in use on the gateway's heap after a collection.
func (g *gateway) heap() int64 {
	g.t.Helper()
	if status, text := callURL(g.t, "GET", g.admin+"/debug/pprof/heap?gc=1", ""); status != 200 {
		g.t.Fatalf("heap profile: %d %.200s", status, text)
	}
	return int64(g.metric("go_memstats_heap_inuse_bytes"))
}

// refresh asks the partner itself where some media are: its URLs hold for five minutes.
func (w *world) refresh() {
	w.t.Helper()
	var all []want
	p := w.partner.dial()
	defer p.Close()
	for _, size := range []string{"0", "1", "1000", "20000", "300000"} {
		one := want{id: "900" + size}
		var m struct{ URL, SHA256 string }
		answer := p.ask(get("/v23.0/"+one.id, "Authorization: Bearer partner-token-soak"))
		if err := json.Unmarshal(answer.body, &m); err != nil {
			w.t.Errorf("media %s: %v: %v", one.id, err, answer)
			return
		}
		_, one.target, _ = strings.Cut(m.URL, w.partner.api)
		one.sum = m.SHA256
		all = append(all, one)
	}
	w.wants.Store(&all)
}

// round is one connection of a client and a few requests over it.
func (w *world) round(r *rand.Rand, client int, rough bool) {
	c, err := net.Dial("tcp", w.gateway.address)
	if err != nil {
		w.t.Errorf("connect: %v", err)
		return
	}
	defer c.Close()
	c = w.gateway.over.dress(c)
	p := &peer{w.t, c, bufio.NewReaderSize(c, 64<<10)}
	for range 8 {
		leaves := rough && r.IntN(20) == 0 // in the middle of it
		var m message
		if r.IntN(4) == 0 {
			m = w.upload(r, p, client, leaves)
		} else {
			m = w.download(r, p, client, leaves)
		}
		if leaves || m.err != nil || m.field("Connection") == "close" {
			return
		}
	}
}

// download asks for a media.
func (w *world) download(r *rand.Rand, p *peer, client int, leaves bool) (m message) {
	one := (*w.wants.Load())[r.IntN(len(*w.wants.Load()))]
	request := get(one.target, "D360-API-KEY: "+w.tenants[client].key)
	if leaves {
		p.patient()
		p.Write([]byte(request))             //nolint:errcheck // it is given up
		p.Read(make([]byte, r.IntN(4096)+1)) //nolint:errcheck
		return m
	}
	m = p.ask(request)
	switch sum := sha256.Sum256(m.body); {
	case m.err != nil:
		w.cut.Add(1)
	case m.status != 200:
		w.other.Add(1)
	case hex.EncodeToString(sum[:]) != one.sum:
		w.t.Errorf("media %s: a content that looks whole and is wrong: %v", one.id, m)
	default:
		w.whole.Add(1)
	}
	return m
}

// bodySum is the field in which an upload says what it should be.
const bodySum = "X-Soak-SHA256"

// upload sends a media. What the partner makes of it is seen in what it has received.
func (w *world) upload(r *rand.Rand, p *peer, client int, leaves bool) (m message) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("messaging_product", "whatsapp") //nolint:errcheck // into memory
	part, _ := form.CreatePart(textproto.MIMEHeader{ //nolint:errcheck
		"Content-Disposition": {`form-data; name="file"; filename="soak"`}, "Content-Type": {"application/octet-stream"},
	})
	at := r.IntN(len(block) / 2)
	part.Write(block[at : at+[]int{0, 1, 1000, 20_000, 300_000}[r.IntN(5)]]) //nolint:errcheck
	form.Close()
	fields := []string{
		"D360-API-KEY: " + w.tenants[client].key, "Content-Type: " + form.FormDataContentType(),
		fmt.Sprintf("%s: %x", bodySum, sha256.Sum256(body.Bytes())),
	}
	content := body.Bytes()
	if r.IntN(2) == 0 {
		fields = append(fields, "Transfer-Encoding: chunked")
		content = nil
		for left := body.Bytes(); len(left) > 0; {
			n := min(len(left), 1+r.IntN(40_000))
			content = append(fmt.Appendf(content, "%x\r\n%s", n, left[:n]), "\r\n"...)
			left = left[n:]
		}
		content = append(content, "0\r\n\r\n"...)
	} else {
		fields = append(fields, fmt.Sprintf("Content-Length: %d", len(content)))
	}
	if leaves {
		content = content[:r.IntN(len(content))]
	}
	p.patient()
	wrote := make(chan struct{})
	go func() { // an answer may come before all is sent, and then nobody reads the rest
		defer close(wrote)
		io.WriteString(p.Conn, request("POST", "/"+w.tenants[client].number+"/media", "1.1", fields...)) //nolint:errcheck // the answer says it
		p.Write(content)                                                                                 //nolint:errcheck
	}()
	if leaves {
		<-wrote
		return m
	}
	m = readMessage(p.r, "POST")
	if m.err != nil || m.field("Connection") == "close" {
		p.SetDeadline(time.Now()) //nolint:errcheck // it is not written to any more
	}
	<-wrote
	switch {
	case m.err != nil:
		w.cut.Add(1)
	case m.status != 200:
		w.other.Add(1)
	default:
		w.taken.Add(1)
	}
	return m
}

// received looks whether each upload that the partner has taken for whole is what was sent.
func (w *world) received() {
	var all []receipt
	w.partner.call("GET", "/received?done=1&target=/106540352242", "", &all)
	for _, r := range all {
		i := slices.IndexFunc(r.Fields, func(f string) bool { return strings.HasPrefix(f, bodySum+": ") })
		if i >= 0 && r.Body.Complete && !strings.HasSuffix(r.Fields[i], ": "+r.Body.SHA256) {
			w.t.Errorf("the partner takes an upload for whole that is not what was sent: %+v", r)
		}
	}
}

// trouble is what happens meanwhile.
func (w *world) trouble(length time.Duration) {
	var errors []string
	for _, shape := range w.partner.shapes() {
		if shape.Recipient == "error" && !shape.OnlyHEAD {
			errors = append(errors, shape.Shape)
		}
	}
	handshakes := []string{"alert", "close", "reset", "plain-http", "untrusted"}
	r := rand.New(rand.NewPCG(2, 3))
	on := map[bool]string{true: "on", false: "off"}
	begin := time.Now()
	fresh, look := begin.Add(time.Minute), begin
	for time.Since(begin) < length {
		percent := 10 + r.IntN(40)
		switch r.IntN(14) {
		case 0:
			w.partner.scenario("framing", fmt.Sprintf(`{"path":"/whatsapp_business/**","percent":%d,"options":{"shape":%q}}`, percent, errors[r.IntN(len(errors))]))
		case 1:
			w.partner.scenario("mid-stream-reset", fmt.Sprintf(`{"path":"/whatsapp_business/**","percent":%d}`, percent))
		case 2:
			w.partner.scenario("connection-reset", fmt.Sprintf(`{"percent":%d}`, percent))
		case 3:
			w.partner.scenario("latency", fmt.Sprintf(`{"path":"/whatsapp_business/**","percent":%d,"options":{"delay":"20ms","jitter":"100ms"}}`, percent))
		case 4:
			w.partner.scenario("chunked-media", fmt.Sprintf(`{"path":"/whatsapp_business/**","percent":%d}`, percent))
		case 5:
			w.gateway.api("PUT", "/api/v1/flags/drop", fmt.Sprintf(`{"variant":%q,"reason":"soak"}`, on[r.IntN(2) == 0]), nil)
		case 6:
			w.gateway.api("POST", "/api/v1/reload", "{}", nil)
		case 7:
			w.partner.scenario("reset", fmt.Sprintf(`{"percent":%d,"options":{"by":%q}}`, percent, []string{"reset", "fin"}[r.IntN(2)]))
		case 8:
			w.partner.scenario("early-answer", fmt.Sprintf(`{"path":"/*/media","percent":%d,"options":{"status":503}}`, percent))
		case 9:
			if over := w.gateway.over; over != nil {
				w.partner.scenario("tls-failure", fmt.Sprintf(`{"percent":%d,"options":{"how":%q}}`, percent, handshakes[r.IntN(len(handshakes))]))
			}
		case 10:
			if over := w.gateway.over; over != nil {
				over.issue(w.t, "gateway") // which is noticed
			}
		default:
			w.partner.revert()
		}
		if time.Now().After(fresh) {
			w.partner.revert()
			w.refresh()
			fresh = time.Now().Add(time.Minute)
		}
		if now := time.Now(); now.After(look) {
			for _, c := range w.courses {
				c.note(now.Sub(begin))
			}
			w.received()
			look = now.Add(max(500*time.Millisecond, length/200))
		}
		time.Sleep(time.Duration(50+r.IntN(250)) * time.Millisecond) // the pace of the trouble: nothing waits for it
	}
}
