package upstream

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A nameServer answers for the one name "up.test." over UDP.
type nameServer struct {
	address string

	mu        sync.Mutex
	addresses []netip.Addr
	code      byte // of the response: 0 fine, 2 failure, 3 no such name
	silent    bool
	asked     int
}

func names(t *testing.T, addresses ...string) *nameServer {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{address: c.LocalAddr().String()}
	s.say(0, addresses...)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if r := s.response(buf[:n]); r != nil {
				c.WriteTo(r, from) //nolint:errcheck // then it is asked again
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-ended })
	return s
}

// say sets what is answered from here on.
func (s *nameServer) say(code byte, addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code, s.addresses = code, nil
	for _, a := range addresses {
		s.addresses = append(s.addresses, netip.MustParseAddr(a))
	}
}

// hush has it answer nothing any more.
func (s *nameServer) hush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
}

func (s *nameServer) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// response answers a query (RFC 1035 4.1) for addresses.
func (s *nameServer) response(query []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.silent {
		return nil
	}
	end := 12
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	name := string(query[12 : end+1])
	kind := binary.BigEndian.Uint16(query[end+1:])
	end += 5
	code, answers := s.code, s.addresses
	if name != "\x02up\x04test\x00" {
		code, answers = 3, nil
	}
	r := append(slices.Clone(query[:2]), 0x81, 0x80|code, 0, 1, 0, 0, 0, 0, 0, 0)
	r = append(r, query[12:end]...)
	for _, a := range answers {
		if a.Is4() == (kind == 1) && (kind == 1 || kind == 28) && code == 0 {
			r[7]++
			r = append(r, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8))
			r = append(r, a.AsSlice()...)
		}
	}
	return r
}

// listenAll returns servers that listen at the same port of several addresses, and the port.
func listenAll(t *testing.T, config *tls.Config, addresses ...string) (servers []*server, port string) {
	t.Helper()
	for range 100 {
		servers, port = nil, "0"
		for _, a := range addresses {
			ln, err := net.Listen("tcp", net.JoinHostPort(a, port))
			if err != nil {
				break // the port is taken there
			}
			t.Cleanup(func() { ln.Close() })
			_, port, _ = net.SplitHostPort(ln.Addr().String())
			if config != nil {
				ln = tls.NewListener(ln, config)
			}
			servers = append(servers, &server{t, ln})
		}
		if len(servers) == len(addresses) {
			return servers, port
		}
	}
	t.Fatalf("no port is free at all of %q", addresses)
	return nil, ""
}

// addresses are those of u's endpoints, without their ports.
func (u *Upstream) hosts() string {
	var list []string
	for _, e := range u.Endpoints() {
		host, _, _ := net.SplitHostPort(e.address)
		list = append(list, host)
	}
	return strings.Join(list, " ")
}

// named returns an upstream of which DNS knows the addresses.
func (s *nameServer) pool(t *testing.T, port string, o Options) *Upstream {
	t.Helper()
	o.Name, o.Address, o.DNS.Server, o.MaxIdle = "up", "up.test:"+port, s.address, 10
	if o.DNS.Refresh == 0 {
		o.DNS.Refresh = 5 * time.Millisecond
	}
	u := New(o)
	t.Cleanup(u.Close)
	return u
}

func TestAllAddressesOfANameAreEndpoints(t *testing.T) {
	tests := []struct {
		name, family, want string
		records            []string
	}{
		{"of both families", "", "127.0.0.1 127.0.0.2 ::1", []string{"127.0.0.2", "::1", "127.0.0.1"}},
		{"of IPv4", "ip4", "127.0.0.1 127.0.0.2", []string{"127.0.0.2", "::1", "127.0.0.1"}},
		{"of IPv6", "ip6", "::1", []string{"127.0.0.2", "::1", "127.0.0.1"}},
		{"each of them once", "", "127.0.0.1", []string{"127.0.0.1", "127.0.0.1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := names(t, test.records...).pool(t, "80", Options{DNS: DNS{Family: test.family}})
			eventually(t, test.want, func() bool { return u.hosts() == test.want })
		})
	}
	t.Run("beside addresses that are none", func(t *testing.T) {
		u := New(Options{
			Name: "up", DNS: DNS{Refresh: time.Hour, Server: names(t, "127.0.0.1", "127.0.0.3").address},
			Addresses: []Address{{"127.0.0.3:80", 5}, {"up.test:80", 2}, {"[::1]:80", 1}},
		})
		defer u.Close()
		eventually(t, "all are known", func() bool { return u.hosts() == "127.0.0.3 127.0.0.1 ::1" })
		for i, weight := range []int{5, 2, 1} {
			if e := u.Endpoints()[i]; e.weight != weight {
				t.Errorf("%s has weight %d, want %d", e.address, e.weight, weight)
			}
		}
	})
}

