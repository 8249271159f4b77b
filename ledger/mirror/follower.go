package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// A FollowerConfig says which record to follow, from where.
type FollowerConfig struct {
	// Origin is the ledger's.
	Origin string
	// Policy says whose signatures on checkpoints count.
	Policy *verify.Policy
	// Fetch reaches the record as the ledger serves it. It is called by many goroutines, and nothing that it returns is trusted.
	Fetch verify.Fetch
	// Copy, if set, keeps what was read and found to hold, so that after a restart only what is new is fetched.
	Copy *ledger.Copy
	// Boundary, if set, says whether the ledger has published a checkpoint of a size; in the copy a commit ends there.
	Boundary func(size uint64) bool
	// Entry, if set, is called with each admissible entry, in order, those that were kept before the start first. State holds
	// it by then; raw are the bytes of the leaf.
	Entry func(index uint64, raw []byte, leaf *entry.Leaf)
	// Misled, if set, is given what proves that a witness contradicted itself. It says nothing against the record.
	Misled func(*verify.Contradiction)
	// Progress, if set, is told from time to time how many entries are done.
	Progress func(done, total uint64)
}

// A Follower reads a record from wherever it is served, from where it stopped, and checks everything as an audit does: every
// hash, every signature, every rule. One goroutine at a time uses it.
type Follower struct {
	FollowerConfig
	replay  *verify.Replay
	resumed bool
	local   bool     // tiles and entries are read from the copy, as far as they are kept
	leaves  [][]byte // read and not kept yet
	first   uint64   // index of leaves[0]
	bytes   int      // of leaves
	absent  *absence // nil: only what the record itself says of time counts

	mu    sync.Mutex
	notes map[uint64][]byte // that entries quote, not kept yet
}

const (
	windowLeaves = 1024    // that are kept at one time
	windowBytes  = 4 << 20 // the same, in bytes
	windowNotes  = 64
	seenPath     = "copy/seen" // the note of the largest checkpoint that was seen: what is kept is part of its tree
)

// A FoundError says that a record was read and that something in it does not hold, or could not be checked.
type FoundError struct {
	// Report says what, in its findings. With verify.CodeContradiction as its code, Contradictions may prove it to anybody.
	Report *verify.Report
}

func (e *FoundError) Error() string { return e.Report.Sentence }

// NewFollower returns a Follower.
func NewFollower(cfg FollowerConfig) *Follower {
	f := &Follower{FollowerConfig: cfg, notes: make(map[uint64][]byte)}
	f.replay = verify.NewReplay(cfg.Origin, verify.ReplayOptions{
		Policy: cfg.Policy, Fetch: f.fetch, Seen: f.seen, Entry: f.entry, Quoted: f.quoted, Progress: cfg.Progress,
	})
	return f
}

// Seen returns the largest checkpoint that was found to continue those before, nil if there is none yet.
func (f *Follower) Seen() *verify.SignedCheckpoint { return f.replay.Seen() }

// State returns the folded record as far as it was read. It may be read beside Advance.
func (f *Follower) State() *roll.State { return f.replay.State() }

// Resume reads what is kept, if that was not done before; Advance does it otherwise. It is held to the checkpoint that was seen last, and
// as far as that takes more than what is kept, the rest is fetched. Errors are those of Advance.
func (f *Follower) Resume(ctx context.Context) error {
	if f.resumed || f.Copy == nil {
		return nil
	}
	note, err := f.Copy.Get(ctx, seenPath)
	if errors.Is(err, fs.ErrNotExist) && f.Copy.Size() == 0 {
		f.resumed = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", seenPath, err)
	}
	if err := f.replay.Remember(note); err != nil {
		return fmt.Errorf("the checkpoint that was seen last is not one that the policy takes: %w", err)
	}
	f.resumed, f.local = true, true
	defer func() { f.local = false }()
	_, err = f.advance(ctx, note)
	return err
}

// Advance goes on to the checkpoint of a note: what is new up to there is read, checked and kept, durably when it returns nil. If
// something does not hold the error is a *FoundError: for good if its code is verify.CodeContradiction and the entries are at
// fault. Any other error says that the record could not be read up to there, or not be kept; what was read stays, and the next
// call goes on. Failed tells whether it can.
func (f *Follower) Advance(ctx context.Context, note []byte) (*verify.Report, error) {
	if err := f.Resume(ctx); err != nil && !f.resumed {
		return nil, err
	}
	return f.advance(ctx, note)
}

// Compare holds a checkpoint that somebody else has seen to the largest one seen here. It returns false if that is smaller, so that
// nothing can be told yet. If one contradicts the other the error is a *FoundError; any other says that it could not be told.
func (f *Follower) Compare(ctx context.Context, note []byte) (told bool, err error) {
	report, err := f.replay.Compare(ctx, note)
	if err != nil || report == nil {
		return false, err
	}
	f.misled(report)
	if !report.OK {
		return true, &FoundError{report}
	}
	return true, nil
}

