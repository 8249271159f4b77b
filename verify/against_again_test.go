package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// A thief has the keys of two officers, each of which may speak alone, and has what one of them brought revoke the other. The domain takes both out of the DNS.
func TestAgainstTwoStolenKeysEndEachOther(t *testing.T) {
	for _, first := range []int{0, 1} { // who of the two brings the thief's recovery keys
		a, c := rolltest.NewOrg("a.example", 2, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
		y, z := a.Keys[first], a.Keys[1-first]
		one, two := rolltest.NewKey("thief's recovery"), rolltest.NewKey("thief's other recovery")
		added, last := rolltest.NewKey("thief's"), rolltest.NewKey("thief's last")
		w := proven(t, a, c)
		w.later(aDay)
		w.add(a, added, z)
		w.rec.Do(&entry.Membership{Action: entry.Update, Member: a.Domain, Name: a.Name, Quorum: 1, RecoveryKeys: []entry.PublicKey{one.Line(), two.Line()}}, a, y, one, two)
		w.revoke(a, y, added)
		w.revoke(a, z, two)
		w.revoke(a, added, one)
		w.later(aDay)
		w.observe(a.Domain, 10*aDay) // none is mine
		w.publish()
		w.later(aDay)
		w.add(a, last, one)
		mine := w.says(entry.Endorse, a, last)
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, fmt.Sprint(first), v)
		if plain(v) {
			t.Errorf("%d: a plain yes: %s", first, v.Sentence)
		}
	}
}

// A thief replaces a key that was never published, having vouched with it; its owner publishes another, which is in no record.
func TestAgainstThiefReplacesAnUnpublishedKey(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	thiefs, second, fresh := rolltest.NewKey("thief's"), rolltest.NewKey("thief's second"), rolltest.NewKey("fresh, in no record")
	for name, then := range map[string]func(w *named){
		"not":              func(*named) {},
		"once":             func(w *named) { w.rotate(b, b.Keys[0], thiefs, b.Keys[0]) },
		"twice":            func(w *named) { w.rotate(b, b.Keys[0], thiefs, b.Keys[0]); w.rotate(b, thiefs, second, thiefs) },
		"by what it added": func(w *named) { w.add(b, thiefs, b.Keys[0]); w.revoke(b, b.Keys[0], thiefs) },
	} {
		w := newNamed(t, "b.example", "c.example")
		w.rec.Register(a)
		w.join(c, 100*aDay)
		w.publish()
		w.rec.Register(b, c)
		w.vouchedBy(a, b) // by the thief
		then(w)
		w.publish()
		w.later(aDay)
		w.observe("b.example", 10*aDay, fresh)
		w.publish()
		mine := w.endorse(a)
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, name, v)
		t.Log(evidenceOf(v, verify.ByMembers).Sentence)
		if plain(v) {
			t.Errorf("replaced %s: a plain yes: %s", name, v.Sentence)
		}
	}
}

// Who never published a key publishes its successor first, as is asked for, and replaces the key in the record an hour later.
func TestAgainstFirstPublishedBeforeItIsReplaced(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of b.example")
	for _, rotates := range []bool{true, false} {
		w := newNamed(t, "b.example", "c.example")
		w.rec.Register(a)
		w.join(c, 100*aDay)
		w.publish()
		w.rec.Register(b, c)
		w.vouchedBy(a, b)
		w.publish()
		mine, theirs := w.endorse(a), w.says(entry.Endorse, b, b.Keys[0])
		w.publish()
		w.later(30 * aDay)
		w.observe("b.example", 10*aDay, second)
		w.publish()
		w.later(time.Hour)
		if rotates {
			w.rotate(b, b.Keys[0], second, b.Keys[0])
		}
		w.later(aDay)
		w.observe("b.example", 10*aDay, second)
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, "for whom it vouched", v)
		t.Log(evidenceOf(v, verify.ByMembers).Sentence)
		if plain(v) != rotates {
			t.Errorf("rotates: %v: for whom it vouched: %s", rotates, v.Sentence)
		}
		v = w.judged(theirs, verify.Require{Vouched: 1})
		tell(t, "its own", v)
		if against := strings.Contains(v.Sentence, "speaks against"); against == rotates {
			t.Errorf("rotates: %v: its own: %s", rotates, v.Sentence)
		}
		if told := evidenceOf(v, verify.ByDNSSEC).Sentence != ""; told == rotates {
			t.Errorf("rotates: %v: its own: %+v", rotates, v.Evidence)
		}
	}
}

