//go:build linux

package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// switchable answers like a gateway before the bench's upstream; its drop can be switched.
func switchable(t *testing.T) (addr netip.AddrPort, drop *atomic.Bool) {
	t.Helper()
	drop = new(atomic.Bool)
	drop.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if drop.Load() {
			_, _ = w.Write(mediaDropped.body)
		} else {
			_, _ = w.Write(mediaPresent.body)
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).AddrPort(), drop
}

func TestFlip(t *testing.T) {
	t.Run("what a client sees is timed from the flip's begin", func(t *testing.T) {
		addr, drop := switchable(t)
		w, err := watch(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer w.stop()
		for n := range 4 {
			took, err := w.flip(t.Context(), n%2 == 1, func(_ context.Context, on bool) error {
				drop.Store(on)
				return nil
			}, true)
			if err != nil || took.seen <= 0 || took.done <= 0 {
				t.Fatalf("flip %d = %+v, %v; want both times", n, took, err)
			}
		}
	})
	t.Run("a request begun after the answer that doesn't see the flip is an error", func(t *testing.T) {
		addr, drop := switchable(t)
		w, err := watch(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer w.stop()
		_, err = w.flip(t.Context(), false, func(context.Context, bool) error {
			time.AfterFunc(100*time.Millisecond, func() { drop.Store(false) })
			return nil
		}, true)
		if err == nil || !strings.Contains(err.Error(), "after the flip's answer didn't see it") {
			t.Errorf("error %v: expected one about a late flip", err)
		}
	})
	t.Run("the wrong answer ends the watch", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		defer server.Close()
		w, err := watch(server.Listener.Addr().(*net.TCPAddr).AddrPort())
		if err != nil {
			t.Fatal(err)
		}
		defer w.stop()
		_, err = w.flip(t.Context(), false, func(context.Context, bool) error { return nil }, true)
		if err == nil || !strings.Contains(err.Error(), "expected status 200") {
			t.Errorf("error %v: expected one about the status", err)
		}
	})
}

func TestFlagFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "flags.json")
	if err := os.WriteFile(file, []byte(flagFile()), 0o600); err != nil {
		t.Fatal(err)
	}
	defaults := func() map[string]string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Flags map[string]struct{ DefaultVariant string }
		}
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for key, f := range doc.Flags {
			out[key] = f.DefaultVariant
		}
		return out
	}
	want := defaults()
	if len(want) != benchFlags || want[dropGate] != "on" || want[classifyGate] != "on" {
		t.Fatalf("%d flags, gates %q and %q; want %d, on and on", len(want), want[dropGate], want[classifyGate], benchFlags)
	}
	for name, flip := range map[string]func(file, key string, on bool) error{"renamed": flipByRename, "in place": flipInPlace} {
		for _, on := range []bool{false, true} {
			if err := flip(file, dropGate, on); err != nil {
				t.Fatal(err)
			}
			got := defaults()
			if got[dropGate] != variantName(on) {
				t.Errorf("%s: the flag is %q, want %q", name, got[dropGate], variantName(on))
			}
			got[dropGate] = "on"
			for key := range want {
				if got[key] != want[key] {
					t.Errorf("%s: flag %q became %q, want %q: it wasn't flipped", name, key, got[key], want[key])
				}
			}
		}
		if err := flip(file, "no-such-flag", true); err == nil || !strings.Contains(err.Error(), `"no-such-flag"`) {
			t.Errorf("%s: error %v, want one about the key", name, err)
		}
	}
}

func TestFlipByAPI(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var change struct{ Variant, Reason string }
		err := json.NewDecoder(r.Body).Decode(&change)
		got = strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), change.Variant}, " ")
		if err != nil || change.Reason == "" || change.Variant == "off" {
			w.WriteHeader(http.StatusConflict)
		}
	}))
	defer server.Close()
	at := placed{admin: server.Listener.Addr().(*net.TCPAddr).AddrPort()}
	if err := flipByAPI(t.Context(), at, "some-flag", true); err != nil {
		t.Error(err)
	}
	if want := "PUT /api/v1/flags/some-flag application/json Bearer " + adminToken + " on"; got != want {
		t.Errorf("the API was asked %q, want %q", got, want)
	}
	if err := flipByAPI(t.Context(), at, "some-flag", false); err == nil || !strings.Contains(err.Error(), "409 Conflict") {
		t.Errorf("error %v: want the API's refusal", err)
	}
}
