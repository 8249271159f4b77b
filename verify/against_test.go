package verify_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/verify"
	browser "github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// What is required of the key is required of that by which an endorsement stands again, too.
func TestAgainstStandsByAnUnprovenKey(t *testing.T) {
	a := rolltest.NewOrg("a.example", 1, 1, 1)
	second := rolltest.NewKey("second of a.example")
	w := newNamed(t, "a.example")
	w.must(w.rec.Registration(a), w.chain(a.Domain, 10*aDay, a.Keys...))
	mine := w.says(entry.Endorse, a, a.Keys[0])
	w.says(entry.Withdraw, a, a.Keys[0])
	w.later(90 * aDay)
	w.add(a, second, a.Keys[0])
	last := w.says(entry.Endorse, a, second)
	for name, i := range map[string]uint64{"the last": last, "the old receipt": mine} {
		v := w.judged(i, verify.Require{DNSSEC: true})
		tell(t, name, v)
		if plain(v) {
			t.Errorf("a plain yes: %s: %s", name, v.Sentence)
		}
	}
}

// That a voucher's zone is no longer signed is nothing against its key: nobody took that out of the DNS.
func TestAgainstUnsignedZoneOfAVoucher(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	w := provenVoucher(t, a, b, c)
	w.vouchedBy(a, b)
	w.publish()
	mine := w.endorse(a)
	w.publish()
	w.later(400 * aDay)
	w.dns.Zone("b.example", dnssectest.Options{Unsigned: true})
	w.observe("b.example", 10*aDay, b.Keys[0]) // which it still publishes
	w.publish()
	for _, known := range [][]string{nil, {"b.example"}} {
		v := w.judged(mine, verify.Require{Vouched: 1}, known...)
		tell(t, fmt.Sprint("known ", known), v)
		if ev := evidenceOf(v, verify.ByMembers); strings.Contains(ev.Sentence, "took its key out of the DNS") {
			t.Errorf("not so: %s", ev.Sentence)
		}
	}
}

// Chains that came into the record with the same copy cost one look: those late in the alphabet of a long list are proven, too.
func TestAgainstLateInTheAlphabet(t *testing.T) {
	const n, months = 45, 24
	var domains []string
	var orgs []*rolltest.Org
	for i := range n {
		o := rolltest.NewOrg(fmt.Sprintf("m%02d.example", i), 1, 0, 1)
		domains, orgs = append(domains, o.Domain), append(orgs, o)
	}
	w := newNamed(t, domains...)
	for _, o := range orgs {
		w.join(o, 14*aDay)
	}
	w.publish()
	for range months - 1 {
		w.later(30 * aDay)
		for _, o := range orgs {
			w.observe(o.Domain, 14*aDay, o.Keys[0])
		}
		w.publish()
	}
	w.later(20 * aDay)
	w.rec.Register(rolltest.NewOrg("idle.example", 1, 0, 1))
	w.publish()
	for _, o := range orgs {
		w.endorse(o)
	}
	w.later(time.Hour)
	index := w.rec.Seal(w.statement)
	w.publish()
	r := w.rollReceipt(index, "")
	v := w.listed(r, verify.Input{Require: verify.Require{DNSSEC: true}})
	t.Log(v.Code, v.Sentence)
	if strings.Contains(v.Sentence, "m44.example") {
		t.Errorf("refused: %s", v.Sentence)
	}
	for _, l := range v.Roll.Lines {
		if l.Domain == "m44.example" {
			t.Logf("%q %q", l.Missing, l.Closer)
		}
	}
}

