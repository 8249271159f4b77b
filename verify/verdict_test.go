package verify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// Indexes in newWorld.
const (
	indexNIC, indexAPNIC, indexPT, indexPublish = 1, 2, 3, 4
	indexEndorsedAPNIC, indexEndorsedPT         = 5, 6
)

// check judges and holds the verdict to what is said of all verdicts.
func check(t *testing.T, name string, in verify.Input, code int) *verify.Verdict {
	t.Helper()
	v := verify.Judge(in)
	if v.Code != code {
		t.Errorf("%s: code %d, want %d: %s", name, v.Code, code, v.Sentence)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(string(b)), "verified") {
		t.Errorf("%s: the word verified: %s", name, b)
	}
	for _, word := range []string{"Merkle", "checkpoint", "cosign", "log ", "leaf"} {
		// Of a broken record the details are named as they are.
		if code != verify.CodeContradiction && code != verify.CodeUnchecked && strings.Contains(v.Sentence, word) {
			t.Errorf("%s: jargon in %q", name, v.Sentence)
		}
	}
	if v.Schema != "undersigned/verdict/v1" || v.Sentence == "" || strings.ContainsAny(v.Sentence, "\n\r") || len(v.NotTold) < 3 {
		t.Errorf("%s: %s", name, b)
	}
	for i, q := range []string{"Did they sign?", "This exact text?", "When?", "Does it still stand?"} {
		a := v.Answers[i]
		if a.Question != q || a.Text == "" || !slices.Contains([]verify.AnswerState{verify.Confirmed, verify.LookCloser, verify.No, verify.CouldNotCheck}, a.State) {
			t.Errorf("%s: answer %+v", name, a)
		}
		if code != 0 && i == 0 && a.State == verify.Confirmed && (code == verify.CodeUntrusted || code == verify.CodeNotFound) {
			t.Errorf("%s: signed is confirmed with code %d", name, code)
		}
	}
	return v
}

func states(v *verify.Verdict) string {
	var s string
	for _, a := range v.Answers {
		s += map[verify.AnswerState]string{verify.Confirmed: "✔", verify.LookCloser: "▲", verify.No: "✖", verify.CouldNotCheck: "?"}[a.State]
	}
	return s
}

func wantStates(t *testing.T, v *verify.Verdict, want string) {
	t.Helper()
	if got := states(v); got != want {
		b, _ := json.MarshalIndent(v.Answers, "", " ")
		t.Errorf("answers %s, want %s: %s\n%s", got, want, v.Sentence, b)
	}
}

func TestReceiptAlone(t *testing.T) {
	w := newWorld(t, 3)
	p := w.policy()
	r := w.receipt(indexEndorsedAPNIC)
	in := verify.Input{Policy: p, Receipt: r, Statement: []byte(tccm)}
	v := check(t, "good", in, 0)
	wantStates(t, v, "▲✔✔?")
	if want := "Yes, as far as a receipt alone can show: Asia Pacific Network Information Centre (APNIC), apnic.net, endorsed this text on 11 June 2024."; v.Sentence != want {
		t.Error(v.Sentence)
	}
	if v.Domain != "apnic.net" || *v.Index != indexEndorsedAPNIC || *v.Statement != w.statement || len(v.Keys) != 2 || len(v.Witnesses) != 3 || v.NoLater == nil || v.NotBefore == nil || v.Replayed || v.Size != 8 {
		t.Errorf("%+v", v)
	}
	in.Strict = true
	check(t, "strict", in, verify.CodeUnchecked)
	in.Strict = false
	in.Statement = []byte(tccm + "x")
	v = check(t, "other text", in, verify.CodeOtherText)
	wantStates(t, v, "▲✖✔?")
	in.Statement = []byte{}
	check(t, "empty text", in, verify.CodeOtherText)
	in.Statement = nil
	v = check(t, "no text", in, 0)
	wantStates(t, v, "▲?✔?")
	if !strings.Contains(v.Sentence, "“A statement”") {
		t.Error(v.Sentence)
	}
	in.Domain = "dns.pt"
	check(t, "another organization", in, verify.CodeNotFound)
	in.Domain = "apnic.net"
	check(t, "this organization", in, 0)

	// Without witnesses nobody but the ledger says when.
	w0 := newWorld(t, 0)
	v = check(t, "no witnesses", verify.Input{Policy: w0.policy(), Receipt: w0.receipt(indexEndorsedPT), Statement: []byte(tccm)}, 0)
	wantStates(t, v, "▲✔▲?")

	for index, kind := range map[uint64]string{0: "charter", indexAPNIC: "membership", indexPublish: "statement"} {
		v := check(t, kind, verify.Input{Policy: p, Receipt: w.receipt(index)}, verify.CodeNotFound)
		if !strings.Contains(v.Sentence, "a "+kind+" entry") {
			t.Error(v.Sentence)
		}
	}
}

