package gateway

import (
	"io"
	"net"
	"strings"
	"testing"
)

// TestHalfClosed has a client end its side before there is a response.
func TestHalfClosed(t *testing.T) {
	for _, means := range []string{"gone", "waiting"} {
		t.Run(means, func(t *testing.T) {
			fin := make(chan struct{})
			ended := make(chan bool, 1)
			r := prepare(t, serveUpstream(t, func(c *peer) {
				c.head()
				close(fin)
				if means == "waiting" {
					c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
				rest, _ := c.rest()
				ended <- rest == ""
			}), strings.Replace(switching, "{name: all,", "{name: all, half_closed: "+means+",", 1)).serving()
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			<-fin
			c.Conn.(*net.TCPConn).CloseWrite() //nolint:errcheck
			got, _ := c.rest()
			if means == "gone" && got != "" || means == "waiting" && (status(got) != "200 OK" || !strings.HasSuffix(got, "ok")) {
				t.Errorf("got %q", got)
			}
			if means == "gone" && !<-ended {
				t.Error("the upstream's exchange goes on")
			}
		})
	}
}

// TestHalfClosedAtOnce has the client end its side right behind its requests, before the gateway has even read them.
func TestHalfClosedAtOnce(t *testing.T) {
	r := prepare(t, serveUpstream(t, func(c *peer) {
		for c.head() != "" {
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}), strings.Replace(switching, "{name: all,", "{name: all, half_closed: waiting,", 1)).serving()
	for range 50 {
		c := r.dial()
		c.send(strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 3))
		c.Conn.(*net.TCPConn).CloseWrite() //nolint:errcheck
		if got, err := c.rest(); strings.Count(got, "200 OK") != 3 || err != nil {
			t.Fatalf("of three: %q, %v", got, err)
		}
	}
}

// TestAClientThatResetsInTheMiddleOfItsContentHasLeft and has not sent a malformed one, whoever notices it first.
func TestAClientThatResetsInTheMiddleOfItsContentHasLeft(t *testing.T) {
	arrived := make(chan struct{})
	s := launch(t, serveUpstream(t, func(c *peer) {
		c.head()
		c.take(5)
		arrived <- struct{}{}
		io.Copy(io.Discard, c.r) //nolint:errcheck // until it is broken off
	}), everything)
	for range 20 {
		c := s.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
		<-arrived
		c.Conn.(*net.TCPConn).SetLinger(0) //nolint:errcheck
		c.Close()
	}
	s.counted(`breakwater_requests_total{route="all",class="aborted",fault="client"}`, "20")
}
