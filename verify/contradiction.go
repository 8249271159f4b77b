package verify

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// MaxContradiction bounds a contradiction file, in bytes.
const MaxContradiction = 1 << 20

// A Case is how somebody contradicted itself. It is stable.
type Case string

// The cases. In the first three the same keys have signed both notes.
const (
	// CaseSize: two trees of one size with two root hashes.
	CaseSize Case = "size"
	// CasePrefix: of the larger tree, the first entries are not those of the smaller one. Proof is a consistency proof that
	// leads to the root hash of the larger note, and to another one for the smaller size than the smaller note says.
	CasePrefix Case = "prefix"
	// CaseRollback: a tree is said to be the largest one, later than a larger tree was.
	CaseRollback Case = "rollback"
	// CaseEntry: a signed tree holds an entry that is inadmissible whatever else the record says, or two of which one must be.
	CaseEntry Case = "entry"
	// CaseTime: an entry says that it was recorded before a smaller tree was signed, or after one that holds it was.
	CaseTime Case = "time"
)

// A Contradiction is a file that convicts whoever holds a key: of a log that shows two histories or takes in what its
// rules refuse, or of a witness that cosigned both. It holds all that is needed to see it, offline:
//
//	undersigned/contradiction/v1
//	case prefix
//	key <vkey>                 whose signatures are on every note, 1 to 16 lines
//	public-key <suite> <SPKI>  named by the first leaf, base64, 0 to 16 lines
//	proof <base64 hash>        0 to 64 lines
//
//	note <bytes>               1 or 2 blocks: this line, the bytes, LF
//	…
//	leaf <index> <bytes> <n>   0 to 2 blocks: this line, n lines of an inclusion proof in the first note's tree, the bytes, LF
//	…
//
// In CaseSize the notes are in the order of their bytes, in CasePrefix the smaller tree's is first, in CaseRollback the
// earlier one. In CaseEntry there is one note; in CaseTime the first note's tree holds the leaf, and the second one, if there
// is one, is smaller or equal to the leaf's index. A parsed file is well formed and no more: Check says what it proves.
type Contradiction struct {
	Case       Case
	Keys       []keys.VKey
	PublicKeys []entry.PublicKey
	Proof      [][32]byte
	Notes      [][]byte
	Leaves     []Support
}

const (
	contradictionHeader = "undersigned/contradiction/v1"
	maxConvicted        = 16
)

