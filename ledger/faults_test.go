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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// tracer is a store that tells each write, and each read-back of a commit.
type tracer struct {
	ledger.Store
	mu     sync.Mutex
	events []string
}

func (s *tracer) event(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

func (s *tracer) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.events
	s.events = nil
	return events
}

func (s *tracer) Create(ctx context.Context, seq uint64, record []byte, objects ...ledger.Object) error {
	event := fmt.Sprint("commit ", seq)
	for _, o := range objects {
		event += " with " + o.Path
	}
	defer s.event("%s", event)
	return s.Store.Create(ctx, seq, record, objects...)
}

func (s *tracer) Read(ctx context.Context, seq uint64) ([]byte, error) {
	s.event("read %d", seq)
	return s.Store.Read(ctx, seq)
}

func (s *tracer) Put(ctx context.Context, objects ...ledger.Object) error {
	var paths []string
	for _, o := range objects {
		paths = append(paths, o.Path)
	}
	defer s.event("put %s", strings.Join(paths, " "))
	return s.Store.Put(ctx, objects...)
}

// fill is a ledger of 254 entries: two more make a full tile.
func fill(t testing.TB, h *house) (o *rolltest.Org, hash entry.Hash) {
	o = h.join("apnic.net")
	hash = h.publish("We stand by this.\n")
	h.must(h.many(o, hash, 251)...)
	if size := h.ledger.Published().Size; size != 254 {
		t.Fatal(size)
	}
	return o, hash
}

// many returns n entries of o that endorse and withdraw in turn.
func (h *house) many(o *rolltest.Org, hash entry.Hash, n int) []*entry.Entry {
	var entries []*entry.Entry
	for range n {
		action := entry.Endorse
		if last, ok := h.rec.State.Endorsement(o.Domain, hash); ok && last.Action == entry.Endorse {
			action = entry.Withdraw
		}
		e := h.endorsement(action, o, hash, h.after())
		h.rec.Must(e)
		entries = append(entries, e)
	}
	return entries
}

// TestOrder holds the order of effects to the design: commit with tiles, read back, last-signed
// record, witnesses, note, answer. Signatures are made at any time before the witnesses, where they leave.
func TestOrder(t *testing.T) {
	tr := &tracer{Store: memory()}
	h := newHouse(t, tr)
	o, hash := fill(t, h)
	h.close()
	for i, s := range h.cfg.Signers {
		h.cfg.Signers[i].Sign = func(msg []byte) ([]byte, error) {
			tr.event("sign %#02x", s.VKey.Type)
			return s.Sign(msg)
		}
	}
	h.cfg.Cosign = cosigning(func(ctx context.Context, note []byte) ([]byte, error) {
		tr.event("cosign")
		return note, nil
	})
	h.config() // opens the last-signed record
	h.signed.FailSync(func(f *os.File) error {
		tr.event("last-signed")
		return ledger.DataSync(f)
	})
	h.open()
	tr.take()
	h.must(h.many(o, hash, 2)...)
	tr.event("answer")
	got := tr.take()
	made, left := slices.Index(got, "sign 0x06"), slices.Index(got, "cosign")
	if made < 0 || made > left || slices.Index(got, "sign 0x01") > made {
		t.Errorf("signatures are not made, or too late: %q", got)
	}
	got = slices.DeleteFunc(got, func(e string) bool { return strings.HasPrefix(e, "sign ") })
	want := []string{"commit 5 with tile/0/000", "read 5", "last-signed", "cosign", "put checkpoints/256", "answer"}
	if !slices.Equal(got, want) {
		t.Errorf("order of effects:\n%q\nwant\n%q", got, want)
	}
	h.reopen()
	if got := tr.take(); slices.ContainsFunc(got, func(e string) bool { return !strings.HasPrefix(e, "read ") }) {
		t.Errorf("reopening what was closed in order has effects: %q", got)
	}
}

// waiting is a store that makes no commit before it may.
type waiting struct {
	ledger.Store
	wait func() error
}

func (s *waiting) Create(ctx context.Context, seq uint64, record []byte, objects ...ledger.Object) error {
	if err := s.wait(); err != nil {
		return err
	}
	return s.Store.Create(ctx, seq, record, objects...)
}

