package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// An organization hands its recovery keys over, which takes the quorum and an old one, and its key is stolen soon after; the new one takes everything back, as the docs say. No thief
// of the key alone could have brought that.
func TestAgainstTheftSoonAfterRecoveryWasHandedOver(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	safe, fresh := rolltest.NewKey("new recovery of a.example"), rolltest.NewKey("fresh of a.example")
	for _, x := range []struct {
		name   string
		before int // recovery keys
		plain  bool
	}{{"handed over", 1, true}, {"the first one, which its quorum alone brought, as a thief could have", 0, false}} {
		a.Recovery = a.Recovery[:x.before]
		w := proven(t, a, c)
		mine := w.says(entry.Endorse, a, a.Keys[0])
		w.later(30 * aDay)
		by := []*rolltest.Key{a.Keys[0], safe}
		if x.before > 0 {
			by = append(by, a.Recovery[0])
		}
		w.rec.Do(&entry.Membership{Action: entry.Update, Member: a.Domain, Name: a.Name, Quorum: 1, RecoveryKeys: []entry.PublicKey{safe.Line()}}, a, by...)
		w.observe(a.Domain, 10*aDay, a.Keys...)
		w.publish()
		w.later(20 * aDay)
		from := w.rec.State.Size()
		w.says(entry.Endorse, a, a.Keys[0]) // by the thief
		w.later(aDay)
		ref := a.Keys[0].Ref()
		w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: a.Domain, Revokes: &ref, CompromisedAfter: &from}, a, safe)
		w.add(a, fresh, safe)
		w.says(entry.Withdraw, a, safe)
		w.says(entry.Endorse, a, fresh)
		w.later(time.Hour)
		w.observe(a.Domain, 10*aDay, fresh)
		w.publish()
		v := w.judged(mine, verify.Require{Vouched: 1, DNSSEC: true})
		tell(t, x.name, v)
		if accused := strings.Contains(fmt.Sprint(v.Answers[0].Reasons), "speaks against"); accused == x.plain || (v.Code == 0) != x.plain {
			t.Errorf("%s: code %d: %s", x.name, v.Code, v.Sentence)
		}
	}
}

// A wildcard of the zone answers where a key was taken away, so that nobody can prove that it is gone; another text at the name can, as the docs ask for.
func TestAgainstTakenAwayBesideAWildcard(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	for _, typ := range []uint16{dnssectest.TXT, dnssectest.CNAME} {
		w := proven(t, nil, c)
		data := map[uint16][]byte{dnssectest.TXT: dnssectest.Text("v=spf1 -all"), dnssectest.CNAME: dnssectest.Name("www.example")}[typ]
		zone := w.dns.Zone("a.example", dnssectest.Options{})
		zone.Set("*.a.example", typ, data)
		w.must(w.rec.Registration(a, c), w.chain(a.Domain, 10*aDay, a.Keys...))
		w.later(aDay)
		w.dns.Publish(a.Domain)
		w.dns.Window(w.rec.Now.Add(-time.Hour), w.rec.Now.Add(10*aDay))
		if _, r, err := w.dns.Chain(a.Domain, w.rec.Now); err == nil {
			t.Errorf("type %d: nothing is there but the wildcard's: %+v", typ, r)
		}
		zone.SetTXT("_undersigned.a.example", "none")
		chain, r, err := w.dns.Chain(a.Domain, w.rec.Now)
		if err != nil || r.Outcome != dnssec.Published || len(r.Records) != 0 || r.Other != 1 {
			t.Fatalf("type %d: %+v %v", typ, r, err)
		}
		w.rec.Must(&entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: a.Domain, Data: chain}})
		w.publish()
		theirs := w.says(entry.Endorse, a, a.Keys[0]) // by the thief
		v := w.judged(theirs, verify.Require{})
		tell(t, fmt.Sprint(typ), v)
		if plain(v) || !strings.Contains(v.Sentence, "no longer when this was signed") {
			t.Errorf("type %d: %s", typ, v.Sentence)
		}
	}
}
