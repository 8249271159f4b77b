package verify

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// bound is a receipt all parts of which are bound to its checkpoint, by a proof or by a hash.
type bound struct {
	checkpoint *SignedCheckpoint
	leaf       *entry.Leaf
	registered map[entry.Named]registration // of the keys that must sign
	name       string                       // the signer's, by the newest membership leaf at hand; "" if there is none
	quorum     int                          // the signer's, by the same leaf; 0 if there is none
	title      string                       // of the statement; "" if its publication is not at hand
}

// registration says which entry gave a key to a domain.
type registration struct {
	index    uint64
	key      entry.PublicKey
	recovery bool
	operator bool
}

// bind proves every part of a receipt under its checkpoint. What is not bound, or serves nothing, is a
// contradiction: nothing in a receipt goes unchecked.
func bind(r *Receipt, c *SignedCheckpoint) (*bound, *problem) {
	leaf, p := bindLeaf(r.Leaf, r.Index, r.Proof, c)
	if p != nil {
		return nil, p
	}
	b := &bound{checkpoint: c, leaf: leaf, registered: make(map[entry.Named]registration)}
	for _, n := range leaf.Entry.Named() {
		b.registered[n] = registration{}
	}
	b.register(r.Index, leaf.Entry)
	lastMembership := -1
	for i, s := range r.Support {
		support, p := bindLeaf(s.Leaf, s.Index, s.Proof, c)
		if p != nil {
			return nil, p
		}
		if s.Index >= r.Index || support.Admitted.After(leaf.Admitted) {
			return nil, contradictory("This receipt leans on an entry that came after its own.")
		}
		serves := b.register(s.Index, support.Entry)
		switch body := support.Entry.Body.(type) {
		case *entry.Membership:
			if body.Action != entry.Leave && body.Member == leaf.Entry.Signer {
				if lastMembership >= 0 {
					return nil, contradictory("This receipt holds an entry that has nothing to do with it.")
				}
				if !serves {
					lastMembership = i
				}
				b.name, b.quorum, serves = body.Name, body.Quorum, true
			}
		case *entry.Statement:
			if body.Action == entry.Publish && body.Statement == statementOf(leaf.Entry) {
				b.title, serves = body.Title, true
			}
		}
		if !serves {
			return nil, contradictory("This receipt holds an entry that has nothing to do with it.")
		}
	}
	return b, b.bindAfter(r)
}

// bindLeaf proves and parses one leaf.
func bindLeaf(raw []byte, index uint64, hashes [][32]byte, c *SignedCheckpoint) (*entry.Leaf, *problem) {
	if CheckInclusion(LeafHash(raw), index, c.Size, hashes, c.Root) != nil {
		return nil, contradictory("This receipt contradicts itself: entry %d in it is not the one in its copy of the record.", index)
	}
	leaf, err := entry.ParseLeaf(raw)
	var unknown *entry.UnknownError
	switch {
	case errors.As(err, &unknown):
		return nil, &problem{CodeUnchecked, didSign, fmt.Sprintf("Could not check: entry %d is of a form that this version does not know.", index)}
	case err != nil:
		return nil, contradictory("The record contradicts itself: what it holds at %d is no entry.", index)
	case leaf.Entry.Ledger != c.Origin:
		return nil, contradictory("The record contradicts itself: entry %d was meant for another record.", index)
	}
	return leaf, nil
}

func contradictory(format string, args ...any) *problem {
	return &problem{CodeContradiction, didSign, fmt.Sprintf(format, args...)}
}

// statementOf returns the hash of the statement that an entry is about, or zero.
func statementOf(e *entry.Entry) entry.Hash {
	switch body := e.Body.(type) {
	case *entry.Endorsement:
		return body.Statement
	case *entry.Statement:
		return body.Statement
	}
	return entry.Hash{}
}

// register takes in the keys that an entry registers, as far as they must sign the receipt's entry, and reports
// whether there are any. The latest registration of a key counts.
func (b *bound) register(index uint64, e *entry.Entry) bool {
	any := false
	take := func(domain string, list []entry.PublicKey, recovery, operator bool) {
		for _, k := range list {
			n := entry.Named{Domain: domain, Ref: k.Ref()}
			if _, ok := b.registered[n]; ok {
				b.registered[n] = registration{index, k, recovery, operator}
				any = true
			}
		}
	}
	switch body := e.Body.(type) {
	case *entry.Charter:
		take(body.Operator, body.PublicKeys, false, true)
		if !e.Genesis { // an amendment's new keys sign as the operator that makes it
			take(e.Signer, body.PublicKeys, false, true)
		}
	case *entry.Membership:
		take(body.Member, body.PublicKeys, false, false)
		take(body.Member, body.RecoveryKeys, true, false)
	case *entry.KeyEvent:
		if body.PublicKey != nil {
			take(body.Member, []entry.PublicKey{*body.PublicKey}, false, false)
		}
	}
	return any
}