// Of more than 200 behind a text, the headline says that not all were asked about; who is disputed is told of all.
func TestAgainstTextOfMany(t *testing.T) {
	w := newNamed(t, "c.example")
	c := rolltest.NewOrg("c.example", 1, 0, 1)
	w.join(c, 300*aDay)
	w.publish()
	w.text = "Another text, which many stand behind, and which is long enough to be told apart.\n"
	w.statement = w.rec.Publish(w.text)
	var orgs []*rolltest.Org
	for i := range 200 {
		o := rolltest.NewOrg(fmt.Sprintf("m%03d.example", i), 1, 0, 1)
		w.rec.Register(o, c)
		orgs = append(orgs, o)
	}
	z := rolltest.NewOrg("z.example", 1, 1, 1)
	w.rec.Register(z)
	w.publish()
	for _, o := range append(orgs, z) {
		w.endorse(o)
	}
	w.compromised(z, z.Keys[0], 1)
	w.publish()
	ch := browser.New(func() time.Time { return w.rec.Now })
	if _, err := ch.Policy([]byte(w.policyText())); err != nil {
		t.Fatal(err)
	}
	if v, err := ch.Record(t.Context(), browser.Source{Fetch: w.fetch}, 10000, nil); err != nil || !v.Replayed {
		t.Fatalf("%v %+v", err, v)
	}
	a, err := ch.Check(t.Context(), browser.Brought{Bytes: []byte(w.text)})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(a.Code, a.Sentence)
	for _, x := range a.Answers {
		t.Logf("%s %s: %s %q", x.Question, x.State, x.Text, x.Reasons)
	}
	if !strings.Contains(a.Sentence, "Look closer") {
		t.Errorf("the headline: %s", a.Sentence)
	}
	if !strings.Contains(strings.Join(a.Answers[0].Reasons, " "), "disputed") {
		t.Errorf("nothing of the dispute: %q", a.Answers[0].Reasons)
	}
}

// A thief adds its own key and signs with it; the owner then takes the stolen one out of the DNS, or publishes a fresh one instead: that speaks against the thief's, too.
func TestAgainstDeniedKeyHadBroughtAnother(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second, fresh := rolltest.NewKey("second"), rolltest.NewKey("fresh, in no record")
	second2 := rolltest.NewKey("second of b.example")
	for _, x := range []struct {
		name string
		then []*rolltest.Key
	}{{"nothing published then", nil}, {"a fresh key published then", []*rolltest.Key{fresh}}} {
		t.Run("endorser, "+x.name, func(t *testing.T) {
			w := proven(t, a, c)
			w.add(a, second, a.Keys[0])
			mine := w.says(entry.Endorse, a, second)
			w.later(aDay)
			w.observe("a.example", 10*aDay, x.then...)
			w.publish()
			v := w.judged(mine, verify.Require{Vouched: 1})
			tell(t, x.name, v)
			if plain(v) {
				t.Errorf("a plain yes: %s", v.Sentence)
			}
		})
		t.Run("voucher, "+x.name, func(t *testing.T) {
			w := provenVoucher(t, a, b, c)
			w.add(b, second2, b.Keys[0])
			w.vouchedBy(a, b, second2)
			w.later(aDay)
			w.observe("b.example", 10*aDay, x.then...)
			w.publish()
			mine := w.endorse(a)
			w.publish()
			v := w.judged(mine, verify.Require{Vouched: 1})
			if plain(v) {
				t.Errorf("a plain yes: %s\n%s", v.Sentence, evidenceOf(v, verify.ByMembers).Sentence)
			}
		})
	}
}

// What a voucher's domain took away does not count again when somebody publishes it years later.
func TestAgainstWhitewashOfAVoucher(t *testing.T) {
	a, b := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1)
	w := newNamed(t, "b.example")
	w.rec.Register(a)
	w.join(b, 10*aDay)
	w.publish()
	w.vouchedBy(a, b)
	w.later(aDay)
	w.observe("b.example", 10*aDay)
	w.publish()
	mine := w.endorse(a)
	w.publish()
	if v := w.judged(mine, verify.Require{}); plain(v) {
		t.Error("control")
	}
	w.later(3 * 365 * aDay)
	w.observe("b.example", 10*aDay, b.Keys...)
	w.publish()
	if v := w.judged(mine, verify.Require{Vouched: 1}); plain(v) {
		t.Errorf("a plain yes: %s\n%s", v.Sentence, evidenceOf(v, verify.ByMembers).Sentence)
	}
}

