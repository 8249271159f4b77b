package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// A Copy keeps the record of a ledger that somebody else runs: the same leaves in commits of its own, and notes and texts
// byte for byte. It signs nothing, and judges nothing but hashes: whoever extends it has checked what it hands in
// (verify.Replay). One goroutine extends it, many read.
type Copy struct{ ledger *Ledger }

// copyPrefix is where a Copy keeps what is about itself.
const copyPrefix = "copy/"

// OpenCopy opens the copy in a store, or begins one in a store that holds nothing. Of cfg it takes the origin, the store and
// the logger. All hashes are computed anew: a store that contradicts itself is ErrCorrupt.
func OpenCopy(ctx context.Context, cfg Config) (*Copy, error) {
	l, err := configure(ctx, Config{Origin: cfg.Origin, Store: cfg.Store, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	l.unfolded = true
	last, err := l.store.Last(ctx)
	if err != nil {
		return nil, err
	}
	if last > 0 {
		err = l.replay(ctx, last, l.log, l.opening)
	}
	if err == nil {
		err = l.putTiles(l.newest.size)
	}
	if err != nil {
		l.cancel(err)
		return nil, err
	}
	l.shown = l.newest.size
	return &Copy{l}, nil
}

// Close ends the use of the copy. The store stays the caller's to close.
func (c *Copy) Close() { c.ledger.ended() }

// Err returns what made the copy fail: it takes nothing more, and is to be opened again.
func (c *Copy) Err() error { return c.ledger.Err() }

// Size returns how many leaves are kept.
func (c *Copy) Size() uint64 { return c.ledger.shownSize() }

// RootAt returns the root hash over the first size leaves, which must be kept.
func (c *Copy) RootAt(ctx context.Context, size uint64) ([32]byte, error) {
	if size > c.Size() {
		return [32]byte{}, fs.ErrNotExist
	}
	root, err := c.ledger.tree.rootAt(ctx, size)
	return root, c.ledger.failing(ctx, err)
}

// Append keeps leaves, durably: it begins a commit after each of the tree sizes that a checkpoint has, and after the last
// leaf. After ErrFull some of the leaves may be kept, as Size tells; any other error ends the copy.
func (c *Copy) Append(ctx context.Context, leaves [][]byte, checkpoint func(size uint64) bool) error {
	l := c.ledger
	for len(leaves) > 0 {
		if err := cmp.Or(ctx.Err(), l.Err()); err != nil {
			return err
		}
		rec := &record{seq: l.newest.seq + 1, prev: l.newest.sum, from: l.newest.size, size: l.newest.size}
		size := 0
		for len(rec.leaves) < min(len(leaves), l.maxBatch) && size < maxBatchBytes {
			leaf := leaves[len(rec.leaves)]
			rec.leaves = append(rec.leaves, leaf)
			size += len(leaf)
			if rec.size++; checkpoint(rec.size) {
				break
			}
		}
		if err := l.room(ctx, len(rec.leaves), size); err != nil {
			return l.failing(ctx, err)
		}
		if err := l.commit(rec); err != nil {
			return l.fail(err)
		}
		leaves = leaves[len(rec.leaves):]
		l.mu.Lock()
		l.shown = l.newest.size
		l.mu.Unlock()
	}
	return nil
}

// Keep keeps objects beside the leaves, durably: notes at the paths at which they are served, texts, and what the caller
// needs to remember at paths below "copy/". After ErrFull nothing has changed; any other error ends the copy.
func (c *Copy) Keep(ctx context.Context, objects ...Object) error {
	l := c.ledger
	size := 0
	for _, o := range objects {
		_, first := parseCheckpointPath(o.Path)
		_, latest := parseLatestPath(o.Path)
		h, text := parseHashPath(o.Path, blobPrefix)
		own := strings.HasPrefix(o.Path, copyPrefix)
		if !first && !latest && !text && !own || text && entry.Sum(o.Data) != h {
			return errors.New("a copy does not keep such an object")
		}
		size += max(8<<10, len(o.Path)+len(o.Data))
	}
	if err := cmp.Or(ctx.Err(), l.Err()); err != nil {
		return err
	}
	if len(objects) == 0 {
		return nil
	}
	err := l.store.Room(ctx, size)
	if err == nil {
		err = l.store.Put(ctx, objects...)
	}
	return l.failing(ctx, l.noteFull(err))
}

// parseLatestPath parses what latestPath returns and nothing else.
func parseLatestPath(path string) (size uint64, ok bool) {
	size, ok = parseCheckpointPath(path[:max(0, len(path)-len(latestSuffix))])
	return size, ok && latestPath(size) == path
}

// Get returns an object that was kept. If there is none the error is fs.ErrNotExist.
func (c *Copy) Get(ctx context.Context, path string) ([]byte, error) {
	b, err := c.ledger.store.Get(ctx, path)
	if h, ok := parseHashPath(path, blobPrefix); ok && err == nil && entry.Sum(b) != h {
		err = fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	return b, c.ledger.failing(ctx, err)
}

// Sizes returns the sizes of which a first published note is kept, ascending.
func (c *Copy) Sizes(ctx context.Context) ([]uint64, error) {
	paths, err := c.ledger.store.List(ctx, checkpointPrefix)
	if err != nil {
		return nil, c.ledger.failing(ctx, err)
	}
	var sizes []uint64
	for _, path := range paths {
		if size, ok := parseCheckpointPath(path); ok {
			sizes = append(sizes, size)
		}
	}
	slices.Sort(sizes)
	return sizes, nil
}

// Fetch returns what is kept at a path below a ledger's URL, but for "checkpoint". It is a verify.Fetch; where nothing is kept the
// error is fs.ErrNotExist.
func (c *Copy) Fetch(ctx context.Context, path string) ([]byte, error) {
	if t, err := verify.ParseTilePath(path); err == nil {
		return c.ledger.Tile(ctx, t)
	}
	_, first := parseCheckpointPath(path)
	_, latest := parseLatestPath(path)
	_, text := parseHashPath(path, blobPrefix)
	if !first && !latest && !text {
		return nil, fs.ErrNotExist
	}
	return c.Get(ctx, path)
}
