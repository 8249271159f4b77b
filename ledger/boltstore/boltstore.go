// Package boltstore keeps a ledger in one file, ledger.db, on bbolt.
//
// The file has two buckets:
//
//	commit   uint64 number, big-endian  ->  the commit's record, as it is
//	obj      path                       ->  the object's bytes, and CRC-32C over path and bytes, big-endian
//
// Every write is one bbolt transaction, synced before it returns. bbolt has no checksums of its
// own except in its two meta pages, and panics, crashes or hangs when what it reads is not what
// it wrote. So Open and Inspect check the structure of every page that bbolt would use, without
// bbolt, before anything else; and a panic within bbolt becomes an error that is ledger.ErrCorrupt.
package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/tccm/undersigned/ledger"
)

// File is the name of the file in a ledger's directory.
const File = "ledger.db"

var (
	commitBucket = []byte("commit")
	objBucket    = []byte("obj")
)

// castagnoli returns the table of CRC-32C, which takes a while to make.
var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

const (
	crcSize = 4
	maxPath = 255
	maxData = 16 << 20
)

// Create makes an empty store in a directory, which must exist, and opens it. If there is one
// already the error is fs.ErrExist. The file appears under its name only when it is whole.
func Create(dir string) (ledger.Store, error) {
	if err := Build(dir, func(ledger.Store) error { return nil }, func(ledger.Store) error { return nil }); err != nil {
		return nil, err
	}
	return Open(dir, false)
}

// Open opens the store in a directory, after a check of its pages. While another process serves
// it the error is ledger.ErrInUse; several may read it. If there is none the error is
// fs.ErrNotExist, if it is damaged ledger.ErrCorrupt: Inspect tells more.
func Open(dir string, readOnly bool) (ledger.Store, error) {
	return open(dir, readOnly, disk{(*os.File).WriteAt, (*bolt.DB).Sync})
}

func open(dir string, readOnly bool, disk disk) (ledger.Store, error) {
	path := filepath.Join(dir, File)
	// bbolt would make a missing file, and trust a damaged one.
	pages, err := openPages(dir)
	if err != nil {
		return nil, err
	}
	flaws := pages.flaws
	pages.Close()
	if len(flaws) > 0 {
		return nil, fmt.Errorf("%s: %w: %s", path, ledger.ErrCorrupt, flaws[0])
	}
	s := &store{path: path, readOnly: readOnly, disk: disk}
	err = s.open(options(readOnly))
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, inUse(dir)
	}
	if err != nil {
		return nil, err
	}
	if !readOnly {
		// What was written last can be read, and need not be durable: nothing may rest on it before it is.
		err := s.readMetas()
		if err == nil {
			err = s.renew()
		}
		if errors.Is(err, ledger.ErrFull) {
			err = nil // what is on a full disk can be read; before anything is written this is tried again
		}
		err = errors.Join(err, syncDir(dir))
		if err == nil {
			s.space, err = openSpace(path)
		}
		if err != nil {
			return nil, errors.Join(err, s.db.Close())
		}
	}
	return s, nil
}

func options(readOnly bool) *bolt.Options {
	o := &bolt.Options{
		Timeout:      time.Millisecond, // to wait for the lock
		ReadOnly:     readOnly,
		FreelistType: bolt.FreelistMapType,
		NoStatistics: true,
	}
	if !readOnly && mapsAhead {
		o.InitialMmapSize = mapped
	}
	return o
}

const (
	// mapped is how much address space is taken for the file, in bytes: 64 GiB, or 256 MiB where addresses have
	// 32 bits. Only when the file grows beyond it must a commit wait for who reads, and who reads for the commit.
	mapped = 1 << (28 + 8*(strconv.IntSize/64))
	// growth is how much longer than needed bbolt makes the file, so that it need not do so each time. Blocks it
	// has only where something is written.
	growth = 1 << 20
)

// mapsAhead says that a system maps a file beyond its end at no cost. On Windows the file would be made as long;
// OpenBSD is asked to look at all that is mapped on each sync.
var mapsAhead = slices.Contains([]string{"linux", "android", "darwin", "freebsd", "netbsd", "dragonfly"}, runtime.GOOS)

// open opens the file with bbolt.
func (s *store) open(o *bolt.Options) error {
	o.OpenFile = func(path string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(path, flag, mode)
		if s.file == nil { // else it is a copy that is being made
			s.file = f
		}
		return f, err
	}
	return s.guard(func() (err error) {
		s.db, err = bolt.Open(s.path, 0o600, o)
		if err != nil && o.InitialMmapSize > 0 && !errors.Is(err, berrors.ErrTimeout) {
			// There may be a limit to the address space.
			s.file, o.InitialMmapSize = nil, 0
			s.db, err = bolt.Open(s.path, 0o600, o)
		}
		if err == nil {
			s.db.AllocSize = growth
		}
		return err
	})
}

