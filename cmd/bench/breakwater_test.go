//go:build linux

package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBreakwaterConfig(t *testing.T) {
	at := placed{dir: "/d", listen: netip.MustParseAddrPort("127.0.0.1:1111"), admin: netip.MustParseAddrPort("127.0.0.1:3333")}
	upstream := netip.MustParseAddrPort("127.0.0.1:2222")
	guests := []guest{{"drop-query-param", "/g/drop.wasm", "aa"}, {"classify-partner", "/g/classify.wasm", "bb"}}
	parts := map[string]string{
		"clients":  "clients:",
		"inject":   "inject:",
		"drop":     "- name: drop\n",
		"classify": "- name: classify\n",
		"gates":    "gate:",
		"flags":    "flags:",
		"limits":   "    limits:",
		"log":      "access_log:",
		"none":     "interruption: none",
		"context":  "interruption: context",
	}
	lacks := map[string]string{ // by variant
		"breakwater":     "context",
		"bw-no-steps":    "drop classify gates flags none context",
		"bw-no-classify": "classify context",
		"bw-no-gates":    "gates flags context",
		"bw-no-inject":   "inject context",
		"bw-no-limits":   "limits context",
		"bw-no-log":      "log context",
		"bw-interrupt":   "none",
		"bw-bare":        "clients inject drop classify gates flags limits log none context",
	}
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			without, ok := lacks[v.name]
			if !ok {
				t.Fatalf("what does %s lack? Say it in this test", v.name)
			}
			config := breakwaterConfig(at, upstream, guests, v)
			for part, text := range parts {
				want := !strings.Contains(" "+without+" ", " "+part+" ")
				if has := strings.Contains(config, text); has != want {
					t.Errorf("%s in it: %t, want %t:\n%s", part, has, want, config)
				}
			}
			for _, always := range []string{`listen: {address: "127.0.0.1:1111"`, `url: "http://127.0.0.1:2222"`, "name: media"} {
				if !strings.Contains(config, always) {
					t.Errorf("lacks %q:\n%s", always, config)
				}
			}
			if strings.Contains(config, "%!") {
				t.Errorf("a broken format:\n%s", config)
			}
		})
	}
}

func TestGuestsArePinned(t *testing.T) {
	dir := t.TempDir()
	if _, err := findGuests(dir); !errors.Is(err, errMissing) {
		t.Errorf("without modules: error %v, want errMissing", err)
	}
	for _, name := range []string{"drop-query-param", "classify-partner"} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	guests, err := findGuests(dir)
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if err != nil || len(guests) != 2 || guests[0].sha256 != abc || !filepath.IsAbs(guests[0].path) {
		t.Errorf("findGuests = %+v, %v; want two with SHA-256 %s and an absolute path", guests, err, abc)
	}
}
