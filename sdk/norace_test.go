//go:build !race

package sdk_test

const (
	calls = 1_000_000
	warm  = 2_000
)
