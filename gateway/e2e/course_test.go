package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A course is how a number has gone over time.
type course struct {
	name  string
	most  float64        // that it may rise by
	now   func() float64 // asks what it is
	at    []time.Duration
	value []float64
}

func (c *course) note(at time.Duration) {
	c.at, c.value = append(c.at, at), append(c.value, c.now())
}

// rise is by how much the number has risen once it was warm, which is after a third of the time. It is the median of the slopes
// between all pairs of points: a few that lie far off, as while a lot is under way, change nothing, and a slow leak shows.
func (c *course) rise() float64 {
	warm := len(c.at) / 3
	at, value := c.at[warm:], c.value[warm:]
	var slopes []float64
	for i := range at {
		for j := range i {
			slopes = append(slopes, (value[i]-value[j])/(at[i]-at[j]).Seconds())
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	slices.Sort(slopes)
	return slopes[len(slopes)/2] * (at[len(at)-1] - at[0]).Seconds()
}

func (c *course) String() string {
	if len(c.value) == 0 {
		return "never looked at"
	}
	warm := c.value[len(c.value)/3:]
	return fmt.Sprintf("%d looks, %.0f to %.0f once warm, risen by %.0f", len(c.value), slices.Min(warm), slices.Max(warm), c.rise())
}

func TestCourse(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tests := []struct {
		name      string
		value     func(i int) float64
		low, high float64
	}{
		{"nothing happens", func(int) float64 { return 7 }, 0, 0},
		{"what is warming up does not count", func(i int) float64 { return float64(min(i, 20)) }, 0, 0},
		{"a few that lie far off do not count", func(i int) float64 { return float64(i % 10 / 9 * 1000) }, 0, 0},
		{"noise is no rise", func(int) float64 { return 100 + 50*r.Float64() }, -10, 10},
		{"a slow leak under noise", func(i int) float64 { return 50*r.Float64() + float64(i) }, 50, 80},
	}
	for _, test := range tests {
		i := 0
		c := course{now: func() float64 { i++; return test.value(i - 1) }}
		for n := range 100 {
			c.note(time.Duration(n) * time.Second)
		}
		if rise := c.rise(); rise < test.low || rise > test.high {
			t.Errorf("%s: a rise of %v, want %v to %v", test.name, rise, test.low, test.high)
		}
	}
	if rise := new(course).rise(); rise != 0 {
		t.Errorf("of nothing: a rise of %v", rise)
	}
}
