// Package bench measures how fast the program is, against what no program of this kind could do without: the same
// signatures, the same disk, the same network.
//
// Everything is a ratio of two things that were done in turns, A B A B, in one run on one machine, by separate processes over
// loopback: the program's own server against handlers that do less (Part), with entries that were signed before the clock ran and
// that the record has never seen. What an answer says is checked when the clock stands still: the receipts of a
// sample as a reader would check them, that every index was given once, and that the record has grown by
// as much as was acknowledged.
//
// A round in which other processes used the machine is discarded, where the system tells (Linux): what all processors did, idle time
// and what was stolen by other machines, is held against what the processes of the run used. It is made up for by another round
// while there is time. Where no quiet rounds come, all count, and the report says so.
//
// The members' keys are made from their numbers, so that a ledger of Make can be written to by others. They are nobody's.
package bench
