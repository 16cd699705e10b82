//go:build linux

package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test's program serve as the bench's own modes, as startSelf expects.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
			println(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Every peer that is installed is started, must give right answers and must be gone afterwards.
func TestPeers(t *testing.T) {
	ctx := t.Context()
	up, addr, err := startSelf(ctx, "upstream", "upstream")
	if err != nil {
		t.Fatal(err)
	}
	defer up.stop()
	e := &env{dir: t.TempDir(), upstream: addr}
	peers, err := pick(subjects(), "direct,floor,nginx,nginx-lua,haproxy")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range peers {
		t.Run(s.name, func(t *testing.T) {
			r, err := launch(ctx, e, s)
			if errors.Is(err, errMissing) && os.Getenv("CI") != "true" {
				t.Skipf("LEFT OUT: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer r.stop()
			present, dropped := string(mediaPresent.body), string(mediaDropped.body)
			dependsOn := string(answerTo(false, !s.drops).body)
			for target, want := range map[string]string{
				"/1?a=b":                            dropped,
				"/1":                                dropped,
				"/1?phone_number_id=2":              dependsOn,
				"/1?phone_number_id=2&a=b":          dependsOn,
				"/1?a=b&phone_number_id=2&c=d":      dependsOn,
				"/1?a=b&phone_number_id=2":          dependsOn,
				"/1?xphone_number_id=2":             present, // another parameter, though the upstream takes it for ours
				"/1?a=b%26phone_number_id%3d2":      dropped, // a value that looks like ours
				"/1?phone_number_id=2&a=b&a=b&c=%C": dependsOn,
			} {
				if got, err := ask(r.addr, target, readyPatience); err != nil || string(got) != want {
					t.Errorf("GET %s: %q, %v; want %q", target, got, err, want)
				}
			}
			got, err := takeTurn(ctx, e, r, 4, 160*time.Millisecond, 200)
			if err != nil {
				t.Fatal(err)
			}
			if (got.CPU > 0) != (r.process != nil) {
				t.Errorf("turn %+v: expected CPU time exactly if there is a process", got)
			}
			if r.process != nil {
				r.stop()
				for deadline := time.Now().Add(readyPatience); !errors.Is(syscall.Kill(-r.process.pid(), 0), syscall.ESRCH); {
					if time.Now().After(deadline) {
						t.Fatal("after stop something is left of the process group")
					}
					time.Sleep(time.Millisecond) // a killed orphan waits for init to take it away
				}
			}
		})
	}
}

func TestAProgramThatIsNotThereIsMissing(t *testing.T) {
	if path, err := find("no-such-program-here"); !errors.Is(err, errMissing) {
		t.Errorf("find = %q, %v; want errMissing", path, err)
	}
}

func TestAChildThatEndsAtOnceIsReportedWithItsWords(t *testing.T) {
	p, err := startProcess("shell", "/bin/sh", "-c", "echo no such flag >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	err = p.waitReady(t.Context(), func() error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("error %v: expected the status and what it said", err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var said tail
	for range 1000 {
		_, _ = said.Write([]byte("many words "))
	}
	_, _ = said.Write([]byte("the last word\n"))
	if got := said.String(); len(got) > 4<<10 || !strings.HasSuffix(got, "the last word") {
		t.Errorf("%d bytes, ending in %.20q", len(got), got[max(0, len(got)-20):])
	}
}

func TestPeerConfigs(t *testing.T) {
	listen, upstream := netip.MustParseAddrPort("127.0.0.1:1111"), netip.MustParseAddrPort("127.0.0.1:2222")
	modules := []string{"/m/ndk_http_module.so", "/m/ngx_http_lua_module.so"}
	for _, tt := range []struct {
		name, config string
		has, hasNot  []string
	}{
		{
			"nginx forwards without Lua", nginxConfig("/d", listen, upstream, nil),
			[]string{"listen 127.0.0.1:1111;", "server 127.0.0.1:2222;", "pid /d/nginx.pid;", "daemon off;", "access_log off;"},
			[]string{"lua", "load_module", droppedParam},
		},
		{
			"nginx with Lua loads the modules first", nginxConfig("/d", listen, upstream, modules),
			[]string{"load_module /m/ndk_http_module.so;\nload_module /m/ngx_http_lua_module.so;\n", "rewrite_by_lua_block", `(^|&)phone_number_id=[^&]*`},
			[]string{"%!"},
		},
		{
			"haproxy keeps its escapes", haproxyConfig(listen, upstream),
			[]string{"bind 127.0.0.1:1111", "server partner 127.0.0.1:2222 ", `set-uri "%[url,regsub('([?&])phone_number_id=[^&]*&?','\1',g)`},
			[]string{"%!", "%%"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, want := range tt.has {
				if !strings.Contains(tt.config, want) {
					t.Errorf("lacks %q:\n%s", want, tt.config)
				}
			}
			for _, not := range tt.hasNot {
				if strings.Contains(tt.config, not) {
					t.Errorf("has %q:\n%s", not, tt.config)
				}
			}
		})
	}
}
