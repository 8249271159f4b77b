package boltstore

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"

	"github.com/tccm/undersigned/ledger"
)

// lockShared takes the lock that bbolt takes for reading, for as long as the file is open.
func lockShared(f *os.File) error {
	at := windows.Overlapped{Offset: math.MaxUint32, OffsetHigh: math.MaxUint32}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ledger.ErrInUse
	}
	return err
}

// syncDir does nothing: a directory cannot be synced here.
func syncDir(string) error { return nil }

// noSpace says whether an error is that the disk is full.
func noSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