// TestReceiptBitFlips: with any bit outside the checkpoint's signature lines flipped, no receipt gives code 0.
func TestReceiptBitFlips(t *testing.T) {
	w := newWorld(t, 1)
	w.log = w.log[:1] // quick
	w.publish()
	p := w.policy()
	good := w.receipt(indexEndorsedAPNIC).Bytes()
	if r, err := verify.ParseReceipt(good); err != nil || verify.Judge(verify.Input{Policy: p, Receipt: r, Statement: []byte(tccm)}).Code != 0 {
		t.Fatal("the good one is refused", err)
	}
	free := make([]bool, len(good))
	at := 0
	for _, l := range bytes.SplitAfter(good, []byte("\n")) {
		for i := range l {
			free[at+i] = bytes.HasPrefix(l, []byte("— "))
		}
		at += len(l)
	}
	head := bytes.Index(good, []byte("\nindex ")) // all bits from here on, a part of the many before
	tried := 0
	for i := range good {
		if free[i] {
			continue
		}
		for bit := range 8 {
			if i < head && i > 60 && (i*8+bit)%11 != 0 {
				continue
			}
			tried++
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			r, err := verify.ParseReceipt(b)
			if err != nil {
				continue
			}
			if v := verify.Judge(verify.Input{Policy: p, Receipt: r, Statement: []byte(tccm)}); v.Code == 0 {
				t.Fatalf("byte %d bit %d: %s", i, bit, v.Sentence)
			}
		}
	}
	t.Log(tried, "flips")
}