// TestSignsAhead has a commit wait for the signatures of the checkpoint that will cover it.
func TestSignsAhead(t *testing.T) {
	store := &waiting{memory(), func() error { return nil }}
	h := newHouse(t, store)
	e, _ := h.statement("We stand by this.\n")
	h.close()
	made := make(chan byte, 2)
	for i, s := range h.cfg.Signers {
		h.cfg.Signers[i].Sign = func(msg []byte) ([]byte, error) {
			defer func() { made <- s.VKey.Type }()
			return s.Sign(msg)
		}
	}
	h.open()
	store.wait = func() error {
		for range h.cfg.Signers {
			select {
			case <-made:
			case <-time.After(10 * time.Second):
				return errors.New("nothing is signed while the commit is on its way")
			}
		}
		return nil
	}
	h.must(e)
	if len(made) > 0 {
		t.Error("it is signed more than once")
	}
}

// TestAheadOfAnother has more committed, before anything else is published, than what was signed ahead.
func TestAheadOfAnother(t *testing.T) {
	h := newHouse(t, memory())
	h.close()
	asked, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.cfg.Republish = time.Millisecond
	h.cfg.Cosign = cosigning(func(ctx context.Context, note []byte) ([]byte, error) {
		once.Do(func() {
			close(asked)
			<-goOn
		})
		return note, nil
	})
	h.open()
	<-asked // for what is published already
	size := h.ledger.Published().Size
	var all sync.WaitGroup
	for i, text := range []string{"one\n", "two\n"} {
		e, _ := h.statement(text)
		h.rec.Must(e)
		all.Go(func() { h.must(e) })
		until(t, "it is stored", func() bool { return h.ledger.Stats().Stored == size+uint64(i)+1 })
	}
	close(goOn)
	all.Wait()
	h.audited()
	h.close()
	h.check()
}

// scenario opens a ledger, has it admit six entries in three submissions, of which the second
// fills a tile, and returns their results.
type scenario struct {
	base   *storetest.Memory
	signed []byte
	parts  [][]*entry.Entry
	root   [32]byte
}

func newScenario(t *testing.T) *scenario {
	h := newHouse(t, memory())
	o, hash := fill(t, h)
	s := &scenario{parts: [][]*entry.Entry{h.many(o, hash, 1), h.many(o, hash, 4), h.many(o, hash, 1)}}
	h.close()
	s.base = h.store.(*storetest.Memory).Clone()
	var err error
	if s.signed, err = os.ReadFile(h.lastSigned()); err != nil {
		t.Fatal(err)
	}
	h.open()
	for _, part := range s.parts {
		h.must(part...)
	}
	s.root = h.ledger.Published().Root
	return s
}

