package ledger

import (
	"context"
	"fmt"
	"slices"
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

// seals says when rolls are made. It belongs to the writer, but for asked and wake, and what mu of the ledger guards.
type seals struct {
	asked atomic.Uint64 // how often somebody has asked for one of each statement
	wake  chan struct{} // 1: somebody has, or the writer has a note to store

	begun  uint64        // asked, when waiting was filled last
	done   uint64        // asked, of the last that is stored; guarded by mu
	size   uint64        // of the tree then; guarded by mu
	public chan struct{} // closed when done or what is published changes; guarded by mu

	looked   time.Time    // when the schedule was looked at last, by the clock; zero: never
	next     time.Time    // when it is looked at again
	never    bool         // not before an entry changes it
	onChange bool         // it is on-change
	waiting  []entry.Hash // of all: what is left to seal
}

// Seal has the ledger make a roll of every statement, whatever the charter's schedule, and waits until they are
// published, or ctx ends; then they will be.
func (l *Ledger) Seal(ctx context.Context) error {
	if err := l.serving(); err != nil {
		return err
	}
	x := &l.seals
	ticket := x.asked.Add(1)
	select {
	case x.wake <- struct{}{}:
	default:
	}
	for {
		l.mu.RLock()
		public, ready := x.public, x.done >= ticket && l.head != nil && l.head.Size >= x.size
		l.mu.RUnlock()
		if ready {
			return nil
		}
		select {
		case <-public:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.ctx.Done():
			return l.Err()
		}
	}
}

// sealTimer fires when there may be rolls to make; nil: never.
func (l *Ledger) sealTimer() <-chan time.Time {
	x := &l.seals
	switch {
	case len(x.waiting) > 0 && (l.full.Load() || l.clockWrong.Load()):
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
		var again time.Time
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
	if asked := x.asked.Load(); asked > x.begun {
		x.begun, x.waiting = asked, nil
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

// lastList returns the roll to make before an entry that closes a statement, or that opens one again which a time has
// closed since the schedule was looked at; false for all others, and what is not admissible.
func (l *Ledger) lastList(leaf *entry.Leaf, sigs *roll.Signatures) (roll.Due, bool) {
	b, ok := leaf.Entry.Body.(*entry.Statement)
	if !ok || b.Action == entry.Publish || l.state.Judge(leaf, sigs) != nil {
		return roll.Due{}, false
	}
	if b.Action == entry.Close {
		return roll.Due{Statement: b.Statement}, true
	}
	due, _ := l.state.Due(leaf.Admitted)
	at := slices.IndexFunc(due, func(d roll.Due) bool { return d.Statement == b.Statement && !d.AsOf.IsZero() })
	if at < 0 {
		return roll.Due{}, false
	}
	return due[at], true
}

// sealed takes up that so many of the rolls that wait are stored.
func (l *Ledger) sealed(waited int) {
	x := &l.seals
	x.waiting = x.waiting[waited:]
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(x.waiting) == 0 && x.done < x.begun {
		x.done, x.size = x.begun, l.newest.size
		x.tell()
	}
}

// tell has everybody who waits for rolls look again. The caller holds mu.
func (x *seals) tell() {
	close(x.public)
	x.public = make(chan struct{})
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
