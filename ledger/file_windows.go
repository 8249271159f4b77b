package ledger

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// openAtOnce is nothing: no file has somebody at its other end here.
const openAtOnce = 0

// LockFile takes the lock of a file for as long as it is open, or returns ErrInUse. The locked
// byte lies beyond what is ever written, so that the file can be read meanwhile.
func LockFile(f *os.File) error {
	at := windows.Overlapped{OffsetHigh: 1}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrInUse
	}
	return err
}

// syncDir does nothing: a directory cannot be synced here.
func syncDir(string) error { return nil }

// cpuTime is 0: nobody asks the system for it here.
func cpuTime() time.Duration { return 0 }
