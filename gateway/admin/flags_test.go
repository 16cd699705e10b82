package admin

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/flags"
)

func TestASetFlagIsInForceWhenTheAnswerIsHere(t *testing.T) {
	l := listen(t, withTokens())
	gate := flags.NewGate("drop", flags.Off)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	got := into[FlagSet](t, l.ask("PUT", "/api/v1/flags/drop", fmt.Sprintf(`{"variant": "on", "reason": "incident", "expires": %q}`, expires.Format(time.RFC3339)), asOperate))
	if want := (FlagSet{Key: "drop", Variant: "on", Revision: 2, Before: "off", Changed: true}); got != want {
		t.Errorf("set = %+v, want %+v", got, want)
	}
	if m := l.flags.View().Mode(gate, &flags.Subject{}); m != flags.On {
		t.Errorf("the gate is %v after the answer, want on", m)
	}
	if got := into[FlagSet](t, l.ask("PUT", "/api/v1/flags/drop", `{"variant": "on", "reason": "again"}`, asOperate)); got.Changed || got.Revision != 2 {
		t.Errorf("set again = %+v, want unchanged at revision 2", got)
	}
	f := into[Flag](t, l.ask("GET", "/api/v1/flags/drop", "", asView))
	if f.Default != "on" || f.Mode != "on" || f.Revision != 2 || f.Owner != "media-team" || f.Expires == nil || !f.Expires.Equal(expires) || f.Expired {
		t.Errorf("flag = %+v", f)
	}
	if c := f.LastChange; c == nil || c.By != "jo" || c.Reason != "incident" || c.Origin != "api" {
		t.Errorf("last change = %+v, want by jo", c)
	}
	if a := f.Answers; a == nil || a.On != 1 {
		t.Errorf("answers = %+v, want one on", a)
	}
	j := into[Journal](t, l.ask("GET", "/api/v1/journal?limit=1&verify=true", "", asView))
	if len(j.Entries) != 1 || j.Entries[0].By != "jo" || j.Entries[0].Reason != "incident" || len(j.Entries[0].Hash) != 64 || j.Intact == nil || !*j.Intact {
		t.Errorf("journal = %+v", j)
	}
}

func TestAChangeThatIsNotJournalledIsToldAndInForce(t *testing.T) {
	l := listen(t, withTokens())
	l.close() // the journal with it
	r := l.ask("PUT", "/api/v1/flags/drop", `{"variant": "on", "reason": "incident"}`, asOperate)
	var p Problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.status != 500 || p.Type != typePrefix+"not-journalled" || p.Revision != 2 {
		t.Errorf("status %d: %s", r.status, r.body)
	}
	if m := l.flags.View().Mode(flags.NewGate("drop", flags.Off), &flags.Subject{}); m != flags.On {
		t.Errorf("the gate is %v, want on", m)
	}
}

func TestABrokenJournalIsTold(t *testing.T) {
	l := listen(t, withTokens())
	for _, variant := range []string{"on", "off"} {
		into[FlagSet](t, l.ask("PUT", "/api/v1/flags/drop", fmt.Sprintf(`{"variant": %q, "reason": "because"}`, variant), asOperate))
	}
	path := filepath.Join(l.dir, "flags.yaml.journal")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l.write("flags.yaml.journal", strings.Replace(string(text), "because", "belater", 1))
	j := into[Journal](t, l.ask("GET", "/api/v1/journal?verify=true", "", asView))
	if len(j.Entries) != 3 || j.Intact == nil || *j.Intact || !strings.Contains(j.Broken, "line 2") {
		t.Errorf("journal = %+v, want 3 entries, broken at line 2", j)
	}
}

func TestFlagsAreListedAndExplained(t *testing.T) {
	l := listen(t, withTokens())
	list := into[FlagList](t, l.ask("GET", "/api/v1/flags", "", asView))
	if len(list.Flags) != 3 || list.Revision != 1 || list.Origin != "start" || !list.SourceUp {
		t.Errorf("list = %+v", list)
	}
	if f := into[Flag](t, l.ask("GET", "/api/v1/flags/a%2Fb%20c", "", asView)); f.Key != "a/b c" || !f.Disabled {
		t.Errorf("flag = %+v, want the disabled one", f)
	}
	tests := []struct {
		name, path string
		status     int
		want       string
	}{
		{"an unknown flag", "/api/v1/flags/dorp", 404, `no flag \"dorp\": expected one of \"drop\", \"friends\", \"a/b c\"`},
		{"a client whom the rule means", "/api/v1/flags/friends/explain?client=acme", 200, `"variant":"on","value":"on","mode":"on","reason":"TARGETING_MATCH"`},
		{"a client whom it does not mean", "/api/v1/flags/friends/explain?client=globex", 200, `"variant":"off","value":"off","mode":"off","reason":"DEFAULT"`},
		{"what the rule could read", "/api/v1/flags/friends/explain?client=acme&route=media&method=GET", 200, `"subject":{"client":"acme","method":"GET","plan":"gold","route":"media","upstream":"up"}`},
		{"a client that is not there", "/api/v1/flags/friends/explain?client=initech", 404, `no client \"initech\": expected one of \"acme\", \"globex\"`},
		{"a route that is not there", "/api/v1/flags/friends/explain?route=medai", 404, `no route \"medai\": expected one of \"media\", \"open\"`},
		{"a flag that is not there, explained", "/api/v1/flags/x/explain", 404, `no flag \"x\"`},
		{"a disabled flag", "/api/v1/flags/a%2Fb%20c/explain", 200, `"reason":"DISABLED"`},
		{"a parameter that is not there", "/api/v1/flags/friends/explain?clinet=acme", 400, `query parameter \"clinet\": expected one of \"client\", \"route\", \"upstream\", \"method\"`},
		{"a parameter where there is none", "/api/v1/flags?x=1", 400, `query parameter \"x\": expected none here`},
		{"a parameter twice", "/api/v1/journal?limit=1&limit=2", 400, `is given twice`},
		{"a limit that is no number", "/api/v1/journal?limit=0", 400, `expected a number from 1 to 1000`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r := l.ask("GET", tt.path, "", asView); r.status != tt.status || !strings.Contains(r.body, tt.want) {
				t.Errorf("status %d, want %d with %s: %s", r.status, tt.status, tt.want, r.body)
			}
		})
	}
}
