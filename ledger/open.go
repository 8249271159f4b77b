package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	defaultMaxBatch = 1024
	mostMaxBatch    = 4096
	defaultMaxQueue = 8192
	recordsCache    = 64 << 20 // bytes
	notesCache      = 16 << 20 // bytes
)

// Create begins a ledger: it makes entry 0 of genesis, a signed charter, in a store that holds
// nothing, and publishes the first checkpoint. The last-signed record must be missing or of size 0
// with the same keys. If it fails after the entry was stored, Open finishes it.
func Create(ctx context.Context, cfg Config, genesis *entry.Entry) error {
	l, err := configure(ctx, cfg)
	if err != nil {
		return err
	}
	defer l.cancel(ErrClosed)
	if len(l.signers) == 0 {
		return errors.New("a ledger needs keys to sign with")
	}
	if err := empty(ctx, cfg.Store); err != nil {
		return err
	}
	if s := l.signed; s.have && (s.last.size > 0 || s.last.origin != l.origin || s.last.keys != l.keys) || s.bad {
		return fmt.Errorf("%s says that these keys, or others, have signed for a ledger already", s.path)
	}
	leaf := &entry.Leaf{Admitted: l.admitTime(), Entry: genesis}
	if err := l.state.Admit(leaf, nil); err != nil {
		return refusal(err)
	}
	// From here on the keys belong to this ledger: an attempt that stops halfway can be repeated.
	if !l.signed.have {
		if err := l.signed.write(l.origin, l.keys, 0, emptyRoot, nil); err != nil {
			return fmt.Errorf("writing the last-signed record: %w", err)
		}
	}
	if err := l.commit(&record{seq: 1, size: 1, leaves: [][]byte{leaf.Bytes()}}); err != nil {
		return err
	}
	opened, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	if err := opened.ReadOnly(); err != nil {
		return errors.Join(err, opened.Close())
	}
	result := opened.Submit(ctx, genesis.Bytes())[0] // waits for its publication
	if err := opened.Close(); err != nil {
		return err
	}
	if !result.Published {
		return errors.New("the ledger exists, but its first checkpoint is not cosigned yet: opening it goes on with that")
	}
	return nil
}

// emptyRoot is the root hash of a tree without leaves.
var emptyRoot, _ = verify.RootAt(0, nil)

// empty returns an error if a store holds anything.
func empty(ctx context.Context, store Store) error {
	last, err := store.Last(ctx)
	if err != nil {
		return err
	}
	paths, err := store.List(ctx, "")
	if err != nil {
		return err
	}
	if last != 0 || len(paths) != 0 {
		return errors.New("the store holds a ledger already")
	}
	return nil
}