func TestGraftedReceipts(t *testing.T) {
	w := newWorld(t, 2)
	p := w.policy()
	judge := func(name string, r *verify.Receipt, code int) {
		t.Helper()
		check(t, name, verify.Input{Policy: p, Receipt: r, Statement: []byte(tccm)}, code)
	}
	edit := func(f func(r *verify.Receipt)) *verify.Receipt {
		r, err := verify.ParseReceipt(w.receipt(indexEndorsedAPNIC).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		f(r)
		return r
	}
	with := func(support ...uint64) *verify.Receipt {
		r, err := w.makeReceipt(indexEndorsedAPNIC, append([]uint64{}, support...))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	judge("good", edit(func(*verify.Receipt) {}), 0)
	judge("good without the publication", with(indexAPNIC), 0)

	// A second ledger of the same origin and other keys.
	o := newEmptyWorld(t, rolltest.New(t), 0)
	o.log = []*cosigner{newCosigner(t, rolltest.Origin, keys.TypeEd25519, "other"), newCosigner(t, rolltest.Origin, keys.TypeCosignatureMLDSA44, "other")}
	o.publish()
	judge("another ledger's checkpoint", edit(func(r *verify.Receipt) { r.Checkpoint = o.note }), verify.CodeUntrusted)
	check(t, "another policy", verify.Input{Policy: o.policy(), Receipt: w.receipt(indexEndorsedAPNIC)}, verify.CodeUntrusted)
	check(t, "grafted under another policy", verify.Input{Policy: o.policy(), Receipt: edit(func(r *verify.Receipt) { r.Checkpoint = o.note })}, verify.CodeContradiction)

	strip := func(note []byte, drop ...string) []byte {
		return []byte(strings.Join(slices.DeleteFunc(strings.SplitAfter(string(note), "\n"), func(l string) bool {
			return slices.ContainsFunc(drop, func(d string) bool { return strings.HasPrefix(l, "— "+d+" ") })
		}), ""))
	}
	judge("the log's lines removed", edit(func(r *verify.Receipt) { r.Checkpoint = strip(r.Checkpoint, rolltest.Origin) }), verify.CodeUntrusted)
	judge("a witness's line removed", edit(func(r *verify.Receipt) { r.Checkpoint = strip(r.Checkpoint, "witness.example/1") }), verify.CodeQuorum)
	judge("all lines removed", edit(func(r *verify.Receipt) {
		r.Checkpoint = strip(r.Checkpoint, rolltest.Origin, "witness.example/0", "witness.example/1")
	}), verify.CodeMalformed)
	unsigned := edit(func(r *verify.Receipt) {
		r.Checkpoint = strip(r.Checkpoint, rolltest.Origin, "witness.example/0", "witness.example/1")
	}).Bytes()
	if _, err := verify.ParseReceipt(unsigned); err == nil {
		t.Error("a receipt without signatures parses")
	}
	judge("an older checkpoint", edit(func(r *verify.Receipt) { r.Checkpoint = w.files["checkpoints/5"] }), verify.CodeContradiction)
	judge("another index", edit(func(r *verify.Receipt) { r.Index++ }), verify.CodeContradiction)
	judge("an index beyond", edit(func(r *verify.Receipt) { r.Index = 1 << 62 }), verify.CodeContradiction)
	judge("another leaf", edit(func(r *verify.Receipt) { r.Leaf = w.rec.Leaves[indexEndorsedPT] }), verify.CodeContradiction)
	judge("no proof", edit(func(r *verify.Receipt) { r.Proof = nil }), verify.CodeContradiction)
	judge("a longer proof", edit(func(r *verify.Receipt) { r.Proof = append(r.Proof, [32]byte{}) }), verify.CodeContradiction)

	judge("no support", with(), verify.CodeUntrusted)
	judge("support does not register the key", with(indexPublish), verify.CodeUntrusted)
	judge("another's registration", with(indexAPNIC, indexPT), verify.CodeContradiction)
	judge("another's registration alone", with(indexPT), verify.CodeContradiction)
	judge("support from later", with(indexAPNIC, indexEndorsedPT), verify.CodeContradiction)
	judge("the charter", with(0, indexAPNIC), verify.CodeContradiction)
	judge("forged support", edit(func(r *verify.Receipt) {
		r.Support[0].Leaf = bytes.Replace(r.Support[0].Leaf, []byte("quorum 2"), []byte("quorum 1"), 1)
	}), verify.CodeContradiction)
	judge("support under another index", edit(func(r *verify.Receipt) { r.Support[0].Index = indexPT }), verify.CodeContradiction)

	judge("another after note", edit(func(r *verify.Receipt) { r.After = w.files["checkpoints/1"] }), verify.CodeContradiction)
	judge("after note is the checkpoint", edit(func(r *verify.Receipt) { r.After = w.note }), verify.CodeContradiction)
	judge("after note shortened", edit(func(r *verify.Receipt) { r.After = strip(r.After, "witness.example/1") }), verify.CodeContradiction)
	registration := w.receipt(indexAPNIC)
	registration.After = w.note
	judge("an after note that nobody quotes", registration, verify.CodeContradiction)

	v := check(t, "no after note", verify.Input{Policy: p, Receipt: edit(func(r *verify.Receipt) { r.After = nil })}, 0)
	if v.NotBefore != nil || !strings.Contains(fmt.Sprint(v.Answers[2].Reasons), "not known") {
		t.Errorf("%+v", v.Answers[2])
	}
}

// force has the log take in what its rules refuse.
func (w *world) force(leaf []byte) uint64 {
	index := uint64(len(w.rec.Leaves))
	if err := w.rec.State.Apply(index, leaf); err == nil {
		w.tb.Error("what was to be refused is admissible")
	}
	w.rec.Leaves = append(w.rec.Leaves, leaf)
	return index
}

// TestInadmissible: what a dishonest log takes in gives no code 0, whatever else is right about it.
func TestInadmissible(t *testing.T) {
	thief := rolltest.NewKey("thief")
	for name, c := range map[string]struct {
		leaf         func(w *world, apnic *rolltest.Org) []byte
		alone, audit int // codes
	}{
		"a stranger's key": {func(w *world, o *rolltest.Org) []byte {
			return w.rec.Leaf(rolltest.Sign(w.rec.Draft(w.endorsement(entry.Endorse, o), o, thief, o.Keys[0])))
		}, verify.CodeUntrusted, verify.CodeContradiction},
		"one key of two": {func(w *world, o *rolltest.Org) []byte {
			return w.rec.Leaf(rolltest.Sign(w.rec.Draft(w.endorsement(entry.Endorse, o), o, o.Keys[0])))
		}, verify.CodeUntrusted, verify.CodeContradiction},
		"a recovery key": {func(w *world, o *rolltest.Org) []byte {
			return w.rec.Leaf(rolltest.Sign(w.rec.Draft(w.endorsement(entry.Endorse, o), o, o.Keys[0], o.Recovery[0])))
		}, verify.CodeUntrusted, verify.CodeContradiction},
		"a forged signature": {func(w *world, o *rolltest.Org) []byte {
			e := rolltest.Sign(w.rec.Draft(w.endorsement(entry.Endorse, o), o))
			e.Signatures[1].Sig = thief.Sign(e.Text())
			return w.rec.Leaf(e)
		}, verify.CodeUntrusted, verify.CodeContradiction},
		"another key ID": {func(w *world, o *rolltest.Org) []byte {
			e := rolltest.Sign(w.rec.Draft(w.endorsement(entry.Endorse, o), o))
			e.Signatures[1].KeyID++
			return w.rec.Leaf(e)
		}, verify.CodeUntrusted, verify.CodeContradiction},
		"an old date": {func(w *world, o *rolltest.Org) []byte {
			e := w.rec.Draft(w.endorsement(entry.Endorse, o), o)
			e.Date = "2024-05-11"
			return w.rec.Leaf(rolltest.Sign(e))
		}, verify.CodeContradiction, verify.CodeContradiction},
		"tomorrow's tomorrow": {func(w *world, o *rolltest.Org) []byte {
			e := w.rec.Draft(w.endorsement(entry.Endorse, o), o)
			e.Date = "2024-06-13"
			return w.rec.Leaf(rolltest.Sign(e))
		}, verify.CodeContradiction, verify.CodeContradiction},
		"another ledger": {func(w *world, o *rolltest.Org) []byte {
			e := w.rec.Draft(w.endorsement(entry.Endorse, o), o)
			e.Ledger = "ledger.example/other"
			return w.rec.Leaf(rolltest.Sign(e))
		}, verify.CodeContradiction, verify.CodeContradiction},
		"after what is to come": {func(w *world, o *rolltest.Org) []byte {
			body := w.endorsement(entry.Endorse, o)
			body.After.Size = 100
			return w.rec.Leaf(rolltest.Sign(w.rec.Draft(body, o)))
		}, verify.CodeContradiction, verify.CodeContradiction},
		"no entry": {func(w *world, o *rolltest.Org) []byte { return []byte("hello\n") }, verify.CodeContradiction, verify.CodeContradiction},
		"a kind of later": {func(w *world, o *rolltest.Org) []byte {
			return bytes.Replace(w.rec.Leaf(rolltest.Sign(w.rec.Draft(w.endorsement(entry.Endorse, o), o))), []byte("undersigned/endorsement/v1"), []byte("undersigned/endorsement/v2"), 1)
		}, verify.CodeUnchecked, verify.CodeUnchecked},
		// These a receipt alone cannot show.
		"a spare entry replayed": {func(w *world, o *rolltest.Org) []byte {
			return w.rec.Leaves[w.rec.State.Size()-1]
		}, 0, verify.CodeContradiction},
	} {
		w := newWorld(t, 2)
		apnic := rolltest.NewOrg("apnic.net", 2, 1, 2)
		w.endorse(apnic)
		w.publish()
		w.withdrawIf(name == "never", apnic)
		index := w.force(c.leaf(w, apnic))
		w.publish()
		support := []uint64{indexAPNIC, indexPublish}
		if name == "no entry" || name == "a kind of later" {
			support = []uint64{}
		}
		r := w.bareReceipt(index, support)
		check(t, name+", receipt alone", verify.Input{Policy: w.policy(), Receipt: r, Statement: []byte(tccm)}, c.alone)
		report := w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{r}})
		if report.OK || report.Code != c.audit || len(report.Findings) == 0 || report.Findings[0].Index == nil || *report.Findings[0].Index != index {
			t.Errorf("%s: audit: %d %s %+v", name, report.Code, report.Sentence, report.Findings)
		}
		v := check(t, name, verify.Input{Policy: w.policy(), Receipt: r, Statement: []byte(tccm), Record: report}, c.audit)
		if v.Answers[0].State == verify.Confirmed || v.Answers[3].State == verify.Confirmed {
			t.Errorf("%s: %s %s", name, states(v), v.Sentence)
		}
	}
}

