//go:build !linux

package file

import "os"

// shareRead knows of no writers here: what is half-written is kept out by the strict reader and the settling time.
func shareRead(*os.File) (release func(), err error) { return func() {}, nil }

func swap(temp, target string) (exchanged bool, err error) { return false, os.Rename(temp, target) }

// alone knows of no locks here.
func alone(string) (release func(), err error) { return func() {}, nil }

func keepOwner(*os.File, os.FileInfo) {}