// The headline of a sealed list calls for a closer look where more is to be said of somebody on it.
func TestAgainstHeadlineOfAList(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	for _, x := range []struct {
		name    string
		make    func(w *named)
		require verify.Require
	}{
		{"disputed", func(w *named) { w.compromised(a, a.Keys[0], 1) }, verify.Require{}},
		{"gone from the DNS", func(w *named) {
			w.later(aDay)
			w.observe(a.Domain, 10*aDay)
		}, verify.Require{Vouched: 1}},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newNamed(t, "a.example", "c.example")
			w.text = "Another text.\n"
			w.statement = w.rec.Publish(w.text)
			w.join(c, 100*aDay)
			w.publish()
			w.must(w.rec.Registration(a, c), w.chain(a.Domain, 10*aDay, a.Keys...))
			w.endorse(a)
			w.later(time.Hour)
			index := w.rec.Seal(w.statement)
			w.publish()
			x.make(w)
			w.publish()
			r := w.rollReceipt(index, "")
			v := w.listed(r, verify.Input{Statement: []byte(w.text), Require: x.require})
			tell(t, x.name, v)
			t.Logf("%q", v.Roll.Lines[0].Closer)
			if v.Code == 0 && len(v.Roll.Lines[0].Closer) > 0 && !strings.Contains(v.Sentence, "closer") {
				t.Errorf("headline says nothing: %s", v.Sentence)
			}
		})
	}
}

// What is required of the key's owner does not hold where the domain speaks against the key.
func TestAgainstRequireOfADeniedKey(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	for _, x := range []struct {
		name    string
		before  bool
		require verify.Require
	}{
		{"gone before it signed, vouched:1", true, verify.Require{Vouched: 1}},
		{"gone after it signed, vouched:1,dnssec", false, verify.Require{Vouched: 1, DNSSEC: true}},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := proven(t, a, c)
			gone := func() {
				w.later(aDay)
				w.observe(a.Domain, 10*aDay)
				w.publish()
			}
			if x.before {
				gone()
			}
			mine := w.says(entry.Endorse, a, a.Keys[0])
			if !x.before {
				gone()
			}
			in := w.asked(mine, w.server())
			in.Require = x.require
			v := verify.Judge(in)
			tell(t, x.name, v)
			if v.Code == 0 {
				t.Errorf("code 0: %s", v.Sentence)
			}
		})
	}
}

// What a domain publishes for this ledger can be recorded though none of it is a key of the member's: that speaks against an impostor's.
func TestAgainstForeignKeysCannotBeRecorded(t *testing.T) {
	bank, c := rolltest.NewOrg("bank.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	real := rolltest.NewKey("the real one's")
	w := newNamed(t, "bank.example", "c.example")
	w.join(c, 100*aDay)
	w.publish()
	w.rec.Register(bank, c) // an impostor
	w.publish()
	mine := w.endorse(bank)
	w.publish()
	err := w.rec.Apply(&entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: bank.Domain, Data: w.chain(bank.Domain, 10*aDay, real)}})
	v := w.judged(mine, verify.Require{})
	tell(t, "impostor", v)
	if err != nil && plain(v) {
		t.Errorf("the real domain's word is refused (%v), and: %s", err, v.Sentence)
	}
}

// What a new holder publishes says nothing of the former one's keys.
func TestAgainstOtherHolder(t *testing.T) {
	a := rolltest.NewOrg("a.example", 1, 0, 1)
	again := &rolltest.Org{Domain: a.Domain, Name: "Another", Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey("a.example again")}}
	w := newNamed(t, "a.example")
	w.rec.Register(a)
	w.publish()
	mine := w.endorse(a)
	w.rec.Do(&entry.Membership{Action: entry.Leave, Member: a.Domain}, a)
	w.later(10 * aDay)
	w.join(again, 10*aDay)
	w.publish()
	v := w.judged(mine, verify.Require{})
	tell(t, "former", v)
	if slices.ContainsFunc(v.Answers[0].Reasons, func(s string) bool { return strings.Contains(s, "publishes other keys of the organization") }) {
		t.Error("not so: the new holder's keys are called those of the organization")
	}
}

