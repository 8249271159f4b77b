package check

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// ReceiptSource is what receipts of an audited record are made of, under the checkpoint that was audited.
func ReceiptSource(ctx context.Context, r *verify.Report, fetch verify.Fetch) (s verify.RollSource, err error) {
	root, err := RootOf(r)
	if err != nil {
		return s, err
	}
	reader, err := verify.NewHashReader(ctx, verify.Checkpoint{Origin: r.Origin, Size: r.Size, Root: root}, fetch)
	if err != nil {
		return s, err
	}
	s = verify.RollSource{
		State: r.State,
		Leaf: func(index uint64) ([]byte, error) {
			leaves, err := reader.Entries(ctx, index/verify.TileWidth)
			if err != nil {
				return nil, err
			}
			return leaves[index%verify.TileWidth], nil
		},
		Note:  func(size uint64) ([]byte, error) { return fetch(ctx, verify.CheckpointPath(size)) },
		Nodes: func(level uint, index uint64) ([32]byte, error) { return reader.Node(ctx, level, index) },
	}
	s.Checkpoint, err = s.Note(r.Size)
	return s, err
}

// MakeReceipt makes the receipt of an entry of an audited record.
func MakeReceipt(ctx context.Context, r *verify.Report, fetch verify.Fetch, index uint64) (*verify.Receipt, error) {
	s, err := ReceiptSource(ctx, r, fetch)
	if err != nil {
		return nil, err
	}
	b, err := s.Leaf(index)
	if err != nil {
		return nil, err
	}
	l, err := entry.ParseLeaf(b)
	if err != nil {
		return nil, err
	}
	var after []byte
	if n, ok := l.Entry.Body.(*entry.Endorsement); ok {
		if after, err = s.Note(n.After.Size); err != nil {
			return nil, err
		}
		if entry.Sum(after) != n.After.Note {
			return nil, &verify.ContradictionError{Problem: "the checkpoint that the entry quotes has another hash"}
		}
	}
	return verify.MakeReceipt(index, r.State.Support(index, l.Entry), after, s.Checkpoint, s.Leaf, s.Nodes)
}

// RootOf returns the root hash of an audited record.
func RootOf(r *verify.Report) (root [32]byte, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(r.Root)
	if err != nil || len(b) != len(root) {
		return root, errors.New("the audit gave no root hash")
	}
	return [32]byte(b), nil
}