func (w *world) withdrawIf(yes bool, o *rolltest.Org) {
	if yes {
		w.withdraw(o)
	}
}

// bareReceipt makes a receipt of any leaf, an entry or not.
func (w *world) bareReceipt(index uint64, support []uint64) *verify.Receipt {
	w.tb.Helper()
	if _, err := entry.ParseLeaf(w.rec.Leaves[index]); err == nil {
		r, err := w.makeReceipt(index, support)
		if err != nil {
			w.tb.Fatal(err)
		}
		return r
	}
	get := func(i uint64) ([]byte, error) { return w.rec.Leaves[i], nil }
	r, err := verify.MakeReceipt(index, support, nil, w.note, get, func(level uint, index uint64) ([32]byte, error) {
		return slowRoot(w.rec.Leaves[index<<level : (index+1)<<level]), nil
	})
	if err != nil {
		w.tb.Fatal(err)
	}
	return r
}

// replayed judges a receipt beside the audit of what is published now, for somebody who knows nic.example and apnic.net.
func (w *world) replayed(index uint64) verify.Input {
	r := w.receipt(index)
	return verify.Input{Policy: w.policy(), Receipt: r, Statement: []byte(w.text), Record: w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{r}}), Now: w.rec.Now, Known: []string{"nic.example", "apnic.net"}}
}

