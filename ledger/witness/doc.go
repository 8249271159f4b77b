// Package witness is both ends of tlog-witness: a Server that cosigns checkpoints which continue what it has seen, and a
// Client that a log asks for cosignatures with.
//
// A request is text, and so is the answer:
//
//	POST /add-checkpoint
//
//	old 20852014
//	PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//	…
//
//	ledger.example/tccm
//	20852163
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
//	— ledger.example/tccm Az3grlgt…
//
//	200 OK
//
//	— witness.example/w1 AWui8Sk5…
//
// # What a Server keeps
//
// One bbolt file. In its bucket "log", under each origin:
//
//	"undersigned/witnessed/v1" LF
//	uint64    time of the latest cosignature, POSIX seconds, big-endian
//	the note  as it was submitted, without the lines of keys that the witness does not know, with those of the log that were kept on
//	          the same text before, and with its own lines
//	32 bytes  SHA-256 of all bytes before
//
// It is written, in one synced transaction, before a cosignature leaves the process; and after it, also before, the record
// beside the keys (ledger.LastCosigned), which has the size and the root hash alone. Of a log of which the record has more than the
// file, nothing is cosigned. Whoever puts old copies of both back under a witness's keys makes it sign what it must not: they
// belong in no backup.
package witness
