package admit

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestDirectory(t *testing.T) {
	d, err := NewDirectory([]Client{
		{Name: "acme", KeySHA256: sha256.Sum256([]byte("key of acme")), Attributes: map[string]string{"phone_number_id": "1"}},
		{Name: "bolt", KeySHA256: sha256.Sum256([]byte("key of bolt"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, key, want string }{
		{"a key finds its client", "key of acme", "acme"},
		{"another key finds another", "key of bolt", "bolt"},
		{"an unknown key finds nobody", "key of nobody", ""},
		{"keys are compared with case", "KEY of acme", ""},
		{"an empty key finds nobody", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, ok := d.Lookup([]byte(tt.key))
			if ok != (tt.want != "") || ok && c.Name != tt.want {
				t.Errorf("Lookup(%q) = %v, %v, want %q", tt.key, c, ok, tt.want)
			}
		})
	}
	if c, ok := d.ByName("acme"); !ok || c.Attributes["phone_number_id"] != "1" {
		t.Errorf("ByName = %v, %v", c, ok)
	}
	if got := strings.Join(d.Names(), " "); got != "acme bolt" || d.Len() != 2 {
		t.Errorf("%d names: %s", d.Len(), got)
	}
	var zero Directory
	if _, ok := zero.Lookup([]byte("key of acme")); ok {
		t.Error("the zero directory knows somebody")
	}
	key := []byte("key of acme")
	if n := testing.AllocsPerRun(100, func() { d.Lookup(key) }); n != 0 && !race {
		t.Errorf("Lookup allocates %v times", n)
	}
}

func TestDirectoryErrors(t *testing.T) {
	a, b := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))
	tests := []struct {
		name    string
		clients []Client
		want    string
	}{
		{
			"a key has one owner",
			[]Client{{Name: "acme", KeySHA256: a}, {Name: "bolt", KeySHA256: a}},
			`client "bolt": its key (SHA-256 ca978112…) is also the key of client "acme"`,
		},
		{
			"a name has one bearer",
			[]Client{{Name: "x", KeySHA256: b}, {Name: "acme", KeySHA256: a}, {Name: "acme", KeySHA256: sha256.Sum256([]byte("c"))}},
			`client "acme": clients[2] has the same name as clients[1]`,
		},
		{"a client has a name and a key", []Client{{}}, "client \"\": no name\nclient \"\": no key"},
		{"the empty key is nobody's", []Client{{Name: "acme", KeySHA256: sha256.Sum256(nil)}}, `client "acme": its key is empty`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewDirectory(tt.clients)
			if err == nil || err.Error() != tt.want {
				t.Fatalf("error %v\nwant  %s", err, tt.want)
			}
			var at *Error
			if !errors.As(err, &at) || tt.clients[at.Index].Name != at.Name {
				t.Errorf("error %v names no client", err)
			}
		})
	}
}

func TestSecretNeverPrints(t *testing.T) {
	const hidden = "EAAG-hunter2"
	c := Client{Name: "acme", Secrets: map[string]Secret{"token": NewSecret(hidden)}}
	within := struct{ inner struct{ s Secret } }{}
	within.inner.s = NewSecret(hidden)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("client", "token", c.Secrets["token"], "client", c, "within", within)
	for name, got := range map[string]string{
		"%v":         fmt.Sprintf("%v", c),
		"%+v":        fmt.Sprintf("%+v", &c),
		"%#v":        fmt.Sprintf("%#v", c),
		"%x":         fmt.Sprintf("%x", c.Secrets["token"]),
		"%q":         fmt.Sprintf("%q", c.Secrets["token"]),
		"%d":         fmt.Sprintf("%d", c.Secrets["token"]),
		"unexported": fmt.Sprintf("%v %+v %#v", within, within, within),
		"JSON":       string(asJSON),
		"slog":       log.String(),
	} {
		if strings.Contains(got, "hunter2") || strings.Contains(got, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("%s prints the secret: %s", name, got)
		}
		if name != "unexported" && !strings.Contains(got, redacted) {
			t.Errorf("%s does not say that there is one: %s", name, got)
		}
	}
	if got := c.Secrets["token"].Reveal(); got != hidden {
		t.Errorf("Reveal() = %q", got)
	}
	if !(Secret{}).IsZero() || NewSecret("x").IsZero() {
		t.Error("IsZero is wrong")
	}
}