// Bytes prints the file.
func (c *Contradiction) Bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\ncase %s\n", contradictionHeader, c.Case)
	for _, k := range c.Keys {
		fmt.Fprintf(&b, "key %s\n", k)
	}
	for _, k := range c.PublicKeys {
		fmt.Fprintf(&b, "public-key %s %s\n", k.Suite, base64.StdEncoding.EncodeToString(k.SPKI))
	}
	for _, h := range c.Proof {
		fmt.Fprintf(&b, "proof %s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	b.WriteByte('\n')
	for _, n := range c.Notes {
		fmt.Fprintf(&b, "note %d\n%s\n", len(n), n)
	}
	for _, l := range c.Leaves {
		fmt.Fprintf(&b, "leaf %d %d %d\n", l.Index, len(l.Leaf), len(l.Proof))
		for _, h := range l.Proof {
			fmt.Fprintf(&b, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
		}
		fmt.Fprintf(&b, "%s\n", l.Leaf)
	}
	return b.Bytes()
}

// IsContradiction says whether bytes begin as a contradiction file does, or as one that an editor or a mail program has changed.
func IsContradiction(b []byte) bool {
	_, ok := begins(b, contradictionHeader)
	return ok
}

// ParseContradiction parses a contradiction file. What it accepts prints back to the identical bytes. Errors are
// *FormatError.
func ParseContradiction(b []byte) (*Contradiction, error) {
	if len(b) > MaxContradiction {
		return nil, malformed(whatContradiction, 0, "it is larger than 1 MiB")
	}
	r := &contradictionReader{rest: b, c: new(Contradiction)}
	if problem := r.read(); problem != "" {
		return nil, malformed(whatContradiction, r.line, problem)
	}
	if !bytes.Equal(r.c.Bytes(), b) {
		return nil, malformed(whatContradiction, 0, "it is not in the one form that a contradiction file has")
	}
	return r.c, nil
}

type contradictionReader struct {
	rest []byte
	line int
	c    *Contradiction
}

// next takes off a line, or returns false at the end.
func (r *contradictionReader) next() (string, bool) {
	r.line++
	line, rest, ok := bytes.Cut(r.rest, []byte("\n"))
	if ok {
		r.rest = rest
	}
	return string(line), ok
}

// take takes off n bytes and a line feed.
func (r *contradictionReader) take(n uint64) ([]byte, bool) {
	if n == 0 || n >= uint64(len(r.rest)) || r.rest[n] != '\n' {
		return nil, false
	}
	b := bytes.Clone(r.rest[:n])
	r.line += bytes.Count(b, []byte("\n")) + 1
	r.rest = r.rest[n+1:]
	return b, true
}

// read returns what is wrong, or "".
func (r *contradictionReader) read() string {
	problem, _ := begins(r.rest, contradictionHeader)
	if line, ok := r.next(); !ok || line != contradictionHeader {
		if problem != "" {
			return problem
		}
		return "it must begin with the line undersigned/contradiction/v1"
	}
	line, _ := r.next()
	name, ok := strings.CutPrefix(line, "case ")
	if r.c.Case = Case(name); !ok || !slices.Contains([]Case{CaseSize, CasePrefix, CaseRollback, CaseEntry, CaseTime}, r.c.Case) {
		return "the second line must name one of the cases"
	}
	for {
		line, ok := r.next()
		if !ok {
			return "there is no blank line before the notes"
		}
		if line == "" {
			break
		}
		if problem := r.header(line); problem != "" {
			return problem
		}
	}
	for len(r.rest) > 0 {
		line, ok := r.next()
		if !ok {
			return "it must end with a line feed"
		}
		if problem := r.block(line); problem != "" {
			return problem
		}
	}
	return ""
}

func (r *contradictionReader) header(line string) string {
	field, value, _ := strings.Cut(line, " ")
	switch field {
	case "key":
		v, err := keys.ParseVKey(value)
		if err != nil || len(r.c.Keys) == maxConvicted {
			return "a key line holds a verifier key, and there are at most 16"
		}
		r.c.Keys = append(r.c.Keys, v)
	case "public-key":
		suite, b64, _ := strings.Cut(value, " ")
		spki, ok := decodeBase64(b64)
		if !ok || len(r.c.PublicKeys) == maxConvicted {
			return "a public-key line holds a suite and a key in strict base64, and there are at most 16"
		}
		k, err := keys.ParsePublicKey(keys.Suite(suite), spki)
		if err != nil {
			return "a public key is not one that the record admits"
		}
		r.c.PublicKeys = append(r.c.PublicKeys, entry.PublicKey{Suite: k.Suite(), SPKI: spki})
	case "proof":
		h, ok := parseHash(value)
		if !ok || len(r.c.Proof) == maxProof {
			return "a proof line holds 32 bytes in strict base64, and there are at most 64"
		}
		r.c.Proof = append(r.c.Proof, h)
	default:
		return "it is none of the lines key, public-key and proof"
	}
	return ""
}

func (r *contradictionReader) block(line string) string {
	f := strings.Split(line, " ")
	var n [3]uint64
	for i, s := range f[1:] {
		v, ok := parseDecimal(s)
		if !ok || i == len(n) {
			return "a block begins with its numbers, without leading zeros"
		}
		n[i] = v
	}
	switch {
	case f[0] == "note" && len(f) == 2 && len(r.c.Leaves) == 0 && len(r.c.Notes) < 2:
		b, ok := r.take(n[0])
		if !ok {
			return "a note has as many bytes as its line says, and a line feed"
		}
		r.c.Notes = append(r.c.Notes, b)
	case f[0] == "leaf" && len(f) == 4 && len(r.c.Leaves) < 2 && n[2] <= maxProof:
		s := Support{Index: n[0]}
		for range n[2] {
			line, _ := r.next()
			h, ok := parseHash(line)
			if !ok {
				return "a hash of a leaf's proof must be 32 bytes in strict base64"
			}
			s.Proof = append(s.Proof, h)
		}
		var ok bool
		if s.Leaf, ok = r.take(n[1]); !ok {
			return "a leaf has as many bytes as its line says, and a line feed"
		}
		r.c.Leaves = append(r.c.Leaves, s)
	default:
		return "a block is one or two notes, then at most two leaves"
	}
	return ""
}

// A Conviction is what a contradiction file proves.
type Conviction struct {
	Case   Case
	Origin string      // of the ledger that it is about
	Keys   []keys.VKey // whoever holds them contradicted itself; at least one
	// Sentence says what is proven, in one line; How what there is to see in the file, in order.
	Sentence string
	How      []string
}

// UnprovenError says that a contradiction file proves nothing.
type UnprovenError struct {
	// Problem is a fixed sentence part.
	Problem string
}

func (e *UnprovenError) Error() string { return "this contradiction file proves nothing: " + e.Problem }

func unproven(problem string) error { return &UnprovenError{problem} }

// Check checks everything in the file and returns what it proves. It proves it about the keys that it names:
// whose they are, a policy says, or whoever has trusted them. The error is an *UnprovenError.
func (c *Contradiction) Check() (*Conviction, error) { return c.CheckUnder(nil) }

// CheckUnder is Check for a reader with a policy, which may be nil. Whoever made the file chose the keys in it; so where it rests
// on the word of witnesses about the time (CaseTime), it proves something only if they are the quorum of the reader's policy.
func (c *Contradiction) CheckUnder(p *Policy) (*Conviction, error) {
	var notes []*convictedNote
	for _, msg := range c.Notes {
		n, err := openConvicted(msg, c.Keys)
		if err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	want := map[Case][3]int{CaseSize: {2, 2, 0}, CasePrefix: {2, 2, 0}, CaseRollback: {2, 2, 0}, CaseEntry: {1, 1, 1}, CaseTime: {1, 2, 1}}[c.Case]
	if len(c.Keys) == 0 || len(notes) < want[0] || len(notes) > want[1] || len(c.Leaves) < want[2] {
		return nil, unproven("it does not hold what its case needs")
	}
	if c.Case != CasePrefix && len(c.Proof) > 0 || c.Case != CaseEntry && (len(c.PublicKeys) > 0 || len(c.Leaves) > 1) || want[2] == 0 && len(c.Leaves) > 0 {
		return nil, unproven("it holds what its case has no use for")
	}
	for i, k := range c.Keys {
		if slices.ContainsFunc(c.Keys[:i], k.SameKey) {
			return nil, unproven("it names a key twice")
		}
	}
	for _, n := range notes {
		if n.Origin != notes[0].Origin {
			return nil, unproven("its notes are about two ledgers")
		}
	}
	v := &Conviction{Case: c.Case, Origin: notes[0].Origin, Keys: c.Keys}
	var err error
	switch c.Case {
	case CaseSize:
		err = c.checkSize(v, notes)
	case CasePrefix:
		err = c.checkPrefix(v, notes)
	case CaseRollback:
		err = c.checkRollback(v, notes)
	case CaseEntry:
		err = c.checkEntry(v, notes[0])
	case CaseTime:
		err = c.checkTime(v, notes, p)
	}
	if err != nil {
		return nil, err
	}
	v.How = append(v.How, "Convicted: "+convicted(v)+".")
	return v, nil
}

// convictedNote is a note with a good signature of every key in question.
type convictedNote struct {
	Checkpoint
	times []time.Time // by key; zero if its signature says none
}

func openConvicted(msg []byte, vkeys []keys.VKey) (*convictedNote, error) {
	text, lines, err := splitNote(msg)
	if err != nil {
		return nil, unproven("a note in it is malformed")
	}
	checkpoint, err := ParseCheckpoint(text)
	if err != nil {
		return nil, unproven("a note in it is not a checkpoint")
	}
	n := &convictedNote{Checkpoint: checkpoint}
	for _, v := range vkeys {
		verifier, err := NewVerifier(v)
		if err != nil {
			return nil, unproven("a key in it does not sign checkpoints")
		}
		t, ok := signedBy(verifier, v, text, lines)
		if !ok {
			return nil, unproven("a note in it does not bear a good signature of every key that it names")
		}
		n.times = append(n.times, t)
	}
	return n, nil
}

func signedBy(verifier note.Verifier, v keys.VKey, text []byte, lines []signatureLine) (t time.Time, ok bool) {
	for _, l := range lines {
		if l.keyName == (keyName{v.Name, v.KeyID}) && verifier.Verify(text, l.sig) {
			return lineTime(v, l.sig), true
		}
	}
	return t, false
}

func (n *convictedNote) describe(i int, vkeys []keys.VKey) string {
	return fmt.Sprintf("Note %d: the first %s of %s have the root hash %s, signed by %s.",
		i, entries(n.Size), n.Origin, base64.StdEncoding.EncodeToString(n.Root[:]), describeTimes(vkeys, n.times))
}

func entries(n uint64) string {
	if n == 1 {
		return "1 entry"
	}
	return strconv.FormatUint(n, 10) + " entries"
}

func describeTimes(vkeys []keys.VKey, times []time.Time) string {
	var parts []string
	for i, v := range vkeys {
		s := v.Name
		if !times[i].IsZero() {
			s += " at " + stamp(times[i])
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " and ")
}

// convicted names the keys that are convicted.
func convicted(v *Conviction) string {
	var parts []string
	for _, k := range v.Keys {
		role := "the witness key"
		if k.Name == v.Origin {
			role = "the log's key"
		}
		name := fmt.Sprintf("%s %s+%08x", role, k.Name, k.KeyID)
		if public, err := k.PublicKey(); err == nil {
			name = fmt.Sprintf("%s (%s)", name, public.Ref())
		}
		parts = append(parts, name)
	}
	return strings.Join(parts, ", ")
}

// who says whose keys these are by their names.
func (v *Conviction) who() string {
	for _, k := range v.Keys {
		if k.Name == v.Origin {
			return "The ledger " + v.Origin
		}
	}
	return "The witness " + v.Keys[0].Name
}

func (c *Contradiction) checkSize(v *Conviction, notes []*convictedNote) error {
	a, b := notes[0], notes[1]
	switch {
	case a.Size != b.Size:
		return unproven("its notes are about trees of two sizes")
	case a.Root == b.Root:
		return unproven("its notes say the same")
	case bytes.Compare(c.Notes[0], c.Notes[1]) > 0:
		return unproven("its notes are not in order")
	}
	v.Sentence = fmt.Sprintf("%s signed two different records of %s: it showed one to some and another to others.", v.who(), entries(a.Size))
	v.How = []string{a.describe(1, v.Keys), b.describe(2, v.Keys), "A record of that size has one root hash."}
	return nil
}

func (c *Contradiction) checkPrefix(v *Conviction, notes []*convictedNote) error {
	a, b := notes[0], notes[1]
	if a.Size == 0 || a.Size >= b.Size {
		return unproven("its notes are not a smaller tree and a larger one")
	}
	root, err := prefixRoot(a.Size, b.Size, c.Proof, b.Root)
	if err != nil {
		return unproven("its proof does not lead to the larger tree")
	}
	if root == a.Root {
		return unproven("its proof shows that the larger tree continues the smaller one")
	}
	v.Sentence = fmt.Sprintf("%s signed a record of %s that does not continue the record of %s which it signed too: entries were changed, dropped, or shown to some only.", v.who(), entries(b.Size), entries(a.Size))
	v.How = []string{a.describe(1, v.Keys), b.describe(2, v.Keys),
		fmt.Sprintf("The proof leads to the root hash of note 2. By it the first %s of that record have the root hash %s, not the one of note 1.", entries(a.Size), base64.StdEncoding.EncodeToString(root[:]))}
	return nil
}

// prefixRoot returns the root hash that the first size1 leaves have by a consistency proof, after checking that the proof
// leads to the root hash of all size2 (RFC 9162, section 2.1.4.2, without its last comparison).
func prefixRoot(size1, size2 uint64, proof [][32]byte, root2 [32]byte) (root1 [32]byte, err error) {
	bad := errors.New("the proof does not lead to the root hash")
	at, last := size1-1, size2-1
	for at&1 == 1 {
		at, last = at>>1, last>>1
	}
	if len(proof) == 0 {
		return root1, bad
	}
	// A smaller tree that is one whole node of the larger is left out of a proof, which then cannot contradict it: the
	// writer of the file puts that node first.
	first, rest := proof[0], proof[1:]
	r1, r2 := first, first
	for _, h := range rest {
		if last == 0 {
			return root1, bad
		}
		if at&1 == 1 || at == last {
			r1, r2 = NodeHash(h, r1), NodeHash(h, r2)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			r2 = NodeHash(r2, h)
		}
		at, last = at>>1, last>>1
	}
	if last != 0 || r2 != root2 {
		return root1, bad
	}
	return r1, nil
}

func (c *Contradiction) checkRollback(v *Conviction, notes []*convictedNote) error {
	a, b := notes[0], notes[1]
	if a.Size <= b.Size {
		return unproven("its second note is not about a smaller tree")
	}
	for i := range v.Keys {
		if a.times[i].IsZero() || !b.times[i].After(a.times[i]) {
			return unproven("a signature in it does not say that the smaller tree was the largest one later")
		}
	}
	v.Sentence = fmt.Sprintf("%s signed a record of %s and later one of %s only, as the newest: entries were taken away.", v.who(), entries(a.Size), entries(b.Size))
	v.How = []string{a.describe(1, v.Keys), b.describe(2, v.Keys), "Such a signature says that no larger record is known at its time."}
	return nil
}
