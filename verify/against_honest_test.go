package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// Two keys signed what is on a list: one has been declared compromised, the other suspended since.
func TestAgainstListOfDisputedAndSuspended(t *testing.T) {
	a := rolltest.NewOrg("a.example", 2, 1, 2)
	w := newNamed(t, "a.example")
	w.rec.Register(a)
	w.publish()
	w.endorse(a)
	w.later(time.Hour)
	index := w.rec.Seal(w.statement)
	w.publish()
	w.compromised(a, a.Keys[0], 1)
	ref := a.Keys[1].Ref()
	w.rec.Do(&entry.KeyEvent{Action: entry.Suspend, Member: a.Domain, Revokes: &ref}, w.rec.Operator)
	w.publish()
	r := w.rollReceipt(index, "")
	in := verify.Input{Policy: w.policy(), Receipt: r, Statement: []byte(w.text), Now: w.rec.Now}
	in.Record = w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{r}, Covering: w.covering})
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("panics: %v", r)
		}
	}()
	tell(t, "list", verify.Judge(in))
}

// A zone is unsigned for a day, and when it is signed again the key has been taken out: that is the domain's own word.
func TestAgainstUnsignedThenTakenOut(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	for _, unsigned := range []bool{false, true} {
		w := provenVoucher(t, a, b, c)
		w.later(aDay)
		if unsigned {
			w.dns.Zone("b.example", dnssectest.Options{Unsigned: true})
			w.observe("b.example", 10*aDay)
			w.publish()
			w.dns.Zone("b.example", dnssectest.Options{})
		}
		w.later(aDay)
		w.observe("b.example", 10*aDay, rolltest.NewKey("new of b.example")) // signed: without the stolen key
		w.publish()
		w.vouchedBy(a, b) // by the thief
		w.publish()
		mine := w.endorse(a)
		w.publish()
		for _, known := range [][]string{nil, {"b.example"}} {
			v := w.judged(mine, verify.Require{Vouched: 1}, known...)
			tell(t, fmt.Sprint("unsigned first: ", unsigned, ", known ", known), v)
			t.Log(evidenceOf(v, verify.ByMembers).Sentence)
			if plain(v) {
				t.Errorf("a plain yes: %s", v.Sentence)
			}
		}
	}
}

// The same, of a key that the one taken out brought.
func TestAgainstUnsignedThenTakenOutBrought(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	for _, unsigned := range []bool{false, true} {
		w := proven(t, a, c)
		w.later(aDay)
		if unsigned {
			w.dns.Zone("a.example", dnssectest.Options{Unsigned: true})
			w.observe("a.example", 10*aDay)
			w.publish()
			w.dns.Zone("a.example", dnssectest.Options{})
		}
		w.later(aDay)
		w.observe("a.example", 10*aDay, rolltest.NewKey("new of a.example"))
		w.publish()
		second := rolltest.NewKey("thief's")
		w.add(a, second, a.Keys[0])
		mine := w.says(entry.Endorse, a, second)
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, fmt.Sprint("unsigned first: ", unsigned), v)
		if plain(v) {
			t.Errorf("a plain yes: %s", v.Sentence)
		}
	}
}

// DNS is out for a day, on which the organization signs, and is repaired the next day.
func TestAgainstSignedDuringAnOutage(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	for name, x := range map[string]struct{ unsigned, before bool }{
		"unsigned, signs during": {true, true}, "record lost, signs during": {false, true},
		"unsigned, signed before": {true, false}, "record lost, signed before": {false, false},
	} {
		w := proven(t, a, c)
		w.later(5 * aDay)
		var mine uint64
		if !x.before {
			mine = w.says(entry.Endorse, a, a.Keys[0])
		}
		if x.unsigned {
			w.dns.Zone("a.example", dnssectest.Options{Unsigned: true})
		}
		w.observe("a.example", 10*aDay)
		w.publish()
		if x.before {
			mine = w.says(entry.Endorse, a, a.Keys[0])
		}
		w.later(aDay)
		if x.unsigned {
			w.dns.Zone("a.example", dnssectest.Options{})
		}
		w.observe("a.example", 10*aDay, a.Keys...)
		w.publish()
		for n, o := range w.sources() {
			in := w.asked(mine, o)
			in.Require, in.Known = verify.Require{Vouched: 1}, []string{"c.example"}
			v := verify.Judge(in)
			tell(t, name+", "+n, v)
			if strings.Contains(v.Sentence, "speaks against") {
				t.Errorf("%s, %s: accused: %s", name, n, v.Sentence)
			}
		}
	}
}

