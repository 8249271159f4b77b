package ledger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestInPlace holds an open file against what its path leads to, with the system call and without.
func TestInPlace(t *testing.T) {
	for name, c := range map[string]struct {
		change func(path string) error
		says   string // "" is that it is in place
	}{
		"nothing happened":         {func(string) error { return nil }, ""},
		"written to":               {func(path string) error { return os.WriteFile(path, []byte("more"), 0o600) }, ""},
		"a second name":            {func(path string) error { return os.Link(path, path+".x") }, ""},
		"moved, with a link to it": {func(path string) error { return errors.Join(os.Rename(path, path+".x"), os.Symlink(path+".x", path)) }, ""},
		"removed":                  {os.Remove, "has removed"},
		"moved":                    {func(path string) error { return os.Rename(path, path+".x") }, "has removed"},
		"another file": {func(path string) error {
			return errors.Join(os.Rename(path, path+".x"), os.WriteFile(path, []byte("one"), 0o600))
		}, "another file in place"},
		"a link to another file": {func(path string) error {
			return errors.Join(os.Rename(path, path+".x"), os.WriteFile(path+".y", []byte("one"), 0o600), os.Symlink(path+".y", path))
		}, "another file in place"},
		"a directory": {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "another file in place"},
	} {
		for _, missing := range []error{nil, unix.ENOSYS, unix.EPERM} {
			if missing != nil {
				statx = func(int, string, int, int, *unix.Statx_t) error { return missing }
			}
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.change(path); err != nil {
				t.Fatal(err)
			}
			err = InPlace(f, path)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, statx %v: %v", name, missing, err)
			}
			f.Close()
			statx = unix.Statx
		}
	}
	statx = func(int, string, int, int, *unix.Statx_t) error { return unix.EIO }
	defer func() { statx = unix.Statx }()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := InPlace(f, f.Name()); !errors.Is(err, unix.EIO) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a disk that cannot be read: %v", err)
	}
}
