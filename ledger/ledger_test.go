package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

func TestServe(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	e := h.endorsement(entry.Endorse, o, hash, h.after())
	r := h.must(e)[0]
	if r.Index != 3 || !r.Stands || r.ID != e.ID() || !r.Admitted.Equal(h.now) {
		t.Fatalf("%+v", r)
	}
	h.audited()
	h.check()
	h.rec.Must(e)
	w := h.endorsement(entry.Withdraw, o, hash, h.after())
	for range 2 {
		if r := h.submit(e)[0]; r.Err != nil || r.Index != 3 || !r.Duplicate || !r.Stands || !r.Published || !r.Admitted.Equal(h.now) {
			t.Fatalf("%+v", r)
		}
		h.reopen()
		h.audited()
	}
	if r := h.submit(w)[0]; r.Index != 4 || !r.Stands {
		t.Fatalf("%+v", r)
	}
	h.reopen()
	r = h.submit(e)[0]
	if r.Index != 3 || !r.Duplicate || r.Stands || !r.Published {
		t.Fatalf("after the withdrawal: %+v", r)
	}
	if s := h.ledger.Stats(); s != (ledger.Stats{Stored: 5, Published: 5, Commits: 5, Admitted: r.Admitted}) {
		t.Fatalf("%+v", s)
	}
	err := h.ledger.View(func(s *roll.State) {
		if s.Size() != 5 || len(s.Standing(hash)) != 0 {
			t.Errorf("the state has size %d", s.Size())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRefusals submits what must not be admitted. Nothing of it is stored.
func TestRefusals(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	good := h.endorsement(entry.Endorse, o, hash, h.after())
	change := func(f func(e *entry.Endorsement)) *entry.Entry {
		body := *good.Body.(*entry.Endorsement)
		f(&body)
		return rolltest.Sign(h.rec.Draft(&body, o))
	}
	otherSig := *good
	otherSig.Signatures = []entry.Signature{good.Signatures[0]}
	otherSig.Signatures[0].Sig = bytes.Repeat([]byte{1}, 64)
	text := string(good.Bytes())
	for name, test := range map[string]struct {
		raw  []byte
		rule roll.Rule
	}{
		"nothing":            {nil, roll.RuleSyntax},
		"garbage":            {[]byte("hello\n"), roll.RuleSyntax},
		"too large":          {bytes.Repeat([]byte("x"), 1<<17), roll.RuleSyntax},
		"carriage returns":   {[]byte(strings.ReplaceAll(text, "\n", "\r\n")), roll.RuleSyntax},
		"text alone":         {good.Text(), roll.RuleSyntax},
		"unknown kind":       {[]byte(strings.Replace(text, "endorsement/v1", "image/v1", 1)), ledger.RuleUnknown},
		"roll":               {[]byte("undersigned/roll/v1\nledger " + rolltest.Origin + "\nstatement sha256:" + strings.Repeat("0", 64) + "\nsize 1\nasof 2024-06-11T23:59:59.999Z\ncount 0\nroot 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"), roll.RuleSyntax},
		"unknown version":    {[]byte(strings.Replace(text, "endorsement/v1", "endorsement/v2", 1)), ledger.RuleUnknown},
		"another ledger":     {[]byte(strings.Replace(text, rolltest.Origin, "ledger.example/other", 1)), roll.RuleLedger},
		"bad signature":      {otherSig.Bytes(), roll.RuleSignature},
		"after: other note":  {change(func(e *entry.Endorsement) { e.After.Note[3] ^= 1 }).Bytes(), roll.RuleAfter},
		"after: no note":     {change(func(e *entry.Endorsement) { e.After.Size = 4 }).Bytes(), roll.RuleAfter},
		"after: far ahead":   {change(func(e *entry.Endorsement) { e.After.Size = 1<<63 - 1 }).Bytes(), roll.RuleAfter},
		"after: empty tree":  {change(func(e *entry.Endorsement) { e.After.Size = 0 }).Bytes(), roll.RuleAfter},
		"unknown statement":  {change(func(e *entry.Endorsement) { e.Statement[0] ^= 1 }).Bytes(), roll.RuleStatement},
		"not endorsing":      {change(func(e *entry.Endorsement) { e.Action = entry.Withdraw }).Bytes(), roll.RuleEndorsed},
		"a second entry 0":   {h.rec.Leaves[0][bytes.Index(h.rec.Leaves[0], []byte("\n\n"))+2:], ""},
		"a member's replica": {h.rec.Registration(o).Bytes(), roll.RuleMember},
	} {
		r := h.ledger.Submit(t.Context(), test.raw)[0]
		if test.rule == "" { // it is the charter itself
			if !r.Duplicate || r.Index != 0 {
				t.Errorf("%s: %+v", name, r)
			}
			continue
		}
		var refusal *ledger.Refusal
		if !errors.As(r.Err, &refusal) || refusal.Rule != test.rule || r.Stored || r.Published {
			t.Errorf("%s: %+v, want rule %s", name, r, test.rule)
		}
	}
	if s := h.ledger.Stats(); s.Stored != 3 || s.Commits != 3 {
		t.Fatalf("%+v", s)
	}
	if err := h.ledger.Err(); err != nil {
		t.Fatal(err)
	}
	h.must(good)
}

// TestTogether submits entries that depend on one another, with refused and repeated ones
// between them, in one go.
func TestTogether(t *testing.T) {
	h := newHouse(t, memory())
	o := rolltest.NewOrg("apnic.net", 1, 0, 1)
	join := h.rec.Registration(o)
	h.rec.Must(join)
	publish, hash := h.statement("text\n")
	h.rec.Must(publish)
	after := h.after()
	yes := h.endorsement(entry.Endorse, o, hash, after)
	h.rec.Must(yes)
	no := h.endorsement(entry.Withdraw, o, hash, after)
	h.rec.Must(no)
	again := h.endorsement(entry.Endorse, o, hash, after)

	results := h.submit(no, join, publish, yes, yes, no, join, again)
	var got []string
	for _, r := range results {
		var refusal *ledger.Refusal
		if errors.As(r.Err, &refusal) {
			got = append(got, string(refusal.Rule))
			continue
		}
		if r.Err != nil || !r.Published {
			t.Fatalf("%+v", r)
		}
		got = append(got, fmt.Sprint(r.Index, r.Duplicate, r.Stands))
	}
	want := []string{"previous", "1 false true", "2 false true", "3 false false", "3 true false", "4 false false", "1 true true", "5 false true"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if s := h.ledger.Stats(); s.Commits != 2 {
		t.Errorf("%d commits", s.Commits)
	}
	h.audited()
	h.check()
}

// TestSame submits the same text from many goroutines, signed anew each time.
func TestSame(t *testing.T) {
	store, err := boltstore.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h := newHouse(t, store)
	defer h.close()
	o := rolltest.NewOrg("apnic.net", 1, 0, 1)
	o.Keys[0] = rolltest.NewKeyOf(keys.ECDSAP256SHA256, "apnic") // signs differently each time
	e := h.rec.Registration(o)
	h.rec.Must(e)
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for range 40 {
		copied := *e
		signed := rolltest.Sign(&copied).Bytes()
		wg.Go(func() {
			r := h.ledger.Submit(context.Background(), signed)[0]
			if r.Err != nil || !r.Published || r.Index != 1 || !r.Stands || !r.Admitted.Equal(h.now) {
				t.Errorf("%+v", r)
			}
			if !r.Duplicate {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 1 {
		t.Errorf("%d submissions were the first", fresh.Load())
	}
	h.check()
	h.audited()
}

// TestMany has many goroutines submit many entries at once, and read what they are told.
func TestMany(t *testing.T) {
	h := newHouse(t, memory())
	hash := h.publish("text\n")
	after := h.after()
	const orgs, each = 20, 20
	var scripts [][]*entry.Entry
	for i := range orgs {
		o := h.join(fmt.Sprintf("%s.example", strings.Repeat(string(rune('a'+i)), 8)))
		h.rec.TB = t
		var script []*entry.Entry
		for n := range each {
			action := []entry.Action{entry.Endorse, entry.Withdraw}[n%2]
			e := h.endorsement(action, o, hash, after)
			h.rec.Must(e)
			script = append(script, e)
		}
		scripts = append(scripts, script)
	}
	h.cfg.MaxBatch = 7
	h.reopen()
	var wg sync.WaitGroup
	for _, script := range scripts {
		wg.Go(func() {
			for _, e := range script {
				r := h.submit(e)[0]
				if r.Err != nil || !r.Published {
					t.Errorf("%+v", r)
					return
				}
				receipt, err := h.ledger.Receipt(t.Context(), r.Index)
				if err != nil {
					t.Error(err)
					return
				}
				h.provable(receipt, e)
			}
		})
	}
	wg.Wait()
	if size := h.ledger.Published().Size; size != orgs*(each+1)+2 {
		t.Errorf("size %d", size)
	}
	h.audited()
	h.check()
	h.reopen()
	h.audited()
}

// provable holds a receipt to what an outsider checks of it.
func (h *house) provable(r *verify.Receipt, e *entry.Entry) {
	c, err := h.policy().Open(r.Checkpoint)
	if err != nil {
		h.tb.Error(err)
		return
	}
	leaf, err := entry.ParseLeaf(r.Leaf)
	if err != nil || leaf.Entry.ID() != e.ID() {
		h.tb.Errorf("the receipt is of another entry (%v)", err)
	}
	if err := verify.CheckInclusion(verify.LeafHash(r.Leaf), r.Index, c.Size, r.Proof, c.Root); err != nil {
		h.tb.Error(err)
	}
	for _, s := range r.Support {
		if err := verify.CheckInclusion(verify.LeafHash(s.Leaf), s.Index, c.Size, s.Proof, c.Root); err != nil {
			h.tb.Error(err)
		}
	}
	b := r.Bytes()
	if again, err := verify.ParseReceipt(b); err != nil || !bytes.Equal(again.Bytes(), b) {
		h.tb.Errorf("the receipt does not parse: %v", err)
	}
}

// TestReceipts makes the receipt of every entry and judges it.
func TestReceipts(t *testing.T) {
	h := newHouse(t, memory())
	o, p := h.join("apnic.net"), h.join("ripe.net")
	hash := h.publish("We stand by this.\n")
	after := h.after()
	e := h.endorsement(entry.Endorse, o, hash, after)
	h.rec.Must(e)
	f := h.endorsement(entry.Endorse, p, hash, after)
	h.rec.Must(f)
	h.must(e, f)
	for index := range h.ledger.Published().Size {
		r, err := h.ledger.Receipt(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		leaf, _ := entry.ParseLeaf(r.Leaf)
		h.provable(r, leaf.Entry)
		if leaf.Entry.Body.Kind() != entry.KindEndorsement {
			continue
		}
		// The registration, the statement, the note that is quoted.
		if len(r.Support) != 2 || r.Support[0].Index != map[uint64]uint64{4: 1, 5: 2}[index] || r.Support[1].Index != 3 || entry.Sum(r.After) != after.Note {
			t.Errorf("entry %d: support %v", index, r.Support)
		}
		v := verify.Judge(verify.Input{Policy: h.policy(), Receipt: r, Statement: []byte("We stand by this.\n"), Now: h.now})
		if v.Code != 0 {
			t.Errorf("entry %d: %d %s", index, v.Code, v.Sentence)
		}
	}
	if _, err := h.ledger.Receipt(t.Context(), 6); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestReads compares everything that is served with what the leaves give.
func TestReads(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	h.must(h.many(o, hash, 600)...)
	ctx := t.Context()
	for range 2 {
		size := h.ledger.Published().Size
		for tile := range verify.TilesFor(size) {
			full, err := h.ledger.Fetch(ctx, tile.Path())
			if err != nil {
				t.Fatal(err)
			}
			for _, width := range []int{1, tile.Width / 2, tile.Width} {
				part := verify.Tile{Level: tile.Level, Index: tile.Index, Width: max(1, width)}
				b, err := h.ledger.Fetch(ctx, part.Path())
				if err != nil || !bytes.HasPrefix(full, b) || tile.Level >= 0 && len(b) != 32*part.Width {
					t.Fatalf("%s: %v", part.Path(), err)
				}
			}
			if tile.Width < verify.TileWidth {
				tile.Width++
				if _, err := h.ledger.Fetch(ctx, tile.Path()); !errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("%s: %v", tile.Path(), err)
				}
			}
		}
		sizes, err := h.ledger.CheckpointSizes(ctx)
		if err != nil || len(sizes) < 4 || sizes[0] != 1 || sizes[len(sizes)-1] != size || !slices.IsSorted(sizes) {
			t.Fatalf("%v %v", sizes, err)
		}
		for _, s := range sizes {
			msg, err := h.ledger.CheckpointAt(ctx, s)
			if err != nil || !h.opened(msg) {
				t.Fatal(err)
			}
			for _, path := range []string{fmt.Sprint("checkpoints/", s), fmt.Sprint("checkpoints/", s, "/latest")} {
				if b, err := h.ledger.Fetch(ctx, path); err != nil || !bytes.Equal(b, msg) {
					t.Fatalf("%s: %v", path, err)
				}
			}
			old, _, _ := bytes.Cut(msg, []byte("\n\n"))
			c, err := verify.ParseCheckpoint(append(old, '\n'))
			if err != nil {
				t.Fatal(err)
			}
			proof, err := h.ledger.Consistency(ctx, s, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := verify.CheckConsistency(s, size, proof, c.Root, h.ledger.Published().Root); err != nil {
				t.Fatal(err)
			}
		}
		for index := uint64(0); index < size; index += 41 {
			leaf, err := h.ledger.Leaf(ctx, index)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []uint64{size, index + 1} {
				if _, err := h.ledger.Inclusion(ctx, index, s); err != nil {
					t.Fatal(err)
				}
			}
			l, err := entry.ParseLeaf(leaf)
			if at, ok := h.ledger.Find(l.Entry.ID()); err != nil || !ok || at != index {
				t.Fatal(at, ok, err)
			}
		}
		for _, path := range []string{
			"", "checkpoint/", "/checkpoint", "checkpoints/", "checkpoints/0", "checkpoints/01", "checkpoints/2000", "checkpoints/1/latest/latest",
			"checkpoints/99999999999999999999", "checkpoints/-1", "checkpoints/1.", "tile/0/003", "tile/2/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/0000",
			"tile/0/x000/000", "tile/00/000", "tile/entries/003", "tile/0/..", "tile/64/000", "tile/8/000.p/1", "commit/1", "blobs/sha256/", "withheld/sha256/" + strings.Repeat("0", 64),
			"blobs/sha256/" + strings.Repeat("0", 64), "blobs/sha256/" + strings.Repeat("A", 64), "blobs/sha256/../checkpoint",
		} {
			if b, err := h.ledger.Fetch(ctx, path); !errors.Is(err, fs.ErrNotExist) || b != nil {
				t.Errorf("%q: %v", path, err)
			}
		}
		_, e1 := h.ledger.Inclusion(ctx, size, size)
		_, e2 := h.ledger.Inclusion(ctx, 0, size+1)
		_, e3 := h.ledger.Consistency(ctx, 2, 1)
		_, e4 := h.ledger.Consistency(ctx, 1, size+1)
		_, e5 := h.ledger.Leaf(ctx, size)
		_, e6 := h.ledger.CheckpointAt(ctx, size+1)
		_, e7 := h.ledger.Tile(ctx, verify.Tile{Level: 0, Index: 0, Width: 0})
		_, e8 := h.ledger.Tile(ctx, verify.Tile{Level: 0, Index: 0, Width: 257})
		_, e9 := h.ledger.Tile(ctx, verify.Tile{Level: -2, Index: 0, Width: 1})
		for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8, e9} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%d: %v", i+1, err)
			}
		}
		if err := h.ledger.Err(); err != nil {
			t.Fatal(err)
		}
		// Again from a ledger that reads only.
		h.close()
		h.cfg.Signers = nil
		h.open()
		if err := h.ledger.ReadOnly(); !errors.Is(err, ledger.ErrReadOnly) {
			t.Fatal(err)
		}
		if r := h.submit(h.many(o, hash, 1)...)[0]; !errors.Is(r.Err, ledger.ErrReadOnly) {
			t.Fatal(r.Err)
		}
		h.cfg.Signers = logSigners(t, "log")
	}
}

func TestClock(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	start := h.clock()
	var last time.Time
	for i, ahead := range []time.Duration{5 * time.Second, -time.Hour, -24 * 365 * time.Hour, 6*time.Second + 999*time.Microsecond, 0, 7 * time.Second} {
		h.setClock(start.Add(ahead))
		if i == 4 {
			h.reopen()
		}
		r := h.must(h.many(o, hash, 1)...)[0]
		if r.Admitted.Before(last) || r.Admitted.Nanosecond()%1e6 != 0 || r.Admitted.Location() != time.UTC {
			t.Fatalf("admitted %v after %v", r.Admitted, last)
		}
		last = r.Admitted
	}
	if want := start.Add(7 * time.Second); !last.Equal(want) {
		t.Errorf("admitted %v, want %v", last, want)
	}
	h.setClock(start.Add(-24 * 365 * time.Hour))
	h.reopen()
	h.audited()
	h.check()
}

// TestClockAheadAtASignature commits an entry, and signs for it at the next start, by a clock that is
// a year ahead for that time: no later entry contradicts the checkpoint.
func TestClockAheadAtASignature(t *testing.T) {
	refused := false
	store := &storetest.Faulty{Store: memory(), Fault: func(call string, _ int) storetest.Fault {
		if call == "Create" && refused {
			return storetest.FailsPersisted
		}
		return storetest.Works
	}}
	h := newHouse(t, store)
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	refused = true
	if r := h.submit(h.many(o, hash, 1)...)[0]; r.Published {
		t.Fatalf("its checkpoint was published: %+v", r)
	}
	refused = false
	start := h.clock()
	h.setClock(start.AddDate(1, 0, 0))
	h.reopen()
	if h.ledger.Published().Size != h.ledger.Stats().Stored {
		t.Fatal("opening has not published what was stored")
	}
	h.setClock(start.Add(time.Second))
	h.must(h.many(o, hash, 2)...) // which quote that checkpoint
	h.check()
	h.audited()
}

// TestBusy fills the queue behind a commit that does not come back.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var closed atomic.Bool
		store := &storetest.Faulty{Store: memory(), Fault: func(call string, _ int) storetest.Fault {
			if call == "Create" && closed.Load() {
				<-gate
			}
			return storetest.Works
		}}
		h := newHouse(t, store)
		o := h.join("apnic.net")
		hash := h.publish("text\n")
		entries := h.many(o, hash, 30)
		h.cfg.MaxQueue, h.cfg.MaxBatch = 8, 4
		h.reopen()
		closed.Store(true)

		results := make([]ledger.Result, len(entries))
		var wg sync.WaitGroup
		one := func(i int) {
			wg.Go(func() { results[i] = h.submit(entries[i])[0] })
			synctest.Wait()
		}
		for i := range 9 { // one is being committed
			one(i)
		}
		if n := h.ledger.Stats().Queued; n != 8 {
			t.Fatalf("%d entries wait", n)
		}
		for i := 9; i < 12; i++ {
			if one(i); !errors.Is(results[i].Err, ledger.ErrBusy) || results[i].Stored {
				t.Fatalf("%+v", results[i])
			}
		}
		for _, r := range h.submit(entries[9:12]...) {
			if !errors.Is(r.Err, ledger.ErrBusy) {
				t.Fatalf("%+v", r)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r := h.ledger.Submit(ctx, entries[8].Bytes())[0]; !errors.Is(r.Err, ledger.ErrBusy) {
			t.Fatalf("%+v", r)
		}
		closed.Store(false)
		close(gate)
		wg.Wait()
		for i, r := range results[:9] {
			if r.Err != nil || !r.Published {
				t.Fatalf("%d: %+v", i, r)
			}
		}
		// Many in one go wait for one another, in order, and fill half of the queue.
		for i, r := range h.submit(entries...) {
			if r.Err != nil || !r.Published || r.Duplicate != (i < 9) || r.Index != uint64(3+i) {
				t.Fatalf("%d: %+v", i, r)
			}
		}
		h.audited()
		h.close()
	})
}

// TestTimeout ends the wait while an entry is being committed: it is stored all the same.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var closed atomic.Bool
		store := &storetest.Faulty{Store: memory(), Fault: func(call string, _ int) storetest.Fault {
			if call == "Create" && closed.Load() {
				<-gate
			}
			return storetest.Works
		}}
		h := newHouse(t, store)
		o := h.join("apnic.net")
		hash := h.publish("text\n")
		e := h.many(o, hash, 3)
		closed.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		results := h.ledger.Submit(ctx, e[0].Bytes(), e[1].Bytes(), []byte("garbage"))
		for i, r := range results {
			var refusal *ledger.Refusal
			if r.Stored || i < 2 && !errors.Is(r.Err, context.DeadlineExceeded) || i == 2 && !errors.As(r.Err, &refusal) {
				t.Fatalf("%+v", r)
			}
		}
		if h.ledger.Err() != nil {
			t.Fatal(h.ledger.Err())
		}
		close(gate)
		for i, r := range h.submit(e...) {
			if !r.Published || r.Duplicate != (i < 2) || r.Index != uint64(3+i) {
				t.Fatalf("%d: %+v", i, r)
			}
		}
		h.close()
	})
}

// TestCosign has witnesses that fail, hang, and lie.
func TestCosign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, memory())
		o := h.join("apnic.net")
		hash := h.publish("text\n")
		entries := h.many(o, hash, 6)
		h.close()
		const line = "— witness.example AAAAAAAA\n"
		var mode atomic.Value
		mode.Store("works")
		var running, calls atomic.Int32
		h.cfg.Cosign = cosigning(func(ctx context.Context, note []byte) ([]byte, error) {
			if running.Add(1) != 1 {
				t.Error("two checkpoints on their way to the witnesses")
			}
			defer running.Add(-1)
			calls.Add(1)
			switch mode.Load() {
			case "fails":
				return nil, errors.New("no quorum")
			case "hangs":
				<-ctx.Done()
				return nil, ctx.Err()
			case "other note":
				return append([]byte("x"), note...), nil
			case "too long":
				return append(note, bytes.Repeat([]byte(line), verify.MaxNote/len(line)+1)...), nil
			case "slow":
				time.Sleep(3 * time.Second)
			}
			return append(note, line...), nil
		})
		h.open()
		if calls.Load() != 0 {
			t.Error("a published checkpoint was cosigned again")
		}
		h.must(entries[0])
		if !bytes.HasSuffix(h.ledger.Checkpoint(), []byte(line)) || !h.opened(h.ledger.Checkpoint()) {
			t.Fatal("the cosignature is missing")
		}
		for i, m := range []string{"fails", "other note", "too long"} {
			mode.Store(m)
			before := h.ledger.Published()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			r := h.ledger.Submit(ctx, entries[1+i].Bytes())[0]
			cancel()
			if r.Err != nil || !r.Stored || r.Published || r.Index != uint64(4+i) || h.ledger.Published() != before {
				t.Fatalf("%s: %+v", m, r)
			}
			// What is not published cannot be quoted.
			note, err := h.ledger.CheckpointAt(t.Context(), r.Index+1)
			if !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%s: %v %q", m, err, note)
			}
			if _, err := h.ledger.Leaf(t.Context(), r.Index); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%s: %v", m, err)
			}
			if err := h.ledger.Err(); err != nil {
				t.Fatal(err)
			}
		}
		mode.Store("slow")
		results := h.submit(entries...) // all but the last are stored
		for i, r := range results {
			if !r.Published || r.Index != uint64(3+i) || r.Duplicate != (i < 4) {
				t.Fatalf("%d: %+v", i, r)
			}
		}
		h.audited()
		h.check()

		// Closing does not wait for witnesses; what is stored is published after opening.
		mode.Store("hangs")
		more := h.many(o, hash, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			if r := h.submit(more...)[0]; !r.Stored || r.Published {
				t.Errorf("%+v", r)
			}
		})
		synctest.Wait()
		h.close()
		wg.Wait()
		mode.Store("works")
		h.open()
		if r := h.submit(more...)[0]; !r.Published || !r.Duplicate {
			t.Fatalf("%+v", r)
		}
		h.close()
	})
}

