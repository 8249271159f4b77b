package storetest

import (
	"testing"

	"github.com/tccm/undersigned/ledger"
)

func TestMemory(t *testing.T) {
	Run(t, func(t *testing.T) (ledger.Store, func(bool) ledger.Store) {
		m := NewMemory()
		return m, func(readOnly bool) ledger.Store {
			m.Close()
			m.Reopen(readOnly)
			return m
		}
	})
}

func TestMemoryFull(t *testing.T) {
	RunFull(t, func(t *testing.T) (ledger.Store, func(bool)) {
		m := NewMemory()
		return m, func(full bool) {
			if m.Limit(-1); full {
				m.Limit(m.Used() + 1000)
			}
		}
	})
}
