package sdk

import "github.com/breakwater-gateway/breakwater/sdk/abi"

// The levels of [Log].
const (
	Debug = abi.LogDebug
	Info  = abi.LogInfo
	Warn  = abi.LogWarn
	Error = abi.LogError
)

// Log writes a line to the gateway's log. It is for what is rare: the gateway may drop lines that come too fast.
func Log(level int, text string) { writeLog(level, text) }
