package main

import (
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestScenarios(t *testing.T) {
	const with, without = "/123?phone_number_id=55", "/123"
	tests := []struct {
		rule, name, put string
		request         string
		status, code    int
		framing         framing // noBody: not looked at
	}{
		{"S1 refuses the parameter", "reject-phone-number-id", ``, get(with), 400, 190, byLength},
		{"S1 knows the parameter under an encoded name", "reject-phone-number-id", ``, get("/v23.0/123?a=b&phone%5Fnumber%5Fid=55"), 400, 190, byLength},
		{"S1 refuses it without a value too", "reject-phone-number-id", ``, get("/123?phone_number_id"), 400, 190, byLength},
		{"S1 lets requests without it pass", "reject-phone-number-id", ``, get("/123?phone_number=55"), 200, 0, byLength},
		{"S1 is about media ids", "reject-phone-number-id", ``, post("/55/messages?phone_number_id=55", `{"messaging_product":"whatsapp","to":"1"}`), 200, 0, byLength},
		{"S1 under 401", "reject-phone-number-id", `{"options":{"status":401}}`, get(with), 401, 190, byLength},
		{"S1 with code 100", "reject-phone-number-id", `{"options":{"code":100}}`, get(with), 400, 100, byLength},
		{"S1 for one tenant leaves the others", "reject-phone-number-id", `{"tenant":"other"}`, get(with), 200, 0, byLength},
		{"S1 for a prefix of tenants", "reject-phone-number-id", `{"tenant":"ac*"}`, get(with), 400, 190, byLength},
		{"S1 at 0 percent", "reject-phone-number-id", `{"percent":0}`, get(with), 200, 0, byLength},
		{"S1 for DELETE only", "reject-phone-number-id", `{"method":"DELETE"}`, get(with), 200, 0, byLength},

		{"S2 chunks media objects", "chunked-media", ``, get(without), 200, 0, chunked},
		{"S2 leaves errors", "chunked-media", ``, get("/123?phone_number_id=0"), 400, 100, byLength},
		{"S2 chunks errors if asked", "chunked-media", `{"options":{"errors":true}}`, get("/123?phone_number_id=0"), 400, 100, chunked},
		{"S2 leaves other paths", "chunked-media", ``, post("/55/messages", `{"messaging_product":"whatsapp","to":"1"}`), 200, 0, byLength},
		{"S2 elsewhere if asked", "chunked-media", `{"path":"/**","method":""}`, post("/55/messages", `{"messaging_product":"whatsapp","to":"1"}`), 200, 0, chunked},

		{"S3 is both at once", "incident", `{"options":{"errors":true}}`, get(with), 400, 190, chunked},
		{"S3 chunks what passes", "incident", ``, get(without), 200, 0, chunked},
		{"S3 with the refusal to come", "incident", `{"options":{"reject_after":"1h"}}`, get(with), 200, 0, chunked},
		{"S3 with the chunks to come", "incident", `{"options":{"chunked_after":"1h"}}`, get(with), 400, 190, byLength},
		{"S3 all to come", "incident", `{"start_after":"1h"}`, get(with), 200, 0, byLength},
		{"S4 is the same, by connection", "edge-rollout", ``, get(with), 400, 190, byLength},

		{"S6 refuses everybody", "same-code-other-status", ``, get(without), 400, 190, byLength},
		{"S6 with another code", "same-code-other-status", `{"options":{"code":4,"statuses":["429"]}}`, get(without), 429, 4, byLength},
		{"any error of the partner's", "partner-error", `{"options":{"code":131000}}`, get(without), 500, 131000, byLength},
		{"any error under another status", "partner-error", `{"options":{"code":2,"status":400}}`, get(without), 400, 2, byLength},

		{"S8 leaves the status", "json-drift", ``, get(without), 200, 0, byLength},
		{"S9 refuses at its limit", "throttle", `{"options":{"limit":0}}`, get(without), 400, 4, byLength},
		{"S9 with a code of one tenant", "throttle", `{"options":{"code":80007,"limit":0,"status":429}}`, get(without), 429, 80007, byLength},
		{"S10 is one tenant's", "client-faults", `{"tenant":"acme","options":{"code":803}}`, get(without), 404, 803, byLength},
		{"S10 leaves the others", "client-faults", `{"tenant":"other"}`, get(without), 200, 0, byLength},
		{"S12 leaves the retrieval", "expired-url", ``, get(without), 200, 0, byLength},
		{"S12 refuses the download", "expired-url", ``, get("/whatsapp_business/attachments/?mid=1"), 404, 100, byLength},
		{"S14 bad key", "bad-tenant-key", `{"tenant":"acme"}`, get(without), 401, 190, byLength},
		{"S14 locked account", "account-locked", `{"tenant":"acme"}`, get(without), 403, 131031, byLength},
		{"S14 leaves the others", "account-locked", `{"tenant":"acm"}`, get(without), 200, 0, byLength},
		{"a label changes nothing", "partner-error:one", ``, get(without), 503, 2, byLength},
		{"latency only delays", "latency", `{"options":{"delay":"1ms","jitter":"1ms"}}`, get(without), 200, 0, byLength},
		{"the first requests can be spared", "partner-error", `{"start_after_requests":1}`, get(without), 200, 0, byLength},
		{"early answers come without the body", "early-answer", ``, requestOf("POST", "/55/media", "acme", "Content-Length: 1000000"), 413, 131053, byLength},
	}
	r := start(t)
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			r := &rig{r.simulator, t}
			r.scenario(tt.name, tt.put)
			a := r.ask(tt.request)
			if a.StatusCode != tt.status || a.code != tt.code {
				t.Errorf("%s %s: %q = %d code %d, want %d code %d", tt.name, tt.put, tt.request, a.StatusCode, a.code, tt.status, tt.code)
			}
			got := byLength
			if len(a.TransferEncoding) > 0 {
				got = chunked
			}
			if got != tt.framing {
				t.Errorf("%s %s: framing %s, want %s", tt.name, tt.put, got, tt.framing)
			}
			r.must("DELETE", "/scenarios/"+tt.name, "", nil)
			// What the API itself refuses is refused before and after.
			if !strings.HasPrefix(tt.request, "GET /123") || tt.request == get("/123?phone_number_id=0") || tt.request == get("/123?phone_number_id") {
				return
			}
			if a := r.ask(tt.request); a.StatusCode != 200 || len(a.TransferEncoding) > 0 {
				t.Errorf("after its end: %d, framing %v; want 200 by length", a.StatusCode, a.TransferEncoding)
			}
		})
	}
}

