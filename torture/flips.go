package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

const (
	flipMembers = 12
	flipGrowths = 40 // commits and checkpoints beside those of the members
	flipLimit   = 10 * time.Second
	flipProgram = 20 // one in so many flips goes through the program itself
	flipPage    = 4096
)

// A flipWorld is a stopped ledger, its files as they must be, and everything that it serves.
type flipWorld struct {
	*record
	store, signed []byte
	snapshot      []byte // of the fold
	logs          []keys.VKey
	served        map[string][]byte // what an outsider can read, by path
	receipts      []*verify.Receipt // by index
	inUse, unused []int             // offsets in the store
}

// flips changes single bits in the files of a stopped ledger. Each one in a byte that is in use must be found by fsck;
// a server on the damaged files refuses to start, or serves no byte that differs; and nothing hangs.
func flips(ctx context.Context, t *trial) error {
	r, err := t.newRecord(ctx, "ledger", flipMembers)
	if err != nil {
		return err
	}
	w := &flipWorld{record: r}
	if err := w.fill(ctx); err != nil {
		return err
	}
	unused, refused, record, snapshots := 0, 0, 0, 0
	for n := 0; t.more(); n++ {
		// Most of them where they matter, some in pages that are free, some in the other files.
		file, at := w.storeFile(), w.inUse[t.rng.IntN(len(w.inUse))]
		used := true
		switch n % 10 {
		case 7:
			file, at = w.snapshotFile(), t.rng.IntN(len(w.snapshot))
			snapshots++
		case 8:
			at, used = w.unused[t.rng.IntN(len(w.unused))], false
			unused++
		case 9:
			file, at = w.signedFile(), t.rng.IntN(2*4096) // its slots
			record++
		}
		bit := t.rng.IntN(8)
		what := fmt.Sprintf("bit %d of byte %d of %s", bit, at, filepath.Base(file))
		if err := flip(file, at, bit); err != nil {
			return err
		}
		opened := false
		var err error
		if n%flipProgram == 0 || file != w.storeFile() {
			opened, err = w.program(ctx, what, file, used)
		} else {
			opened, err = w.process(ctx, what, used)
		}
		if err := errors.Join(err, w.restore()); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if !opened {
			refused++
		}
		t.cycle()
	}
	t.say("%d of them in the snapshot, %d in the last-signed record, %d in bytes that are not in use, %d times the ledger did not open", snapshots, record, unused, refused)
	t.say("%d of %d bytes in use", len(w.inUse), len(w.store))
	return r.finish(ctx)
}

// fill has the ledger grow, and takes up what it holds and serves.
func (w *flipWorld) fill(ctx context.Context) error {
	c, err := w.start(ctx)
	if err != nil {
		return err
	}
	defer c.kill()
	if err := w.putBlob(ctx, c); err != nil {
		return err
	}
	for n := range flipGrowths {
		entries := 1
		if n == flipGrowths/2 {
			entries = 250 // a full tile
		}
		if err := w.judge.catchUp(ctx, c); err != nil {
			return err
		}
		if err := w.grow(ctx, c, entries); err != nil {
			return err
		}
	}
	if err := w.judge.catchUp(ctx, c); err != nil {
		return err
	}
	c.interrupt()
	if err := c.wait(); err != nil {
		return err
	}
	m, err := w.moment()
	if err != nil {
		return err
	}
	w.store, w.signed = m.store, m.signed
	if w.snapshot, err = os.ReadFile(w.snapshotFile()); err != nil {
		return err
	}
	for _, l := range w.policy.Logs() {
		w.logs = append(w.logs, l.VKey)
	}
	w.inUse, w.unused = inUse(w.store)
	if len(w.inUse) == 0 || len(w.unused) == 0 {
		return errors.New("the pages of the store cannot be told apart")
	}
	w.served, w.receipts = make(map[string][]byte), make([]*verify.Receipt, w.judge.size())
	differ, err := w.read(ctx, func(path string, b []byte) bool { w.served[path] = b; return false },
		func(i uint64, r *verify.Receipt) bool { w.receipts[i] = r; return false })
	if err != nil || differ != "" {
		return fmt.Errorf("the sound ledger cannot be read: %s %w", differ, err)
	}
	if found, err := w.check(ctx); err != nil || len(found) > 0 {
		return fmt.Errorf("the sound ledger has flaws: %v %w", found, err)
	}
	return nil
}

