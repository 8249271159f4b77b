package mirror_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/mirror"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// cosign adds a witness's line to a note.
func cosign(tb testing.TB, w ledger.Signer, note []byte, at time.Time) []byte {
	tb.Helper()
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	c, err := verify.ParseCheckpoint(append(bytes.Clone(text), '\n'))
	if err != nil {
		tb.Fatal(err)
	}
	sig, err := w.Sign(verify.SignedMessage(w.VKey, uint64(at.Unix()), c))
	if err != nil {
		tb.Fatal(err)
	}
	return append(bytes.Clone(note), verify.SignatureLine(w.VKey, verify.TimestampedSignature(uint64(at.Unix()), sig))...)
}

// jury is a mirror of a ledger with three witnesses, two of which are the quorum.
type jury struct {
	*glass
	witnesses []ledger.Signer
}

func newJury(t *testing.T) *jury {
	j := &jury{glass: newGlass(t)}
	text := ""
	for _, s := range j.signers {
		text += "log " + s.VKey.String() + "\n"
	}
	for _, name := range []string{"w0", "w1", "w2"} {
		w := signerOf(t, name+".example/w", keys.TypeCosignatureEd25519, name)
		j.witnesses = append(j.witnesses, w)
		text += "witness " + name + " " + w.VKey.String() + "\n"
	}
	p, err := verify.ParsePolicy([]byte(text + "group q 2 w0 w1 w2\nquorum q\n"))
	if err != nil {
		t.Fatal(err)
	}
	j.mirror, err = mirror.New(ctx, mirror.Config{
		Origin: rolltest.Origin, Policy: p, Fetch: j.fetch, Copy: openCopy(t, j.store), Signers: mirrorSigners(t), LastCosigned: lastCosigned(t),
		Sightings: func(context.Context) ([]ledger.Sighting, error) { return j.sightings, nil },
		Evidence:  func(c *verify.Contradiction) { j.found = append(j.found, c) },
		Now:       func() time.Time { return j.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// witnessed publishes what the record holds, cosigned by all.
func (j *jury) witnessed() {
	j.Helper()
	j.put("checkpoint", j.all(j.note()))
}

func (j *jury) all(note []byte) []byte {
	for _, w := range j.witnesses {
		note = cosign(j.TB, w, note, j.now)
	}
	return note
}

func (j *jury) round() {
	j.Helper()
	if err := j.mirror.Round(ctx); err != nil {
		j.Fatal(err)
	}
}

// One witness that shows an old note as the newest convicts itself, and stops nobody.
func TestMirrorOfAWitnessThatGoesBack(t *testing.T) {
	j := newJury(t)
	old := j.note()
	j.now = j.now.Add(time.Minute)
	j.rec.Now = j.now
	j.step(5)
	j.witnessed()
	j.round()
	for range 3 {
		j.now = j.now.Add(time.Minute)
		j.sightings = []ledger.Sighting{{Who: "w2", Note: cosign(t, j.witnesses[2], old, j.now)}}
		j.round()
		j.rec.Now = j.now
		j.step(2)
		j.witnessed()
	}
	j.round()
	if st := j.mirror.Status(); st.Contradicted || st.Size != uint64(len(j.rec.Leaves)) {
		t.Errorf("the status is %+v", st)
	}
	if len(j.found) != 1 {
		t.Fatalf("%d proofs", len(j.found))
	}
	proven, err := j.found[0].Check()
	if err != nil || proven.Case != verify.CaseRollback || len(proven.Keys) != 1 || proven.Keys[0].Name != "w2.example/w" {
		t.Errorf("it proves %+v, %v", proven, err)
	}
	// The ledger's own word is another thing.
	j.now = j.now.Add(time.Minute)
	j.sightings = []ledger.Sighting{{Who: "w1", Note: j.sign(4, j.now)}}
	if err := j.mirror.Round(ctx); err == nil || !j.mirror.Status().Contradicted {
		t.Errorf("after the ledger went back itself: %v", err)
	}
}

// A note on whose way somebody has left nothing but one liar's line makes no honest entry look dated back.
func TestMirrorOfAStrippedNote(t *testing.T) {
	j := newJury(t)
	full := j.all(j.note())
	var stripped []byte
	for line := range bytes.Lines(j.note()) {
		stripped = append(stripped, line...)
		if bytes.HasPrefix(line, []byte("— ")) {
			break // the log's Ed25519 line, which says no time
		}
	}
	j.put("checkpoint", cosign(t, j.witnesses[2], stripped, j.now.Add(1000*time.Hour)))
	if err := j.mirror.Round(ctx); err == nil {
		t.Error("the quorum was not missed")
	}
	j.put("checkpoint", full)
	j.round()
	j.now = j.now.Add(time.Minute)
	j.step(5)
	j.witnessed()
	j.round()
	if st := j.mirror.Status(); st.Contradicted || len(j.found) > 0 || st.Size != 15 {
		t.Errorf("the status is %+v, with %d proofs", st, len(j.found))
	}
}
