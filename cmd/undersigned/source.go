package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify"
)

// A record is a copy of the record that can be read, wherever it is. Nothing in it is trusted.
type record struct {
	name    string // as people gave it
	fetch   verify.Fetch
	archive *verify.Archive // if it is one, packed or not
	tree    *os.Root        // if it is a directory of files without a list of them
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

// openRecord opens SRC: the address of a server, a directory with a ledger, or an archive, packed or not. A missing one is "could not check".
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
		return nil, failf(codeUnchecked, "there is no record at %s: give the address of a ledger (https://…), a directory with %s or a checkpoint in it, or an archive", src, boltstore.File)
	case err != nil:
		return nil, &failure{codeUnchecked, unreadableRecord(src, err)}
	case info.IsDir():
		if _, err := os.Stat(filepath.Join(src, boltstore.File)); errors.Is(err, fs.ErrNotExist) && isTree(src) {
			return openTree(src)
		}
		return openDirectory(ctx, src)
	}
	return openArchive(src)
}

// mayRead returns an error if SRC is on this machine and may not be looked at: what lies in it cannot be told then.
func mayRead(src string) error {
	if isAddress(src) {
		return nil
	}
	_, err := os.Stat(src)
	if err == nil {
		_, err = os.Stat(filepath.Join(src, boltstore.File))
	}
	if errors.Is(err, fs.ErrPermission) {
		return &failure{codeUnchecked, unreadableRecord(src, err)}
	}
	return nil
}

func openArchive(path string) (*record, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, &failure{codeUnchecked, unreadableRecord(path, err)}
	}
	if err != nil {
		return nil, unreadable(fmt.Errorf("cannot open the archive: %w", err))
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

// isTree says whether a directory holds the files of a record.
func isTree(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "checkpoint"))
	return err == nil
}

// openTree opens a directory with the files of a record: an unpacked archive, or what a web server serves.
func openTree(dir string) (*record, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, unreadable(fmt.Errorf("cannot read the record: %w", err))
	}
	r := &record{name: dir, closers: []io.Closer{root}}
	r.archive, err = verify.OpenTree(root.FS())
	switch {
	case err == nil:
		r.fetch = r.archive.Fetch
	case errors.Is(err, fs.ErrNotExist):
		r.tree, r.fetch = root, verify.TreeFetch(root.FS())
	default:
		root.Close()
		return nil, fmt.Errorf("cannot use %s as a copy of the record: %w", dir, err)
	}
	return r, nil
}

// paths lists what the record holds, as far as its source can tell: at least the notes of past checkpoints.
func (r *record) paths(ctx context.Context) ([]string, error) {
	if r.archive != nil {
		return r.archive.Paths(), nil
	}
	sizes, err := r.checkpoints(ctx)
	var paths []string
	for _, size := range sizes {
		paths = append(paths, verify.CheckpointPath(size))
	}
	return paths, err
}

// covering tells the size of the first published checkpoint that covers an entry, if the source can.
func (r *record) covering(ctx context.Context, index uint64) (uint64, bool) {
	var sizes []uint64
	var err error
	switch {
	case r.ledger != nil:
		sizes, err = r.ledger.CheckpointSizes(ctx)
	case r.client != nil:
		sizes, err = r.client.checkpointAfter(ctx, index)
	case r.tree != nil:
		sizes, err = treeCheckpoints(r.tree)
	case r.archive != nil:
		for _, path := range r.archive.Paths() {
			if size, err := strconv.ParseUint(filepath.Base(path), 10, 63); err == nil && verify.CheckpointPath(size) == path {
				sizes = append(sizes, size)
			}
		}
	}
	sizes = slices.DeleteFunc(slices.Clone(sizes), func(size uint64) bool { return size <= index })
	if err != nil || len(sizes) == 0 {
		return 0, false // whoever serves mere files does not list them
	}
	return slices.Min(sizes), true
}

// checkpoints lists the sizes of which the record has the first published note. The error is fs.ErrNotExist if its source cannot tell.
func (r *record) checkpoints(ctx context.Context) (sizes []uint64, err error) {
	switch {
	case r.archive != nil:
		for _, path := range r.archive.Paths() {
			if size, ok := checkpointSize(path); ok {
				sizes = append(sizes, size)
			}
		}
		return sizes, nil
	case r.ledger != nil:
		return r.ledger.CheckpointSizes(ctx)
	case r.client != nil:
		return r.client.checkpoints(ctx)
	default:
		return treeCheckpoints(r.tree)
	}
}

// treeCheckpoints lists the notes in a directory of files.
func treeCheckpoints(root *os.Root) (sizes []uint64, err error) {
	list, err := fs.ReadDir(root.FS(), "checkpoints")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, f := range list {
		if size, err := strconv.ParseUint(f.Name(), 10, 63); err == nil && f.Type().IsRegular() && verify.CheckpointPath(size) == "checkpoints/"+f.Name() {
			sizes = append(sizes, size)
		}
	}
	return sizes, nil
}

// openDirectory opens a ledger's directory for reading.
func openDirectory(ctx context.Context, dir string) (*record, error) {
	if err := hasStore(dir); err != nil {
		return nil, &failure{codeUnchecked, err}
	}
	store, err := boltstore.Open(dir, true)
	if err != nil {
		return nil, &failure{codeUnchecked, inUse(dir, err)}
	}
	l, err := readWhole(ctx, dir, store)
	if err != nil {
		store.Close()
		return nil, fmt.Errorf("cannot read the ledger in %s: %w", dir, err)
	}
	return &record{name: dir, fetch: l.Fetch, ledger: l, closers: []io.Closer{store, l}}, nil
}

// readWhole opens the ledger in the store of a directory for reading.
func readWhole(ctx context.Context, dir string, store ledger.Store) (*ledger.Ledger, error) {
	whole, err := ledger.Whole(ctx, store, filepath.Join(dir, keysDir, lastSignedFile))
	if err != nil {
		return nil, err
	}
	return readLedger(ctx, whole)
}

// inUse says what to do about a directory that cannot be opened because it is being served.
func inUse(dir string, err error) error {
	if errors.Is(err, ledger.ErrInUse) {
		return &inUseError{dir}
	}
	if errors.Is(err, fs.ErrPermission) {
		return unreadableRecord(dir, err)
	}
	return fmt.Errorf("cannot open the ledger in %s: %w", dir, err)
}

// An inUseError says that a directory is being served. It is ledger.ErrInUse.
type inUseError struct{ dir string }

func (e *inUseError) Error() string {
	return fmt.Sprintf("another process is using %s: ask that server by its address instead, or stop it first", e.dir)
}
func (e *inUseError) Unwrap() error { return ledger.ErrInUse }