func TestScenarioMistakesAreNamed(t *testing.T) {
	r := start(t)
	tests := []struct{ name, put, want string }{
		{"reject", ``, `scenario "reject": expected one of revert, `},
		{"chunked-media", `[]`, `expected a JSON object`},
		{"chunked-media", `{"percent":`, `expected a JSON object`},
		{"chunked-media", `{} {}`, `found more after it`},
		{"chunked-media", `{"percentage":5}`, `member "percentage": expected one of percent, sticky, tenant`},
		{"chunked-media", `{"percent":"5"}`, `member "percent": found a string, expected a float64`},
		{"chunked-media", `{"percent":101}`, `percent 101: expected 0 to 100`},
		{"chunked-media", `{"sticky":"tenant"}`, `sticky "tenant": expected request or connection`},
		{"chunked-media", `{"path":"media"}`, `path "media": expected a pattern that begins with /`},
		{"chunked-media", `{"start_after":"soon"}`, `start_after "soon": expected a duration`},
		{"chunked-media", `{"start_after":"-1s"}`, `start_after "-1s": expected a duration`},
		{"chunked-media", `{"options":{"error":true}}`, `option "error": expected one of errors, chunk_bytes`},
		{"chunked-media", `{"options":{"errors":1}}`, `option "errors": value 1: expected true or false`},
		{"chunked-media", `{"options":{"errors":null}}`, `option "errors": value null: expected true or false`},
		{"chunked-media", `{"options":{"chunk_bytes":-1}}`, `option "chunk_bytes": value -1: expected a whole number from 0 to`},
		{"chunked-media", `{"options":{"chunk_bytes":1.5}}`, `option "chunk_bytes": value 1.5: expected a whole number`},
		{"reject-phone-number-id", `{"options":{"code":5}}`, `option "code": value 5: expected one of 100, 190`},
		{"reject-phone-number-id", `{"options":{"status":200}}`, `option "status": value 200: expected a whole number from 400 to 599`},
		{"partner-error", `{"options":{"status":200}}`, `option "status": value 200: expected 0 or 400 to 599`},
		{"partner-error", `{"options":{"code":12345}}`, `option "code": value 12345: expected one of 0, 1, 2`},
		{"client-faults", `{}`, `tenant: expected one`},
		{"client-faults", `{"tenant":"a","options":{"code":190}}`, `option "code": value 190: expected one of 33, 100, 803`},
		{"same-code-other-status", `{"options":{"statuses":[]}}`, `expected at least one`},
		{"same-code-other-status", `{"options":{"statuses":["200"]}}`, `expected a list of: 400`},
		{"framing", `{"options":{"shape":"square"}}`, `option "shape": value "square": expected one of one-byte-chunks`},
		{"json-drift", `{"options":{"changes":["gzip","br"]}}`, `"gzip" and "br": expected one content coding`},
		{"slow-drip", `{"options":{"every":"often"}}`, `option "every": value "often": expected a duration`},
		{"revert", `{"options":{"x":1}}`, `option "x": expected one of none`},
		{"connection-reset", `{"tenant":"acme"}`, `expected none, since nothing of them is known`},
		{"tls-failure", ``, `speaks plain HTTP`},
	}
	for _, tt := range tests {
		status, text := r.control("PUT", "/scenarios/"+tt.name, tt.put)
		var e struct{ Error string }
		json.Unmarshal([]byte(text), &e)
		if status != 400 || !strings.Contains(e.Error, tt.want) {
			t.Errorf("PUT /scenarios/%s %s = %d %s, want 400 … %s", tt.name, tt.put, status, e.Error, tt.want)
		}
	}
	if status, _ := r.control("DELETE", "/scenarios/framing", ""); status != 404 {
		t.Errorf("ending what isn't active = %d, want 404", status)
	}
	if d := r.scenarios.describe(); len(d.Active) != 0 {
		t.Errorf("active after mistakes only: %v", d.Active)
	}
}

