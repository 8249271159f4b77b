package interop

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	f_log "github.com/transparency-dev/formats/log"
	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	f_witness "github.com/transparency-dev/formats/witness"
	m_proof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
)

const frozen = "../tccm"

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(path.Join(frozen, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func policy(t *testing.T) *verify.Policy {
	t.Helper()
	p, err := verify.ParsePolicy(read(t, "policy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// theirs returns another implementation's verifier of a checkpoint key.
func theirs(t *testing.T, v keys.VKey) note.Verifier {
	t.Helper()
	var n note.Verifier
	var err error
	switch v.Type {
	case keys.TypeEd25519:
		n, err = note.NewVerifier(v.String()) // golang.org/x/mod
	case keys.TypeCosignatureEd25519:
		n, err = f_note.NewVerifierForCosignatureV1(v.String())
	case keys.TypeCosignatureMLDSA44:
		n, err = f_note.NewMLDSAVerifier(v.String())
	}
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	if n.KeyHash() != v.KeyID || n.Name() != v.Name {
		t.Errorf("%s: key ID %08x, not %08x", v.Name, n.KeyHash(), v.KeyID)
	}
	return n
}

// Every checkpoint note of the frozen record: golang.org/x/mod opens it with every signature of both types, by the log and
// by the witnesses, and transparency-dev/formats reads the same checkpoint.
func TestNotes(t *testing.T) {
	p := policy(t)
	var all []note.Verifier
	for _, l := range p.Logs() {
		all = append(all, theirs(t, l.VKey))
	}
	for _, w := range p.Witnesses() {
		all = append(all, theirs(t, w.VKey))
	}
	z, err := zip.OpenReader(path.Join(frozen, "archive.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	notes, cosigned := 0, 0
	for _, f := range z.File {
		if f.Name != "checkpoint" && !strings.HasPrefix(f.Name, "checkpoints/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		n, err := note.Open(b, note.VerifierList(all...))
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		notes++
		ours, err := p.OpenPast(b)
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		if len(n.Sigs) != len(ours.LogKeys)+len(ours.Cosignatures) || len(n.UnverifiedSigs) > 0 {
			t.Errorf("%s: they accept %d signatures, we %d", f.Name, len(n.Sigs), len(ours.LogKeys)+len(ours.Cosignatures))
		}
		if len(ours.Cosignatures) > 0 {
			cosigned++
		}
		for _, s := range ours.Cosignatures {
			for _, sig := range n.Sigs {
				if sig.Name == s.VKey.Name && sig.Hash == s.VKey.KeyID {
					if at, err := f_note.CoSigV1Timestamp(sig); err != nil || !at.Equal(s.Time) {
						t.Errorf("%s: %s cosigned at %v, they say %v, %v", f.Name, s.VKey.Name, s.Time, at, err)
					}
				}
			}
		}
		var c f_log.Checkpoint
		if rest, err := c.Unmarshal([]byte(n.Text)); err != nil || len(rest) > 0 || c.Origin != ours.Origin || c.Size != ours.Size || !bytes.Equal(c.Hash, ours.Root[:]) {
			t.Errorf("%s: they read %+v, %v", f.Name, c, err)
		}
		// And none with a changed bit.
		for at := 0; at < len(b); at += 97 {
			bad := bytes.Clone(b)
			bad[at] ^= 1
			_, err1 := note.Open(bad, note.VerifierList(all...))
			_, err2 := p.OpenPast(bad)
			if err2 == nil && err1 != nil {
				t.Errorf("%s, byte %d: we accept what they do not: %v", f.Name, at, err1)
			}
		}
	}
	if notes < 5 || cosigned < 4 {
		t.Errorf("only %d notes, %d of them cosigned", notes, cosigned)
	}
}

// The receipt is a tlog-proof to them as well, and leads to the same root.
func TestReceipt(t *testing.T) {
	b := read(t, "apnic.net.tlog-proof")
	ours, err := verify.ParseReceipt(b)
	if err != nil {
		t.Fatal(err)
	}
	var theirs proof.TLogProof
	if err := theirs.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if theirs.Index != ours.Index || !bytes.Equal(theirs.Checkpoint, ours.Checkpoint) || len(theirs.Hashes) != len(ours.Proof) {
		t.Errorf("index %d, %d hashes; ours %d, %d", theirs.Index, len(theirs.Hashes), ours.Index, len(ours.Proof))
	}
	if !bytes.Equal(theirs.Marshal(), b) {
		t.Error("they print another file")
	}
	var c f_log.Checkpoint
	if _, err := c.Unmarshal(theirs.Checkpoint); err != nil {
		t.Fatal(err)
	}
	leaf := sha256.Sum256(append([]byte{0}, ours.Leaf...))
	var hashes [][]byte
	for _, h := range theirs.Hashes {
		hashes = append(hashes, h[:])
	}
	if err := m_proof.VerifyInclusion(rfc6962.DefaultHasher, theirs.Index, c.Size, leaf[:], hashes, c.Hash); err != nil {
		t.Error(err)
	}
}

// Their reading of the policy is satisfied by the same checkpoints as ours. Theirs asks for an address on each witness line.
func TestPolicy(t *testing.T) {
	var text strings.Builder
	n := 0
	for line := range strings.Lines(string(read(t, "policy.txt"))) {
		if strings.HasPrefix(line, "witness ") {
			n++
			line = fmt.Sprintf("%s https://witness%d.example/\n", strings.TrimSuffix(line, "\n"), n)
		}
		text.WriteString(line)
	}
	group, err := f_witness.ParsePolicy([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	p := policy(t)
	r, err := verify.ParseReceipt(read(t, "apnic.net.tlog-proof"))
	if err != nil {
		t.Fatal(err)
	}
	head, lines, _ := strings.Cut(string(r.Checkpoint), "\n\n")
	all := strings.SplitAfter(lines, "\n")
	all = all[:len(all)-1]
	agreed := map[bool]int{}
	for set := range 1 << len(all) {
		if set&3 != 3 {
			continue // both lines of the log stay
		}
		msg := head + "\n\n"
		for i, l := range all {
			if set>>i&1 == 1 {
				msg += l
			}
		}
		_, err := p.Open([]byte(msg))
		if satisfied := group.Satisfied([]byte(msg)); satisfied != (err == nil) {
			t.Errorf("lines %b: they say %v, we %v", set, satisfied, err)
		}
		agreed[err == nil]++
	}
	if agreed[true] == 0 || agreed[false] == 0 {
		t.Errorf("only one answer was tried: %v", agreed)
	}
}
