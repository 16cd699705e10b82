package rfc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestSmuggling sends the corpus through Breakwater to real servers, and compares what they have logged with what Breakwater has: an
// upstream has seen each request that Breakwater has passed on, once, and no other.
func TestSmuggling(t *testing.T) {
	all := vectors()
	for _, u := range upstreams {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			need(t, u.program)
			dir := t.TempDir()
			l := &lane{}
			addresses(t, []*lane{l})
			stop := u.start(t, dir, l.address)
			address, end := serve(t, dir, l.address, hurried)
			var sending sync.WaitGroup
			places := make(chan struct{}, atATime)
			for _, v := range all {
				places <- struct{}{}
				sending.Add(1)
				go func() {
					defer sending.Done()
					defer func() { <-places }()
					v.send(t, address)
				}()
			}
			sending.Wait()
			end()
			log := stop()
			if u.file != "" {
				text, err := os.ReadFile(filepath.Join(dir, u.file))
				if err != nil {
					t.Fatal(err)
				}
				log = string(text)
			}
			sure, perhaps := passedOn(t, filepath.Join(dir, "access.log"))
			saw := map[string]int{}
			for _, m := range logged.FindAllStringSubmatch(log, -1) {
				saw[unescaped(m[1])]++
			}
			delete(saw, "GET /answers")
			for request, n := range saw {
				if n < sure[request] || n > sure[request]+perhaps[request] {
					t.Errorf("%s has seen %q %d times, Breakwater has passed it on %d times (and perhaps %d more)\n%s", u.name, request, n, sure[request], perhaps[request], named(all, request))
				}
			}
			passed := 0
			for request, n := range sure {
				if passed += n; saw[request] == 0 {
					t.Errorf("Breakwater has passed on %q %d times, %s has not seen it\n%s", request, n, u.name, named(all, request))
				}
			}
			if passed < 50 {
				t.Errorf("only %d requests were passed on: the corpus shows nothing", passed)
			}
			if !t.Failed() {
				fmt.Printf("%d vectors, %d requests passed on: %s has seen those and no other\n", len(all), passed, u.name)
			}
		})
	}
}

// send plays the vector and reads all that comes of it. Breakwater ends the connection, in the end for want of more.
func (v *vector) send(t *testing.T, address string) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Errorf("%s: %v", v.name, err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(60 * time.Second)) //nolint:errcheck
	io.WriteString(c, v.bytes)                      //nolint:errcheck // it may have been refused by now
	if _, err := io.Copy(io.Discard, c); err != nil && isTimeout(err) {
		t.Errorf("%s: the connection does not end", v.name)
	}
}

// passedOn reads Breakwater's access log: which requests, as METHOD PATH, it has passed on, and which it may have: those that failed on
// their way.
func passedOn(t *testing.T, path string) (sure, perhaps map[string]int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sure, perhaps = map[string]int{}, map[string]int{}
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var entry struct {
			Method, Path    string
			Route           string
			Problem, Failed string
			UpstreamStatus  int `json:"upstream_status"`
			Status          int
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatalf("access log: %q: %v", line, err)
		}
		request := entry.Method + " " + entry.Path
		switch {
		case entry.UpstreamStatus != 0:
			sure[request]++
		case entry.Route != "": // its head may be there already, for others to see
			perhaps[request]++
		}
	}
	return sure, perhaps
}

// named says which vector a request is of.
func named(all []vector, request string) string {
	n := 0
	if m := regexp.MustCompile(`/(\d+)`).FindStringSubmatch(request); m != nil {
		fmt.Sscan(m[1], &n) //nolint:errcheck
		return fmt.Sprintf("vector %d, %s: %.300q", n, all[n].name, all[n].bytes)
	}
	return "no vector has this in it"
}

// logged is what the upstreams are told to write of each request: its first line, without a version.
var logged = regexp.MustCompile(`(?m)^.*saw \[(.*?)(?: HTTP/[\d.]+)?\]`)

// unescaped takes back what upstreams write for bytes that could break a line of their logs.
func unescaped(line string) string {
	if text, err := strconv.Unquote(`"` + line + `"`); err == nil {
		return text
	}
	return line
}

// askedWhetherItAnswers is what an upstream gets before all else.
const askedWhetherItAnswers = "GET /answers HTTP/1.1\r\nHost: rfc.test\r\n\r\n"

// An upstreamServer is a server that answers every request, and logs its line.
type upstreamServer struct {
	name, program string
	file          string // where it logs, in dir; "" for its output
	start         func(t *testing.T, dir, address string) (stop func() string)
}

var upstreams = []upstreamServer{
	{"nginx", "nginx", "saw.log", func(t *testing.T, dir, address string) func() string {
		writeFile(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`daemon off;
worker_processes 2;
pid %[1]s/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
	log_format saw 'saw [$request]';
	access_log %[1]s/saw.log saw;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		location / { return 200 "ok"; }
	}
}
`, dir, address))
		stop := launchAt(t, address, askedWhetherItAnswers, "nginx", "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
		return func() string { return stop(syscall.SIGQUIT) }
	}},
	{"HAProxy", "haproxy", "", func(t *testing.T, dir, address string) func() string {
		writeFile(t, filepath.Join(dir, "haproxy.cfg"), fmt.Sprintf(`global
	log stdout format raw local0
	nbthread 2
defaults
	mode http
	timeout client 10s
	timeout server 10s
	timeout connect 10s
frontend clients
	bind %s
	log global
	log-format "saw [%%[capture.req.method] %%[capture.req.uri]] %%ST"
	option http-buffer-request
	http-request return status 200 content-type text/plain string ok
`, address))
		stop := launchAt(t, address, askedWhetherItAnswers, "haproxy", "-db", "-f", filepath.Join(dir, "haproxy.cfg"))
		return func() string { return stop(syscall.SIGUSR1) }
	}},
	{"Apache httpd", "apache2", "saw.log", func(t *testing.T, dir, address string) func() string {
		if err := os.Mkdir(filepath.Join(dir, "root"), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "apache.conf"), fmt.Sprintf(`ServerRoot %[1]s
DefaultRuntimeDir %[1]s
PidFile %[1]s/apache.pid
ErrorLog /dev/stderr
LogLevel crit
ServerName rfc.test
User www-data
Group www-data
%[3]sListen %[2]s
DocumentRoot %[1]s/root
MergeSlashes Off
LogFormat "saw [%%r]" saw
CustomLog %[1]s/saw.log saw
RewriteEngine On
RewriteRule .* - [R=406,L]
`, dir, address, apacheModules("mpm_event", "authz_core", "rewrite")))
		stop := launchAt(t, address, askedWhetherItAnswers, "apache2", "-DFOREGROUND", "-f", filepath.Join(dir, "apache.conf"))
		return func() string { return stop(syscall.SIGWINCH) }
	}},
}
