package roll

import "github.com/tccm/undersigned/keys"

// A Word is what one chain about its owner's domain says of a key.
type Word struct {
	Chain
	Shown bool // the domain publishes it; otherwise the chain is the first in which it is missing again
}

// Words returns the chains that show a key as published, and those that end each Span of them, by index.
func (s *State) Words(ref keys.Ref) (words []Word) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known(ref)
	if k == nil || len(k.published) == 0 {
		return nil
	}
	chains := s.members[k.domain].chains
	for _, p := range k.published {
		for _, c := range chains[p.first : p.last+1] {
			words = append(words, Word{c.view(), true})
		}
		if p.ended {
			words = append(words, Word{chains[p.end].view(), false})
		}
	}
	return words
}
