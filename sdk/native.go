//go:build !wasip1

package sdk

import "fmt"

// In a native program there is no gateway: the log is standard output, which go test shows.
func writeLog(level int, text string) {
	fmt.Printf("plugin log, level %d: %s\n", level, text)
}
