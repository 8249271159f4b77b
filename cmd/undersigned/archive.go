package main

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
)

// writeArchive writes the whole published record of a ledger, with every checkpoint note and every text, as an archive.
func writeArchive(ctx context.Context, w io.Writer, l *ledger.Ledger) error {
	sizes, err := l.CheckpointSizes(ctx)
	if err != nil {
		return err
	}
	texts, err := l.Blobs(ctx)
	if err != nil {
		return err
	}
	return verify.WriteArchive(ctx, w, l.Fetch, sizes, texts)
}

// policyText returns a policy file for a ledger without witnesses: a log line for each key, and
// the address where the record is read, or "".
func policyText(logs []keys.VKey, address string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Whose word is taken for which checkpoint is the record's newest: the log's own, with no witness.\n")
	for _, v := range logs {
		fmt.Fprintf(&b, "log %s", v)
		if address != "" {
			fmt.Fprintf(&b, " %s", address)
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintf(&b, "quorum none\n")
	return b.Bytes()
}
