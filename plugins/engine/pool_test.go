package engine_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/plugins/engine"
	"github.com/breakwater-gateway/breakwater/plugins/internal/wasmtest"
)

func TestOneInstanceIsThereFromTheStartAndUsedAgain(t *testing.T) {
	wasm, abi := plain()
	m := setup{wasm: wasm, abi: abi}.start(t)
	if st := m.Stats(); st.Made != 1 || st.Idle != 1 {
		t.Fatalf("%+v, want 1 made and idle", st)
	}
	first := borrow(t, m)
	first.Return()
	for range 100 {
		in := borrow(t, m)
		if in != first {
			t.Fatal("another instance, want the same one again")
		}
		if err := in.Call(nothing); err != nil {
			t.Fatal(err)
		}
		in.Return()
	}
	if st := m.Stats(); st.Made != 1 || st.Calls != 100 {
		t.Errorf("%+v, want 1 made, 100 calls", st)
	}
}

func TestNoMoreInstancesThanAllowed(t *testing.T) {
	wasm, abi := plain()
	m := setup{wasm: wasm, abi: abi, limits: engine.Limits{Instances: 2, Wait: 20 * time.Millisecond}}.start(t)
	one := borrow(t, m)
	var two *engine.Instance
	eventually(t, "a second instance", func() (ok bool) { // it may take longer to make than the limit on waiting
		var err error
		two, err = m.Borrow()
		return err == nil
	})
	before := m.Stats().Busy
	if _, err := m.Borrow(); !errors.Is(err, engine.ErrBusy) || err.Error() != "all instances are taken: 2 of them, for 20ms" {
		t.Errorf("a third one: %v, want ErrBusy", err)
	}
	if st := m.Stats(); st.Busy != before+1 || st.Live != 2 || st.Waiting != 0 {
		t.Errorf("%+v, want 1 more busy, 2 live", st)
	}
	one.Return()
	two.Return()
}

func TestWaitingCallsGetWhatIsGivenBack(t *testing.T) {
	wasm, abi := plain()
	m := setup{wasm: wasm, abi: abi, limits: engine.Limits{Instances: 1}}.start(t)
	in := borrow(t, m)
	got := make(chan *engine.Instance)
	go func() {
		other, err := m.Borrow()
		if err != nil {
			t.Error(err)
		}
		got <- other
	}()
	eventually(t, "a call that waits", func() bool { return m.Stats().Waiting == 1 })
	in.Return()
	if other := <-got; other != in {
		t.Error("another instance, want the one that was given back")
	} else {
		other.Return()
	}
}

func TestAnInstanceThatFailedIsReplaced(t *testing.T) {
	wasm, abi := plain()
	m := setup{wasm: wasm, abi: abi, limits: engine.Limits{Instances: 1}}.start(t)
	in := borrow(t, m)
	if err := in.Call(trap); !errors.Is(err, engine.ErrTrap) {
		t.Fatal(err)
	}
	got := make(chan *engine.Instance)
	go func() {
		other, err := m.Borrow()
		if err != nil {
			t.Error(err)
		}
		got <- other
	}()
	eventually(t, "a call that waits", func() bool { return m.Stats().Waiting == 1 })
	in.Return()
	other := <-got
	defer other.Return()
	if other == in {
		t.Fatal("the instance that trapped was lent again")
	}
	if err := other.Call(nothing); err != nil {
		t.Error(err)
	}
}

func TestRulesBrokenLikeATrap(t *testing.T) {
	wasm, abi := plain()
	m := setup{wasm: wasm, abi: abi}.start(t)
	in := borrow(t, m)
	if err := in.Break(nothing, "said 5: expected 4"); err.Error() != "nothing: broke the rules of its ABI: said 5: expected 4" {
		t.Errorf("Break = %v", err)
	}
	in.Return()
	if st := m.Stats(); st.Broken != 1 || st.Lost != 1 || st.Closed != 1 {
		t.Errorf("%+v, want 1 broken, lost, closed", st)
	}
}

