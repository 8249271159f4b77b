package verify

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/verify/entry"
)

// included says whether a leaf is in a note's tree.
func included(l Support, n *convictedNote) bool {
	return l.Index < n.Size && CheckInclusion(LeafHash(l.Leaf), l.Index, n.Size, l.Proof, n.Root) == nil
}

// checkEntry judges leaves by what no state of the record can change.
func (c *Contradiction) checkEntry(v *Conviction, n *convictedNote) error {
	if slices.ContainsFunc(v.Keys, func(k keys.VKey) bool { return k.Name != v.Origin }) {
		return unproven("it names another key than the log's, who alone answers for entries")
	}
	for _, l := range c.Leaves {
		if !included(l, n) {
			return unproven("a leaf in it is not in the tree of its note")
		}
	}
	first := c.Leaves[0]
	e, why := c.inadmissible(v.Origin, first)
	if len(c.Leaves) == 2 {
		if e == nil || why != "" || len(c.PublicKeys) > 0 {
			return unproven("it holds a second leaf that it does not need")
		}
		why = inadmissibleBoth(first, e, c.Leaves[1])
	}
	if why == "" {
		return unproven("by themselves its leaves break no rule; whether the record as a whole allows them, a replay tells")
	}
	v.Sentence = fmt.Sprintf("%s signed a record whose own rules refuse its entry %d: %s.", v.who(), c.Leaves[len(c.Leaves)-1].Index, why)
	v.How = []string{n.describe(1, v.Keys), fmt.Sprintf("A proof leads from entry %d to that root hash.", first.Index)}
	if len(c.Leaves) == 2 {
		v.How = append(v.How, fmt.Sprintf("Another one leads there from entry %d.", c.Leaves[1].Index))
	}
	return nil
}

// inadmissible returns the leaf, nil if it is malformed, and what makes it inadmissible by itself, "" if nothing.
func (c *Contradiction) inadmissible(origin string, l Support) (*entry.Leaf, string) {
	leaf, err := entry.ParseLeaf(l.Leaf)
	var unknown *entry.UnknownError
	switch {
	case errors.As(err, &unknown):
		return nil, ""
	case err != nil:
		return nil, "it is not in the form that entries have"
	}
	e := leaf.Entry
	switch {
	case e.Ledger != origin:
		return leaf, "it was signed for another ledger"
	case (l.Index == 0) != e.Genesis:
		return leaf, "only entry 0 has nothing before it"
	case l.Index == 0 && e.Body.Kind() != entry.KindCharter:
		return leaf, "entry 0 is not a charter"
	case e.Body.Kind().ByLog():
		return leaf, madeWrong(l.Index, leaf)
	case len(leaf.Chain) > 0 && shownNothing(e.Signer, leaf.Chain, leaf.Admitted):
		return leaf, "the DNSSEC chain that came with it shows nothing at the time of its admission"
	case !dateAllowed(e.Date, leaf.Admitted):
		return leaf, "its date is earlier or later than is allowed"
	}
	if en, ok := e.Body.(*entry.Endorsement); ok && (en.After.Size < 1 || en.After.Size > l.Index) {
		return leaf, "it quotes a copy of the record that did not exist yet"
	}
	text := e.Text()
	for i, n := range e.Named() {
		at := slices.IndexFunc(c.PublicKeys, func(k entry.PublicKey) bool { return k.Ref() == n.Ref })
		if at < 0 {
			continue
		}
		k, err := keys.ParsePublicKey(c.PublicKeys[at].Suite, c.PublicKeys[at].SPKI)
		if err != nil {
			continue // ParseContradiction admits none
		}
		if e.Signatures[i].KeyID != k.NoteKeyID(n.Domain) || !k.Verify(origin, text, e.Signatures[i].Sig) {
			return leaf, "a signature on it is not by the key that it names"
		}
	}
	return leaf, ""
}

// madeWrong says what makes a leaf that the log itself made inadmissible, or "".
func madeWrong(index uint64, leaf *entry.Leaf) string {
	switch b := leaf.Entry.Body.(type) {
	case *entry.Roll:
		if b.Size != index {
			return "the list that it seals is of another place in the record"
		}
		if !b.AsOf.Before(leaf.Admitted) {
			return "the list that it seals is of a moment that had not passed"
		}
	case *entry.Evidence:
		if b.Type == entry.RFC3161 && (b.Size < 1 || b.Size > index) {
			return "it is about a copy of the record that did not exist yet"
		}
		if b.Type == entry.DNSSEC && shownNothing(b.Member, b.Data, leaf.Admitted) {
			return "the DNSSEC chain in it shows nothing at the time of its admission"
		}
	}
	return ""
}

