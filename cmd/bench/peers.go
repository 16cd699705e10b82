//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// The peers are set up as somebody would who knows them and wants them fast: as many workers as there are cores (what
// Go takes by itself, and HAProxy too), keep-alive to the upstream, no access log, no buffering to disk.

// nginxConfig renders a whole nginx configuration. With modules it drops the query parameter in Lua.
func nginxConfig(dir string, listen, upstream netip.AddrPort, modules []string) string {
	var load, lua strings.Builder
	if len(modules) > 0 {
		for _, module := range modules {
			fmt.Fprintf(&load, "load_module %s;\n", module)
		}
		// Setting the arguments makes proxy_pass send the rewritten target; the path keeps its bytes in this bench
		// because it needs no escaping.
		fmt.Fprintf(&lua, `
            rewrite_by_lua_block {
                local args = ngx.var.args
                if args and string.find(args, "%[1]s=", 1, true) then
                    args = ngx.re.gsub(args, "(^|&)%[1]s=[^&]*", "", "jo")
                    if string.byte(args) == 38 then
                        args = string.sub(args, 2)
                    end
                    if args == "" then
                        args = nil
                    end
                    ngx.req.set_uri_args(args or "")
                end
            }`, droppedParam)
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // so that the workers may use our directory
	}
	return fmt.Sprintf(`%[1]s%[2]sdaemon off;
worker_processes auto;
pid %[3]s/nginx.pid;
error_log stderr warn;
events {
    worker_connections 4096;
}
http {
    access_log off;
    server_tokens off;
    keepalive_requests 1000000000;
    client_body_temp_path %[3]s/body;
    proxy_temp_path %[3]s/proxy;
    fastcgi_temp_path %[3]s/fastcgi;
    uwsgi_temp_path %[3]s/uwsgi;
    scgi_temp_path %[3]s/scgi;
    upstream partner {
        server %[5]s;
        keepalive 256;
        keepalive_requests 1000000000;
    }
    server {
        listen %[4]s;
        location / {%[6]s
            proxy_pass http://partner;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Connection "";
        }
    }
}
`, load.String(), user, dir, listen, upstream, lua.String())
}

// haproxyConfig renders a configuration that drops the query parameter: regsub takes it out, a second one the
// separator that may be left at the end.
func haproxyConfig(listen, upstream netip.AddrPort) string {
	return fmt.Sprintf(`global
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option http-keep-alive
    http-reuse always
frontend clients
    bind %s
    http-request set-uri "%%[url,regsub('([?&])%s=[^&]*&?','\1',g),regsub('[?&]\$','')]" if { url_param(%[2]s) -m found }
    default_backend partner
backend partner
    server partner %[3]s maxconn 4096 pool-max-conn 256
`, listen, droppedParam, upstream)
}

// startNginx starts nginx, with the Lua rewrite or without.
func startNginx(ctx context.Context, e *env, name string, lua bool) (*process, netip.AddrPort, error) {
	program, err := find("nginx")
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	var modules []string
	if lua {
		if modules, err = nginxLuaModules(program); err != nil {
			return nil, netip.AddrPort{}, err
		}
	}
	dir, addr, err := e.place(name)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(nginxConfig(dir, addr, e.upstream, modules)), 0o600); err != nil {
		return nil, netip.AddrPort{}, err
	}
	p, err := startProcess(name, program, "-p", dir, "-e", "stderr", "-c", file)
	return p, addr, err
}

// nginxLuaModules finds the two modules where this nginx looks for modules.
func nginxLuaModules(program string) ([]string, error) {
	said, err := exec.Command(program, "-V").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("nginx -V: %w: %s", err, said)
	}
	dir := "/usr/lib/nginx/modules"
	if m := regexp.MustCompile(`--modules-path=(\S+)`).FindSubmatch(said); m != nil {
		dir = string(m[1])
	}
	modules := []string{filepath.Join(dir, "ndk_http_module.so"), filepath.Join(dir, "ngx_http_lua_module.so")}
	for _, module := range modules {
		if _, err := os.Stat(module); err != nil {
			return nil, fmt.Errorf("nginx's Lua module (%s): %w", module, errMissing)
		}
	}
	return modules, nil
}

func startHAProxy(_ context.Context, e *env, name string) (*process, netip.AddrPort, error) {
	program, err := find("haproxy")
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	dir, addr, err := e.place(name)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(haproxyConfig(addr, e.upstream)), 0o600); err != nil {
		return nil, netip.AddrPort{}, err
	}
	p, err := startProcess(name, program, "-db", "-f", file)
	return p, addr, err
}
