package conn

import (
	"errors"
	"io"
	"net"
	"time"
)

// A Patient listener goes on after errors that pass, such as a lack of file descriptors: to fasthttp each one is the end of
// the server.
type Patient struct {
	net.Listener
	Failed func(error) // called for each such error; may be nil
}

// Accept implements net.Listener. Its errors are those of a closed listener.
func (p Patient) Accept() (net.Conn, error) {
	const most = time.Second
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, most) {
		c, err := p.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
			return c, err
		}
		if p.Failed != nil {
			p.Failed(err)
		}
		time.Sleep(pause)
	}
}

// tooMany is said to a client that is one too many.
const tooMany = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"

// refuse ends a connection, with a word to a client that can hear it. It waits for nobody.
func refuse(c net.Conn, plain bool) {
	if plain {
		c.SetWriteDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the write fails
		io.WriteString(c, tooMany)                      //nolint:errcheck // it was worth a try
	}
	c.Close() //nolint:errcheck // nothing is lost
}
