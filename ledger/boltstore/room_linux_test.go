package boltstore

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
)

var disks = flag.String("disks", "tmpfs", "file systems on which TestFullDisk runs: tmpfs, ext4, xfs")

// exact makes a store allocate what it reserves and nothing more, and counts how often.
func exact(s *store) (calls *int) {
	calls = new(int)
	s.space.calls.statfs = func(_ int, st *syscall.Statfs_t) error {
		*st = syscall.Statfs_t{Blocks: 1 << 40, Bfree: 1 << 40, Bavail: 1 << 40, Bsize: 1, Type: 0xEF53}
		return nil
	}
	s.space.calls.fallocate = func(int, uint32, int64, int64) error {
		// With a step first, then without.
		if *calls++; *calls%2 == 1 {
			return syscall.ENOSPC
		}
		return nil
	}
	return calls
}

// used is where the file's pages end.
func used(t *testing.T, s *store) (size int64) {
	t.Helper()
	err := s.db.View(func(tx *bolt.Tx) error {
		size = tx.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// TestReserved holds every transaction to what was reserved for it.
func TestReserved(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			opened, err := Create(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			s := opened.(*store)
			defer s.Close()
			exact(s)
			s.db.NoSync = true
			length := func() int {
				return []int{r.IntN(40), r.IntN(3000), 8192, r.IntN(20000), r.IntN(300_000), r.IntN(2 << 20)}[min(r.IntN(6), int(seed)+1)]
			}
			path := func() string {
				return fmt.Sprintf("%s/%d%s", []string{"blobs", "checkpoints", "tile", "withheld"}[r.IntN(4)], r.IntN(1000), strings.Repeat("x", r.IntN(200)))
			}
			seq := uint64(0)
			for range 400 / (1 + 3*(seed/3)) {
				s.space.mark = 0
				var what string
				switch r.IntN(5) {
				case 0, 1:
					n := length()
					seq++
					var objects []ledger.Object
					for range r.IntN(3) {
						objects = append(objects, ledger.Object{Path: path(), Data: make([]byte, length())})
					}
					what = fmt.Sprintf("a commit of %d with %d objects", n, len(objects))
					err = s.Create(t.Context(), seq, make([]byte, n), objects...)
				case 2, 3:
					var objects []ledger.Object
					for range 1 + r.IntN(30) {
						objects = append(objects, ledger.Object{Path: path(), Data: make([]byte, length())})
					}
					what = fmt.Sprint(len(objects), " objects")
					err = s.Put(t.Context(), objects...)
				default:
					paths, lerr := s.List(t.Context(), "")
					if lerr != nil || len(paths) == 0 {
						continue
					}
					what = "removing an object"
					err = s.Delete(t.Context(), paths[r.IntN(len(paths))])
				}
				if err != nil {
					t.Fatal(err)
				}
				if size := used(t, s); size > s.space.mark {
					t.Fatalf("%s: the file has %d bytes in use, and %d reserved", what, size, s.space.mark)
				}
			}
		})
	}
}

// TestRoomIsEnough holds Room to its word: what a ledger does after it needs nothing more.
func TestRoomIsEnough(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	opened, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := opened.(*store)
	defer s.Close()
	calls := exact(s)
	s.db.NoSync = true
	for _, n := range []int{3 << 20, 1 << 20, 5 << 20, 100} { // large texts beside the first notes
		if err := s.Put(t.Context(), ledger.Object{Path: fmt.Sprint("blobs/", n), Data: make([]byte, n)}); err != nil {
			t.Fatal(err)
		}
	}
	for seq := uint64(1); seq <= 60; seq++ {
		record, tiles, note := []int{700, 60_000, 4 << 20}[r.IntN(3)], r.IntN(18), []int{3500, 256 << 10}[r.IntN(2)]
		s.space.mark = 0
		if err := s.Room(t.Context(), record+8192+tiles*(8192+64)+note+100); err != nil {
			t.Fatal(err)
		}
		before := *calls
		objects := []ledger.Object{{Path: fmt.Sprint("checkpoints/", seq*1000-1), Data: make([]byte, 3500)}}
		for i := range tiles {
			objects = append(objects, ledger.Object{Path: fmt.Sprintf("tile/%d/%03d", i%3, seq*20+uint64(i)), Data: make([]byte, 8192)})
		}
		err := s.Create(t.Context(), seq, make([]byte, record), objects...)
		err = errors.Join(err, s.Put(t.Context(), ledger.Object{Path: fmt.Sprint("checkpoints/", seq*1000), Data: make([]byte, 3500)}))
		err = errors.Join(err, s.Put(t.Context(), ledger.Object{Path: fmt.Sprint("checkpoints/", seq*1000+1), Data: make([]byte, note)}))
		if err != nil {
			t.Fatal(err)
		}
		if *calls != before || used(t, s) > s.space.mark {
			t.Fatalf("after Room for a record of %d bytes and %d tiles more was reserved", record, tiles)
		}
	}
	// And while there is room, nothing is asked of the system.
	s.space.mark = 1 << 40
	before := *calls
	if err := s.Room(t.Context(), 1000); err != nil || *calls != before {
		t.Fatal(err, *calls-before)
	}
}

// TestRoomBesideLargeNotes has the first tile and a note come with one commit, beside the notes of many witnesses of before.
func TestRoomBesideLargeNotes(t *testing.T) {
	opened, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := opened.(*store)
	defer s.Close()
	calls := exact(s)
	for i := range 32 {
		if err := s.Put(t.Context(), ledger.Object{Path: fmt.Sprint("checkpoints/", 100+i), Data: make([]byte, 250<<10)}); err != nil {
			t.Fatal(err)
		}
	}
	s.space.mark = 0
	if err := s.Room(t.Context(), 1000+9*(8192+64)+8192+256<<10); err != nil { // as a ledger asks for one entry
		t.Fatal(err)
	}
	before := *calls
	err = s.Create(t.Context(), 1, make([]byte, 1000), ledger.Object{Path: "tile/0/000", Data: make([]byte, 8192)}, ledger.Object{Path: "checkpoints/108", Data: make([]byte, 3500)})
	if err != nil || *calls != before {
		t.Fatalf("after Room %d times more was reserved (%v)", *calls-before, err)
	}
}

// TestRoomAnswers gives each answer that a file system can give.
func TestRoomAnswers(t *testing.T) {
	const unknown = 0x5346
	for _, tt := range []struct {
		name      string
		fallocate error
		free      uint64
		fs        int64
		room, put error // nil: there is room
	}{
		{"free", nil, 1 << 40, 0xEF53, nil, nil},
		{"nothing free", nil, 0, 0xEF53, ledger.ErrFull, ledger.ErrFull},
		{"taken meanwhile", syscall.ENOSPC, 1 << 40, 0xEF53, ledger.ErrFull, ledger.ErrFull},
		{"quota", syscall.EDQUOT, 1 << 40, 0xEF53, ledger.ErrFull, ledger.ErrFull},
		{"too large a file", syscall.EFBIG, 1 << 40, 0xEF53, ledger.ErrFull, ledger.ErrFull},
		{"cannot allocate, free", syscall.EOPNOTSUPP, 1 << 40, unknown, nil, nil},
		{"cannot allocate, little free", syscall.ENOSYS, 600 << 10, unknown, ledger.ErrFull, nil},
		{"cannot allocate, nothing free", syscall.EOPNOTSUPP, 4096, unknown, ledger.ErrFull, ledger.ErrFull},
		{"broken", syscall.EIO, 1 << 40, 0xEF53, syscall.EIO, syscall.EIO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opened, err := Create(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			s := opened.(*store)
			defer s.Close()
			s.space.calls.statfs = func(_ int, st *syscall.Statfs_t) error {
				*st = syscall.Statfs_t{Blocks: 1 << 40, Bfree: tt.free, Bavail: tt.free, Bsize: 1, Type: tt.fs}
				return nil
			}
			s.space.calls.fallocate = func(int, uint32, int64, int64) error { return tt.fallocate }
			if err := s.Room(t.Context(), 1000); !errors.Is(err, tt.room) {
				t.Errorf("Room: %v, want %v", err, tt.room)
			}
			if err := s.Put(t.Context(), ledger.Object{Path: "a", Data: []byte("A")}); !errors.Is(err, tt.put) {
				t.Errorf("Put: %v, want %v", err, tt.put)
			}
			if err := s.Create(t.Context(), 1, []byte("one")); !errors.Is(err, tt.put) {
				t.Errorf("Create: %v, want %v", err, tt.put)
			}
			if last, err := s.Last(t.Context()); err != nil || (last == 0) != (tt.put != nil) {
				t.Errorf("there are %d commits (%v)", last, err)
			}
		})
	}
}

// mount mounts an empty file system of so many bytes.
func mount(t *testing.T, kind string, size int) string {
	t.Helper()
	lacking := func(format string, args ...any) {
		t.Helper()
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatalf(format, args...)
		}
		t.Skipf(format, args...)
	}
	dir := t.TempDir()
	command := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprint("size=", size), "none", dir)
	if kind != "tmpfs" {
		image := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(image, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(image, int64(size)); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mkfs."+kind, image).CombinedOutput(); err != nil {
			lacking("cannot make a file system: %v: %s; install the package that has mkfs.%s", err, out, kind)
		}
		command = exec.Command("mount", "-o", "loop", image, dir)
	}
	if out, err := command.CombinedOutput(); err != nil {
		lacking("cannot mount a small disk: %v: %s; run the test as root", err, bytes.TrimSpace(out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return dir
}

// fillDisk takes all that is free in a directory, and returns what gives it back.
func fillDisk(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1 << 20; n > 0; {
		if _, err := f.Write(make([]byte, n)); err == nil {
			continue
		} else if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		n /= 2
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if *disks != "tmpfs" {
			syscall.Sync() // until then XFS may count it as used
		}
	}
}

func TestFull(t *testing.T) {
	storetest.RunFull(t, func(t *testing.T) (ledger.Store, func(bool)) {
		opened, err := Create(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		s := opened.(*store)
		t.Cleanup(func() { s.Close() })
		works := s.space.calls.fallocate
		return s, func(full bool) {
			s.space.mark = 0 // what is reserved already would be enough
			s.space.calls.fallocate = works
			if full {
				s.space.calls.fallocate = func(int, uint32, int64, int64) error { return syscall.ENOSPC }
			}
		}
	})
}

// TestFullDisk fills a disk with other files at the worst moment, again and again: after Room every
// write succeeds, and what gets ErrFull has changed nothing and works when there is space.
func TestFullDisk(t *testing.T) {
	for kind := range strings.SplitSeq(*disks, ",") {
		t.Run(kind, func(t *testing.T) {
			size := 48 << 20
			if kind == "xfs" {
				size = 320 << 20 // the least that it takes
			}
			dir := mount(t, kind, size)
			home := filepath.Join(dir, "ledger")
			if err := os.Mkdir(home, 0o700); err != nil {
				t.Fatal(err)
			}
			s, err := Create(home)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { s.Close() }()
			r := rand.New(rand.NewPCG(7, 7))
			seq, refused := uint64(0), 0
			for round := 0; refused < 8; round++ {
				if round > 5000 {
					t.Fatal("the disk never fills up")
				}
				n := []int{700, 5000, 100_000, 1 << 20}[r.IntN(4)]
				if size > 64<<20 {
					n *= 4
				}
				early := r.IntN(2) == 0
				var free func()
				if early {
					free = fillDisk(t, dir)
				}
				err := s.Room(t.Context(), n+2*8192)
				switch {
				case errors.Is(err, ledger.ErrFull):
					if !early {
						refused++
					}
				case err != nil:
					t.Fatal(err)
				default:
					if !early {
						free = fillDisk(t, dir)
					}
					if err := s.Create(t.Context(), seq+1, make([]byte, n), ledger.Object{Path: fmt.Sprint("tile/0/", seq+1), Data: make([]byte, 8192)}); err != nil {
						t.Fatalf("commit %d of %d bytes: %v", seq+1, n, err)
					}
					seq++
					if err := s.Put(t.Context(), ledger.Object{Path: fmt.Sprint("checkpoints/", seq), Data: make([]byte, 3500)}); err != nil {
						t.Fatalf("the note of commit %d: %v", seq, err)
					}
				}
				if free == nil {
					free = fillDisk(t, dir)
				}
				// A large object, with the disk full.
				err = s.Put(t.Context(), ledger.Object{Path: "blobs/large", Data: make([]byte, 8<<20)})
				if err != nil && !errors.Is(err, ledger.ErrFull) {
					t.Fatal(err)
				}
				if b, err := s.Read(t.Context(), seq); seq > 0 && (err != nil || len(b) == 0) {
					t.Fatalf("commit %d cannot be read: %v", seq, err)
				}
				if round%7 == 0 { // opening it on a full disk
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					if s, err = Open(home, false); err != nil {
						t.Fatal(err)
					}
				}
				free()
			}
			if last, err := s.Last(t.Context()); err != nil || last != seq || seq < 10 {
				t.Fatalf("%d commits, want %d (%v)", last, seq, err)
			}
			t.Logf("%d commits, then full", seq)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			sound(t, home)
			if s, err = Open(home, false); err != nil {
				t.Fatal(err)
			}
		})
	}
}
