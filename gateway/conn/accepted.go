package conn

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// An Accepted is a client's connection, above TLS if there is TLS.
type Accepted struct {
	*Socket
	stream net.Conn // the Socket, or TLS over it

	mu      sync.Mutex
	ended   bool        // the client has sent FIN
	gone    bool        // the client has sent RST: it takes nothing any more
	patient bool        // FIN does not mean that
	waiter  Interrupter // broken into when the client leaves
	cutOff  bool        // this end has broken it off
	linger  atomic.Bool
	unwatch func()
	from    *Listener
	closed  sync.Once

	resting bool // between two requests: it may be told to end, under mu
}

// A secure Accepted looks to fasthttp like a *tls.Conn.
type secure struct {
	*Accepted
	tls *tls.Conn
}

func (s *secure) ConnectionState() tls.ConnectionState { return s.tls.ConnectionState() }

func (s *secure) Handshake() error {
	err := s.tls.Handshake()
	if err != nil && s.from.Unshaken != nil {
		s.from.Unshaken(err)
	}
	return err
}

// Of returns the Accepted that c, a connection accepted by a [Listener], is.
func Of(c net.Conn) *Accepted {
	switch c := c.(type) {
	case *Accepted:
		return c
	case *secure:
		return c.Accepted
	}
	return nil
}

// Read reads what the client sends, decrypted. Like [Socket.Read] it returns [ErrEnd] where others return io.EOF: a
// close_notify does not end a message either. FIN without one is [ErrCut].
func (a *Accepted) Read(p []byte) (int, error) { return Read(a.stream, a.Socket, p) }

// Read reads from stream, which is s or TLS over it. It returns [ErrEnd] where stream ends cleanly, and [ErrCut] where TLS does
// not.
func Read(stream net.Conn, s *Socket, p []byte) (int, error) {
	n, err := stream.Read(p)
	switch {
	case err == nil:
	case err == io.EOF:
		err = ErrEnd
	case err == ErrEnd && stream != net.Conn(s):
		err = ErrCut
	}
	return n, err
}

// Write writes p to the client, whole or with an error.
func (a *Accepted) Write(p []byte) (int, error) { return a.stream.Write(p) }

// Rest says that the client owes nothing: from now on [Listener.Drain] ends whatever waits for its next request. It returns
// false if there is no need to wait, for the listener is draining already. Wake must follow.
func (a *Accepted) Rest() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.resting = true
	return !a.from.draining.Load()
}

// Wake ends what Rest began. A request that has come in spite of Drain can be served.
func (a *Accepted) Wake() {
	a.mu.Lock()
	a.resting = false
	a.mu.Unlock()
	a.Resume()
}

// An Interrupter is what waits for the sake of a client: a [Socket], or the making of one.
type Interrupter interface {
	Interrupt()
}

// Watch has i interrupted when the client leaves, at once if it has left, and nothing else that was watched before. Unwatch
// must follow.
func (a *Accepted) Watch(i Interrupter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiter = i
	if a.hasLeft() {
		i.Interrupt()
	}
}

// Unwatch ends what Watch began: when it has returned, nothing is interrupted any more.
func (a *Accepted) Unwatch() {
	a.mu.Lock()
	a.waiter = nil
	a.mu.Unlock()
}

// Left reports whether the client is known to have left. One that has only sent FIN counts as gone, see KeepHalfClosed.
func (a *Accepted) Left() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hasLeft()
}

func (a *Accepted) hasLeft() bool { return a.gone || a.ended && !a.patient }

// CutOff reports whether it was not the client that left, but [Listener.Abort] that ended the connection.
func (a *Accepted) CutOff() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cutOff
}

// peerEnded notes that the client has sent FIN; gone says that it takes nothing any more either.
func (a *Accepted) peerEnded(gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended, a.gone = true, a.gone || gone
	if a.hasLeft() && a.waiter != nil {
		a.waiter.Interrupt()
	}
}

// KeepHalfClosed says whether a client that has sent FIN, now or before, still waits for its response. Else it counts as gone.
// Nothing is watched for it meanwhile.
func (a *Accepted) KeepHalfClosed(keep bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.patient = keep
}

// Linger makes Close wait a moment for the client to see the response: input that nobody read would turn the close into an
// RST, which can take the response with it (9112 9.6).
func (a *Accepted) Linger() { a.linger.Store(true) }