// Failed returns why nothing can be kept any more, nil while it can: open the store and the copy again.
func (f *Follower) Failed() error {
	if f.Copy == nil {
		return nil
	}
	return f.Copy.Err()
}

func (f *Follower) advance(ctx context.Context, note []byte) (*verify.Report, error) {
	if err := f.flush(ctx); err != nil {
		return nil, err
	}
	local := f.local
	report, err := f.replay.Advance(ctx, note)
	f.local = local
	if err != nil {
		return nil, err
	}
	f.misled(report)
	if err := f.flush(ctx); err != nil {
		return nil, err
	}
	if !report.OK {
		return report, &FoundError{report}
	}
	return report, f.agrees(ctx, report.Size)
}

// misled hands on what convicts witnesses.
func (f *Follower) misled(report *verify.Report) {
	if f.Misled == nil {
		return
	}
	for _, c := range report.Misled {
		f.Misled(c)
	}
}

// agrees holds what is kept to the checkpoint that was followed.
func (f *Follower) agrees(ctx context.Context, size uint64) error {
	seen := f.replay.Seen()
	if f.Copy == nil || seen == nil || size != seen.Size {
		return nil
	}
	root, err := f.Copy.RootAt(ctx, seen.Size)
	if err != nil {
		return err
	}
	if root != seen.Root {
		return fmt.Errorf("the copy is not that of the record which was read: %w", ledger.ErrCorrupt)
	}
	return nil
}

// fetch reads from the copy what is kept, but for the tiles that tell whether a checkpoint continues those before.
func (f *Follower) fetch(ctx context.Context, path string) ([]byte, error) {
	if f.Copy != nil && (f.local || !isTile(path)) {
		b, err := f.Copy.Fetch(ctx, path)
		if !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return f.Fetch(ctx, path)
}

func isTile(path string) bool {
	_, err := verify.ParseTilePath(path)
	return err == nil
}

// seen remembers a checkpoint before anything under it is kept.
func (f *Follower) seen(c *verify.SignedCheckpoint) error {
	before, resuming := f.replay.Seen(), f.local
	f.local = true // it is part of this checkpoint's tree
	if f.Copy == nil || resuming || before != nil && before.Size == c.Size {
		return nil
	}
	objects := []ledger.Object{{Path: seenPath, Data: c.Note}}
	if f.absent != nil {
		f.absent.sight(c.Size, f.State().Size())
		objects = append(objects, ledger.Object{Path: absentPath, Data: f.absent.bytes()})
	}
	return f.Copy.Keep(context.Background(), objects...)
}

// entry takes in an entry that was read.
func (f *Follower) entry(index uint64, raw []byte, leaf *entry.Leaf) error {
	if f.absent != nil {
		if err := f.absent.compare(index, leaf.Admitted); err != nil {
			return err
		}
	}
	if f.Entry != nil {
		f.Entry(index, raw, leaf)
	}
	if f.Copy == nil || index < f.Copy.Size() {
		return nil
	}
	if len(f.leaves) == 0 {
		f.first = index
	}
	f.leaves = append(f.leaves, raw)
	f.bytes += len(raw)
	if len(f.leaves) < windowLeaves && f.bytes < windowBytes {
		return nil
	}
	return f.flush(context.Background())
}

// quoted takes in a note that an entry quotes.
func (f *Follower) quoted(size uint64, note []byte) {
	if f.Copy == nil {
		return
	}
	if kept, err := f.Copy.Fetch(context.Background(), verify.CheckpointPath(size)); err == nil && bytes.Equal(kept, note) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes[size] = note
}

// flush keeps what was read. What could not be kept for want of space is kept with the next.
func (f *Follower) flush(ctx context.Context) error {
	if f.Copy == nil {
		return nil
	}
	if size := f.Copy.Size(); f.first < size {
		n := min(uint64(len(f.leaves)), size-f.first) // kept before the disk was full
		f.leaves, f.first = f.leaves[n:], f.first+n
	}
	seen := f.replay.Seen()
	err := f.Copy.Append(ctx, f.leaves, func(size uint64) bool {
		return seen != nil && size == seen.Size || f.Boundary != nil && f.Boundary(size)
	})
	if err != nil {
		return err
	}
	f.leaves, f.bytes = nil, 0
	f.mu.Lock()
	defer f.mu.Unlock()
	for notes := range slices.Chunk(objectsOf(f.notes), windowNotes) {
		if err := f.Copy.Keep(ctx, notes...); err != nil {
			return err
		}
	}
	clear(f.notes)
	return nil
}

func objectsOf(notes map[uint64][]byte) []ledger.Object {
	var objects []ledger.Object
	for size, note := range notes {
		objects = append(objects, ledger.Object{Path: verify.CheckpointPath(size), Data: note})
	}
	return objects
}