// configure checks a Config and makes a Ledger of nothing.
func configure(ctx context.Context, cfg Config) (*Ledger, error) {
	if err := keys.CheckOrigin(cfg.Origin); err != nil {
		return nil, err
	}
	if cfg.MaxBatch < 0 || cfg.MaxBatch > mostMaxBatch || cfg.MaxQueue < 0 {
		return nil, fmt.Errorf("a batch has 1 to %d entries, a queue 1 or more", mostMaxBatch)
	}
	l := &Ledger{
		origin:   cfg.Origin,
		signed:   cfg.LastSigned,
		cosign:   cfg.Cosign,
		now:      cfg.Now,
		maxBatch: cfg.MaxBatch,
		opening:  fullSpeed(cfg.Progress),
		log:      cfg.Logger,
		contents: newContents(cfg.Origin, cfg.Store),
		records:  newLRU[uint64, *record](recordsCache),
		notes:    newLRU[uint64, quotable](notesCache),
		checking: newGate(),
		publish:  make(chan struct{}, 1),
	}
	l.witnessed, l.republish, l.evidence, l.witnessPause = cfg.Witnessed, cfg.Republish, cfg.Evidence, witnessPause
	l.forks = cfg.Forks
	if l.now == nil {
		l.now = time.Now
	}
	if l.maxBatch == 0 {
		l.maxBatch = defaultMaxBatch
	}
	if cfg.MaxQueue == 0 {
		cfg.MaxQueue = defaultMaxQueue
	}
	l.queue.init(cfg.MaxQueue)
	l.seals.wake, l.seals.public = make(chan struct{}, 1), make(chan struct{})
	if q := cfg.Quota; q.Entries < 0 || q.Entries > 0 && q.Period <= 0 {
		return nil, errors.New("a quota is a number of entries, 1 or more, in a period")
	}
	l.quotas.Quota, l.count = cfg.Quota, l.quotas.count
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	ed25519 := false
	for i, s := range cfg.Signers {
		v, err := verify.NewVerifier(s.VKey)
		switch {
		case err != nil:
			return nil, err
		case s.VKey.Name != cfg.Origin:
			return nil, errors.New("the log's keys must be named by its origin")
		case s.VKey.Type != keys.TypeEd25519 && s.VKey.Type != keys.TypeCosignatureMLDSA44:
			return nil, errors.New("the log's keys must be of the types 0x01 and 0x06")
		case slices.ContainsFunc(cfg.Signers[:i], func(o Signer) bool { return o.VKey.SameKey(s.VKey) }):
			return nil, errors.New("a key of the log is given twice")
		}
		ed25519 = ed25519 || s.VKey.Type == keys.TypeEd25519
		l.signers = append(l.signers, signer{s, v})
	}
	if len(cfg.Signers) > 0 {
		if !ed25519 {
			return nil, errors.New("the log needs an Ed25519 key")
		}
		if cfg.LastSigned == nil {
			return nil, errors.New("a ledger that signs needs a last-signed record")
		}
		l.keys = signersKeys(cfg.Signers)
		l.snapshots.path, l.snapshots.scrubs = cfg.Snapshot, !cfg.NoScrub
	}
	l.work = context.WithoutCancel(ctx)
	l.ctx, l.cancel = context.WithCancelCause(l.work)
	return l, nil
}

// Open opens a ledger that Create began. It reads every commit, computes every hash and every
// rule anew, and compares; then it finishes what a crash left: it stores tiles, signs and
// publishes the newest commit. A store that holds no ledger is ErrEmpty, one that contradicts
// itself ErrCorrupt; then look at it with Check.
//
// If there is a snapshot of its own (Config.Snapshot) it reads the commits after it alone; all the others
// it reads in the background, and the ledger fails if they do not give what the snapshot says.
//
// If the last-signed record does not allow to sign, Open succeeds, but the ledger can only be
// read: ReadOnly tells why. It writes nothing then.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	l, err := configure(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := l.open(ctx, cfg.Adopt); err != nil {
		l.cancel(err)
		l.running.Wait()
		return nil, err
	}
	return l, nil
}

func (l *Ledger) open(ctx context.Context, adopt *Adoption) error {
	last, err := l.store.Last(ctx)
	if err != nil {
		return err
	}
	if last == 0 {
		return ErrEmpty
	}
	head, err := l.recall(ctx, last)
	if err != nil {
		return err
	}
	if d := l.newest.admitted.Sub(l.now()); d > 0 {
		l.log.Warn("the clock is behind the time of the last entry; until it has caught up, entries are given that time", "behind", d)
	}
	if head, err = l.recallNote(ctx, head); err != nil {
		return err
	}
	if head != nil {
		l.setHead(head.Checkpoint, head.note)
		if err := l.recallLatest(ctx, head.Checkpoint); err != nil {
			return err
		}
	}
	if l.readOnly, err = l.maySign(ctx, adopt); err != nil {
		return err
	}
	l.scrub()
	if l.readOnly != nil {
		return nil
	}
	if err := l.signed.reserve(); err != nil {
		return fmt.Errorf("making room in the last-signed record: %w", err)
	}
	// What a crash left to do waits, if need be, for witnesses or for space.
	if l.unstored.Load() != nil {
		if err = l.storeNote(); err == nil || errors.Is(err, ErrFull) {
			err = l.signed.renew()
		}
		if err != nil {
			return fmt.Errorf("storing the published checkpoint: %w", err)
		}
	}
	if err := l.putTiles(l.newest.size); err != nil && !errors.Is(err, ErrFull) {
		return err
	}
	if l.witnessed != nil {
		l.readOnly = ErrUnwitnessed
		l.running.Add(1)
		go l.awaitWitnesses()
		return nil
	}
	published := false
	if l.cosign == nil {
		if published, err = l.publishNewest(); err != nil {
			return err
		}
	}
	if !published {
		l.publish <- struct{}{}
	}
	l.snapshots.next(l)
	l.running.Add(2)
	go l.write()
	go l.publishing()
	return nil
}

