package blame

import (
	"fmt"
	"testing"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

func TestJudge(t *testing.T) {
	drop, add := Step("drop"), Step("add")
	injected := func(l *Ledger) { l.Query([]byte("phone_number_id"), Gateway) }
	tests := []struct {
		name   string
		record func(*Ledger)
		fault  abi.Fault // the verdict's hint, with Counts
		about  string
		want   string // fault, "counts" if it does, why
	}{
		{"an error about what the client sent keeps its hint", nil, abi.FaultClient, "query:phone_number_id", "client counts client_sent: query:phone_number_id"},
		{"that the client sent it proves nothing", nil, abi.Undecided, "query:phone_number_id", "undecided counts client_sent: query:phone_number_id"},
		{"an error about an injected parameter is the gateway's", injected, abi.FaultClient, "query:phone_number_id", `gateway gateway_put: query:phone_number_id was put by gateway`},
		{"whatever the hint", injected, abi.Undecided, "query:phone_number_id", `gateway gateway_put: query:phone_number_id was put by gateway`},
		{"an injected parameter acquits of nothing else", injected, abi.FaultClient, "query:fields", "client counts client_sent: query:fields"},
		{"parameter names have case", injected, abi.FaultClient, "query:Phone_Number_ID", "client counts client_sent: query:Phone_Number_ID"},
		{"a parameter is not a field", injected, abi.FaultClient, "field:phone_number_id", "client counts client_sent: field:phone_number_id"},
		{"an encoded parameter is the same", func(l *Ledger) { l.Query([]byte("phone%5Fnumber%5fid"), Gateway) }, abi.FaultClient, "query:phone_number_id", `gateway gateway_put: query:phone_number_id was put by gateway`},
		{"an error about a part that a step removed is the gateway's", func(l *Ledger) { l.RewroteURI([]byte("/1?phone_number_id=2"), []byte("/1"), drop) }, abi.FaultClient, "query:phone_number_id", `gateway step_changed: query:phone_number_id was removed by step "drop"`},
		{"the last change is remembered", func(l *Ledger) { injected(l); l.RewroteQuery([]byte("phone_number_id=2"), nil, drop) }, abi.FaultClient, "query:phone_number_id", `gateway step_changed: query:phone_number_id was removed by step "drop"`},
		{"a field that a step set is the gateway's", func(l *Ledger) { l.Field([]byte("X-Version"), add) }, abi.FaultClient, "field:x-version", `gateway step_changed: field:x-version was changed by step "add"`},
		{"an injected credential is the gateway's", func(l *Ledger) { l.Credential(Gateway) }, abi.FaultClient, "credential", `gateway gateway_put: credential was put by gateway`},
		{"the client's own credential is not", nil, abi.FaultClient, "credential", "client counts client_sent: credential"},
		{"a path that a step changed is the gateway's", func(l *Ledger) { l.RewroteURI([]byte("/1?a"), []byte("/2?a"), add) }, abi.FaultClient, "path", `gateway step_changed: path was changed by step "add"`},
		{"a changed query is not a changed path", func(l *Ledger) { l.RewroteURI([]byte("/1?a"), []byte("/1?b"), add) }, abi.FaultClient, "path", "client counts client_sent: path"},
		{"a body that a step changed is the gateway's", func(l *Ledger) { l.Body(add) }, abi.FaultClient, "body", `gateway step_changed: body was changed by step "add"`},
		{"an error about nothing in particular keeps its hint", func(l *Ledger) { injected(l); l.Path(add); l.Body(add) }, abi.FaultClient, "none", "client counts about_nothing"},
		{"a hint at the upstream is not turned on the gateway", injected, abi.FaultUpstream, "query:phone_number_id", "upstream verdict"},
		{"nor one at everybody", nil, abi.FaultShared, "none", "shared verdict"},
		{"a full ledger holds no named part against the client", fill, abi.FaultClient, "query:other", "undecided ledger_full: query:other"},
		{"but still knows what it holds", fill, abi.FaultClient, "query:p0", "gateway gateway_put: query:p0 was put by gateway"},
		{"and parts that need no name", fill, abi.FaultClient, "path", "client counts client_sent: path"},
		{"a name that is too long fills it", func(l *Ledger) { l.Field(make([]byte, maxNames+1), add) }, abi.FaultClient, "field:other", "undecided ledger_full: field:other"},
		{"a rewriting of very many parameters fills it", func(l *Ledger) { l.RewroteQuery(many("a", maxPairs+1), many("b", 1), add) }, abi.FaultClient, "query:a7", "undecided ledger_full: query:a7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l Ledger
			fill(&l)
			l.Reset() // an old ledger is as good as a new one
			if tt.record != nil {
				tt.record(&l)
			}
			about, err := abi.ParseAbout(tt.about)
			if err != nil {
				t.Fatal(err)
			}
			f := Judge(abi.Verdict{Class: abi.InvalidRequest, Fault: tt.fault, Counts: true}, about, &l)
			if got := words(f); got != tt.want {
				t.Errorf("found %s\nwant  %s", got, tt.want)
			}
		})
	}
}

