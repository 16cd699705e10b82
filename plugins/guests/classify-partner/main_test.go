package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
	"github.com/breakwater-gateway/breakwater/sdk/sdktest"
)

// row is a row of a table.
var row = sdktest.Row

const mentioning = `{"parameters": ["phone_number_id"], "fields": ["X-Version"]}`

// failed is a response with that status and body.
func failed(status int, body string) sdktest.Exchange {
	return sdktest.Exchange{Status: status, ResponseBody: body}
}

// said is a response in which the partner gives that code.
func said(code int) sdktest.Exchange {
	return failed(400, fmt.Sprintf(`{"error":{"message":"m","type":"OAuthException","code":%d,"fbtrace_id":"A"}}`, code))
}

func TestCodes(t *testing.T) {
	const (
		request   = "invalid_request, fault client, counts, "
		missing   = "not_found, fault client, counts, object about path"
		own       = "throttled, fault client, retryable, own_limit"
		shared    = "throttled, fault shared, retryable, shared_limit"
		broken    = "upstream_error, fault upstream, upstream"
		away      = "unavailable, fault upstream, retryable, upstream"
		account   = "account, fault client, account"
		forbidden = "permission, permission about credential"
		token     = "auth, token about credential"
		media     = "invalid_request, media about body"
	)
	p := sdktest.New(t, plugin, mentioning)
	for _, tt := range []struct {
		want  string
		codes []int
	}{
		{token, []int{0, 104, 190}},
		{forbidden, []int{3, 10, 200, 250, 299}},
		{request + "parameter", []int{100}},
		{missing, []int{33, 803}},
		{request + "body about body", []int{131008, 131009, 131051, 132000, 132012, 132999}},
		{shared, []int{4, 17, 613}},
		{own, []int{80007, 130429, 131048, 131056, 133016}},
		{broken, []int{1, 131000}},
		{away, []int{2, 131016, 131057}},
		{account, []int{368, 130497, 131031, 131042}},
		{media, []int{131052, 131053}},
		{request + "status", []int{5, 199, 300, 131999, 133000, 999999999}}, // not on the list: the status says 400
	} {
		for _, code := range tt.codes {
			if got := p.Classify(said(code)); got != tt.want {
				t.Errorf("code %d: got %s, want %s", code, got, tt.want)
			}
		}
	}
}

func TestOrder(t *testing.T) {
	p := sdktest.New(t, plugin, mentioning)
	p.TestClassify(t, []sdktest.Case{
		row("a success is not looked at", failed(200, `{"error":{"code":190}}`), sdktest.NotCalled),
		row("the code beats the status", failed(500, `{"error":{"code":190}}`), "auth, token about credential"),
		row("the same code under another status", failed(401, `{"error":{"code":190}}`), "auth, token about credential"),
		row("a throttle that is called a bad request", failed(400, `{"error":{"code":4}}`), "throttled, fault shared, retryable, shared_limit"),
		row("an unknown code that is transient", failed(400, `{"error":{"code":77,"is_transient":true}}`), "unavailable, fault upstream, retryable, upstream"),
		row("no code, but transient", failed(400, `{"error":{"is_transient":true}}`), "unavailable, fault upstream, retryable, upstream"),
		row("an unknown code that is not transient", failed(503, `{"error":{"code":77,"is_transient":false}}`), "unavailable, fault upstream, retryable, status"),
		row("a request error that is transient blames nobody", failed(400, `{"error":{"code":100,"is_transient":true}}`), "invalid_request, retryable, parameter"),
		row("a throttle that is transient is what it was", failed(400, `{"error":{"code":80007,"error_subcode":2446079,"is_transient":true}}`), "throttled, fault client, retryable, own_limit"),
		row("transient is a boolean", failed(400, `{"error":{"code":77,"is_transient":"true"}}`), "invalid_request, fault client, counts, status"),
		row("subcode 33 of code 100 is a missing object", failed(400, `{"error":{"code":100,"error_subcode":33}}`), "not_found, fault client, counts, object about path"),
		row("another subcode is not", failed(400, `{"error":{"error_subcode":34,"code":100}}`), "invalid_request, fault client, counts, parameter"),
	})
}

func TestStatus(t *testing.T) {
	p := sdktest.New(t, plugin, `{}`)
	for status, want := range map[int]string{
		400: "invalid_request, fault client, counts, status", 401: "auth, token about credential",
		403: "permission, permission about credential", 404: "not_found, fault client, counts, status",
		408: "timeout, retryable, status", 409: "conflict, fault client, counts, status",
		410: "not_found, fault client, counts, status", 413: "invalid_request, fault client, counts, status",
		429: "throttled, retryable, status", 500: "upstream_error, fault upstream, status",
		502: "upstream_error, fault upstream, status", 503: "unavailable, fault upstream, retryable, status",
		504: "timeout, fault upstream, status", 599: "upstream_error, fault upstream, status",
	} {
		if got := p.Classify(failed(status, "")); got != want {
			t.Errorf("status %d: got %s, want %s", status, got, want)
		}
	}
}

