// Package storetest states the promises of ledger.Store as tests, which every store's own tests
// run, and holds a store in memory and one that fails on demand for the tests of others.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tccm/undersigned/ledger"
)

// Run tests a kind of store. Each call of open begins a test: it returns an empty store and a
// function that closes it and opens what it kept, for writing or for reading.
func Run(t *testing.T, open func(t *testing.T) (store ledger.Store, reopen func(readOnly bool) ledger.Store)) {
	ctx := t.Context()
	check := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	absent := func(t *testing.T, err error) {
		t.Helper()
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("error is %v, want fs.ErrNotExist", err)
		}
	}
	last := func(t *testing.T, s ledger.Store, want uint64) {
		t.Helper()
		if got, err := s.Last(ctx); err != nil || got != want {
			t.Fatalf("Last is %d (%v), want %d", got, err, want)
		}
	}
	holds := func(t *testing.T, s ledger.Store, path string, want []byte) {
		t.Helper()
		if got, err := s.Get(ctx, path); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s has %d bytes (%v), want %d that may differ", path, len(got), err, len(want))
		}
	}

	t.Run("empty", func(t *testing.T) {
		s, _ := open(t)
		last(t, s, 0)
		_, err := s.Read(ctx, 1)
		absent(t, err)
		_, err = s.Read(ctx, 0)
		absent(t, err)
		_, err = s.Get(ctx, "tile/0/000")
		absent(t, err)
		if paths, err := s.List(ctx, ""); err != nil || len(paths) != 0 {
			t.Fatalf("List is %v (%v)", paths, err)
		}
		check(t, s.Delete(ctx, "blobs/none"))
	})

	t.Run("commits", func(t *testing.T) {
		s, reopen := open(t)
		records := [][]byte{{0}, []byte("two"), noise(3, 4096), noise(4, ledger.MaxRecord), noise(5, 700)}
		for i, record := range records {
			seq := uint64(i + 1)
			for _, wrong := range []uint64{0, seq + 1, 1 << 63, 1<<64 - 1} {
				if err := s.Create(ctx, wrong, record); err == nil {
					t.Fatalf("commit %d could be created after %d", wrong, i)
				}
			}
			last(t, s, seq-1)
			given := bytes.Clone(record)
			check(t, s.Create(ctx, seq, given))
			clear(given)
			last(t, s, seq)
			for _, again := range [][]byte{record, []byte("other")} {
				if err := s.Create(ctx, seq, again); !errors.Is(err, ledger.ErrExists) {
					t.Fatalf("creating commit %d again: %v", seq, err)
				}
			}
		}
		if err := s.Create(ctx, 6, make([]byte, ledger.MaxRecord+1)); err == nil {
			t.Fatal("a commit beyond MaxRecord was made")
		}
		s = reopen(false)
		last(t, s, 5)
		for i, record := range records {
			got, err := s.Read(ctx, uint64(i+1))
			if err != nil || !bytes.Equal(got, record) {
				t.Fatalf("commit %d has changed (%v)", i+1, err)
			}
			clear(got)
			if got, _ = s.Read(ctx, uint64(i+1)); !bytes.Equal(got, record) {
				t.Fatalf("commit %d can be changed by its reader", i+1)
			}
		}
		_, err := s.Read(ctx, 6)
		absent(t, err)
		if paths, err := s.List(ctx, ""); err != nil || len(paths) != 0 {
			t.Fatalf("commits are listed as objects: %v (%v)", paths, err)
		}
	})

	t.Run("commits with objects", func(t *testing.T) {
		s, reopen := open(t)
		check(t, s.Put(ctx, ledger.Object{Path: "checkpoints/1", Data: []byte("before")}))
		note, tile := noise(1, 3500), noise(2, 8192)
		check(t, s.Create(ctx, 1, noise(3, 700), ledger.Object{Path: "checkpoints/1", Data: note}, ledger.Object{Path: "tile/0/000", Data: tile}))
		other := ledger.Object{Path: "checkpoints/1", Data: []byte("other")}
		if err := s.Create(ctx, 1, noise(3, 700), other, ledger.Object{Path: "new"}); !errors.Is(err, ledger.ErrExists) {
			t.Fatalf("creating commit 1 again: %v", err)
		}
		for name, err := range map[string]error{
			"after a gap":                 s.Create(ctx, 3, []byte("three"), other),
			"too large":                   s.Create(ctx, 2, make([]byte, ledger.MaxRecord+1), other),
			"with an object without path": s.Create(ctx, 2, []byte("two"), other, ledger.Object{}),
			"with a large object":         s.Create(ctx, 2, []byte("two"), other, ledger.Object{Path: "new", Data: make([]byte, 16<<20+1)}),
		} {
			if err == nil {
				t.Errorf("a commit %s was made", name)
			}
		}
		for range 2 {
			last(t, s, 1)
			holds(t, s, "checkpoints/1", note)
			holds(t, s, "tile/0/000", tile)
			_, err := s.Get(ctx, "new")
			absent(t, err)
			s = reopen(false)
		}
		for seq := uint64(2); seq < 200; seq++ {
			o := ledger.Object{Path: fmt.Sprint("checkpoints/", seq), Data: noise(seq, 3500)}
			check(t, s.Create(ctx, seq, noise(seq, 700), o))
			clear(o.Data)
		}
		s = reopen(true)
		last(t, s, 199)
		for seq := uint64(2); seq < 200; seq++ {
			holds(t, s, fmt.Sprint("checkpoints/", seq), noise(seq, 3500))
		}
		if err := s.Create(ctx, 200, []byte("x"), other); !errors.Is(err, ledger.ErrReadOnly) {
			t.Errorf("read only: %v", err)
		}
	})

	t.Run("objects", func(t *testing.T) {
		s, reopen := open(t)
		long := "a/" + strings.Repeat("x", 253)
		want := map[string][]byte{
			"b": {}, "tile/0/000": noise(1, 8192), "tile/0/001": noise(2, 8192), "tile/1/000": noise(3, 8192),
			"checkpoints/9": noise(4, 3500), "checkpoints/10": noise(5, 3500), long: {1}, "blobs/big": noise(6, 16<<20),
		}
		var objects []ledger.Object
		for path, data := range want {
			objects = append(objects, ledger.Object{Path: path, Data: bytes.Clone(data)})
		}
		check(t, s.Put(ctx))
		check(t, s.Put(ctx, objects...))
		for _, o := range objects {
			clear(o.Data)
		}
		for _, bad := range []ledger.Object{{Path: ""}, {Path: long + "x"}, {Path: "big", Data: make([]byte, 16<<20+1)}} {
			if err := s.Put(ctx, ledger.Object{Path: "b", Data: []byte("replaced")}, bad); err == nil {
				t.Fatal("an object beyond the bounds was put")
			}
		}
		for path, data := range want {
			holds(t, s, path, data)
		}
		got, err := s.Get(ctx, "tile/0/000")
		check(t, err)
		clear(got)
		holds(t, s, "tile/0/000", want["tile/0/000"])

		want["b"], want["tile/0/001"] = noise(7, 100_000), nil
		check(t, s.Put(ctx, ledger.Object{Path: "b", Data: want["b"]}, ledger.Object{Path: "tile/0/001"}))
		check(t, s.Delete(ctx, "tile/1/000"))
		check(t, s.Delete(ctx, "tile/1/000"))
		check(t, s.Delete(ctx, ""))
		delete(want, "tile/1/000")
		var paths []string
		for path := range want {
			paths = append(paths, path)
		}
		slices.Sort(paths)
		for _, readOnly := range []bool{false, true} {
			s = reopen(readOnly)
			for path, data := range want {
				holds(t, s, path, data)
			}
			_, err := s.Get(ctx, "tile/1/000")
			absent(t, err)
			for _, prefix := range []string{"", "tile/", "checkpoints/1", "b", "none", "checkpoints/10", "checkpoints/100"} {
				list, err := s.List(ctx, prefix)
				check(t, err)
				of := slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return !strings.HasPrefix(path, prefix) })
				if !slices.Equal(list, of) {
					t.Fatalf("List(%q) is %q, want %q", prefix, list, of)
				}
			}
			last(t, s, 0)
		}
	})

	t.Run("read only", func(t *testing.T) {
		s, reopen := open(t)
		check(t, s.Create(ctx, 1, []byte("one")))
		check(t, s.Put(ctx, ledger.Object{Path: "a", Data: []byte("A")}))
		s = reopen(true)
		for name, err := range map[string]error{
			"Create": s.Create(ctx, 2, []byte("two")), "Put": s.Put(ctx, ledger.Object{Path: "b"}), "Delete": s.Delete(ctx, "a"),
			"Room": s.Room(ctx, 1),
		} {
			if !errors.Is(err, ledger.ErrReadOnly) {
				t.Errorf("%s: %v, want ledger.ErrReadOnly", name, err)
			}
		}
		last(t, s, 1)
		holds(t, s, "a", []byte("A"))
	})

	t.Run("room", func(t *testing.T) {
		s, reopen := open(t)
		for _, n := range []int{0, 1, 1 << 20} {
			check(t, s.Room(ctx, n))
		}
		last(t, s, 0)
		check(t, s.Create(ctx, 1, noise(1, 1<<20)))
		if paths, err := s.List(ctx, ""); err != nil || len(paths) != 0 {
			t.Fatalf("asking for room left %q (%v)", paths, err)
		}
		check(t, reopen(false).Room(ctx, ledger.MaxRecord))
	})

	t.Run("context", func(t *testing.T) {
		s, _ := open(t)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, errLast := s.Last(ended)
		_, errRead := s.Read(ended, 1)
		_, errGet := s.Get(ended, "a")
		_, errList := s.List(ended, "")
		for name, err := range map[string]error{
			"Last": errLast, "Read": errRead, "Get": errGet, "List": errList,
			"Create": s.Create(ended, 1, []byte("one")), "Put": s.Put(ended, ledger.Object{Path: "a"}), "Delete": s.Delete(ended, "a"),
			"Room": s.Room(ended, 1),
		} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want context.Canceled", name, err)
			}
		}
		last(t, s, 0)
	})

	t.Run("readers beside a writer", func(t *testing.T) {
		s, reopen := open(t)
		const n = 60
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for range 2 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					last, err := s.Last(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					for seq := uint64(1); seq <= last; seq++ {
						got, err := s.Read(ctx, seq)
						if err != nil || !bytes.Equal(got, noise(seq, int(seq)*977)) {
							t.Errorf("commit %d of %d: %v", seq, last, err)
							return
						}
						got, err = s.Get(ctx, fmt.Sprint("objects/", seq))
						if err != nil && !errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(got, noise(seq, 500)) {
							t.Errorf("object %d of %d: %v", seq, last, err)
							return
						}
					}
				}
			})
		}
		for seq := uint64(1); seq <= n; seq++ {
			check(t, s.Create(ctx, seq, noise(seq, int(seq)*977)))
			check(t, s.Put(ctx, ledger.Object{Path: fmt.Sprint("objects/", seq), Data: noise(seq, 500)}))
		}
		close(stop)
		wg.Wait()
		last(t, reopen(false), n)
	})

	t.Run("closed", func(t *testing.T) {
		s, _ := open(t)
		check(t, s.Close())
		if err := s.Create(ctx, 1, []byte("one")); err == nil {
			t.Error("a closed store commits")
		}
		if err := s.Room(ctx, 1); err == nil || errors.Is(err, ledger.ErrFull) {
			t.Errorf("a closed store has room or is full: %v", err)
		}
		if _, err := s.Last(ctx); err == nil {
			t.Error("a closed store answers")
		}
	})
}

