//go:build !linux

package boltstore

// space is the disk space of the file, of which nothing is known here.
type space struct{}

func openSpace(string) (*space, error) { return &space{}, nil }

func (s *space) Close() error { return nil }

// reserve does nothing: space cannot be allocated ahead here.
func (s *space) reserve(size, need int64, ahead bool) error { return nil }
