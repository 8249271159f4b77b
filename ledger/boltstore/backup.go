package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/tccm/undersigned/ledger"
)

// Build makes a store in a directory, which must exist: fill writes to it, and accept reads what is in the
// file then. If there is a store already the error is fs.ErrExist. The file appears under its name only
// when both have returned nil and all of it is durable; until then its name is one that nobody opens,
// so that fill's writes need not be durable one by one.
func Build(dir string, fill, accept func(ledger.Store) error) (err error) {
	if err := absent(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, File+".new-")
	if err != nil {
		return err
	}
	temp := f.Name()
	defer os.Remove(temp)
	if err := f.Close(); err != nil {
		return err
	}
	o := options(false)
	o.NoSync = true
	s := &store{path: temp}
	if err := s.open(o); err != nil {
		return err
	}
	if s.space, err = openSpace(temp); err != nil {
		return errors.Join(err, s.db.Close())
	}
	err = s.guard(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			for _, name := range [][]byte{commitBucket, objBucket} {
				if _, err := tx.CreateBucket(name); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err == nil {
		err = fill(s)
	}
	if err == nil {
		err = s.guard(s.db.Sync)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	p, flaws, err := InspectFile(temp)
	if err != nil {
		return err
	}
	if len(flaws) > 0 {
		err = fmt.Errorf("what was written: %w: %s", ledger.ErrCorrupt, flaws[0])
	} else {
		err = accept(p)
	}
	if err := errors.Join(err, p.Close()); err != nil {
		return err
	}
	return Install(temp, dir)
}

// absent returns fs.ErrExist if there is a store in a directory, or something in its place.
func absent(dir string) error {
	path := filepath.Join(dir, File)
	_, err := os.Lstat(path)
	if err == nil {
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Install gives a file that is whole and durable the name of a directory's store, durably. It must lie in the
// directory. If there is a store already the error is fs.ErrExist.
func Install(temp, dir string) error {
	// Unlike a rename, a link never replaces a store that another process made meanwhile.
	if err := os.Link(temp, filepath.Join(dir, File)); err != nil {
		return err
	}
	if err := os.Remove(temp); err != nil {
		return err
	}
	return syncDir(dir)
}

// InspectFile is Inspect of a file of any name.
func InspectFile(path string) (ledger.Store, []ledger.Flaw, error) {
	p, err := openFile(path)
	if err != nil {
		return nil, nil, err
	}
	return p, p.flaws, nil
}

// Complete puts objects into a file that Copy has written and that nobody has opened yet, durably.
func Complete(ctx context.Context, path string, objects ...ledger.Object) (err error) {
	s := &store{path: path}
	if err := s.open(options(false)); err != nil {
		return err
	}
	if s.space, err = openSpace(path); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return errors.Join(s.Put(ctx, objects...), s.Close())
}

// Copy writes the file of a store that this package has opened, as it is after one of its transactions.
// Others may write to the store meanwhile. begin is told the size in bytes and says where to write to.
//
// As long as it runs, no page of that moment is used again, so that the file grows, and it can grow only within what
// is mapped into memory: what it writes to must not stall. If somebody has put another file in place of the store's
// that is an error.
func Copy(ctx context.Context, s ledger.Store, begin func(size int64) (io.Writer, error)) error {
	bs, ok := s.(*store)
	if !ok {
		return errors.New("this store cannot be copied")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// bbolt reads the file that is there now.
	there := func() error { return ledger.InPlace(bs.file, bs.path) }
	return bs.guard(func() error {
		if err := there(); err != nil {
			return err
		}
		return bs.db.View(func(tx *bolt.Tx) error {
			w, err := begin(tx.Size())
			if err != nil {
				return err
			}
			n, err := tx.WriteTo(w)
			if err == nil && n != tx.Size() {
				err = io.ErrShortWrite
			}
			if err == nil {
				err = there()
			}
			return err
		})
	})
}
