package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// limited returns how long a result says to wait; it must be a *LimitedError of an entry that was not stored.
func limited(t *testing.T, r ledger.Result) time.Duration {
	t.Helper()
	var limit *ledger.LimitedError
	if !errors.As(r.Err, &limit) || r.Stored {
		t.Fatalf("not limited: %+v", r)
	}
	return limit.Wait
}

// TestQuota spends a quota, sees what is admitted all the same, opens the ledger again, and waits for the next day.
func TestQuota(t *testing.T) {
	h := prepare(t, memory())
	h.cfg.Quota = ledger.Quota{Entries: 3, Period: 24 * time.Hour}
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	h.open()
	o, other := h.join("apnic.net"), h.join("cira.ca") // one entry each
	hash := h.publish("We stand by this.\n")
	endorse := func(o *rolltest.Org) *entry.Entry { return h.endorsement(entry.Endorse, o, hash, h.after()) }
	admit := func(e *entry.Entry) {
		t.Helper()
		h.rec.Must(e)
		h.must(e)
	}

	// What is refused, and what others forge, spends nothing.
	forged := endorse(o)
	forged.Signatures[0].Sig[0] ^= 1
	for range 5 {
		var refused *ledger.Refusal
		if r := h.submit(forged)[0]; !errors.As(r.Err, &refused) {
			t.Fatalf("a forged entry: %+v", r)
		}
	}
	admit(endorse(o))
	admit(h.endorsement(entry.Withdraw, o, hash, h.after()))
	admit(endorse(o))
	admit(h.endorsement(entry.Withdraw, o, hash, h.after()))
	spent := endorse(o)
	wait := h.clock().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(h.clock())
	if got := limited(t, h.submit(spent)[0]); got != wait {
		t.Errorf("wait %v, not %v", got, wait)
	}
	admit(endorse(other))

	// Entries of one batch count among each other.
	second := h.publish("And by that.\n")
	batch := []*entry.Entry{
		h.endorsement(entry.Endorse, other, second, h.after()),
		rolltest.Sign(h.rec.Draft(&entry.Membership{Action: entry.Update, Member: other.Domain, Name: "Another name", Quorum: 1}, other)),
	}
	results := h.submit(batch...)
	if results[0].Err != nil {
		t.Fatal(results[0].Err)
	}
	limited(t, results[1])
	h.rec.Must(batch[0])

	// The record itself tells how much is spent.
	h.reopen()
	if got := limited(t, h.submit(spent)[0]); got != wait {
		t.Errorf("opened again: wait %v, not %v", got, wait)
	}
	admit(rolltest.Sign(h.rec.Draft(&entry.Membership{Action: entry.Leave, Member: other.Domain}, other)))

	// A clock that goes back gives nothing back.
	h.setClock(h.clock().Add(-48 * time.Hour))
	limited(t, h.submit(spent)[0])
	h.setClock(h.clock().Add(48*time.Hour + wait - time.Millisecond))
	limited(t, h.submit(spent)[0])
	h.setClock(h.clock().Add(time.Millisecond))
	admit(spent)
	h.reopen()
	h.audited()
}

// TestQuotaAfterTheClockWasAhead admits entries twenty days ahead. When the clock is right again, each of its days has the
// quota anew, though the record's time stands still.
func TestQuotaAfterTheClockWasAhead(t *testing.T) {
	const day = 24 * time.Hour
	h := prepare(t, memory())
	h.cfg.Quota = ledger.Quota{Entries: 3, Period: day}
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	h.open()
	o := h.join("apnic.net")
	ahead := 20 * day
	h.setClock(h.clock().Add(ahead))
	hash := h.publish("We stand by this.\n")
	stands := false
	next := func() *entry.Entry {
		if stands { // to change one's name spends, and is always possible
			return rolltest.Sign(h.rec.Draft(&entry.Membership{Action: entry.Update, Member: o.Domain, Name: "Name " + h.clock().String(), Quorum: 1}, o))
		}
		return h.endorsement(entry.Endorse, o, hash, h.after())
	}
	spend := func(n int) {
		t.Helper()
		for range n {
			e := next()
			h.rec.Must(e)
			h.must(e)
			stands = true
			h.setClock(h.clock().Add(time.Second))
		}
		left := h.clock().Truncate(day).Add(day).Sub(h.clock())
		if got := limited(t, h.submit(next())[0]); got != left {
			t.Errorf("wait %v, not %v", got, left)
		}
	}
	spend(3)
	h.setClock(h.clock().Add(-ahead))
	spend(0) // nothing is given back
	h.setClock(h.clock().Add(day))
	spend(3)
	h.setClock(h.clock().Add(day))
	spend(3)
	h.reopen() // the record cannot tell these days apart
	spend(0)
	h.setClock(h.clock().Add(day))
	spend(3)
	h.setClock(h.clock().Add(ahead))
	spend(3)
	h.audited()
}

// TestQuotaRaced submits at once what was prepared while the quota still had room.
func TestQuotaRaced(t *testing.T) {
	h := prepare(t, memory())
	h.cfg.Quota = ledger.Quota{Entries: 3, Period: time.Hour}
	if err := h.create(); err != nil {
		t.Fatal(err)
	}
	h.open()
	o := h.join("apnic.net")
	var all []*entry.Entry
	for _, text := range []string{"1\n", "2\n", "3\n", "4\n"} {
		h.setClock(h.clock().Add(time.Hour)) // the operator has a quota too
		hash := h.publish(text)
		all = append(all, h.endorsement(entry.Endorse, o, hash, h.after()))
	}
	h.setClock(h.clock().Add(time.Hour))
	results := make(chan ledger.Result)
	for _, e := range all {
		go func() { results <- h.submit(e)[0] }()
	}
	admitted := 0
	for range all {
		if r := <-results; r.Err == nil {
			admitted++
		} else {
			limited(t, r)
		}
	}
	if admitted != 3 {
		t.Errorf("%d were admitted, not 3", admitted)
	}
}

// TestBadQuota refuses quotas that mean nothing.
func TestBadQuota(t *testing.T) {
	h := prepare(t, memory())
	for _, q := range []ledger.Quota{{Entries: -1, Period: time.Hour}, {Entries: 1}} {
		h.cfg.Quota = q
		if err := h.create(); err == nil {
			t.Errorf("%+v is taken", q)
		}
	}
}
