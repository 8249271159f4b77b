package ledger

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/tccm/undersigned/verify"
)

// tree is the Merkle tree over all leaves. The tiles at the right edge and those that are not in
// the store yet are in memory, with all nodes within them; other full tiles are read from the
// store when needed, held to the hash above them, and kept for a while. One goroutine appends,
// many read.
type tree struct {
	get   func(ctx context.Context, path string) ([]byte, error)
	cache *lru[tileID, *tile]

	mu      sync.RWMutex
	size    uint64
	edge    []*tile // by level: the tile at the right edge, not full
	pending map[tileID]*tile
}

type tileID struct {
	level int
	index uint64
}

func (id tileID) tile() verify.Tile {
	return verify.Tile{Level: id.level, Index: id.index, Width: verify.TileWidth}
}

const (
	tileHeight  = 8
	cachedTiles = 2048 // 32 MiB
)

// tile is a tile of n hashes with the nodes above them up to, but without, the one over all 256.
// A full tile never changes.
type tile struct {
	n     int
	nodes [2*verify.TileWidth - 2][32]byte // 256 hashes, the 128 nodes above them, 64 … 2
}

// nodesAt returns where the nodes begin that are height levels above the tile's hashes.
func nodesAt(height uint) int { return 2*verify.TileWidth - 2*verify.TileWidth>>height }

// append adds a hash. When the tile is full it returns the node over all of it, and true.
func (t *tile) append(h [32]byte) (root [32]byte, full bool) {
	i := t.n
	t.n++
	for height := uint(0); ; height++ {
		if height == tileHeight {
			return h, true
		}
		at := nodesAt(height) + i
		t.nodes[at] = h
		if i%2 == 0 {
			return root, false
		}
		h = verify.NodeHash(t.nodes[at-1], h)
		i /= 2
	}
}

// bytes returns the first width hashes, as a tile is served.
func (t *tile) bytes(width int) []byte {
	b := make([]byte, 0, width*verify.HashSize)
	for i := range width {
		b = append(b, t.nodes[i][:]...)
	}
	return b
}

func newTree(get func(ctx context.Context, path string) ([]byte, error)) *tree {
	return &tree{get: get, cache: newLRU[tileID, *tile](cachedTiles), pending: make(map[tileID]*tile)}
}

// append adds leaf hashes.
func (t *tree) append(hashes ...[32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range hashes {
		full := true
		for level := 0; full; level++ {
			if level == len(t.edge) {
				t.edge = append(t.edge, new(tile))
			}
			last := t.edge[level]
			if h, full = last.append(h); full {
				t.pending[tileID{level, t.size >> (tileHeight * (level + 1))}] = last
				t.edge[level] = new(tile)
			}
		}
		t.size++
	}
}

// edgeBytes returns the hashes at the right edge, level by level; false if there are full tiles that are
// not known to be stored.
func (t *tree) edgeBytes() ([]byte, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var b []byte
	for _, e := range t.edge {
		b = append(b, e.bytes(e.n)...)
	}
	return b, len(t.pending) == 0
}

// edgeLen is how many hashes edgeBytes returns of a tree of this size.
func edgeLen(size uint64) int {
	n := 0
	for ; size > 0; size >>= tileHeight {
		n += int(size % verify.TileWidth)
	}
	return n
}

// setEdge makes an empty tree one of this size, whose full tiles are stored, from edgeLen(size) hashes.
func (t *tree) setEdge(size uint64, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.size = size
	for ; size > 0; size >>= tileHeight {
		e := new(tile)
		for range size % verify.TileWidth {
			e.append([32]byte(b))
			b = b[verify.HashSize:]
		}
		t.edge = append(t.edge, e)
	}
}

// full returns the tiles that are full at this size and not known to be stored, in a fixed order.
func (t *tree) full(size uint64) []tileID {
	t.mu.RLock()
	defer t.mu.RUnlock()
	ids := make([]tileID, 0, len(t.pending))
	for id := range t.pending {
		if id.index < size>>(tileHeight*(id.level+1)) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b tileID) int {
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.index, b.index))
	})
	return ids
}

// pendingBytes returns a tile of full's.
func (t *tree) pendingBytes(id tileID) []byte {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.pending[id].bytes(verify.TileWidth)
}

// objects returns tiles of full's as they are stored.
func (t *tree) objects(ids []tileID) []Object {
	objects := make([]Object, len(ids))
	for i, id := range ids {
		objects[i] = Object{id.tile().Path(), t.pendingBytes(id)}
	}
	return objects
}

// stored says that tiles of full's are in the store.
func (t *tree) stored(ids []tileID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		t.cache.put(id, t.pending[id], 1)
		delete(t.pending, id)
	}
}

// inMemory calls f with a tile at the right edge or one that is not in the store, and returns
// false if it is neither. f must not keep the tile.
func (t *tree) inMemory(id tileID, f func(*tile)) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p := t.pending[id]; p != nil {
		f(p)
		return true
	}
	if id.level < len(t.edge) && id.index == t.size>>(tileHeight*(id.level+1)) {
		f(t.edge[id.level])
		return true
	}
	return false
}

// fullTile returns a tile that is full and stored.
func (t *tree) fullTile(ctx context.Context, id tileID) (*tile, error) {
	if c, ok := t.cache.get(id); ok {
		return c, nil
	}
	path := id.tile().Path()
	b, err := t.get(ctx, path)
	switch {
	case isNotExist(err):
		return nil, fmt.Errorf("%s is missing: %w", path, ErrCorrupt)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	full := new(tile)
	if len(b) != verify.TileWidth*verify.HashSize {
		return nil, fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	var root [32]byte
	for i := range verify.TileWidth {
		root, _ = full.append([32]byte(b[i*verify.HashSize:]))
	}
	above, err := t.node(ctx, tileHeight*uint(id.level+1), id.index)
	if err != nil {
		return nil, err
	}
	if root != above {
		return nil, fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	t.cache.put(id, full, 1)
	return full, nil
}

// node returns the hash of a perfect subtree within the tree: 2^level leaves from index*2^level on.
// It is a verify.NodeReader but for ctx.
func (t *tree) node(ctx context.Context, level uint, index uint64) (h [32]byte, err error) {
	height := level % tileHeight
	first := index << height
	id := tileID{int(level / tileHeight), first / verify.TileWidth}
	at := int(first % verify.TileWidth)
	pick := func(t *tile) {
		if at+1<<height > t.n {
			err = fs.ErrNotExist
			return
		}
		h = t.nodes[nodesAt(height)+at>>height]
	}
	if t.inMemory(id, pick) {
		return h, err
	}
	full, err := t.fullTile(ctx, id)
	if err != nil {
		return h, err
	}
	pick(full)
	return h, err
}

func (t *tree) nodes(ctx context.Context) verify.NodeReader {
	return func(level uint, index uint64) ([32]byte, error) { return t.node(ctx, level, index) }
}

// tile returns the first width hashes of a tile within the tree.
func (t *tree) tile(ctx context.Context, id tileID, width int) (b []byte, err error) {
	pick := func(t *tile) {
		if width > t.n {
			err = fs.ErrNotExist
			return
		}
		b = t.bytes(width)
	}
	if t.inMemory(id, pick) {
		return b, err
	}
	full, err := t.fullTile(ctx, id)
	if err != nil {
		return nil, err
	}
	pick(full)
	return b, err
}

// rootAt returns the root hash that the tree had at this size.
func (t *tree) rootAt(ctx context.Context, size uint64) ([32]byte, error) {
	return verify.RootAt(size, t.nodes(ctx))
}
