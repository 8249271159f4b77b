package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// kinds are the kinds of a verdict's evidence, with a sign at those that count.
func kinds(v *verify.Verdict) string {
	var list []string
	for _, e := range v.Evidence {
		kind := e.Kind
		if e.Counts {
			kind += "+"
		}
		list = append(list, kind)
	}
	return strings.Join(list, " ")
}

// What a domain says itself counts for more than the operator's word, is dated, and ranks behind members.
func TestOwner(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t, 2)
	d := dnssectest.New(w.rec.Now.Add(-day), w.rec.Now.Add(13*day))
	dnssectest.Trust(d.Anchors()...)
	d.Zone("example", dnssectest.Options{})
	d.Zone("our.example", dnssectest.Options{})
	our := rolltest.NewOrg("our.example", 1, 1, 1)
	our.Name = "Ours"
	chain := func(ks ...*rolltest.Key) []byte {
		t.Helper()
		var list []dnssec.Record
		for _, k := range ks {
			list = append(list, dnssec.Record{Ledger: rolltest.Origin, Key: k.Ref().Fingerprint})
		}
		d.Publish("our.example", list...)
		d.Window(w.rec.Now.Add(-time.Hour), w.rec.Now.Add(14*day))
		b, _, err := d.Chain("our.example", w.rec.Now)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if err := w.rec.ApplyWith(w.rec.Registration(our), chain(our.Keys...)); err != nil {
		t.Fatal(err)
	}
	joined := w.rec.State.Size() - 1
	w.publish()
	mine := w.endorse(our)
	w.publish()
	in := w.replayed(mine)
	v := check(t, "proven by the domain", in, 0)
	wantStates(t, v, "✔✔✔✔")
	if kinds(v) != "dnssec+ operator" || *v.Evidence[0].Index != joined || v.Evidence[0].Gone != nil || v.Evidence[0].Until.Format(time.DateOnly) != "2024-06-25" {
		t.Errorf("%+v", v.Evidence)
	}
	if want := fmt.Sprintf("The domain our.example itself published the key in the DNS, signed: from 11 June 2024, entry %d, until 25 June 2024 at least.", joined); !slices.Contains(v.Answers[0].Reasons, want) {
		t.Errorf("%q", v.Answers[0].Reasons)
	}
	// What the reader asks for.
	for _, c := range []struct {
		require string
		code    int
	}{{"dnssec", 0}, {"vouched:1", verify.CodeUnchecked}, {"vouched:1,dnssec", verify.CodeUnchecked}} {
		var err error
		if in.Require, err = verify.ParseRequire(c.require); err != nil {
			t.Fatal(err)
		}
		check(t, c.require, in, c.code)
	}
	in = w.replayed(indexEndorsedAPNIC)
	for require, code := range map[string]int{"dnssec": verify.CodeUnchecked, "vouched:2": verify.CodeUnchecked} {
		in.Require, _ = verify.ParseRequire(require)
		if v := check(t, "of another: "+require, in, code); !strings.Contains(v.Sentence, "It is required that") {
			t.Error(v.Sentence)
		}
	}
	alone := verify.Input{Policy: w.policy(), Receipt: w.receipt(mine), Statement: []byte(w.text), Require: verify.Require{DNSSEC: true}}
	check(t, "a receipt alone", alone, verify.CodeUnchecked)
	// A member vouches too, and ranks first; and who is proven by its domain can vouch for more than the operator's word.
	w.rec.Do(&entry.Membership{Action: entry.Update, Member: "our.example", Name: our.Name, Quorum: 1, RecoveryKeys: []entry.PublicKey{our.Recovery[0].Line()}, Vouchers: rolltest.NewOrg("apnic.net", 2, 1, 2).Vouch()}, our)
	pt := rolltest.NewOrg("dns.pt", 1, 1, 1)
	w.rec.Do(&entry.Membership{Action: entry.Update, Member: pt.Domain, Name: "Portugal", Quorum: 1, RecoveryKeys: []entry.PublicKey{pt.Recovery[0].Line()}, Vouchers: our.Vouch()}, pt)
	w.publish()
	if v := check(t, "vouched for too", w.replayed(mine), 0); kinds(v) != "vouched+ dnssec+" {
		t.Errorf("%+v", v.Evidence)
	}
	if v := check(t, "vouched for by one that is proven", w.replayed(indexEndorsedPT), 0); kinds(v) != "vouched+" || states(v)[:3] != "✔" {
		t.Errorf("%s %+v", states(v), v.Evidence)
	}
	// The key goes from the DNS: told, with its date.
	w.rec.Now = w.rec.Now.Add(20 * day)
	gone := w.rec.Must(&entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: "our.example", Data: chain()}})
	later := w.endorse(our)
	w.publish()
	v = check(t, "gone from the DNS", w.replayed(mine), 0)
	if want := fmt.Sprintf("By 1 July 2024, entry %d, it is no longer there.", gone); kinds(v) != "vouched+ dnssec+" || v.Evidence[1].Gone == nil || !strings.Contains(v.Evidence[1].Sentence, want) || v.Answers[0].State != verify.LookCloser {
		t.Errorf("%+v", v)
	}
	if v := check(t, "signed after it had gone", w.replayed(later), 0); kinds(v) != "vouched+ dnssec" {
		t.Errorf("%+v", v.Evidence)
	}
	in = w.replayed(later)
	in.Require = verify.Require{DNSSEC: true}
	check(t, "required after it had gone", in, verify.CodeUnchecked)
}

// A chain that no quorum of witnesses saw while it was valid proves nothing: its signatures may be forged by then.
func TestLateChain(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t, 2)
	d := dnssectest.New(w.rec.Now.Add(-day), w.rec.Now.Add(2*day))
	dnssectest.Trust(d.Anchors()...)
	d.Zone("example", dnssectest.Options{})
	d.Zone("our.example", dnssectest.Options{})
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	d.Publish("our.example", dnssec.Record{Ledger: rolltest.Origin, Key: our.Keys[0].Ref().Fingerprint})
	chain, _, err := d.Chain("our.example", w.rec.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.rec.ApplyWith(w.rec.Registration(our), chain); err != nil {
		t.Fatal(err)
	}
	w.rec.Now = w.rec.Now.Add(5 * day) // nothing is published meanwhile
	w.publish()
	mine := w.endorse(our)
	w.publish()
	v := check(t, "late", w.replayed(mine), 0)
	if kinds(v) != "dnssec operator" || !strings.Contains(v.Evidence[0].Sentence, "no quorum of witnesses says that this existed before") {
		t.Errorf("%+v", v.Evidence)
	}
}

func TestParseRequire(t *testing.T) {
	for s, want := range map[string]verify.Require{"dnssec": {DNSSEC: true}, "vouched:2": {Vouched: 2}, "vouched:2,dnssec": {2, true}, "dnssec,vouched:12": {12, true}} {
		if r, err := verify.ParseRequire(s); err != nil || r != want {
			t.Errorf("%s: %+v %v", s, r, err)
		}
	}
	for _, s := range []string{"", "dns", "vouched", "vouched:0", "vouched:02", "vouched:+2", "vouched:100", "dnssec,dnssec", "vouched:1,vouched:2", "dnssec,", "dnssec, vouched:1"} {
		if r, err := verify.ParseRequire(s); err == nil {
			t.Errorf("%q: %+v", s, r)
		}
	}
}