// Two officers, whose keys the domain publishes, replace the third's. That the new one is not published yet says nothing against the old one.
func TestAgainstReplacedByTheOthers(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 3, 0, 2), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("the third officer's second")
	for _, by := range [][]*rolltest.Key{a.Keys[1:], a.Keys[:2]} {
		w := proven(t, a, c)
		mine := w.rec.Do(&entry.Endorsement{Action: entry.Endorse, Statement: w.statement, After: w.after()}, a, a.Keys[0], a.Keys[1])
		w.publish()
		w.later(20 * aDay)
		line, ref := second.Line(), a.Keys[0].Ref()
		w.rec.Do(&entry.KeyEvent{Action: entry.Rotate, Member: a.Domain, PublicKey: &line, Revokes: &ref}, a, append(slices.Clone(by), second)...)
		w.later(aDay)
		w.observe(a.Domain, 10*aDay, a.Keys[1], a.Keys[2])
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1, DNSSEC: true})
		tell(t, "replaced", v)
		if strings.Contains(v.Sentence, "speaks against") {
			t.Errorf("accused: %s", v.Sentence)
		}
	}
}

// The former holder's key was stolen, and the thief withdrew with it: that is told when somebody else has registered the domain since, and said something on the text.
func TestAgainstFormerHolderWithdrewWithAStolenKey(t *testing.T) {
	for _, declared := range []bool{true, false} {
		for _, then := range []entry.Action{entry.Endorse, entry.Withdraw} {
			a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
			again := &rolltest.Org{Domain: a.Domain, Name: "The New Holder", Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey("a.example again")}}
			thiefs := rolltest.NewKey("thief's")
			w := proven(t, a, c)
			mine := w.says(entry.Endorse, a, a.Keys[0])
			from := w.add(a, thiefs, a.Keys[0])
			w.says(entry.Withdraw, a, thiefs)
			if declared {
				w.compromised(a, thiefs, from)
			} else {
				w.later(aDay)
				w.observe(a.Domain, 10*aDay, a.Keys[0])
			}
			w.rec.Do(&entry.Membership{Action: entry.Leave, Member: a.Domain}, a)
			w.later(100 * aDay)
			w.rec.Register(again)
			w.publish()
			w.says(entry.Endorse, again, again.Keys[0])
			if then == entry.Withdraw {
				w.says(entry.Withdraw, again, again.Keys[0])
			}
			v := w.judged(mine, verify.Require{})
			tell(t, fmt.Sprint("declared: ", declared, ", then ", then), v)
			want := "The withdrawal is disputed"
			if !declared {
				want = "Its domain speaks against a key that signed the withdrawal"
			}
			if v.Code != verify.CodeWithdrawn || !strings.Contains(v.Sentence, want) {
				t.Errorf("declared: %v, then %s: %s", declared, then, v.Sentence)
			}
			if told := strings.Contains(fmt.Sprint(v.Answers[3].Reasons), "who has endorsed the text, too, and withdrew by entry"); told != (then == entry.Withdraw) {
				t.Errorf("then %s: %q", then, v.Answers[3].Reasons)
			}
		}
	}
}

// So it is with the new holder's withdrawal.
func TestAgainstNewHolderWithdrewWithAStolenKey(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	again := &rolltest.Org{Domain: a.Domain, Name: "The New Holder", Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey("a.example again")}, Recovery: []*rolltest.Key{rolltest.NewKey("a.example again, recovery")}}
	w := proven(t, nil, c)
	w.rec.Register(a, c)
	mine := w.says(entry.Endorse, a, a.Keys[0])
	w.rec.Do(&entry.Membership{Action: entry.Leave, Member: a.Domain}, a)
	w.later(100 * aDay)
	from := w.rec.Register(again)
	w.publish()
	w.says(entry.Withdraw, again, again.Keys[0])
	w.compromised(again, again.Keys[0], from)
	w.publish()
	v := w.judged(mine, verify.Require{})
	tell(t, "withdrawn", v)
	if v.Code != verify.CodeWithdrawn || !strings.Contains(v.Sentence, "The withdrawal is disputed") {
		t.Errorf("nothing of a dispute: %s", v.Sentence)
	}
}

