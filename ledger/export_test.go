package ledger

import (
	"crypto/sha256"
	"os"
)

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