func TestEveryStoryIsTold(t *testing.T) {
	r := start(t)
	var d scenariosDoc
	r.must("GET", "/scenarios", "", &d)
	told := map[string]bool{}
	for _, k := range d.Scenarios {
		told[k.Story] = true
		if k.Does == "" {
			t.Errorf("%s: says nothing of what it does", k.Name)
		}
		for _, o := range k.Options {
			if o.Does == "" || o.Expected == "" {
				t.Errorf("%s: option %s says nothing of itself", k.Name, o.Name)
			}
		}
		if k.Name == "framing" && len(k.Shapes) != len(shapes) {
			t.Errorf("framing lists %d shapes, want %d", len(k.Shapes), len(shapes))
		}
	}
	for n := 1; n <= 14; n++ {
		if !told[fmt.Sprintf("S%d", n)] {
			t.Errorf("no scenario for S%d", n)
		}
	}
}

func TestPercentIsOfRequests(t *testing.T) {
	r := start(t)
	for _, percent := range []int{1, 10, 50, 99} {
		r.scenario("partner-error", fmt.Sprintf(`{"percent":%d}`, percent))
		c, struck := r.dial(), 0
		for range 400 {
			c.send(get("/1"))
			if c.response("GET").StatusCode != 200 {
				struck++
			}
		}
		if want := 4 * percent; struck < want-3 || struck > want+3 {
			t.Errorf("%d%% of 400 requests: %d struck, want about %d", percent, struck, want)
		}
		var d scenariosDoc
		r.must("GET", "/scenarios", "", &d)
		if a := d.Active[0]; a.Seen != 400 || a.Hits != uint64(struck) {
			t.Errorf("seen %d, hits %d; want 400, %d", a.Seen, a.Hits, struck)
		}
	}
}

