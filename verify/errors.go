package verify

import (
	"fmt"
)

// What a FormatError was found in.
const (
	whatCheckpoint = "checkpoint"
	whatNote       = "signed note"
	whatPolicy     = "policy"
	whatTilePath   = "tile path"
	whatBundle     = "entry bundle"
	whatReceipt    = "receipt"
	whatArchive    = "archive"
	whatMoment     = "moment"

	whatContradiction = "contradiction file"
)

// FormatError says that bytes are not in the form that they must have. It never repeats any
// of the bytes, so it can be shown to anybody.
type FormatError struct {
	// What was being read: "checkpoint", "signed note", "policy", "tile path", "entry bundle",
	// "receipt", "archive", "moment" or "contradiction file".
	What string
	// Line is where, counted from 1; 0 if it is about the whole.
	Line int
	// Problem is a fixed sentence part.
	Problem string
}

func (e *FormatError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("malformed %s: line %d: %s", e.What, e.Line, e.Problem)
	}
	return fmt.Sprintf("malformed %s: %s", e.What, e.Problem)
}

func malformed(what string, line int, problem string) error {
	return &FormatError{what, line, problem}
}

// UntrustedError says that no log of the policy vouches for a checkpoint: none of its log
// lines signed it, or a key of the policy is named beside a signature that is not its own.
type UntrustedError struct {
	// Problem is a fixed sentence part.
	Problem string
}

func (e *UntrustedError) Error() string { return "untrusted checkpoint: " + e.Problem }

// QuorumError says that a checkpoint signed by its log lacks cosignatures: the witnesses that
// the policy asks for have not seen it.
type QuorumError struct {
	// Have counts the policy's witnesses that cosigned, All those that it lists: by their names, of which one may have two keys.
	Have, All int
}

func (e *QuorumError) Error() string {
	return fmt.Sprintf("not enough witnesses: the %d of %d that cosigned the checkpoint are not the quorum of the policy", e.Have, e.All)
}

// Sentence says it for people, without a full stop: what is what they have not seen, such as "this copy of the record".
func (e *QuorumError) Sentence(what string) string {
	switch e.Have {
	case 0:
		return fmt.Sprintf("None of the policy's %d witnesses has seen %s", e.All, what)
	case 1:
		return fmt.Sprintf("Only 1 of the policy's %d witnesses has seen %s, which is not the quorum that it asks for", e.All, what)
	}
	return fmt.Sprintf("Only %d of the policy's %d witnesses have seen %s, which is not the quorum that it asks for", e.Have, e.All, what)
}

// ContradictionError says that two things which must agree do not: a hash, a proof, a tile
// or a note against the checkpoint that it belongs under.
type ContradictionError struct {
	// Problem is a sentence part made of fixed words, numbers and paths of the ledger.
	Problem string
}

func (e *ContradictionError) Error() string { return "contradiction: " + e.Problem }

func contradiction(format string, args ...any) error {
	return &ContradictionError{fmt.Sprintf(format, args...)}
}
