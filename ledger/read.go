package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// failing ends the ledger if the store failed for another reason than a context, a missing object or
// missing space.
func (l *Ledger) failing(ctx context.Context, err error) error {
	if err != nil && !isNotExist(err) && !errors.Is(err, ErrFull) && ctx.Err() == nil {
		l.fail(err)
	}
	return err
}

func (l *Ledger) published() *head {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.head
}

// publishedSize is the published tree size, 0 if there is none yet.
func (l *Ledger) publishedSize() uint64 {
	if h := l.published(); h != nil {
		return h.Size
	}
	return 0
}

// shownSize is the tree size of which tiles can be read: the published one, or that of the checkpoint which waits for
// cosignatures. A witness that replays the record needs those leaves before it cosigns.
func (l *Ledger) shownSize() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.head != nil {
		return max(l.shown, l.head.Size)
	}
	return l.shown
}

// Checkpoint returns the published checkpoint as a note, nil if there is none yet. The caller
// must not change it.
func (l *Ledger) Checkpoint() []byte {
	if h := l.published(); h != nil {
		return h.note
	}
	return nil
}

// Published returns what the published checkpoint says; the zero value if there is none yet.
func (l *Ledger) Published() verify.Checkpoint {
	if h := l.published(); h != nil {
		return h.Checkpoint
	}
	return verify.Checkpoint{}
}

// CheckpointAt returns the first note that was published of a tree size. If there is none the
// error is fs.ErrNotExist. The caller must not change it.
func (l *Ledger) CheckpointAt(ctx context.Context, size uint64) ([]byte, error) {
	n, err := l.noteAt(ctx, size)
	return n.note, err
}

// LatestAt returns the newest note that was published of a tree size: the first, or one of the same checkpoint that was signed
// and cosigned afresh. If there is none the error is fs.ErrNotExist. The caller must not change it.
func (l *Ledger) LatestAt(ctx context.Context, size uint64) ([]byte, error) {
	h := l.published()
	if h == nil || size > h.Size {
		return nil, fs.ErrNotExist
	}
	if size == h.Size {
		return h.note, nil
	}
	b, err := l.store.Get(ctx, latestPath(size))
	if isNotExist(err) {
		return l.CheckpointAt(ctx, size)
	}
	return b, l.failing(ctx, err)
}

// recallLatest makes the newest note of the published checkpoint the one that is shown.
func (l *Ledger) recallLatest(ctx context.Context, c verify.Checkpoint) error {
	b, err := l.store.Get(ctx, latestPath(c.Size))
	switch {
	case isNotExist(err):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", latestPath(c.Size), err)
	}
	if problem := noteProblem(b, c); problem != "" {
		return fmt.Errorf("%s %s: %w", latestPath(c.Size), problem, ErrCorrupt)
	}
	l.setLatest(c, b)
	return nil
}

// quotable is a published note and its hash.
type quotable struct {
	note []byte
	hash entry.Hash
}

// noteAt returns a published note. Signers quote the same few.
func (l *Ledger) noteAt(ctx context.Context, size uint64) (quotable, error) {
	if size > l.publishedSize() {
		return quotable{}, fs.ErrNotExist
	}
	if n, ok := l.notes.get(size); ok {
		return n, nil
	}
	if o := l.unstored.Load(); o != nil && o.Path == checkpointPath(size) {
		return quotable{o.Data, entry.Sum(o.Data)}, nil
	}
	b, err := l.store.Get(ctx, checkpointPath(size))
	if err != nil {
		return quotable{}, l.failing(ctx, err)
	}
	n := quotable{b, entry.Sum(b)}
	l.notes.put(size, n, len(b))
	return n, nil
}

