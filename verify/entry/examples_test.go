package entry

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"flag"
	"fmt"
	"go/ast"
	"go/doc/comment"
	goparser "go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"golang.org/x/mod/sumdb/note"
)

var update = flag.Bool("update", false, "write the examples into doc.go")

const exampleOrigin = "ledger.example/tccm"

// A testKey is a key whose private half follows from its name.
type testKey struct {
	public *keys.PublicKey
	sign   func(msg []byte) []byte
}

func newTestKey(t testing.TB, name string) testKey {
	t.Helper()
	seed := sha256.Sum256([]byte("undersigned/verify/entry test key " + name))
	if strings.HasPrefix(name, "south") {
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
		if err != nil {
			t.Fatal(err)
		}
		public, err := keys.NewPublicKey(keys.ECDSAP256SHA256, &private.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		return testKey{public, func(msg []byte) []byte {
			digest := sha256.Sum256(msg)
			sig, err := private.Sign(nil, digest[:], crypto.SHA256) // RFC 6979 without a random source
			if err != nil {
				t.Fatal(err)
			}
			return sig
		}}
	}
	private := ed25519.NewKeyFromSeed(seed[:])
	public, err := keys.NewPublicKey(keys.Ed25519, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return testKey{public, func(msg []byte) []byte { return ed25519.Sign(private, msg) }}
}

func (k testKey) spki() PublicKey   { return PublicKey{k.public.Suite(), k.public.SPKI()} }
func (k testKey) ref() keys.Ref     { return k.public.Ref() }
func (k testKey) refp() *keys.Ref   { ref := k.ref(); return &ref }
func (k testKey) spkip() *PublicKey { spki := k.spki(); return &spki }

// A record is the examples of the package documentation: one consistent
// history, in the order of its indices.
type record struct {
	operator, north1, north2, north3, recovery, south testKey

	entries []*Entry
	leaf    *Leaf // of the first endorsement
}

func example(t testing.TB) *record {
	t.Helper()
	r := &record{
		operator: newTestKey(t, "operator"),
		north1:   newTestKey(t, "north 1"),
		north2:   newTestKey(t, "north 2"),
		north3:   newTestKey(t, "north 3"),
		recovery: newTestKey(t, "north recovery"),
		south:    newTestKey(t, "south"),
	}
	byRef := make(map[keys.Ref]testKey)
	for _, k := range []testKey{r.operator, r.north1, r.north2, r.north3, r.recovery, r.south} {
		byRef[k.ref()] = k
	}
	add := func(previous *Entry, body Body, signer string, date string, signers ...testKey) *Entry {
		e := &Entry{Ledger: exampleOrigin, Body: body, Signer: signer, Date: date, Genesis: len(r.entries) == 0}
		if previous != nil {
			id := previous.ID()
			e.Previous = &id
		}
		for _, k := range signers {
			e.Keys = append(e.Keys, k.ref())
		}
		if err := e.Check(); err != nil {
			t.Fatalf("example %d: %v", len(r.entries), err)
		}
		for _, n := range e.Named() {
			k := byRef[n.Ref]
			if err := e.AddSignature(n.Ref, k.public.NoteKeyID(n.Domain), k.sign(e.Text())); err != nil {
				t.Fatal(err)
			}
		}
		r.entries = append(r.entries, e)
		return e
	}
	const (
		operator = "ledger.example"
		north    = "north.example"
		south    = "south.example"
	)
	statement := hashOf(t, "sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920")
	portuguese := Sum([]byte("example rendition in Portuguese\n"))
	page := Sum([]byte("example rendition as a page\n"))
	compromised := uint64(5)

	charter := add(nil, &Charter{
		Title:      "Statements of the technical community",
		Operator:   operator,
		PublicKeys: []PublicKey{r.operator.spki()},
		Publishers: []string{"secretariat.example"},
		Admission:  Admission{Operator: true, Vouched: 1},
		Roll:       "daily 23:59",
	}, operator, "2024-06-03", r.operator)
	memberN := add(nil, &Membership{
		Action:       Register,
		Member:       north,
		Name:         "Réseau du Nord",
		LegalName:    "Réseau du Nord SCRL, registry of .north",
		PublicKeys:   []PublicKey{r.north1.spki()},
		RecoveryKeys: []PublicKey{r.recovery.spki()},
		Quorum:       1,
		Vouchers:     []Named{{operator, r.operator.ref()}},
	}, north, "2024-06-04", r.north1, r.recovery)
	memberS := add(nil, &Membership{
		Action:     Register,
		Member:     south,
		Name:       "South Exchange",
		PublicKeys: []PublicKey{r.south.spki()},
		Quorum:     1,
		Vouchers:   []Named{{operator, r.operator.ref()}, {north, r.north1.ref()}},
	}, south, "2024-06-05", r.south)
	publish := add(nil, &Statement{
		Action:     Publish,
		Statement:  statement,
		Title:      "A technical community coalition for multistakeholderism (TCCM)",
		Language:   "en",
		MediaType:  "text/plain",
		Size:       2944,
		Renditions: []Rendition{{"pt-BR", portuguese, 3202, "text/plain"}, {"en", page, 18230, "text/html"}},
		Closes:     time.Date(2025, 6, 11, 0, 0, 0, 0, time.UTC),
	}, operator, "2024-06-06", r.operator)
	endorse := add(nil, &Endorsement{
		Action:     Endorse,
		Statement:  statement,
		Renditions: []RenditionRef{{"pt-BR", portuguese}},
		After:      After{4, Sum([]byte("example checkpoint of size 4\n"))},
	}, north, "2024-06-11", r.north1)
	second := add(memberN, &KeyEvent{
		Action: Add, Member: north, PublicKey: r.north2.spkip(),
	}, north, "2024-06-12", r.north1, r.north2)
	suspend := add(second, &KeyEvent{
		Action: Suspend, Member: north, Revokes: r.north1.refp(),
	}, operator, "2024-06-13", r.operator)
	revoke := add(suspend, &KeyEvent{
		Action: Revoke, Member: north, Revokes: r.north1.refp(), CompromisedAfter: &compromised,
	}, north, "2024-06-14", r.recovery)
	renamed := add(revoke, &Membership{
		Action:       Update,
		Member:       north,
		Name:         "Réseau du Nord (RdN)",
		LegalName:    "Réseau du Nord SCRL, registry of .north",
		RecoveryKeys: []PublicKey{r.recovery.spki()},
		Quorum:       1,
		Vouchers:     []Named{{south, r.south.ref()}},
	}, north, "2024-06-15", r.north2)
	add(renamed, &KeyEvent{
		Action: Rotate, Member: north, PublicKey: r.north3.spkip(), Revokes: r.north2.refp(),
	}, north, "2024-06-16", r.north2, r.north3)
	add(endorse, &Endorsement{
		Action:    Withdraw,
		Statement: statement,
		After:     After{10, Sum([]byte("example checkpoint of size 10\n"))},
	}, north, "2024-06-17", r.north3)
	closed := add(publish, &Statement{
		Action: Close, Statement: statement,
	}, operator, "2024-06-18", r.operator)
	add(closed, &Statement{
		Action: Reopen, Statement: statement, Closes: time.Date(2026, 6, 11, 12, 0, 0, 0, time.UTC),
	}, operator, "2024-06-19", r.operator)
	add(charter, &Charter{
		Title:      "Statements of the technical community",
		Operator:   operator,
		PublicKeys: []PublicKey{r.operator.spki()},
		Admission:  Admission{Vouched: 2},
		Roll:       "on-change",
		Vouchers:   []Named{{south, r.south.ref()}},
	}, operator, "2024-06-20", r.operator)
	add(memberS, &Membership{
		Action: Leave, Member: south,
	}, south, "2024-06-21", r.south)

	made := func(body Body) {
		e := &Entry{Ledger: exampleOrigin, Body: body}
		if err := e.Check(); err != nil {
			t.Fatalf("example %d: %v", len(r.entries), err)
		}
		r.entries = append(r.entries, e)
	}
	line := fmt.Sprintf("undersigned/roll-line/v1 %s 4 %s\n", north, endorse.ID())
	made(&Roll{
		Statement: statement, Size: 15, AsOf: time.Date(2024, 6, 16, 23, 59, 59, 999e6, time.UTC),
		Count: 1, Root: sha256.Sum256([]byte("\x00" + line)),
	})
	made(&Evidence{Type: RFC3161, Size: 15, Data: []byte("example time stamp token: two lines, to show how they are cut")})

	r.leaf = &Leaf{Admitted: time.Date(2024, 6, 11, 9, 30, 0, 123e6, time.UTC), Entry: endorse}
	return r
}

// docOrder has the indices of the record's entries as they stand in the
// documentation, which ends with a leaf.
var docOrder = []int{4, 0, 13, 3, 11, 12, 1, 2, 8, 14, 10, 5, 9, 7, 6, 15, 16}

func (r *record) blocks() (blocks [][]byte) {
	for _, i := range docOrder {
		blocks = append(blocks, r.entries[i].Bytes())
	}
	return append(blocks, r.leaf.Bytes())
}

func hashOf(t testing.TB, s string) Hash {
	t.Helper()
	h, err := ParseHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// docExamples returns the code blocks of the package documentation that are
// whole entries or leaves, as a reader would copy them.
func docExamples(t testing.TB) (examples [][]byte) {
	t.Helper()
	f, err := goparser.ParseFile(token.NewFileSet(), "doc.go", nil, goparser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return codeBlocks(f.Doc)
}

func codeBlocks(group *ast.CommentGroup) (blocks [][]byte) {
	for _, block := range new(comment.Parser).Parse(group.Text()).Content {
		if code, ok := block.(*comment.Code); ok && isExample(code.Text) {
			blocks = append(blocks, []byte(code.Text))
		}
	}
	return blocks
}

// isExample tells the examples from the form of a text in general.
func isExample(s string) bool {
	return strings.HasPrefix(s, headerPrefix) && !strings.HasPrefix(s, headerPrefix+"<") && !strings.HasPrefix(s, headerPrefix+"roll-line/")
}

func TestDocExamplesParse(t *testing.T) {
	kinds := make(map[Kind]int)
	leaves := 0
	for i, example := range docExamples(t) {
		if bytes.HasPrefix(example, []byte(leafHeader)) {
			l, err := ParseLeaf(example)
			if err != nil {
				t.Fatalf("example %d: %v", i, err)
			}
			if got := l.Bytes(); !bytes.Equal(got, example) {
				t.Errorf("example %d prints as\n%s", i, got)
			}
			leaves++
			continue
		}
		parse := Parse
		if bytes.HasPrefix(example, []byte("undersigned/roll/")) || bytes.HasPrefix(example, []byte("undersigned/evidence/")) {
			parse = ParseText
		}
		e, err := parse(example)
		if err != nil {
			t.Fatalf("example %d: %v", i, err)
		}
		if got := e.Bytes(); !bytes.Equal(got, example) {
			t.Errorf("example %d prints as\n%s", i, got)
		}
		text, _, _ := bytes.Cut(example, []byte("\n\n"))
		text = append(bytes.TrimSuffix(bytes.Clone(text), []byte("\n")), '\n')
		if got := e.Text(); !bytes.Equal(got, text) {
			t.Errorf("example %d has the text\n%s", i, got)
		}
		if e.ID() != Sum(text) {
			t.Errorf("example %d: ID is not SHA-256 of the text", i)
		}
		if read, err := ParseText(text); err != nil {
			t.Errorf("example %d: text: %v", i, err)
		} else if !bytes.Equal(read.Bytes(), text) || len(read.Missing()) != len(e.Named()) {
			t.Errorf("example %d: text alone has signatures", i)
		}
		kinds[e.Body.Kind()]++
	}
	want := map[Kind]int{KindCharter: 2, KindStatement: 3, KindMembership: 4, KindEndorsement: 2, KindKey: 4, KindRoll: 1, KindEvidence: 1}
	for kind, n := range want {
		if kinds[kind] != n {
			t.Errorf("%d examples of the kind %s, want %d", kinds[kind], kind, n)
		}
	}
	if leaves != 1 {
		t.Errorf("%d examples of leaves, want 1", leaves)
	}
}

// TestDocExamplesAreReal makes the examples again, signatures and all. With
// -update it writes them into doc.go.
func TestDocExamplesAreReal(t *testing.T) {
	want := example(t).blocks()
	if *update {
		writeDocExamples(t, want)
	}
	got := docExamples(t)
	if len(got) != len(want) {
		t.Fatalf("%d examples in doc.go, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("example %d in doc.go is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
}

// writeDocExamples replaces the examples of doc.go, one for one.
func writeDocExamples(t *testing.T, blocks [][]byte) {
	old, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	lines := strings.SplitAfter(string(old), "\n")
	for i := 0; i < len(lines); i++ {
		line, code := strings.CutPrefix(lines[i], "//\t")
		if !code || !isExample(line) || len(blocks) == 0 {
			b.WriteString(lines[i])
			continue
		}
		for strings.HasPrefix(lines[i+1], "//\t") || lines[i+1] == "//\n" && strings.HasPrefix(lines[i+2], "//\t") {
			i++
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(blocks[0]), "\n"), "\n") {
			if line == "" {
				b.WriteString("//\n")
			} else {
				b.WriteString("//\t" + line + "\n")
			}
		}
		blocks = blocks[1:]
	}
	if err := os.WriteFile("doc.go", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestExampleSignaturesVerify(t *testing.T) {
	r := example(t)
	byRef := make(map[keys.Ref]*keys.PublicKey)
	for _, k := range []testKey{r.operator, r.north1, r.north2, r.north3, r.recovery, r.south} {
		byRef[k.ref()] = k.public
		if got := k.spki().Ref(); got != k.ref() {
			t.Errorf("PublicKey.Ref is %v, want %v", got, k.ref())
		}
	}
	for i, e := range r.entries {
		named := e.Named()
		if len(named) != len(e.Signatures) {
			t.Fatalf("entry %d: %d signatures, want %d", i, len(e.Signatures), len(named))
		}
		for j, n := range named {
			s := e.Signatures[j]
			if s.Name != n.Domain || s.KeyID != byRef[n.Ref].NoteKeyID(n.Domain) {
				t.Errorf("entry %d: signature %d is by %s %08x", i, j, s.Name, s.KeyID)
			}
			if !byRef[n.Ref].Verify(e.Ledger, e.Text(), s.Sig) {
				t.Errorf("entry %d: signature %d does not verify", i, j)
			}
		}
	}
}

// TestEd25519IsSignedNote opens entries that only Ed25519 keys have signed with
// the signed-note implementation of x/mod, given nothing but vkeys.
func TestEd25519IsSignedNote(t *testing.T) {
	r := example(t)
	owners := map[string][]testKey{
		"ledger.example": {r.operator},
		"north.example":  {r.north1, r.north2, r.north3, r.recovery},
	}
	var verifiers []note.Verifier
	for name, list := range owners {
		for _, k := range list {
			v, err := note.NewVerifier(k.public.VKey(name).String())
			if err != nil {
				t.Fatal(err)
			}
			verifiers = append(verifiers, v)
		}
	}
	opened := 0
entries:
	for i, e := range r.entries {
		if e.Body.Kind().ByLog() {
			continue
		}
		for _, n := range e.Named() {
			if n.Ref.Suite != keys.Ed25519 {
				continue entries
			}
		}
		n, err := note.Open(e.Bytes(), note.VerifierList(verifiers...))
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		if n.Text != string(e.Text()) || len(n.Sigs) != len(e.Signatures) || len(n.UnverifiedSigs) != 0 {
			t.Errorf("entry %d opens with %d signatures, want %d", i, len(n.Sigs), len(e.Signatures))
		}
		opened++
	}
	if opened < 10 {
		t.Errorf("only %d entries tried", opened)
	}
}

// DocLeaves returns the record of the documentation as a log would hold it.
func DocLeaves(t testing.TB) (leaves [][]byte) {
	for _, e := range example(t).entries {
		date := e.Date
		if e.Body.Kind().ByLog() {
			date = "2024-06-22"
		}
		day, err := ParseTime(date + "T09:30:00.123Z")
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, (&Leaf{Admitted: day, Entry: e}).Bytes())
	}
	return leaves
}
