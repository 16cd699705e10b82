package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the linker for releases: -X main.release=v1.2.3
var release string

// version is the release, or what Go knows of the source.
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(c *console) error {
	fmt.Fprintf(c.out, "breakwater %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