// bindAfter binds the quoted note to the entry's after line.
func (b *bound) bindAfter(r *Receipt) *problem {
	if r.After == nil {
		return nil
	}
	e, ok := b.leaf.Entry.Body.(*entry.Endorsement)
	if !ok || sha256.Sum256(r.After) != e.After.Note {
		return contradictory("This receipt holds a copy of the record that its entry does not quote.")
	}
	return nil
}

// checkSignatures checks every signature of an endorsement by a key that is registered for its name.
func (b *bound) checkSignatures(endorsement *entry.Endorsement) *problem {
	e := b.leaf.Entry
	text := e.Text()
	for i, n := range e.Named() {
		reg := b.registered[n]
		if reg.key.SPKI == nil {
			return untrusted("Nothing in this receipt shows that the key that signed is one of %s.", display(n.Domain))
		}
		if reg.operator || reg.recovery && endorsement.Action == entry.Endorse {
			return untrusted("The key that signed is registered for %s, but not for endorsing.", display(n.Domain))
		}
		k, err := keys.ParsePublicKey(reg.key.Suite, reg.key.SPKI)
		if err != nil {
			return untrusted("The key registered for %s is not a sound one.", display(n.Domain))
		}
		if e.Signatures[i].KeyID != k.NoteKeyID(n.Domain) || !k.Verify(b.checkpoint.Origin, text, e.Signatures[i].Sig) {
			return untrusted("The signature is not by the key registered for %s.", display(n.Domain))
		}
	}
	if endorsement.Action != entry.Endorse {
		return nil
	}
	if b.quorum == 0 {
		return untrusted("Nothing in this receipt shows how many keys of %s must sign for it.", display(e.Signer))
	}
	if len(e.Keys) < b.quorum {
		return untrusted("Fewer keys of %s signed than it asks for.", display(e.Signer))
	}
	return nil
}

func untrusted(format string, args ...any) *problem {
	return &problem{CodeUntrusted, didSign, fmt.Sprintf(format, args...)}
}

// times holds the times in and around a receipt against each other.
func (j *judge) times(r *Receipt, b *bound, after entry.After) {
	admitted := b.leaf.Admitted
	if !dateAllowed(b.leaf.Entry.Date, admitted) {
		j.problem(CodeContradiction, when, "The date that the endorsement claims is earlier or later than the record allows.")
	}
	newest := b.checkpoint.notAfter
	if !newest.IsZero() && admitted.After(newest.Add(slack)) {
		j.problem(CodeContradiction, when, "The entry says that it was recorded after every time in the signatures on this receipt.")
	}
	if after.Size < 1 || after.Size > r.Index {
		j.problem(CodeContradiction, when, "The endorsement quotes a copy of the record that did not exist yet.")
		return
	}
	if r.After == nil {
		j.noBefore = "Since when it can have been signed is not known: the receipt does not hold the copy of the record that it quotes."
		return
	}
	c, err := j.openPast(r.After)
	var trust *UntrustedError
	switch {
	case errors.As(err, &trust):
		j.noBefore = "Since when it can have been signed could not be checked: the copy of the record that it quotes is signed by no log of the policy."
		return
	case err != nil || c.Origin != b.checkpoint.Origin || c.Size != after.Size:
		j.problem(CodeContradiction, when, "What the endorsement quotes is not the copy of the record that it says.")
		return
	}
	j.how("It quotes the record's copy of size %d, which had been published before.", c.Size)
	if c.notBefore.After(admitted.Add(slack)) {
		j.problem(CodeContradiction, when, "The entry says that it was recorded before the copy of the record that it quotes was signed.")
	}
	since := j.in.Policy.NotBefore(c)
	switch {
	case !since.IsZero():
		j.bounds.NotBefore = since
	case !c.LogTime.IsZero():
		j.noBefore = fmt.Sprintf("By the ledger's own clock it was signed after %s: it quotes a copy of the record of that time.", minute(c.LogTime))
	}
}

// openPast opens a quoted note, once however many entries quote it.
func (j *judge) openPast(note []byte) (*SignedCheckpoint, error) {
	h := sha256.Sum256(note)
	if o, ok := j.opened[h]; ok {
		return o.checkpoint, o.err
	}
	c, err := j.in.Policy.OpenPast(note)
	if j.opened == nil {
		j.opened = make(map[[32]byte]openedNote)
	}
	j.opened[h] = openedNote{c, err}
	return c, err
}

type openedNote struct {
	checkpoint *SignedCheckpoint
	err        error
}

// dateAllowed is the record's rule for the date that a signer claims: admitted at most 30 days after it and at most
// a day before it, in UTC days.
func dateAllowed(date string, admitted time.Time) bool {
	d, _ := time.Parse(time.DateOnly, date) // an entry's date is a real one
	days := admitted.UTC().Truncate(24*time.Hour).Sub(d) / (24 * time.Hour)
	return days >= -1 && days <= 30
}