// TestAChangeInDNS moves new requests to another address, while one is under way at the old one.
func TestAChangeInDNS(t *testing.T) {
	servers, port := listenAll(t, nil, "127.0.0.1", "127.0.0.2")
	dns := names(t, "127.0.0.1")
	var seen notices
	u := dns.pool(t, port, Options{Noticed: seen.note})
	eventually(t, "the address is known", func() bool { return u.hosts() == "127.0.0.1" })
	old := u.Endpoints()[0]

	first := make(chan *peer, 2)
	go func() {
		for range 2 {
			p := servers[0].accept()
			p.head()
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
			first <- p
		}
	}()
	running, unused := begin(t, u, get()), begin(t, u, get())
	p, q := <-first, <-first
	if running.l.socket.LocalAddr().String() != p.RemoteAddr().String() {
		p, q = q, p
	}
	q.send("ok")
	var r result
	if r.rest(unused); r.content != "ok" {
		t.Fatal(r)
	}
	from, _ := client(t)
	unused.Close(from)
	if n := old.Stats().Idle; n != 1 {
		t.Fatalf("%d idle connections", n)
	}

	servers[1].play(named("new"))
	dns.say(0, "127.0.0.2")
	eventually(t, "the new address is known", func() bool { return u.hosts() == "127.0.0.2" })
	if who := inTurn(t, u, 2); who != "newnew" {
		t.Errorf("%q answered", who)
	}
	q.ended() // the idle connection has been closed
	p.send("ok")
	r = result{}
	if r.rest(running); r.content != "ok" || r.err != nil {
		t.Errorf("what was under way came to %v", r)
	}
	running.Close(from)
	p.ended() // and is not kept
	if st := old.Stats(); st.Open != 0 {
		t.Errorf("%+v", st)
	}
	if st := u.Stats(); st.Open != 1 || st.Dials != 3 {
		t.Errorf("%+v, want what was counted to stay", st)
	}
	if list := seen.all(); len(list) != 4 || list[2] != "gone from DNS" || list[3] != "found in DNS" {
		t.Errorf("%q", list)
	}
}

// TestWhatChangesNothing has lookups fail in every way, and an endpoint keep its connection and its ejection.
func TestWhatChangesNothing(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *nameServer)
		fails  bool
	}{
		{"the server fails", func(s *nameServer) { s.say(2) }, true},
		{"there is no such name", func(s *nameServer) { s.say(3) }, true},
		{"there is no address", func(s *nameServer) { s.say(0) }, true},
		{"the server is silent", (*nameServer).hush, true},
		{"the addresses come in another order", func(s *nameServer) { s.say(0, "127.0.0.2", "127.0.0.1") }, false},
		{"another address comes", func(s *nameServer) { s.say(0, "127.0.0.2", "127.0.0.1", "127.0.0.3") }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			servers, port := listenAll(t, nil, "127.0.0.1", "127.0.0.2", "127.0.0.3")
			for i, s := range servers {
				s.play(named(fmt.Sprint(i + 1)))
			}
			dns := names(t, "127.0.0.1", "127.0.0.2")
			u := dns.pool(t, port, Options{
				DNS: DNS{Timeout: soon}, Outliers: Outliers{Consecutive: 1, Base: time.Hour, MaxPercent: 10},
			})
			eventually(t, "the addresses are known", func() bool { return u.hosts() == "127.0.0.1 127.0.0.2" })
			inTurn(t, u, 2)
			bad := u.Endpoints()[1]
			bad.failed()
			test.change(dns)
			failed, looked := u.lookupsFailed.Load(), u.lookups.Load()
			eventually(t, "it has been looked up again", func() bool {
				if test.fails {
					return u.lookupsFailed.Load() > failed+1
				}
				return u.lookups.Load() > looked+2
			})
			if u.Endpoints()[1] != bad || !bad.Stats().Ejected || bad.Stats().Idle != 1 {
				t.Errorf("%+v", bad.Stats())
			}
			if who := inTurn(t, u, 4); strings.Contains(who, "2") || !strings.Contains(who, "1") {
				t.Errorf("%q answered, while 2 is ejected", who)
			}
		})
	}
}

