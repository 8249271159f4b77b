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
	if err := s.write("ledger.example/test", [32]byte{}, 0, emptyRoot); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if blocks := info.Sys().(*syscall.Stat_t).Blocks; info.Size() != 2*signedSlot || blocks*512 < 2*signedSlot {
		t.Fatalf("%d bytes in %d blocks of 512", info.Size(), blocks)
	}
}
