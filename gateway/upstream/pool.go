package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
)

// Options say how to reach and use an upstream. Zero timeouts are none.
type Options struct {
	Name    string
	Address string      // host:port
	TLS     *tls.Config // nil: plain

	ConnectTimeout  time.Duration // for TCP and TLS together
	HeadTimeout     time.Duration // from the request's last byte to the response head's
	IdleBodyTimeout time.Duration // between two reads of a content, and for each write
	IdleTimeout     time.Duration // for which an unused connection is kept

	MaxConnections int // open at a time; 0: no limit
	MaxIdle        int // kept unused
	MaxHead        int // bytes of a response head
}

// An Upstream is a pool of connections to one address. It outlives the configuration that named it as long as nothing of
// its Options changes.
type Upstream struct {
	Options
	name string

	mu     sync.Mutex
	idle   []*link // the most recently used last
	closed bool

	open    atomic.Int64
	dials   atomic.Uint64
	reuses  atomic.Uint64
	retries atomic.Uint64
	stale   atomic.Uint64

	stop chan struct{}
	done chan struct{}
}

// New returns a pool without connections. Close ends it.
func New(o Options) *Upstream {
	u := &Upstream{Options: o, name: o.Name, stop: make(chan struct{}), done: make(chan struct{})}
	go u.reap()
	return u
}

// Stats are counts since the start, and the connections now.
type Stats struct {
	Open, Idle                    int
	Dials, Reuses, Retries, Stale uint64
}

// Stats returns u's counts.
func (u *Upstream) Stats() Stats {
	u.mu.Lock()
	idle := len(u.idle)
	u.mu.Unlock()
	return Stats{int(u.open.Load()), idle, u.dials.Load(), u.reuses.Load(), u.retries.Load(), u.stale.Load()}
}

// Close closes the idle connections. Those in use are closed when their attempts end.
func (u *Upstream) Close() {
	u.mu.Lock()
	closed, idle := u.closed, u.idle
	u.closed, u.idle = true, nil
	u.mu.Unlock()
	if closed {
		return
	}
	for _, l := range idle {
		u.discard(l)
	}
	close(u.stop)
	<-u.done
}

// A link is a connection with what has been read from it.
type link struct {
	socket *conn.Socket
	stream net.Conn // the socket, or TLS over it
	buf    []byte
	small  []byte // buf, unless that is larger for now
	r, w   int    // buf[r:w] has been read and not used
	since  time.Time
	reused bool
	heard  bool // something has come since the attempt began
}

const (
	linkBuffer = 16 << 10
	bulkBuffer = 128 << 10 // lent to a link while a long content streams
)

var bulkBuffers = sync.Pool{New: func() any { return new([bulkBuffer]byte) }}

// fill reads more behind what is there. It never reads into a full buffer.
func (l *link) fill() error {
	if l.r == l.w {
		l.r, l.w = 0, 0
	}
	n, err := l.stream.Read(l.buf[l.w:])
	l.w += n
	if n > 0 {
		l.heard = true
		return nil
	}
	return err
}

// clean reports whether l is open and the upstream has said nothing on it since the last response, neither to the system nor
// to TLS.
func (l *link) clean() bool {
	return l.socket.Clean() && (l.stream == net.Conn(l.socket) || !l.socket.Holds(l.stream, l.buf))
}

// grow makes room behind what is there, up to limit bytes in all. It reports whether there is any.
func (l *link) grow(limit int) bool {
	if l.w < len(l.buf) {
		return true
	}
	if l.r > 0 {
		l.w = copy(l.buf, l.buf[l.r:l.w])
		l.r = 0
		return true
	}
	if len(l.buf) >= limit {
		return false
	}
	l.buf = append(l.buf, make([]byte, min(len(l.buf), limit-len(l.buf)))...)
	return true
}

// bulk lends l a larger buffer once the small one was filled at one stroke, and takes it back with slim.
func (l *link) bulk() {
	if l.r == l.w && len(l.buf) < bulkBuffer {
		l.buf, l.r, l.w = bulkBuffers.Get().(*[bulkBuffer]byte)[:], 0, 0
	}
}

