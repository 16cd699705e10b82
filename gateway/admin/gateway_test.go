package admin

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestReadinessTellsTheWhyToOperatorsOnly(t *testing.T) {
	l := listen(t, withTokens())
	why := errors.New("breakwater.yaml:3:1: one mistake\nbreakwater.yaml:4:1: another")
	l.refused.Store(&why)
	r := into[Readiness](t, l.ask("GET", "/readyz", "", asView))
	if !r.Ready || r.Config.Loaded || r.Config.Error != why.Error() || r.Flags == nil || r.Flags.Revision != 1 || len(r.Plugins) != 1 || r.Listener != "127.0.0.1:8080" {
		t.Errorf("readiness = %+v: a refused file leaves the gateway ready", r)
	}
	r = into[Readiness](t, l.ask("GET", "/readyz", ""))
	if r.Config.Loaded || r.Config.Error != "" || r.Plugins != nil || r.Listener != "" || r.Flags.Digest != "" {
		t.Errorf("readiness for nobody = %+v", r)
	}
	l.draining.Store(true)
	if got := l.ask("GET", "/readyz", ""); got.status != 503 || !strings.Contains(got.body, `"ready":false,"draining":true`) {
		t.Errorf("while draining: status %d: %s", got.status, got.body)
	}
	if got := l.ask("GET", "/healthz", ""); got.status != 200 {
		t.Errorf("while draining it is alive, but the status is %d", got.status)
	}
}

func TestReload(t *testing.T) {
	l := listen(t, example)
	if got := into[Load](t, l.ask("POST", "/api/v1/reload", "", "Content-Type: application/json")); !got.Loaded {
		t.Errorf("reload = %+v", got)
	}
	why := errors.New("breakwater.yaml:3:1: one mistake\nbreakwater.yaml:4:1: another")
	l.refused.Store(&why)
	r := l.ask("POST", "/api/v1/reload", `{"reason": "new route"}`)
	var p Problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.status != 422 || len(p.Errors) != 2 {
		t.Errorf("status %d, want 422 with two errors: %s", r.status, r.body)
	}
}