// The same, but nothing fixes when the domain published the successor: nobody is accused, and it is not a plain word of the domain.
func TestAgainstReplacedByOneOfUnknownTime(t *testing.T) {
	b, c := rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of b.example")
	w := newNamed(t, "b.example", "c.example")
	w.join(c, 100*aDay)
	w.publish()
	w.rec.Register(b, c)
	w.publish()
	mine := w.says(entry.Endorse, b, b.Keys[0])
	w.later(30 * aDay)
	w.observe("b.example", 10*aDay, second)
	w.publish()
	w.later(time.Hour)
	w.rotate(b, b.Keys[0], second, b.Keys[0])
	w.later(aDay)
	w.observe("b.example", 2*aDay, second)
	w.later(5 * aDay) // the witnesses were out
	w.publish()
	v := w.judged(mine, verify.Require{Vouched: 1})
	tell(t, "unknown time", v)
	if said := evidenceOf(v, verify.ByDNSSEC).Sentence; v.Code != 0 || !strings.Contains(said, "an answer names one that replaced it, and nothing fixes its time") {
		t.Errorf("%s\n%s", v.Sentence, said)
	}
}

// A domain whose own zone leaves out delegations without keys (NSEC3 opt-out) takes its key away: that is its word as that of any other, and its zone is still signed.
func TestAgainstTakenOutOfAZoneWithOptOut(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	for _, o := range []dnssectest.Options{{}, {NSEC3: true}, {NSEC3: true, OptOut: true}} {
		w := newNamed(t, "c.example")
		w.dns.Zone("b.example", o)
		w.rec.Register(a)
		w.join(c, 100*aDay)
		w.must(w.rec.Registration(b, c), w.chain(b.Domain, 10*aDay, b.Keys...))
		w.later(aDay)
		w.observe(b.Domain, 10*aDay) // none is mine
		w.publish()
		w.vouchedBy(a, b) // by the thief
		w.publish()
		mine, theirs := w.endorse(a), w.says(entry.Endorse, b, b.Keys[0])
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, fmt.Sprintf("%+v", o), v)
		if plain(v) {
			t.Errorf("%+v: a plain yes: %s", o, v.Sentence)
		}
		v = w.judged(theirs, verify.Require{})
		if said := evidenceOf(v, verify.ByDNSSEC).Sentence; !strings.Contains(said, "it was no longer there") {
			t.Errorf("%+v: %s", o, said)
		}
	}
}

// One of two officers sets up recovery keys and retires, then the other does, whom a recovery key revokes; another brings a third. That each explains why the other
// is gone from the DNS says nothing against the third, who was not published yet when it signed.
func TestAgainstOfficersRetireOneAfterTheOther(t *testing.T) {
	for i := range 4 {
		long, same := i%2 == 0, i >= 2 // the first was published long after it had set up the recovery keys; the one that revoked brings the third
		a, c := rolltest.NewOrg("a.example", 2, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
		one, two, third := rolltest.NewKey("recovery"), rolltest.NewKey("other recovery"), rolltest.NewKey("third officer")
		y, z := a.Keys[0], a.Keys[1]
		w := proven(t, a, c)
		w.rec.Do(&entry.Membership{Action: entry.Update, Member: a.Domain, Name: a.Name, Quorum: 1, RecoveryKeys: []entry.PublicKey{one.Line(), two.Line()}}, a, y, one, two)
		if long {
			for range 3 {
				w.later(30 * aDay)
				w.observe(a.Domain, 10*aDay, y, z)
				w.publish()
			}
		}
		w.later(aDay)
		w.revoke(a, y, z)
		w.later(aDay)
		w.observe(a.Domain, 10*aDay, z)
		w.publish()
		w.later(aDay)
		w.revoke(a, z, two)
		w.later(aDay)
		w.observe(a.Domain, 10*aDay)
		w.publish()
		by := one
		if same {
			by = two
		}
		w.add(a, third, by)
		mine := w.says(entry.Endorse, a, third)
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, fmt.Sprint("long: ", long, ", same: ", same), v)
		if plain(v) != long {
			t.Errorf("long: %v, same: %v: %s", long, same, v.Sentence)
		}
	}
}

