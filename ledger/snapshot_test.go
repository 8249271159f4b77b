package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// reads counts which commits are read.
type reads struct {
	ledger.Store
	mu      sync.Mutex
	commits map[uint64]int
}

func (s *reads) Read(ctx context.Context, seq uint64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits[seq]++
	return s.Store.Read(ctx, seq)
}

// diary is a log that can be read while it is written.
type diary struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.Write(b)
}

func (d *diary) take() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.b.String()
	d.b.Reset()
	return s
}

// snapshotHouse is a house of 300 entries with a snapshot, closed.
func snapshotHouse(t *testing.T) (h *house, m *storetest.Memory, log *diary, o *rolltest.Org, hash entry.Hash) {
	t.Helper()
	m, log = memory(), new(diary)
	h = prepare(t, m)
	h.cfg.Snapshot, h.cfg.NoScrub = filepath.Join(h.dir, "snapshot"), true
	h.cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	h.open()
	o, hash = fill(t, h)
	for len(h.rec.Leaves) < 300 {
		h.must(h.many(o, hash, 60)...)
	}
	h.close()
	if err := h.snapshotProblem(); err != nil {
		t.Fatal(err)
	}
	return h, m, log, o, hash
}

func (h *house) snapshotProblem() error {
	var vkeys []keys.VKey
	for _, s := range h.cfg.Signers {
		vkeys = append(vkeys, s.VKey)
	}
	return ledger.SnapshotProblem(h.cfg.Snapshot, rolltest.Origin, vkeys...)
}

// commitsRead opens the ledger and returns how many commits that read.
func (h *house) commitsRead() int {
	h.tb.Helper()
	counted := &reads{Store: h.store, commits: make(map[uint64]int)}
	defer func(s ledger.Store) { h.store = s }(h.store)
	h.store = counted
	h.open()
	counted.mu.Lock()
	defer counted.mu.Unlock()
	return len(counted.commits)
}

// whole holds an open ledger to what it must be with all of h.rec in it.
func (h *house) whole(hash entry.Hash) {
	h.tb.Helper()
	h.audited()
	for i, leaf := range h.rec.Leaves {
		l, err := entry.ParseLeaf(leaf)
		if err != nil {
			h.tb.Fatal(err)
		}
		if at, ok := h.ledger.Find(l.Entry.ID()); !ok || at != uint64(i) {
			h.tb.Fatalf("entry %d is found at %d, %v", i, at, ok)
		}
	}
	if size, ok := h.ledger.BlobSize(hash); !ok || size == 0 {
		h.tb.Fatal("the statement's text is not known")
	}
	h.check()
}

func TestSnapshot(t *testing.T) {
	h, _, log, o, hash := snapshotHouse(t)
	log.take()
	if n := h.commitsRead(); n != 1 {
		t.Errorf("opening read %d commits", n)
	}
	h.whole(hash)
	old, err := os.ReadFile(h.cfg.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		h.must(h.many(o, hash, 60)...)
	}
	h.close()

	// After a crash there is the older one.
	if err := os.WriteFile(h.cfg.Snapshot, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := h.commitsRead(); n != 6 {
		t.Errorf("opening read %d commits, not the snapshot's and 5 more", n)
	}
	h.whole(hash)
	h.must(h.many(o, hash, 3)...)
	h.whole(hash)
	h.close()
	if s := log.take(); strings.Contains(s, "WARN") {
		t.Errorf("warnings: %s", s)
	}

	// Who only reads uses none, and neither does a ledger that may not sign write one.
	signers := h.cfg.Signers
	h.cfg.Signers = nil
	if n := h.commitsRead(); n < 10 {
		t.Errorf("to read, %d commits were read", n)
	}
	h.close()
	h.cfg.Signers = signers
	if err := errors.Join(os.Remove(h.lastSigned()), os.Remove(h.cfg.Snapshot)); err != nil {
		t.Fatal(err)
	}
	if err := h.tryOpen(); err != nil || h.ledger.ReadOnly() == nil {
		t.Fatal(err)
	}
	h.close()
	if _, err := os.Stat(h.cfg.Snapshot); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a ledger that refuses to sign has signed a snapshot")
	}
}

