package ledger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// CheckOptions says what Check compares a store with.
type CheckOptions struct {
	Origin string
	// Logs are the log's verifier keys. Every checkpoint note must carry a good signature of
	// each that was in force at its size: of those among Retired that were the next to go, or
	// else of each of Logs. With none of either, signatures of notes are not checked.
	Logs    []keys.VKey
	Retired []Retired
	// Policy, if set, stands in for Logs and Retired: every note must be one that it accepts as
	// an earlier checkpoint.
	Policy *verify.Policy
	// LastSigned, if set, is held to the store as Open holds it. A note that it alone has is checked with the others.
	LastSigned *LastSigned
	// Snapshot, if set, is the file of a snapshot. There need not be one; but if opening would use it, it must
	// be what the commits give.
	Snapshot string
	// HashesOnly leaves out the rules, the signatures of entries, and those of all notes but the
	// newest: it recomputes hashes alone.
	HashesOnly bool
	// Progress, if set, is told from time to time how many commits were checked.
	Progress func(done, total uint64)
}

// A CheckReport is what Check found.
type CheckReport struct {
	Commits     uint64   `json:"commits"`     // read
	Size        uint64   `json:"size"`        // tree size of the newest commit
	Root        [32]byte `json:"-"`           // its root hash, recomputed
	Published   uint64   `json:"published"`   // tree size of the newest checkpoint note
	Tiles       int      `json:"tiles"`       // stored and compared
	Checkpoints int      `json:"checkpoints"` // notes
	Blobs       int      `json:"blobs"`       // texts
	Flaws       []Flaw   `json:"flaws"`       // the first 100
	FlawCount   int      `json:"flaw_count"`
}

// A Flaw is one thing that is not as it must be.
type Flaw struct {
	Where   string `json:"where"`   // "commit 7", "tile/0/000", "page 12"
	Problem string `json:"problem"` // a sentence part
}

func (f Flaw) String() string { return f.Where + ": " + f.Problem }

// OK says that nothing is wrong.
func (r *CheckReport) OK() bool { return r.FlawCount == 0 }

func (r *CheckReport) flaw(where, format string, args ...any) {
	if r.FlawCount++; len(r.Flaws) < maxFlaws {
		r.Flaws = append(r.Flaws, Flaw{where, fmt.Sprintf(format, args...)})
	}
}

const maxFlaws = 100

// Check reads everything in a store, recomputes it from the leaves up, and compares: the chain
// of commits, each root hash, the rules and signatures of all entries, every stored tile, the
// text and signatures of every checkpoint note, the notes that entries quote, the hash of every
// blob. It writes nothing and needs no key. What it cannot read it reports and goes on; the error
// is for what prevents going on: ctx, or a store that cannot be read at all.
//
// What a crash leaves is no flaw: a newest commit without a note, or without the tiles that it
// filled, where the store could not tell or the program was an older one. Opening the ledger finishes it.
func Check(ctx context.Context, store Store, o CheckOptions) (*CheckReport, error) {
	if o.LastSigned != nil {
		var err error
		if store, err = o.LastSigned.whole(ctx, store); err != nil {
			return nil, err
		}
	}
	c := &checker{
		CheckOptions: o, store: store, report: &CheckReport{Flaws: []Flaw{}},
		state: roll.New(o.Origin), roots: make(map[uint64][32]byte),
		blobs: make(map[entry.Hash]int64), tiles: make(map[string]bool),
	}
	c.tree = newTree(store.Get)
	if o.Progress == nil {
		c.Progress = func(done, total uint64) {}
	}
	var problem string
	var reading sync.WaitGroup
	if o.HashesOnly { // nothing is compared with what it holds
		reading.Go(func() { _, problem = c.readSnapshot() })
	} else {
		c.snapshot, problem = c.readSnapshot()
	}
	err := c.commits(ctx)
	if reading.Wait(); err != nil {
		return nil, err
	}
	if problem != "" {
		c.report.flaw(snapshotFlaw, "%s", problem)
	}
	if err := c.objects(ctx); err != nil {
		return nil, err
	}
	c.lastSigned(ctx)
	return c.report, nil
}

type checker struct {
	CheckOptions
	store  Store
	report *CheckReport
	state  *roll.State
	tree   *tree
	broken bool                // a commit is missing: the tree and the state end before it
	folded bool                // the state ends here as well, or before
	roots  map[uint64][32]byte // by the tree sizes of commits
	tiles  map[string]bool     // paths of the tree's full tiles, and whether they are stored
	blobs  map[entry.Hash]int64

	snapshot *snapshotHeader // to be compared; nil: none
	ids      []entry.Hash    // for it
	starts   []uint64        // for it
}

