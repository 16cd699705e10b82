//go:build race

package admit

const race = true // the race detector allocates where the program does not
