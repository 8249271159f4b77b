package roll

import (
	"cmp"
	"math"
	"slices"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// A Word is what one chain about its owner's domain says of a key.
type Word struct {
	Chain
	Shown bool // the domain publishes it; otherwise it does not, or no longer
}

// Words returns what chains say of a key that signed the entry at index, by index: all of them from the entry on that brought it, under the registration under
// which it signed. Nothing is known of that once the key has been registered under another one.
func (s *State) Words(ref keys.Ref, index uint64) (words []Word) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known(ref)
	if k == nil || s.members[k.domain] == nil {
		return nil
	}
	m := s.members[k.domain]
	since, until := uint64(0), uint64(math.MaxUint64) // registrations
	for _, f := range m.former {
		if f.index > index {
			until = f.index
			break
		}
		since = f.index
	}
	i, _ := slices.BinarySearch(k.registered, since)
	if i == len(k.registered) || k.registered[i] > index || k.registered[len(k.registered)-1] >= until {
		return nil
	}
	at := func(index uint64) int {
		i, _ := slices.BinarySearchFunc(m.chains, index, func(c chain, index uint64) int { return cmp.Compare(c.index, index) })
		return i
	}
	from, to := at(k.registered[i]), at(until)
	words = make([]Word, 0, to-from)
	spans := k.published
	for n := from; n < to; n++ {
		for len(spans) > 0 && n > int(spans[0].last) {
			spans = spans[1:]
		}
		words = append(words, Word{m.chains[n].view(), len(spans) > 0 && n >= int(spans[0].first)})
	}
	return words
}

// Brought returns the entry that added a key which signed the entry at index, or put it into the place of another, and with which keys; false: it was
// registered with its owner, or was not there yet.
func (s *State) Brought(ref keys.Ref, index uint64) (by Mark, with []keys.Ref, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known(ref)
	if k == nil || s.members[k.domain] == nil {
		return Mark{}, nil, false
	}
	i, found := slices.BinarySearch(k.registered, index)
	if found {
		i++
	}
	if i == 0 {
		return Mark{}, nil, false
	}
	history := s.members[k.domain].history
	at, ok := slices.BinarySearchFunc(history, k.registered[i-1], func(ev Event, index uint64) int { return cmp.Compare(ev.Index, index) })
	if !ok || history[at].Action == entry.Register {
		return Mark{}, nil, false
	}
	for _, other := range history[at].Keys {
		if o := s.known(other); o != nil && !slices.Contains(o.registered, history[at].Index) {
			with = append(with, other)
		}
	}
	return history[at].Mark, with, true
}

// Revocation returns the entry by which a key was revoked or replaced, the keys that signed it, and with which key it was replaced; nil: with none.
func (s *State) Revocation(ref keys.Ref) (by Mark, with []keys.Ref, next *keys.Ref, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known(ref)
	if k == nil || !k.revoked || s.members[k.domain] == nil {
		return Mark{}, nil, nil, false
	}
	history := s.members[k.domain].history
	at, ok := slices.BinarySearchFunc(history, k.revokedAt, func(ev Event, index uint64) int { return cmp.Compare(ev.Index, index) })
	if !ok {
		return Mark{}, nil, nil, false
	}
	return history[at].Mark, slices.Clone(history[at].Keys), clone(history[at].Added), true
}

// LastAbout returns the last entry that revoked or replaced a key, or said since when it is compromised, and the keys that signed it.
func (s *State) LastAbout(ref keys.Ref) (by Mark, with []keys.Ref, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known(ref)
	if k == nil || s.members[k.domain] == nil {
		return Mark{}, nil, false
	}
	for _, ev := range slices.Backward(s.members[k.domain].history) {
		if ev.About != nil && *ev.About == ref && (ev.Action == entry.Revoke || ev.Action == entry.Rotate) {
			return ev.Mark, slices.Clone(ev.Keys), true
		}
	}
	return Mark{}, nil, false
}
