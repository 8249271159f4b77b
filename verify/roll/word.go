package roll

import (
	"cmp"
	"math"
	"slices"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// Words is what the chains about its owner's domain say of a key: places in Member.Chains.
type Words struct {
	Domain   string   // the owner's
	From, To int      // those that say something are at From and before To
	Shown    [][2]int // of them those that show the key, in runs from the first to the last; the others miss it
}

// Words returns what chains say of a key that signed the entry at index: all of them from the entry on that brought it, under the registration under
// which it signed. Nothing is known of that once the key has been registered under another one.
func (s *State) Words(ref keys.Ref, index uint64) (w Words) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known(ref)
	if k == nil || s.members[k.domain] == nil {
		return w
	}
	m := s.members[k.domain]
	since, until := uint64(0), uint64(math.MaxUint64) // registrations
	f, again := slices.BinarySearchFunc(m.former, index, func(f former, index uint64) int { return cmp.Compare(f.index, index) })
	if again {
		f++
	}
	if f > 0 {
		since = m.former[f-1].index
	}
	if f < len(m.former) {
		until = m.former[f].index
	}
	i, _ := slices.BinarySearch(k.registered, since)
	if i == len(k.registered) || k.registered[i] > index || k.registered[len(k.registered)-1] >= until {
		return w
	}
	at := func(index uint64) int {
		i, _ := slices.BinarySearchFunc(m.chains, index, func(c chain, index uint64) int { return cmp.Compare(c.index, index) })
		return i
	}
	w.Domain, w.From, w.To = m.domain, at(k.registered[i]), at(until)
	for _, p := range k.published {
		if first, last := max(int(p.first), w.From), min(int(p.last), w.To-1); first <= last {
			w.Shown = append(w.Shown, [2]int{first, last})
		}
	}
	return w
}

// ChainsAbout returns the chains about a member, by index, as Member does.
func (s *State) ChainsAbout(domain string) []Chain {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.members[domain]
	if m == nil {
		return nil
	}
	views := make([]Chain, 0, len(m.chains))
	for _, c := range m.chains {
		views = append(views, c.view())
	}
	return views
}

// Brought returns the entry that added a key which signed the entry at index, or put it into the place of another, and with which keys; false: it was
// registered with its owner, or was not there yet. Where there are recovery keys, no other comes without one of them, whatever quorum signs: then it came with those alone.
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
	recovery := false
	for _, other := range history[at].Keys {
		if o := s.known(other); o != nil && !slices.Contains(o.registered, history[at].Index) {
			with, recovery = append(with, other), recovery || o.role == RecoveryKey
		}
	}
	if recovery && history[at].Action == entry.Update {
		with = slices.DeleteFunc(with, func(other keys.Ref) bool { return s.known(other).role != RecoveryKey })
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

// A Bringing is a key that an entry brought.
type Bringing struct {
	Ref keys.Ref
	Mark
}

// Brings returns the keys that others brought with a key: what they added, or put into the place of one, in the order of their coming.
func (s *State) Brings(ref keys.Ref) (list []Bringing) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known(ref)
	if k == nil || s.members[k.domain] == nil {
		return nil
	}
	history := s.members[k.domain].history
	for _, b := range s.brought[k.id] {
		if at, ok := slices.BinarySearchFunc(history, b.index, func(ev Event, index uint64) int { return cmp.Compare(ev.Index, index) }); ok {
			list = append(list, Bringing{s.keysByID[b.id].ref, history[at].Mark})
		}
	}
	return list
}
