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
	"github.com/tccm/undersigned/verify/roll"
)

const (
	// maxBatchBytes bounds the entries of one commit, in bytes; with what the log adds they
	// stay below MaxRecord.
	maxBatchBytes = 4 << 20
	// maxTilePath bounds the path of a full tile, in bytes.
	maxTilePath = 64
	// publishPause is how long to wait before publishing again what lacked cosignatures or space.
	publishPause = time.Second
)

// write is the one goroutine that commits.
func (l *Ledger) write() {
	defer l.running.Done()
	defer l.failOnPanic()
	used := usage{time.Now(), cpuTime()}
	for {
		batch, idle, more := l.queue.take(l.ctx, l.seals.wake, l.sealTimer(), l.idle(), l.maxBatch, maxBatchBytes)
		if !more {
			return
		}
		if idle {
			if err := l.storeNote(); err != nil && !errors.Is(err, ErrFull) {
				l.fail(err)
				return
			}
			continue
		}
		kept := l.unstored.Load()
		if err := l.sequence(batch); err != nil {
			l.fail(err)
			return
		}
		if len(batch) > 0 && kept != nil && kept == l.unstored.Load() {
			// There was no commit to bring the note: what is refused must not keep it from the store for as long as it comes.
			if err := l.storeNote(); err != nil && !errors.Is(err, ErrFull) {
				l.fail(err)
				return
			}
		}
		l.snapshots.next(l)
		if busy := used.busy(time.Now(), cpuTime()); busy && l.cosign == nil {
			l.queue.gather(l.ctx, gatherTarget(len(batch), l.queue.len(), min(l.maxBatch, l.queue.max/2)), maxGather)
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
	if l.cosign == nil {
		// What waits meanwhile is one commit then, and one checkpoint: there is nobody to wait for but the disk.
		published, err := l.publishNewest()
		if published || err != nil {
			return err
		}
	}
	select {
	case l.publish <- struct{}{}:
	default:
	}
	return nil
}

// admit makes one commit of what is admissible in a batch and answers the rest. It returns the
// items that wait for a checkpoint.
func (l *Ledger) admit(batch []*item) (_ []waiter, err error) {
	l.space.Lock()
	defer l.space.Unlock()
	due, waited := l.due()
	// What is admitted cannot be taken back, so the space for it must be there before.
	full := l.roomFor(l.work, batch, due)
	if full != nil && !errors.Is(full, ErrFull) {
		return nil, full
	}
	l.durable.Lock()
	defer l.durable.Unlock()
	defer func() {
		if r := recover(); r != nil {
			err = l.failOn(r) // before anybody may look at the state, which may be ahead of the store
		}
	}()
	clock, now := l.now(), l.admitTime()
	rec := &record{seq: l.newest.seq + 1, prev: l.newest.sum, from: l.newest.size, size: l.newest.size}
	var added []*entry.Entry
	var ids []entry.Hash
	take := func(leaf *entry.Leaf, id entry.Hash) {
		rec.leaves = append(rec.leaves, leaf.Bytes())
		rec.size++
		added, ids = append(added, leaf.Entry), append(ids, id)
	}
	if full == nil {
		for _, d := range due {
			leaf, err := l.seal(d, now)
			if err != nil {
				l.fail(err)
				return nil, err
			}
			now = leaf.Admitted
			take(leaf, leaf.Entry.ID())
		}
	}
	here := make(map[entry.Hash]uint64, len(batch))
	for _, it := range batch {
		index, ok := here[it.id]
		if !ok {
			index, ok = l.Find(it.id)
		}
		if ok {
			it.index, it.duplicate = index, true
			switch {
			case len(it.chain) == 0:
			case full != nil:
				it.unchained = ErrFull
			default:
				if leaf := l.chainLeaf(it, now); leaf != nil {
					it.chained = &[]uint64{rec.size}[0]
					take(leaf, leaf.Entry.ID())
				}
			}
			continue
		}
		if full != nil {
			it.refusal = ErrFull
			continue
		}
		if it.refusal = l.quotas.check(it.entry, clock); it.refusal != nil {
			continue
		}
		leaf := &entry.Leaf{Admitted: now, Entry: it.entry, Chain: it.chain}
		if d, ok := l.lastList(leaf, it.sigs); ok {
			last, err := l.seal(d, now)
			if err != nil {
				l.fail(err)
				return nil, err
			}
			leaf.Admitted, now = last.Admitted, last.Admitted
			take(last, last.Entry.ID())
		}
		if err := l.state.Admit(leaf, it.sigs); err != nil {
			it.refusal = refusal(err)
			continue
		}
		l.quotas.admit(it.entry, now, clock)
		it.index, it.admitted = rec.size, now
		here[it.id] = it.index
		if len(it.chain) > 0 {
			it.chained = &it.index
		}
		take(leaf, it.id)
	}
	if len(added) > 0 {
		if err := l.commit(rec); err != nil {
			l.fail(err) // before anybody may look at the state, which is ahead of the store
			return nil, err
		}
		l.mu.Lock()
		for i, e := range added {
			l.enter(ids[i], e)
		}
		l.mu.Unlock()
		l.seals.changed(added)
	}
	if full == nil {
		l.sealed(waited)
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

// roomFor makes sure that the store has space for what is new in a batch and for the rolls that are due, and nothing left to do for
// what went before.
func (l *Ledger) roomFor(ctx context.Context, batch []*item, due []roll.Due) error {
	entries, bytes := len(due), len(due)*maxSealed
	for _, it := range batch {
		if _, ok := l.Find(it.id); !ok || len(it.chain) > 0 {
			entries++
			bytes += it.size
			if _, ok := it.entry.Body.(*entry.Statement); ok { // it may close
				entries++
				bytes += maxSealed
			}
		}
	}
	if entries == 0 {
		return nil
	}
	if err := l.putTiles(l.newest.size); err != nil {
		return err
	}
	return l.room(ctx, entries, bytes)
}

// room makes sure that the store has space for a commit of so many entries of so many bytes in all, with the note before it,
// the tiles that it fills, and the note that follows. The operator is told when that ends and begins.
func (l *Ledger) room(ctx context.Context, entries, bytes int) error {
	const frame = 2 + entry.MaxLeaf - entry.MaxEntry // of a leaf in a record, beside its entry
	tiles := entries/verify.TileWidth + 8            // one may become full on each level
	bytes += recordHeader + recordSum + entries*frame + tiles*(verify.TileWidth*verify.HashSize+maxTilePath) + noteRoom + verify.MaxNote
	err := l.store.Room(ctx, bytes)
	if err == nil && l.full.Swap(false) {
		l.log.Info("there is space again: entries are admitted")
	}
	return l.noteFull(err)
}

// noteFull tells the operator, once, if an error says that there is no space, and returns it.
func (l *Ledger) noteFull(err error) error {
	if errors.Is(err, ErrFull) && !l.full.Swap(true) {
		l.log.Warn("no space is left, so that nothing is admitted until there is some; what is stored can be read", "error", err)
	}
	return err
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
	l.signAhead(verify.Checkpoint{Origin: l.origin, Size: rec.size, Root: rec.root}, l.state.Admitted())
	if err := l.create(rec); err != nil {
		return err
	}
	// The bytes to sign for are those that the store gives back, not those it was given.
	b, err := l.store.Read(l.work, rec.seq)
	if isNotExist(err) {
		err = ErrCorrupt
	}
	if err != nil {
		return fmt.Errorf("reading commit %d back: %w", rec.seq, err)
	}
	stored, err := decodeRecord(b)
	if err != nil || stored.sum != rec.sum || !slices.Equal(leafHashes(stored.leaves), hashes) {
		return fmt.Errorf("reading commit %d back: %w", rec.seq, ErrCorrupt)
	}
	l.records.put(rec.seq, stored, len(b))
	// Tiles are there before anybody can sign for them: the publisher takes l.newest as it finds it. Here they are stored that did not
	// come with the commit (create). If there is no space for them now either, it does not sign before there is.
	if err := l.putTiles(rec.size); err != nil && !errors.Is(err, ErrFull) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.starts = append(l.starts, rec.from)
	l.newest = commit{rec.seq, rec.sum, rec.size, rec.root, l.state.Admitted()}
	return nil
}

// create makes a commit with the tiles that it fills, and with the note before it if that is still to be stored. Where the store
// cannot tell, both are left to be done; and tiles, which follow from the commits, where it has no space for them after all.
func (l *Ledger) create(rec *record) error {
	var notes []Object
	o := l.unstored.Load()
	if o != nil {
		notes = append(notes, *o)
	}
	tiles := l.tree.full(rec.size)
	told, err := create(l.work, l.store, rec, append(l.tree.objects(tiles), notes...)...)
	if errors.Is(err, ErrFull) && len(tiles) > 0 {
		tiles = nil
		told, err = create(l.work, l.store, rec, notes...)
	}
	if err == nil && told {
		l.unstored.CompareAndSwap(o, nil)
		l.tree.stored(tiles)
	}
	return err
}

// create makes a commit, with objects. Where the store cannot tell whether it did, or says that there is one,
// the nonce within the sum tells whose it is; told says that the store could.
func create(ctx context.Context, store Store, rec *record, objects ...Object) (told bool, err error) {
	if err = store.Create(ctx, rec.seq, rec.encode(), objects...); err == nil {
		return true, nil
	}
	err = fmt.Errorf("commit %d: %w", rec.seq, err)
	if !errors.Is(err, ErrExists) && !errors.Is(err, ErrUnknown) {
		return false, err
	}
	b, rerr := store.Read(ctx, rec.seq)
	if isNotExist(rerr) {
		return false, err
	}
	if rerr != nil {
		return false, errors.Join(err, rerr)
	}
	other, rerr := decodeRecord(b)
	if rerr != nil {
		return false, errors.Join(err, ErrCorrupt)
	}
	if other.sum != rec.sum {
		return false, fmt.Errorf("commit %d was made by another process: %w", rec.seq, ErrExists)
	}
	return false, nil
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
	noteTexts(blobs, s.Statement, s.Size, s.Renditions)
}

func noteTexts(blobs map[entry.Hash]int64, h entry.Hash, size int64, renditions []entry.Rendition) {
	blobs[h] = max(blobs[h], size)
	for _, r := range renditions {
		blobs[r.Hash] = max(blobs[r.Hash], r.Size)
	}
}

// putTiles stores the tiles that are full in the tree of this size, which must be stored. The caller
// holds space.
func (l *Ledger) putTiles(size uint64) error {
	ids := l.tree.full(size)
	if len(ids) == 0 {
		return nil
	}
	if err := l.store.Put(l.work, l.tree.objects(ids)...); err != nil {
		return fmt.Errorf("storing tiles: %w", l.noteFull(err))
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
		if l.head != nil && w.last() < l.head.Size {
			w.result.Published = true
			w.answer(w.result)
		} else {
			l.waiting = append(l.waiting, w)
		}
	}
}

// publishing is the goroutine that waits for cosignatures, or for space for a note.
func (l *Ledger) publishing() {
	defer l.running.Done()
	defer l.failOnPanic()
	for {
		select {
		case <-l.publish:
		case f := <-l.forks:
			l.publisher.Lock()
			err := l.forked(f)
			l.publisher.Unlock()
			l.fail(err)
			return
		case <-l.republishIn():
			if err := l.publishAgain(); err != nil {
				l.fail(err)
				return
			}
			continue
		case <-l.ctx.Done():
			return
		}
		for {
			published, err := l.publishNewest()
			if err != nil {
				l.fail(err)
				return
			}
			if published {
				l.wakeForNote()
				break
			}
			select {
			case <-time.After(publishPause):
			case <-l.ctx.Done():
				return
			}
		}
	}
}

// wakeForNote wakes the writer to store a note that it has not published itself: it may wait for entries alone.
func (l *Ledger) wakeForNote() {
	if l.unstored.Load() != nil {
		select {
		case l.seals.wake <- struct{}{}:
		default:
		}
	}
}

// publishNewest signs and publishes a checkpoint of what is stored, if it is not published yet.
// It returns false if cosignatures or space for the note are missing, and an error if the ledger
// must end.
func (l *Ledger) publishNewest() (bool, error) {
	l.publisher.Lock()
	defer l.publisher.Unlock()
	l.mu.RLock()
	newest, head := l.newest, l.head
	l.mu.RUnlock()
	if head != nil && head.Size == newest.size {
		return true, nil
	}
	if err := l.prepareNote(newest.size); err != nil {
		if errors.Is(err, ErrFull) {
			return false, nil
		}
		return false, err
	}
	c := verify.Checkpoint{Origin: l.origin, Size: newest.size, Root: newest.root}
	msg, kept, err := l.sign(c, newest.admitted)
	if err != nil {
		return false, err
	}
	if msg, err = l.collect(c, msg); err != nil || msg == nil {
		return false, err
	}
	o := &Object{checkpointPath(c.Size), msg}
	if kept {
		l.unstored.Store(o) // before anybody can ask for it
		l.setHead(c, msg)
		return true, nil
	}
	if err := l.store.Put(l.work, *o); err != nil {
		if errors.Is(l.noteFull(err), ErrFull) {
			return false, nil
		}
		return false, fmt.Errorf("storing the checkpoint of size %d: %w", c.Size, err)
	}
	l.setHead(c, msg)
	return true, nil
}

// prepareNote stores the note before, and the tiles that a checkpoint of this size needs and that are not stored yet, and
// makes sure of space for its note, so that nobody is asked to sign in vain.
func (l *Ledger) prepareNote(size uint64) error {
	if err := l.storeNote(); err != nil {
		return err
	}
	if len(l.tree.full(size)) > 0 {
		l.space.Lock()
		err := l.putTiles(size)
		l.space.Unlock()
		if err != nil {
			return err
		}
	}
	return l.noteFull(l.store.Room(l.work, len(checkpointPath(size))+verify.MaxNote))
}

// setHead publishes a checkpoint and answers those whose entries it covers.
func (l *Ledger) setHead(c verify.Checkpoint, msg []byte) {
	l.notes.put(c.Size, quotable{msg, entry.Sum(msg)}, len(msg))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = &head{c, msg}
	l.seals.tell()
	l.sizes = append(l.sizes, c.Size)
	l.waiting = slices.DeleteFunc(l.waiting, func(w waiter) bool {
		if w.last() >= c.Size {
			return false
		}
		w.result.Published = true
		w.answer(w.result)
		return true
	})
}

// sign returns a checkpoint signed with every key of the log, after it has been held to, and written to,
// the last-signed record. Signatures say the time of the last leaf, which never goes back: with that of
// a clock which is ahead only while a checkpoint is signed, all later leaves would contradict it, and
// so would the next checkpoint with that of a clock which has gone back since.
//
// Without witnesses the record keeps the note, if it can, and says so; the note before must be in the store.
func (l *Ledger) sign(c verify.Checkpoint, admitted time.Time) (note []byte, kept bool, err error) {
	last := l.signed.last
	if !l.signed.have || last.size > c.Size {
		return nil, false, fmt.Errorf("a tree of size %d must not be signed after one of size %d", c.Size, last.size)
	}
	root, err := l.tree.rootAt(l.work, last.size)
	if err != nil {
		return nil, false, err
	}
	if root != last.root {
		return nil, false, fmt.Errorf("the tree is inconsistent with the one of size %d that was signed last", last.size)
	}
	var with []byte // what is written with the record
	if l.cosign == nil && last.size != c.Size {
		if note, err = l.note(c, admitted); err != nil {
			return nil, false, err
		}
		if l.signed.keeps(note) {
			with = note
		}
	}
	if with != nil && l.unstored.Load() != nil {
		return nil, false, errors.New("the last-signed record keeps a note that is not in the store")
	}
	if last.size != c.Size || !l.signed.sure {
		if err := l.signed.write(l.origin, l.keys, c.Size, c.Root, with); err != nil {
			return nil, false, fmt.Errorf("writing the last-signed record: %w", err)
		}
	}
	if note == nil {
		note, err = l.note(c, admitted)
	}
	return note, with != nil, err
}

// note returns a checkpoint signed with every key of the log. It is to be handed out by sign alone.
func (l *Ledger) note(c verify.Checkpoint, admitted time.Time) ([]byte, error) {
	if a := l.ahead.Load(); a != nil && a.checkpoint == c && a.admitted.Equal(admitted) && l.ahead.CompareAndSwap(a, nil) {
		<-a.done
		return a.note, a.err
	}
	return l.signatures(c, admitted)
}

// ahead is a note that is signed while the commit under it is on its way.
type ahead struct {
	checkpoint verify.Checkpoint
	admitted   time.Time
	done       chan struct{} // closed when note or err is there
	note       []byte
	err        error
}

// signAhead begins to sign a checkpoint whose commit has not been made yet, if it will be the next to be published: that takes as
// long as the commit, and needs the other core. What comes of it stays here until sign hands it out; if the commit fails, or what
// follows, nobody sees it. While an earlier checkpoint is on its way, more may be committed before the next, so it would be in vain.
func (l *Ledger) signAhead(c verify.Checkpoint, admitted time.Time) {
	l.mu.RLock()
	next := l.head != nil && l.head.Size == l.newest.size
	l.mu.RUnlock()
	if !next {
		return
	}
	a := &ahead{checkpoint: c, admitted: admitted, done: make(chan struct{}), err: errors.New("the checkpoint was not signed")}
	l.ahead.Store(a)
	l.running.Go(func() {
		defer close(a.done)
		defer l.failOnPanic()
		a.note, a.err = l.signatures(c, admitted)
	})
}

// signatures makes the note of a checkpoint. It leaves the process through sign alone.
func (l *Ledger) signatures(c verify.Checkpoint, admitted time.Time) ([]byte, error) {
	text := c.Text()
	msg := append(bytes.Clone(text), '\n')
	now := uint64(max(0, admitted.Unix()))
	l.signing.Lock()
	defer l.signing.Unlock()
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