func TestReplayed(t *testing.T) {
	apnic, pt := rolltest.NewOrg("apnic.net", 2, 1, 2), rolltest.NewOrg("dns.pt", 1, 1, 1)
	w := newWorld(t, 2)
	in := w.replayed(indexEndorsedAPNIC)
	v := check(t, "good", in, 0)
	wantStates(t, v, "✔✔✔✔")
	if want := "Yes. Asia Pacific Network Information Centre (APNIC), apnic.net, endorsed this text on 11 June 2024, and the endorsement still stands."; v.Sentence != want {
		t.Error(v.Sentence)
	}
	in.Strict = true
	check(t, "strict", in, 0)
	in.MaxAge = 24 * time.Hour
	check(t, "fresh", in, 0)
	in.Now = w.rec.Now.Add(40*24*time.Hour + time.Hour)
	v = check(t, "stale", in, verify.CodeUnchecked)
	wantStates(t, v, "✔✔✔?")
	if !strings.Contains(v.Sentence, "40 days old") {
		t.Error(v.Sentence)
	}
	in = w.replayed(indexEndorsedAPNIC)
	in.Statement = []byte("another")
	wantStates(t, check(t, "other text", in, verify.CodeOtherText), "✔✖✔✔")

	v = check(t, "on the operator's word", w.replayed(indexEndorsedPT), 0)
	wantStates(t, v, "▲✔✔✔")
	if !strings.Contains(v.Sentence, "operator alone") {
		t.Error(v.Sentence)
	}

	// A copy of the record that is older than the receipt, of another ledger, or that was not held against it.
	old := w.audit(verify.AuditOptions{})
	in = w.replayed(indexEndorsedAPNIC)
	in.Record = old
	check(t, "not held against it", in, verify.CodeUnchecked)
	w.endorse(apnic)
	w.publish()
	r := w.receipt(indexEndorsedAPNIC)
	in = verify.Input{Policy: w.policy(), Receipt: r, Statement: []byte(tccm), Record: old}
	wantStates(t, check(t, "an older copy", in, verify.CodeUnchecked), "▲✔✔?")
	v = check(t, "endorsed again", w.replayed(indexEndorsedAPNIC), 0)
	wantStates(t, v, "✔✔✔✔")

	// Withdrawn, endorsed again.
	w.rec.Now = w.rec.Now.Add(37 * 24 * time.Hour)
	gone := w.withdraw(apnic)
	w.publish()
	v = check(t, "withdrawn", w.replayed(indexEndorsedAPNIC), verify.CodeWithdrawn)
	wantStates(t, v, "✔✔✔▲")
	if want := "Withdrawn. Asia Pacific Network Information Centre (APNIC), apnic.net, endorsed this text on 11 June 2024, and withdrew on 18 July 2024."; v.Sentence != want {
		t.Error(v.Sentence)
	}
	v = check(t, "the withdrawal", w.replayed(gone), verify.CodeWithdrawn)
	if want := "Withdrawn. Asia Pacific Network Information Centre (APNIC), apnic.net, withdrew its endorsement of this text on 18 July 2024."; v.Sentence != want {
		t.Error(v.Sentence)
	}
	v = check(t, "the withdrawal alone", verify.Input{Policy: w.policy(), Receipt: w.receipt(gone), Statement: []byte(tccm)}, verify.CodeWithdrawn)
	if !strings.Contains(v.How[0], "holds the withdrawal;") {
		t.Error(v.How[0])
	}
	wantStates(t, v, "▲✔✔▲")
	w.endorse(apnic)
	w.publish()
	v = check(t, "endorsed after a withdrawal", w.replayed(gone), 0)
	if !strings.Contains(v.Sentence, "and endorsed again on 18 July 2024") {
		t.Error(v.Sentence)
	}

	// The key is revoked, then declared compromised; the member leaves.
	fresh := rolltest.NewKey("fresh")
	line := fresh.Line()
	ref := pt.Keys[0].Ref()
	w.rec.Do(&entry.KeyEvent{Action: entry.Rotate, Member: "dns.pt", PublicKey: &line, Revokes: &ref}, pt, pt.Keys[0], fresh)
	w.publish()
	v = check(t, "key replaced", w.replayed(indexEndorsedPT), 0)
	wantStates(t, v, "▲✔✔✔")
	if !strings.Contains(v.Sentence, "since been replaced or revoked") {
		t.Error(v.Sentence)
	}
	since := uint64(indexEndorsedPT)
	w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: "dns.pt", Revokes: &ref, CompromisedAfter: &since}, pt, fresh)
	w.publish()
	v = check(t, "disputed", w.replayed(indexEndorsedPT), 0)
	wantStates(t, v, "▲✔✔▲")
	if !strings.Contains(v.Sentence, "disputed") {
		t.Error(v.Sentence)
	}
	w.rec.Do(&entry.Membership{Action: entry.Leave, Member: "dns.pt"}, pt, fresh)
	w.publish()
	v = check(t, "left", w.replayed(indexEndorsedPT), 0)
	if !strings.Contains(fmt.Sprint(v.Answers[3].Reasons), "left the record") {
		t.Errorf("%+v", v.Answers[3])
	}

	// A newer version of the text.
	h := w.statement
	w.rec.Do(&entry.Statement{Action: entry.Publish, Statement: entry.Sum([]byte("newer\n")), Title: "Newer", Language: "en", MediaType: "text/plain", Size: 6, Supersedes: &h}, w.rec.Operator)
	w.publish()
	v = check(t, "superseded", w.replayed(indexEndorsedAPNIC), verify.CodeWithdrawn)
	wantStates(t, v, "✔✔✔▲")

	// Without witnesses.
	w = newWorld(t, 0)
	v = check(t, "no witness", w.replayed(indexEndorsedAPNIC), 0)
	wantStates(t, v, "✔✔▲▲")
	if !strings.Contains(v.Sentence, "no witness") {
		t.Error(v.Sentence)
	}
}

