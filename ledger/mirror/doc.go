// Package mirror follows the record of a ledger that somebody else runs, over HTTP or from wherever it is served: it reads what
// is new, checks everything as an audit does, and keeps it.
//
//	f := mirror.NewFollower(mirror.FollowerConfig{Origin: origin, Policy: policy, Fetch: fetch, Copy: copy})
//	report, err := f.Advance(ctx, note) // the checkpoint that the ledger, or a witness, shows
//
// A Judge has a witness cosign only what a Follower has read.
package mirror