func TestEdgeRolloutIsStickyPerConnection(t *testing.T) {
	r := start(t)
	r.scenario("edge-rollout", `{"percent":40}`)
	struck := 0
	for range 50 {
		c := r.dial()
		for n := range 4 {
			c.send(get("/1?phone_number_id=5"))
			a := c.response("GET")
			if n == 0 && a.StatusCode == 400 {
				struck++
			}
			onEdge, rev := a.StatusCode == 400, a.Header.Get("x-fb-rev")
			if c.t = t; n == 0 {
				c.send(get("/1"))
				b := c.response("GET")
				if (len(b.TransferEncoding) > 0) != onEdge || b.Header.Get("x-fb-rev") != rev {
					t.Errorf("one connection, two revisions: refused %v rev %s, chunked %v rev %s", onEdge, rev, len(b.TransferEncoding) > 0, b.Header.Get("x-fb-rev"))
				}
			}
			if want := fmt.Sprint(baseRev); onEdge == (rev == want) {
				t.Errorf("refused %v under x-fb-rev %s", onEdge, rev)
			}
		}
		c.Close()
	}
	if struck < 17 || struck > 23 {
		t.Errorf("40%% of 50 connections: %d struck, want about 20", struck)
	}
}

func TestRevertCoversTheIncidentUntilItEnds(t *testing.T) {
	r := start(t)
	r.scenario("reject-phone-number-id", ``)
	r.scenario("chunked-media", ``)
	r.scenario("revert", ``)
	a := r.ask(get("/1?phone_number_id=5"))
	if a.StatusCode != 200 || len(a.TransferEncoding) > 0 || a.Header.Get("x-fb-rev") != fmt.Sprint(baseRev+2) {
		t.Errorf("reverted: %d %v rev %s; want 200 by length under a new revision", a.StatusCode, a.TransferEncoding, a.Header.Get("x-fb-rev"))
	}
	r.must("DELETE", "/scenarios/revert", "", nil)
	if a := r.ask(get("/1?phone_number_id=5")); a.StatusCode != 400 {
		t.Errorf("the revert taken back: %d, want 400", a.StatusCode)
	}
}

func TestIncidentStartsInTwoSteps(t *testing.T) {
	var clock atomic.Int64
	r := start(t, func(o *options) {
		o.now = func() time.Time { return time.Unix(1_768_910_820+clock.Load(), 0) }
	})
	r.scenario("incident", `{"start_after":"10s","options":{"reject_after":"0s","chunked_after":"60s"}}`)
	for _, tt := range []struct {
		after   int64
		status  int
		chunked bool
	}{{0, 200, false}, {10, 400, false}, {69, 400, false}, {70, 400, true}} {
		clock.Store(tt.after)
		with, without := r.ask(get("/1?phone_number_id=5")), r.ask(get("/1"))
		if with.StatusCode != tt.status || (len(without.TransferEncoding) > 0) != tt.chunked {
			t.Errorf("after %ds: %d, chunked %v; want %d, %v", tt.after, with.StatusCode, len(without.TransferEncoding) > 0, tt.status, tt.chunked)
		}
	}
}

func TestStatusesTakeTurns(t *testing.T) {
	r := start(t)
	r.scenario("same-code-other-status", `{"options":{"statuses":["400","401","500"]}}`)
	var got []int
	for range 6 {
		got = append(got, r.ask(get("/1")).StatusCode)
	}
	if fmt.Sprint(got) != "[400 401 500 400 401 500]" {
		t.Errorf("statuses %v", got)
	}
}

