//go:build linux

package main

import (
	"cmp"
	"math"
	"slices"
)

// A spread is what several rounds gave: the median, and the lowest and highest of them.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// spreadOf is all NaN for no values at all.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return spread{median, sorted[0], sorted[len(sorted)-1]}
}

// quantile is the smallest value that at least the share q of the sorted values doesn't exceed; 0 for no values.
func quantile[T cmp.Ordered](sorted []T, q float64) T {
	var none T
	if len(sorted) == 0 {
		return none
	}
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// ratios divides round by round. The median of these, not the ratio of medians, is what is reported: both values of
// one ratio come from the same round.
func ratios(of, to []float64) []float64 {
	n := min(len(of), len(to))
	out := make([]float64, 0, n)
	for i := range n {
		if to[i] > 0 {
			out = append(out, of[i]/to[i])
		}
	}
	return out
}
