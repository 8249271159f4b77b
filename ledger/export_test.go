package ledger

import (
	"crypto/sha256"
	"os"
)

// FailSync makes f stand in for what makes the record durable.
func (s *LastSigned) FailSync(f func(*os.File) error) { s.sync = f }

// DataSync is what makes the record durable.
var DataSync = dataSync

// Damage makes the ledger's tree give another root hash, as a flipped bit in memory would.
func (l *Ledger) Damage() {
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	last := l.tree.edge[0]
	last.nodes[last.n-1][0] ^= 1
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