// TestBatching feeds one history in pieces of all sizes, with restarts, to both stores: root hash and state are the same.
func TestBatching(t *testing.T) {
	script := func(h *house) []*entry.Entry {
		var entries []*entry.Entry
		add := func(e *entry.Entry) {
			h.rec.Must(e)
			entries = append(entries, e)
		}
		after := h.after()
		var orgs []*rolltest.Org
		for i := range 6 {
			o := rolltest.NewOrg(strings.Repeat(string(rune('a'+i)), 8)+".example", 2, 1, 1+i%2)
			orgs = append(orgs, o)
			add(h.rec.Registration(o))
		}
		var hashes []entry.Hash
		for i := range 3 {
			e, hash := h.statement(fmt.Sprintf("text %d\n", i))
			hashes = append(hashes, hash)
			add(e)
		}
		r := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			o, hash := orgs[r.IntN(len(orgs))], hashes[r.IntN(len(hashes))]
			action := entry.Endorse
			if last, ok := h.rec.State.Endorsement(o.Domain, hash); ok && last.Action == entry.Endorse && r.IntN(3) > 0 {
				action = entry.Withdraw
			}
			add(h.endorsement(action, o, hash, after))
		}
		return entries
	}
	dump := func(h *house) string {
		var b []byte
		err := h.ledger.View(func(s *roll.State) {
			var standing, all [][]roll.Endorsement
			for _, st := range s.Statements() {
				standing = append(standing, s.Standing(st.Statement))
			}
			for _, m := range s.Members() {
				all = append(all, s.Endorsements(m.Domain))
			}
			var err error
			if b, err = json.Marshal([]any{s.Size(), s.Charter(), s.Members(), s.Statements(), standing, all}); err != nil {
				t.Fatal(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var root [32]byte
	var state string
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 0))
		var store ledger.Store = memory()
		if seed%2 == 1 {
			var err error
			if store, err = boltstore.Create(t.TempDir()); err != nil {
				t.Fatal(err)
			}
			defer store.Close()
		}
		h := prepare(t, store)
		h.cfg.Signers = h.cfg.Signers[:1] // so that the note that is quoted is the same each time
		if err := h.create(); err != nil {
			t.Fatal(err)
		}
		h.open()
		entries := script(h)
		h.cfg.MaxBatch = []int{0, 1, 3, 100, 4096, 17}[seed]
		h.reopen()
		for rest := entries; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(120))
			h.must(rest[:n]...)
			rest = rest[n:]
			if r.IntN(3) == 0 {
				h.reopen()
			}
		}
		h.check()
		if seed == 0 {
			root, state = h.ledger.Published().Root, dump(h)
		}
		for range 2 {
			if h.ledger.Published().Root != root || h.ledger.Published().Size != 310 {
				t.Errorf("history %d has another root", seed)
			}
			if dump(h) != state {
				t.Errorf("history %d gives another state", seed)
			}
			h.reopen()
		}
		h.close()
	}
}

