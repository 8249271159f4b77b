package verify

import (
	"bytes"
	"math/bits"
	"slices"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// Contradict makes the file that convicts whichever of the keys signed both notes, if the notes contradict each other.
// Where they are about trees of two sizes, nodes reads the hashes of the larger one; nil: they are not to be had. It returns
// nil if nothing can be proven.
func Contradict(vkeys []keys.VKey, note1, note2 []byte, nodes NodeReader) *Contradiction {
	a, err1 := noteCheckpoint(note1)
	b, err2 := noteCheckpoint(note2)
	if err1 != nil || err2 != nil {
		return nil
	}
	if a.Size > b.Size {
		a, b, note1, note2 = b, a, note2, note1
	}
	c := &Contradiction{Keys: signedAll(vkeys, note1, note2), Notes: [][]byte{note1, note2}}
	switch {
	case a.Size == b.Size:
		c.Case = CaseSize
		if bytes.Compare(note1, note2) > 0 {
			slices.Reverse(c.Notes)
		}
		if proven(c) {
			return c
		}
		return nil
	case nodes != nil && a.Size > 0:
		if proof, err := prefixProof(a.Size, b.Size, nodes); err == nil {
			c.Case, c.Proof = CasePrefix, proof
			if proven(c) {
				return c
			}
		}
	}
	return rolledBack(c.Keys, note2, note1)
}

// ContradictByProof is Contradict for somebody who has no hashes of the larger tree, but a consistency proof between the
// two sizes that did not hold.
func ContradictByProof(vkeys []keys.VKey, smaller, larger []byte, proof [][32]byte) *Contradiction {
	a, err := noteCheckpoint(smaller)
	if err != nil {
		return nil
	}
	if bits.OnesCount64(a.Size) == 1 {
		return nil // such a proof takes the smaller tree's root hash for granted: it says nothing about another
	}
	c := &Contradiction{Case: CasePrefix, Keys: signedAll(vkeys, smaller, larger), Proof: proof, Notes: [][]byte{smaller, larger}}
	if proven(c) {
		return c
	}
	return nil
}

// ContradictEntry makes the file that convicts a log of an entry that no record may hold, or of two that none may hold
// both. publicKeys are those that may be named in the first; which of them matter is found out. It returns nil if nothing
// can be proven by the leaves alone.
func ContradictEntry(vkeys []keys.VKey, note []byte, publicKeys []entry.PublicKey, leaves ...Support) *Contradiction {
	c := &Contradiction{Case: CaseEntry, Keys: logKeys(vkeys, note), Notes: [][]byte{note}, Leaves: leaves}
	if proven(c) {
		return c
	}
	for _, k := range publicKeys {
		if c.PublicKeys = []entry.PublicKey{k}; proven(c) {
			return c
		}
	}
	return nil
}

// ContradictTime makes the file that convicts a log of an entry whose time of admission cannot be: it is later than the
// times in a note that holds it, or earlier than those in an older note that does not. older may be nil. The times are the
// log's own, or those of witnesses that are the quorum of the policy. It returns nil if nothing can be proven.
func ContradictTime(p *Policy, note, older []byte, leaf Support) *Contradiction {
	notes := [][]byte{note}
	if older != nil {
		notes = append(notes, older)
	}
	signed := signedAll(p.vkeys(), notes...)
	c := &Contradiction{Case: CaseTime, Notes: notes, Leaves: []Support{leaf}, Keys: slices.DeleteFunc(slices.Clone(signed), func(k keys.VKey) bool { return !p.isLog(k) })}
	if proven(c) {
		return c
	}
	c.Keys = signed
	if _, err := c.CheckUnder(p); err != nil {
		return nil
	}
	return c
}

// rolledBack makes the file about a smaller tree that was the newest later than a larger one.
func rolledBack(vkeys []keys.VKey, larger, smaller []byte) *Contradiction {
	c := &Contradiction{Case: CaseRollback, Notes: [][]byte{larger, smaller}}
	for _, k := range vkeys {
		c.Keys = []keys.VKey{k}
		if proven(c) {
			return c
		}
	}
	return nil
}

func proven(c *Contradiction) bool {
	_, err := c.Check()
	return err == nil
}

func noteCheckpoint(msg []byte) (Checkpoint, error) {
	text, _, err := splitNote(msg)
	if err != nil {
		return Checkpoint{}, err
	}
	return ParseCheckpoint(text)
}

// signedAll returns the keys with a good signature on every note, each once, at most as many as a file may name.
func signedAll(vkeys []keys.VKey, notes ...[]byte) []keys.VKey {
	var signed []keys.VKey
	for _, k := range vkeys {
		if len(signed) == maxConvicted || slices.ContainsFunc(signed, k.SameKey) {
			continue
		}
		good := true
		for _, msg := range notes {
			_, err := openConvicted(msg, []keys.VKey{k})
			good = good && err == nil
		}
		if good {
			signed = append(signed, k)
		}
	}
	return signed
}

// logKeys returns the keys that are named by the note's origin and signed it.
func logKeys(vkeys []keys.VKey, msg []byte) []keys.VKey {
	c, err := noteCheckpoint(msg)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(signedAll(vkeys, msg), func(k keys.VKey) bool { return k.Name != c.Origin })
}

// prefixProof returns the consistency proof of a CasePrefix: that of RFC 6962, after the first node where it is left out.
func prefixProof(size1, size2 uint64, nodes NodeReader) ([][32]byte, error) {
	proof, err := Consistency(size1, size2, nodes)
	if err != nil || bits.OnesCount64(size1) != 1 {
		return proof, err
	}
	first, err := nodes(uint(bits.TrailingZeros64(size1)), 0)
	if err != nil {
		return nil, err
	}
	return append([][32]byte{first}, proof...), nil
}
