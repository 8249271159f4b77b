package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// catchUp makes the test's record that of the ledger, which adds rolls by itself.
func (h *house) catchUp() {
	h.tb.Helper()
	h.rec.State, h.rec.Leaves = roll.New(rolltest.Origin), nil
	for i := range h.ledger.Stats().Published {
		leaf, err := h.ledger.Leaf(context.Background(), i)
		if err != nil {
			h.tb.Fatal(err)
		}
		if err := h.rec.State.Apply(i, leaf); err != nil {
			h.tb.Fatal(err)
		}
		h.rec.Leaves = append(h.rec.Leaves, leaf)
	}
	h.rec.Now = h.clock()
	if last := h.rec.State.Admitted(); last.After(h.rec.Now) {
		h.rec.Now = last
	}
}

// say submits what o says, at a moment of the clock.
func (h *house) say(at time.Time, body entry.Body, o *rolltest.Org) {
	h.tb.Helper()
	h.setClock(at)
	h.rec.Now = at
	h.must(rolltest.Sign(h.rec.Draft(body, o)))
	h.catchUp()
}

func (h *house) schedule(at time.Time, rule string) {
	h.tb.Helper()
	c := &entry.Charter{Title: "A record", Operator: h.rec.Operator.Domain, Admission: entry.Admission{Operator: true}, Roll: rule}
	for _, k := range h.rec.Operator.Keys {
		c.PublicKeys = append(c.PublicKeys, k.Line())
	}
	h.say(at, c, h.rec.Operator)
}

// sealed returns the rolls of the ledger.
func (h *house) sealed(hash entry.Hash) []roll.Sealed { return h.rec.State.Rolls(hash) }

// lastBut returns the kinds of the last n leaves.
func (h *house) lastKinds(n int) (kinds []entry.Kind) {
	h.tb.Helper()
	for _, raw := range h.rec.Leaves[len(h.rec.Leaves)-n:] {
		leaf, err := entry.ParseLeaf(raw)
		if err != nil {
			h.tb.Fatal(err)
		}
		kinds = append(kinds, leaf.Entry.Body.Kind())
	}
	return kinds
}

// TestSealDaily has a list sealed as of the end of each day, before anything of the next is admitted,
// and one time only for days that were missed.
func TestSealDaily(t *testing.T) {
	h := newHouse(t, memory())
	day := h.clock().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	h.schedule(day.Add(2*time.Hour), "daily 23:59")
	hash := h.publish("We stand by this.\n")
	o, other := h.join("apnic.net"), h.join("cira.ca")
	h.catchUp()
	endorse := func(at time.Time, o *rolltest.Org) {
		t.Helper()
		h.say(at, &entry.Endorsement{Action: entry.Endorse, Statement: hash, After: h.after()}, o)
	}
	endorse(day.Add(3*time.Hour), o)
	if got := h.sealed(hash); len(got) != 0 {
		t.Fatalf("sealed before the day was over: %v", got)
	}
	endorse(day.Add(24*time.Hour), other) // the first moment of the next day
	got := h.sealed(hash)
	if len(got) != 1 || got[0].Count != 1 || !got[0].AsOf.Equal(day.Add(24*time.Hour-time.Millisecond)) {
		t.Fatalf("sealed: %v", got)
	}
	if kinds := h.lastKinds(2); kinds[0] != entry.KindRoll || kinds[1] != entry.KindEndorsement {
		t.Errorf("the last entries are %v", kinds)
	}
	h.say(day.Add(25*time.Hour), &entry.Endorsement{Action: entry.Withdraw, Statement: hash, After: h.after()}, o)
	if len(h.sealed(hash)) != 1 {
		t.Error("sealed twice on a day")
	}
	// The server is away for days. What is admitted then is not in the list of the day before.
	h.close()
	h.setClock(day.Add(5*24*time.Hour + time.Hour))
	h.open()
	endorse(day.Add(5*24*time.Hour+time.Hour), o)
	got = h.sealed(hash)
	if len(got) != 2 || got[1].Count != 1 || !got[1].AsOf.Equal(day.Add(5*24*time.Hour-time.Millisecond)) {
		t.Errorf("sealed: %v", got)
	}
	h.audited()
	h.check()
	// Its rolls are there after a restart from nothing.
	h.reopen()
	h.catchUp()
	if len(h.sealed(hash)) != 2 {
		t.Error("a restart changes the rolls")
	}
	h.audited()
}

// TestSealOnChange has a list sealed once nothing changes any more, and all ten seconds while it does.
func TestSealOnChange(t *testing.T) {
	h := newHouse(t, memory())
	at := h.clock().Add(time.Hour)
	h.schedule(at, "on-change")
	hash := h.publish("We stand by this.\n")
	o := h.join("apnic.net")
	h.catchUp()
	action := entry.Endorse
	var asOf []time.Duration
	start := at.Add(time.Minute)
	for i := range 100 { // two changes a second
		h.say(start.Add(time.Duration(i)*time.Second/2), &entry.Endorsement{Action: action, Statement: hash, After: h.after()}, o)
		if action == entry.Endorse {
			action = entry.Withdraw
		} else {
			action = entry.Endorse
		}
	}
	for _, r := range h.sealed(hash) {
		asOf = append(asOf, r.AsOf.Sub(start))
	}
	if n := len(asOf); n < 5 || n > 7 {
		t.Errorf("while it changes, it is sealed as of %v", asOf)
	}
	// Later entries find the last change sealed.
	h.say(start.Add(time.Hour), &entry.Statement{
		Action: entry.Publish, Statement: entry.Sum([]byte("x")), Title: "Another", Language: "en", MediaType: "text/plain", Size: 1}, h.rec.Operator)
	last := h.sealed(hash)
	if n := len(last); n != len(asOf)+1 || last[n-1].Count != 0 {
		t.Errorf("after the changes: %v", last)
	}
	h.audited()
}

