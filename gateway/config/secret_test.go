package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestASecretIsNeverPrinted(t *testing.T) {
	const value = "hunter2-is-the-value"
	secret := NewSecret(value)
	type hiding struct{ inner Secret }
	client := &Client{Name: "acme", Secrets: Secrets{"partner_token": secret}}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "secret", secret, "client", client)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "secret", secret, "client", client)
	asJSON, err := json.Marshal(map[string]any{"client": client, "secret": secret, "pointer": &secret})
	if err != nil {
		t.Fatal(err)
	}
	prints := map[string]string{"slog": logged.String(), "JSON": string(asJSON)}
	for _, x := range []any{secret, &secret, client, *client, []Secret{secret}, hiding{secret}, &hiding{secret}, map[Secret]int{secret: 1}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			prints[fmt.Sprintf("%s of %T", verb, x)] = fmt.Sprintf(verb, x)
		}
	}
	hex := fmt.Sprintf("%x", value)
	for how, s := range prints {
		if strings.Contains(s, "hunter2") || strings.Contains(s, hex) {
			t.Errorf("%s shows it: %s", how, s)
		}
	}
	if got := fmt.Sprint(secret); got != "[redacted]" {
		t.Errorf("Sprint = %s", got)
	}
	if secret.Reveal() != value || (Secret{}).Reveal() != "" {
		t.Error("Reveal does not tell the value")
	}
}