// RunFull tests what a store does without space. open returns an empty store and a function that
// leaves it so little space that nothing of 1 MiB fits, or gives that back.
func RunFull(t *testing.T, open func(t *testing.T) (store ledger.Store, full func(full bool))) {
	ctx := t.Context()
	s, full := open(t)
	small, large := []byte("small"), noise(1, 1<<20)
	for _, err := range []error{s.Create(ctx, 1, small), s.Put(ctx, ledger.Object{Path: "a", Data: small}), s.Room(ctx, len(large))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		full(true)
		for name, err := range map[string]error{
			"Room":    s.Room(ctx, len(large)),
			"Create":  s.Create(ctx, 2, large),
			"with":    s.Create(ctx, 2, small, ledger.Object{Path: "a", Data: large}, ledger.Object{Path: "b", Data: small}),
			"Put":     s.Put(ctx, ledger.Object{Path: "b", Data: small}, ledger.Object{Path: "c", Data: large}),
			"replace": s.Put(ctx, ledger.Object{Path: "a", Data: large}),
		} {
			if !errors.Is(err, ledger.ErrFull) {
				t.Errorf("%s: %v, want ledger.ErrFull", name, err)
			}
		}
		if last, err := s.Last(ctx); err != nil || last != 1 {
			t.Errorf("there are %d commits (%v)", last, err)
		}
		if paths, err := s.List(ctx, ""); err != nil || !slices.Equal(paths, []string{"a"}) {
			t.Errorf("the objects are %q (%v)", paths, err)
		}
		if b, err := s.Get(ctx, "a"); err != nil || !bytes.Equal(b, small) {
			t.Errorf("an object has changed (%v)", err)
		}
		full(false)
		if err := s.Room(ctx, len(large)); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{s.Create(ctx, 2, large), s.Put(ctx, ledger.Object{Path: "a", Data: large}), s.Delete(ctx, "a")} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// noise returns n bytes that depend on the seed.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	r.Read(b)
	return b
}