func inUse(dir string) error { return fmt.Errorf("the ledger in %s is %w", dir, ledger.ErrInUse) }

type store struct {
	path     string
	db       *bolt.DB
	file     *os.File // that bbolt has opened, and closes
	readOnly bool
	space    *space      // nil if readOnly
	writing  sync.Mutex  // held during a transaction, as bbolt's own lock is, which a panic may leave locked
	broken   atomic.Bool // bbolt panicked or could not write: what it holds in memory is not to be trusted

	disk   disk
	metas  [2][]byte   // of each meta page what is in use, as it was read at opening
	page   int64       // bytes in each page
	unsure atomic.Bool // they need not be durable
}

// A disk is what makes meta pages durable; tests make it fail.
type disk struct {
	writeAt func(f *os.File, b []byte, at int64) (int, error)
	sync    func(db *bolt.DB) error
}

// readMetas reads the meta pages that bbolt found.
func (s *store) readMetas() error {
	s.page = int64(s.db.Info().PageSize)
	for number := range s.metas {
		s.metas[number] = make([]byte, headerSize+metaSize)
		if _, err := s.file.ReadAt(s.metas[number], int64(number)*s.page); err != nil {
			return err
		}
	}
	s.unsure.Store(true)
	return nil
}

// renew makes the meta pages durable that were read at opening. A sync by itself does not always: where an earlier one failed, in a
// process that is gone, Linux leaves a page that can be read, that counts as written, and that is not on the disk. Whatever is answered
// and signed from now on rests on it, and so does the next transaction, which writes where the tree of the meta page before was. So the
// pages are written again. That changes no byte and lies within one sector of each, so that a crash amid it leaves what is on the disk
// or what was read. All other pages are durable: bbolt writes a meta page only when what it leads to has been written and synced.
//
// The error is ledger.ErrFull if there is no space, which only a file system asks for that does not overwrite a block where it is.
func (s *store) renew() error {
	for number, b := range s.metas {
		if _, ok := parseMeta(b, uint64(number)); !ok { // what was read a moment ago was a meta page
			return fmt.Errorf("%s: %w: meta page %d changed in memory", s.path, ledger.ErrCorrupt, number)
		}
		_, err := s.disk.writeAt(s.file, b, int64(number)*s.page)
		if err == nil {
			err = s.disk.sync(s.db) // before the other one, so that one is always whole
		}
		if noSpace(err) {
			return fmt.Errorf("%s: its first pages cannot be written again: %w: %w", s.path, err, ledger.ErrFull)
		}
		if err != nil {
			return err
		}
	}
	s.unsure.Store(false)
	return nil
}

// renewLate is renew for a transaction or a promise of room, if it is still to be done. The caller holds writing.
func (s *store) renewLate() error {
	if !s.unsure.Load() {
		return nil
	}
	return s.renew()
}

// closePatience is how long Close waits for bbolt after an error.
const closePatience = 2 * time.Second

// guard calls f and turns what bbolt does on a damaged file, to panic or to read beyond its end,
// into an error.
func (s *store) guard(f func() error) (err error) {
	if s.broken.Load() {
		return fmt.Errorf("%s: an error went before, so that it must be opened again", s.path)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			s.broken.Store(true)
			err = fmt.Errorf("%s: %w: %v", s.path, ledger.ErrCorrupt, r)
		}
	}()
	return f()
}

func (s *store) view(ctx context.Context, f func(commits, objects *bolt.Bucket) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.guard(func() error {
		return s.db.View(func(tx *bolt.Tx) error { return f(tx.Bucket(commitBucket), tx.Bucket(objBucket)) })
	})
}

// inPlace returns an error unless the store's path leads to the file that is written to. Nothing more is done then.
func (s *store) inPlace() error {
	err := ledger.InPlace(s.file, s.path)
	if err != nil {
		s.broken.Store(true)
	}
	return err
}