// A zone is unsigned for good after it signed: that accuses nobody.
func TestAgainstUnsignedForGood(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	w := proven(t, a, c)
	mine := w.says(entry.Endorse, a, a.Keys[0])
	w.later(400 * aDay)
	w.dns.Zone("a.example", dnssectest.Options{Unsigned: true})
	w.observe("a.example", 10*aDay, a.Keys...)
	w.publish()
	v := w.judged(mine, verify.Require{Vouched: 1})
	tell(t, "unsigned for good", v)
	if strings.Contains(v.Sentence, "speaks against") {
		t.Errorf("accused: %s", v.Sentence)
	}
}

// Whoever changes the DNS first and the record an hour later has rotated its key; what it vouched for before stands.
func TestAgainstRotationWithDNSFirst(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of b.example")
	w := provenVoucher(t, a, b, c)
	w.vouchedBy(a, b)
	w.publish()
	mine := w.endorse(a)
	w.publish()
	check(t, "before", func() verify.Input {
		in := w.asked(mine, w.server())
		in.Require = verify.Require{Vouched: 1}
		return in
	}(), 0)
	w.later(30 * aDay)
	w.observe("b.example", 10*aDay, second) // the ledger asks within the hour
	w.publish()
	w.later(time.Hour)
	w.rotate(b, b.Keys[0], second, b.Keys[0])
	w.publish()
	theirs := w.says(entry.Endorse, b, second)
	v := w.judged(theirs, verify.Require{Vouched: 1})
	tell(t, "b's own, until the ledger asks again", v)
	w.later(aDay)
	w.observe("b.example", 10*aDay, second)
	w.publish()
	v = w.judged(theirs, verify.Require{Vouched: 1})
	tell(t, "b's own, after", v)
	v = w.judged(mine, verify.Require{Vouched: 1})
	tell(t, "a's", v)
	t.Log(evidenceOf(v, verify.ByMembers).Sentence)
	if !plain(v) {
		t.Errorf("the voucher is accused: %s", v.Sentence)
	}
}

// A second officer's key is published a day later: nothing speaks against it, where no chain counts either.
func TestAgainstSecondKeyADayLater(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of a.example")
	w := proven(t, a, c)
	w.add(a, second, a.Keys[0])
	w.later(aDay)
	w.observe("a.example", 10*aDay, a.Keys[0]) // the monthly one
	w.publish()
	w.later(aDay)
	w.observe("a.example", 10*aDay, a.Keys[0], second)
	w.publish()
	w.later(100 * aDay)
	mine := w.says(entry.Endorse, a, second)
	w.later(20 * aDay)
	w.publish()
	for n, o := range w.sources() {
		in := w.asked(mine, o)
		in.Known = []string{"c.example"}
		v := verify.Judge(in)
		tell(t, n, v)
		t.Log(evidenceOf(v, verify.ByDNSSEC).Sentence)
		if strings.Contains(fmt.Sprint(v.Answers[0].Reasons), "and not ed25519") {
			t.Errorf("%s: accused", n)
		}
	}
	v := w.unwitnessed(mine, verify.Input{Known: []string{"c.example"}, Require: verify.Require{Vouched: 1}})
	tell(t, "quorum none", v)
	t.Log(evidenceOf(v, verify.ByDNSSEC).Sentence)
	if strings.Contains(v.Sentence, "speaks against") {
		t.Errorf("quorum none: accused")
	}
}

// Somebody else registers the domain and withdraws: that is not the former holder's withdrawal.
func TestAgainstOtherHolderWithdraws(t *testing.T) {
	a := rolltest.NewOrg("a.example", 1, 0, 1)
	a.Name = "The Old Holder"
	again := &rolltest.Org{Domain: a.Domain, Name: "The New Holder", Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey("a.example again")}}
	w := newNamed(t, "a.example")
	w.rec.Register(a)
	w.publish()
	mine := w.says(entry.Endorse, a, a.Keys[0])
	w.rec.Do(&entry.Membership{Action: entry.Leave, Member: a.Domain}, a)
	w.later(100 * aDay)
	w.rec.Register(again)
	w.publish()
	w.says(entry.Withdraw, again, again.Keys[0])
	v := w.judged(mine, verify.Require{})
	tell(t, "old receipt", v)
	if strings.Contains(v.Sentence, "The Old Holder") && strings.Contains(v.Sentence, "and withdrew") {
		t.Errorf("not so: %s", v.Sentence)
	}
}

