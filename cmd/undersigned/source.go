package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify"
)

// A record is a copy of the record that can be read, wherever it is. Nothing in it is trusted.
type record struct {
	name    string // as people gave it
	fetch   verify.Fetch
	archive *verify.Archive // if it is one
	client  *client         // if it is a server's
	ledger  *ledger.Ledger  // if it is a directory
	closers []io.Closer
}

// Close ends the use of the record.
func (r *record) Close() error {
	var errs []error
	for i := len(r.closers) - 1; i >= 0; i-- {
		errs = append(errs, r.closers[i].Close())
	}
	return errors.Join(errs...)
}

// openRecord opens SRC: the address of a server, a directory with a ledger, or an archive. A missing one is "could not check".
func openRecord(ctx context.Context, src string) (*record, error) {
	if strings.HasPrefix(src, "http://") || strings.HasPrefix(src, "https://") {
		c, err := newClient(src)
		if err != nil {
			return nil, err
		}
		return &record{name: src, fetch: c.fetch, client: c}, nil
	}
	info, err := os.Stat(src)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failf(codeUnchecked, "there is no record at %s: give the address of a ledger (https://…), a directory with %s in it, or an archive", src, boltstore.File)
	case err != nil:
		return nil, fmt.Errorf("cannot read the record: %w", err)
	case info.IsDir():
		return openDirectory(ctx, src)
	}
	return openArchive(src)
}

func openArchive(path string) (*record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the archive: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	var a *verify.Archive
	if err == nil {
		a, err = verify.OpenArchive(f, info.Size())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot use %s as a copy of the record: %w", path, err)
	}
	return &record{name: path, fetch: a.Fetch, archive: a, closers: []io.Closer{f}}, nil
}

// openDirectory opens a ledger's directory for reading.
func openDirectory(ctx context.Context, dir string) (*record, error) {
	if _, err := os.Stat(filepath.Join(dir, boltstore.File)); err != nil {
		return nil, failf(codeUnchecked, "%s holds no ledger: there is no %s in it", dir, boltstore.File)
	}
	store, err := boltstore.Open(dir, true)
	if err != nil {
		return nil, &failure{codeUnchecked, inUse(dir, err)}
	}
	l, err := readLedger(ctx, store)
	if err != nil {
		store.Close()
		return nil, fmt.Errorf("cannot read the ledger in %s: %w", dir, err)
	}
	return &record{name: dir, fetch: l.Fetch, ledger: l, closers: []io.Closer{store, l}}, nil
}

// inUse says what to do about a directory that cannot be opened because it is being served.
func inUse(dir string, err error) error {
	if errors.Is(err, ledger.ErrInUse) {
		return fmt.Errorf("another process is using %s: ask that server by its address instead, or stop it first", dir)
	}
	return fmt.Errorf("cannot open the ledger in %s: %w", dir, err)
}
