package rfc

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The peers are set up by somebody who knows them and wants them to forward: HTTP/1.1 and kept connections to the origin, nothing
// collected before it is sent on, paths as they are, the host that the client named. All else is as Debian's package has it.
var peers = []*subject{nginx, haproxy, apache}

// A peer's failures wait for something that does not come. They are many.
const peerPatience = 4 * time.Second

var nginx = &subject{name: "nginx", patience: peerPatience, start: func(t *testing.T, lanes []*lane) {
	addresses(t, lanes)
	dir := t.TempDir()
	var b strings.Builder
	fmt.Fprintf(&b, `daemon off;
worker_processes 2;
worker_rlimit_nofile 16384;
pid %[1]s/nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_set_header Host $http_host;
	proxy_buffering off;
	proxy_request_buffering off;
	client_max_body_size 0;
`, dir)
	for i, l := range lanes {
		fmt.Fprintf(&b, "\tupstream origin%d { server %s; keepalive 16; }\n\tserver {\n\t\tlisten %s;\n", i, l.origin.Addr(), l.address)
		switch l.site {
		case hurried:
			for _, name := range strings.Fields("client_header_timeout client_body_timeout keepalive_timeout send_timeout proxy_connect_timeout proxy_read_timeout proxy_send_timeout") {
				fmt.Fprintf(&b, "\t\t%s %dms;\n", name, hurry.Milliseconds())
			}
		case narrow:
			fmt.Fprintf(&b, "\t\tclient_max_body_size %d;\n", maxContent)
		}
		fmt.Fprintf(&b, "\t\tlocation / { proxy_pass http://origin%d; }\n\t}\n", i)
	}
	b.WriteString("}\n")
	file := filepath.Join(dir, "nginx.conf")
	writeFile(t, file, b.String())
	launch(t, lanes, "nginx", "-p", dir, "-e", "stderr", "-c", file)
}}

var haproxy = &subject{name: "HAProxy", patience: peerPatience, start: func(t *testing.T, lanes []*lane) {
	addresses(t, lanes)
	var b strings.Builder
	b.WriteString(`global
	maxconn 8192
	nbthread 2
defaults
	mode http
	http-reuse safe
	timeout connect 60s
	timeout client 60s
	timeout server 60s
`)
	for i, l := range lanes {
		fmt.Fprintf(&b, "frontend clients%d\n\tbind %s\n", i, l.address)
		switch l.site {
		case hurried:
			fmt.Fprintf(&b, "\ttimeout client %[1]dms\n\ttimeout http-request %[1]dms\n\ttimeout http-keep-alive %[1]dms\n", hurry.Milliseconds())
		case narrow:
			fmt.Fprintf(&b, "\thttp-request deny deny_status 413 if { req.body_size gt %d }\n", maxContent)
		}
		fmt.Fprintf(&b, "\tdefault_backend origin%d\nbackend origin%[1]d\n", i)
		if l.site == hurried {
			fmt.Fprintf(&b, "\ttimeout connect %[1]dms\n\ttimeout server %[1]dms\n", hurry.Milliseconds())
		}
		fmt.Fprintf(&b, "\tserver origin %s\n", l.origin.Addr())
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	writeFile(t, file, b.String())
	launch(t, lanes, "haproxy", "-db", "-f", file)
}}

var apache = &subject{name: "Apache httpd", patience: peerPatience, start: func(t *testing.T, lanes []*lane) {
	addresses(t, lanes)
	dir := t.TempDir()
	var b strings.Builder
	fmt.Fprintf(&b, `ServerRoot %[1]s
DefaultRuntimeDir %[1]s
PidFile %[1]s/apache.pid
ErrorLog /dev/stderr
LogLevel crit
ServerName rfc.test
UseCanonicalName On
User www-data
Group www-data
%[2]sServerLimit 16
ThreadsPerChild 64
MaxRequestWorkers 1024
StartServers 2
ProxyVia On
ProxyPreserveHost On
Timeout 60
KeepAliveTimeout 60
`, dir, apacheModules("mpm_event", "authz_core", "proxy", "proxy_http", "reqtimeout"))
	for _, l := range lanes {
		fmt.Fprintf(&b, "Listen %s\n<VirtualHost %[1]s>\n\tServerName rfc.test\n\tAllowEncodedSlashes NoDecode\n\tMergeSlashes Off\n", l.address) // without a name it asks DNS for one
		switch l.site {
		case hurried: // its timeouts are whole seconds
			b.WriteString("\tTimeout 1\n\tKeepAliveTimeout 1\n\tRequestReadTimeout header=1 body=1\n\tProxyTimeout 1\n")
		case narrow:
			fmt.Fprintf(&b, "\tRequestReadTimeout header=0 body=0\n\tLimitRequestBody %d\n", maxContent)
		default:
			b.WriteString("\tRequestReadTimeout header=0 body=0\n")
		}
		fmt.Fprintf(&b, "\tProxyPass / http://%s/ nocanon flushpackets=on\n</VirtualHost>\n", l.origin.Addr())
	}
	file := filepath.Join(dir, "apache.conf")
	writeFile(t, file, b.String())
	launch(t, lanes, "apache2", "-DFOREGROUND", "-f", file)
}}

// apacheModules loads modules where Debian puts them.
func apacheModules(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", name)
	}
	return b.String()
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// addresses gives each lane an address that nobody listens on. The kernel picks the ports, at an address of the loopback network that
// is drawn for this test alone, so that nobody takes them before the peer does.
func addresses(t *testing.T, lanes []*lane) {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	for _, l := range lanes {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close() // when all have been picked
		l.address = ln.Addr().String()
	}
}

// launch starts a peer and waits until it answers in the last lane.
func launch(t *testing.T, lanes []*lane, program string, args ...string) {
	t.Helper()
	launchAt(t, lanes[len(lanes)-1].address, "\x01\r\n\r\n", program, args...) // what is no HTTP is for no origin
}

// launchAt starts a peer and waits until somebody at that address says something to those bytes. stop ends it in peace, and returns what
// it has said.
func launchAt(t *testing.T, address, question, program string, args ...string) (stop func(s syscall.Signal) string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var once sync.Once
	stop = func(s syscall.Signal) string {
		once.Do(func() {
			cmd.Process.Signal(s) //nolint:errcheck // it may have ended
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				cmd.Process.Kill() //nolint:errcheck
				<-ended
			}
		})
		return said.String()
	}
	t.Cleanup(func() { stop(syscall.SIGTERM) })
	for end := time.Now().Add(60 * time.Second); !answers(address, question); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", program, err, said.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer", program)
		}
	}
	return stop
}

func answers(address, question string) bool {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck
	io.WriteString(c, question)                     //nolint:errcheck
	n, _ := c.Read(make([]byte, 1))
	return n > 0
}

// peerVersion asks a peer for its version.
func peerVersion(s *subject) string {
	program := map[string]string{"nginx": "nginx", "HAProxy": "haproxy", "Apache httpd": "apache2"}[s.name]
	out, _ := exec.Command(program, "-v").CombinedOutput()
	return string(regexp.MustCompile(`\d+\.\d+\.\d+`).Find(out))
}
