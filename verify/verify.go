// Package verify is the law, for outsiders: it judges receipts, replays whole records, and trusts nobody but the
// logs and witnesses that its reader's policy names. It has no network, no clock and no files of its own, so a
// browser runs it as it is.
//
// A policy says whom to trust (c2sp.org/tlog-policy):
//
//	log ledger.example/tccm+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k https://ledger.example/tccm/
//	witness W1 witness.example/1+…
//	witness W2 witness.example/2+…
//	group majority 2 W1 W2
//	quorum majority
//
// A checkpoint fixes the whole record in one hash (c2sp.org/tlog-checkpoint): origin, number of entries, RFC 6962
// root hash, and the signatures of the log (types 0x01 and 0x06) and of witnesses (0x04 and 0x06, with the time at
// which they saw it, c2sp.org/tlog-cosignature).
//
//	ledger.example/tccm
//	57
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
//	— ledger.example/tccm Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONn…
//	— witness.example/1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWX…
//
// A receipt is one entry with the proof that it is in the record (c2sp.org/tlog-proof):
//
//	c2sp.org/tlog-proof@v1
//	extra Ax51bmRlcnNpZ25lZC9sZWFmL3YxCmFkbWl0dGVkIDIwMjQt…
//	index 23
//	gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//	B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
//
//	ledger.example/tccm
//	57
//	…
//
// The record itself is a tree of files (c2sp.org/tlog-tiles), under a URL or in an archive, a zip of the same paths:
//
//	checkpoint                     the newest checkpoint
//	checkpoints/57                 the first published checkpoint of that size, as entries quote it
//	tile/0/000.p/57                leaf hashes; tile/1/… and above: hashes of full tiles
//	tile/entries/000.p/57          the entries, each with its length as uint16
//	blobs/sha256/<64 hex>          a text
//	SHA256SUMS                     in an archive: sha256sum of every other file
//
// # What is proven by what
//
// Policy.Open proves that the log signed a checkpoint and that enough witnesses saw it. Judge proves of a receipt
// that these bytes are entry i of the record which the checkpoint fixes, that these keys signed them, and that an
// earlier entry registered those keys for this domain. Everything in a receipt is bound by a proof, or by a hash
// in something bound, or it is refused. A receipt does not prove that its entries were admissible, nor that
// nothing revoked the keys in between, nor what followed.
//
// Audit proves that: it reads every byte of the record, holds it against the root hash, and folds the entries by
// the same rules as the sequencer (package roll). Judge with its Report says more than with a receipt alone, and
// never more than the evidence.
//
// What it reads is hostile until proven otherwise: bad input gives an error, a finding or a verdict, never a panic,
// and no sentence repeats more of it than domains, hashes, numbers, times, and names and titles that keep to the
// record's rules for free text.
package verify