// recall makes the contents of the ledger from its snapshot and the commits after it, or else from all commits. It
// returns the newest published note, nil if there is none.
func (l *Ledger) recall(ctx context.Context, last uint64) (*head, error) {
	if l.snapshots.path != "" {
		head, err := l.recallSnapshot(ctx, last)
		if err == nil || ctx.Err() != nil {
			return head, err
		}
		if !isNotExist(err) {
			l.log.Warn("the snapshot is not used, and everything is read instead", "path", l.snapshots.path, "error", err)
			l.snapshots.stale = true
		}
		l.forget()
	}
	if err := l.replay(ctx, last, l.log, l.opening); err != nil {
		return nil, err
	}
	return l.newestNote(ctx)
}

// forget makes the contents those of no commit.
func (l *Ledger) forget() {
	l.contents = newContents(l.origin, l.store)
	l.quotas.forget()
	l.count = l.quotas.count
}

// contents is what commits give, from the first to the newest.
type contents struct {
	store  Store
	state  *roll.State
	tree   *tree
	index  map[entry.Hash]uint64 // of entries; nil: nobody will ask
	ids    []entry.Hash          // by index
	starts []uint64              // first leaf of each commit
	blobs  map[entry.Hash]int64  // texts that published statements name, and their sizes
	newest commit
	count  func(e *entry.Entry, admitted time.Time) // is told of each entry; nil: nobody is

	unfolded bool // of a Copy: only the hashes count
}

func newContents(origin string, store Store) contents {
	return contents{
		store: store, state: roll.New(origin), tree: newTree(store.Get),
		index: make(map[entry.Hash]uint64), blobs: make(map[entry.Hash]int64), newest: commit{root: emptyRoot},
	}
}

// pace says how much is done at a time, and by how many goroutines.
type pace struct {
	workers int
	leaves  int
	rest    func()                   // after so many leaves, or a tile
	told    func(done, total uint64) // commits, after so many leaves; nil: nobody is
}

// fullSpeed is the pace at which a ledger is opened.
func fullSpeed(told func(done, total uint64)) pace {
	return pace{runtime.GOMAXPROCS(0), replayWindow, func() {}, told}
}

// replayWindow is how many leaves are parsed and checked on all cores before they are folded on one.
const replayWindow = 1024

