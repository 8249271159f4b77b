package ledger

import (
	"context"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
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

// heartbeat is after how long the record gets a chain about a member in which nothing has changed: so it can be shown from when to when a key was
// published.
const heartbeat = 30 * 24 * time.Hour

// Worth returns nil if what a DNSSEC chain about a member shows deserves an entry at a time: it changes what is known of the member's keys, or
// is the month's first that says so still. Otherwise it is a *Refusal, or what made the ledger fail.
func (l *Ledger) Worth(r *dnssec.Result, at time.Time) (err error) {
	if failed := l.View(func(s *roll.State) { err = worth(s, r, at) }); failed != nil {
		return failed
	}
	return err
}

// lateChains is how many chains about a member may be in the record of one day (24 hours) if another comes behind an entry that is there already: whoever keeps a
// zone signs as many answers as they like, each of which changes something. What changes beyond that the Keeper records, which asks once a day.
const lateChains = 4

// worthLate is worth for a chain that comes late.
func worthLate(s *roll.State, r *dnssec.Result, at time.Time) error {
	if s.ChainsSince(r.Domain, at.Add(-24*time.Hour)) >= lateChains {
		return &Refusal{roll.RuleEvidence, "there are as many DNSSEC chains about " + r.Domain + " in the record of the last 24 hours as one member may have; bring it tomorrow, if the ledger has not asked for it itself by then"}
	}
	return worth(s, r, at)
}

func worth(s *roll.State, r *dnssec.Result, at time.Time) error {
	change, still := s.Tells(r)
	switch last, any := s.LastChain(r.Domain); {
	case s.Older(r):
		return &Refusal{roll.RuleEvidence, "its DNSSEC chain is older than one in the record"}
	case !change && (!still || any && at.Before(last.Admitted.Add(heartbeat))):
		return &Refusal{roll.RuleEvidence, "its DNSSEC chain shows nothing new of the keys of " + r.Domain}
	}
	return nil
}

// late settles what becomes of a chain that came with an entry which was in the record before, as far as that can be told before its turn: whether it may be
// evidence. An answer is in it.chained or it.unchained.
func (l *Ledger) late(ctx context.Context, it *item) (may bool) {
	domain := it.entry.Signer
	if index, ok := l.state.ChainAt(domain, it.chain); ok {
		it.chained = &index
		return false
	}
	at := l.now()
	var err error
	passed := l.checking.pass(ctx, len(it.sub.results) > 1, func() { it.word, err = dnssec.Verify(domain, it.chain, dnssec.RootAnchors(), at) })
	switch {
	case passed != nil:
		it.unchained = passed
	case err != nil:
		it.unchained = shownNothing(err)
	default:
		it.unchained = worthLate(l.state, it.word, at)
	}
	return it.unchained == nil
}

func shownNothing(err error) error {
	return &Refusal{roll.RuleEvidence, "its DNSSEC chain shows nothing now: " + err.Error()}
}

// chainLeaf returns the leaf that records the chain of such an entry as evidence, if the state takes it.
func (l *Ledger) chainLeaf(it *item, now time.Time) *entry.Leaf {
	domain := it.entry.Signer
	if index, ok := l.state.ChainAt(domain, it.chain); ok {
		it.chained = &index
		return nil
	}
	if it.word == nil { // it came at the same time as the entry that was first
		var err error
		if it.word, err = dnssec.Verify(domain, it.chain, dnssec.RootAnchors(), now); err != nil {
			it.unchained = shownNothing(err)
			return nil
		}
	}
	if it.unchained = worthLate(l.state, it.word, now); it.unchained != nil {
		return nil
	}
	leaf := &entry.Leaf{Admitted: now, Entry: &entry.Entry{Ledger: l.origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: domain, Data: it.chain}}}
	if err := l.state.Admit(leaf, nil); err != nil {
		it.unchained = refusal(err)
		return nil
	}
	return leaf
}

// A Keeping tells an operator how it goes to ask the members' domains which keys they publish.
type Keeping struct {
	Success time.Time // when one answered last, or there was none to ask; zero: not since the start
	Failing int       // domains that could not be asked the last time
	// Since the start: what could not be asked, and what was recorded: that a domain publishes a key, that it no longer does, that nothing has changed
	Failures, Changes, Gone, Still uint64
}

// A Stamping tells an operator how a time-stamping authority does that stamps checkpoints of the ledger.
type Stamping struct {
	Who      string    // where it is asked
	Time     time.Time // of the last token in the record that is known to be its, by its clock; zero: none
	Size     uint64    // of the checkpoint that it is over
	Failures uint64    // since the start
	Err      string    // what failed when it was asked last, a sentence part; "": nothing
}
