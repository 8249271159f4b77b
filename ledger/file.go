package ledger

import (
	"fmt"
	"os"
)

// InPlace returns an error unless a path leads to an open file. If somebody has put another file there, or
// none is there, then whatever is written to the open one is gone when it is closed.
func InPlace(f *os.File, path string) error {
	open, err := f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(path)
	switch {
	case isNotExist(err):
		return fmt.Errorf("somebody has removed %s while it was in use: what was written to it is lost, so nothing more is", path)
	case err != nil:
		return err
	case !os.SameFile(open, there):
		return fmt.Errorf("somebody has put another file in place of %s while it was in use: what was written to the one before is lost, so nothing more is; put back the newest copy that there is", path)
	}
	return nil
}
