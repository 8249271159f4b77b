package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
)

// A JudgeConfig says what a Judge reads, and how.
type JudgeConfig struct {
	// Open returns a Follower that has read nothing yet, and what releases it. It is called when it is needed first, and again after
	// the Follower has failed.
	Open func(ctx context.Context) (*Follower, func() error, error)
	// Evidence, if set, is given what proves that the record contradicts itself. It must not block.
	Evidence func(*verify.Contradiction)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger is told how reading goes on; nil: nobody is.
	Logger *slog.Logger
}

// A Judge reads one record for a witness that replays it: up to each checkpoint, before that is cosigned. Reading goes on in the
// background while nobody waits for it.
type Judge struct {
	JudgeConfig
	ctx    context.Context
	cancel context.CancelFunc
	turn   chan struct{} // held while the Follower is used
	idle   sync.WaitGroup

	follower *Follower // with turn held
	release  func() error
	told     map[string]bool // contradictions that were handed to Evidence
}

// clockSlack is how far the clocks of a ledger and of a witness that replays its record may be apart: the same as between the
// times in the record.
const clockSlack = 5 * time.Minute

// NewJudge returns a Judge, which begins to read what is kept.
func NewJudge(cfg JudgeConfig) *Judge {
	j := &Judge{JudgeConfig: cfg, turn: make(chan struct{}, 1), told: make(map[string]bool)}
	if j.Now == nil {
		j.Now = time.Now
	}
	if j.Logger == nil {
		j.Logger = slog.New(slog.DiscardHandler)
	}
	if j.Evidence == nil {
		j.Evidence = func(*verify.Contradiction) {}
	}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	j.turn <- struct{}{}
	j.idle.Go(func() {
		defer func() { <-j.turn }()
		if err := j.open(); err == nil {
			err = j.follower.resume(j.ctx)
			j.settle(err)
		}
	})
	return j
}

// Close ends what goes on, and releases the Follower.
func (j *Judge) Close() error {
	j.cancel()
	j.idle.Wait()
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	if j.follower == nil {
		return nil
	}
	j.follower = nil
	return j.release()
}

// Judge returns nil if the checkpoint of a note may be cosigned: the record was read up to it and every entry is admissible, was
// not recorded before what came before it, nor after the checkpoint; and the ledger's own time in the note, if it has a
// key that says one, is that of the clock here. A *FoundError says what does not hold; any other error that it could not be
// told, or not before ctx ended, and may be asked again.
func (j *Judge) Judge(ctx context.Context, note []byte) error {
	select {
	case j.turn <- struct{}{}:
	case <-ctx.Done():
		return errors.New("the record is still being read")
	}
	done := make(chan error, 1)
	j.idle.Go(func() {
		defer func() { <-j.turn }()
		done <- j.advance(note)
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.New("the record is still being read")
	}
}

func (j *Judge) open() (err error) {
	if j.follower != nil {
		return nil
	}
	if err := j.ctx.Err(); err != nil {
		return err
	}
	j.follower, j.release, err = j.Open(j.ctx)
	return err
}

// advance has the Follower read up to a note. The caller holds turn.
func (j *Judge) advance(note []byte) error {
	if err := j.open(); err != nil {
		return err
	}
	if err := j.timely(note); err != nil {
		return err
	}
	_, err := j.follower.Advance(j.ctx, note)
	return j.settle(err)
}

// timely holds the ledger's own time in a note to the clock: a ledger that dates back its checkpoints could date back entries.
func (j *Judge) timely(note []byte) error {
	p := j.follower.Policy
	c, err := p.OpenPast(note)
	if err != nil {
		return err
	}
	if c.LogTime.IsZero() {
		for _, l := range p.Logs() {
			if l.VKey.Name == c.Origin && l.VKey.Type == keys.TypeCosignatureMLDSA44 {
				return errors.New("the checkpoint is not signed with the ledger's key that says the time")
			}
		}
		return nil
	}
	if apart := j.Now().Sub(c.LogTime); apart.Abs() > clockSlack {
		return fmt.Errorf("the checkpoint is dated %v away from the clock here", apart.Round(time.Second))
	}
	return nil
}

// settle takes in how a step ended: it hands on what proves a contradiction, and lets go of a Follower that has failed.
func (j *Judge) settle(err error) error {
	var found *FoundError
	if errors.As(err, &found) {
		for _, c := range found.Report.Contradictions {
			if b := string(c.Bytes()); !j.told[b] && len(j.told) < maxTold {
				j.told[b] = true
				j.Evidence(c)
			}
		}
	}
	if failed := j.follower.Failed(); failed != nil {
		j.Logger.Error("what was read of a record can no longer be kept; it is opened again when it is needed", "error", failed)
		j.follower = nil
		if err := j.release(); err != nil {
			j.Logger.Error("closing what was kept of a record", "error", err)
		}
	}
	return err
}

// maxTold bounds the proofs of one record that are handed on.
const maxTold = 64
