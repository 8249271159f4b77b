package boltstore

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/tccm/undersigned/ledger"
)

const (
	keepSize  = 0x01     // FALLOC_FL_KEEP_SIZE
	mostStep  = 16 << 20 // bytes reserved beyond what is needed
	leastStep = 1 << 20
)

// inPlace are the file systems, by their magic numbers, that overwrite a block where it is.
var inPlace = map[int64]bool{
	0xEF53:     true, // ext2, ext3, ext4
	0x01021994: true, // tmpfs
}

// space is the disk space of the file.
type space struct {
	file  *os.File
	calls calls

	mu    sync.Mutex
	mark  int64 // the file's blocks are allocated up to here, whatever its size is
	blind bool  // blocks cannot be allocated ahead
}

// calls are the system calls that space makes.
type calls struct {
	fallocate func(fd int, mode uint32, from, length int64) error
	statfs    func(fd int, s *syscall.Statfs_t) error
}

func openSpace(path string) (*space, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &space{file: f, calls: calls{syscall.Fallocate, syscall.Fstatfs}}, nil
}

func (s *space) Close() error { return s.file.Close() }

// reserve makes sure that the file can have need bytes beyond size: it allocates them, and, where
// that is not possible or, ahead of a transaction, not enough, looks for free space. The error is
// ledger.ErrFull if there is none.
func (s *space) reserve(size, need int64, ahead bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.blind && size+need > s.mark {
		if err := s.allocate(size, need); err != nil {
			return err
		}
	}
	if !s.blind && !ahead {
		return nil
	}
	free, fs, err := s.free()
	if err != nil {
		return err
	}
	if (s.blind || !inPlace[fs]) && free < need {
		return s.full(need)
	}
	return nil
}

// allocate moves the mark to size+need or further, from the file's beginning if this is the first
// time: a file that was copied can have holes.
func (s *space) allocate(size, need int64) error {
	free, _, err := s.free()
	if err != nil {
		return err
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	var blocks int64 // that it has already, maybe from an earlier time
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		blocks = st.Blocks * 512
	}
	end := size + need
	missing := end - max(size, s.mark, blocks)
	// An attempt that fails can leave blocks allocated that others could use.
	if missing > free {
		return s.full(missing)
	}
	steps := []int64{0}
	if step := min(mostStep, max(leastStep, size)); missing+step <= free/2 {
		steps = []int64{step, 0}
	}
	for _, step := range steps {
		err := syscall.EINTR
		for err == syscall.EINTR {
			err = asErrno(s.calls.fallocate(int(s.file.Fd()), keepSize, s.mark, end+step-s.mark))
		}
		switch err {
		case 0:
			s.mark = end + step
			return nil
		case syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINVAL:
			s.blind = true
			return nil
		case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
		default:
			return fmt.Errorf("%s: cannot allocate space: %w", s.file.Name(), err)
		}
	}
	return s.full(missing)
}

// free returns how many bytes are free for the file, and the kind of the file system. One that does
// not say how large it is has no end.
func (s *space) free() (bytes, fs int64, err error) {
	var st syscall.Statfs_t
	no := syscall.EINTR
	for no == syscall.EINTR {
		no = asErrno(s.calls.statfs(int(s.file.Fd()), &st))
	}
	switch {
	case no != 0:
		return 0, 0, fmt.Errorf("%s: cannot tell the free space: %w", s.file.Name(), no)
	case st.Blocks == 0:
		return 1 << 62, int64(st.Type), nil
	case os.Geteuid() == 0:
		return int64(st.Bfree) * int64(st.Bsize), int64(st.Type), nil
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Type), nil
}

func (s *space) full(need int64) error {
	return fmt.Errorf("%s needs %d KiB more: %w", s.file.Name(), need>>10, ledger.ErrFull)
}

// asErrno returns the number of an error of a system call, 0 for none.
func asErrno(err error) syscall.Errno {
	var no syscall.Errno
	if err != nil && !errors.As(err, &no) {
		return syscall.EIO
	}
	return no
}