// house returns a house that has what the scenario begins with.
func (s *scenario) house(t *testing.T, store ledger.Store) *house {
	h := prepare(t, store)
	if err := os.WriteFile(h.lastSigned(), s.signed, 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// run opens and submits, as far as it gets. It returns what was answered.
func (s *scenario) run(h *house) map[entry.Hash]ledger.Result {
	answers := make(map[entry.Hash]ledger.Result)
	if h.tryOpen() != nil {
		return answers
	}
	for _, part := range s.parts {
		for i, r := range h.submit(part...) {
			answers[part[i].ID()] = r
		}
	}
	return answers
}

// finish opens what a failure left, with a sound store, and submits everything again. What was shown is shown again.
func (s *scenario) finish(t *testing.T, h *house, store ledger.Store, answers map[entry.Hash]ledger.Result) {
	t.Helper()
	var shown []byte
	var size uint64
	if h.ledger != nil {
		shown, size = h.ledger.Checkpoint(), h.ledger.Published().Size
	}
	h.close()
	h.store = store
	h.open()
	h.shows(size, shown)
	for _, part := range s.parts {
		for i, r := range h.submit(part...) {
			before := answers[part[i].ID()]
			if !r.Published || before.Stored && (!r.Duplicate || r.Index != before.Index || !r.Admitted.Equal(before.Admitted)) {
				t.Fatalf("answered %+v, and after the failure %+v", before, r)
			}
		}
	}
	if got := h.ledger.Published().Root; got != s.root {
		t.Fatal("the record is another one than without the failure")
	}
	h.check()
}

// TestFaults makes each call of the store fail in turn, and then also the one after, with and
// without effect.
func TestFaults(t *testing.T) {
	defer ledger.NoteIdle(time.Hour)() // so that each run makes the same calls
	s := newScenario(t)
	for name, witnessed := range map[string]bool{"alone": false, "witnessed": true} {
		t.Run(name, func(t *testing.T) { s.faults(t, witnessed) })
	}
}

func (s *scenario) faults(t *testing.T, witnessed bool) {
	house := func(store ledger.Store) *house {
		h := s.house(t, store)
		if witnessed {
			h.cfg.Cosign = cosigning(func(_ context.Context, note []byte) ([]byte, error) { return note, nil })
		}
		return h
	}
	count := &storetest.Faulty{Store: s.base.Clone(), Fault: func(string, int) storetest.Fault { return storetest.Works }}
	h := house(count)
	s.run(h)
	calls := count.Calls() // closing makes one more: TestNoteFaults
	h.close()
	t.Logf("%d calls", calls)
	if calls < 15 {
		t.Fatal("too few calls to mean anything")
	}
	for n := 1; n <= calls; n++ {
		for _, fault := range []storetest.Fault{storetest.Fails, storetest.FailsPersisted} {
			for _, err := range []error{storetest.ErrFault, ledger.ErrUnknown} {
				var failed string
				var after []string
				base := s.base.Clone()
				f := &storetest.Faulty{Store: base, Err: err, Fault: func(call string, at int) storetest.Fault {
					switch {
					case at == n:
						failed = call
						return fault
					case at > n:
						after = append(after, call)
						if at == n+1 {
							return fault
						}
					}
					return storetest.Works
				}}
				if err == ledger.ErrUnknown {
					// A store that cannot tell works otherwise: the ledger looks and goes on if it can.
					f.Fault = func(call string, at int) storetest.Fault {
						if at == n {
							failed = call
							return fault
						}
						return storetest.Works
					}
				}
				h := house(f)
				answers := s.run(h)
				name := fmt.Sprintf("call %d (%s) %s with %v", n, failed, fault, err)
				if h.ledger != nil && h.ledger.ReadOnly() != nil {
					t.Fatalf("%s: the ledger refuses to sign", name)
				}
				if failed == "" {
					t.Fatalf("%s: not reached", name)
				}
				lived := h.ledger != nil && h.ledger.Err() == nil
				if lived != (failed == "Create" && fault == storetest.FailsPersisted && err == ledger.ErrUnknown) {
					t.Fatalf("%s: the ledger goes on: %v", name, lived)
				}
				if h.ledger != nil && !lived {
					<-h.ledger.Done()
					if !errors.Is(h.ledger.Err(), err) {
						t.Fatalf("%s: the ledger's error is %v", name, h.ledger.Err())
					}
				}
				if h.ledger != nil {
					shown := h.ledger.Published().Size
					if base.Object(fmt.Sprintf("checkpoints/%d", shown)) == nil && !bytes.Equal(h.keptNote(), h.ledger.Checkpoint()) {
						t.Fatalf("%s: the checkpoint of size %d was shown and is not stored", name, shown)
					}
				}
				for _, call := range after {
					if call == "Create" || call == "Put" || call == "Delete" {
						t.Fatalf("%s: it still wrote: %q", name, after)
					}
				}
				s.finish(t, h, base, answers)
				h.close()
			}
		}
	}
}

// TestCrash stops at each step that is not a call of the store.
func TestCrash(t *testing.T) {
	s := newScenario(t)
	steps := map[string]func(h *house, stop func() bool){
		"before the last-signed record is durable": func(h *house, stop func() bool) {
			h.config()
			h.signed.FailSync(func(f *os.File) error {
				if stop() {
					return errStop
				}
				return ledger.DataSync(f)
			})
		},
		"after the last-signed record is durable": func(h *house, stop func() bool) {
			h.config()
			h.signed.FailSync(func(f *os.File) error {
				err := ledger.DataSync(f)
				if stop() {
					err = errStop
				}
				return err
			})
		},
		"at the first signature":  func(h *house, stop func() bool) { failSigner(h, 0, stop) },
		"at the second signature": func(h *house, stop func() bool) { failSigner(h, 1, stop) },
		"at the witnesses": func(h *house, stop func() bool) {
			h.cfg.Cosign = cosigning(func(ctx context.Context, note []byte) ([]byte, error) {
				if stop() {
					return nil, fmt.Errorf("%w: %w", ledger.ErrForked, errStop)
				}
				return note, nil
			})
		},
	}
	for name, step := range steps {
		for n := range 3 {
			t.Run(fmt.Sprintf("%s %d", name, n), func(t *testing.T) {
				base := s.base.Clone()
				h := s.house(t, base)
				h.config() // opens the last-signed record
				at, reached := 0, false
				step(h, func() bool {
					at++
					reached = reached || at == n+1
					return at >= n+1 // what is stopped does not go on
				})
				answers := s.run(h)
				failed := h.failed
				if h.ledger != nil {
					failed = h.ledger.Err()
				}
				if !reached || !errors.Is(failed, errStop) {
					t.Fatalf("reached: %v, error: %v", reached, failed)
				}
				for id, r := range answers {
					if r.Published && r.Index >= h.ledger.Published().Size {
						t.Fatalf("%v was answered as published beyond the checkpoint", id)
					}
				}
				var shown []byte
				var size uint64
				if h.ledger != nil {
					shown, size = h.ledger.Checkpoint(), h.ledger.Published().Size
				}
				h.close()
				fresh := s.house(t, base) // without the step
				fresh.dir = h.dir
				fresh.open()
				fresh.shows(size, shown)
				s.finish(t, fresh, base, answers)
			})
		}
	}
}

func failSigner(h *house, i int, stop func() bool) {
	sign := h.cfg.Signers[i].Sign
	h.cfg.Signers[i].Sign = func(msg []byte) ([]byte, error) {
		if stop() {
			return nil, errStop
		}
		return sign(msg)
	}
}

// TestCreateFaults makes each call fail while a ledger is created. It can be created again, or
// opened.
func TestCreateFaults(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Fails, storetest.FailsPersisted} {
		for n := 1; ; n++ {
			base := memory()
			reached := false
			h := prepare(t, &storetest.Faulty{Store: base, Fault: func(_ string, at int) storetest.Fault {
				if at == n {
					reached = true
					return fault
				}
				return storetest.Works
			}})
			err := h.create()
			if !reached {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if err == nil {
				t.Fatalf("call %d %s, and creating succeeds", n, fault)
			}
			h.close()
			h.store = base
			last, err := base.Last(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			err = h.create()
			if (err == nil) != (last == 0) {
				t.Fatalf("call %d %s: %d commits, creating again: %v", n, fault, last, err)
			}
			h.close()
			h.open()
			h.audited()
			h.check()
			h.close()
		}
	}
}

// TestReadBack damages what the store gives back after a commit: nothing of it is signed.
func TestReadBack(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	e := h.endorsement(entry.Endorse, o, hash, h.after())
	h.close()
	base := h.store.(*storetest.Memory)
	signed, err := os.ReadFile(h.lastSigned())
	if err != nil {
		t.Fatal(err)
	}
	length := len(base.Commit(3))
	for at := 0; at < length; at += 7 {
		store := &lying{Store: base.Clone(), at: at}
		h.store = store
		h.open()
		store.lies = true
		r := h.submit(e)[0]
		if r.Stored || r.Published || !errors.Is(r.Err, ledger.ErrCorrupt) || !errors.Is(h.ledger.Err(), ledger.ErrCorrupt) {
			t.Fatalf("byte %d: %+v", at, r)
		}
		h.close()
		if now, err := os.ReadFile(h.lastSigned()); err != nil || !bytes.Equal(now, signed) {
			t.Fatalf("byte %d: it was on its way to sign", at)
		}
	}
}

// lying is a store that flips a bit of what it gives back of commits.
type lying struct {
	ledger.Store
	at   int
	lies bool
}

func (s *lying) Read(ctx context.Context, seq uint64) ([]byte, error) {
	b, err := s.Store.Read(ctx, seq)
	if s.lies && err == nil {
		b[s.at%len(b)] ^= 0x10
	}
	return b, err
}

// reading is a store that calls a function, if it is set, before a commit is read.
type reading struct {
	ledger.Store
	before func()
}

func (s *reading) Read(ctx context.Context, seq uint64) ([]byte, error) {
	if s.before != nil {
		s.before()
	}
	return s.Store.Read(ctx, seq)
}

// TestDamagedTree flips a bit of the tree in memory: what is signed would contradict what was.
func TestDamagedTree(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	e := h.endorsement(entry.Endorse, o, hash, h.after())
	h.ledger.Damage(2)
	r := h.submit(e)[0]
	if r.Published || h.ledger.Err() == nil || h.ledger.Published().Size != 3 {
		t.Fatalf("%+v", r)
	}
	h.close()
	h.open() // nothing of it was committed
	h.must(e)
	h.audited()
	h.check()
}

// TestDamagedBeforeSigning flips the bit when the commit is made and not signed for yet.
func TestDamagedBeforeSigning(t *testing.T) {
	base := memory()
	store := &reading{Store: base}
	h := newHouse(t, store)
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	e := h.many(o, hash, 1)
	store.before = func() { h.ledger.Damage(2) }
	if r := h.submit(e...)[0]; r.Published || h.ledger.Err() == nil {
		t.Fatalf("%+v", r)
	}
	if base.Object("checkpoints/4") != nil {
		t.Fatal("a checkpoint was signed")
	}
	store.before = nil
	h.reopen()
	if r := h.submit(e...)[0]; !r.Published || r.Index != 3 {
		t.Fatalf("%+v", r)
	}
	h.audited()
	h.check()
}

// stealing is a store in which another process makes each commit first.
type stealing struct {
	ledger.Store
	steals bool
}

func (s *stealing) Create(ctx context.Context, seq uint64, record []byte, objects ...ledger.Object) error {
	if !s.steals {
		return s.Store.Create(ctx, seq, record, objects...)
	}
	other := bytes.Clone(record)
	other[22+8+32+8+8+32] ^= 1 // the nonce
	ledger.Reseal(other)
	return errors.Join(ledger.ErrUnknown, s.Store.Create(ctx, seq, other, objects...))
}

// TestStolenCommit has a commit made that differs from one's own in nothing but the nonce.
func TestStolenCommit(t *testing.T) {
	store := &stealing{Store: memory()}
	h := newHouse(t, store)
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	e := h.many(o, hash, 1)
	store.steals = true
	if r := h.submit(e...)[0]; r.Stored || !errors.Is(r.Err, ledger.ErrExists) {
		t.Fatalf("%+v", r)
	}
	store.steals = false
	h.reopen()
	if r := h.submit(e...)[0]; !r.Published || !r.Duplicate || r.Index != 3 {
		t.Fatalf("%+v", r)
	}
	h.audited()
	h.check()
}

// TestOpenCorrupt damages what Open alone can find, with all sums made right.
func TestOpenCorrupt(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	h.must(h.many(o, h.publish("text\n"), 2)...)
	h.close()
	base := h.store.(*storetest.Memory)
	put := func(m *storetest.Memory, path string, data []byte) {
		m.Put(context.Background(), ledger.Object{Path: path, Data: data})
	}
	for name, harm := range map[string]func(m *storetest.Memory){
		"the root hash of the newest commit": func(m *storetest.Memory) {
			m.Commit(4)[22+8+32+8+8] ^= 1
			ledger.Reseal(m.Commit(4))
			m.Delete(context.Background(), "checkpoints/5")
		},
		"the chain": func(m *storetest.Memory) {
			m.Commit(4)[22+8] ^= 1
			ledger.Reseal(m.Commit(4))
		},
		"the newest note": func(m *storetest.Memory) {
			note := bytes.Clone(m.Object("checkpoints/5"))
			note[bytes.LastIndexByte(note[:bytes.Index(note, []byte("\n\n"))], '\n')+1] ^= 1
			put(m, "checkpoints/5", note)
		},
	} {
		m := base.Clone()
		harm(m)
		h.store = m
		if err := h.tryOpen(); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		h.close()
	}
}

// TestWrongKey gives keys that do not belong to their verifier keys: nothing is published.
func TestWrongKey(t *testing.T) {
	for i := range 2 {
		h := prepare(t, memory())
		h.cfg.Signers[i].Sign = logSigners(t, "another")[i].Sign
		if err := h.create(); err == nil || !strings.Contains(err.Error(), "does not verify") {
			t.Fatalf("%v", err)
		}
		if paths, err := h.store.List(t.Context(), ""); err != nil || len(paths) != 0 {
			t.Fatalf("%q was published", paths)
		}
	}
}

// panicking is a store that panics when it is given a commit, or a note.
type panicking struct {
	*storetest.Memory
	at string
}

func (s *panicking) Create(ctx context.Context, seq uint64, record []byte, objects ...ledger.Object) error {
	if s.at == "commit" {
		panic("on purpose")
	}
	return s.Memory.Create(ctx, seq, record, objects...)
}

func (s *panicking) Put(ctx context.Context, objects ...ledger.Object) error {
	if strings.HasPrefix(objects[0].Path, s.at) {
		panic("on purpose")
	}
	return s.Memory.Put(ctx, objects...)
}

// A panic where nobody waits for it ends the ledger with a sentence, not the process without one.
func TestPanics(t *testing.T) {
	for _, at := range []string{"commit", "checkpoints/"} {
		store := &panicking{memory(), "nothing"}
		h := newHouse(t, store)
		o := h.join("apnic.net")
		hash := h.publish("text\n")
		e := h.endorsement(entry.Endorse, o, hash, h.after())
		store.at = at
		r := h.submit(e)[0]
		if r.Published && at == "checkpoints/" {
			<-h.ledger.Done() // it comes into the store later
			r.Published = false
		}
		if r.Published || h.ledger.Err() == nil || !strings.Contains(h.ledger.Err().Error(), "a mistake in the program") {
			t.Fatalf("%s: %+v, %v", at, r, h.ledger.Err())
		}
		store.at = "nothing"
		h.reopen()
		h.submit(e)
		h.audited()
		h.check()
	}
}

// readPanics is a store that panics when some commits are read.
type readPanics struct {
	ledger.Store
	at func(seq uint64) bool
}

func (s readPanics) Read(ctx context.Context, seq uint64) ([]byte, error) {
	if s.at(seq) {
		panic("on purpose")
	}
	return s.Store.Read(ctx, seq)
}

func first(seq uint64) bool { return seq == 1 }

// So does one in what the ledger does beside serving.
func TestPanicsBeside(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T) *house{
		"asking witnesses": func(t *testing.T) *house {
			h := newHouse(t, memory())
			h.close()
			h.cfg.Cosign = cosigning(func(_ context.Context, note []byte) ([]byte, error) { return note, nil })
			h.cfg.Witnessed = func(context.Context) ([]ledger.Sighting, error) { panic("on purpose") }
			if err := h.tryOpen(); err != nil {
				t.Fatal(err)
			}
			<-h.ledger.Done()
			return h
		},
		"reading again": func(t *testing.T) *house {
			h, store, _, _, _ := snapshotHouse(t)
			h.store, h.cfg.NoScrub = readPanics{store, first}, false
			h.open()
			<-h.ledger.Done()
			return h
		},
		"a snapshot": func(t *testing.T) *house {
			t.Cleanup(ledger.SnapshotEvery(1))
			h := snapshotPanics(t)
			h.join("apnic.net")
			<-h.ledger.Done()
			return h
		},
		"the last snapshot": snapshotPanics,
	} {
		t.Run(name, func(t *testing.T) {
			h := begin(t)
			if err := h.ledger.Close(); err == nil || !strings.Contains(err.Error(), "a mistake in the program") {
				t.Errorf("closing: %v", err)
			}
		})
	}
}

// snapshotPanics is a ledger whose signer panics at a snapshot.
func snapshotPanics(t *testing.T) *house {
	h := prepare(t, memory())
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	h.close()
	h.cfg.Snapshot = filepath.Join(h.dir, "snapshot")
	sign := h.cfg.Signers[0].Sign
	h.cfg.Signers[0].Sign = func(msg []byte) ([]byte, error) {
		if bytes.HasPrefix(msg, []byte("undersigned/snapshot/")) {
			panic("on purpose")
		}
		return sign(msg)
	}
	h.open()
	return h
}

// An entry at which the program panics is its submitter's matter, alone or among others.
func TestEntryPanics(t *testing.T) {
	for _, n := range []int{1, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, memory())
				h.close()
				var panics atomic.Bool
				h.cfg.Now = func() time.Time {
					if panics.Load() {
						panic("on purpose")
					}
					return h.clock()
				}
				h.open()
				o := h.join("apnic.net")
				e := h.many(o, h.publish("text\n"), n)
				synctest.Wait() // nobody else asks the clock
				panics.Store(true)
				func() {
					defer func() {
						if r := recover(); r != "on purpose" {
							t.Errorf("the submitter gets %v", r)
						}
					}()
					t.Errorf("answered: %+v", h.submit(e...))
				}()
				panics.Store(false)
				if err := h.ledger.Err(); err != nil {
					t.Error(err)
				}
				h.must(e...)
			})
		})
	}
}

