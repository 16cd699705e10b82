//go:build !race

package admit

const race = false
