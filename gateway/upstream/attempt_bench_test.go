package upstream

import (
	"net"
	"testing"

	"github.com/breakwater-gateway/breakwater/gateway/conn"
)

// BenchmarkAttempt makes whole exchanges over one connection, past no gate and past one with everything.
func BenchmarkAttempt(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchAttempt(b, Options{}) })
	b.Run("gated", func(b *testing.B) {
		benchAttempt(b, Options{
			Limits:   LimitOptions{Requests: 10, Pending: 10},
			Breaker:  BreakerOptions{Consecutive: 5, Percent: 50, Requests: 20, Window: 10e9, Open: 10e9, Trials: 3},
			Adaptive: AdaptiveOptions{Min: 3, Max: 100},
		})
	})
}

func benchAttempt(b *testing.B, o Options) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					c.Write([]byte(ok)) //nolint:errcheck
				}
			}()
		}
	}()
	o.Name, o.Address, o.MaxIdle = "up", ln.Addr().String(), 4
	u := New(o)
	b.Cleanup(u.Close)
	ours, theirs := net.Pipe()
	b.Cleanup(func() { ours.Close(); theirs.Close() })
	from := &conn.Accepted{Socket: conn.NewSocket(ours)}
	var a Attempt
	var to interims
	req := get()
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Do(u, req, from, &to); err != nil {
			b.Fatal(err)
		}
		for !a.Done() {
			a.Next() //nolint:errcheck
		}
		a.Close(from)
	}
}
