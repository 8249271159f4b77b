package boltstore

import "fmt"

// Used returns how many bytes of the store's file in a directory hold something: all pages but the free ones. It must not be in use, and
// be whole.
func Used(dir string) (int64, error) {
	p, err := openPages(dir)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	if len(p.flaws) > 0 {
		return 0, fmt.Errorf("%s: %s", p.path, p.flaws[0])
	}
	return int64(p.count-p.free) * int64(p.pageSize), nil
}
