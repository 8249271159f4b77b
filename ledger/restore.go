package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// RestoreOptions says from what a ledger is restored.
type RestoreOptions struct {
	// Policy says whose signatures on the source's checkpoints count.
	Policy *verify.Policy
	// Fetch reaches the source. Nothing that it returns is trusted.
	Fetch verify.Fetch
	// Paths lists everything that the source holds, if it can tell: what the record does not
	// account for is then refused. At least the notes of past checkpoints should be in it: those
	// that neither it nor an entry names are not found.
	Paths []string
	// Tail are leaves that the source has stored after its checkpoint: Unpublished of a ledger.
	Tail [][]byte
	// Withheld are texts that were taken down and must not come back.
	Withheld []entry.Hash
	// Progress, if set, is told from time to time how many entries of the audit, and then of the
	// restored ledger, are done, out of twice the source's.
	Progress func(done, total uint64)
	// Logger is told what goes on within the new ledger; nil: nobody is.
	Logger *slog.Logger
}

// A RestoreReport says what was restored.
type RestoreReport struct {
	Checkpoint  verify.Checkpoint // the newest that the source holds
	Size        uint64            // tree size: the checkpoint's and the tail's entries
	Root        [32]byte          // root hash of all of it
	Commits     uint64
	Checkpoints int // notes kept, each byte for byte
	Texts       int // kept
	Missing     int // texts that statements name and the source does not hold
	Withheld    int // texts that statements name and the operator has taken down
}

// A SourceError says that a source does not hold, so that nothing is to be restored from it.
type SourceError struct {
	// Code is one of package verify's exit codes.
	Code int
	// Problem is a sentence.
	Problem string
}

func (e *SourceError) Error() string { return "nothing was restored: " + e.Problem }

// Restore rebuilds a ledger in a store that holds nothing. First the source is audited, all of it
// (verify.Audit). Then its entries are folded by the same code as Open's, and committed so that every
// kept checkpoint ends a commit; the root hash there is computed anew from the leaves and compared with
// the note's. Notes are kept byte for byte, as they were audited. Tiles come from the leaves.
//
// It signs nothing and knows no key. After an error the store must be thrown away: it may hold a part of
// the record. A source that does not hold is a *SourceError.
func Restore(ctx context.Context, store Store, o RestoreOptions) (*RestoreReport, error) {
	if err := empty(ctx, store); err != nil {
		return nil, err
	}
	r := &restorer{RestoreOptions: o, notes: make(map[uint64]pastNote)}
	if err := r.audit(ctx); err != nil {
		return nil, err
	}
	l, err := configure(ctx, Config{Origin: r.checkpoint.Origin, Store: store, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	defer l.cancel(ErrClosed)
	r.ledger = l
	if err := r.entries(ctx); err != nil {
		return nil, err
	}
	if err := r.texts(ctx); err != nil {
		return nil, err
	}
	r.report.Checkpoint = r.checkpoint
	r.report.Size, r.report.Root, r.report.Commits = l.newest.size, l.newest.root, l.newest.seq
	return &r.report, nil
}

type restorer struct {
	RestoreOptions
	note       []byte // the source's newest checkpoint
	checkpoint verify.Checkpoint
	ledger     *Ledger
	report     RestoreReport

	mu      sync.Mutex
	notes   map[uint64]pastNote // that the audit has read, by size
	changed string              // the path of one that was not the same when it was read again
}

// pastNote is what must be the same when a note is read again.
type pastNote struct {
	hash entry.Hash
	root [32]byte // as it says; zero if it is not the checkpoint of its size
}

// audit audits the source and remembers which notes it holds.
func (r *restorer) audit(ctx context.Context) (err error) {
	if r.note, err = r.Fetch(ctx, "checkpoint"); err != nil {
		return r.unreadable(ctx, "checkpoint", err)
	}
	if c, ok := noteText(r.note); ok {
		// The first published note of this size need not be the one that is the newest now, which may bear
		// more cosignatures.
		switch _, err := r.Fetch(ctx, checkpointPath(c.Size)); {
		case err == nil:
			r.Paths = append(slices.Clone(r.Paths), checkpointPath(c.Size))
		case !isNotExist(err):
			return r.unreadable(ctx, checkpointPath(c.Size), err)
		}
	}
	o := verify.AuditOptions{Paths: r.Paths}
	if r.Progress != nil {
		o.Progress = func(done, total uint64) { r.Progress(done, 2*total) }
	}
	report, err := verify.Audit(ctx, r.Policy, r.remember, o)
	if err != nil {
		return err
	}
	if !report.OK {
		problem := report.Sentence
		if at := r.differs(ctx); at != "" {
			problem += " " + at
		}
		return &SourceError{report.Code, problem}
	}
	if r.changed != "" {
		return changed(r.changed)
	}
	r.checkpoint, _ = noteText(r.note)
	if r.checkpoint.Size == 0 {
		return &SourceError{verify.CodeUnchecked, "it holds no entry."}
	}
	if _, ok := r.notes[r.checkpoint.Size]; !ok {
		r.notes[r.checkpoint.Size] = pastNote{entry.Sum(r.note), r.checkpoint.Root}
	}
	return nil
}

// unreadable is the error of a Fetch: that of a source that does not hold, or lacks what it must have, is a
// *SourceError, that of one that cannot be reached is its own.
func (r *restorer) unreadable(ctx context.Context, path string, err error) error {
	var wrong *verify.ContradictionError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &wrong):
		return &SourceError{verify.CodeContradiction, wrong.Problem + "."}
	case isNotExist(err):
		return &SourceError{verify.CodeUnchecked, path + " is missing in it."}
	}
	return fmt.Errorf("%s cannot be read: %w", path, err)
}