// update runs one transaction. After an error of bbolt's own, which may or may not have kept the
// transaction, nothing more is done: what is in memory need not be what is in the file.
func (s *store) update(ctx context.Context, f func(commits, objects *bolt.Bucket) error) error {
	if s.readOnly {
		return ledger.ErrReadOnly
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	var own error // of f, which leaves the file as it was
	return s.guard(func() error {
		if err := s.inPlace(); err != nil {
			return err
		}
		if err := s.renewLate(); err != nil {
			return err
		}
		err := s.db.Update(func(tx *bolt.Tx) error {
			own = f(tx.Bucket(commitBucket), tx.Bucket(objBucket))
			return own
		})
		if err != nil && own == nil {
			s.broken.Store(true)
		}
		if err == nil {
			err = s.inPlace() // it is acknowledged only if it is in the file that the next start opens
		}
		return err
	})
}

func commitKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func (s *store) Last(ctx context.Context) (last uint64, err error) {
	err = s.view(ctx, func(commits, _ *bolt.Bucket) error {
		if k, _ := commits.Cursor().Last(); k != nil {
			last = binary.BigEndian.Uint64(k)
		}
		return nil
	})
	return last, err
}

func (s *store) Create(ctx context.Context, seq uint64, record []byte, objects ...ledger.Object) error {
	if len(record) > ledger.MaxRecord {
		return errors.New("the commit is too large")
	}
	paths, length, err := measure(objects)
	if err != nil {
		return err
	}
	return s.update(ctx, func(commits, objs *bolt.Bucket) error {
		if commits.Get(commitKey(seq)) != nil {
			return ledger.ErrExists
		}
		if seq == 0 || seq > 1 && commits.Get(commitKey(seq-1)) == nil {
			return errors.New("the commit before it is missing")
		}
		need := commitNeed(commits, len(record))
		if len(objects) > 0 {
			need += objectsNeed(objs, leafKeys, paths, length)
		}
		if err := s.reserve(commits.Tx(), need); err != nil {
			return err
		}
		commits.FillPercent = 1 // keys only ever grow
		if err := commits.Put(commitKey(seq), record); err != nil {
			return err
		}
		return put(objs, objects)
	})
}

func (s *store) Read(ctx context.Context, seq uint64) (record []byte, err error) {
	err = s.view(ctx, func(commits, _ *bolt.Bucket) error {
		v := commits.Get(commitKey(seq))
		if v == nil {
			return fs.ErrNotExist
		}
		record = bytes.Clone(v)
		return nil
	})
	return record, err
}

func (s *store) Put(ctx context.Context, objects ...ledger.Object) error {
	paths, length, err := measure(objects)
	if err != nil {
		return err
	}
	return s.update(ctx, func(_, objs *bolt.Bucket) error {
		if err := s.reserve(objs.Tx(), objectsNeed(objs, leafKeys, paths, length)); err != nil {
			return err
		}
		return put(objs, objects)
	})
}

// measure returns the paths of objects, and the length of their bytes in all.
func measure(objects []ledger.Object) (paths []string, length int64, err error) {
	paths = make([]string, 0, len(objects))
	for _, o := range objects {
		if o.Path == "" || len(o.Path) > maxPath || len(o.Data) > maxData {
			return nil, 0, errors.New("the object or its path is too long")
		}
		paths = append(paths, o.Path)
		length += int64(len(o.Data))
	}
	return paths, length, nil
}

func put(objs *bolt.Bucket, objects []ledger.Object) error {
	for _, o := range objects {
		if err := objs.Put([]byte(o.Path), seal(o.Path, o.Data)); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) Get(ctx context.Context, path string) (data []byte, err error) {
	err = s.view(ctx, func(_, objs *bolt.Bucket) error {
		v := objs.Get([]byte(path))
		if v == nil {
			return fs.ErrNotExist
		}
		data, err = unseal(path, bytes.Clone(v))
		return err
	})
	return data, err
}

// seal returns an object's value: its bytes and their checksum.
func seal(path string, data []byte) []byte {
	table := castagnoli()
	sum := crc32.Update(crc32.Checksum([]byte(path), table), table, data)
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, len(data)+crcSize), data...), sum)
}

// unseal returns the bytes within an object's value, whose memory they share.
func unseal(path string, v []byte) ([]byte, error) {
	data := v[:max(0, len(v)-crcSize):max(0, len(v)-crcSize)]
	if !bytes.Equal(v, seal(path, data)) {
		return nil, fmt.Errorf("its checksum is wrong: %w", ledger.ErrCorrupt)
	}
	return data, nil
}

func (s *store) List(ctx context.Context, prefix string) (paths []string, err error) {
	err = s.view(ctx, func(_, objs *bolt.Bucket) error {
		c := objs.Cursor()
		for k, _ := c.Seek([]byte(prefix)); bytes.HasPrefix(k, []byte(prefix)) && k != nil; k, _ = c.Next() {
			paths = append(paths, string(k))
		}
		return nil
	})
	return paths, err
}

func (s *store) Delete(ctx context.Context, path string) error {
	return s.update(ctx, func(_, objs *bolt.Bucket) error {
		if path == "" {
			return nil
		}
		// A leaf that gets short is joined with the one beside it.
		if err := s.reserve(objs.Tx(), objectsNeed(objs, 2*leafKeys, []string{path}, 0)); err != nil {
			return err
		}
		return objs.Delete([]byte(path))
	})
}

// Close leaves the file in use until the process ends if bbolt has panicked and holds its locks for ever.
func (s *store) Close() error {
	closing := s.db.Close
	if s.broken.Load() {
		closing = s.tryClose
	}
	if s.readOnly {
		return closing()
	}
	return errors.Join(closing(), s.space.Close())
}

func (s *store) tryClose() error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("%s: closing it: %v", s.path, r)
			}
		}()
		done <- s.db.Close()
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(closePatience):
		return nil // the error before has been told
	}
}
