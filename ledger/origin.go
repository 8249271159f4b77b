package ledger

import (
	"context"
	"errors"
	"io/fs"

	"github.com/tccm/undersigned/verify/entry"
)

// Origin returns the identity line of the ledger in a store, as its entry 0 says it: what
// Config.Origin has to be. If the store has no commit the error is ErrEmpty.
func Origin(ctx context.Context, store Store) (string, error) {
	b, err := store.Read(ctx, 1)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrEmpty
	}
	if err != nil {
		return "", err
	}
	r, err := decodeRecord(b)
	if err != nil {
		return "", ErrCorrupt
	}
	l, err := entry.ParseLeaf(r.leaves[0])
	if err != nil {
		return "", ErrCorrupt
	}
	return l.Entry.Ledger, nil
}
