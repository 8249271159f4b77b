package ledger

import (
	"context"
	"fmt"
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
type quotas struct {
	Quota

	mu     sync.Mutex
	begin  time.Time // of the period
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
	}
	return true
}

// check returns a *LimitedError if an entry must not be admitted now.
func (q *quotas) check(e *entry.Entry, now time.Time) error {
	if q.Entries == 0 || !spends(e) {
		return nil
	}
	begin := now.UTC().Truncate(q.Period)
	q.mu.Lock()
	defer q.mu.Unlock()
	if begin.After(q.begin) || q.counts[e.Signer] < q.Entries {
		return nil
	}
	return &LimitedError{q.begin.Add(q.Period).Sub(now)}
}

// count takes up an admitted entry. Times never go back.
func (q *quotas) count(e *entry.Entry, admitted time.Time) {
	if q.Entries == 0 || !spends(e) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if begin := admitted.UTC().Truncate(q.Period); begin.After(q.begin) {
		q.begin, q.counts = begin, make(map[string]int)
	}
	q.counts[e.Signer]++
}

// forget takes back all that was counted.
func (q *quotas) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.begin, q.counts = time.Time{}, nil
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
