package ledger_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify/roll"
)

// lateTiles holds tiles back for as long as a publisher in a hurry might need, and tells which
// checkpoints were stored before their first tile was.
type lateTiles struct {
	ledger.Store
	early chan string
}

func (s lateTiles) Put(ctx context.Context, objects ...ledger.Object) error {
	path := objects[0].Path
	if strings.HasPrefix(path, "tile/") {
		select {
		case <-time.After(200 * time.Millisecond):
		case hasty := <-s.early:
			s.early <- hasty
		}
	} else if strings.HasPrefix(path, "checkpoints/2") && len(path) == len("checkpoints/256") && path >= "checkpoints/256" {
		if _, err := s.Store.Get(ctx, "tile/0/000"); err != nil {
			s.early <- path
		}
	}
	return s.Store.Put(ctx, objects...)
}

// A checkpoint is never signed before the tiles that have become full under it are there, whichever
// commit woke the publisher.
func TestTilesBeforeCheckpoints(t *testing.T) {
	store := lateTiles{memory(), make(chan string, 16)}
	h := newHouse(t, store)
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	h.must(h.many(o, hash, 250)...)
	done := make(chan struct{})
	all := h.many(o, hash, 6)
	for _, e := range all {
		go func() {
			h.submit(e)
			done <- struct{}{}
		}()
	}
	for range all {
		<-done
	}
	select {
	case path := <-store.early:
		t.Errorf("%s was stored before its tile", path)
	default:
	}
}

type fullStore struct {
	ledger.Store
	full bool
}

func (s *fullStore) Create(ctx context.Context, seq uint64, b []byte) error {
	if s.full {
		return errors.New("no space left")
	}
	return s.Store.Create(ctx, seq, b)
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
	store := &fullStore{Store: memory()}
	h := prepare(t, store)
	stuck := stuckLog{slog.DiscardHandler, make(chan struct{}, 1), make(chan struct{})}
	h.cfg.Logger = slog.New(stuck)
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	h.open()
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	e := h.many(o, hash, 1)
	store.full = true
	answered := make(chan ledger.Result, 1)
	go func() { answered <- h.submit(e...)[0] }()
	<-stuck.reached
	seen := make(chan error, 1)
	go func() {
		seen <- h.ledger.View(func(s *roll.State) {
			if _, ok := s.Endorsement(o.Domain, hash); ok {
				t.Error("an endorsement shows that was never stored")
			}
		})
	}()
	var err error
	select {
	case err = <-seen: // while the log is stuck
		close(stuck.release)
	case <-time.After(100 * time.Millisecond): // it waits, which is as good
		close(stuck.release)
		err = <-seen
	}
	if err == nil {
		t.Error("the state of a ledger that has failed is shown")
	}
	if r := <-answered; r.Err == nil || r.Stored {
		t.Errorf("%+v", r)
	}
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
