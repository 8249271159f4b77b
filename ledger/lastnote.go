package ledger

import (
	"bytes"
	"context"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tccm/undersigned/verify"
)

// Without witnesses the note of a checkpoint is made durable with the last-signed record, in one sync, and handed out then. It comes
// into the store with the next commit, or, if there is none soon or what comes makes none, by itself. Until it has, Ledger.unstored has it, and:
//
//   - the record is not written, because it has room for one note alone;
//   - who opens the ledger finds it there (recallNote), or who only reads the store (Whole).

// noteIdle is after how long without a commit a note is stored by itself, in nanoseconds.
var noteIdle atomic.Int64

func init() { noteIdle.Store(int64(100 * time.Millisecond)) }

// idle is when a published note is to be stored; nil: there is none that is not.
func (l *Ledger) idle() <-chan time.Time {
	switch {
	case l.unstored.Load() == nil:
		return nil
	case l.full.Load():
		return time.After(publishPause)
	}
	return time.After(time.Duration(noteIdle.Load()))
}

// storeNote stores the published note that is not in the store yet, if there is one. After ErrFull there still is.
func (l *Ledger) storeNote() error {
	o := l.unstored.Load()
	if o == nil {
		return nil
	}
	if err := l.store.Put(l.work, *o); err != nil {
		return l.noteFull(err)
	}
	l.unstored.CompareAndSwap(o, nil)
	return nil
}

// Settle makes sure that the store holds every checkpoint that was handed out before the call, for who is about to read it past the ledger.
// ErrFull says that there is no space for the newest one.
func (l *Ledger) Settle(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = l.failOn(r)
		}
	}()
	if err := l.Err(); err != nil && err != ErrClosed {
		return err // after an error nothing is written
	}
	if l.ReadOnly() != nil {
		return nil // what it did not find in the store it does not put there
	}
	return l.failing(ctx, l.storeNote())
}

// recallNote returns the newest published note: of the store, nil if there is none, or the one that the last-signed record has kept since a
// crash.
func (l *Ledger) recallNote(ctx context.Context, stored *head) (*head, error) {
	if len(l.signers) == 0 {
		return stored, nil
	}
	s := l.signed
	c, ok := keptCheckpoint(s.note, l.origin)
	if !ok || !s.mayHaveSigned(c.Size) || stored != nil && c.Size <= stored.Size {
		return stored, nil
	}
	if c.Size != l.newest.size && !slices.Contains(l.starts, c.Size) {
		return stored, nil
	}
	root, err := l.tree.rootAt(ctx, c.Size)
	if err != nil {
		return nil, err
	}
	if root != c.Root {
		return stored, nil
	}
	l.unstored.Store(&Object{checkpointPath(c.Size), s.note})
	return &head{c, s.note}, nil
}

// mayHaveSigned says whether the note of a tree may have been handed out: the newer slot says so, or one that is damaged may have.
func (s *LastSigned) mayHaveSigned(size uint64) bool { return s.bad || s.have && size <= s.last.size }

// keptCheckpoint returns what a note from the last-signed record says, if it is one of the ledger.
func keptCheckpoint(note []byte, origin string) (c verify.Checkpoint, ok bool) {
	text, _, ok := bytes.Cut(note, []byte("\n\n"))
	if !ok {
		return c, false
	}
	c, err := verify.ParseCheckpoint(append(bytes.Clone(text), '\n'))
	return c, err == nil && c.Origin == origin && c.Size > 0 && noteProblem(note, c) == ""
}

// Whole returns a store that nobody serves, to be read, with the note that was published last: a server that was killed may have left it
// in the last-signed record at path alone. It locks and changes nothing. If there is no such record, or the store needs none, it is the store.
func Whole(ctx context.Context, store Store, path string) (Store, error) {
	f, err := os.Open(path)
	if err != nil {
		return store, nil
	}
	defer f.Close()
	var s LastSigned
	if s.read(f) != nil {
		return store, nil
	}
	return s.whole(ctx, store)
}

func (s *LastSigned) whole(ctx context.Context, store Store) (Store, error) {
	c, ok := keptCheckpoint(s.note, s.last.origin)
	if !ok || !s.mayHaveSigned(c.Size) {
		return store, nil
	}
	path := checkpointPath(c.Size)
	if _, err := store.Get(ctx, path); !isNotExist(err) {
		return store, nil
	}
	last, err := store.Last(ctx)
	if err != nil {
		return nil, err
	}
	// It is of one of the newest commits: no record is written before the one before it is stored.
	for seq := last; seq > 0; seq-- {
		b, err := store.Read(ctx, seq)
		if err != nil {
			return store, nil // who reads the store will say so
		}
		rec, err := decodeRecord(b)
		if err != nil || rec.size < c.Size {
			break
		}
		if rec.size == c.Size && rec.root == c.Root {
			return &whole{store, Object{path, s.note}}, nil
		}
	}
	return store, nil
}

// whole is a Store with one object more.
type whole struct {
	Store
	Object
}

func (w *whole) Get(ctx context.Context, path string) ([]byte, error) {
	b, err := w.Store.Get(ctx, path)
	if path == w.Path && isNotExist(err) {
		return bytes.Clone(w.Data), nil
	}
	return b, err
}

func (w *whole) List(ctx context.Context, prefix string) ([]string, error) {
	paths, err := w.Store.List(ctx, prefix)
	if err == nil && len(w.Path) >= len(prefix) && w.Path[:len(prefix)] == prefix {
		if at, found := slices.BinarySearch(paths, w.Path); !found {
			paths = slices.Insert(paths, at, w.Path)
		}
	}
	return paths, err
}

// Unstored returns the note that a Whole has beside its store; false if there is none.
func Unstored(s Store) (Object, bool) {
	if w, ok := s.(*whole); ok {
		return w.Object, true
	}
	return Object{}, false
}
