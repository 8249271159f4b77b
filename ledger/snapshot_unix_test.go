//go:build unix

package ledger_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tccm/undersigned/ledger"
)

// TestSnapshotIsAFile puts what is not a file in the place of a snapshot: opening does not wait for it, fsck calls it a flaw,
// and a snapshot comes in its place. One that is half written is never written to through a link.
func TestSnapshotIsAFile(t *testing.T) {
	h, _, _, o, hash := snapshotHouse(t)
	for name, put := range map[string]func(path string) error{
		"pipe":           func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"device":         func(path string) error { return os.Symlink("/dev/zero", path) },
		"nothing behind": func(path string) error { return os.Symlink(filepath.Join(h.dir, "nothing"), path) },
	} {
		other := filepath.Join(h.dir, "other")
		if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Remove(h.cfg.Snapshot)
		if err := errors.Join(put(h.cfg.Snapshot), os.Symlink(other, h.cfg.Snapshot+".new")); err != nil {
			t.Fatal(err)
		}
		if err := h.snapshotProblem(); err == nil || name != "nothing behind" && err.Error() != "it is not a regular file" {
			t.Errorf("%s: %v", name, err)
		}
		r, err := ledger.Check(t.Context(), h.store, ledger.CheckOptions{Origin: h.cfg.Origin, Snapshot: h.cfg.Snapshot})
		if want := name != "nothing behind"; err != nil || r.OK() == want {
			t.Errorf("%s: %v %v", name, r, err)
		}
		h.open()
		h.must(h.many(o, hash, 2)...)
		h.close()
		if info, err := os.Lstat(h.cfg.Snapshot); err != nil || !info.Mode().IsRegular() || h.snapshotProblem() != nil {
			t.Errorf("%s: no snapshot came in its place: %v %v", name, info, h.snapshotProblem())
		}
		if b, err := os.ReadFile(other); err != nil || string(b) != "other" {
			t.Errorf("%s: %q was written through a link", name, b)
		}
		if _, err := os.Lstat(h.cfg.Snapshot + ".new"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