func TestJudgeByClass(t *testing.T) {
	tests := []struct {
		name    string
		verdict abi.Verdict
		want    string
	}{
		{"what went well counts for nobody", abi.Verdict{Class: abi.OK, Counts: true, Fault: abi.FaultClient}, "nobody no_error"},
		{"what nobody judged does not count", abi.Verdict{Counts: true}, "undecided no_error"},
		{"our own refusals do not count", abi.Verdict{Class: abi.Shed, Counts: true, Fault: abi.FaultClient}, "client no_error"},
		{"a client that left has done nothing wrong", abi.Verdict{Class: abi.Aborted, Counts: true, Fault: abi.FaultClient}, "client no_error"},
		{"a verdict that does not count never does", abi.Verdict{Class: abi.Auth, Fault: abi.FaultClient}, "client about_nothing"},
		{"a verdict that counts against another counts not", abi.Verdict{Class: abi.UpstreamError, Fault: abi.FaultUpstream, Counts: true}, "upstream verdict"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := words(Judge(tt.verdict, abi.About{}, nil)); got != tt.want {
				t.Errorf("found %s, want %s", got, tt.want)
			}
		})
	}
	f := Judge(abi.Verdict{Class: abi.NotFound, Counts: true}, abi.About{Part: abi.PartPath}, nil)
	if got := words(f); got != "undecided counts client_sent: path" {
		t.Errorf("without a ledger: %s", got)
	}
	if f := Judge(abi.Verdict{Class: abi.NotFound, Counts: true}, abi.About{Part: abi.Parts}, &Ledger{}); f.Counts {
		t.Error("an error about a part that is not known counts")
	}
}

func TestByStatus(t *testing.T) {
	counting := map[int]bool{400: true, 404: true, 405: true, 406: true, 410: true, 413: true, 415: true, 422: true}
	for status := range 1000 {
		v := ByStatus(status)
		if v.Counts != counting[status] {
			t.Errorf("status %d: counts %v", status, v.Counts)
		}
		if v.Fault == abi.FaultClient {
			t.Errorf("status %d: is the client's fault by its status alone", status)
		}
	}
	tests := []struct {
		name     string
		statuses []int
		want     abi.Verdict
	}{
		{"success and redirection are fine", []int{200, 206, 304, 302, 399}, abi.Verdict{Class: abi.OK, Fault: abi.FaultNobody}},
		{"an interim response is no verdict", []int{100, 103}, abi.Verdict{}},
		{"a wrong request", []int{400, 422}, abi.Verdict{Class: abi.InvalidRequest, Counts: true}},
		{"a token is often ours", []int{401}, abi.Verdict{Class: abi.Auth}},
		{"permission", []int{403}, abi.Verdict{Class: abi.Permission}},
		{"what is not there", []int{404, 410}, abi.Verdict{Class: abi.NotFound, Counts: true}},
		{"a conflict", []int{409, 412}, abi.Verdict{Class: abi.Conflict}},
		{"slower", []int{429}, abi.Verdict{Class: abi.Throttled, Retryable: true}},
		{"time-outs", []int{504}, abi.Verdict{Class: abi.Timeout, Fault: abi.FaultUpstream, Retryable: true}},
		{"not now", []int{503}, abi.Verdict{Class: abi.Unavailable, Fault: abi.FaultUpstream, Retryable: true}},
		{"the upstream's own errors", []int{500, 501, 599}, abi.Verdict{Class: abi.UpstreamError, Fault: abi.FaultUpstream}},
		{"a client error that is not listed does not count", []int{418, 499}, abi.Verdict{Class: abi.InvalidRequest}},
		{"no status", []int{0, 99, 600, 999}, abi.Verdict{Class: abi.ProtocolError, Fault: abi.FaultUpstream}},
	}
	for _, tt := range tests {
		for _, status := range tt.statuses {
			if got := ByStatus(status); got != tt.want {
				t.Errorf("%s: ByStatus(%d) = %+v, want %+v", tt.name, status, got, tt.want)
			}
		}
	}
}

func TestAboutStatus(t *testing.T) {
	var l Ledger
	l.Path(Gateway)
	l.Credential(Gateway)
	for status, want := range map[int]string{
		400: "undecided counts about_nothing",
		401: "gateway gateway_put: credential was put by gateway",
		404: "gateway gateway_put: path was changed by gateway",
		413: "undecided counts client_sent: body",
		415: "undecided counts client_sent: field:Content-Type",
	} {
		if got := words(Judge(ByStatus(status), AboutStatus(status), &l)); got != want {
			t.Errorf("status %d: found %s, want %s", status, got, want)
		}
	}
}

func TestWordsOfWhy(t *testing.T) {
	for w := range Why(Whys) {
		if w.String() == "" {
			t.Errorf("why %d has no word", w)
		}
	}
}

// fill leaves no place in l.
func fill(l *Ledger) {
	for i := range maxEntries + 1 {
		l.Query(fmt.Appendf(nil, "p%d", i), Gateway)
	}
}

func many(name string, n int) (query []byte) {
	for i := range n {
		query = fmt.Appendf(query, "%s%d=1&", name, i)
	}
	return query
}

func words(f Finding) string {
	s := f.Fault.String()
	if f.Counts {
		s += " counts"
	}
	return s + " " + f.String()
}
