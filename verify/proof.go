package verify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// emptyRoot is the root hash of a tree without leaves (RFC 6962 section 2.1).
var emptyRoot = sha256.Sum256(nil)

// LeafHash returns the RFC 6962 hash of a leaf: SHA-256 of 0x00 and its bytes.
func LeafHash(leaf []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte{rfc6962.RFC6962LeafHashPrefix})
	h.Write(leaf)
	return [32]byte(h.Sum(nil))
}

// NodeHash returns the RFC 6962 hash of an inner node: SHA-256 of 0x01 and its children's hashes.
func NodeHash(left, right [32]byte) [32]byte {
	var b [1 + 2*HashSize]byte
	b[0] = rfc6962.RFC6962NodeHashPrefix
	copy(b[1:], left[:])
	copy(b[1+HashSize:], right[:])
	return sha256.Sum256(b[:])
}

// CheckInclusion checks an RFC 6962 inclusion proof, from the leaf's sibling up: the leaf with
// this hash has this index in the tree of this size and root. Errors are *ContradictionError.
func CheckInclusion(leafHash [32]byte, index, size uint64, hashes [][32]byte, root [32]byte) error {
	if index >= size || proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leafHash[:], byteSlices(hashes), root[:]) != nil {
		return contradiction("the inclusion proof does not lead from the entry to the root hash of the checkpoint")
	}
	return nil
}

// CheckConsistency checks an RFC 6962 consistency proof: the tree of size1 and root1 is the
// beginning of the tree of size2 and root2. Errors are *ContradictionError.
func CheckConsistency(size1, size2 uint64, hashes [][32]byte, root1, root2 [32]byte) error {
	if size1 > size2 || size1 == 0 && root1 != emptyRoot || proof.VerifyConsistency(rfc6962.DefaultHasher, size1, size2, byteSlices(hashes), root1[:], root2[:]) != nil {
		return contradiction("the consistency proof does not lead from the older to the newer checkpoint")
	}
	return nil
}

func byteSlices(hashes [][32]byte) [][]byte {
	s := make([][]byte, len(hashes))
	for i := range hashes {
		s[i] = hashes[i][:]
	}
	return s
}

// NodeReader returns the hash of a perfect subtree: 2^level leaves, the first of which is
// leaf index*2^level.
type NodeReader func(level uint, index uint64) ([32]byte, error)

// Inclusion builds the inclusion proof of a leaf in the tree of the given size, from the
// leaf's sibling up. It asks nodes only for subtrees that lie within that tree.
func Inclusion(index, size uint64, nodes NodeReader) ([][32]byte, error) {
	if index >= size || size > MaxSize {
		return nil, fmt.Errorf("there is no leaf %d in a tree of size %d", index, size)
	}
	n, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, err
	}
	return rehash(n, nodes)
}

// Consistency builds the proof that the tree of size1 is the beginning of the tree of size2.
// It asks nodes only for subtrees that lie within the latter.
func Consistency(size1, size2 uint64, nodes NodeReader) ([][32]byte, error) {
	if size1 > size2 || size2 > MaxSize {
		return nil, fmt.Errorf("a tree of size %d is not the beginning of one of size %d", size1, size2)
	}
	n, err := proof.Consistency(size1, size2)
	if err != nil {
		return nil, err
	}
	return rehash(n, nodes)
}

func rehash(n proof.Nodes, nodes NodeReader) ([][32]byte, error) {
	out := make([][32]byte, len(n.IDs))
	hashes := make([][]byte, len(n.IDs))
	for i, id := range n.IDs {
		var err error
		if out[i], err = nodes(id.Level, id.Index); err != nil {
			return nil, err
		}
		hashes[i] = out[i][:]
	}
	// What is made of two goes where the second was, which is not asked for again.
	hashes, err := n.Rehash(hashes, func(left, right []byte) []byte {
		h := NodeHash([32]byte(left), [32]byte(right))
		copy(right, h[:])
		return right
	})
	if err != nil {
		return nil, err
	}
	for i, h := range hashes { // in order, so that none is written over before it is read
		out[i] = [32]byte(h)
	}
	return out[:len(hashes)], nil
}