// commits checks the chain, the tree and the fold.
func (c *checker) commits(ctx context.Context) error {
	last, err := c.store.Last(ctx)
	if err != nil {
		return err
	}
	if last == 0 {
		c.report.flaw("commits", "there are none")
	}
	c.roots[0] = emptyRoot
	var leaves [][]byte
	var prev commit
	missing := 0
	next, stop := c.readAhead(ctx, last)
	defer stop()
	for seq := uint64(1); seq <= last; seq++ {
		where := fmt.Sprintf("commit %d", seq)
		rec, hashes, err := next()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.report.flaw(where, "%v", err)
			c.broken = true
			// A damaged number may make the last commit seem to be any.
			if missing++; missing == maxFlaws {
				c.report.flaw(where, "the commits that follow it were not looked for")
				break
			}
			continue
		}
		missing = 0
		c.report.Commits++
		if (prev.seq+1 == seq || seq == 1) && !rec.follows(prev.seq, prev.sum, prev.size) {
			c.report.flaw(where, "it is not the one that follows the commit before")
			c.broken = true
		}
		prev = commit{seq: seq, sum: rec.sum, size: rec.size}
		if c.broken {
			continue
		}
		c.tree.append(hashes...)
		root, err := c.tree.rootAt(ctx, rec.size)
		if err != nil {
			return err
		}
		if root != rec.root {
			c.report.flaw(where, "its leaves do not give its root hash")
		}
		c.roots[rec.size] = root
		c.report.Size, c.report.Root = rec.size, root
		if err := c.fullTiles(ctx, seq == last); err != nil {
			return err
		}
		if c.snapshot != nil {
			c.starts = append(c.starts, rec.from)
		}
		atSnapshot := c.snapshot != nil && c.snapshot.seq == seq
		if leaves = append(leaves, rec.leaves...); len(leaves) >= replayWindow || atSnapshot {
			c.fold(ctx, leaves)
			leaves = leaves[:0]
			c.Progress(seq, last)
		}
		if atSnapshot {
			c.compareSnapshot(ctx, prev)
		}
	}
	c.fold(ctx, leaves)
	c.Progress(last, last)
	return ctx.Err()
}

const snapshotFlaw = "snapshot"

// readSnapshot reads a snapshot, if there is one, for compareSnapshot, or tells a flaw of it. One that opening would not use says
// nothing about the record: of keys that the log has no more, or of a store that was put back since.
func (c *checker) readSnapshot() (h *snapshotHeader, problem string) {
	if c.Snapshot == "" {
		return nil, ""
	}
	header, _, err := readSnapshot(c.Snapshot, c.Origin, c.Logs...)
	switch {
	case isNotExist(err) || errors.Is(err, errNotOurs):
		return nil, ""
	case err != nil:
		return nil, fmt.Sprintf("%v; delete it, the ledger makes another one", err)
	}
	return &header, ""
}

// compareSnapshot compares the snapshot with what was computed up to its commit.
func (c *checker) compareSnapshot(ctx context.Context, at commit) {
	h := c.snapshot
	at.root = c.report.Root
	whole := contents{state: c.state, tree: c.tree, ids: c.ids, starts: c.starts, newest: at}
	if h.sum != at.sum || c.folded {
		return
	}
	if s, ok := whole.freeze(ctx); !ok || s.header(c.Origin) == *h {
		return // what is not whole has flaws of its own
	}
	c.report.flaw(snapshotFlaw, "it is not what the record's first %d commits give; delete it, the ledger makes another one", h.seq)
}

// readAhead reads the commits from 1 to last, and hashes their leaves, on all cores, a few at a time. next returns one after the other, each with an
// error as read has it; stop must be called, and waits for what is under way.
func (c *checker) readAhead(ctx context.Context, last uint64) (next func() (*record, [][32]byte, error), stop func()) {
	type result struct {
		rec    *record
		hashes [][32]byte
		err    error
	}
	ctx, cancel := context.WithCancel(ctx)
	coming := make(chan chan result, runtime.GOMAXPROCS(0))
	var reading sync.WaitGroup
	reading.Go(func() {
		for seq := uint64(1); seq <= last; seq++ {
			one := make(chan result, 1)
			select {
			case coming <- one:
			case <-ctx.Done():
				close(coming)
				return
			}
			reading.Go(func() {
				var r result
				if r.rec, r.err = c.read(ctx, seq); r.err == nil {
					r.hashes = leafHashes(r.rec.leaves)
				}
				one <- r
			})
		}
	})
	next = func() (*record, [][32]byte, error) {
		one, ok := <-coming
		if !ok {
			return nil, nil, ctx.Err()
		}
		r := <-one
		return r.rec, r.hashes, r.err
	}
	return next, func() {
		cancel()
		reading.Wait()
	}
}