// TestSnapshotBits flips every bit of a snapshot file.
func TestSnapshotBits(t *testing.T) {
	h := prepare(t, memory())
	h.cfg.Snapshot, h.cfg.NoScrub = filepath.Join(h.dir, "snapshot"), true
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	h.open()
	h.close()
	good, err := os.ReadFile(h.cfg.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(h.cfg.Snapshot, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := range good {
		for bit := range 8 {
			f.WriteAt([]byte{good[at] ^ 1<<bit}, int64(at))
			if h.snapshotProblem() == nil {
				t.Errorf("bit %d of byte %d was flipped unnoticed", bit, at)
			}
			f.WriteAt(good[at:at+1], int64(at))
		}
	}
	for n := range good {
		if f.Truncate(int64(n)); h.snapshotProblem() == nil {
			t.Errorf("it was cut after %d bytes unnoticed", n)
		}
		f.WriteAt(good, 0)
	}
	f.WriteAt([]byte{0}, int64(len(good)))
	if h.snapshotProblem() == nil {
		t.Error("a byte at its end was not noticed")
	}
	f.Truncate(int64(len(good)))
	if err := h.snapshotProblem(); err != nil {
		t.Error(err)
	}
}

// TestOpeningIsTold: how far an opening is, in commits: of all of them, or of those after the snapshot.
func TestOpeningIsTold(t *testing.T) {
	h, _, _, o, hash := snapshotHouse(t)
	kept, err := os.ReadFile(h.cfg.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	h.open()
	for range 7 {
		h.must(h.many(o, hash, 200)...)
	}
	h.close()
	type step struct{ done, total uint64 }
	var steps []step
	h.cfg.Progress = func(done, total uint64) { steps = append(steps, step{done, total}) }
	for _, c := range []struct {
		name     string
		snapshot []byte
		least    int // steps: one in 1,024 entries, and one at the end
	}{{"everything", nil, 2}, {"after a snapshot", kept, 2}} {
		os.Remove(h.cfg.Snapshot)
		if c.snapshot != nil {
			if err := os.WriteFile(h.cfg.Snapshot, c.snapshot, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		steps = nil
		h.open()
		last, _ := h.store.Last(t.Context())
		h.close()
		if len(steps) < c.least || steps[len(steps)-1] != (step{last, last}) {
			t.Errorf("%s: %v, with %d commits", c.name, steps, last)
		}
		for i, s := range steps {
			if s.total != last || i > 0 && s.done <= steps[i-1].done {
				t.Errorf("%s: %v", c.name, steps)
			}
		}
	}
}

// TestWrongSnapshots has snapshots that are not of the ledger's store as it is: each is warned about,
// everything is read, and the next opening has a good one.
func TestWrongSnapshots(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, h *house, m *storetest.Memory, o *rolltest.Org, hash entry.Hash){
		"a bit": func(t *testing.T, h *house, m *storetest.Memory, o *rolltest.Org, hash entry.Hash) {
			b, _ := os.ReadFile(h.cfg.Snapshot)
			b[len(b)/2] ^= 4
			os.WriteFile(h.cfg.Snapshot, b, 0o600)
		},
		"empty": func(t *testing.T, h *house, m *storetest.Memory, o *rolltest.Org, hash entry.Hash) {
			os.Truncate(h.cfg.Snapshot, 0)
		},
		"garbage": func(t *testing.T, h *house, m *storetest.Memory, o *rolltest.Org, hash entry.Hash) {
			os.WriteFile(h.cfg.Snapshot, bytes.Repeat([]byte("no\n"), 999), 0o600)
		},
		"a directory": func(t *testing.T, h *house, m *storetest.Memory, o *rolltest.Org, hash entry.Hash) {
			os.Remove(h.cfg.Snapshot)
			os.Mkdir(h.cfg.Snapshot, 0o700)
			t.Cleanup(func() { os.Remove(h.cfg.Snapshot) })
		},
		"of other keys": func(t *testing.T, h *house, m *storetest.Memory, o *rolltest.Org, hash entry.Hash) {
			h.open()
			other := h.cfg.Signers
			defer func() { h.cfg.Signers = other }()
			c := h.ledger.Published()
			h.close()
			h.cfg.Signers = logSigners(t, "other")
			h.cfg.Adopt = &ledger.Adoption{Size: c.Size, Root: c.Root}
			record, _ := os.ReadFile(h.lastSigned())
			h.open()
			h.close()
			h.cfg.Adopt = nil
			if err := os.WriteFile(h.lastSigned(), record, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"of another history": func(t *testing.T, h *house, m *storetest.Memory, o *rolltest.Org, hash entry.Hash) {
			// The same keys and origin, and so many commits: only their sums tell.
			other := prepare(t, memory())
			other.cfg.Snapshot, other.now = h.cfg.Snapshot, h.now.Add(1e9)
			if err := other.create(); err != nil {
				t.Fatal(err)
			}
			other.open()
			other.close()
		},
		"of a commit that was made anew": func(t *testing.T, h *house, m *storetest.Memory, o *rolltest.Org, hash entry.Hash) {
			// The same leaves, size and root hash, but not the same bytes: as after a restore.
			b := m.Commit(5)
			b[len("undersigned/commit/v1\n")+8+32+8+8+32] ^= 1 // in the nonce
			ledger.Reseal(b)
		},
		"of a store that was larger": func(t *testing.T, h *house, m *storetest.Memory, o *rolltest.Org, hash entry.Hash) {
			copied, record := m.Clone(), h.lastSigned()
			before, _ := os.ReadFile(record)
			leaves := h.rec.Leaves
			h.open()
			h.must(h.many(o, hash, 2)...)
			h.close()
			h.rec.Leaves = leaves
			// The record is put back too: the case that only witnesses can catch.
			os.WriteFile(record, before, 0o600)
			h.store = copied
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, m, log, o, hash := snapshotHouse(t)
			spoil(t, h, m, o, hash)
			log.take()
			if n := h.commitsRead(); n != 5 {
				t.Errorf("opening read %d commits", n)
			}
			told := log.take()
			if strings.Count(told, "the snapshot is not used") != 1 {
				t.Errorf("the operator is told: %s", told)
			}
			h.whole(hash)
			h.close()
			if name == "a directory" {
				// Opening has one written beside what follows it: the warning may have come before.
				if told += log.take(); strings.Count(told, "no snapshot was written") != 1 {
					t.Errorf("the operator is told: %s", told)
				}
				return
			}
			if n := h.commitsRead(); n != 1 {
				t.Errorf("then opening read %d commits", n)
			}
			h.whole(hash)
		})
	}
}

// TestSnapshotOfOldStore puts an old store under a snapshot and last-signed record that are ahead.
func TestSnapshotOfOldStore(t *testing.T) {
	h, m, _, o, hash := snapshotHouse(t)
	old := m.Clone()
	h.open()
	h.must(h.many(o, hash, 2)...)
	h.close()
	h.store = old
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	var refused *ledger.RefusedError
	if err := h.ledger.ReadOnly(); !errors.As(err, &refused) || refused.SignedSize != refused.StoredSize+2 {
		t.Errorf("%v", err)
	}
}

// scrubbed waits until the ledger has read everything again.
func (h *house) scrubbed() {
	h.tb.Helper()
	for s := h.ledger.Stats(); s.Scrubbed < s.ToScrub; s = h.ledger.Stats() {
		if err := h.ledger.Err(); err != nil {
			h.tb.Fatal(err)
		}
		runtime.Gosched()
	}
}

// TestCheckSnapshot has Check look at snapshots.
func TestCheckSnapshot(t *testing.T) {
	h, m, _, o, hash := snapshotHouse(t)
	hashesOnly := false
	check := func() string {
		t.Helper()
		o := ledger.CheckOptions{Origin: rolltest.Origin, Snapshot: h.cfg.Snapshot, HashesOnly: hashesOnly}
		for _, s := range h.cfg.Signers {
			o.Logs = append(o.Logs, s.VKey)
		}
		r, err := ledger.Check(t.Context(), h.store, o)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(r.Flaws)
	}
	clean := "[]"
	if got := check(); got != clean {
		t.Error(got)
	}
	old := m.Clone()
	h.open()
	h.must(h.many(o, hash, 3)...)
	if got := check(); got != clean { // an older one is no flaw
		t.Error(got)
	}
	if err := h.ledger.ForgeSnapshot(h.cfg.Snapshot, "apnic.net", "bpnic.net"); err != nil {
		t.Fatal(err)
	}
	if got := check(); !strings.Contains(got, "snapshot: it is not what the record's first 6 commits give") {
		t.Error(got)
	}
	h.close()
	if got := check(); got != clean {
		t.Error(got)
	}
	h.store = old
	if got := check(); got != clean { // opening would not use it
		t.Error(got)
	}
	h.store = m
	if err := os.Truncate(h.cfg.Snapshot, 999); err != nil {
		t.Fatal(err)
	}
	for _, hashesOnly = range []bool{false, true} {
		if got := check(); !strings.Contains(got, "snapshot: it is not as long as it says") {
			t.Error(got)
		}
	}
}

func TestScrub(t *testing.T) {
	h, _, log, o, hash := snapshotHouse(t)
	h.cfg.NoScrub = false
	h.open()
	if s := h.ledger.Stats(); s.ToScrub != uint64(len(h.rec.Leaves)) {
		t.Errorf("%+v", s)
	}
	h.must(h.many(o, hash, 2)...)
	h.scrubbed()
	if s := h.ledger.Stats(); s.ScrubEnded.IsZero() {
		t.Errorf("%+v", s)
	}
	h.close()
	if s := log.take(); strings.Contains(s, "WARN") || !strings.Contains(s, "read again") {
		t.Errorf("the operator is told: %s", s)
	}
	h.open() // and is closed in the middle
}

// TestScrubFinds has a store, or a snapshot, that is wrong and opens well: the scrub stops the ledger and
// removes the snapshot.
func TestScrubFinds(t *testing.T) {
	for name, x := range map[string]struct {
		spoil func(t *testing.T, h *house, m *storetest.Memory)
		says  string
		mends bool // the next opening signs again
	}{
		"a state that is not": {func(t *testing.T, h *house, m *storetest.Memory) {
			h.open()
			if err := h.ledger.ForgeSnapshot(h.cfg.Snapshot, "apnic.net", "bpnic.net"); err != nil {
				t.Fatal(err)
			}
			path := h.cfg.Snapshot
			forged, _ := os.ReadFile(path)
			h.close()
			if err := os.WriteFile(path, forged, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is not what its 3", true},
		"a commit": {func(t *testing.T, h *house, m *storetest.Memory) { m.Commit(3)[99] ^= 1 }, "commit 3", false},
		"a commit with a sum of its own": {func(t *testing.T, h *house, m *storetest.Memory) {
			b := m.Commit(3)
			b[len(b)-40] ^= 1
			ledger.Reseal(b)
		}, "commit 3", false},
		"a tile": {func(t *testing.T, h *house, m *storetest.Memory) { m.Object("tile/0/000")[99] ^= 1 }, "tile/0/000", false},
		"a missing tile": {func(t *testing.T, h *house, m *storetest.Memory) {
			if err := m.Delete(t.Context(), "tile/0/000"); err != nil {
				t.Fatal(err)
			}
		}, "tile/0/000 is missing", true},
	} {
		t.Run(name, func(t *testing.T) {
			h, m, _, _, hash := snapshotHouse(t)
			x.spoil(t, h, m)
			h.cfg.NoScrub = false
			h.open()
			for h.ledger.Err() == nil {
				if s := h.ledger.Stats(); s.Scrubbed == s.ToScrub {
					t.Fatal("the scrub has found nothing")
				}
				runtime.Gosched()
			}
			if err := h.ledger.Err(); !strings.Contains(err.Error(), x.says) {
				t.Errorf("%v", err)
			}
			if err := h.ledger.Close(); err == nil {
				t.Error("closing says nothing of it")
			}
			h.close()
			if _, err := os.Stat(h.cfg.Snapshot); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the snapshot is still there: %v", err)
			}
			err := h.tryOpen()
			if x.mends {
				if err != nil {
					t.Fatal(err)
				}
				h.whole(hash)
			} else if !errors.Is(err, ledger.ErrCorrupt) {
				t.Errorf("the next opening: %v", err)
			}
		})
	}
}

// TestSnapshotServesNoDamage opens a damaged store from its snapshot, without a scrub: what is damaged
// is not served.
func TestSnapshotServesNoDamage(t *testing.T) {
	for name, x := range map[string]struct {
		spoil func(t *testing.T, m *storetest.Memory)
		tile  verify.Tile
	}{
		"a commit": {func(t *testing.T, m *storetest.Memory) {
			b := m.Commit(2)
			b[len(b)-40] ^= 1
			ledger.Reseal(b)
		}, verify.Tile{Level: -1, Width: 9}},
		"a tile":         {func(t *testing.T, m *storetest.Memory) { m.Object("tile/0/000")[99] ^= 1 }, verify.Tile{Width: 256}},
		"a missing tile": {func(t *testing.T, m *storetest.Memory) { m.Delete(t.Context(), "tile/0/000") }, verify.Tile{Width: 256}},
	} {
		t.Run(name, func(t *testing.T) {
			h, m, _, _, _ := snapshotHouse(t)
			h.open()
			if _, err := h.ledger.Tile(t.Context(), x.tile); err != nil {
				t.Fatal(err)
			}
			h.close()
			x.spoil(t, m)
			h.open()
			if b, err := h.ledger.Tile(t.Context(), x.tile); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%d bytes, %v", len(b), err)
			}
			if !errors.Is(h.ledger.Err(), ledger.ErrCorrupt) {
				t.Errorf("the ledger goes on: %v", h.ledger.Err())
			}
		})
	}
}

// TestSnapshotCrash leaves what a crash leaves while a snapshot is written.
func TestSnapshotCrash(t *testing.T) {
	h, _, _, o, hash := snapshotHouse(t)
	half := h.cfg.Snapshot + ".new"
	if err := os.WriteFile(half, []byte("undersigned/snap"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := h.commitsRead(); n != 1 {
		t.Errorf("opening read %d commits", n)
	}
	h.must(h.many(o, hash, 2)...)
	h.close()
	if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the half snapshot is still there: %v", err)
	}
	if n := h.commitsRead(); n != 1 {
		t.Errorf("then opening read %d commits", n)
	}
	h.whole(hash)
}

// TestSnapshotWhileRunning has snapshots written while entries come in.
func TestSnapshotWhileRunning(t *testing.T) {
	t.Cleanup(ledger.SnapshotEvery(100)) // after the ledgers below are closed
	h, _, log, o, hash := snapshotHouse(t)
	if err := os.Remove(h.cfg.Snapshot); err != nil {
		t.Fatal(err)
	}
	h.open() // reads all, and so writes one
	for h.snapshotProblem() != nil {
		runtime.Gosched()
	}
	before, _ := os.ReadFile(h.cfg.Snapshot)
	var wg sync.WaitGroup
	for range 4 {
		h.must(h.many(o, hash, 60)...)
	}
	for now := before; bytes.Equal(now, before); now, _ = os.ReadFile(h.cfg.Snapshot) {
		runtime.Gosched()
	}
	running, err := os.ReadFile(h.cfg.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	h.close()
	if err := os.WriteFile(h.cfg.Snapshot, running, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := h.commitsRead(); n > 4 {
		t.Errorf("opening read %d commits", n)
	}
	h.whole(hash)
	if s := log.take(); strings.Contains(s, "WARN") {
		t.Errorf("warnings: %s", s)
	}
}

// hung is a store whose next commit waits, and then fails.
type hung struct {
	ledger.Store
	at      uint64
	entered chan struct{}
	release chan struct{}
}

func (s *hung) Create(ctx context.Context, seq uint64, b []byte, objects ...ledger.Object) error {
	if seq != s.at {
		return s.Store.Create(ctx, seq, b, objects...)
	}
	close(s.entered)
	<-s.release
	return fmt.Errorf("commit %d: %w", seq, errStop)
}

// TestNoSnapshotAfterFailure has a commit fail while the ledger is being closed: what is in memory is ahead
// of the store, and must not be kept.
func TestNoSnapshotAfterFailure(t *testing.T) {
	h, m, _, o, hash := snapshotHouse(t)
	before, err := os.ReadFile(h.cfg.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	last, err := m.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := &hung{m, last + 2, make(chan struct{}), make(chan struct{})}
	h.store = s
	h.open()
	h.must(h.many(o, hash, 2)...)
	lost := h.many(o, hash, 1)
	go h.submit(lost...)
	<-s.entered
	closed := make(chan struct{})
	go func() { h.ledger.Close(); close(closed) }()
	<-h.ledger.Done()
	close(s.release)
	<-closed
	after, err := os.ReadFile(h.cfg.Snapshot)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("a snapshot of what was not stored was written: %v", err)
	}
	h.close()
	h.rec.Leaves, h.store = h.rec.Leaves[:len(h.rec.Leaves)-1], m
	h.open()
	h.whole(hash)
}

// TestSnapshotQuota opens from a snapshot that holds what members have used of their quotas.
func TestSnapshotQuota(t *testing.T) {
	h, _, _, o, hash := snapshotHouse(t)
	h.cfg.Quota = ledger.Quota{Entries: len(h.rec.Leaves), Period: 24 * 3600e9}
	if n := h.commitsRead(); n < 2 {
		t.Errorf("%d commits were read", n)
	}
	spent := 1 // registering, and every second entry after
	for _, leaf := range h.rec.Leaves {
		l, err := entry.ParseLeaf(leaf)
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := l.Entry.Body.(*entry.Endorsement); ok && e.Action == entry.Endorse {
			spent++
		}
	}
	h.close()
	h.cfg.Quota.Entries = spent + 1
	h.open()
	results := h.submit(h.many(o, hash, 4)...) // the last is a withdrawal, or follows one
	var limited *ledger.LimitedError
	admitted, refused := 0, 0
	for _, r := range results {
		if errors.As(r.Err, &limited) {
			refused++
		} else if r.Stored {
			admitted++
		}
	}
	if refused != 1 || admitted < 1 {
		t.Errorf("%d admitted, %d refused: %+v", admitted, refused, results)
	}
}