// CheckpointSizes returns the sizes of all checkpoints that were published, ascending. The caller must not
// change them.
func (l *Ledger) CheckpointSizes(ctx context.Context) ([]uint64, error) {
	l.mu.RLock()
	listed, sizes := l.listed, l.sizes
	l.mu.RUnlock()
	if listed {
		return sizes, nil
	}
	paths, err := l.store.List(ctx, checkpointPrefix)
	if err != nil {
		return nil, l.failing(ctx, err)
	}
	var past []uint64
	for _, path := range paths {
		if size, ok := parseCheckpointPath(path); ok {
			past = append(past, size)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.listed {
		// What is in the store without being published yet, setHead adds when it is.
		past = slices.DeleteFunc(past, func(size uint64) bool { return l.head == nil || size > l.head.Size })
		past = append(past, l.sizes...)
		slices.Sort(past)
		l.sizes, l.listed = slices.Compact(past), true
	}
	return l.sizes, nil
}

// Tile returns a tile or entry bundle of the published tree, or of the one that waits for cosignatures; a partial one if that tree
// has reached its width. Otherwise the error is fs.ErrNotExist.
func (l *Ledger) Tile(ctx context.Context, t verify.Tile) ([]byte, error) {
	most, ok := verify.TileAt(t.Level, t.Index, l.shownSize())
	if !ok || t.Width < 1 || t.Width > most.Width {
		return nil, fs.ErrNotExist
	}
	if t.Level >= 0 {
		b, err := l.tree.tile(ctx, tileID{t.Level, t.Index}, t.Width)
		return b, l.failing(ctx, err)
	}
	var bundle []byte
	from := t.Index * verify.TileWidth
	err := l.leaves(ctx, from, from+uint64(t.Width), func(leaf []byte) { bundle = verify.AppendBundleEntry(bundle, leaf) })
	return bundle, l.failing(ctx, err)
}

// leaves calls f with the stored leaves [from, to), in order. f must not change them.
func (l *Ledger) leaves(ctx context.Context, from, to uint64, f func(leaf []byte)) error {
	for from < to {
		rec, err := l.recordOf(ctx, from)
		if err != nil {
			return err
		}
		for ; from < min(to, rec.size); from++ {
			f(rec.leaves[from-rec.from])
		}
	}
	return nil
}

// recordOf returns the commit that holds a stored leaf.
func (l *Ledger) recordOf(ctx context.Context, index uint64) (*record, error) {
	l.mu.RLock()
	i := sort.Search(len(l.starts), func(i int) bool { return l.starts[i] > index })
	l.mu.RUnlock()
	seq := uint64(i)
	if rec, ok := l.records.get(seq); ok {
		return rec, nil
	}
	b, err := l.store.Read(ctx, seq)
	if err != nil {
		return nil, fmt.Errorf("commit %d: %w", seq, err)
	}
	rec, err := decodeRecord(b)
	if err != nil || rec.seq != seq || index < rec.from || index >= rec.size {
		return nil, fmt.Errorf("commit %d: %w", seq, ErrCorrupt)
	}
	// A record's own sum does not say that it is the one that was committed; the tree does.
	for i, hash := range leafHashes(rec.leaves) {
		in, err := l.tree.node(ctx, 0, rec.from+uint64(i))
		if err != nil {
			return nil, err
		}
		if in != hash {
			return nil, fmt.Errorf("commit %d: its leaves are not those of the tree: %w", seq, ErrCorrupt)
		}
	}
	l.records.put(seq, rec, len(b))
	return rec, nil
}

// Leaf returns a published leaf. If there is none the error is fs.ErrNotExist.
func (l *Ledger) Leaf(ctx context.Context, index uint64) (leaf []byte, err error) {
	if index >= l.publishedSize() {
		return nil, fs.ErrNotExist
	}
	err = l.leaves(ctx, index, index+1, func(b []byte) { leaf = slices.Clone(b) })
	return leaf, l.failing(ctx, err)
}

// Unpublished returns the leaves that are stored after the published checkpoint, in order. Nothing proves
// them to others yet.
func (l *Ledger) Unpublished(ctx context.Context) (leaves [][]byte, err error) {
	l.mu.RLock()
	to := l.newest.size
	l.mu.RUnlock()
	err = l.leaves(ctx, l.publishedSize(), to, func(b []byte) { leaves = append(leaves, slices.Clone(b)) })
	return leaves, l.failing(ctx, err)
}

// Find returns the index of the stored entry with this ID.
func (l *Ledger) Find(id entry.Hash) (uint64, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	index, ok := l.index[id]
	return index, ok
}

// Receipt returns the receipt of a published entry under the published checkpoint. If there is
// no such entry the error is fs.ErrNotExist. The caller must not change what it points to.
func (l *Ledger) Receipt(ctx context.Context, index uint64) (*verify.Receipt, error) {
	b, err := l.Leaf(ctx, index)
	if err != nil {
		return nil, err
	}
	leaf, err := entry.ParseLeaf(b)
	if err != nil {
		return nil, l.failing(ctx, fmt.Errorf("leaf %d: %w", index, ErrCorrupt))
	}
	return l.receipt(ctx, index, leaf.Entry)
}

// ReceiptOf is Receipt for the entry of a Result that Submit has returned.
func (l *Ledger) ReceiptOf(ctx context.Context, r Result) (*verify.Receipt, error) {
	if r.entry == nil {
		return nil, fs.ErrNotExist
	}
	return l.receipt(ctx, r.Index, r.entry)
}

// ProofOf returns of the entry of a Result that Submit has returned what proves that it is in the record: its leaf, the inclusion
// proof, and the published checkpoint. Who had registered the keys, and the note that the entry quotes, are in the receipt alone.
func (l *Ledger) ProofOf(ctx context.Context, r Result) (*verify.Receipt, error) {
	h := l.published()
	if r.entry == nil || h == nil || r.Index >= h.Size {
		return nil, fs.ErrNotExist
	}
	p, err := verify.MakeReceiptOf(h.Size, r.Index, nil, nil, h.note, l.leafOf(ctx), l.tree.nodes(ctx))
	return p, l.failing(ctx, err)
}

// receipt makes the receipt of a stored entry, which has the text of e.
func (l *Ledger) receipt(ctx context.Context, index uint64, e *entry.Entry) (*verify.Receipt, error) {
	h := l.published()
	if h == nil || index >= h.Size {
		return nil, fs.ErrNotExist
	}
	var after []byte
	if e, ok := e.Body.(*entry.Endorsement); ok {
		var err error
		if after, err = l.CheckpointAt(ctx, e.After.Size); err != nil {
			return nil, err
		}
	}
	// What supports a published entry is published too, so there is no need to wait for a commit.
	support := l.state.Support(index, e)
	r, err := verify.MakeReceiptOf(h.Size, index, support, after, h.note, l.leafOf(ctx), l.tree.nodes(ctx))
	return r, l.failing(ctx, err)
}

// leafOf reads stored leaves, whose memory must not be changed.
func (l *Ledger) leafOf(ctx context.Context) func(index uint64) ([]byte, error) {
	return func(index uint64) (leaf []byte, err error) {
		err = l.leaves(ctx, index, index+1, func(b []byte) { leaf = b })
		return leaf, err
	}
}

// SealedAt is State.SealedAt of the published record.
func (l *Ledger) SealedAt(h entry.Hash, moment time.Time) (at roll.Sealed, near []roll.Sealed, ok bool) {
	return l.state.SealedAt(h, l.publishedSize(), moment)
}

// RollReceipt returns the receipt of a published roll entry (verify.MakeRollReceipt) under a note of a published
// checkpoint that covers it. If it would be too large the error is verify.ErrTooLarge. It takes time and memory for all who are
// on the list, and keeps nobody from being admitted meanwhile. The caller must not change what it points to.
func (l *Ledger) RollReceipt(ctx context.Context, index uint64, domain string, note []byte) (*verify.Receipt, error) {
	nodes := l.tree.nodes(ctx)
	r, _, err := verify.MakeRollReceipt(verify.RollSource{
		State: l.state, // what a published roll rests on is published too
		Leaf:  func(index uint64) ([]byte, error) { return l.Leaf(ctx, index) },
		Note:  func(size uint64) ([]byte, error) { return l.CheckpointAt(ctx, size) },
		Nodes: func(level uint, index uint64) ([32]byte, error) {
			h, err := nodes(level, index)
			return h, l.failing(ctx, err)
		},
		Checkpoint: note,
	}, index, domain)
	return r, err
}

// Inclusion returns the inclusion proof of a leaf in the tree of the given size, which must be
// published. If the leaf is not in that tree, or the tree is larger, the error is fs.ErrNotExist.
func (l *Ledger) Inclusion(ctx context.Context, index, size uint64) ([][32]byte, error) {
	if size > l.publishedSize() || index >= size {
		return nil, fs.ErrNotExist
	}
	proof, err := verify.Inclusion(index, size, l.tree.nodes(ctx))
	return proof, l.failing(ctx, err)
}

// Consistency returns the proof that the tree of size1 is the beginning of that of size2, which
// must be published. If there are no such trees the error is fs.ErrNotExist.
func (l *Ledger) Consistency(ctx context.Context, size1, size2 uint64) ([][32]byte, error) {
	if size2 > l.publishedSize() || size1 > size2 {
		return nil, fs.ErrNotExist
	}
	proof, err := verify.Consistency(size1, size2, l.tree.nodes(ctx))
	return proof, l.failing(ctx, err)
}

// Blob returns the text with this hash. If it is not there the error is fs.ErrNotExist.
func (l *Ledger) Blob(ctx context.Context, h entry.Hash) ([]byte, error) {
	b, err := l.store.Get(ctx, blobPath(h))
	if err == nil && entry.Sum(b) != h {
		err = fmt.Errorf("%s: %w", blobPath(h), ErrCorrupt)
	}
	if err != nil {
		return nil, l.failing(ctx, err)
	}
	return b, nil
}

// BlobSize returns the size in bytes that the record says of a text: that of a statement or
// rendition with this hash; false if no published statement names it.
func (l *Ledger) BlobSize(h entry.Hash) (int64, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	size, ok := l.blobs[h]
	return size, ok
}

// PutBlob keeps a text. A published statement must name its hash, as its own or a rendition's,
// and the text must not be larger than the statement says: otherwise the error is a *Refusal. A
// text that was taken down is ErrWithheld; without space for it the error is ErrFull.
func (l *Ledger) PutBlob(ctx context.Context, h entry.Hash, data []byte) error {
	if err := l.serving(); err != nil {
		return err
	}
	size, ok := l.BlobSize(h)
	switch {
	case !ok:
		return &Refusal{RuleBlob, "no published statement names a text with this hash"}
	case int64(len(data)) > size:
		return &Refusal{RuleBlob, fmt.Sprintf("the text is larger than the %d bytes that its statement says", size)}
	case entry.Sum(data) != h:
		return &Refusal{RuleBlob, "these bytes do not have this hash"}
	}
	l.blobMu.Lock()
	defer l.blobMu.Unlock()
	if _, err := l.store.Get(ctx, withheldPath(h)); err == nil {
		return ErrWithheld
	} else if !isNotExist(err) {
		return l.failing(ctx, err)
	}
	if _, err := l.store.Get(ctx, blobPath(h)); err == nil {
		return nil
	} else if !isNotExist(err) {
		return l.failing(ctx, err)
	}
	l.space.Lock()
	defer l.space.Unlock()
	return l.failing(ctx, l.store.Put(ctx, Object{blobPath(h), data}))
}

// TakeDown removes a text and keeps it from being put again. The record stays as it is. It
// works in a ledger that refuses to sign as well. After ErrFull the text may be there still: it is to be
// taken down again when there is space.
func (l *Ledger) TakeDown(ctx context.Context, h entry.Hash) error {
	if err := l.Err(); err != nil {
		return err
	}
	l.blobMu.Lock()
	defer l.blobMu.Unlock()
	l.space.Lock()
	defer l.space.Unlock()
	if err := l.store.Put(ctx, Object{withheldPath(h), nil}); err != nil {
		return l.failing(ctx, err)
	}
	return l.failing(ctx, l.store.Delete(ctx, blobPath(h)))
}

// Blobs returns the hashes of the texts that are there, in ascending order.
func (l *Ledger) Blobs(ctx context.Context) ([]entry.Hash, error) {
	return l.hashes(ctx, blobPrefix)
}

// Withheld returns the hashes of the texts that were taken down, in ascending order.
func (l *Ledger) Withheld(ctx context.Context) ([]entry.Hash, error) {
	return l.hashes(ctx, withheldPrefix)
}

func (l *Ledger) hashes(ctx context.Context, prefix string) ([]entry.Hash, error) {
	paths, err := l.store.List(ctx, prefix)
	if err != nil {
		return nil, l.failing(ctx, err)
	}
	var hashes []entry.Hash
	for _, path := range paths {
		if h, ok := parseHashPath(path, prefix); ok {
			hashes = append(hashes, h)
		}
	}
	return hashes, nil
}

func blobPath(h entry.Hash) string     { return blobPrefix + hex.EncodeToString(h[:]) }
func withheldPath(h entry.Hash) string { return withheldPrefix + hex.EncodeToString(h[:]) }

// parseHashPath parses prefix and 64 lower-case hexadecimal digits.
func parseHashPath(path, prefix string) (entry.Hash, bool) {
	digits, ok := strings.CutPrefix(path, prefix)
	if !ok {
		return entry.Hash{}, false
	}
	h, err := entry.ParseHash("sha256:" + digits)
	return h, err == nil
}

// Fetch returns what the ledger serves at a path below its URL: "checkpoint", "checkpoints/57",
// "checkpoints/57/latest", "tile/0/000", "tile/entries/000.p/57", "blobs/sha256/<hex>". It is a
// verify.Fetch. For every other path the error is fs.ErrNotExist. The caller must not change the
// bytes.
func (l *Ledger) Fetch(ctx context.Context, path string) ([]byte, error) {
	if path == "checkpoint" {
		if h := l.published(); h != nil {
			return h.note, nil
		}
		return nil, fs.ErrNotExist
	}
	if t, err := verify.ParseTilePath(path); err == nil {
		return l.Tile(ctx, t)
	}
	if first, ok := strings.CutSuffix(path, latestSuffix); ok {
		if size, ok := parseCheckpointPath(first); ok {
			return l.LatestAt(ctx, size)
		}
		return nil, fs.ErrNotExist
	}
	if size, ok := parseCheckpointPath(path); ok {
		return l.CheckpointAt(ctx, size)
	}
	if h, ok := parseHashPath(path, blobPrefix); ok {
		return l.Blob(ctx, h)
	}
	return nil, fs.ErrNotExist
}

// VKeys returns the log's verifier keys, in the order of the signature lines; none if it was
// opened for reading.
func (l *Ledger) VKeys() []keys.VKey {
	var vkeys []keys.VKey
	for _, s := range l.signers {
		vkeys = append(vkeys, s.VKey)
	}
	return vkeys
}
