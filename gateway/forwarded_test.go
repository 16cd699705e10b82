package gateway

import (
	"slices"
	"strings"
	"testing"
)

const (
	nobody = ", trusted_proxies: [10.0.0.0/8]"
	us     = ", trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]"
	rfc    = us + ", client_address: forwarded"
)

// TestForwarding compares what an upstream is told of where a request comes from.
func TestForwarding(t *testing.T) {
	const all = "x_forwarded_for: %, x_forwarded_host: %, x_forwarded_proto: %, x_forwarded_port: %, forwarded: %"
	every := func(word string) string { return strings.ReplaceAll(all, "%", word) }
	claims := []string{
		"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: shop.example", "X-Forwarded-Proto: https", "x-forwarded-port: 8443", "Forwarded: for=192.0.2.1",
	}
	ours := []string{
		"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: h.example:8080", "X-Forwarded-Proto: http", "X-Forwarded-Port: 8080",
		`Forwarded: for=127.0.0.1;host="h.example:8080";proto=http`,
	}
	tests := []struct {
		name, listen, policy string
		sent, want           []string
	}{
		{"by default a client is not passed on as truth", "", "", claims, nil},
		{"nor is a proxy that is not trusted", nobody, "", claims, nil},
		{"what a trusted proxy says is, as it is", us, "", claims, claims},
		{"several lines stay several", us, "", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 10.0.0.1"}, []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 10.0.0.1"}},
		{"kept is only what was sent", us, every("keep"), nil, nil},

		{"appended to nothing", us, every("append"), nil, ours},
		{"appended to what a client says, which is dropped", nobody, every("append"), claims, ours},
		{
			"appended to what a trusted proxy says: lists become longer, single values stay", us, every("append"), claims,
			[]string{
				"X-Forwarded-For: 192.0.2.1, 127.0.0.1", "X-Forwarded-Host: shop.example", "X-Forwarded-Proto: https", "x-forwarded-port: 8443",
				`Forwarded: for=192.0.2.1, for=127.0.0.1;host="h.example:8080";proto=http`,
			},
		},
		{
			"appended to the last of several lines", us, "x_forwarded_for: append",
			[]string{"X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 10.0.0.1"},
			[]string{"X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 10.0.0.1, 127.0.0.1"},
		},
		{"appended to an empty line", us, "x_forwarded_for: append", []string{"X-Forwarded-For:"}, []string{"X-Forwarded-For: 127.0.0.1"}},

		{"replaced for a client", nobody, every("replace"), claims, ours},
		{
			"replaced for a trusted proxy by the client that it names", us, every("replace"), claims,
			append([]string{"X-Forwarded-For: 192.0.2.1"}, append(slices.Clone(ours[1:4]), `Forwarded: for=192.0.2.1;host="h.example:8080";proto=http`)...),
		},
		{
			"an address of IPv6 stands in quotes and brackets (7239 6)", us, "x_forwarded_for: replace, forwarded: replace",
			[]string{"X-Forwarded-For: 2001:DB8::0:1"},
			[]string{"X-Forwarded-For: 2001:db8::1", `Forwarded: for="[2001:db8::1]";host="h.example:8080";proto=http`},
		},
		{"with a name of our own", us, "forwarded: replace, by: _edge-1", nil, []string{`Forwarded: for=127.0.0.1;host="h.example:8080";proto=http;by=_edge-1`}},
		{"removed, whoever said it", us, every("remove"), claims, nil},
		{"each field has its own policy", us, "x_forwarded_for: append, forwarded: remove", claims[:1], []string{"X-Forwarded-For: 192.0.2.1, 127.0.0.1"}},

		{"a proxy cannot make ours disappear by naming it as its connection's (9110 7.6.1)", us, "x_forwarded_for: append", []string{"X-Forwarded-For: 192.0.2.1", "Connection: X-Forwarded-For"}, []string{"X-Forwarded-For: 127.0.0.1"}},
		{"nor can a client", nobody, every("append"), []string{"Connection: x-forwarded-for, x-forwarded-host, x-forwarded-proto, x-forwarded-port, forwarded"}, ours},
		{"what CGI takes for the same is not passed on either", nobody, "", []string{"X_Forwarded_For: 192.0.2.1", "x-forwarded_proto: https", "X_FORWARDED_HOST: a"}, nil},
		{"unless a trusted proxy has sent it", us, "", []string{"X_Forwarded_For: 192.0.2.1"}, []string{"X_Forwarded_For: 192.0.2.1"}},
		{"names that only look like it are the client's own", nobody, "", []string{"X-Forwarded-User: a", "X_Forwarded_User_: b", "X-Forwarded: c"}, []string{"X-Forwarded-User: a", "X_Forwarded_User_: b", "X-Forwarded: c"}},
	}
	up := servePartner(t, fine)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := startListening(t, test.listen, up.address, "    forwarded: {"+test.policy+"}"+everything)
			got := told(t, s, up, "h.example:8080", test.sent...)
			if !slices.Equal(got, test.want) {
				t.Errorf("the upstream got\n%q, want\n%q", got, test.want)
			}
		})
	}
}

// told returns the field lines about forwarding in the request that up gets for one with those.
func told(t *testing.T, r *running, up *partner, host string, lines ...string) (got []string) {
	t.Helper()
	c := dialTo(t, r.Addr().String())
	c.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n")
	if reply := c.reply("GET"); reply.code != 200 {
		t.Fatalf("status %d %s", reply.code, reply.body)
	}
	for _, line := range strings.Split(up.last(), "\r\n") {
		if strings.Contains(strings.ToLower(line), "forwarded") {
			got = append(got, line)
		}
	}
	return got
}

