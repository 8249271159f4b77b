package ledger

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// scrubLeaves is how many leaves a scrub judges at a time: about 2 ms of one core.
const scrubLeaves = 32

// scrub begins to read again, in the background, what opening from a snapshot has left out: every commit
// before the snapshot's, each hash, signature and rule, and every tile. The ledger fails if that does
// not give the snapshot, bit by bit, and the snapshot is removed before, so that the next opening reads
// everything and says what is wrong.
func (l *Ledger) scrub() {
	x := &l.snapshots
	if x.at.seq == 0 || !x.scrubs {
		return
	}
	x.toScrub = x.at.size
	at := x.at
	l.running.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				x.refute(l) // else the next opening would come to the same panic
				l.failOn(r)
			}
		}()
		err := l.scrubTo(at)
		if l.ctx.Err() != nil {
			return
		}
		if err != nil {
			x.refute(l)
			l.fail(fmt.Errorf("reading the record again: %w", err))
			return
		}
		now := l.now()
		x.ended.Store(&now)
		x.scrubbed.Store(x.toScrub)
		l.log.Info("the record was read again and is what the snapshot says", "size", at.size)
	})
}

func (l *Ledger) scrubTo(at commit) error {
	fresh := newContents(l.origin, l.store)
	fresh.index = nil
	if err := fresh.replay(l.ctx, at.seq, l.log, pace{1, scrubLeaves, l.scrubRest(&fresh), nil}); err != nil {
		return err
	}
	if tiles := fresh.tree.full(at.size); len(tiles) > 0 {
		return fmt.Errorf("%s is missing: %w", tiles[0].tile().Path(), ErrCorrupt)
	}
	s, ok := fresh.freeze(l.ctx)
	if !ok || s.seq != at.seq || s.sum != at.sum {
		return fmt.Errorf("the commits are not those of the snapshot: %w", ErrCorrupt)
	}
	hash := sha256.New()
	s.body(hash)
	if [32]byte(hash.Sum(nil)) != l.snapshots.loaded {
		return fmt.Errorf("the snapshot that the ledger was opened from is not what its %d entries give: %w", at.size, ErrCorrupt)
	}
	return nil
}

// scrubRest returns a function that waits after each piece of work: as long as that took, or, if somebody
// submitted meanwhile, until it was a twentieth of the time.
func (l *Ledger) scrubRest(fresh *contents) func() {
	began := time.Now()
	stored := l.Stats().Stored
	return func() {
		l.snapshots.scrubbed.Store(min(uint64(len(fresh.ids)), l.snapshots.toScrub-1)) // the verdict is still to come
		rest := time.Since(began)
		if now := l.Stats(); now.Stored != stored || now.Queued > 0 {
			stored = now.Stored
			rest *= 19
		}
		timer := time.NewTimer(rest)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.ctx.Done():
		}
		began = time.Now()
	}
}
