package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
		w := newNamed(t, "a.example", "c.example")
		w.join(c, 100*aDay)
		w.publish()
		w.must(w.rec.Registration(a, c), w.chain(a.Domain, 10*aDay, a.Keys...))
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
	}
}

// Two officers, whose keys the domain publishes, replace the third's. That the new one is not published yet says nothing against the old one.
func TestAgainstReplacedByTheOthers(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 3, 0, 2), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("the third officer's second")
	for _, by := range [][]*rolltest.Key{a.Keys[1:], a.Keys[:2]} {
		w := newNamed(t, "a.example", "c.example")
		w.join(c, 100*aDay)
		w.publish()
		w.must(w.rec.Registration(a, c), w.chain(a.Domain, 10*aDay, a.Keys...))
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
