package verify_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// A thief brings a recovery key with the stolen one, and revokes that with it; the domain takes the stolen one out. What it brought explains nothing.
func TestAgainstThiefBringsRecovery(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	thiefs, second := rolltest.NewKey("thief's recovery"), rolltest.NewKey("thief's second")
	w := provenVoucher(t, a, b, c)
	w.later(aDay)
	w.vouchedBy(a, b) // by the thief
	w.recovers(b, thiefs, b.Keys[0])
	w.revoke(b, b.Keys[0], thiefs)
	w.later(aDay)
	w.observe(b.Domain, 10*aDay) // none is mine
	w.publish()
	w.later(aDay)
	w.add(b, second, thiefs)
	theirs := w.says(entry.Endorse, b, second)
	mine := w.endorse(a)
	w.publish()
	for who, i := range map[string]uint64{"for whom it vouched": mine, "its own": theirs} {
		v := w.judged(i, verify.Require{Vouched: 1})
		tell(t, who, v)
		t.Log(evidenceOf(v, verify.ByMembers).Sentence)
		if plain(v) {
			t.Errorf("%s: a plain yes: %s", who, v.Sentence)
		}
	}
}

// The same without recovery keys: what revoked the stolen key is itself revoked before the domain speaks.
func TestAgainstThiefRevokesInARow(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second, third := rolltest.NewKey("thief's second"), rolltest.NewKey("thief's third")
	w := provenVoucher(t, a, b, c)
	w.later(aDay)
	w.vouchedBy(a, b) // by the thief
	w.add(b, second, b.Keys[0])
	w.revoke(b, b.Keys[0], second)
	w.rotate(b, second, third, second)
	w.later(aDay)
	w.observe(b.Domain, 10*aDay)
	w.publish()
	mine := w.endorse(a)
	w.publish()
	v := w.judged(mine, verify.Require{Vouched: 1})
	tell(t, "for whom it vouched", v)
	t.Log(evidenceOf(v, verify.ByMembers).Sentence)
	if plain(v) {
		t.Errorf("a plain yes: %s", v.Sentence)
	}
}

// Who rotates twice within a day, and publishes the last of them, has rotated: nobody speaks against the first.
func TestAgainstRotatedTwice(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second, third := rolltest.NewKey("second of b.example"), rolltest.NewKey("third of b.example")
	for _, twice := range []bool{false, true} {
		w := provenVoucher(t, a, b, c)
		w.vouchedBy(a, b)
		w.publish()
		mine := w.endorse(a)
		w.publish()
		w.later(10 * aDay)
		w.rotate(b, b.Keys[0], second, b.Keys[0])
		now := second
		if twice {
			w.later(time.Hour)
			w.rotate(b, second, third, second)
			now = third
		}
		w.later(time.Hour)
		w.observe(b.Domain, 10*aDay, now)
		w.publish()
		for _, known := range [][]string{nil, {"b.example"}} {
			v := w.judged(mine, verify.Require{Vouched: 1}, known...)
			tell(t, fmt.Sprint("twice: ", twice, ", known ", known), v)
			t.Log(evidenceOf(v, verify.ByMembers).Sentence)
			if !plain(v) {
				t.Errorf("twice: %v: refused: %s", twice, v.Sentence)
			}
		}
	}
}

// A key was out of the DNS for a day, long ago, and the first answer with it again was not seen in time; many since were.
func TestAgainstOutageOfLongAgo(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	w := proven(t, a, c)
	w.later(5 * aDay)
	w.observe(a.Domain, 10*aDay)
	w.publish()
	w.later(aDay)
	w.observe(a.Domain, 2*aDay, a.Keys...)
	w.later(5 * aDay) // the witnesses were out
	w.publish()
	for range 6 {
		w.later(30 * aDay)
		w.observe(a.Domain, 10*aDay, a.Keys...)
		w.publish()
	}
	mine := w.says(entry.Endorse, a, a.Keys[0])
	v := w.judged(mine, verify.Require{DNSSEC: true})
	tell(t, "a year later", v)
	t.Log(evidenceOf(v, verify.ByDNSSEC).Sentence)
	if !plain(v) {
		t.Errorf("refused: %s", v.Sentence)
	}
}

// A second officer's key, which the domain publishes all the time, revokes a third's properly. That the first officer's, which had brought it years before, was
// later taken out of the DNS without a word says nothing of that.
func TestAgainstRevokedByAPublishedKey(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 2, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of b.example")
	for _, silent := range []bool{false, true} {
		w := newNamed(t, "b.example", "c.example")
		w.rec.Register(a)
		w.join(c, 500*aDay)
		first, other := b.Keys[0], b.Keys[1]
		w.must(w.rec.Registration(b, c), w.chain(b.Domain, 10*aDay, b.Keys...))
		w.vouchedBy(a, b, other)
		w.add(b, second, first)
		w.later(time.Hour)
		w.observe(b.Domain, 10*aDay, first, other, second)
		w.publish()
		mine := w.endorse(a)
		w.publish()
		w.later(20 * aDay)
		if silent {
			w.observe(b.Domain, 10*aDay, other, second) // the first has lost his key
		} else {
			w.observe(b.Domain, 10*aDay, first, other, second)
		}
		w.publish()
		w.later(10 * aDay)
		w.revoke(b, other, second)
		w.later(time.Hour)
		if silent {
			w.observe(b.Domain, 10*aDay, second)
		} else {
			w.observe(b.Domain, 10*aDay, first, second)
		}
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, fmt.Sprint("silent: ", silent), v)
		t.Log(evidenceOf(v, verify.ByMembers).Sentence)
		if !plain(v) {
			t.Errorf("silent: %v: refused: %s", silent, v.Sentence)
		}
	}
}

