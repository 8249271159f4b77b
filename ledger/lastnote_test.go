package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// TestOrderAlone holds the order of effects without witnesses to the design: the note is durable with the last-signed record, handed
// out after that, and stored with the next commit, or by itself when none comes.
func TestOrderAlone(t *testing.T) {
	undo := ledger.NoteIdle(time.Hour)
	defer func() { undo() }()
	tr := &tracer{Store: memory()}
	h := newHouse(t, tr)
	o, hash := fill(t, h)
	h.close()
	h.config()
	h.signed.FailSync(func(f *os.File) error {
		shown := uint64(0)
		if h.ledger != nil {
			shown = h.ledger.Published().Size
		}
		tr.event("last-signed, %d shown", shown)
		return ledger.DataSync(f)
	})
	tr.take()
	h.open()
	if got := tr.take(); slices.ContainsFunc(got, func(e string) bool { return !strings.HasPrefix(e, "read ") }) {
		t.Errorf("opening what was closed in order has effects: %q", got)
	}
	h.must(h.many(o, hash, 2)...)
	tr.event("answer")
	if b := h.keptNote(); !bytes.Equal(b, h.ledger.Checkpoint()) {
		t.Errorf("the last-signed record does not keep the note that was handed out, but %q", b)
	}
	h.must(h.many(o, hash, 1)...)
	tr.event("answer")
	got := tr.take()
	want := []string{"commit 5 with tile/0/000", "read 5", "last-signed, 254 shown", "answer",
		"commit 6 with checkpoints/256", "read 6", "last-signed, 256 shown", "answer"}
	if !slices.Equal(got, want) {
		t.Errorf("order of effects:\n%q\nwant\n%q", got, want)
	}
	h.audited() // from memory
	h.close()
	if got, want := tr.take(), []string{"put checkpoints/257"}; !slices.Equal(slices.DeleteFunc(got, func(e string) bool { return strings.HasPrefix(e, "read ") }), want) {
		t.Errorf("closing: %q, want %q", got, want)
	}
	h.check()
	undo()
	undo = ledger.NoteIdle(time.Millisecond)
	h.open()
	h.must(h.many(o, hash, 1)...)
	until(t, "the note is stored by itself", func() bool { return !h.ledger.Unstored() })
	if _, err := h.store.Get(t.Context(), "checkpoints/258"); err != nil {
		t.Error(err)
	}
}

// crashed is a ledger of 5 entries that was killed just after it had handed out its newest checkpoint.
type crashed struct {
	store  *storetest.Memory
	record []byte // the last-signed record
	before []byte // the one of a moment earlier
	size   uint64
	note   []byte
	root   [32]byte
	rec    *rolltest.Record
}

