package plugins

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-gateway/breakwater/sdk/abi"
)

// speaksNative tells by its exports whether a module speaks the native ABI in this version, and otherwise what it seems to speak.
func speaksNative(exports []string) error {
	if slices.Contains(exports, abi.ExportMark) {
		if slices.Contains(exports, "_start") && !slices.Contains(exports, "_initialize") {
			return errors.New("is a command that ends when it has run: expected a library with the export _initialize; with Go, build it with -buildmode=c-shared")
		}
		return nil
	}
	const mark = "bw_abi_v"
	var versions []string
	for _, e := range exports {
		if strings.HasPrefix(e, mark) {
			versions = append(versions, strings.TrimPrefix(e, mark))
		}
	}
	switch {
	case len(versions) > 0:
		return fmt.Errorf("speaks abi %s, this gateway speaks %s", strings.Join(versions, " and "), strings.TrimPrefix(abi.ExportMark, mark))
	case slices.Contains(exports, "handle_request"):
		return fmt.Errorf("speaks http-wasm: expected the native ABI, with the export %s", abi.ExportMark)
	case slices.ContainsFunc(exports, func(e string) bool { return strings.HasPrefix(e, "proxy_abi_version_") }):
		return fmt.Errorf("speaks proxy-wasm: expected the native ABI, with the export %s", abi.ExportMark)
	default:
		return fmt.Errorf("is no plugin: expected the export %s", abi.ExportMark)
	}
}
