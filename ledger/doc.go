// Package ledger keeps a record: it admits entries by the rules of verify/roll, puts them in
// order, commits them, and publishes signed checkpoints. Everything that it serves can be checked
// without it, by package verify.
//
// # The order of effects
//
// One goroutine commits, another one publishes; each step is done before the next begins:
//
//  1. Each entry of a batch is judged at its own position (roll.State.Admit); signatures were
//     verified before, on the submitters' goroutines.
//  2. One commit with all of them is made in the Store, durably, and with it the tiles that they fill.
//  3. The commit is read back, and its leaves are hashed again.
//  4. Full tiles are stored of which the store could not tell, or for which it had no space.
//  5. The last-signed record (LastSigned), beside the keys, says what is about to be signed, durably.
//  6. The checkpoint's signatures leave: Ed25519, note type 0x01, and ML-DSA-44, type 0x06. They
//     may be made while 2 to 5 go on, by the idle core. Each is verified before it goes anywhere.
//  7. Witnesses cosign, if there are any (Config.Cosign), one checkpoint at a time.
//  8. The note is stored: it is the one of its tree size for ever.
//  9. It is published, and the submitters are answered.
//
// Without witnesses, whom a signature must not reach before 5, the note is made first and written with the last-signed record, by
// one sync for both (lastsigned.go has the bytes); 8 comes after 9 then: in the next 2, with the commit, or after a tenth of a second without one,
// and before the record is written again, whatever asks for that. Readers have the note from memory meanwhile. So of 5, 8 and 9 this holds: whatever was
// handed out is in the store or in the record, durably, and if both have it, it is the same. Opening takes it from either.
//
// While 5 to 9 go on, more may be committed; the next checkpoint covers all of it. Whatever of
// this a crash prevents, Open does, after it has recomputed everything. An error of the storage is
// never worked around: the Ledger stops (Done, Err), and the process should end.
//
// A disk that is full is no error: before 1, the Store makes sure of space for all that follows, and for the note of before
// (Store.Room); the record has its bytes when it is made, or opened. Without it, new entries of the batch are ErrFull, and the next batch asks again.
//
// # What is in a Store
//
// Commits, from 1. A commit is a record, and each leaf of the record is in one commit and nowhere
// else. Numbers are big-endian:
//
//	"undersigned/commit/v1" LF
//	uint64    number of this commit
//	32 bytes  sum of the commit before; zeros in the first
//	uint64    tree size before
//	uint64    tree size after
//	32 bytes  root hash after
//	16 bytes  random
//	for each leaf: uint16 length, bytes (package entry)
//	32 bytes  sum: SHA-256 of all bytes before
//
// And objects, which follow from the commits or are checked against them:
//
//	tile/<level>/<index>     a full tile, as tlog-tiles says; partial ones are its beginning
//	checkpoints/<size>       the first published note of a tree size
//	blobs/sha256/<hex>       the text of a statement or rendition
//	withheld/sha256/<hex>    nothing: that text was taken down
//
// Entry bundles are made from commits when they are asked for.
package ledger
