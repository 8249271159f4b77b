package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
)

// A State is the file in which a witness keeps what it has cosigned, held to the record beside its keys. It is read once: what
// a disk does to it later cannot make a running witness go back.
type State struct {
	path string
	db   *bolt.DB
	last *ledger.LastCosigned

	mu     sync.RWMutex
	latest map[string]*witnessed // by origin
	hashes map[string]*witnessed // by verify.OriginHash
	broken error                 // a write failed: what the file holds is not known
}

// witnessed is the latest checkpoint of a log that was cosigned. It is never changed.
type witnessed struct {
	verify.Checkpoint
	time uint64 // of the cosignature, POSIX seconds
	note []byte // with the log's lines that were verified, and the witness's

	lines []byte // the witness's; nil: it was read from the disk, where a crash may have left it before it was durable
}

const (
	witnessedMagic = "undersigned/witnessed/v1\n"
	bucketName     = "log"
)

// CreateState makes a state at path in which nothing was cosigned yet, durably. If there is one the error is fs.ErrExist.
func CreateState(path string) (err error) {
	// It has its name only when it is whole.
	begun := path + ".new"
	if err := os.Remove(begun); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := bolt.Open(begun, 0o600, &bolt.Options{Timeout: time.Millisecond, FreelistType: bolt.FreelistMapType, NoStatistics: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(begun)) }()
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte(bucketName))
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// Unlike a rename, a link never replaces a state.
	if err := os.Link(begun, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// OpenState opens the file at path. If there is none the error is fs.ErrNotExist: whether nothing was cosigned yet or it was
// lost cannot be told. While another process uses it the error is ledger.ErrInUse; if it is damaged ledger.ErrCorrupt.
// The record is the caller's to close, after the state. Of a log of which it has more, nothing is cosigned.
func OpenState(path string, last *ledger.LastCosigned) (*State, error) {
	if _, err := os.Lstat(path); err != nil {
		return nil, err
	}
	s := &State{path: path, last: last, latest: make(map[string]*witnessed), hashes: make(map[string]*witnessed)}
	if err := s.guard(s.open); err != nil {
		if s.db != nil {
			s.db.Close()
		}
		return nil, err
	}
	// What was kept by a process that was killed before the record had it can be read from now on.
	for origin, w := range s.latest {
		if s.last.Behind(origin, w.Size, w.Root) {
			continue
		}
		if err := s.last.Advance(origin, w.Size, w.Root); err != nil {
			return nil, errors.Join(err, s.db.Close())
		}
	}
	return s, nil
}

// A Gap is a log of which the keys have cosigned more than the state has, or something else.
type Gap struct {
	Origin   string
	Kept     uint64 // tree size of the latest checkpoint in the state
	Cosigned uint64 // that the keys have cosigned
}

// Gaps returns the logs of which nothing is cosigned because the state was lost or is an old copy, sorted by origin.
func (s *State) Gaps() []Gap {
	var gaps []Gap
	for _, origin := range s.last.Origins() {
		if gap := s.gap(origin); gap != nil {
			gaps = append(gaps, *gap)
		}
	}
	return gaps
}

func (s *State) gap(origin string) *Gap {
	size, root := s.kept(origin)
	if !s.last.Behind(origin, size, root) {
		return nil
	}
	last, _, _ := s.last.Of(origin)
	return &Gap{origin, size, last}
}

func (s *State) kept(origin string) (size uint64, root [32]byte) {
	if w := s.get(origin); w != nil {
		return w.Size, w.Root
	}
	return 0, root
}

// Forget makes the witness go on from what the state has, whatever else its keys have cosigned: they may then cosign a second
// history. It returns the gaps that there were.
func (s *State) Forget() ([]Gap, error) {
	gaps := s.Gaps()
	for _, g := range gaps {
		size, root := s.kept(g.Origin)
		if err := s.last.Forget(g.Origin, size, root); err != nil {
			return nil, err
		}
	}
	return gaps, nil
}

func (s *State) open() (err error) {
	s.db, err = bolt.Open(s.path, 0o600, &bolt.Options{Timeout: time.Millisecond, FreelistType: bolt.FreelistMapType, NoStatistics: true})
	if errors.Is(err, berrors.ErrTimeout) {
		return fmt.Errorf("%s is %w", s.path, ledger.ErrInUse)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %w", s.path, ledger.ErrCorrupt, err)
	}
	return s.db.View(func(tx *bolt.Tx) error {
		damaged := func(err error) error { return fmt.Errorf("%s: %w: %w", s.path, ledger.ErrCorrupt, err) }
		for err := range tx.Check() {
			return damaged(err)
		}
		b := tx.Bucket([]byte(bucketName))
		if b == nil {
			return damaged(errors.New("it is not a witness's file"))
		}
		return b.ForEach(func(origin, v []byte) error {
			w, err := decodeWitnessed(v)
			if err != nil || w.Origin != string(origin) {
				return damaged(errWitnessed)
			}
			s.latest[w.Origin], s.hashes[verify.OriginHash(w.Origin)] = w, w
			return nil
		})
	})
}

// guard turns what bbolt does on a damaged file, to panic or to read beyond its end, into an error.
func (s *State) guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %w: %v", s.path, ledger.ErrCorrupt, r)
		}
	}()
	return f()
}