func crash(t *testing.T) *crashed {
	t.Helper()
	defer ledger.NoteIdle(time.Hour)()
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	h.must(h.many(o, hash, 1)...)
	c := &crashed{before: read(t, h.lastSigned())}
	h.must(h.many(o, hash, 1)...)
	c.store, c.record = h.store.(*storetest.Memory).Clone(), read(t, h.lastSigned())
	p := h.ledger.Published()
	c.size, c.note, c.root, c.rec = p.Size, h.ledger.Checkpoint(), p.Root, h.rec
	if c.size != 5 || c.store.Object("checkpoints/5") != nil || c.store.Object("checkpoints/4") == nil || !bytes.Equal(h.keptNote(), c.note) {
		t.Fatal("the moment is not the one that this is about")
	}
	return c
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// house is a house with what the crash left, and another last-signed record if that is not nil.
func (c *crashed) house(t *testing.T, store ledger.Store, record []byte) *house {
	t.Helper()
	h := prepare(t, store)
	h.rec = c.rec
	if record == nil {
		record = c.record
	}
	if err := os.WriteFile(h.lastSigned(), record, 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// keeping is a last-signed record that keeps another note.
func keeping(record, note []byte) []byte {
	b := bytes.Clone(record[:ledger.NoteOffset])
	b = append(b, fmt.Sprintf("undersigned/last-note/v1\nnote %d sha256:%x\n", len(note), sha256.Sum256(note))...)
	return append(append(b, note...), make([]byte, max(0, ledger.NoteOffset+ledger.NoteRoom-len(b)-len(note)))...)
}

// TestKeptNote opens what a crash left after a note was handed out that the store does not hold. With the room for the note as it was
// that note is published; however it is damaged, one of the same tree is, or of a larger one.
func TestKeptNote(t *testing.T) {
	c := crash(t)
	sound := func(name string, record []byte, same bool) {
		t.Helper()
		store := c.store.Clone()
		h := c.house(t, store, record)
		h.open()
		p := h.ledger.Published()
		if p.Size != c.size || p.Root != c.root || !h.opened(h.ledger.Checkpoint()) {
			t.Fatalf("%s: size %d is published, and size %d was handed out", name, p.Size, c.size)
		}
		if !bytes.Equal(store.Object("checkpoints/5"), h.ledger.Checkpoint()) && !(h.ledger.Unstored() && bytes.Equal(h.keptNote(), h.ledger.Checkpoint())) {
			t.Fatalf("%s: it is open, and the note is not stored", name)
		}
		if same {
			h.shows(c.size, c.note)
		}
		h.check()
		h.audited()
		h.close()
		h.open()
		h.shows(p.Size, store.Object("checkpoints/5"))
		h.close()
	}
	sound("as it was", nil, true)
	before, after := c.before[ledger.NoteOffset:], c.record[ledger.NoteOffset:]
	end := bytes.LastIndexFunc(after, func(r rune) bool { return r != 0 }) + 1
	for at := 0; at < end; at += 97 {
		sound(fmt.Sprintf("torn at %d", at), slices.Concat(c.record[:ledger.NoteOffset], after[:at], before[at:]), false)
		sound(fmt.Sprintf("torn before %d", at), slices.Concat(c.record[:ledger.NoteOffset], before[:at], after[at:]), false)
		damaged := bytes.Clone(c.record)
		damaged[ledger.NoteOffset+at] ^= 4
		sound(fmt.Sprintf("damaged at %d", at), damaged, false)
	}
	old := c.record[:ledger.NoteOffset]
	sound("of an old version", old, false)
	sound("cut short", c.record[:ledger.NoteOffset+end-1], false)
	sound("nothing behind it", c.record[:ledger.NoteOffset+end], true)
	sound("of zeros", append(bytes.Clone(old), make([]byte, ledger.NoteRoom)...), false)
	sound("noise", append(bytes.Clone(old), bytes.Repeat([]byte{0xff}, ledger.NoteRoom)...), false)
	sound("the one before", append(bytes.Clone(old), before...), false)
	foreign := bytes.ReplaceAll(c.note, []byte(rolltest.Origin), []byte("ledger.example/else"))
	for name, note := range map[string][]byte{
		"no note":            []byte("hello\n"),
		"of another ledger":  foreign,
		"of a larger tree":   bytes.Replace(c.note, []byte("\n5\n"), []byte("\n6\n"), 1),
		"of size 0":          bytes.Replace(c.note, []byte("\n5\n"), []byte("\n0\n"), 1),
		"of another tree":    bytes.Replace(c.note, []byte("\n5\n"), []byte("\n4\n"), 1),
		"of another root":    []byte(strings.Replace(string(c.note), strings.Split(string(c.note), "\n")[2], "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", 1)),
		"with an extension":  bytes.Replace(c.note, []byte("\n\n"), []byte("\nmore\n\n"), 1),
		"without signatures": c.note[:bytes.Index(c.note, []byte("\n\n"))+1],
		"of nothing":         {},
	} {
		sound(name, keeping(c.record, note), false)
	}
	// It is the record's word that counts: without the write that was to say so, nothing was handed out.
	torn := slices.Concat(c.before[:ledger.NoteOffset], after)
	sound("without its slot", torn, false)
}

// A crash in the write that replaces a note: that one is stored by then, so that nothing of the room need be left.
func TestNoteBeforeIsStored(t *testing.T) {
	defer ledger.NoteIdle(time.Hour)()
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	var size uint64
	var note []byte
	for n := range 6 {
		e := h.many(o, hash, 1)
		size, note = h.ledger.Published().Size, h.ledger.Checkpoint()
		h.close()
		h.config()
		stopping := false
		h.signed.FailSync(func(f *os.File) error {
			if !stopping {
				return ledger.DataSync(f)
			}
			b := bytes.Repeat([]byte{byte(n)}, ledger.NoteRoom)
			_, err := f.WriteAt(b, ledger.NoteOffset)
			return errors.Join(err, errStop)
		})
		h.open()
		stopping = true
		if r := h.submit(e...)[0]; r.Published || !errors.Is(h.ledger.Err(), errStop) {
			t.Fatalf("%+v, %v", r, h.ledger.Err())
		}
		if p := h.ledger.Published().Size; p != size {
			t.Fatalf("size %d is published, and its record is not durable", p)
		}
		h.reopen()
		h.shows(size, note)
		if r := h.submit(e...)[0]; !r.Published || !r.Duplicate {
			t.Fatalf("%+v", r)
		}
		h.check()
	}
}

// stubborn is a store that does not tell what became of a commit, and that takes no note by itself while it is full.
type stubborn struct {
	*storetest.Memory
	unsure, full atomic.Bool
	fails        atomic.Bool
}

func (s *stubborn) Create(ctx context.Context, seq uint64, record []byte, objects ...ledger.Object) error {
	if s.unsure.Load() {
		return errors.Join(ledger.ErrUnknown, s.Memory.Create(ctx, seq, record))
	}
	return s.Memory.Create(ctx, seq, record, objects...)
}

func (s *stubborn) Put(ctx context.Context, objects ...ledger.Object) error {
	if s.full.Load() {
		return ledger.ErrFull
	}
	if s.fails.Load() {
		return errStop
	}
	return s.Memory.Put(ctx, objects...)
}

// TestNoteIsNotLostForANewer has the note that was handed out not come into the store: no record is written in its place, and nothing
// is published, until it has.
func TestNoteIsNotLostForANewer(t *testing.T) {
	defer ledger.NoteIdle(time.Millisecond)()
	store := &stubborn{Memory: memory()}
	h := newHouse(t, store)
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	if err := h.ledger.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	store.full.Store(true)
	h.must(h.many(o, hash, 1)...)
	note, size := h.ledger.Checkpoint(), h.ledger.Published().Size
	next := h.many(o, hash, 1)
	store.unsure.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan []ledger.Result)
	go func() { done <- h.ledger.Submit(ctx, next[0].Bytes()) }()
	until(t, "it is stored", func() bool { return h.ledger.Stats().Stored == size+1 && h.ledger.Waiting() == 1 })
	if err := h.ledger.Settle(t.Context()); !errors.Is(err, ledger.ErrFull) {
		t.Fatal(err)
	}
	if !bytes.Equal(h.keptNote(), note) || h.ledger.Published().Size != size {
		t.Fatal("a note that is not stored was given up for another")
	}
	h.shows(size, note)
	// If it ends now, the next start has both.
	left := &crashed{record: read(t, h.lastSigned()), rec: h.rec}
	again := left.house(t, store.Memory.Clone(), nil)
	again.open()
	again.shows(size, note)
	if p := again.ledger.Published().Size; p != size+1 {
		t.Fatal(p)
	}
	again.check()
	again.close()
	store.unsure.Store(false)
	store.full.Store(false)
	if r := (<-done)[0]; !r.Published {
		t.Fatalf("%+v", r)
	}
	h.shows(size, note)
	h.audited()
	h.close()
	h.check()
}

// TestNoteFaults fails the writes that store a note by itself.
func TestNoteFaults(t *testing.T) {
	for name, closing := range map[string]bool{"at leisure": false, "at the end": true} {
		t.Run(name, func(t *testing.T) {
			idle := time.Millisecond
			if closing {
				idle = time.Hour
			}
			defer ledger.NoteIdle(idle)()
			store := &stubborn{Memory: memory()}
			h := newHouse(t, store)
			o := h.join("apnic.net")
			hash := h.publish("We stand by this.\n")
			if err := h.ledger.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			store.fails.Store(true)
			h.must(h.many(o, hash, 1)...)
			note, size := h.ledger.Checkpoint(), h.ledger.Published().Size
			if !closing {
				<-h.ledger.Done()
			}
			if err := h.ledger.Close(); !errors.Is(err, errStop) {
				t.Fatalf("closing: %v", err)
			}
			if err := h.ledger.Settle(t.Context()); err == nil {
				t.Error("it is said to be stored")
			}
			h.signed.Close()
			h.ledger, h.signed = nil, nil
			store.fails.Store(false)
			h.open()
			h.shows(size, note)
			h.close()
			h.check()
		})
	}
	t.Run("while room is made", func(t *testing.T) {
		c := crash(t)
		end := ledger.NoteOffset + bytes.LastIndexFunc(c.record[ledger.NoteOffset:], func(r rune) bool { return r != 0 }) + 1
		h := c.house(t, c.store.Clone(), c.record[:end])
		h.config()
		h.signed.FailSync(func(*os.File) error { return errStop })
		if err := h.tryOpen(); !errors.Is(err, errStop) {
			t.Fatal(err)
		}
		h.close()
		h.store = c.store // it may be that nothing else was done
		h.open()
		h.shows(c.size, c.note)
	})
	// A sync that failed leaves to be read what is not on the disk, and later ones bring there only what was written since.
	for name, full := range map[string]bool{"of what can be read": false, "of what can be read, and no space": true} {
		t.Run(name, func(t *testing.T) {
			c := crash(t)
			for name, record := range map[string][]byte{"with its note": c.record, "without": c.record[:ledger.NoteOffset]} {
				store := &stubborn{Memory: c.store.Clone()}
				h := c.house(t, store, record)
				h.config()
				if err := os.WriteFile(h.lastSigned(), c.before, 0o600); err != nil {
					t.Fatal(err)
				}
				store.full.Store(full)
				h.open()
				size, note := h.ledger.Published().Size, h.ledger.Checkpoint()
				h.close()
				if signed, ok := ledger.SignedOf(h.lastSigned(), rolltest.Origin); !ok || signed < size {
					t.Errorf("%s: size %d is published, and the record says that %d was signed", name, size, signed)
				}
				h.open()
				h.shows(size, note)
				h.close()
			}
		})
	}
	t.Run("while it is opened", func(t *testing.T) {
		c := crash(t)
		store := &stubborn{Memory: c.store.Clone()}
		store.fails.Store(true)
		h := c.house(t, store, nil)
		if err := h.tryOpen(); !errors.Is(err, errStop) {
			t.Fatal(err)
		}
		store.fails.Store(false)
		store.full.Store(true) // it can wait
		h.config()
		h.signed.FailSync(func(*os.File) error { return errStop })
		if err := h.tryOpen(); !errors.Is(err, errStop) {
			t.Fatalf("neither the store nor the record has it durably, and yet: %v", err)
		}
		h.close()
		h.open()
		h.shows(c.size, c.note)
		if err := h.ledger.Settle(t.Context()); !errors.Is(err, ledger.ErrFull) {
			t.Fatal(err)
		}
		h.close()
		h.open()
		h.shows(c.size, c.note)
		store.full.Store(false)
		if err := h.ledger.Settle(t.Context()); err != nil || store.Object("checkpoints/5") == nil {
			t.Fatalf("it is not stored: %v", err)
		}
	})
}

// noRoom is a store that is full when room for a note alone is asked for.
type noRoom struct {
	ledger.Store
	note int // bytes of a note, as they are asked for
	full atomic.Bool
}

func (s *noRoom) Room(ctx context.Context, bytes int) error {
	if s.full.Load() && bytes == s.note {
		return ledger.ErrFull
	}
	return s.Store.Room(ctx, bytes)
}

// A note that had no room at first is published when it has, and comes into the store by itself as all others do.
func TestNotePublishedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &noRoom{Store: memory(), note: len("checkpoints/4") + verify.MaxNote}
		h := newHouse(t, store)
		o := h.join("apnic.net")
		hash := h.publish("We stand by this.\n")
		e := h.many(o, hash, 1)[0]
		store.full.Store(true)
		done := make(chan []ledger.Result, 1)
		go func() { done <- h.submit(e) }()
		synctest.Wait()
		if s := h.ledger.Stats(); s.Stored != 4 || s.Published != 3 || len(done) > 0 {
			t.Fatalf("the moment is not the one that this is about: %+v", s)
		}
		store.full.Store(false)
		if r := (<-done)[0]; !r.Published {
			t.Fatalf("%+v", r)
		}
		synctest.Wait()
		if !h.ledger.Unstored() {
			t.Fatal("it is stored already")
		}
		<-time.After(5 * time.Second) // of the clock in here
		if b, err := store.Get(t.Context(), "checkpoints/4"); err != nil || !bytes.Equal(b, h.ledger.Checkpoint()) {
			t.Errorf("seconds later it is not stored: %v", err)
		}
	})
}