// A panic over entries that were stored before leaves the ledger to others, however many they are.
func TestStoredEntryPanics(t *testing.T) {
	for _, n := range []int{1, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var panics atomic.Bool
				h := newHouse(t, readPanics{memory(), func(uint64) bool { return panics.Load() }})
				o := h.join("apnic.net")
				e := h.many(o, h.publish("text\n"), n+1)
				h.must(e[:n]...)
				h.reopen() // so that they are read
				panics.Store(true)
				func() {
					defer func() {
						if r := recover(); r != "on purpose" {
							t.Errorf("the submitter gets %v", r)
						}
					}()
					t.Errorf("answered: %+v", h.submit(e[:n]...))
				}()
				panics.Store(false)
				h.must(e[n])
			})
		})
	}
}

// A panic while the record is read again leaves no snapshot from which the next opening would come to it.
func TestPanicRefutesSnapshot(t *testing.T) {
	h, store, _, _, _ := snapshotHouse(t)
	h.store, h.cfg.NoScrub = readPanics{store, first}, false
	h.open()
	<-h.ledger.Done()
	if err := h.ledger.Close(); err == nil {
		t.Error("closed without an error")
	}
	if _, err := os.Stat(h.cfg.Snapshot); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the snapshot: %v", err)
	}
}

// What fails while the ledger is being closed is told as everything else that fails, and nothing is written after it.
func TestFailsWhileClosing(t *testing.T) {
	for name, witnessed := range map[string]bool{"a commit": false, "a checkpoint": true} {
		t.Run(name, func(t *testing.T) {
			store := &waiting{memory(), func() error { return nil }}
			h := newHouse(t, store)
			o := h.join("apnic.net")
			hash := h.publish("text\n")
			e := h.many(o, hash, 1)
			h.close()
			var log diary
			h.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			begun := make(chan struct{})
			fails := func() error {
				close(begun)
				<-h.ledger.Done()
				return errStop
			}
			if witnessed {
				h.cfg.Cosign = cosigning(func(context.Context, []byte) ([]byte, error) {
					return nil, errors.Join(ledger.ErrForked, fails())
				})
			}
			h.open()
			if !witnessed {
				store.wait = fails
			}
			go h.submit(e...)
			<-begun
			if err := h.ledger.Close(); !errors.Is(err, errStop) {
				t.Errorf("closing: %v", err)
			}
			if err := h.ledger.Err(); !errors.Is(err, errStop) {
				t.Errorf("Err: %v", err)
			}
			if s := log.take(); strings.Count(s, "the ledger stops") != 1 {
				t.Errorf("the operator is told: %q", s)
			}
			if err := h.ledger.Close(); !errors.Is(err, errStop) {
				t.Errorf("closing again: %v", err)
			}
			if err := h.ledger.Settle(t.Context()); !errors.Is(err, errStop) {
				t.Errorf("it writes: %v", err)
			}
		})
	}
}

// A reader who comes too late, after the ledger and its store were closed, makes nobody look at the storage.
func TestReadAfterClosing(t *testing.T) {
	works := true
	store := &storetest.Faulty{Store: memory(), Fault: func(string, int) storetest.Fault {
		if works {
			return storetest.Works
		}
		return storetest.Fails
	}}
	h := newHouse(t, store)
	hash := h.publish("text\n")
	h.close()
	var log diary
	h.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	h.open()
	if err := h.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	works = false
	if _, err := h.ledger.Blob(t.Context(), hash); !errors.Is(err, storetest.ErrFault) {
		t.Fatal(err)
	}
	if err := h.ledger.Err(); err != ledger.ErrClosed {
		t.Errorf("Err: %v", err)
	}
	if err := h.ledger.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if s := log.take(); s != "" {
		t.Errorf("the operator is told: %q", s)
	}
}