// TestSplitView: a ledger that shows two histories, both signed with its own keys.
func TestSplitView(t *testing.T) {
	w := newWorld(t, 1)
	in := w.replayed(indexEndorsedPT)
	fork := newWorld(t, 1)
	fork.rec.Leaves = fork.rec.Leaves[:0]
	other := newEmptyWorld(t, rolltest.New(t), 1)
	other.publish()
	for i := range 10 {
		other.rec.Join(fmt.Sprintf("member%d.example", i))
	}
	other.publish()
	in.Record = other.audit(verify.AuditOptions{Receipts: []*verify.Receipt{in.Receipt}})
	if !in.Record.OK {
		t.Fatal(in.Record.Sentence)
	}
	v := check(t, "fork", in, verify.CodeContradiction)
	wantStates(t, v, "▲✔✔✖")
	if !strings.HasPrefix(v.Sentence, "Two copies of the record") {
		t.Error(v.Sentence)
	}
	// Another ledger is no contradiction, and no help either.
	elsewhere := newEmptyWorld(t, rolltest.New(t), 0)
	elsewhere.log = []*cosigner{newCosigner(t, "elsewhere.example", keys.TypeEd25519, "e")}
	c := verify.Checkpoint{Origin: "elsewhere.example", Size: 0, Root: slowRoot(nil)}
	elsewhere.files["checkpoint"] = elsewhere.sign(c, elsewhere.log...)
	in.Record = mustAudit(t, elsewhere.policy(), elsewhere.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{in.Receipt}})
	if !in.Record.OK {
		t.Fatal(in.Record.Sentence)
	}
	check(t, "another ledger", in, verify.CodeUnchecked)
	// A record that could not be read at all.
	in.Record = mustAudit(t, w.policy(), mapFetch(nil), verify.AuditOptions{Receipts: []*verify.Receipt{in.Receipt}})
	check(t, "no record", in, verify.CodeUnchecked)
}

func TestDomain(t *testing.T) {
	w := newWorld(t, 2)
	record := w.audit(verify.AuditOptions{})
	ask := func(domain, text string) verify.Input {
		in := verify.Input{Policy: w.policy(), Domain: domain, Record: record, Now: w.rec.Now, Known: []string{"nic.example"}}
		if text != "" {
			in.Statement = []byte(text)
		}
		return in
	}
	wantStates(t, check(t, "good", ask("apnic.net", tccm), 0), "✔✔✔✔")
	wantStates(t, check(t, "no text", ask("apnic.net", ""), 0), "✔?✔✔")
	v := check(t, "altered text", ask("apnic.net", strings.Replace(tccm, "stand", "stood", 1)), verify.CodeOtherText)
	wantStates(t, v, "✔✖✔✔")
	v = check(t, "no endorsement", ask("nic.example", tccm), verify.CodeNotFound)
	if want := "No endorsement by nic.example is among the 2 endorsements and withdrawals that the record of ledger.example/test holds up to 11 June 2024."; v.Sentence != want {
		t.Error(v.Sentence)
	}
	check(t, "nobody", ask("nobody.example", tccm), verify.CodeNotFound)
	v = check(t, "hostile name", ask("evil\n\x1b[31m", tccm), verify.CodeNotFound)
	if strings.Contains(v.Sentence, "evil") {
		t.Error(v.Sentence)
	}
	check(t, "no record", verify.Input{Policy: w.policy(), Domain: "apnic.net"}, verify.CodeUnchecked)
	other := w.rec.Publish("Another statement.\n")
	w.publish()
	record = w.audit(verify.AuditOptions{})
	check(t, "another statement", ask("apnic.net", "Another statement.\n"), verify.CodeNotFound)
	_ = other
	w.withdraw(rolltest.NewOrg("apnic.net", 2, 1, 2))
	w.publish()
	record = w.audit(verify.AuditOptions{})
	check(t, "withdrawn", ask("apnic.net", tccm), verify.CodeWithdrawn)
	broken := w.audit(verify.AuditOptions{Paths: []string{"checkpoint", "checkpoints/99"}})
	in := ask("dns.pt", tccm)
	in.Record = broken
	check(t, "a record that contradicts itself", in, verify.CodeContradiction)
}

