package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/admit"
	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// block has acme blocked on the route media.
func (l *listener) block() {
	limiter := l.limits.Limiter("media")
	for i := range 3 {
		ticket, _ := limiter.Admit("acme", time.Now())
		ticket.Done(admit.Evidence{
			Time: time.Now(), Class: abi.InvalidRequest, Fault: abi.FaultClient, Counts: true, RequestID: fmt.Sprint("request-", i),
			Signature: admit.Signature{Status: 400, Code: "100", Framing: "length"},
		})
	}
}

func TestUnblockLiftsAndTells(t *testing.T) {
	l := listen(t, example)
	l.block()
	blocks := into[BlockList](t, l.ask("GET", "/api/v1/blocks", ""))
	if len(blocks.Blocks) != 1 || blocks.Blocks[0].Client != "acme" || len(blocks.Blocks[0].Evidence) != 3 || blocks.Blocks[0].Evidence[0].Code != "100" {
		t.Fatalf("blocks = %+v", blocks)
	}
	clients := into[ClientList](t, l.ask("GET", "/api/v1/clients", ""))
	if len(clients.Clients) != 2 || clients.Clients[0].Name != "acme" || len(clients.Clients[0].Blocks) != 1 || clients.Clients[0].Attributes["plan"] != "gold" {
		t.Errorf("clients = %+v", clients)
	}
	standing := into[ClientStanding](t, l.ask("GET", "/api/v1/clients/acme", ""))
	if len(standing.Routes) != 1 || standing.Routes[0].Until == nil || standing.Routes[0].Limit != 3 {
		t.Errorf("standing = %+v", standing)
	}
	for _, tt := range []struct {
		name, path, content string
		status              int
		want                string
	}{
		{"a client that is not there", "nobody", `{"reason": "x"}`, 404, `no client \"nobody\": expected one of \"acme\", \"globex\"`},
		{"a route that is not there", "acme", `{"reason": "x", "route": "medai"}`, 404, `no route \"medai\": expected one of \"media\"`},
		{"a route that blocks nobody", "acme", `{"reason": "x", "route": "open"}`, 404, `no route \"open\": expected one of \"media\"`},
		{"no reason", "acme", `{}`, 400, `member \"reason\": expected why`},
		{"nothing to lift", "globex", `{"reason": "x"}`, 200, `"lifted":[]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := l.ask("POST", "/api/v1/clients/"+tt.path+"/unblock", tt.content); r.status != tt.status || !strings.Contains(r.body, tt.want) {
				t.Errorf("status %d, want %d with %s: %s", r.status, tt.status, tt.want, r.body)
			}
		})
	}
	got := into[Unblocked](t, l.ask("POST", "/api/v1/clients/acme/unblock", `{"reason": "not its fault", "by": "jo"}`))
	if len(got.Lifted) != 1 || got.Lifted[0].Route != "media" {
		t.Errorf("lifted = %+v, want the block on media", got)
	}
	if _, refusal := l.limits.Limiter("media").Admit("acme", time.Now()); refusal != nil {
		t.Error("the client is still blocked after the answer")
	}
	if !strings.Contains(l.log.String(), `client=acme routes=[media] by=jo reason="not its fault"`) {
		t.Errorf("the log is:\n%s", l.log)
	}
}
