package ledger_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// lateTiles does not tell whether it made a commit that should bring a tile, so that the tile comes after it. It holds a checkpoint
// back until a tile is on its way, and then the tile for as long as a publisher in a hurry might need. It tells what was written,
// and which checkpoints were stored before their first tile was.
type lateTiles struct {
	ledger.Store
	held  string        // the checkpoint that waits
	begun chan string   // commits and held, as they begin
	tile  chan struct{} // closed when a tile is on its way
	early chan string
}

func (s lateTiles) Create(ctx context.Context, seq uint64, record []byte, objects ...ledger.Object) error {
	defer func() { s.begun <- "commit" }()
	return untold(ctx, s.Store, seq, record, objects)
}

func (s lateTiles) Put(ctx context.Context, objects ...ledger.Object) error {
	path := objects[0].Path
	switch {
	case path == s.held:
		s.begun <- path
		select {
		case <-s.tile:
		case <-time.After(10 * time.Second): // it never comes: the test will tell
		}
	case strings.HasPrefix(path, "tile/"):
		close(s.tile)
		select {
		case <-time.After(200 * time.Millisecond):
		case hasty := <-s.early:
			s.early <- hasty
		}
	case path == "checkpoints/256":
		if _, err := s.Store.Get(ctx, "tile/0/000"); err != nil {
			s.early <- path
		}
	}
	return s.Store.Put(ctx, objects...)
}

// A checkpoint is never signed before the tiles that have become full under it are there, whichever
// commit woke the publisher, which commits do not wait for where there are witnesses.
func TestTilesBeforeCheckpoints(t *testing.T) {
	store := lateTiles{memory(), "checkpoints/254", make(chan string, 16), make(chan struct{}), make(chan string, 16)}
	h := prepare(t, store)
	h.cfg.Cosign = cosigning(func(_ context.Context, note []byte) ([]byte, error) { return note, nil })
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	h.open()
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	h.must(h.many(o, hash, 250)...)
	for len(store.begun) > 0 {
		<-store.begun
	}
	all := h.many(o, hash, 3)
	done := make(chan struct{})
	submit := func(e *entry.Entry) {
		go func() {
			h.submit(e)
			done <- struct{}{}
		}()
	}
	submit(all[0])
	for range 2 { // its commit, and its checkpoint, which waits
		<-store.begun
	}
	submit(all[1])
	<-store.begun // this one is to be published after it
	submit(all[2])
	for range all {
		<-done
	}
	select {
	case path := <-store.early:
		t.Errorf("%s was stored before its tile", path)
	default:
	}
}

// stuckLog is a log that takes its time.
type stuckLog struct {
	slog.Handler
	reached, release chan struct{}
}

func (stuckLog) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (s stuckLog) Handle(context.Context, slog.Record) error {
	s.reached <- struct{}{}
	<-s.release
	return nil
}

// An entry whose commit failed is never shown, however long it takes to tell the operator.
func TestFailedCommitIsNotShown(t *testing.T) {
	for name, fails := range map[string]func() error{
		"an error": func() error { return errStop },
		"a panic":  func() error { panic("on purpose") },
	} {
		t.Run(name, func(t *testing.T) {
			store := &waiting{memory(), func() error { return nil }}
			h := prepare(t, store)
			stuck := stuckLog{slog.DiscardHandler, make(chan struct{}, 2), make(chan struct{})}
			h.cfg.Logger = slog.New(stuck)
			if err := h.create(); err != nil {
				t.Fatal(err)
			}
			h.open()
			o := h.join("apnic.net")
			hash := h.publish("We stand by this.\n")
			e := h.many(o, hash, 1)
			store.wait = fails
			answered := make(chan ledger.Result, 1)
			go func() { answered <- h.submit(e...)[0] }()
			<-stuck.reached
			look := func() {
				if err := h.ledger.View(func(s *roll.State) {
					if _, ok := s.Endorsement(o.Domain, hash); ok {
						t.Error("an endorsement shows that was never stored")
					}
				}); err == nil {
					t.Error("the state of a ledger that has failed is shown")
				}
			}
			if !h.ledger.Committing() { // else who looks waits, which is as good
				look()
			}
			close(stuck.release)
			look()
			if r := <-answered; r.Err == nil || r.Stored {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Who submits again what is stored is told nothing of a commit that has failed meanwhile.
func TestFailedCommitIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &waiting{memory(), func() error { return nil }}
		h := prepare(t, store)
		var asks atomic.Pointer[chan struct{}] // of who asks the clock next; closed when they may go on
		h.cfg.Now = func() time.Time {
			if c := asks.Swap(nil); c != nil {
				<-*c
			}
			return h.clock()
		}
		if err := h.create(); err != nil {
			t.Fatal(err)
		}
		h.open()
		o := rolltest.NewOrg("apnic.net", 1, 0, 1)
		joins := h.rec.Registration(o)
		h.rec.Must(joins)
		h.must(joins)
		leaves := rolltest.Sign(h.rec.Draft(&entry.Membership{Action: entry.Leave, Member: o.Domain}, o))
		synctest.Wait() // the writer waits
		goOn := make(chan struct{})
		release := sync.OnceFunc(func() { close(goOn) })
		defer release()
		asks.Store(&goOn)
		again := make(chan ledger.Result, 1)
		go func() { again <- h.ledger.Submit(t.Context(), entry.Submission(joins, []byte("a chain")))[0] }()
		synctest.Wait()
		if asks.Load() != nil {
			t.Fatal("the clock is not asked when a chain comes late")
		}
		store.wait = func() error { return errStop }
		if r := h.submit(leaves)[0]; !errors.Is(r.Err, errStop) || r.Stored {
			t.Fatalf("%+v", r)
		}
		release()
		if r := <-again; !errors.Is(r.Err, errStop) || r.Stored {
			t.Errorf("it is told of what was not stored: %+v", r)
		}
		store.wait = func() error { return nil }
		h.reopen()
		if r := h.submit(joins)[0]; !r.Published || !r.Stands {
			t.Errorf("%+v", r)
		}
	})
}

// While witnesses are away, requests that have given up leave nothing behind.
func TestGivenUpRequestsAreForgotten(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	e := h.many(o, hash, 1)[0].Bytes()
	h.close()
	h.cfg.Cosign = cosigning(func(context.Context, []byte) ([]byte, error) { return nil, errors.New("no witness answers") })
	h.open()
	many := make([][]byte, 1024)
	for i := range many {
		many[i] = e
	}
	for range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		h.ledger.Submit(ctx, many...)
		cancel()
	}
	if n := h.ledger.Waiting(); n > 8*len(many) {
		t.Errorf("%d entries are still waited for", n)
	}
}
