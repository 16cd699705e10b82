// Package file reads, watches and replaces one small file that other programs write too.
//
// [Watch] sees every way in which a file gets new content, and never shows a half-written one: while any process has
// the file open for writing it is not read. [Replace] puts new content in its place at once, and refuses if the
// content was not what the caller based its change on.
package file

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Content is what a file held at one moment, when nobody was writing.
type Content struct {
	Bytes  []byte
	Digest [sha256.Size]byte
}

// NewContent returns data with its digest.
func NewContent(data []byte) Content { return Content{Bytes: data, Digest: sha256.Sum256(data)} }

var (
	// ErrBusy means that another process has the file open for writing.
	ErrBusy = errors.New("another process has it open for writing")
	// ErrChanged means that the file is no longer what a change was based on.
	ErrChanged = errors.New("it has been changed meanwhile")
)

const maxBytes = 8 << 20 // more than anybody reads; the document has its own limit

// Read returns the file's content, or ErrBusy.
func Read(path string) (Content, error) {
	f, err := os.Open(path)
	if err != nil {
		return Content{}, err
	}
	defer f.Close()
	release, err := shareRead(f)
	if err != nil {
		return Content{}, fmt.Errorf("read %s: %w", path, err)
	}
	defer release()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return Content{}, err
	}
	if len(data) > maxBytes {
		return Content{}, fmt.Errorf("read %s: expected at most %d bytes", path, maxBytes)
	}
	return NewContent(data), nil
}

// Replace puts data in the place of the file, whose content must have the digest based. It is written beside the
// file, flushed to the disk and renamed, so that a reader sees either the old or the new content whole. Mode and owner
// are kept, and a symbolic link stays one. [Flush] makes the renaming outlast a crash. If the content turns out to be another, the
// file is left (or put back) as it was, and the error is ErrChanged.
func Replace(path string, data []byte, based [sha256.Size]byte) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	temp, err := writeBeside(target, data, true)
	if err != nil {
		return err
	}
	defer os.Remove(temp)                       // what is left there: nothing, or the old content
	release, err := alone(filepath.Dir(target)) // or else what one puts back is what another has just built upon
	if err != nil {
		return err
	}
	defer release()
	now, err := Read(target)
	if err != nil {
		return err
	}
	if now.Digest != based {
		return fmt.Errorf("write %s: %w", path, ErrChanged)
	}
	exchanged, err := swap(temp, target)
	if errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("write %s: it is mounted as a single file, which cannot be replaced: mount its directory instead", path)
	}
	if err != nil {
		return err
	}
	if exchanged {
		if old, err := os.ReadFile(temp); err != nil || sha256.Sum256(old) != based {
			return errors.Join(fmt.Errorf("write %s: %w", path, ErrChanged), putBack(temp, target, data))
		}
	}
	return nil
}

// Flush waits until a replacement of the file is on the disk.
func Flush(path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(target))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// putBack undoes a swap that met content which nobody had read yet.
func putBack(temp, target string, ours []byte) error {
	if _, err := swap(temp, target); err != nil {
		return err
	}
	back, err := os.ReadFile(temp)
	if err == nil && sha256.Sum256(back) != sha256.Sum256(ours) {
		return os.Rename(temp, target) // written after our swap: the newest stays
	}
	return err
}

// Keep writes data to path for later, replacing what is there at once but without waiting for the disk.
func Keep(path string, data []byte) error {
	temp, err := writeBeside(path, data, false)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return err
	}
	return nil
}

func writeBeside(path string, data []byte, flush bool) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return "", err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if info, err := os.Stat(path); err == nil {
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			return "", err
		}
		keepOwner(f, info)
	} else if err := f.Chmod(0o600); err != nil {
		return "", err
	}
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	if flush {
		if err := f.Sync(); err != nil {
			return "", err
		}
	}
	return f.Name(), nil
}