// read returns a commit. An error is a flaw: a sentence part.
func (c *checker) read(ctx context.Context, seq uint64) (*record, error) {
	b, err := c.store.Read(ctx, seq)
	switch {
	case isNotExist(err):
		return nil, errors.New("it is missing")
	case err != nil:
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	rec, err := decodeRecord(b)
	if err != nil {
		return nil, errors.New("its bytes are not the ones that were committed")
	}
	return rec, nil
}

// get returns an object, or false after reporting that it cannot be read.
func (c *checker) get(ctx context.Context, path string) (b []byte, ok bool) {
	b, err := c.store.Get(ctx, path)
	if err != nil {
		c.report.flaw(path, "it cannot be read: %v", err)
	}
	return b, err == nil
}

// fullTiles compares the stored tiles with those that a commit has filled, which may be missing
// if it is the newest.
func (c *checker) fullTiles(ctx context.Context, newest bool) error {
	ids := c.tree.full(c.tree.size)
	for _, id := range ids {
		path := id.tile().Path()
		b, err := c.store.Get(ctx, path)
		c.tiles[path] = err == nil
		switch {
		case isNotExist(err):
			if !newest {
				c.report.flaw(path, "it is missing")
			}
		case err != nil:
			c.report.flaw(path, "it cannot be read: %v", err)
		default:
			c.report.Tiles++
			if !bytes.Equal(b, c.tree.pendingBytes(id)) {
				c.report.flaw(path, "it is not what the leaves give")
			}
		}
	}
	c.tree.stored(ids)
	return ctx.Err()
}

// fold applies leaves to the state and checks the notes that they quote.
func (c *checker) fold(ctx context.Context, raw [][]byte) {
	if c.folded || c.HashesOnly {
		return
	}
	leaves, sigs, errs := checkLeaves(c.state, raw, runtime.GOMAXPROCS(0))
	for i, leaf := range leaves {
		index := c.state.Size()
		where := fmt.Sprintf("entry %d", index)
		err := errs[i]
		if err == nil {
			err = c.state.ApplyLeaf(index, leaf, sigs[i])
		} else {
			err = errors.Join(err, c.state.Apply(index, raw[i]))
		}
		var beyond *roll.Beyond
		if errors.As(err, &beyond) {
			c.report.flaw(where, "%v", err)
			c.folded = true
			return
		}
		if err != nil {
			c.report.flaw(where, "%v", err)
			continue
		}
		if c.snapshot != nil {
			c.ids = append(c.ids, leaf.Entry.ID())
		}
		noteBlobs(c.blobs, leaf.Entry)
		if e, ok := leaf.Entry.Body.(*entry.Endorsement); ok {
			b, err := c.store.Get(ctx, checkpointPath(e.After.Size))
			if err != nil || entry.Sum(b) != e.After.Note {
				c.report.flaw(where, "the checkpoint note that it quotes is not at %s", checkpointPath(e.After.Size))
			}
		}
		if e, ok := leaf.Entry.Body.(*entry.Evidence); ok && e.Type == entry.RFC3161 {
			if _, err := c.store.Get(ctx, checkpointPath(e.Size)); err != nil {
				c.report.flaw(where, "the checkpoint note that it is about is not at %s", checkpointPath(e.Size))
			}
		}
	}
}

// objects checks everything that is not a commit.
func (c *checker) objects(ctx context.Context) error {
	paths, err := c.store.List(ctx, "")
	if err != nil {
		return err
	}
	var notes []storedNote
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.tiles[path] {
			continue
		}
		first, isLatest := strings.CutSuffix(path, latestSuffix)
		size, isNote := parseCheckpointPath(first)
		hash, isBlob := parseHashPath(path, blobPrefix)
		_, isWithheld := parseHashPath(path, withheldPrefix)
		switch {
		case isNote:
			notes = append(notes, storedNote{path, size, isLatest})
		case isBlob:
			if b, ok := c.get(ctx, path); ok {
				c.report.Blobs++
				named, known := c.blobs[hash]
				switch {
				case entry.Sum(b) != hash:
					c.report.flaw(path, "its bytes do not have this hash")
				case c.complete() && (!known || int64(len(b)) > named):
					c.report.flaw(path, "no published statement names it, or it is larger than the statement says")
				}
			}
		case isWithheld:
			if b, ok := c.get(ctx, path); ok && len(b) != 0 {
				c.report.flaw(path, "it is not empty")
			}
		case strings.HasPrefix(path, copyPrefix):
			// A Copy keeps there what is about itself.
		case strings.HasPrefix(path, "tile/") && c.broken:
			// The tree ends early, so nothing can be said about the tiles after it.
		default:
			c.report.flaw("object", "there is one at a path that is none of this ledger's: %q", path)
		}
	}
	return c.notes(ctx, notes)
}

