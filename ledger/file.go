package ledger

import (
	"fmt"
	"os"
)

// InPlace returns an error unless a path leads to an open file. If somebody has put another file there, or
// none is there, then whatever is written to the open one is gone when it is closed.
func InPlace(f *os.File, path string) error {
	same, err := sameFile(f, path)
	switch {
	case isNotExist(err):
		return fmt.Errorf("somebody has removed %s while it was in use: what was written to it is lost, so nothing more is", path)
	case err != nil:
		return err
	case !same:
		return fmt.Errorf("somebody has put another file in place of %s while it was in use: what was written to the one before is lost, so nothing more is; put back the newest copy that there is", path)
	}
	return nil
}

// statSame says whether a path leads to an open file.
func statSame(f *os.File, path string) (bool, error) {
	open, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(open, there), err
}