func changed(path string) error {
	return &SourceError{verify.CodeContradiction, path + " is not the same when it is read again."}
}

// noteText returns what a note says, whoever signed it, and false if it is no checkpoint.
func noteText(msg []byte) (verify.Checkpoint, bool) {
	text, _, ok := bytes.Cut(msg, []byte("\n\n"))
	c, err := verify.ParseCheckpoint(append(bytes.Clone(text), '\n'))
	return c, ok && err == nil
}

// fetch is Fetch, but for the checkpoint, which stays the one that is being restored.
func (r *restorer) fetch(ctx context.Context, path string) ([]byte, error) {
	if path == "checkpoint" {
		return r.note, nil
	}
	return r.Fetch(ctx, path)
}

// remember is fetch for the audit.
func (r *restorer) remember(ctx context.Context, path string) ([]byte, error) {
	b, err := r.fetch(ctx, path)
	size, ok := parseCheckpointPath(path)
	if !ok || err != nil {
		return b, err
	}
	n := pastNote{hash: entry.Sum(b)}
	if c, ok := noteText(b); ok && c.Size == size {
		n.root = c.Root
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, ok := r.notes[size]; ok && before != n {
		r.changed = path
	}
	r.notes[size] = n
	return b, nil
}

// differs names a checkpoint whose root hash is not what the source's entries give, "" if there is none or
// that cannot be computed.
func (r *restorer) differs(ctx context.Context) string {
	c, ok := noteText(r.note)
	if !ok {
		return ""
	}
	tree, err := verify.NewHashReader(ctx, c, r.fetch)
	if err != nil {
		return ""
	}
	for _, size := range slices.Sorted(maps.Keys(r.notes)) {
		n := r.notes[size]
		if size > c.Size || n.root == [32]byte{} {
			continue
		}
		if root, err := tree.RootAt(ctx, size); err == nil && root != n.root {
			return differ(size, n.root, root)
		}
	}
	return ""
}

func differ(size uint64, said, is [32]byte) string {
	return fmt.Sprintf("At size %d the checkpoint has the root hash %s, the entries give %s.", size, base64.StdEncoding.EncodeToString(said[:]), base64.StdEncoding.EncodeToString(is[:]))
}

// entries reads all entries again, each held to the audited root hash, and takes them in.
func (r *restorer) entries(ctx context.Context) error {
	size := r.checkpoint.Size
	tree, err := verify.NewHashReader(ctx, r.checkpoint, r.fetch)
	if err != nil {
		return r.unreadable(ctx, "the edge of the tree", err)
	}
	var leaves [][]byte
	for bundle := uint64(0); bundle*verify.TileWidth < size; bundle++ {
		more, err := tree.Entries(ctx, bundle)
		if err != nil {
			return r.unreadable(ctx, fmt.Sprintf("entry bundle %d", bundle), err)
		}
		if leaves = append(leaves, more...); len(leaves) >= replayWindow {
			if err := r.take(ctx, leaves); err != nil {
				return err
			}
			leaves = leaves[:0]
			if r.Progress != nil {
				r.Progress(size+r.ledger.newest.size, 2*size)
			}
		}
	}
	if err := r.take(ctx, leaves); err != nil {
		return err
	}
	if r.Progress != nil {
		r.Progress(2*size, 2*size)
	}
	for _, raw := range r.Tail {
		if err := r.quotes(raw); err != nil {
			return err
		}
	}
	return r.take(ctx, r.Tail)
}

// quotes checks that a leaf of the tail quotes a note that is kept: the audit has not seen it.
func (r *restorer) quotes(raw []byte) error {
	leaf, err := entry.ParseLeaf(raw)
	if err != nil {
		return &SourceError{verify.CodeContradiction, "what it has stored after its checkpoint is no entry."}
	}
	if e, ok := leaf.Entry.Body.(*entry.Endorsement); ok && r.notes[e.After.Size].hash != e.After.Note {
		return &SourceError{verify.CodeContradiction, fmt.Sprintf("an entry that it has stored after its checkpoint quotes another note of size %d than the one that it holds.", e.After.Size)}
	}
	return nil
}

// take folds the next leaves and commits them, so that each kept checkpoint ends a commit.
func (r *restorer) take(ctx context.Context, leaves [][]byte) error {
	l := r.ledger
	if err := l.fold(leaves, runtime.GOMAXPROCS(0)); err != nil {
		return err
	}
	var kept []Object
	for len(leaves) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec := &record{seq: l.newest.seq + 1, prev: l.newest.sum, from: l.newest.size, size: l.newest.size}
		bytes, boundary := 0, false
		for !boundary && len(rec.leaves) < len(leaves) && bytes < maxBatchBytes {
			leaf := leaves[len(rec.leaves)]
			rec.leaves = append(rec.leaves, leaf)
			bytes += len(leaf)
			rec.size++
			_, boundary = r.notes[rec.size]
		}
		leaves = leaves[len(rec.leaves):]
		if err := l.commit(rec); err != nil {
			return err
		}
		if !boundary {
			continue
		}
		note, err := r.keep(ctx, rec)
		if err != nil {
			return err
		}
		kept = append(kept, note)
	}
	if len(kept) == 0 {
		return nil
	}
	r.report.Checkpoints += len(kept)
	return l.store.Put(ctx, kept...)
}

