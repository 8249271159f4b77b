package boltstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
)

// readOnlyFile makes every write to a store fail: under the descriptor that bbolt writes to there is
// the same file, opened for reading.
func readOnlyFile(t *testing.T, path string) {
	t.Helper()
	ro, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	replaced := false
	for _, e := range open {
		link := filepath.Join("/proc/self/fd", e.Name())
		if to, err := os.Readlink(link); err != nil || to != path {
			continue
		}
		fd := 0
		for _, digit := range e.Name() {
			fd = 10*fd + int(digit-'0')
		}
		if fd == int(ro.Fd()) {
			continue
		}
		if err := syscall.Dup3(int(ro.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		replaced = true
	}
	if !replaced {
		t.Fatal("the store's file is not open")
	}
}

// TestBroken makes a write fail. Whether it was kept nobody can tell, so nothing that the store has in
// memory is given to anybody; opened again, it is what it was.
func TestBroken(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := boltstore.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Create(t.Context(), 1, []byte("first")); err != nil {
		t.Fatal(err)
	}
	readOnlyFile(t, filepath.Join(dir, boltstore.File))
	if err := s.Create(t.Context(), 2, []byte("second")); err == nil || errors.Is(err, ledger.ErrExists) {
		t.Fatalf("a write that failed: %v", err)
	}
	if last, err := s.Last(t.Context()); err == nil {
		t.Errorf("it says that commit %d is the last", last)
	}
	if b, err := s.Read(t.Context(), 1); err == nil {
		t.Errorf("it gives %q", b)
	}
	if err := s.Put(t.Context(), ledger.Object{Path: "path", Data: []byte("data")}); err == nil {
		t.Error("it writes")
	}
	s.Close()
	again, err := boltstore.Open(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if last, err := again.Last(t.Context()); err != nil || last != 1 {
		t.Errorf("opened again: %d %v", last, err)
	}
}
