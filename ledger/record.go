package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"

	"github.com/tccm/undersigned/verify/entry"
)

// A record is one commit: the leaves that it adds to the tree, and what the tree is then.
type record struct {
	seq    uint64   // from 1
	prev   [32]byte // sum of the record before; zero for seq 1
	from   uint64   // tree size before
	size   uint64   // tree size after: from + len(leaves)
	root   [32]byte // RFC 6962 root hash after
	nonce  [16]byte // random, tells two attempts to make the same commit apart
	leaves [][]byte // at least one, each 1 to entry.MaxLeaf bytes

	sum [32]byte // SHA-256 of everything before it in the record
}

const (
	recordMagic  = "undersigned/commit/v1\n"
	recordHeader = len(recordMagic) + 8 + 32 + 8 + 8 + 32 + 16
	recordSum    = sha256.Size
)

var errRecord = errors.New("the commit record is damaged")

// encode returns the record's bytes and sets its sum:
//
//	"undersigned/commit/v1" LF
//	uint64 seq, 32 bytes prev, uint64 from, uint64 size, 32 bytes root, 16 bytes nonce
//	for each leaf: uint16 length, bytes      as in an entry bundle of tlog-tiles
//	32 bytes sum                             numbers are big-endian
func (r *record) encode() []byte {
	n := recordHeader + recordSum
	for _, leaf := range r.leaves {
		n += 2 + len(leaf)
	}
	b := make([]byte, 0, n)
	b = append(b, recordMagic...)
	b = binary.BigEndian.AppendUint64(b, r.seq)
	b = append(b, r.prev[:]...)
	b = binary.BigEndian.AppendUint64(b, r.from)
	b = binary.BigEndian.AppendUint64(b, r.size)
	b = append(b, r.root[:]...)
	b = append(b, r.nonce[:]...)
	for _, leaf := range r.leaves {
		if len(leaf) == 0 || len(leaf) > entry.MaxLeaf {
			panic("ledger: a leaf of a commit is empty or longer than 65535 bytes")
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(leaf)))
		b = append(b, leaf...)
	}
	r.sum = sha256.Sum256(b)
	return append(b, r.sum[:]...)
}

// decodeRecord reads what encode returns and nothing else. The leaves share b's memory. Whether
// root and prev are right is for the caller to compute.
func decodeRecord(b []byte) (*record, error) {
	if len(b) < recordHeader+recordSum || len(b) > MaxRecord || string(b[:len(recordMagic)]) != recordMagic {
		return nil, errRecord
	}
	body := b[:len(b)-recordSum]
	r := &record{sum: [32]byte(b[len(body):])}
	if sha256.Sum256(body) != r.sum {
		return nil, errRecord
	}
	h := body[len(recordMagic):]
	r.seq, h = binary.BigEndian.Uint64(h), h[8:]
	copy(r.prev[:], h)
	h = h[32:]
	r.from, h = binary.BigEndian.Uint64(h), h[8:]
	r.size, h = binary.BigEndian.Uint64(h), h[8:]
	copy(r.root[:], h)
	h = h[32:]
	copy(r.nonce[:], h)
	for h = h[16:]; len(h) > 0; {
		if len(h) < 2 {
			return nil, errRecord
		}
		n := int(binary.BigEndian.Uint16(h))
		if n == 0 || len(h) < 2+n {
			return nil, errRecord
		}
		r.leaves = append(r.leaves, h[2:2+n:2+n])
		h = h[2+n:]
	}
	if r.seq == 0 || len(r.leaves) == 0 || r.size > math.MaxInt64 || r.size < r.from || r.size-r.from != uint64(len(r.leaves)) {
		return nil, errRecord
	}
	return r, nil
}

// follows says whether r continues the chain after the record with this number, sum and tree size.
func (r *record) follows(seq uint64, sum [32]byte, size uint64) bool {
	return r.seq == seq+1 && r.prev == sum && r.from == size
}