// Abort closes the connection with RST and, over TLS, without close_notify: a content that would end with the connection is
// seen to be cut. Close must follow all the same.
func (a *Accepted) Abort() {
	a.linger.Store(false)
	a.Reset()
	a.Socket.Close() //nolint:errcheck // Close follows
}

const (
	lingerTime  = 2 * time.Second
	lingerBytes = 256 << 10
)

// Close closes the connection.
func (a *Accepted) Close() (err error) {
	a.closed.Do(func() {
		if a.linger.Load() {
			a.drain()
		}
		a.unwatch()
		err = a.stream.Close()
		a.from.gone(a)
	})
	return err
}

// CloseWrite ends what the client is sent: close_notify over TLS, and FIN.
func (a *Accepted) CloseWrite() error { return CloseWrite(a.stream, a.Socket) }

// CloseWrite ends what is sent on stream, which is s or TLS over it.
func CloseWrite(stream net.Conn, s *Socket) error {
	if t, ok := stream.(*tls.Conn); ok {
		t.CloseWrite() //nolint:errcheck // FIN follows
	}
	return s.CloseWrite()
}

// drain sends FIN and reads a bounded amount of what the client still sends.
func (a *Accepted) drain() {
	if a.CloseWrite() != nil {
		return
	}
	a.Resume()
	a.SetReadIdle(0)
	a.Socket.SetReadDeadline(time.Now().Add(lingerTime)) //nolint:errcheck // a failed read ends the loop
	buf := make([]byte, 8<<10)
	for total := 0; total < lingerBytes; {
		n, err := a.Socket.Read(buf)
		if total += n; err != nil {
			return
		}
	}
}

// Open is how many connections are open.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

func (l *Listener) came(a *Accepted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[*Accepted]struct{}{}
	}
	l.open[a] = struct{}{}
}

func (l *Listener) gone(a *Accepted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, a)
	if len(l.open) == 0 && l.none != nil {
		close(l.none)
		l.none = nil
	}
}

// Abort aborts all connections that are open, as if their clients had left. The channel is closed when the last of them has
// been closed. It is called once, when no more are accepted.
func (l *Listener) Abort() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	none := make(chan struct{})
	if len(l.open) == 0 {
		close(none)
		return none
	}
	l.none = none
	for a := range l.open {
		a.Abort()
		a.mu.Lock()
		a.cutOff = true
		a.mu.Unlock()
		a.peerEnded(true)
	}
	return none
}

// Drain ends the connections that rest, and has those that are in use not rest any more.
func (l *Listener) Drain() {
	l.draining.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for a := range l.open {
		a.mu.Lock()
		if a.resting {
			a.Interrupt()
		}
		a.mu.Unlock()
	}
}

// A Listener accepts client connections.
type Listener struct {
	net.Listener
	TLS      func() *tls.Config // how a connection that comes now speaks it; nil: plain
	Watcher  *Watcher           // nil: a client that leaves is noticed when it is written to
	Write    time.Duration      // for each write to a client; 0: no limit
	Max      int                // connections open at a time; 0: no limit
	Refused  func()             // called for each connection that is too many
	Failed   func(error)        // called when accepting failed and is tried again
	Unshaken func(error)        // called when a TLS handshake has failed

	draining atomic.Bool

	mu   sync.Mutex
	open map[*Accepted]struct{}
	none chan struct{} // closed when the last of open has gone; nil before Abort
}

// Accept implements net.Listener. An error ends the server, so it returns none but that of a closed listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := Patient{l.Listener, l.Failed}.Accept()
		if err != nil {
			return nil, err
		}
		if l.Max == 0 || l.Open() < l.Max {
			return l.accept(c), nil
		}
		if l.Refused != nil {
			l.Refused()
		}
		refuse(c, l.TLS == nil)
	}
}

func (l *Listener) accept(c net.Conn) net.Conn {
	s := NewSocket(c)
	s.SetIdle(0, l.Write)
	a := &Accepted{Socket: s, stream: s, from: l}
	a.unwatch = l.Watcher.add(a)
	l.came(a)
	if l.TLS == nil {
		return a
	}
	t := tls.Server(s, l.TLS())
	a.stream = t
	return &secure{a, t}
}
