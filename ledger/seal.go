package ledger

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	// maxSealed bounds a roll entry, in bytes.
	maxSealed = 1024
	// maxSealedAtOnce bounds the rolls of one commit, which are made while nobody else is admitted.
	maxSealedAtOnce = 64
	// sealLook is how long a schedule is relied on: a clock may be set meanwhile.
	sealLook = time.Minute
	// sealPause is how long to wait before what could not be sealed is tried again.
	sealPause = time.Second
)

// seals says when rolls are made. It belongs to the writer, but for all and wake.
type seals struct {
	all  atomic.Bool   // somebody has asked for one of each statement
	wake chan struct{} // 1: all has been set

	looked   time.Time    // when the schedule was looked at last, by the clock; zero: never
	next     time.Time    // when it is looked at again
	never    bool         // not before an entry changes it
	onChange bool         // it is on-change
	waiting  []entry.Hash // of all: what is left to seal
}

// Seal has the ledger make a roll of every statement, as soon as it is its writer's turn, whatever the
// charter's schedule. It does not wait for that.
func (l *Ledger) Seal() error {
	if err := l.serving(); err != nil {
		return err
	}
	l.seals.all.Store(true)
	select {
	case l.seals.wake <- struct{}{}:
	default:
	}
	return nil
}

// timer fires when there may be rolls to make; nil: never.
func (l *Ledger) sealTimer() <-chan time.Time {
	x := &l.seals
	switch {
	case len(x.waiting) > 0 && l.full.Load():
		return time.After(sealPause)
	case len(x.waiting) > 0 || x.looked.IsZero():
		return time.After(0)
	case x.never:
		return nil
	}
	return time.After(max(0, x.next.Sub(l.now())))
}

// changed takes up what was admitted: it may have changed what the schedule asks for.
func (x *seals) changed(added []*entry.Entry) {
	for _, e := range added {
		switch e.Body.(type) {
		case *entry.Charter, *entry.Statement:
			x.looked = time.Time{}
		case *entry.Endorsement:
			if x.onChange {
				x.looked = time.Time{}
			}
		}
	}
}

// due returns the rolls to make now, at most maxSealedAtOnce, and how many of them are of those
// that wait.
func (l *Ledger) due() (due []roll.Due, waited int) {
	x := &l.seals
	now := l.now()
	if l.clockWrong.Load() {
		x.looked, x.next, x.never = now, now.Add(sealPause), false
		return nil, 0
	}
	if x.looked.IsZero() || now.Before(x.looked) || !x.never && !now.Before(x.next) {
		again := time.Time{}
		due, again = l.state.Due(now)
		x.looked, x.never = now, again.IsZero() && len(due) == 0
		x.next = now.Add(sealLook)
		if len(due) > 0 { // what cannot be made is still due then
			x.next = now.Add(sealPause)
		} else if again.Before(x.next) {
			x.next = again
		}
		c := l.state.Charter()
		x.onChange = c != nil && c.Roll == "on-change"
	}
	due = due[:min(len(due), maxSealedAtOnce)]
	if x.all.Swap(false) {
		x.waiting = x.waiting[:0]
		for _, st := range l.state.Statements() {
			x.waiting = append(x.waiting, st.Statement)
		}
	}
	for waited < len(x.waiting) && len(due) < maxSealedAtOnce {
		due = append(due, roll.Due{Statement: x.waiting[waited]})
		waited++
	}
	return due, waited
}

// seal admits the roll of a statement, now or as soon after it as its moment allows. The roll goes
// through the rules as every entry does; an error means that the state is not what it should be.
func (l *Ledger) seal(d roll.Due, now time.Time) (*entry.Leaf, error) {
	asOf := d.AsOf
	if asOf.IsZero() {
		asOf = now.Add(-time.Millisecond)
		if st, _ := l.state.Statement(d.Statement); st.Changed.After(asOf) { // in this very millisecond
			asOf = st.Changed
		}
	}
	if !now.After(asOf) {
		now = asOf.Add(time.Millisecond)
	}
	body, ok := l.state.Roll(d.Statement, asOf)
	if !ok {
		return nil, fmt.Errorf("there is no statement %s to seal a list of", d.Statement)
	}
	leaf := &entry.Leaf{Admitted: now, Entry: &entry.Entry{Ledger: l.origin, Body: body}}
	if err := l.state.Admit(leaf, nil); err != nil {
		return nil, fmt.Errorf("sealing the list of %s: %w", d.Statement, err)
	}
	return leaf, nil
}
