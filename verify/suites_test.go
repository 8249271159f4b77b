package verify_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// TestSuites: receipts and whole records with keys of each suite hold, and nobody is convicted of them. An SSH signature that the
// same key made for another ledger is a bad one to all.
func TestSuites(t *testing.T) {
	for i, suite := range keys.Suites() {
		t.Run(string(suite), func(t *testing.T) {
			w := newWorld(t, 3)
			org := &rolltest.Org{Domain: "new.example", Name: "New", Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKeyOf(suite, fmt.Sprint("suites", i))}}
			w.rec.Register(org)
			w.publish()
			index := w.endorse(org)
			w.publish()
			check(t, "receipt", verify.Input{Policy: w.policy(), Receipt: w.receipt(index), Statement: []byte(tccm)}, 0)
			if r := w.audit(verify.AuditOptions{}); !r.OK {
				t.Errorf("audit: %s", r.Sentence)
			}
			d := newDishonest(t)
			key := []entry.PublicKey{org.Keys[0].Line()}
			convict := func(leaves [][]byte) *verify.Contradiction {
				return verify.ContradictEntry(d.vkeys(), d.note(leaves, append(d.log, d.witness...)...), key, provenLeaf(t, leaves, int(index)))
			}
			if c := convict(w.rec.Leaves); c != nil {
				t.Errorf("an honest entry convicts: %s", c.Bytes())
			}
			if suite != keys.SSHSIG && suite != keys.SSHSIGSK {
				return
			}

			leaf, err := entry.ParseLeaf(w.rec.Leaves[index])
			if err != nil {
				t.Fatal(err)
			}
			leaf.Entry.Signatures[0].Sig = org.Keys[0].SignFor("ledger.example/other", leaf.Entry.Text())
			w.rec.Leaves = slices.Clone(w.rec.Leaves)
			w.rec.Leaves[index] = leaf.Bytes()
			mustConvict(t, convict(w.rec.Leaves))
			w.publish()
			check(t, "for another ledger", verify.Input{Policy: w.policy(), Receipt: w.receipt(index), Statement: []byte(tccm)}, verify.CodeUntrusted)
			if r := w.audit(verify.AuditOptions{}); r.OK {
				t.Errorf("for another ledger: %s", r.Sentence)
			}
		})
	}
}