// What is refused makes no commit: it keeps no note from the store, however much of it comes.
func TestNoteBesideRefusals(t *testing.T) {
	defer ledger.NoteIdle(time.Hour)()
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	e := h.many(o, hash, 1)
	h.must(e...)
	note := h.ledger.Checkpoint()
	if !h.ledger.Unstored() {
		t.Fatal("the note is stored already")
	}
	var refused *ledger.Refusal
	stranger := rolltest.NewOrg("example.org", 1, 0, 1)
	if r := h.submit(rolltest.Sign(h.rec.Draft(e[0].Body, stranger)))[0]; !errors.As(r.Err, &refused) {
		t.Fatalf("%+v", r)
	}
	until(t, "the note is stored", func() bool { return !h.ledger.Unstored() })
	if b, err := h.store.Get(t.Context(), "checkpoints/4"); err != nil || !bytes.Equal(b, note) {
		t.Errorf("%q %v", b, err)
	}
}

// A ledger that refuses to sign shows the note, and puts it nowhere.
func TestKeptNoteRefused(t *testing.T) {
	c := crash(t)
	damaged := bytes.Clone(c.record)
	slot := bytes.Index(damaged, []byte("size 4"))
	damaged[slot] ^= 1
	store := c.store.Clone()
	h := c.house(t, store, damaged)
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	var refused *ledger.RefusedError
	if !errors.As(h.ledger.ReadOnly(), &refused) {
		t.Fatal(h.ledger.ReadOnly())
	}
	h.shows(c.size, c.note)
	h.audited()
	h.close()
	if store.Object("checkpoints/5") != nil || !bytes.Equal(read(t, h.lastSigned()), damaged) {
		t.Error("something was written")
	}
	// An old copy of the store is refused as ever, whatever the room holds.
	h = c.house(t, old(t, c), nil)
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	if !errors.As(h.ledger.ReadOnly(), &refused) || refused.SignedSize != 5 || refused.StoredSize != 4 {
		t.Fatalf("%v", h.ledger.ReadOnly())
	}
	h.close()
}

