package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A LastCosigned is the file beside the keys of a witness or a mirror that says which tree of each log they cosigned last. It is
// what keeps a lost or old copy of their state from cosigning a second history. So it lies with the keys, not with the
// state, and in no backup. Its methods can be called by many goroutines.
//
// The file is text, and replaced as a whole. A line is a tree size, a root hash and an origin; they are sorted by origin:
//
//	undersigned/last-cosigned/v1
//	57 CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I= ledger.example/tccm
//	sum sha256:…           over the lines above
//
// Of a log that was forgotten on the operator's word it has what is left, size 0 if nothing is.
type LastCosigned struct {
	path string
	lock *os.File

	mu     sync.Mutex
	trees  map[string]cosignedTree // by origin
	sure   bool                    // what the file holds was written since it was opened; what was read then need not be on the disk, if a crash or a sync that failed came before
	broken error                   // a write failed: what the file holds is not known

	sync func(*os.File) error // (*os.File).Sync; tests make it fail
}

type cosignedTree struct {
	size uint64
	root [32]byte
}

const lastCosignedMagic = "undersigned/last-cosigned/v1\n"

// CreateLastCosigned makes a record at path that says that nothing was cosigned yet, durably. If there is one the error is
// fs.ErrExist.
func CreateLastCosigned(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return (&LastCosigned{path: path, sync: (*os.File).Sync}).write(nil)
}

// OpenLastCosigned opens the record at path, and locks it by a file beside it. If there is none the error is fs.ErrNotExist, if
// another process holds it ErrInUse, if it is damaged ErrCorrupt.
func OpenLastCosigned(path string) (*LastCosigned, error) {
	if _, err := os.Lstat(path); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &LastCosigned{path: path, lock: lock, sync: (*os.File).Sync}
	if err := LockFile(lock); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b, err := os.ReadFile(path)
	if err == nil {
		s.trees, err = parseCosigned(b)
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Close releases the record.
func (s *LastCosigned) Close() error { return s.lock.Close() }

// Path returns where the record is.
func (s *LastCosigned) Path() string { return s.path }

// Of returns the tree of a log that was cosigned last; false if none ever was.
func (s *LastCosigned) Of(origin string) (size uint64, root [32]byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.trees[origin]
	return t.size, t.root, ok
}

// Origins returns the logs of which something was cosigned, sorted.
func (s *LastCosigned) Origins() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.trees))
}

// Err returns why the record cannot be used any more, nil while it can: open it again. Want of space passes.
func (s *LastCosigned) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// Behind says whether a state whose latest tree of a log is this one, size 0 if it has none, knows less than was cosigned, or
// something else.
func (s *LastCosigned) Behind(origin string, size uint64, root [32]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behind(origin, size, root)
}

// behind is Behind. The caller holds mu.
func (s *LastCosigned) behind(origin string, size uint64, root [32]byte) bool {
	last := s.trees[origin]
	return size < last.size || size == last.size && last.size > 0 && root != last.root
}

// Advance makes the record say that this tree was cosigned, durably; call it before a cosignature leaves. It goes back for
// nobody: the error is ErrCosigned then. After any other error nothing may leave; Err says whether the record can be used again.
func (s *LastCosigned) Advance(origin string, size uint64, root [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.behind(origin, size, root) {
		return fmt.Errorf("a tree of size %d: %w", size, ErrCosigned)
	}
	return s.set(origin, cosignedTree{size, root})
}

// Forget makes the record say that this was the last tree of a log, durably, however much more was cosigned. That is for the
// operator to decide.
func (s *LastCosigned) Forget(origin string, size uint64, root [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(origin, cosignedTree{size, root})
}

// ErrCosigned says that what was cosigned last is not continued.
var ErrCosigned = errors.New("it does not continue what was cosigned last")

// set makes the record say what was the last tree of a log. The caller holds mu.
func (s *LastCosigned) set(origin string, t cosignedTree) error {
	if s.broken != nil {
		return s.broken
	}
	before, ok := s.trees[origin]
	same := ok && before == t
	if same && s.sure {
		return nil
	}
	trees := maps.Clone(s.trees)
	trees[origin] = t
	err := s.write(trees)
	if same && noSpace(err) {
		return nil // it says so already, and the next tree is cosigned only if there is space again: what is there can be served
	}
	if noSpace(err) {
		if b, unread := os.ReadFile(s.path); unread == nil && bytes.Equal(b, cosignedText(s.trees)) {
			return fmt.Errorf("cannot keep what is cosigned in %s: %w", s.path, err) // nothing has changed
		}
	}
	if err != nil {
		s.broken = fmt.Errorf("cannot keep what is cosigned in %s: %w", s.path, err)
		return s.broken
	}
	s.trees, s.sure = trees, true
	return nil
}

func (s *LastCosigned) write(trees map[string]cosignedTree) (err error) {
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(cosignedText(trees)); err != nil {
		return err
	}
	if err := s.sync(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), s.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.path))
}

func cosignedText(trees map[string]cosignedTree) []byte {
	b := []byte(lastCosignedMagic)
	for _, origin := range slices.Sorted(maps.Keys(trees)) {
		t := trees[origin]
		b = fmt.Appendf(b, "%d %s %s\n", t.size, base64.StdEncoding.EncodeToString(t.root[:]), origin)
	}
	return fmt.Appendf(b, "sum sha256:%x\n", sha256.Sum256(b))
}

// parseCosigned reads what cosignedText returns and nothing else.
func parseCosigned(b []byte) (map[string]cosignedTree, error) {
	trees := make(map[string]cosignedTree)
	for line := range strings.Lines(string(b)) {
		size, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		root, origin, ok := strings.Cut(rest, " ")
		n, err := strconv.ParseUint(size, 10, 64)
		hash, _ := base64.StdEncoding.DecodeString(root)
		if ok && err == nil && len(hash) == 32 {
			trees[origin] = cosignedTree{n, [32]byte(hash)}
		}
	}
	if !bytes.Equal(cosignedText(trees), b) {
		return nil, fmt.Errorf("the record of what was cosigned last is not as it was written: %w", ErrCorrupt)
	}
	return trees, nil
}