func (l *link) slim() {
	if len(l.buf) == bulkBuffer {
		bulkBuffers.Put((*[bulkBuffer]byte)(l.buf))
		l.r, l.w = 0, 0
	}
	if l.r == l.w {
		l.buf, l.r, l.w = l.small, 0, 0
	}
}

var errBusy = errors.New("limit of connections reached")

// take returns a connection that is open and has nothing to read, an idle one if there is one and fresh is not asked for.
func (u *Upstream) take(fresh bool, limit time.Time) (*link, error) {
	for !fresh {
		u.mu.Lock()
		n := len(u.idle) - 1
		if n < 0 {
			u.mu.Unlock()
			break
		}
		l := u.idle[n]
		u.idle[n] = nil
		u.idle = u.idle[:n]
		u.mu.Unlock()
		if !l.clean() {
			u.stale.Add(1)
			u.discard(l)
			continue
		}
		l.reused = true
		u.reuses.Add(1)
		return l, nil
	}
	return u.dial(limit)
}

func (u *Upstream) dial(limit time.Time) (*link, error) {
	if n := u.open.Add(1); u.MaxConnections > 0 && n > int64(u.MaxConnections) {
		u.open.Add(-1)
		return nil, &Error{u.name, Busy, "connect", errBusy}
	}
	u.dials.Add(1)
	l, err := u.connect(limit)
	if err != nil {
		u.open.Add(-1)
		kind := Connect
		if network := net.Error(nil); errors.As(err, &network) && network.Timeout() {
			kind = Timeout
		}
		return nil, &Error{u.name, kind, "connect", err}
	}
	return l, nil
}

// connect makes a connection before limit, if that is not zero, and within ConnectTimeout.
func (u *Upstream) connect(limit time.Time) (*link, error) {
	ctx := context.Background()
	if u.ConnectTimeout > 0 {
		if end := time.Now().Add(u.ConnectTimeout); limit.IsZero() || end.Before(limit) {
			limit = end
		}
	}
	if !limit.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, limit)
		defer cancel()
	}
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", u.Address)
	if err != nil {
		return nil, err
	}
	s := conn.NewSocket(c)
	l := &link{socket: s, stream: s, small: make([]byte, linkBuffer)}
	l.buf = l.small
	if u.TLS != nil {
		t := tls.Client(s, u.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, err
		}
		l.stream = t
	}
	return l, nil
}

func (u *Upstream) discard(l *link) {
	l.slim()
	l.stream.Close()
	u.open.Add(-1)
}

// put gives back a connection on which an exchange has ended cleanly.
func (u *Upstream) put(l *link, now time.Time) {
	l.slim()
	l.since = now
	var oldest *link
	u.mu.Lock()
	switch {
	case u.closed, u.MaxIdle <= 0:
		oldest = l
	case len(u.idle) >= u.MaxIdle:
		oldest = u.idle[0]
		copy(u.idle, u.idle[1:])
		u.idle[len(u.idle)-1] = l
	default:
		u.idle = append(u.idle, l)
	}
	u.mu.Unlock()
	if oldest != nil {
		u.discard(oldest)
	}
}

// reap closes connections that have not been used for IdleTimeout.
func (u *Upstream) reap() {
	defer close(u.done)
	if u.IdleTimeout <= 0 {
		<-u.stop
		return
	}
	ticker := time.NewTicker(max(u.IdleTimeout/2, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-u.stop:
			return
		case now := <-ticker.C:
			u.closeBefore(now.Add(-u.IdleTimeout))
		}
	}
}

func (u *Upstream) closeBefore(t time.Time) {
	u.mu.Lock()
	n := 0
	for n < len(u.idle) && u.idle[n].since.Before(t) {
		n++
	}
	old := append([]*link(nil), u.idle[:n]...)
	u.idle = slices.Delete(u.idle, 0, n)
	u.mu.Unlock()
	for _, l := range old {
		u.discard(l)
	}
}
