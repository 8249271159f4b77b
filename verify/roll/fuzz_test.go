package roll_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// FuzzApply gives the fold any bytes: it never panics, and what it refuses
// leaves no trace. What parses is then signed by every key that there is, and
// the fold and the reference agree about it.
func FuzzApply(f *testing.F) {
	scenes := &testing.T{} // newScene reports here what cannot happen
	s := newScene(scenes, byTwo)
	for _, c := range refusals {
		if c.rule != roll.RuleWeakKey && c.rule != roll.RuleKeyLimit && c.admission == byTwo {
			s := newScene(scenes, byTwo)
			f.Add(s.Leaf(c.entry(s)))
		}
	}
	fresh := rolltest.NewKey("new")
	for _, e := range []*entry.Entry{
		s.endorse(s.two, nil),
		s.endorse(s.solo, nil, func(b *entry.Endorsement) { b.Action = entry.Withdraw }),
		s.amend(s.op.Keys, func(c *entry.Charter) { c.Vouchers = append(s.two.Vouch(), s.solo.Vouch()...) }),
		s.publish(s.publisher, nil),
		s.update(s.two, append(ks{s.two.Recovery[0]}, s.two.Keys...)),
		s.register(rolltest.NewOrg("new.example", 2, 1, 2), []*rolltest.Org{s.two}),
		s.sign(&entry.KeyEvent{Action: entry.Rotate, Member: s.solo.Domain, PublicKey: line(fresh), Revokes: ref(s.solo.Keys[0])}, s.solo, ks{s.solo.Keys[0], fresh}),
		s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.broken.Domain, Revokes: ref(s.broken.Keys[0]), CompromisedAfter: at(1)}, s.broken, s.broken.Keys[1:2]),
		s.sign(&entry.KeyEvent{Action: entry.Suspend, Member: s.two.Domain, Revokes: ref(s.two.Keys[0])}, s.op, nil),
		s.sign(&entry.Statement{Action: entry.Reopen, Statement: s.closed}, s.op, nil),
	} {
		f.Add(s.Leaf(e))
	}
	for _, leaf := range s.Leaves {
		f.Add(leaf)
	}

	reference := &reference{origin: rolltest.Origin, known: map[string]bool{}}
	var leaves []*entry.Leaf
	var sigs []*roll.Signatures
	for _, leaf := range s.Leaves {
		l, err := entry.ParseLeaf(leaf)
		if err != nil {
			f.Fatal(err)
		}
		leaves, sigs = append(leaves, l), append(sigs, s.State.CheckSignatures(l.Entry))
		reference.log = append(reference.log, admitted{l.Admitted, l.Entry, l.Chain})
	}
	fold := func() *roll.State {
		state := roll.New(rolltest.Origin)
		for i, l := range leaves {
			if err := state.ApplyLeaf(uint64(i), l, sigs[i]); err != nil {
				f.Fatal(err)
			}
		}
		return state
	}
	state, clean := fold(), fold()
	size := clean.Size()

	f.Fuzz(func(t *testing.T, leaf []byte) {
		switch err := state.Apply(size, leaf); {
		case err == nil, errors.As(err, new(*roll.Beyond)):
			state = fold()
		case !errors.As(err, new(*roll.Inadmissible)):
			t.Fatal(err)
		default:
			state.Rewind()
			if !reflect.DeepEqual(state, clean) {
				t.Fatal("a refused leaf has left a trace")
			}
		}
		l, err := entry.ParseLeaf(leaf)
		if err != nil {
			return
		}
		forge(l.Entry)
		got := state.Admit(l, state.CheckSignatures(l.Entry))
		if want := reference.admissible(l); want != (got == nil) {
			t.Fatalf("the fold says %v, the reference %v", got, want)
		}
		if got == nil {
			state = fold()
		}
	})
}