// A thief has the keys of two officers. The one brought the other long ago, and is revoked by a recovery key which that brings; the domain takes both out.
func TestAgainstTwoStolenKeysOfWhichOneBroughtTheOther(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	y, z, thiefs := b.Keys[0], rolltest.NewKey("second of b.example"), rolltest.NewKey("thief's recovery")
	for _, taken := range [][]*rolltest.Key{nil, {z}} { // what the domain still publishes
		w := provenVoucher(t, a, b, c)
		w.add(b, z, y)
		for range 4 {
			w.later(29 * aDay)
			w.observe(b.Domain, 10*aDay, y, z)
			w.publish()
		}
		w.vouchedBy(a, b) // with y, by the thief or, where z stays, its owner
		w.recovers(b, thiefs, z)
		w.revoke(b, y, thiefs)
		w.later(aDay)
		w.observe(b.Domain, 10*aDay, taken...)
		w.publish()
		mine := w.endorse(a)
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, fmt.Sprint(len(taken)), v)
		if plain(v) != (taken != nil) {
			t.Errorf("%d stay: %s", len(taken), v.Sentence)
		}
	}
}

// Two officers set up a recovery key together, and both retire with it, long after. It says of both why they are gone.
func TestAgainstRecoverySetUpTogether(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 2, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	y, z, recovery := b.Keys[0], b.Keys[1], rolltest.NewKey("recovery of b.example")
	for _, long := range []bool{true, false} {
		w := provenVoucher(t, a, b, c)
		w.rec.Do(&entry.Membership{Action: entry.Update, Member: b.Domain, Name: b.Name, Quorum: 1, RecoveryKeys: []entry.PublicKey{recovery.Line()}}, b, y, z, recovery)
		w.vouchedBy(a, b, y)
		if long {
			for range 3 {
				w.later(29 * aDay)
				w.observe(b.Domain, 10*aDay, y, z)
				w.publish()
			}
		}
		mine := w.endorse(a)
		w.revoke(b, y, recovery)
		w.revoke(b, z, recovery)
		w.later(aDay)
		w.observe(b.Domain, 10*aDay)
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, fmt.Sprint("long: ", long), v)
		if plain(v) != long {
			t.Errorf("long: %v: %s", long, v.Sentence)
		}
	}
}

// What a stolen key brought is hidden behind a row of replacements that is too long to follow: it explains nothing for that.
func TestAgainstBroughtBesideALongRow(t *testing.T) {
	for _, first := range []int{0, 1} { // which is looked at first
		a, c := rolltest.NewOrg("a.example", 2, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
		stolen, now := a.Keys[0], a.Keys[1]
		thiefs, recovery := rolltest.NewKey("thief's"), rolltest.NewKey("thief's recovery")
		w := proven(t, a, c)
		for i := range 1010 {
			next := rolltest.NewKey(fmt.Sprint("in a row ", i))
			w.rotate(a, now, next, now)
			now = next
		}
		w.later(60 * aDay)
		w.observe(a.Domain, 10*aDay, a.Keys...)
		w.publish()
		mine := w.says(entry.Endorse, a, stolen)
		w.add(a, thiefs, stolen)
		by := []*rolltest.Key{thiefs, now, recovery}
		by[0], by[first] = by[first], by[0]
		w.rec.Do(&entry.Membership{Action: entry.Update, Member: a.Domain, Name: a.Name, Quorum: 1, RecoveryKeys: []entry.PublicKey{recovery.Line()}}, a, by...)
		w.revoke(a, stolen, recovery)
		w.later(aDay)
		w.observe(a.Domain, 10*aDay)
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, fmt.Sprint(first), v)
		if !strings.Contains(v.Sentence, "speaks against a key that signed") {
			t.Errorf("%d: explained: %s", first, v.Sentence)
		}
	}
}

