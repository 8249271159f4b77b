package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
)

// slow is a writer between whose writes something else happens.
type slow struct {
	io.Writer
	between func()
}

func (s slow) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		var m int
		m, err = s.Writer.Write(b[:min(len(b), 4096)])
		n, b = n+m, b[m:]
		s.between()
	}
	return n, err
}

// copyTo copies a store into a directory, slowly.
func copyTo(t *testing.T, s ledger.Store, dir string, between func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "copy"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	announced := int64(-1)
	if err := Copy(t.Context(), s, func(size int64) (io.Writer, error) { announced = size; return slow{f, between}, nil }); err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != announced {
		t.Fatalf("%d bytes announced, %d written", announced, info.Size())
	}
	if err := Install(f.Name(), dir); err != nil {
		t.Fatal(err)
	}
}

// TestCopy copies a store again and again while commits and objects stream in. Each copy is sound and holds the beginning
// of the chain, with the object that went with its last commit or the one before.
func TestCopy(t *testing.T) {
	s, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	record := func(seq uint64) []byte { return bytes.Repeat([]byte{byte(seq), byte(seq >> 8)}, int(700+seq*37%5000)) }
	stop, step := make(chan struct{}), make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for seq := uint64(1); ; seq++ {
			select {
			case <-stop:
				return
			case <-step:
			}
			if err := s.Create(t.Context(), seq, record(seq)); err != nil {
				t.Error(err)
				return
			}
			if err := s.Put(t.Context(), ledger.Object{Path: "newest", Data: fmt.Append(nil, seq)}, ledger.Object{Path: fmt.Sprintf("tile/%d", seq%7), Data: record(seq)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	before, meanwhile := uint64(0), 0
	for range 12 {
		dir := t.TempDir()
		written := 0
		copyTo(t, s, dir, func() {
			if written++; written > 50 {
				return
			}
			select {
			case step <- struct{}{}:
			case <-time.After(10 * time.Millisecond): // the file cannot grow before the copy has ended
			}
		})
		sound(t, dir)
		c, err := Open(dir, true)
		if err != nil {
			t.Fatal(err)
		}
		last, err := c.Last(t.Context())
		if err != nil || last < before {
			t.Fatalf("commit %d after %d: %v", last, before, err)
		}
		if newest, err := s.Last(t.Context()); err != nil {
			t.Fatal(err)
		} else if newest > last {
			meanwhile++
		}
		before = last
		for seq := uint64(1); seq <= last; seq++ {
			if b, err := c.Read(t.Context(), seq); err != nil || !bytes.Equal(b, record(seq)) {
				t.Fatalf("commit %d: %v", seq, err)
			}
		}
		if b, err := c.Get(t.Context(), "newest"); last > 1 && (err != nil || string(b) != fmt.Sprint(last) && string(b) != fmt.Sprint(last-1)) {
			t.Fatalf("the object of commit %d says %s: %v", last, b, err)
		}
		c.Close()
		// It can be gone on with.
		if c, err = Open(dir, false); err != nil {
			t.Fatal(err)
		}
		if err := c.Create(t.Context(), last+1, []byte("next")); err != nil {
			t.Fatal(err)
		}
		c.Close()
		sound(t, dir)
	}
	close(stop)
	writing.Wait()
	if meanwhile < 6 {
		t.Errorf("only %d of 12 copies were made while something was written", meanwhile)
	}
}

func TestCopyRefused(t *testing.T) {
	s, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("no room")
	if err := Copy(t.Context(), s, func(int64) (io.Writer, error) { return nil, full }); err != full {
		t.Errorf("nowhere to write to: %v", err)
	}
	if err := Copy(t.Context(), s, func(int64) (io.Writer, error) { return shortWriter{}, nil }); err == nil {
		t.Error("a copy was cut short without an error")
	}
	if err := Copy(t.Context(), storetest.NewMemory(), nil); err == nil {
		t.Error("another kind of store was copied")
	}
	if err := s.Put(t.Context(), ledger.Object{Path: "a"}); err != nil {
		t.Errorf("writing after that: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

type shortWriter struct{}

func (shortWriter) Write(b []byte) (int, error) { return 0, io.ErrClosedPipe }

// TestBuild leaves nothing that opens unless all went well, and never touches what is there.
func TestBuild(t *testing.T) {
	dir := t.TempDir()
	stop := errors.New("stopped by the test")
	fine := func(ledger.Store) error { return nil }
	fill := func(s ledger.Store) error {
		if err := s.Create(t.Context(), 1, []byte("one")); err != nil {
			return err
		}
		if _, err := Open(dir, true); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it opens before it is whole: %v", err)
		}
		return s.Put(t.Context(), ledger.Object{Path: "a", Data: []byte("b")})
	}
	for name, build := range map[string]func() error{
		"filling fails": func() error {
			return Build(dir, func(s ledger.Store) error { return errors.Join(fill(s), stop) }, fine)
		},
		"not accepted": func() error { return Build(dir, fill, func(ledger.Store) error { return stop }) },
	} {
		if err := build(); !errors.Is(err, stop) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
	err := Build(dir, fill, func(s ledger.Store) error {
		b, err := s.Read(t.Context(), 1)
		if string(b) != "one" {
			t.Errorf("accepting %q", b)
		}
		return errors.Join(err, s.Put(t.Context()))
	})
	if !errors.Is(err, ledger.ErrReadOnly) {
		t.Errorf("what accepts may write: %v", err)
	}
	if err := Build(dir, fill, fine); err != nil {
		t.Fatal(err)
	}
	sound(t, dir)
	if err := Build(dir, fill, fine); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another one: %v", err)
	}
	if err := Install(filepath.Join(dir, File), dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another one: %v", err)
	}
}