// Recovery keys were brought years before a theft, by an update; after it the owner takes the stolen key out, recovers two months later and publishes.
func TestAgainstRecoveryBroughtEarlier(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	rec, fresh := rolltest.NewKey("recovery of a.example"), rolltest.NewKey("fresh of a.example")
	for _, x := range []struct {
		name  string
		wait  time.Duration // from the taking out to the revocation
		dns   bool          // it publishes the fresh one
		plain bool
	}{{"within a week", 7 * aDay, true, true}, {"two months later", 60 * aDay, true, true}, {"a withdrawal, two months later", 60 * aDay, false, false}} {
		w := proven(t, a, c)
		w.recovers(a, rec, a.Keys[0])
		for range 3 {
			w.later(30 * aDay)
			w.observe(a.Domain, 10*aDay, a.Keys...)
			w.publish()
		}
		old := w.says(entry.Endorse, a, a.Keys[0])
		w.later(10 * aDay)
		from := w.rec.State.Size()
		w.observe(a.Domain, 10*aDay)
		w.publish()
		w.later(x.wait)
		ref := a.Keys[0].Ref()
		w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: a.Domain, Revokes: &ref, CompromisedAfter: &from}, a, rec)
		if !x.dns {
			w.says(entry.Withdraw, a, rec)
			v := w.judged(old, verify.Require{})
			tell(t, x.name, v)
			t.Log(v.Answers[3].Reasons)
			continue
		}
		w.add(a, fresh, rec)
		w.later(time.Hour)
		w.observe(a.Domain, 10*aDay, fresh)
		w.publish()
		mine := w.says(entry.Endorse, a, fresh)
		v := w.judged(mine, verify.Require{Vouched: 1, DNSSEC: true})
		tell(t, x.name, v)
		if plain(v) != x.plain {
			t.Errorf("%s: %s", x.name, v.Sentence)
		}
	}
}

// A thief replaces the stolen key; its owner declares both stolen from then on, with the recovery key, and publishes a fresh one. What the key vouched for before stands.
func TestAgainstVouchedBeforeTheTheft(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	thiefs, fresh := rolltest.NewKey("thief's"), rolltest.NewKey("fresh of b.example")
	for _, rotates := range []bool{false, true} {
		w := provenVoucher(t, a, b, c)
		w.vouchedBy(a, b)
		w.publish()
		mine := w.endorse(a)
		w.publish()
		w.later(30 * aDay)
		w.observe(b.Domain, 10*aDay, b.Keys...)
		w.publish()
		from := w.rec.State.Size()
		if rotates {
			w.rotate(b, b.Keys[0], thiefs, b.Keys[0])
			w.compromised(b, thiefs, from)
		}
		w.compromised(b, b.Keys[0], from)
		w.add(b, fresh, b.Recovery[0])
		w.later(time.Hour)
		w.observe(b.Domain, 10*aDay, fresh)
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, fmt.Sprint("the thief rotates: ", rotates), v)
		if !plain(v) {
			t.Errorf("the thief rotates: %v: refused: %s", rotates, v.Sentence)
		}
		theirs := w.says(entry.Endorse, b, fresh)
		if v := w.judged(theirs, verify.Require{Vouched: 1, DNSSEC: true}); !plain(v) {
			t.Errorf("the thief rotates: %v: its own: %s", rotates, v.Sentence)
		}
	}
}

// A recovery key need not be published: who once did, and no longer does, has not spoken against it.
func TestAgainstRecoveryKeyPublishedOnce(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of a.example")
	w := newNamed(t, "a.example", "c.example")
	w.join(c, 500*aDay)
	w.publish()
	w.must(w.rec.Registration(a, c), w.chain(a.Domain, 10*aDay, a.Keys[0], a.Recovery[0]))
	w.later(20 * aDay)
	w.observe(a.Domain, 10*aDay, a.Keys[0])
	w.publish()
	w.later(60 * aDay)
	w.add(a, second, a.Recovery[0])
	mine := w.says(entry.Endorse, a, second)
	v := w.judged(mine, verify.Require{Vouched: 1})
	tell(t, "a second officer", v)
	if !plain(v) {
		t.Errorf("refused: %s", v.Sentence)
	}
}

// A key was out of the DNS for a day, long ago; with mere files nothing fixes when it was back first, but much since.
func TestAgainstOutageOfLongAgoInMereFiles(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	w := proven(t, a, c)
	w.endorse(a) // quotes the copy with the first chain
	w.publish()
	w.later(5 * aDay)
	w.observe(a.Domain, 2*aDay)
	w.publish()
	w.later(aDay)
	w.observe(a.Domain, 2*aDay, a.Keys...)
	w.publish()
	w.later(30 * aDay)
	w.rec.Publish("Another text.\n")
	w.publish()
	for range 3 {
		w.later(20 * aDay)
		w.observe(a.Domain, 10*aDay, a.Keys...)
		w.publish()
		w.endorse(a) // quotes it
		w.publish()
	}
	mine := w.says(entry.Endorse, a, a.Keys[0])
	for n, o := range w.sources() {
		in := w.asked(mine, o)
		in.Known, in.Require = []string{"c.example"}, verify.Require{DNSSEC: true}
		v := verify.Judge(in)
		t.Log(n, evidenceOf(v, verify.ByDNSSEC).Sentence)
		if !plain(v) {
			t.Errorf("%s: refused: %s", n, v.Sentence)
		}
	}
}
