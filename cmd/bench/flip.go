//go:build linux

package main

import (
	"context"
	"io"
)

func flipMode(ctx context.Context, args []string, out, progress io.Writer) error { return nil }
func bodyMode(ctx context.Context, args []string, out, progress io.Writer) error { return nil }