// Who asks about many gets the same answers as who asks about each alone, in whatever order. One officer's key, replaced and declared stolen later on by a second, set up
// recovery keys, one of which retired the officer who had brought the second.
func TestAgainstAskedInAnotherOrder(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 2, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	y, z, one, two := a.Keys[0], a.Keys[1], rolltest.NewKey("recovery"), rolltest.NewKey("other recovery")
	next, second, third, fourth := rolltest.NewKey("next"), rolltest.NewKey("second officer"), rolltest.NewKey("third officer"), rolltest.NewKey("fourth officer")
	w := proven(t, a, c)
	w.add(a, second, z)
	w.rec.Do(&entry.Membership{Action: entry.Update, Member: a.Domain, Name: a.Name, Quorum: 1, RecoveryKeys: []entry.PublicKey{one.Line(), two.Line()}}, a, y, one, two)
	from, ref := w.rec.State.Size(), y.Ref()
	w.later(aDay)
	w.rotate(a, y, next, y)
	w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: a.Domain, Revokes: &ref, CompromisedAfter: &from}, a, second)
	w.revoke(a, z, one)
	w.revoke(a, second, second)
	w.later(aDay)
	w.observe(a.Domain, 10*aDay, next)
	w.publish()
	w.add(a, third, one)
	w.add(a, fourth, two)
	var ins []verify.Input
	for _, k := range []*rolltest.Key{third, fourth} {
		ins = append(ins, w.asked(w.says(entry.Endorse, a, k), w.server()))
	}
	o := w.server()
	o.Receipts = []*verify.Receipt{ins[0].Receipt, ins[1].Receipt}
	report := w.audit(o)
	for first := range ins {
		judge := verify.Judging()
		for _, i := range []int{first, 1 - first} {
			ins[i].Record = report
			v := judge(ins[i])
			tell(t, fmt.Sprintf("%d, first %d", i, first), v)
			if alone := verify.Judge(ins[i]); !plain(alone) || v.Sentence != alone.Sentence || v.Answers[0].State != alone.Answers[0].State {
				t.Errorf("%d, after %d: %s\nalone: %s", i, first, v.Sentence, alone.Sentence)
			}
		}
	}
}

// A stolen key is taken out of the DNS; two months later the recovery key puts another into its place, and says since when it was stolen. That the other is not published
// says nothing against what was signed before.
func TestAgainstReplacedLongAfterAsStolen(t *testing.T) {
	for _, rotates := range []bool{true, false} {
		a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
		fresh, other := rolltest.NewKey("fresh of a.example"), rolltest.NewKey("in no record")
		w := proven(t, a, c)
		mine := w.says(entry.Endorse, a, a.Keys[0])
		from := w.rec.State.Size()
		w.later(10 * aDay)
		w.observe(a.Domain, 10*aDay)
		w.publish()
		w.later(60 * aDay)
		if rotates {
			line, ref := fresh.Line(), a.Keys[0].Ref()
			w.rec.Do(&entry.KeyEvent{Action: entry.Rotate, Member: a.Domain, PublicKey: &line, Revokes: &ref, CompromisedAfter: &from}, a, a.Recovery[0], fresh)
		} else {
			w.compromised(a, a.Keys[0], from)
			w.add(a, fresh, a.Recovery[0])
		}
		w.later(aDay)
		w.observe(a.Domain, 10*aDay, other)
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, fmt.Sprint("rotates: ", rotates), v)
		if v.Code != 0 || strings.Contains(fmt.Sprint(v.Answers[0].Reasons), "speaks against") {
			t.Errorf("rotates: %v: accused: %s", rotates, v.Sentence)
		}
	}
}

// An officer set up a recovery key, and went from the DNS without a word. What the recovery key brings is doubted if that was soon, whether or not it revokes the officer's.
func TestAgainstBroughtLongBeforeItWent(t *testing.T) {
	for i := range 4 {
		long, revokes := i%2 == 0, i >= 2
		a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
		recovery, second := rolltest.NewKey("recovery of a.example"), rolltest.NewKey("second of a.example")
		w := proven(t, a, c)
		w.recovers(a, recovery, a.Keys[0])
		if long {
			for range 3 {
				w.later(30 * aDay)
				w.observe(a.Domain, 10*aDay, a.Keys...)
				w.publish()
			}
		}
		w.later(aDay)
		w.observe(a.Domain, 10*aDay)
		w.publish()
		if revokes {
			w.revoke(a, a.Keys[0], recovery)
		}
		w.add(a, second, recovery)
		v := w.judged(w.says(entry.Endorse, a, second), verify.Require{Vouched: 1})
		tell(t, fmt.Sprint("long: ", long, ", revokes: ", revokes), v)
		if plain(v) != long {
			t.Errorf("long: %v, revokes: %v: %s", long, revokes, v.Sentence)
		}
	}
}
