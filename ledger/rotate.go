package ledger

import (
	"fmt"

	"github.com/tccm/undersigned/keys"
)

// A Retired key is one with which a log signed checkpoints, and signs no more.
type Retired struct {
	VKey  keys.VKey
	Until uint64 // tree size of the last checkpoint that it may have signed
}

// Of reports whether the record is of these verifier keys of a log, all of them and no other.
func (s *LastSigned) Of(origin string, logs []keys.VKey) bool {
	return s.have && s.last.origin == origin && s.last.keys == vkeysSum(logs)
}

// Signed returns the tree that was signed last; false if the record says nothing.
func (s *LastSigned) Signed() (size uint64, root [32]byte, ok bool) {
	return s.last.size, s.last.root, s.have
}

// Rotate makes a record of the keys from one of the keys to, durably: the new ones go on where the
// old ones stopped. The new keys must have signed nothing yet, and no ledger may be using the record.
// After an error it must not be used again.
func (s *LastSigned) Rotate(origin string, from, to []keys.VKey) error {
	if !s.Of(origin, from) {
		return fmt.Errorf("the last-signed record %s is of other keys than those that are to retire", s.path)
	}
	return s.write(origin, vkeysSum(to), s.last.size, s.last.root, nil)
}

// vkeysSum identifies a set of verifier keys.
func vkeysSum(vkeys []keys.VKey) [32]byte {
	signers := make([]Signer, len(vkeys))
	for i, v := range vkeys {
		signers[i].VKey = v
	}
	return signersKeys(signers)
}