// TestForwardedHosts looks at host and port as the upstream is told of them.
func TestForwardedHosts(t *testing.T) {
	tests := []struct{ name, host, forwarded, port string }{
		{"a name is a token", "h.example", "h.example", "80"},
		{"a port needs quotes", "h.example:81", `"h.example:81"`, "81"},
		{"an empty port is the scheme's", "h.example:", `"h.example:"`, "80"},
		{"an address of IPv6 needs quotes", "[2001:db8::1]", `"[2001:db8::1]"`, "80"},
		{"its last group is no port", "[2001:db8::1]:82", `"[2001:db8::1]:82"`, "82"},
		{"a name of odd letters needs quotes", "a;for=b,c", `"a;for=b,c"`, "80"},
		{"no host is not told", "", "", "80"},
	}
	up := servePartner(t, fine)
	s := start(t, up.address, "    forwarded: {forwarded: replace, x_forwarded_host: replace, x_forwarded_port: replace}"+everything)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := []string{"X-Forwarded-Host: " + test.host, "X-Forwarded-Port: " + test.port, "Forwarded: for=127.0.0.1;host=" + test.forwarded + ";proto=http"}
			if test.host == "" {
				want = []string{"X-Forwarded-Port: 80", "Forwarded: for=127.0.0.1;proto=http"}
			}
			if got := told(t, s, up, test.host); !slices.Equal(got, want) {
				t.Errorf("the upstream got\n%q, want\n%q", got, want)
			}
		})
	}
}

// TestForwardedTellsTheClient finds the client's address in Forwarded.
func TestForwardedTellsTheClient(t *testing.T) {
	tests := []struct {
		name string
		sent []string
		want string // "": the proxy's
	}{
		{"nothing", nil, ""},
		{"an address", []string{"Forwarded: for=192.0.2.1"}, "192.0.2.1"},
		{"names of parameters have no case", []string{"Forwarded: Proto=http;FOR=192.0.2.1"}, "192.0.2.1"},
		{"with a port", []string{`Forwarded: for="192.0.2.1:4711"`}, "192.0.2.1"},
		{"IPv6", []string{`Forwarded: for="[2001:db8::1]:4711";by=_x`}, "2001:db8::1"},
		{"white space around parameters is taken", []string{"Forwarded: for=192.0.2.1 ; proto=https"}, "192.0.2.1"},
		{"the last that is no proxy", []string{"Forwarded: for=198.51.100.9, for=192.0.2.1, for=10.1.1.1"}, "192.0.2.1"},
		{"over several lines", []string{"Forwarded: for=192.0.2.1", "forwarded: for=10.1.1.1"}, "192.0.2.1"},
		{"proxies all the way", []string{"Forwarded: for=10.1.1.1, for=10.1.1.2"}, "10.1.1.1"},
		{"the other field is not asked", []string{"X-Forwarded-For: 192.0.2.1"}, ""},
		{"a name ends the way", []string{"Forwarded: for=192.0.2.1, for=_hidden, for=10.1.1.2"}, "10.1.1.2"},
		{"an unknown one as well", []string{"Forwarded: for=192.0.2.1, for=unknown"}, ""},
		{"an element without an address as well", []string{"Forwarded: for=192.0.2.1, proto=http"}, ""},
		{"two addresses are none", []string{"Forwarded: for=192.0.2.1;for=192.0.2.2"}, ""},
		{"a comma in quotes is none", []string{`Forwarded: for=192.0.2.1;host="a,for=192.0.2.2"`}, "192.0.2.1"},
		{"a quote that a client left open does not swallow the proxy's word", []string{`Forwarded: for=198.51.100.9;x=", for=192.0.2.1`}, ""},
		{"nor does one that meets the proxy's own", []string{`Forwarded: for=198.51.100.9;x=", for="[2001:db8::1]"`}, ""},
		{"nor one that is closed by it", []string{`Forwarded: for=198.51.100.9;x=", for=192.0.2.1;host="a:80"`}, ""},
		{"nor one with a backslash", []string{`Forwarded: for=198.51.100.9;x="\", for="[2001:db8::1]"`}, ""},
	}
	up := servePartner(t, fine)
	s := startListening(t, rfc, up.address, "    forwarded: {x_forwarded_for: replace, forwarded: remove}"+everything)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := test.want
			if want == "" {
				want = "127.0.0.1"
			}
			if got := told(t, s, up, "h", test.sent...); !slices.Equal(got, []string{"X-Forwarded-For: " + want}) {
				t.Errorf("the upstream got %q, want %s", got, want)
			}
		})
	}
}

// TestForwardingAllocatesNothing tells an upstream all that there is to tell, for a client that has made claims of its own.
func TestForwardingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	g := start(t, serveBytes(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), `
    forwarded: {x_forwarded_for: append, x_forwarded_host: replace, x_forwarded_proto: append, x_forwarded_port: replace, forwarded: append, by: _edge}`+everything)
	request := "GET / HTTP/1.1\r\nHost: gateway.example:8080\r\nX-Forwarded-For: 192.0.2.1\r\nX_Forwarded_For: 192.0.2.1\r\n\r\n"
	if per := allocations(t, g, request); per > 0.1 {
		t.Errorf("%.2f allocations a request, want 0", per)
	}
}
