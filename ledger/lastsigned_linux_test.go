package ledger

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The record has all the blocks that it will ever have before it says anything.
func TestLastSignedNeedsNoSpace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last-signed")
	s, err := OpenLastSigned(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.write("ledger.example/test", [32]byte{}, 0, emptyRoot, nil); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if blocks := info.Sys().(*syscall.Stat_t).Blocks; info.Size() != signedFile || blocks*512 < signedFile {
		t.Fatalf("%d bytes in %d blocks of 512", info.Size(), blocks)
	}
}

// No half of a first record ever has the record's name: it could not be told from a damaged one.
func TestLastSignedIsMadeWhole(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenLastSigned(filepath.Join(dir, "last-signed"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.sync = func(f *os.File) error {
		if names, err := filepath.Glob(s.path); err != nil || len(names) > 0 {
			t.Errorf("it has its name before it is durable: %v, %v", names, err)
		}
		return syscall.EIO
	}
	if err := s.write("ledger.example/test", [32]byte{}, 0, emptyRoot, nil); err != syscall.EIO {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("what is left: %v, %v", left, err)
	}
}
