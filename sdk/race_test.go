//go:build race

package sdk_test

// Under the race detector the calls are as many as memory needs to show that it grows, and no more.
const (
	calls = 100_000
	warm  = 2_000
)