// replay folds the commits after the newest, up to last, and compares every stored tile that they filled.
func (c *contents) replay(ctx context.Context, last uint64, log *slog.Logger, p pace) error {
	var leaves [][]byte
	missing := make(map[tileID]bool)
	for seq := c.newest.seq + 1; seq <= last; seq++ {
		b, err := c.store.Read(ctx, seq)
		if err != nil {
			return fmt.Errorf("commit %d: %w", seq, err)
		}
		rec, err := decodeRecord(b)
		if err != nil || !rec.follows(c.newest.seq, c.newest.sum, c.newest.size) {
			return fmt.Errorf("commit %d is not a commit, or not the one that follows: %w", seq, ErrCorrupt)
		}
		c.tree.append(leafHashes(rec.leaves)...)
		root, err := c.tree.rootAt(ctx, rec.size)
		if err != nil {
			return err
		}
		if root != rec.root {
			return fmt.Errorf("commit %d: its leaves do not give its root hash: %w", seq, ErrCorrupt)
		}
		c.newest = commit{seq: rec.seq, sum: rec.sum, size: rec.size, root: rec.root}
		c.starts = append(c.starts, rec.from)
		if leaves = append(leaves, rec.leaves...); len(leaves) >= p.leaves || seq == last {
			for part := range slices.Chunk(leaves, p.leaves) {
				if err := c.fold(part, p.workers); err != nil {
					return err
				}
				if p.rest(); ctx.Err() != nil {
					return ctx.Err()
				}
			}
			leaves = leaves[:0]
			if err := c.compareTiles(ctx, missing, log); err != nil {
				return err
			}
			if p.told != nil {
				p.told(seq, last)
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	c.newest.admitted = c.state.Admitted()
	return nil
}

// fold applies stored leaves to the state.
func (c *contents) fold(raw [][]byte, workers int) error {
	if c.unfolded {
		return nil
	}
	leaves, sigs, errs := checkLeaves(c.state, raw, workers)
	for i, leaf := range leaves {
		index := c.state.Size()
		err := errs[i]
		if err == nil {
			err = c.state.Admit(leaf, sigs[i])
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w: %w", index, err, ErrCorrupt)
		}
		if c.count != nil {
			c.count(leaf.Entry, leaf.Admitted)
		}
		c.enter(leaf.Entry.ID(), leaf.Entry)
	}
	return nil
}

// enter takes up the next entry.
func (c *contents) enter(id entry.Hash, e *entry.Entry) {
	if c.index != nil {
		c.index[id] = uint64(len(c.ids))
	}
	c.ids = append(c.ids, id)
	noteBlobs(c.blobs, e)
}

// checkLeaves parses leaves and checks their signatures on several goroutines, as far as the state knows
// their keys.
func checkLeaves(state *roll.State, raw [][]byte, workers int) (leaves []*entry.Leaf, sigs []*roll.Signatures, errs []error) {
	leaves, sigs, errs = make([]*entry.Leaf, len(raw)), make([]*roll.Signatures, len(raw)), make([]error, len(raw))
	workers = min(len(raw), workers)
	from := func(w int) {
		for i := w; i < len(raw); i += workers {
			if leaves[i], errs[i] = entry.ParseLeaf(raw[i]); errs[i] == nil {
				sigs[i] = state.CheckSignatures(leaves[i].Entry)
			}
		}
	}
	var wg sync.WaitGroup
	for w := 1; w < workers; w++ {
		wg.Go(func() { from(w) })
	}
	from(0) // here, so that a scrub, which is alone, can tell of a panic
	wg.Wait()
	return leaves, sigs, errs
}

// compareTiles compares the stored tiles with those that the leaves give. Those that are missing,
// the trace of a crash, stay in memory until they are stored; what differs is ErrCorrupt.
func (c *contents) compareTiles(ctx context.Context, missing map[tileID]bool, log *slog.Logger) error {
	var same []tileID
	for _, id := range c.tree.full(c.newest.size) {
		if missing[id] {
			continue
		}
		path := id.tile().Path()
		b, err := c.store.Get(ctx, path)
		switch {
		case isNotExist(err):
			log.Warn("a tile is missing in the store", "path", path)
			missing[id] = true
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", path, err)
		case !bytes.Equal(b, c.tree.pendingBytes(id)):
			return fmt.Errorf("%s is not what the leaves give: %w", path, ErrCorrupt)
		}
		same = append(same, id)
	}
	c.tree.stored(same)
	return nil
}

// newestNote returns the newest published note, nil if there is none.
func (l *Ledger) newestNote(ctx context.Context) (*head, error) {
	size := l.newest.size
	for i := len(l.starts) - 1; size > 0; i-- {
		msg, err := l.store.Get(ctx, checkpointPath(size))
		if err == nil {
			return l.checkNote(ctx, size, msg)
		}
		if !isNotExist(err) {
			return nil, fmt.Errorf("%s: %w", checkpointPath(size), err)
		}
		size = l.starts[i]
	}
	return nil, nil
}

// checkNote holds a stored note to the tree. Its signatures may be of keys that the log no longer
// has; they are for Check and for everybody else to verify.
func (l *Ledger) checkNote(ctx context.Context, size uint64, msg []byte) (*head, error) {
	root, err := l.tree.rootAt(ctx, size)
	if err != nil {
		return nil, err
	}
	c := verify.Checkpoint{Origin: l.origin, Size: size, Root: root}
	if problem := noteProblem(msg, c); problem != "" {
		return nil, fmt.Errorf("%s %s: %w", checkpointPath(size), problem, ErrCorrupt)
	}
	return &head{c, msg}, nil
}

// noteProblem returns what is wrong with the text of a checkpoint's note, "" if nothing.
func noteProblem(msg []byte, c verify.Checkpoint) string {
	if !bytes.HasPrefix(msg, append(c.Text(), '\n')) {
		return "is not the checkpoint that the leaves give"
	}
	return ""
}

// maySign holds the last-signed record to the store. It returns why the ledger must not sign, or nil.
func (l *Ledger) maySign(ctx context.Context, adopt *Adoption) (reason, err error) {
	if len(l.signers) == 0 {
		return ErrReadOnly, nil
	}
	s := l.signed
	refuse := func(format string, args ...any) (error, error) {
		e := &RefusedError{Problem: fmt.Sprintf(format, args...), StoredSize: l.newest.size}
		if s.have {
			e.Have, e.SignedSize = true, s.last.size
		}
		l.log.Error("the ledger refuses to sign and is readable alone", "problem", e.Problem)
		return e, nil
	}
	// A slot is written within a sector, which a power failure leaves old or new: a damaged one was damaged later, and may have
	// said more than the other.
	ours := s.have && !s.bad && s.last.origin == l.origin && s.last.keys == l.keys
	if ours && adopt != nil {
		l.log.Warn("--adopt is not used, and should be left out: the last-signed record is there and of these keys", "size", s.last.size)
	}
	if s.have && s.last.origin != l.origin {
		return refuse("the last-signed record %s is of another ledger, %s, whose keys signed a tree of size %d: put back the keys, and the record, that belong to this one", s.path, s.last.origin, s.last.size)
	}
	// What the record says holds whoever's keys it is of, and whatever else is adopted.
	if s.have && s.last.size > l.newest.size {
		return refuse("the keys have signed a tree of size %d, but the store holds %d entries: it is an old copy, or entries were lost", s.last.size, l.newest.size)
	}
	if s.have {
		root, err := l.tree.rootAt(ctx, s.last.size)
		if err != nil {
			return nil, err
		}
		if root != s.last.root {
			return refuse("the keys have signed another tree of size %d than the store's, which holds %d entries", s.last.size, l.newest.size)
		}
	}
	if !ours {
		var why string
		switch {
		case s.have && s.bad:
			why = fmt.Sprintf("one half of the last-signed record %s is damaged and may have said more than the other, that a tree of size %d was signed", s.path, s.last.size)
		case s.have:
			why = fmt.Sprintf("the last-signed record %s is of other keys, which signed a tree of size %d", s.path, s.last.size)
		case s.bad:
			why = fmt.Sprintf("the last-signed record %s is damaged", s.path)
		default:
			why = fmt.Sprintf("the last-signed record %s is missing", s.path)
		}
		if adopt == nil {
			if s.have && !s.bad {
				return refuse("%s; put back the keys that belong to it", why)
			}
			return refuse("%s; if you know that nothing larger than the store's tree of size %d was ever signed, serve --adopt SIZE:ROOT, with both from somebody else's newest checkpoint", why, l.newest.size)
		}
		if adopt.Size > l.newest.size {
			return refuse("%s, and the adopted size %d is larger than the store's %d", why, adopt.Size, l.newest.size)
		}
		if s.have && adopt.Size < s.last.size {
			return refuse("%s, and the adopted size %d is smaller", why, adopt.Size)
		}
		if h := l.head; h != nil && adopt.Size < h.Size {
			return refuse("%s, and the adopted size %d is smaller than the %d of the newest checkpoint that the store holds, which was signed", why, adopt.Size, h.Size)
		}
		root, err := l.tree.rootAt(ctx, adopt.Size)
		if err != nil {
			return nil, err
		}
		if root != adopt.Root {
			return refuse("%s, and the adopted root hash is not that of the store's tree of size %d", why, adopt.Size)
		}
		l.log.Warn("the last-signed record is made anew, as adopted", "size", adopt.Size)
		// A record of other keys counts on, so that its newer slot is the one that holds. Of two that are damaged none may stay so.
		writes := 1
		if s.bad && !s.have {
			writes = 2
		}
		for range writes {
			if err := s.write(l.origin, l.keys, adopt.Size, adopt.Root, nil); err != nil {
				return nil, fmt.Errorf("writing the last-signed record: %w", err)
			}
		}
	}
	// A published note proves a signature as well as the record does.
	if h := l.head; h != nil && h.Size > s.last.size {
		if err := s.write(l.origin, l.keys, h.Size, h.Root, nil); err != nil {
			return nil, fmt.Errorf("writing the last-signed record: %w", err)
		}
	}
	return nil, nil
}
