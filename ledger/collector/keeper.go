package collector

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	// daily is how often each member's domain is asked about.
	daily = 24 * time.Hour
	// firstPause is after how long one is that could not be; it doubles from one failure to the next, up to daily.
	firstPause = time.Hour
	// atOnce is how many are asked about at one time.
	atOnce = 4
	// silent is after how many domains in a row without any answer the resolver is taken for dead. It rests for restFirst then, and twice as long from one
	// time to the next, up to restLast.
	silent    = 8
	restFirst = time.Minute
	restLast  = time.Hour
	// look is how long a wait is relied on: members come, and a clock may be set.
	look = time.Minute
	// soon is the same before the ledger takes any entry.
	soon = time.Second
	// patience is how long to wait for a chain to be published. It is in the record before.
	patience = 10 * time.Second
)

// A Keeper asks the DNS day by day which keys the members of a ledger publish, and has the ledger record what has changed, and once a month that
// nothing has. What a resolver makes up or leaves out changes nothing: only what signatures prove is recorded. What cannot be asked is asked again,
// after longer and longer pauses.
type Keeper struct {
	ledger    *ledger.Ledger
	collector *Collector
	now       func() time.Time
	jitter    func(time.Duration) time.Duration
	log       *slog.Logger

	asked map[string]asked // by domain; of Step alone
	rest  time.Duration    // of the resolver, the last time; 0: it answers
	until time.Time        // it rests

	mu     sync.Mutex
	status ledger.Keeping
}

// asked is what is known of a domain that was asked about.
type asked struct {
	due   time.Time     // when it is asked about next
	pause time.Duration // after the last failure; 0: it did not fail
	older int           // how many of its last answers in a row were older than what the record has
}

// NewKeeper returns a Keeper for a ledger that asks a collector, whose clock, if it has one, is the Keeper's too. jitter returns, for a pause, one that is
// not longer, so that not all are asked at once, for ever; nil: up to an eighth shorter, at random. nil for log: nobody is told.
func NewKeeper(l *ledger.Ledger, c *Collector, jitter func(time.Duration) time.Duration, log *slog.Logger) *Keeper {
	k := &Keeper{ledger: l, collector: c, now: c.Now, jitter: jitter, log: log, asked: make(map[string]asked)}
	if k.now == nil {
		k.now = time.Now
	}
	if k.jitter == nil {
		k.jitter = func(d time.Duration) time.Duration { return d - rand.N(d/8) }
	}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	return k
}