// keep returns the note of the tree that a commit made.
func (r *restorer) keep(ctx context.Context, rec *record) (Object, error) {
	path, n := checkpointPath(rec.size), r.notes[rec.size]
	if n.root != rec.root {
		return Object{}, &SourceError{verify.CodeContradiction, differ(rec.size, n.root, rec.root)}
	}
	msg := r.note
	if entry.Sum(msg) != n.hash {
		var err error
		if msg, err = r.Fetch(ctx, path); err != nil {
			return Object{}, r.unreadable(ctx, path, err)
		}
		if entry.Sum(msg) != n.hash {
			return Object{}, changed(path)
		}
	}
	return Object{path, msg}, nil
}

// texts keeps the texts that statements name, as far as the source holds them, and what is known of those
// that were taken down.
func (r *restorer) texts(ctx context.Context) error {
	l := r.ledger
	for _, h := range r.Withheld {
		if err := l.store.Put(ctx, Object{withheldPath(h), nil}); err != nil {
			return err
		}
	}
	for h, most := range l.blobs {
		if slices.Contains(r.Withheld, h) {
			r.report.Withheld++
			continue
		}
		path := blobPath(h)
		b, err := r.Fetch(ctx, path)
		switch {
		case isNotExist(err):
			r.report.Missing++
			continue
		case err != nil:
			return r.unreadable(ctx, path, err)
		case entry.Sum(b) != h:
			return &SourceError{verify.CodeContradiction, path + " is not the text with that fingerprint."}
		case int64(len(b)) > most: // no ledger takes more than its statement says
			r.report.Missing++
			continue
		}
		if err := l.store.Put(ctx, Object{path, b}); err != nil {
			return err
		}
		r.report.Texts++
	}
	return nil
}
