package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

const (
	// maxBatchBytes bounds the entries of one commit, in bytes; with what the log adds they
	// stay below MaxRecord.
	maxBatchBytes = 4 << 20
	// cosignPause is how long to wait before asking a Cosign again that failed.
	cosignPause = time.Second
)

// write is the one goroutine that commits.
func (l *Ledger) write() {
	defer l.running.Done()
	for {
		batch := l.queue.take(l.ctx, l.maxBatch, maxBatchBytes)
		if batch == nil {
			return
		}
		if err := l.sequence(batch); err != nil {
			l.fail(err)
			return
		}
	}
}

// sequence admits what it can of a batch, at its position, commits it, and has it published.
// After an error the ledger must end.
func (l *Ledger) sequence(batch []*item) error {
	waiting, err := l.admit(batch)
	if err != nil {
		return err
	}
	l.await(waiting)
	select {
	case l.publish <- struct{}{}:
	default:
	}
	return nil
}

// admit makes one commit of what is admissible in a batch and answers the rest. It returns the
// items that wait for a checkpoint.
func (l *Ledger) admit(batch []*item) ([]waiter, error) {
	l.durable.Lock()
	defer l.durable.Unlock()
	now := l.admitTime()
	rec := &record{seq: l.newest.seq + 1, prev: l.newest.sum, from: l.newest.size, size: l.newest.size}
	var added []*item
	here := make(map[entry.Hash]uint64, len(batch))
	for _, it := range batch {
		index, ok := here[it.id]
		if !ok {
			index, ok = l.Find(it.id)
		}
		if ok {
			it.index, it.duplicate = index, true
			continue
		}
		leaf := &entry.Leaf{Admitted: now, Entry: it.entry}
		if err := l.state.Admit(leaf, it.sigs); err != nil {
			it.refusal = refusal(err)
			continue
		}
		it.index, it.admitted = rec.size, now
		here[it.id] = it.index
		rec.leaves = append(rec.leaves, leaf.Bytes())
		rec.size++
		added = append(added, it)
	}
	if len(added) > 0 {
		if err := l.commit(rec); err != nil {
			l.fail(err) // before anybody may look at the state, which is ahead of the store
			return nil, err
		}
		l.mu.Lock()
		for _, it := range added {
			l.index[it.id] = it.index
			noteBlobs(l.blobs, it.entry)
		}
		l.mu.Unlock()
	}
	waiting := make([]waiter, 0, len(batch))
	for _, it := range batch {
		if it.refusal != nil {
			it.answer(Result{ID: it.id, Err: it.refusal})
			continue
		}
		r, err := l.result(it)
		if err != nil {
			return nil, err
		}
		it.note(r)
		waiting = append(waiting, waiter{it, r})
	}
	return waiting, nil
}

// admitTime is when the next leaves are admitted: now, but never before the last ones.
func (l *Ledger) admitTime() time.Time {
	now := l.now().UTC().Truncate(time.Millisecond)
	if last := l.state.Admitted(); now.Before(last) {
		return last
	}
	return now
}

