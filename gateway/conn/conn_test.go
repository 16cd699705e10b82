package conn

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// eventually waits until what is said of something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// listen returns a Listener on a port of its own.
func listen(t *testing.T, w *Watcher, config *tls.Config) *Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	l := &Listener{Listener: ln, Watcher: w}
	if config != nil {
		l.TLS = func() *tls.Config { return config }
	}
	return l
}

// connect returns both ends of a connection to l: ours, and the client's.
func connect(t *testing.T, l *Listener) (*Accepted, *net.TCPConn) {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); ours.Close() })
	client.SetDeadline(time.Now().Add(patience)) //nolint:errcheck
	return Of(ours), client.(*net.TCPConn)
}

// pair is a connection without a Watcher and without TLS.
func pair(t *testing.T) (*Accepted, *net.TCPConn) {
	t.Helper()
	return connect(t, listen(t, nil, nil))
}

func watcher(t *testing.T) *Watcher {
	t.Helper()
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// reset closes c with RST.
func reset(c *net.TCPConn) {
	c.SetLinger(0) //nolint:errcheck
	c.Close()
}

// certificate is for 127.0.0.1.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
})

// secured is a connection with TLS, its handshake done: ours, the client's end of TLS, and what lies below that.
func secured(t *testing.T, w *Watcher) (*Accepted, *tls.Conn, *net.TCPConn) {
	t.Helper()
	pair, pool := certificate()
	a, tcp := connect(t, listen(t, w, &tls.Config{Certificates: []tls.Certificate{pair}}))
	client := tls.Client(tcp, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := a.stream.(*tls.Conn).Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return a, client, tcp
}

// descriptors is how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("this system does not say which descriptors are open: %v", err)
	}
	return len(open)
}