// TestKeptNoteOfADamagedRecord has one half of the record damaged, or both: the note that was handed out is shown, and is the one that is
// stored when its tree is adopted.
func TestKeptNoteOfADamagedRecord(t *testing.T) {
	c := crash(t)
	for name, sizes := range map[string][]string{"older": {"size 4"}, "newer": {"size 5"}, "both": {"size 4", "size 5"}} {
		t.Run(name, func(t *testing.T) {
			damaged := bytes.Clone(c.record)
			for _, size := range sizes {
				damaged[bytes.Index(damaged, []byte(size))] ^= 1
			}
			store := c.store.Clone()
			h := c.house(t, store, damaged)
			if err := h.tryOpen(); err != nil {
				t.Fatal(err)
			}
			var refused *ledger.RefusedError
			if !errors.As(h.ledger.ReadOnly(), &refused) {
				t.Fatal(h.ledger.ReadOnly())
			}
			h.shows(c.size, c.note)
			h.close()
			if store.Object("checkpoints/5") != nil || !bytes.Equal(read(t, h.lastSigned()), damaged) {
				t.Error("something was written")
			}
			s, err := ledger.Whole(t.Context(), store, h.lastSigned())
			if o, ok := ledger.Unstored(s); err != nil || len(sizes) == 1 && (!ok || !bytes.Equal(o.Data, c.note)) {
				t.Errorf("the note is not found beside the store: %v %v", ok, err)
			}
			h.cfg.Adopt = &ledger.Adoption{Size: c.size, Root: c.root}
			h.open()
			h.shows(c.size, c.note)
			h.close()
			h.cfg.Adopt = nil
			h.open()
			h.shows(c.size, c.note)
			h.close()
			h.check()
		})
	}
}