// That a key was suspended after it signed is told.
func TestAgainstSuspended(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	w := proven(t, nil, c)
	w.rec.Register(a, c)
	mine := w.says(entry.Endorse, a, a.Keys[0])
	ref := a.Keys[0].Ref()
	w.rec.Do(&entry.KeyEvent{Action: entry.Suspend, Member: a.Domain, Revokes: &ref}, w.rec.Operator)
	w.publish()
	v := w.judged(mine, verify.Require{})
	tell(t, "suspended", v)
	if plain(v) && !strings.Contains(fmt.Sprintf("%+v", v), "suspend") {
		t.Errorf("nothing of the suspension: %s", v.Sentence)
	}
}

// a.example endorses, withdraws and leaves; somebody else registers the domain and endorses: the old endorsement is withdrawn.
func TestAgainstStandsByAnotherHolder(t *testing.T) {
	a := rolltest.NewOrg("a.example", 1, 0, 1)
	a.Name = "The Old Holder"
	again := &rolltest.Org{Domain: a.Domain, Name: "The New Holder", Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey("a.example again")}}
	w := newNamed(t, "a.example")
	w.rec.Register(a)
	w.publish()
	mine := w.says(entry.Endorse, a, a.Keys[0])
	w.says(entry.Withdraw, a, a.Keys[0])
	w.rec.Do(&entry.Membership{Action: entry.Leave, Member: a.Domain}, a)
	w.later(100 * aDay)
	w.rec.Register(again)
	w.publish()
	w.says(entry.Endorse, again, again.Keys[0])
	v := w.judged(mine, verify.Require{})
	tell(t, "old receipt", v)
	if strings.Contains(v.Sentence, "The Old Holder") && strings.Contains(v.Sentence, "still stands") {
		t.Errorf("not so: %s", v.Sentence)
	}
}

// What a domain says of a key counts after its organization has left, too: a thief might have left for it.
func TestAgainstThiefLeaves(t *testing.T) {
	a, b := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1)
	w := newNamed(t, "b.example")
	w.rec.Register(a)
	w.join(b, 10*aDay)
	w.publish()
	w.vouchedBy(a, b)                                                     // by the thief
	w.rec.Do(&entry.Membership{Action: entry.Leave, Member: b.Domain}, b) // the same
	w.later(aDay)
	w.publish()
	mine := w.endorse(a)
	w.publish()
	err := w.rec.Apply(&entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: b.Domain, Data: w.chain(b.Domain, 10*aDay)}})
	v := w.judged(mine, verify.Require{Vouched: 1})
	tell(t, "thief left", v)
	if err != nil && plain(v) {
		t.Errorf("the domain's denial is refused (%v), and: %s\n%s", err, v.Sentence, evidenceOf(v, verify.ByMembers).Sentence)
	}
}

// Two keys sign, and one of them goes from the DNS: the sentence says so, whichever it is.
func TestAgainstOneOfTwoKeysGone(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 2, 1, 2), rolltest.NewOrg("c.example", 1, 0, 1)
	for _, x := range []struct {
		name          string
		before, after []*rolltest.Key
	}{
		{"the first", a.Keys, a.Keys[1:]},
		{"the second", a.Keys, a.Keys[:1]},
		{"the first, and the second came", a.Keys[:1], a.Keys[1:]},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newNamed(t, "a.example", "c.example")
			w.join(c, 100*aDay)
			w.publish()
			w.must(w.rec.Registration(a, c), w.chain(a.Domain, 10*aDay, x.before...))
			mine := w.endorse(a)
			w.publish()
			w.later(aDay)
			w.observe(a.Domain, 20*aDay, x.after...)
			w.publish()
			v := w.judged(mine, verify.Require{})
			ev := evidenceOf(v, verify.ByDNSSEC)
			t.Logf("%s\n%s\n%+v", v.Sentence, ev.Sentence, ev)
			if ev.Gone != nil && !strings.Contains(ev.Sentence, "no longer there") {
				t.Errorf("nothing says that a key is gone: %s", v.Sentence)
			}
			if ev.Last != nil && ev.Last.Before(*ev.Since) {
				t.Errorf("first seen %v, last seen %v", ev.Since, ev.Last)
			}
		})
	}
}

