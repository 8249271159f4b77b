package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tccm/undersigned/verify"
)

// A Pending is a checkpoint that the log's keys have signed, and that nobody else has seen yet or all have forgotten.
type Pending struct {
	verify.Checkpoint
	// Note bears the log's signatures alone.
	Note []byte
	// Prove returns the consistency proof from a smaller size, 1 or more, to this one.
	Prove func(ctx context.Context, from uint64) ([][32]byte, error)
	// Root returns the root hash that the tree had at a size up to this one.
	Root func(ctx context.Context, size uint64) ([32]byte, error)
}

// Cosigned is what a Config.Cosign returns.
type Cosigned struct {
	// Note is that of the Pending with signature lines added at its end.
	Note []byte
	// Time is what time it is by the witnesses without which there is no quorum; zero: nobody says.
	Time time.Time
}

// A Sighting is a checkpoint of this log that somebody else has seen.
type Sighting struct {
	Who  string // in the operator's words
	Note []byte // with a good signature of a key that is the log's, or once was
}

// A Lag is how far a witness is behind.
type Lag struct {
	Who  string    // in the operator's words
	Size uint64    // tree size that it cosigned last; 0: not since the start
	Time time.Time // when it says that it did; zero: not since the start
	Err  string    // what went wrong when it was asked last, in fixed words; "": nothing
}

// A ForkError is an ErrForked with the checkpoint that makes it one.
type ForkError struct{ Sighting }

func (e *ForkError) Error() string { return fmt.Sprintf("%v: %s has it", ErrForked, e.Who) }

// Unwrap returns ErrForked.
func (e *ForkError) Unwrap() error { return ErrForked }

var (
	// ErrUnwitnessed is a Result's error, and ReadOnly's, from the start until enough witnesses have said which checkpoint
	// they saw last: try later.
	ErrUnwitnessed = errors.New("fewer witnesses than needed have said so far what they saw of this ledger: try again later")
	// ErrClock is a Result's error while the ledger's clock and those of the witnesses are over 5 minutes apart: try later.
	ErrClock = errors.New("the clocks of the ledger and of its witnesses are more than five minutes apart: try again later")
)

const (
	// clockSlack is how far the ledger's clock and the witnesses' may be apart.
	clockSlack = 5 * time.Minute
	// witnessPause is how long to wait before the witnesses are asked again, at the start or about the time.
	witnessPause = 5 * time.Second
)

// pending makes a Pending of a signed checkpoint.
func (l *Ledger) pending(c verify.Checkpoint, msg []byte) *Pending {
	return &Pending{
		Checkpoint: c, Note: bytes.Clone(msg),
		Prove: func(ctx context.Context, from uint64) ([][32]byte, error) {
			return verify.Consistency(from, c.Size, l.tree.nodes(ctx))
		},
		Root: func(ctx context.Context, size uint64) ([32]byte, error) {
			if size > c.Size {
				return [32]byte{}, errors.New("the tree is smaller")
			}
			return l.tree.rootAt(ctx, size)
		},
	}
}

// collect has a signed checkpoint cosigned and returns its note. If that failed for now it returns nil; an error ends the
// ledger.
func (l *Ledger) collect(c verify.Checkpoint, msg []byte) ([]byte, error) {
	if l.cosign == nil {
		return msg, nil
	}
	l.mu.Lock()
	l.shown = max(l.shown, c.Size)
	l.mu.Unlock()
	cosigned, err := l.cosign(l.ctx, l.pending(c, msg))
	if errors.Is(err, ErrForked) {
		return nil, l.forked(err)
	}
	if err == nil && (!bytes.HasPrefix(cosigned.Note, msg) || len(cosigned.Note) > verify.MaxNote) {
		err = errors.New("the note that came back is not the one that went out, or too long")
	}
	if err != nil {
		if l.ctx.Err() == nil {
			l.log.Warn("the checkpoint is not cosigned, so it is not published yet", "size", c.Size, "error", err)
		}
		return nil, nil
	}
	l.compareClocks(cosigned.Time)
	l.cosigned = true
	return cosigned.Note, nil
}

// compareClocks stops admitting while the clocks of the witnesses are too far away, and goes on when they are not.
func (l *Ledger) compareClocks(t time.Time) {
	if t.IsZero() {
		return
	}
	apart := l.now().Sub(t)
	wrong := apart.Abs() > clockSlack
	if l.clockWrong.Swap(wrong) == wrong {
		return
	}
	if wrong {
		l.log.Error("the clock and those of the witnesses are too far apart, so nothing is admitted", "ahead", apart.Round(time.Second))
	} else {
		l.log.Info("the clock and those of the witnesses agree again")
	}
}

// forked hands on what proves that the log's keys signed another history.
func (l *Ledger) forked(err error) error {
	var fork *ForkError
	if errors.As(err, &fork) {
		l.convict(fork.Sighting)
	}
	return err
}

