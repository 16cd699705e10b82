//go:build linux

package main

import (
	"math"
	"slices"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   spread
	}{
		{"the middle of an odd number", []float64{9, 1, 5}, spread{5, 1, 9}},
		{"half-way between the middle two", []float64{4, 1, 2, 100}, spread{3, 1, 100}},
		{"one value", []float64{7}, spread{7, 7, 7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := slices.Clone(tt.values)
			if got := spreadOf(given); got != tt.want {
				t.Errorf("spreadOf(%v) = %v, want %v", tt.values, got, tt.want)
			}
			if !slices.Equal(given, tt.values) {
				t.Errorf("spreadOf changed its argument to %v", given)
			}
		})
	}
	if got := spreadOf(nil); !math.IsNaN(got.Median) {
		t.Errorf("spreadOf(nil) = %v, want NaN", got)
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, tt := range []struct {
		name   string
		sorted []int
		q      float64
		want   int
	}{
		{"the median of a hundred", hundred, 0.5, 50},
		{"p99 of a hundred leaves one above", hundred, 0.99, 99},
		{"p100 is the highest", hundred, 1, 100},
		{"p0 is the lowest", hundred, 0, 1},
		{"of a single value", []int{3}, 0.99, 3},
		{"of nothing", nil, 0.99, 0},
	} {
		if got := quantile(tt.sorted, tt.q); got != tt.want {
			t.Errorf("%s: quantile(%g) = %d, want %d", tt.name, tt.q, got, tt.want)
		}
	}
}

func TestRatiosAreTakenWithinARound(t *testing.T) {
	for _, tt := range []struct {
		name         string
		of, to, want []float64
	}{
		{"round by round", []float64{10, 30, 11}, []float64{10, 20, 10}, []float64{1, 1.5, 1.1}},
		{"a round that one of them lacks is left out", []float64{10, 30}, []float64{10}, []float64{1}},
		{"nothing is divided by zero", []float64{10, 30}, []float64{0, 20}, []float64{1.5}},
	} {
		if got := ratios(tt.of, tt.to); !slices.Equal(got, tt.want) {
			t.Errorf("%s: ratios(%v, %v) = %v, want %v", tt.name, tt.of, tt.to, got, tt.want)
		}
	}
}
