package collector

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	// daily is how often each member's domain is asked about.
	daily = 24 * time.Hour
	// again is after how long one is that could not be.
	again = time.Hour
	// heartbeat is after how long the record gets a chain in which nothing has changed: so it can be shown from when to when a key was published.
	heartbeat = 30 * 24 * time.Hour
	// look is how long a wait is relied on: members come, and a clock may be set.
	look = time.Minute
	// patience is how long to wait for a chain to be published. It is in the record before.
	patience = time.Minute
)

// A Keeper asks the DNS day by day which keys the members of a ledger publish, and has the ledger record what has changed, and once a month that
// nothing has. What a resolver makes up or leaves out changes nothing: only what signatures prove is recorded. What cannot be asked is asked again.
type Keeper struct {
	ledger    *ledger.Ledger
	collector *Collector
	now       func() time.Time
	log       *slog.Logger
	due       map[string]time.Time // by domain: when it is asked about next
}

// NewKeeper returns a Keeper for a ledger that asks a collector, whose clock, if it has one, is the Keeper's too. nil for log: nobody is told.
func NewKeeper(l *ledger.Ledger, c *Collector, log *slog.Logger) *Keeper {
	k := &Keeper{ledger: l, collector: c, now: c.Now, log: log, due: make(map[string]time.Time)}
	if k.now == nil {
		k.now = time.Now
	}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	return k
}

// Run keeps until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		k.Step(ctx)
		timer := time.NewTimer(look)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Step asks about those members that are due, one after the other.
func (k *Keeper) Step(ctx context.Context) {
	if k.ledger.ReadOnly() != nil || k.ledger.Published().Size == 0 {
		return
	}
	var members []roll.Member
	if err := k.ledger.View(func(s *roll.State) { members = s.Members() }); err != nil {
		return
	}
	due := make(map[string]time.Time, len(members))
	for _, m := range members {
		if m.Left || ctx.Err() != nil {
			continue
		}
		now := k.now()
		// A clock that was set back does not put a domain off for longer than a day.
		at, known := k.due[m.Domain]
		if known && at.After(now) && !at.After(now.Add(daily)) {
			due[m.Domain] = at
			continue
		}
		due[m.Domain] = now.Add(daily)
		if err := k.ask(ctx, m); err != nil && ctx.Err() == nil {
			due[m.Domain] = now.Add(again)
			k.log.Warn("a member's domain could not be asked about its keys; it is tried again", "domain", m.Domain, "error", err, "after", again)
		}
	}
	k.due = due
}

// ask asks about one member, and has the ledger record what is worth it.
func (k *Keeper) ask(ctx context.Context, m roll.Member) error {
	chain, r, err := k.collector.Collect(ctx, m.Domain)
	var bad *Error
	if errors.As(err, &bad) && len(m.Chains) == 0 && bad.Kind != Unreachable {
		return nil // it never published anything: nothing is missed
	}
	if err != nil {
		return err
	}
	if !k.worth(m, r) {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	result := k.ledger.AddEvidence(waiting, &entry.Evidence{Type: entry.DNSSEC, Member: m.Domain, Data: chain})
	if !result.Stored {
		return result.Err
	}
	k.log.Info("what a member's domain says of its keys was recorded", "domain", m.Domain, "outcome", r.Outcome, "entry", result.Index)
	return nil
}

// worth reports whether a chain shows a key of a member that the last one did not, or misses one that it did, or is the month's first.
func (k *Keeper) worth(m roll.Member, r *dnssec.Result) bool {
	var last roll.Chain
	if n := len(m.Chains); n > 0 {
		last = m.Chains[n-1]
	}
	older := false
	if err := k.ledger.View(func(s *roll.State) { older = s.Older(r) }); err != nil || older {
		return false // an older answer, out of a cache, changes nothing
	}
	any := false
	for _, key := range slices.Concat(m.Keys, m.RecoveryKeys) {
		n := len(key.Published)
		shown, before := r.Publishes(k.ledger.Origin(), key.Ref.Fingerprint), n > 0 && !key.Published[n-1].Ended
		if shown != before {
			return true
		}
		any = any || shown
	}
	return any && !r.NotAfter.Equal(last.NotAfter) && !k.now().Before(last.Admitted.Add(heartbeat))
}
