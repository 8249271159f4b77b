package boltstore

import (
	"testing"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (ledger.Store, func(bool) ledger.Store) {
		dir := t.TempDir()
		s, err := Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s, func(readOnly bool) ledger.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = Open(dir, readOnly); err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}
