package roll

import (
	"cmp"
	"math"
	"slices"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// brought is a key that others added, or put into the place of one, and the index of that entry.
type brought struct {
	id    uint32
	index uint64
}

// Disputed reports whether what keys signed at an index is in doubt: one of them has been declared compromised from then or before, or had been brought, by an
// entry add, rotate or update, with such a key or with one that had so come. Whoever stole a key can sign with those that it brought.
func (s *State) Disputed(index uint64, refs ...keys.Ref) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.ContainsFunc(refs, func(ref keys.Ref) bool {
		k := s.known(ref)
		return k != nil && s.disputed(k, index)
	})
}

// disputed reports whether what the key signed at index is in doubt.
func (s *State) disputed(k *key, index uint64) bool {
	from, ok := s.doubted[k.id]
	return ok && index >= from
}

// doubt puts in doubt what a key signed from an index on, and all that it brought since: that is followed once, however often the index goes down.
func (s *State) doubt(k *key, from uint64) {
	for todo := []brought{{k.id, from}}; len(todo) > 0; {
		b := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		until, ok := s.doubted[b.id]
		if !ok {
			until = math.MaxUint64
		}
		if b.index >= until {
			continue
		}
		s.doubted[b.id] = b.index
		others := s.brought[b.id]
		i, _ := slices.BinarySearchFunc(others, b.index, func(b brought, index uint64) int { return cmp.Compare(b.index, index) })
		for ; i < len(others) && others[i].index < until; i++ {
			todo = append(todo, others[i])
		}
	}
}

// trace notes which keys an event of a member brought, and with which others. A registration has no others: it rests on those who vouched for it.
func (s *State) trace(ev *Event) {
	if ev.Action != entry.Add && ev.Action != entry.Rotate && ev.Action != entry.Update {
		return
	}
	var came, with []*key
	for _, ref := range ev.Keys {
		k := s.known(ref)
		if _, fresh := slices.BinarySearch(k.registered, ev.Index); fresh {
			came = append(came, k)
		} else {
			with = append(with, k)
		}
	}
	for _, k := range came {
		for _, w := range with {
			s.brought[w.id] = append(s.brought[w.id], brought{k.id, ev.Index})
			if s.disputed(w, ev.Index) {
				s.doubt(k, ev.Index)
			}
		}
	}
}