// RootAt returns the root hash of the tree of the given size. It asks nodes only for the
// perfect subtrees that make up that tree.
func RootAt(size uint64, nodes NodeReader) ([32]byte, error) {
	if size == 0 {
		return emptyRoot, nil
	}
	if size > MaxSize {
		return [32]byte{}, fmt.Errorf("a tree of size %d is too large", size)
	}
	var root [32]byte
	ids := compact.RangeNodes(0, size, nil)
	for i := len(ids) - 1; i >= 0; i-- {
		h, err := nodes(ids[i].Level, ids[i].Index)
		if err != nil {
			return [32]byte{}, err
		}
		if i == len(ids)-1 {
			root = h
		} else {
			root = NodeHash(h, root)
		}
	}
	return root, nil
}

// HashReader reads the hashes of one tree from its tiles. Every tile is checked, against the
// root hash of the checkpoint, before any of its hashes is used; so whatever it returns is what
// the log signed. It is safe for concurrent use.
type HashReader struct {
	checkpoint Checkpoint
	fetch      Fetch
	edge       map[int][][32]byte // level -> hashes of the partial tile at the right edge

	mu    sync.Mutex
	cache map[tileID][][32]byte // full tiles, checked
	order []tileID              // the same, least recently used first
}

type tileID struct {
	level int
	index uint64
}

// cachedTiles bounds what a HashReader keeps: 64 tiles of 8 KiB.
const cachedTiles = 64

// NewHashReader fetches the partial tiles at the right edge of the checkpoint's tree, at most
// one for each level, all at once, and checks that they make up its root hash. Errors are *ContradictionError,
// or fetch's own.
func NewHashReader(ctx context.Context, c Checkpoint, fetch Fetch) (*HashReader, error) {
	r := &HashReader{checkpoint: c, fetch: fetch, edge: make(map[int][][32]byte), cache: make(map[tileID][][32]byte)}
	if c.Size > MaxSize {
		return nil, contradiction("the tree is larger than 2^63-1")
	}
	var edge [maxLevel/tileHeight + 1]struct {
		hashes [][32]byte
		err    error
	}
	var fetching sync.WaitGroup
	for level := 0; level < len(edge) && c.Size>>(tileHeight*level) > 0; level++ {
		n := c.Size >> (tileHeight * level)
		if n%TileWidth == 0 {
			continue
		}
		fetching.Go(func() {
			edge[level].hashes, edge[level].err = fetchTile(ctx, fetch, Tile{level, n / TileWidth, int(n % TileWidth)})
		})
	}
	fetching.Wait()
	for level, e := range edge {
		if e.err != nil {
			return nil, e.err
		}
		if e.hashes != nil {
			r.edge[level] = e.hashes
		}
	}
	root, err := RootAt(c.Size, func(level uint, index uint64) ([32]byte, error) {
		tile, offset := int(level/tileHeight), level%tileHeight
		first := index<<offset - c.Size>>(tileHeight*tile)/TileWidth*TileWidth
		return subtree(r.edge[tile][first : first+1<<offset]), nil
	})
	if err != nil {
		return nil, err
	}
	if root != c.Root {
		return nil, contradiction("the tiles at the right edge do not make up the root hash of the checkpoint")
	}
	return r, nil
}

// fetchTile fetches a tile and splits it into its hashes. Nothing about it is checked but its length.
func fetchTile(ctx context.Context, fetch Fetch, t Tile) ([][32]byte, error) {
	path := t.Path()
	b, err := fetch(ctx, path)
	if err != nil {
		return nil, &fetchError{path, err}
	}
	if len(b) != t.Width*HashSize {
		return nil, contradiction("%s has the wrong length", path)
	}
	hashes := make([][32]byte, t.Width)
	for i := range hashes {
		copy(hashes[i][:], b[i*HashSize:])
	}
	return hashes, nil
}

// subtree returns the hash over 1, 2, 4 … 256 hashes of a tile.
func subtree(hashes [][32]byte) [32]byte {
	var level [TileWidth][32]byte
	n := copy(level[:], hashes)
	for ; n > 1; n /= 2 {
		for i := 0; i < n/2; i++ {
			level[i] = NodeHash(level[2*i], level[2*i+1])
		}
	}
	return level[0]
}

// Checkpoint returns what the reader's hashes are checked against.
func (r *HashReader) Checkpoint() Checkpoint { return r.checkpoint }