func TestInstancesAreRecycled(t *testing.T) {
	for _, tt := range []struct {
		name   string
		call   int
		limits engine.Limits
	}{
		{"after so many calls", nothing, engine.Limits{Calls: 50}},
		{"when the memory has grown", grow, engine.Limits{GrowthBytes: 50 * 64 << 10}},
		{"also if there is only one", nothing, engine.Limits{Calls: 50, Instances: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wasm, abi := plain()
			m := setup{wasm: wasm, abi: abi, limits: tt.limits}.start(t)
			most := int64(0)
			for range 500 {
				in := borrow(t, m)
				if err := in.Call(tt.call); err != nil {
					t.Fatal(err)
				}
				in.Return()
				most = max(most, m.Stats().Memory)
			}
			// An instance goes when its successor is here, and at the latest after twice its time.
			eventually(t, "instances that were recycled", func() bool { st := m.Stats(); return st.Recycled >= 4 && st.Closed == st.Recycled })
			if limit := int64(m.Limits().Instances) * 102 * 64 << 10; most > limit {
				t.Errorf("%d bytes of memory at most, want no more than %d", most, limit)
			}
			if st := m.Stats(); st.Lost != 0 || st.Calls != 500 {
				t.Errorf("%+v, want none lost, 500 calls", st)
			}
		})
	}
}

func TestManyCallersAtATime(t *testing.T) {
	wasm, abi := plain()
	m := setup{wasm: wasm, abi: abi, limits: engine.Limits{Instances: 3, Calls: 100}}.start(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	lent := map[*engine.Instance]bool{}
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				in := borrow(t, m)
				mu.Lock()
				if lent[in] {
					t.Error("an instance is lent twice")
				}
				lent[in] = true
				mu.Unlock()
				call := nothing
				if (i+worker)%50 == 0 {
					call = trap
				}
				if err := in.Call(call); (err != nil) != (call == trap) {
					t.Errorf("Call(%d) = %v", call, err)
				}
				mu.Lock()
				lent[in] = false
				mu.Unlock()
				in.Return()
			}
		})
	}
	wg.Wait()
	if st := m.Stats(); st.Calls != 4000 || st.Traps != 80 || st.Live > 3 {
		t.Errorf("%+v, want 4000 calls, 80 traps, at most 3 live", st)
	}
}

func TestCloseWhileLent(t *testing.T) {
	wasm, abi := plain()
	m := setup{wasm: wasm, abi: abi, limits: engine.Limits{Instances: 1}}.start(t)
	in := borrow(t, m)
	waiting := make(chan error)
	go func() {
		_, err := m.Borrow()
		waiting <- err
	}()
	eventually(t, "a call that waits", func() bool { return m.Stats().Waiting == 1 })
	m.Close()
	if err := <-waiting; !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a call that waited: %v, want ErrClosed", err)
	}
	if _, err := m.Borrow(); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a new call: %v, want ErrClosed", err)
	}
	if err := in.Call(nothing); err != nil {
		t.Errorf("the call that was under way: %v", err)
	}
	select {
	case <-m.Closed():
		t.Error("closed while an instance is lent")
	default:
	}
	in.Return()
	<-m.Closed()
}

func TestNewInstancesThatFail(t *testing.T) {
	wasm, abi := plain()
	fail := errors.New("not today")
	made := 0
	abi.Ready = func(*engine.Instance) error {
		if made++; made > 1 {
			return fail
		}
		return nil
	}
	m := setup{wasm: wasm, abi: abi, limits: engine.Limits{Instances: 2}}.start(t)
	in := borrow(t, m)
	defer in.Return()
	for range 3 {
		if _, err := m.Borrow(); !errors.Is(err, fail) || err.Error() != "new instance: not today" {
			t.Errorf("Borrow = %v, want the reason", err)
		}
	}
	if st := m.Stats(); st.Failed != 3 || st.Live != 1 {
		t.Errorf("%+v, want 3 failed, 1 live", st)
	}
}

func TestGrowthStopsAtTheLimit(t *testing.T) {
	m := wasmtest.New()
	m.Memory(1, 0)
	m.Func("grow", nil, nil, wasmtest.Loop(
		wasmtest.I32Const(1), wasmtest.MemoryGrow, wasmtest.I32Const(1), wasmtest.I32Add, wasmtest.BrIf(0)))
	module := setup{
		wasm: m, abi: engine.ABI{Calls: []engine.Call{{Name: "grow"}}},
		limits: engine.Limits{MemoryBytes: 1 << 20},
	}.start(t)
	in := borrow(t, module)
	if err := in.Call(0); err != nil {
		t.Fatal(err)
	}
	if got := in.MemorySize(); got != 1<<20 {
		t.Errorf("memory of %d bytes, want %d", got, 1<<20)
	}
	in.Return()
}

func TestReturnedTwice(t *testing.T) {
	wasm, abi := plain()
	in := borrow(t, setup{wasm: wasm, abi: abi}.start(t))
	in.Return()
	defer func() {
		if got := fmt.Sprint(recover()); got != "BUG: instance of guest was given back twice" {
			t.Errorf("panic %q, want a BUG", got)
		}
	}()
	in.Return()
}
