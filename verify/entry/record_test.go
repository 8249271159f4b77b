package entry_test

import (
	"testing"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// The examples of the documentation are a record that the fold admits.
func TestDocExamplesAreARecord(t *testing.T) {
	state := roll.New("ledger.example/tccm")
	for i, leaf := range entry.DocLeaves(t) {
		if err := state.Apply(uint64(i), leaf); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
}
