//go:build unix

package journal

import "golang.org/x/sys/unix"

// locked runs f while no other process appends.
func (j *Journal) locked(f func() error) error {
	if err := unix.Flock(int(j.file.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	defer func() { _ = unix.Flock(int(j.file.Fd()), unix.LOCK_UN) }() // closing unlocks too
	return f()
}