// Close releases the file.
func (s *State) Close() error { return s.db.Close() }

// failed says whether a write has failed.
func (s *State) failed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.broken != nil
}

// get returns the latest checkpoint of a log that was cosigned; nil if none was.
func (s *State) get(origin string) *witnessed {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.latest[origin]
}

// replace makes w the latest checkpoint of its log, durably, if before still is. After any other error than errMoved the
// state must not be used again.
func (s *State) replace(before, w *witnessed) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	if s.latest[w.Origin] != before {
		return errMoved
	}
	// Twice: where one of bbolt's two meta pages is damaged it takes the other, of the transaction before, which must not
	// be one that knows less.
	var err error
	for n := 0; n < 2 && err == nil; n++ {
		err = s.guard(func() error {
			return s.db.Update(func(tx *bolt.Tx) error {
				return tx.Bucket([]byte(bucketName)).Put([]byte(w.Origin), w.encode())
			})
		})
	}
	if err == nil {
		// After the state: the other way round, a process that was killed in between would look like a lost state.
		err = s.last.Advance(w.Origin, w.Size, w.Root)
	}
	if err != nil {
		s.broken = fmt.Errorf("the witness cannot keep what it cosigns, and must be started again: %w", err)
		return s.broken
	}
	s.latest[w.Origin], s.hashes[verify.OriginHash(w.Origin)] = w, w
	return nil
}

var (
	errMoved     = errors.New("another request was faster")
	errWitnessed = errors.New("a record in it is not the one that was written")
)

func (w *witnessed) encode() []byte {
	b := append(make([]byte, 0, len(witnessedMagic)+8+len(w.note)+sha256.Size), witnessedMagic...)
	b = binary.BigEndian.AppendUint64(b, w.time)
	b = append(b, w.note...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeWitnessed reads what encode returns and nothing else.
func decodeWitnessed(v []byte) (*witnessed, error) {
	v = bytes.Clone(v)
	if len(v) < len(witnessedMagic)+8+sha256.Size || string(v[:len(witnessedMagic)]) != witnessedMagic {
		return nil, errWitnessed
	}
	body := v[:len(v)-sha256.Size]
	if sha256.Sum256(body) != [32]byte(v[len(body):]) {
		return nil, errWitnessed
	}
	w := &witnessed{time: binary.BigEndian.Uint64(body[len(witnessedMagic):]), note: body[len(witnessedMagic)+8:]}
	text, _, ok := cutNote(w.note)
	if !ok {
		return nil, errWitnessed
	}
	var err error
	w.Checkpoint, err = verify.ParseExtended(text)
	return w, err
}

// cutNote parts a note into its text, with the final line feed, and its signature lines.
func cutNote(msg []byte) (text, lines []byte, ok bool) {
	i := bytes.LastIndex(msg, []byte("\n\n"))
	if i < 0 {
		return nil, nil, false
	}
	return msg[:i+1], msg[i+2:], true
}
