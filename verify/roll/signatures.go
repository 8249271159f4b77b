package roll

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// Signatures is what CheckSignatures found out about one entry. It holds for
// the very text, keys and signature bytes that it saw; about anything else it
// says nothing.
type Signatures struct {
	id     entry.Hash
	checks []check
}

// A check is about the signature at the same place of Named, which the text fixes.
type check struct {
	public *keys.PublicKey // parsed or found
	weak   error           // why it cannot be parsed
	done   bool            // the signature has been looked at:
	sig    []byte
	keyID  uint32
	valid  bool
}

// CheckSignatures verifies those signatures of e whose keys are registered by
// now or in e itself, up to the first that is not valid; the rest is verified
// when e is applied. It may run on many goroutines beside each other and beside
// Apply and Admit, and says nothing about whether e is admissible.
func (s *State) CheckSignatures(e *entry.Entry) *Signatures {
	if e == nil || e.Body == nil {
		return nil
	}
	return s.CheckText(e, e.Text())
}

// CheckText is CheckSignatures for who has the entry's Text already. What it finds about any other text holds for no entry that has another. The entry must have a body.
func (s *State) CheckText(e *entry.Entry, text []byte) *Signatures {
	found, named := s.unchecked(e, text)
	if found == nil {
		return nil
	}
	lines := registers(e.Body)
	for i, n := range named {
		c, sig := &found.checks[i], e.Signatures[i]
		if c.public == nil {
			at := slices.IndexFunc(lines, func(line entry.PublicKey) bool { return line.Ref() == n.Ref })
			if at < 0 {
				continue
			}
			if c.public, c.weak = parseKey(lines[at]); c.weak != nil {
				break
			}
		}
		c.done, c.keyID, c.sig = true, sig.KeyID, bytes.Clone(sig.Sig)
		if c.valid = verifies(s.origin, c.public, n.Domain, sig, text); !c.valid {
			break
		}
	}
	return found
}

// unchecked begins to check the signatures of e, which has this text, with the keys that are registered by now; nil: there are none to check.
func (s *State) unchecked(e *entry.Entry, text []byte) (found *Signatures, named []entry.Named) {
	named = e.Named()
	if len(named) != len(e.Signatures) {
		return nil, nil
	}
	found = &Signatures{id: entry.Sum(text), checks: make([]check, len(named))}
	s.lookup.RLock()
	defer s.lookup.RUnlock()
	for i, n := range named {
		if k := s.known(n.Ref); k != nil {
			found.checks[i].public = k.public
		}
	}
	return found, named
}

// registers returns the public-key and recovery-key lines of a body.
func registers(b entry.Body) []entry.PublicKey {
	switch b := b.(type) {
	case *entry.Charter:
		return b.PublicKeys
	case *entry.Membership:
		return slices.Concat(b.PublicKeys, b.RecoveryKeys)
	case *entry.KeyEvent:
		if b.PublicKey != nil {
			return []entry.PublicKey{*b.PublicKey}
		}
	}
	return nil
}

// parseKey reads a line that registers a key. What it returns keeps nothing of
// the entry alive.
func parseKey(line entry.PublicKey) (*keys.PublicKey, error) {
	return keys.ParsePublicKey(keys.Suite(strings.Clone(string(line.Suite))), line.SPKI)
}

// verifies reports whether sig is a signature line of the key, for this domain and the ledger with this origin.
func verifies(origin string, k *keys.PublicKey, domain string, sig entry.Signature, text []byte) bool {
	return sig.Name == domain && sig.KeyID == k.NoteKeyID(domain) && k.Verify(origin, text, sig.Sig)
}

// signatures verifies each signature line under the key that it must be of, and
// looks on the way whether the keys that the entry registers are sound.
func (t *trial) signatures() error {
	named := t.e.Named()
	if len(named) != len(t.e.Signatures) {
		return t.refuse(RuleSignature, "there is not exactly one signature line for each voucher and key line")
	}
	var before check
	var text []byte // nil: nobody has needed it
	for i, n := range named {
		if t.sigs != nil {
			before = t.sigs.checks[i]
		}
		public, err := t.public(n.Ref, before)
		if err != nil {
			return t.refuse(RuleWeakKey, "the key %s is not accepted: %v", n.Ref, err)
		}
		sig := t.e.Signatures[i]
		valid := before.valid
		if !before.done || before.keyID != sig.KeyID || sig.Name != n.Domain || !bytes.Equal(before.sig, sig.Sig) {
			if text == nil {
				text = t.e.Text()
			}
			valid = verifies(t.s.origin, public, n.Domain, sig, text)
		}
		if !valid {
			return t.refuse(RuleSignature, "signature line %d is not a signature of this text by the key %s of %s", i+1, n.Ref, n.Domain)
		}
	}
	return nil
}

// public returns the key that a key or voucher line names. The rules before have
// made sure that it is registered or in the entry.
func (t *trial) public(ref keys.Ref, before check) (*keys.PublicKey, error) {
	i := slices.IndexFunc(t.fresh, func(f freshKey) bool { return f.ref == ref })
	if i < 0 {
		return t.s.known(ref).public, nil
	}
	f := &t.fresh[i]
	if f.public == nil {
		if before.public == nil && before.weak == nil {
			before.public, before.weak = parseKey(f.line)
		}
		f.public = before.public
		return f.public, before.weak
	}
	return f.public, nil
}
