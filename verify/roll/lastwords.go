package roll

import (
	"cmp"
	"slices"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

// A Stance is what a member said about a statement: that it stands behind it, or no more.
type Stance struct {
	Line
	Action entry.Action // Endorse or Withdraw
}

// LastWords returns the last word of every member about a statement by the first size leaves, as far as they were admitted up to asOf, by
// domain. Those that endorse are the Lines of that record. It is nil for a statement that has not been published.
func (s *State) LastWords(h entry.Hash, size uint64, asOf time.Time) []Stance {
	st := s.find(h)
	if st == nil {
		return nil
	}
	action := map[bool]entry.Action{false: entry.Endorse, true: entry.Withdraw}
	words := []Stance{}
	later := make(map[uint32]string) // domains that have said something since
	pasts := s.eachLast(st, func(at uint32, r *record) bool {
		domain := s.ordered[r.member].domain
		if r.index >= size || r.admitted > asOf.UnixMilli() {
			later[at] = domain
		} else {
			words = append(words, Stance{Line{domain, r.index, r.id}, action[r.withdrawn]})
		}
		return true
	})
	before := make(map[uint32]past)
	for _, p := range pasts {
		if p.index < size && p.admitted <= asOf.UnixMilli() {
			before[p.record] = p
		}
	}
	for at, domain := range later {
		if p, ok := before[at]; ok {
			words = append(words, Stance{Line{domain, p.index, p.id}, action[p.withdrawn]})
		}
	}
	slices.SortStableFunc(words, func(a, b Stance) int { return cmp.Compare(a.Domain, b.Domain) })
	return words
}