// The thief replaces the stolen key, and the owner takes that out of the DNS, and publishes another one, or none: that speaks against what replaced it.
func TestAgainstThiefRotates(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second, fresh := rolltest.NewKey("second"), rolltest.NewKey("fresh, in no record")
	for name, then := range map[string][]*rolltest.Key{"none": nil, "another": {fresh}} {
		w := proven(t, a, c)
		w.rotate(a, a.Keys[0], second, a.Keys[0])
		w.later(aDay)
		w.observe(a.Domain, 10*aDay, then...)
		w.publish()
		mine := w.says(entry.Endorse, a, second)
		v := w.judged(mine, verify.Require{})
		tell(t, name, v)
		if plain(v) {
			t.Errorf("%s: %s", name, v.Sentence)
		}
	}
}

// a.example endorses, withdraws, and a thief endorses again with a key that its domain leaves out. The old receipt must not say a plain yes.
func TestAgainstStandsByADeniedKey(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of a.example")
	w := proven(t, a, c)
	mine := w.says(entry.Endorse, a, a.Keys[0])
	withdrawal := w.says(entry.Withdraw, a, a.Keys[0])
	w.add(a, second, a.Keys[0])
	w.later(aDay)
	w.observe("a.example", 10*aDay, a.Keys[0])
	thiefs := w.says(entry.Endorse, a, second)
	o := w.server()
	alone := verify.Judge(w.asked(thiefs, o))
	tell(t, "the thief's own", alone)
	if plain(alone) {
		t.Error("control: plain")
	}
	in := w.asked(mine, o)
	in.Receipt, in.Domain = nil, a.Domain
	in.Record = w.audit(verify.AuditOptions{Covering: w.covering, About: a.Domain})
	if v := verify.Judge(in); plain(v) {
		t.Error("control: plain when the organization is asked about")
	}
	for name, i := range map[string]uint64{"the old receipt": mine, "the receipt of the withdrawal": withdrawal} {
		in := w.asked(i, o)
		in.Require = verify.Require{Vouched: 1, DNSSEC: true}
		v := verify.Judge(in)
		tell(t, name, v)
		if plain(v) {
			t.Errorf("a plain yes: %s: %s", name, v.Sentence)
		}
	}
}

// The domain takes the key away; whoever has it brings another with it, which nobody ever published, and signs with that.
func TestAgainstDeniedKeyBringsAnother(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of a.example")
	for _, x := range []struct {
		name   string
		rotate bool
	}{{"add", false}, {"rotate", true}} {
		t.Run(x.name, func(t *testing.T) {
			w := proven(t, a, c)
			w.later(aDay)
			w.observe("a.example", 10*aDay) // the domain says: none is mine
			w.publish()
			first := w.says(entry.Endorse, a, a.Keys[0])
			if v := w.judged(first, verify.Require{}); plain(v) {
				t.Error("control")
			}
			if x.rotate {
				w.rotate(a, a.Keys[0], second, a.Keys[0])
			} else {
				w.add(a, second, a.Keys[0])
			}
			mine := w.says(entry.Endorse, a, second)
			w.later(aDay)
			w.rec.Register(rolltest.NewOrg("idle.example", 1, 0, 1))
			w.publish()
			v := w.judged(mine, verify.Require{Vouched: 1})
			tell(t, x.name, v)
			if plain(v) {
				t.Errorf("a plain yes: %s", v.Sentence)
			}
		})
	}
}

// The same of a voucher: its domain took the key away, then that key brought another which vouched.
func TestAgainstDeniedKeyOfAVoucherBringsAnother(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of b.example")
	w := provenVoucher(t, a, b, c)
	w.later(aDay)
	w.observe("b.example", 10*aDay)
	w.add(b, second, b.Keys[0])
	w.vouchedBy(a, b, second)
	w.publish()
	mine := w.endorse(a)
	w.publish()
	v := w.judged(mine, verify.Require{Vouched: 1})
	tell(t, "voucher", v)
	if plain(v) {
		t.Errorf("a plain yes: %s\n%s", v.Sentence, evidenceOf(v, verify.ByMembers).Sentence)
	}
}

