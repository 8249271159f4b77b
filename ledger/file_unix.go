//go:build unix

package ledger

import (
	"errors"
	"os"
	"syscall"
)

// openAtOnce has opening not wait for somebody at the other end of a pipe.
const openAtOnce = syscall.O_NONBLOCK

// LockFile takes the lock of a file for as long as it is open, or returns ErrInUse.
func LockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
