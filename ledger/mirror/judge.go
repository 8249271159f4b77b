package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/tccm/undersigned/verify"
)

// A JudgeConfig says what a Judge reads, and how.
type JudgeConfig struct {
	// Open returns a Follower with a Copy that has read nothing yet, and what releases it. It is called when it is needed first,
	// and again after the Follower has failed.
	Open func(ctx context.Context) (*Follower, func() error, error)
	// Evidence, if set, is given what proves that the record contradicts itself, or a witness. It must not block.
	Evidence func(*verify.Contradiction)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger is told what goes wrong in the background; nil: nobody is.
	Logger *slog.Logger
}

// A Judge reads one record for a witness that replays it: up to each checkpoint, before that is cosigned. Reading goes on in the
// background while nobody waits for it.
type Judge struct {
	JudgeConfig
	ctx    context.Context
	cancel context.CancelFunc
	turn   chan struct{} // held while the Follower is used

	follower *Follower // with turn held, as is all below
	release  func() error
	refused  *RefusedError
	told     map[string]bool // contradictions that were handed to Evidence
	misled   misled
	absent   *absentError // nothing is read beyond it until the next start; nil: nothing
}

// A RefusedError says that a checkpoint, and whatever follows it, is never to be cosigned.
type RefusedError struct {
	// Problem is a sentence.
	Problem string
}

func (e *RefusedError) Error() string { return e.Problem }

// clockSlack is how far the clocks of a ledger and of a witness may be apart.
const clockSlack = 5 * time.Minute

// NewJudge returns a Judge, which begins to read what is kept.
func NewJudge(cfg JudgeConfig) *Judge {
	j := &Judge{JudgeConfig: cfg, turn: make(chan struct{}, 1), told: make(map[string]bool), misled: make(misled)}
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
	go func() {
		defer func() { <-j.turn }()
		err := j.open()
		if err == nil {
			err = j.settle(j.follower.Resume(j.ctx))
		}
		if err != nil && j.ctx.Err() == nil {
			j.Logger.Warn("what was kept of a record cannot be read yet", "error", err)
		}
	}()
	return j
}

// Close ends what goes on, and releases the Follower.
func (j *Judge) Close() error {
	j.cancel()
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	if j.follower == nil {
		return nil
	}
	j.follower = nil
	return j.release()
}

// Judge returns nil if the checkpoint of a note may be cosigned: the ledger shows no larger one, the record was read up to it,
// everything holds that an audit looks at, and the times in it fit the clock here: no entry was recorded five minutes in the future,
// or over ten minutes before a checkpoint came by that does not hold it. A *RefusedError says that it is never to be; any other error
// that this could not be told, or not before ctx ended, or that the times do not fit, and may be asked again.
func (j *Judge) Judge(ctx context.Context, note []byte) error {
	reading := errors.New("the record is still being read")
	select {
	case j.turn <- struct{}{}:
	case <-ctx.Done():
		return reading
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-j.turn }()
		done <- j.judge(note)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return reading
	}
}

func (j *Judge) open() (err error) {
	if j.follower != nil {
		return nil
	}
	if err := j.ctx.Err(); err != nil {
		return err
	}
	if j.follower, j.release, err = j.Open(j.ctx); err != nil {
		j.follower = nil
		return err
	}
	j.follower.Misled = func(c *verify.Contradiction) { j.misled.tell(c, j.Evidence, j.Logger) }
	if j.follower.absent, err = recallAbsence(j.ctx, j.follower.Copy, j.Now); err != nil {
		j.follower = nil // nothing is judged without it
		return errors.Join(err, j.release())
	}
	return nil
}

// judge does what Judge says. The caller holds turn.
func (j *Judge) judge(note []byte) error {
	if j.refused != nil {
		return j.refused
	}
	if j.absent != nil {
		return j.absent
	}
	if err := j.open(); err != nil {
		return err
	}
	f := j.follower
	if err := f.newest(j.ctx, note); err != nil {
		return err
	}
	if _, err := f.Advance(j.ctx, note); err != nil {
		return j.settle(err)
	}
	if ahead := f.State().Admitted().Sub(j.Now()); ahead > clockSlack {
		return fmt.Errorf("the last entry is dated %v ahead of the clock here", ahead.Round(time.Second))
	}
	return nil
}

// newest holds a note to the checkpoint that the ledger has published. Anybody can ask for a cosignature on a checkpoint of the past:
// when it came by would then say nothing about the entries that follow it.
func (f *Follower) newest(ctx context.Context, note []byte) error {
	c, err := f.Policy.OpenPast(note)
	if err != nil {
		return err
	}
	msg, err := f.Fetch(ctx, "checkpoint")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the ledger's checkpoint: %w", err)
	}
	published, err := f.Policy.OpenPast(msg)
	if err != nil {
		return fmt.Errorf("the ledger's checkpoint: %w", err)
	}
	if published.Size > c.Size {
		return errors.New("the ledger has published a larger checkpoint")
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
		if found.Report.Code == verify.CodeContradiction {
			err = &RefusedError{found.Report.Findings[0].Sentence}
		}
	}
	var absent *absentError
	if errors.As(err, &absent) {
		j.absent = absent
		j.Logger.Error("a record seems to be dated back, so it is not cosigned: ask its operator; if it was cut off from here at that time, throw its copy away and start again", "problem", absent)
	}
	var refused *RefusedError
	if errors.As(err, &refused) && (found == nil || j.follower.replay.Contrary()) {
		j.refused = refused
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
