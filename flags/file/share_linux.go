package file

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// shareRead makes sure that nobody has the file open for writing until release is called: Linux grants a read
// lease only then. Who opens it for writing meanwhile waits, which is as long as it takes to read a small file. A
// file system without leases, or another owner's file, is read as it is.
func shareRead(f *os.File) (release func(), err error) {
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil, ErrBusy
	case err != nil:
		return func() {}, nil
	}
	return func() { _, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK) }, nil
}

// swap exchanges two files at once, so that the old content can still be looked at. Where the file system cannot, it
// renames.
func swap(temp, target string) (exchanged bool, err error) {
	err = unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, target, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return false, os.Rename(temp, target)
	}
	return err == nil, err
}

// alone waits until nobody else who writes by this package replaces a file in that directory, in any process, and has it stay
// so until release is called. A file system without locks is gone on with.
func alone(dir string) (release func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			return func() { d.Close() }, nil
		}
	}
}

func keepOwner(f *os.File, info os.FileInfo) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(st.Uid), int(st.Gid)) // refused unless we are root, and then it is our own file anyway
	}
}