// Tile returns the hashes of a tile of the tree, full or the partial one at its right edge.
// The caller must not change them.
func (r *HashReader) Tile(ctx context.Context, level int, index uint64) ([][32]byte, error) {
	t, ok := TileAt(level, index, r.checkpoint.Size)
	if !ok || level < 0 {
		return nil, fmt.Errorf("a tree of size %d has no tile %d of level %d", r.checkpoint.Size, index, level)
	}
	if t.Width < TileWidth {
		return r.edge[level], nil
	}
	if hashes := r.cached(tileID{level, index}); hashes != nil {
		return hashes, nil
	}
	parent, err := r.Tile(ctx, level+1, index/TileWidth)
	if err != nil {
		return nil, err
	}
	hashes, err := fetchTile(ctx, r.fetch, t)
	if err != nil {
		return nil, err
	}
	if subtree(hashes) != parent[index%TileWidth] {
		return nil, contradiction("%s is not what the checkpoint's root hash fixes", t.Path())
	}
	r.keep(tileID{level, index}, hashes)
	return hashes, nil
}

func (r *HashReader) cached(id tileID) [][32]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	hashes := r.cache[id]
	if hashes != nil {
		i := slices.Index(r.order, id)
		r.order = append(slices.Delete(r.order, i, i+1), id)
	}
	return hashes
}

func (r *HashReader) keep(id tileID, hashes [][32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cache[id] != nil {
		return
	}
	if len(r.order) == cachedTiles {
		delete(r.cache, r.order[0])
		r.order = slices.Delete(r.order, 0, 1)
	}
	r.cache[id] = hashes
	r.order = append(r.order, id)
}

// Node returns the hash of a perfect subtree that lies within the tree: 2^level leaves from
// leaf index*2^level on.
func (r *HashReader) Node(ctx context.Context, level uint, index uint64) ([32]byte, error) {
	if level > maxLevel || index > r.checkpoint.Size>>level || (index+1)<<level > r.checkpoint.Size {
		return [32]byte{}, fmt.Errorf("node %d of level %d is not within a tree of size %d", index, level, r.checkpoint.Size)
	}
	offset := level % tileHeight
	first := index << offset
	tile, err := r.Tile(ctx, int(level/tileHeight), first/TileWidth)
	if err != nil {
		return [32]byte{}, err
	}
	return subtree(tile[first%TileWidth : first%TileWidth+1<<offset]), nil
}

func (r *HashReader) nodes(ctx context.Context) NodeReader {
	return func(level uint, index uint64) ([32]byte, error) { return r.Node(ctx, level, index) }
}

// InclusionProof returns the proof that leaf index is in the tree of the given size, which must
// not exceed the checkpoint's.
func (r *HashReader) InclusionProof(ctx context.Context, index, size uint64) ([][32]byte, error) {
	if size > r.checkpoint.Size {
		return nil, fmt.Errorf("size %d is beyond the checkpoint's %d", size, r.checkpoint.Size)
	}
	return Inclusion(index, size, r.nodes(ctx))
}

// ConsistencyProof returns the proof that the tree of size1 is the beginning of that of size2,
// which must not exceed the checkpoint's.
func (r *HashReader) ConsistencyProof(ctx context.Context, size1, size2 uint64) ([][32]byte, error) {
	if size2 > r.checkpoint.Size {
		return nil, fmt.Errorf("size %d is beyond the checkpoint's %d", size2, r.checkpoint.Size)
	}
	return Consistency(size1, size2, r.nodes(ctx))
}

// RootAt returns the root hash that the tree had when it was of the given size, which must not
// exceed the checkpoint's.
func (r *HashReader) RootAt(ctx context.Context, size uint64) ([32]byte, error) {
	if size > r.checkpoint.Size {
		return [32]byte{}, fmt.Errorf("size %d is beyond the checkpoint's %d", size, r.checkpoint.Size)
	}
	return RootAt(size, r.nodes(ctx))
}

// Entries fetches the entry bundle with this index and checks each entry against its leaf hash.
// The entries are those from 256*index on; they share one piece of memory.
func (r *HashReader) Entries(ctx context.Context, index uint64) ([][]byte, error) {
	hashes, err := r.Tile(ctx, 0, index)
	if err != nil {
		return nil, err
	}
	t := Tile{-1, index, len(hashes)}
	path := t.Path()
	b, err := r.fetch(ctx, path)
	if err != nil {
		return nil, &fetchError{path, err}
	}
	entries, err := SplitBundle(b, t.Width)
	if err != nil {
		return nil, contradiction("%s: %v", path, err)
	}
	for i, e := range entries {
		if LeafHash(e) != hashes[i] {
			return nil, contradiction("%s: entry %d is not the one that the checkpoint's root hash fixes", path, index*TileWidth+uint64(i))
		}
	}
	return entries, nil
}