// TestSealClose has the last list sealed before a statement closes, by an entry or by its time.
func TestSealClose(t *testing.T) {
	h := newHouse(t, memory())
	at := h.clock().Add(time.Hour)
	h.setClock(at)
	hash := h.publish("We stand by this.\n")
	o := h.join("apnic.net")
	h.catchUp()
	// All at one moment of the clock: the roll still lists what came before it.
	h.say(at, &entry.Endorsement{Action: entry.Endorse, Statement: hash, After: h.after()}, o)
	h.say(at, &entry.Statement{Action: entry.Close, Statement: hash}, h.rec.Operator)
	got := h.sealed(hash)
	if kinds := h.lastKinds(2); len(got) != 1 || got[0].Count != 1 || kinds[0] != entry.KindRoll || kinds[1] != entry.KindStatement {
		t.Fatalf("sealed %v, the last entries are %v", got, kinds)
	}
	// What would not close anything seals nothing.
	h.submit(rolltest.Sign(h.rec.Draft(&entry.Statement{Action: entry.Close, Statement: hash}, h.rec.Operator)))
	h.submit(rolltest.Sign(h.rec.Draft(&entry.Statement{Action: entry.Close, Statement: hash}, o)))
	h.catchUp()
	if len(h.sealed(hash)) != 1 {
		t.Error("a refused entry has a list sealed")
	}
	closes := at.Add(time.Hour)
	h.say(at.Add(time.Minute), &entry.Statement{Action: entry.Reopen, Statement: hash, Closes: closes}, h.rec.Operator)
	h.say(closes.Add(-time.Millisecond), &entry.Endorsement{Action: entry.Withdraw, Statement: hash, After: h.after()}, o)
	h.say(closes.Add(time.Hour), &entry.Statement{
		Action: entry.Publish, Statement: entry.Sum([]byte("x")), Title: "Another", Language: "en", MediaType: "text/plain", Size: 1}, h.rec.Operator)
	got = h.sealed(hash)
	if len(got) != 2 || got[1].Count != 0 || !got[1].AsOf.Equal(closes.Add(-time.Millisecond)) {
		t.Errorf("after its time: %v", got)
	}
	h.audited()
}

// TestSealReopen opens a statement again that a time has closed, while the schedule was not to be looked at yet.
func TestSealReopen(t *testing.T) {
	h := newHouse(t, memory())
	at := h.clock().Add(time.Hour)
	h.setClock(at)
	hash := h.publish("We stand by this.\n")
	o := h.join("apnic.net")
	h.catchUp()
	closes := at.Add(time.Hour)
	h.say(at, &entry.Statement{Action: entry.Close, Statement: hash}, h.rec.Operator)
	h.say(at, &entry.Statement{Action: entry.Reopen, Statement: hash, Closes: closes}, h.rec.Operator)
	h.say(at, &entry.Endorsement{Action: entry.Endorse, Statement: hash, After: h.after()}, o)
	if n := len(h.sealed(hash)); n != 1 {
		t.Fatalf("%d rolls before", n)
	}
	// Another list falls due half a second before, and so the schedule is looked at again only half a second after.
	other := entry.Sum([]byte("x"))
	h.say(at, &entry.Statement{Action: entry.Publish, Statement: other, Title: "Another", Language: "en", MediaType: "text/plain", Size: 1,
		Closes: closes.Add(-time.Second / 2)}, h.rec.Operator)
	h.say(closes.Add(-time.Second/2), &entry.Endorsement{Action: entry.Withdraw, Statement: hash, After: h.after()}, o)
	if n := len(h.sealed(other)); n != 1 {
		t.Fatalf("%d rolls of the other", n)
	}
	h.say(closes, &entry.Statement{Action: entry.Reopen, Statement: hash}, h.rec.Operator)
	got := h.sealed(hash)
	if len(got) != 2 || got[1].Count != 0 || !got[1].AsOf.Equal(closes.Add(-time.Millisecond)) {
		t.Errorf("sealed %v", got)
	}
	h.audited()
}

// TestSealNow asks for the lists of all statements, more than one commit takes.
func TestSealNow(t *testing.T) {
	h := newHouse(t, memory())
	if err := h.ledger.Seal(t.Context()); err != nil { // of no statement at all
		t.Fatal(err)
	}
	var hashes []entry.Hash
	for i := range 150 {
		hashes = append(hashes, h.publish("Text "+string(rune('!'+i))+"\n"))
	}
	h.catchUp()
	if err := h.ledger.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.catchUp()
	for _, hash := range hashes {
		if n := len(h.sealed(hash)); n != 1 {
			t.Fatalf("%d rolls of a statement", n)
		}
	}
	h.audited()
	h.close()
	h.cfg.Signers = nil
	h.open()
	if err := h.ledger.Seal(t.Context()); err == nil {
		t.Error("a ledger without keys seals")
	}
}

// TestSealFull has no room for a roll, and makes it when there is some.
func TestSealFull(t *testing.T) {
	store := memory()
	h := newHouse(t, store)
	hash := h.publish("We stand by this.\n")
	h.catchUp()
	store.Limit(store.Used())
	waiting, stop := context.WithCancel(t.Context())
	stop()
	if err := h.ledger.Seal(waiting); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if r := h.submit(h.rec.Registration(rolltest.NewOrg("apnic.net", 1, 0, 1)))[0]; r.Err == nil {
		t.Fatal("it is admitted without room")
	}
	store.Limit(-1)
	if err := h.ledger.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.catchUp()
	if len(h.sealed(hash)) != 1 {
		t.Errorf("%d rolls, want 1", len(h.sealed(hash)))
	}
	h.audited()
}
