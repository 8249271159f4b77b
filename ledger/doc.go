// Package ledger keeps a record: it admits entries, puts them in order, commits them, and
// publishes checkpoints.
package ledger
