package main

import "sync"

// A gate holds responses until a test lets them go on, so that a test can assert order and never time. Releases are permits: one
// that comes before the response has arrived is kept for it.
type gate struct {
	name string

	mu      sync.Mutex
	held    []*holding // in order of arrival
	permits int
	open    bool
	changed chan struct{} // closed at the next change; nil while nobody watches
}

// A holding is one response that waits at a gate.
type holding struct {
	ready chan struct{}

	Connection uint64 `json:"connection"`
	Number     int    `json:"number"`
	Tenant     string `json:"tenant"`
	Target     string `json:"target"`
	At         string `json:"at"`
	Sent       int64  `json:"sent_body_bytes"`
}

// wait returns nil once x may go on from p, and errPeerLeft when its client does not wait for it any longer.
func (g *gate) wait(x *exchange, p point) error {
	g.mu.Lock()
	if g.open || g.permits > 0 && len(g.held) == 0 {
		if !g.open {
			g.permits--
		}
		g.touch()
		g.mu.Unlock()
		return nil
	}
	h := &holding{
		ready: make(chan struct{}), Connection: x.c.id, Number: x.c.number, Tenant: string(x.tenant),
		Target: string(x.req.target), At: p.String(), Sent: x.wire.sent,
	}
	g.held = append(g.held, h)
	g.touch()
	g.mu.Unlock()

	err := x.c.wait(h.ready)
	if err != nil {
		g.mu.Lock()
		for i, other := range g.held {
			if other == h {
				g.held = append(g.held[:i], g.held[i+1:]...)
			}
		}
		g.touch()
		g.mu.Unlock()
	}
	return err
}

// release lets n holds pass: those that wait, in order of arrival, then those to come.
func (g *gate) release(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.permits += n
	for g.permits > 0 && len(g.held) > 0 {
		close(g.held[0].ready)
		g.held = g.held[1:]
		g.permits--
	}
	g.touch()
}

// openForGood lets everything pass from now on.
func (g *gate) openForGood() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = true
	for _, h := range g.held {
		close(h.ready)
	}
	g.held = nil
	g.touch()
}

// touch wakes those who watch. The caller holds mu.
func (g *gate) touch() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// A gateState is what the control API says of a gate.
type gateState struct {
	Gate    string     `json:"gate"`
	Open    bool       `json:"open"`
	Permits int        `json:"permits"`
	Waiting []*holding `json:"waiting"`
}

// state returns what g is now, and a channel that is closed at its next change.
func (g *gate) state() (gateState, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return gateState{g.name, g.open, g.permits, append([]*holding{}, g.held...)}, g.changed
}
