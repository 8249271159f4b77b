package boltstore

import (
	"context"

	bolt "go.etcd.io/bbolt"

	"github.com/tccm/undersigned/ledger"
)

// bbolt makes its file longer without allocating blocks, and allocates them by writing pages, so a
// disk that fills up would fail a transaction halfway. Therefore every transaction first reserves
// what it may use at most: as if no free page could be used again, and all pages were new ones
// beyond those in use.

const (
	// smallSlack is for what a transaction writes beside its leaves, in pages: branches on every
	// level, split, and the bucket of buckets.
	smallSlack = 64
	// aheadSlack is that of Room: for a commit with its objects, tiles after it, a note before them, and the note that follows.
	aheadSlack = 256
	// objectPages are those that an object can take beside its bytes: its leaf and the one that is
	// split from it are not filled, and there is a branch above them.
	objectPages = 3
	// leastObject is what an object counts for in Room, in bytes.
	leastObject = 8 << 10
	// leafKeys is how many elements a leaf has at most that is longer than a page (node.splitTwo).
	leafKeys = 4
	// elementRoom is what a leaf has beside a key and its value.
	elementRoom = elementSize + crcSize
)

// Room reserves what a Create or Put of so many bytes needs. On Linux it allocates the blocks
// (fallocate), where the file system can: then they are the file's, whatever else fills the disk.
// Where it cannot, and where overwriting a block can take another one (Btrfs, ZFS, XFS after a
// copy that shares blocks), it looks at the free space, which is no promise. On other systems it
// always returns nil. Whoever is told that there is room may sign, so the meta pages are durable then (renew).
func (s *store) Room(ctx context.Context, bytes int) error {
	if s.readOnly {
		return ledger.ErrReadOnly
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.guard(func() error {
		if s.unsure.Load() {
			s.writing.Lock()
			defer s.writing.Unlock()
			if err := s.renewLate(); err != nil {
				return err
			}
		}
		return s.db.View(func(tx *bolt.Tx) error {
			objects := tx.Bucket(objBucket)
			need := int64(bytes) + objectPages*pageSize(tx)*(1+int64(bytes)/leastObject)
			need += besideLast(tx.Bucket(commitBucket))
			// Texts, which can be large, come before the checkpoint notes, and notes, which can be, before the tiles.
			counted := make(map[string]bool)
			need += beside(objects, []byte("checkpoints/"), leafKeys, counted)
			need += beside(objects, []byte("tile/"), leafKeys, counted)
			return s.space.reserve(tx.Size(), need+overhead(tx, need, aheadSlack), true)
		})
	})
}

// overhead is what transactions use beside leaves of need bytes: the slack, in pages, and the list
// of free pages, 8 bytes for each, three times as Room needs it.
func overhead(tx *bolt.Tx, need int64, slack int64) int64 {
	pages := (tx.Size()+need)/pageSize(tx) + slack
	return slack*pageSize(tx) + 3*8*pages
}

func pageSize(tx *bolt.Tx) int64 { return int64(tx.DB().Info().PageSize) }

// besideLast is the length of what may be in one leaf with a commit that is appended, in bytes.
func besideLast(commits *bolt.Bucket) (n int64) {
	c := commits.Cursor()
	k, v := c.Last()
	for i := 0; i < leafKeys && k != nil; i++ {
		n += int64(len(k) + len(v) + elementRoom)
		k, v = c.Prev()
	}
	return n
}

// beside is the length of what may be in one leaf with a key, in bytes: up to so many elements
// before and from it on. It leaves out, and notes, the keys that were counted.
func beside(b *bolt.Bucket, key []byte, keys int, counted map[string]bool) (n int64) {
	count := func(k, v []byte) {
		if !counted[string(k)] {
			counted[string(k)] = true
			n += int64(len(k) + len(v) + elementRoom)
		}
	}
	c := b.Cursor()
	k, v := c.Seek(key)
	for i := 0; i < keys && k != nil; i++ {
		count(k, v)
		k, v = c.Next()
	}
	if k, _ = c.Seek(key); k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	for i := 0; i < keys && k != nil; i++ {
		count(k, v)
		k, v = c.Prev()
	}
	return n
}

// reserve makes room within a transaction for leaves of need bytes.
func (s *store) reserve(tx *bolt.Tx, need int64) error {
	return s.space.reserve(tx.Size(), need+overhead(tx, need, smallSlack), false)
}

// commitNeed is what the leaf of a commit may take, in bytes.
func commitNeed(commits *bolt.Bucket, record int) int64 {
	return besideLast(commits) + int64(record+elementRoom+8) + 2*pageSize(commits.Tx())
}

// objectsNeed is what the leaves of objects that are changed may take, in bytes, of which their paths and their own bytes in all are given.
func objectsNeed(objects *bolt.Bucket, keys int, paths []string, bytes int64) int64 {
	for _, path := range paths {
		bytes += int64(len(path) + elementRoom)
	}
	need := bytes + objectPages*pageSize(objects.Tx())*int64(len(paths))
	counted := make(map[string]bool)
	for _, path := range paths {
		need += beside(objects, []byte(path), keys, counted)
	}
	return need
}