// commit stores a record, reads it back and re-hashes it.
func (l *Ledger) commit(rec *record) error {
	hashes := leafHashes(rec.leaves)
	l.tree.append(hashes...)
	root, err := l.tree.rootAt(l.work, rec.size)
	if err != nil {
		return err
	}
	rec.root = root
	// The tree before must still be the one that was stored: memory can be damaged too, and a
	// commit with a wrong root hash could never be undone.
	if root, err = l.tree.rootAt(l.work, l.newest.size); err != nil {
		return err
	}
	if root != l.newest.root {
		return fmt.Errorf("the tree in memory no longer gives the root hash of commit %d", l.newest.seq)
	}
	rand.Read(rec.nonce[:])
	if err := create(l.work, l.store, rec); err != nil {
		return err
	}
	// The bytes to sign for are those that the store gives back, not those it was given.
	b, err := l.store.Read(l.work, rec.seq)
	if err != nil {
		return fmt.Errorf("reading commit %d back: %w", rec.seq, err)
	}
	stored, err := decodeRecord(b)
	if err != nil || stored.sum != rec.sum || !slices.Equal(leafHashes(stored.leaves), hashes) {
		return fmt.Errorf("reading commit %d back: %w", rec.seq, ErrCorrupt)
	}
	l.records.put(rec.seq, stored, len(b))
	// Tiles are there before anybody can sign for them: the publisher takes l.newest as it finds it.
	if err := l.putTiles(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.starts = append(l.starts, rec.from)
	l.newest = commit{rec.seq, rec.sum, rec.size, rec.root, l.state.Admitted()}
	return nil
}

// create makes a commit. Where the store cannot tell whether it did, or says that there is one,
// the nonce within the sum tells whose it is.
func create(ctx context.Context, store Store, rec *record) error {
	err := store.Create(ctx, rec.seq, rec.encode())
	if err == nil {
		return nil
	}
	err = fmt.Errorf("commit %d: %w", rec.seq, err)
	if !errors.Is(err, ErrExists) && !errors.Is(err, ErrUnknown) {
		return err
	}
	b, rerr := store.Read(ctx, rec.seq)
	if rerr != nil {
		return errors.Join(err, rerr)
	}
	other, rerr := decodeRecord(b)
	if rerr != nil {
		return errors.Join(err, ErrCorrupt)
	}
	if other.sum != rec.sum {
		return fmt.Errorf("commit %d was made by another process: %w", rec.seq, ErrExists)
	}
	return nil
}

func leafHashes(leaves [][]byte) [][32]byte {
	hashes := make([][32]byte, len(leaves))
	for i, leaf := range leaves {
		hashes[i] = verify.LeafHash(leaf)
	}
	return hashes
}

// noteBlobs takes up which texts a statement names.
func noteBlobs(blobs map[entry.Hash]int64, e *entry.Entry) {
	s, ok := e.Body.(*entry.Statement)
	if !ok || s.Action != entry.Publish {
		return
	}
	blobs[s.Statement] = max(blobs[s.Statement], s.Size)
	for _, r := range s.Renditions {
		blobs[r.Hash] = max(blobs[r.Hash], r.Size)
	}
}

// putTiles stores the tiles that have become full.
func (l *Ledger) putTiles() error {
	ids := l.tree.full()
	if len(ids) == 0 {
		return nil
	}
	objects := make([]Object, len(ids))
	for i, id := range ids {
		objects[i] = Object{id.tile().Path(), l.tree.pendingBytes(id)}
	}
	if err := l.store.Put(l.work, objects...); err != nil {
		return fmt.Errorf("storing tiles: %w", err)
	}
	l.tree.stored(ids)
	return nil
}

// await answers items that a published checkpoint covers, now or when there is one.
func (l *Ledger) await(waiting []waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// While witnesses are away, what waits must not grow with every request that has given up.
	if len(l.waiting) >= l.pruneAt {
		l.waiting = slices.DeleteFunc(l.waiting, func(w waiter) bool { return w.abandoned() })
		l.pruneAt = max(2*len(l.waiting), l.maxBatch)
	}
	for _, w := range waiting {
		if l.head != nil && w.index < l.head.Size {
			w.result.Published = true
			w.answer(w.result)
		} else {
			l.waiting = append(l.waiting, w)
		}
	}
}

// publishing is the one goroutine that signs.
func (l *Ledger) publishing() {
	defer l.running.Done()
	for {
		select {
		case <-l.publish:
		case <-l.ctx.Done():
			return
		}
		for {
			cosigned, err := l.publishNewest()
			if err != nil {
				if l.ctx.Err() == nil {
					l.fail(err)
				}
				return
			}
			if cosigned {
				break
			}
			select {
			case <-time.After(cosignPause):
			case <-l.ctx.Done():
				return
			}
		}
	}
}

// publishNewest signs and publishes a checkpoint of what is stored, if it is not published yet.
// It returns false if cosignatures are missing, and an error if the ledger must end.
func (l *Ledger) publishNewest() (bool, error) {
	l.mu.RLock()
	newest, head := l.newest, l.head
	l.mu.RUnlock()
	if head != nil && head.Size == newest.size {
		return true, nil
	}
	c := verify.Checkpoint{Origin: l.origin, Size: newest.size, Root: newest.root}
	msg, err := l.sign(c, newest.admitted)
	if err != nil {
		return false, err
	}
	if l.cosign != nil {
		cosigned, err := l.cosign(l.ctx, bytes.Clone(msg))
		if errors.Is(err, ErrForked) {
			return false, err
		}
		if err == nil && (!bytes.HasPrefix(cosigned, msg) || len(cosigned) > verify.MaxNote) {
			err = errors.New("the note that came back is not the one that went out, or too long")
		}
		if err != nil {
			l.log.Warn("the checkpoint is not cosigned, so it is not published yet", "size", c.Size, "error", err)
			return false, nil
		}
		msg = cosigned
	}
	if err := l.store.Put(l.work, Object{checkpointPath(c.Size), msg}); err != nil {
		return false, fmt.Errorf("storing the checkpoint of size %d: %w", c.Size, err)
	}
	l.setHead(c, msg)
	return true, nil
}

// setHead publishes a checkpoint and answers those whose entries it covers.
func (l *Ledger) setHead(c verify.Checkpoint, msg []byte) {
	l.notes.put(c.Size, quotable{msg, entry.Sum(msg)}, len(msg))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = &head{c, msg}
	l.sizes = append(l.sizes, c.Size)
	l.waiting = slices.DeleteFunc(l.waiting, func(w waiter) bool {
		if w.index >= c.Size {
			return false
		}
		w.result.Published = true
		w.answer(w.result)
		return true
	})
}

// sign signs a checkpoint with every key of the log, after it has been held to, and written to,
// the last-signed record. No signature says an earlier time than the last leaf does.
func (l *Ledger) sign(c verify.Checkpoint, admitted time.Time) ([]byte, error) {
	last := l.signed.last
	if !l.signed.have || last.size > c.Size {
		return nil, fmt.Errorf("a tree of size %d must not be signed after one of size %d", c.Size, last.size)
	}
	root, err := l.tree.rootAt(l.work, last.size)
	if err != nil {
		return nil, err
	}
	if root != last.root {
		return nil, fmt.Errorf("the tree is inconsistent with the one of size %d that was signed last", last.size)
	}
	if last.size != c.Size {
		if err := l.signed.write(l.origin, l.keys, c.Size, c.Root); err != nil {
			return nil, fmt.Errorf("writing the last-signed record: %w", err)
		}
	}
	text := c.Text()
	msg := append(bytes.Clone(text), '\n')
	now := uint64(max(0, l.now().Unix(), admitted.Unix()))
	for _, s := range l.signers {
		sig, err := s.Sign(verify.SignedMessage(s.VKey, now, c))
		if err != nil {
			return nil, fmt.Errorf("signing the checkpoint of size %d: %w", c.Size, err)
		}
		if s.VKey.Type != keys.TypeEd25519 {
			sig = verify.TimestampedSignature(now, sig)
		}
		// A key that does not belong to its verifier key, or a signature that was computed
		// wrongly, must not leave the process.
		if !s.verifier.Verify(text, sig) {
			return nil, fmt.Errorf("signing the checkpoint of size %d: the signature does not verify", c.Size)
		}
		msg = append(msg, verify.SignatureLine(s.VKey, sig)...)
	}
	return msg, nil
}

const (
	checkpointPrefix = "checkpoints/"
	blobPrefix       = "blobs/sha256/"
	withheldPrefix   = "withheld/sha256/"
)

// checkpointPath is where the first published note of a tree size is, in the store and for clients.
func checkpointPath(size uint64) string { return checkpointPrefix + strconv.FormatUint(size, 10) }

// parseCheckpointPath parses what checkpointPath returns and nothing else.
func parseCheckpointPath(path string) (size uint64, ok bool) {
	size, err := strconv.ParseUint(path[min(len(path), len(checkpointPrefix)):], 10, 63)
	return size, err == nil && checkpointPath(size) == path
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