func TestOffendersStayOffendersDuringTheIncident(t *testing.T) {
	r := start(t)
	r.scenario("reject-phone-number-id", ``)
	r.scenario("client-faults:one", `{"tenant":"bad"}`)
	r.scenario("client-faults:two", `{"tenant":"worse","options":{"code":803}}`)
	for tenant, want := range map[string]int{"good": 190, "bad": 100, "worse": 803} {
		if a := r.ask(requestOf("GET", "/1?phone_number_id=5", tenant)); a.code != want {
			t.Errorf("tenant %s: code %d, want %d", tenant, a.code, want)
		}
	}
}

func TestThrottleClimbs(t *testing.T) {
	usageOf := func(a heard, field string) string { return a.Header.Get(field) }
	r := start(t)
	r.scenario("throttle", `{"options":{"limit":4}}`)
	for i, want := range []string{"25", "50", "75", "100", "100", "100"} {
		a := r.ask(requestOf("GET", "/1", fmt.Sprintf("tenant%d", i))) // the app's limit is everybody's
		status := 200
		if i >= 4 {
			status = 400
		}
		if got := usageOf(a, "x-app-usage"); !strings.Contains(got, `"call_count":`+want) || a.StatusCode != status {
			t.Errorf("request %d: %d with x-app-usage %s, want %d with %s", i+1, a.StatusCode, got, status, want)
		}
	}
	r.must("DELETE", "/scenarios", "", nil)
	r.scenario("throttle", `{"options":{"code":80007,"limit":1}}`)
	r.ask(requestOf("GET", "/1", "one"))
	if a := r.ask(requestOf("GET", "/1", "two")); a.StatusCode != 200 {
		t.Errorf("another tenant under 80007: %d, want 200", a.StatusCode)
	}
	a := r.ask(requestOf("GET", "/1", "one"))
	if got := usageOf(a, "x-business-use-case-usage"); a.code != 80007 || !strings.Contains(got, `"call_count":100`) || !strings.Contains(got, `"estimated_time_to_regain_access":30`) {
		t.Errorf("over the limit: code %d with %s", a.code, got)
	}
	if !strings.Contains(a.text, `"is_transient":true`) || !strings.Contains(a.text, `"error_subcode":2446079`) {
		t.Errorf("envelope %s", a.text)
	}
}

func TestExpiredAtRetrieval(t *testing.T) {
	r := start(t)
	r.scenario("expired-url", `{"options":{"at":"retrieval"}}`)
	if a := r.ask(get(r.mediaURL("1"))); a.StatusCode != 404 || !strings.Contains(a.text, "expired") {
		t.Errorf("download = %d %s, want 404", a.StatusCode, a.text)
	}
}

