package e2e

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A load is clients that send one request after another, each over the one connection that it has opened at the start: a
// connection that the gateway drops is a failure. What they must be answered depends on the stage that the test is in.
//
// A request belongs to all stages from the one in which it has begun to the one in which it has ended, and its answer must be
// allowed by one of them. So a stage that is entered when a change has been answered says what each request that begins
// afterwards must meet, while those under way may still meet the old.
type load struct {
	t     *testing.T
	size  int
	now   atomic.Pointer[stage]
	ended chan struct{}
	wait  sync.WaitGroup

	mu     sync.Mutex
	counts map[string]int // answers by stage of the beginning and kind
	wrong  int
}

// A stage is a part of the story.
type stage struct {
	name   string
	number int
	each   func(client int) int // how many requests each client sends; nil: on and on
	want   func(client int, answer string) bool
	before *stage
	next   chan struct{} // closed when the next one has begun
	done   sync.WaitGroup
}

// startLoad lets n clients send. Ask sends one client's request number i over its connection and says in a word what the
// answer was.
func startLoad(t *testing.T, address string, n int, first *stage, ask func(p *peer, client, i int) string) *load {
	t.Helper()
	l := &load{t: t, size: n, ended: make(chan struct{}), counts: map[string]int{}}
	var peers []*peer
	for range n {
		peers = append(peers, dial(t, address))
	}
	first.next = make(chan struct{})
	first.done.Add(n)
	l.now.Store(first)
	for client, p := range peers {
		l.wait.Go(func() { l.run(p, client, ask) })
	}
	t.Cleanup(l.stop)
	return l
}

// enter begins a stage.
func (l *load) enter(s *stage) *stage {
	s.before = l.now.Load()
	s.number = s.before.number + 1
	s.next = make(chan struct{})
	s.done.Add(l.size)
	l.now.Store(s)
	close(s.before.next)
	return s
}

// finish waits until every client has sent all its requests of the present stage.
func (l *load) finish(s *stage) {
	l.t.Helper()
	all := make(chan struct{})
	go func() { s.done.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(patience):
		l.t.Fatalf("stage %q: clients did not finish", s.name)
	}
	l.check()
}

// check fails the test if an answer was wrong.
func (l *load) check() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrong > 0 {
		l.t.Fatalf("%d answers were wrong", l.wrong)
	}
}

// count returns how many requests that began in a stage were answered so.
func (l *load) count(s *stage, answer string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[s.name+": "+answer]
}

// stop ends the load.
func (l *load) stop() {
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
	l.wait.Wait()
}

func (l *load) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

func (l *load) run(p *peer, client int, ask func(*peer, int, int) string) {
	for i, s := 0, l.now.Load(); ; s = l.now.Load() {
		for sent := 0; s.each == nil || sent < s.each(client); sent++ {
			if l.over() {
				s.done.Done()
				return
			}
			if s != l.now.Load() {
				break
			}
			answer := ask(p, client, i)
			l.note(s, l.now.Load(), client, answer)
			i++
		}
		s.done.Done()
		select {
		case <-s.next:
		case <-l.ended:
			return
		}
	}
}

// note looks whether an answer is allowed.
func (l *load) note(began, ended *stage, client int, answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[began.name+": "+answer]++
	for s := ended; s.number >= began.number; s = s.before {
		if s.want(client, answer) {
			return
		}
		if s.before == nil {
			break
		}
	}
	if l.wrong++; l.wrong <= 10 {
		l.t.Errorf("client %d: a request from stage %q to %q: %s", client, began.name, ended.name, answer)
	}
}

// all makes every client send n requests in a stage.
func all(n int) func(int) int { return func(int) int { return n } }

// only allows some kinds of answers.
func only(kinds ...string) func(int, string) bool {
	return func(_ int, answer string) bool {
		return slices.Contains(kinds, answer)
	}
}
