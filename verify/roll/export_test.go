package roll

// Rewind takes back what an inadmissible leaf moved: the size.
func (s *State) Rewind() { s.size-- }