// old is the store without its newest commit.
func old(t *testing.T, c *crashed) *storetest.Memory {
	t.Helper()
	m := memory()
	for seq := uint64(1); seq < c.size; seq++ {
		if err := m.Create(t.Context(), seq, c.store.Commit(seq)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// TestKeptNoteRotated changes the log's keys twice before anybody has stored the note.
func TestKeptNoteRotated(t *testing.T) {
	c := crash(t)
	h := c.house(t, c.store.Clone(), nil)
	vkeys := func(signers []ledger.Signer) (v []keys.VKey) {
		for _, s := range signers {
			v = append(v, s.VKey)
		}
		return v
	}
	for _, seed := range []string{"second", "third"} {
		h.config()
		next := logSigners(t, seed)
		if err := h.signed.Rotate(rolltest.Origin, vkeys(h.cfg.Signers), vkeys(next)); err != nil {
			t.Fatal(err)
		}
		h.cfg.Signers = next
		h.close()
	}
	h.open()
	h.shows(c.size, c.note)
}

// TestNoteWithoutRoom has a log with so many keys that the record cannot keep its notes.
func TestNoteWithoutRoom(t *testing.T) {
	tr := &tracer{Store: memory()}
	h := prepare(t, tr)
	for _, seed := range []string{"a", "b"} {
		h.cfg.Signers = append(h.cfg.Signers, logSigners(t, seed)[1])
	}
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	h.open()
	tr.take()
	e, _ := h.statement("We stand by this.\n")
	h.must(e)
	if got, want := tr.take(), []string{"commit 2", "read 2", "put checkpoints/2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if h.ledger.Unstored() || h.keptNote() != nil {
		t.Error("the record keeps what has no room in it")
	}
	h.close()
	h.check()
}

// TestWhole reads what a crash left without writing anything.
func TestWhole(t *testing.T) {
	c := crash(t)
	h := c.house(t, c.store, nil)
	open := func(store ledger.Store) *ledger.Ledger {
		t.Helper()
		s, err := ledger.Whole(t.Context(), store, h.lastSigned())
		if err != nil {
			t.Fatal(err)
		}
		l, err := ledger.Open(t.Context(), ledger.Config{Origin: rolltest.Origin, Store: s})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	h.ledger = open(c.store)
	h.shows(c.size, c.note)
	h.audited()
	sizes, err := h.ledger.CheckpointSizes(t.Context())
	if err != nil || !slices.Equal(sizes, []uint64{1, 2, 3, 4, 5}) {
		t.Errorf("%v %v", sizes, err)
	}
	s, err := ledger.Whole(t.Context(), c.store, h.lastSigned())
	if o, ok := ledger.Unstored(s); err != nil || !ok || o.Path != "checkpoints/5" || !bytes.Equal(o.Data, c.note) {
		t.Errorf("%v %v %q", ok, err, o.Path)
	}
	for _, prefix := range []string{"", "check", "checkpoints/5", "checkpoints/50", "tile/"} {
		paths, err := s.List(t.Context(), prefix)
		if err != nil || slices.Contains(paths, "checkpoints/5") != strings.HasPrefix("checkpoints/5", prefix) || !slices.IsSorted(paths) {
			t.Errorf("List(%q) is %q (%v)", prefix, paths, err)
		}
	}
	if _, err := s.Get(t.Context(), "checkpoints/6"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	// fsck counts it, and holds its signatures to the log's keys.
	h.config()
	if r := h.check(); r.Published != 5 || r.Checkpoints != 5 {
		t.Errorf("%+v", r)
	}
	h.close()
	forged := bytes.Clone(c.note)
	forged[len(forged)-10] ^= 1
	if err := os.WriteFile(h.lastSigned(), keeping(c.record, forged), 0o600); err != nil {
		t.Fatal(err)
	}
	h.config()
	if r := h.flaws(); r.OK() {
		t.Error("a forged note is not found")
	}
	h.close()
	// What the record keeps is nothing to an old copy of the store, or to one that has it.
	if err := os.WriteFile(h.lastSigned(), c.record, 0o600); err != nil {
		t.Fatal(err)
	}
	if size := open(old(t, c)).Published().Size; size != 0 {
		t.Errorf("an old copy publishes size %d", size)
	}
	full := c.store.Clone()
	if err := full.Put(t.Context(), ledger.Object{Path: "checkpoints/5", Data: c.note}); err != nil {
		t.Fatal(err)
	}
	for name, put := range map[string]func() error{
		"stored": func() error { return nil },
		"of another tree": func() error {
			full = c.store
			return os.WriteFile(h.lastSigned(), keeping(c.record, bytes.Replace(c.note, []byte("\n5\n"), []byte("\n4\n"), 1)), 0o600)
		},
		"no record": func() error { return os.Remove(h.lastSigned()) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		s, err := ledger.Whole(t.Context(), full, h.lastSigned())
		if _, ok := ledger.Unstored(s); ok || err != nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
}
