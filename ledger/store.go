package ledger

import (
	"context"
	"errors"
)

// A Store keeps a ledger: a chain of commits, each of which is created once and never changed,
// and objects beside it, which follow from the commits or are checked against them. Package
// storetest states these promises as tests.
//
// A Store may be read by many goroutines beside the one that writes commits. What it returns
// belongs to the caller, and what it is given it does not keep or change.
type Store interface {
	// Last returns the number of the newest commit; 0 if there is none. Commits are numbered
	// from 1 without gaps.
	Last(ctx context.Context) (uint64, error)

	// Room makes sure of space: nil says that a Create and a Put of up to so many bytes together, objects included,
	// will not fail for want of it, if nothing but a checkpoint note is put before. An object
	// counts with its path, and for 8 KiB at least. ErrFull says that there is none now, that
	// nothing was changed, and that asking again later is right. Create, Put and Delete return
	// ErrFull too, and have changed nothing then.
	Room(ctx context.Context, bytes int) error

	// Create makes commit seq and puts objects, durable when it returns nil: no object without the commit, and no commit
	// without all of them. The record is at most MaxRecord
	// bytes. If the commit exists already, whatever its bytes, the error is ErrExists; if
	// seq-1 does not exist, another one. An error that is ErrUnknown says that the commit
	// may exist, now or later, and nothing about the objects: read it and compare, and put them again.
	Create(ctx context.Context, seq uint64, record []byte, objects ...Object) error

	// Read returns commit seq as it was created. Above Last the error is fs.ErrNotExist.
	Read(ctx context.Context, seq uint64) ([]byte, error)

	// Put makes or replaces objects: all of them, durable, when it returns nil. After an error
	// but ErrFull none, or each for itself, may have been replaced.
	Put(ctx context.Context, objects ...Object) error

	// Get returns the object at a path. If there is none the error is fs.ErrNotExist.
	Get(ctx context.Context, path string) ([]byte, error)

	// List returns the paths that begin with prefix, in the order of their bytes.
	List(ctx context.Context, prefix string) ([]string, error)

	// Delete removes an object, durably when it returns nil; it is no error if there is none.
	// Commits cannot be deleted.
	Delete(ctx context.Context, path string) error

	// Close ends the use of the Store and releases what it holds.
	Close() error
}

// An Object is bytes at a path, such as "tile/0/000". A path has 1 to 255 bytes of printable
// ASCII without space; Data at most 16 MiB.
type Object struct {
	Path string
	Data []byte
}

// MaxRecord bounds a commit record, in bytes.
const MaxRecord = 8 << 20

var (
	// ErrExists is what Store.Create returns for a commit that exists.
	ErrExists = errors.New("ledger: the commit exists already")
	// ErrUnknown is what Store.Create returns when it cannot tell whether the commit was made.
	ErrUnknown = errors.New("ledger: whether the commit was made is not known")
	// ErrFull is what a Store returns when there is no space for more, which may pass.
	ErrFull = errors.New("there is no space left for the record")
	// ErrInUse is what opening a Store or a last-signed record returns while another process serves it.
	ErrInUse = errors.New("in use by another process")
	// ErrCorrupt is what a Store returns for bytes that are not the ones it was given, and
	// Open for a record that contradicts itself.
	ErrCorrupt = errors.New("the stored record is damaged")
	// ErrReadOnly is what writing to a Store returns that was opened for reading.
	ErrReadOnly = errors.New("opened for reading only")
)
