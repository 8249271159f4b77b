package roll

import (
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// TestLookupWaitsForNoLeaf looks a key up while a leaf is being taken in; it ends, or the test does not.
func TestLookupWaitsForNoLeaf(t *testing.T) {
	ref := keys.Ref{Suite: keys.Ed25519}
	known := &key{ref: ref, public: new(keys.PublicKey)}
	s := New("demo.example/log")
	s.keys[ref.Fingerprint] = known
	e := &entry.Entry{
		Ledger: s.origin, Body: &entry.Endorsement{Action: entry.Endorse}, Signer: "a.example", Keys: []keys.Ref{ref}, Date: "2026-01-02",
		Signatures: []entry.Signature{{Name: "a.example", Sig: []byte{1}}},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, _ := s.unchecked(e, e.Text()); found == nil || found.checks[0].public != known.public {
		t.Error("the key was not found")
	}
}