// Run keeps until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := look
		if !k.ready() {
			wait = soon // a ledger that starts waits for its witnesses
		}
		k.Step(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// ready reports whether the ledger takes entries.
func (k *Keeper) ready() bool { return k.ledger.ReadOnly() == nil && k.ledger.Published().Size > 0 }

// Status returns how it goes.
func (k *Keeper) Status() ledger.Keeping {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Step asks about those members that are due, a few at a time, and returns when all have been, or the resolver is dead, or ctx has ended. The ledger goes on meanwhile.
func (k *Keeper) Step(ctx context.Context) {
	if !k.ready() || waits(k.until, k.now(), restLast) {
		return
	}
	var domains []string
	if err := k.ledger.View(func(s *roll.State) { domains = s.Domains() }); err != nil {
		return
	}
	if len(domains) == 0 {
		k.succeeded()
	}
	var due []string
	known := make(map[string]asked, len(domains))
	for _, domain := range domains {
		a, ok := k.asked[domain]
		if ok {
			known[domain] = a
		}
		if !ok || !waits(a.due, k.now(), daily) {
			due = append(due, domain)
		}
	}
	k.asked = known
	results := k.askAll(ctx, due)
	if ctx.Err() != nil {
		return
	}
	failing := 0
	for i, r := range results {
		switch a := known[due[i]]; {
		case !r.done:
		case r.err == nil:
			now := asked{due: k.now().Add(k.jitter(daily))}
			if r.older {
				// Once it is a cache. Day after day it is a signer that dates back, or somebody who shows old answers in place of new ones.
				if now.older = a.older + 1; now.older > 1 {
					k.log.Warn("a member's domain has given nothing but older answers than the record has, again and again: what it says now is not recorded", "domain", due[i], "times", now.older)
				}
			}
			known[due[i]] = now
		default:
			a.pause = min(max(2*a.pause, firstPause), daily)
			a.due = k.now().Add(k.jitter(a.pause))
			known[due[i]] = a
			k.log.Warn("a member's domain could not be asked about its keys; it is tried again", "domain", due[i], "error", r.err, "after", a.pause)
		}
	}
	for _, a := range known {
		if a.pause > 0 {
			failing++
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Failing = failing
}

// waits reports whether there is time until a moment that was set within longest. A clock that was set back does not put anything off for longer than that.
func waits(until, now time.Time, longest time.Duration) bool {
	return until.After(now) && !until.After(now.Add(longest))
}

// result is what came of asking about a domain.
type result struct {
	done  bool
	older bool // it is not recorded for that
	err   error
}

// askAll asks about all of the domains, or gives up if nobody answers.
func (k *Keeper) askAll(ctx context.Context, domains []string) []result {
	results := make([]result, len(domains))
	next, unanswered := 0, 0
	answered := false
	var mu sync.Mutex
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(domains) || unanswered >= silent || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var asking sync.WaitGroup
	for range min(atOnce, len(domains)) {
		asking.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				older, err := k.ask(ctx, domains[i])
				if ctx.Err() != nil {
					return
				}
				var bad *Error
				mu.Lock()
				results[i] = result{true, older, err}
				if errors.As(err, &bad) && bad.Kind == Unreachable {
					unanswered++
				} else {
					unanswered, answered = 0, true
				}
				mu.Unlock()
				if err == nil {
					k.succeeded()
				} else {
					k.count(func(s *ledger.Keeping) { s.Failures++ })
				}
			}
		})
	}
	asking.Wait()
	switch {
	case ctx.Err() != nil:
	case unanswered >= silent:
		k.rest = min(max(2*k.rest, restFirst), restLast)
		k.until = k.now().Add(k.jitter(k.rest))
		k.log.Warn("the resolver does not answer: nobody's domain is asked about for a while", "domains", silent, "resolver", k.collector.Resolver, "after", k.rest)
	case answered:
		k.rest = 0
	}
	return results
}

func (k *Keeper) count(f func(*ledger.Keeping)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.status)
}

func (k *Keeper) succeeded() { k.count(func(s *ledger.Keeping) { s.Success = k.now() }) }

// ask asks about one member, and has the ledger record what is worth it. older: it is not recorded because it is no newer than what the record has.
func (k *Keeper) ask(ctx context.Context, domain string) (older bool, err error) {
	chain, r, err := k.collector.Collect(ctx, domain)
	var bad *Error
	if errors.As(err, &bad) && bad.Kind != Unreachable {
		known := false
		if err := k.ledger.View(func(s *roll.State) { _, known = s.LastChain(domain) }); err != nil {
			return false, err
		}
		if !known {
			return false, nil // it never published anything: nothing is missed
		}
	}
	if err != nil {
		return false, err
	}
	// What is refused is no failure: an older answer out of a cache, or what somebody else brought meanwhile.
	var refused *ledger.Refusal
	if err := k.ledger.Worth(r, k.now()); errors.As(err, &refused) {
		k.log.Debug("what a member's domain says is not recorded", "domain", domain, "why", refused.Detail)
		err := k.ledger.View(func(s *roll.State) { older = s.Older(r) })
		return older, err
	} else if err != nil {
		return false, err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	result := k.ledger.AddEvidence(waiting, &entry.Evidence{Type: entry.DNSSEC, Member: domain, Data: chain})
	if errors.As(result.Err, &refused) {
		return false, nil
	}
	if !result.Stored {
		return false, result.Err
	}
	var shown, gone []keys.Ref
	if err := k.ledger.View(func(s *roll.State) { shown, gone, _ = s.News(domain, result.Index) }); err != nil {
		return false, err
	}
	for _, ref := range gone {
		k.log.Warn("a member's domain no longer publishes a key: its zone denies it, or is no longer signed; that was recorded", "domain", domain, "key", ref, "outcome", r.Outcome, "entry", result.Index)
	}
	for _, ref := range shown {
		k.log.Info("a member's domain publishes a key; that was recorded", "domain", domain, "key", ref, "entry", result.Index)
	}
	if len(shown)+len(gone) == 0 {
		k.log.Info("a member's domain publishes the same keys as before; that was recorded", "domain", domain, "entry", result.Index)
	}
	k.count(func(s *ledger.Keeping) {
		switch {
		case len(gone) > 0:
			s.Gone++
		case len(shown) > 0:
			s.Changes++
		default:
			s.Still++
		}
	})
	return false, nil
}