// TestOldCopy puts an old copy of the store back. It must be readable, and sign nothing.
func TestOldCopy(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	h.must(h.many(o, hash, 4)...)
	old := h.store.(*storetest.Memory).Clone()
	oldSize := h.ledger.Published().Size
	h.must(h.many(o, hash, 3)...)
	if err := h.ledger.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	newer := h.store.(*storetest.Memory).Clone()
	more := h.many(o, hash, 1)
	h.close()

	refused := func(name string, have bool, signed, stored uint64) {
		t.Helper()
		before := h.store.(*storetest.Memory).Clone()
		if err := h.tryOpen(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var refused *ledger.RefusedError
		if err := h.ledger.ReadOnly(); !errors.As(err, &refused) || refused.Have != have || refused.SignedSize != signed || refused.StoredSize != stored {
			t.Fatalf("%s: %+v", name, refused)
		}
		for _, size := range []uint64{signed, stored} {
			if !strings.Contains(refused.Error(), fmt.Sprint(size)) && have {
				t.Errorf("%s: %v does not name %d", name, refused, size)
			}
		}
		if r := h.submit(more...)[0]; r.Stored || !errors.As(r.Err, &refused) {
			t.Fatalf("%s: %+v", name, r)
		}
		if err := h.ledger.PutBlob(t.Context(), hash, []byte("text\n")); !errors.As(err, &refused) {
			t.Fatalf("%s: %v", name, err)
		}
		h.audited()
		h.close()
		same(t, name, before, h.store.(*storetest.Memory))
	}
	h.store = old
	refused("old copy", true, 10, oldSize)

	// Another history of the same size, as if it had been signed by a copy of the keys.
	other := prepare(t, memory())
	other.setClock(h.clock().Add(time.Minute))
	if err := other.create(); err != nil {
		t.Fatal(err)
	}
	other.open()
	q := other.join("apnic.net")
	other.must(other.many(q, other.publish("text\n"), 9)...)
	other.close()
	h.store = other.store
	refused("another history", true, 10, 12)

	h.store = newer.Clone()
	h.open()
	h.close()

	// Other keys; no record; a damaged one.
	h.cfg.Signers = logSigners(t, "new")
	h.store = newer.Clone()
	refused = func(name string, have bool, signed, stored uint64) {
		t.Helper()
		before := h.store.(*storetest.Memory).Clone()
		if err := h.tryOpen(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var r *ledger.RefusedError
		if err := h.ledger.ReadOnly(); !errors.As(err, &r) || r.Have != have {
			t.Fatalf("%s: %v", name, err)
		}
		h.close()
		same(t, name, before, h.store.(*storetest.Memory))
	}
	refused("other keys", true, 10, 10)
	h.cfg.Signers = logSigners(t, "log")
	record, err := os.ReadFile(h.lastSigned())
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(record)
	damaged[100] ^= 1
	damaged[4096+100] ^= 1
	if err := os.WriteFile(h.lastSigned(), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("damaged record", false, 0, 10)
	if err := os.Remove(h.lastSigned()); err != nil {
		t.Fatal(err)
	}
	refused("no record", false, 0, 10)
	if _, err := os.Stat(h.lastSigned()); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("refusing made a record")
	}

	// Adopting: a size that the store does not hold, another root, and the right ones.
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	right := h.ledger.Published()
	h.close()
	h.cfg.Adopt = &ledger.Adoption{Size: 11, Root: right.Root}
	refused("too large", false, 0, 10)
	h.cfg.Adopt = &ledger.Adoption{Size: 9, Root: right.Root}
	refused("smaller than what was published", false, 0, 10)
	h.cfg.Adopt = &ledger.Adoption{Size: 10, Root: [32]byte{1}}
	refused("another root", false, 0, 10)
	h.cfg.Adopt = &ledger.Adoption{Size: 10, Root: right.Root}
	h.open()
	h.close()
	// It never helps against a record of one's own.
	h.cfg.Adopt = &ledger.Adoption{Size: oldSize, Root: right.Root}
	h.store = old
	refused("adopting an old copy", true, 10, oldSize)
	h.cfg.Adopt = nil
	h.store = newer
	h.open()
	h.must(more...)
	h.audited()
	h.check()
}

// TestDamagedHalf has a last-signed record of which one half is damaged: it may have said more than the other.
func TestDamagedHalf(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	h.must(h.many(o, hash, 1)...)
	before := h.store.(*storetest.Memory).Clone()
	h.must(h.many(o, hash, 1)...)
	now := h.ledger.Published()
	h.close()
	record, err := os.ReadFile(h.lastSigned())
	if err != nil {
		t.Fatal(err)
	}
	newer := h.store
	for half := range 2 {
		for name, store := range map[string]ledger.Store{"the newest store": newer, "the store of one checkpoint before": before} {
			damaged := bytes.Clone(record)
			damaged[half*4096+60] ^= 1
			if err := os.WriteFile(h.lastSigned(), damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			h.store, h.cfg.Adopt = store.(*storetest.Memory).Clone(), nil
			refused := func(what string) {
				t.Helper()
				if err := h.tryOpen(); err != nil {
					t.Fatal(err)
				}
				var r *ledger.RefusedError
				if err := h.ledger.ReadOnly(); !errors.As(err, &r) {
					t.Fatalf("half %d damaged, %s, %s: it signs", half, name, what)
				}
				h.close()
			}
			refused("no adoption")
			h.cfg.Adopt = &ledger.Adoption{Size: 1}
			refused("a small adoption")
			if store == newer {
				h.cfg.Adopt = &ledger.Adoption{Size: now.Size, Root: now.Root}
				h.open()
				h.close()
				h.cfg.Adopt = nil
				h.open() // the record is whole again
				h.close()
			}
		}
	}
}

// TestAdoptNothingLess has an adoption say less than a sound record of other keys does, or another history.
func TestAdoptNothingLess(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	old, known := h.store.(*storetest.Memory).Clone(), h.ledger.Published()
	h.must(h.many(o, hash, 2)...)
	h.close()
	h.cfg.Signers = logSigners(t, "new")
	for name, store := range map[string]ledger.Store{"an old copy": old, "another history": func() ledger.Store {
		other := prepare(t, memory())
		other.setClock(h.clock().Add(time.Minute))
		if err := other.create(); err != nil {
			t.Fatal(err)
		}
		other.open()
		q := other.join("apnic.net")
		other.must(other.many(q, other.publish("text\n"), 9)...)
		other.close()
		return other.store
	}()} {
		h.store, h.cfg.Adopt = store, nil
		for _, adopt := range []*ledger.Adoption{nil, {Size: known.Size, Root: known.Root}} {
			h.cfg.Adopt = adopt
			if err := h.tryOpen(); err != nil {
				t.Fatal(err)
			}
			var r *ledger.RefusedError
			if err := h.ledger.ReadOnly(); !errors.As(err, &r) || !strings.Contains(r.Problem, "have signed") {
				t.Errorf("%s, adopting %v: %v", name, adopt, err)
			}
			h.close()
		}
	}
}

// same compares two stores.
func same(t *testing.T, name string, a, b *storetest.Memory) {
	t.Helper()
	paths, _ := a.List(t.Context(), "")
	paths2, _ := b.List(t.Context(), "")
	last, _ := a.Last(t.Context())
	last2, _ := b.Last(t.Context())
	if !slices.Equal(paths, paths2) || last != last2 {
		t.Fatalf("%s: it wrote to the store", name)
	}
	for _, path := range paths {
		if !bytes.Equal(a.Object(path), b.Object(path)) {
			t.Fatalf("%s: it changed %s", name, path)
		}
	}
}

// TestAdoptedKeys changes the log's keys.
func TestAdoptedKeys(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	c := h.ledger.Published()
	h.close()
	h.cfg.Signers = logSigners(t, "new")
	h.cfg.Adopt = &ledger.Adoption{Size: c.Size, Root: c.Root}
	h.open()
	h.cfg.Adopt = nil
	h.must(h.many(o, hash, 1)...)
	h.reopen()
	if !h.opened(h.ledger.Checkpoint()) {
		t.Fatal("the new keys did not sign")
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	store, err := boltstore.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h := newHouse(t, store)
	if _, err := ledger.OpenLastSigned(h.lastSigned()); !errors.Is(err, ledger.ErrInUse) || !strings.Contains(err.Error(), h.dir) {
		t.Errorf("the last-signed record: %v", err)
	}
	for _, readOnly := range []bool{false, true} {
		if _, err := boltstore.Open(dir, readOnly); !errors.Is(err, ledger.ErrInUse) || !strings.Contains(err.Error(), dir) {
			t.Errorf("the store: %v", err)
		}
	}
	if err := h.create(); err == nil {
		t.Error("a ledger was created over another")
	}
	h.close()
}

func TestOpenRefuses(t *testing.T) {
	h := prepare(t, memory())
	if err := h.tryOpen(); !errors.Is(err, ledger.ErrEmpty) {
		t.Errorf("an empty store: %v", err)
	}
	if _, err := ledger.Origin(t.Context(), h.store); !errors.Is(err, ledger.ErrEmpty) {
		t.Errorf("an empty store: %v", err)
	}
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	if origin, err := ledger.Origin(t.Context(), h.store); err != nil || origin != rolltest.Origin {
		t.Errorf("%q %v", origin, err)
	}
	for name, change := range map[string]func(c *ledger.Config){
		"origin":           func(c *ledger.Config) { c.Origin = "Not An Origin" },
		"another origin":   func(c *ledger.Config) { c.Origin = "ledger.example/other" },
		"batch":            func(c *ledger.Config) { c.MaxBatch = 4097 },
		"negative queue":   func(c *ledger.Config) { c.MaxQueue = -1 },
		"no Ed25519":       func(c *ledger.Config) { c.Signers = c.Signers[1:] },
		"a key twice":      func(c *ledger.Config) { c.Signers = append(c.Signers[:1:1], c.Signers[0]) },
		"no record":        func(c *ledger.Config) { c.LastSigned = nil },
		"cosignature type": func(c *ledger.Config) { c.Signers = []ledger.Signer{c.Signers[0], cosigner(t)} },
	} {
		cfg := h.config()
		change(&cfg)
		if l, err := ledger.Open(t.Context(), cfg); err == nil {
			l.Close()
			t.Errorf("%s: it opens", name)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ledger.Open(ended, h.config()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	cfg := h.config()
	cfg.Signers = nil
	if err := ledger.Create(t.Context(), cfg, nil); err == nil {
		t.Error("created without keys")
	}
}

func cosigner(t *testing.T) ledger.Signer {
	k := rolltest.NewKey("cosigner")
	v, err := keys.NewVKey(rolltest.Origin, keys.TypeCosignatureEd25519, k.Public.SPKI()[12:])
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Signer{VKey: v}
}

func TestCreateRefuses(t *testing.T) {
	h := prepare(t, memory())
	e := h.rec.Draft(&entry.Membership{Action: entry.Leave, Member: "operator.example"}, h.rec.Operator)
	var refusal *ledger.Refusal
	if err := ledger.Create(t.Context(), h.config(), rolltest.Sign(e)); !errors.As(err, &refusal) || refusal.Rule != roll.RuleGenesis {
		t.Errorf("%v", err)
	}
	if last, err := h.store.Last(t.Context()); last != 0 || err != nil {
		t.Errorf("%d %v", last, err)
	}
	// Keys that have signed for a ledger already.
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	h.store = memory()
	if err := h.create(); err == nil || !strings.Contains(err.Error(), "have signed") {
		t.Errorf("%v", err)
	}
	// A store that holds anything.
	other := prepare(t, memory())
	if err := other.store.Put(t.Context(), ledger.Object{Path: "checkpoints/7"}); err != nil {
		t.Fatal(err)
	}
	if err := other.create(); err == nil {
		t.Error("created in a store that is not empty")
	}
}

func TestClosed(t *testing.T) {
	h := newHouse(t, memory())
	o := rolltest.NewOrg("apnic.net", 1, 0, 1)
	l := h.ledger
	e := h.rec.Registration(o).Bytes()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-l.Done()
	if r := l.Submit(t.Context(), e)[0]; !errors.Is(r.Err, ledger.ErrClosed) {
		t.Errorf("%+v", r)
	}
	if err := l.View(func(*roll.State) { t.Error("called") }); !errors.Is(err, ledger.ErrClosed) {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if r := l.Submit(t.Context()); len(r) != 0 {
		t.Error(r)
	}
}

func TestBlobs(t *testing.T) {
	h := newHouse(t, memory())
	text, rendition := "We stand by this.\n", []byte("Wir stehen dazu.\n")
	hash, rhash := entry.Sum([]byte(text)), entry.Sum(rendition)
	e := rolltest.Sign(h.rec.Draft(&entry.Statement{
		Action: entry.Publish, Statement: hash, Title: "A statement", Language: "en", MediaType: "text/plain", Size: int64(len(text)),
		Renditions: []entry.Rendition{{Language: "de", Hash: rhash, Size: int64(len(rendition)) - 1, MediaType: "text/plain"}},
	}, h.rec.Operator))
	ctx := t.Context()
	var refusal *ledger.Refusal
	if err := h.ledger.PutBlob(ctx, hash, []byte(text)); !errors.As(err, &refusal) {
		t.Error("a text was put before its statement:", err)
	}
	h.rec.Must(e)
	h.must(e)
	if size, ok := h.ledger.BlobSize(hash); !ok || size != int64(len(text)) {
		t.Error(size, ok)
	}
	for name, err := range map[string]error{
		"other bytes": h.ledger.PutBlob(ctx, hash, []byte("We stand by that.\n")),
		"too long":    h.ledger.PutBlob(ctx, hash, []byte(text+"x")),
		"not named":   h.ledger.PutBlob(ctx, entry.Sum([]byte("x")), []byte("x")),
		"larger":      h.ledger.PutBlob(ctx, rhash, rendition),
	} {
		if !errors.As(err, &refusal) || refusal.Rule != ledger.RuleBlob {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.ledger.Blob(ctx, hash); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for range 2 {
		if err := h.ledger.PutBlob(ctx, hash, []byte(text)); err != nil {
			t.Fatal(err)
		}
		b, err := h.ledger.Fetch(ctx, "blobs/sha256/"+hash.String()[7:])
		if err != nil || string(b) != text {
			t.Fatal(string(b), err)
		}
		if list, err := h.ledger.Blobs(ctx); err != nil || !slices.Equal(list, []entry.Hash{hash}) {
			t.Fatal(list, err)
		}
		if r := h.check(); r.Blobs != 1 {
			t.Fatal(r)
		}
		h.reopen()
	}
	if err := h.ledger.TakeDown(ctx, hash); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ledger.Blob(ctx, hash); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	h.reopen()
	if err := h.ledger.PutBlob(ctx, hash, []byte(text)); !errors.Is(err, ledger.ErrWithheld) {
		t.Error(err)
	}
	if list, err := h.ledger.Blobs(ctx); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	h.check()
	h.audited()
}