func TestUntilTheFirstLookupTheNameIsTheEndpoint(t *testing.T) {
	servers, port := listenAll(t, nil, "127.0.0.1")
	servers[0].play(named("a"))
	dns := names(t)
	dns.say(2)
	u := dns.pool(t, port, Options{})
	eventually(t, "a lookup has failed", func() bool { return u.lookupsFailed.Load() > 0 })
	if u.hosts() != "up.test" {
		t.Errorf("endpoints: %s", u.hosts())
	}
	from, _ := client(t)
	if r := do(u, get(), from); kind(t, r.err) != Connect {
		t.Errorf("%v, want that no connection could be made", r)
	}
	dns.say(0, "127.0.0.1")
	eventually(t, "the address is known", func() bool { return u.hosts() == "127.0.0.1" })
	if who := inTurn(t, u, 1); who != "a" {
		t.Errorf("%q answered", who)
	}
}

func TestWithoutRefreshANameIsOneEndpoint(t *testing.T) {
	servers, port := listenAll(t, nil, "127.0.0.1")
	servers[0].play(func(p *peer) { p.head(); p.send(ok) })
	dns := names(t, "127.0.0.1", "127.0.0.2")
	u := New(Options{Name: "up", Address: "up.test:" + port, DNS: DNS{Server: dns.address}})
	defer u.Close()
	if dns.questions() != 0 {
		t.Error("it is looked up before it is needed")
	}
	inTurn(t, u, 2) // goes to the address at which somebody listens
	if u.hosts() != "up.test" || dns.questions() < 2 {
		t.Errorf("endpoints: %s, %d questions", u.hosts(), dns.questions())
	}
}

// TestTLSNameIsNotTheAddress checks the name of the configuration, whatever the address is.
func TestTLSNameIsNotTheAddress(t *testing.T) {
	config := serverTLS()
	asked := make(chan string, 1)
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		asked <- h.ServerName
		return nil, nil
	}
	servers, port := listenAll(t, config, "127.0.0.2")
	servers[0].play(named("a"))
	u := names(t, "127.0.0.2").pool(t, port, Options{TLS: clientTLS()})
	eventually(t, "the address is known", func() bool { return u.hosts() == "127.0.0.2" })
	if who := inTurn(t, u, 1); who != "a" {
		t.Errorf("%q answered", who)
	}
	if name := <-asked; name != "example.com" {
		t.Errorf("server name %q", name)
	}
}

// TestHealthOfWhatComesAndGoes checks what DNS names, and nothing else any more.
func TestHealthOfWhatComesAndGoes(t *testing.T) {
	servers, port := listenAll(t, nil, "127.0.0.1", "127.0.0.2")
	for i, s := range servers {
		s.play(named(fmt.Sprint(i + 1)))
	}
	dns := names(t, "127.0.0.1")
	u := dns.pool(t, port, Options{Health: health()})
	eventually(t, "the address is known", func() bool { return u.hosts() == "127.0.0.1" })
	old := u.Endpoints()[0]
	eventually(t, "it is checked", func() bool { return old.Stats().Checks > 2 })
	dns.say(0, "127.0.0.2")
	eventually(t, "the other is checked", func() bool { return u.hosts() == "127.0.0.2" && u.Endpoints()[0].Stats().Checks > 2 })
	eventually(t, "the old one is not", func() bool {
		before := old.Stats().Checks
		now := u.Endpoints()[0].Stats().Checks
		eventually(t, "time passes", func() bool { return u.Endpoints()[0].Stats().Checks > now+2 })
		return old.Stats().Checks == before
	})
}

func TestCloseEndsLookups(t *testing.T) {
	dns := names(t)
	dns.hush()
	u := dns.pool(t, "80", Options{})
	eventually(t, "it is being looked up", func() bool { return dns.questions() > 0 })
	u.Close()
}
