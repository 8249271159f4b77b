package ledger_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tccm/undersigned/ledger"
)

func TestLastCosigned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last-cosigned")
	if err := ledger.CreateLastCosigned(path); err != nil {
		t.Fatal(err)
	}
	open := func() *ledger.LastCosigned {
		t.Helper()
		s, err := ledger.OpenLastCosigned(path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	for _, origin := range []string{"b.example/x", "a.example"} {
		if err := s.Advance(origin, 3, [32]byte{3}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = open()
	for _, c := range []struct {
		name   string
		origin string
		size   uint64
		root   [32]byte
		back   bool
	}{
		{"the same", "a.example", 3, [32]byte{3}, false},
		{"a smaller one", "a.example", 2, [32]byte{2}, true},
		{"another one", "a.example", 3, [32]byte{4}, true},
		{"none", "b.example/x", 0, [32]byte{}, true},
		{"a larger one", "a.example", 4, [32]byte{4}, false},
		{"a new log", "c.example", 0, [32]byte{9}, false},
	} {
		if err := s.Advance(c.origin, c.size, c.root); errors.Is(err, ledger.ErrCosigned) != c.back || !c.back && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	s.Close()
	s = open()
	if size, root, ok := s.Of("a.example"); size != 4 || root != [32]byte{4} || !ok {
		t.Error(size, root, ok)
	}
	if size, root, ok := s.Of("b.example/x"); size != 3 || root != [32]byte{3} || !ok {
		t.Error(size, root, ok)
	}
	s.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// No flipped bit, and no cut, is read as something else.
	for i := range good {
		for _, bad := range [][]byte{append(append(bytes.Clone(good[:i]), good[i]^1), good[i+1:]...), good[:i]} {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := ledger.OpenLastCosigned(path); !errors.Is(err, ledger.ErrCorrupt) {
				t.Fatalf("at %d: %v", i, err)
			}
		}
	}
}

// Of trees that are cosigned at the same time the largest is the last, in whatever order they come.
func TestLastCosignedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last-cosigned")
	if err := ledger.CreateLastCosigned(path); err != nil {
		t.Fatal(err)
	}
	s, err := ledger.OpenLastCosigned(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const each = 64
	for round := range uint64(4) {
		var all sync.WaitGroup
		for i := range uint64(each) {
			size := round*each + 1 + (i*37+round)%each
			all.Go(func() {
				if err := s.Advance("a.example", size, [32]byte{1}); err != nil && !errors.Is(err, ledger.ErrCosigned) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if size, _, _ := s.Of("a.example"); size != (round+1)*each {
			t.Errorf("a tree of size %d was cosigned, and the last is said to be of size %d", (round+1)*each, size)
		}
	}
}

// What was only read need not be on the disk, so it is written before the same tree is cosigned again.
func TestLastCosignedIsWrittenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last-cosigned")
	if err := ledger.CreateLastCosigned(path); err != nil {
		t.Fatal(err)
	}
	advance := func(s *ledger.LastCosigned) (written bool) {
		t.Helper()
		before, err := os.Stat(path)
		if err == nil {
			err = s.Advance("a.example", 3, [32]byte{3})
		}
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(path)
		return err != nil || !os.SameFile(before, after)
	}
	for _, opened := range []string{"at first", "again"} {
		s, err := ledger.OpenLastCosigned(path)
		if err != nil {
			t.Fatal(err)
		}
		if !advance(s) {
			t.Errorf("opened %s, it is not written", opened)
		}
		if advance(s) {
			t.Errorf("opened %s, it is written twice", opened)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
