package ledger

import (
	"context"
	"time"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// AddEvidence has the ledger itself put evidence into the record, which nobody can submit, and waits as Submit does. It is about a member,
// and then judged by the rules, or about a checkpoint that was published; whether a time stamp proves anything is for the caller to have checked.
func (l *Ledger) AddEvidence(ctx context.Context, v *entry.Evidence) Result {
	e := &entry.Entry{Ledger: l.origin, Body: v}
	if err := e.Check(); err != nil {
		return Result{Err: refusal(err)}
	}
	if err := l.serving(); err != nil {
		return Result{Err: err}
	}
	if v.Type == entry.RFC3161 {
		switch _, err := l.noteAt(ctx, v.Size); {
		case isNotExist(err):
			return Result{Err: &Refusal{roll.RuleEvidence, "it is about a tree size of which this ledger published no checkpoint"}}
		case err != nil:
			return Result{Err: err}
		}
	}
	sub := &submission{results: make([]Result, 1), left: 1, done: make(chan struct{})}
	it := &item{sub: sub, entry: e, id: e.ID(), size: len(e.Text())}
	if _, err := l.queue.add(ctx, l.ctx, []*item{it}, false); err != nil {
		return Result{ID: it.id, Err: err}
	}
	return l.waitFor(ctx, sub)[0]
}

// A Stamping tells an operator how a time-stamping authority does that stamps checkpoints of the ledger.
type Stamping struct {
	Who      string    // where it is asked
	Time     time.Time // of the last token in the record that is known to be its, by its clock; zero: none
	Size     uint64    // of the checkpoint that it is over
	Failures uint64    // since the start
	Err      string    // what failed when it was asked last, a sentence part; "": nothing
}