// convict makes the proof, if there is one, that a checkpoint which somebody has seen contradicts this ledger.
func (l *Ledger) convict(seen Sighting) {
	if l.evidence == nil {
		return
	}
	l.mu.RLock()
	newest := l.newest
	l.mu.RUnlock()
	// Nothing new is said by signing what was signed before.
	if l.signed.last.size > newest.size {
		return
	}
	root, err := l.tree.rootAt(l.work, l.signed.last.size)
	if err != nil || root != l.signed.last.root {
		return
	}
	own, _, err := l.sign(verify.Checkpoint{Origin: l.origin, Size: l.signed.last.size, Root: root}, newest.admitted)
	if err != nil {
		return
	}
	if c := verify.Contradict(l.VKeys(), seen.Note, own, l.tree.nodes(l.work)); c != nil {
		l.evidence(c)
	}
}

// awaitWitnesses asks what others have seen until enough of them answer, and then begins to serve, or refuses for good.
func (l *Ledger) awaitWitnesses() {
	defer l.running.Done()
	defer l.failOnPanic()
	for said := false; ; said = true {
		seen, err := l.witnessed(l.ctx)
		if refused := l.judgeSightings(seen); refused != nil {
			l.log.Error("the ledger refuses to sign and is readable alone", "problem", refused.Problem)
			l.setReadOnly(refused)
			return
		}
		if err == nil {
			break
		}
		if !said && l.ctx.Err() == nil {
			l.log.Warn("the ledger admits nothing until enough witnesses have said what they saw last", "error", err)
		}
		select {
		case <-time.After(l.witnessPause):
		case <-l.ctx.Done():
			return
		}
	}
	// What a crash left, or what was published, which may be old by now or of a time without witnesses, is cosigned before
	// anybody is told that all is ready; if it fails now it will be tried again.
	published, err := l.publishNewest()
	if err == nil && published && !l.cosigned {
		err = l.publishAgain()
	}
	if err != nil {
		l.fail(err)
		return
	}
	l.setReadOnly(nil)
	if !published {
		l.publish <- struct{}{}
	}
	l.snapshots.next(l)
	l.running.Add(2)
	go l.write()
	go l.publishing()
}

// judgeSightings returns why the ledger must not sign after what others have seen, or nil.
func (l *Ledger) judgeSightings(seen []Sighting) *RefusedError {
	for _, s := range seen {
		text, _, ok := bytes.Cut(s.Note, []byte("\n\n"))
		c, err := verify.ParseCheckpoint(append(bytes.Clone(text), '\n'))
		if !ok || err != nil || c.Origin != l.origin {
			l.log.Warn("what somebody has seen is not a checkpoint of this ledger", "who", s.Who)
			continue
		}
		refused := &RefusedError{Have: true, SignedSize: c.Size, StoredSize: l.newest.size}
		if c.Size > l.newest.size {
			refused.Problem = fmt.Sprintf("%s has seen a tree of size %d, signed with this ledger's key, but the store holds %d entries: it is an old copy, or another server signs with the same key", s.Who, c.Size, l.newest.size)
			return refused
		}
		root, err := l.tree.rootAt(l.work, c.Size)
		if err != nil {
			refused.Problem = fmt.Sprintf("the tree of size %d, which %s has seen, cannot be computed from the store, which holds %d entries", c.Size, s.Who, l.newest.size)
			return refused
		}
		if root != c.Root {
			l.convict(s)
			refused.Problem = fmt.Sprintf("%s has seen another tree of size %d than the store's, which holds %d entries, signed with this ledger's key", s.Who, c.Size, l.newest.size)
			return refused
		}
	}
	return nil
}

func (l *Ledger) setReadOnly(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readOnly = err
}

// republishIn is when the published checkpoint is to be cosigned afresh; nil: never.
func (l *Ledger) republishIn() <-chan time.Time {
	if l.cosign == nil || l.republish == 0 {
		return nil
	}
	if l.clockWrong.Load() || !l.cosigned {
		return time.After(min(l.republish, l.witnessPause))
	}
	return time.After(l.republish)
}

// publishAgain has the published checkpoint signed and cosigned afresh, so that everybody can tell how fresh the record is. If that
// fails for now nothing changes.
func (l *Ledger) publishAgain() error {
	l.publisher.Lock()
	defer l.publisher.Unlock()
	l.mu.RLock()
	newest, head := l.newest, l.head
	l.mu.RUnlock()
	if head == nil || head.Size != newest.size {
		return nil // a newer one is on its way
	}
	if err := l.storeNote(); err != nil { // the first note of this size
		if errors.Is(err, ErrFull) {
			return nil
		}
		return err
	}
	if l.noteFull(l.store.Room(l.work, len(latestPath(head.Size))+verify.MaxNote)) != nil {
		return nil
	}
	msg, _, err := l.sign(head.Checkpoint, newest.admitted)
	if err != nil {
		return err
	}
	if msg, err = l.collect(head.Checkpoint, msg); err != nil || msg == nil {
		return err
	}
	if err := l.store.Put(l.work, Object{latestPath(head.Size), msg}); err != nil {
		if errors.Is(l.noteFull(err), ErrFull) {
			return nil
		}
		return fmt.Errorf("storing the latest note of size %d: %w", head.Size, err)
	}
	l.setLatest(head.Checkpoint, msg)
	return nil
}

// setLatest replaces the note of the published checkpoint.
func (l *Ledger) setLatest(c verify.Checkpoint, msg []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = &head{c, msg}
}

// latestPath is where the newest note of a tree size is, if there is another one than the first.
func latestPath(size uint64) string { return checkpointPath(size) + latestSuffix }

const latestSuffix = "/latest"
