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

// Where there is no space for a note beside the record of an old version, the store takes it as before; and a record that has its room needs no
// more space for what is written there.
func TestNoRoomForANote(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	s := &LastSigned{file: full, sync: func(*os.File) error { return nil }}
	if err := s.reserve(); err != nil || s.keeps([]byte("note\n")) {
		t.Errorf("%v, %v", err, s.room)
	}
	path := filepath.Join(t.TempDir(), "last-signed")
	first := signedRecord{"ledger.example/test", [32]byte{}, 1, 0, emptyRoot}
	if err := os.WriteFile(path, append(make([]byte, signedSlot), first.slot()...), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenLastSigned(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.keeps([]byte("note\n")) {
		t.Error("it keeps a note before there is room")
	}
	if err := s.reserve(); err != nil || !s.keeps([]byte("note\n")) || s.keeps(make([]byte, noteRoom)) {
		t.Errorf("%v, %v", err, s.room)
	}
	blocks := func() int64 {
		info, err := os.Stat(path)
		if err != nil || info.Size() != signedFile {
			t.Fatalf("%d bytes, %v", info.Size(), err)
		}
		return info.Sys().(*syscall.Stat_t).Blocks
	}
	before := blocks()
	for size := range uint64(4) {
		if err := s.write("ledger.example/test", [32]byte{}, size, emptyRoot, make([]byte, 8000)); err != nil {
			t.Fatal(err)
		}
	}
	if after := blocks(); before*512 < signedFile || after != before {
		t.Errorf("%d blocks of 512, and then %d", before, after)
	}
}
