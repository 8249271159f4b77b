package roll_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// said is what the list of admitted entries, read from the start, says of an organization and a statement.
type said struct {
	index      int // of its last word; -1: none
	stands     bool
	name       string
	keyed      []uint64
	renditions string
}

func (r *reference) said(size int, domain string, h entry.Hash) said {
	s := said{index: -1}
	for i, x := range r.log[:size] {
		switch b := x.e.Body.(type) {
		case *entry.Membership:
			if b.Member != domain || b.Action == entry.Leave {
				continue
			}
			s.name = b.Name + "\n" + b.LegalName
			if b.Action == entry.Register {
				s.keyed = append(s.keyed, uint64(i))
			}
		case *entry.KeyEvent:
			if b.Member == domain {
				s.keyed = append(s.keyed, uint64(i))
			}
		case *entry.Endorsement:
			if x.e.Signer == domain && b.Statement == h {
				s.index, s.stands, s.renditions = i, b.Action == entry.Endorse, fmt.Sprint(b.Renditions)
			}
		}
	}
	return s
}

// changes tells the same as Compare, from the entries.
func (r *reference) changes(from, to int, domain string, h entry.Hash) string {
	a, b := r.said(from, domain, h), r.said(to, domain, h)
	var keyed []uint64
	if a.stands && b.stands {
		keyed = b.keyed[len(a.keyed):]
	}
	return fmt.Sprint(
		b.stands && !a.stands,
		b.index >= from && !b.stands,
		a.stands && b.stands && a.index != b.index,
		a.stands && b.stands && a.name != b.name,
		keyed,
		a.stands && b.stands && a.renditions != b.renditions,
	)
}

func changesOf(c roll.Change) string {
	var keyed []uint64
	for _, ev := range c.Rekeyed() {
		keyed = append(keyed, ev.Index)
	}
	return fmt.Sprint(c.Added(), c.Withdrew(), c.Again(), c.Renamed(), keyed, c.Restated())
}

// TestCompare holds the changes between any two sizes of random records against what the entries say.
func TestCompare(t *testing.T) {
	var found struct{ added, withdrew, again, renamed, rekeyed, nothing int }
	seeds := uint64(40)
	if testing.Short() {
		seeds = 4
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		h := newHistory(t, seed)
		type moment struct {
			size  int
			lists map[entry.Hash][]roll.Signatory
		}
		var moments []moment
		for step := range 90 {
			h.step()
			if step%15 != 14 {
				continue
			}
			m := moment{int(h.state.Size()), map[entry.Hash][]roll.Signatory{}}
			for _, text := range h.texts {
				m.lists[text] = h.state.Signatories(text)
			}
			moments = append(moments, m)
		}
		for i, to := range moments {
			for _, from := range moments[:i+1] {
				for _, text := range h.texts {
					got := map[string]string{}
					for _, c := range roll.Compare(from.lists[text], to.lists[text]) {
						got[c.Domain] = changesOf(c)
						for n, yes := range map[*int]bool{&found.added: c.Added(), &found.withdrew: c.Withdrew(), &found.again: c.Again(), &found.renamed: c.Renamed(), &found.rekeyed: c.Rekeyed() != nil} {
							if yes {
								*n++
							}
						}
					}
					for _, o := range h.orgs {
						want := h.ref.changes(from.size, to.size, o.Domain, text)
						have, ok := got[o.Domain]
						if !ok {
							have = fmt.Sprint(false, false, false, false, []uint64(nil), false)
							found.nothing++
						}
						if have != want {
							t.Fatalf("seed %d, %s from %d to %d: %s, the entries say %s", seed, o.Domain, from.size, to.size, have, want)
						}
						delete(got, o.Domain)
					}
					if len(got) > 0 {
						t.Fatalf("seed %d: changes of organizations that do not exist: %v", seed, got)
					}
				}
			}
		}
	}
	t.Logf("%+v", found)
	if !testing.Short() && (found.added < 50 || found.withdrew < 50 || found.again < 20 || found.renamed < 5 || found.rekeyed < 20 || found.nothing < 100) {
		t.Errorf("the histories hold too few changes: %+v", found)
	}
}

// TestSignatories: who stands among them is who stands, under the name of the moment.
func TestSignatories(t *testing.T) {
	r := rolltest.New(t)
	one, two := rolltest.NewOrg("one.example", 2, 0, 1), rolltest.NewOrg("two.example", 1, 0, 1)
	r.Register(one)
	r.Register(two)
	h := r.Publish("text\n")
	if list := r.State.Signatories(h); len(list) != 0 {
		t.Errorf("%d before anybody has endorsed", len(list))
	}
	r.Endorse(two, h)
	r.Endorse(one, h)
	old := r.State.Signatories(h)
	r.Withdraw(two, h)
	r.Do(&entry.Membership{Action: entry.Update, Member: one.Domain, Name: "Another name", Quorum: 1}, one)
	ref := one.Keys[1].Ref()
	r.Do(&entry.KeyEvent{Action: entry.Revoke, Member: one.Domain, Revokes: &ref}, one)
	list := r.State.Signatories(h)
	var names []string
	for i := range list {
		names = append(names, fmt.Sprint(list[i].Name, " ", list[i].Stands()))
	}
	if !slices.Equal(names, []string{"Another name true", "two.example false"}) {
		t.Errorf("%q", names)
	}
	if old[0].Name != "one.example" || !old[1].Stands() {
		t.Error("a list has changed that was returned before")
	}
	changes := roll.Compare(old, list)
	if len(changes) != 2 || !changes[0].Renamed() || len(changes[0].Rekeyed()) != 1 || *changes[0].Rekeyed()[0].About != ref || changes[0].Again() || !changes[1].Withdrew() {
		t.Errorf("%+v", changes)
	}
	if back := roll.Compare(list, old); len(back) != 2 || back[1].Withdrew() || !back[1].Added() {
		t.Errorf("backwards: %+v", back)
	}
	if r.State.Signatories(entry.Sum([]byte("another"))) != nil {
		t.Error("a statement that is not in the record has signatories")
	}
}
