package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Stats count what has become of a module's instances and calls.
type Stats struct {
	Idle, Live int   // now; the live ones are idle, lent or being made
	Waiting    int   // calls that wait for an instance
	Memory     int64 // bytes of linear memory of all instances, as of when each was given back

	Made, Closed int64 // instances ever
	Recycled     int64 // of the closed ones: because of their age or memory
	Lost         int64 // of the closed ones: because something went wrong in them
	Failed       int64 // could not be made

	Calls    int64 // of guests
	Traps    int64 // calls by how they ended; an exit is not a trap
	Timeouts int64
	Exits    int64
	Broken   int64 // results against the rules of the ABI
	Busy     int64 // calls that were not made because all instances stayed taken
}

// A waiter is a call that waits for an instance.
type waiter struct {
	got chan lending // has room for one
}

type lending struct {
	in  *Instance
	err error
}

// Stats returns the counts as they are now.
func (m *Module) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Idle, s.Live, s.Waiting = len(m.idle), m.live, len(m.waiting)
	return s
}

// Borrow lends an instance. If all are taken it waits for one, as long as the limits say.
func (m *Module) Borrow() (*Instance, error) {
	m.mu.Lock()
	n := len(m.idle) - 1
	if n < 0 {
		return m.wait()
	}
	in := m.idle[n]
	m.idle[n] = nil
	m.idle = m.idle[:n]
	in.lent = true
	m.mu.Unlock()
	return in, nil
}

// wait is entered with m.mu held and leaves without it.
func (m *Module) wait() (*Instance, error) {
	if m.closing {
		m.mu.Unlock()
		return nil, ErrClosed
	}
	w := &waiter{got: make(chan lending, 1)}
	m.waiting = append(m.waiting, w)
	m.grow()
	m.mu.Unlock()

	t := time.NewTimer(m.limits.Wait)
	defer t.Stop()
	select {
	case l := <-w.got:
		return l.in, l.err
	case <-t.C:
	}
	m.mu.Lock()
	if i := slices.Index(m.waiting, w); i >= 0 {
		m.waiting = slices.Delete(m.waiting, i, i+1)
		m.stats.Busy++
		m.mu.Unlock()
		return nil, fmt.Errorf("%w: %d of them, for %v", ErrBusy, m.limits.Instances, m.limits.Wait)
	}
	m.mu.Unlock()
	l := <-w.got // it came in the last moment
	return l.in, l.err
}

// grow starts making instances for those who wait, or one to have one ready. It is called with m.mu held.
func (m *Module) grow() {
	wanted := len(m.waiting)
	if len(m.idle) == 0 {
		wanted = max(wanted, 1)
	}
	for m.making < wanted && m.live < m.limits.Instances {
		m.live++
		m.making++
		go func() { m.arrive(m.instantiate()) }()
	}
}

// arrive takes an instance that was made, or the reason why it was not.
func (m *Module) arrive(in *Instance, err error) {
	m.mu.Lock()
	m.making--
	if err != nil {
		m.live--
		m.stats.Failed++
		m.count(err)
		if len(m.waiting) > 0 {
			w := m.waiting[0]
			m.waiting = slices.Delete(m.waiting, 0, 1)
			w.got <- lending{err: fmt.Errorf("new instance: %w", err)}
		}
		if len(m.waiting) > 0 {
			m.grow() // they may be luckier
		}
		m.unlock(nil)
		return
	}
	m.stats.Made++
	m.stats.Memory += in.size
	var old []*Instance // their successor is here
	m.idle = slices.DeleteFunc(m.idle, func(i *Instance) bool {
		if i.due() {
			old = append(old, i)
			return true
		}
		return false
	})
	m.stats.Recycled += int64(len(old))
	if m.closing {
		old = append(old, in)
	} else {
		m.lend(in)
	}
	m.unlock(old)
}

// lend gives in to the one who waits longest, or keeps it. It is called with m.mu held.
func (m *Module) lend(in *Instance) {
	if len(m.waiting) > 0 {
		w := m.waiting[0]
		m.waiting = slices.Delete(m.waiting, 0, 1)
		in.lent = true
		w.got <- lending{in: in}
		return
	}
	in.lent = false
	m.idle = append(m.idle, in)
}

// Return gives an instance back. It may be lent again at once, or be closed.
func (in *Instance) Return() {
	if !in.lent {
		panic("BUG: instance of " + in.module.name + " was given back twice")
	}
	m := in.module
	in.Exchange = nil
	size := in.MemorySize()
	m.mu.Lock()
	m.stats.Calls += in.count - in.added
	m.stats.Memory += size - in.size
	in.added, in.size = in.count, size
	switch {
	case in.fault != nil || in.spent:
		m.stats.Lost++
		m.count(in.fault)
	case m.closing:
	case in.due() && (len(m.idle) > 0 || in.overdue() || m.live == m.limits.Instances && m.making == 0):
		m.stats.Recycled++
	default:
		if in.due() && m.making == 0 { // it stays until its successor is here
			m.live++
			m.making++
			go func() { m.arrive(m.instantiate()) }()
		}
		m.lend(in)
		m.mu.Unlock()
		return
	}
	in.lent = false
	m.unlock([]*Instance{in})
}

// unlock lets go of m.mu and closes instances that were taken out of use; the last one out closes all that is left. It starts
// making new ones where they are missed.
func (m *Module) unlock(old []*Instance) {
	m.mu.Unlock()
	for _, in := range old {
		in.close()
	}
	m.mu.Lock()
	for _, in := range old {
		m.live--
		m.stats.Closed++
		m.stats.Memory -= in.size
	}
	if !m.closing && len(old) > 0 {
		m.grow()
	}
	last := m.closing && m.live == 0 && !m.ended
	m.ended = m.ended || last
	m.mu.Unlock()
	if last {
		m.finish()
	}
}

// count notes how a call ended. It is called with m.mu held.
func (m *Module) count(err error) {
	switch {
	case errors.Is(err, ErrTrap):
		m.stats.Traps++
	case errors.Is(err, ErrTimeout):
		m.stats.Timeouts++
	case errors.Is(err, ErrExit):
		m.stats.Exits++
	case errors.Is(err, ErrBroken):
		m.stats.Broken++
	}
}

// Close ends m. Idle instances are closed at once, lent ones when they are given back; whoever closes the last one frees the rest.
func (m *Module) Close() {
	m.mu.Lock()
	m.closing = true
	old := m.idle
	m.idle = nil
	for _, w := range m.waiting {
		w.got <- lending{err: ErrClosed}
	}
	m.waiting = nil
	m.unlock(old)
}

// Closed is closed when nothing of m is left: no instance, no memory, no code.
func (m *Module) Closed() <-chan struct{} { return m.closed }

func (m *Module) finish() {
	ctx := context.Background()
	_ = m.runtime.Close(ctx) // the host functions; there are no files that could fail
	_ = m.code.Close(ctx)
	for _, code := range m.hosts {
		_ = code.Close(ctx)
	}
	close(m.closed)
}