// shownNothing reports whether a DNSSEC chain about a domain does not hold at a time.
func shownNothing(domain string, chain []byte, at time.Time) bool {
	_, err := dnssec.Verify(domain, chain, dnssec.RootAnchors(), at)
	return err != nil
}

// inadmissibleBoth returns why not both of two leaves can be admissible, or "".
func inadmissibleBoth(first Support, a *entry.Leaf, second Support) string {
	b, err := entry.ParseLeaf(second.Leaf)
	if err != nil || first.Index >= second.Index {
		return ""
	}
	switch {
	case a.Entry.ID() == b.Entry.ID():
		return fmt.Sprintf("it is entry %d once more", first.Index)
	case b.Admitted.Before(a.Admitted):
		return fmt.Sprintf("it says that it was recorded before entry %d", first.Index)
	}
	x, ok := a.Entry.Body.(*entry.Endorsement)
	y, also := b.Entry.Body.(*entry.Endorsement)
	if ok && also && a.Entry.Signer == b.Entry.Signer && x.Statement == y.Statement && samePrevious(a.Entry, b.Entry) {
		return fmt.Sprintf("it names the same previous entry as entry %d, on the same statement by the same member", first.Index)
	}
	return ""
}

func samePrevious(a, b *entry.Entry) bool {
	if a.Previous == nil || b.Previous == nil {
		return a.Previous == b.Previous
	}
	return *a.Previous == *b.Previous
}

// checkTime holds the time of a leaf against the times in signatures: the log's own, or those of the witnesses that are the
// quorum of a policy.
func (c *Contradiction) checkTime(v *Conviction, notes []*convictedNote, p *Policy) error {
	var witnesses []keys.VKey
	v.Keys = nil
	for _, k := range c.Keys {
		if k.Name == v.Origin {
			v.Keys = append(v.Keys, k)
		} else {
			witnesses = append(witnesses, k)
		}
	}
	if len(v.Keys) == 0 {
		return unproven("it names no key of the log")
	}
	l := c.Leaves[0]
	if !included(l, notes[0]) {
		return unproven("its leaf is not in the tree of its first note")
	}
	leaf, err := entry.ParseLeaf(l.Leaf)
	if err != nil {
		return unproven("its leaf is not one that says when it was recorded")
	}
	told, wrong := notes[0], func(t time.Time) bool { return leaf.Admitted.After(t.Add(slack)) }
	v.How = []string{notes[0].describe(1, c.Keys), fmt.Sprintf("A proof leads from entry %d to that root hash. It says that it was recorded at %s.", l.Index, stamp(leaf.Admitted))}
	v.Sentence = fmt.Sprintf("%s signed a record before the time at which its entry %d says that it was recorded.", v.who(), l.Index)
	if len(notes) == 2 {
		if notes[1].Size > l.Index {
			return unproven("the tree of its second note may hold its leaf")
		}
		told, wrong = notes[1], func(t time.Time) bool { return t.After(leaf.Admitted.Add(slack)) }
		v.How = append(v.How, notes[1].describe(2, c.Keys), "That record does not hold the entry yet.")
		v.Sentence = fmt.Sprintf("%s back-dated its entry %d: after the time at which it says that it was recorded, the record still did not hold it.", v.who(), l.Index)
	}
	if len(witnesses) == 0 {
		if !told.timed(wrong) {
			return unproven("the log's own times do not contradict its entry")
		}
		return nil
	}
	// Each witness by itself could say anything, and so could somebody who is none.
	if p == nil || p.NoQuorum() {
		return unproven("it rests on the word of witnesses about the time: a policy must say whose word counts")
	}
	var voices []string
	for i, k := range c.Keys {
		t := told.times[i]
		if k.Name == v.Origin || t.IsZero() || !wrong(t) {
			continue
		}
		for _, w := range p.witnesses {
			if w.VKey.SameKey(k) && w.VKey.Name == k.Name && !p.isLog(k) {
				voices = append(voices, w.Name)
				v.How = append(v.How, fmt.Sprintf("By the word of the witness %s it was %s then.", k.Name, stamp(t)))
			}
		}
	}
	if !p.Met(voices) {
		return unproven("the witnesses whose times contradict its entry are not the quorum of the policy")
	}
	return nil
}

// isLog says whether a key is that of a log of the policy.
func (p *Policy) isLog(k keys.VKey) bool {
	return slices.ContainsFunc(p.logs, func(l PolicyLog) bool { return l.VKey.SameKey(k) })
}

// timed says whether there are times in a note's signatures, and whether all of them are such.
func (n *convictedNote) timed(f func(t time.Time) bool) bool {
	some := false
	for _, t := range n.times {
		if !t.IsZero() {
			if some = true; !f(t) {
				return false
			}
		}
	}
	return some
}
