package roll

// Deny turns what was found valid into its opposite.
func (x *Signatures) Deny() {
	for i := range x.checks {
		x.checks[i].valid = false
	}
}

// Rewind takes back what an inadmissible leaf moved: the size.
func (s *State) Rewind() { s.size-- }