// TestRendition: a translation that was endorsed with the text is the text, with a nuance.
func TestRendition(t *testing.T) {
	rec := rolltest.New(t)
	w := newEmptyWorld(t, rec, 2)
	w.publish()
	nic := rec.Join("nic.example")
	org := rolltest.NewOrg("xn--bcher-kva.example", 1, 0, 1)
	rec.Register(org, nic)
	rec.Do(&entry.Membership{Action: entry.Update, Member: nic.Domain, Name: nic.Name, Quorum: 1, Vouchers: org.Vouch()}, nic)
	w.text, w.statement = tccm, entry.Sum([]byte(tccm))
	german := "Wir, die Unterzeichneten.\n"
	ref := entry.RenditionRef{Language: "de", Hash: entry.Sum([]byte(german))}
	rec.Do(&entry.Statement{Action: entry.Publish, Statement: w.statement, Title: "Ours", Language: "en", MediaType: "text/plain", Size: int64(len(tccm)),
		Renditions: []entry.Rendition{{Language: "de", Hash: ref.Hash, Size: int64(len(german)), MediaType: "text/plain"}}}, rec.Operator)
	w.publish()
	body := w.endorsement(entry.Endorse, org)
	body.Renditions = []entry.RenditionRef{ref}
	index := rec.Do(body, org)
	w.publish()
	in := w.replayed(index)
	in.Statement = []byte(german)
	v := check(t, "rendition", in, 0)
	wantStates(t, v, "✔▲✔✔")
	if !strings.Contains(v.Sentence, "xn--bcher-kva.example (bücher.example)") {
		t.Error(v.Sentence)
	}
	in.Receipt, in.Domain = nil, org.Domain
	wantStates(t, check(t, "rendition in the record", in, 0), "✔▲✔✔")
	w.files[verify.BlobPath(ref.Hash)] = []byte(german)
	var paths []string
	for p := range w.files {
		paths = append(paths, p)
	}
	if r := w.audit(verify.AuditOptions{Paths: paths}); !r.OK || r.Texts != 2 {
		t.Error(r.Sentence, r.Texts)
	}
}

