package roll

import (
	"slices"

	"github.com/tccm/undersigned/keys"
)

// A Word is what one chain about its owner's domain says of a key.
type Word struct {
	Chain
	Shown bool // the domain publishes it; otherwise it is missing
}

// Words returns what chains say of a key, by index, from the first on that shows it: all of them, as long as it is one of its owner's latest registration.
// Of a former key they end with the last that shows it, or the first in which it is missing since.
func (s *State) Words(ref keys.Ref) (words []Word) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known(ref)
	if k == nil || len(k.published) == 0 {
		return nil
	}
	m := s.members[k.domain]
	say := func(shown bool, chains ...chain) {
		for _, c := range chains {
			words = append(words, Word{c.view(), shown})
		}
	}
	for i, p := range k.published {
		say(true, m.chains[p.first:p.last+1]...)
		switch {
		case !p.ended:
		case i+1 < len(k.published):
			say(false, m.chains[p.end:k.published[i+1].first]...)
		case slices.Contains(m.all(), k):
			say(false, m.chains[p.end:]...)
		default:
			say(false, m.chains[p.end])
		}
	}
	return words
}

// Beside returns the other keys of its owner's latest registration that chains showed.
func (s *State) Beside(ref keys.Ref) (others []keys.Ref) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k := s.known(ref); k != nil && s.members[k.domain] != nil {
		for _, other := range s.members[k.domain].all() {
			if other != k && len(other.published) > 0 {
				others = append(others, other.ref)
			}
		}
	}
	return others
}
