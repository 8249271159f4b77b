package roll

import "errors"

// Deny turns what was found valid into its opposite.
func (x *Signatures) Deny() {
	for i := range x.checks {
		x.checks[i].valid = false
	}
}

// Weaken turns the keys that were found sound into their opposite.
func (x *Signatures) Weaken() {
	for i := range x.checks {
		x.checks[i].public, x.checks[i].weak = nil, errors.New("weakened")
	}
}

// Done returns how many signatures were looked at.
func (x *Signatures) Done() int {
	n := 0
	for _, c := range x.checks {
		if c.done {
			n++
		}
	}
	return n
}

// Rewind takes back what an inadmissible leaf moved: the size.
func (s *State) Rewind() { s.size-- }

// Unrank takes away what is kept of rankings, which depends on what was asked.
func (s *State) Unrank() {
	for _, st := range s.published {
		st.ranking, st.moved = nil, nil
	}
}
