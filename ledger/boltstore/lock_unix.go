//go:build unix

package boltstore

import (
	"errors"
	"os"
	"syscall"

	"github.com/tccm/undersigned/ledger"
)

// lockShared takes the lock that bbolt takes for reading, for as long as the file is open.
func lockShared(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ledger.ErrInUse
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

// noSpace says whether an error is that the disk, or what one may use of it, is full.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