// notes checks the notes of checkpoints, on all cores.
func (c *checker) notes(ctx context.Context, notes []storedNote) error {
	reigns, err := c.reigns()
	if err != nil {
		return err
	}
	slices.SortFunc(notes, func(a, b storedNote) int { return cmp.Or(cmp.Compare(a.size, b.size), strings.Compare(a.path, b.path)) })
	problems := make([]string, len(notes))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(notes) && ctx.Err() == nil; i += workers {
				problems[i] = c.note(ctx, notes[i], reigns, !c.HashesOnly || notes[i].size == notes[len(notes)-1].size)
			}
		})
	}
	wg.Wait()
	for i, problem := range problems {
		if problem != "" {
			c.report.flaw(notes[i].path, "%s", problem)
		}
	}
	if c.report.Checkpoints = len(notes); len(notes) > 0 {
		c.report.Published = notes[len(notes)-1].size
	}
	return ctx.Err()
}

// complete says that the state is that of all leaves.
func (c *checker) complete() bool { return !c.broken && !c.folded && !c.HashesOnly }

// A reign is the keys that sign together, up to and with a tree size.
type reign struct {
	until     uint64
	verifiers []note.Verifier
}

// reigns returns who signs up to which size, in order of time. The last goes on for ever.
func (c *checker) reigns() ([]reign, error) {
	keysUntil := map[uint64][]keys.VKey{math.MaxUint64: c.Logs}
	for _, r := range c.Retired {
		keysUntil[r.Until] = append(keysUntil[r.Until], r.VKey)
	}
	var reigns []reign
	for _, until := range slices.Sorted(maps.Keys(keysUntil)) {
		r := reign{until: until}
		for _, k := range keysUntil[until] {
			v, err := verify.NewVerifier(k)
			if err != nil {
				return nil, err
			}
			r.verifiers = append(r.verifiers, v)
		}
		reigns = append(reigns, r)
	}
	return reigns, nil
}

// note returns what is wrong with the note of a checkpoint: its text, or its signatures.
func (c *checker) note(ctx context.Context, stored storedNote, reigns []reign, signatures bool) string {
	size := stored.size
	msg, err := c.store.Get(ctx, stored.path)
	if err != nil {
		return fmt.Sprintf("it cannot be read: %v", err)
	}
	root, known := c.roots[size]
	switch {
	case !known && !c.broken:
		return "no commit made a tree of this size"
	case known:
		if problem := noteProblem(msg, verify.Checkpoint{Origin: c.Origin, Size: size, Root: root}); problem != "" {
			return "it " + problem
		}
	}
	if !signatures {
		return ""
	}
	if c.Policy != nil {
		if _, err := c.Policy.OpenPast(msg); err != nil {
			return fmt.Sprintf("the policy does not accept it: %v", err)
		}
		return ""
	}
	i := slices.IndexFunc(reigns, func(r reign) bool { return size <= r.until })
	later := reigns[i+1:]
	if !stored.latest {
		later = nil
	}
	// What was signed afresh may bear the keys of a later time.
	if slices.ContainsFunc(append([]reign{reigns[i]}, later...), func(r reign) bool { return r.signed(msg) }) {
		return ""
	}
	return "it does not carry a good signature of each of the log's keys of that time"
}

// signed says whether a note bears a good signature of every key.
func (r reign) signed(msg []byte) bool {
	if len(r.verifiers) == 0 {
		return true
	}
	n, err := note.Open(msg, note.VerifierList(r.verifiers...))
	return err == nil && len(n.Sigs) == len(r.verifiers)
}

// storedNote is a note in the store: the first of a tree size, or the latest.
type storedNote struct {
	path   string
	size   uint64
	latest bool
}

// lastSigned holds the last-signed record to the tree.
func (c *checker) lastSigned(ctx context.Context) {
	s := c.LastSigned
	if s == nil {
		return
	}
	const where = "last-signed record"
	switch {
	case s.bad && !s.have:
		c.report.flaw(where, "it is damaged")
	case s.bad:
		c.report.flaw(where, "one half of it is damaged")
	case !s.have:
		c.report.flaw(where, "it is missing")
	}
	if !s.have {
		return
	}
	if s.last.origin != c.Origin || len(c.Logs) > 0 && !s.Of(c.Origin, c.Logs) {
		c.report.flaw(where, "it is of other keys or of another ledger")
		return
	}
	if s.last.size > c.report.Size {
		c.report.flaw(where, "the keys have signed a tree of size %d, the store holds %d entries", s.last.size, c.report.Size)
		return
	}
	root, err := c.tree.rootAt(ctx, s.last.size)
	if err != nil {
		c.report.flaw(where, "the tree that it names cannot be computed: %v", err)
	} else if root != s.last.root {
		c.report.flaw(where, "the keys have signed another tree of size %d than the store's", s.last.size)
	}
}
