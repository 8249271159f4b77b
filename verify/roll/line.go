package roll

import (
	"crypto/sha256"
	"errors"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// A Line is one of those who stand behind a statement, in a roll:
//
//	undersigned/roll-line/v1 apnic.net 57 sha256:…64 hex…
type Line struct {
	Domain string     // lower-case A-labels (keys.CheckDomain)
	Index  uint64     // of the standing endorsement
	ID     entry.Hash // of the same: SHA-256 of its text
}

const (
	linePrefix = "undersigned/roll-line/v1 "
	// MaxLine is the largest line in bytes.
	MaxLine = len(linePrefix) + 253 + 1 + 19 + 1 + 71 + 1
)

// ErrLine is what ParseLine returns for anything but a line.
var ErrLine = errors.New("roll: these bytes are not a line of a roll")

// Bytes returns the line, with the line feed that ends it: what the roll's tree
// has as a leaf.
func (l Line) Bytes() []byte { return l.append(make([]byte, 0, MaxLine)) }

func (l Line) append(b []byte) []byte {
	b = append(b, linePrefix...)
	b = append(b, l.Domain...)
	b = strconv.AppendUint(append(b, ' '), l.Index, 10)
	b = append(b, ' ')
	b = append(b, l.ID.String()...)
	return append(b, '\n')
}

// leafHash is RFC 6962's (section 2.1) over Bytes.
func (l Line) leafHash() [32]byte {
	return sha256.Sum256(l.append(append(make([]byte, 0, 1+MaxLine), 0)))
}

// ParseLine reads what Bytes returns and nothing else. The error is ErrLine.
func ParseLine(b []byte) (Line, error) {
	rest, ok := strings.CutPrefix(string(b), linePrefix)
	words := strings.Split(strings.TrimSuffix(rest, "\n"), " ")
	if !ok || len(words) != 3 || keys.CheckDomain(words[0]) != nil {
		return Line{}, ErrLine
	}
	index, err := strconv.ParseUint(words[1], 10, 63)
	id, err2 := entry.ParseHash(words[2])
	l := Line{words[0], index, id}
	if err != nil || err2 != nil || string(l.Bytes()) != string(b) {
		return Line{}, ErrLine
	}
	return l, nil
}

// Placed is a line at its position in a roll, with the proof that it is there.
type Placed struct {
	Line
	At    uint64     // from 0
	Proof [][32]byte // RFC 9162, section 2.1.3.1: its sibling first
}

// ErrProof says that lines and proofs do not prove what they are given for.
var ErrProof = errors.New("roll: this does not follow from the roll")

// check reports whether the line is at its position in the roll.
func (p *Placed) check(r *entry.Roll) bool {
	h := p.leafHash()
	hashes := make([][]byte, len(p.Proof))
	for i := range hashes {
		hashes[i] = p.Proof[i][:]
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, p.At, r.Count, h[:], hashes, r.Root[:]) == nil
}

// CheckPresent returns nil if the lines, which must be one, prove that the roll
// lists the domain, else ErrProof.
func CheckPresent(r *entry.Roll, domain string, lines []Placed) error {
	if len(lines) != 1 || lines[0].Domain != domain || !lines[0].check(r) {
		return ErrProof
	}
	return nil
}

// CheckAbsent returns nil if the lines prove that a roll, one that is right, does
// not list the domain, else ErrProof: they are its two neighbours, or the first
// line or the last one where it has but one, or none if the roll is empty.
func CheckAbsent(r *entry.Roll, domain string, lines []Placed) error {
	for i := range lines {
		if !lines[i].check(r) {
			return ErrProof
		}
	}
	ok := false
	switch len(lines) {
	case 0:
		ok = r.Count == 0 && r.Root == sha256.Sum256(nil)
	case 1:
		ok = lines[0].At == 0 && domain < lines[0].Domain || lines[0].At == r.Count-1 && lines[0].Domain < domain
	case 2:
		ok = lines[0].At+1 == lines[1].At && lines[0].Domain < domain && domain < lines[1].Domain
	}
	if !ok {
		return ErrProof
	}
	return nil
}

// CheckAll returns nil if the lines are the whole roll, else ErrProof.
func CheckAll(r *entry.Roll, lines []Line) error {
	if uint64(len(lines)) != r.Count || !slices.IsSortedFunc(lines, func(a, b Line) int {
		if a.Domain < b.Domain {
			return -1
		}
		return 1 // equal ones are not ascending
	}) {
		return ErrProof
	}
	if treeOf(lines) != r.Root {
		return ErrProof
	}
	return nil
}

func treeOf(lines []Line) [32]byte {
	if len(lines) == 0 {
		return sha256.Sum256(nil)
	}
	nodes := make([][32]byte, len(lines))
	for i, l := range lines {
		nodes[i] = l.leafHash()
	}
	return treeHash(nodes)
}

// Prove returns what proves that the lines of a roll, all of them, list a domain
// (CheckPresent) or do not (CheckAbsent).
func Prove(lines []Line, domain string) (placed []Placed, present bool) {
	at, present := slices.BinarySearchFunc(lines, domain, func(l Line, domain string) int { return strings.Compare(l.Domain, domain) })
	var places []int
	switch {
	case present:
		places = []int{at}
	default:
		for _, i := range []int{at - 1, at} {
			if 0 <= i && i < len(lines) {
				places = append(places, i)
			}
		}
	}
	nodes := make([][32]byte, len(lines))
	for i, l := range lines {
		nodes[i] = l.leafHash()
	}
	for _, i := range places {
		placed = append(placed, Placed{lines[i], uint64(i), path(i, nodes)})
	}
	return placed, present
}

// path returns the inclusion proof of leaf i (RFC 9162, section 2.1.3.1).
func path(i int, nodes [][32]byte) [][32]byte {
	if len(nodes) == 1 {
		return nil
	}
	half := 1 << (bits.Len(uint(len(nodes)-1)) - 1)
	if i < half {
		return append(path(i, nodes[:half]), treeHash(slices.Clone(nodes[half:])))
	}
	return append(path(i-half, nodes[half:]), treeHash(slices.Clone(nodes[:half])))
}