func TestAbout(t *testing.T) {
	message := func(method, message, details string) sdktest.Exchange {
		x := failed(400, fmt.Sprintf(`{"error":{"message":"%s","code":100,"error_data":{"messaging_product":"whatsapp","details":"%s"}}}`, message, details))
		x.Method = method
		return x
	}
	const query = "invalid_request, fault client, counts, query_phone_number_id about query:phone_number_id"
	p := sdktest.New(t, plugin, mentioning)
	p.TestClassify(t, []sdktest.Case{
		row("a parameter that is mentioned", message("GET", "(#100) Param phone_number_id is not a valid id", ""), query),
		row("in the details", message("GET", "(#100) Invalid parameter", "Unexpected key: phone_number_id."), query),
		row("in quotes that are escaped", message("GET", `Unexpected \"phone_number_id\"`, ""), query),
		row("behind an escaped line break", message("GET", `Unexpected:\nphone_number_id`, ""), query),
		row("also for a request with a body", message("POST", "Param phone_number_id", ""), query),
		row("a field that is mentioned", message("GET", "Bad X-Version", ""), "invalid_request, fault client, counts, field_x_version about field:X-Version"),
		row("a longer word is another", message("GET", "Param phone_number_ids or my_phone_number_id", ""), "invalid_request, fault client, counts, parameter"),
		row("nothing mentioned in a request with a body", message("POST", "Invalid parameter", ""), "invalid_request, fault client, counts, body about body"),
		row("nothing mentioned in one without", message("GET", "Invalid parameter", ""), "invalid_request, fault client, counts, parameter"),
		row("a mention in an error about the token is not its subject", failed(400, `{"error":{"code":190,"message":"phone_number_id"}}`), "auth, token about credential"),
	})
	own := sdktest.New(t, plugin, `{"own_credentials": true}`)
	own.TestClassify(t, []sdktest.Case{
		row("where clients bring their own, a refused token counts", said(190), "auth, counts, token about credential"),
		row("a permission too", said(10), "permission, counts, permission about credential"),
		row("but not if it is transient", failed(400, `{"error":{"code":190,"is_transient":true}}`), "auth, retryable, token about credential"),
	})
}

func TestRetryAfter(t *testing.T) {
	with := func(name, value string) sdktest.Exchange {
		x := said(80007)
		x.ResponseFields = sdktest.Fields{{name, value}}
		return x
	}
	const throttled = "throttled, fault client, retryable, "
	const usage = "X-Business-Use-Case-Usage"
	p := sdktest.New(t, plugin, `{}`)
	p.TestClassify(t, []sdktest.Case{
		row("seconds", with("retry-after", " 30 "), throttled+"after 30s, own_limit"),
		row("a date is not read", with("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"), throttled+"own_limit"),
		row("no more than a day", with("Retry-After", "999999999"), throttled+"after 24h0m0s, own_limit"),
		row("a number that is too long is not read", with("Retry-After", "99999999999999999999"), throttled+"own_limit"),
		row("the longest estimate, in minutes", with(usage, `{"1":[{"estimated_time_to_regain_access":3},{"type":"x","estimated_time_to_regain_access": 12}]}`), throttled+"after 12m0s, own_limit"),
		row("an estimate of nothing", with(usage, `{"1":[{"estimated_time_to_regain_access":0}]}`), throttled+"own_limit"),
		row("an estimate that is cut off", with(usage, `{"1":[{"estimated_time_to_regain_access":`), throttled+"own_limit"),
	})
}

func TestConfig(t *testing.T) {
	names := make([]string, 65)
	for i := range names {
		names[i] = fmt.Sprintf("%q", fmt.Sprint("p", i))
	}
	many := "[" + strings.Join(names, ", ") + "]"
	tests := []struct {
		name, config string
		want         []string
	}{
		{"nothing need be said", `null`, nil},
		{"everything said", `{"parameters": ["a[]"], "fields": ["a"], "own_credentials": true, "prefix": 256}`, nil},
		{"a prefix that is too small for an error", `{"prefix": 255}`, []string{"/prefix: expected 256 to 1048576 bytes, or 0"}},
		{"an empty name", `{"parameters": ["a", ""]}`, []string{"/parameters/1: expected a name, not an empty one"}},
		{"names that give one label", `{"fields": ["X-A", "x_a"]}`, []string{"/fields/1: expected a name that differs from the others in more than case and punctuation"}},
		{"more names than a gateway would have reasons for", `{"parameters": ` + many + `}`, []string{"/parameters/64: expected no more than 64 names in all"}},
	}
	for _, tt := range tests {
		if got := sdktest.Complaints(t, plugin, tt.config); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %s: got %q, want %q", tt.name, tt.config, got, tt.want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p := sdktest.New(t, plugin, mentioning)
	for _, x := range []sdktest.Exchange{
		said(190), failed(500, "<html>"),
		failed(400, `{"a":[{"b":[1,"x",{}]}],"error":{"message":"phone_number_id","code":100,"error_data":{"details":"x"}}}`),
		{Status: 429, ResponseFields: sdktest.Fields{{"Retry-After", "3"}, {"X-Business-Use-Case-Usage", "{}"}}},
	} {
		if n := p.Allocations(abi.PhaseClassify, x); n != 0 {
			t.Errorf("%+v: %v allocations per call, want 0", x, n)
		}
	}
}