func TestJSONDrift(t *testing.T) {
	r := start(t, frozen)
	plain := r.ask(get("/123")).text
	good, _ := compressed.ReadFile("compressed/media.json.br")
	bad, _ := compressed.ReadFile("compressed/error.json.zstd")
	tests := []struct {
		name, changes, target, coding string
		want                          func(body string) bool
	}{
		{"a size as a string", `["file-size-string"]`, "/123", "", func(b string) bool { return strings.Contains(b, `"file_size":"1048576"`) }},
		{"a new field", `["new-field"]`, "/123", "", func(b string) bool { return strings.Contains(b, `"media_origin":{`) && json.Valid([]byte(b)) }},
		{"no checksum", `["missing-sha256"]`, "/123", "", func(b string) bool { return !strings.Contains(b, "sha256") && json.Valid([]byte(b)) }},
		{"escaped slashes", `["escaped-slashes"]`, "/123", "", func(b string) bool {
			return strings.Contains(b, `http:\/\/`) && strings.ReplaceAll(b, `\/`, "/") == plain
		}},
		{"several at once", `["missing-sha256","file-size-string"]`, "/123", "", func(b string) bool { return !strings.Contains(b, "sha256") && strings.Contains(b, `"1048576"`) }},
		{"HTML under JSON", `["html"]`, "/123", "", func(b string) bool { return strings.HasPrefix(b, "<!DOCTYPE html>") }},
		{"gzip", `["gzip"]`, "/123", "gzip", func(b string) bool {
			z, err := gzip.NewReader(strings.NewReader(b))
			return err == nil && all(z) == plain
		}},
		{"deflate", `["deflate"]`, "/123", "deflate", func(b string) bool {
			z, err := zlib.NewReader(strings.NewReader(b))
			return err == nil && all(z) == plain
		}},
		{"deflate without its wrapper", `["deflate-raw"]`, "/123", "deflate", func(b string) bool { return all(flate.NewReader(strings.NewReader(b))) == plain }},
		{"br", `["br"]`, "/123", "br", func(b string) bool { return b == string(good) }},
		{"zstd of an error", `["zstd"]`, "/123?phone_number_id=0", "zstd", func(b string) bool { return b == string(bad) }},
		{"br of the true body", `["br-stored"]`, "/123", "br", func(b string) bool { return strings.Contains(b, plain) && len(b) == len(plain)+4 }},
		{"zstd of the true body", `["zstd-stored"]`, "/123", "zstd", func(b string) bool { return strings.HasSuffix(b, plain) && len(b) == len(plain)+12 }},
	}
	for _, tt := range tests {
		r.scenario("json-drift", `{"options":{"changes":`+tt.changes+`}}`)
		a := r.ask(get(tt.target))
		if a.Header.Get("Content-Encoding") != tt.coding || a.Header.Get("Content-Type") != "application/json" || !tt.want(a.text) {
			t.Errorf("%s: %q under %s", tt.name, a.text, a.Header)
		}
	}
	r.scenario("json-drift", `{"options":{"changes":["gzip"],"negotiate":true}}`)
	for accept, want := range map[string]string{"gzip, br": "gzip", "br, gzip;q=0": "", "identity": "", "GZIP;q=0.5": "gzip"} {
		if got := r.ask(get("/1", "Accept-Encoding: "+accept)).Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: coding %q, want %q", accept, got, want)
		}
	}
}

func all(r io.Reader) string {
	b, err := io.ReadAll(r)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestStoredBlocksOfEveryLength(t *testing.T) {
	for _, n := range []int{0, 1, 65535, 65536, 65537, 200_000} {
		text := patternAt(0, n)
		z := zstdStored(text)
		if got := binary.LittleEndian.Uint32(z[5:]); got != uint32(n) {
			t.Errorf("zstd of %d bytes says %d", n, got)
		}
		blocks := max(1, (n+65535)/65536)
		if want := 9 + 3*blocks + n; len(z) != want {
			t.Errorf("zstd of %d bytes: %d bytes, want %d", n, len(z), want)
		}
	}
}

func TestPathPatterns(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"/{media-id}", "/123", true},
		{"/{media-id}", "/123/", true},
		{"/{media-id}", "/me", false},
		{"/{media-id}", "/123/media", false},
		{"/*/media", "/123/media", true},
		{"/*/media", "/media", false},
		{"/**", "/", true},
		{"/**", "/a/b", true},
		{"/whatsapp_business/**", "/whatsapp_business/attachments/", true},
		{"/whatsapp_business/attachments/", "/whatsapp_business/attachments", true},
		{"/whatsapp", "/whatsapp_business", false},
		{"/", "/", true},
		{"/", "/1", false},
		{"//", "//", true},
	}
	for _, tt := range tests {
		if got := pathMatches(tt.pattern, []byte(tt.path)); got != tt.want {
			t.Errorf("pathMatches(%q, %q) = %v, want %v", tt.pattern, tt.path, got, tt.want)
		}
	}
}