// A voucher vouches with a key, replaces it in the record, and only then begins to publish keys: that says nothing against the first.
func TestAgainstReplacedBeforeItPublished(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of b.example")
	w := newNamed(t, "b.example", "c.example")
	w.rec.Register(a)
	w.join(c, 100*aDay)
	w.publish()
	w.rec.Register(b, c)
	w.vouchedBy(a, b)
	w.publish()
	mine := w.endorse(a)
	w.publish()
	in := w.asked(mine, w.server())
	in.Require = verify.Require{Vouched: 1}
	check(t, "before", in, 0)
	w.later(aDay)
	w.rotate(b, b.Keys[0], second, b.Keys[0])
	w.later(20 * aDay)
	w.observe("b.example", 10*aDay, second)
	w.publish()
	for _, known := range [][]string{nil, {"b.example"}} {
		in = w.asked(mine, w.server())
		in.Require, in.Known = verify.Require{Vouched: 1}, known
		v := verify.Judge(in)
		tell(t, fmt.Sprint("known ", known), v)
		if ev := evidenceOf(v, verify.ByMembers); v.Code != 0 || ev.Vouchers[0].Rests == verify.RestsDenied {
			t.Errorf("refused: %s\n%s", v.Sentence, ev.Sentence)
		}
	}
}

// A domain left a key out when it signed: that somebody publishes it there years later does not undo that.
func TestAgainstWhitewash(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of a.example")
	for _, x := range []struct {
		name string
		make func(w *named) uint64
		then []*rolltest.Key
	}{
		{"left out, published three years later", func(w *named) uint64 {
			w.add(a, second, a.Keys[0])
			w.later(aDay)
			w.observe("a.example", 10*aDay, a.Keys[0])
			return w.says(entry.Endorse, a, second)
		}, []*rolltest.Key{second}},
		{"gone, published three years later", func(w *named) uint64 {
			i := w.says(entry.Endorse, a, a.Keys[0])
			w.later(aDay)
			w.observe("a.example", 10*aDay)
			return i
		}, a.Keys},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := proven(t, a, c)
			mine := x.make(w)
			w.publish()
			if v := w.judged(mine, verify.Require{}); plain(v) {
				t.Error("control")
			}
			w.later(3 * 365 * aDay)
			w.observe("a.example", 10*aDay, x.then...)
			w.publish()
			v := w.judged(mine, verify.Require{Vouched: 1})
			tell(t, x.name, v)
			t.Log(evidenceOf(v, verify.ByDNSSEC).Sentence)
			if plain(v) {
				t.Errorf("a plain yes: %s", v.Sentence)
			}
		})
	}
}

// Beside a replay, a list has the names for which members vouched.
func TestAgainstNameOnAList(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	a.Name = "Deutsche Bundesbank"
	w := newNamed(t, "c.example")
	w.join(c, 100*aDay)
	w.rec.Register(a)
	w.publish()
	w.endorse(a)
	w.update(a, "Small Shop", c)
	w.publish()
	w.later(time.Hour)
	index := w.rec.Seal(w.statement)
	w.publish()
	r := w.rollReceipt(index, "")
	v := w.listed(r, verify.Input{Require: verify.Require{Vouched: 1}, Known: []string{"nic.example"}})
	for _, l := range v.Roll.Lines {
		t.Logf("%s, %s, missing %q, closer %q", l.Domain, l.Name, l.Missing, l.Closer)
		if l.Domain == a.Domain && l.Name == "Deutsche Bundesbank" && len(l.Missing) == 0 {
			t.Errorf("a plain yes: the line of %s, %s, meets vouched:1", l.Domain, l.Name)
		}
	}
}

