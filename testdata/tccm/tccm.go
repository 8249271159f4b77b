// Package tccm carries the statement of the Technical Community Coalition for Multistakeholderism and
// its signatories as of 11 June 2024, for the demonstration.
package tccm

import _ "embed"

var (
	// Statement is the text, byte for byte as published.
	//go:embed statement.txt
	Statement []byte
	// Signatories are lines of "<domain><TAB><name>" in the order of the published list; lines that
	// begin with # are comments.
	//go:embed signatories.tsv
	Signatories []byte
)
