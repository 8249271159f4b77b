package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify/entry"
)

// A ledger whose store is full goes on: what is new is refused before anything has changed, the rest is answered,
// and everything works again as soon as there is space.
func TestFull(t *testing.T) {
	store := memory()
	h := newHouse(t, store)
	o := h.join("apnic.net")
	text := "We stand by this.\n"
	hash := h.publish(text)
	known := h.many(o, hash, 1)
	h.must(known...)
	h.close()
	var log bytes.Buffer
	h.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	h.open()
	entries := h.many(o, hash, 2)
	before := h.ledger.Published()

	store.Limit(store.Used() + 1000)
	for range 3 {
		results := h.submit(append(known, entries...)...)
		if r := results[0]; !r.Published || !r.Duplicate || r.Index != 3 {
			t.Fatalf("the entry that is stored: %+v", r)
		}
		for _, r := range results[1:] {
			if !errors.Is(r.Err, ledger.ErrFull) || r.Stored {
				t.Fatalf("a new entry: %+v", r)
			}
		}
		if err := h.ledger.Room(t.Context()); !errors.Is(err, ledger.ErrFull) {
			t.Fatalf("Room: %v", err)
		}
	}
	if err := h.ledger.PutBlob(t.Context(), hash, []byte(text)); err != nil {
		t.Fatalf("there is space for a small text: %v", err)
	}
	store.Limit(store.Used())
	if err := h.ledger.TakeDown(t.Context(), hash); !errors.Is(err, ledger.ErrFull) {
		t.Fatalf("TakeDown: %v", err)
	}
	if now := h.ledger.Published(); now != before || h.ledger.Err() != nil {
		t.Fatalf("the record has changed from %+v to %+v, or the ledger has stopped: %v", before, now, h.ledger.Err())
	}
	h.audited()

	store.Limit(-1)
	if err := h.ledger.TakeDown(t.Context(), hash); err != nil {
		t.Fatal(err)
	}
	if err := h.ledger.Room(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.must(entries...)
	h.audited()
	h.check()
	if s := log.String(); strings.Count(s, "no space is left") != 1 || strings.Count(s, "there is space again") != 1 {
		t.Errorf("the operator is told:\n%s", s)
	}
}

// A text for which there is no space is not kept, and the ledger goes on.
func TestFullText(t *testing.T) {
	store := memory()
	h := newHouse(t, store)
	text := strings.Repeat("x", 5000)
	hash := h.publish(text)
	store.Limit(store.Used() + 100)
	if err := h.ledger.PutBlob(t.Context(), hash, []byte(text)); !errors.Is(err, ledger.ErrFull) {
		t.Fatal(err)
	}
	if _, err := h.ledger.Blob(t.Context(), hash); err == nil || h.ledger.Err() != nil {
		t.Fatalf("the text is there, or the ledger has stopped: %v", h.ledger.Err())
	}
	store.Limit(-1)
	if err := h.ledger.PutBlob(t.Context(), hash, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// A ledger that opens on a full disk after a crash can be read; the tile and the note that the crash left to
// be stored are stored when there is space, and nobody is asked to sign before.
func TestOpenFull(t *testing.T) {
	store := memory()
	h := newHouse(t, store)
	o, hash := fill(t, h)
	entries := h.many(o, hash, 3)
	later := entries[2:]
	h.reopen()
	record, err := os.ReadFile(h.lastSigned())
	if err != nil {
		t.Fatal(err)
	}
	h.must(entries[:2]...)
	h.close()
	if err := os.WriteFile(h.lastSigned(), record, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"tile/0/000", "checkpoints/256"} {
		if err := store.Delete(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	store.Limit(store.Used())
	signed := make(chan struct{}, 100)
	for i, s := range h.cfg.Signers {
		h.cfg.Signers[i].Sign = func(msg []byte) ([]byte, error) {
			signed <- struct{}{}
			return s.Sign(msg)
		}
	}
	h.open()
	if size := h.ledger.Published().Size; size != 254 || len(signed) > 0 {
		t.Fatalf("size %d is published, after %d signatures", size, len(signed))
	}
	h.audited()
	if r := h.submit(later...)[0]; !errors.Is(r.Err, ledger.ErrFull) {
		t.Fatalf("%+v", r)
	}
	store.Limit(-1)
	results := h.submit(later...)
	if r := results[0]; !r.Published || r.Index != 256 {
		t.Fatalf("%+v", r)
	}
	if _, err := store.Get(t.Context(), "tile/0/000"); err != nil {
		t.Fatal(err)
	}
	if r := h.check(); r.Size != 257 {
		t.Fatal(r.Size)
	}
}

// notesFull is a store in which there is always room for commits, and sometimes none for tiles or notes.
type notesFull struct {
	*storetest.Memory
	refused chan string
	full    func(path string) bool
}

func (s *notesFull) Create(ctx context.Context, seq uint64, record []byte, objects ...ledger.Object) error {
	if err := s.room(objects); err != nil {
		return err
	}
	return s.Memory.Create(ctx, seq, record, objects...)
}

func (s *notesFull) Put(ctx context.Context, objects ...ledger.Object) error {
	if err := s.room(objects); err != nil {
		return err
	}
	return s.Memory.Put(ctx, objects...)
}

// untold makes a commit without its objects, if there are any, and does not tell that it did.
func untold(ctx context.Context, store ledger.Store, seq uint64, record []byte, objects []ledger.Object) error {
	err := store.Create(ctx, seq, record)
	if len(objects) == 0 {
		return err
	}
	return errors.Join(ledger.ErrUnknown, err)
}

func (s *notesFull) room(objects []ledger.Object) error {
	for _, o := range objects {
		if s.full(o.Path) {
			s.refused <- o.Path
			return ledger.ErrFull
		}
	}
	return nil
}

// Where a store cannot keep its promise, tiles and notes are late and the entries are answered as stored.
func TestFullAfterAll(t *testing.T) {
	for _, path := range []string{"tile/0/000", "checkpoints/256"} {
		t.Run(path, func(t *testing.T) {
			refusals := 2
			if path == "tile/0/000" {
				refusals = 3 // the first with the commit, which is made without it then
			}
			store := &notesFull{Memory: memory(), refused: make(chan string, 100), full: func(string) bool { return false }}
			h := newHouse(t, store)
			o, hash := fill(t, h)
			if path == "checkpoints/256" {
				// Without witnesses a note need not be in the store to be published: TestNoteIsNotLostForANewer.
				h.cfg.Cosign = cosigning(func(_ context.Context, note []byte) ([]byte, error) { return note, nil })
				h.reopen()
			}
			entries := h.many(o, hash, 2)
			raw := [][]byte{entries[0].Bytes(), entries[1].Bytes()}
			var times atomic.Int32
			store.full = func(p string) bool { return p == path && times.Add(1) <= int32(refusals) }
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				// The last time it is the publisher's, and the writer has told what is stored.
				for range refusals {
					<-store.refused
				}
				cancel()
			}()
			for _, r := range h.ledger.Submit(ctx, raw...) {
				if !r.Stored || r.Published || r.Err != nil {
					t.Fatalf("%+v", r)
				}
			}
			h.submit(entries...) // waits until it is published
			if p := h.ledger.Published(); p.Size != 256 {
				t.Fatalf("%+v", p)
			}
			h.audited()
			h.check()
		})
	}
}

// A store that has no answer about its space ends the ledger, as any error of it does.
func TestRoomFails(t *testing.T) {
	f := &storetest.Faulty{Store: memory(), Fault: func(string, int) storetest.Fault { return storetest.Works }}
	h := newHouse(t, f)
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	e := h.endorsement(entry.Endorse, o, hash, h.after())
	f.Fault = func(call string, _ int) storetest.Fault {
		if call == "Room" {
			return storetest.Fails
		}
		return storetest.Works
	}
	if r := h.submit(e)[0]; !errors.Is(r.Err, storetest.ErrFault) || r.Stored || h.ledger.Err() == nil {
		t.Fatalf("%+v", r)
	}
}
