//go:build unix

package ledger

import (
	"errors"
	"os"
	"syscall"
	"time"
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

// cpuTime is what the process has used of the processors; 0: the system does not tell.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