func TestReceiptFormat(t *testing.T) {
	w := newWorld(t, 1)
	for i := range uint64(len(w.rec.Leaves)) {
		r := w.receipt(i)
		got, err := verify.ParseReceipt(r.Bytes())
		if err != nil || !bytes.Equal(got.Bytes(), r.Bytes()) {
			t.Fatal(i, err)
		}
	}
	good := string(w.receipt(indexEndorsedAPNIC).Bytes())
	lines := strings.SplitAfter(good, "\n")
	extraOf := func(edit func(r *verify.Receipt)) string {
		r := w.receipt(indexEndorsedAPNIC)
		edit(r)
		return string(r.Bytes())
	}
	replaceLine := func(n int, s string) string {
		l := slices.Clone(lines)
		l[n] = s
		return strings.Join(l, "")
	}
	for name, s := range map[string]string{
		"empty":             "",
		"another header":    strings.Replace(good, "@v1", "@v2", 1),
		"no checkpoint":     strings.Split(good, "\n\n")[0] + "\n",
		"CRLF":              strings.ReplaceAll(good, "\n", "\r\n"),
		"no extra":          replaceLine(1, ""),
		"empty extra":       replaceLine(1, "extra \n"),
		"extra not base64":  replaceLine(1, "extra ????\n"),
		"extra two lines":   replaceLine(1, lines[1][:100]+"\n"+lines[1][100:]),
		"short leaf":        replaceLine(1, "extra /////w==\n"),
		"empty leaf":        extraOf(func(r *verify.Receipt) { r.Leaf = nil }),
		"no index":          replaceLine(2, ""),
		"index 05":          replaceLine(2, "index 05\n"),
		"index -5":          replaceLine(2, "index -5\n"),
		"index twice":       replaceLine(2, lines[2]+lines[2]),
		"index 2^63":        replaceLine(2, "index 9223372036854775808\n"),
		"proof not base64":  replaceLine(3, "hash\n"),
		"short hash":        replaceLine(3, "AAAA\n"),
		"65 hashes":         replaceLine(3, strings.Repeat(lines[3], 65)),
		"blank line before": replaceLine(3, "\n"+lines[3]),
		"trailing line":     good + "\n",
		"trailing garbage":  good + "x",
		"support unordered": extraOf(func(r *verify.Receipt) { slices.Reverse(r.Support) }),
		"support twice":     extraOf(func(r *verify.Receipt) { r.Support = append(r.Support, r.Support[len(r.Support)-1]) }),
		"support is own":    extraOf(func(r *verify.Receipt) { r.Support[1].Index = r.Index }),
		"support 2^63":      extraOf(func(r *verify.Receipt) { r.Support[1].Index = 1 << 63 }),
		"support 65 hashes": extraOf(func(r *verify.Receipt) { r.Support[0].Proof = make([][32]byte, 65) }),
		"65 supports": extraOf(func(r *verify.Receipt) {
			r.Support = nil
			for i := range uint64(65) {
				r.Support = append(r.Support, verify.Support{Index: 100 + i, Leaf: []byte("x")})
			}
		}),
		"large after": extraOf(func(r *verify.Receipt) { r.After = make([]byte, verify.MaxNote+1) }),
		"too large":   good + strings.Repeat("x", verify.MaxReceipt),
		"extension":   strings.Replace(good, "\n\n—", "\nmore\n\n—", 1),
	} {
		if _, err := verify.ParseReceipt([]byte(s)); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "apnic") {
			t.Errorf("%s: the error repeats the input", name)
		}
	}
	for name, c := range map[string]struct{ receipt, says string }{
		"BOM":            {"\ufeff" + good, "malformed receipt: line 1: there is a byte order mark (BOM)"},
		"CRLF":           {strings.ReplaceAll(good, "\n", "\r\n"), "malformed receipt: line 1: lines must end in LF alone: there is a carriage return (CR)"},
		"BOM and CRLF":   {"\ufeff" + strings.ReplaceAll(good, "\n", "\r\n"), "a byte order mark (BOM)"},
		"UTF-16":         {"\xff\xfe" + strings.Join(strings.Split(good, ""), "\x00") + "\x00", "malformed receipt: line 1: it is in UTF-16"},
		"another file":   {"\ufeffHello\r\n", "it must begin with the line"},
		"another header": {strings.Replace(good, "@v1\n", "@v2\r\n", 1), "it must begin with the line"},
	} {
		if _, err := verify.ParseReceipt([]byte(c.receipt)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, f := range map[string]func(r *verify.Receipt){
		"leaf":  func(r *verify.Receipt) { r.Leaf = make([]byte, 65536) },
		"proof": func(r *verify.Receipt) { r.Support[0].Proof = make([][32]byte, 256) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: printed beyond its bound", name)
				}
			}()
			extraOf(f)
		}()
	}
}

func FuzzReceipt(f *testing.F) {
	w := newWorld(f, 1)
	w.log = w.log[:1]
	w.publish()
	for i := range uint64(len(w.rec.Leaves)) {
		f.Add(w.receipt(i).Bytes())
	}
	p := w.policy()
	good := w.receipt(indexEndorsedAPNIC)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := verify.ParseReceipt(b)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Bytes(), b) {
			t.Fatal("prints otherwise")
		}
		v := verify.Judge(verify.Input{Policy: p, Receipt: r, Statement: []byte(tccm)})
		if v.Code == 0 && !bytes.Equal(r.Leaf, good.Leaf) && !strings.Contains(v.Sentence, "dns.pt") {
			t.Fatal("another entry is accepted:", v.Sentence)
		}
	})
}

func TestMakeReceipt(t *testing.T) {
	w := newWorld(t, 0)
	fail := fmt.Errorf("no")
	leaf := func(uint64) ([]byte, error) { return []byte("x"), nil }
	node := func(uint, uint64) ([32]byte, error) { return [32]byte{}, nil }
	for name, err := range map[string]error{
		"no note":       second(verify.MakeReceipt(0, nil, nil, []byte("x"), leaf, node)),
		"no checkpoint": second(verify.MakeReceipt(0, nil, nil, []byte("x\n\n— a AAAAAAA=\n"), leaf, node)),
		"beyond":        second(verify.MakeReceipt(8, nil, nil, w.note, leaf, node)),
		"support":       second(verify.MakeReceipt(0, []uint64{8}, nil, w.note, leaf, node)),
		"65 supports":   second(verify.MakeReceipt(0, make([]uint64, 65), nil, w.note, leaf, node)),
		"leaf":          second(verify.MakeReceipt(0, nil, nil, w.note, func(uint64) ([]byte, error) { return nil, fail }, node)),
		"support leaf": second(verify.MakeReceipt(0, []uint64{1}, nil, w.note, func(i uint64) ([]byte, error) {
			if i == 1 {
				return nil, fail
			}
			return nil, nil
		}, node)),
		"node": second(verify.MakeReceipt(0, nil, nil, w.note, leaf, func(uint, uint64) ([32]byte, error) { return [32]byte{}, fail })),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
