package upstream

import (
	"net"
	"testing"
	"time"
)

// BenchmarkTakePut takes an idle connection, looks at it and gives it back: what every request does.
func BenchmarkTakePut(b *testing.B) {
	u := benchUpstream(b)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		l, err := u.pick(nil).take(false, false, time.Time{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		l.from.put(l, now)
	}
}

func benchUpstream(b *testing.B) *Upstream {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	u := New(Options{Name: "up", Address: ln.Addr().String(), MaxIdle: 10})
	b.Cleanup(u.Close)
	l, err := u.pick(nil).take(true, false, time.Time{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	l.from.put(l, time.Now())
	return u
}
