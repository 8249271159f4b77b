package ledger

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

// A Quota bounds how many entries of one member are admitted in a period. Periods follow one another
// without a gap: those of 24 hours are UTC days. The zero Quota bounds nothing.
//
// Whatever takes something back is admitted all the same: to withdraw, to leave, to revoke or suspend a key.
type Quota struct {
	Entries int
	Period  time.Duration
}

// A LimitedError is a Result's error if the signer has used its quota up. Nothing of the entry was stored.
type LimitedError struct {
	Wait time.Duration // until the next period
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("its signer has had as many entries admitted as one member may for now: try again in %v", e.Wait.Round(time.Second))
}

// quotas counts the admitted entries of each signer in the period of the last of them. Only what
// was admitted counts, so that nobody can use up what is another's; and because the record has all
// of that with its times, replaying it counts the same again.
//
// While the clock is behind the last of them, because it was ahead before, all entries get that one's time. Then the
// periods are the clock's own: the first begins with what was counted, so that a clock that goes back gives nothing
// back, and so does the one in which the ledger is opened; the next begins with nothing.
type quotas struct {
	Quota

	mu     sync.Mutex
	last   tally // by the record's times
	behind tally // by the clock, while it is in an earlier period than last
}

// A tally is what signers have had admitted in a period.
type tally struct {
	begin  time.Time
	counts map[string]int
}

// spends says whether an entry is one that a quota bounds.
func spends(e *entry.Entry) bool {
	switch b := e.Body.(type) {
	case *entry.Endorsement:
		return b.Action != entry.Withdraw
	case *entry.Membership:
		return b.Action != entry.Leave
	case *entry.KeyEvent:
		return b.Action != entry.Revoke && b.Action != entry.Suspend
	case *entry.Roll, *entry.Evidence:
		return false
	}
	return true
}

// check returns a *LimitedError if an entry must not be admitted now, which is what the clock says.
func (q *quotas) check(e *entry.Entry, now time.Time) error {
	if q.Entries == 0 || !spends(e) {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.at(now)
	if t.counts[e.Signer] < q.Entries {
		return nil
	}
	return &LimitedError{t.begin.Add(q.Period).Sub(now)}
}

// at returns the tally of the clock's period. It is called with the lock held.
func (q *quotas) at(now time.Time) *tally {
	begin := now.UTC().Truncate(q.Period)
	switch {
	case begin.After(q.last.begin):
		return &tally{begin: begin}
	case begin.Equal(q.last.begin):
		return &q.last
	case q.behind.counts == nil:
		q.behind = tally{begin, maps.Clone(q.last.counts)}
	case begin.Before(q.behind.begin):
		q.behind.begin = begin
	case begin.After(q.behind.begin):
		q.behind = tally{begin, make(map[string]int)}
	}
	return &q.behind
}

// admit is count for an entry that is admitted now, which is what the clock says.
func (q *quotas) admit(e *entry.Entry, admitted, now time.Time) {
	q.count(e, admitted)
	if q.Entries == 0 || !spends(e) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.at(now); t == &q.behind {
		t.counts[e.Signer]++
	}
}

// count takes up an admitted entry. Times never go back.
func (q *quotas) count(e *entry.Entry, admitted time.Time) {
	if q.Entries == 0 || !spends(e) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if begin := admitted.UTC().Truncate(q.Period); begin.After(q.last.begin) {
		q.last, q.behind = tally{begin, make(map[string]int)}, tally{}
	}
	q.last.counts[e.Signer]++
}

// forget takes back all that was counted.
func (q *quotas) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last, q.behind = tally{}, tally{}
}

// recount counts again what commits up to and with the newest have admitted in the period of the last of them.
// It reads backwards until it has come to an earlier period, and trusts the chain of sums.
func (q *quotas) recount(ctx context.Context, store Store, newest commit) error {
	if q.Entries == 0 {
		return nil
	}
	begin := newest.admitted.Truncate(q.Period)
	for seq, sum := newest.seq, newest.sum; seq > 0; seq-- {
		b, err := store.Read(ctx, seq)
		if err != nil {
			return fmt.Errorf("commit %d: %w", seq, err)
		}
		rec, err := decodeRecord(b)
		if err != nil || rec.sum != sum {
			return fmt.Errorf("commit %d: %w", seq, ErrCorrupt)
		}
		earlier := false
		for i, b := range rec.leaves {
			leaf, err := entry.ParseLeaf(b)
			if err != nil {
				return fmt.Errorf("entry %d: %w", rec.from+uint64(i), ErrCorrupt)
			}
			if leaf.Admitted.Before(begin) {
				earlier = true
				continue
			}
			q.count(leaf.Entry, leaf.Admitted)
		}
		if earlier {
			return nil
		}
		sum = rec.prev
	}
	return nil
}

// checkPatience is how long one entry waits for its signatures to be checked.
const checkPatience = 2 * time.Second

// A gate lets as many signatures be checked at one time as there are cores: all that are sent at once
// would leave readers no time.
type gate chan struct{}

func newGate() gate { return make(gate, runtime.GOMAXPROCS(0)) }

// pass calls f inside the gate. A caller without patience waits for checkPatience, and then it is ErrBusy.
func (g gate) pass(ctx context.Context, patient bool, f func()) error {
	select {
	case g <- struct{}{}:
	default:
		var late <-chan time.Time
		if !patient {
			timer := time.NewTimer(checkPatience)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case g <- struct{}{}:
		case <-late:
			return ErrBusy
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-g }()
	f()
	return nil
}
