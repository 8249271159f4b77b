package ledger

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dataSync makes written bytes durable, and the size of the file; not its times.
func dataSync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return err
		}
	}
}

// statx is the system call; tests make it one that a kernel does not have.
var statx = unix.Statx

// sameFile is statSame without a question about times: since Linux 6.13 the write after such a question changes them to the nanosecond,
// so that there is more to sync, where ext4 has no journal the inode.
func sameFile(f *os.File, path string) (bool, error) {
	open, err := identity(int(f.Fd()), "", unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // an old kernel, or a filter that does not know the call
		return statSame(f, path)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", f.Name(), err)
	}
	there, err := identity(unix.AT_FDCWD, path, 0)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return open == there, nil
}

// A fileIdentity is the device and the number of a file.
type fileIdentity struct {
	major, minor uint32
	inode        uint64
}

func identity(dir int, path string, flags int) (fileIdentity, error) {
	for {
		var s unix.Statx_t
		err := statx(dir, path, flags, unix.STATX_INO, &s)
		if err != unix.EINTR {
			return fileIdentity{s.Dev_major, s.Dev_minor, s.Ino}, err
		}
	}
}