// putBlob puts the statement's text.
func (w *flipWorld) putBlob(ctx context.Context, c *child) error {
	status, b, err := c.put(ctx, verify.BlobPath(entry.Sum([]byte(statement))), []byte(statement))
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("putting the text: status %d: %s", status, b)
	}
	return err
}

func flip(file string, at, bit int) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, int64(at)); err != nil {
		return err
	}
	b[0] ^= 1 << bit
	_, err = f.WriteAt(b, int64(at))
	return err
}

func (w *flipWorld) snapshotFile() string { return filepath.Join(w.dir, "snapshot") }

// restore puts the sound files back if anything else than a flip has changed them.
func (w *flipWorld) restore() error {
	for path, want := range map[string][]byte{w.storeFile(): w.store, w.signedFile(): w.signed, w.snapshotFile(): w.snapshot} {
		if b, err := os.ReadFile(path); err == nil && bytes.Equal(b, want) {
			continue
		}
		if err := os.WriteFile(path, want, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// within runs f, which must return in time and not panic.
func (w *flipWorld) within(what string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("it panics: %v", r)
			}
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(flipLimit):
		return errors.New("it hangs")
	}
}

// process holds a flip to the packages, within this process, and reports whether the ledger opened.
func (w *flipWorld) process(ctx context.Context, what string, used bool) (opened bool, err error) {
	var found []ledger.Flaw
	err = w.within(what, func() (err error) {
		found, err = w.check(ctx)
		return err
	})
	if err != nil {
		w.fault("%s: fsck: %v", what, err)
	}
	if used && len(found) == 0 {
		w.fault("%s: it is not found", what)
	}
	var differ string
	err = w.within(what, func() error { // what cannot be read is not served
		differ, _ = w.read(ctx,
			func(path string, b []byte) bool { return !bytes.Equal(b, w.served[path]) },
			func(i uint64, r *verify.Receipt) bool { return !bytes.Equal(r.Bytes(), w.receipts[i].Bytes()) })
		return nil
	})
	if err != nil {
		w.fault("%s: serving: %v", what, err)
	}
	if differ == notOpened {
		return false, nil
	}
	if differ != "" {
		w.fault("%s: it serves %s, which is damaged", what, differ)
	}
	return true, nil
}

// check does what fsck does.
func (w *flipWorld) check(ctx context.Context) ([]ledger.Flaw, error) {
	store, flaws, err := boltstore.Inspect(w.dir)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	signed, err := ledger.OpenLastSigned(w.signedFile())
	if err != nil {
		return nil, err
	}
	defer signed.Close()
	report, err := ledger.Check(ctx, store, ledger.CheckOptions{Origin: origin, Logs: w.logs, LastSigned: signed})
	switch {
	case errors.Is(err, ledger.ErrCorrupt), errors.Is(err, ledger.ErrEmpty):
		return append(flaws, ledger.Flaw{Where: boltstore.File, Problem: err.Error()}), nil
	case err != nil:
		return nil, err
	}
	return append(flaws, report.Flaws...), nil
}

const notOpened = "(nothing: it does not open)"

// read opens the ledger to read, and hands everything that it serves to these functions. It returns the first thing
// for which one says true. What cannot be read is not served.
func (w *flipWorld) read(ctx context.Context, file func(path string, b []byte) bool, receipt func(i uint64, r *verify.Receipt) bool) (differ string, err error) {
	store, err := boltstore.Open(w.dir, true)
	if err != nil {
		return notOpened, err
	}
	defer store.Close()
	l, err := ledger.Open(ctx, ledger.Config{Origin: origin, Store: store})
	if err != nil {
		return notOpened, err
	}
	defer l.Close()
	size := w.judge.size()
	paths := []string{"checkpoint", verify.BlobPath(entry.Sum([]byte(statement)))}
	for tile := range verify.TilesFor(size) {
		paths = append(paths, tile.Path())
	}
	for n := range w.judge.seen {
		paths = append(paths, verify.CheckpointPath(n))
	}
	for _, path := range paths {
		if b, err := l.Fetch(ctx, path); err == nil && file(path, b) {
			return path, nil
		} else if err != nil && w.served[path] == nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
	}
	for i := range size {
		if r, err := l.Receipt(ctx, i); err == nil && receipt(i, r) {
			return fmt.Sprintf("receipt %d", i), nil
		} else if err != nil && w.receipts[i] == nil {
			return "", fmt.Errorf("receipt %d: %w", i, err)
		}
	}
	return "", nil
}

// program holds a flip to the program: to fsck and to serve. A damaged snapshot, which is made anew, is for serve to tell of.
func (w *flipWorld) program(ctx context.Context, what, file string, used bool) (opened bool, err error) {
	limited, cancel := context.WithTimeout(ctx, 3*flipLimit)
	defer cancel()
	code, out, err := command(limited, w.bin, "fsck", w.dir)
	if err != nil {
		w.fault("%s: fsck: %v", what, err)
		return false, ctx.Err()
	}
	if used && file == w.storeFile() && code != verify.CodeContradiction {
		w.fault("%s: fsck: exit code %d: %s", what, code, out)
	}
	began := time.Now()
	c, err := w.start(ctx)
	var ended *endedError
	if errors.As(err, &ended) {
		w.endedWell(ended.child, what)
		if time.Since(began) > flipLimit {
			w.fault("%s: serve took %v to refuse", what, time.Since(began))
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() {
		c.kill()
		c.wait()
	}()
	word := map[string]string{w.signedFile(): "damaged", w.snapshotFile(): "snapshot"}[file]
	if said := c.said(word); !strings.Contains(said, word) {
		w.fault("%s: serve does not tell of it: %s", what, said)
	}
	want := maps.Clone(w.served)
	for i, r := range w.receipts {
		want[fmt.Sprintf("api/v1/receipt/%d", i)] = r.Bytes()
	}
	for path, want := range want {
		b, err := c.get(limited, path)
		var status *statusError
		switch {
		case errors.As(err, &status) && status.status >= 500:
		case err != nil:
			select {
			case <-c.ended:
				w.endedWell(c, what)
				return true, nil
			case <-limited.Done():
				w.fault("%s: %v", what, err)
				return true, nil
			}
		case !bytes.Equal(b, want):
			w.fault("%s: it serves %s, which is damaged", what, path)
		}
	}
	return true, nil
}

// endedWell holds a server that has ended by itself to its saying why.
func (w *flipWorld) endedWell(c *child, what string) {
	said, code := c.stderr.last(), c.cmd.ProcessState.ExitCode()
	if code != 1 && code != verify.CodeContradiction || !strings.Contains(said, "undersigned: ") || strings.Contains(said, "goroutine ") {
		w.fault("%s: serve ended with %v: %s", what, c.err, said)
	}
}

// inUse returns the offsets of all bytes of a store that mean something, and of those that do not: in bbolt's format,
// all of both meta pages that their checksums cover, the list of free pages, and the headers, elements, keys and values of
// all pages that the root bucket leads to.
func inUse(file []byte) (used, unused []int) {
	const branch, bucket, header, element = 1, 1, 16, 16
	ne := binary.NativeEndian
	mark := make([]bool, len(file))
	add := func(from, n int) {
		for at := range n {
			mark[from+at] = true
		}
	}
	add(header, 64)
	add(flipPage+header, 64)
	meta := file[header:]
	if ne.Uint64(file[flipPage+header+48:]) > ne.Uint64(meta[48:]) {
		meta = file[flipPage+header:]
	}
	var page func(at int)
	page = func(at int) {
		kind, count := ne.Uint16(file[at+8:]), int(ne.Uint16(file[at+10:]))
		add(at, header+element*count)
		for i := range count {
			e := at + header + element*i
			if kind == branch {
				add(e+int(ne.Uint32(file[e:])), int(ne.Uint32(file[e+4:])))
				page(int(ne.Uint64(file[e+8:])) * flipPage)
				continue
			}
			key, k, v := e+int(ne.Uint32(file[e+4:])), int(ne.Uint32(file[e+8:])), int(ne.Uint32(file[e+12:]))
			add(key, k+v)
			if ne.Uint32(file[e:]) == bucket {
				page(int(ne.Uint64(file[key+k:])) * flipPage)
			}
		}
	}
	page(int(ne.Uint64(meta[16:])) * flipPage)
	free := int(ne.Uint64(meta[32:])) * flipPage
	add(free, header+8*int(ne.Uint16(file[free+10:])))
	for at, is := range mark {
		if is {
			used = append(used, at)
		} else {
			unused = append(unused, at)
		}
	}
	return used, unused
}
