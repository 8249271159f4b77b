package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