// A withdrawal with a stolen key counts, and is told as disputed.
func TestAgainstDisputedWithdrawal(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of a.example")
	w := newNamed(t, "a.example", "c.example")
	w.join(c, 100*aDay)
	w.publish()
	w.rec.Register(a, c)
	mine := w.says(entry.Endorse, a, a.Keys[0])
	from := w.add(a, second, a.Keys[0])
	w.says(entry.Withdraw, a, second)
	w.compromised(a, second, from)
	w.publish()
	v := w.judged(mine, verify.Require{})
	tell(t, "withdrawn by a thief", v)
	if !strings.Contains(fmt.Sprintf("%+v", v), "disputed") {
		t.Errorf("nothing of a dispute: %s", v.Sentence)
	}
}

// A ledger cannot hide that a domain leaves a key out by naming no copy with the chain that shows it.
func TestAgainstLeavingOutHiddenByServer(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of a.example")
	w := newNamed(t, "a.example", "c.example")
	w.join(c, 100*aDay)
	w.publish()
	w.rec.Register(a, c) // without a chain
	w.add(a, second, a.Keys[0])
	w.publish()
	mark := w.after()
	left := w.observe("a.example", 2*aDay, a.Keys[0]) // in time: names the first key and not the second
	w.publish()
	mine := w.endorseOn(a2(a, second), mark)
	w.later(5 * aDay)
	w.rec.Register(rolltest.NewOrg("idle.example", 1, 0, 1))
	w.publish()
	size := w.rec.State.Size()
	for name, covering := range map[string]func(context.Context, uint64) (uint64, bool){
		"an honest server": w.covering,
		"a server that says nothing of it": func(ctx context.Context, i uint64) (uint64, bool) {
			if i == left {
				return 0, false
			}
			return w.covering(ctx, i)
		},
		"a server that names a later copy": func(ctx context.Context, i uint64) (uint64, bool) {
			if i == left {
				return size, true
			}
			return w.covering(ctx, i)
		},
	} {
		in := w.asked(mine, verify.AuditOptions{Covering: covering})
		in.Require = verify.Require{Vouched: 1}
		v := verify.Judge(in)
		tell(t, name, v)
		if plain(v) {
			t.Errorf("a plain yes: %s: %s", name, v.Sentence)
		}
	}
}

// Of one who is asked about by a whole list, without the signatures, a dispute is told.
func TestAgainstAskedOnAWholeList(t *testing.T) {
	a := rolltest.NewOrg("a.example", 1, 1, 1)
	w := newNamed(t, "a.example")
	w.rec.Register(a)
	w.publish()
	w.endorse(a)
	w.later(time.Hour)
	index := w.rec.Seal(w.statement)
	w.publish()
	w.compromised(a, a.Keys[0], 1)
	w.publish()
	r := w.rollReceipt(index, "")
	v := w.listed(r, verify.Input{Domain: a.Domain})
	tell(t, "asked", v)
	if !strings.Contains(fmt.Sprintf("%+v %+v", v, v.Roll.Lines), "isputed") {
		t.Errorf("nothing of a dispute: %s", v.Sentence)
	}
}

// What is said of a voucher whose key a stolen one brought.
func TestAgainstSentences(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of b.example")
	w := newNamed(t, "a.example", "b.example", "c.example")
	e := w.rec.Registration(a)
	w.must(e, w.chain(a.Domain, 10*aDay, a.Keys...))
	w.join(c, 100*aDay)
	w.rec.Register(b, c)
	from := w.add(b, second, b.Keys[0])
	w.vouchedBy(a, b, second)
	w.compromised(b, b.Keys[0], from)
	w.publish()
	mine := w.endorse(a)
	w.publish()
	v := w.judged(mine, verify.Require{})
	tell(t, "voucher disputed", v)
	ev := evidenceOf(v, verify.ByMembers)
	k, _ := w.rec.State.Key(second.Ref())
	if k.Compromised || !strings.Contains(ev.Sentence, "a key that vouched has been declared compromised from before that, or had come with such a key") {
		t.Errorf("not so: %s", ev.Sentence)
	}
	if slices.Contains(v.Answers[0].Reasons, "Nobody vouched for this name; the domain published the key.") {
		t.Error("not so: nobody vouched")
	}
}