// The receipt of a withdrawal, endorsed again, before somebody else had the domain: the date is not that of an endorsement.
func TestAgainstWithdrawalOfFormerHolder(t *testing.T) {
	a := rolltest.NewOrg("a.example", 1, 0, 1)
	again := &rolltest.Org{Domain: a.Domain, Name: "The New Holder", Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey("a.example again")}}
	for _, more := range []bool{false, true} {
		w := newNamed(t, "a.example")
		w.rec.Register(a)
		w.publish()
		w.says(entry.Endorse, a, a.Keys[0])
		w.later(10 * aDay)
		withdrawal := w.says(entry.Withdraw, a, a.Keys[0])
		w.later(10 * aDay)
		if more {
			w.says(entry.Endorse, a, a.Keys[0])
		}
		w.rec.Do(&entry.Membership{Action: entry.Leave, Member: a.Domain}, a)
		w.later(100 * aDay)
		w.rec.Register(again)
		w.publish()
		w.says(entry.Endorse, again, again.Keys[0])
		v := w.judged(withdrawal, verify.Require{})
		tell(t, fmt.Sprint("endorsed again by itself: ", more), v)
		if strings.HasPrefix(v.Sentence, "Yes") && !strings.Contains(v.Sentence, "withdrew") {
			t.Errorf("the receipt of a withdrawal: %s", v.Sentence)
		}
	}
}

// A thief's endorsement is on a list; its owner has withdrawn since, and declared the key compromised.
func TestAgainstListWithdrawnSince(t *testing.T) {
	a := rolltest.NewOrg("a.example", 1, 1, 1)
	second := rolltest.NewKey("second of a.example")
	w := newNamed(t, "a.example")
	w.rec.Register(a)
	w.publish()
	w.endorse(a)
	w.later(time.Hour)
	index := w.rec.Seal(w.statement)
	w.publish()
	w.rotate(a, a.Keys[0], second, a.Keys[0])
	w.says(entry.Withdraw, a, second)
	w.compromised(a, a.Keys[0], 1)
	w.publish()
	for name, domain := range map[string]string{"all": "", "asked": a.Domain} {
		for _, words := range []bool{true, false} {
			r := w.rollReceipt(index, "")
			if !words {
				r.Notes = nil
				var keep []verify.Support
				for _, s := range r.Support {
					if strings.Contains(string(s.Leaf), "undersigned/statement/v1") {
						keep = append(keep, s)
					}
				}
				r.Support = keep
			}
			v := w.listed(r, verify.Input{Domain: domain, Statement: []byte(w.text)})
			tell(t, fmt.Sprint(name, ", with signatures: ", words), v)
			t.Logf("%+v", v.Roll.Lines)
			if v.Code == 0 && !strings.Contains(v.Sentence, "closer") {
				t.Errorf("%s, with signatures %v: nothing of a dispute: %s", name, words, v.Sentence)
			}
		}
	}
}

// A thief vouches with a stolen key and replaces it at once; the domain takes out the stolen key, and never publishes the other.
func TestAgainstThiefOfAVoucherRotates(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	thiefs, fresh := rolltest.NewKey("thief's"), rolltest.NewKey("fresh, in no record")
	for name, then := range map[string][]*rolltest.Key{"none": nil, "another": {fresh}} {
		w := provenVoucher(t, a, b, c)
		w.later(aDay)
		w.vouchedBy(a, b)
		w.rotate(b, b.Keys[0], thiefs, b.Keys[0])
		w.later(aDay)
		w.observe("b.example", 10*aDay, then...)
		w.publish()
		mine := w.endorse(a)
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1})
		tell(t, name, v)
		t.Log(evidenceOf(v, verify.ByMembers).Sentence)
		if plain(v) {
			t.Errorf("%s: a plain yes: %s", name, v.Sentence)
		}
	}
}

// The domain speaks against the key that withdrew: that is told beside the withdrawal.
func TestAgainstWithdrawnByADeniedKey(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	thiefs := rolltest.NewKey("thief's")
	w := proven(t, a, c)
	mine := w.says(entry.Endorse, a, a.Keys[0])
	w.add(a, thiefs, a.Keys[0])
	w.later(aDay)
	w.observe("a.example", 10*aDay, a.Keys[0])
	w.says(entry.Withdraw, a, thiefs)
	v := w.judged(mine, verify.Require{})
	tell(t, "withdrawn", v)
	if !strings.Contains(fmt.Sprint(v.Answers), "and not ed25519") {
		t.Errorf("nothing of what speaks against it: %s", v.Sentence)
	}
}

