//go:build unix

package boltstore

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/tccm/undersigned/ledger"
)

// forgetful is a disk that has only what was written since the sync that failed, and then synced.
type forgetful struct {
	durable []byte // the store's file
	dirty   map[int64][]byte
	written int // how often
	synced  int
}

func (d *forgetful) disk() disk {
	return disk{
		func(f *os.File, b []byte, at int64) (int, error) {
			d.written++
			d.dirty[at] = bytes.Clone(b)
			return f.WriteAt(b, at)
		},
		func(db *bolt.DB) error {
			d.synced++
			for at, b := range d.dirty {
				copy(d.durable[at:], b)
			}
			clear(d.dirty)
			return db.Sync()
		},
	}
}

// afterFailedSync is a store of two commits; of the second the disk lacks the meta page, which can be read.
func afterFailedSync(t *testing.T) (dir string, d *forgetful) {
	t.Helper()
	dir = t.TempDir()
	s, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, File)
	if err := s.Create(t.Context(), 1, []byte("one")); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), 2, []byte("two"), ledger.Object{Path: "checkpoints/1", Data: []byte("note")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	metas := 2 * os.Getpagesize()
	d = &forgetful{durable: slices.Concat(before[:metas], now[metas:]), dirty: make(map[int64][]byte)}
	if d.last(t) != 1 {
		t.Fatal("the disk has the second commit already")
	}
	return dir, d
}

// last is the last commit if the power fails now.
func (d *forgetful) last(t *testing.T) uint64 {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, File), d.durable, 0o600); err != nil {
		t.Fatal(err)
	}
	sound(t, dir)
	s, err := Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	last, err := s.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// A commit that can be read after a sync that failed is on the disk before anybody is shown it.
func TestMetaPagesAreRenewed(t *testing.T) {
	dir, d := afterFailedSync(t)
	s, err := open(dir, false, d.disk())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if last, err := s.Last(t.Context()); err != nil || last != 2 {
		t.Fatal(last, err)
	}
	if last := d.last(t); last != 2 {
		t.Errorf("commit 2 is shown, and if the power fails commit %d is the last", last)
	}
}

// Who opens for reading writes nothing.
func TestMetaPagesAreLeftToWriters(t *testing.T) {
	dir, d := afterFailedSync(t)
	s, err := open(dir, true, d.disk())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if d.written > 0 || d.synced > 0 {
		t.Errorf("written %d times, synced %d times", d.written, d.synced)
	}
}

// Where there is no space to write them again the store can be read, and nothing rests on it before there is.
func TestMetaPagesWithoutSpace(t *testing.T) {
	for name, fail := range map[string]func(d *disk, err *error){
		"writing": func(d *disk, err *error) {
			works := d.writeAt
			d.writeAt = func(f *os.File, b []byte, at int64) (int, error) {
				if *err != nil {
					return 0, &fs.PathError{Op: "write", Path: f.Name(), Err: *err}
				}
				return works(f, b, at)
			}
		},
		"syncing": func(d *disk, err *error) {
			works := d.sync
			d.sync = func(db *bolt.DB) error {
				if *err != nil {
					return *err
				}
				return works(db)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, d := afterFailedSync(t)
			var fault error = syscall.EIO
			disk := d.disk()
			fail(&disk, &fault)
			if _, err := open(dir, false, disk); !errors.Is(err, syscall.EIO) {
				t.Fatalf("the disk fails: %v", err)
			}
			fault = syscall.ENOSPC
			s, err := open(dir, false, disk)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if b, err := s.Read(t.Context(), 2); err != nil || string(b) != "two" {
				t.Errorf("%q, %v", b, err)
			}
			file, err := os.ReadFile(filepath.Join(dir, File))
			if err != nil {
				t.Fatal(err)
			}
			object := ledger.Object{Path: "a"}
			for name, err := range map[string]error{
				"Room": s.Room(t.Context(), 1), "Create": s.Create(t.Context(), 3, []byte("three")),
				"Put": s.Put(t.Context(), object), "Delete": s.Delete(t.Context(), "checkpoints/1"),
			} {
				if !errors.Is(err, ledger.ErrFull) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if now, err := os.ReadFile(filepath.Join(dir, File)); err != nil || !bytes.Equal(now, file) {
				t.Errorf("something is written all the same (%v)", err)
			}
			fault = nil
			if err := s.Room(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if last := d.last(t); last != 2 {
				t.Errorf("there is room, and if the power fails commit %d is the last", last)
			}
			written := d.written
			if err := s.Create(t.Context(), 3, []byte("three")); err != nil || d.written != written {
				t.Errorf("%v, written %d times more", err, d.written-written)
			}
		})
	}
}

// withoutSpace opens a store on a disk that has no space until it is told so.
func withoutSpace(t *testing.T) (s *store, full *bool) {
	t.Helper()
	dir, d := afterFailedSync(t)
	full, works := new(bool), d.disk()
	*full = true
	opened, err := open(dir, false, disk{func(f *os.File, b []byte, at int64) (int, error) {
		if *full {
			return 0, syscall.ENOSPC
		}
		return works.writeAt(f, b, at)
	}, works.sync})
	if err != nil {
		t.Fatal(err)
	}
	return opened.(*store), full
}

// What memory has lost since is not written to the disk.
func TestMetaPagesDamagedInMemory(t *testing.T) {
	s, full := withoutSpace(t)
	defer s.Close()
	before, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range s.metas {
		b[40] ^= 1
	}
	*full = false
	if err := s.Room(t.Context(), 1); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("Room: %v", err)
	}
	if now, err := os.ReadFile(s.path); err != nil || !bytes.Equal(now, before) {
		t.Errorf("they are written (%v)", err)
	}
}

// One page is durable before the other is written.
func TestMetaPagesOneAfterTheOther(t *testing.T) {
	dir, d := afterFailedSync(t)
	works := d.disk()
	s, err := open(dir, false, disk{func(f *os.File, b []byte, at int64) (int, error) {
		if d.written != d.synced {
			t.Error("a page is written before the other is synced")
		}
		return works.writeAt(f, b, at)
	}, works.sync})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// A store that was closed answers with an error.
func TestMetaPagesAfterClose(t *testing.T) {
	s, _ := withoutSpace(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Room(t.Context(), 1); err == nil {
		t.Error("Room: no error")
	}
	if err := s.Create(t.Context(), 3, []byte("three")); err == nil {
		t.Error("Create: no error")
	}
}
