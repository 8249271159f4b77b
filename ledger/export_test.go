package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"time"

	"github.com/tccm/undersigned/keys"
)

// SnapshotProblem returns why the file at path is not a snapshot signed by one of these keys.
func SnapshotProblem(path, origin string, signedBy ...keys.VKey) error {
	_, _, err := readSnapshot(path, origin, signedBy...)
	return err
}

// ForgeSnapshot writes a snapshot of the ledger that the log's key signs, and in which the state says
// something else.
func (l *Ledger) ForgeSnapshot(path, old, new string) error {
	s, _ := l.freeze(context.Background())
	s.state = bytes.Replace(s.state, []byte(old), []byte(new), 1)
	return s.write(path, l.origin, l.signers[0])
}

// SnapshotEvery sets after how many entries a running ledger writes a snapshot, and returns what undoes it.
func SnapshotEvery(n uint64) (undo func()) {
	before := snapshotEvery
	snapshotEvery = n
	return func() { snapshotEvery = before }
}

// FailSync makes f stand in for what makes the record durable.
func (s *LastSigned) FailSync(f func(*os.File) error) { s.sync = f }

// DataSync is what makes the record durable.
var DataSync = dataSync

// Damage flips a bit in the tree's hash of a leaf, which is in the tile at the right edge and less
// than 256, as a fault of the memory would.
func (l *Ledger) Damage(index uint64) {
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	l.tree.edge[0].nodes[index][0] ^= 1
}

// Reseal makes the sum of a record's bytes right again, after they were changed.
func Reseal(record []byte) {
	body := record[:len(record)-recordSum]
	sum := sha256.Sum256(body)
	copy(record[len(body):], sum[:])
}

// Waiting returns how many stored entries wait for a checkpoint.
func (l *Ledger) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

// Committing says whether who looks at the state must wait for a commit.
func (l *Ledger) Committing() bool {
	free := l.durable.TryRLock()
	if free {
		l.durable.RUnlock()
	}
	return !free
}

// Freeze takes a snapshot, and forgets it.
func (l *Ledger) Freeze() { l.freeze(context.Background()) }

// NoteIdle sets after how long without a commit a note is stored by itself, and returns what undoes it.
func NoteIdle(d time.Duration) (undo func()) {
	before := noteIdle.Swap(int64(d))
	return func() { noteIdle.Store(before) }
}

// Unstored says whether the last-signed record alone has the published note.
func (l *Ledger) Unstored() bool { return l.unstored.Load() != nil }

// Where the last-signed record has room for a note, in bytes.
const NoteOffset, NoteRoom = noteOffset, noteRoom
