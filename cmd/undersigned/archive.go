package main

import (
	"context"
	"fmt"
	"io"
	"strings"

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
	b := []byte("# Whose word is taken for which checkpoint is the record's newest: the log's own, with no witness.\n")
	return append(append(b, logLines(logs, address)...), "quorum none\n"...)
}

// A policyVoter is a witness as a policy names it.
type policyVoter struct {
	vkeys   []keys.VKey
	address string // where it is asked, or ""
	replays bool   // it stands in the group verify.ReplayingGroup; at most one does
}

// witnessedPolicyText returns a policy file for a ledger of which most of the witnesses must have seen a checkpoint.
func witnessedPolicyText(logs []keys.VKey, address string, voters ...policyVoter) []byte {
	most := len(voters)/2 + 1
	b := fmt.Appendf(nil, "# Whose word is taken for which checkpoint is the record's newest: the log's, once %d of these %d witnesses have seen it.\n", most, len(voters))
	b = append(b, logLines(logs, address)...)
	var groups string
	for _, v := range voters {
		group := policyName(v.vkeys)
		if v.replays {
			group = verify.ReplayingGroup
			b = append(b, "# This one cosigns only what it has read from the first entry on, if the record's own rules admit all of it.\n"...)
		}
		groups += " " + group
		b = append(b, policyLines(v.vkeys, v.address, group)...)
	}
	return fmt.Appendf(b, "group witnesses %d%s\nquorum witnesses\n", most, groups)
}

func logLines(logs []keys.VKey, address string) []byte {
	var b []byte
	for _, v := range logs {
		b = fmt.Appendf(b, "log %s", v)
		if address != "" {
			b = fmt.Appendf(b, " %s", address)
		}
		b = append(b, '\n')
	}
	return b
}

// policyName is what a policy calls a witness.
func policyName(vkeys []keys.VKey) string {
	return strings.NewReplacer("/", "-", ".", "-").Replace(vkeys[0].Name)
}

// policyLines are what a policy says of a cosigner with two keys, which are one vote: the group.
func policyLines(vkeys []keys.VKey, address, group string) []byte {
	var b []byte
	var members string
	for i, v := range vkeys {
		member := policyName(vkeys) + []string{"-ed25519", "-mldsa44"}[i]
		members += " " + member
		b = fmt.Appendf(b, "witness %s %s", member, v)
		if address != "" {
			b = fmt.Appendf(b, " %s", address)
		}
		b = append(b, '\n')
	}
	return fmt.Appendf(b, "group %s any%s\n", group, members)
}
