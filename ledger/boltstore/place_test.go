//go:build unix

package boltstore

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tccm/undersigned/ledger"
)

// TestReplaced puts another file in place of the one that is open. Nothing is acknowledged that the next start would not
// find, and no copy is made of the other file.
func TestReplaced(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"a copy renamed": func(path string) error {
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path+".x", b, 0o600)
			}
			return errors.Join(err, os.Rename(path+".x", path))
		},
		"removed": os.Remove,
		"moved":   func(path string) error { return os.Rename(path, path+".x") },
	} {
		for _, when := range []string{"before", "amid"} {
			for what, use := range map[string]func(s *store, amid func()) error{
				"Put": func(s *store, amid func()) error {
					return s.update(t.Context(), func(_, objects *bolt.Bucket) error {
						amid()
						return objects.Put([]byte("a"), seal("a", nil))
					})
				},
				"Create": func(s *store, amid func()) error {
					return s.update(t.Context(), func(commits, _ *bolt.Bucket) error {
						amid()
						return commits.Put(commitKey(2), []byte("two"))
					})
				},
				"Copy": func(s *store, amid func()) error {
					return Copy(t.Context(), s, func(int64) (io.Writer, error) { amid(); return io.Discard, nil })
				},
			} {
				dir := t.TempDir()
				opened, err := Create(dir)
				if err != nil {
					t.Fatal(err)
				}
				s := opened.(*store)
				if err := s.Create(t.Context(), 1, []byte("one")); err != nil {
					t.Fatal(err)
				}
				now := func() {
					if err := replace(s.path); err != nil {
						t.Error(err)
					}
				}
				amid := now
				if when == "before" {
					now()
					amid = func() {}
				}
				if err := use(s, amid); err == nil || errors.Is(err, ledger.ErrFull) || errors.Is(err, ledger.ErrExists) {
					t.Errorf("%s %s %s: %v", name, when, what, err)
				}
				if what != "Copy" {
					if err := s.Put(t.Context(), ledger.Object{Path: "b"}); err == nil {
						t.Errorf("%s %s %s: it goes on", name, when, what)
					}
				}
				s.Close()
			}
		}
	}
}

// TestReaderStopsNoCommit makes the file grow far beyond any mapping that its size would ask for while somebody reads.
func TestReaderStopsNoCommit(t *testing.T) {
	if !mapsAhead {
		t.Skip("this system maps no file beyond its end: a commit that makes the file grow waits for those who read")
	}
	dir := t.TempDir()
	s, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if info, err := os.Stat(filepath.Join(dir, File)); err != nil || info.Size() > 2*growth {
		t.Errorf("the file of an empty store has %d bytes", info.Size())
	}
	reader, err := s.(*store).db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback()
	grown := make(chan error, 1)
	go func() {
		data := []byte(strings.Repeat("x", 4<<20))
		var err error
		for _, path := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
			err = errors.Join(err, s.Put(t.Context(), ledger.Object{Path: path, Data: data}))
		}
		_, get := s.Get(t.Context(), "a")
		grown <- errors.Join(err, get)
	}()
	select {
	case err := <-grown:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute): // it would be for ever
		t.Error("a commit waits for a reader")
		defer func() { <-grown }()
	}
	if info, err := os.Stat(filepath.Join(dir, File)); err != nil || info.Size() < 36<<20 {
		t.Errorf("the file has %d bytes: %v", info.Size(), err)
	}
}
