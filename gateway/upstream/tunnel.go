package upstream

import (
	"github.com/breakwater-gateway/breakwater/gateway/conn"
	"github.com/breakwater-gateway/breakwater/gateway/wire"
)

// agreed reports whether a 101 changes to a protocol that was asked for (9110 7.8).
func (a *Attempt) agreed(req *Request) bool {
	if !a.hops.Upgrade() {
		return false
	}
	chosen := 0
	for i := range a.Head.Fields {
		if f := &a.Head.Fields[i]; f.Known == wire.Upgrade {
			for e := range wire.Elements(f.Value) {
				if !wire.Lists(req.Upgrade, e) {
					return false
				}
				chosen++
			}
		}
	}
	return chosen > 0
}

// Tunnel is the connection once the upstream has agreed to another protocol: what it reads comes after the 101. It holds
// until Close.
func (a *Attempt) Tunnel() *Tunnel { return &Tunnel{a.l} }

// A Tunnel is a connection that no longer speaks HTTP.
type Tunnel struct{ l *link }

// Read implements io.Reader. It returns [conn.ErrEnd] at a clean end, and over TLS [conn.ErrCut] at one that is not.
func (t *Tunnel) Read(p []byte) (int, error) {
	if l := t.l; l.r < l.w {
		n := copy(p, l.buf[l.r:l.w])
		l.r += n
		return n, nil
	}
	return conn.Read(t.l.stream, t.l.socket, p)
}

// Write implements io.Writer.
func (t *Tunnel) Write(p []byte) (int, error) { return t.l.stream.Write(p) }

// CloseWrite says to the upstream that nothing more will come.
func (t *Tunnel) CloseWrite() error { return conn.CloseWrite(t.l.stream, t.l.socket) }

// Abort closes the connection with RST and, over TLS, without close_notify: the upstream sees that it was cut. [Attempt.Close]
// must follow all the same.
func (t *Tunnel) Abort() {
	t.l.socket.Reset()
	t.l.socket.Close() //nolint:errcheck // Close follows
}

// Socket is what lies below TLS, for its deadlines.
func (t *Tunnel) Socket() *conn.Socket { return t.l.socket }
