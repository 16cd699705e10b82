package upstream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// named answers every request with a name, until the connection ends.
func named(name string) func(p *peer) {
	return func(p *peer) {
		for p.head() != "" {
			p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(name), name))
		}
	}
}

// several returns an upstream with an endpoint for each weight. They answer with their names: a, b and so on.
func several(t *testing.T, o Options, weights ...int) *Upstream {
	t.Helper()
	for i, w := range weights {
		s := listen(t, nil).play(named(string(rune('a' + i))))
		o.Addresses = append(o.Addresses, Address{s.ln.Addr().String(), w})
	}
	o.Name, o.MaxIdle = "up", 10
	u := New(o)
	t.Cleanup(u.Close)
	return u
}

// inTurn makes n requests, one after the other, and returns who answered.
func inTurn(t *testing.T, u *Upstream, n int) string {
	t.Helper()
	from, _ := client(t)
	var who strings.Builder
	for range n {
		r := do(u, get(), from)
		if r.err != nil {
			t.Fatal(r.err)
		}
		who.WriteString(r.content)
	}
	return who.String()
}

func TestTurns(t *testing.T) {
	tests := []struct {
		name    string
		weights []int
		want    string
	}{
		{"one endpoint has all turns", []int{7}, "a"},
		{"as much for each is one turn for each", []int{3, 3, 3}, "abc"},
		{"more weight is more turns", []int{2, 1}, "aba"},
		{"only the proportion matters", []int{40, 20}, "aba"},
		{"many turns are spread among the others'", []int{5, 1, 1}, "aabacaa"},
		{"and so are those of several", []int{3, 3, 1}, "abcabab"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var all []*Endpoint
			for i, w := range test.weights {
				all = append(all, &Endpoint{address: string(rune('a' + i)), weight: w})
			}
			got := ""
			for _, e := range turns(all) {
				got += e.address
			}
			if got != test.want {
				t.Errorf("turns(%v) = %q, want %q", test.weights, got, test.want)
			}
		})
	}
}

func TestRoundRobin(t *testing.T) {
	u := several(t, Options{}, 3, 1)
	if who := inTurn(t, u, 12); strings.Count(who, "b") != 3 || strings.Contains(who, "bb") {
		t.Errorf("%q answered, want b every fourth time", who)
	}
	if st := u.Stats(); st.Dials != 2 || st.Reuses != 10 || st.Idle != 2 {
		t.Errorf("%+v, want a connection to each", st)
	}
}

// begin makes an attempt up to the response's head, and leaves it there.
func begin(t *testing.T, u *Upstream, req *Request) (a *Attempt) {
	t.Helper()
	from, _ := client(t)
	a = new(Attempt)
	t.Cleanup(func() { a.Close(from) })
	if err := a.Do(u, req, from, &interims{}); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestLeastPending(t *testing.T) {
	tests := []struct {
		name    string
		weights []int
		want    []int64 // requests under way at each
	}{
		{"as many at each", []int{1, 1}, []int64{4, 4}},
		{"by weight", []int{3, 1}, []int64{6, 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := several(t, Options{Balance: LeastPending}, test.weights...)
			var attempts []*Attempt
			for range 8 {
				attempts = append(attempts, begin(t, u, get()))
			}
			for i, e := range u.Endpoints() {
				if n := e.pending.Load(); n < test.want[i]-1 || n > test.want[i]+1 {
					t.Errorf("%d requests are under way at endpoint %d, want %d", n, i, test.want[i])
				}
			}
			from, _ := client(t)
			for _, a := range attempts {
				a.Close(from)
			}
			for i, e := range u.Endpoints() {
				if n := e.pending.Load(); n != 0 {
					t.Errorf("%d requests are under way at endpoint %d when all have ended", n, i)
				}
			}
		})
	}
	t.Run("a busy one gets nothing", func(t *testing.T) {
		u := several(t, Options{Balance: LeastPending}, 1, 1)
		busy := begin(t, u, get()).Endpoint()
		other := "a"
		if busy == u.Endpoints()[0] {
			other = "b"
		}
		if who := inTurn(t, u, 10); who != strings.Repeat(other, 10) {
			t.Errorf("%q answered, while %s was busy", who, busy.Address())
		}
	})
	t.Run("connections that cannot be made are not under way", func(t *testing.T) {
		u := New(Options{Name: "up", Address: closed(t), Balance: LeastPending, MaxConnections: 1})
		defer u.Close()
		from, _ := client(t)
		do(u, get(), from)
		u.open.Add(1)
		if r := do(u, get(), from); kind(t, r.err) != Busy || u.only().pending.Load() != 0 {
			t.Errorf("%v, %d under way", r, u.only().pending.Load())
		}
		u.open.Add(-1)
	})
}

func TestAvoid(t *testing.T) {
	for name, b := range map[string]Balance{"round robin": RoundRobin, "least pending": LeastPending} {
		t.Run(name, func(t *testing.T) {
			u := several(t, Options{Balance: b}, 1, 1, 1)
			all := u.Endpoints()
			for range 10 {
				req := get()
				if req.Avoid = all[:1]; begin(t, u, req).Endpoint() == all[0] {
					t.Error("the first was not avoided")
				}
				if req.Avoid = []*Endpoint{all[2], all[0]}; begin(t, u, req).Endpoint() != all[1] {
					t.Error("the first and the last were not avoided")
				}
				if req.Avoid = all; begin(t, u, req).Endpoint() == nil {
					t.Error("where all are to be avoided, none was used")
				}
			}
		})
	}
}

// TestAnotherEndpointAtOnce is what a caller does with an endpoint to which no connection can be made.
func TestAnotherEndpointAtOnce(t *testing.T) {
	s := listen(t, nil).play(named("b"))
	u := New(Options{Name: "up", Addresses: []Address{{closed(t), 1}, {s.ln.Addr().String(), 1}}, MaxIdle: 1})
	defer u.Close()
	from, _ := client(t)
	failed := 0
	for range 4 {
		req := get()
		var a Attempt
		err := a.Do(u, req, from, &interims{})
		if e := (*Error)(nil); errors.As(err, &e) && e.Kind == Connect && !e.Sent {
			failed++
			a.Close(from)
			req.Avoid = []*Endpoint{a.Endpoint()}
			err = a.Do(u, req, from, &interims{})
		}
		if err != nil {
			t.Fatal(err)
		}
		a.Close(from)
	}
	if st := u.Endpoints()[0].Stats(); failed == 0 || st.Failures != uint64(failed) || st.Dials != uint64(failed) || st.Open != 0 {
		t.Errorf("%+v after %d requests met it", st, failed)
	}
}
