package verify_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// What a hostile file or log can hold that no honest one does, one refusal each.

func TestArchiveRefusals(t *testing.T) {
	make := func(comment string, files ...string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, name := range files {
			w, err := z.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(w, "x")
		}
		if err := z.SetComment(comment); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		zip  []byte
		says string
	}{
		"a comment":     {make("hello", "checkpoint"), "or a comment"},
		"no SHA256SUMS": {make("", "checkpoint"), "no SHA256SUMS"},
		"nothing":       {make(""), "no SHA256SUMS"},
	} {
		if _, err := open(c.zip); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Files whose headers lie are damage, wherever the lie is noticed.
func TestArchiveHeaders(t *testing.T) {
	content := []byte("ledger.example/test\n")
	sums := fmt.Appendf(nil, "%x  checkpoint\n", sha256.Sum256(content))
	for name, change := range map[string]func(h *zip.FileHeader){
		"nothing":           func(*zip.FileHeader) {},
		"an unknown method": func(h *zip.FileHeader) { h.Method = 99 },
		"a smaller size":    func(h *zip.FileHeader) { h.UncompressedSize64-- },
		"a larger size":     func(h *zip.FileHeader) { h.UncompressedSize64++ },
		"another checksum":  func(h *zip.FileHeader) { h.CRC32++ },
	} {
		for _, lying := range []string{"checkpoint", "SHA256SUMS"} {
			var b bytes.Buffer
			z := zip.NewWriter(&b)
			for _, f := range []struct {
				name string
				data []byte
			}{{"checkpoint", content}, {"SHA256SUMS", sums}} {
				h := &zip.FileHeader{Name: f.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(f.data), CompressedSize64: uint64(len(f.data)), UncompressedSize64: uint64(len(f.data))}
				if f.name == lying {
					change(h)
				}
				w, err := z.CreateRaw(h)
				if err != nil {
					t.Fatal(err)
				}
				w.Write(f.data)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			a, err := open(b.Bytes())
			if err == nil {
				_, err = a.Fetch(t.Context(), "checkpoint")
			}
			if (err == nil) != (name == "nothing") {
				t.Errorf("%s in the header of %s: %v", name, lying, err)
			}
		}
	}
}

// A source that loses a tile after the replay has read it is a copy that cannot be used.
func TestTileLostBetweenReads(t *testing.T) {
	w := bigWorld(t, 300)
	reads := map[string]int{}
	var mu sync.Mutex
	losing := func(ctx context.Context, path string) ([]byte, error) {
		mu.Lock()
		reads[path]++
		lost := reads[path] > 1 && strings.HasPrefix(path, "tile/0/")
		mu.Unlock()
		if lost {
			return nil, fs.ErrNotExist
		}
		return w.fetch(ctx, path)
	}
	c := w.checkpoint()
	reader, err := verify.NewHashReader(t.Context(), c, losing)
	if err != nil {
		t.Fatal(err)
	}
	reads["tile/0/000"] = 1
	if _, err := reader.Node(t.Context(), 0, 3); err == nil {
		t.Error("a node of a tile that is not there")
	}
	if _, err := reader.InclusionProof(t.Context(), 3, c.Size); err == nil {
		t.Error("a proof from a tile that is not there")
	}
}

// An entry cannot have been recorded after the copy that holds it was signed.
func TestEntryYoungerThanItsCheckpoint(t *testing.T) {
	w, apnic, nic := pair(t)
	before := w.rec.Now
	w.rec.Now = before.AddDate(0, 0, 20)
	index := w.endorse(apnic)
	late := w.rec.Now
	w.rec.Now = before
	w.publish() // signed three weeks before its last entry
	w.rec.Now = late
	w.endorse(nic)
	w.publish()
	r := w.audit(verify.AuditOptions{Paths: w.paths()})
	if r.Code != verify.CodeContradiction || !slices.ContainsFunc(r.Findings, func(f verify.Finding) bool {
		return f.Index != nil && *f.Index == index && strings.Contains(f.Sentence, "which holds it")
	}) {
		t.Errorf("code %d: %+v", r.Code, r.Findings)
	}
}

func TestReceiptSupport(t *testing.T) {
	w, _, _ := pair(t)
	org := rolltest.NewOrg("renamed.example", 1, 0, 1)
	registered := w.rec.Register(org)
	rename := func(name string) uint64 {
		return w.rec.Do(&entry.Membership{Action: entry.Update, Member: org.Domain, Name: name, Quorum: 1}, org)
	}
	first, second := rename("Renamed Once"), rename("Renamed Twice")
	w.publish()
	index := w.endorse(org)
	w.publish()
	in := verify.Input{Policy: w.policy(), Statement: []byte(tccm)}

	in.Receipt = w.receipt(index)
	if v := check(t, "honest", in, verify.CodeOK); v.Name != "Renamed Twice" {
		t.Errorf("the name is %q", v.Name)
	}
	in.Receipt = w.bareReceipt(index, []uint64{registered, first, second})
	check(t, "two updates", in, verify.CodeContradiction)

	// Receipts of what is no endorsement bind as well, and answer no more than that.
	closed := w.rec.Do(&entry.Statement{Action: entry.Close, Statement: w.statement}, w.rec.Operator)
	w.publish()
	published := w.rec.State.Statements()[0].Index
	in.Receipt = w.bareReceipt(closed, []uint64{0, published})
	check(t, "a closing", in, verify.CodeNotFound)
	in.Receipt = w.bareReceipt(second, []uint64{published})
	check(t, "a statement beside a membership", in, verify.CodeContradiction)

	k := rolltest.NewKey("an operator's second key")
	amended := w.rec.Do(&entry.Charter{Title: "A record", Operator: w.rec.Operator.Domain, PublicKeys: []entry.PublicKey{w.rec.Operator.Keys[0].Line(), k.Line()},
		Admission: entry.Admission{Operator: true}, Roll: "manual"}, w.rec.Operator, w.rec.Operator.Keys[0], k)
	w.publish()
	in.Receipt = w.bareReceipt(amended, []uint64{0})
	check(t, "an amendment", in, verify.CodeNotFound)
}

// A log that registers a key which everybody can sign with has not shown whose signature it is.
func TestReceiptOfAWeakKey(t *testing.T) {
	w, _, _ := pair(t)
	sound := rolltest.NewOrg("weak.example", 1, 0, 1)
	registration := w.rec.Registration(sound)
	body := registration.Body.(*entry.Membership)
	// The neutral element as a public key: one signature fits every text.
	spki := slices.Clone(body.PublicKeys[0].SPKI)
	point := spki[len(spki)-ed25519.PublicKeySize:]
	clear(point)
	point[0] = 1
	weak := entry.PublicKey{Suite: keys.Ed25519, SPKI: spki}
	body.PublicKeys[0], registration.Keys[0] = weak, weak.Ref()
	registered := w.force(w.rec.Leaf(registration))
	w.publish()
	e := w.rec.Draft(w.endorsement(entry.Endorse, sound), sound)
	e.Keys[0] = weak.Ref()
	signature := make([]byte, ed25519.SignatureSize)
	signature[0] = 1
	e.Signatures = []entry.Signature{{Name: sound.Domain, KeyID: 1, Sig: signature}}
	index := w.force(w.rec.Leaf(e))
	w.publish()
	in := verify.Input{Policy: w.policy(), Receipt: w.bareReceipt(index, []uint64{registered}), Statement: []byte(tccm)}
	if v := check(t, "weak", in, verify.CodeUntrusted); !strings.Contains(v.Sentence, "not a sound one") {
		t.Error(v.Sentence)
	}
}

func TestQuotedNote(t *testing.T) {
	for name, c := range map[string]struct {
		note func(w *world) []byte
		code int
		says string
	}{
		"signed by no log of the policy": {func(w *world) []byte { return w.sign(w.checkpoint(), w.witnesses...) }, verify.CodeOK, "signed by no log of the policy"},
		"of another size":                {func(w *world) []byte { return w.files[verify.CheckpointPath(1)] }, verify.CodeContradiction, "not the copy of the record that it says"},
		"no note":                        {func(*world) []byte { return []byte("x\n") }, verify.CodeContradiction, "not the copy of the record that it says"},
		"signed later": {func(w *world) []byte {
			now := w.rec.Now
			w.rec.Now = now.AddDate(0, 0, 2)
			w.publish()
			w.rec.Now = now
			return w.note
		}, verify.CodeContradiction, "before the copy of the record that it quotes was signed"},
	} {
		w, apnic, _ := pair(t)
		size := w.checkpoint().Size
		note := c.note(w)
		index := w.rec.Do(&entry.Endorsement{Action: entry.Endorse, Statement: w.statement, After: entry.After{Size: size, Note: entry.Sum(note)}}, apnic)
		w.rec.Now = w.rec.Now.AddDate(0, 0, 3)
		w.publish()
		r := w.bareReceipt(index, nil)
		r.After = note
		v := check(t, name, verify.Input{Policy: w.policy(), Receipt: r, Statement: []byte(tccm)}, c.code)
		said := append([]string{v.Sentence}, v.Answers[2].Reasons...)
		if all := strings.Join(append(said, v.Answers[2].Text), " "); !strings.Contains(all, c.says) {
			t.Errorf("%s: %s", name, all)
		}
	}
}

// Two keys with one name and one key ID cannot be told apart in a signature line. The seeds were found by trying.
func TestPolicyKeyIDCollision(t *testing.T) {
	for typ, c := range map[byte]struct {
		seeds  [2]int
		policy string
	}{
		keys.TypeEd25519:            {[2]int{87758, 141206}, "log %s\nlog %s\nquorum none\n"},
		keys.TypeCosignatureEd25519: {[2]int{43163, 76104}, "witness a %s\nwitness b %s\nquorum none\n"},
	} {
		var vkeys []any
		for _, n := range c.seeds {
			seed := sha256.Sum256([]byte(fmt.Sprint("collision ", n)))
			v, err := keys.NewVKey("ledger.example/test", typ, ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
			if err != nil {
				t.Fatal(err)
			}
			vkeys = append(vkeys, v)
		}
		if _, err := verify.ParsePolicy(fmt.Appendf(nil, c.policy, vkeys...)); err == nil || !strings.Contains(err.Error(), "same name and key ID") {
			t.Errorf("type %#x: %v", typ, err)
		}
	}
}

func TestReceiptExtraCutShort(t *testing.T) {
	w, apnic, _ := pair(t)
	index := w.endorse(apnic)
	w.publish()
	r := w.receipt(index)
	r.Support, r.After = r.Support[:1], nil
	lines := strings.SplitAfterN(string(r.Bytes()), "\n", 3)
	extra, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimPrefix(lines[1], "extra ")))
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, 32, 33} { // of the supporting leaf's proof, which ends the extra data
		lines[1] = "extra " + base64.StdEncoding.EncodeToString(extra[:len(extra)-cut]) + "\n"
		if _, err := verify.ParseReceipt([]byte(strings.Join(lines, ""))); err == nil || !strings.Contains(err.Error(), "end inside a proof") {
			t.Errorf("%d bytes less: %v", cut, err)
		}
	}
}

func TestRootOfATooLargeTree(t *testing.T) {
	none := func(uint, uint64) ([32]byte, error) { return [32]byte{}, fs.ErrNotExist }
	if _, err := verify.RootAt(verify.MaxSize+1, none); err == nil {
		t.Error("a root beyond every size")
	}
	if _, err := verify.RootAt(3, none); err == nil {
		t.Error("a root of nodes that are not there")
	}
}

// A receipt whose own note is none says nothing about the record, and the audit goes on.
func TestAuditBesideABrokenReceipt(t *testing.T) {
	w, _, _ := pair(t)
	r := w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{{Checkpoint: []byte("x")}}})
	if !r.OK {
		t.Error(r.Sentence)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := verify.Audit(ctx, w.policy(), w.fetch, verify.AuditOptions{}); err == nil {
		t.Error("an audit that was called off has a report")
	}
}

// Who registers again inherits no voucher: an endorsement from before says so, and is not confirmed.
func TestRegisteredAgain(t *testing.T) {
	w, apnic, nic := pair(t)
	w.endorse(apnic)
	w.rec.Do(&entry.Membership{Action: entry.Leave, Member: apnic.Domain}, apnic)
	w.rec.Register(apnic, nic)
	w.publish()
	v := w.judge(apnic.Domain, tccm)
	if a := v.Answers[0]; a.State != verify.LookCloser || !slices.ContainsFunc(a.Reasons, func(s string) bool { return strings.Contains(s, "registered again since") }) {
		t.Errorf("%s: %q", a.State, a.Reasons)
	}
}