// Of what was endorsed with a stolen key, and has a newer version, the sentence says both.
func TestAgainstDisputedAndSuperseded(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	w := newNamed(t, "a.example", "c.example")
	w.join(c, 100*aDay)
	w.publish()
	w.rec.Register(a, c)
	mine := w.says(entry.Endorse, a, a.Keys[0])
	w.compromised(a, a.Keys[0], 1)
	h := w.statement
	text := "Another version.\n"
	w.rec.Do(&entry.Statement{Action: entry.Publish, Statement: entry.Sum([]byte(text)), Title: "Another", Language: "en", MediaType: "text/plain", Size: int64(len(text)), Supersedes: &h}, w.rec.Operator)
	w.publish()
	v := w.judged(mine, verify.Require{})
	tell(t, "both", v)
	if strings.HasPrefix(v.Sentence, "Yes") && !strings.Contains(v.Sentence, "isputed") {
		t.Errorf("nothing of a dispute: %s", v.Sentence)
	}
}

// A key taken out of the DNS by mistake and put back the next day, in a copy of the record that nobody quotes in time.
func TestAgainstPutBackInMereFiles(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of b.example")
	w := provenVoucher(t, a, b, c)
	w.publish()
	w.add(b, second, b.Keys[0])
	w.later(aDay)
	w.observe("b.example", 10*aDay, b.Keys[0])
	w.publish()
	w.later(aDay)
	w.observe("b.example", 10*aDay, b.Keys[0], second)
	w.publish()
	w.vouchedBy(a, b, second)
	w.later(20 * aDay)
	w.rec.Publish("Another text.\n")
	w.publish()
	theirs := w.says(entry.Endorse, b, second)
	mine := w.endorse(a)
	w.publish()
	for n, o := range w.sources() {
		for i, who := range map[uint64]string{theirs: "b", mine: "a"} {
			in := w.asked(i, o)
			in.Known, in.Require = []string{"b.example", "c.example"}, verify.Require{Vouched: 1}
			v := verify.Judge(in)
			tell(t, n+", "+who, v)
			t.Log(evidenceOf(v, verify.ByDNSSEC).Sentence)
			if strings.Contains(v.Sentence, "against") {
				t.Errorf("%s, %s: accused", n, who)
			}
		}
	}
}

// What speaks against the entry by which an endorsement stands is told where no witness has seen the copy, too.
func TestAgainstStandsByUnwitnessed(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	thiefs := rolltest.NewKey("thief's")
	w := proven(t, a, c)
	mine := w.says(entry.Endorse, a, a.Keys[0])
	w.says(entry.Withdraw, a, a.Keys[0])
	w.add(a, thiefs, a.Keys[0])
	w.later(aDay)
	w.observe("a.example", 10*aDay, a.Keys[0])
	w.says(entry.Endorse, a, thiefs)
	v := w.unwitnessed(mine, verify.Input{Known: []string{"c.example"}})
	tell(t, "quorum none", v)
	if !strings.Contains(fmt.Sprint(v.Answers[3]), "and not ed25519") {
		t.Errorf("nothing of what speaks against entry by which it stands: %s %q", v.Answers[3].Text, v.Answers[3].Reasons)
	}
}

// A key adds another, which revokes it; the domain follows. What each signed meanwhile is asked about, whichever way.
func TestAgainstKeysThatEndEachOther(t *testing.T) {
	for _, published := range []bool{true, false} {
		a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
		second := rolltest.NewKey("second of a.example")
		w := proven(t, a, c)
		first := w.says(entry.Endorse, a, a.Keys[0])
		w.add(a, second, a.Keys[0])
		ref := a.Keys[0].Ref()
		w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: a.Domain, Revokes: &ref}, a, second)
		w.later(aDay)
		if published {
			w.observe(a.Domain, 10*aDay, second)
		} else {
			w.observe(a.Domain, 10*aDay)
		}
		w.publish()
		mine := w.says(entry.Endorse, a, second)
		for _, i := range []uint64{first, mine} {
			v := w.judged(i, verify.Require{})
			tell(t, fmt.Sprint(i), v)
			if plain(v) != (published && i == mine) {
				t.Errorf("published: %v, entry %d: %s", published, i, v.Sentence)
			}
			if against := strings.Contains(fmt.Sprint(v.Evidence), "publishes no keys in the DNS"); against != (!published && i == mine) {
				t.Errorf("published: %v, entry %d: %+v", published, i, v.Evidence)
			}
		}
	}
}
